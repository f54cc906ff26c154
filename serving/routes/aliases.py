"""Which model runs have a name, and give one."""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct, structs

from assets_config.contract.state import DeleteAliasParams, ModelAlias, SetAliasParams, why_not_delete, why_not_set
from serving.formats import table
from serving.layers.rules import OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed, Page, PageSize, page_of
from serving.problems import Conflict, NotFound
from serving.reply import Metadata, metadata
from serving.routes.jobs import IdempotencyKey, start
from serving.routes.registry import run_of
from serving.snapshot import Snapshot


class AliasSaid(Struct, frozen=True):
    """A name of a model run."""

    name: str
    run_id: Annotated[str, Meta(description="The run that is called so; read it at /registry/runs/{run_id}.")]
    model_type: str
    protected: Annotated[bool, Meta(description="Whether it is moved or deleted only with `force`, by an admin.")]
    note: Annotated[str | None, Meta(description="Why the run was called so.")]
    changed_at: datetime
    changed_by: Annotated[str, Meta(description="Job that set it; read it at /jobs/{job_id}.")]


class AliasAnswer(AliasSaid, frozen=True):
    """A name of a model run, and where that was read."""

    metadata: Metadata


@table("/registry/aliases", operation_id="list_aliases", tags=["registry"])
async def list_aliases(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[AliasSaid]:
    """The names that model runs have, by name.

    An alias is a name and nothing more: forecasts come from the champions, whatever is called `production`.
    """
    found = [_said(each) for each in await aliases_of(lease)]
    return page_of(found, page, page_size, metadata(lease, "state"))


@get("/registry/aliases/{name:str}", operation_id="get_alias", tags=["registry"])
async def get_alias(lease: NamedDependency[Snapshot], name: FromPath[str]) -> AliasAnswer:
    """Which model run has a name, since when and why.

    /registry/runs/{run_id} has the run itself.
    """
    alias = await _alias(lease, name)
    said = metadata(lease, "state", model_version=alias.run_id)
    return AliasAnswer(**structs.asdict(_said(alias)), metadata=said)


@post("/registry/aliases", operation_id="set_alias", tags=["registry"], status_code=202, opt=OPERATOR)
async def set_alias(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    data: JSONBody[SetAliasParams],
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Call a model run by a name, or move the name to it. A run that has a name is kept, whatever its age.

    Only a run with status success can be named, and a protected alias changes with `force` only: else 409. `force` asks for the
    role admin: else 403.
    """
    if not state.jobs.is_repeated("set_alias", data, idempotency_key):
        run = await run_of(lease, data.run_id)
        named = {each.name: each for each in await aliases_of(lease)}
        _refuse(why_not_set(data, run.status, named.get(data.name)))
    return await start(request, state, "set_alias", data, idempotency_key)


@delete("/registry/aliases/{name:str}", operation_id="delete_alias", tags=["registry"], status_code=202, opt=OPERATOR)
async def delete_alias(
    request: Request[Any, Any, Any],
    state: State,
    lease: NamedDependency[Snapshot],
    name: FromPath[str],
    force: Annotated[bool, QueryParameter(description="Delete it even where it is protected; the role admin is needed.")] = False,
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Take a name from the model run that has it; the run stays. 409 for a protected alias without force=true."""
    params = DeleteAliasParams(name, force)
    if not state.jobs.is_repeated("delete_alias", params, idempotency_key):
        _refuse(why_not_delete(params, await _alias(lease, name)))
    return await start(request, state, "delete_alias", params, idempotency_key)


async def aliases_of(lease: Snapshot) -> list[ModelAlias]:
    """The published aliases, by name."""
    return [ModelAlias(**row) for row in await lease.rows("state", "model_alias", "true ORDER BY name")]


async def _alias(lease: Snapshot, name: str) -> ModelAlias:
    for each in await aliases_of(lease):
        if each.name == name:
            return each
    raise NotFound(f"No alias is called '{name[:100]}'; /api/v1/registry/aliases lists them.")


def _said(alias: ModelAlias) -> AliasSaid:
    return AliasSaid(**{**structs.asdict(alias), "changed_at": alias.changed_at.replace(tzinfo=UTC)})


def _refuse(why: str | None) -> None:
    if why is not None:
        raise Conflict(why)
