"""How products, series and stores are grouped: segments.yaml, read into a Struct."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from assets_config.entries import fields_of

Cut = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1, le=100)]


class SegmentRules(Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of segments.yaml."""

    abc: tuple[Cut, Cut]
    xyz: tuple[Cut, Cut]
    weeks: Annotated[int, Meta(ge=8, le=520)]
    clusters: Annotated[int, Meta(ge=1, le=8)]
    fewest_stores: Count
    starts: Count
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)]

    def __post_init__(self) -> None:
        for name, (low, high) in (("abc", self.abc), ("xyz", self.xyz)):
            if low >= high:
                raise ValueError(f"{name}: the first cut, {low:g}, must lie below the second, {high:g}")


def segment_rules(overlay: Path | None = None) -> SegmentRules:
    """The shipped rules with those of an overlay's segments.yaml over them. Raises DeclarationError, naming file and field."""
    return fields_of("segments.yaml", overlay, SegmentRules)
