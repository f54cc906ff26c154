"""The rules that hold: those of alerts.yaml with what people set over them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl
from msgspec import structs

from assets_config.alerts import Rule
from assets_config.contract.alerts import AlertRule, SetAlertRuleParams, why_not_set_rule
from assets_config.contract.durable import locked
from pipelines.errors import PipelineError
from pipelines.shapes import frame_of
from pipelines.warehouse import Warehouse

RULES = "planning/alert_rule"


def rules_of(frame: pl.DataFrame) -> dict[str, AlertRule]:
    """The rows of planning/alert_rule by rule."""
    return {row["rule"]: AlertRule(**row) for row in frame.iter_rows(named=True)}


def change_rules(
    warehouse: Warehouse, declared: Mapping[str, Rule], commands: Sequence[SetAlertRuleParams], *, at: datetime, by: str
) -> None:
    """Write the rules that hold: declared ones, but for those that people set, and what the commands ask for.

    Raises   PipelineError, naming the rule: one that is not declared, or thresholds that contradict each other.
    """
    with locked(warehouse.folder / "planning" / "alert_rule.lock"):
        before = rules_of(warehouse.read(RULES)) if warehouse.path(RULES).exists() else {}
        found = {key: _held(rule, before.get(key)) for key, rule in declared.items()}
        for command in commands:
            if command.rule not in found:
                raise PipelineError(f"no rule is called {command.rule}; there are {', '.join(found)}")
            found[command.rule] = changed(found[command.rule], as_declared(declared[command.rule]), command, at=at, by=by)
        warehouse.write_changed(RULES, frame_of(AlertRule, list(found.values())))


def changed(rule: AlertRule, declared: AlertRule, command: SetAlertRuleParams, *, at: datetime, by: str) -> AlertRule:
    """A rule after a command. Raises PipelineError, where its thresholds would contradict each other."""
    base = declared if command.reset else rule
    given = {name: getattr(command, name) for name in ("enabled", "warn", "critical", "clear")}
    after = structs.replace(base, **{name: value for name, value in given.items() if value is not None})
    why = why_not_set_rule(after.warn, after.critical, after.clear)
    if why is not None:
        raise PipelineError(f"rule {rule.rule}: {why}")
    if after == declared:
        return declared
    return rule if after == rule else structs.replace(after, changed_at=at, changed_by=by)


def as_declared(rule: Rule) -> AlertRule:
    """A rule as alerts.yaml has it, changed by nobody."""
    return AlertRule(
        *(rule.key, rule.about, rule.enabled, rule.warn, rule.critical, rule.clear, rule.opens_after, rule.clears_after),
        *(None, None),
    )


def _held(rule: Rule, before: AlertRule | None) -> AlertRule:
    """A rule as a person set it, with its meaning as it is declared now; else as it is declared."""
    now = as_declared(rule)
    if before is None or before.changed_at is None:
        return now
    return structs.replace(before, about=now.about, opens_after=now.opens_after, clears_after=now.clears_after)
