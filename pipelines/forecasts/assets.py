"""Assets of the stage forecasts."""

from typing import Any

import msgspec
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    Config,
    MaterializeResult,
    MetadataValue,
    asset,
    asset_check,
)
from pydantic import Field

from assets_config.contract.state import AnnotateRunParams, DeleteAliasParams, SetAliasParams
from pipelines.report import GRAPH_POOL, as_in, drawn, job_of, now, table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {
    "key_prefix": "forecasts",
    "group_name": "forecasts",
    "owners": ["team:forecasting"],
    "pool": GRAPH_POOL,
}
STATE = {**GROUP, "pool": None}  # changed under a lock of its own, beside a run of the graph


@asset(
    **GROUP,
    kinds={"polars"},
    deps=upstream("core/dim_product", "models/fit", "backtests/prediction", "features/panel", "features/series_segment"),
)
def champion(storage: Storage) -> MaterializeResult:
    """The model type that forecasts each series: the one with the smallest backtest error, unless the last one is as good."""
    from pipelines.forecasts.champion import champions, series_frame
    from pipelines.models.fits import fitted_models
    from pipelines.models.types import candidates

    warehouse, declared = storage.warehouse(), storage.declarations()
    chosen = champions(
        warehouse.read("backtests/prediction"),
        candidates(declared, fitted_models(warehouse, declared)),
        series_frame(warehouse.read("features/series_segment"), warehouse.read("core/dim_product")),
        declared.evaluation,
        previous=warehouse.previous("forecasts/champion"),
    )
    warehouse.write("forecasts/champion", chosen)
    shares = dict(chosen.group_by("model_type").len().sort("model_type").iter_rows())
    reasons = dict(chosen.group_by("reason").len().sort("reason").iter_rows())
    return table_made(warehouse, "forecasts/champion", champion_of=shares, reasons=reasons)


@asset(**GROUP, kinds={"polars"}, deps=upstream("models/fit", "features/panel", "backtests/ensemble_weight"))
def ensemble(storage: Storage) -> MaterializeResult:
    """The ensemble as a fit: its artifact are the weights from all folds; no row where it is not enabled."""
    import polars as pl

    from pipelines.backtests.ensemble import fit_rows
    from pipelines.features.panel import read_panel
    from pipelines.models.fits import SCHEMA
    from pipelines.models.types import ensemble as declared_ensemble

    warehouse, declared = storage.warehouse(), storage.declarations()
    fits, weights = warehouse.read("models/fit"), warehouse.read("backtests/ensemble_weight")
    rows = fit_rows(warehouse, read_panel(warehouse), declared_ensemble(declared), weights, fits)
    warehouse.write("forecasts/ensemble", pl.DataFrame(rows, schema=SCHEMA))
    return table_made(warehouse, "forecasts/ensemble")


@asset(**GROUP, kinds={"polars"}, deps=upstream("features/feature_catalog"))
def model_type(storage: Storage) -> MaterializeResult:
    """Every entry of models.yaml: what it does, whether it is enabled, its parameters and what it learns from."""
    from pipelines.forecasts.model_types import model_types

    warehouse, declared = storage.warehouse(), storage.declarations()
    warehouse.write("forecasts/model_type", model_types(declared, warehouse.read("features/feature_catalog")))
    return table_made(warehouse, "forecasts/model_type")


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("models/fit", "backtests/backtest_metric"), champion, ensemble])
def model_run(storage: Storage) -> MaterializeResult:
    """The registry: every fit, those of earlier runs too, with its backtest metrics and the number of series it is champion of.

    Of each model type the newest are kept (models.yaml: registry), besides those of the last fit and those that have an alias.
    """
    import polars as pl

    from pipelines.forecasts.registry import drop_artifacts, earlier_runs, model_runs
    from pipelines.forecasts.state import aliases, changing

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
    from pipelines.forecasts.registry import damaged_artifacts

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
    from pipelines.forecasts.state import change_aliases

    warehouse = storage.warehouse()
    commands: list[SetAliasParams | DeleteAliasParams] = []
    if config.set_alias is not None:
        commands.append(msgspec.json.decode(config.set_alias, type=SetAliasParams))
    if config.delete_alias is not None:
        commands.append(msgspec.json.decode(config.delete_alias, type=DeleteAliasParams))
    change_aliases(warehouse, commands, at=now(), by=job_of(context))
    return table_made(warehouse, "forecasts/model_alias")


@asset_check(asset=model_alias, description="Every alias names a run of the registry that can be served.")
def aliases_name_runs(storage: Storage) -> AssetCheckResult:
    """Names the aliases whose run is gone or did not succeed, as after a warehouse that was made anew: move or delete them."""
    from pipelines.forecasts.state import dangling

    found = dangling(storage.warehouse())
    return AssetCheckResult(passed=not found, metadata={"dangling": found})


class NoteConfig(Config):
    """What to say of a model run. Left empty: what is said stays as it is."""

    annotate_run: str | None = Field(default=None, description="Run and what to say, as JSON (contract.state.AnnotateRunParams).")


@asset(**STATE, kinds={"polars"}, deps=[model_run])
def model_run_note(context: AssetExecutionContext, config: NoteConfig, storage: Storage) -> MaterializeResult:
    """What people said of model runs, archived ones among them: as it was, but for what the config asks for."""
    from pipelines.forecasts.state import change_notes

    warehouse, said = storage.warehouse(), config.annotate_run
    commands = [] if said is None else [msgspec.json.decode(said, type=AnnotateRunParams)]
    change_notes(warehouse, commands, at=now(), by=job_of(context))
    return table_made(warehouse, "forecasts/model_run_note")


@asset(**GROUP, kinds={"xgboost", "numpy"}, deps=[*upstream("models/fit", "features/panel"), champion, ensemble])
def forecast(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """The champions' forecasts with quantiles from q05 to q95, for the days ahead and for the days of the backtest folds."""
    import polars as pl

    from pipelines.backtests.ensemble import predict
    from pipelines.backtests.folds import folds
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.served import forecast_frame
    from pipelines.models.fits import fitted, read_artifact
    from pipelines.models.types import module_of

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel, chosen, fits = read_panel(warehouse), warehouse.read("forecasts/champion"), fitted(warehouse)
    ahead = {}
    for row in fits.iter_rows(named=True):
        artifact = read_artifact(warehouse, row["run_id"], row["artifact_uri"], row["artifact_hash"])
        module = module_of(declared.models[row["model_type"]])
        ahead[row["model_type"]] = module.predict(artifact, panel, horizon=row["horizon"])
        context.log.info(f"{row['model_type']}: {panel.series} series x {row['horizon']} days")
    mixed = warehouse.read("forecasts/ensemble")
    for row in mixed.iter_rows(named=True):
        artifact = read_artifact(warehouse, row["run_id"], row["artifact_uri"], row["artifact_hash"])
        ahead[row["model_type"]] = predict(artifact, panel, ahead)
    frame = forecast_frame(
        panel,
        chosen,
        ahead,
        warehouse.read("backtests/prediction"),
        folds(panel.days, declared.evaluation),
        versions=dict(pl.concat([fits, mixed]).select("model_type", "run_id").iter_rows()),
    )
    warehouse.write("forecasts/forecast", frame)
    return table_made(warehouse, "forecasts/forecast")


@asset(
    **GROUP,
    kinds={"xgboost", "numpy"},
    deps=[*upstream("models/fit", "features/panel", "features/series_segment"), champion, ensemble, forecast],
)
def forecast_explanation(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """Why each series is forecast to sell what it is: parts that add up to the forecast, with reasons, confidence and caveats.

    Contributions that cannot be computed are told in a caveat; they stop nothing.
    """
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.contributors import contributors
    from pipelines.forecasts.explanations import ahead, explanation_frame
    from pipelines.forecasts.parts import parts
    from pipelines.models.fits import fitted

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel, chosen, made = read_panel(warehouse), warehouse.read("forecasts/champion"), warehouse.read("forecasts/forecast")
    yhat, _ = ahead(made, panel.series)
    telling = contributors(warehouse, declared, panel, chosen, fitted(warehouse), horizon=yhat.shape[1])
    found = parts(panel, yhat, telling)
    for model_type, why in found.failed.items():
        context.log.error(f"the contributions of {model_type} are missing from the explanations: {why}")
    frame = explanation_frame(panel, made, chosen, warehouse.read("features/series_segment"), found)
    warehouse.write("forecasts/forecast_explanation", frame)
    sure = dict(frame.group_by("confidence").len().sort("confidence").iter_rows())
    return table_made(warehouse, "forecasts/forecast_explanation", confidence=sure, failed=found.failed)


@asset_check(asset=forecast_explanation, description="The parts of every explained forecast add up to it.")
def explanations_add_up(storage: Storage) -> AssetCheckResult:
    """Names the first forecasts whose parts do not."""
    from pipelines.forecasts.explanations import not_adding_up

    wrong = not_adding_up(storage.warehouse().read("forecasts/forecast_explanation"))
    first = wrong.select("store_id", "product_id", "span").head(5).rows()
    return AssetCheckResult(passed=wrong.is_empty(), metadata={"rows": wrong.height, "first": str(first)})


@asset(
    **GROUP,
    kinds={"markdown"},
    deps=[*upstream("models/fit", "features/panel", "features/series_segment", "backtests/backtest_metric"), champion, model_run],
)
def model_card(storage: Storage) -> MaterializeResult:
    """A card of each model run of the last fit: what it is, its errors beside the baselines, its limits, and how to verify it."""
    from base64 import b64encode

    from pipelines.features.panel import read_panel
    from pipelines.forecasts.cards import card_frame, subjects

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


@asset(**GROUP, kinds={"numpy"}, deps=[*upstream("core/dim_store", "core/dim_product", "features/panel"), forecast])
def forecast_level(storage: Storage) -> MaterializeResult:
    """The forecasts of total, region, store, category, department and product: sums of those of series, with own quantiles."""
    from pipelines.features.levels import read_members
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.levels import level_frame
    from pipelines.forecasts.plots import fan

    warehouse = storage.warehouse()
    members = read_members(warehouse, read_panel(warehouse))
    table = level_frame(warehouse.read("forecasts/forecast"), members)
    warehouse.write("forecasts/forecast_level", table)
    same = as_in(warehouse, "forecasts/forecast_level", "forecasts/forecast")
    return table_made(warehouse, "forecasts/forecast_level", **same, **{"days ahead": drawn(fan(table), "forecast with ranges")})


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("features/series_segment"), forecast, forecast_level])
def frozen(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """The sets of forecasts as they were said at each cutoff, never altered; how many stay says models.yaml: registry."""
    from pipelines.forecasts.frozen import damaged_sets, freeze, frozen_frame

    warehouse, declared = storage.warehouse(), storage.declarations()
    made, levels = warehouse.read("forecasts/forecast"), warehouse.read("forecasts/forecast_level")
    rows = frozen_frame(made, levels, warehouse.read("features/series_segment"))
    cutoff = made.filter(source="forecast")["cutoff"][0]
    freeze(warehouse, rows, cutoff, keep=declared.registry.keep_frozen)
    damage = damaged_sets(warehouse)
    for file, fault in damage.items():
        context.log.warning(f"forecasts/frozen/{file} {fault}: it is not scored; a backup of the data root may have it")
    return table_made(warehouse, "forecasts/frozen", cutoff=cutoff.isoformat(), damage=damage)


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("features/series_segment"), forecast, forecast_level, frozen])
def forecast_set(storage: Storage) -> MaterializeResult:
    """The frozen sets, one row each: as of which cutoff, how many series and units, and whether it is what is served."""
    from pipelines.forecasts.frozen import frozen_frame
    from pipelines.forecasts.sets import set_frame

    warehouse = storage.warehouse()
    made, levels = warehouse.read("forecasts/forecast"), warehouse.read("forecasts/forecast_level")
    table = set_frame(warehouse, frozen_frame(made, levels, warehouse.read("features/series_segment")))
    warehouse.write("forecasts/forecast_set", table)
    return table_made(warehouse, "forecasts/forecast_set", current=table.filter(is_current=True)["set_id"].to_list())


@asset(**GROUP, kinds={"polars"}, deps=[frozen])
def forecast_set_level(storage: Storage) -> MaterializeResult:
    """What the frozen sets forecast of the total and of each region, store, category and department."""
    from pipelines.forecasts.sets import level_frame

    warehouse = storage.warehouse()
    warehouse.write("forecasts/forecast_set_level", level_frame(warehouse))
    return table_made(warehouse, "forecasts/forecast_set_level")


@asset(**GROUP, kinds={"polars"}, deps=[*upstream("core/dim_store", "core/dim_product", "features/panel"), frozen])
def forecast_accuracy(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """Realised accuracy: the errors of frozen forecasts on the days that are known by now, by days since the cutoff."""
    from pipelines.features.levels import read_members
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.accuracy import accuracy_frame
    from pipelines.forecasts.frozen import read_sets

    warehouse = storage.warehouse()
    panel = read_panel(warehouse)
    table = accuracy_frame(read_sets(warehouse), panel, read_members(warehouse, panel))
    if not table.height:
        context.log.info("no day of a frozen forecast is known yet: accuracy follows when sales of later days are loaded")
    warehouse.write("forecasts/forecast_accuracy", table)
    return table_made(warehouse, "forecasts/forecast_accuracy")


@asset(
    **GROUP,
    kinds={"polars"},
    deps=upstream("core/dim_product", "models/fit", "backtests/prediction", "features/panel", "features/series_segment"),
)
def forecast_value_added(storage: Storage) -> MaterializeResult:
    """What each stage adds to the one before: naive, seasonal naive, the best single type, the ensemble, the champions."""
    from pipelines.backtests.folds import folds
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.champion import series_frame
    from pipelines.forecasts.value_added import value_added_frame
    from pipelines.models.fits import fitted_models
    from pipelines.models.types import candidates

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    table = value_added_frame(
        panel,
        warehouse.read("backtests/prediction"),
        folds(panel.days, declared.evaluation),
        candidates(declared, fitted_models(warehouse, declared)),
        series_frame(warehouse.read("features/series_segment"), warehouse.read("core/dim_product")),
        declared.evaluation,
    )
    warehouse.write("forecasts/forecast_value_added", table)
    wape = dict(table.filter(segment="all").select("stage", "wape").iter_rows())
    return table_made(warehouse, "forecasts/forecast_value_added", wape=wape)


@asset(**GROUP, kinds={"numpy"}, deps=[*upstream("features/panel"), forecast, forecast_level])
def interval_coverage(storage: Storage) -> MaterializeResult:
    """How often demand fell within q05 and q95 in backtests, by horizon and kind of demand, with a binomial band."""
    from pipelines.backtests.folds import folds
    from pipelines.features.panel import read_panel
    from pipelines.forecasts.coverage import coverage_frame
    from pipelines.forecasts.plots import calibration

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    of_series, levels = warehouse.read("forecasts/forecast"), warehouse.read("forecasts/forecast_level")
    table = coverage_frame(panel, of_series, levels, folds(panel.days, declared.evaluation))
    warehouse.write("forecasts/interval_coverage", table)
    plot = drawn(calibration(table), "share of days within q05 and q95")
    return table_made(warehouse, "forecasts/interval_coverage", calibration=plot)


@asset_check(
    asset=forecast,
    additional_deps=[interval_coverage],
    description="The 90 % ranges hold 88 to 93 % of demand in backtests, where more than one unit is sold a day.",
)
def coverage_is_nominal(storage: Storage) -> AssetCheckResult:
    """Names the horizons and patterns where they do not, as a warning: forecasts are published all the same."""
    from pipelines.forecasts.coverage import misses

    found = misses(storage.warehouse().read("forecasts/interval_coverage"))
    return AssetCheckResult(passed=not found, severity=AssetCheckSeverity.WARN, metadata={"outside": found})


ASSETS = [
    *(champion, ensemble, model_type, model_run, model_alias, model_run_note),
    *(forecast, forecast_explanation, model_card, forecast_level),
    *(frozen, forecast_set, forecast_set_level, forecast_accuracy, forecast_value_added, interval_coverage),
]
CHECKS = [artifacts_are_whole, aliases_name_runs, explanations_add_up, coverage_is_nominal]
