"""Snapshots: publish the warehouse as one, point to one, collect those that nobody may ask for any more."""

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version

import msgspec

from assets_config.contract.durable import locked, remove_leftovers, write_bytes
from assets_config.contract.integrity import damage
from assets_config.contract.knowledge import KNOWLEDGE
from assets_config.contract.layout import Published
from assets_config.contract.manifest import Check, Kpi, Manifest, Measure, Part, Pointer
from assets_config.contract.pointer import point
from assets_config.contract.tables import PARTS, SCHEMA_VERSION, STATE, TRIALS
from pipelines import stop
from pipelines.errors import ContractError, PipelineError, PublishError
from pipelines.forecasts.registry.state import changing
from pipelines.publish.parts import TABLE_KEYS, PartInputs, inputs, make_part
from pipelines.trials.tables import adding
from pipelines.warehouse import Warehouse

REQUIRED_PARTS = ("catalogue", "kpis")
KEEP_AT_LEAST = 5
KEEP_FOR = timedelta(hours=24)
REMEMBER_EXPIRED_FOR = timedelta(days=30)


def publish(
    warehouse: Warehouse,
    *,
    measures: Sequence[Measure],
    kpis: Sequence[Kpi],
    dagster_run_id: str | None = None,
    checks: Sequence[Check] = (),
) -> Manifest:
    """Make a snapshot of what the warehouse holds and point to it.

    Parts whose inputs did not change are shared with earlier snapshots. A part that is not materialised, or was made
    from another source than the one loaded now, is left out and named in `omitted`; catalogue and kpis must be there.
    Only one process publishes at a time; a crash at any instant leaves the previous snapshot served.

    Raises PublishError or ContractError; the pointer is then untouched.
    """
    published = warehouse.published
    published.snapshots.mkdir(parents=True, exist_ok=True)
    published.parts.mkdir(parents=True, exist_ok=True)
    with publishing(published):
        kept = manifests(published)
        now = datetime.now(UTC)
        parts, omitted = _make_parts(warehouse, kept, now)
        first_day, as_of = _sales_range(warehouse)
        manifest = Manifest(
            id=_next_id(kept, now),
            schema_version=SCHEMA_VERSION,
            package_version=version("demandgraph"),
            published_at=now,
            dagster_run_id=dagster_run_id,
            source=warehouse.stamp("core/sales_daily").source,
            dataset_id=warehouse.dataset_id(),
            first_day=first_day,
            as_of=as_of,
            parts=parts,
            measures=list(measures),
            kpis=list(kpis),
            omitted=omitted,
            checks=list(checks),
        )
        write_bytes(published.manifest(manifest.id), msgspec.json.format(msgspec.json.encode(manifest)))
        stop.publishes(lambda: point(published, manifest))
        collect(published, now=now)
    return manifest


def amend(warehouse: Warehouse, name: str, *, dagster_run_id: str | None = None) -> Manifest:
    """Make a snapshot that is the one served but for the part `name`, and point to it.

    The other parts are not looked at, so that it may be done while a run of the graph is in the middle of making them.

    Raises PublishError, when nothing is served, or it is of another source or schema; ContractError; the pointer is then untouched.
    """
    published = warehouse.published
    with publishing(published):
        kept, now, base = manifests(published), datetime.now(UTC), served(published)
        if base.schema_version != SCHEMA_VERSION:
            raise PublishError(
                f"the served snapshot has schema version {base.schema_version}: publish a whole one (job type refresh)"
            )
        loaded = warehouse.stamp("core/sales_daily").source
        if name != STATE and loaded != base.source:
            raise PublishError(f"source {loaded} is loaded, {base.source} is served: publish a whole snapshot (job type refresh)")
        made = {part.name: made for part, made in _parts_of(warehouse, name, kept, now)}
        manifest = msgspec.structs.replace(
            base,
            id=_next_id(kept, now),
            published_at=now,
            dagster_run_id=dagster_run_id,
            parts={**base.parts, **made},
            omitted={other: why for other, why in base.omitted.items() if other != name},
        )
        write_bytes(published.manifest(manifest.id), msgspec.json.format(msgspec.json.encode(manifest)))
        stop.publishes(lambda: point(published, manifest))
        collect(published, now=now)
    return manifest


def served(published: Published) -> Manifest:
    """The snapshot that is pointed to. Raises PublishError, when there is none."""
    pointed = current(published)
    found = next((each for each in manifests(published) if each.id == pointed), None)
    if found is None:
        raise PublishError("no snapshot is served: publish one first (job type refresh)")
    return found


def rollback(published: Published, snapshot_id: str) -> Manifest:
    """Point to a kept snapshot again. The next publish makes a new one on top, as always.

    Raises PublishError, when the snapshot is not kept or its files are damaged.
    """
    with publishing(published):
        found = {manifest.id: manifest for manifest in manifests(published)}
        if snapshot_id not in found:
            raise PublishError(f"snapshot {snapshot_id} is not kept; kept are: {', '.join(found) or 'none'}")
        faults = damage(published, found[snapshot_id])
        if faults:
            raise PublishError(f"snapshot {snapshot_id} is damaged: {'; '.join(faults)}")
        point(published, found[snapshot_id])
    return found[snapshot_id]


def manifests(published: Published) -> list[Manifest]:
    """The kept snapshots, newest first. A manifest that cannot be read is passed over: its snapshot is not kept."""
    found = []
    for path in sorted(published.snapshots.glob("*.json"), reverse=True):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Manifest))
        except (msgspec.MsgspecError, OSError):
            continue
    return found


def current(published: Published) -> str | None:
    """The id of the snapshot that is pointed to; None where nothing was published or the pointer cannot be read."""
    try:
        return msgspec.json.decode(published.pointer.read_bytes(), type=Pointer).snapshot
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def collect(published: Published, *, now: datetime) -> None:
    """Delete snapshots past their time and parts that no kept snapshot has. The one that is pointed to always stays."""
    kept = manifests(published)
    pointed = current(published)
    expired = [
        manifest
        for n, manifest in enumerate(kept)
        if n >= KEEP_AT_LEAST and now - manifest.published_at > KEEP_FOR and manifest.id != pointed
    ]
    published.expired.mkdir(exist_ok=True)
    for manifest in expired:
        path = published.manifest(manifest.id)
        path.rename(published.expired / path.name)
    for path in published.expired.glob("*.json"):
        if now.timestamp() - path.stat().st_mtime > REMEMBER_EXPIRED_FOR.total_seconds():
            path.unlink()
    used = {part.key for manifest in kept if manifest not in expired for part in manifest.parts.values()}
    for folder in published.parts.iterdir():
        if folder.name not in used and not folder.name.startswith("."):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (published.parts, published.snapshots, published.root):
        remove_leftovers(folder)


@contextmanager
def publishing(published: Published) -> Iterator[None]:
    """Hold the lock of the published area; waits for another process that holds it. The OS frees it when one dies."""
    with locked(published.lock):
        yield


def _make_parts(warehouse: Warehouse, kept: Sequence[Manifest], now: datetime) -> tuple[dict[str, Part], dict[str, str]]:
    parts: dict[str, Part] = {}
    omitted: dict[str, str] = {}
    for name in PARTS:
        try:
            parts |= {part.name: made for part, made in _parts_of(warehouse, name, kept, now)}
        except ContractError:
            raise
        except PipelineError as error:
            if name in REQUIRED_PARTS:
                raise PublishError(f"cannot publish without the part {name}: {error}") from error
            omitted[name] = str(error)
    return parts, omitted


def _parts_of(warehouse: Warehouse, name: str, kept: Sequence[Manifest], now: datetime) -> list[tuple[PartInputs, Part]]:
    """The part `name` as it would be made now, and with `kpis` the parts of its years.

    Raises PipelineError, when a table is missing or of another source than the one that is loaded.
    """
    lock = {TRIALS: adding, STATE: changing}.get(name)  # of tables that jobs change meanwhile
    with lock(warehouse) if lock else nullcontext():
        made = inputs(warehouse, name)
        if name not in (STATE, TRIALS, KNOWLEDGE):
            _check_lineage(warehouse, PARTS[name])
        code = version("demandgraph")
        return [(each, make_part(warehouse.published, each, package_version=code, known=kept, made_at=now)) for each in made]


def _check_lineage(warehouse: Warehouse, tables: Sequence[str]) -> None:
    loaded = warehouse.stamp("core/sales_daily")
    for key in (TABLE_KEYS[table] for table in tables):
        if warehouse.stamp(key).lineage != loaded.lineage:
            raise PipelineError(f"{key} was made from another source than {loaded.source}: materialise {key} again")


def _sales_range(warehouse: Warehouse) -> tuple[date, date]:
    index = warehouse.partitioned("kpis/kpi_daily").index()
    days = [day for part in (index.partitions.values() if index else ()) for day in (part.first_date, part.last_date) if day]
    if not days:
        raise PublishError("kpis/kpi_daily has no rows: there is nothing to publish")
    return min(days), max(days)


def _next_id(kept: Sequence[Manifest], now: datetime) -> str:
    """Later than every kept id, even where the clock was set back."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    if kept and kept[0].id[:16] >= stamp:
        newest = datetime.strptime(kept[0].id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        stamp = (newest + timedelta(seconds=1)).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{secrets.token_hex(4)}"
