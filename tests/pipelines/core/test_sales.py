"""Sales of many batches become one row a store, product and day: the last word holds; what cannot be used is kept with a code."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_config.declared import load_declarations
from pipelines.core.ledger import rejections
from pipelines.errors import SourceError
from tests.plant import NOON, Plant

DAY = date(2024, 1, 1)
SOUND: dict[str, Any] = {"store_code": "A", "sku": "x", "date": DAY, "quantity": 2, "unit_price": "2.50"}


def sale(**changes: Any) -> dict[str, Any]:
    return {**SOUND, **changes}


def with_stores(root: Path) -> Plant:
    """A plant that knows stores A and B and products x and y."""
    plant = Plant(root)
    plant.post("stores", [{"code": "A"}, {"code": "B"}], at=NOON)
    plant.post("products", [{"sku": "x"}, {"sku": "y"}], at=NOON)
    return plant


def test_a_sound_row_is_kept_with_its_ids_and_amounts(tmp_path: Path) -> None:
    plant = with_stores(tmp_path)
    batch = plant.post("sales-daily", [sale(store_code="B", sku="y")])

    plant.run()

    assert plant.table("sales_daily").rows() == [(2, 2, DAY, 2, Decimal("2.5000"), Decimal("5.00"))]
    assert plant.rejects(batch) == []


def test_bounds_themselves_are_within(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post(
        "sales-daily",
        [
            sale(date=date(1990, 1, 1), quantity=0),
            sale(date=NOON.date() + timedelta(days=1), unit_price=0),
            sale(quantity=10**12, unit_price=1),
            sale(date=date(2024, 1, 2), unit_price=None, total_amount=10**12),
        ],
    )

    plant.run()

    assert [row[-1] for row in plant.sales()] == [Decimal(0), Decimal(10**12), Decimal(10**12), Decimal(0)]


def test_a_sale_of_the_day_after_tomorrow_is_a_mistake(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    batch = plant.post("sales-daily", [sale(), sale(date=NOON.date() + timedelta(days=2))])

    plant.run()

    assert plant.rejects(batch) == [(1, "OUT_OF_RANGE", str(NOON.date() + timedelta(days=2)))]


def test_the_missing_one_of_price_and_amount_is_worked_out(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post(
        "sales-daily",
        [
            sale(quantity=3, unit_price="0.335"),  # 1.005, to the cent
            sale(date=date(2024, 1, 2), quantity=3, unit_price=None, total_amount="10.00"),
            sale(date=date(2024, 1, 3), quantity=0, unit_price=None, total_amount="0.00"),
            sale(date=date(2024, 1, 4), quantity=2, unit_price="9", total_amount="5.00"),  # as told
        ],
    )

    plant.run()

    assert [row[-2:] for row in plant.sales()] == [
        (Decimal("0.3350"), Decimal("1.01")),
        (Decimal("3.3333"), Decimal("10.00")),
        (None, Decimal("0.00")),
        (Decimal("9.0000"), Decimal("5.00")),
    ]


def test_a_faulty_line_never_takes_the_place_of_a_sound_one(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    batch = plant.post("sales-daily", [sale(quantity=4), sale(quantity=-4)])

    plant.run()

    assert [row[3] for row in plant.sales()] == [4]
    assert plant.rejects(batch) == [(1, "NEGATIVE_QUANTITY", "-4")]


def test_of_lines_of_one_batch_the_last_holds_and_the_others_are_merged(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    batch = plant.post("sales-daily", [sale(quantity=1), sale(sku="y"), sale(quantity=2), sale(quantity=3)])

    plant.run()

    told = plant.batch(batch)
    assert [row[3] for row in plant.sales()] == [3, 2]
    assert (told["state"], told["lines"], told["loaded"], told["merged"], told["rejected"]) == ("loaded", 4, 2, 2, 0)


def test_the_batch_that_came_last_holds_whatever_is_read_first(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", [sale(quantity=9)], at=NOON + timedelta(hours=1))
    plant.run()

    plant.post("sales-daily", [sale(quantity=5), sale(sku="y", quantity=5)], at=NOON)
    plant.run()

    assert [(row[1], row[3]) for row in plant.sales()] == [("x", 9), ("y", 5)]


def test_the_same_bytes_again_change_nothing(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    first = plant.post("sales-daily", [sale()])
    plant.run()
    before = plant.warehouse.dataset_id()

    again = plant.post("sales-daily", [sale()])
    made = plant.run()

    assert again == first
    assert made["core/sales_daily"] == []
    assert plant.warehouse.dataset_id() == before


def test_a_replay_gives_the_same_tables(tmp_path: Path) -> None:
    plant = with_stores(tmp_path)
    batch = plant.post("sales-daily", [sale(), sale(quantity=-1), sale(store_code="C")])
    plant.run()
    before = plant.warehouse.dataset_id(), plant.rejects(batch)

    plant.run(replay=batch)

    assert (plant.warehouse.dataset_id(), plant.rejects(batch)) == before
    assert plant.batch(batch)["state"] == "replayed"


def test_sales_may_call_a_store_by_its_external_id(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("stores", [{"code": "A", "external_id": "17"}, {"code": "B", "external_id": "18"}])
    plant.post("products", [{"sku": "x", "external_id": "400"}])
    batch = plant.post("sales-daily", [sale(store_code="18", sku="400"), sale(store_code="A")])

    plant.run()

    assert [row[:2] for row in plant.sales()] == [("A", "x"), ("B", "x")]
    assert plant.rejects(batch) == []


def test_a_code_and_an_external_id_of_one_store_are_one_grain(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("stores", [{"code": "A", "external_id": "17"}])
    batch = plant.post("sales-daily", [sale(quantity=1), sale(store_code="17", quantity=2)])

    plant.run()

    assert [row[3] for row in plant.sales()] == [2]
    assert plant.batch(batch)["merged"] == 1


def test_sales_of_an_unknown_store_come_good_when_it_arrives(tmp_path: Path) -> None:
    plant = with_stores(tmp_path)
    batch = plant.post(
        "sales-daily", [sale(store_code="C"), sale(sku="z"), sale(date=date(2024, 2, 1)), sale(store_code="C", sku="z")]
    )
    plant.run()
    assert plant.rejects(batch) == [(0, "UNKNOWN_STORE", "C"), (1, "UNKNOWN_PRODUCT", "z"), (3, "UNKNOWN_STORE", "C")]
    assert plant.batch(batch)["state"] == "partially_loaded"

    plant.post("stores", [{"code": "C"}])
    made = plant.run()

    assert made["core/sales_daily"] == ["2024-01"]
    assert plant.rejects(batch) == [(1, "UNKNOWN_PRODUCT", "z"), (3, "UNKNOWN_PRODUCT", "z")]
    assert [row[:2] for row in plant.sales()] == [("A", "x"), ("C", "x")]


def test_what_was_rejected_is_told_a_kind_with_its_codes(tmp_path: Path) -> None:
    plant = with_stores(tmp_path)
    plant.post("sales-daily", [sale(), sale(store_code="C"), sale(sku="z"), sale(store_code="C", date=date(2024, 1, 2))])
    plant.post("sales-daily", [sale(quantity=-1)])

    plant.run()

    [said] = rejections(plant.warehouse)
    assert said.startswith("4 of 5 lines of sales-daily were rejected: 2 UNKNOWN_STORE, 1 UNKNOWN_PRODUCT, 1 NEGATIVE_QUANTITY; ")
    plant.post("stores", [{"code": "C"}])
    plant.run()
    [said] = rejections(plant.warehouse)
    assert said.startswith("2 of 5 lines")


def test_without_a_stores_file_every_store_that_sold_is_known(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    batch = plant.post("sales-daily", [sale(store_code="Q"), sale(store_code="P")])

    plant.run()

    assert plant.rejects(batch) == []
    assert plant.table("dim_store").select("store_id", "code", "name").rows() == [(1, "P", "P"), (2, "Q", "Q")]
    assert plant.table("sales_daily")["store_id"].to_list() == [1, 2]


def test_not_one_usable_row_of_a_folder_is_an_error_that_replaces_nothing(tmp_path: Path) -> None:
    plant, folder = Plant(tmp_path / "data"), tmp_path / "files"
    folder.mkdir()
    header = "store_code,sku,date,quantity,unit_price\n"
    (folder / "sales.csv").write_text(header + "A,x,2024-01-01,1,2\n")
    plant.load("csv", folder)
    before = plant.warehouse.dataset_id()
    (folder / "sales.csv").write_text(header + "A,x,2024-01-01,-1,2\nA,x,2024-01-02,many,2\n")

    with pytest.raises(SourceError, match=r"not one of 2 rows of sales\.csv is usable; the first, row 1: NEGATIVE_QUANTITY"):
        plant.load("csv", folder)

    plant.run()
    assert plant.warehouse.dataset_id() == before


def test_days_of_another_form_are_refused_with_how_that_is_declared(tmp_path: Path) -> None:
    plant, folder = Plant(tmp_path / "data"), tmp_path / "files"
    folder.mkdir()
    (folder / "sales.csv").write_text("store_code,sku,date,quantity,unit_price\nA,x,31.01.2024,1,2\n")

    with pytest.raises(SourceError, match=r"INVALID_TYPE in date \(value '31\.01\.2024'\); .*date: {formats: \['%d\.%m\.%Y'\]}"):
        plant.load("csv", folder)


def test_a_file_that_changed_takes_the_place_of_what_it_was(tmp_path: Path) -> None:
    plant, folder = Plant(tmp_path / "data"), tmp_path / "files"
    folder.mkdir()
    header = "store_code,sku,date,quantity,unit_price\n"
    (folder / "sales.csv").write_text(header + "A,x,2024-01-01,1,2\nA,y,2024-01-01,1,2\n")
    [first] = plant.load("csv", folder)
    (folder / "sales.csv").write_text(header + "A,x,2024-01-01,7,2\n")

    plant.load("csv", folder)

    assert [row[1:4] for row in plant.sales()] == [("x", DAY, 7)]
    assert plant.batch(first.batch_id)["state"] == "retracted"


def test_category_sales_are_sales_of_a_product_of_its_name(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("products", [{"sku": "x", "category": "Shoes"}])
    plant.post("historical-sales", [{"date": DAY, "category": "Dresses", "store_id": "A", "quantity_sold": 4, "revenue": "9.98"}])
    plant.post("sales-daily", [sale()])

    plant.run()

    assert [row[:4] for row in plant.sales()] == [("A", "Dresses", DAY, 4), ("A", "x", DAY, 2)]
    assert plant.table("dim_product").select("sku", "category").rows() == [("Dresses", "Dresses"), ("x", "Shoes")]


def test_returns_are_told_apart_by_their_reason(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", [sale()])
    back = {"date": DAY, "store_code": "A", "sku": "x", "quantity": 1}
    batch = plant.post("returns", [back, {**back, "quantity": 2}, {**back, "quantity": 3, "reason": "damaged"}])

    plant.run()

    assert plant.table("returns_daily").select("reason", "quantity").rows() == [("", 2), ("damaged", 3)]
    assert (plant.batch(batch)["loaded"], plant.batch(batch)["merged"]) == (2, 1)


LINES = st.lists(
    st.fixed_dictionaries(
        {
            "store_code": st.sampled_from("ABC"),
            "sku": st.sampled_from("xyz"),
            "date": st.sampled_from([DAY, DAY + timedelta(days=31), date(1980, 1, 1)]),
            "quantity": st.integers(-1, 5),
            "unit_price": st.none() | st.decimals(-1, 9, places=2),
            "total_amount": st.none() | st.decimals(-1, 9, places=2),
        }
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=8, deadline=None)
@given(batches=st.lists(LINES, min_size=1, max_size=3, unique_by=repr), late=st.booleans())
def test_batches_give_what_a_loop_gives(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[dict[str, Any]]], late: bool
) -> None:
    plant = with_stores(tmp_path_factory.mktemp("any"))
    batches = [*batches, [sale(quantity=17)]]
    times = [NOON + timedelta(hours=n) for n in range(1, len(batches) + 1)]
    told = list(zip(times, batches, strict=True))
    ids = {at: plant.post("sales-daily", lines, at=at) for at, lines in told[late:]}
    plant.run()
    ids |= {at: plant.post("sales-daily", lines, at=at) for at, lines in told[:late]}  # came first, but is read last
    plant.run()

    last: dict[tuple[Any, ...], int] = {}
    kept: dict[str, set[tuple[Any, ...]]] = {}
    rejected: dict[str, set[int]] = {}
    for at, lines in told:
        for n, line in enumerate(lines):
            amounts = [line.get("unit_price"), line.get("total_amount")]
            known = line["store_code"] in "AB" and line["sku"] in "xy"
            sound = known and line["date"].year > 1989 and line["quantity"] >= 0
            if sound and any(each is not None for each in amounts) and all(float(each or 0) >= 0 for each in amounts):
                grain = line["store_code"], line["sku"], line["date"]
                last[grain] = line["quantity"]
                kept.setdefault(ids[at], set()).add(grain)
            else:
                rejected.setdefault(ids[at], set()).add(n)
    assert {row[:3]: row[3] for row in plant.sales()} == last
    assert not plant.table("sales_daily").select("store_id", "product_id", "date").is_duplicated().any()
    for row in plant.table("ingest_batch").filter(pl.col("kind") == "sales-daily").rows(named=True):
        batch = row["batch_id"]
        assert row["lines"] == row["loaded"] + row["rejected"] + row["merged"] + row["skipped"]
        assert row["loaded"] == len(kept.get(batch, ()))
        assert {index for index, _, _ in plant.rejects(batch)} == rejected.get(batch, set())


def test_lines_that_add_up_to_too_much_are_rejected_and_stop_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    entry = "{name: tills, kind: files, about: lines, tables: {sales-daily: {file: s.csv, repeated: sum}}}"
    (config / "sources.yaml").write_text(f"sources: [{entry}]\n")
    plant = Plant(tmp_path / "data", load_declarations(config))
    large = "A,x,2024-01-01,1000000000000,1\n" * 3
    batch = plant.post(
        "sales-daily", f"store_code,sku,date,quantity,unit_price\n{large}A,x,2024-01-02,1,1\nA,x,2024-01-02,2,1\n", source="tills"
    )

    plant.run()

    assert plant.rejects(batch) == [(n, "OUT_OF_RANGE", None) for n in range(3)]
    told = plant.batch(batch)
    assert (told["lines"], told["loaded"], told["rejected"], told["merged"]) == (5, 1, 3, 1)
    assert [row[3] for row in plant.sales()] == [3]
