"""How stock is planned where the data do not say: inventory.yaml, read into a Struct."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from assets_config.entries import fields_of

Share = Annotated[float, Meta(ge=0.5, lt=1)]
Days = Annotated[int, Meta(ge=1, le=365)]
Money = Annotated[float, Meta(ge=0)]


class StockRules(Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of inventory.yaml."""

    service_level: Share
    service_level_of: dict[Literal["A", "B", "C"], Share]
    review_days: Annotated[int, Meta(ge=0, le=90)]
    lead_time_days: Days
    lead_time_sd: Annotated[float, Meta(ge=0, le=90)]
    order_days: Days
    max_cover_days: Days
    order_cost: Money
    holding_rate: Annotated[float, Meta(gt=0, le=5)]
    history_days: Days


def stock_rules(overlay: Path | None = None) -> StockRules:
    """The shipped rules with those of an overlay's inventory.yaml over them. Raises DeclarationError, naming file and field."""
    return fields_of("inventory.yaml", overlay, StockRules)
