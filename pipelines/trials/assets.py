"""Assets of the stage trials: what jobs asked for beside the graph. A run of the graph leaves them as they are."""

from typing import Any

import msgspec
from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from dagster_duckdb import DuckDBResource
from pydantic import Field

from assets_config.contract.trials import BacktestParams, PredictParams, TrainParams
from pipelines.report import answer, job_of, table_made, upstream
from pipelines.resources import Storage

GROUP: dict[str, Any] = {"key_prefix": "trials", "group_name": "trials", "owners": ["team:forecasting"]}


class TrainConfig(Config):
    """What to fit. Left empty: the runs stay as they are."""

    train: str | None = Field(default=None, description="What to fit, as JSON (contract.trials.TrainParams).")


@asset(**GROUP, kinds={"numpy", "xgboost"}, deps=upstream("features/panel"))
def trial_run(context: AssetExecutionContext, config: TrainConfig, storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Fits that train jobs asked for, the newest 200 and those that have an alias; artifacts lie beside, named by run id."""
    from pipelines.models.fits import revision
    from pipelines.trials.fits import train
    from pipelines.trials.tables import RUN, settle

    warehouse = storage.warehouse()
    if config.train is None:
        settle(warehouse, RUN)
        return table_made(warehouse, RUN)
    asked = msgspec.json.decode(config.train, type=TrainParams)
    with duckdb.get_connection() as connection:
        made = train(warehouse, storage.declarations(), asked, connection, by=job_of(context), git_sha=revision())
    return table_made(warehouse, RUN, **answer(made))


class BacktestConfig(Config):
    """What to evaluate. Left empty: the backtests stay as they are."""

    backtest: str | None = Field(default=None, description="What to evaluate, as JSON (contract.trials.BacktestParams).")


@asset(**GROUP, kinds={"numpy", "xgboost"}, deps=upstream("core/dim_store", "core/dim_product", "features/panel"))
def trial_backtest(
    context: AssetExecutionContext, config: BacktestConfig, storage: Storage, duckdb: DuckDBResource
) -> MaterializeResult:
    """Backtests that jobs asked for, the newest 200; trial_fold and trial_metric are written with it."""
    from pipelines.trials.backtests import evaluate
    from pipelines.trials.tables import BACKTEST, FOLD, METRICS, settle

    warehouse = storage.warehouse()
    if config.backtest is None:
        for key in (FOLD, METRICS, BACKTEST):
            settle(warehouse, key)
        return table_made(warehouse, BACKTEST)
    asked = msgspec.json.decode(config.backtest, type=BacktestParams)
    with duckdb.get_connection() as connection:
        found = evaluate(warehouse, storage.declarations(), asked, connection, by=job_of(context))
    return table_made(warehouse, BACKTEST, **answer(found))


@asset(**GROUP, kinds={"polars"}, deps=[trial_backtest])
def trial_fold(storage: Storage) -> MaterializeResult:
    """The dates of each fold of the backtests that jobs asked for."""
    return table_made(storage.warehouse(), "trials/trial_fold")


@asset(**GROUP, kinds={"polars"}, deps=[trial_backtest])
def trial_metric(storage: Storage) -> MaterializeResult:
    """The errors of the backtests that jobs asked for, those of the baselines on the same folds beside them."""
    return table_made(storage.warehouse(), "trials/trial_metric")


class PredictConfig(Config):
    """What to forecast. Left empty: the forecasts stay as they are."""

    predict: str | None = Field(default=None, description="What to forecast, as JSON (contract.trials.PredictParams).")


@asset(**GROUP, kinds={"numpy", "xgboost"}, deps=[*upstream("features/panel", "models/fit"), trial_run])
def trial_forecast(
    context: AssetExecutionContext, config: PredictConfig, storage: Storage, duckdb: DuckDBResource
) -> MaterializeResult:
    """Forecasts that predict jobs asked for, the newest 200, each by one run, a row a series and day."""
    from pipelines.trials.forecasts import predict
    from pipelines.trials.tables import FORECAST, settle

    warehouse = storage.warehouse()
    if config.predict is None:
        settle(warehouse, FORECAST)
        return table_made(warehouse, FORECAST)
    asked = msgspec.json.decode(config.predict, type=PredictParams)
    with duckdb.get_connection() as connection:
        made = predict(warehouse, storage.declarations(), asked, connection, by=job_of(context))
    return table_made(warehouse, FORECAST, **answer(made))


ASSETS = [trial_run, trial_backtest, trial_fold, trial_metric, trial_forecast]
