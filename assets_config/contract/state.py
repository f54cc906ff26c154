"""What people decide about model runs: the published tables of it, the commands that change them, and when one is refused.

Serving refuses a command by these rules before a job exists; the asset that carries it out asks them again.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from assets_config.contract.columns import column
from assets_config.contract.names import ModelRunStatus

MOST_TAGS = 20
NOT_NUL = r"^[^\x00]*$"
AliasName = Annotated[  # `$` alone would let a line end through
    str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}(?!\n)$", description="Lower case, digits, - and _; at most 100 characters.")
]
RUN_ID = re.compile(r"[0-9a-f]{32}")
RunId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$", description="A model run of /registry/runs.")]
Tag = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,49}(?!\n)$")]
Named = Annotated[int, Meta(ge=1, le=2**63 - 1)] | Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_NUL)]
"""A store or product by its id, or by its code, SKU or external id."""


class ModelAlias(Struct, frozen=True):
    """A name that people gave to a model run. A run that has one is kept, whatever its age."""

    name: Annotated[str, column("The name, such as `production`; read it at /registry/aliases/{name}.")]
    run_id: Annotated[str, column("The model run that is called so.")]
    model_type: Annotated[str, column("Type of the model, one of models.yaml.")]
    protected: Annotated[bool, column("Whether it is moved or deleted only with `force`.")]
    note: Annotated[str | None, column("Why the run was called so; null where nobody said.")]
    changed_at: Annotated[datetime, column("When it was last set, UTC.")]
    changed_by: Annotated[str, column("Job that set it; read it at /jobs/{job_id}.")]


class ModelRunNote(Struct, frozen=True):
    """What people said of a model run. The facts of the run itself never change."""

    run_id: Annotated[str, column("The model run.")]
    archived: Annotated[bool, column("Whether the run is done with: it is listed as `archived` and may have no alias.")]
    tags: Annotated[str, column("Words to find it by, as a JSON list.")]
    notes: Annotated[str | None, column("Free text; null where there is none.")]
    changed_at: Annotated[datetime, column("When it was last changed, UTC.")]
    changed_by: Annotated[str, column("Job that changed it; read it at /jobs/{job_id}.")]


class SetAliasParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Call a model run by a name; a name that exists moves to the run."""

    name: AliasName
    run_id: RunId
    protected: Annotated[
        bool | None, Meta(description="Change it with `force` only, which asks for admin. Null: as it was, at first false.")
    ] = None
    note: Annotated[
        Annotated[str, Meta(max_length=500, pattern=NOT_NUL)] | None, Meta(description="Why; it replaces an earlier note.")
    ] = None
    force: Annotated[bool, Meta(description="Change it even where it is protected; the role admin is needed.")] = False


class DeleteAliasParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Take a name from the model run that has it; the run stays."""

    name: AliasName
    force: Annotated[bool, Meta(description="Delete it even where it is protected; the role admin is needed.")] = False


class RunChange(Struct, frozen=True):
    """What to change of what is said of a model run. What is not given stays."""

    archive: Annotated[bool | None, Meta(description="True: done with; false: taken up again.")] = None
    tags: Annotated[Annotated[list[Tag], Meta(max_length=MOST_TAGS)] | None, Meta(description="They replace earlier ones.")] = None
    notes: Annotated[
        Annotated[str, Meta(max_length=2000, pattern=NOT_NUL)] | None, Meta(description="They replace earlier ones; empty: none.")
    ] = None


class AnnotateRunParams(RunChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Archive a model run, or say something of it. Its facts, such as metrics and artifact, never change."""

    run_id: RunId


def why_not_set(command: SetAliasParams, status: ModelRunStatus, alias: ModelAlias | None) -> str | None:
    """Why an alias may not be set so, as a sentence; None where it may.

    Takes the status of the run that it shall name, and the alias of that name as it is, if there is one.
    """
    if RUN_ID.fullmatch(command.name):  # where a run is asked for by id or alias it would stand for another run
        return f"'{command.name}' reads like the id of a run: call the run by a name that is not 32 hex digits."
    if status != "success":
        return f"Run {command.run_id} is {status}: only runs with status success can have an alias."
    if alias is None or alias == moved(alias, command):
        return None
    return None if command.force else _protection(alias)


def why_not_delete(command: DeleteAliasParams, alias: ModelAlias) -> str | None:
    """Why an alias may not be deleted, as a sentence; None where it may."""
    return None if command.force else _protection(alias)


def why_not_annotate(command: AnnotateRunParams, aliases: Sequence[ModelAlias]) -> str | None:
    """Why a run may not be annotated so, as a sentence; None where it may."""
    names = ", ".join(each.name for each in aliases if each.run_id == command.run_id)
    if not names or not command.archive:
        return None
    return f"Run {command.run_id} has the alias {names}: move or delete it before the run is archived."


def moved(alias: ModelAlias, command: SetAliasParams) -> ModelAlias:
    """An alias as a command would have it; model_type, changed_at and changed_by stay as they were."""
    protected = alias.protected if command.protected is None else command.protected
    return replace(alias, run_id=command.run_id, protected=protected, note=command.note)


def _protection(alias: ModelAlias) -> str | None:
    if not alias.protected:
        return None
    return f"Alias {alias.name} is protected and names run {alias.run_id}: it is changed with `force` only, by an admin."
