"""What a demo run made and came to, read from the tables that it has just written.

What cannot be found is told as a warning: it never makes a run fail that is otherwise well.
"""

import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TypeVar

import duckdb
import msgspec
import polars as pl
from msgspec import Struct

from assets_config.contract.knowledge import Index
from assets_config.contract.stories import (
    ApprovalEvent,
    CreatedObjects,
    PhaseSummary,
    RagEvent,
    Reproduction,
    ResultSummary,
    Story,
    compared,
)
from assets_config.contract.workspaces import CONFIG_VERSION, DemoParams, Scope, Workspace, tags_of
from pipelines.errors import PipelineError
from pipelines.knowledge.bundle import current_bundle
from pipelines.publish.workspaces.state import workspaces
from pipelines.warehouse import Warehouse

T = TypeVar("T")
MOST_EVENTS = 100


class Sold(Struct, frozen=True):
    """What was sold, and the series that is looked at."""

    store_id: int | None = None
    product_id: int | None = None
    first: date | None = None
    last: date | None = None
    series: int = 0
    units: float = 0.0


class Finder:
    """Asks one thing after the other; what could not be told is in `warnings`, and makes the run partial."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.is_partial = False

    def found(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except (PipelineError, OSError, KeyError, msgspec.MsgspecError, duckdb.Error, pl.exceptions.PolarsError) as error:
            self.is_partial = True
            self.warnings.append(f"{what} cannot be told: {error}")
            return otherwise


def kept(
    warehouse: Warehouse, asked: DemoParams, phases: Sequence[PhaseSummary], *, jobs: Sequence[str], at: datetime
) -> Workspace:
    """The workspace of a run that has made all tables and is about to publish them.

    Takes    jobs: the job, and the one that it runs again, if it does; at: now, in UTC without a zone.
    """
    job, finder = jobs[0], Finder()
    name = asked.workspace_name or f"{asked.scenario if not asked.skip_seed else 'loaded'}-{job[:8]}"
    sold = finder.found("what was sold", lambda: sold_of(warehouse, asked.user_scope), Sold())
    if asked.user_scope is not None and not finder.is_partial:
        ids = _names(warehouse, asked.user_scope)
        named = (("store", asked.user_scope.store_id), ("product", asked.user_scope.product_id))
        gone = [f"{noun} {name}" for found, (noun, name) in zip(ids, named, strict=True) if found is None]
        if gone:
            finder.warnings.append(f"there is no {' and no '.join(gone)}: the series that sells most is looked at")
    result = finder.found("what came of it", lambda: _result(warehouse, asked, sold), ResultSummary())
    missing = [each for each in asked.train_model_types or () if each not in result.wapes]
    if missing:
        finder.warnings.append(f"not compared, since they could not be fitted or scored: {', '.join(missing)}")
    if result.winner_model_type is None:
        finder.is_partial = True
    made = finder.found("what it made", lambda: _created(warehouse, result, tags_of(name, job)), CreatedObjects())
    story = Story(
        list(jobs),
        list(phases),
        finder.found("approvals", lambda: _approvals(warehouse), []),
        finder.found("the knowledge base", lambda: _knowledge(warehouse), []),
    )
    if asked.replayed_from_workspace_id is not None:
        result = _reproducing(warehouse, asked.replayed_from_workspace_id, result, finder)
    return Workspace(
        workspace_id=job,
        name=name,
        status="partial" if finder.is_partial else "completed",
        scenario=None if asked.skip_seed else asked.scenario,
        seed=None if asked.skip_seed else asked.seed,
        archived=False,
        pinned=False,
        tags="[]",
        notes=None,
        replayed_from=asked.replayed_from_workspace_id,
        asked=_json(asked),
        config_schema_version=CONFIG_VERSION,
        dataset_id=warehouse.dataset_id(),
        store_id=sold.store_id,
        product_id=sold.product_id,
        first_day=sold.first,
        last_day=sold.last,
        created_objects=_json(made),
        story=_json(story),
        result_summary=_json(result),
        warnings=_json(finder.warnings),
        exports=0,
        created_at=at,
        changed_at=at,
        changed_by=job,
    )


def sold_of(warehouse: Warehouse, scope: Scope | None) -> Sold:
    """What was sold in all, with the series of the scope; that of the most units where the scope is not there."""
    wanted = () if scope is None else _names(warehouse, scope)
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE series AS SELECT store_id, product_id, sum(quantity)::DOUBLE AS units, min(date) AS first, "
            f"max(date) AS last FROM {warehouse.parquet('core/sales_daily')} GROUP BY ALL"
        )
        most = "SELECT store_id, product_id FROM series ORDER BY units DESC, store_id, product_id LIMIT 1"
        leading = connection.execute(most).fetchall()
        [(first, last, series, units)] = connection.execute(
            "SELECT min(first), max(last), count(*), coalesce(sum(units), 0) FROM series"
        ).fetchall()
    pair = wanted if wanted and None not in wanted else (leading[0] if leading else (None, None))
    return Sold(pair[0], pair[1], first, last, series, units)


def _names(warehouse: Warehouse, scope: Scope) -> tuple[int | None, ...]:
    """The ids of a scope's store and product; None for the one that there is not."""
    found: list[int | None] = []
    for noun, code, named in (("store", "code", scope.store_id), ("product", "sku", scope.product_id)):
        number = pl.col(f"{noun}_id")
        rows = warehouse.read(f"core/dim_{noun}").filter((pl.col(code) == str(named)) | (number.cast(pl.String) == str(named)))
        ids = rows.sort(pl.col(code) != str(named))[f"{noun}_id"].to_list()  # a code goes before an id
        found.append(ids[0] if ids else None)
    return tuple(found)


def _result(warehouse: Warehouse, asked: DemoParams, sold: Sold) -> ResultSummary:
    scored = warehouse.read("backtests/backtest_metric").filter(
        pl.col("wape").is_not_null(), fold=-1, bucket="all", level="series", segment="all"
    )
    wapes = {row["model_type"]: round(row["wape"], 6) for row in scored.sort("wape", "model_type").iter_rows(named=True)}
    winner = next((each for each in wapes if each in (asked.train_model_types or wapes)), None)
    with duckdb.connect() as connection:
        [(units, of_scope)] = connection.execute(
            "SELECT sum(yhat)::DOUBLE, sum(yhat) FILTER (store_id = $store AND product_id = $product)::DOUBLE "
            f"FROM {warehouse.parquet('forecasts/forecast')} WHERE source = 'forecast'",
            {"store": sold.store_id, "product": sold.product_id},
        ).fetchall()
    return ResultSummary(
        winner_model_type=winner,
        winner_wape=None if winner is None else wapes[winner],
        wapes=wapes,
        series=sold.series,
        units=sold.units,
        forecast_units=units,
        scope_forecast_units=of_scope,
    )


def _created(warehouse: Warehouse, result: ResultSummary, tags: set[str]) -> CreatedObjects:
    runs = warehouse.read("forecasts/model_run").filter(is_current=True).sort("model_type", "run_id")
    won = runs.filter(model_type=result.winner_model_type, status="success") if result.winner_model_type else runs.clear()
    return CreatedObjects(
        runs["run_id"].to_list(),
        won["run_id"][0] if won.height else None,
        scenarios_of(warehouse, tags),
        sorted(set(warehouse.read("planning/season_plan")["plan_id"])),
    )


def scenarios_of(warehouse: Warehouse, tags: set[str]) -> list[str]:
    """The saved scenarios with one of these tags, by id."""
    saved = warehouse.read("planning/scenario").select("scenario_id", "tags").sort("scenario_id")
    return [scenario for scenario, said in saved.iter_rows() if tags & set(msgspec.json.decode(said))]


def _approvals(warehouse: Warehouse) -> list[ApprovalEvent]:
    rows = warehouse.read("planning/approval").sort("opened_at", "approval_id", descending=True).head(MOST_EVENTS)
    return [
        ApprovalEvent(row["approval_id"], row["plan_id"], row["kind"], row["status"], row["decided_by"] == "deadline", row["note"])
        for row in rows.iter_rows(named=True)
    ]


def _knowledge(warehouse: Warehouse) -> list[RagEvent]:
    with zipfile.ZipFile(current_bundle(warehouse).file("index.zip")) as archive:
        index = msgspec.json.decode(archive.read("index.json"), type=Index)
    asked = index.evaluation
    scores = None if asked is None else asked.keyword if index.mode == "keyword" or asked.hybrid is None else asked.hybrid
    hits = None if scores is None else round(scores.hits_5, 6)
    return [RagEvent(index.mode, index.chunks, 0 if asked is None else asked.questions, hits, index.reason)]


def _reproducing(warehouse: Warehouse, original: str, result: ResultSummary, finder: Finder) -> ResultSummary:
    """What came of a run, with how that compares with what came of the one that it repeats."""
    repeated = workspaces(warehouse).get(original)
    if repeated is None:
        finder.warnings.append(f"the workspace {original} is gone: whether this run repeats it cannot be told")
        return result
    pairs = compared(msgspec.json.decode(repeated.result_summary, type=ResultSummary), result)
    return msgspec.structs.replace(result, story_reproduction=Reproduction(original, all(each.same for each in pairs), pairs))


def _json(said: Struct | list[str]) -> str:
    return msgspec.json.encode(said).decode()
