"""Realised accuracy: frozen forecasts against what was sold in the days after, worked out again in plain Python."""

import shutil
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from pipelines.features.levels import Members, read_members
from pipelines.features.panel import read_panel, write_panel
from pipelines.features.scatter import build_panel
from pipelines.forecasts.accuracy.frozen import KEY, freeze, frozen_frame, read_sets
from pipelines.forecasts.accuracy.realised import NO_DEMAND, accuracy_frame
from pipelines.warehouse import Warehouse
from tests.pipelines.forecasts.champions.test_levels import member_of
from tests.pipelines.panels import panel_of
from tests.plant import Plant

DAYS = 14


@pytest.fixture(scope="module")
def later_root(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, whose forecasts were frozen at its end, after the sales of ten of the fourteen days ahead came in."""
    root = Path(shutil.copytree(demo_root, tmp_path_factory.mktemp("later") / "demo"))
    plant = Plant(root)
    stores, products = plant.table("dim_store")["code"].to_list(), plant.table("dim_product")["sku"].to_list()
    last = plant.table("sales_daily")["date"].max()
    assert isinstance(last, date)
    rows = [
        {
            "store_code": store,
            "sku": sku,
            "date": last + timedelta(days=n),
            "quantity": 3 + (5 * s + 7 * p + n) % 11,
            "unit_price": 2,
        }
        for s, store in enumerate(stores)
        for p, sku in enumerate(products)
        for n in range(1, 11)
        if (s + p + n) % 4
    ]
    plant.post("sales-daily", rows, at=datetime.now().astimezone())
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        write_panel(plant.warehouse, build_panel(plant.warehouse, connection))
    return root


def accuracy(warehouse: Warehouse) -> pl.DataFrame:
    panel = read_panel(warehouse)
    return accuracy_frame(read_sets(warehouse), panel, read_members(warehouse, panel))


def test_before_any_day_has_come_nothing_is_realised(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)

    assert len(list(read_sets(warehouse))) == 1
    assert warehouse.read("forecasts/forecast_accuracy").height == 0
    assert accuracy(warehouse).height == 0


def test_realised_accuracy_equals_a_loop_over_the_sales(later_root: Path) -> None:
    warehouse = Warehouse(later_root)
    [(cutoff, frozen)] = read_sets(warehouse)
    sales = warehouse.read("core/sales_daily").filter(pl.col("date") > cutoff)
    last, name = sales["date"].max(), member_of(warehouse)
    assert last == cutoff + timedelta(days=10)
    sold: dict[tuple[str, str, date], int] = defaultdict(int)
    for store, product, day, quantity in sales.select("store_id", "product_id", "date", "quantity").iter_rows():
        sold["series", f"{store}/{product}", day] += quantity
        for level in ("total", "region", "store", "category", "department", "product"):
            sold[level, name(level, store, product), day] += quantity
    cells: dict[tuple[str, str, str, str], list[tuple[float, float, bool]]] = defaultdict(list)
    for row in frozen.iter_rows(named=True):
        if row["date"] > last:
            continue
        is_series = row["level"] == "series"
        member = f"{row['store_id']}/{row['product_id']}" if is_series else row["member"]
        y = sold[row["level"], member, row["date"]]
        point = (row["yhat"], y, row["q05"] <= y <= row["q95"])
        for bucket in {"all", "h_1_7" if row["step"] <= 7 else "h_8_14"}:
            for kind in {"all", row["model_type"] if is_series else "all"}:
                for segment in {"all", row["pattern"] if is_series else "all"}:
                    cells[row["level"], bucket, kind, segment].append(point)

    found = accuracy(warehouse)

    assert found.height == len(cells)
    for row in found.iter_rows(named=True):
        points = cells[row["level"], row["bucket"], row["model_type"], row["segment"]]
        demand = sum(y for _, y, _ in points)
        assert (row["n"], row["cutoffs"], row["reason"]) == (len(points), 1, None)
        assert row["mae"] == pytest.approx(sum(abs(f - y) for f, y, _ in points) / len(points))
        assert row["wape"] == pytest.approx(sum(abs(f - y) for f, y, _ in points) / demand)
        assert row["bias_ratio"] == pytest.approx(sum(f - y for f, y, _ in points) / demand)
        assert row["coverage_90"] == sum(inside for *_, inside in points) / len(points)


def test_what_was_frozen_does_not_move_when_its_days_come(demo_root: Path, later_root: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(later_root, tmp_path / "demo"))
    warehouse = Warehouse(root)
    [(cutoff, rows)] = read_sets(Warehouse(demo_root))
    [path] = (demo_root / "warehouse" / KEY / "sets").iterdir()
    before, ten = accuracy(warehouse), timedelta(days=10)

    freeze(warehouse, rows.with_columns(pl.col("date") + ten, pl.col("yhat") * 2), cutoff + ten, keep=9)

    assert (warehouse.folder / KEY / "sets" / path.name).read_bytes() == path.read_bytes()
    assert [each for each, _ in read_sets(warehouse)] == [cutoff, cutoff + ten]
    assert accuracy(warehouse).sort(before.columns).rows() == before.sort(before.columns).rows()


def frozen_rows(level: str, day: date, yhat: list[float], **columns: Any) -> pl.DataFrame:
    """A day each from `day` on, q05 one below and q95 one above the forecast."""
    made = [{"level": level, "date": day + timedelta(days=n), "step": n + 1, "yhat": each} for n, each in enumerate(yhat)]
    named = {"member": None, "store_id": None, "product_id": None, "model_type": None, "pattern": None, **columns}
    return pl.DataFrame(made).with_columns(
        *(pl.lit(value).alias(name) for name, value in named.items()), q05=pl.col("yhat") - 1, q95=pl.col("yhat") + 1
    )


MEMBERS = Members(pl.DataFrame({name: ["x", "x"] for name in ("store", "product", "region", "category", "department")}))


def test_the_total_counts_what_was_launched_since() -> None:
    panel = panel_of(np.array([[1.0, 2, 3, 4], [np.nan, np.nan, np.nan, 5]]))
    cutoff = panel.day(1)

    found = accuracy_frame([(cutoff, frozen_rows("total", panel.day(2), [3, 3], member="total"))], panel, MEMBERS)

    [whole] = found.filter(bucket="all").to_dicts()
    assert (whole["n"], whole["mae"], whole["wape"], whole["bias_ratio"]) == (2, 3.0, 6 / 12, -6 / 12)
    assert whole["coverage_90"] == 0.5


def test_without_demand_a_ratio_is_null_and_says_why() -> None:
    panel = panel_of(np.array([[1.0, 0, 0], [1, 0, 0]]))
    rows = frozen_rows("series", panel.day(1), [0.5, 0.5], store_id=1, product_id=2, model_type="naive", pattern="lumpy")

    found = accuracy_frame([(panel.day(0), rows)], panel, MEMBERS)

    assert set(found.select("n", "mae", "wape", "bias_ratio", "reason").rows()) == {(2, 0.5, None, None, NO_DEMAND)}
    assert set(found.select("model_type", "segment").rows()) == {(a, b) for a in ("all", "naive") for b in ("all", "lumpy")}


def test_cutoffs_are_pooled_by_their_points_not_averaged() -> None:
    panel = panel_of(np.array([[9.0, 10, 10, 10], [0, 0, 0, 0]]))
    sets = [
        (
            panel.day(n),
            frozen_rows("series", panel.day(n + 1), yhat, store_id=1, product_id=1, model_type="naive", pattern="smooth"),
        )
        for n, yhat in ((0, [11.0, 11.0, 11.0]), (2, [16.0]))
    ]

    [whole] = accuracy_frame(sets, panel, MEMBERS).filter(bucket="all", model_type="all", segment="all").to_dicts()

    assert (whole["cutoffs"], whole["n"], whole["mae"], whole["wape"]) == (2, 4, 9 / 4, 9 / 40)


@pytest.mark.parametrize("level", ["series", "total"])
@pytest.mark.parametrize("early", [2, 9], ids=["some days", "all days"])
def test_days_before_the_first_of_the_panel_are_not_scored(level: str, early: int) -> None:
    """Forecasts from `early` days before the panel on, of two days more at most than lie before it."""
    panel = panel_of(np.array([[1.0, 2, 3, 4], [0, 0, 0, 0]]))
    keys = {"store_id": 1, "product_id": 1} if level == "series" else {"member": "total"}
    begin = panel.first_day - timedelta(days=early)
    rows = frozen_rows(level, begin, [5.0] * 4, model_type="naive", pattern="smooth", **keys)

    found = accuracy_frame([(begin - timedelta(days=1), rows)], panel, MEMBERS)

    whole = found.filter(level=level, bucket="all", model_type="all", segment="all")
    assert whole.select("n", "mae").rows() == ([(2, 3.5)] if early == 2 else [])


def test_a_frozen_frame_holds_days_ahead_only(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    keys = ("forecasts/forecast", "forecasts/forecast_level", "features/series_segment")

    rows = frozen_frame(*(warehouse.read(key) for key in keys))

    assert rows["step"].unique().sort().to_list() == list(range(1, DAYS + 1))
    assert rows["date"].n_unique() == DAYS
