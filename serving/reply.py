"""What every answer says of where it came from, and the range of days that it is of."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from litestar.params import QueryParameter
from msgspec import Meta, Struct, structs

from serving.layers.reads import tell
from serving.problems import BadRequest, invalid
from serving.snapshot import Snapshot

Start = Annotated[date, QueryParameter(description="First day, inclusive, ISO 8601.")]
End = Annotated[date, QueryParameter(description="Last day, inclusive, ISO 8601; at most 730 days after the first.")]


PLACES = 6


class Metadata(Struct, frozen=True):
    """Which snapshot and data an answer was read from."""

    snapshot_id: Annotated[str, Meta(description="Pin further reads to it with ?snapshot=.")]
    dataset_id: Annotated[str, Meta(description="Hash of the core tables of the part that was read.")]
    model_version: Annotated[str | None, Meta(description="run_id of the model behind the answer, where there is one.")]
    run_id: Annotated[str | None, Meta(description="Dagster run that published the snapshot.")]
    as_of: Annotated[date, Meta(description="Last day of sales.")]
    generated_at: Annotated[datetime, Meta(description="When the part that was read was made, UTC.")]
    published_at: Annotated[datetime, Meta(description="When the snapshot was published, UTC.")]
    stale: Annotated[bool, Meta(description="True where a newer snapshot is damaged and this is the last good one.")]


def metadata(snapshot: Snapshot, part: str, *, model_version: str | None = None) -> Metadata:
    """The metadata of an answer that was read from `part` (the catalogue where the snapshot lacks it)."""
    found: Metadata | None = snapshot.said.get((part, snapshot.stale))
    if found is None:
        found = snapshot.said[part, snapshot.stale] = _metadata(snapshot, part)
    tell(part, dataset_id=found.dataset_id, model_version=model_version)
    return found if model_version is None else structs.replace(found, model_version=model_version)


def _metadata(snapshot: Snapshot, part: str) -> Metadata:
    manifest = snapshot.manifest
    source = manifest.parts.get(part) or manifest.parts["catalogue"]
    return Metadata(
        snapshot_id=manifest.id,
        dataset_id=source.dataset_id,
        model_version=None,
        run_id=manifest.dagster_run_id,
        as_of=manifest.as_of,
        generated_at=source.made_at.astimezone(UTC),
        published_at=manifest.published_at.astimezone(UTC),
        stale=snapshot.stale,
    )


def rounded(value: Any) -> Any:
    """A number with a fraction to the six places that answers have; all else as it is."""
    return round(value, PLACES) if isinstance(value, float) else value


def check_span(start: date | None, end: date | None, max_days: int) -> None:
    """`check_range` of a range that may be open; an open one is bounded by what there is."""
    if start is not None and end is not None:
        check_range(start, end, max_days)


def check_range(start: date, end: date, max_days: int) -> None:
    """Raises BadRequest, when the range is inverted or too long; Validation, when no day follows it."""
    if end == date.max:
        raise invalid("end_date", str(end), f"use a day before {date.max}")
    if start > end:
        raise BadRequest(f"The range starts on {start}, after it ends on {end}.")
    if (end - start).days > max_days:
        raise BadRequest(f"The range has {(end - start).days} days between start and end; at most {max_days} are allowed.")
