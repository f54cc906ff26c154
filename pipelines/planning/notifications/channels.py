"""How a notification leaves: the log, a file, a webhook, e-mail. Each has a bounded time and says whether trying again may help.

Every channel names the notification by its id, so that whoever is told twice, after a kill or a lost answer, can know it.
"""

import hashlib
import hmac
import json
import logging
import os
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from assets_config.contract.notifications import Channel
from pipelines.planning.notifications.journal import Queued

log = logging.getLogger(__name__)
MOST_BYTES = 10 << 20
"""Size from which the file of notifications is put aside, one old one kept."""
AGAIN = (408, 425, 429)  # answers below 500 after which trying again may help


class Undelivered(Exception):
    """Why a notification did not arrive; `is_final` where trying again cannot help."""

    def __init__(self, detail: str, *, is_final: bool = False) -> None:
        super().__init__(detail)
        self.is_final = is_final


class Outlets(Struct, frozen=True, kw_only=True):
    """Where channels lead, from the settings."""

    file: Path
    webhook_url: str | None = None
    webhook_secret: str | None = None
    smtp_url: str | None = None
    mail_from: str = "demandgraph@localhost"
    seconds: float = 10.0  # that one attempt may take


def send(message: Queued, outlets: Outlets) -> str:
    """Deliver, and say what the other side said. Raises Undelivered."""
    try:
        return SENDERS[message.channel](message, outlets)
    except ValueError as error:  # what cannot stand in a header or an address, such as a name of a host
        raise Undelivered(f"{type(error).__name__}: {error}"[:500], is_final=True) from error


def is_written(message: Queued, outlets: Outlets) -> bool:
    """Whether an attempt that was killed had written its line."""
    if message.channel != "file" or not outlets.file.exists():
        return False
    return f'"{message.notification_id}"' in outlets.file.read_text(encoding="utf-8", errors="replace")


def payload(message: Queued) -> bytes:
    """The JSON that a webhook is sent, in UTF-8."""
    said = {"notification_id": message.notification_id, "subject": message.subject, "body": message.body, "alert": message.facts}
    return json.dumps(said, ensure_ascii=False).encode()


def _log(message: Queued, outlets: Outlets) -> str:  # noqa: ARG001 - one signature for all
    log.warning("%s (alert %s)", message.subject, message.alert_id)
    return "logged"


def _file(message: Queued, outlets: Outlets) -> str:
    try:
        outlets.file.parent.mkdir(parents=True, exist_ok=True)
        if outlets.file.exists() and outlets.file.stat().st_size > MOST_BYTES:
            outlets.file.replace(outlets.file.with_suffix(".old.jsonl"))
        with outlets.file.open("ab+") as file:
            if file.tell() and _last_byte(outlets.file) != b"\n":  # a killed process left a line in part
                file.write(b"\n")
            file.write(payload(message) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Undelivered(f"{outlets.file.name}: {error.strerror}") from error
    return f"written to {outlets.file.name}"


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


def _webhook(message: Queued, outlets: Outlets) -> str:
    """POST as JSON. A redirect is not followed: what is to be told stays with whom it was meant for."""
    if outlets.webhook_url is None:
        raise Undelivered("DEMANDGRAPH_WEBHOOK_URL is not set", is_final=True)
    url, body = urlsplit(outlets.webhook_url), payload(message)
    headers = {"Content-Type": "application/json", "Idempotency-Key": message.notification_id, "User-Agent": "demandgraph"}
    if outlets.webhook_secret is not None:
        digest = hmac.new(outlets.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Signature"] = f"sha256={digest}"
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=outlets.seconds)
    try:
        with _bounded(lambda: connection.sock, outlets.seconds, (OSError, HTTPException)):
            connection.request("POST", f"{url.path or '/'}{f'?{url.query}' if url.query else ''}", body, headers)
            status = connection.getresponse().status
    finally:
        connection.close()
    if 200 <= status < 300:
        return f"answered {status}"
    raise Undelivered(f"answered {status}", is_final=status < 500 and status not in AGAIN)


def _email(message: Queued, outlets: Outlets) -> str:
    if outlets.smtp_url is None:
        raise Undelivered("DEMANDGRAPH_SMTP_URL is not set", is_final=True)
    url = urlsplit(outlets.smtp_url)
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = message.subject, outlets.mail_from, message.address
    letter["Message-ID"] = f"<{message.notification_id}@demandgraph>"
    letter.set_content(message.body)
    held: list[smtplib.SMTP] = []
    try:
        with _bounded(lambda: held[0].sock if held else None, outlets.seconds, (OSError, smtplib.SMTPException)):
            kind: Any = smtplib.SMTP_SSL if url.scheme == "smtps" else smtplib.SMTP
            kept = {"context": ssl.create_default_context()} if url.scheme == "smtps" else {}
            held.append(kind(local_hostname="localhost", timeout=outlets.seconds, **kept))
            held[0].connect(url.hostname or "", url.port or (465 if url.scheme == "smtps" else 25))
            if url.scheme == "smtp+starttls":
                held[0].starttls(context=ssl.create_default_context())
            if url.username:
                held[0].login(unquote(url.username), unquote(url.password or ""))
            held[0].send_message(letter)
    finally:
        for server in held:
            server.close()
    return f"taken by {url.hostname}"


@contextmanager
def _bounded(find: Callable[[], Any], seconds: float, faults: tuple[type[Exception], ...]) -> Iterator[None]:
    """Cut a conversation after its time, however slowly the other side goes on talking. Raises Undelivered for its faults."""
    cut = []

    def end() -> None:
        cut.append(True)
        with suppress(OSError, AttributeError):  # it is over, or has not begun
            find().shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except faults as error:
        late = (error, error.__context__)  # smtplib says of a socket that waited too long that it was closed
        if cut or any(isinstance(each, TimeoutError) for each in late):
            raise Undelivered(f"no answer within {seconds:g} seconds") from error
        raise Undelivered(_said(error), is_final=_is_final(error)) from error
    finally:
        timer.cancel()


def _said(error: Exception) -> str:
    """The fault in words, without what was sent."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {text.decode(errors='replace')}" for code, text in error.recipients.values())[:500]
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"{error.smtp_code} {text}"[:500]
    return f"{type(error).__name__}: {error}"[:500]


def _is_final(error: Exception) -> bool:
    """Whether the mail server refused for good, by a code of 500 or above."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500


SENDERS: dict[Channel, Callable[[Queued, Outlets], str]] = {"log": _log, "file": _file, "webhook": _webhook, "email": _email}
