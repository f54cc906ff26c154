"""Traces go on from who asks to what is asked, and cost nothing where nobody collects them."""

import asyncio
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from litestar.testing import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving.app import create_asgi
from serving.layers.traces import Traces, pass_on
from serving.orchestrator.jobs import Jobs
from serving.problems import OrchestratorUnavailable
from serving.settings import SettingError, Settings, read_settings
from tests.serving.test_snapshot import KPIS

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


def test_a_request_goes_on_with_the_trace_that_it_brings(root: Path, spans: InMemorySpanExporter, provider: TracerProvider) -> None:
    edge = create_asgi(Settings(data=root))
    edge.app = Traces(edge.app, provider)

    with TestClient(edge, base_url="http://127.0.0.1") as client:
        answers = [client.get(KPIS, headers={"traceparent": PARENT, "X-Request-ID": "r1"}) for _ in range(2)]
        client.get("/api/v1/nothing")

    first, second, other = spans.get_finished_spans()
    assert first.context is not None
    assert first.parent is not None
    assert (f"{first.context.trace_id:032x}", f"{first.parent.span_id:016x}") == (TRACE, SPAN)
    assert answers[0].headers["traceresponse"] == f"00-{TRACE}-{first.context.span_id:016x}-01"
    assert first.name == "GET /api/v1/analytics/kpis"
    assert first.attributes is not None
    assert first.attributes["demandgraph.request_id"] == "r1"
    assert first.attributes["demandgraph.snapshot_id"] == answers[0].json()["metadata"]["snapshot_id"]
    assert [each.attributes["demandgraph.cache"] for each in (first, second) if each.attributes] == ["miss", "hit"]
    assert other.parent is None
    assert other.attributes is not None
    assert other.attributes["http.response.status_code"] == 404


def test_what_is_asked_of_dagster_belongs_to_the_trace(
    tmp_path: Path, spans: InMemorySpanExporter, provider: TracerProvider
) -> None:
    heard: list[str | None] = []

    class Dagster(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.headers["traceparent"])
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is said of it."""

    with HTTPServer(("127.0.0.1", 0), Dagster) as dagster:
        Thread(target=dagster.serve_forever, daemon=True).start()

        async def ask() -> None:
            jobs = Jobs(f"http://127.0.0.1:{dagster.server_port}", tmp_path, on_request=[pass_on])
            with provider.get_tracer("test").start_as_current_span("outer"), pytest.raises(OrchestratorUnavailable):
                await jobs.check()
            await jobs.close()

        asyncio.run(ask())
        dagster.shutdown()

    [outer] = spans.get_finished_spans()
    assert outer.context is not None
    assert heard == [f"00-{outer.context.trace_id:032x}-{outer.context.span_id:016x}-{int(outer.context.trace_flags):02x}"]


def test_nothing_of_it_is_loaded_unless_asked_for() -> None:
    program = (
        "import json, sys; from serving.app import create_asgi; from serving.settings import Settings; create_asgi(Settings());"
        "print(json.dumps([name for name in sys.modules if name.startswith('opentelemetry.sdk')]))"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert json.loads(said) == []


def test_without_the_extra_the_setting_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(SettingError, match=r"DEMANDGRAPH_TRACES.*demandgraph\[otel\]"):
        create_asgi(Settings(traces="http://127.0.0.1:4318"))


def test_a_collector_is_a_url() -> None:
    with pytest.raises(SettingError, match="DEMANDGRAPH_TRACES"):
        read_settings({"DEMANDGRAPH_TRACES": "collector"})
