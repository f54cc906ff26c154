"""Events reach whoever follows them: each once, in order, however often the line is cut, and nobody who may not."""

import asyncio
import json
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from assets_config.contract.keys import KeyFile
from serving.app import create_app
from serving.orchestrator.dagster import Dagster as Client
from serving.orchestrator.events import PUBLISHERS, JobLog, PublishLog
from serving.orchestrator.feeds import EVERY, Feed, Feeds
from serving.orchestrator.job import error_of
from serving.problems import Gone, NotFound, OrchestratorUnavailable, RateLimited
from tests.serving.conftest import settings_of
from tests.serving.dagsters import Dagster, Run, webserver
from tests.serving.served import KEY, PATIENCE, Server, server

HEARTBEAT = 0.4


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagster]:
    with webserver(tmp_path_factory.mktemp("dagster")) as found:
        yield found


@pytest.fixture(scope="module")
def api(dagster: Dagster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {"DEMANDGRAPH_DAGSTER_URL": dagster.url, "DEMANDGRAPH_STREAM_HEARTBEAT_SECONDS": str(HEARTBEAT)}
    with server(tmp_path_factory.mktemp("api"), workers=2, **environment) as found:
        yield found


@pytest.fixture(scope="module")
def told(dagster: Dagster) -> Run:
    """A run that has ended."""
    run = started(dagster, assets=3)
    run.let(3)
    run.join()
    return run


def started(dagster: Dagster, *, assets: int, fails: bool = False, publisher: str = "snapshot") -> Run:
    run = Run(dagster.home, str(uuid.uuid4()), assets=assets, fails=fails, publisher=publisher)
    run.start()
    return run


def open_socket(api: Server, query: str = "", **headers: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{api.port}/api/v1/stream{query}", additional_headers=headers, open_timeout=PATIENCE)


def frame(opened: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(opened.recv(timeout=PATIENCE))
    return found


def frame_of(opened: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of a type; heartbeats and others before it are left out."""
    while (found := frame(opened))["type"] != kind:
        pass
    return found


def listed(api: Server, job_id: str) -> list[dict[str, Any]]:
    """The events of a job as pages tell them."""
    found: list[dict[str, Any]] = []
    after, has_more = 0, True
    while has_more:
        page = api.get(f"/api/v1/jobs/{job_id}/events?after={after}&limit=7").json()
        found += page["items"]
        after, has_more = page["next_after"], page["has_more"]
    return found


def streamed(api: Server, query: str, **headers: str) -> list[tuple[str, dict[str, Any]]]:
    """The id and data of every message of a stream that ends."""
    found = []
    with httpx.stream("GET", f"{api.url}/api/v1/events?{query}", headers=headers, timeout=PATIENCE) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        for message in "".join(answer.iter_text()).split("\n\n"):
            lines = dict(line.split(": ", 1) for line in message.splitlines() if not line.startswith(":"))
            if "data" in lines:
                found.append((lines["id"], json.loads(lines["data"])))
    return found


def test_a_client_that_is_cut_off_twenty_times_sees_every_event_once_and_in_order(dagster: Dagster, api: Server) -> None:
    run = started(dagster, assets=30)
    seen: list[dict[str, Any]] = []
    is_over = False

    for cut in range(21):
        run.let(1 if cut < 20 else 10)
        most = len(seen) + 3 if cut < 20 else 10_000
        with open_socket(api, f"?topic=job:{run.job_id}&after={seen[-1]['seq'] if seen else 0}") as opened:
            while len(seen) < most and not is_over:
                said = frame(opened)
                assert said["type"] != "error", said
                seen += [said] if "seq" in said else []
                is_over = (said["type"], said["data"].get("status")) == ("job_state", "completed")
            opened.socket.shutdown(socket.SHUT_RDWR)
        assert not is_over or cut == 20, "it went on all the while"

    assert [each["seq"] for each in seen] == sorted({each["seq"] for each in seen})
    assert seen == listed(api, run.job_id)
    kinds = Counter(each["type"] for each in seen)
    assert (kinds["step_start"], kinds["step_complete"], kinds["asset_materialized"], kinds["asset_check"]) == (30, 30, 30, 30)
    progress = [each["data"]["progress_pct"] for each in seen if each["type"] == "step_complete"]
    assert progress == [round(100 * n / 30, 1) for n in range(1, 31)]


def test_a_stream_ends_with_its_job_and_goes_on_after_the_last_event_id(api: Server, told: Run) -> None:
    whole = streamed(api, f"topic=job:{told.job_id}")

    assert [data for _, data in whole] == listed(api, told.job_id)
    for place in (0, 3, len(whole) - 2):
        rest = streamed(api, f"topic=job:{told.job_id}", **{"Last-Event-ID": whole[place][0]})
        assert rest == whole[place + 1 :]
        assert streamed(api, f"topic=job:{told.job_id}&after={whole[place][0]}") == rest
    over = api.get(f"/api/v1/events?topic=job:{told.job_id}", **{"Last-Event-ID": whole[-1][0]})
    assert (over.status_code, over.content) == (204, b"")


def test_an_id_names_the_place_in_every_topic(dagster: Dagster, api: Server, told: Run) -> None:
    other = started(dagster, assets=2)
    other.let(2)
    other.join()
    query = f"topic=job:{told.job_id}&topic=job:{other.job_id}"
    whole = streamed(api, query)

    for place in range(len(whole)):
        if place < len(whole) - 1:
            assert streamed(api, query, **{"Last-Event-ID": whole[place][0]}) == whole[place + 1 :]


def test_made_tables_tell_their_metadata(api: Server, told: Run) -> None:
    made = [each["data"] for each in listed(api, told.job_id) if each["type"] == "asset_materialized"]

    assert made[0]["rows"] == 7
    said = {"snapshot": "20240701T120000Z-00000001", "as of": "2024-06-30", "wape": 0.25, "peak memory [MiB]": 300}
    assert made[0]["metadata"] == said


def test_the_steps_of_a_job_tell_what_each_took(dagster: Dagster, api: Server, told: Run) -> None:
    run = started(dagster, assets=3)
    run.let(1)
    while (waits := api.get(f"/api/v1/jobs/{run.job_id}/steps").json())["items"][0]["status"] != "completed":
        assert run.is_alive()
    run.let(2)
    run.join()
    failed = started(dagster, assets=1, fails=True)
    failed.let(1)
    failed.join()

    steps = api.get(f"/api/v1/jobs/{told.job_id}/steps").json()
    metrics = api.get(f"/api/v1/jobs/{told.job_id}").json()["metrics"]

    assert (waits["total"], [each["status"] for each in waits["items"]][2]) == (3, "waiting")
    assert [(each["step_index"], each["total_steps"], each["rows"], each["peak_memory_mb"]) for each in steps["items"]] == [
        (n, 3, 7, 300) for n in range(3)
    ]
    assert steps["items"][2]["step"] == "publish/snapshot"
    assert (metrics["rows"], metrics["peak_memory_mb"]) == (21, 300)
    assert 0 < sum(each["seconds"] for each in steps["items"]) <= metrics["run_seconds"] + 0.01
    [only] = api.get(f"/api/v1/jobs/{failed.job_id}/steps?status=failed").json()["items"]
    assert (only["stage"], only["rows"]) == ("publish", None)


def test_a_failed_job_says_why_and_ends_its_stream(dagster: Dagster, api: Server) -> None:
    run = started(dagster, assets=2, fails=True)
    run.let(2)

    events = [data for _, data in streamed(api, f"topic=job:{run.job_id}")]

    [failed] = [each["data"] for each in events if each["type"] == "step_complete" and each["data"]["status"] == "failed"]
    assert (failed["error_type"], failed["error_message"]) == ("ValueError", "the disk is full")
    assert events[-1]["data"]["status"] == "failed"


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_a_publish_is_told_to_all_workers_with_one_number(publisher: str, dagster: Dagster, api: Server, told: Run) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(api, "?topic=system")) for _ in range(6)]  # the two workers take turns
        places = [frame_of(opened, "subscribed")["data"]["seq"] for opened in sockets]
        run = started(dagster, assets=1, publisher=publisher)
        run.let(1)

        events = [frame_of(opened, "snapshot_published") for opened in sockets]

    assert len(set(places)) == 1
    assert all(each == events[0] for each in events)
    assert events[0]["seq"] > places[0] > 0
    assert events[0]["data"] == {"snapshot_id": "20240701T120000Z-00000001", "as_of": "2024-06-30", "job_id": run.job_id}
    with open_socket(api, f"?topic=system&after={places[0]}") as late:
        assert frame_of(late, "snapshot_published") == events[0]


def test_who_comes_back_after_a_restart_misses_no_publish(dagster: Dagster, told: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [started(dagster, assets=1, publisher=publisher) for publisher in (*PUBLISHERS, "snapshot")]
    for run in runs:
        run.let(1)
        run.join()

    async def come_back(kept: int, earlier: int) -> tuple[int, list[str]]:
        client = Client(dagster.url)
        before = (await PublishLog(client).read())[-len(runs) - 1].seq
        monkeypatch.setattr("serving.orchestrator.events.KEPT_PUBLISHES", kept)
        monkeypatch.setattr("serving.orchestrator.events.EARLIER_PUBLISHES", earlier)
        feeds = Feeds(client, most_readers=1, is_stopping=lambda: False)
        await feeds.get("system")  # somebody follows what is new
        try:
            return before, [each.data["job_id"] for each in (await feeds.get("system", before)).after(before)]
        finally:
            monkeypatch.undo()
            await client.close()

    assert asyncio.run(come_back(1, 200))[1] == [run.job_id for run in runs]
    with pytest.raises(Gone, match="are told no more"):
        asyncio.run(come_back(1, 1))


def test_what_stays_silent_sends_heartbeats(api: Server) -> None:
    with open_socket(api) as opened:
        assert [frame(opened)["type"] for _ in range(3)] == ["heartbeat"] * 3
    began = time.monotonic()
    with httpx.stream("GET", f"{api.url}/api/v1/events?topic=system", timeout=PATIENCE) as answer:
        lines = answer.iter_lines()
        assert [next(line for line in lines if line.startswith(":")) for _ in range(2)] == [": heartbeat"] * 2
    assert time.monotonic() - began > HEARTBEAT


def test_topics_may_change_while_a_socket_is_open(dagster: Dagster, api: Server, told: Run) -> None:
    with open_socket(api) as opened:
        opened.send(json.dumps({"subscribe": [f"job:{told.job_id}"], "colour": "blue"}))
        assert frame_of(opened, "subscribed")["data"] == {"topic": f"job:{told.job_id}", "seq": 0}
        assert frame_of(opened, "asset_materialized")["topic"] == f"job:{told.job_id}"
        opened.send(json.dumps({"unsubscribe": [f"job:{told.job_id}"]}))
        opened.send(json.dumps({"ping": 7}))
        assert frame_of(opened, "pong")["data"] == {"ping": 7}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("no json", "VALIDATION"),
        ("[]", "VALIDATION"),
        ("{}", "VALIDATION"),
        ('{"subscribe": "system"}', "VALIDATION"),
        ('{"subscribe": ["weather"]}', "VALIDATION"),
        ('{"subscribe": ["job:none"]}', "NOT_FOUND"),
        (json.dumps({"subscribe": [f"job:{'0' * 32}"]}), "NOT_FOUND"),
        ('{"subscribe": ["system"], "after": "soon"}', "VALIDATION"),
        ('{"subscribe": ["system"], "after": -1}', "VALIDATION"),
    ],
)
def test_a_wrong_frame_is_refused_and_the_socket_stays_open(sent: str, code: str, api: Server) -> None:
    with open_socket(api) as opened:
        opened.send(sent)
        said = frame_of(opened, "error")
        opened.send('{"ping": 1}')

        assert (said["data"]["code"], bool(said["data"]["detail"])) == (code, True)
        assert frame_of(opened, "pong")


def test_a_frame_that_is_too_large_ends_the_socket(api: Server) -> None:
    with open_socket(api) as opened:
        opened.send("x" * 5000)
        with pytest.raises(ConnectionClosed) as closed:
            frame_of(opened, "end")

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 422, "VALIDATION"),
        ("topic=weather", 422, "VALIDATION"),
        ("topic=job:none", 422, "VALIDATION"),
        (f"topic=job:{'0' * 32}", 404, "NOT_FOUND"),
        ("topic=system&after=soon", 422, "VALIDATION"),
        ("&".join(["topic=system"] * 21), 422, "VALIDATION"),
    ],
)
def test_an_unknown_topic_is_a_problem(query: str, status: int, code: str, api: Server) -> None:
    answer = api.get(f"/api/v1/events?{query}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("headers", [{"X-API-Key": "guessed"}, {"Origin": "https://evil.example"}])
def test_a_socket_without_a_right_key_is_refused(headers: dict[str, str], api: Server) -> None:
    with pytest.raises(InvalidStatus) as refused, open_socket(api, **headers):
        pass

    assert refused.value.response.status_code == 403


def test_a_page_sends_its_key_as_a_subprotocol(api: Server) -> None:
    url = f"ws://127.0.0.1:{api.port}/api/v1/stream?topic=system"

    with connect(url, origin="https://shop.example", subprotocols=["demandgraph", f"key.{KEY}"]) as opened:  # type: ignore[arg-type, list-item]
        assert opened.subprotocol == "demandgraph"
        assert frame(opened)["type"] == "subscribed"
    assert KEY not in api.log.read_text()


def test_a_revoked_key_ends_what_it_opened(dagster: Dagster, tmp_path: Path) -> None:
    with server(tmp_path, workers=1, DEMANDGRAPH_DAGSTER_URL=dagster.url, DEMANDGRAPH_STREAM_HEARTBEAT_SECONDS="0.2") as api:
        keys = KeyFile(tmp_path)
        secret, key = keys.add(role="reader", now=datetime.now(UTC))
        with open_socket(api, **{"X-API-Key": secret}) as opened:
            assert frame(opened)["type"] == "heartbeat"
            keys.revoke(key.id, now=datetime.now(UTC))
            with pytest.raises(ConnectionClosed) as closed:
                frame_of(opened, "end")

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_a_server_that_stops_lets_its_readers_go(dagster: Dagster, tmp_path: Path) -> None:
    with server(tmp_path, workers=1, DEMANDGRAPH_DAGSTER_URL=dagster.url) as api:
        ended: list[str] = []

        def follow() -> None:
            with httpx.stream("GET", f"{api.url}/api/v1/events?topic=system", timeout=PATIENCE) as answer:
                opened.set()
                ended.extend(answer.iter_lines())

        opened = threading.Event()
        following = threading.Thread(target=follow)
        following.start()
        assert opened.wait(PATIENCE)
        api.process.terminate()
        assert api.process.wait(9) == 0, "open streams hold the server until it is killed"
        following.join(PATIENCE)

    assert ended[0] == "retry: 2000"


class Blocked:
    """An ASGI connection whose client takes so many messages and then no more, until it is closed."""

    def __init__(self, takes: int) -> None:
        self._takes = takes
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        await asyncio.Event().wait()

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if len(self.sent) > self._takes and message["type"] != "websocket.close":
            await asyncio.Event().wait()


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_reader_that_takes_nothing_is_cut_off(kind: str, dagster: Dagster, told: Run, tmp_path: Path) -> None:
    app = create_app(settings_of(tmp_path, dagster_url=dagster.url, stream_send_seconds=0.2))
    blocked = Blocked(takes=3 if kind == "websocket" else 1)
    path = "/api/v1/stream" if kind == "websocket" else "/api/v1/events"
    scope: Any = {
        "type": kind,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": f"topic=job:{told.job_id}".encode(),
        "headers": [(b"host", b"127.0.0.1")],
        "state": {"still_holds": lambda: True, "request_id": "r"},
        "client": ("127.0.0.1", 1),
        "subprotocols": [],
        "method": "GET",
    }
    if kind == "websocket":
        del scope["method"]
        arrived = iter([{"type": "websocket.connect"}])
        waits = blocked.receive

        async def receive() -> Any:
            return next(arrived, None) or await waits()

        blocked.receive = receive  # type: ignore[method-assign]

    async def hold() -> None:
        async with app.lifespan():
            async with asyncio.timeout(PATIENCE):
                await app(scope, blocked.receive, blocked.send)
            assert not app.state.feeds._readers

    asyncio.run(hold())

    if kind == "websocket":
        assert (blocked.sent[-1]["type"], blocked.sent[-1]["code"]) == ("websocket.close", 4408)
    else:
        assert blocked.sent[-1]["more_body"], "the end is not sent, so that the client knows that it was cut off"


class Counted:
    """A Dagster that counts what it is asked, with a log that grows by one entry a question."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, query: str, variables: Any = None) -> Any:
        self.asked += 1
        events = [{"eventType": "STEP_START", "stepKey": f"core__t{self.asked}", "timestamp": str(1000 * self.asked)}]
        return {"runOrError": {"stepKeysToExecute": ["a"] * 10}, "logsForRun": {"__typename": "EventConnection", "events": events}}


def test_many_readers_of_one_topic_ask_dagster_once() -> None:
    counted = Counted()
    topic = f"job:{'a' * 32}"

    async def follow(feeds: Feeds) -> list[int]:
        async with feeds.reading() as reader:
            reader.join(await feeds.get(topic), None)
            seen: list[int] = []
            while len(seen) < 4:
                await reader.wait(5)
                seen += [each.seq for each in reader.news()]
            return seen

    async def all_follow() -> list[list[int]]:
        feeds = Feeds(counted, most_readers=100, is_stopping=lambda: False)  # type: ignore[arg-type]
        return await asyncio.gather(*(follow(feeds) for _ in range(50)))

    began = time.monotonic()
    seen = asyncio.run(all_follow())

    assert all(each[:4] == [1, 2, 3, 4] for each in seen)
    assert counted.asked <= (time.monotonic() - began) / EVERY + 2


class Paged(Counted):
    """Its log has three pages, and the question for the second fails once."""

    async def ask(self, query: str, variables: Any = None) -> Any:
        if self.asked == 1 and not self.has_failed:
            self.has_failed = True
            raise OrchestratorUnavailable("away")
        answer = await super().ask(query, variables)
        answer["logsForRun"]["hasMore"] = self.asked < 3
        return answer

    has_failed = False


def test_a_page_that_fails_loses_nothing_of_those_before() -> None:
    async def look() -> None:
        feed = Feed(JobLog(Paged(), "a" * 32))  # type: ignore[arg-type]
        with pytest.raises(OrchestratorUnavailable):
            await feed.refresh()
        assert [each.seq for each in feed.events] == [1]
        await feed.refresh()
        assert [each.seq for each in feed.events] == [1, 2, 3]

    asyncio.run(look())


def test_a_topic_that_cannot_be_read_is_not_held() -> None:
    async def look() -> None:
        feeds = Feeds(Paged(), most_readers=1, is_stopping=lambda: False)  # type: ignore[arg-type]
        with pytest.raises(OrchestratorUnavailable):
            await feeds.get(f"job:{'a' * 32}")
        assert not feeds._feeds

    asyncio.run(look())


def test_clients_and_topics_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.orchestrator.feeds.MOST_TOPICS", 2)

    async def look() -> None:
        feeds = Feeds(Counted(), most_readers=1, is_stopping=lambda: False)  # type: ignore[arg-type]
        async with feeds.reading() as reader:
            with pytest.raises(RateLimited, match="1 clients"):
                await feeds.reading().__aenter__()
            for n in range(2):
                reader.join(await feeds.get(f"job:{n:032d}"), None)
            with pytest.raises(RateLimited, match="2 topics"):
                await feeds.get(f"job:{2:032d}")
        async with feeds.reading():
            assert await feeds.get(f"job:{2:032d}"), "who leaves makes room"

    asyncio.run(look())


def test_what_is_held_of_a_topic_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.orchestrator.feeds.MOST_EVENTS", 3)
    monkeypatch.setattr("serving.orchestrator.feeds.EVERY", 0)
    monkeypatch.setattr("serving.orchestrator.feeds.IDLE_TOPICS", 2)

    async def look() -> None:
        feeds = Feeds(Counted(), most_readers=1, is_stopping=lambda: False)  # type: ignore[arg-type]
        for _ in range(5):
            feed = await feeds.get(f"job:{'a' * 32}")
        assert [each.seq for each in feed.after(0)] == [3, 4, 5]
        with pytest.raises(Gone, match="up to 2 "):
            feed.after(1)
        for n in range(5):
            await feeds.get(f"job:{n:032d}")
        assert len(feeds._feeds) == 2
        with pytest.raises(NotFound):
            await feeds.get("job:{}")

    asyncio.run(look())


def test_a_job_whose_process_was_killed_says_so(dagster: Dagster, api: Server) -> None:
    run = started(dagster, assets=1)
    with DagsterInstance.from_config(str(dagster.home)) as instance:
        under_way = RunsFilter(run_ids=[str(uuid.UUID(run.job_id))], statuses=[DagsterRunStatus.STARTED])
        deadline = time.monotonic() + PATIENCE
        while not (found := instance.get_runs(under_way)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        instance.report_run_failed(found[0], "The process of this run (281) was killed.")

    job = api.get(f"/api/v1/jobs/{run.job_id}").json()

    run.let(1)
    run.join()
    assert (job["status"], job["error_message"]) == ("failed", "The process of this run (281) was killed.")


def test_a_job_that_was_told_to_stop_says_so() -> None:
    name = "DagsterExecutionInterruptedError"

    assert error_of({"className": name, "message": f"dagster._core.errors.{name}\n"}) == (
        name,
        "its process was told to stop, as when `demandgraph up` ends; run it again",
    )
