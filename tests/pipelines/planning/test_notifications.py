"""Notifications: each event of an alert reaches each channel once, or is given up with its reason, whatever the other side does."""

import hashlib
import hmac
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Any

import msgspec
import pytest
from dagster import DagsterInstance, RunRequest, SkipReason, build_sensor_context
from msgspec.structs import replace

from assets_config.contract.alerts import Alert
from assets_config.contract.notifications import (
    NotificationPreference,
    Preference,
    RetryNotificationParams,
    SetPreferenceParams,
    SetTemplateParams,
    TemplateText,
    why_not_preference,
    why_not_template,
)
from assets_config.entries import DeclarationError
from assets_config.notifications import notification_rules
from pipelines.automation.delivery import delivery
from pipelines.errors import PipelineError
from pipelines.planning.alerts.state import ALERTS
from pipelines.planning.notifications.channels import Outlets
from pipelines.planning.notifications.deliver import DELIVERIES, NOTIFICATIONS, deliver, due, journal_of, write_deliveries
from pipelines.planning.notifications.queue import awake_at, events_of, queue, targets
from pipelines.planning.notifications.state import PREFERENCES, change_preferences, change_templates, preferences, templates
from pipelines.shapes import frame_of
from pipelines.warehouse import Warehouse
from tests.pipelines.planning.outlets import Hook, Post, closed_port, http_server, smtp_server

AT, JOB = datetime(2024, 7, 1, 12), "1" * 32
DECLARED = notification_rules()
QUICK = 0.4  # seconds that an attempt may take here


def alert(number: int = 1, **changes: Any) -> Alert:
    day = AT.date()
    held = Alert(
        *(
            f"{number:032x}",
            "stockout_risk",
            "store:S1/product:P1",
            day,
            "open",
            "warn",
            "P1 runs out\r\nBcc: all@example.com",
            0.9,
        ),
        *(0.5, "{}", 1, 1, AT, AT, None, None, None, day),
    )
    return replace(held, **changes)


class Bench:
    """A warehouse with alerts, a clock that is set by hand, and the outlets."""

    def __init__(self, root: Path, **outlets: Any) -> None:
        self.warehouse, self.at = Warehouse(root), AT
        self.outlets = Outlets(file=root / "notifications" / "alerts.jsonl", seconds=QUICK, **outlets)
        self.prefer("everyone")
        change_templates(self.warehouse, DECLARED, [], at=AT, by=JOB)

    def prefer(self, user: str, *channels: Any, **others: Any) -> None:
        command = SetPreferenceParams(list(channels), **{"email": "ann@example.com", **others}, user=user)
        change_preferences(self.warehouse, DECLARED, [command], at=AT, by=JOB)

    def put(self, *alerts: Alert) -> None:
        self.warehouse.write(ALERTS, frame_of(Alert, alerts))

    def run(self, minutes: float = 0, **given: Any) -> list[dict[str, Any]]:
        self.at += timedelta(minutes=minutes)
        deliver(self.warehouse, self.outlets, now=lambda: self.at, **given)
        return self.warehouse.read(NOTIFICATIONS).rows(named=True)

    def deliveries(self) -> list[tuple[int, str, str]]:
        write_deliveries(self.warehouse)
        return self.warehouse.read(DELIVERIES).select("attempt", "outcome", "detail").rows()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.outlets.file.read_text().splitlines()]


@pytest.fixture
def hook() -> Iterator[Hook]:
    with http_server() as hook:
        yield hook


@pytest.fixture
def post() -> Iterator[Post]:
    with smtp_server() as post:
        yield post


def test_every_channel_is_told_once(root: Path, hook: Hook, post: Post, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(root, webhook_url=hook.url, webhook_secret="s3cret", smtp_url=post.url, mail_from="dg@example.com")
    bench.prefer("ann", "log", "file", "webhook", "email")
    bench.prefer("bob", "webhook", "email", email="bob@example.com")
    bench.put(alert())

    with caplog.at_level(logging.WARNING):
        told = bench.run()
        again = bench.run(10)

    assert again == told
    assert sorted((each["channel"], each["recipient"], each["state"]) for each in told) == [
        ("email", "ann", "delivered"),
        ("email", "bob", "delivered"),
        ("file", None, "delivered"),
        ("log", None, "delivered"),
        ("webhook", None, "delivered"),
    ]
    numbers = {each["channel"]: each["notification_id"] for each in told}
    [(headers, body)] = hook.seen
    assert headers["Idempotency-Key"] == numbers["webhook"]
    assert headers["X-Signature"] == "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert json.loads(body)["alert"]["entity"] == "store:S1/product:P1"
    assert [each["notification_id"] for each in bench.lines()] == [numbers["file"]]
    assert [record.message for record in caplog.records].count(f"{told[0]['subject']} (alert {alert().alert_id})") == 1
    assert sorted(letter["To"] for letter in post.letters) == ["ann@example.com", "bob@example.com"]
    assert {letter["From"] for letter in post.letters} == {"dg@example.com"}
    assert post.letters[0]["Subject"] == "[warn] P1 runs out Bcc: all@example.com"
    assert post.letters[0]["Bcc"] is None, "a title makes no header"
    assert {letter["Message-ID"] for letter in post.letters} == {
        f"<{each['notification_id']}@demandgraph>" for each in told if each["channel"] == "email"
    }


@pytest.mark.parametrize(
    ("fault", "outcomes", "reason"),
    [
        ({"statuses": [500]}, ["failed"] * 5, "answered 500"),
        ({"statuses": [500, 503, 200]}, ["failed", "failed", "delivered"], None),
        ({"statuses": [429, 202]}, ["failed", "delivered"], None),
        ({"statuses": [404]}, ["failed"], "answered 404"),
        ({"statuses": [302]}, ["failed"], "answered 302"),
        ({"slow": 0.1}, ["delivered"], None),
        ({"slow": 1.0}, ["failed"] * 5, "no answer within 0.4 seconds"),
        ({"drip": 0.1}, ["failed"] * 5, "no answer within 0.4 seconds"),
        ({"url": "http://127.0.0.1:1/"}, ["failed"] * 5, "Connection refused"),
        ({"url": "http://name.invalid/"}, ["failed"] * 5, "gaierror"),
        ({"url": f"http://{'x' * 70}.example.com/"}, ["failed"], "UnicodeError"),
        ({"url": None}, ["failed"], "DEMANDGRAPH_WEBHOOK_URL is not set"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_webhook_is_told_once_or_given_up_with_the_reason(
    fault: dict[str, Any], outcomes: list[str], reason: str | None, root: Path, hook: Hook
) -> None:
    for name, value in fault.items():
        setattr(hook, name, value)
    bench = Bench(root, webhook_url=hook.url)
    bench.prefer("ann", "webhook")
    bench.put(alert())

    for wait in (0, 1, 2, 4, 8, 16, 32):
        [told] = bench.run(wait)

    assert [outcome for _, outcome, _ in bench.deliveries()] == outcomes
    assert told["attempts"] == len(outcomes)
    assert told["state"] == ("dead" if reason else "delivered")
    assert told["due_at"] is None
    assert (told["reason"] is None) if reason is None else (reason in told["reason"])
    assert {headers["Idempotency-Key"] for headers, _ in hook.seen} <= {told["notification_id"]}, "one id, however often it is sent"


@pytest.mark.parametrize(
    ("fault", "outcomes", "letters", "reason"),
    [
        ({"recipient": ["550 no such user"]}, ["failed"], 0, "550 no such user"),
        ({"recipient": ["451 later", "250 OK"]}, ["failed", "delivered"], 1, None),
        ({"data": ["451 full", "250 OK"]}, ["failed", "delivered"], 1, None),
        ({"data": ["554 refused"]}, ["failed"], 0, "554 refused"),
        ({"slow": 0.1}, ["delivered"], 1, None),
        ({"slow": 0.8}, ["failed"] * 5, None, "no answer within 0.4 seconds"),
        ({"url": "smtp://127.0.0.1:1"}, ["failed"] * 5, 0, "Connection refused"),
        ({"url": None}, ["failed"], 0, "DEMANDGRAPH_SMTP_URL is not set"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_letter_is_taken_once_or_given_up_with_the_reason(
    fault: dict[str, Any], outcomes: list[str], letters: int | None, reason: str | None, root: Path, post: Post
) -> None:
    for name, value in fault.items():
        setattr(post, name, value)
    bench = Bench(root, smtp_url=post.url)
    bench.prefer("ann", "email")
    bench.put(alert())

    for wait in (0, 1, 2, 4, 8, 16):
        [told] = bench.run(wait)

    assert [outcome for _, outcome, _ in bench.deliveries()] == outcomes
    assert letters is None or len(post.letters) == letters
    assert (told["reason"] is None) if reason is None else (reason in told["reason"])
    assert len({letter["Message-ID"] for letter in post.letters}) <= 1


def test_a_socket_that_waits_too_long_says_so_where_nobody_cut_it(root: Path, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.planning.notifications.channels.Timer", lambda seconds, _: Timer(60 + seconds, lambda: None))
    post.slow = 2 * QUICK
    bench = Bench(root, smtp_url=post.url)
    bench.prefer("ann", "email")
    bench.put(alert())

    [told] = bench.run(0)

    assert "no answer within 0.4 seconds" in told["reason"]


def test_each_try_waits_twice_as_long_as_the_last(root: Path) -> None:
    bench = Bench(root, webhook_url=f"http://127.0.0.1:{closed_port()}/")
    bench.prefer("ann", "webhook")
    bench.put(alert())

    waits = []
    [told] = bench.run()
    while told["due_at"] is not None:
        waits.append((told["due_at"] - bench.at).total_seconds() / 60)
        assert bench.run(waits[-1] - 0.01)[0]["attempts"] == told["attempts"], "not before its time"
        [told] = bench.run(0.01)

    assert waits == [1, 2, 4, 8]
    assert told["state"] == "dead"


def test_what_was_given_up_is_tried_again_by_hand(root: Path, hook: Hook) -> None:
    hook.statuses = [400, 200]
    bench = Bench(root, webhook_url=hook.url)
    bench.prefer("ann", "webhook")
    bench.put(alert())
    [dead] = bench.run()
    retry = RetryNotificationParams(dead["notification_id"])

    [told] = bench.run(retry=retry, by=JOB)

    assert (dead["state"], told["state"], told["attempts"], told["reason"]) == ("dead", "delivered", 2, None)
    with pytest.raises(PipelineError, match=f"Notification {retry.notification_id} is delivered: only one that was given up"):
        bench.run(retry=retry)
    with pytest.raises(PipelineError, match=f"no notification has the id {'0' * 32}"):
        bench.run(retry=RetryNotificationParams("0" * 32))
    assert len(hook.seen) == 2


def test_an_alert_is_told_as_it_goes_on(root: Path) -> None:
    bench = Bench(root)
    bench.prefer("ann", "file")

    for changes in ({}, {"severity": "critical"}, {"state": "acknowledged", "note": "on its way"}, {"state": "resolved"}, {}):
        bench.put(alert(**changes))  # type: ignore[arg-type]
        bench.run(1)

    assert [each["alert"]["event"] for each in bench.lines()] == ["opened", "escalated", "acknowledged", "resolved"]
    assert "Somebody sees to it: on its way" in bench.lines()[2]["body"]


@pytest.mark.parametrize(
    ("changes", "told", "events"),
    [
        ({}, {}, ["opened"]),
        ({"state": "acknowledged"}, {}, ["opened"]),
        ({"state": "snoozed"}, {}, []),
        ({"state": "resolved"}, {}, []),
        ({}, {"opened": "warn"}, []),
        ({"severity": "critical"}, {"opened": "warn"}, ["escalated"]),
        ({"severity": "critical"}, {"opened": "critical"}, []),
        ({"severity": "critical"}, {"opened": "warn", "escalated": "critical"}, []),
        ({"severity": "critical", "state": "snoozed"}, {"opened": "warn"}, []),
        ({"state": "resolved"}, {"opened": "warn"}, ["resolved"]),
        ({"state": "resolved"}, {"opened": "warn", "resolved": "warn"}, []),
    ],
)
def test_an_event_is_new_once(changes: dict[str, Any], told: dict[str, str], events: list[str]) -> None:
    held = alert(**changes)

    assert events_of(held, {(held.alert_id, event): severity for event, severity in told.items()}) == events


def preference(user: str = "ann", **changes: Any) -> NotificationPreference:
    given: dict[str, Any] = {
        "user": user, "enabled": True, "channels": '["file"]', "severity": "warn", "rules": "[]", "email": None, "quiet_from": None,
        "quiet_until": None, "time_zone": "UTC", "changed_at": None, "changed_by": None,
    }  # fmt: skip
    return NotificationPreference(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 1),
        ({"enabled": False}, 0),
        ({"severity": "critical"}, 0),
        ({"rules": '["bias"]'}, 0),
        ({"rules": '["bias","stockout_risk"]'}, 1),
        ({"channels": "[]"}, 0),
        ({"channels": '["file","email"]'}, 2),
    ],
)
def test_users_are_told_of_what_they_want(changes: dict[str, Any], count: int) -> None:
    assert len(list(targets(alert(), [preference(**changes)]))) == count


@pytest.mark.parametrize(
    ("at", "quiet", "zone", "expected"),
    [
        ("2024-07-01T12:00", ("22:00", "07:00"), "UTC", "2024-07-01T12:00"),
        ("2024-07-01T22:00", ("22:00", "07:00"), "UTC", "2024-07-02T07:00"),
        ("2024-07-02T06:59", ("22:00", "07:00"), "UTC", "2024-07-02T07:00"),
        ("2024-07-02T07:00", ("22:00", "07:00"), "UTC", "2024-07-02T07:00"),
        ("2024-07-01T20:30", ("22:00", "07:00"), "Europe/Berlin", "2024-07-02T05:00"),
        ("2024-03-30T23:00", ("22:00", "07:00"), "Europe/Berlin", "2024-03-31T05:00"),  # clocks go forward in that night
        ("2024-10-26T23:00", ("22:00", "07:00"), "Europe/Berlin", "2024-10-27T06:00"),
        ("2024-07-01T12:30", ("12:00", "13:00"), "UTC", "2024-07-01T13:00"),
        ("2024-07-01T12:00", ("12:00", "12:00"), "UTC", "2024-07-01T12:00"),
    ],
)
def test_quiet_hours_end_where_the_user_lives(at: str, quiet: tuple[str, str], zone: str, expected: str) -> None:
    held = preference(quiet_from=quiet[0], quiet_until=quiet[1], time_zone=zone)

    assert awake_at(held, datetime.fromisoformat(at)) == datetime.fromisoformat(expected)


def test_quiet_hours_hold_back_warnings_alone(root: Path) -> None:
    bench = Bench(root)
    bench.prefer("ann", "file", quiet_from="11:00", quiet_until="13:00")
    bench.put(alert(1), alert(2, severity="critical"))

    first = {each["alert_id"]: each["state"] for each in bench.run()}
    later = {each["state"] for each in bench.run(61)}

    assert (first[alert(1).alert_id], first[alert(2).alert_id]) == ("waiting", "delivered")
    assert later == {"delivered"}


def test_of_those_who_share_a_channel_who_is_awake_decides() -> None:
    quiet = preference("ann", quiet_from="11:00", quiet_until="13:00")

    [made] = queue([alert()], {}, [quiet, preference("bob")], templates_of(), at=AT)

    assert made.due_at == AT


def templates_of() -> dict[str, Any]:
    return {key: TemplateText(each.subject, each.body) for key, each in DECLARED.templates.items()}


PROGRAM = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from pipelines.planning.notifications.channels import Outlets
from pipelines.planning.notifications.deliver import deliver
from pipelines.warehouse import Warehouse

root = Path(sys.argv[1])

def deliver_and_die(at):
    seen = 0
    def heard(event, arguments):
        nonlocal seen
        if event in ("open", "os.rename", "os.truncate"):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(heard)
    outlets = Outlets(file=root / "notifications/alerts.jsonl")
    deliver(Warehouse(root), outlets, now=lambda: datetime(2024, 7, 1, 12))

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        deliver_and_die(int(line))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else "ended", flush=True)
"""


def test_killed_at_any_change_of_files_each_line_is_written_once(root: Path) -> None:
    bench = Bench(root)
    bench.prefer("ann", "file")
    bench.put(*(alert(n) for n in range(1, 4)))
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdin is not None
    assert program.stdout is not None

    killed = 0
    for step in range(1, 80):
        program.stdin.write(f"{step}\n")
        program.stdin.flush()
        ended = program.stdout.readline().strip() == "ended"
        written = [each["notification_id"] for each in bench.lines()] if bench.outlets.file.exists() else []
        assert len(written) == len(set(written)), f"twice after a kill at step {step}"
        if ended:
            break
        killed += 1
    program.communicate()

    assert ended
    assert killed > 8
    assert len(written) == 3
    assert {each["state"] for each in bench.run()} == {"delivered"}


def test_killed_while_it_is_sent_it_is_sent_again_under_its_id(root: Path, hook: Hook) -> None:
    bench = Bench(root, webhook_url=hook.url)
    bench.prefer("ann", "webhook")
    bench.put(alert())
    bench.run()
    journal = journal_of(bench.warehouse)
    *before, _ = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join(before) + b'{"line":"ended","notif')  # the last line in part

    [told] = bench.run()

    assert (told["state"], told["attempts"]) == ("delivered", 2)
    assert bench.deliveries()[0] == (1, "unknown", "the run was killed while it was sent")
    assert len({headers["Idempotency-Key"] for headers, _ in hook.seen}) == 1


def test_an_altered_journal_stops_and_names_the_line(root: Path) -> None:
    bench = Bench(root)
    bench.prefer("ann", "file")
    bench.put(alert())
    bench.run()
    journal = journal_of(bench.warehouse)
    journal.path.write_bytes(journal.path.read_bytes().replace(b'"began"', b'"begun"', 1))

    with pytest.raises(PipelineError, match=r"journal.jsonl: line 2 was altered \(.*begun.*\): mend it, or take it out"):
        bench.run()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{title.__class__}", "{title.__class__} is unknown"),
        ("{title[0]}", "is unknown"),
        ("{0}", "{0} is unknown"),
        ("{}", "{} is unknown"),
        ("{title!r:>10}", "{title} has a format or a conversion: write the name alone"),
        ("{title:>99999999}", "{title} has a format or a conversion"),
        ("{password}", "known are {title}, {rule}"),
        ("{title", "expected '}' before end of string"),
        ("}", "braces of the text itself are written twice"),
        ("{body}" * 3, "is unknown"),
        ("{title}" * 20, "has more than 500 letters"),
        ("{{title}} {title}", None),
        ("é 💥", None),
    ],
)
def test_a_template_names_what_it_is_given_and_nothing_else(text: str, said: str | None) -> None:
    found = why_not_template(TemplateText(text, "x"))

    assert (found is None) if said is None else (found is not None and found[0] == "subject" and said in found[1])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channels": ["email"]}, "email"),
        ({"quiet_from": "22:00"}, "quiet_until"),
        ({"quiet_until": "22:00"}, "quiet_from"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "Europe"}, "time_zone"),
        ({"channels": ["email"], "email": "a@b.c", "time_zone": "Asia/Tokyo"}, None),
    ],
)
def test_a_preference_that_cannot_hold_names_its_field(changes: dict[str, Any], field: str | None) -> None:
    found = why_not_preference(Preference(**{"channels": [], **changes}))

    assert (found is None) == (field is None)
    assert found is None or found[0] == field


@pytest.mark.parametrize("email", ["a@b.c\nBcc: x@y.z", "a b@c.d", "@b.c", "a@", "a@b@c", "a@b.c\n", "<a@b.c>", ""])
def test_an_address_is_one_address(email: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"channels": ["email"], "email": email}, Preference)


def test_what_people_set_stays_over_what_is_declared(root: Path) -> None:
    bench = Bench(root)
    bench.prefer("ann", "log")
    change_templates(bench.warehouse, DECLARED, [SetTemplateParams("{title}!", "x", event="opened")], at=AT, by=JOB)
    before = bench.warehouse.path(PREFERENCES).read_bytes()

    change_preferences(bench.warehouse, DECLARED, [], at=AT + timedelta(1), by="2" * 32)
    change_templates(bench.warehouse, DECLARED, [], at=AT + timedelta(1), by="2" * 32)

    assert bench.warehouse.path(PREFERENCES).read_bytes() == before
    assert [(each.user, each.changed_by) for each in preferences(bench.warehouse)] == [("ann", JOB), ("everyone", JOB)]
    held = templates(bench.warehouse)
    assert (held["opened"].subject, held["resolved"].changed_at) == ("{title}!", None)
    with pytest.raises(PipelineError, match=r"opened: subject \{x\} is unknown"):
        change_templates(bench.warehouse, DECLARED, [SetTemplateParams("{x}", "x", event="opened")], at=AT, by=JOB)
    with pytest.raises(PipelineError, match="bob: email is needed for the channel email"):
        change_preferences(bench.warehouse, DECLARED, [SetPreferenceParams(["email"], user="bob")], at=AT, by=JOB)


def test_a_mistake_in_the_declarations_names_entry_and_field(tmp_path: Path) -> None:
    (tmp_path / "notifications.yaml").write_text("templates: [{key: opened, subject: '{x}', body: x}]")

    with pytest.raises(DeclarationError, match=r"notifications.yaml: entry opened: subject \{x\} is unknown"):
        notification_rules(tmp_path)


def test_the_watch_starts_a_delivery_when_one_is_due(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMANDGRAPH_DATA", str(root))
    bench = Bench(root, webhook_url=f"http://127.0.0.1:{closed_port()}/")
    bench.prefer("ann", "webhook")
    bench.put(alert())

    with DagsterInstance.ephemeral() as instance:
        before = delivery(build_sensor_context(instance))
        bench.at = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=90)
        [told] = bench.run()
        after = delivery(build_sensor_context(instance))

    assert isinstance(before, SkipReason)
    assert isinstance(after, RunRequest)
    assert due(bench.warehouse, bench.at) == []
    assert due(bench.warehouse, told["due_at"]) == [told["notification_id"]]
