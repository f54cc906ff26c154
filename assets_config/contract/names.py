"""Closed lists of words that both sides use."""

from typing import Literal

STAGES = ("sources", "core", "features", "models", "backtests", "trials", "forecasts", "planning", "kpis", "knowledge", "publish")
"""The stages in the order in which data flows; an asset may depend on its own stage and on earlier ones only."""

JobStatus = Literal["pending", "running", "cancelling", "completed", "failed", "cancelled"]
JobOrigin = Literal["api", "ui", "cli", "schedule", "sensor"]
Role = Literal["reader", "operator", "admin"]
ModelRunStatus = Literal["pending", "running", "success", "failed", "archived"]
ForecastSource = Literal["forecast", "backtest"]
Bucket = Literal["all", "h_1_7", "h_8_14", "h_15_28", "h_29_plus"]
Level = Literal["total", "region", "store", "category", "department", "product", "series"]
SetLevel = Literal["total", "region", "store", "category", "department"]
ForecastKind = Literal["series", "season"]
Pattern = Literal["smooth", "intermittent", "erratic", "lumpy", "no_demand"]
RevenueClass = Literal["A", "B", "C"]
SteadinessClass = Literal["X", "Y", "Z"]
Stage = Literal["naive", "seasonal_naive", "best_single", "ensemble", "champion"]
DemandClass = Literal["all", "over_1", "up_to_1"]
Segment = Literal["all", "smooth", "intermittent", "erratic", "lumpy", "no_demand"]
BatchState = Literal["received", "validating", "loaded", "partially_loaded", "rejected", "replayed", "retracted"]
Unit = Literal["money", "count", "ratio"]
Span = Literal["next_day", "horizon"]
Confidence = Literal["low", "medium", "high"]
Driver = Literal[
    "usual", "recent_sales", "trend", "weekday", "season", "similar_series",
    "price", "promotion", "event", "outside", "stockouts", "other",
]  # fmt: skip

ENSEMBLE = "ensemble"
"""The one model type that is made of the others' forecasts: no job fits or evaluates it by itself."""

UNKNOWN = "(unknown)"
"""The member that stands for a missing category, department or region, so that parts add up to the whole."""

Leak = Literal["lagged", "static", "known_ahead"]
"""What a feature may know: what was observed up to the origin, the series itself, or what is planned for the target day."""
