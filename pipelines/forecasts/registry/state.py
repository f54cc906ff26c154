"""What people decided about model runs, a row a decision: names of runs, and what was said of them.

State is made of no table, so that a run of the graph leaves it as it is; a job changes a row of it. The registry and the two
tables of state are looked at and changed under one lock: no run is dropped while it is being named.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct, structs

from assets_config.contract.durable import locked
from assets_config.contract.state import (
    AnnotateRunParams,
    DeleteAliasParams,
    ModelAlias,
    ModelRunNote,
    SetAliasParams,
    moved,
    why_not_annotate,
    why_not_delete,
    why_not_set,
)
from pipelines.errors import PipelineError
from pipelines.shapes import empty, frame_of
from pipelines.trials.tables import RUN, rows
from pipelines.warehouse import Warehouse

ALIASES, NOTES, RUNS = "forecasts/model_alias", "forecasts/model_run_note", "forecasts/model_run"
SHAPES: dict[str, type[Struct]] = {ALIASES: ModelAlias, NOTES: ModelRunNote}


@contextmanager
def changing(warehouse: Warehouse) -> Iterator[None]:
    """Hold the lock of the registry and its state; waits for another process that holds it."""
    with locked(warehouse.folder / "forecasts" / "registry.lock"):
        yield


def aliases(warehouse: Warehouse) -> pl.DataFrame:
    """The aliases as they are, whichever source was loaded when they were set; no row before the first time."""
    return _rows(warehouse, ALIASES)


def dangling(warehouse: Warehouse) -> dict[str, str]:
    """The run of each alias that the registry does not have as a success, by name; empty when all are there."""
    there = _runs(warehouse).filter(status="success")
    return dict(aliases(warehouse).join(there, on="run_id", how="anti").select("name", "run_id").iter_rows())


def change_aliases(warehouse: Warehouse, commands: Sequence[SetAliasParams | DeleteAliasParams], *, at: datetime, by: str) -> None:
    """Carry out commands on the aliases, all or none; without any they stay as they are, to the byte.

    Takes    `at`: now, in UTC without a zone, as tables have it; `by`: the job that is told as the one who changed it.
    Raises   PipelineError, naming alias or run: a run that is not there or did not succeed, an alias that is protected or unknown.
    """
    with changing(warehouse):
        found = {row["name"]: ModelAlias(**row) for row in aliases(warehouse).iter_rows(named=True)}
        for command in commands:
            if isinstance(command, SetAliasParams):
                found[command.name] = _named(warehouse, command, found.get(command.name), at=at, by=by)
            else:
                found.pop(_deletable(command, found).name)
        warehouse.write_changed(ALIASES, frame_of(ModelAlias, [found[name] for name in sorted(found)]))


def change_notes(warehouse: Warehouse, commands: Sequence[AnnotateRunParams], *, at: datetime, by: str) -> None:
    """Carry out commands on what is said of runs, all or none; without any it stays as it is, to the byte.

    Takes    `at`: now, in UTC without a zone, as tables have it; `by`: the job that is told as the one who changed it.
    Raises   PipelineError, naming the run: one that is not there, or that is archived while it has an alias.
    """
    with changing(warehouse):
        named = [ModelAlias(**row) for row in aliases(warehouse).iter_rows(named=True)]
        found = {row["run_id"]: ModelRunNote(**row) for row in _rows(warehouse, NOTES).iter_rows(named=True)}
        for command in commands:
            _run(warehouse, command.run_id)
            _refuse(why_not_annotate(command, named))
            before = found.get(command.run_id) or ModelRunNote(command.run_id, False, "[]", None, at, by)
            after = annotated(before, command)
            found[command.run_id] = after if after == before else structs.replace(after, changed_at=at, changed_by=by)
        warehouse.write_changed(NOTES, frame_of(ModelRunNote, [found[run_id] for run_id in sorted(found)]))


def annotated(note: ModelRunNote, command: AnnotateRunParams) -> ModelRunNote:
    """What is said of a run after a command; what the command does not give stays."""
    changes: dict[str, Any] = {}
    if command.archive is not None:
        changes["archived"] = command.archive
    if command.tags is not None:
        changes["tags"] = msgspec.json.encode(list(dict.fromkeys(command.tags))).decode()
    if command.notes is not None:
        changes["notes"] = command.notes or None
    return structs.replace(note, **changes)


def _named(warehouse: Warehouse, command: SetAliasParams, alias: ModelAlias | None, *, at: datetime, by: str) -> ModelAlias:
    run = _run(warehouse, command.run_id)
    archived = _rows(warehouse, NOTES).filter(pl.col("archived"))["run_id"].to_list()
    _refuse(why_not_set(command, "archived" if run["run_id"] in archived else run["status"], alias))
    if alias is not None and moved(alias, command) == alias:
        return alias
    before = alias or ModelAlias(command.name, command.run_id, "", False, None, at, by)
    return structs.replace(moved(before, command), model_type=run["model_type"], changed_at=at, changed_by=by)


def _deletable(command: DeleteAliasParams, found: Mapping[str, ModelAlias]) -> ModelAlias:
    if command.name not in found:
        raise PipelineError(f"no alias is called {command.name}; there are {', '.join(found) or 'none'}")
    _refuse(why_not_delete(command, found[command.name]))
    return found[command.name]


def _run(warehouse: Warehouse, run_id: str) -> dict[str, Any]:
    for run in _runs(warehouse).filter(pl.col("run_id") == run_id).iter_rows(named=True):
        return run
    raise PipelineError(f"no model run has the id {run_id}: it is kept no more, or never was")


def _runs(warehouse: Warehouse) -> pl.DataFrame:
    """The runs of the registry and those of train jobs: run_id, model_type, status."""
    columns = ("run_id", "model_type", "status")
    return pl.concat([warehouse.read(RUNS).select(columns), rows(warehouse, RUN).select(columns)])


def _refuse(why: str | None) -> None:
    if why is not None:
        raise PipelineError(why)


def _rows(warehouse: Warehouse, key: str) -> pl.DataFrame:
    return warehouse.read(key) if warehouse.path(key).exists() else empty(SHAPES[key])
