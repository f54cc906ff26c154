"""Which types of model are there, and what may be set of each?"""

from typing import Annotated, Any

import msgspec
from litestar.di import NamedDependency
from msgspec import Meta, Struct

from assets_config.contract.names import Pattern
from serving.formats import table
from serving.paging import Listed, Page, PageSize, page_of
from serving.reply import metadata
from serving.snapshot import Snapshot


class ParameterSaid(Struct, frozen=True):
    """A parameter of a model type."""

    name: str
    type: Annotated[str, Meta(description="integer, number, string or boolean.")]
    choices: Annotated[list[str] | None, Meta(description="The values that are allowed; null where all of the type are.")]
    default: Annotated[Any, Meta(description="Value where models.yaml names none.")]
    value: Annotated[Any, Meta(description="Value that the next fit uses.")]


class ModelTypeSaid(Struct, frozen=True):
    """One entry of models.yaml."""

    model_type: Annotated[str, Meta(description="Filter /registry/runs by it.")]
    enabled: Annotated[bool, Meta(description="Whether it is fitted and may become champion.")]
    reason: Annotated[str | None, Meta(description="Why it is not enabled.")]
    description: str | None
    params: list[ParameterSaid]
    learns_from_features: Annotated[bool, Meta(description="If not, it sees sales only.")]
    feature_set: Annotated[str | None, Meta(description="Name and hash; read it at /featuresets/{name}.")]
    patterns: Annotated[list[Pattern], Meta(description="Demand patterns that it may be champion of.")]


@table("/registry/model-types", operation_id="list_model_types", tags=["registry"])
async def list_model_types(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[ModelTypeSaid]:
    """Every model type in order of declaration, disabled ones with the reason; earlier ones win ties."""
    found = []
    for row in await lease.rows("registry", "model_type", "true ORDER BY position"):
        row["params"] = msgspec.json.decode(row["params"], type=list[ParameterSaid])
        row["patterns"] = msgspec.json.decode(row["patterns"])
        del row["position"]
        found.append(ModelTypeSaid(**row))
    return page_of(found, page, page_size, metadata(lease, "registry"))
