"""Notifications, preferences and templates over HTTP: what is found, and what is refused before a job exists."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.contract.alerts import AlertRule
from assets_config.contract.notifications import (
    Notification,
    NotificationDelivery,
    NotificationPreference,
    NotificationTemplate,
)
from tests.serving.conftest import client_of
from tests.serving.parts import AT, write_snapshot

NOTIFICATIONS, PREFERENCES, TEMPLATES = (
    f"/api/v1/{path}" for path in ("notifications", "notification-preferences", "notification-templates")
)
SENT, DEAD, WAITS, UNKNOWN = (letter * 32 for letter in "abcd")
ALERT = "1" * 32


def told(number: str, state: Any, channel: Any, n: int) -> Notification:
    at, reason = AT + timedelta(hours=n), "answered 500" if state == "dead" else None
    due = at if state == "waiting" else None
    return Notification(number, ALERT, "opened", "warn", channel, None, "It is off.", state, n, due, reason, at, at)


ROWS = {
    "notification": [told(SENT, "delivered", "file", 1), told(DEAD, "dead", "webhook", 2), told(WAITS, "waiting", "webhook", 3)],
    "notification_delivery": [
        NotificationDelivery(DEAD, 1, AT, None, "unknown", "the run was killed while it was sent"),
        NotificationDelivery(DEAD, 2, AT, AT, "failed", "answered 500"),
        NotificationDelivery(SENT, 1, AT, AT, "delivered", "written"),
    ],
    "notification_preference": [
        NotificationPreference("ann", True, '["email"]', "critical", '["bias"]', "a@b.c", "22:00", "07:00", "UTC", AT, ALERT),
        NotificationPreference("everyone", True, '["log","file"]', "warn", "[]", None, None, None, "UTC", None, None),
    ],
    "alert_rule": [AlertRule(rule, "x", True, 0.2, 0.4, 0.1, 1, 1, None, None) for rule in ("bias", "stale")],
    "notification_template": [NotificationTemplate("opened", "{title}", "x", None, None)],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("notifications")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "cba"),
        ("?notification_state=dead", "b"),
        ("?channel=webhook", "cb"),
        (f"?alert_id={ALERT}&channel=file", "a"),
        ("?alert_id=none", ""),
        ("?page=2&page_size=2", "a"),
    ],
)
def test_notifications_are_found_newest_first(query: str, found: str, client: TestClient) -> None:
    assert "".join(each["notification_id"][0] for each in client.get(f"{NOTIFICATIONS}{query}").json()["items"]) == found


def test_a_channel_is_as_well_as_its_last_attempt(client: TestClient) -> None:
    said = client.get("/api/v1/config/providers/health").json()

    channels = {each["name"]: (each["status"], each["detail"]) for each in said["providers"] if each["name"] != "dagster"}
    assert channels == {"file": ("ok", None), "webhook": ("unavailable", "The last attempt: answered 500")}
    assert client.get("/api/v1/config/providers/webhook/models").json() == {"provider": "webhook", "models": []}
    unknown = client.get("/api/v1/config/providers/ollama/models")
    assert (unknown.status_code, "encoder" in unknown.json()["detail"]) == (404, True)


def test_attempts_are_told_in_order(client: TestClient) -> None:
    found = client.get(f"{NOTIFICATIONS}/{DEAD}/deliveries").json()

    assert [(each["attempt"], each["outcome"], each["ended_at"]) for each in found["items"]] == [
        (1, "unknown", None),
        (2, "failed", "2024-07-01T12:00:00Z"),
    ]
    assert client.get(f"{NOTIFICATIONS}/{WAITS}/deliveries").json()["items"] == [], "known, and not tried yet"


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(UNKNOWN, 404, UNKNOWN), (SENT, 409, "is delivered"), (WAITS, 409, "is waiting"), (DEAD, 503, ""), ("%00", 404, "")],
)
def test_what_was_given_up_is_tried_again(number: str, status: int, said: str, client: TestClient) -> None:
    answer = client.post(f"{NOTIFICATIONS}/{number}/retry")

    assert answer.status_code == status, answer.text
    assert said in answer.text


def test_preferences_are_told_as_they_hold(client: TestClient) -> None:
    ann, none = client.get(f"{PREFERENCES}/ann").json(), client.get(f"{PREFERENCES}/none")

    assert (ann["channels"], ann["rules"], ann["quiet_from"], ann["changed_by"]) == (["email"], ["bias"], "22:00", ALERT)
    assert [each["user"] for each in client.get(PREFERENCES).json()["items"]] == ["ann", "everyone"]
    assert none.status_code == 404


@pytest.mark.parametrize(
    ("user", "body", "status", "field"),
    [
        ("ann", {}, 422, "body"),
        ("ann", {"channels": ["sms"]}, 422, "channels"),
        ("ann", {"channels": ["email"]}, 422, "email"),
        ("ann", {"channels": ["email"], "email": "a@b.c\nBcc: x@y.z"}, 422, "email"),
        ("ann", {"channels": [], "quiet_from": "25:00"}, 422, "quiet_from"),
        ("ann", {"channels": [], "quiet_from": "22:00"}, 422, "quiet_until"),
        ("ann", {"channels": [], "time_zone": "../../etc/passwd"}, 422, "time_zone"),
        ("ann", {"channels": [], "rules": ["Bias!"]}, 422, "rules"),
        ("ann", {"channels": [], "user": "bob"}, 422, "user"),
        ("Ann", {"channels": []}, 422, "user"),
        ("a" * 65, {"channels": []}, 422, "user"),
        ("a%0A", {"channels": []}, 422, "user"),
        ("bob", {"channels": ["email", "log"], "email": "b@c.d", "time_zone": "Europe/Berlin"}, 503, ""),
    ],
)
def test_a_preference_that_cannot_hold_is_refused(user: str, body: Any, status: int, field: str, client: TestClient) -> None:
    answer = client.put(f"{PREFERENCES}/{user}", json=body)

    assert answer.status_code == status, answer.text
    assert not field or answer.json()["errors"][0]["field"].startswith(field), answer.text


def test_a_rule_that_there_is_not_is_refused_with_those_that_there_are(client: TestClient) -> None:
    unknown, known = (client.put(f"{PREFERENCES}/bob", json={"channels": ["log"], "rules": rules}) for rules in
                      (["stale", "nope"], ["stale"]))  # fmt: skip

    [error] = unknown.json()["errors"]
    assert (unknown.status_code, error["field"], error["value"]) == (422, "rules[1]", "nope")
    assert error["message"] == "use some of bias, stale"
    assert known.status_code == 503, "a job, which no Dagster takes here"


@pytest.mark.parametrize(
    ("event", "body", "status", "said"),
    [
        ("none", {"subject": "x", "body": "x"}, 404, "/api/v1/notification-templates"),
        ("opened", {"subject": "{password}", "body": "x"}, 422, "known are {title}"),
        ("opened", {"subject": "x", "body": "{title.__class__}"}, 422, "is unknown"),
        ("opened", {"subject": "x", "body": "{"}, 422, "written twice"),
        ("opened", {"subject": "", "body": "x"}, 422, "subject"),
        ("opened", {"subject": "x" * 201, "body": "x"}, 422, "subject"),
        ("opened", {"subject": "x"}, 422, "body"),
        ("opened", {"subject": "{title}", "body": "{note} {{é}} 💥"}, 503, ""),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused(event: str, body: Any, status: int, said: str, client: TestClient) -> None:
    answer = client.put(f"{TEMPLATES}/{event}", json=body)

    assert answer.status_code == status, answer.text
    assert said in answer.text


def test_templates_are_changed_by_admins(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS)
    key = "an-operators-key-0123456789"
    with client_of(tmp_path, headers={"X-API-Key": key}, api_keys=(f"o:operator:{key}",)) as client:
        answers = [
            client.put(f"{TEMPLATES}/opened", json={"subject": "x", "body": "x"}),
            client.put(f"{PREFERENCES}/bob", json={"channels": []}),
        ]

    assert [answer.status_code for answer in answers] == [403, 503]
    assert ROWS["notification_template"][0].subject == "{title}"


def test_without_notifications_there_are_none(tmp_path: Path) -> None:
    write_snapshot(tmp_path, ROWS, leave_out=["notifications", "state"])
    with client_of(tmp_path) as client:
        lists = [client.get(path).json()["items"] for path in (NOTIFICATIONS, PREFERENCES, TEMPLATES)]
        missing = [client.get(f"{NOTIFICATIONS}/{SENT}/deliveries"), client.post(f"{NOTIFICATIONS}/{DEAD}/retry")]

    assert lists == [[], [], []]
    assert [answer.status_code for answer in missing] == [404, 404]
