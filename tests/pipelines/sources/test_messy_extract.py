"""An invoice extract like those of real tills loads through YAML alone, and every line of it is accounted for.

Cancellations begin with C, corrections have negative quantities, ids are blank or in mixed case, lines are repeated, and each
country writes its own local time, some with an offset.
"""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from assets_config.declared import load_declarations
from tests.plant import Plant

ENTRY = """
sources:
  - name: invoices
    kind: files
    about: Invoice lines of an online shop, one line a product of an invoice.
    tables:
      sales-daily:
        file: "invoices_*.csv"
        columns:
          store_code: Country
          sku: {column: StockCode, case: upper}
          date:
            column: InvoiceDate
            formats: ["%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M:%S"]
            zone: &local {column: Country, zones: {France: Europe/Paris, Japan: Asia/Tokyo}, otherwise: Europe/London}
            day_in: *local
          quantity: Quantity
          unit_price: Price
        decimal: ","
        identical: drop
        repeated: sum
        negative: return
        cancelled: {column: Invoice, prefix: C}
      stores: {file: "invoices_*.csv", columns: {code: Country}}
      products: {file: "invoices_*.csv", columns: {sku: {column: StockCode, case: upper}, name: Description}}
"""
ZONES = {"France": "Europe/Paris", "Japan": "Asia/Tokyo", "United Kingdom": "Europe/London"}
HEADER = "Invoice;StockCode;Description;Quantity;InvoiceDate;Price;Customer ID;Country"


class Line(NamedTuple):
    invoice: str
    code: str
    quantity: str
    when: str
    price: str
    country: str
    day: date  # what the oracle says: the calendar day in the shop's country

    def text(self) -> str:
        return f"{self.invoice};{self.code};Mug, {self.code.upper()};{self.quantity};{self.when};{self.price};;{self.country}"


def lines(draw: random.Random, count: int) -> Iterator[Line]:
    for n in range(count):
        country = draw.choice(list(ZONES))
        local = datetime(2024, 3, 28, tzinfo=UTC) + timedelta(minutes=draw.randrange(60 * 24 * 8))  # over a change of the clocks
        clock = local.replace(tzinfo=ZoneInfo(ZONES[country]))
        when, day = clock.strftime("%d.%m.%Y %H:%M"), clock.date()
        if n % 7 == 0:  # an instant with an offset, which may be of another day where it is told
            instant = clock.astimezone(UTC)
            when, day = instant.strftime("%Y-%m-%dT%H:%M:%SZ"), instant.astimezone(ZoneInfo(ZONES[country])).date()
        elif n % 5 == 0:
            when = clock.strftime("%Y-%m-%d %H:%M:%S")
        code = draw.choice(["85123a", "85123A", "22423", "POST"])
        quantity, price = str(draw.randrange(1, 30)), f"{draw.randrange(1, 2000) / 100:.2f}".replace(".", ",")
        yield Line(f"5{n:05}", code, quantity, when, price, country, day)


def spoiled(draw: random.Random, line: Line) -> tuple[Line, str | None]:
    """The line with one of the faults that are usual there, and the code that it must be rejected with."""
    match draw.randrange(12):
        case 0:
            return line._replace(invoice=f"C{line.invoice}", quantity=f"-{line.quantity}"), None
        case 1:
            return line._replace(quantity=f"-{line.quantity}", price="0,00"), None
        case 2:
            return line._replace(code="  "), "MISSING_VALUE"
        case 3:
            return line._replace(country=""), "MISSING_VALUE"
        case 4:
            return line._replace(quantity="1,5"), "INVALID_TYPE"
        case 5:
            return line._replace(when="31.02.2024 10:00"), "INVALID_TYPE"
        case 6:
            return line._replace(price="-11062,06"), "NEGATIVE_AMOUNT"
        case _:
            return line, None


class Extract(NamedTuple):
    plant: Plant
    batch_id: str
    sales: dict[tuple[str, str, date], tuple[int, Decimal]]
    returns: dict[tuple[str, str, date], int]
    rejected: Counter[str]
    merged: int
    lines: int


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Extract:
    """1,500 lines, and what a plain loop makes of them."""
    draw, root = random.Random(11), tmp_path_factory.mktemp("messy")
    faulty = [spoiled(draw, line) for line in lines(draw, 1500)]
    faulty += [draw.choice(faulty[:200]) for _ in range(60)]  # lines that were sent twice
    (root / "config").mkdir()
    (root / "config/sources.yaml").write_text(ENTRY)
    (root / "invoices_2024.csv").write_text("\n".join([HEADER, *(line.text() for line, _ in faulty)]) + "\n")
    sales: dict[tuple[str, str, date], tuple[int, Decimal]] = {}
    returns: dict[tuple[str, str, date], int] = {}
    rejected: Counter[str] = Counter()
    seen: set[str] = set()
    merged = 0
    for line, code in faulty:
        if code:
            rejected[code] += 1
            continue
        if line.text() in seen:
            merged += 1
            continue
        seen.add(line.text())
        key = (line.country, line.code.upper(), line.day)
        units, price = int(line.quantity), Decimal(line.price.replace(",", "."))
        if units < 0:
            merged += key in returns
            returns[key] = returns.get(key, 0) - units
            continue
        merged += key in sales
        before = sales.get(key, (0, Decimal(0)))
        sales[key] = (before[0] + units, before[1] + (units * price).quantize(Decimal("0.01"), ROUND_HALF_UP))
    plant = Plant(root / "data", load_declarations(root / "config"))
    [batch] = [each for each in plant.load("invoices", root) if each.kind == "sales-daily"]
    return Extract(plant, batch.batch_id, sales, returns, rejected, merged, len(faulty))


def test_every_line_is_loaded_rejected_or_merged(extract: Extract) -> None:
    told = extract.plant.batch(extract.batch_id)

    assert told["state"] == "partially_loaded"
    assert told["lines"] == extract.lines == told["loaded"] + told["rejected"] + told["merged"]
    assert told["rejected"] == sum(extract.rejected.values()) > 100
    assert told["merged"] == extract.merged > 100
    assert told["skipped"] == 0


def test_rejects_have_the_codes_that_a_loop_finds(extract: Extract) -> None:
    assert Counter(code for _, code, _ in extract.plant.rejects(extract.batch_id)) == extract.rejected


def test_sales_are_the_sums_of_a_loop_in_the_day_of_the_shop(extract: Extract) -> None:
    found = {(store, sku, day): (units, amount) for store, sku, day, units, _, amount in extract.plant.sales()}

    assert found == extract.sales


def test_cancelled_and_negative_lines_are_returns(extract: Extract) -> None:
    table = extract.plant.table("returns_daily")
    named = table.join(extract.plant.table("dim_store"), on="store_id").join(extract.plant.table("dim_product"), on="product_id")

    assert {(row["code"], row["sku"], row["date"]): row["quantity"] for row in named.iter_rows(named=True)} == extract.returns


def test_one_spelling_of_a_code_is_one_product_with_its_name(extract: Extract) -> None:
    products = extract.plant.table("dim_product")

    assert sorted(products.select("sku", "name").rows()) == [
        ("22423", "Mug, 22423"),
        ("85123A", "Mug, 85123A"),
        ("POST", "Mug, POST"),
    ]
