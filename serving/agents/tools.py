"""What an agent may call: reads and jobs of this API, and two changes that a person approves first."""

from collections.abc import Mapping
from typing import Any, Literal, get_args
from urllib.parse import quote, urlencode

from msgspec import Struct

from assets_config.contract.sessions import AgentType, GuardedTool

API = "/api/v1"
GUARDED: tuple[str, ...] = get_args(GuardedTool)
JOBS = ("backtest", "train", "predict")


class Asked(Struct, frozen=True):
    """A request of this API."""

    method: Literal["GET", "POST", "PATCH"]
    path: str  # with its query
    body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Tool(Struct, frozen=True):
    """One thing that an agent may do."""

    name: str  # the operation of /openapi.json, the job type, or the change
    path: str  # below /api/v1; in braces what stands in it
    says: str  # what to ask, as a person would
    method: Literal["GET", "POST", "PATCH"] = "GET"
    is_of_documents: bool = False  # what a rag_assistant may call

    def asked(self, arguments: Mapping[str, Any], snapshot: str) -> Asked:
        """The request of a call. A GET names the snapshot that it reads, so that it can be asked again."""
        if self.name == "archive_run":
            arguments = {**arguments, "archive": True}
        if self.name in JOBS:
            return Asked("POST", f"{API}{self.path}", {"job_type": self.name, "params": dict(arguments)})
        in_path = {name: quote(str(value), safe="") for name, value in arguments.items() if f"{{{name}}}" in self.path}
        path, others = self.path.format(**in_path), {name: each for name, each in arguments.items() if name not in in_path}
        if self.method != "GET":
            return Asked(self.method, f"{API}{path}", others)
        others = {name: str(each).lower() if isinstance(each, bool) else each for name, each in others.items()}
        pinned = others if path.startswith("/jobs") else {**others, "snapshot": snapshot}
        query = urlencode(pinned, doseq=True)
        return Asked("GET", f"{API}{path}?{query}" if query else f"{API}{path}")


TOOLS: dict[str, Tool] = {
    each.name: each
    for each in (
        Tool("get_overview", "/analytics/overview", "How are we doing?"),
        Tool("get_kpis", "/analytics/kpis", "Revenue of S001 last month compared with last year?"),
        Tool("get_kpi_timeseries", "/analytics/timeseries", "Weekly units of Dairy since October"),
        Tool("get_drilldown", "/analytics/drilldowns", "Top 5 products by units in region North in Q4"),
        Tool("list_definitions", "/analytics/definitions", "Which KPIs are there?"),
        Tool("get_forecast_summary", "/forecasts/summary", "What do we expect to sell next week? How accurate are forecasts?"),
        Tool("get_item_timeseries", "/items/{item}/timeseries", "Forecast of SKU-0001 in S001 for the next 14 days"),
        Tool("list_forecast_levels", "/forecasts/levels", "Forecast of category Dairy next week"),
        Tool("list_forecast_sets", "/forecasts", "List the forecasts"),
        Tool("list_forecast_value_added", "/forecasts/value-added", "What do our forecasts add to naive ones?"),
        Tool("list_interval_coverage", "/forecasts/coverage", "Does the coverage of the intervals hold?"),
        Tool("explain_item", "/items/{item}/explanation", "Why is SKU-0001 forecast to sell that much in S001?"),
        Tool("list_stock_risks", "/inventory/risks", "What is out of stock? What is overstocked in S002?"),
        Tool("get_stock", "/inventory/{product}", "Stock of SKU-0001"),
        Tool("list_stock_status", "/analytics/inventory-status", "Days of cover in S001"),
        Tool("list_replenishment_proposals", "/inventory/replenishment", "What should we order for S001?"),
        Tool("list_alerts", "/alerts", "Are there critical alerts?"),
        Tool("list_standings", "/registry/leaderboard", "Which model is best for intermittent series?"),
        Tool("list_model_types", "/registry/model-types", "Which model types are there?"),
        Tool("list_model_runs", "/registry/runs", "Latest runs of ets"),
        Tool("get_model_run", "/registry/runs/{run_id}", "Show run <run_id>"),
        Tool("compare_model_runs", "/registry/compare/{run_id_a}/{run_id_b}", "Compare runs <run_id> and <run_id>"),
        Tool("list_aliases", "/registry/aliases", "Which aliases are there?"),
        Tool("list_backtests", "/backtests", "Show the backtests of naive"),
        Tool("get_backtest", "/backtests/{backtest_id}", "Show backtest <backtest_id>"),
        Tool("list_workflows", "/workflows", "Which season plans are there?"),
        Tool("get_workflow", "/workflows/{workflow_id}", "How far is plan <workflow_id>?"),
        Tool("extract_parameters", "/parameters/extract", "Plan a season of Dairy for 12 weeks, markdown in week 6", "POST"),
        Tool("list_approvals", "/approvals", "What waits for approval?"),
        Tool("list_scenarios", "/scenarios", "Which scenarios are saved?"),
        Tool("simulate_scenario", "/scenarios/simulate", "What if the price of SKU-0001 drops by 10%?", "POST"),
        Tool("list_promotions", "/dimensions/promotions", "Promotions of SKU-0001 in November"),
        Tool("list_prices", "/dimensions/prices", "Price history of SKU-0001"),
        Tool("list_calendar_days", "/dimensions/calendar", "Holidays in December"),
        Tool("list_stores", "/dimensions/stores", "Which stores are in region North?"),
        Tool("get_store", "/dimensions/stores/{store}", "S001"),
        Tool("list_products", "/dimensions/products", "List products of Dairy"),
        Tool("get_product", "/dimensions/products/{product}", "SKU-0001"),
        Tool("list_categories", "/dimensions/categories", "Which categories are there?"),
        Tool("list_store_clusters", "/dimensions/stores/clusters", "Which clusters of stores are there?"),
        Tool("list_segments", "/dimensions/segments", "Which series of S001 are lumpy?"),
        Tool("list_jobs", "/jobs", "Which jobs failed?"),
        Tool("get_job", "/jobs/{job_id}", "Status of job <job_id>; or, of the last one: is it done?"),
        Tool("backtest", "/jobs", "Backtest ets for SKU-0001 in S001 with 3 folds", "POST"),
        Tool("train", "/jobs", "Train ets for S001", "POST"),
        Tool("predict", "/jobs", "Predict 14 days with run <run_id>", "POST"),
        Tool("create_alias", "/registry/aliases", "Promote run <run_id> to production", "POST"),
        Tool("archive_run", "/registry/runs/{run_id}", "Archive run <run_id>", "PATCH"),
        Tool("answer_question", "/rag/query", "How do I bring in sales? What is WAPE?", "POST", is_of_documents=True),
        Tool("list_agent_tools", "/agents/tools", "Which endpoint gives the stock of a product?", is_of_documents=True),
    )
}
"""Every tool by name."""


def tools_of(agent_type: AgentType) -> list[Tool]:
    """The tools of an agent: a rag_assistant asks the documents alone."""
    return [each for each in TOOLS.values() if agent_type == "experiment" or each.is_of_documents]
