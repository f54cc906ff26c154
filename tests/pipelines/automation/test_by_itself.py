"""What runs by itself: schedules, what follows what, how fresh things must be, the watch on variance, old jobs, failures."""

import asyncio
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetSelection,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    RunRequest,
    SkipReason,
    asset,
    build_run_status_sensor_context,
    build_schedule_context,
    build_sensor_context,
    evaluate_automation_conditions,
)
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import create_run_for_test, freeze_time
from dagster._utils.schedules import schedule_execution_time_iterator

from assets_config.contract.layout import Published
from pipelines.automation.failures import advice, failed_runs
from pipelines.automation.policies import DECIDED
from pipelines.automation.retention import forget, named_runs
from pipelines.automation.variance import sales_off_forecast, variance
from pipelines.definitions import defs
from pipelines.warehouse import Warehouse
from tests.plant import rewrite

GRAPH = defs.resolve_asset_graph()
REPOSITORY = defs.get_repository_def()
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
ML = {"features", "models", "backtests", "forecasts"}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """Kept on disk, as a real one is."""
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with DagsterInstance.from_config(str(home)) as instance:
        yield instance


def made(instance: DagsterInstance, *keys: str) -> None:
    for key in keys:
        instance.report_runless_asset_event(AssetMaterialization(AssetKey(key.split("/"))))


def evaluated(instance: DagsterInstance, cursor: AssetDaemonCursor | None = None) -> Any:
    """What Dagster would ask for now, by its own evaluation of the conditions."""
    assets = AssetSelection.assets(*GRAPH.get_all_asset_keys())
    return evaluate_automation_conditions(defs, instance, assets, cursor=cursor)


@pytest.mark.parametrize(
    ("name", "at", "stages"),
    [
        ("daily_data", "every day at 3:37", {"sources", "core", "kpis", "publish"}),
        ("weekly_backtest", "Sundays at 4:17", ML | {"planning", "knowledge", "publish"}),
        ("daily_forecasts", "the other days at 4:17", ML | {"planning", "knowledge", "publish"}),
    ],
)
def test_a_schedule_asks_for_the_assets_of_its_stages(name: str, at: str, stages: set[str]) -> None:
    schedule = REPOSITORY.get_schedule_def(name)

    with DagsterInstance.ephemeral() as instance:
        tick = schedule.evaluate_tick(build_schedule_context(instance, scheduled_execution_time=datetime(2026, 1, 4, tzinfo=UTC)))

    [request] = tick.run_requests or []
    assert request.tags["demandgraph/job_type"] == ("ingest" if name == "daily_data" else "materialize")
    keys = REPOSITORY.get_job(schedule.job_name).asset_layer.selected_asset_keys
    assert {key.path[0] for key in keys} == stages
    saturday = datetime(2026, 1, 3, 12, tzinfo=UTC).timestamp()
    first = next(schedule_execution_time_iterator(saturday, schedule.cron_schedule, "UTC", ascending=True))
    days = {"daily_data": (4, 3), "weekly_backtest": (4, 4), "daily_forecasts": (5, 4)}
    assert (first.day, first.hour) == days[name], at


def test_only_the_daily_forecasts_wait_to_be_switched_on() -> None:
    stopped = [each.name for each in REPOSITORY.schedule_defs if each.default_status.value == "STOPPED"]

    assert stopped == ["daily_forecasts"]
    assert all(each.default_status.value == "RUNNING" for each in REPOSITORY.sensor_defs)


@pytest.mark.parametrize("each", [*REPOSITORY.schedule_defs, *REPOSITORY.sensor_defs], ids=lambda each: each.name)
def test_what_runs_by_itself_says_what_it_does(each: Any) -> None:
    assert len(each.description or "") > 20
    assert f"| `{each.name}` |" in (Path(__file__).parents[3] / "docs/operations.md").read_text()


def test_kpis_and_the_snapshot_follow_sales_and_nothing_else_follows(instance: DagsterInstance) -> None:
    every = sorted(key.to_user_string() for key in GRAPH.get_all_asset_keys())
    made(instance, *every)
    calm = evaluated(instance)
    assert calm.total_requested == 0, "what was there before is no news"

    made(instance, "core/sales_daily")
    told = evaluated(instance, calm.cursor)
    asked = {key for key in every if told.get_num_requested(AssetKey(key.split("/")))}
    assert asked == {"kpis/kpi_daily", "kpis/cubes", "publish/snapshot"}

    made(instance, *asked)
    again = evaluated(instance, told.cursor)
    assert again.total_requested == 0


@pytest.mark.parametrize("key", ["models/fit", "forecasts/forecast", "forecasts/model_alias", "publish/snapshot", "features/panel"])
def test_no_publish_refresh_or_forecast_starts_a_model(key: str, instance: DagsterInstance) -> None:
    made(instance, *(each.to_user_string() for each in GRAPH.get_all_asset_keys()))
    calm = evaluated(instance)

    made(instance, key)

    assert evaluated(instance, calm.cursor).total_requested == 0


@pytest.mark.parametrize(
    ("key", "days", "state"),
    [
        ("core/sales_daily", 1, FreshnessState.PASS),
        ("core/sales_daily", 1.5, FreshnessState.WARN),
        ("publish/snapshot", 3, FreshnessState.FAIL),
        ("forecasts/forecast", 7, FreshnessState.PASS),
        ("models/fit", 9, FreshnessState.WARN),
        ("backtests/backtest_metric", 11, FreshnessState.FAIL),
    ],
)
def test_what_was_not_made_in_time_is_late(key: str, days: float, state: FreshnessState, instance: DagsterInstance) -> None:
    node = GRAPH.get(AssetKey(key.split("/")))
    made(instance, key)

    async def look() -> FreshnessState:
        return await TimeWindowFreshnessPolicyEvaluator().evaluate_freshness(LoadingContextForTest(instance), node)

    with freeze_time(datetime.now(UTC) + timedelta(days=days)):
        assert asyncio.run(look()) == state


def test_only_what_people_decide_is_never_late() -> None:
    ageless = [key.to_user_string() for key in GRAPH.get_all_asset_keys() if not GRAPH.get(key).freshness_policy_or_from_metadata]

    assert sorted(ageless) == sorted(DECIDED)


def sold(root: Path, *, days: int, share: float) -> None:
    """Sales of so many days after the forecast's cutoff, each a share of what was forecast."""
    warehouse = Warehouse(root)
    ahead = warehouse.read("forecasts/forecast").filter(source="forecast")
    first = ahead["date"].min()
    assert first is not None
    wanted = ahead.filter(pl.col("date") < first + timedelta(days=days))  # type: ignore[operator]

    newest = warehouse.read("kpis/kpi_daily")["date"].max()

    def add(frame: pl.DataFrame) -> pl.DataFrame:
        if frame["date"].max() != newest:
            return frame  # one month of several
        rows = wanted.select("store_id", "product_id", "date", units=pl.col("yhat") * share)
        typed = rows.with_columns(pl.col(name).cast(frame.schema[name]) for name in rows.columns)
        return pl.concat([frame, typed], how="diagonal")

    rewrite(warehouse, "kpis/kpi_daily", add)


def look(instance: DagsterInstance, cursor: str | None) -> tuple[Any, str | None]:
    context = build_sensor_context(instance, cursor=cursor)
    return sales_off_forecast(context), context.cursor


def test_sales_that_are_off_ask_for_new_forecasts_once(
    own_root: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMANDGRAPH_DATA", str(own_root))
    early, cursor = look(instance, None)
    sold(own_root, days=8, share=1.5)

    asked, after = look(instance, cursor)
    restarted, _ = look(instance, after)
    forgotten, _ = look(instance, None)

    assert isinstance(early, SkipReason)
    assert isinstance(asked, RunRequest)
    assert float(asked.tags["demandgraph/variance"]) == pytest.approx(0.5, abs=0.2)
    assert isinstance(restarted, SkipReason), "the cursor outlives the daemon"
    assert forgotten.run_key == asked.run_key, "and without it, the key of the run does"


def test_variance_is_the_sum_over_the_known_days_of_all_series(own_root: Path) -> None:
    sold(own_root, days=9, share=2)
    warehouse = Warehouse(own_root)
    ahead = warehouse.read("forecasts/forecast").filter(source="forecast").rows(named=True)
    units = {(r["store_id"], r["product_id"], r["date"]): r["units"] for r in warehouse.read("kpis/kpi_daily").rows(named=True)}
    last = max(day for _, _, day in units)

    found = variance(warehouse)

    known = [row for row in ahead if row["date"] <= last]
    assert found is not None
    assert (found.days, found.last) == (9, last)
    assert found.forecast == pytest.approx(sum(row["yhat"] for row in known))
    assert found.sold == sum(units.get((row["store_id"], row["product_id"], row["date"]), 0) for row in known)


@pytest.mark.parametrize(("days", "share", "limit"), [(6, 9.0, "0.2"), (8, 1.0, "0.2"), (8, 9.0, "0")])
def test_few_days_or_small_errors_ask_for_nothing(
    days: int, share: float, limit: str, own_root: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMANDGRAPH_DATA", str(own_root))
    monkeypatch.setenv("DEMANDGRAPH_VARIANCE", limit)
    sold(own_root, days=days, share=share)

    assert isinstance(look(instance, None)[0], SkipReason)


def test_old_jobs_go_but_for_those_that_something_names(instance: DagsterInstance, tmp_path: Path) -> None:
    @asset
    def table() -> None: ...

    job = Definitions(assets=[table]).resolve_implicit_global_asset_job_def()
    ids = []
    for days in (60, 50, 10):
        with freeze_time(datetime.now(UTC) - timedelta(days=days)):
            ids.append(job.execute_in_process(instance=instance, run_config=QUIET).run_id)
            running = create_run_for_test(instance, status=DagsterRunStatus.STARTED).run_id
    before = datetime.now(UTC) - timedelta(days=30)
    named = named_runs(instance, Published(tmp_path), [])

    gone = forget(instance, before=before, named=named)

    assert sorted(gone) == sorted(ids[:2])
    assert instance.get_run_by_id(ids[2]) is not None
    assert instance.get_run_by_id(running) is not None, "what runs is never too old"
    assert named == {ids[2]}
    assert forget(instance, before=datetime.now(UTC) + timedelta(days=1), named=named) == []
    assert instance.get_latest_materialization_event(AssetKey("table")) is not None


def test_a_failed_run_says_which_asset_what_it_reads_and_what_to_do(
    instance: DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMANDGRAPH_DATA", str(tmp_path / "data"))
    made(instance, "features/panel")
    job = defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance, run_config=QUIET, raise_on_error=False, asset_selection=[AssetKey(["models", "fit"])]
    )
    failure = result.get_run_failure_event()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a repository may be given is a beta of Dagster; its daemon always gives one
        context = build_run_status_sensor_context(
            "failed_runs", failure, instance, result.dagster_run, repository_def=REPOSITORY
        ).for_run_failure()

    failed_runs(context)

    told = [entry.message for entry in instance.all_logs(result.run_id) if "What to do" in entry.message]
    assert len(told) == 1
    assert told[0].startswith("models/fit failed: features/panel is not there yet"), "the message without the name of its class"
    assert "It reads features/panel (made 20" in told[0]
    assert "Make the tables that the message names" in told[0]


def test_an_input_that_was_never_made_is_named(instance: DagsterInstance) -> None:
    said = advice(instance, GRAPH, step="kpis__kpi_daily", error_type="Surprise", message="it is gone")

    assert "core/sales_daily (never made: make it first)" in said
    assert "Open the step" in said


def test_a_run_that_was_told_to_stop_is_nothing_to_report(instance: DagsterInstance) -> None:
    name = "DagsterExecutionInterruptedError"
    said = advice(instance, GRAPH, step="kpis__kpi_daily", error_type=name, message=f"dagster._core.errors.{name}")

    assert said.startswith("kpis/kpi_daily failed. It reads ")
    assert "its process was told to stop" in said
