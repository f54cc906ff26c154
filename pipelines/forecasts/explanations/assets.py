"""Assets of explanations."""

from typing import Any

from dagster import AssetCheckResult, AssetExecutionContext, MaterializeResult, asset, asset_check

from pipelines.forecasts.champions.assets import champion, ensemble, forecast
from pipelines.report import GRAPH_POOL, table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "forecasts", "group_name": "forecasts", "owners": ["team:forecasting"], "pool": GRAPH_POOL}


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
    from pipelines.forecasts.explanations.contributors import contributors
    from pipelines.forecasts.explanations.parts import parts
    from pipelines.forecasts.explanations.table import ahead, explanation_frame
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
    from pipelines.forecasts.explanations.table import not_adding_up

    wrong = not_adding_up(storage.warehouse().read("forecasts/forecast_explanation"))
    first = wrong.select("store_id", "product_id", "span").head(5).rows()
    return AssetCheckResult(passed=wrong.is_empty(), metadata={"rows": wrong.height, "first": str(first)})


ASSETS = [forecast_explanation]
CHECKS = [explanations_add_up]
