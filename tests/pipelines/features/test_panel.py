"""The dense panel says what the sales say: a day without a row is zero once a series has begun, unknown before."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import polars as pl
import pytest

from pipelines.errors import PipelineError
from pipelines.features.panel import (
    CLOSED,
    DISCONTINUED,
    GROUPS,
    NOT_LAUNCHED,
    OPEN,
    STOCKED_OUT,
    Panel,
    panel_path,
    read_panel,
    write_panel,
)
from pipelines.features.scatter import build_panel
from pipelines.warehouse import Warehouse
from tests.plant import Plant, rewrite


def test_the_panel_equals_a_loop_over_the_sales(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel = read_panel(warehouse)
    sales = list(warehouse.read("core/sales_daily").iter_rows(named=True))
    out = {row[:3] for row in warehouse.read("core/demand_unconstrained").iter_rows()}
    sold = {(row["store_id"], row["product_id"], row["date"]): row for row in sales}

    for s, (store, product) in enumerate(zip(panel.store_id, panel.product_id, strict=True)):
        begun = False
        for d in range(panel.days):
            row = sold.get((store, product, panel.day(d)))
            begun = begun or row is not None
            if not begun:
                assert np.isnan(panel.y[s, d])
            else:
                assert panel.y[s, d] == (row["quantity"] if row else 0)
                assert (panel.state[s, d] == STOCKED_OUT) == ((store, product, panel.day(d)) in out)
            if row and row["unit_price"] is not None and not panel.planned[s, d]:
                assert panel.price[s, d] == np.float32(row["unit_price"])
    assert len({(row["store_id"], row["product_id"]) for row in sales}) == panel.series
    assert np.isfinite(panel.price).all()


def test_what_is_planned_reaches_past_the_end(tmp_path: Path) -> None:
    plant, first = Plant(tmp_path), date(2024, 1, 1)
    rows = [
        {"date": first + timedelta(days=d), "store_code": store, "sku": "A", "quantity": 2, "unit_price": 9}
        for d in range(10)
        for store in ("S", "T")
    ]
    plant.post("sales-daily", [*rows, {"date": "2024-01-10", "store_code": "S", "sku": "B", "quantity": 1, "unit_price": 4}])
    plant.post(
        "prices",
        [
            {"sku": "A", "price": 8, "valid_from": "2024-01-01", "valid_to": "2024-01-12"},
            {"sku": "A", "price": 7, "valid_from": "2024-01-13"},
            {"sku": "A", "store_code": "T", "price": 5, "valid_from": "2024-01-05", "valid_to": "2024-01-06"},
        ],
    )
    deal = {"sku": "A", "name": "Deal", "start_date": "2024-01-09", "end_date": "2024-01-11"}
    plant.post("promotions", [{**deal, "discount_pct": 0.25}, {**deal, "name": "Club", "store_code": "T"}])
    plant.post("holidays", [{"date": "2024-01-15", "holiday_name": "Fair"}])
    cold = {"date": "2024-01-16", "name": "frost", "value": 1}
    plant.post("exogenous", [cold, {**cold, "value": 3, "store_code": "T"}])
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        panel = build_panel(plant.warehouse, connection)

    assert panel.planned.all(axis=1).tolist() == [True, False, True]
    assert not panel.planned[1].any()
    assert panel.price[0, :14].tolist() == [8.0] * 12 + [7.0] * 2
    assert panel.price[2, :8].tolist() == [8.0] * 4 + [5.0] * 2 + [8.0] * 2
    assert panel.price[1].tolist() == [4.0] * 100
    assert panel.promotion[0, 7:12].tolist() == [0, 25, 25, 25, 0]
    assert panel.promotion[1].sum() == 0
    assert panel.event_names[panel.event[14] - 1] == "Fair"
    assert panel.outside[0, :, 15].tolist() == [1.0, 3.0]
    assert np.isnan(panel.outside[0, :, 14]).all()


def test_a_price_is_known_ahead_on_the_days_of_its_interval_only(tmp_path: Path) -> None:
    plant, first = Plant(tmp_path), date(2024, 1, 1)
    plant.post(
        "sales-daily",
        [
            {"date": first + timedelta(days=d), "store_code": "S", "sku": "A", "quantity": 2, "unit_price": 10 if d < 20 else 5}
            for d in range(30)
        ],
    )
    plant.post("prices", [{"sku": "A", "price": 9, "valid_from": "2024-01-03", "valid_to": "2024-01-05"}])
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        panel = build_panel(plant.warehouse, connection)

    assert np.flatnonzero(panel.planned[0]).tolist() == [2, 3, 4]
    assert panel.until(15).price[0].tolist() == [10.0] * 2 + [9.0] * 3 + [10.0] * 100
    assert panel.price[0, 15:].tolist() == [10.0] * 5 + [5.0] * 100


def test_counts_that_float32_does_not_hold_are_kept_exactly(tmp_path: Path) -> None:
    plant, large = Plant(tmp_path), 2**24 + 1
    plant.post("sales-daily", [{"date": "2024-01-01", "store_code": "S", "sku": "A", "quantity": large, "unit_price": 1}])
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        panel = build_panel(plant.warehouse, connection)

    assert panel.y.tolist() == [[float(large)]]


def test_more_products_than_16_bits_count_have_codes_of_their_own(tmp_path: Path) -> None:
    plant, count = Plant(tmp_path), 2**15 + 1
    lines = [f"2024-01-01,S,P{n:05},1,{1 + n % 7}" for n in range(count)]
    plant.post("sales-daily", "\n".join(["date,store_code,sku,quantity,unit_price", *lines]))
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        panel = build_panel(plant.warehouse, connection)

    assert panel.groups[:, GROUPS.index("product")].tolist() == list(range(count))


def test_the_calendar_reaches_ninety_days_ahead(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel, calendar = read_panel(warehouse), warehouse.read("core/dim_calendar")

    assert calendar["date"].to_list() == [panel.day(n) for n in range(panel.days + 90)]
    assert panel.holiday.tolist() == calendar["is_holiday"].to_list()
    for row in calendar.iter_rows(named=True):
        day: date = row["date"]
        assert (row["day_of_week"], row["month"], row["year"]) == (day.weekday(), day.month, day.year)
        assert row["quarter"] == (day.month + 2) // 3


def test_series_that_start_late_or_pause_are_told_apart(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    sales = warehouse.read("core/sales_daily")
    first = sales["date"].min()
    assert isinstance(first, date)
    late, pause = first + timedelta(days=30), first + timedelta(days=60)
    of_one = (pl.col("store_id") == 1) & (pl.col("product_id") == 1)
    unsold = of_one & ((pl.col("date") < late) | (pl.col("date") == pause))
    rewrite(warehouse, "core/sales_daily", lambda frame: frame.filter(~unsold))
    rewrite(warehouse, "core/demand_unconstrained", lambda frame: frame.clear())

    with duckdb.connect() as connection:
        panel = build_panel(warehouse, connection)

    assert np.isnan(panel.y[0, :30]).all()
    assert not np.isnan(panel.y[0, 30:]).any()
    assert panel.y[0, 60] == 0
    assert panel.price[0, 60] == panel.price[0, 59]
    assert (panel.price[0, :30] == panel.price[0, 30]).all()
    assert (panel.state[0, :30] == NOT_LAUNCHED).all()
    assert panel.state[0, 60] == OPEN


def test_closed_and_ended_days_are_told_apart_from_zero_demand(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    first = date(2024, 1, 1)
    sold = {"A": [0, 1, 2, 4, 5, 6], "B": [2, 5]}  # day 3 nobody sold: closed
    rows = [
        {"date": first + timedelta(days=d), "store_code": "S", "sku": sku, "quantity": 2, "unit_price": 1}
        for sku, days in sold.items()
        for d in days
    ]
    plant.post("sales-daily", rows)
    plant.post("lifecycle", [{"sku": "B", "launched_on": "2024-01-02", "discontinued_on": "2024-01-06"}])
    plant.post("inventory", [{"date": "2024-01-05", "store_code": "S", "sku": "B", "on_hand": 0}])
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        panel = build_panel(plant.warehouse, connection)

    assert panel.state[0].tolist() == [OPEN, OPEN, OPEN, CLOSED, OPEN, OPEN, OPEN]
    assert panel.state[1].tolist() == [NOT_LAUNCHED, NOT_LAUNCHED, OPEN, CLOSED, STOCKED_OUT, OPEN, DISCONTINUED]


def panel_of_store(root: Path, sold: dict[str, dict[int, int]]) -> Panel:
    """One store: product -> day of January 2024, from 0 -> quantity."""
    plant, first = Plant(root), date(2024, 1, 1)
    rows = [
        {"date": first + timedelta(days=d), "store_code": "S", "sku": sku, "quantity": quantity, "unit_price": 1}
        for sku, days in sold.items()
        for d, quantity in days.items()
    ]
    plant.post("sales-daily", rows)
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        return build_panel(plant.warehouse, connection)


@pytest.mark.parametrize("products", [1, 2])
def test_a_row_of_zero_says_that_a_small_store_was_open(products: int, tmp_path: Path) -> None:
    sold = {0: 6, 1: 0, 3: 6, 4: 0, 6: 6}  # no row on days 2 and 5

    panel = panel_of_store(tmp_path, {f"P{n}": sold for n in range(products)})

    for state in panel.state:
        assert state.tolist() == [OPEN, OPEN, CLOSED, OPEN, OPEN, CLOSED, OPEN]


def test_a_store_in_which_all_of_many_products_are_zero_was_closed(tmp_path: Path) -> None:
    sold = {0: 2, 1: 3, 2: 0, 3: 1}  # as extracts that have a row for every day say of a holiday

    panel = panel_of_store(tmp_path, {f"P{n:02}": sold for n in range(12)})

    for state in panel.state:
        assert state.tolist() == [OPEN, OPEN, CLOSED, OPEN]


def test_a_panel_of_other_tables_is_refused(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    rewrite(warehouse, "core/sales_daily", lambda frame: frame.head(100))

    with pytest.raises(PipelineError, match="made from other core tables"):
        read_panel(warehouse)

    with duckdb.connect() as connection:
        made = build_panel(warehouse, connection)
    write_panel(warehouse, msgspec.structs.replace(made, planned=made.planned[:, 0]))
    with pytest.raises(PipelineError, match="by an older version: materialise features/panel again"):
        read_panel(warehouse)

    panel_path(warehouse).unlink()
    with pytest.raises(PipelineError):
        read_panel(warehouse)
