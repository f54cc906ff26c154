"""A trace of each request, for those who run a collector: off unless DEMANDGRAPH_TRACES names one.

A request that brings a W3C `traceparent` goes on with that trace; the answer names its own span in `traceresponse`, and what is
asked of Dagster carries `traceparent` on. Needs demandgraph[otel]; nothing of it is imported otherwise.
"""

from typing import TYPE_CHECKING, Any

import httpx
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from serving.layers.kinds import HTTP
from serving.settings import SettingError

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider


def provider_for(collector: str) -> "TracerProvider":
    """Sends spans to a collector, OTLP over HTTP, from a thread of its own.

    Raises SettingError, where the packages are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingError("DEMANDGRAPH_TRACES is set, but demandgraph[otel] is not installed") from error
    provider = TracerProvider(resource=Resource.create({"service.name": "demandgraph"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{collector.rstrip('/')}/v1/traces")))
    return provider


async def pass_on(request: httpx.Request) -> None:
    """Let a request to another server belong to the trace that is under way; a hook of httpx."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    TraceContextTextMapPropagator().inject(request.headers)


class Traces:
    """Wraps the application: one span a request, named by method and route."""

    def __init__(self, app: ASGIApp, provider: "TracerProvider") -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.app = app
        self._tracer = provider.get_tracer("demandgraph.serving")
        self._extract = TraceContextTextMapPropagator().extract
        self._kind = SpanKind.SERVER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != HTTP:
            await self.app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in CARRIED}
        state: dict[str, Any] = scope.setdefault("state", {})
        with self._tracer.start_as_current_span(scope["method"], context=self._extract(carrier), kind=self._kind) as span:
            at = span.get_span_context()
            response = f"00-{at.trace_id:032x}-{at.span_id:016x}-{int(at.trace_flags):02x}".encode()

            async def send_with_trace(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    message = {**message, "headers": [*message["headers"], (b"traceresponse", response)]}
                await send(message)

            await self.app(scope, receive, send_with_trace)
            snapshot, route = state.get("snapshot"), state.get("route")
            span.update_name(f"{scope['method']} {route}" if route else scope["method"])
            said = {
                "http.request.method": scope["method"],
                "http.route": route,
                "url.path": scope["path"],
                "demandgraph.request_id": state.get("request_id"),
                "demandgraph.snapshot_id": snapshot.id if snapshot else None,
                "demandgraph.cache": state.get("cache"),
            }
            span.set_attributes({name: value for name, value in said.items() if value})


CARRIED = (b"traceparent", b"tracestate")
