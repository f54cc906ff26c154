"""Demand on days without stock is estimated from the past alone, and near what was really lost."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from assets_config.contract.seeds import resolve
from pipelines.sources.synthetic.generator import generate
from pipelines.warehouse import Origin
from tests.plant import Plant


def test_demand_without_stock_is_estimated_near_what_was_lost(tmp_path: Path) -> None:
    seed = resolve("stockout_heavy", stores=4, products=12)
    plant = Plant(tmp_path)
    origin = Origin("stockout_heavy", None)
    batches = plant.ledger.land_seed(seed, origin)
    with duckdb.connect() as connection:
        plant.ledger.read(batches, plant.declarations, connection)
    plant.ledger.switch(batches, origin)

    plant.run()

    lost = pl.concat(piece.frame for piece in generate(seed) if piece.table == "truth").filter(pl.col("kind") == "stockout")
    found = plant.table("demand_unconstrained")
    assert found.height == lost.height > 1000
    assert found["unconstrained"].sum() == pytest.approx(lost["value"].sum(), rel=0.1)
    assert (found["unconstrained"] >= found["sold"]).all()


def test_the_last_eight_same_weekdays_in_stock_are_averaged(tmp_path: Path) -> None:
    plant, monday = Plant(tmp_path), date(2024, 1, 1)
    weeks = [10, 20, 30, 40, 50, 60, 70, 80, 90, 0, 0]  # the last two without stock
    rows = [
        {"date": monday + timedelta(weeks=n), "store_code": "S", "sku": "A", "quantity": units, "unit_price": 1}
        for n, units in enumerate(weeks)
        if units
    ]
    plant.post("sales-daily", [*rows, {**rows[0], "date": monday + timedelta(weeks=10), "quantity": 3}])
    out = [{"date": monday + timedelta(weeks=n), "store_code": "S", "sku": "A", "on_hand": 0} for n in (9, 10)]
    plant.post("inventory", out)

    plant.run()

    mean = (20 + 30 + 40 + 50 + 60 + 70 + 80 + 90) / 8
    assert plant.table("demand_unconstrained").select("date", "sold", "unconstrained").rows() == [
        (monday + timedelta(weeks=9), 0, mean),
        (monday + timedelta(weeks=10), 3, mean),
    ]


def test_a_day_without_any_past_is_what_was_sold(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", [{"date": "2024-01-01", "store_code": "S", "sku": "A", "quantity": 4, "unit_price": 1}])
    plant.post("inventory", [{"date": "2024-01-01", "store_code": "S", "sku": "A", "on_hand": 0}])

    plant.run()

    assert plant.table("demand_unconstrained").select("sold", "unconstrained").rows() == [(4, 4.0)]
