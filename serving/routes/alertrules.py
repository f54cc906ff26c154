"""What is worth an alert?"""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct, structs

from assets_config.contract.alerts import AlertRule, RuleChange, SetAlertRuleParams, why_not_set_rule
from serving.formats import table
from serving.layers.rules import ADMIN
from serving.orchestrator.job import Job
from serving.paging import Listed, Page, PageSize, page_of
from serving.problems import NotFound, Validation, invalid
from serving.reply import metadata
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot

THRESHOLDS = ("warn", "critical", "clear")
RulePath = Annotated[str, PathParameter(description="Name of a rule; see /alert-rules.")]


class RuleSaid(Struct, frozen=True):
    """A rule, as it holds now."""

    rule: Annotated[str, Meta(description="Name of the rule; filter /alerts by it.")]
    about: Annotated[str, Meta(description="What is measured; larger is worse.")]
    enabled: Annotated[bool, Meta(description="Whether it is looked at; alerts of a rule that is not are resolved.")]
    warn: Annotated[float, Meta(description="A value above it opens an alert.")]
    critical: Annotated[float | None, Meta(description="A value above it makes the alert critical; null: it never is.")]
    clear: Annotated[float, Meta(description="At this value or below the alert is resolved.")]
    opens_after: Annotated[int, Meta(description="Times that it must be found, each time in other data.")]
    clears_after: Annotated[int, Meta(description="Times that it must be found gone, each time in other data.")]
    changed_at: Annotated[datetime | None, Meta(description="When it was set, UTC; null: it is as alerts.yaml says.")]
    changed_by: Annotated[str | None, Meta(description="Job that set it; null: it is as alerts.yaml says.")]


@table("/alert-rules", operation_id="list_alert_rules", tags=["alerts"])
async def list_alert_rules(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[RuleSaid]:
    """The rules with their thresholds, by name.

    PUT /alert-rules/{rule} changes one; what it finds then is looked at by the job `alerts`, and by each run of the graph.
    """
    found = [_said(each) for each in await _rules(lease)]
    return page_of(found, page, page_size, metadata(lease, "state"))


@put("/alert-rules/{rule:str}", operation_id="set_alert_rule", tags=["alerts"], status_code=202, opt=ADMIN)
async def set_alert_rule(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    rule: RulePath,
    data: JSONBody[RuleChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Change thresholds of a rule, switch it off, or take it as alerts.yaml says (`reset`). What is not given stays.

    Alerts follow at the next look at the rules: start the job `alerts` for one at once.
    """
    found = next((each for each in await _rules(lease) if each.rule == rule), None)
    if found is None:
        raise NotFound(f"No rule is called '{rule[:100]}'; /api/v1/alert-rules lists them.")
    if not data.reset and all(getattr(data, name) is None for name in ("enabled", *THRESHOLDS)):
        raise invalid("body", None, "has nothing to change: send enabled, warn, critical, clear or reset", code="missing")
    given = {name: getattr(data, name) for name in THRESHOLDS if getattr(data, name) is not None}
    if not data.reset or found.changed_at is None:  # what a changed rule is reset to, the run alone knows
        why = why_not_set_rule(**{name: getattr(found, name) for name in THRESHOLDS} | given)
        if why is not None:
            raise Validation(why)
    params = SetAlertRuleParams(**structs.asdict(data), rule=found.rule)
    return await start(request, state, "set_alert_rule", params, idempotency_key)


async def _rules(lease: Snapshot) -> list[AlertRule]:
    return [AlertRule(**row) for row in await lease.rows("state", "alert_rule", "true ORDER BY rule")]


def _said(rule: AlertRule) -> RuleSaid:
    at = None if rule.changed_at is None else rule.changed_at.replace(tzinfo=UTC)
    return RuleSaid(**{**structs.asdict(rule), "changed_at": at})
