"""What assets show of themselves in the UI: charts of the numbers that the tables hold, and where columns came from."""

import re
from base64 import b64decode
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import polars as pl
import pytest

from assets_config.declared import load_declarations
from pipelines.backtests.plots import errors_by_horizon
from pipelines.charts import bar_chart, line_chart
from pipelines.forecasts.accuracy.plots import calibration
from pipelines.forecasts.champions.plots import PAST, fan
from pipelines.kpis.measures import columns_of, weekly, write_kpi_daily
from pipelines.report import as_in, came_from, drawn
from pipelines.warehouse import Warehouse
from tests.plant import Plant

DAYS = [date(2024, 1, 1) + timedelta(n) for n in range(4)]
LARGEST = 24_000  # bytes: a chart is kept in the event log of every run


def paths(svg: str) -> list[ElementTree.Element]:
    return [each for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("path")]


def lines(svg: str) -> list[list[tuple[float, float]]]:
    """The corners of every line that is no line of the scale; one list a stroke, so that a gap makes two."""
    drawn = [each.get("d", "") for each in paths(svg) if each.get("fill") == "none"]
    strokes = [stroke for path in drawn for stroke in path.split("M") if stroke]
    return [[tuple(map(float, corner.split())) for corner in stroke.split("L")] for stroke in strokes]  # type: ignore[misc]


def test_a_line_goes_through_its_values_and_a_gap_stays_one() -> None:
    svg = line_chart("t <&>", DAYS, {"a": [0.0, 10.0, None, 5.0]})

    first, second = lines(svg)
    assert [y for _, y in first] == [228.0, 44.0], "zero is at the bottom, the highest at the top"
    assert second == [(632.0, 136.0)]
    assert "t &lt;&amp;&gt;" in svg
    assert svg == line_chart("t <&>", DAYS, {"a": [0.0, 10.0, None, 5.0]})


def test_a_band_goes_out_along_the_high_and_back_along_the_low_end() -> None:
    svg = line_chart("t", DAYS, {}, bands=[([None, 1.0, 2.0, None], [None, 3.0, 4.0, None])])

    [band] = [each.get("d", "") for each in paths(svg) if each.get("fill-opacity")]
    assert re.findall(r"[\d.]+ ([\d.]+)", band) == ["90.0", "44.0", "136.0", "182.0"]


@pytest.mark.parametrize("values", [[], [None], [0.0]])
def test_nothing_to_draw_is_a_chart_too(values: list[float | None]) -> None:
    assert ElementTree.fromstring(line_chart("t", DAYS[: len(values)], {"a": values})) is not None


def test_a_mark_is_drawn_where_its_value_is() -> None:
    [mark] = [each.get("d") for each in paths(bar_chart("t", ["g"], {"a": [1.0]}, mark=0.5)) if each.get("stroke-dasharray")]

    assert mark == "M48 136.0H640"


def test_the_charts_of_the_demo_show_its_tables(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    levels, coverage = warehouse.read("forecasts/forecast_level"), warehouse.read("forecasts/interval_coverage")
    metrics = warehouse.read("backtests/backtest_metric")

    shown = [fan(levels), calibration(coverage), errors_by_horizon(metrics)]

    sold, ahead = lines(shown[0])
    total = levels.filter(level="total").sort("date")
    past = min(PAST, total.filter(source="backtest").height)
    assert (len(sold), len(ahead)) == (past, total.tail(past + 14).height)
    heights = [228 - y for _, y in ahead]
    told = total.tail(len(ahead))["yhat"]
    assert [each / heights[0] for each in heights] == pytest.approx([each / told[0] for each in told], rel=0.01)
    over_1 = coverage.filter(level="series", segment="all", demand="over_1")
    assert len(re.findall("<title>over 1 a day", shown[1])) == over_1.height
    naive = metrics.filter(fold=-1, level="series", segment="all", model_type="naive", bucket="all")["wape"][0]
    assert f"naive, all days: {naive:.4f}" in shown[2]
    assert all(len(svg) < LARGEST for svg in shown)


def test_a_chart_is_an_image_in_markdown() -> None:
    svg = line_chart("t", DAYS, {"a": [1, 2, 3, 4]})

    said = drawn(svg, "about").md_str or ""

    matched = re.fullmatch(r"!\[about\]\(data:image/svg\+xml;base64,(.+)\)", said)
    assert matched
    assert b64decode(matched[1]).decode() == svg


def test_weeks_are_whole_and_add_up(published_once: Path) -> None:
    warehouse = Warehouse(published_once)
    with duckdb.connect() as connection:
        sums = dict(weekly(warehouse, "units", connection))

    rows = warehouse.read("kpis/kpi_daily").select("date", "units").rows()
    by_week: dict[date, list[tuple[date, int]]] = {}
    for day, units in rows:
        by_week.setdefault(day - timedelta(day.weekday()), []).append((day, units))
    whole = {week: sum(units for _, units in found) for week, found in by_week.items() if len({day for day, _ in found}) == 7}
    assert sums == whole


def test_a_chain_that_is_closed_on_sundays_has_whole_weeks_too(tmp_path: Path) -> None:
    plant, first = Plant(tmp_path), date(2024, 1, 3)  # a Wednesday
    days = [first + timedelta(days=n) for n in range(26)]
    sold = [{"date": day, "store_code": "S", "sku": "A", "quantity": 2, "unit_price": 1} for day in days if day.weekday() != 6]
    plant.post("sales-daily", [*sold, {**sold[-1], "date": "2024-01-28"}])
    plant.run()
    with duckdb.connect() as connection:
        write_kpi_daily(plant.warehouse, load_declarations().measures, connection)
        found = weekly(plant.warehouse, "units", connection)

    assert found == [(date(2024, 1, 8), 12), (date(2024, 1, 15), 12), (date(2024, 1, 22), 14)]


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("1", []),
        ("quantity", ["quantity"]),
        ("total_amount - quantity * unit_price", ["quantity", "total_amount", "unit_price"]),
        ("CASE WHEN quantity > 0 THEN total_amount ELSE 0 END", ["quantity", "total_amount"]),
        ("'quantity'", []),
    ],
)
def test_the_columns_of_a_measure_are_those_that_it_reads(expression: str, columns: list[str]) -> None:
    with duckdb.connect() as connection:
        assert columns_of(expression, connection) == columns


def test_every_declared_measure_has_its_lineage(demo_root: Path) -> None:
    with duckdb.connect() as connection:
        found = {each.name: columns_of(each.expression, connection) for each in load_declarations().measures}

    assert (found["revenue"], found["units"], found["transactions"]) == (["total_amount"], ["quantity"], [])
    known = Warehouse(demo_root).read("core/sales_daily").columns
    assert all(set(columns) <= set(known) for columns in found.values())


def deps(metadata: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    [lineage] = metadata.values()
    return {
        name: [(dep.asset_key.to_user_string(), dep.column_name) for dep in said] for name, said in lineage.deps_by_column.items()
    }


def test_columns_of_the_same_name_came_from_there(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)

    found = deps(as_in(warehouse, "core/dim_store", "core/hist_store"))

    both = set(warehouse.read("core/dim_store").columns) & set(warehouse.read("core/hist_store").columns)
    assert found == {name: [("core/hist_store", name)] for name in both}
    assert "region" in both
    assert deps(came_from({"a": [("core/x", "b"), ("core/y", "c")]})) == {"a": [("core/x", "b"), ("core/y", "c")]}


def test_a_table_without_folds_has_empty_charts() -> None:
    metric = {
        "fold": pl.Int64,
        "level": pl.String,
        "segment": pl.String,
        "model_type": pl.String,
        "bucket": pl.String,
        "wape": pl.Float64,
    }

    assert ElementTree.fromstring(errors_by_horizon(pl.DataFrame(schema=metric))) is not None
    cells = dict.fromkeys(("level", "segment", "demand", "bucket"), pl.String)
    assert ElementTree.fromstring(calibration(pl.DataFrame(schema={**cells, "coverage": pl.Float64}))) is not None
