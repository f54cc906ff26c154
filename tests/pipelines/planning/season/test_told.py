"""What followers of a plan are told: each thing that moved, once, and the end once."""

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from assets_config.contract.season import Approval, SeasonStep
from pipelines.planning.season.told import told_of_approvals, told_of_steps

AT = datetime(2026, 1, 2)
NAMES = [("forecast", "demand"), ("manufacturing", "inventory"), ("markdown", "pricing"), ("results", "orchestrator")]


def steps(*statuses: Any, plan: str = "p") -> list[SeasonStep]:
    said = zip(NAMES, statuses, strict=True)
    return [
        SeasonStep(plan, n, len(NAMES), name, agent, status, f"{name} {status}") for n, ((name, agent), status) in enumerate(said)
    ]


def types(before: list[SeasonStep], after: list[SeasonStep]) -> list[tuple[str, Any]]:
    found = told_of_steps(before, after, {"p": AT - timedelta(seconds=90)}, at=AT)
    assert all(each["workflow_id"] == each["data"]["workflow_id"] == "p" for each in found)
    return [(each["type"], each["data"].get("step") or each["data"].get("agent") or each["data"]["status"]) for each in found]


def test_each_step_that_moved_is_told_and_each_agent_that_is_done() -> None:
    first, second = steps("pass", "waiting", "waiting", "waiting"), steps("pass", "pass", "waiting", "waiting")

    assert types([], first) == [("agent_progress", name) for name, _ in NAMES] + [("agent_completed", "demand")]
    assert types(first, second) == [("agent_progress", "manufacturing"), ("agent_completed", "inventory")]
    assert types(second, second) == []
    told = told_of_steps(first, second, {"p": AT - timedelta(seconds=90)}, at=AT)
    assert told[0]["data"]["progress_pct"] == 50.0
    assert (told[1]["data"]["duration_seconds"], told[1]["data"]["result"]) == (90.0, {"manufacturing": "manufacturing pass"})


def test_a_plan_ends_once_completed_or_rejected_and_a_failure_is_an_error() -> None:
    before = steps("pass", "pass", "skip", "waiting")
    rejected = steps("pass", "fail", "skip", "skip")

    assert types(before, steps("pass", "pass", "skip", "pass"))[-1] == ("workflow_complete", "completed")
    assert types(before, rejected)[0] == ("error", "manufacturing")
    assert types(before, rejected)[-1] == ("workflow_complete", "rejected")
    assert types(rejected, rejected) == []


def test_what_a_person_is_asked_is_told_once_and_so_is_the_decision() -> None:
    waits = Approval("a", "p", "manufacturing", "open", 9600.0, None, "8000 x 1.2", AT, AT, "approve", None, None, None)
    decided = replace(waits, status="modified", value=9000.0, decided_at=AT, decided_by="j")

    [asked] = told_of_approvals({}, [waits])
    assert (asked["type"], asked["data"]["agent"], asked["data"]["options"]) == (
        "human_input_required",
        "inventory",
        ["approve", "modify", "reject"],
    )
    assert asked["data"]["data"]["deadline"] == "2026-01-02T00:00:00Z"
    [taken] = told_of_approvals({"a": waits}, [decided])
    assert (taken["type"], taken["data"]["status"], taken["data"]["value"]) == ("decision_taken", "modified", 9000.0)
    assert told_of_approvals({"a": decided}, [decided]) == []
    assert [each["type"] for each in told_of_approvals({}, [decided])] == ["human_input_required", "decision_taken"]
