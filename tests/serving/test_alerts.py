"""Alerts and their rules over HTTP: what is found by which filter, and what is refused before a job exists."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from msgspec.structs import replace

from assets_config.contract.alerts import Alert, AlertRule
from assets_config.contract.catalogue import DimProduct, DimStore
from tests.serving.conftest import client_of
from tests.serving.parts import AT, LAST, write_snapshot

ALERTS, RULES = "/api/v1/alerts", "/api/v1/alert-rules"
OPEN, SNOOZED, RESOLVED, UNKNOWN = (letter * 32 for letter in "abcd")


def alert(number: str, state: Any, n: int, severity: Any = "warn", rule: str = "bias", store: int | None = None) -> Alert:
    at, until = AT + timedelta(hours=n), AT if state == "snoozed" else None
    evidence = '{"position":3,"stockout_risk":0.912345678,"state":"below_safety","cost":null}'
    return Alert(
        *(number, rule, f"product:P{n}", LAST, state, severity, "It is off.", 4.5, 4.0, evidence, store, 1 if store else None),
        *(at, at, None, until, None, LAST),
    )


def held(name: str, critical: float | None = None) -> AlertRule:
    return AlertRule(name, f"What {name} is.", True, 0.5, critical, 0.4, 1, 1, None, None)


ROWS = {
    "dim_store": [DimStore(1, "S1", "Store 1", None, *[None] * 7)],
    "dim_product": [DimProduct(1, "P1", "Product 1", None, *[None] * 6)],
    "alert": [
        alert(OPEN, "open", 3, "critical", "stockout_risk", 1),
        alert(SNOOZED, "snoozed", 2),
        alert(RESOLVED, "resolved", 1),
    ],
    "alert_rule": [held("bias"), held("stockout_risk", 0.8), replace(held("waste"), changed_at=AT, changed_by="1" * 32)],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("alerts")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abc"),
        ("?alert_state=open", "a"),
        ("?severity=warn", "bc"),
        ("?rule=bias&alert_state=resolved", "c"),
        ("?entity=product:P2", "b"),
        ("?store_id=S1", "a"),
        ("?product_id=P1", "a"),
        ("?rule=none", ""),
        ("?page=2&page_size=2", "c"),
    ],
)
def test_alerts_are_found_newest_first(query: str, found: str, client: TestClient) -> None:
    assert "".join(each["alert_id"][0] for each in client.get(f"{ALERTS}{query}").json()["items"]) == found


def test_an_alert_tells_what_it_was_found_from(client: TestClient) -> None:
    found = client.get(f"{ALERTS}/{OPEN}").json()

    assert found["evidence"] == [
        {"name": "position", "value": 3},
        {"name": "stockout_risk", "value": 0.912346},
        {"name": "state", "value": "below_safety"},
        {"name": "cost", "value": None},
    ]
    assert (found["state"], found["severity"], found["opened_at"]) == ("open", "critical", "2024-07-01T15:00:00Z")


@pytest.mark.parametrize(
    ("query", "status"),
    [("?alert_state=closed", 422), ("?severity=high", 422), ("?store_id=none", 404), ("/x", 404), ("/%00", 404)],
)
def test_what_is_not_there_is_refused(query: str, status: int, client: TestClient) -> None:
    assert client.get(f"{ALERTS}{query}").status_code == status


@pytest.mark.parametrize(
    ("number", "body", "status", "said"),
    [
        (UNKNOWN, {"action": "resolve"}, 404, UNKNOWN),
        (RESOLVED, {"action": "acknowledge"}, 409, "is resolved: acknowledge takes one that is open or snoozed"),
        (OPEN, {"action": "reopen"}, 409, "is open: reopen takes one"),
        (OPEN, {}, 422, "send action or note"),
        (OPEN, {"action": "snooze"}, 422, "a time to come"),
        (OPEN, {"action": "snooze", "until": "2024-01-01T00:00:00Z"}, 422, "a time to come"),
        (OPEN, {"action": "snooze", "until": "9999-12-31T23:59:59-12:00"}, 422, "a time to come, in UTC"),
        (OPEN, {"action": "snooze", "until": "0001-01-01T00:00:00+12:00"}, 422, "a time to come"),
        (OPEN, {"action": "snooze", "until": "2094-01-01T00:00:00"}, 422, ""),
        (OPEN, {"action": "resolve", "until": "2094-01-01T00:00:00Z"}, 422, "for action snooze only"),
        (OPEN, {"action": "close"}, 422, ""),
        (OPEN, {"note": "x" * 2001}, 422, ""),
        (OPEN, {"note": "\x00"}, 422, ""),
        (OPEN, {"note": "x", "alert_id": SNOOZED}, 422, ""),
        (OPEN, {"action": "resolve"}, 503, ""),
        (OPEN, {"action": "snooze", "until": "2094-01-01T00:00:00+02:00"}, 503, ""),
        (SNOOZED, {"action": "reopen", "note": "now 💥"}, 503, ""),
        (RESOLVED, {"note": "as agreed"}, 503, ""),
    ],
)
def test_a_change_is_refused_before_a_job_exists(number: str, body: Any, status: int, said: str, client: TestClient) -> None:
    answer = client.patch(f"{ALERTS}/{number}", json=body)

    assert answer.status_code == status, answer.text
    assert said in answer.text


def test_rules_are_listed_as_they_hold(client: TestClient) -> None:
    found = client.get(RULES).json()["items"]

    assert [(each["rule"], each["warn"], each["critical"], each["changed_at"]) for each in found] == [
        ("bias", 0.5, None, None),
        ("stockout_risk", 0.5, 0.8, None),
        ("waste", 0.5, None, "2024-07-01T12:00:00Z"),
    ]


@pytest.mark.parametrize(
    ("rule", "body", "status", "said"),
    [
        ("none", {"warn": 1}, 404, "/api/v1/alert-rules"),
        ("bias", {}, 422, "nothing to change"),
        ("bias", {"warn": 0.3}, 422, "clear (0.4) must not lie above warn (0.3)"),
        ("stockout_risk", {"warn": 0.9}, 422, "critical (0.8) must not lie below warn (0.9)"),
        ("stockout_risk", {"reset": True, "warn": 0.9}, 422, "critical (0.8) must not lie below warn (0.9)"),
        ("waste", {"reset": True, "warn": 0.3}, 503, ""),
        ("bias", {"warn": 1e300}, 422, ""),
        ("bias", {"warn": "high"}, 422, ""),
        ("bias", {"opens_after": 3}, 422, ""),
        ("bias", {"enabled": False}, 503, ""),
        ("bias", {"warn": 0.9, "clear": 0.9, "critical": 1}, 503, ""),
        ("bias", {"reset": True}, 503, ""),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(rule: str, body: Any, status: int, said: str, client: TestClient) -> None:
    answer = client.put(f"{RULES}/{rule}", json=body)

    assert answer.status_code == status, answer.text
    assert said in answer.text


def test_rules_are_changed_by_admins(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS)
    key = "an-operators-key-0123456789"
    with client_of(tmp_path, headers={"X-API-Key": key}, api_keys=(f"o:operator:{key}",)) as client:
        answers = [client.put(f"{RULES}/bias", json={"warn": 1}), client.patch(f"{ALERTS}/{OPEN}", json={"note": "x"})]

    assert [answer.status_code for answer in answers] == [403, 503]


def test_without_alerts_there_are_none(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS, leave_out=["alerts", "state"])
    with client_of(tmp_path) as client:
        assert [client.get(path).json()["items"] for path in (ALERTS, RULES)] == [[], []]
        assert client.get(f"{ALERTS}/{OPEN}").status_code == 404
