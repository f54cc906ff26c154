"""The published tables by name, what is published together, and in which order of rows.

One Struct a table, its fields in column order, in the modules beside this one. `publish` refuses a frame whose names, order or
types differ; serving derives its SELECT lists from the same Structs. Money is DECIMAL(18,2) in the source's currency,
quantities are whole units, ratios are ratios (0.05, not 5).
"""

from msgspec import Struct

from assets_config.contract.accuracy import ForecastAccuracy, ForecastValueAdded, IntervalCoverage
from assets_config.contract.alerts import Alert, AlertRule
from assets_config.contract.cards import ModelCard
from assets_config.contract.catalogue import (
    DimCalendar,
    DimCategory,
    DimProcess,
    DimProduct,
    DimStore,
    HistProduct,
    HistStore,
    IdMap,
    PriceHistory,
    Promotion,
)
from assets_config.contract.clusters import ClusterDiagnostic, StoreCluster, StoreClusterMember
from assets_config.contract.explanations import ForecastExplanation
from assets_config.contract.forecasts import Forecast
from assets_config.contract.ingest import IngestAudit, IngestBatch, IngestReject
from assets_config.contract.inventory import InventoryPolicy, ReplenishmentProposal, StockRisk
from assets_config.contract.knowledge import RagChunk, RagSource
from assets_config.contract.levels import ForecastLevel
from assets_config.contract.model_types import ModelType
from assets_config.contract.notifications import (
    Notification,
    NotificationDelivery,
    NotificationPreference,
    NotificationTemplate,
)
from assets_config.contract.registry import Backtest, BacktestFold, BacktestMetric, ModelRun
from assets_config.contract.sales import FeatureCatalog, FeaturePreview, KpiDaily, SeriesSegment
from assets_config.contract.scenarios import Scenario, ScenarioDay
from assets_config.contract.season import (
    Allocation,
    Approval,
    Markdown,
    PriceElasticity,
    Replenishment,
    SeasonBuy,
    SeasonForecast,
    SeasonPlan,
    SeasonResult,
    SeasonStep,
    SeasonStore,
    SeasonWeek,
    VarianceWeek,
)
from assets_config.contract.sets import ForecastSet, ForecastSetLevel
from assets_config.contract.state import ModelAlias, ModelRunNote
from assets_config.contract.stock import DemandUnconstrained, InventoryDaily, WeeklyActual
from assets_config.contract.trials import TrialBacktest, TrialFold, TrialForecast, TrialMetric, TrialRun
from assets_config.contract.workspaces import Workspace

SCHEMA_VERSION = "4"
"""Rises with every change of a published Struct that an older reader could not read."""

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
    "series_segment": SeriesSegment,
    "feature_catalog": FeatureCatalog,
    "feature_preview": FeaturePreview,
    "forecast": Forecast,
    "forecast_explanation": ForecastExplanation,
    "model_type": ModelType,
    "forecast_level": ForecastLevel,
    "forecast_set": ForecastSet,
    "forecast_set_level": ForecastSetLevel,
    "forecast_accuracy": ForecastAccuracy,
    "forecast_value_added": ForecastValueAdded,
    "interval_coverage": IntervalCoverage,
    "model_run": ModelRun,
    "model_alias": ModelAlias,
    "model_run_note": ModelRunNote,
    "model_card": ModelCard,
    "backtest": Backtest,
    "backtest_fold": BacktestFold,
    "backtest_metric": BacktestMetric,
    "rag_source": RagSource,
    "rag_chunk": RagChunk,
    "store_cluster": StoreCluster,
    "store_cluster_member": StoreClusterMember,
    "cluster_diagnostic": ClusterDiagnostic,
    "inventory_policy": InventoryPolicy,
    "stock_risk": StockRisk,
    "replenishment_proposal": ReplenishmentProposal,
    "alert_rule": AlertRule,
    "alert": Alert,
    "notification_preference": NotificationPreference,
    "notification_template": NotificationTemplate,
    "notification": Notification,
    "notification_delivery": NotificationDelivery,
    "trial_run": TrialRun,
    "trial_backtest": TrialBacktest,
    "trial_fold": TrialFold,
    "trial_metric": TrialMetric,
    "trial_forecast": TrialForecast,
    "season_plan": SeasonPlan,
    "season_forecast": SeasonForecast,
    "season_week": SeasonWeek,
    "season_store": SeasonStore,
    "season_buy": SeasonBuy,
    "allocation": Allocation,
    "replenishment": Replenishment,
    "variance_week": VarianceWeek,
    "markdown": Markdown,
    "approval": Approval,
    "season_result": SeasonResult,
    "season_step": SeasonStep,
    "price_elasticity": PriceElasticity,
    "scenario": Scenario,
    "scenario_day": ScenarioDay,
    "workspace": Workspace,
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
    "segments": ("series_segment",),
    "features": ("feature_catalog", "feature_preview"),
    "registry": ("model_run", "backtest", "backtest_fold", "backtest_metric", "model_type"),
    "forecasts": ("forecast",),
    "explanations": ("forecast_explanation",),
    "cards": ("model_card",),
    "state": (
        *("model_alias", "model_run_note", "alert_rule", "notification_preference", "notification_template"),
        *("season_plan", "scenario", "scenario_day"),
        "workspace",
    ),
    "season": (
        *("season_forecast", "season_week", "season_store", "season_buy", "allocation", "replenishment"),
        *("variance_week", "markdown", "approval", "season_result", "season_step"),
    ),
    "prices": ("price_elasticity",),
    "levels": ("forecast_level",),
    "sets": ("forecast_set", "forecast_set_level"),
    "accuracy": ("forecast_accuracy", "forecast_value_added", "interval_coverage"),
    "knowledge": ("rag_source", "rag_chunk"),
    "clusters": ("store_cluster", "store_cluster_member", "cluster_diagnostic"),
    "inventory": ("inventory_policy", "stock_risk", "replenishment_proposal"),
    "alerts": ("alert",),
    "notifications": ("notification", "notification_delivery"),
    "trials": ("trial_run", "trial_backtest", "trial_fold", "trial_metric", "trial_forecast"),
}
"""Tables that are published together: each part is one immutable folder with one `tables.duckdb`.

The rows of kpi_daily are parts of their own, `facts_<year>`, each with its cubes; the part kpis says what they span."""

FACTS_PREFIX = "facts_"

STATE = "state"
"""The part of what people decided. It belongs to no source, and a table that nothing was decided in may be missing."""

TRIALS = "trials"
"""The part of what jobs tried beside the graph: a table that nothing was tried of may be missing."""

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
    "series_segment": ("store_id", "product_id"),
    "feature_catalog": ("feature_set", "position"),
    "feature_preview": ("feature_set", "store_id", "product_id", "date"),
    "forecast": ("store_id", "product_id", "date"),
    "forecast_explanation": ("product_id", "store_id", "span"),
    "model_type": ("position",),
    "forecast_level": ("level", "member", "date"),
    "forecast_set": ("made_at", "set_id"),
    "forecast_set_level": ("set_id", "level", "member", "date"),
    "forecast_accuracy": ("level", "bucket", "model_type", "segment"),
    "forecast_value_added": ("segment", "position"),
    "interval_coverage": ("level", "bucket", "segment", "demand"),
    "model_run": ("created_at", "run_id"),
    "model_alias": ("name",),
    "model_run_note": ("run_id",),
    "model_card": ("model_type", "run_id"),
    "backtest": ("model_type", "backtest_id"),
    "backtest_fold": ("backtest_id", "fold"),
    "backtest_metric": ("backtest_id", "level", "segment", "fold", "bucket"),
    "rag_source": ("path", "source_id"),
    "rag_chunk": ("position",),
    "store_cluster": ("cluster_id",),
    "store_cluster_member": ("store_id",),
    "cluster_diagnostic": ("k",),
    "inventory_policy": ("store_id", "product_id"),
    "stock_risk": ("store_id", "product_id"),
    "replenishment_proposal": ("store_id", "product_id"),
    "alert_rule": ("rule",),
    "alert": ("opened_at", "alert_id"),
    "notification_preference": ("user",),
    "notification_template": ("event",),
    "notification": ("created_at", "notification_id"),
    "notification_delivery": ("notification_id", "attempt"),
    "trial_run": ("created_at", "run_id"),
    "trial_backtest": ("made_at", "backtest_id"),
    "trial_fold": ("backtest_id", "fold"),
    "trial_metric": ("backtest_id", "model_type", "level", "segment", "fold", "bucket"),
    "trial_forecast": ("made_at", "forecast_id", "store_id", "product_id", "date"),
    "season_plan": ("plan_id", "version"),
    "season_forecast": ("plan_id", "version"),
    "season_week": ("plan_id", "version", "week"),
    "season_store": ("plan_id", "store_id"),
    "season_buy": ("plan_id",),
    "allocation": ("plan_id", "store_id"),
    "replenishment": ("plan_id", "week", "store_id"),
    "variance_week": ("plan_id", "week"),
    "markdown": ("plan_id", "cut"),
    "approval": ("opened_at", "approval_id"),
    "season_result": ("plan_id", "policy"),
    "season_step": ("plan_id", "step_index"),
    "price_elasticity": ("level", "member"),
    "scenario": ("created_at", "scenario_id"),
    "scenario_day": ("scenario_id", "date"),
    "workspace": ("created_at", "workspace_id"),
}
"""The physical order of each table, so that range filters skip what they do not need."""
