"""The assets of the graph by key, and those sets of them that jobs and schedules make."""

ASSETS = (
    "sources/batches",
    "core/hist_store",
    "core/hist_product",
    "core/dim_store",
    "core/dim_product",
    "core/id_map",
    "core/sales_daily",
    "core/returns_daily",
    "core/inventory_daily",
    "core/receipt",
    "core/price_history",
    "core/promotion",
    "core/lifecycle",
    "core/exogenous",
    "core/weekly_actuals",
    "core/dim_process",
    "core/dim_category",
    "core/dim_calendar",
    "core/demand_unconstrained",
    "core/seed_truth",
    "core/ingest_batch",
    "core/ingest_reject",
    "core/ingest_audit",
    "features/panel",
    "features/series_segment",
    "features/feature_catalog",
    "features/feature_preview",
    "models/fit",
    "backtests/prediction",
    "backtests/ensemble_weight",
    "backtests/backtest",
    "backtests/backtest_fold",
    "backtests/backtest_metric",
    "trials/trial_run",
    "trials/trial_backtest",
    "trials/trial_fold",
    "trials/trial_metric",
    "trials/trial_forecast",
    "forecasts/champion",
    "forecasts/ensemble",
    "forecasts/model_type",
    "forecasts/model_run",
    "forecasts/model_alias",
    "forecasts/model_run_note",
    "forecasts/forecast",
    "forecasts/forecast_explanation",
    "forecasts/model_card",
    "forecasts/forecast_level",
    "forecasts/frozen",
    "forecasts/forecast_set",
    "forecasts/forecast_set_level",
    "forecasts/forecast_accuracy",
    "forecasts/forecast_value_added",
    "forecasts/interval_coverage",
    "planning/store_feature",
    "planning/store_cluster",
    "planning/store_cluster_member",
    "planning/cluster_diagnostic",
    "planning/inventory_policy",
    "planning/stock_risk",
    "planning/replenishment_proposal",
    "planning/season_plan",
    "planning/approval_decision",
    "planning/season_forecast",
    "planning/season_store",
    "planning/season_week",
    "planning/season_buy",
    "planning/allocation",
    "planning/replenishment",
    "planning/variance_week",
    "planning/price_elasticity",
    "planning/markdown",
    "planning/approval",
    "planning/season_result",
    "planning/season_step",
    "planning/scenario",
    "planning/scenario_day",
    "planning/alert_rule",
    "planning/alert",
    "planning/notification_preference",
    "planning/notification_template",
    "planning/notification",
    "planning/notification_delivery",
    "kpis/kpi_daily",
    "kpis/cubes",
    "knowledge/document",
    "knowledge/rag_chunk",
    "knowledge/rag_source",
    "knowledge/vectors",
    "knowledge/query_table",
    "knowledge/evaluation",
    "knowledge/index",
    "publish/workspace",
    "publish/snapshot",
    "publish/amendment",
    "publish/pointer",
    "publish/export",
    "publish/backup",
)
"""Every asset that a job may select, upstream first."""

DATA_STAGES = ("sources", "core", "kpis", "publish")
"""What a job that brings data in makes again: everything but models and forecasts, which jobs of their own train."""

AMENDMENT = "publish/amendment"
"""The asset that publishes one part alone: the others stay as they are served, whatever the warehouse holds meanwhile."""

ON_REQUEST = ("publish/workspace", AMENDMENT, "publish/pointer", "publish/export", "publish/backup")
"""Assets that do nothing unless they are told to: no job that makes their stage takes them along."""

CLUSTERS = ("planning/store_feature", "planning/store_cluster", "planning/store_cluster_member", "planning/cluster_diagnostic")
DELIVERY = ("planning/notification", "planning/notification_delivery")
SEASON = ASSETS[ASSETS.index("planning/season_plan") : ASSETS.index("planning/season_step") + 1]
"""All of season plans: what follows from a command is worked out by the run that carries it out."""

KNOWN_PRICES = tuple(key for key in SEASON if key != "planning/price_elasticity")
"""The same with the elasticities that were estimated when a season was last planned: they read two years of sales."""

BY_MONTH = (
    "core/sales_daily",
    "core/returns_daily",
    "core/inventory_daily",
    "core/receipt",
    "core/exogenous",
    "core/demand_unconstrained",
    "kpis/kpi_daily",
)
"""Assets that are kept by month: a run makes those months again whose lines changed."""
