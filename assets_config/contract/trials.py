"""What a program may try beside the graph: a fit, a backtest or a forecast of its own, for some series or all.

The tables in which trials are published, what a job is told, and what it answers with. A trial changes nothing of what the graph
makes: no champion, no forecast of a series, no leaderboard.
"""

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from assets_config.contract.columns import CalendarDay, ProductId, StoreId, column
from assets_config.contract.registry import Backtest, BacktestFold, BacktestMetric, ModelRun

RunName = Annotated[  # `$` alone would let a line end through
    str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}(?!\n)$", description="A model run of /registry/runs, or an alias of one.")
]
Entity = Annotated[int, Meta(ge=1)] | Annotated[str, Meta(min_length=1, max_length=50)]
Value = int | float | str | bool
PublishedAs = Annotated[str | None, Meta(description="The snapshot that has it; pin reads to it with ?snapshot=.")]


class TrialRun(ModelRun, frozen=True):
    """One fit that a train job made."""

    horizon: Annotated[int, column("Days ahead that it was fitted for, the most it can forecast.", unit="days")]
    observations: Annotated[int, column("Days with a known demand that it was fitted on, of all series.", unit="series-days")]
    made_by: Annotated[str, column("Job that made it; read it at /jobs/{job_id}.")]


class TrialBacktest(Backtest, frozen=True):
    """One model type evaluated by a backtest job, on its own folds of its own series."""

    store_id: Annotated[int | None, column("Store that it was evaluated on; null for all.")]
    product_id: Annotated[int | None, column("Product that it was evaluated on; null for all.")]
    data_window_start: Annotated[date, column("First day that it saw.")]
    data_window_end: Annotated[date, column("Last day that it was scored on.")]
    min_train_size: Annotated[int, column("Fewest days of training.", unit="days")]
    made_at: Annotated[datetime, column("When it was made, UTC.")]
    made_by: Annotated[str, column("Job that made it; read it at /jobs/{job_id}.")]


class TrialFold(BacktestFold, frozen=True):
    """The dates of one fold of a backtest job."""


class TrialMetric(BacktestMetric, frozen=True):
    """Errors of a backtest job's model type and of the baselines on the same folds, which have its backtest_id too."""


class TrialForecast(Struct, frozen=True):
    """One day that a predict job forecast of one series."""

    forecast_id: Annotated[str, column("16 hex digits: hash of run, series and horizon.")]
    run_id: Annotated[str, column("Model run that forecast it.")]
    store_id: StoreId
    product_id: ProductId
    date: Annotated[date, column("Day that the forecast is for.")]
    step: Annotated[int, column("Days after the cutoff, from 1.", unit="days")]
    cutoff: Annotated[CalendarDay, column("Last day that the model was allowed to see.")]
    yhat: Annotated[float, column("Expected demand.", unit="units/day")]
    q10: Annotated[float | None, column("Demand is below this in 10 % of cases; null without past folds.", unit="units/day")]
    q50: Annotated[float | None, column("Median demand; null without past folds.", unit="units/day")]
    q90: Annotated[float | None, column("Demand is below this in 90 % of cases; null without past folds.", unit="units/day")]
    made_at: Annotated[datetime, column("When it was made, UTC.")]
    made_by: Annotated[str, column("Job that made it; read it at /jobs/{job_id}.")]


class OfSeries(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which series a trial is of, on which days, with which model."""

    model_type: Annotated[str, Meta(max_length=50, description="One of /registry/model-types, enabled or not.")] = "naive"
    store_id: Annotated[Entity | None, Meta(description="Only this store: id or code. Null: all stores.")] = None
    product_id: Annotated[Entity | None, Meta(description="Only this product: id or SKU. Null: all products.")] = None
    start_date: Annotated[date | None, Meta(description="First day to learn from; null: the first there is.")] = None
    end_date: Annotated[date | None, Meta(description="Last day to see; null: the last there is.")] = None
    season_length: Annotated[
        Annotated[int, Meta(ge=1, le=365)] | None, Meta(description="Of seasonal_naive, in days; 7 where not given.")
    ] = None
    window_size: Annotated[
        Annotated[int, Meta(ge=1, le=90)] | None, Meta(description="Of moving_average, in days; 7 where not given.")
    ] = None
    params: Annotated[
        dict[str, Value],
        Meta(description="Other parameters of the type; what is not given is as models.yaml has it.", max_length=30),
    ] = {}


NAMED = {"season_length": ("seasonal_naive", 7), "window_size": ("moving_average", 7)}
"""The fields above that are a parameter of one type: of which, and what it is where nothing is given."""


class TrainParams(OfSeries, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fit one model type, for one series, a store, a product or all, as a run of the registry."""

    horizon: Annotated[int, Meta(ge=1, le=90, description="Most days ahead that it will be asked for.")] = 28


class BacktestParams(OfSeries, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Evaluate one model type over rolling origins, beside naive and seasonal_naive on the same folds."""

    n_splits: Annotated[int, Meta(ge=2, le=20, description="Number of folds; fewer where the days do not suffice.")] = 5
    test_size: Annotated[int, Meta(ge=1, le=90, description="Days forecast in each fold.")] = 14
    gap: Annotated[int, Meta(ge=0, le=30, description="Days between cutoff and first scored day; less than test_size.")] = 0
    strategy: Annotated[Literal["expanding", "sliding"], Meta(description="Training window.")] = "expanding"
    min_train_size: Annotated[int, Meta(ge=7, le=3650, description="Fewest days of training; its length where sliding.")] = 30


class PredictParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forecast the days after the last that a model run saw."""

    run_id: RunName
    horizon: Annotated[int, Meta(ge=1, le=90, description="Days ahead.")] = 14
    store_id: Annotated[Entity | None, Meta(description="Only this store of the run: id or code.")] = None
    product_id: Annotated[Entity | None, Meta(description="Only this product of the run: id or SKU.")] = None


class TrainResult(Struct, frozen=True, omit_defaults=True):
    """What a train job made."""

    run_id: Annotated[str, Meta(description="The model run; read it at /registry/runs/{run_id}, forecast with a predict job.")]
    model_type: Annotated[str, Meta(description="Type that was fitted.")]
    config: Annotated[dict[str, Value], Meta(description="Its parameters.")]
    config_hash: Annotated[str, Meta(description="First 16 hex digits of the SHA-256 of type and config.")]
    series: Annotated[int, Meta(description="Series that it can forecast. [series]")]
    n_observations: Annotated[int, Meta(description="Days with a known demand that it was fitted on. [series-days]")]
    data_window_start: Annotated[date, Meta(description="First day that it saw.")]
    data_window_end: Annotated[date, Meta(description="Last day that it saw.")]
    artifact_hash: Annotated[str, Meta(description="SHA-256 of the artifact.")]
    duration_ms: Annotated[int, Meta(description="Time that the fit took. [ms]")]
    snapshot_id: PublishedAs = None


class BacktestResult(Struct, frozen=True, omit_defaults=True):
    """What a backtest job found."""

    backtest_id: Annotated[str, Meta(description="Read it at /backtests/{backtest_id}, its folds below that.")]
    model_type: Annotated[str, Meta(description="Type that was evaluated.")]
    n_splits: Annotated[int, Meta(description="Folds that there were.")]
    series: Annotated[int, Meta(description="Series that were scored. [series]")]
    aggregated_metrics: Annotated[dict[str, float | None], Meta(description="Errors pooled over all folds: ratios, not percent.")]
    baseline_wape: Annotated[dict[str, float | None], Meta(description="WAPE of each baseline on the same folds. [ratio]")]
    duration_ms: Annotated[int, Meta(description="Time that it took. [ms]")]
    snapshot_id: PublishedAs = None


class PredictedDay(Struct, frozen=True):
    """The sum over all series of one day."""

    date: Annotated[date, Meta(description="Day that the forecast is for.")]
    forecast: Annotated[float, Meta(description="Expected demand. [units/day]")]


class PredictResult(Struct, frozen=True, omit_defaults=True):
    """What a predict job forecast."""

    forecast_id: Annotated[str, Meta(description="Read its days, a series each, at /registry/runs/{run_id}/forecasts.")]
    run_id: Annotated[str, Meta(description="The model run that forecast.")]
    series: Annotated[int, Meta(description="Series that were forecast. [series]")]
    horizon: Annotated[int, Meta(description="Days ahead. [days]")]
    cutoff: Annotated[date, Meta(description="Last day that the model saw.")]
    units: Annotated[float, Meta(description="Expected demand of all series over all days. [units]")]
    forecasts: Annotated[list[PredictedDay], Meta(description="The days, summed over the series.")]
    snapshot_id: PublishedAs = None
