"""Raw sales become unique, bounded and resolved; each row that does not is kept with the code of what is wrong."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.core.dimensions import dim_product, dim_store
from pipelines.core.sales import write_sales
from pipelines.errors import SourceError
from pipelines.sources.columns import PLACE, RAW
from pipelines.warehouse import Origin, Warehouse

POLARS = {
    "VARCHAR": pl.String,
    "BIGINT": pl.Int64,
    "DATE": pl.Date,
    "DECIMAL(18,2)": pl.Decimal(18, 2),
    "DECIMAL(18,4)": pl.Decimal(18, 4),
}
DAY = date(2024, 1, 1)
SOUND: dict[str, Any] = {"store": "A", "product": "x", "date": DAY, "quantity": 2, "unit_price": Decimal("2.50")}


def raw(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={column.name: POLARS[column.sql_type] for column in (*RAW[table], *PLACE)})


def sale(row: int = 1, **changes: Any) -> dict[str, Any]:
    return {**SOUND, "file": "sales.csv", "row": row, **changes}


def resolve(
    root: Path,
    sales: list[dict[str, Any]],
    *,
    stores: list[dict[str, Any]] | None = None,
    products: list[dict[str, Any]] | None = None,
) -> dict[str, int]:
    """Write the raw tables and dimensions of these rows (stores A and B, product x by default), then the sales."""
    warehouse = Warehouse(root)
    warehouse.set_origin(Origin("mine", None))
    frames = {
        "raw_stores": raw("raw_stores", [{"code": "A"}, {"code": "B"}] if stores is None else stores),
        "raw_products": raw("raw_products", [{"sku": "x"}, {"sku": "y"}] if products is None else products),
        "raw_sales": raw("raw_sales", sales),
    }
    for name, frame in frames.items():
        warehouse.write(f"sources/{name}", frame)
    warehouse.write("core/dim_store", dim_store(frames["raw_stores"], frames["raw_sales"]["store"], None))
    warehouse.write("core/dim_product", dim_product(frames["raw_products"], frames["raw_sales"]["product"], None))
    with duckdb.connect(config={"preserve_insertion_order": False}) as connection:
        return write_sales(warehouse, connection)


def made(root: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    warehouse = Warehouse(root)
    return warehouse.read("core/sales_daily"), warehouse.read("core/sales_daily_rejects")


def test_a_sound_row_is_kept_with_its_ids_and_amounts(tmp_path: Path) -> None:
    counts = resolve(tmp_path, [sale(store="B", product="y")])

    sales, rejects = made(tmp_path)
    assert counts == {}
    assert rejects.is_empty()
    assert sales.rows() == [(2, 2, DAY, 2, Decimal("2.5000"), Decimal("5.00"))]


@pytest.mark.parametrize(
    ("change", "code", "field", "value"),
    [
        ({"store": "C"}, "UNKNOWN_STORE", "store", "C"),
        ({"product": "z"}, "UNKNOWN_PRODUCT", "product", "z"),
        ({"date": date(1989, 12, 31)}, "OUT_OF_RANGE", "date", "1989-12-31"),
        ({"date": date(2101, 1, 1)}, "OUT_OF_RANGE", "date", "2101-01-01"),
        ({"quantity": -1}, "NEGATIVE_QUANTITY", "quantity", "-1"),
        ({"quantity": 10**12 + 1, "unit_price": None, "total_amount": 1}, "OUT_OF_RANGE", "quantity", str(10**12 + 1)),
        ({"unit_price": Decimal("-0.01")}, "NEGATIVE_AMOUNT", "unit_price", "-0.0100"),
        ({"total_amount": Decimal("-0.01")}, "NEGATIVE_AMOUNT", "total_amount", "-0.01"),
        ({"unit_price": None}, "MISSING_VALUE", "total_amount", None),
        ({"total_amount": Decimal("1000000000000.01")}, "OUT_OF_RANGE", "total_amount", "1000000000000.01"),
        ({"quantity": 10**12, "unit_price": Decimal("2")}, "OUT_OF_RANGE", "total_amount", None),
    ],
)
def test_a_faulty_row_is_rejected_with_code_and_place(
    tmp_path: Path, change: dict[str, Any], code: str, field: str, value: str | None
) -> None:
    counts = resolve(tmp_path, [sale(1), sale(7, **{"date": DAY + timedelta(days=1), **change})])

    sales, rejects = made(tmp_path)
    assert counts == {code: 1}
    assert sales.height == 1
    assert rejects.drop("record").rows() == [("sales.csv", 7, code, field, value)]
    assert '"store"' in rejects["record"].item()


def test_bounds_themselves_are_within(tmp_path: Path) -> None:
    counts = resolve(
        tmp_path,
        [
            sale(1, date=date(1990, 1, 1), quantity=0),
            sale(2, date=date(2100, 12, 31), unit_price=Decimal(0)),
            sale(3, date=DAY, quantity=10**12, unit_price=Decimal(1)),
        ],
    )

    sales, _ = made(tmp_path)
    assert counts == {}
    assert sales["total_amount"].to_list() == [Decimal(0), Decimal(10**12), Decimal(0)]


def test_of_rows_with_one_grain_the_last_by_file_and_row_holds(tmp_path: Path) -> None:
    rows = [sale(9, quantity=9), sale(10, quantity=10), sale(2, quantity=2, file="tales.csv"), sale(1, store="B")]

    counts = resolve(tmp_path, rows)

    sales, rejects = made(tmp_path)
    assert counts == {"DUPLICATE_GRAIN": 2}
    assert sales.select("store_id", "quantity").rows() == [(1, 2), (2, 2)]
    assert rejects.select("file", "row", "code").rows() == [
        ("sales.csv", 9, "DUPLICATE_GRAIN"),
        ("sales.csv", 10, "DUPLICATE_GRAIN"),
    ]


def test_a_faulty_row_never_takes_the_place_of_a_sound_one(tmp_path: Path) -> None:
    counts = resolve(tmp_path, [sale(1, quantity=4), sale(2, quantity=-4)])

    sales, _ = made(tmp_path)
    assert counts == {"NEGATIVE_QUANTITY": 1}
    assert sales["quantity"].to_list() == [4]


def test_the_missing_one_of_price_and_amount_is_worked_out(tmp_path: Path) -> None:
    resolve(
        tmp_path,
        [
            sale(1, quantity=3, unit_price=Decimal("0.335")),  # 1.005, to the cent
            sale(2, date=date(2024, 1, 2), quantity=3, unit_price=None, total_amount=Decimal("10.00")),
            sale(3, date=date(2024, 1, 3), quantity=0, unit_price=None, total_amount=Decimal("0.00")),
            sale(4, date=date(2024, 1, 4), quantity=2, unit_price=Decimal("9"), total_amount=Decimal("5.00")),  # as told
        ],
    )

    sales, _ = made(tmp_path)
    assert sales.select("unit_price", "total_amount").rows() == [
        (Decimal("0.3350"), Decimal("1.01")),
        (Decimal("3.3333"), Decimal("10.00")),
        (None, Decimal("0.00")),
        (Decimal("9.0000"), Decimal("5.00")),
    ]


def test_sales_may_call_a_store_by_its_key(tmp_path: Path) -> None:
    resolve(tmp_path, [sale(store="17")], stores=[{"key": "17", "code": "A"}, {"key": "18", "code": "B"}])

    sales, _ = made(tmp_path)
    assert sales["store_id"].to_list() == [1]


def test_without_a_stores_file_every_store_that_sold_is_known(tmp_path: Path) -> None:
    counts = resolve(tmp_path, [sale(1, store="Q"), sale(2, store="P")], stores=[], products=[])

    sales, _ = made(tmp_path)
    assert counts == {}
    assert Warehouse(tmp_path).read("core/dim_store").select("store_id", "code", "name").rows() == [(1, "P", "P"), (2, "Q", "Q")]
    assert sales["store_id"].to_list() == [1, 2]


def test_not_one_usable_row_is_an_error_that_replaces_nothing(tmp_path: Path) -> None:
    resolve(tmp_path, [sale()])
    paths = [Warehouse(tmp_path).path(f"core/sales_daily{suffix}") for suffix in ("", "_rejects")]
    before = [path.read_bytes() for path in paths]

    with pytest.raises(SourceError, match=r"not one of 2 sales rows is usable; the first, sales\.csv row 3: UNKNOWN_STORE"):
        resolve(tmp_path, [sale(3, store="C"), sale(4, quantity=-1)])

    assert [path.read_bytes() for path in paths] == before


SALES = st.lists(
    st.fixed_dictionaries(
        {
            "store": st.sampled_from("ABC"),
            "product": st.sampled_from("xyz"),
            "date": st.sampled_from([DAY, DAY + timedelta(days=1), date(1980, 1, 1)]),
            "quantity": st.integers(-1, 5),
            "unit_price": st.none() | st.decimals(-1, 9, places=2),
            "total_amount": st.none() | st.decimals(-1, 9, places=2),
            "file": st.sampled_from(["a.csv", "b.csv"]),
        }
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=SALES)
def test_rows_in_are_rows_kept_and_rejects_as_a_loop_says(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    rows = [{**row, "row": n} for n, row in enumerate([*rows, sale(store="A", product="x")], 1)]

    counts = resolve(tmp_path, rows)

    last: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["file"], row["row"])):
        amounts = [row.get("unit_price"), row.get("total_amount")]
        sound = row["store"] in "AB" and row["product"] in "xy" and row["date"].year > 1989 and row["quantity"] >= 0
        if sound and any(amount is not None for amount in amounts) and all((amount or 0) >= 0 for amount in amounts):
            last[row["store"], row["product"], row["date"]] = row
    sales, rejects = made(tmp_path)
    assert sales.height + rejects.height == len(rows)
    assert sum(counts.values()) == rejects.height
    assert dict(rejects.group_by("code").len().rows()) == counts
    assert sales.select("store_id", "product_id", "date", "quantity").rows() == [
        (" AB".index(store), " xy".index(product), day, last[store, product, day]["quantity"])
        for store, product, day in sorted(last)
    ]
    assert not sales.select("store_id", "product_id", "date").is_duplicated().any()
