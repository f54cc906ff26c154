"""The dense panel says what the sales say: a day without a row is zero once a series has begun, unknown before."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from pipelines.errors import PipelineError
from pipelines.features.panel import build_panel, panel_path, read_panel
from pipelines.warehouse import Warehouse


def test_the_panel_equals_a_loop_over_the_sales(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel = read_panel(warehouse)
    sales = list(warehouse.read("core/sales_daily").iter_rows(named=True))
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
            if row and row["unit_price"] is not None:
                assert panel.price[s, d] == np.float32(row["unit_price"])
    assert len({(row["store_id"], row["product_id"]) for row in sales}) == panel.series
    assert np.isfinite(panel.price).all()


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
    thinned = sales.filter(~(of_one & ((pl.col("date") < late) | (pl.col("date") == pause))))
    warehouse.write("core/sales_daily", thinned)

    with duckdb.connect() as connection:
        panel = build_panel(warehouse, connection)

    assert np.isnan(panel.y[0, :30]).all()
    assert not np.isnan(panel.y[0, 30:]).any()
    assert panel.y[0, 60] == 0
    assert panel.price[0, 60] == panel.price[0, 59]
    assert (panel.price[0, :30] == panel.price[0, 30]).all()


def test_a_panel_of_other_tables_is_refused(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    warehouse.write("core/sales_daily", warehouse.read("core/sales_daily").head(100))

    with pytest.raises(PipelineError, match="made from other core tables"):
        read_panel(warehouse)

    panel_path(warehouse).unlink()
    with pytest.raises(PipelineError):
        read_panel(warehouse)
