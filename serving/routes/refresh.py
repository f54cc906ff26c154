"""Serve what the pipeline has computed, now."""

from typing import Any

from litestar import Request, Response, post
from litestar.datastructures import State

from assets_config.contract.materialize import RefreshParams
from serving.layers.rules import ADMIN
from serving.orchestrator.job import Job
from serving.routes.jobs import IdempotencyKey, start


@post("/data/refresh", operation_id="refresh_data", tags=["data"], status_code=202, opt=ADMIN)
async def refresh_data(request: Request[Any, Any, Any], state: State, idempotency_key: IdempotencyKey = None) -> Response[Job]:
    """Publish the newest complete tables as a new snapshot. Starts no model: forecasts are those that were made last.

    Follow the job at its Location, or wait for snapshot_published at /events?topic=system.
    """
    return await start(request, state, "refresh", RefreshParams(), idempotency_key)
