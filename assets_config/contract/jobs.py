"""What may be launched over the API: each job type with the Struct of its parameters, its role and its assets.

Serving validates with these Structs before a Dagster run exists; a test checks the assets against the real graph.
"""

from typing import Annotated

from msgspec import Meta, Struct

from assets_config.contract.names import STAGES, Role

ASSETS = (
    "sources/source",
    "sources/raw_stores",
    "sources/raw_products",
    "sources/raw_calendar",
    "sources/raw_sales",
    "core/dim_store",
    "core/dim_product",
    "core/sales_daily",
    "core/dim_calendar",
    "features/panel",
    "models/fit",
    "backtests/prediction",
    "backtests/backtest",
    "backtests/backtest_fold",
    "backtests/backtest_metric",
    "forecasts/champion",
    "forecasts/model_run",
    "forecasts/forecast",
    "kpis/kpi_daily",
    "kpis/cubes",
    "publish/snapshot",
)
"""Every asset that a job may select, upstream first."""


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


class JobType(Struct, frozen=True):
    """One thing that a program may ask for."""

    name: str
    params: type[Struct]
    role: Role
    summary: str


JOB_TYPES: dict[str, JobType] = {
    job.name: job
    for job in (
        JobType("materialize", MaterializeParams, "operator", "Make assets again, in the order of the graph."),
        JobType("refresh", RefreshParams, "admin", "Publish the newest complete tables as a new snapshot; no ML."),
    )
}


class UnknownAssets(ValueError):
    """Assets that a job asked for and that the graph does not have; `entries` are (position, text)."""

    def __init__(self, entries: list[tuple[int, str]]) -> None:
        super().__init__(", ".join(text for _, text in entries))
        self.entries = entries


def selection(params: Struct) -> list[str]:
    """The asset keys that a job makes, upstream first.

    Raises UnknownAssets, when an entry is neither an asset key nor a stage.
    """
    if isinstance(params, MaterializeParams):
        if not params.assets:
            return list(ASSETS)
        unknown = [(n, entry) for n, entry in enumerate(params.assets) if entry not in ASSETS and entry not in STAGES]
        if unknown:
            raise UnknownAssets(unknown)
        return [key for key in ASSETS if key in params.assets or key.split("/")[0] in params.assets]
    return ["publish/snapshot"]
