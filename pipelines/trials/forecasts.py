"""A forecast that was asked for: the days after the last that a run saw, as rows of trials/trial_forecast."""

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import msgspec
import numpy as np
import polars as pl

from assets_config.contract.trials import PredictedDay, PredictParams, PredictResult
from assets_config.declared import Declarations, Evaluation, Model
from pipelines.backtests.folds import folds
from pipelines.backtests.intervals import LEVELS, quantiles
from pipelines.backtests.runs import predict_fold
from pipelines.errors import PipelineError
from pipelines.features.panel import Panel
from pipelines.features.patterns import patterns
from pipelines.models.fits import read_artifact
from pipelines.models.types import module_of
from pipelines.trials.tables import FORECAST, RUN, add, adding, rows
from pipelines.trials.window import cut, ids, panel_of_now
from pipelines.warehouse import Warehouse

PAST_FOLDS = 3
FEWEST_DAYS = 56
"""Days of training that a fold has whose errors tell the quantiles."""


class Source(msgspec.Struct, frozen=True):
    """A run that can forecast: what is recorded of it, and the stage that has its artifact."""

    row: dict[str, Any]
    stage: str

    @property
    def model(self) -> Model:
        said = self.row["feature_set"]
        return Model(self.row["model_type"], json.loads(self.row["config"]), feature_set=said.split("/")[0] if said else None)


def predict(
    warehouse: Warehouse, declarations: Declarations, asked: PredictParams, connection: duckdb.DuckDBPyConnection, *, by: str
) -> PredictResult:
    """Forecast with a run of a train job or of the last fit of the graph, and add the days; the same again replaces them.

    Quantiles come from the errors of the same model on past folds of the run's own days; null where these hold no fold.
    Takes    `by`: the job that is told as the one who made it.
    Raises   PipelineError, naming the run: not there, made for fewer days, of other series or data, or without its artifact.
    """
    source = run_of(warehouse, asked.run_id)
    run = source.row
    if asked.horizon > run["horizon"]:
        raise PipelineError(
            f"run {run['run_id']} was fitted for {run['horizon']} days ahead, not for {asked.horizon}: train it again"
        )
    store_id, product_id = ids(warehouse, asked.store_id, asked.product_id)
    panel = _seen(warehouse, source, connection)
    artifact = read_artifact(warehouse, run["run_id"], run["artifact_uri"], run["artifact_hash"], stage=source.stage)
    yhat = np.asarray(module_of(source.model).predict(artifact, panel, horizon=asked.horizon), dtype=np.float64)
    chosen = np.ones(panel.series, dtype=bool)
    for wanted, of_series in ((store_id, panel.store_id), (product_id, panel.product_id)):
        if wanted is not None:
            chosen &= of_series == wanted
    if not chosen.any():
        raise PipelineError(f"run {run['run_id']} has no series of store {store_id or 'any'} and product {product_id or 'any'}")
    levels = past_quantiles(panel, source.model, yhat, declarations)
    cutoff = panel.day(panel.days - 1)
    identity = hashlib.sha256(json.dumps([run["run_id"], store_id, product_id, asked.horizon]).encode()).hexdigest()[:16]
    frame = day_frame(panel, yhat, levels, np.flatnonzero(chosen)).with_columns(
        pl.lit(identity).alias("forecast_id"),
        pl.lit(run["run_id"]).alias("run_id"),
        pl.lit(cutoff).alias("cutoff"),
        pl.lit(datetime.now(UTC).replace(tzinfo=None), dtype=pl.Datetime("us")).alias("made_at"),
        pl.lit(by).alias("made_by"),
    )
    with adding(warehouse):
        add(warehouse, FORECAST, frame, by="forecast_id")
    total = yhat[chosen].sum(axis=0)
    return PredictResult(
        forecast_id=identity,
        run_id=run["run_id"],
        series=int(chosen.sum()),
        horizon=asked.horizon,
        cutoff=cutoff,
        units=round(float(total.sum()), 6),
        forecasts=[PredictedDay(panel.day(panel.days + n), round(float(value), 6)) for n, value in enumerate(total)],
    )


def run_of(warehouse: Warehouse, run_id: str) -> Source:
    """A run of a train job, or one of the last fit of the graph. Raises PipelineError, naming it, when it can not forecast."""
    for stage, runs in (("trials", rows(warehouse, RUN)), ("models", _fits(warehouse))):
        for row in runs.filter(run_id=run_id, status="success").iter_rows(named=True):
            return Source(row, stage)
    raise PipelineError(f"run {run_id} is neither of a train job nor of the last fit, or failed: train it again")


def past_quantiles(panel: Panel, model: Model, yhat: np.ndarray, declarations: Declarations) -> np.ndarray | None:
    """The quantiles LEVELS of each forecast, from the errors of the model on past folds. float64 [S, H, 7], None without any."""
    horizon = yhat.shape[1]
    evaluation = Evaluation(horizon=horizon, n_splits=PAST_FOLDS, min_train_size=FEWEST_DAYS)
    windows = folds(panel.days, evaluation)
    if not windows:
        return None
    past = np.stack([predict_fold(panel, model, fold, evaluation, declarations.feature_sets) for fold in windows])
    y = np.stack([panel.y[:, fold.test_start : fold.test_end] for fold in windows])
    known, steps = ~np.isnan(y), np.arange(1, horizon + 1)
    if not known.any():
        return None
    kinds = np.stack([patterns(panel.until(fold.train_end)).kind for fold in windows])
    found = quantiles(
        yhat.ravel(),
        np.broadcast_to(steps, yhat.shape).ravel(),
        past[known],
        np.broadcast_to(steps, past.shape)[known],
        y[known],
        kind=np.repeat(patterns(panel).kind, horizon),
        past_kind=np.broadcast_to(kinds[:, :, None], past.shape)[known],
    )
    return found.reshape(*yhat.shape, len(LEVELS))


def day_frame(panel: Panel, yhat: np.ndarray, levels: np.ndarray | None, chosen: np.ndarray) -> pl.DataFrame:
    """One row a chosen series and day: store_id, product_id, date, step, yhat, q10, q50, q90."""
    horizon = yhat.shape[1]
    dates: list[date] = [panel.day(panel.days + n) for n in range(horizon)]
    named = {
        f"q{round(100 * level)}": None if levels is None else levels[chosen, :, LEVELS.index(level)].ravel()
        for level in (0.1, 0.5, 0.9)
    }
    return pl.DataFrame(
        {
            "store_id": np.repeat(panel.store_id[chosen], horizon),
            "product_id": np.repeat(panel.product_id[chosen], horizon),
            "date": dates * len(chosen),
            "step": list(range(1, horizon + 1)) * len(chosen),
            "yhat": yhat[chosen].ravel(),
            **named,
        },
        schema_overrides={"store_id": pl.Int64, "product_id": pl.Int64, "step": pl.Int64, **dict.fromkeys(named, pl.Float64)},
    )


def _seen(warehouse: Warehouse, source: Source, connection: duckdb.DuckDBPyConnection) -> Panel:
    """The panel as a run saw it. Raises PipelineError, when the data are others and its series may be too."""
    run = source.row
    store_id, product_id = run.get("store_id"), run.get("product_id")
    is_one = store_id is not None and product_id is not None
    if not is_one and run["dataset_id"] != warehouse.dataset_id():
        raise PipelineError(f"run {run['run_id']} was trained on other data than are loaded now: train it again")
    panel = cut(panel_of_now(warehouse, connection), store_id, product_id, run["data_window_start"], run["data_window_end"])
    if panel.series != run["series"]:
        raise PipelineError(f"run {run['run_id']} knows {run['series']} series, there are {panel.series} now: train it again")
    return panel


def _fits(warehouse: Warehouse) -> pl.DataFrame:
    key = "models/fit"
    found = warehouse.previous(key)
    return pl.DataFrame(schema={"run_id": pl.String, "status": pl.String}) if found is None else found
