"""One request an operation that works on any data root that was generated, and where the ids come from that it needs.

Tests send each of them. A path parameter and `{name}` in a query are filled from the answer of the operation in COMES_FROM, whose
links in the document say the same.
"""

from typing import Any

from msgspec import Struct

RANGE = "start_date=2024-12-01&end_date=2024-12-31"
DAYS = "start=2024-12-01&end=2025-01-07"


class Example(Struct, frozen=True):
    """What is sent beside the path."""

    query: str = ""
    body: Any = None
    text: str | None = None  # a body that is CSV


COMES_FROM: dict[str, tuple[str, str]] = {
    "alert_id": ("list_alerts", "items/0/alert_id"),
    "backtest_id": ("list_backtests", "items/0/backtest_id"),
    "batch_id": ("list_batches", "items/0/batch_id"),
    "export_id": ("list_exports", "items/0/export_id"),
    "get_export_file{name}": ("list_exports", "items/0/files/0/name"),
    "approval_id": ("list_approvals", "items/0/approval_id"),
    "forecast_id": ("list_workflows", "items/0/workflow_id"),
    "item": ("list_items", "items/0/sku"),
    "job_id": ("list_jobs", "items/0/job_id"),
    "kind": ("list_ingest_kinds", "items/0/kind"),
    "event": ("list_templates", "items/0/event"),
    "notification_id": ("list_notifications", "items/0/notification_id"),
    "user": ("list_preferences", "items/0/user"),
    "name": ("list_feature_sets", "items/0/name"),
    "get_alias{name}": ("list_aliases", "items/0/name"),
    "delete_alias{name}": ("list_aliases", "items/0/name"),
    "list_provider_models{name}": ("check_providers", "providers/0/name"),
    "get_asset{name}": ("list_assets", "items/0/name"),
    "problem": ("get_problem_type", ""),
    "product": ("list_products", "items/0/sku"),
    "rule": ("list_alert_rules", "items/0/rule"),
    "run_id": ("list_model_runs", "items/0/run_id"),
    "run_id_a": ("list_model_runs", "items/0/run_id"),
    "run_id_b": ("list_model_runs", "items/1/run_id"),
    "set_id": ("list_forecast_sets", "items/0/set_id"),
    "scenario_id": ("list_scenarios", "items/0/scenario_id"),
    "snapshot_id": ("list_snapshots", "items/0/id"),
    "source_id": ("list_sources", "items/0/source_id"),
    "stage": ("list_assets", "items/0/stage"),
    "week": ("list_workflows", "items/0/weeks_sold"),
    "workflow_id": ("list_workflows", "items/0/workflow_id"),
    "store": ("list_stores", "items/0/code"),
    "workspace_id": ("list_workspaces", "items/0/workspace_id"),
    "number": ("list_workspaces", "items/0/exports"),
}
"""Which operation gives a value of a path parameter, and where in its answer that stands. Most have one place for all routes."""

EXAMPLES: dict[str, Example] = {
    "create_demo_run": Example(body={"skip_seed": True, "preservation": "keep", "workspace_name": "first-look"}),
    "list_workspaces": Example("q=fi&include_archived=true&sort_by=name"),
    "compare_workspaces": Example("a={workspace_id}&b={workspace_id}"),
    "update_workspace": Example(body={"tags": ["shown"], "notes": "as shown in June", "pinned": True}),
    "replay_workspace": Example("dry_run=true", body={"workspace_name": "second-look"}),
    "update_config": Example(body={"max_days": 730}),
    "append_seed": Example(body={"start_date": "2025-01-01", "end_date": "2025-01-31"}),
    "annotate_model_run": Example(body={"tags": ["checked"], "notes": "as good as the last one"}),
    "create_job": Example(body={"job_type": "materialize", "params": {"assets": ["forecasts", "publish"]}}),
    "create_reforecast": Example(body={"forecast_id": "{forecast_id}", "actual_sales_week_1_to_n": [310, 295, 270, 180]}),
    "compare_scenarios": Example(body={"scenario_ids": ["a" * 32, "b" * 32], "rank_by": "revenue"}),
    "create_scenario": Example(
        body={"name": "Ten off", "product_id": "{product}", "assumptions": {"price": {"change": -0.1}}, "tags": ["price"]}
    ),
    "create_workflow": Example(
        body={"name": "Winter", "category": "Dairy", "forecast_horizon_weeks": 12, "markdown_checkpoint_week": 6}
    ),
    "decide_approval": Example(body={"decision": "approve", "note": "as discussed"}),
    "decide_manufacturing": Example(body={"workflow_id": "{workflow_id}", "quantity": 9600}),
    "decide_markdown": Example(body={"workflow_id": "{workflow_id}", "markdown": 0.3}),
    "delete_alias": Example("force=true"),
    "delete_seed": Example("confirm=true&scope=facts"),
    "explain_forecast_set": Example("store_id={store}&product_id={product}"),
    "explain_item": Example("store_id={store}&span=horizon"),
    "explain_job": Example("product_id={product}"),
    "explain_model_run": Example("span=next_day"),
    "extract_parameters": Example(body={"text": "12 weeks of Dairy from 6 January 2025, keep 40% at the DC, markdown at week 6"}),
    "generate_seed": Example(body={"scenario": "holiday_rush", "dry_run": True}),
    "get_drilldown": Example(f"dimension=category&{RANGE}&order_by=total_units&max_items=5"),
    "get_forecast_summary": Example(f"{DAYS}&item_ids={{item}}"),
    "get_item_timeseries": Example(f"{DAYS}&store_id={{store}}"),
    "get_kpi_timeseries": Example(f"granularity=week&{RANGE}&store_id={{store}}"),
    "get_kpis": Example(f"{RANGE}&category=Dairy&category=Bakery"),
    "get_stock": Example("store_id={store}"),
    "get_store": Example("as_of=2024-12-01"),
    "ingest_batch": Example(text="date,store_code,sku,quantity,unit_price\n2025-01-01,S001,SKU-0001,3,4.50\n"),
    "list_alerts": Example("alert_state=open&severity=warn"),
    "list_approvals": Example("state=open"),
    "list_assets": Example("check_status=failed"),
    "list_backtests": Example("model_type=naive"),
    "list_batches": Example("kind=sales-daily&state=loaded"),
    "list_calendar_days": Example(f"is_holiday=true&{RANGE}"),
    "list_check_results": Example("status=failed"),
    "list_events": Example("topic=system"),
    "list_external_ids": Example("entity=product"),
    "list_forecast_accuracy": Example("level=store&bucket=h_1_7"),
    "list_forecast_levels": Example("level=category&source=forecast"),
    "list_forecast_points": Example("level=series&store_id={store}&product_id={product}"),
    "list_forecast_sets": Example("sort_by=cutoff"),
    "list_forecast_value_added": Example("segment=all"),
    "list_ingest_events": Example("after=1&limit=50"),
    "list_interval_coverage": Example("level=series&demand=over_1"),
    "list_items": Example("search=sku&page_size=5"),
    "list_job_events": Example("after=0&limit=200"),
    "list_jobs": Example("status=failed&sort_by=completed_at"),
    "list_model_runs": Example("status=success&sort_by=model_type&sort_order=asc"),
    "list_prices": Example("product_id={product}&as_of=2024-12-01"),
    "list_products": Example("category=Dairy&sort_by=base_price&sort_order=desc"),
    "list_promotions": Example(f"store_id={{store}}&{RANGE}"),
    "list_rejects": Example("page_size=50"),
    "list_replenishment_proposals": Example("store_id={store}&sort_by=cost"),
    "list_segments": Example("pattern=intermittent&store_id={store}"),
    "list_snapshots": Example("page_size=5"),
    "list_standings": Example("segment=all"),
    "list_stock": Example("store_id={store}&start_date=2024-12-01"),
    "list_stock_risks": Example("stock_state=below_safety&sort_by=shortage_value"),
    "list_stock_status": Example("sort_by=days_of_cover&page_size=10"),
    "list_stores": Example("search=s00&sort_by=name"),
    "preview_feature_set": Example("store={store}&rows=2"),
    "answer_question": Example(body={"query": "How do I go back to an earlier snapshot?", "filters": {"kind": ["markdown"]}}),
    "index_document": Example(
        body={"source_path": "handbook/returns.md", "content": "# Returns\n\nTake them back.", "tags": ["handbook"]}
    ),
    "index_project_documents": Example(body={"path_prefix": "docs/adr"}),
    "list_agent_tools": Example("query=stock%20of%20a%20product&page_size=3"),
    "list_sources": Example("page_size=5"),
    "retrieve_passages": Example(body={"query": "rows that are rejected", "top_k": 3, "per_source": 1}),
    "list_notifications": Example("notification_state=delivered&channel=file"),
    "set_preference": Example(body={"channels": ["log", "file"], "quiet_from": "22:00", "quiet_until": "07:00"}),
    "set_template": Example(body={"subject": "Something is worth a look", "body": "See /alerts."}),
    "set_alert_rule": Example(body={"enabled": True}),
    "update_alert": Example(body={"action": "acknowledge", "note": "more is on its way"}),
    "simulate_scenario": Example(
        body={"product_id": "{product}", "assumptions": {"price": {"change": -0.1}, "promotion": {"lift": 0.15}}}
    ),
    "set_alias": Example(body={"name": "production", "run_id": "{run_id}", "note": "best of the last backtest"}),
}
"""Those that send more than a path."""


def source_of(operation: str, parameter: str) -> tuple[str, str]:
    """The operation that gives a value of an operation's path parameter, and where in its answer it stands. Raises KeyError."""
    return COMES_FROM.get(f"{operation}{{{parameter}}}") or COMES_FROM[parameter]
