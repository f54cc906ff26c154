"""What did the server do, and how does it fare?"""

from litestar import Response, get
from litestar.datastructures import State
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4


@get("/metrics", operation_id="get_metrics", tags=["health"], media_type="text/plain")
async def get_metrics(state: State) -> Response[bytes]:
    """Requests, times, cache, snapshot, jobs and processes in the text form of Prometheus, summed over all workers."""
    return Response(state.meter.text(await state.orchestrator.probe()), media_type=CONTENT_TYPE_PLAIN_0_0_4)
