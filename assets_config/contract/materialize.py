"""What may be asked of jobs that make assets of the graph again, and what such jobs answer."""

from typing import Annotated

from msgspec import Meta, Struct


class MaterializeParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Which assets to make again. The data source is the one that this data root was last loaded from."""

    assets: Annotated[
        list[str],
        Meta(
            description="Asset keys such as `core/sales_daily`, or whole stages such as `forecasts`. Empty: the whole graph.",
            max_length=100,
        ),
    ] = []


class RefreshParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Publish what is computed already; starts no model."""


class FeaturesParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Make the panel, the feature catalogue and its preview again, and publish."""


class KpisParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Sum the measures and cubes again, and publish."""


class ExplainParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Explain the forecasts of all series again, and publish."""


class VerifyParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Check the loaded data: references, signs, calendar, sales and dimensions present."""


class Published(Struct, frozen=True):
    """What a job that publishes made."""

    snapshot_id: Annotated[str | None, Meta(description="The snapshot that it published; pin reads to it with ?snapshot=.")] = None
