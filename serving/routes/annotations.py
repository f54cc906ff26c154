"""Say something of a model run, or put it away."""

from typing import Any

from litestar import Request, Response, patch
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs

from assets_config.contract.state import AnnotateRunParams, RunChange, why_not_annotate
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.problems import Conflict, FieldError, Validation, invalid
from serving.routes.aliases import aliases_of
from serving.routes.jobs import IdempotencyKey, start
from serving.routes.registry import ModelRunSaid, run_of
from serving.snapshot import Snapshot

MAY_CHANGE = RunChange.__struct_fields__


@patch("/registry/runs/{run_id:str}", operation_id="annotate_model_run", tags=["registry"], status_code=202, opt=OPERATOR)
async def annotate_model_run(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    run_id: FromPath[str],
    data: JSONBody[RunChange],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Archive a run or take it up again, and replace its tags or notes. Metrics, artifact and all else it is are facts: 422.

    409 for archiving a run that an alias names.
    """
    _refuse_others(await request.json())
    run = await run_of(lease, run_id)
    params = AnnotateRunParams(**structs.asdict(data), run_id=run.run_id)
    if not state.jobs.is_repeated("annotate_run", params, idempotency_key):
        why = why_not_annotate(params, await aliases_of(lease))
        if why is not None:
            raise Conflict(why)
    return await start(request, state, "annotate_run", params, idempotency_key)


def _refuse_others(body: dict[str, Any]) -> None:
    """Raises Validation for members that are facts of the run or unknown, or where there is nothing to change."""
    errors = []
    for name in body:
        if name in MAY_CHANGE:
            continue
        if name in ModelRunSaid.__struct_fields__:
            text = f"is a fact of the run and never changes; {', '.join(MAY_CHANGE)} may be changed"
            errors.append(FieldError(name, None, "immutable", text))
        else:
            errors.append(FieldError(name[:100], None, "unknown", f"unknown; known are: {', '.join(MAY_CHANGE)}"))
    if errors:
        raise Validation("; ".join(f"{each.field}: {each.message}" for each in errors), errors=errors)
    if all(value is None for value in body.values()):
        raise invalid("body", None, f"has nothing to change: send one of {', '.join(MAY_CHANGE)}", code="missing")
