"""The assets of the graph as Dagster knows them: what they are, when they were last made, what their checks found.

Asked of Dagster, not of the snapshot: an asset that fails keeps a snapshot from being published, and that is when one asks.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from serving.orchestrator.dagster import FRAGMENT, Dagster, time_of, values_of
from serving.problems import NotFound

ASSETS = """{ assetNodes { assetKey { path } description kinds isPartitioned staleStatus
  owners { ... on TeamAssetOwner { team } ... on UserAssetOwner { email } }
  dependencyKeys { path } dependedByKeys { path }
  assetMaterializations(limit: 1) { timestamp runId metadataEntries { label ... on IntMetadataEntry { intValue }
    ... on TableSchemaMetadataEntry { schema { columns { name type description } } }
    ... on TableColumnLineageMetadataEntry { lineage { columnName columnDeps { assetKey { path } columnName } } } } }
  assetChecksOrError { ... on AssetChecks { checks { name description blocking
    executionForLatestMaterialization { status evaluation { success severity } } } } } } }"""
CHECKS = (
    """query Checks($key: AssetKeyInput!, $check: String!, $limit: Int!) {
  assetCheckExecutions(assetKey: $key, checkName: $check, limit: $limit) { runId status timestamp
    evaluation { success severity timestamp metadataEntries { ...Values } } } }"""
    + FRAGMENT
)
NEWEST = 100  # results of each check that are listed

CheckStatus = Literal["passed", "warned", "failed", "unknown", "none"]
Freshness = Literal["fresh", "stale", "missing"]


class AssetSaid(Struct, frozen=True):
    """One asset: a table or file set that the pipeline makes."""

    key: Annotated[str, Meta(description="Stage and name, core/sales_daily: read it at /assets/{stage}/{name}, make it by a job.")]
    stage: Annotated[str, Meta(description="Stage of the pipeline, from sources to publish.")]
    description: Annotated[str | None, Meta(description="What it holds.")]
    kinds: Annotated[list[str], Meta(description="What it is made with.")]
    owners: Annotated[list[str], Meta(description="Who answers for it.")]
    freshness: Annotated[
        Freshness, Meta(description="fresh; stale: something that it is made of was made again since; missing: never made.")
    ]
    last_materialized_at: Annotated[datetime | None, Meta(description="When it was last made, UTC; null where it never was.")]
    last_job_id: Annotated[str | None, Meta(description="Job that last made it; read it at /jobs/{job_id}.")]
    rows: Annotated[int | None, Meta(description="Rows when it was last made; null where it is no table. [rows]")]
    check_status: Annotated[
        CheckStatus, Meta(description="Worst newest result of its checks; unknown: one has not run yet; none: it has no check.")
    ]


class AssetColumn(Struct, frozen=True):
    """A column of an asset that is a table."""

    name: Annotated[str, Meta(description="Name of the column.")]
    type: Annotated[str, Meta(description="SQL type.")]
    description: Annotated[str | None, Meta(description="What it means, with its unit; null where the table is not published.")]
    came_from: Annotated[
        list[str], Meta(description="Columns that it was made of, as core/sales_daily.quantity; empty where that is not recorded.")
    ] = []


class AssetCheckSaid(Struct, frozen=True):
    """A check of an asset."""

    name: Annotated[str, Meta(description="Name of the check.")]
    description: Annotated[str | None, Meta(description="What must hold.")]
    blocking: Annotated[bool, Meta(description="Whether a failure keeps what follows from being made.")]
    status: Annotated[CheckStatus, Meta(description="What it found when the asset was last made.")]


class AssetAnswer(AssetSaid, frozen=True):
    """One asset with its columns, its checks and its neighbours in the graph."""

    columns: Annotated[list[AssetColumn], Meta(description="Its columns when it was last made; empty where it is no table.")]
    upstream: Annotated[list[str], Meta(description="Keys of the assets that it is made of.")]
    downstream: Annotated[list[str], Meta(description="Keys of the assets that are made of it.")]
    is_partitioned: Annotated[bool, Meta(description="Whether a job may make only some partitions of it.")]
    checks: Annotated[list[AssetCheckSaid], Meta(description="Its checks; /assets/{stage}/{name}/checks has their history.")]


class CheckResult(Struct, frozen=True):
    """One run of one check."""

    check: Annotated[str, Meta(description="Name of the check.")]
    status: Annotated[CheckStatus, Meta(description="What it found; unknown: it did not come to an end.")]
    at: Annotated[datetime, Meta(description="When it ran, UTC.")]
    job_id: Annotated[str, Meta(description="Job in which it ran; read it at /jobs/{job_id}.")]
    details: Annotated[dict[str, Any], Meta(description="What it tells beside the result, such as the rows at fault.")]


class Assets:
    """The assets of one Dagster instance; asked at most once a second."""

    def __init__(self, dagster: Dagster) -> None:
        self._dagster = dagster
        self._nodes: dict[str, Mapping[str, Any]] = {}
        self._asked = -1.0
        self._lock = asyncio.Lock()

    async def all(self) -> list[AssetSaid]:
        """Every asset, by key."""
        return [_said(node) for _, node in sorted((await self._read()).items())]

    async def get(self, key: str) -> AssetAnswer:
        """One asset. Raises NotFound."""
        node = await self._node(key)
        newest = _newest(node)
        return AssetAnswer(
            **msgspec.structs.asdict(_said(node)),
            columns=[
                AssetColumn(each["name"], each["type"], each["description"], newest["came_from"].get(each["name"], []))
                for each in newest.get("columns", [])
            ],
            upstream=sorted("/".join(each["path"]) for each in node["dependencyKeys"]),
            downstream=sorted("/".join(each["path"]) for each in node["dependedByKeys"]),
            is_partitioned=node["isPartitioned"],
            checks=[
                AssetCheckSaid(
                    name=each["name"],
                    description=each["description"],
                    blocking=each["blocking"],
                    status=_status(each["executionForLatestMaterialization"]),
                )
                for each in _checks(node)
            ],
        )

    async def results(self, key: str) -> list[CheckResult]:
        """The newest results of each check of an asset, newest first. Raises NotFound."""
        names = [each["name"] for each in _checks(await self._node(key))]
        found = []
        for name in names:
            asked = {"key": {"path": key.split("/")}, "check": name, "limit": NEWEST}
            for each in (await self._dagster.ask(CHECKS, asked))["assetCheckExecutions"]:
                at = time_of(float((each["evaluation"] or each)["timestamp"]))  # without one: when it was planned
                assert at is not None
                details = values_of(each["evaluation"]["metadataEntries"] if each["evaluation"] else ())
                found.append(CheckResult(name, _status(each), at, each["runId"].replace("-", ""), details))
        return sorted(found, key=lambda each: (each.at, each.check), reverse=True)

    async def _node(self, key: str) -> Mapping[str, Any]:
        nodes = await self._read()
        if key not in nodes:
            raise NotFound(f"No asset has the key '{key[:100]}'; /api/v1/assets lists them.")
        return nodes[key]

    async def _read(self) -> dict[str, Mapping[str, Any]]:
        async with self._lock:
            if time.monotonic() - self._asked >= 1:
                nodes = (await self._dagster.ask(ASSETS))["assetNodes"]
                self._nodes = {"/".join(node["assetKey"]["path"]): node for node in nodes}
                self._asked = time.monotonic()
        return self._nodes


def _said(node: Mapping[str, Any]) -> AssetSaid:
    newest = _newest(node)
    found = {_status(each["executionForLatestMaterialization"]) for each in _checks(node)}
    worst: tuple[CheckStatus, ...] = ("failed", "warned", "unknown", "passed")
    return AssetSaid(
        key="/".join(node["assetKey"]["path"]),
        stage=node["assetKey"]["path"][0],
        description=node["description"],
        kinds=node["kinds"],
        owners=[each.get("team") or each.get("email") or "" for each in node["owners"]],
        freshness=_freshness(node),
        last_materialized_at=time_of(float(newest["timestamp"]) / 1000) if newest else None,
        last_job_id=newest["runId"].replace("-", "") if newest else None,
        rows=newest.get("rows"),
        check_status=next((status for status in worst if status in found), "none"),
    )


def _newest(node: Mapping[str, Any]) -> dict[str, Any]:
    """The newest materialization with `rows`, `columns` and where those came from; empty where there is none."""
    for made in node["assetMaterializations"]:
        entries = {each["label"]: each for each in made["metadataEntries"]}
        columns = entries.get("dagster/column_schema", {}).get("schema", {}).get("columns", [])
        lineage = entries.get("dagster/column_lineage", {}).get("lineage", [])
        came_from = {each["columnName"]: [_named(dep) for dep in each["columnDeps"]] for each in lineage}
        rows = entries.get("dagster/row_count", {}).get("intValue")
        return {**made, "rows": rows, "columns": columns, "came_from": came_from}
    return {}


def _named(dep: Mapping[str, Any]) -> str:
    return f"{'/'.join(dep['assetKey']['path'])}.{dep['columnName']}"


def _freshness(node: Mapping[str, Any]) -> Freshness:
    if not node["assetMaterializations"]:
        return "missing"
    return "stale" if node["staleStatus"] == "STALE" else "fresh"


def _checks(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = node["assetChecksOrError"].get("checks", [])
    return found


def _status(execution: Mapping[str, Any] | None) -> CheckStatus:
    said = execution and execution["evaluation"]
    if not said:
        return "unknown"
    if said["success"]:
        return "passed"
    return "warned" if said["severity"] == "WARN" else "failed"
