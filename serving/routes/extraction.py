"""A season in plain words, as parameters."""

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct

from assets_config.contract.names import Confidence
from assets_config.contract.plans import SeasonParameters
from serving.reply import Metadata, metadata
from serving.sentences import Field, extract, named, overall
from serving.snapshot import Snapshot

READER = {"role": "reader"}


class Sentence(Struct, frozen=True, forbid_unknown_fields=True):
    """A season as somebody would say it."""

    text: Annotated[str, Meta(min_length=1, max_length=2000, description="English; dates as 3 March 2025 or 2025-03-03.")]


class Extracted(Struct, frozen=True):
    """What was understood."""

    parameters: Annotated[SeasonParameters, Meta(description="Send them to POST /workflows/forecast, with name and category.")]
    category: Annotated[str | None, Meta(description="The category that is named; null where none is, or several are.")]
    confidence: Annotated[
        Confidence, Meta(description="high: most was said, nothing contradicts; low: nothing was, or something does.")
    ]
    reasoning: Annotated[str, Meta(description="What was taken from where, in words.")]
    fields: Annotated[list[Field], Meta(description="Each parameter, and why it has its value.")]
    reference_date: Annotated[date, Meta(description="Day that relative dates are counted from: the last of sales.")]
    metadata: Metadata


@post("/parameters/extract", operation_id="extract_parameters", tags=["planning"], status_code=200, opt=READER)
async def extract_parameters(lease: NamedDependency[Snapshot], data: JSONBody[Sentence]) -> Extracted:
    """Read the parameters of a season out of a sentence; nothing is changed or started.

    A grammar, no model: what it does not find is a default, and says so. POST /workflows/forecast takes the parameters.
    """
    today = lease.manifest.as_of
    fields = extract(data.text, today=today)
    given: dict[str, Any] = {each.field: each.value for each in fields}
    said = "; ".join(f"{each.field}: {each.reasoning}" for each in fields)
    return Extracted(
        parameters=msgspec.convert(given, SeasonParameters),
        category=named(data.text, lease.members["category"]),
        confidence=overall(fields),
        reasoning=said,
        fields=fields,
        reference_date=today,
        metadata=metadata(lease, "catalogue"),
    )
