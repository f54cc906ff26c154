"""The published tables of model runs and their backtests."""

from datetime import date, datetime
from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import column
from assets_config.contract.names import Bucket, Level, ModelRunStatus, Segment


class ModelRun(Struct, frozen=True):
    """One recorded fit. The same fit of the same data is the same run."""

    run_id: Annotated[str, column("32 hex digits: hash of type, parameters, data and artifact.")]
    model_type: Annotated[str, column("Type of the model, one of models.yaml.")]
    status: Annotated[ModelRunStatus, column("`success`, or `failed` with error_message; only `success` runs are served.")]
    config: Annotated[str, column("Parameters of the fit as JSON with sorted keys.")]
    config_hash: Annotated[str, column("First 16 hex digits of the SHA-256 of type and config.")]
    data_window_start: Annotated[date, column("First day of the training data.")]
    data_window_end: Annotated[date, column("Last day of the training data, the cutoff.")]
    dataset_id: Annotated[str, column("Hash of the core tables that the run was trained on.")]
    store_id: Annotated[int | None, column("Store of a run for one store; null for all stores.")]
    product_id: Annotated[int | None, column("Product of a run for one product; null for all products.")]
    series: Annotated[int, column("Number of series that the run can forecast.", unit="series")]
    metrics: Annotated[str, column("Backtest metrics of this type as JSON; {} where no backtest exists.")]
    runtime_info: Annotated[str, column("Versions of Python and of the libraries that made the run, as JSON.")]
    artifact_uri: Annotated[str | None, column("Path of the artifact within the snapshot's part; null for a failed run.")]
    artifact_hash: Annotated[str | None, column("SHA-256 of the artifact, 64 hex digits; null for a failed run.")]
    artifact_size_bytes: Annotated[int | None, column("Size of the artifact; null for a failed run.", unit="bytes")]
    git_sha: Annotated[str | None, column("Revision of the code, where it is known.")]
    created_at: Annotated[datetime, column("When the fit began, UTC.")]
    completed_at: Annotated[datetime, column("When the fit ended, UTC.")]
    fit_seconds: Annotated[float, column("Time that the fit took.", unit="s")]
    feature_set: Annotated[str | None, column("Name and hash of the feature set; null for types that see sales only.")]
    error_message: Annotated[str | None, column("Why the fit failed; null where it did not.")]
    is_current: Annotated[bool, column("Whether it is of the last fit: forecasts come from these runs.")]
    duplicate_of: Annotated[
        str | None, column("First run with the same config_hash, dataset_id and data window; null where there is none before.")
    ]


class Backtest(Struct, frozen=True):
    """One model type evaluated over rolling origins of one dataset."""

    backtest_id: Annotated[str, column("16 hex digits: hash of type, parameters, folds and data.")]
    model_type: Annotated[str, column("Type of the model, one of models.yaml.")]
    config: Annotated[str, column("Parameters of the model as JSON with sorted keys.")]
    strategy: Annotated[str, column("`expanding` or `sliding` training window.")]
    n_splits: Annotated[int, column("Number of folds.")]
    horizon: Annotated[int, column("Days forecast in each fold.", unit="days")]
    gap: Annotated[int, column("Days between cutoff and first scored day.", unit="days")]
    series: Annotated[int, column("Number of series that were scored.", unit="series")]
    dataset_id: Annotated[str, column("Hash of the core tables that were used.")]


class BacktestFold(Struct, frozen=True):
    """The dates of one fold. Training ends on the cutoff, nothing after it was visible."""

    backtest_id: Annotated[str, column("The backtest; read it at /backtests/{id}.")]
    fold: Annotated[int, column("0 is the oldest fold.")]
    train_start: Annotated[date, column("First training day.")]
    cutoff: Annotated[date, column("Last training day.")]
    test_start: Annotated[date, column("First scored day.")]
    test_end: Annotated[date, column("Last scored day.")]


class BacktestMetric(Struct, frozen=True):
    """Errors of one backtest, pooled over the members of one level and segment, in one fold and horizon bucket.

    Fold -1 pools all folds. Levels above `series` score the sums of forecasts. Quantiles come from the residuals of the other
    folds only. A metric that is undefined is null, and `reason` says why.
    """

    backtest_id: Annotated[str, column("The backtest; read it at /backtests/{id}.")]
    model_type: Annotated[str, column("Type of the model, one of models.yaml.")]
    fold: Annotated[int, column("0 is the oldest fold; -1 pools all folds.")]
    bucket: Annotated[Bucket, column("Horizon bucket, `all` for the whole horizon.")]
    n: Annotated[int, column("Scored points.", unit="series-days")]
    mae: Annotated[float | None, column("Mean absolute error.", unit="units/day")]
    rmse: Annotated[float | None, column("Root of the mean squared error.", unit="units/day")]
    wape: Annotated[float | None, column("Sum of absolute errors over sum of demand.", unit="ratio")]
    smape: Annotated[float | None, column("Symmetric absolute percentage error, 0 to 2.", unit="ratio")]
    mape: Annotated[float | None, column("Mean absolute percentage error where demand is not zero.", unit="ratio")]
    mape_n: Annotated[int, column("Points that mape is the mean of.", unit="series-days")]
    mase: Annotated[float | None, column("Absolute error over that of the in-sample weekly naive, mean of series.", unit="ratio")]
    rmsse: Annotated[float | None, column("Root squared error over that of the in-sample naive, mean of series.", unit="ratio")]
    bias: Annotated[float | None, column("Mean of forecast minus actual; positive is over-forecast.", unit="units/day")]
    bias_ratio: Annotated[float | None, column("Sum of forecast minus actual over sum of demand.", unit="ratio")]
    level: Annotated[Level, column("What is scored: `series` is store x product, the others are sums of it.")] = "series"
    segment: Annotated[Segment, column("Demand pattern as of the cutoff, of series only; `all` for all.")] = "all"
    wrmsse: Annotated[float | None, column("Loss of M5 over its 12 levels, of all series; mean of folds.", unit="ratio")] = None
    tracking_signal: Annotated[
        float | None, column("Sum of actual minus forecast of the daily sums over their mean error; over 4 is a lasting bias.")
    ] = None
    pinball: Annotated[float | None, column("Mean pinball loss of the published quantiles.", unit="units/day")] = None
    wql: Annotated[float | None, column("Weighted quantile loss at q10, q50 and q90.", unit="ratio")] = None
    coverage_80: Annotated[float | None, column("Share of actuals within q10 and q90.", unit="ratio")] = None
    coverage_90: Annotated[float | None, column("Share of actuals within q05 and q95.", unit="ratio")] = None
    fva_naive: Annotated[float | None, column("WAPE of naive minus this WAPE; positive is better.", unit="ratio")] = None
    fva_seasonal_naive: Annotated[float | None, column("WAPE of seasonal_naive minus this WAPE.", unit="ratio")] = None
    stability_pct: Annotated[
        str | None, column("Spread of each metric over the folds as JSON, 100 sd / |mean|, null for under two folds; of fold -1.")
    ] = None
    reason: Annotated[str | None, column("Why metrics are null, where they are.")] = None
