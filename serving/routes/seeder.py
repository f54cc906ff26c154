"""Make synthetic data, in place of what is loaded or beside it."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.materialize import VerifyParams
from assets_config.contract.seeds import PRESETS, Overrides, Seed, SeedAppendParams, SeedDeleteParams, SeedEnrichParams, SeedParams
from serving.asked import check_added, check_seed
from serving.layers.rules import ADMIN, OPERATOR
from serving.orchestrator.job import Job
from serving.paging import Listed
from serving.problems import invalid
from serving.reply import Metadata, metadata
from serving.routes.jobs import IdempotencyKey, start
from serving.snapshot import Snapshot


class ScenarioSaid(Struct, frozen=True):
    """A scenario."""

    name: Annotated[str, Meta(description="Use it as `scenario` in POST /seeder/generate.")]
    description: str
    knobs: Annotated[Seed, Meta(description="What the generator is asked for.")]


class Knob(Struct, frozen=True):
    """A knob that a request may turn."""

    name: str
    type: str
    least: float
    most: float
    description: str


class Scenarios(Listed[ScenarioSaid], frozen=True, kw_only=True):
    """The scenarios, and what may be changed of each."""

    overrides: list[Knob]


class SeedStatus(Struct, frozen=True):
    """What is published."""

    source: Annotated[str | None, Meta(description="Where the sales come from; null where nothing is published.")]
    rows: Annotated[dict[str, int], Meta(description="Rows a published table.")]
    first_day: Annotated[date | None, Meta(description="First day of sales.")]
    as_of: Annotated[date | None, Meta(description="Last day of sales.")]
    published_at: datetime | None
    metadata: Metadata | None


class GenerateRequest(SeedParams, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to generate. What is not given is the scenario's."""

    dry_run: Annotated[bool, Meta(description="True: only say what would be generated.")] = False


class SeedPlan(Struct, frozen=True):
    """What a seed would generate."""

    knobs: Seed
    planned_rows: Annotated[dict[str, int], Meta(description="Rows a kind: exact for stores and products, at most for the others.")]


@get("/seeder/scenarios", operation_id="list_seed_scenarios", tags=["data"])
async def list_scenarios() -> Scenarios:
    """The scenarios of POST /seeder/generate with all their knobs, and the overrides with their bounds."""
    found = [ScenarioSaid(each.name, each.about, each.seed) for each in PRESETS.values()]
    return Scenarios(items=found, page=1, page_size=100, total=len(found), overrides=_knobs())


@get("/seeder/status", operation_id="get_seed_status", tags=["data"])
async def get_seed_status(lease_if_any: NamedDependency[Snapshot | None]) -> SeedStatus:
    """How many rows of which table are published, and of which days; empty before the first publish."""
    if lease_if_any is None:
        return SeedStatus(None, {}, None, None, None, None)
    manifest, said = lease_if_any.manifest, metadata(lease_if_any, "catalogue")
    rows = {table: count for part in manifest.parts.values() for table, count in part.tables.items()}
    return SeedStatus(manifest.source, rows, manifest.first_day, manifest.as_of, said.published_at, said)


@post(
    "/seeder/generate",
    operation_id="generate_seed",
    tags=["data"],
    status_code=202,
    opt=OPERATOR,
    responses={200: ResponseSpec(SeedPlan, False, "With dry_run: what would be generated.")},
)
async def generate(
    request: Request[Any, Any, Any], state: State, data: JSONBody[GenerateRequest], idempotency_key: IdempotencyKey = None
) -> Response[Job | SeedPlan]:
    """Generate a scenario in place of what is loaded: 202 and the job. With dry_run: 200 and what would come of it."""
    params = SeedParams(**{name: getattr(data, name) for name in SeedParams.__struct_fields__})
    seed = check_seed(params)
    if data.dry_run:
        return Response(SeedPlan(seed, _planned(seed)), status_code=200)
    launched: Response[Any] = await start(request, state, "seed", params, idempotency_key)
    return launched


@post("/seeder/append", operation_id="append_seed", tags=["data"], status_code=202, opt=OPERATOR)
async def append_days(
    request: Request[Any, Any, Any], state: State, data: JSONBody[SeedAppendParams], idempotency_key: IdempotencyKey = None
) -> Response[Job]:
    """Generate the days that follow the generated ones, for the same stores and products."""
    await check_added(state.library, data, state.settings.max_days)
    return await start(request, state, "seed_append", data, idempotency_key)


@post("/seeder/phase2-enrichment", operation_id="enrich_seed", tags=["data"], status_code=202, opt=OPERATOR)
async def enrich(request: Request[Any, Any, Any], state: State, idempotency_key: IdempotencyKey = None) -> Response[Job]:
    """Generate lifecycles, goods received, exogenous series and returns for the generated sales. Takes no body."""
    params = SeedEnrichParams()
    await check_added(state.library, params, state.settings.max_days)
    return await start(request, state, "seed_enrich", params, idempotency_key)


@post("/seeder/verify", operation_id="verify_seed", tags=["data"], status_code=202, opt=OPERATOR)
async def verify(request: Request[Any, Any, Any], state: State, idempotency_key: IdempotencyKey = None) -> Response[Job]:
    """Check the loaded data again: references, signs, calendar. The job fails where something is wrong. Takes no body."""
    return await start(request, state, "verify_data", VerifyParams(), idempotency_key)


@delete("/seeder/data", operation_id="delete_seed", tags=["data"], status_code=202, opt=ADMIN)
async def delete_generated(
    request: Request[Any, Any, Any],
    state: State,
    confirm: Annotated[bool, QueryParameter(description="Must be true.", schema_extra={"enum": [True]})],
    what: Annotated[
        Literal["all", "facts", "dimensions"],
        QueryParameter(
            name="scope",
            description="facts: sales, stock, prices, promotions; dimensions: stores and products, and so the facts too.",
        ),
    ] = "all",
    idempotency_key: IdempotencyKey = None,
) -> Response[Job]:
    """Take generated data out of the tables; data that was brought in stays. Kept snapshots can still be rolled back to."""
    if not confirm:
        raise invalid("confirm", confirm, "send confirm=true to take the generated data out")
    return await start(request, state, "seed_delete", SeedDeleteParams(confirm=True, scope=what), idempotency_key)


def _knobs() -> list[Knob]:
    properties = msgspec.json.schema(Overrides)["$defs"]["Overrides"]["properties"]
    found = []
    for name, said in properties.items():
        bounds = next(each for each in said["anyOf"] if each["type"] != "null")
        found.append(Knob(name, bounds["type"], bounds["minimum"], bounds["maximum"], said["description"]))
    return found


def _planned(seed: Seed) -> dict[str, int]:
    days = (seed.end - seed.start).days + 1
    pairs = round(seed.stores * seed.products * (1 - seed.sparsity))
    rows = {"stores": seed.stores, "products": seed.products, "inventory": pairs * days, "sales-daily": pairs * days}
    return {kind: count for kind, count in rows.items() if kind in seed.tables}
