"""Assets of the registry of model runs."""

from typing import Any

from dagster import AssetCheckResult, AssetExecutionContext, Config, MaterializeResult, MetadataValue, asset, asset_check
from pydantic import Field

from assets_config.contract.state import AnnotateRunParams, DeleteAliasParams, SetAliasParams
from pipelines.commands import commands
from pipelines.forecasts.champions.assets import champion, ensemble
from pipelines.report import GRAPH_POOL, job_of, now, table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "forecasts", "group_name": "forecasts", "owners": ["team:forecasting"], "pool": GRAPH_POOL}
STATE = {**GROUP, "pool": None}  # changed under a lock of its own, beside a run of the graph


@asset(**GROUP, kinds={"polars"}, deps=upstream("features/feature_catalog"))
def model_type(storage: Storage) -> MaterializeResult:
    """Every entry of models.yaml: what it does, whether it is enabled, its parameters and what it learns from."""
    from pipelines.forecasts.registry.model_types import model_types

    warehouse, declared = storage.warehouse(), storage.declarations()
    warehouse.write("forecasts/model_type", model_types(declared, warehouse.read("features/feature_catalog")))
    return table_made(warehouse, "forecasts/model_type")


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("models/fit", "backtests/backtest_metric"), champion, ensemble])
def model_run(storage: Storage) -> MaterializeResult:
    """The registry: every fit, those of earlier runs too, with its backtest metrics and the number of series it is champion of.

    Of each model type the newest are kept (models.yaml: registry), besides those of the last fit and those that have an alias.
    """
    import polars as pl

    from pipelines.forecasts.registry.runs import drop_artifacts, earlier_runs, model_runs
    from pipelines.forecasts.registry.state import aliases, changing

    warehouse, declared = storage.warehouse(), storage.declarations()
    fits = pl.concat([warehouse.read("models/fit"), warehouse.read("forecasts/ensemble")])
    metrics, chosen = (warehouse.read(key) for key in ("backtests/backtest_metric", "forecasts/champion"))
    with changing(warehouse):
        named = aliases(warehouse)["run_id"].to_list()
        runs = model_runs(fits, metrics, chosen, earlier_runs(warehouse), keep=declared.registry.keep_runs, named=named)
        warehouse.write("forecasts/model_run", runs)
        dropped = drop_artifacts(warehouse, runs)
    return table_made(warehouse, "forecasts/model_run", artifacts_dropped=dropped)


@asset_check(asset=model_run, description="Every artifact of the registry still has the bytes that were fitted.")
def artifacts_are_whole(storage: Storage) -> AssetCheckResult:
    """Names the runs whose artifact is missing or altered; forecasts refuse to be made from those."""
    from pipelines.forecasts.registry.runs import damaged_artifacts

    warehouse = storage.warehouse()
    damaged = damaged_artifacts(warehouse, warehouse.read("forecasts/model_run"))
    return AssetCheckResult(passed=not damaged, metadata={"damage": damaged})


class AliasConfig(Config):
    """What to do to the aliases. Left empty: they stay as they are."""

    set_alias: str | None = Field(default=None, description="Alias to set or move, as JSON (contract.state.SetAliasParams).")
    delete_alias: str | None = Field(default=None, description="Alias to delete, as JSON (contract.state.DeleteAliasParams).")


@asset(**STATE, kinds={"polars"}, deps=[model_run])
def model_alias(context: AssetExecutionContext, config: AliasConfig, storage: Storage) -> MaterializeResult:
    """Names that people gave to model runs, such as `production`: as they were, but for what the config asks for."""
    from pipelines.forecasts.registry.state import change_aliases

    warehouse = storage.warehouse()
    told = commands(config, set_alias=SetAliasParams, delete_alias=DeleteAliasParams)
    change_aliases(warehouse, told, at=now(), by=job_of(context))
    return table_made(warehouse, "forecasts/model_alias")


@asset_check(asset=model_alias, description="Every alias names a run of the registry that can be served.")
def aliases_name_runs(storage: Storage) -> AssetCheckResult:
    """Names the aliases whose run is gone or did not succeed, as after a warehouse that was made anew: move or delete them."""
    from pipelines.forecasts.registry.state import dangling

    found = dangling(storage.warehouse())
    return AssetCheckResult(passed=not found, metadata={"dangling": found})


class NoteConfig(Config):
    """What to say of a model run. Left empty: what is said stays as it is."""

    annotate_run: str | None = Field(default=None, description="Run and what to say, as JSON (contract.state.AnnotateRunParams).")


@asset(**STATE, kinds={"polars"}, deps=[model_run])
def model_run_note(context: AssetExecutionContext, config: NoteConfig, storage: Storage) -> MaterializeResult:
    """What people said of model runs, archived ones among them: as it was, but for what the config asks for."""
    from pipelines.forecasts.registry.state import change_notes

    warehouse, told = storage.warehouse(), commands(config, annotate_run=AnnotateRunParams)
    change_notes(warehouse, told, at=now(), by=job_of(context))
    return table_made(warehouse, "forecasts/model_run_note")


@asset(
    **GROUP,
    kinds={"markdown"},
    deps=[*upstream("models/fit", "features/panel", "features/series_segment", "backtests/backtest_metric"), champion, model_run],
)
def model_card(storage: Storage) -> MaterializeResult:
    """A card of each model run of the last fit: what it is, its errors beside the baselines, its limits, and how to verify it."""
    from base64 import b64encode

    from pipelines.features.panel import read_panel
    from pipelines.forecasts.registry.cards import card_frame, subjects

    warehouse = storage.warehouse()
    metrics, chosen = (warehouse.read(key) for key in ("backtests/backtest_metric", "forecasts/champion"))
    told = subjects(warehouse, storage.declarations(), read_panel(warehouse))
    cards = card_frame(told, metrics, chosen, warehouse.read("features/series_segment"))
    warehouse.write("forecasts/model_card", cards)
    shown = {}
    for model_type, markdown, plot in cards.select("model_type", "markdown", "plot").iter_rows():
        drawn = "" if plot is None else f"\n![WAPE](data:image/svg+xml;base64,{b64encode(plot.encode()).decode()})\n"
        shown[model_type] = MetadataValue.md(markdown + drawn)
    return table_made(warehouse, "forecasts/model_card", **shown)


ASSETS = [model_type, model_run, model_alias, model_run_note, model_card]
CHECKS = [artifacts_are_whole, aliases_name_runs]
