"""Assets of the stage models."""

from dagster import AssetExecutionContext, MaterializeResult, asset

from pipelines.report import GRAPH_POOL, table_made, upstream
from pipelines.resources import Storage


@asset(
    key_prefix="models",
    group_name="models",
    pool=GRAPH_POOL,
    kinds={"xgboost", "numpy"},
    owners=["team:forecasting"],
    deps=upstream("features/panel"),
)
def fit(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """Every enabled model type of models.yaml, fitted on all history; artifacts lie beside, named by run id.

    A type whose fit raises is recorded as failed and left out of backtests and forecasts; the others go on.
    """
    import polars as pl

    from pipelines.errors import PipelineError
    from pipelines.features.panel import read_panel
    from pipelines.models.fits import SCHEMA, fit_one, revision
    from pipelines.models.types import enabled

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    rows = []
    for model in enabled(declared):
        row = fit_one(
            warehouse,
            panel,
            model,
            horizon=declared.evaluation.horizon,
            feature_sets=declared.feature_sets,
            git_sha=revision(),
        )
        if row["status"] == "failed":
            context.log.error(f"{model.type} could not be fitted: {row['error_message']}")
        else:
            context.log.info(f"fitted {model.type} on {panel.series} series x {panel.days} days in {row['fit_seconds']:.2f} s")
        rows.append(row)
    failed = {str(row["model_type"]): str(row["error_message"]) for row in rows if row["status"] == "failed"}
    if len(failed) == len(rows):
        raise PipelineError(f"no model type could be fitted: {'; '.join(f'{name}: {why}' for name, why in failed.items())}")
    warehouse.write("models/fit", pl.DataFrame(rows, schema=SCHEMA))
    return table_made(warehouse, "models/fit", failed=failed)


ASSETS = [fit]
