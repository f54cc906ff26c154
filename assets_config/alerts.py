"""What is worth an alert: alerts.yaml, read into Structs."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from assets_config.contract.alerts import RuleKey, Threshold, why_not_set_rule
from assets_config.entries import entries_of

Times = Annotated[int, Meta(ge=1, le=30)]


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of alerts.yaml."""

    key: RuleKey
    about: str
    warn: Threshold
    clear: Threshold
    critical: Threshold | None = None
    enabled: bool = True
    opens_after: Times = 1
    clears_after: Times = 1

    def __post_init__(self) -> None:
        why = why_not_set_rule(self.warn, self.critical, self.clear)
        if why is not None:
            raise ValueError(why)


def alert_rules(overlay: Path | None = None) -> dict[str, Rule]:
    """The shipped rules, those of an overlay's alerts.yaml in place of the ones of the same key.

    Raises DeclarationError, naming file, entry and field.
    """
    return {rule.key: rule for rule in entries_of("alerts.yaml", overlay, {"rules": Rule})["rules"]}
