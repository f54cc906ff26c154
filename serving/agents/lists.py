"""Lists and single things in words: the members that matter, the first entries, and how many there are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KEY_FIGURES = ("total_revenue", "total_units", "total_transactions", "avg_unit_price", "avg_basket_value")
NOT_FILTERS = frozenset(
    (
        *("start_date", "end_date", "start", "end", "compare", "granularity", "dimension", "order_by", "sort_order", "sort_by"),
        *("max_items", "page_size"),
    )
)

SHOWN: dict[str, Sequence[str]] = {
    "list_stores": ("code", "name", "region"),
    "list_products": ("sku", "name", "category"),
    "list_categories": ("category_name", "products"),
    "list_store_clusters": ("cluster_name", "store_count"),
    "list_standings": ("rank", "model_type", "wape", "added_to_naive"),
    "list_model_types": ("model_type", "enabled"),
    "list_model_runs": ("run_id", "model_type", "status"),
    "list_aliases": ("name", "run_id", "model_type"),
    "list_backtests": ("backtest_id", "model_type", "n_splits", "horizon"),
    "list_alerts": ("severity", "title", "alert_id"),
    "list_stock_risks": ("code", "sku", "state", "on_hand", "stockout_risk", "shortage_units", "overstock_units"),
    "list_stock_status": ("code", "sku", "on_hand", "days_of_cover"),
    "list_replenishment_proposals": ("code", "sku", "quantity", "cost", "why"),
    "list_workflows": ("workflow_id", "name", "status"),
    "list_approvals": ("approval_id", "kind", "reason"),
    "list_scenarios": ("scenario_id", "name", "method"),
    "list_forecast_sets": ("set_id", "kind", "start_date", "end_date", "units"),
    "list_forecast_value_added": ("stage", "wape", "fva"),
    "list_interval_coverage": ("bucket", "segment", "demand", "coverage", "inside"),
    "list_jobs": ("job_id", "job_type", "status"),
    "list_promotions": ("product_id", "store_id", "name", "start_date", "end_date"),
    "list_prices": ("product_id", "store_id", "price", "valid_from", "valid_to"),
    "list_calendar_days": ("date", "holiday_name"),
    "list_segments": ("store_id", "product_id", "pattern", "abc", "xyz"),
    "list_definitions": ("name", "formula", "meaning"),
    "list_agent_tools": ("method", "path", "summary"),
    "get_store": ("code", "name", "region", "city", "store_type"),
    "get_product": ("sku", "name", "category", "department", "base_price"),
    "get_backtest": ("backtest_id", "model_type", "n_splits", "horizon"),
    "get_workflow": ("workflow_id", "name", "status", "season", "total_season_demand"),
}
"""The members that are told, by tool."""


def number(value: Any) -> str:
    """A value as it is read: thousands with commas; what is not known as such."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def figures(found: Mapping[str, Any], separator: str = ", ") -> str:
    """KPIs by name; the first few where none of the usual ones is among them."""
    names = [name for name in KEY_FIGURES if name in found] or list(found)[:5]
    return separator.join(f"{name} {number(found[name])}" for name in names)


def subject(arguments: Mapping[str, Any]) -> str:
    """What a call was about, by its filters."""
    named = {name: each for name, each in arguments.items() if name not in NOT_FILTERS}
    told = [f"{name} {', '.join(map(str, each)) if isinstance(each, list) else each}" for name, each in named.items()]
    return f" of {'; '.join(told)}" if told else ""


def entries(tool: str, arguments: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[str]:
    """The entries of a list, or one thing."""
    if "items" not in body:
        yield _members(tool, body)
        return
    items, total = body["items"], body.get("total", len(body["items"]))
    if not items:
        yield f"There is nothing{subject(arguments)}" + (f": {body['reason']}." if body.get("reason") else ".")
        return
    yield f"{total} in all" + (f", the first {len(items)}:" if total > len(items) else ":")
    for each in items:
        yield f"- {_members(tool, each)}"


def _members(tool: str, found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number(found[name])}" for name in SHOWN[tool] if found.get(name) is not None)
