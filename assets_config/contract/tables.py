"""The published tables: one Struct a table, its fields in column order.

`publish` refuses a frame whose names, order or types differ; serving derives its SELECT lists from the same Structs.
Money is DECIMAL(18,2) in the source's currency, quantities are whole units, ratios are ratios (0.05, not 5).
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from assets_config.contract.names import BatchState, Bucket, ForecastSource, Leak, ModelRunStatus

SCHEMA_VERSION = "4"
"""Rises with every change of a published Struct that an older reader could not read."""


def column(description: str, *, unit: str = "") -> Meta:
    """What a column means. The unit is appended in brackets, since OpenAPI keeps the description only."""
    return Meta(description=f"{description} [{unit}]" if unit else description)


StoreId = Annotated[int, column("Surrogate key of a store, stable within a data root. Use it wherever store_id is asked.")]
ProductId = Annotated[int, column("Surrogate key of a product, stable within a data root. Use it wherever product_id is asked.")]
Day = Annotated[date, column("Calendar day of the sale.")]
Money = Decimal
CalendarDay = date
Entity = Literal["store", "product"]


class DimStore(Struct, frozen=True):
    """One row a store."""

    store_id: StoreId
    code: Annotated[str, column("Business code of the store, unique, for example S001.")]
    name: Annotated[str, column("Name for people; the code where the source has none.")]
    region: Annotated[str | None, column("Sales region or state.")]
    city: Annotated[str | None, column("City.")]
    store_type: Annotated[str | None, column("Format of the store, for example supermarket.")]
    size_sqft: Annotated[int | None, column("Sales floor.", unit="square feet")]
    location_tier: Annotated[str | None, column("Tier of the location, A best.")]
    median_income: Annotated[int | None, column("Median household income around the store.", unit="money/year")]
    opened_on: Annotated[date | None, column("First day of trade.")]
    closed_on: Annotated[date | None, column("Last day of trade.")]


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
    launched_on: Annotated[date | None, column("First day on sale.")]
    discontinued_on: Annotated[date | None, column("Last day on sale.")]


class HistStore(DimStore, frozen=True):
    """One row a version of a store's attributes; the versions of a store follow each other without a gap."""

    valid_from: Annotated[date | None, column("First day that these attributes held; null: since ever.")]
    valid_to: Annotated[date | None, column("Last day that they held; null: they hold now.")]


class HistProduct(DimProduct, frozen=True):
    """One row a version of a product's attributes; the versions of a product follow each other without a gap."""

    valid_from: Annotated[date | None, column("First day that these attributes held; null: since ever.")]
    valid_to: Annotated[date | None, column("Last day that they held; null: they hold now.")]


class DimCategory(Struct, frozen=True):
    """One row a category that occurs in the data."""

    category_id: Annotated[int, column("Surrogate key of the category, stable within a data root.")]
    category: Annotated[str, column("Name of the category.")]
    products: Annotated[int, column("Products of the category.")]
    first_seen: Annotated[CalendarDay | None, column("First day of sales in the category; null where it never sold.")]
    row_count: Annotated[int, column("Store-product-day records of the category.", unit="records")]


class DimProcess(Struct, frozen=True):
    """How a product is supplied: one row a product that the ERP extract knows."""

    product_id: ProductId
    supplier: Annotated[str | None, column("Supplier.")]
    process: Annotated[str | None, column("How the product is made or bought.")]
    lead_time_days: Annotated[int | None, column("From order to receipt.", unit="days")]
    moq: Annotated[int | None, column("Smallest order.", unit="units")]
    pack_size: Annotated[int | None, column("Units of a pack; orders are whole packs.", unit="units")]
    unit_cost: Annotated[Money | None, column("Purchase cost.", unit="money/unit")]


class IdMap(Struct, frozen=True):
    """Crosswalk: what a source calls a store or product, and which of ours that is."""

    source: Annotated[str, column("Entry of sources.yaml that uses the id; `api` for posted batches, `*` for every source.")]
    entity: Annotated[Entity, column("Whether it is a store or a product.")]
    external_id: Annotated[str, column("Id that the source uses.")]
    code: Annotated[str, column("Our store code or SKU.")]
    internal_id: Annotated[int | None, column("Our store_id or product_id; null where no store or product has that code.")]


class PriceHistory(Struct, frozen=True):
    """A price over an interval of days; intervals of one product and store do not overlap."""

    product_id: ProductId
    store_id: Annotated[int | None, column("Store; null: every store without a price of its own.")]
    price: Annotated[Money, column("Price.", unit="money/unit")]
    valid_from: Annotated[date, column("First day.")]
    valid_to: Annotated[date | None, column("Last day, inclusive; null: it holds now.")]


class Promotion(Struct, frozen=True):
    """A promotion over an interval of days."""

    product_id: ProductId
    store_id: Annotated[int | None, column("Store; null: every store.")]
    name: Annotated[str, column("Name of the promotion.")]
    discount_pct: Annotated[float | None, column("Share of the price that is cut.", unit="ratio")]
    discount_amount: Annotated[Money | None, column("Amount cut off the price.", unit="money/unit")]
    start_date: Annotated[date, column("First day.")]
    end_date: Annotated[date, column("Last day, inclusive.")]


class InventoryDaily(Struct, frozen=True):
    """Stock of a product in a store at the end of a day; days without a count have no row."""

    store_id: StoreId
    product_id: ProductId
    date: Annotated[date, column("Day of the count.")]
    on_hand: Annotated[int, column("Units in the store.", unit="units")]
    on_order: Annotated[int, column("Units ordered and not received.", unit="units")]
    is_stockout: Annotated[bool, column("Whether the product could not be bought on that day.")]


class DemandUnconstrained(Struct, frozen=True):
    """A day on which a product was out of stock: what was sold, and what would have been."""

    store_id: StoreId
    product_id: ProductId
    date: Annotated[date, column("Day of the stock-out.")]
    sold: Annotated[int, column("Units that were sold nevertheless.", unit="units")]
    unconstrained: Annotated[
        float, column("Mean of the last eight same weekdays in stock, from the past only; never below sold.", unit="units/day")
    ]


class WeeklyActual(Struct, frozen=True):
    """Units sold in a store in a week of a plan, as they were reported."""

    plan: Annotated[str, column("The plan's id, sent as forecast_id with the batch.")]
    store_id: StoreId
    week_number: Annotated[int, column("Week of the plan, from 1.")]
    units_sold: Annotated[int, column("Units sold in the week.", unit="units")]


class IngestBatch(Struct, frozen=True):
    """One batch of the landing zone: what it is, and what became of its rows. Lines in = loaded + rejected + merged + skipped."""

    batch_id: Annotated[str, column("32 hex digits: hash of kind, source, parameters and content.")]
    kind: Annotated[str, column("Kind of data, one of /ingest/kinds.")]
    source: Annotated[str, column("Entry of sources.yaml that says how to read it; `api` for posted batches that name none.")]
    state: Annotated[BatchState, column("received, validating, loaded, partially_loaded, rejected, replayed or retracted.")]
    file_name: Annotated[str, column("What the sender called the file.")]
    media_type: Annotated[str, column("Media type of the file.")]
    bytes: Annotated[int, column("Size of all files of the batch.", unit="bytes")]
    sha256: Annotated[str, column("SHA-256 of the first file, 64 hex digits.")]
    parameters: Annotated[str, column("What was sent beside the rows, such as forecast_id, as JSON.")]
    received_at: Annotated[datetime, column("When it came in, UTC. Of two batches with the same row the later one holds.")]
    lines: Annotated[int, column("Rows that the batch has.", unit="rows")]
    loaded: Annotated[int, column("Rows that the batch gave to the tables.", unit="rows")]
    rejected: Annotated[int, column("Rows that could not be used; see /ingest/batches/{id}/rejects.", unit="rows")]
    merged: Annotated[int, column("Rows that were added to, or replaced by, another row of the batch.", unit="rows")]
    skipped: Annotated[int, column("Rows that the mapping leaves out on purpose.", unit="rows")]
    first_date: Annotated[CalendarDay | None, column("First day that its rows speak of.")]
    last_date: Annotated[CalendarDay | None, column("Last day that its rows speak of.")]
    reasons: Annotated[str, column("Number of rejected rows a code, as JSON; or why the whole batch was rejected.")]
    duration_ms: Annotated[int, column("Time that reading and checking it took.", unit="ms")]
    dagster_run_id: Annotated[str | None, column("Run that read it; the job of that id without dashes.")]


class IngestReject(Struct, frozen=True):
    """One row that could not be used, as it came. At most the first 1,000 of a batch are published; all are in the warehouse."""

    batch_id: Annotated[str, column("The batch.")]
    row_index: Annotated[int, column("Number of the row in its file, from 0.")]
    file: Annotated[str, column("Name of the file.")]
    code: Annotated[str, column("Why, for example UNKNOWN_STORE or INVALID_TYPE; docs/sources.md has all.")]
    field: Annotated[str | None, column("Column at fault.")]
    value: Annotated[str | None, column("What stood there.")]
    record: Annotated[str, column("The whole row as JSON.")]


class IngestAudit(Struct, frozen=True):
    """One event in the life of a batch. Each line holds the hash of the one before, so that none can be altered unseen."""

    seq: Annotated[int, column("Number of the event, from 1.")]
    at: Annotated[datetime, column("When it happened, UTC.")]
    batch_id: Annotated[str, column("The batch.")]
    kind: Annotated[str, column("Kind of data.")]
    state: Annotated[BatchState, column("State that the batch is in from then on.")]
    lines: Annotated[int, column("Rows that the batch has.", unit="rows")]
    loaded: Annotated[int, column("Rows loaded.", unit="rows")]
    rejected: Annotated[int, column("Rows rejected.", unit="rows")]
    merged: Annotated[int, column("Rows merged.", unit="rows")]
    skipped: Annotated[int, column("Rows left out on purpose.", unit="rows")]
    detail: Annotated[str, column("Why, where there is more to say.")]
    dagster_run_id: Annotated[str | None, column("Run in which it happened.")]
    previous: Annotated[str, column("Hash of the event before, 64 hex digits; zeros for the first.")]
    hash: Annotated[str, column("SHA-256 over previous and this event.")]


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


class FeatureCatalog(Struct, frozen=True):
    """One feature of one feature set: a column that pooled models learn from."""

    feature_set: Annotated[str, column("Entry of features.yaml.")]
    hash: Annotated[str, column("16 hex digits that differ when the set's features do; model runs name it.")]
    about: Annotated[str, column("What the set is for.")]
    position: Annotated[int, column("Place of the column, from 0.")]
    feature: Annotated[str, column("Name of the column.")]
    feature_group: Annotated[str, column("Field of the entry that makes it, for example rolling.")]
    leak: Annotated[
        Leak, column("lagged: observed up to the origin; static: of the series; known_ahead: planned or in the calendar.")
    ]
    meaning: Annotated[str, column("What it is.")]


class FeaturePreview(Struct, frozen=True):
    """The features of one series on one of its newest target days, as a model would see them one day ahead."""

    feature_set: Annotated[str, column("Entry of features.yaml.")]
    store_id: StoreId
    product_id: ProductId
    date: Annotated[CalendarDay, column("Target day.")]
    origin: Annotated[CalendarDay, column("Last day that was known.")]
    features: Annotated[str, column("Name and value of each feature as JSON; null where it is not known.")]


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
    "dim_category": DimCategory,
    "dim_process": DimProcess,
    "hist_store": HistStore,
    "hist_product": HistProduct,
    "id_map": IdMap,
    "price_history": PriceHistory,
    "promotion": Promotion,
    "inventory_daily": InventoryDaily,
    "demand_unconstrained": DemandUnconstrained,
    "weekly_actuals": WeeklyActual,
    "ingest_batch": IngestBatch,
    "ingest_reject": IngestReject,
    "ingest_audit": IngestAudit,
    "kpi_daily": KpiDaily,
    "feature_catalog": FeatureCatalog,
    "feature_preview": FeaturePreview,
    "forecast": Forecast,
    "model_run": ModelRun,
    "backtest": Backtest,
    "backtest_fold": BacktestFold,
    "backtest_metric": BacktestMetric,
}
"""Every published table by name. Its asset is the one whose last key part is that name."""

PARTS: dict[str, tuple[str, ...]] = {
    "catalogue": (
        *("dim_store", "dim_product", "dim_calendar", "dim_category", "dim_process", "hist_store", "hist_product"),
        *("id_map", "price_history", "promotion"),
    ),
    "stock": ("inventory_daily", "demand_unconstrained"),
    "planning": ("weekly_actuals",),
    "ingest": ("ingest_batch", "ingest_reject", "ingest_audit"),
    "kpis": ("kpi_daily",),
    "features": ("feature_catalog", "feature_preview"),
    "registry": ("model_run", "backtest", "backtest_fold", "backtest_metric"),
    "forecasts": ("forecast",),
}
"""Tables that are published together: each part is one immutable folder with one `tables.duckdb`.

The rows of kpi_daily are parts of their own, `facts_<year>`, each with its cubes; the part kpis says what they span."""

FACTS_PREFIX = "facts_"

ORDER: dict[str, tuple[str, ...]] = {
    "dim_store": ("store_id",),
    "dim_product": ("product_id",),
    "dim_calendar": ("date",),
    "dim_category": ("category_id",),
    "dim_process": ("product_id",),
    "hist_store": ("store_id", "valid_from"),
    "hist_product": ("product_id", "valid_from"),
    "id_map": ("source", "entity", "external_id"),
    "price_history": ("product_id", "store_id", "valid_from"),
    "promotion": ("product_id", "store_id", "start_date"),
    "inventory_daily": ("store_id", "product_id", "date"),
    "demand_unconstrained": ("store_id", "product_id", "date"),
    "weekly_actuals": ("plan", "store_id", "week_number"),
    "ingest_batch": ("received_at", "batch_id"),
    "ingest_reject": ("batch_id", "row_index"),
    "ingest_audit": ("seq",),
    "kpi_daily": ("store_id", "product_id", "date"),
    "feature_catalog": ("feature_set", "position"),
    "feature_preview": ("feature_set", "store_id", "product_id", "date"),
    "forecast": ("store_id", "product_id", "date"),
    "model_run": ("created_at", "run_id"),
    "backtest": ("model_type", "backtest_id"),
    "backtest_fold": ("backtest_id", "fold"),
    "backtest_metric": ("backtest_id", "fold", "bucket"),
}
"""The physical order of each table, so that range filters skip what they do not need."""
