"""A fit that was asked for: its artifact, its row of trials/trial_run, and what its job answers."""

import time
from datetime import UTC, datetime

import duckdb
import msgspec

from assets_config.contract.names import ENSEMBLE
from assets_config.contract.trials import TrainParams, TrainResult
from assets_config.declared import Declarations
from pipelines.errors import PipelineError
from pipelines.models.fits import keep
from pipelines.models.types import feature_set_of, fit, module_of
from pipelines.trials.asked import asked_model
from pipelines.trials.tables import RUN, add, adding, drop_artifacts, named_runs
from pipelines.trials.window import cut, ids, observations, panel_of_now
from pipelines.warehouse import Warehouse


def train(
    warehouse: Warehouse,
    declarations: Declarations,
    asked: TrainParams,
    connection: duckdb.DuckDBPyConnection,
    *,
    by: str,
    git_sha: str | None,
) -> TrainResult:
    """Fit, keep the artifact and add the run; the same fit of the same data is the same run.

    Takes    `by`: the job that is told as the one who made it.
    Raises   PipelineError or DeclarationError for what there is not; ValueError of a type that has too few days.
    """
    if asked.model_type == ENSEMBLE:
        raise PipelineError("the ensemble has no fit of its own: its weights come from backtests of the graph")
    began, created = time.perf_counter(), datetime.now(UTC).replace(tzinfo=None)
    model = asked_model(declarations, asked)
    store_id, product_id = ids(warehouse, asked.store_id, asked.product_id)
    panel = cut(panel_of_now(warehouse, connection), store_id, product_id, asked.start_date, asked.end_date)
    artifact = fit(model, panel, horizon=asked.horizon, feature_sets=declarations.feature_sets)
    feature_set = feature_set_of(model, declarations.feature_sets)
    with adding(warehouse):
        row = keep(
            warehouse,
            panel,
            model,
            artifact,
            suffix=module_of(model).SUFFIX,
            horizon=asked.horizon,
            git_sha=git_sha,
            created=created,
            stage="trials",
            scope=(store_id, product_id, panel.first_day, panel.days),
        )
        row |= {
            "store_id": store_id,
            "product_id": product_id,
            "metrics": "{}",
            "feature_set": None if feature_set is None else f"{feature_set.name}/{feature_set.hash}",
            "is_current": False,
            "duplicate_of": None,
            "observations": observations(panel),
            "made_by": by,
        }
        add(warehouse, RUN, [row], by="run_id", kept=named_runs(warehouse))
        drop_artifacts(warehouse)
    told = {name: row[name] for name in ("run_id", "model_type", "config_hash", "series", "artifact_hash")}
    return msgspec.convert(
        {
            **told,
            "config": model.params,
            "n_observations": row["observations"],
            "data_window_start": row["data_window_start"],
            "data_window_end": row["data_window_end"],
            "duration_ms": round(1000 * (time.perf_counter() - began)),
        },
        TrainResult,
    )
