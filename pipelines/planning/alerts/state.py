"""The alerts of a warehouse, looked at and changed under one lock; signals are written after alerts, so that a kill loses none."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime

import polars as pl

from assets_config.contract.alerts import Alert, AlertRule, UpdateAlertParams, why_not_update
from assets_config.contract.durable import locked
from pipelines.errors import PipelineError
from pipelines.planning.alerts.machine import Book, Key, Measured, Signal, alert_id, looked_at, updated
from pipelines.shapes import frame_of
from pipelines.warehouse import Warehouse

ALERTS, SIGNALS = "planning/alert", "planning/alert_signal"
KEPT = 10_000
"""Resolved alerts that are kept, the newest; the others are forgotten."""


@contextmanager
def changing(warehouse: Warehouse) -> Iterator[None]:
    """Hold the lock of the alerts; waits for another process that holds it."""
    with locked(warehouse.folder / "planning" / "alert.lock"):
        yield


def read_book(warehouse: Warehouse) -> Book:
    """What is known of the source that is loaded; nothing before the first time."""
    alerts, signals = warehouse.previous(ALERTS), warehouse.previous(SIGNALS)
    return Book(
        {} if signals is None else {(row["rule"], row["entity"]): Signal(**row) for row in signals.iter_rows(named=True)},
        {} if alerts is None else {row["alert_id"]: Alert(**row) for row in alerts.iter_rows(named=True)},
    )


def look(
    warehouse: Warehouse, frames: Mapping[str, pl.DataFrame], rules: Mapping[str, AlertRule], *, as_of: date, at: datetime
) -> Book:
    """Look at every rule, from what measures.py gives by rule; write and give what is so now."""
    with changing(warehouse):
        book = read_book(warehouse)
        measured = worth_a_look(frames, rules, book.signals.keys())
        after = looked_at(book, measured, rules, dataset_id=warehouse.dataset_id(), as_of=as_of, at=at)
        _keep(warehouse, after)
    return after


def worth_a_look(frames: Mapping[str, pl.DataFrame], rules: Mapping[str, AlertRule], known: Iterable[Key]) -> list[Measured]:
    """Values above clear, and those of entities that something is known of: of thousands of series, few."""
    entities: dict[str, list[str]] = {}
    for rule, entity in known:
        entities.setdefault(rule, []).append(entity)
    found = []
    for rule, frame in frames.items():
        if rule in rules:
            rows = frame.filter((pl.col("value") > rules[rule].clear) | pl.col("entity").is_in(entities.get(rule, [])))
            found += [Measured(rule=rule, **row) for row in rows.iter_rows(named=True)]
    return found


def change_alert(warehouse: Warehouse, command: UpdateAlertParams, *, at: datetime, by: str) -> Alert:
    """Carry out a command.

    Raises   PipelineError, naming the alert: one that is not there, or whose state does not allow it.
    """
    with changing(warehouse):
        book = read_book(warehouse)
        if command.alert_id not in book.alerts:
            raise PipelineError(f"no alert has the id {command.alert_id}: it is kept no more, or never was")
        alert = book.alerts[command.alert_id]
        why = why_not_update(command, alert.state, now=at.replace(tzinfo=UTC))
        if why is not None:
            raise PipelineError(why)
        after = updated(alert, command, at=at, by=by)
        _keep(warehouse, Book(book.signals, {**book.alerts, command.alert_id: after}))
    return after


def _keep(warehouse: Warehouse, book: Book) -> None:
    ordered = sorted(book.alerts.values(), key=lambda alert: (alert.opened_at, alert.alert_id))
    begun = {alert_id(*key, signal.since) for key, signal in book.signals.items()}  # not to be opened again
    done = [alert.alert_id for alert in ordered if alert.state == "resolved" and alert.alert_id not in begun]
    forgotten = set(done[:-KEPT])
    warehouse.write(ALERTS, frame_of(Alert, [alert for alert in ordered if alert.alert_id not in forgotten]))
    warehouse.write(SIGNALS, frame_of(Signal, [book.signals[key] for key in sorted(book.signals)]))
