"""The application: what there is, readable as a table of contents."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Annotated, Any

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ParamType
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.params import QueryParameter
from litestar.routes import HTTPRoute
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp

from assets_config.contract.documents import Documents
from assets_config.contract.layout import Published
from serving.changed import Changed
from serving.layers.access import Access
from serving.layers.browsers import Browsers
from serving.layers.cache import Cache, only_reads
from serving.layers.direct import Direct
from serving.layers.edge import Edge, host_check
from serving.layers.limits import Limits
from serving.layers.metrics import Meter
from serving.layers.moved import OldPaths
from serving.layers.rules import OPEN, Rules
from serving.layers.traces import Traces, pass_on, provider_for
from serving.library import Library
from serving.orchestrator.assets import Assets
from serving.orchestrator.feeds import Feeds
from serving.orchestrator.jobs import Jobs
from serving.parameters import kinds_of, refuse_odd_values
from serving.problems import FieldError, NoSnapshot, Validation, answer
from serving.routes import (
    accuracy,
    agentstream,
    alertrules,
    alerts,
    aliases,
    annotations,
    approvals,
    assets,
    backtests,
    batches,
    bundles,
    calendar,
    clusters,
    config,
    demo,
    dimensions,
    docs,
    drilldowns,
    errors,
    events,
    explanations,
    exports,
    extraction,
    featuresets,
    forecasts,
    health,
    ingest,
    inventory,
    items,
    jobs,
    kpis,
    metrics,
    modeltypes,
    notifications,
    overview,
    points,
    preferences,
    providers,
    questions,
    rag,
    references,
    refresh,
    registry,
    replays,
    replenishment,
    results,
    scenarios,
    seasons,
    seeder,
    sessions,
    sets,
    sources,
    steps,
    stream,
    system,
    trials,
    workflows,
    workspaces,
)
from serving.settings import Settings, is_asked_to_stop, read_settings
from serving.snapshot import Snapshot

HANDLERS = [
    dimensions.list_stores,
    dimensions.get_store,
    clusters.list_store_clusters,
    clusters.get_cluster_diagnostics,
    dimensions.list_products,
    dimensions.get_product,
    dimensions.list_categories,
    dimensions.list_segments,
    calendar.list_calendar_days,
    calendar.list_prices,
    calendar.list_promotions,
    kpis.get_kpis,
    kpis.get_kpi_timeseries,
    kpis.list_definitions,
    drilldowns.get_drilldown,
    overview.get_overview,
    items.list_items,
    items.get_item_timeseries,
    explanations.explain_item,
    forecasts.get_forecast_summary,
    sets.list_forecast_sets,
    sets.get_forecast_set,
    points.list_forecast_points,
    sets.explain_forecast_set,
    points.list_forecast_levels,
    accuracy.list_forecast_accuracy,
    accuracy.list_forecast_value_added,
    accuracy.list_interval_coverage,
    extraction.extract_parameters,
    workflows.list_workflows,
    workflows.create_workflow,
    workflows.create_reforecast,
    workflows.get_workflow,
    results.get_workflow_results,
    seasons.get_allocation,
    seasons.list_replenishment,
    seasons.get_markdown,
    seasons.list_variance,
    seasons.get_variance,
    scenarios.list_scenarios,
    scenarios.simulate_scenario,
    scenarios.create_scenario,
    scenarios.compare_scenarios,
    scenarios.get_scenario,
    scenarios.delete_scenario,
    approvals.list_approvals,
    approvals.get_approval,
    approvals.decide_approval,
    approvals.decide_manufacturing,
    approvals.decide_markdown,
    inventory.get_supply,
    inventory.list_stock,
    inventory.get_stock,
    inventory.list_stock_status,
    replenishment.list_stock_risks,
    replenishment.list_replenishment_proposals,
    featuresets.list_feature_sets,
    featuresets.get_feature_set,
    featuresets.preview_feature_set,
    registry.list_model_runs,
    registry.get_model_run,
    registry.verify_model_run,
    explanations.explain_model_run,
    explanations.get_model_card,
    explanations.get_model_card_plot,
    registry.compare_model_runs,
    registry.list_standings,
    trials.list_run_forecasts,
    annotations.annotate_model_run,
    modeltypes.list_model_types,
    aliases.list_aliases,
    aliases.get_alias,
    aliases.set_alias,
    aliases.delete_alias,
    alerts.list_alerts,
    alerts.get_alert,
    alerts.update_alert,
    alertrules.list_alert_rules,
    alertrules.set_alert_rule,
    notifications.list_notifications,
    notifications.list_deliveries,
    notifications.retry_notification,
    preferences.list_preferences,
    preferences.get_preference,
    preferences.set_preference,
    preferences.list_templates,
    preferences.set_template,
    backtests.list_backtests,
    backtests.get_backtest,
    backtests.list_backtest_folds,
    ingest.list_ingest_kinds,
    ingest.ingest_batch,
    ingest.replay_batch,
    batches.list_batches,
    batches.get_batch,
    batches.list_rejects,
    batches.list_ingest_events,
    batches.list_external_ids,
    seeder.list_scenarios,
    seeder.get_seed_status,
    seeder.generate,
    seeder.append_days,
    seeder.enrich,
    seeder.verify,
    seeder.delete_generated,
    jobs.list_job_types,
    jobs.create_job,
    jobs.list_jobs,
    jobs.get_job,
    jobs.cancel_job,
    jobs.retry_job,
    jobs.list_job_events,
    steps.list_job_steps,
    demo.create_demo_run,
    demo.get_demo_run,
    workspaces.list_workspaces,
    workspaces.compare_workspaces,
    workspaces.get_workspace,
    workspaces.update_workspace,
    workspaces.delete_workspace,
    references.get_workspace_health,
    replays.replay_workspace,
    bundles.create_workspace_export,
    bundles.get_workspace_export,
    bundles.get_workspace_archive,
    jobs.explain_job,
    exports.list_exports,
    exports.get_export,
    exports.get_export_file,
    events.list_events,
    refresh.refresh_data,
    stream.stream,
    stream.stream_workflow,
    stream.stream_demo,
    assets.list_assets,
    assets.get_asset,
    assets.list_check_results,
    rag.retrieve_passages,
    questions.answer_question,
    questions.list_agent_tools,
    sessions.open_session,
    sessions.get_session,
    sessions.chat,
    sessions.close_session,
    agentstream.stream_agent,
    sources.list_sources,
    sources.index_document,
    sources.index_project_documents,
    sources.delete_source,
    providers.check_providers,
    providers.list_provider_models,
    system.get_info,
    system.list_snapshots,
    system.get_snapshot,
    config.get_config,
    config.update_config,
]
OPERATIONS = [health.is_alive, health.is_ready, health.get_health, errors.get_problem_type, metrics.get_metrics]
LEASES = {"lease", "lease_if_any"}
INJECTED = {*LEASES, "state", "request", "data"}
Pin = Annotated[str | None, QueryParameter(description="Read from this snapshot instead of the current one.")]


async def lease(request: Request[Any, Any, Any], state: State, snapshot: Pin = None) -> AsyncIterator[Snapshot]:
    """The snapshot that one request reads from, all through."""
    leased = await state.library.lease(snapshot)
    request.scope["state"]["snapshot"] = request.scope["state"]["leased"] = leased
    try:
        yield leased
    finally:
        leased.release()


async def lease_if_any(request: Request[Any, Any, Any], state: State, snapshot: Pin = None) -> AsyncIterator[Snapshot | None]:
    """The same for routes that can answer without one: None before the first publish. Their answers are not kept."""
    leased: Snapshot | None = None
    try:
        leased = await state.library.lease(snapshot)
        request.scope["state"]["snapshot"] = leased
    except NoSnapshot:
        pass
    try:
        yield leased
    finally:
        if leased is not None:
            leased.release()


async def before_request(request: Request[Any, Any, Any]) -> Response[None] | None:
    """The answer to OPTIONS. Raises Validation, naming query parameters that the route does not have and those that it has.

    Async, though it waits for nothing: Litestar would run it in a thread on every request.
    """
    if request.method == "OPTIONS":  # Litestar's own answer (2.25) knows the methods of one handler of the path only
        return Response(None, status_code=204, headers={"Allow": _methods_at(request.app, request.scope["path_template"])})
    known = _known_parameters(request.route_handler, tuple(request.path_params))
    unknown = sorted(request.query_params.keys() - known.keys())
    if unknown:
        allowed = ", ".join(sorted(known)) or "none"
        errors_said = [FieldError(name, None, "unknown_parameter", f"known parameters: {allowed}") for name in unknown]
        raise Validation(f"Unknown query parameter: {', '.join(unknown)}. Known: {allowed}.", errors=errors_said)
    refuse_odd_values(request.query_params, known)
    return None


def _methods_at(app: Litestar, path: str) -> str:
    return ", ".join(sorted(next(each.methods for each in app.routes if isinstance(each, HTTPRoute) and each.path_format == path)))


@lru_cache(maxsize=1024)
def _known_parameters(handler: BaseRouteHandler, in_path: tuple[str, ...]) -> Mapping[str, frozenset[Any]]:
    """What a route takes in the query, and of which types; kept, since finding it costs more than the sums of a KPI."""
    parameters = handler.parsed_fn_signature.parameters
    fields = {_query_name(name, field.kwarg_definition): field for name, field in parameters.items() if name not in INJECTED}
    known = {name: kinds_of(field) for name, field in fields.items() if name and name not in in_path}
    return {**known, "snapshot": frozenset({str})} if LEASES & set(parameters) else known


def _query_name(name: str, declared: Any) -> str:
    """What a handler's parameter is called in the query; empty for one that comes from elsewhere."""
    kind = getattr(declared, "param_type", ParamType.QUERY)
    return (getattr(declared, "name", None) or name) if kind == ParamType.QUERY else ""


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """The process is looked at while it runs; at the end everything is closed."""
    async with app.state.meter.looking(), app.state.feeds.running(), app.state.changed.looking():
        yield
    await app.state.jobs.close()
    app.state.library.close()
    await asyncio.sleep(0)  # sockets that were closed are gone in the next turn of the loop


def create_app(settings: Settings | None = None) -> Litestar:
    """The API over one data root. Nothing is opened before the first request asks for it."""
    changed = Changed(settings or read_settings())
    settings = changed.settings
    logging.getLogger("httpx").setLevel(logging.WARNING)
    library = Library(
        Published(settings.data.absolute()),
        memory=f"{settings.query_memory_mb}MB",
        cubes_memory=settings.cubes_memory_mb << 20,
        pinned=settings.pinned_snapshots,
        threads=settings.query_threads,
    )
    hooks = [pass_on] if settings.traces else ()
    jobs_of_dagster = Jobs(settings.dagster_url, settings.data, most_waiting=settings.max_waiting_jobs, on_request=hooks)
    state = State(
        {
            "settings": settings,
            "changed": changed,
            "library": library,
            "meter": Meter(library),
            "jobs": jobs_of_dagster,
            "documents": Documents(settings.data.absolute()),
            "feeds": Feeds(jobs_of_dagster.dagster, most_readers=settings.stream_readers, is_stopping=is_asked_to_stop),
            "assets": Assets(jobs_of_dagster.dagster),
            "orchestrator": health.Orchestrator(settings.dagster_url),
        }
    )
    api = Router("/api/v1", route_handlers=HANDLERS, dependencies={"lease": Provide(lease), "lease_if_any": Provide(lease_if_any)})
    changed.tell(partial(setattr, state, "settings"), jobs_of_dagster.hold_by, state.feeds.hold_by)
    swagger = create_static_files_router("/docs/assets", directories=[docs.ASSETS], include_in_schema=False, opt=OPEN)
    return Litestar(
        route_handlers=[*OPERATIONS, docs.show_docs, docs.get_openapi, api, swagger],
        exception_handlers={Exception: answer},
        before_request=before_request,
        openapi_config=OpenAPIConfig(
            title="Demandgraph",
            version="1",
            description="Sales, KPIs and forecasts of one published snapshot, and jobs that make the next.",
            use_handler_docstrings=True,
            openapi_router=Router("/docs/schema", route_handlers=[], include_in_schema=False, guards=[docs.is_elsewhere]),
        ),
        state=state,
        lifespan=[lifespan],
        request_max_body_size=settings.max_body_kb << 10,
        debug=False,
        logging_config=None,
    )


def create_asgi(settings: Settings | None = None) -> Edge:
    """What the server runs: the application behind what every request passes, outermost first.

    The cache is inside of Access: what it holds is given to those who may read it.
    """
    app = create_app(settings)
    settings = app.state.settings
    rules = Rules(app)
    limits, direct = Limits(app, rules, settings), Direct(app)
    cache = Cache(limits, direct, app.state.library, limit=settings.cache_mb << 20, shared=only_reads(app))
    app.state.meter.cache = cache
    access = Access(cache, rules, settings)
    app.state.changed.tell(limits.hold_by, direct.hold_by, access.hold_by)
    inner: ASGIApp = OldPaths(access)
    if settings.traces:
        inner = Traces(inner, provider_for(settings.traces))
    return Edge(inner, host_check(settings.hosts), Browsers(origins=settings.cors_origins, pages=docs.POLICIES))
