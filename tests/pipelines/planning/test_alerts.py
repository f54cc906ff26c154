"""Alerts: what rules measure, and the one state machine, against a slow second opinion."""

import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from assets_config.alerts import alert_rules
from assets_config.contract.alerts import Alert, AlertRule, SetAlertRuleParams, UpdateAlertParams, why_not_update
from assets_config.entries import DeclarationError
from pipelines.errors import PipelineError
from pipelines.planning.alerts import measures
from pipelines.planning.alerts.machine import Book, Measured, alert_id, looked_at, severity_of, updated
from pipelines.planning.alerts.rules import RULES, change_rules, rules_of
from pipelines.planning.alerts.state import ALERTS, SIGNALS, change_alert, look, read_book
from pipelines.warehouse import Warehouse
from tests.pipelines.forecasts.registry.test_state import run_job

AT, DAY, JOB = datetime(2024, 7, 1, 12), date(2024, 6, 30), "1" * 32
EMPTY = Book({}, {})


def rule(**changes: Any) -> AlertRule:
    given = {"rule": "r", "about": "", "enabled": True, "warn": 5.0, "critical": 8.0, "clear": 4.0}
    return AlertRule(**{**given, "opens_after": 1, "clears_after": 1, "changed_at": None, "changed_by": None, **changes})


def see(book: Book, *values: float | None, of: AlertRule | None = None, day: int = 1, data: str | None = None) -> Book:
    """The book after values of entities a, b ... on a day; None is not measured."""
    held = of or rule()
    found = [Measured("r", "abc"[n], value, f"{value}", "{}") for n, value in enumerate(values) if value is not None]
    when = DAY + timedelta(days=day)
    return looked_at(book, found, {"r": held}, dataset_id=data or str(day), as_of=when, at=AT + timedelta(days=day))


def states(book: Book) -> list[str]:
    return [f"{each.entity} {each.state} {each.severity}" for each in sorted(book.alerts.values(), key=lambda each: each.opened_at)]


def test_an_alert_opens_above_its_threshold_and_clears_well_below() -> None:
    told = []
    book = EMPTY
    for day, value in enumerate([5, 5.01, 4.5, 4.01, 4, 4.5, 6], 1):
        book = see(book, value, day=day)
        told.append(states(book))

    opened = ["a open warn"]
    assert told == [[], opened, opened, opened, ["a resolved warn"], ["a resolved warn"], ["a resolved warn", "a open warn"]]


def test_severity_rises_at_once_and_falls_well_below() -> None:
    severities = []
    book = EMPTY
    for day, value in enumerate([6, 8.01, 8, 7.01, 7, 7.5], 1):
        book = see(book, value, day=day)
        severities.append(states(book)[-1].split()[-1])

    assert severities == ["warn", "critical", "critical", "critical", "warn", "warn"]
    assert severity_of(100, rule(critical=None), None) == "warn"


def test_the_same_data_looked_at_again_change_nothing() -> None:
    held = rule(opens_after=2, clears_after=2)
    book = EMPTY
    for day, value in enumerate([6, 6, 3, 3, 6, 6], 1):
        book = see(book, value, 9, None if day == 4 else 6, of=held, day=day)

        assert see(book, value, 9, None if day == 4 else 6, of=held, day=day) == book
    assert states(book) == ["a resolved warn", "b open critical", "c resolved warn", "a open warn", "c open warn"]


def test_what_was_found_must_be_found_again_in_a_row() -> None:
    held = rule(opens_after=3)
    book = EMPTY
    for day, value in enumerate([6, 6, 4.5, 6, 6], 1):
        book = see(book, value, of=held, day=day)

    assert states(book) == []
    assert states(see(book, 6, of=held, day=6)) == ["a open warn"]
    [alert] = see(book, 6, of=held, day=6).alerts.values()
    assert alert.window == DAY + timedelta(days=4), "it began when it was first found"


def test_what_is_gone_must_be_gone_in_a_row() -> None:
    held = rule(clears_after=2)
    book = EMPTY
    for day, value in enumerate([6, 3, 4.5, 3], 1):
        book = see(book, value, of=held, day=day)

    assert states(book) == ["a open warn"]
    assert states(see(book, 2, of=held, day=5)) == ["a resolved warn"]


def test_what_goes_on_is_not_opened_again() -> None:
    book = see(EMPTY, 6, day=1)
    [number] = book.alerts
    done = updated(book.alerts[number], UpdateAlertParams(action="resolve", alert_id=number), at=AT, by=JOB)
    book = Book(book.signals, {number: done})

    for day in (2, 3):
        book = see(book, 9, day=day)

    assert list(book.alerts.values()) == [done], "a person resolved it, and it was not gone since"
    book = see(see(book, 0, day=4), 6, day=5)
    assert states(book) == ["a resolved warn", "a open warn"]


def test_alerts_of_what_nobody_measures_are_resolved() -> None:
    book = see(EMPTY, 6, 6)

    gone, off = see(book, 6, None, day=2), see(book, 6, 6, of=rule(enabled=False), day=2)

    assert states(gone) == ["a open warn", "b resolved warn"]
    assert states(off) == ["a resolved warn", "b resolved warn"]
    assert {each.note for each in off.alerts.values()} == {"it is no longer measured"}


def test_a_snooze_ends_by_itself() -> None:
    book = see(EMPTY, 6)
    [number] = book.alerts
    until = AT + timedelta(days=3)
    command = UpdateAlertParams(action="snooze", until=until.replace(tzinfo=UTC), alert_id=number)
    book = Book(book.signals, {number: updated(book.alerts[number], command, at=AT, by=JOB)})

    assert states(see(book, 6, day=2)) == ["a snoozed warn"]
    assert states(see(book, 6, day=3)) == ["a open warn"]
    assert states(see(book, 1, day=2)) == ["a resolved warn"], "what is gone is resolved, snoozed or not"


def test_any_series_of_values_ends_where_a_plain_loop_does() -> None:
    draw = random.Random(7)
    for _ in range(60):
        held = rule(opens_after=draw.randint(1, 3), clears_after=draw.randint(1, 3), critical=None)
        values = [draw.choice([3.0, 4.0, 4.5, 5.0, 6.0]) for _ in range(25)]
        book = EMPTY
        is_open, found, gone, expected = False, 0, 0, []
        for day, value in enumerate(values, 1):
            book = see(book, value, of=held, day=day)
            if value > 5:
                found, gone = found + 1, 0
                if found >= held.opens_after and not is_open:
                    is_open = True
                    expected.append("open")
            elif value <= 4 and is_open:
                gone += 1
                if gone >= held.clears_after:
                    is_open, found = False, 0
                    expected[-1] = "resolved"
            elif value <= 4:
                gone += 1
                found = 0 if gone >= held.clears_after else found
            else:
                gone = 0
                found = found if found >= held.opens_after else 0

        assert [each.state for each in sorted(book.alerts.values(), key=lambda each: each.opened_at)] == expected


@pytest.mark.parametrize(
    ("action", "allowed"),
    [("acknowledge", "os"), ("snooze", "oas"), ("resolve", "oas"), ("reopen", "as"), (None, "oasr")],
)
def test_an_action_starts_from_what_it_may(action: Any, allowed: str) -> None:
    now = AT.replace(tzinfo=UTC)
    command = UpdateAlertParams(action=action, until=now + timedelta(1), note="x", alert_id="0" * 32)

    found = "".join(
        state[0] for state in ("open", "acknowledged", "snoozed", "resolved") if not why_not_update(command, state, now=now)
    )

    assert found == allowed


def test_a_snooze_without_a_time_to_come_is_refused() -> None:
    now = AT.replace(tzinfo=UTC)

    for until in (None, now):
        command = UpdateAlertParams(action="snooze", until=until, alert_id="0" * 32)
        assert why_not_update(command, "open", now=now) == "A snooze needs `until`, a time to come."


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None)


def days(values: list[tuple[float | None, float]], *, product: int = 1) -> list[dict[str, Any]]:
    """Backtest days (demand, forecast), the last of them the last of sales, and one day ahead."""
    common = {"store_id": 1, "product_id": product, "step": 1}
    n = len(values)
    past = [
        {
            **common,
            "source": "backtest",
            "date": DAY - timedelta(days=n - 1 - k),
            "cutoff": DAY - timedelta(days=n),
            "y": y,
            "yhat": f,
        }
        for k, (y, f) in enumerate(values)
    ]
    return [*past, {**common, "source": "forecast", "date": DAY + timedelta(days=1), "cutoff": DAY, "y": None, "yhat": 1.0}]


NAMES = pl.DataFrame({"store_id": [1, 1], "product_id": [1, 2], "code": ["S1", "S1"], "sku": ["P1", "P2"]})


def test_the_tracking_signal_is_summed_errors_over_their_mean_size() -> None:
    draw = random.Random(3)
    values = [(float(draw.randint(0, 9)), 4.0) for _ in range(70)]

    found = measures.bias(frame(days(values)), pl.DataFrame({"product_id": [1], "sku": ["P1"]}))

    weeks = [sum(y - f for y, f in values[-7 * (k + 1) : len(values) - 7 * k]) for k in range(8)]
    signal = sum(weeks) / (sum(map(abs, weeks)) / 8)
    assert found["value"].to_list() == [pytest.approx(abs(signal))]
    assert found["value"][0] <= 8
    assert found["entity"].to_list() == ["product:P1"]


def test_forecasts_that_are_always_low_are_told() -> None:
    found = measures.bias(frame(days([(5.0, 4.0)] * 56)), pl.DataFrame({"product_id": [1], "sku": ["P1"]}))
    exact = measures.bias(frame(days([(5.0, 5.0)] * 56)), pl.DataFrame({"product_id": [1], "sku": ["P1"]}))

    assert found["value"].to_list() == [8]
    assert "lie below demand" in found["title"][0]
    assert exact["value"].to_list() == [0]


@pytest.mark.parametrize(
    ("last", "before", "expected"),
    [
        (20.0, 28, (20 - 10) / (1.4826 * 1)),
        (14.9, 28, 0),  # less than five units
        (None, 28, None),
        (20.0, 26, None),  # too few days
    ],
)
def test_an_anomaly_is_told_in_robust_deviations(last: float | None, before: int, expected: float | None) -> None:
    values: list[tuple[float | None, float]] = [(8.0 + k % 5, 10.0) for k in range(before)]

    found = measures.anomaly(frame(days([*values, (last, 10.0)])), NAMES)["value"].to_list()

    assert found == ([] if expected is None else [pytest.approx(expected)])


def test_a_series_without_a_usual_error_has_no_anomaly() -> None:
    assert measures.anomaly(frame(days([*[(0.0, 0.0)] * 40, (30.0, 0.0)])), NAMES).is_empty()


def test_coverage_is_held_against_the_band_of_chance() -> None:
    rows = [
        {
            "level": "series",
            "segment": "all",
            "demand": "all",
            "bucket": bucket,
            "coverage": share,
            "n": 1000,
            "low": 0.0,
            "high": 1.0,
        }
        for bucket, share in (("all", 0.9), ("h_1_7", 0.9 + 2.5758293 * (0.09 / 1000) ** 0.5), ("h_8_14", 0.8))
    ]

    found = measures.interval_miscoverage(frame(rows))["value"].to_list()

    assert found == [0, pytest.approx(1), pytest.approx(0.1 / (2.5758293 * (0.09 / 1000) ** 0.5))]


def test_decay_is_what_came_out_over_what_backtests_said() -> None:
    live = {"level": "series", "bucket": "all", "segment": "all", "n": 9, "cutoffs": 1}
    accuracy = frame([{**live, "model_type": name, "wape": wape} for name, wape in (("a", 0.5), ("b", None), ("all", 0.1))])
    metrics = frame(
        [{"backtest_id": name, "fold": -1, "bucket": "all", "level": "series", "segment": "all", "wape": 0.4} for name in "ab"]
    )

    found = measures.accuracy_decay(accuracy, metrics, pl.DataFrame({"backtest_id": ["a", "b"], "model_type": ["a", "b"]}))

    assert found.select("entity", "value").rows() == [("model_type:a", pytest.approx(1.25))]


def test_champions_are_held_against_last_week() -> None:
    rows = [
        {"segment": segment, "stage": stage, "wape": wape, "n": 9}
        for segment, naive, champion in (("all", 0.4, 0.41), ("smooth", 0.4, None), ("lumpy", 0.5, 0.4))
        for stage, wape in (("seasonal_naive", naive), ("champion", champion))
    ]

    found = measures.value_added(frame(rows)).sort("entity")

    assert found.select("entity", "value").rows() == [
        ("segment:all", pytest.approx(0.01)),
        ("segment:lumpy", pytest.approx(-0.1)),
    ]


def batch(kind: str, lines: int, rejected: int, day: int) -> dict[str, Any]:
    at = AT + timedelta(days=day)
    return {"batch_id": f"{kind}{day}", "kind": kind, "lines": lines, "rejected": rejected, "reasons": "{}", "received_at": at}


def test_batches_are_told_by_what_could_not_be_used() -> None:
    rows = [batch("sales-daily", 100, 90, 1), batch("sales-daily", 200, 4, 2), batch("prices", 0, 0, 1), batch("stores", 8, 0, 1)]

    found = measures.rejects(frame(rows)).sort("entity")

    assert found.select("entity", "value").rows() == [("kind:sales-daily", 0.02), ("kind:stores", 0)]


def test_late_data_are_told_by_the_days_to_the_newest_batch() -> None:
    sent, seeded = [batch("sales-daily", 1, 0, 0), batch("stores", 1, 0, 3)], [batch("seed", 1, 0, 3)]

    assert measures.data_freshness(frame(sent), DAY)["value"].to_list() == [4]  # 30 June to 4 July
    assert measures.data_freshness(frame(seeded), DAY).is_empty()
    assert measures.data_freshness(frame(sent).clear(), DAY).is_empty()


def test_ids_that_lead_nowhere_are_counted() -> None:
    rows = [
        {"source": source, "entity": "product", "external_id": number, "internal_id": internal}
        for source, number, internal in (("erp", "a", 1), ("erp", "b", None), ("erp", "c", None), ("pos", "a", 1))
    ]

    found = measures.unmapped_ids(frame(rows)).sort("entity")

    assert found.select("entity", "value").rows() == [("source:erp/product", 2), ("source:pos/product", 0)]


def test_season_plans_are_told_by_their_newest_week() -> None:
    sums = {"forecasted_cumulative": 100, "actual_cumulative": 130}
    weeks = [{"plan_id": "p", "week": week, "variance": value, **sums} for week, value in ((1, -0.5), (2, 0.3))]
    cuts = [{"plan_id": "p", "week": 6, "cut": cut, "sell_through": 0.4, "planned_sell_through": 0.55} for cut in (0.1, 0.2)]

    assert measures.variance(frame(weeks)).select("entity", "value").rows() == [("plan:p", 0.3)]
    assert measures.sell_through(frame(cuts)).select("entity", "value").rows() == [("plan:p", pytest.approx(0.15))]


def test_a_plan_that_sold_where_nothing_was_planned_is_above_its_threshold_by_its_units() -> None:
    weeks = [
        {"plan_id": plan, "week": week, "variance": None, "forecasted_cumulative": 0, "actual_cumulative": sold}
        for plan, week, sold in (("p", 1, 0), ("p", 2, 7), ("q", 1, 0))
    ]

    found = measures.variance(pl.DataFrame(weeks, schema_overrides={"variance": pl.Float64}))

    said = "Plan p had sold 7 units by week 2, and none were planned."
    assert found.select("entity", "value", "title").rows() == [("plan:p", 7, said)]
    assert found["value"][0] > alert_rules()["variance"].warn


def test_damaged_artifacts_are_named() -> None:
    found = measures.artifact_damage({"abc": "the artifact is missing"})

    assert found.select("entity", "value", "title").rows() == [("model_run:abc", 1, "Model run abc: the artifact is missing.")]
    assert measures.artifact_damage({}).is_empty()


def test_every_rule_has_a_measure_and_thresholds_that_agree() -> None:
    rules = alert_rules()

    assert all(callable(getattr(measures, key)) for key in rules)
    assert all(each.clear <= each.warn and (each.critical is None or each.critical >= each.warn) for each in rules.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [{key: bias, about: x, warn: 1, clear: 2}]", "entry bias: clear (2) must not lie above warn (1)"),
        ("rules: [{key: bias, about: x, warn: 1, clear: 1, critical: 0}]", "entry bias: critical (0) must not lie below warn (1)"),
        ("rules: [{key: bias, about: x, warn: high, clear: 1}]", "entry bias: Expected `float`"),
        ("alerts: []", "alerts is unknown; known are rules"),
        ("rules: {", "not readable as YAML"),
    ],
)
def test_a_mistake_in_the_rules_names_file_and_entry(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(text)

    with pytest.raises(DeclarationError) as caught:
        alert_rules(tmp_path)

    assert str(tmp_path / "alerts.yaml") in str(caught.value)
    assert said in str(caught.value)


@pytest.fixture
def warehouse(own_root: Path) -> Warehouse:
    return Warehouse(own_root)


def test_a_changed_rule_stays_until_it_is_reset(warehouse: Warehouse) -> None:
    declared = alert_rules()

    def change(*commands: SetAlertRuleParams) -> AlertRule:
        change_rules(warehouse, declared, commands, at=AT, by=JOB)
        return rules_of(warehouse.read(RULES))["bias"]

    changed = change(SetAlertRuleParams(warn=5, rule="bias"))
    assert (changed.warn, changed.clear, changed.changed_at, changed.changed_by) == (5, 3, AT, JOB)
    assert change() == changed, "a run of the graph leaves it"
    with pytest.raises(PipelineError, match=r"rule bias: clear \(3\) must not lie above warn \(2\)"):
        change(SetAlertRuleParams(warn=2, rule="bias"))
    with pytest.raises(PipelineError, match="no rule is called none; there are stockout_risk"):
        change(SetAlertRuleParams(warn=2, rule="none"))
    assert change(SetAlertRuleParams(reset=True, enabled=False, rule="bias")).warn == 4
    assert change(SetAlertRuleParams(reset=True, rule="bias")).changed_at is None


def risky(value: float) -> dict[str, pl.DataFrame]:
    row = {
        "entity": "store:S1/product:P1",
        "value": value,
        "title": "It runs out.",
        "evidence": "{}",
        "store_id": 1,
        "product_id": 1,
    }
    return {"stockout_risk": pl.DataFrame([row], schema=measures.SCHEMA)}


@pytest.fixture
def seen(warehouse: Warehouse) -> Callable[[float], Book]:
    held = rules_of(warehouse.read(RULES))
    for key in (ALERTS, SIGNALS):
        warehouse.path(key).unlink()
    return lambda value: look(warehouse, risky(value), held, as_of=DAY, at=AT)


def test_alerts_outlive_the_process_and_a_replay(warehouse: Warehouse, seen: Callable[[float], Book]) -> None:
    first = seen(0.9)
    before = warehouse.path(ALERTS).read_bytes()

    assert seen(0.9) == first == read_book(warehouse)
    assert warehouse.path(ALERTS).read_bytes() == before
    warehouse.path(SIGNALS).unlink()  # as a kill between the two files leaves it
    assert seen(0.9) == first, "what was opened is not opened again"


def test_a_command_changes_one_alert_or_names_why_not(warehouse: Warehouse, seen: Callable[[float], Book]) -> None:
    [number] = seen(0.9).alerts
    assert number == alert_id("stockout_risk", "store:S1/product:P1", DAY)

    done = change_alert(warehouse, UpdateAlertParams(action="acknowledge", note="on its way", alert_id=number), at=AT, by=JOB)

    assert (done.state, done.note, done.changed_by) == ("acknowledged", "on its way", JOB)
    assert seen(0.95).alerts[number] == replace(done, value=0.95), "acknowledged, it stays so while it lasts"
    with pytest.raises(PipelineError, match=f"Alert {number} is acknowledged: acknowledge takes one that is open or snoozed"):
        change_alert(warehouse, UpdateAlertParams(action="acknowledge", alert_id=number), at=AT, by=JOB)
    with pytest.raises(PipelineError, match=f"no alert has the id {'0' * 32}"):
        change_alert(warehouse, UpdateAlertParams(note="x", alert_id="0" * 32), at=AT, by=JOB)
    assert seen(0.1).alerts[number].state == "resolved"


def test_jobs_look_change_rules_and_acknowledge(warehouse: Warehouse, small_config: Path) -> None:
    lowered = run_job(warehouse.root, small_config, "set_alert_rule", rule="stockout_risk", warn=0.01, clear=0.005)
    looked = run_job(warehouse.root, small_config, "alerts")
    found = [each for each in read_book(warehouse).alerts.values() if each.rule == "stockout_risk"]
    seen_to = run_job(warehouse.root, small_config, "update_alert", alert_id=found[0].alert_id, action="acknowledge")

    assert lowered.success
    assert looked.success
    assert seen_to.success
    risks = warehouse.read("planning/stock_risk").filter(pl.col("stockout_risk") > 0.01)
    assert len(found) == risks.height > 0
    assert json.loads(found[0].evidence)["stockout_risk"] in risks["stockout_risk"].to_list()
    after: Alert = read_book(warehouse).alerts[found[0].alert_id]
    assert (after.state, after.changed_by) == ("acknowledged", seen_to.run_id.replace("-", ""))
