"""Any order and repetition of batches gives the same facts, and reading kept bytes again gives them again."""

import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plant import NOON, Plant

DAYS = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1)]
ROW = st.fixed_dictionaries(
    {
        "store_code": st.sampled_from(["A", "B"]),
        "sku": st.sampled_from(["x", "y", ""]),
        "date": st.sampled_from(DAYS),
        "quantity": st.integers(-1, 9),
        "unit_price": st.just("1.50"),
    }
)
SALES = st.tuples(st.just("sales-daily"), st.lists(ROW, min_size=1, max_size=5))
STORES = st.just(("stores", [{"code": "A", "region": "North"}]))
BATCHES = st.lists(SALES | STORES, min_size=1, max_size=5)
slow = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def by_a_loop(batches: Sequence[tuple[str, list[dict[str, Any]]]]) -> dict[tuple[str, str, date], int]:
    """What must come out: the later batch's word on a store, product and day, in a batch the later row's."""
    named: set[str] = set()
    told: set[str] | None = None
    lines = []
    for number, (kind, rows) in enumerate(batches):
        if kind == "stores":
            told = (told or set()) | {"A"}
            continue
        sound = [row for row in rows if row["sku"] and row["quantity"] >= 0]
        named |= {row["store_code"] for row in sound} if told is None else set()
        lines += [(number, row) for row in sound]
    known = named | (told or set())
    held = {}
    for _, row in lines:
        if row["store_code"] in known:
            held[row["store_code"], row["sku"], row["date"]] = row["quantity"]
    return held


def bring(plant: Plant, batches: Sequence[tuple[str, list[dict[str, Any]]]], number: int) -> str:
    kind, rows = batches[number]
    return plant.post(kind, rows, name=f"{number}.json", at=NOON + timedelta(hours=number))


def unique(batches: Sequence[tuple[str, list[dict[str, Any]]]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Without those that repeat the bytes of an earlier one: they are the same batch."""
    return [batch for n, batch in enumerate(batches) if batch not in batches[:n]]


@slow
@given(batches=BATCHES, order=st.randoms(use_true_random=False))
def test_any_order_and_repetition_gives_what_a_loop_says(batches: list[tuple[str, list[dict[str, Any]]]], order: Any) -> None:
    batches = unique(batches)
    with TemporaryDirectory() as folder:
        plant = Plant(Path(folder))
        numbers = [*range(len(batches))] * 2
        order.shuffle(numbers)
        for n, number in enumerate(numbers):
            bring(plant, batches, number)
            if n % 2 and any_sound(batches, numbers[: n + 1]):
                plant.run()
        if not any_sound(batches, numbers):
            return

        plant.run()

        assert {(store, sku, day): units for store, sku, day, units, *_ in plant.sales()} == by_a_loop(batches)
        assert plant.ledger.audit.fault() is None
        for row in plant.table("ingest_batch").iter_rows(named=True):
            assert row["lines"] == row["loaded"] + row["rejected"] + row["merged"] + row["skipped"]


def any_sound(batches: Sequence[tuple[str, list[dict[str, Any]]]], numbers: Sequence[int]) -> bool:
    """Whether there is a store and a product at all, without which there is nothing to make."""
    seen = [batches[number] for number in numbers]
    return bool(by_a_loop(seen)) or any(
        row["sku"] and row["quantity"] >= 0 for kind, rows in seen if kind == "sales-daily" for row in rows
    )


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    made = Plant(tmp_path)
    rows = [
        {"date": day, "store_code": store, "sku": sku, "quantity": n, "total_amount": f"{n}.25"}
        for n, (day, store, sku) in enumerate((day, store, sku) for day in DAYS for store in "AB" for sku in "xy")
    ]
    made.post("sales-daily", rows)
    made.post("sales-daily", [{**row, "quantity": 99} for row in rows[:3]] + [{"date": "soon"}])
    made.run()
    return made


def test_replaying_each_batch_gives_the_same_bytes(plant: Plant) -> None:
    tables = ["sales_daily", "hist_store", "hist_product", "ingest_reject"]
    before = {name: plant.warehouse.digest(f"core/{name}") for name in tables}

    for batch in plant.ledger.active():
        plant.run(replay=batch.batch_id)

        assert {name: plant.warehouse.digest(f"core/{name}") for name in tables} == before
        assert plant.batch(batch.batch_id)["state"] == "replayed"


def test_losing_every_table_loses_nothing(plant: Plant) -> None:
    before, origin = plant.sales(), plant.warehouse.origin()
    shutil.rmtree(plant.warehouse.folder)
    assert origin is not None
    plant.warehouse.set_origin(origin)

    plant.run()

    assert plant.sales() == before


def test_the_same_bytes_twice_are_one_batch(plant: Plant) -> None:
    [first, *_] = plant.ledger.active()
    content = plant.ledger.landing.files(first)[0].read_bytes()

    again = plant.post("sales-daily", content, name="other-name.json")

    assert again == first.batch_id
    assert not any(plant.run().values())


def test_a_new_day_makes_only_its_month_again(plant: Plant) -> None:
    plant.post("sales-daily", [{"date": "2024-03-01", "store_code": "A", "sku": "x", "quantity": 1, "unit_price": 1}])

    made = plant.run()

    assert made["core/sales_daily"] == ["2024-03"]
    assert [table for table, months in made.items() if months] == ["core/sales_daily"]


def test_a_late_correction_makes_only_its_month_again(plant: Plant) -> None:
    plant.post("sales-daily", [{"date": "2024-01-31", "store_code": "A", "sku": "x", "quantity": 7, "unit_price": 1}])

    assert plant.run()["core/sales_daily"] == ["2024-01"]


def test_a_new_product_leaves_the_months_without_it(plant: Plant) -> None:
    plant.post("sales-daily", [{"date": "2024-02-01", "store_code": "A", "sku": "new", "quantity": 7, "unit_price": 1}])

    assert plant.run()["core/sales_daily"] == ["2024-02"]
