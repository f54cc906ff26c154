"""What became of season plans, as those who follow the topic of one are told: what its agents do, and what they wait for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from assets_config.contract.season import Approval, SeasonPlan, SeasonStep

OPTIONS = ("approve", "modify", "reject")
ENDED = ("pass", "skip")


def told_of_versions(plans: Mapping[str, Sequence[SeasonPlan]], *, by: str) -> list[dict[str, Any]]:
    """The versions that a job asked for: the first agent starts."""
    return [
        _event(plan.plan_id, "agent_started", agent="demand", version=plan.version, trigger=plan.trigger, weeks_sold=plan.from_week)
        for versions in plans.values()
        for plan in versions
        if plan.requested_by == by
    ]


def told_of_approvals(before: Mapping[str, Approval], after: Iterable[Approval]) -> list[dict[str, Any]]:
    """What a person is asked, and what was decided, by approval_id."""
    found = []
    for each in after:
        agent = "inventory" if each.kind == "manufacturing" else "pricing"
        asked = {"agent": agent, "action": each.kind, "approval_id": each.approval_id}
        was = before.get(each.approval_id)
        if was is None:
            said = {"proposed": each.proposed, "reason": each.reason, "deadline": f"{each.deadline.isoformat()}Z"}
            said |= {"default_action": each.default_action}
            found.append(_event(each.plan_id, "human_input_required", **asked, data=said, options=list(OPTIONS)))
        if each.status != "open" and (was is None or was.status == "open"):
            decided = {"status": each.status, "value": each.value, "decided_by": each.decided_by}
            found.append(_event(each.plan_id, "decision_taken", **asked, **decided))
    return found


def told_of_steps(
    before: Iterable[SeasonStep], after: Iterable[SeasonStep], began: Mapping[str, datetime], *, at: datetime
) -> list[dict[str, Any]]:
    """The steps that moved, the agents that are done with theirs, and the plans that are done with all.

    Takes    began: when each plan was asked for; at: now; both in UTC without a zone.
    """
    known = _by_plan(before)
    found: list[dict[str, Any]] = []
    for plan_id, steps in _by_plan(after).items():
        found += _moved(known.get(plan_id, {}), steps, round((at - began[plan_id]).total_seconds(), 1))
    return found


def _moved(was: Mapping[str, SeasonStep], now: Mapping[str, SeasonStep], seconds: float) -> Iterator[dict[str, Any]]:
    ended = sum(each.status in ENDED for each in now.values())
    for name, each in now.items():
        if name in was and (was[name].status, was[name].detail) == (each.status, each.detail):
            continue
        if each.status == "fail":
            yield _event(each.plan_id, "error", agent=each.agent, step=name, error_type=None, error_message=each.detail)
        else:
            moved = {"agent": each.agent, "step": name, "status": each.status, "message": each.detail}
            yield _event(each.plan_id, "agent_progress", **moved, progress_pct=round(100 * ended / len(now), 1))
    for agent in dict.fromkeys(each.agent for each in now.values()):
        if _is_done(agent, now) and not _is_done(agent, was):
            result = {name: each.detail for name, each in now.items() if each.agent == agent}
            plan_id = next(iter(now.values())).plan_id
            yield _event(plan_id, "agent_completed", agent=agent, duration_seconds=seconds, result=result)
    status = _end(now)
    if status is not None and _end(was) is None:
        plan_id = next(iter(now.values())).plan_id
        result = {name: each.detail for name, each in now.items()}
        yield _event(plan_id, "workflow_complete", status=status, duration_seconds=seconds, result=result)


def _is_done(agent: str, steps: Mapping[str, SeasonStep]) -> bool:
    of_agent = [each.status in ENDED for each in steps.values() if each.agent == agent]
    return bool(of_agent) and all(of_agent)


def _end(steps: Mapping[str, SeasonStep]) -> str | None:
    """How a plan ended: completed once its season is over, rejected where its buy was; None while it goes on."""
    last = steps.get("results")
    if last is None or last.status not in ENDED:
        return None
    return "completed" if last.status == "pass" else "rejected"


def _by_plan(steps: Iterable[SeasonStep]) -> dict[str, dict[str, SeasonStep]]:
    found: dict[str, dict[str, SeasonStep]] = {}
    for each in steps:
        found.setdefault(each.plan_id, {})[each.step_name] = each
    return found


def _event(plan_id: str, kind: str, **data: Any) -> dict[str, Any]:
    return {"workflow_id": plan_id, "type": kind, "data": {"workflow_id": plan_id, **data}}
