"""The published tables: one Struct a table, its fields in column order.

`publish` refuses a frame whose names, order or types differ; serving derives its SELECT lists from the same Structs.
Money is DECIMAL(18,2) in the source's currency, quantities are whole units, ratios are ratios (0.05, not 5).
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from assets_config.contract.names import Bucket, ForecastSource, ModelRunStatus

SCHEMA_VERSION = "1"
"""Rises with every change of a published Struct that an older reader could not read."""


def column(description: str, *, unit: str = "") -> Meta:
    """What a column means. The unit is appended in brackets, since OpenAPI keeps the description only."""
    return Meta(description=f"{description} [{unit}]" if unit else description)


StoreId = Annotated[int, column("Surrogate key of a store, stable within a data root. Use it wherever store_id is asked.")]
ProductId = Annotated[int, column("Surrogate key of a product, stable within a data root. Use it wherever product_id is asked.")]
Day = Annotated[date, column("Calendar day of the sale.")]
Money = Decimal
CalendarDay = date


class DimStore(Struct, frozen=True):
    """One row a store."""

    store_id: StoreId
    code: Annotated[str, column("Business code of the store, unique, for example S001.")]
    name: Annotated[str, column("Name for people; the code where the source has none.")]
    region: Annotated[str | None, column("Sales region or state.")]
    city: Annotated[str | None, column("City.")]
    store_type: Annotated[str | None, column("Format of the store, for example supermarket.")]


class DimProduct(Struct, frozen=True):
    """One row a product."""

    product_id: ProductId
    sku: Annotated[str, column("Stock-keeping unit, unique.")]
    name: Annotated[str, column("Name for people; the SKU where the source has none.")]
    category: Annotated[str | None, column("Category, the upper level of the product hierarchy.")]
    department: Annotated[str | None, column("Department, between category and product.")]
    brand: Annotated[str | None, column("Brand.")]
    base_price: Annotated[Money | None, column("List price.", unit="money/unit")]
    base_cost: Annotated[Money | None, column("Purchase cost.", unit="money/unit")]


class DimCalendar(Struct, frozen=True):
    """One row a day, from the first day of sales to 90 days after the last."""

    date: Annotated[date, column("Calendar day.")]
    day_of_week: Annotated[int, column("0 is Monday, 6 is Sunday.")]
    month: Annotated[int, column("1 to 12.")]
    quarter: Annotated[int, column("1 to 4.")]
    year: Annotated[int, column("Calendar year.")]
    is_holiday: Annotated[bool, column("Whether the source's calendar names a holiday or event.")]
    holiday_name: Annotated[str | None, column("Name of the holiday or event.")]


class KpiDaily(Struct, frozen=True):
    """The additive measures of one store, product and day: the grain that every KPI is summed from."""

    store_id: StoreId
    product_id: ProductId
    date: Day
    revenue: Annotated[Money, column("Sum of total_amount.", unit="money")]
    units: Annotated[int, column("Sum of quantity.", unit="units")]
    transactions: Annotated[int, column("Number of store-product-day records (not baskets).", unit="records")]


class Forecast(Struct, frozen=True):
    """One forecast day of one series, by the champion of that series.

    Rows with source `forecast` lie after the last day of sales; rows with source `backtest` are what the same model
    type had forecast for past days from data up to `cutoff` only.
    """

    store_id: StoreId
    product_id: ProductId
    date: Annotated[date, column("Day that the forecast is for.")]
    source: Annotated[ForecastSource, column("`forecast`: a future day; `backtest`: a past day, forecast as of cutoff.")]
    step: Annotated[int, column("Days after the cutoff, from 1.", unit="days")]
    cutoff: Annotated[CalendarDay, column("Last day that the model was allowed to see.")]
    yhat: Annotated[float, column("Expected demand.", unit="units/day")]
    q10: Annotated[float, column("Demand is below this in 10 % of cases.", unit="units/day")]
    q50: Annotated[float, column("Median demand.", unit="units/day")]
    q90: Annotated[float, column("Demand is below this in 90 % of cases.", unit="units/day")]
    y: Annotated[float | None, column("Observed demand; null where it is not known yet.", unit="units/day")]
    model_type: Annotated[str, column("Type of the champion, one of models.yaml.")]
    model_version: Annotated[str, column("run_id of the champion's model run; read it at /registry/runs/{run_id}.")]


class ModelRun(Struct, frozen=True):
    """One recorded fit. The same fit of the same data is the same run."""

    run_id: Annotated[str, column("32 hex digits: hash of type, parameters, data and artifact.")]
    model_type: Annotated[str, column("Type of the model, one of models.yaml.")]
    status: Annotated[ModelRunStatus, column("State of the run; only `success` runs are served.")]
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
    artifact_uri: Annotated[str, column("Path of the artifact within the snapshot's part.")]
    artifact_hash: Annotated[str, column("SHA-256 of the artifact, 64 hex digits.")]
    artifact_size_bytes: Annotated[int, column("Size of the artifact.", unit="bytes")]
    git_sha: Annotated[str | None, column("Revision of the code, where it is known.")]
    created_at: Annotated[datetime, column("When the fit began, UTC.")]
    completed_at: Annotated[datetime, column("When the fit ended, UTC.")]


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
    """Errors of one backtest, pooled over the series of one fold and horizon bucket.

    Fold -1 pools all folds. A metric that is undefined (no demand to divide by) is null.
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


TABLES: dict[str, type[Struct]] = {
    "dim_store": DimStore,
    "dim_product": DimProduct,
    "dim_calendar": DimCalendar,
    "kpi_daily": KpiDaily,
    "forecast": Forecast,
    "model_run": ModelRun,
    "backtest": Backtest,
    "backtest_fold": BacktestFold,
    "backtest_metric": BacktestMetric,
}
"""Every published table by name. Its asset is the one whose last key part is that name."""

PARTS: dict[str, tuple[str, ...]] = {
    "catalogue": ("dim_store", "dim_product", "dim_calendar"),
    "kpis": ("kpi_daily",),
    "registry": ("model_run", "backtest", "backtest_fold", "backtest_metric"),
    "forecasts": ("forecast",),
}
"""Tables that are published together: each part is one immutable folder with one `tables.duckdb`."""

ORDER: dict[str, tuple[str, ...]] = {
    "dim_store": ("store_id",),
    "dim_product": ("product_id",),
    "dim_calendar": ("date",),
    "kpi_daily": ("store_id", "product_id", "date"),
    "forecast": ("store_id", "product_id", "date"),
    "model_run": ("created_at", "run_id"),
    "backtest": ("model_type", "backtest_id"),
    "backtest_fold": ("backtest_id", "fold"),
    "backtest_metric": ("backtest_id", "fold", "bucket"),
}
"""The physical order of each table, so that range filters skip what they do not need."""
