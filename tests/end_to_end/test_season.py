"""A fashion season over HTTP alone: generated, planned from a sentence, decided, sold, forecast again, cut, and told in money."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.job_types import OF_A_SEASON, check_that_it_ended
from tests.end_to_end.running import Running, place_of, running, until

SENTENCE = (
    "Plan 8 weeks of Dresses starting 3 June 2024. Replenish the stores weekly, keep 45% at the distribution center, "
    "and mark down at week 6."
)


@pytest.fixture(scope="module")
def season(published_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running system over a small published chain."""
    with running(Path(shutil.copytree(published_once, tmp_path_factory.mktemp("season") / "data"))) as system:
        yield system


def report(season: Running, plan_id: str, weeks: dict[int, int], codes: list[str]) -> str:
    """Bring the sales of weeks in, each shared equally among the stores but for the first; gives the job that does."""
    lines = [
        f"{code},{week},{units // len(codes) + (units % len(codes) if code == codes[0] else 0)}"
        for week, units in weeks.items()
        for code in codes
    ]
    content = "\n".join(["store_id,week_number,units_sold", *lines])
    url = f"/ingest/weekly-sales?forecast_id={plan_id}"
    return place_of(season.client.post(url, content=content, headers={"Content-Type": "text/csv"}))


@pytest.mark.timeout(900)  # a dozen Dagster runs, one after the other
def test_a_season_from_a_sentence_to_its_result(season: Running) -> None:
    """Jobs that follow from each other are sent together: Dagster runs them in their order, and each names its snapshot."""
    season.result(season.post("/seeder/generate", {"scenario": "fashion_season", "stores": 5, "products": 18}))
    codes = [each["code"] for each in season.read("/dimensions/stores")["items"]]
    assert len(codes) == 5

    extracted = season.client.post("/parameters/extract", json={"text": SENTENCE}).json()
    assert (extracted["category"], extracted["confidence"]) == ("Dresses", "high")
    asked = {**extracted["parameters"], "category": extracted["category"], "name": "Summer"}
    started = season.client.post("/workflows/forecast", json=asked)
    season.result(place_of(started))
    plan_id = started.json()["workflow_id"]

    plan = season.read(f"/workflows/{plan_id}")
    assert plan["status"] == "awaiting_approval"
    assert [plan["parameters"][name] for name in extracted["parameters"]] == list(extracted["parameters"].values())
    [waiting] = season.read("/approvals?state=open")["items"]
    split = season.read(f"/allocations/{plan_id}")
    assert waiting["proposed"] == split["proposed_qty"] == -(-split["total_season_demand"] * 6 // 5)
    assert (split["manufacturing_qty"], split["store_allocations"]) == (None, [])
    curve = season.read(f"/workflows/{plan_id}/results")["weekly_demand_curve"]
    assert sum(each["units"] for each in curve) == plan["total_season_demand"]

    planned = [each["units"] for each in curve]
    missed = {week: planned[week - 1] * 85 // 100 for week in (1, 2, 3)}
    missed[4] = max(int(sum(planned[:4]) * 0.7) - sum(missed.values()), 0)  # 30 % short by the end of week 4
    decision = f"/approvals/{waiting['approval_id']}/decision"
    sent = [season.post(decision, {"decision": "approve", "note": "as planned"}), report(season, plan_id, missed, codes)]
    decided, _ = (season.result(job)["snapshot_id"] for job in sent)
    again = season.client.post(decision, json={"decision": "reject"})
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")
    split = season.read(f"/allocations/{plan_id}", snapshot=decided)
    stores = sum(each["units"] for each in split["store_allocations"])
    assert stores + split["unallocated"] + split["holdback_total"] == split["manufacturing_qty"] == waiting["proposed"]
    assert season.read(f"/workflows/{plan_id}", snapshot=decided)["status"] == "in_season"

    plan = until(lambda: (found := season.read(f"/workflows/{plan_id}"))["version"] == 2 and found)
    fourth = season.read(f"/variance/{plan_id}/week/4")
    assert fourth["threshold_exceeded"] is True
    assert fourth["variance_pct"] == pytest.approx(-0.3, abs=0.02)
    assert fourth["action_taken"] == "re-forecast after week 4: version 2"
    assert plan["versions"][1]["trigger"] == "variance"
    assert season.read(f"/jobs/{plan['versions'][1]['requested_by']}")["origin"] == "sensor"
    assert plan["total_season_demand"] < sum(planned)
    assert season.reader.get(f"/variance/{plan_id}/week/5").status_code == 404

    lower = [each["units"] for each in season.read(f"/workflows/{plan_id}/results")["weekly_demand_curve"]]
    sent = [
        report(season, plan_id, {5: lower[4], 6: lower[5]}, codes),
        season.start("variance_check"),
        season.start("markdown"),
        season.start("allocate"),
        season.post("/workflows/reforecast", {"forecast_id": plan_id}),
    ]
    _, checked, cut_again, shared, forecast = (season.result(job)["snapshot_id"] for job in sent)
    sixth = season.read(f"/variance/{plan_id}/week/6", snapshot=checked)
    assert (sixth["actual_cumulative"], sixth["threshold_exceeded"]) == (sum(missed.values()) + lower[4] + lower[5], False)
    cut = season.read(f"/markdowns/{plan_id}", snapshot=cut_again)
    assert cut["week_number"] == 6
    assert 0 < cut["recommended_markdown_pct"] <= 0.6
    assert cut["elasticity_coefficient"] < 0
    allocated = season.read(f"/allocations/{plan_id}", snapshot=shared)
    assert allocated["store_allocations"] == split["store_allocations"], "what was manufactured is shared as before"
    third = season.read(f"/workflows/{plan_id}", snapshot=forecast)["versions"][2]
    assert (third["trigger"], f"/jobs/{third['requested_by']}") == ("manual", sent[-1])

    [waiting] = season.read("/approvals?state=open&kind=markdown")["items"]
    sent = [
        season.post("/approvals/markdown", {"workflow_id": plan_id, "markdown": 0.3}),
        report(season, plan_id, {7: lower[6] * 3 // 2, 8: lower[7] * 3 // 2}, codes),
    ]
    decided, _ = (season.result(job)["snapshot_id"] for job in sent)
    assert season.read(f"/markdowns/{plan_id}", snapshot=decided)["decided_markdown_pct"] == 0.3
    until(lambda: season.read(f"/workflows/{plan_id}")["status"] == "completed")
    told = season.read(f"/workflows/{plan_id}/results")
    money = {each["policy"]: each for each in told["results"]}
    assert set(money) == {"plan", "naive", "perfect_foresight"}
    assert money["perfect_foresight"]["regret"] == 0
    assert min(each["regret"] for each in money.values()) == 0
    assert money["plan"]["sold"] + money["plan"]["left"] == money["plan"]["bought"] == split["manufacturing_qty"]
    plan = season.read(f"/workflows/{plan_id}")
    steps = {each["step_name"]: each["status"] for each in plan["steps"]}
    assert set(steps.values()) == {"pass"}, steps
    happened = [each["type"] for each in plan["events"]]
    assert happened.count("human_input_required") == happened.count("decision_taken") == 2


@pytest.mark.parametrize("job_type", OF_A_SEASON)
def test_a_job_of_each_type_ended_with_the_result_that_its_type_says(season: Running, job_type: str) -> None:
    check_that_it_ended(season, job_type)
