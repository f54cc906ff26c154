"""The watch starts a run for what no person has to start, once for each cause."""

import json
from pathlib import Path

import pytest
from dagster import RunRequest, SensorEvaluationContext, SkipReason, build_sensor_context, validate_run_config

from assets_config.contract.plans import DecideApprovalParams, SeasonPlanParams
from pipelines.automation.season_watch import season_review, season_watch
from pipelines.definitions import defs
from tests.pipelines.planning.fashion import JOBS, START, Desk, plant, share


def evaluated(context: SensorEvaluationContext) -> list[RunRequest | SkipReason]:
    return list(season_watch(context))  # type: ignore[arg-type]


def test_a_plan_that_is_off_is_forecast_again_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMANDGRAPH_DATA", str(tmp_path))
    desk = Desk(plant(tmp_path))

    with build_sensor_context() as context:
        [before] = evaluated(context)
        desk.command(SeasonPlanParams(season_start_date=START, forecast_horizon_weeks=4), by=JOBS[0])
        desk.decide(DecideApprovalParams(approval_id=desk.approval("manufacturing").approval_id, decision="approve"), by=JOBS[1])
        desk.report(JOBS[0], 1, share(desk.book().units(1)[0] // 2, [1] * 5, desk.codes()))
        [asked], [again] = evaluated(context), evaluated(context)

    assert isinstance(before, SkipReason)
    assert isinstance(asked, RunRequest)
    assert isinstance(again, RunRequest)
    causes = {(each.run_key or "").rpartition(" ")[0] for each in (asked, again)}  # the rest is when it is tried again
    assert causes == {f"{JOBS[0]} 1 {desk.book().sold_cumulative[0]}"}
    assert asked.tags["demandgraph/job_type"] == "reforecast"
    assert json.loads(asked.tags["demandgraph/params"])["forecast_id"] == JOBS[0]
    job = season_review.resolve(asset_graph=defs.resolve_asset_graph())
    assert validate_run_config(job, asked.run_config)
