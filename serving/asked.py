"""What a job is asked for: its parameters, typed and held against what is published. Refused before there is a job."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs

from assets_config.contract.copies import ExportParams, RollbackParams
from assets_config.contract.jobs import JOB_TYPES
from assets_config.contract.launch import UnknownAssets, selection
from assets_config.contract.names import ENSEMBLE
from assets_config.contract.seeds import PRESETS, Seed, SeedAppendParams, SeedEnrichParams, SeedParams
from assets_config.contract.trials import NAMED, BacktestParams, OfSeries, PredictParams
from assets_config.contract.workspaces import DemoParams, seed_of, wrong_of
from serving.filters import product_of, store_of
from serving.library import Library, kept
from serving.problems import Conflict, FieldError, NoSnapshot, NotFound, Validation, invalid, said_of
from serving.reply import check_range
from serving.snapshot import Snapshot

T = TypeVar("T", bound=Struct)
HELD = (PredictParams, OfSeries, RollbackParams, ExportParams)
"""Parameters that name what is published; those of a demo run may."""


async def checked_params(library: Library, job_type: str, given: Mapping[str, Any], *, max_days: int) -> Struct:
    """The parameters of a job, typed, and of those that name what is published also held against it.

    Raises Validation, BadRequest, NotFound or Conflict before any job exists; NoSnapshot where nothing is published to hold them
    against.
    """
    params = read_params(job_type, given)
    if isinstance(params, SeedAppendParams | SeedEnrichParams):
        await check_added(library, params, max_days)
    return await held(library, params)


async def held(library: Library, params: Struct) -> Struct:
    """Parameters held against what is published, where they name some of that. Raises as `checked`, and NoSnapshot."""
    names_types = isinstance(params, DemoParams) and params.train_model_types is not None
    if not isinstance(params, HELD) and not names_types:
        return params
    lease = await library.lease()
    try:
        return await checked(lease, params)
    finally:
        lease.release()


def read_params(job_type: str, given: Mapping[str, Any]) -> Struct:
    """The parameters of a job, typed. Raises Validation, naming the field, before any job exists."""
    if job_type not in JOB_TYPES:
        raise invalid("job_type", job_type, f"use one of {', '.join(JOB_TYPES)}")
    params = typed(JOB_TYPES[job_type].params, given, "params.")
    try:
        selection(job_type, params)
    except UnknownAssets as error:
        said = [FieldError(f"params.assets[{n}]", text, "unknown_asset", "no asset or stage") for n, text in error.entries]
        raise Validation(f"Unknown assets: {error}; GET /api/v1/assets lists those that there are.", errors=said) from error
    return params


def typed(shape: type[T], given: Mapping[str, Any], prefix: str = "") -> T:
    """What was given as the parameters of a job. Raises Validation; the fields it names begin with `prefix`."""
    try:
        params = msgspec.convert(given, shape)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field, value, code, text = said_of(message, path.strip(".`"), shape, given)
        raise invalid((prefix + field).rstrip("."), value, text, code=code) from error
    if isinstance(params, SeedParams):
        check_seed(params, prefix)
    if isinstance(params, DemoParams):
        check_demo(params, prefix)
    return params


def check_demo(params: DemoParams, prefix: str = "") -> None:
    """Raises Validation for members that contradict each other, and for data that cannot be generated so."""
    wrong = wrong_of(params)
    if wrong is not None:
        raise invalid(prefix + wrong[0], getattr(params, wrong[0], None), wrong[1])
    check_seed(seed_of(params), prefix)


def check_seed(params: SeedParams, prefix: str = "") -> Seed:
    """What the generator will be asked for. Raises Validation."""
    if params.scenario not in PRESETS:
        raise invalid(f"{prefix}scenario", params.scenario[:60], f"use one of {', '.join(PRESETS)}")
    try:
        return params.resolved()
    except ValueError as error:
        raise invalid(f"{prefix}start_date", params.start_date, str(error)) from error


async def check_added(library: Library, params: SeedAppendParams | SeedEnrichParams, max_days: int) -> None:
    """Raises BadRequest for days that are too many or run backwards; Validation where nothing is published to add to."""
    if isinstance(params, SeedAppendParams):
        check_range(params.start_date, params.end_date, max_days)
    try:
        (await library.lease()).release()
    except NoSnapshot as error:
        what = "append to" if isinstance(params, SeedAppendParams) else "enrich"
        text = f"there is nothing to {what} yet: POST /api/v1/seeder/generate first"
        raise invalid("body", None, text, code="missing") from error


async def checked(lease: Snapshot, params: Struct) -> Struct:
    """The parameters with ids in place of codes, and a run in place of its alias; those of other jobs as they are.

    Raises NotFound for a store, product or run that there is not; Validation, naming the field; Conflict for a run that failed.
    """
    if isinstance(params, PredictParams):
        return structs.replace(params, run_id=await _run(lease, params.run_id), **_series(lease, params))
    if isinstance(params, RollbackParams):
        if params.snapshot_id not in {each.manifest.id for each in kept(lease.published, lease.id)}:
            raise NotFound(f"No snapshot {params.snapshot_id} is kept; /api/v1/system/snapshots lists those that are.")
        return params
    if isinstance(params, ExportParams):
        _check_tables(lease, params)
        return params
    if isinstance(params, DemoParams):
        await _check_compared(lease, params.train_model_types or [])
        return params
    if not isinstance(params, OfSeries):
        return params
    await _check_model(lease, params)
    _check_days(lease, params)
    if isinstance(params, BacktestParams) and params.gap >= params.test_size:
        raise invalid("params.gap", params.gap, f"it must be less than test_size, {params.test_size}")
    return structs.replace(params, **_series(lease, params))


def _check_tables(lease: Snapshot, params: ExportParams) -> None:
    there = sorted({table for part in lease.manifest.parts.values() for table in part.tables})
    told = [
        FieldError(f"params.tables[{n}]", name, "unknown_table", "no such table is published")
        for n, name in enumerate(params.tables)
        if name not in there or name in params.tables[:n]
    ]
    if told:
        raise Validation(f"Unknown or repeated tables: use each once of {', '.join(there)}.", errors=told)


def _series(lease: Snapshot, params: PredictParams | OfSeries) -> dict[str, int | None]:
    return {
        "store_id": None if params.store_id is None else store_of(lease, str(params.store_id)),
        "product_id": None if params.product_id is None else product_of(lease, str(params.product_id)),
    }


async def _run(lease: Snapshot, name: str) -> str:
    """The run of an id, or else of an alias: an alias that reads like an id stands for no other run."""
    aliased: list[str] = [alias["run_id"] for alias in await lease.rows("state", "model_alias", "name = ?", [name])]
    for run_id in (name, *aliased):
        for part, table in (("trials", "trial_run"), ("registry", "model_run")):
            for run in await lease.rows(part, table, "run_id = ?", [run_id]):
                if run["status"] != "success":
                    raise Conflict(f"Run {run_id} is {run['status']}: only runs with status success can forecast.")
                return run_id
    raise NotFound(f"No model run has the id or the alias '{name}'; /api/v1/registry/runs and /registry/aliases list them.")


async def _check_compared(lease: Snapshot, types: Sequence[str]) -> None:
    """Raises Validation for a model type that no run of the graph trains and compares."""
    scored = {row["model_type"] for row in await lease.rows("registry", "backtest_metric")}
    known = scored | {row["model_type"] for row in await lease.rows("registry", "model_type", "enabled")}
    for n, name in enumerate(types if known else ()):
        if name not in known:
            raise invalid(
                f"train_model_types[{n}]", name, f"use some of {', '.join(sorted(known))}; others are first enabled in models.yaml"
            )


async def _check_model(lease: Snapshot, params: OfSeries) -> None:
    types: dict[str, list[dict[str, Any]]] = {
        row["model_type"]: msgspec.json.decode(row["params"])
        for row in await lease.rows("registry", "model_type")
        if row["model_type"] != ENSEMBLE and row["description"] is not None
    }
    if types and params.model_type not in types:
        raise invalid("params.model_type", params.model_type, f"use one of {', '.join(sorted(types))}")
    for name, (model_type, _) in NAMED.items():
        if getattr(params, name) is not None and params.model_type != model_type:
            raise invalid(f"params.{name}", getattr(params, name), f"it is a parameter of {model_type} alone")
    known = {each["name"] for each in types.get(params.model_type, [])}
    unknown = [name for name in params.params if types and name not in known]
    if unknown:
        allowed = ", ".join(sorted(known)) or "none"
        errors = [
            FieldError(f"params.params.{name}", params.params[name], "unknown_parameter", f"use {allowed}") for name in unknown
        ]
        raise Validation(f"{params.model_type} has no parameter {', '.join(unknown)}; it has {allowed}.", errors=errors)


def _check_days(lease: Snapshot, params: OfSeries) -> None:
    first, last = lease.manifest.first_day, lease.manifest.as_of
    for name in ("start_date", "end_date"):
        day = getattr(params, name)
        if day is not None and not first <= day <= last:
            raise invalid(f"params.{name}", day, f"sales are from {first} to {last}")
    if params.start_date and params.end_date and params.start_date >= params.end_date:
        raise invalid("params.start_date", params.start_date, f"it must be before end_date, {params.end_date}")
