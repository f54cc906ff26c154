"""Assets of the stage models."""

import subprocess
from pathlib import Path

from dagster import AssetExecutionContext, MaterializeResult, asset

from pipelines.report import table_made, upstream
from pipelines.resources import Storage


@asset(
    key_prefix="models",
    group_name="models",
    kinds={"xgboost", "numpy"},
    owners=["team:forecasting"],
    deps=upstream("features/panel"),
)
def fit(context: AssetExecutionContext, storage: Storage) -> MaterializeResult:
    """Every enabled model type of models.yaml, fitted on all history; artifacts lie beside, named by run id."""
    import polars as pl

    from pipelines.features.panel import read_panel
    from pipelines.models.fits import SCHEMA, fit_one
    from pipelines.models.types import enabled

    warehouse, declared = storage.warehouse(), storage.declarations()
    panel = read_panel(warehouse)
    rows = []
    for model in enabled(declared):
        rows.append(
            fit_one(
                warehouse,
                panel,
                model,
                horizon=declared.evaluation.horizon,
                feature_sets=declared.feature_sets,
                git_sha=_revision(),
            )
        )
        context.log.info(f"fitted {model.type} on {panel.series} series x {panel.days} days")
    warehouse.write("models/fit", pl.DataFrame(rows, schema=SCHEMA))
    return table_made(warehouse, "models/fit")


def _revision() -> str | None:
    """The revision of the code, where it runs from a checkout and git is there."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git the user has
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except OSError:
        return None
    return found.stdout.strip() or None


ASSETS = [fit]
