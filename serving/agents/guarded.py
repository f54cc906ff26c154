"""The changes that an agent asks a person for: why they would be refused, before anybody is asked."""

from collections.abc import Mapping
from typing import Any

from msgspec import ValidationError, convert

from assets_config.contract.state import AnnotateRunParams, SetAliasParams, why_not_annotate, why_not_set
from serving.problems import Conflict, Problem, invalid
from serving.routes.aliases import aliases_of
from serving.routes.registry import run_of
from serving.snapshot import Snapshot


async def refusal(lease: Snapshot, tool: str, arguments: Mapping[str, Any]) -> Problem | None:
    """Why a change would be refused; None where it may be asked for."""
    try:
        run = await run_of(lease, str(arguments["run_id"]))
        aliases = await aliases_of(lease)
        if tool == "archive_run":
            why = why_not_annotate(AnnotateRunParams(run_id=run.run_id, archive=True), aliases)
        else:
            command = convert(arguments, SetAliasParams)
            why = why_not_set(command, run.status, next((each for each in aliases if each.name == command.name), None))
    except ValidationError as error:
        return invalid("name", str(arguments.get("name"))[:100], str(error))
    except Problem as problem:
        return problem
    return None if why is None else Conflict(why)
