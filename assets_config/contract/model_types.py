"""The published table of model types."""

from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import column


class ModelType(Struct, frozen=True):
    """One entry of models.yaml, with what its module says of itself."""

    model_type: Annotated[str, column("Type of the model, the name of its module.")]
    position: Annotated[int, column("Place among the entries, from 0; earlier ones win ties.")]
    enabled: Annotated[bool, column("Whether it is fitted and may become champion.")]
    reason: Annotated[str | None, column("Why it is not enabled; null where it is, or where nobody said.")]
    description: Annotated[str | None, column("First line of its module; null for a type that has none here.")]
    params: Annotated[str, column("Its parameters as a JSON list of name, type, choices, default and value.")]
    learns_from_features: Annotated[bool, column("Whether it learns from features; if not, it sees sales only.")]
    feature_set: Annotated[str | None, column("Name and hash of its feature set; null for types that see sales only.")]
    patterns: Annotated[str, column("Demand patterns that it may be champion of, as a JSON list.")]
