"""Answers over a whole published graph: every tool gives one, and every number in it was given by a call."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar

from assets_config.contract.sessions import AgentType, Turn
from serving.agents.ask import Before, Call, parts_of
from serving.agents.calls import call
from serving.agents.says import MOST_DAYS, SAYS
from serving.agents.tools import GUARDED, JOBS, TOOLS, Asked
from serving.agents.turns import CUTS, LONGEST_RESULT, Answering, cut
from serving.app import create_app
from tests.serving.conftest import settings_of

WHO = {"key": "tests", "role": "operator", "request_id": "r" * 32}
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
SOURCE = re.compile(r"^\[\w+-\d+\] (?:GET|POST|PATCH) /api/v1/", re.MULTILINE)


@pytest.fixture(scope="module")
def app(demo_root: Path) -> Iterator[Litestar]:
    found = create_app(settings_of(demo_root, agent_tries=1))
    yield found
    found.state.library.close()


def answered(app: Litestar, message: str, *, agent_type: AgentType = "experiment", **changes: Any) -> Turn:
    """The turn of one message, without a session around it."""

    async def answer() -> Turn:
        lease = await app.state.library.lease()
        try:
            settings = app.state.settings if not changes else settings_of(app.state.settings.data, agent_tries=1, **changes)
            answering = Answering(app, lease, settings, WHO, "a" * 32)
            return await answering.answer("b" * 32, agent_type, message, Before())
        finally:
            lease.release()

    return asyncio.run(answer())


def sent_again(app: Litestar, request: str) -> Any:
    method, _, path = request.partition(" ")
    return asyncio.run(call(app, Asked(method, path), WHO)).body  # type: ignore[arg-type]


def numbers(text: str) -> set[float]:
    return {float(each.replace(",", "")) for each in NUMBER.findall(text) if each.strip(",-")}


def lengths(value: Any) -> set[float]:
    """How many entries the lists of an answer have, which a reply may count."""
    if isinstance(value, dict):
        return set().union(*map(lengths, value.values()))
    return {float(len(value)), *set().union(*map(lengths, value))} if isinstance(value, list) else set()


def run_ids(app: Litestar) -> list[str]:
    runs = sent_again(app, "GET /api/v1/registry/runs?status=success&page_size=2")["items"]
    return [each["run_id"] for each in runs]


@pytest.mark.parametrize("name", [name for name in TOOLS if name not in (*JOBS, *GUARDED, "get_workflow", "get_job", "list_jobs")])
def test_every_read_is_answered_in_numbers_that_the_call_gave(app: Litestar, name: str) -> None:
    backtest = sent_again(app, "GET /api/v1/backtests?page_size=1")["items"][0]["backtest_id"]
    for text in parts_of(TOOLS[name].says):
        for run_id in run_ids(app):
            text = text.replace("<run_id>", run_id, 1)

        turn = answered(app, text.replace("<backtest_id>", backtest))

        [made] = turn.calls
        assert (made.tool_name, made.status) == (name, "answered"), made.result
        assert SOURCE.search(turn.reply)
        given = sent_again(app, made.request) if made.request.startswith("GET") else made.result
        told = "\n".join(line.replace("/api/v1", "") for line in turn.reply.splitlines() if not SOURCE.match(line))
        known = numbers(json.dumps([given, made.arguments])) | lengths(given) | numbers(text) | {MOST_DAYS, 28.0, 84.0}
        assert numbers(told) <= known, told


def test_what_is_asked_again_is_answered_the_same(app: Litestar) -> None:
    turn = answered(app, "Revenue of S001 last month")

    [made] = turn.calls
    again = sent_again(app, made.request)
    assert again == made.result
    assert again["metadata"]["snapshot_id"] in made.request


def test_every_tool_is_told_in_words_and_is_an_operation_of_the_api(app: Litestar) -> None:
    known = {
        (method, re.sub(r":\w+}", "}", route.path)): handler.operation_id
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in handler.http_methods
    }

    assert set(SAYS) == set(TOOLS)
    for tool in TOOLS.values():
        operation = next(each for (method, path), each in known.items() if method == tool.method and _same(path, tool.path))
        expected = {**dict.fromkeys(JOBS, "create_job"), "create_alias": "set_alias", "archive_run": "annotate_model_run"}
        assert operation == expected.get(tool.name, tool.name)


def _same(path: str, other: str) -> bool:
    plain = [re.sub(r"{\w+}", "{}", each) for each in (path, f"/api/v1{other}")]
    return plain[0] == plain[1]


def test_what_changes_something_waits_for_a_person_and_nothing_else_is_called(app: Litestar) -> None:
    [run_id, _] = run_ids(app)

    turn = answered(app, f"promote run {run_id} to production; archive run {run_id}")

    assert [(each.tool_name, each.status, each.result) for each in turn.calls] == [
        ("create_alias", "awaiting_approval", None),
        ("archive_run", "awaiting_approval", None),
    ]
    assert len({each.approval_id for each in turn.calls}) == 2
    assert "nothing is changed before" in turn.reply


def test_what_would_be_refused_is_refused_before_anybody_is_asked(app: Litestar) -> None:
    [run_id, _] = run_ids(app)

    unknown = answered(app, f"archive run {'f' * 32}").calls[0]
    wrong = answered(app, f'call run {run_id} "-bad"').reply

    assert (unknown.status, unknown.approval_id) == ("refused", None)
    assert "No model run has the id" in unknown.result["detail"]
    assert "Which name is run" in wrong


def test_a_job_that_cannot_be_started_is_told_as_failed_with_the_reason(app: Litestar) -> None:
    turn = answered(app, "backtest naive for SKU-0001 in S001")

    [made] = turn.calls
    assert (made.status, made.job_id) == ("failed", None)
    assert "Dagster" in turn.reply


def test_one_message_makes_no_more_calls_than_the_settings_allow_and_says_so(app: Litestar) -> None:
    turn = answered(app, "\n".join(["revenue of S001", "stock of SKU-0001", "list stores", "gibberish flurb"]), agent_tool_calls=2)

    assert len(turn.calls) == 2
    assert "One message makes 2 calls at most" in turn.reply
    assert len(answered(app, "x y z?\n" * 280).reply) < 10_000
    assert "calls at most" not in answered(app, "revenue of S001\nstock of SKU-0001", agent_tool_calls=2).reply


def test_long_results_are_cut_and_say_so(app: Litestar) -> None:
    turn = answered(app, "units of S001 by day in the last 90 days")

    [made] = turn.calls
    assert len(json.dumps(made.result)) <= LONGEST_RESULT * 1.2
    assert made.result["cut_to"] < 90
    assert len(made.result["points"]) == made.result["cut_to"]


@pytest.mark.parametrize(
    "body",
    [
        {f"k{n}": "x" * 250 for n in range(60)},
        {"a": [{"b": "x" * 900}] * 90},
        ["x" * 90] * 900,
        "x" * 9000,
        {"x" * 5000: 1},
        [{f"k{n}": n * 1.5 for n in range(900)}],
    ],
)
def test_what_is_kept_of_a_result_is_never_longer_than_it_may_be(body: Any) -> None:
    kept = cut(body)

    assert len(msgspec.json.encode(kept)) <= LONGEST_RESULT
    assert kept["cut_to"] in CUTS


def test_a_call_that_takes_longer_than_a_message_may_is_given_up(app: Litestar) -> None:
    turn = answered(app, "stock of SKU-0001", agent_seconds=1e-9)

    [made] = turn.calls
    assert (made.status, made.result["code"]) == ("failed", "TIMED_OUT")


def test_a_job_that_is_being_started_is_waited_for(app: Litestar) -> None:
    async def slow(_: Any, __: Any, send: Any) -> None:
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({"job_id": "c" * 32, "status": "queued"}).encode()})

    async def given() -> Any:
        lease = await app.state.library.lease()
        try:
            answering = Answering(slow, lease, settings_of(app.state.settings.data, agent_seconds=0.02), WHO, "a" * 32)
            return [await answering._given(Call(tool, {}), Asked("POST", "/"), "x") for tool in ("train", "get_stock", "train")]
        finally:
            lease.release()

    started, read, late = asyncio.run(given())

    assert (started.status, started.body["job_id"]) == (202, "c" * 32)
    assert [each.body["code"] for each in (read, late)] == ["TIMED_OUT"] * 2


def test_a_change_that_needs_no_approval_is_asked_for_at_once(app: Litestar) -> None:
    [run_id, _] = run_ids(app)

    turn = answered(app, f"promote run {run_id} to candidate", agent_approvals=())

    assert [(each.status, each.request) for each in turn.calls] == [("failed", "POST /api/v1/registry/aliases")]  # no Dagster here
