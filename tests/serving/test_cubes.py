"""Two thousand random questions, and the answer of each beside plain SQL over the published facts."""

import asyncio
import random
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from litestar.testing import TestClient

from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest
from assets_config.declared import load_declarations
from pipelines.kpis.cubes import write_cubes
from pipelines.kpis.measures import write_kpi_daily
from pipelines.warehouse import Warehouse
from serving.cubes import Sums, sums
from serving.filters import Filters, Side
from serving.library import Library
from serving.periods import day_bounds
from tests.plant import Plant, rewrite
from tests.serving.conftest import client_of, publish_made

FIRST, LAST = date(2023, 7, 1), date(2024, 12, 24)
GRAINS = [[], ["store"], ["product"], ["category"], ["region"], ["store", "category"]]  # all other pairs are undeclared
STORES = {"S1": "North", "S2": "North", "S3": "South", "S4": None, "S5": "East"}
PRODUCTS = {"A1": ("Tea", "Drinks"), "A2": ("Tea", None), "B1": ("Soap", "Home"), "C1": (None, None), "C2": ("Toys", "Home")}
PATTERNS = ["smooth", "lumpy", "erratic", None]
METRICS = ["total_revenue", "total_units", "total_transactions", "avg_unit_price", "avg_basket_value"]
COLUMNS = {
    "store_id": "code",
    "product_id": "sku",
    "region": "region",
    "category": "category",
    "department": "department",
    "segment": "pattern",
}
DIMENSIONS = {"store": "code", "product": "sku", "date": "day::VARCHAR", **{name: COLUMNS[name] for name in list(COLUMNS)[2:]}}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Five stores and five products over 18 months, with gaps, returns, missing names, and series without a pattern."""
    root, draw = tmp_path_factory.mktemp("chain"), random.Random(1)
    plant, declared = Plant(root), load_declarations()
    plant.post("stores", [{"code": code, "name": code, "region": region} for code, region in STORES.items()])
    products = [{"sku": sku, "name": sku, "category": at[0], "department": at[1]} for sku, at in PRODUCTS.items()]
    plant.post("products", products)
    every = product((FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)), STORES, PRODUCTS)
    sales = [
        (day, code, sku, draw.randrange(9), f"{draw.randrange(9000) / 100}")
        for day, code, sku in every
        if draw.random() < 0.6 or day in (FIRST, LAST)
    ]
    content = BytesIO()
    frame = pl.DataFrame(sales, schema=["date", "store_code", "sku", "quantity", "total_amount"], orient="row")
    frame.with_columns(pl.col("total_amount").cast(pl.Decimal(18, 2))).write_parquet(content)
    plant.post("sales-daily", content.getvalue(), name="sales.parquet")
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        write_kpi_daily(plant.warehouse, declared.measures, connection)
        refund = pl.when((pl.col("units") == 3) & (pl.col("product_id") == 1)).then(-1).otherwise(1)
        revenue = (pl.col("revenue") * refund).cast(pl.Decimal(18, 2))
        rewrite(plant.warehouse, "kpis/kpi_daily", lambda frame: frame.with_columns(revenue))
        write_cubes(plant.warehouse, declared.published_measures(), GRAINS, connection)
    plant.warehouse.write("features/series_segment", segments(len(STORES), len(PRODUCTS)))
    return root, publish_made(root)


def segments(stores: int, products: int) -> pl.DataFrame:
    rows = [
        (store, number, PATTERNS[(store + number) % len(PATTERNS)])
        for store, number in product(range(1, stores + 1), range(1, products + 1))
        if PATTERNS[(store + number) % len(PATTERNS)]
    ]
    frame = pl.DataFrame(rows, schema={"store_id": pl.Int64, "product_id": pl.Int64, "pattern": pl.String}, orient="row")
    rest = {"adi": 1.0, "cv2": 0.1, "mean_demand": 2.0, "days": 100, "as_of": LAST}
    classes = {"abc": "A", "xyz": "X", "weekly_cv": 0.1, "revenue": 1.0}
    frame = frame.with_columns(**{name: pl.lit(value) for name, value in {**rest, **classes}.items()})
    return frame.cast({"days": pl.Int64})


@pytest.fixture(scope="module")
def served(chain: tuple[Path, Manifest]) -> Iterator[TestClient]:
    with client_of(chain[0]) as client:
        yield client


@pytest.fixture(scope="module")
def facts(chain: tuple[Path, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published facts as one flat table of texts and whole cents, from copies of the published files."""
    (root, manifest), folder = chain, tmp_path_factory.mktemp("facts")
    with duckdb.connect(config={"threads": 1}) as connection:
        for name, part in manifest.parts.items():
            if name in ("catalogue", "segments") or name.startswith("facts_"):
                shutil.copy(Published(root).part(part.key) / "tables.duckdb", folder / f"{name}.duckdb")
                connection.execute(f"ATTACH '{folder / name}.duckdb' AS {name} (READ_ONLY)")
        years = " UNION ALL ".join(f"FROM {name}.kpi_daily" for name in manifest.parts if name.startswith("facts_"))
        connection.execute(
            "CREATE TABLE facts AS SELECT date AS day, s.code, p.sku, coalesce(s.region, '(unknown)') AS region, "
            "coalesce(p.category, '(unknown)') AS category, coalesce(p.department, '(unknown)') AS department, "
            "coalesce(g.pattern, '(unknown)') AS pattern, (f.revenue * 100)::BIGINT AS cents, f.units, f.transactions AS records "
            f"FROM ({years}) f LEFT JOIN catalogue.dim_store s ON s.store_id = f.store_id "
            "LEFT JOIN catalogue.dim_product p ON p.product_id = f.product_id "
            "LEFT JOIN segments.series_segment g ON g.store_id = f.store_id AND g.product_id = f.product_id"
        )
        yield connection


def a_question(draw: random.Random) -> tuple[str, dict[str, Any]]:
    """A route and its parameters: most can be answered, some contradict themselves, some name what is not there."""
    start = FIRST + timedelta(days=draw.randrange(-20, 540))
    end = start + timedelta(days=draw.choice([0, 6, 27, draw.randrange(-3, 730), draw.randrange(400)]))
    asked: dict[str, Any] = {"start_date": str(start), "end_date": str(end)}
    names = {
        "store_id": [*STORES, "1", "S9"],
        "product_id": [*PRODUCTS, "2"],
        "region": ["North", "South", "East", "(unknown)", "West"],
        "category": ["Tea", "Soap", "Toys", "(unknown)"],
        "department": ["Drinks", "Home", "(unknown)"],
        "segment": ["smooth", "lumpy", "no_demand", "(unknown)"],
    }
    for name in draw.sample(list(names), draw.choice([0, 0, 1, 1, 1, 2, 2, 3])):
        asked[name] = draw.sample(names[name], draw.choice([1, 1, 2, 3]))
    route = draw.choice(["kpis", "timeseries", "drilldowns"])
    if route == "timeseries":
        asked["granularity"] = draw.choice(["day", "week", "month", "quarter"])
    if route == "drilldowns":
        asked["dimension"] = draw.choice(list(DIMENSIONS))
        asked |= {
            "order_by": draw.choice(METRICS),
            "sort_order": draw.choice(["asc", "desc"]),
            "max_items": draw.choice([1, 3, 100]),
        }
    elif draw.random() < 0.4:
        asked["compare"] = draw.choice(["previous", "year"])
    return route, asked


def expected_status(asked: dict[str, Any]) -> int:
    start, end = date.fromisoformat(asked["start_date"]), date.fromisoformat(asked["end_date"])
    if start > end or (end - start).days > 730:
        return 400
    codes = {"1": "S1", "2": "A2"}
    stores = [codes.get(each, each) for each in asked.get("store_id", [])]
    products = [codes.get(each, each) for each in asked.get("product_id", [])]
    regions, categories, departments = (asked.get(name) for name in ("region", "category", "department"))
    if "S9" in stores or "West" in (regions or []):
        return 404
    belongs = {sku: [each or "(unknown)" for each in at] for sku, at in PRODUCTS.items()}
    if regions and any((STORES[each] or "(unknown)") not in regions for each in stores):
        return 400
    for place, wanted in enumerate((categories, departments)):
        if wanted and any(belongs[each][place] not in wanted for each in products):
            return 400
    if categories and departments and not products:
        return 200 if any(at[0] in categories and at[1] in departments for at in belongs.values()) else 400
    return 200


def where(asked: dict[str, Any]) -> tuple[str, list[Any]]:
    codes = {"1": "S1", "2": "A2"}
    given = {column: [codes.get(each, each) for each in asked[name]] for name, column in COLUMNS.items() if name in asked}
    return " AND ".join(["true", *(f"{column} IN (SELECT unnest(?::VARCHAR[]))" for column in given)]), list(given.values())


def metrics_of(cents: int, units: int, records: int) -> dict[str, int | float | None]:
    def half_up(value: Fraction) -> float:
        size = int(abs(value) * 100 + Fraction(1, 2))
        return (size if value >= 0 else -size) / 100

    return {
        "total_revenue": half_up(Fraction(cents, 100)),
        "total_units": units,
        "total_transactions": records,
        "avg_unit_price": half_up(Fraction(cents, 100 * units)) if units else None,
        "avg_basket_value": half_up(Fraction(cents, 100 * records)) if records else None,
    }


def whole(facts: duckdb.DuckDBPyConnection, asked: dict[str, Any], days: str, values: list[Any]) -> dict[str, Any]:
    chosen, given = where(asked)
    sql = f"SELECT coalesce(sum(cents), 0), coalesce(sum(units), 0), coalesce(sum(records), 0) FROM facts WHERE {chosen} AND {days}"
    return metrics_of(*map(int, facts.execute(sql, [*given, *values]).fetchall()[0]))


PREVIOUS = "day + (?::DATE - ?::DATE + 1)::INTEGER BETWEEN ?::DATE AND ?::DATE"
YEAR = "(day + INTERVAL 1 YEAR)::DATE BETWEEN ?::DATE AND ?::DATE"
"""Base days are those that lie in the range once they are moved forward to it; 29 February moves to the 28th."""


def check_base(facts: duckdb.DuckDBPyConnection, asked: dict[str, Any], first: str, last: str, said: dict[str, Any]) -> None:
    moved = YEAR if asked["compare"] == "year" else PREVIOUS
    ends = [first, last] if moved == YEAR else [asked["end_date"], asked["start_date"], first, last]
    assert said["metrics"] == whole(facts, asked, moved, ends)
    has_base = said["start_date"] is not None and said["start_date"] >= str(FIRST) and last <= str(LAST)
    for name, change in said["changes"].items():
        if change["absolute"] is None or change["ratio"] is None:
            assert change["reason"]
        else:
            assert has_base
            assert change["reason"] is None
            assert change["ratio"] == 0 or (change["ratio"] > 0) == (change["absolute"] >= 0) or change["absolute"] == 0, name


def check(facts: duckdb.DuckDBPyConnection, route: str, asked: dict[str, Any], body: dict[str, Any]) -> None:
    start, end = asked["start_date"], asked["end_date"]
    if route == "kpis":
        assert body["metrics"] == whole(facts, asked, "day BETWEEN ? AND ?", [start, end])
        if "compare" in asked:
            check_base(facts, asked, start, end, body["comparison"])
    elif route == "timeseries":
        chosen, given = where(asked)
        periods = facts.execute(
            f"SELECT greatest(date_trunc('{asked['granularity']}', d.day)::DATE, ?::DATE) AS first, max(d.day), "
            "coalesce(sum(cents), 0), coalesce(sum(units), 0), coalesce(sum(records), 0) "
            "FROM (SELECT unnest(generate_series(?::DATE, ?::DATE, INTERVAL 1 DAY))::DATE AS day) d "
            f"LEFT JOIN (SELECT * FROM facts WHERE {chosen}) f ON f.day = d.day GROUP BY 1 ORDER BY 1",
            [start, start, end, *given],
        ).fetchall()
        assert [(each["period_start"], each["period_end"], each["metrics"]) for each in body["points"]] == [
            (str(first), str(last), metrics_of(*map(int, numbers))) for first, last, *numbers in periods
        ]
        for point in body["points"][:: max(len(body["points"]) // 3, 1)] if "compare" in asked else ():
            check_base(facts, asked, point["period_start"], point["period_end"], point["comparison"])
    else:
        check_ranks(facts, asked, body)


def check_ranks(facts: duckdb.DuckDBPyConnection, asked: dict[str, Any], body: dict[str, Any]) -> None:
    chosen, given = where(asked)
    rows = facts.execute(
        f"SELECT {DIMENSIONS[asked['dimension']]} AS member, sum(cents), sum(units), sum(records) FROM facts "
        f"WHERE {chosen} AND day BETWEEN ? AND ? GROUP BY 1",
        [*given, asked["start_date"], asked["end_date"]],
    ).fetchall()
    members = {member: (int(cents), metrics_of(int(cents), int(units), int(records))) for member, cents, units, records in rows}
    sign = -1 if asked["sort_order"] == "desc" else 1

    def place(member: str) -> tuple[bool, float, str]:
        value = members[member][1][asked["order_by"]]
        return value is None, sign * (value or 0), member

    ranked = sorted(members, key=place)
    assert body["total_items"] == len(members)
    assert [(each["rank"], each["dimension_value"]) for each in body["items"]] == [*enumerate(ranked[: asked["max_items"]], 1)]
    total = sum(cents for cents, _ in members.values())
    for each in body["items"]:
        cents, numbers = members[each["dimension_value"]]
        assert each["metrics"] == numbers
        if total:
            assert abs(Fraction(str(each["revenue_share_pct"])) - Fraction(100 * cents, total)) <= Fraction(1, 100)
    if len(body["items"]) == len(members) and total:
        assert sum(round(each["revenue_share_pct"] * 100) for each in body["items"]) == 10_000


def test_two_thousand_random_questions_equal_plain_sql(served: TestClient, facts: duckdb.DuckDBPyConnection) -> None:
    draw, statuses = random.Random(20240229), dict.fromkeys((200, 400, 404), 0)

    for n in range(2000):
        route, asked = a_question(draw)
        answer = served.get(f"/api/v1/analytics/{route}", params=asked)

        assert answer.status_code == expected_status(asked), (n, route, asked, answer.text)
        statuses[answer.status_code] += 1
        if answer.status_code == 200:
            try:
                check(facts, route, asked, answer.json())
            except AssertionError as error:
                raise AssertionError(f"question {n}: {route} {asked}\n{error}") from error

    assert min(statuses.values()) > 50, statuses


def test_sums_past_64_bits_are_answered(root: Path) -> None:
    warehouse, declared = Warehouse(root), load_declarations()
    dear = pl.lit("9000000000000000.01").cast(pl.Decimal(18, 2)).alias("revenue")
    rewrite(warehouse, "kpis/kpi_daily", lambda frame: frame.with_columns(dear))
    with duckdb.connect() as connection:
        write_cubes(warehouse, declared.published_measures(), GRAINS, connection)
    publish_made(root)
    rows = warehouse.read("kpis/kpi_daily").height
    params = {"start_date": "2024-09-03", "end_date": "2024-12-31"}

    with client_of(root) as client:
        metrics = client.get("/api/v1/analytics/kpis", params=params).json()["metrics"]
        table = client.get("/api/v1/analytics/kpis", params=params, headers={"Accept": "text/csv"})
        shares = client.get("/api/v1/analytics/drilldowns", params={**params, "dimension": "store"}).json()["items"]

    assert rows * 900_000_000_000_000_001 > 2**63
    assert metrics["total_revenue"] == float(Fraction(rows * 900_000_000_000_000_001, 100))
    assert metrics["avg_basket_value"] == 9_000_000_000_000_000.01
    assert table.status_code == 200
    assert round(sum(each["revenue_share_pct"] for each in shares), 2) == 100


def test_sums_too_large_for_cubes_are_read_from_the_facts(chain: tuple[Path, Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    filters, bounds = Filters(store=Side("region", ["North"])), day_bounds(FIRST, LAST)

    async def ask() -> Sums:
        library = Library(Published(chain[0]))
        snapshot = await library.lease()
        try:
            return await sums(snapshot, filters, bounds)
        finally:
            snapshot.release()
            library.close()

    from_cubes = asyncio.run(ask())
    monkeypatch.setattr("serving.cubes.MOST_CELLS", 1)
    from_facts = asyncio.run(ask())

    assert from_facts.values.tolist() == from_cubes.values.tolist()
    assert (from_facts.values.dtype, from_cubes.values.dtype) == (object, int)
