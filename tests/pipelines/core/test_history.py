"""Stores and products keep their ids and every version of themselves; ids of other systems lead to them; days are told once."""

import shutil
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import hypothesis
import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from pipelines.core import ids
from pipelines.core.calendar import dim_calendar
from pipelines.core.entities import dim_category, dim_process, erp_items
from pipelines.core.history import versions
from pipelines.core.lines import Incoming
from pipelines.core.surrogates import FOLDER, given, numbered
from pipelines.errors import SourceError
from pipelines.sources.audit import event
from pipelines.warehouse import Origin
from tests.plant import NOON, Plant

DAY = date(2024, 6, 1)
SCHEMA = {
    **dict.fromkeys(("code", "name", "region"), pl.String),
    **dict.fromkeys(("valid_from", "received_on"), pl.Date),
    **dict.fromkeys(("rank", "row"), pl.Int64),
}
ATTRIBUTES = ("code", "name", "region")


def line(code: str, *, rank: int = 0, row: int = 1, since: date | None = None, **attributes: str | None) -> dict[str, Any]:
    """What a batch says of a store; batch `rank` came in on the rank-th day after DAY."""
    place = {"valid_from": since, "received_on": DAY + timedelta(days=rank), "rank": rank, "row": row}
    return {"code": code, "name": None, "region": None, **attributes, **place}


def history(*lines: dict[str, Any]) -> pl.DataFrame:
    return versions(pl.DataFrame(list(lines), schema=SCHEMA), code="code", columns=ATTRIBUTES)


def days(made: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Region, first and last day of each version, days as month-day."""
    shown = made.select("region", *(pl.col(name).dt.strftime("%m-%d") for name in ("valid_from", "valid_to")))
    return shown.rows()


def test_the_first_version_holds_since_ever_and_the_last_until_now() -> None:
    made = history(line("A", region="North"), line("A", rank=10, region="South"))

    assert days(made) == [("North", None, "06-10"), ("South", "06-11", None)]


def test_a_line_may_say_since_when_it_holds() -> None:
    made = history(line("A", region="North", since=date(2024, 1, 1)), line("A", rank=5, region="South", since=date(2024, 3, 1)))

    assert days(made) == [("North", "01-01", "02-29"), ("South", "03-01", None)]


def test_a_version_told_later_may_lie_between_two_others() -> None:
    made = history(
        line("A", region="North", since=date(2024, 1, 1)),
        line("A", row=2, region="East", since=date(2024, 5, 1)),
        line("A", rank=1, region="South", since=date(2024, 3, 1)),
    )

    assert days(made) == [("North", "01-01", "02-29"), ("South", "03-01", "04-30"), ("East", "05-01", None)]


def test_an_empty_column_leaves_what_is_known() -> None:
    made = history(line("A", name="Ash", region="North"), line("A", rank=1, region="South"), line("A", rank=2, name="Elm"))

    assert made.select("name", "region").rows() == [("Ash", "North"), ("Ash", "South"), ("Elm", "South")]


def test_versions_that_do_not_differ_are_one() -> None:
    made = history(
        line("A"), line("A", rank=1), line("A", rank=2, region="North"), line("A", rank=3, region="North"), line("A", rank=4)
    )

    assert days(made) == [(None, None, "06-02"), ("North", "06-03", None)]


def test_what_changed_and_came_back_is_three_versions() -> None:
    made = history(line("A", region="North"), line("A", rank=1, region="South"), line("A", rank=2, region="North"))

    assert [region for region, _, _ in days(made)] == ["North", "South", "North"]


def test_of_two_lines_for_one_day_the_later_batch_holds() -> None:
    made = history(
        line("A", rank=2, region="South", since=DAY),
        line("A", rank=1, row=9, name="Ash", region="North", since=DAY),
        line("A", rank=1, row=3, region="East", since=DAY),
    )

    assert made.select(ATTRIBUTES).rows() == [("A", "Ash", "South")]


def test_a_store_without_a_name_is_called_by_its_code() -> None:
    made = history(line("A"), line("B", name="Bee"))

    assert made["name"].to_list() == ["A", "Bee"]


def test_stores_do_not_mix() -> None:
    made = history(line("B", region="North"), line("A", rank=1), line("B", rank=2), line("C", region="North"))

    assert made.select("code", "region").rows() == [("A", None), ("B", "North"), ("C", "North")]


TOLD = st.lists(
    st.builds(
        line,
        st.sampled_from("AB"),
        rank=st.integers(0, 4),
        row=st.integers(1, 3),
        since=st.none() | st.integers(0, 5).map(lambda n: DAY + timedelta(days=n)),
        region=st.none() | st.sampled_from(["North", "South"]),
        name=st.none() | st.sampled_from(["Ash", "Elm"]),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda said: (said["rank"], said["row"]),
)


@settings(deadline=None)
@hypothesis.given(lines=TOLD, order=st.randoms(use_true_random=False))
def test_versions_are_those_of_a_loop_in_whatever_order_they_are_read(lines: list[dict[str, Any]], order: Any) -> None:
    shuffled = list(lines)
    order.shuffle(shuffled)

    made = history(*shuffled)

    expected: list[tuple[Any, ...]] = []
    for code in "AB":
        state: tuple[Any, ...] = (None, None)
        of_store: list[tuple[Any, ...]] = []
        for said in sorted(lines, key=lambda said: (said["valid_from"] or said["received_on"], said["rank"], said["row"])):
            if said["code"] != code:
                continue
            since = said["valid_from"] or said["received_on"]
            state = tuple(new or old for new, old in zip((said["name"], said["region"]), state, strict=True))
            if of_store and of_store[-1][0] == since:
                of_store.pop()
            if not of_store or of_store[-1][1] != state:
                of_store.append((since, state))
        expected += [(code, name or code, region) for _, (name, region) in of_store]
    assert made.select(ATTRIBUTES).rows() == expected
    assert made.equals(history(*lines))


@settings(deadline=None)
@hypothesis.given(lines=TOLD)
def test_days_of_versions_follow_each_other_without_a_gap(lines: list[dict[str, Any]]) -> None:
    made = history(*lines)

    for _, versions_of_one in made.group_by("code"):
        ordered = versions_of_one.sort("valid_from", nulls_last=False)
        starts, ends = ordered["valid_from"].to_list(), ordered["valid_to"].to_list()
        assert ends[-1] is None
        assert [end + timedelta(days=1) for end in ends[:-1]] == starts[1:]
        assert all(start is not None for start in starts[1:])


@hypothesis.given(st.lists(st.sets(st.sampled_from("ABCDEFGH"), min_size=1), min_size=1, max_size=6))
def test_an_id_once_given_never_changes_and_is_never_given_again(loads: list[set[str]]) -> None:
    known = pl.DataFrame(schema={"code": pl.String, "store_id": pl.Int64})
    for codes in loads:
        found = numbered(known, pl.Series(sorted(codes, reverse=True)), code="code", identity="store_id")

        assert found.head(known.height).equals(known)
        assert set(found["code"]) == {*known["code"], *codes}
        assert found["store_id"].to_list() == list(range(1, found.height + 1))
        assert found["code"].tail(found.height - known.height).is_sorted()
        known = found


def test_all_versions_of_a_store_have_one_id_and_the_newest_is_what_it_is_now(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("stores", [{"code": "A", "region": "North"}, {"code": "B"}])
    plant.post("stores", [{"code": "A", "region": "South"}], at=NOON + timedelta(days=1))
    plant.post("sales-daily", [{"store_code": "A", "sku": "x", "date": DAY, "quantity": 1, "unit_price": 1}])
    plant.run()

    assert plant.table("hist_store")["store_id"].to_list() == [1, 1, 2]
    assert plant.table("dim_store").select("store_id", "region").rows() == [(1, "South"), (2, None)]


@pytest.mark.parametrize(("entity", "kind"), [("store", "products"), ("product", "stores")])
def test_without_any_store_or_product_the_error_says_which(tmp_path: Path, entity: str, kind: str) -> None:
    plant = Plant(tmp_path)
    plant.post(kind, [{"sku": "x"} if kind == "products" else {"code": "A"}])

    with pytest.raises(SourceError, match=f"names no {entity} at all"):
        plant.run()


def test_batches_of_stores_may_come_in_any_order(tmp_path: Path) -> None:
    said = [
        (NOON, [{"code": "A", "region": "North"}, {"code": "B", "name": "Bee"}]),
        (NOON + timedelta(days=1), [{"code": "A", "name": "Ash"}, {"code": "C"}]),
        (NOON + timedelta(days=2), [{"code": "A", "region": "South", "valid_from": "2024-01-01"}]),
    ]
    sold = [{"store_code": "A", "sku": "x", "date": DAY, "quantity": 1, "unit_price": 1}]
    made = []
    for order in ((0, 1, 2), (2, 0, 1)):
        plant = Plant(tmp_path / f"{order[0]}")
        plant.post("sales-daily", sold)
        for n in order:
            at, rows = said[n]
            plant.post("stores", rows, at=at)
            plant.run()
        made.append(plant.table("hist_store").drop("store_id").sort("code", "valid_from"))

    assert made[0].equals(made[1])
    assert made[0].filter(pl.col("code") == "A").select("name", "region", "valid_from", "valid_to").rows() == [
        ("A", "South", date(2024, 1, 1), date(2024, 5, 31)),
        ("A", "North", date(2024, 6, 1), date(2024, 6, 1)),
        ("Ash", "North", date(2024, 6, 2), None),
    ]


def test_an_id_is_kept_from_batch_to_batch(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", [{"store_code": code, "sku": "x", "date": DAY, "quantity": 1, "unit_price": 1} for code in "BM"])
    plant.run()

    plant.post("sales-daily", [{"store_code": "A", "sku": "a", "date": DAY, "quantity": 1, "unit_price": 1}])
    plant.run()

    assert plant.table("dim_store").select("store_id", "code").rows() == [(1, "B"), (2, "M"), (3, "A")]
    assert plant.table("dim_product").select("product_id", "sku").rows() == [(1, "x"), (2, "a")]


def test_another_source_in_between_changes_no_id(tmp_path: Path) -> None:
    warehouse = Plant(tmp_path).warehouse

    def load(path: str, *codes: str) -> list[tuple[str, int]]:
        warehouse.set_origin(Origin("csv", path))
        return given(warehouse, "store", pl.Series(codes), table="core/hist_store", code="code").rows()

    assert load("ours", "B") == [("B", 1)]
    assert load("ours", "A", "B") == [("B", 1), ("A", 2)]
    assert load("theirs", "A") == [("A", 1)]
    assert load("ours", "A") == [("B", 1), ("A", 2)]


def test_a_store_that_is_named_no_more_and_then_again_is_the_same(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    for codes in ("BM", "AB", "ABM"):
        plant.post("stores", [{"code": code} for code in codes])
    plant.post("sales-daily", [{"store_code": "B", "sku": "x", "date": DAY, "quantity": 1, "unit_price": 1}])
    plant.run()
    before = plant.table("dim_store").select("store_id", "code").rows()

    (plant.warehouse.path("core/hist_store")).unlink()  # as where a backup was put back: tables are made again, ids are kept
    plant.run()

    assert plant.table("dim_store").select("store_id", "code").rows() == before


def test_a_root_of_before_ids_were_kept_goes_on_from_its_tables(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    sold = [{"store_code": code, "sku": "x", "date": DAY, "quantity": 1, "unit_price": 1} for code in "BM"]
    plant.post("sales-daily", sold)
    plant.run()
    shutil.rmtree(plant.warehouse.folder / FOLDER)

    plant.post("sales-daily", [{**sold[0], "store_code": "A"}])
    plant.run()

    assert plant.table("dim_store").select("store_id", "code").rows() == [(1, "B"), (2, "M"), (3, "A")]


def mapped(root: Path, *posts: tuple[str, list[dict[str, Any]], str]) -> dict[tuple[str, str], str | None]:
    """What ids of products mean: (source, external id) -> SKU, from batches (kind, rows, source)."""
    plant = Plant(root)
    plant.post("products", [{"sku": "x"}, {"sku": "y"}, {"sku": "17"}])
    plant.post("sales-daily", [{"store_code": "A", "sku": "x", "date": DAY, "quantity": 1, "unit_price": 1}])
    for kind, rows, source in posts:
        plant.post(kind, rows, source=source)
    plant.run()
    incoming = Incoming(plant.warehouse)
    stores, products = plant.table("dim_store"), plant.table("dim_product")
    keys = ids.resolve(incoming, plant.table("id_map"), stores, products).filter(pl.col("entity") == "product")
    named = keys.join(products, left_on="id", right_on="product_id")
    return {(source, external): sku for source, external, sku in named.select("source", "external_id", "sku").iter_rows()}


def till(external_id: str, code: str) -> list[dict[str, Any]]:
    return [{"entity": "product", "external_id": external_id, "code": code}]


def test_what_a_source_says_itself_comes_before_what_holds_for_all(tmp_path: Path) -> None:
    keys = mapped(tmp_path, ("external-ids", till("17", "x"), "api"), ("external-ids", till("17", "y"), "csv"))

    assert (keys["csv", "17"], keys["*", "17"]) == ("y", "x")


def test_what_holds_for_all_sources_comes_before_our_codes(tmp_path: Path) -> None:
    keys = mapped(tmp_path, ("external-ids", till("17", "x"), "api"), ("external-ids", till("9", "y"), "csv"))

    assert (keys["csv", "17"], keys["csv", "9"], keys["csv", "y"]) == ("x", "y", "y")
    assert ("*", "9") not in keys


def test_an_id_that_is_mapped_to_nothing_of_ours_is_unknown(tmp_path: Path) -> None:
    keys = mapped(tmp_path, ("external-ids", till("17", "gone"), "csv"))

    assert ("csv", "17") not in keys
    assert keys["*", "17"] == "17"


def test_of_two_words_on_an_id_the_newest_holds(tmp_path: Path) -> None:
    keys = mapped(tmp_path, ("external-ids", till("9", "x"), "api"), ("products", [{"sku": "y", "external_id": "9"}], "api"))

    assert keys["*", "9"] == "y"


def test_a_changed_crosswalk_moves_the_sales(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("products", [{"sku": "x"}, {"sku": "y"}])
    plant.post("external-ids", till("9", "x"))
    plant.post("sales-daily", [{"store_code": "A", "sku": "9", "date": DAY, "quantity": 1, "unit_price": 1}])
    plant.run()

    plant.post("external-ids", till("9", "y"))
    plant.run()

    assert [row[1] for row in plant.sales()] == ["y"]
    assert plant.table("id_map").select("source", "external_id", "code", "internal_id").rows() == [("*", "9", "y", 2)]


def test_categories_keep_their_ids() -> None:
    sold = pl.DataFrame({"product_id": [1, 2], "first_seen": [DAY, DAY - timedelta(days=1)], "row_count": [3, 4]})
    products = pl.DataFrame({"product_id": [1, 2, 3, 4], "category": ["Tea", "Tea", "Milk", None]})
    ids = pl.DataFrame({"category": ["Milk", "Tea", "Ale", "Beer"], "category_id": [1, 2, 3, 4]})
    first = dim_category(products, sold, ids)

    then = dim_category(products.with_columns(category=pl.Series(["Tea", "Beer", "Milk", "Ale"])), sold, ids)

    day_before = DAY - timedelta(days=1)
    assert first.rows() == [(1, "Milk", 1, None, 0), (2, "Tea", 2, day_before, 7)]
    assert then.rows() == [(1, "Milk", 1, None, 0), (2, "Tea", 1, DAY, 3), (3, "Ale", 1, None, 0), (4, "Beer", 1, day_before, 4)]


def test_supply_is_the_newest_word_of_the_extracts(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("external-ids", till("4711", "x"))
    plant.post("sales-daily", [{"store_code": "A", "sku": "x", "date": DAY, "quantity": 1, "unit_price": 1}])
    plant.post("erp-items", [{"item_code": "4711", "description": "Rye", "supplier": "Mill", "lead_time_days": 7, "moq": 24}])
    plant.post("erp-items", [{"item_code": "x", "lead_time_days": 9, "unit_cost": "1.20"}, {"item_code": "z", "item_group": "Tea"}])
    plant.run()

    incoming = Incoming(plant.warehouse)
    with duckdb.connect() as connection:
        items = erp_items(incoming, ids.crosswalk(incoming, connection), connection)
    made = dim_process(items, plant.table("dim_product"))

    assert plant.table("dim_product").select("sku", "name", "category", "base_cost").rows() == [
        ("x", "Rye", None, Decimal("1.20")),
        ("z", "z", "Tea", None),
    ]
    assert made.rows() == [(1, "Mill", None, 9, 24, None, Decimal("1.20")), (2, None, None, None, None, None, None)]


def test_a_price_ends_when_the_next_one_begins(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", [{"store_code": "A", "sku": "x", "date": DAY, "quantity": 1, "unit_price": 1}])
    plant.post(
        "prices",
        [
            {"sku": "x", "price": 2, "valid_from": "2024-01-01", "valid_to": "2024-12-31"},
            {"sku": "x", "price": 3, "valid_from": "2024-03-01", "valid_to": "2024-03-31"},
            {"sku": "x", "price": 4, "valid_from": "2024-05-01"},
            {"sku": "x", "price": 5, "valid_from": "2024-02-01", "store_code": "A"},
        ],
    )

    plant.run()

    made = plant.table("price_history").select("store_id", "price", "valid_from", "valid_to")
    assert [(store, int(price), str(first), str(last)) for store, price, first, last in made.iter_rows()] == [
        (None, 2, "2024-01-01", "2024-02-29"),
        (None, 3, "2024-03-01", "2024-03-31"),
        (None, 4, "2024-05-01", "None"),
        (1, 5, "2024-02-01", "None"),
    ]


def test_holidays_of_one_day_are_joined_and_days_told_once() -> None:
    named = pl.DataFrame(
        {"date": [date(2024, 1, 2)] * 3 + [date(2024, 1, 3), None], "holiday_name": ["b", "a", "b", None, "lost"]},
        schema={"date": pl.Date, "holiday_name": pl.String},
    )

    made = dim_calendar(date(2024, 1, 1), date(2024, 1, 3), named)

    assert made.height == 3 + 90
    assert not made["date"].is_duplicated().any()
    assert made.head(3).select("is_holiday", "holiday_name").rows() == [(False, None), (True, "a, b"), (False, None)]
    assert made["day_of_week"].head(3).to_list() == [0, 1, 2]


def test_a_version_that_begins_later_does_not_hold_yet(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("products", [{"sku": "A"}])
    plant.post("stores", [{"code": "S1", "region": "North"}, {"code": "S1", "region": "South", "valid_from": "2090-01-01"}])
    plant.post("stores", [{"code": "S2", "region": "East", "valid_from": "2090-01-01"}])

    plant.run()

    assert plant.table("dim_store").select("code", "region").rows() == [("S1", "North"), ("S2", "East")]


def test_an_id_that_is_taken_back_means_nothing_again(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("stores", [{"code": "S1"}])
    plant.post("products", [{"sku": "A"}])
    plant.post("sales-daily", [{"date": "2024-01-01", "store_code": "S1", "sku": "A", "quantity": 1, "unit_price": 1}])
    plant.run()
    crosswalk = plant.post("external-ids", [{"entity": "product", "external_id": "E9", "code": "A"}])
    sold = plant.post("sales-daily", [{"date": "2024-02-01", "store_code": "S1", "sku": "E9", "quantity": 2, "unit_price": 1}])
    plant.run()
    assert plant.batch(sold)["state"] == "loaded"

    [batch] = [each for each in plant.ledger.active() if each.batch_id == crosswalk]
    plant.ledger.audit.append([event(batch, "retracted")])
    plant.run()

    assert plant.batch(sold)["state"] == "rejected"
    assert [row[3] for row in plant.sales()] == [1]
