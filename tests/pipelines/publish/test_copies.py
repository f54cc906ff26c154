"""Exports, backups and rollbacks are real copies of what is published, made by real runs."""

import hashlib
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest
from dagster import ExecuteInProcessResult

from assets_config.contract.copies import CHECKSUMS, BackupParams
from assets_config.contract.durable import locked
from assets_config.contract.graph import ASSETS, BY_MONTH
from assets_config.contract.landing import POSTED, Landing
from assets_config.contract.state import SetAliasParams
from assets_config.contract.tables import PARTS, STATE
from assets_config.declared import load_declarations
from pipelines.forecasts.registry.state import change_aliases
from pipelines.publish import backups
from pipelines.publish.backups import backup
from pipelines.publish.parts import TABLE_KEYS
from pipelines.publish.snapshot import amend, current, manifests
from pipelines.sources.origin import LANDED, choose
from pipelines.warehouse import Origin, Warehouse
from tests.pipelines.forecasts.registry.test_state import AT, JOB, run_ids, run_job
from tests.serving.conftest import client_of

KPIS = "/api/v1/analytics/kpis?start_date=2024-09-01&end_date=2024-12-31"


@pytest.fixture(scope="module")
def warehouse(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return Warehouse(Path(shutil.copytree(demo_root, tmp_path_factory.mktemp("copies") / "demo")))


def result(done: ExecuteInProcessResult) -> dict[str, Any]:
    assert done.success
    [made] = done.get_asset_materialization_events()
    return dict(made.materialization.metadata["result"].value)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_export_has_every_row_of_the_published_tables(warehouse: Warehouse, small_config: Path, kind: str) -> None:
    tables = {"forecast": "forecasts/forecast", "kpi_daily": "kpis/kpi_daily", "dim_store": "core/dim_store"}

    made = result(run_job(warehouse.root, small_config, "export", tables=list(tables), format=kind))

    folder = warehouse.root / "exports" / made["export_id"]
    for file, key in zip(made["files"], tables.values(), strict=True):
        path = folder / file["name"]
        read = pl.read_csv(path) if kind == "csv" else pl.read_parquet(path)
        assert read.columns == warehouse.read(key).columns
        assert read.height == file["rows"] == warehouse.read(key).height
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
    lines = (folder / CHECKSUMS).read_text().splitlines()
    assert lines == [f"{file['sha256']}  {file['name']}" for file in made["files"]]


def test_an_export_is_read_over_http_and_nothing_else_is(warehouse: Warehouse, small_config: Path) -> None:
    made = result(run_job(warehouse.root, small_config, "export", tables=["dim_store"], format="csv"))
    url = f"/api/v1/exports/{made['export_id']}"

    with client_of(warehouse.root) as client:
        listed = client.get("/api/v1/exports").json()["items"]
        assert listed[0] == client.get(url).json()
        assert client.get(f"{url}/dim_store.csv").content == (warehouse.root / url[8:] / "dim_store.csv").read_bytes()
        for path in ("dim_product.csv", "..%2F..%2Fkeys.json", "%2Fetc%2Fpasswd", "manifest.json%00"):
            assert client.get(f"{url}/{path}").status_code == 404, path
        for export in ("..", "0" * 32, "%2E%2E"):
            assert client.get(f"/api/v1/exports/{export}").status_code in (404, 405), export


def test_an_unknown_table_leaves_no_folder(warehouse: Warehouse, small_config: Path) -> None:
    before = sorted((warehouse.root / "exports").glob("*"))

    done = run_job(warehouse.root, small_config, "export", tables=["dim_store", "nothing"])

    assert "has no table nothing" in str(done.failure_data_for_node("publish__export").error.cause.message)
    assert sorted((warehouse.root / "exports").glob("*")) == before


def test_a_backup_is_a_data_root_that_answers_alike(warehouse: Warehouse, small_config: Path) -> None:
    change_aliases(warehouse, [SetAliasParams("kept", run_ids(warehouse)[0])], at=AT, by=JOB)
    amend(warehouse, "state")

    made = result(run_job(warehouse.root, small_config, "backup", keep=1))
    again = result(run_job(warehouse.root, small_config, "backup", keep=1))

    root = warehouse.root / again["backup"]
    assert not (warehouse.root / made["backup"]).exists(), "the newest one stays"
    with client_of(warehouse.root) as served, client_of(root) as kept:
        for url in (KPIS, "/api/v1/registry/aliases/kept", "/api/v1/forecasts/levels?level=total"):
            assert kept.get(url).json() == served.get(url).json()
    decided = [TABLE_KEYS[table] for table in PARTS[STATE] if (warehouse.folder / TABLE_KEYS[table]).exists()]
    assert {"forecasts/model_alias", "planning/scenario", "publish/workspace"} <= set(decided)
    for key in (*decided, "forecasts/frozen", "knowledge/document"):
        assert (root / "warehouse" / key / "data.parquet").read_bytes() == warehouse.path(key).read_bytes()
    assert [path.name for path in sorted((root / "warehouse" / "core" / "surrogate").glob("*/*"))] == [
        *("category.parquet", "product.parquet", "store.parquet"),
    ]


def test_a_run_over_a_backup_loads_nothing_that_was_not_asked_for(warehouse: Warehouse, small_config: Path, tmp_path: Path) -> None:
    made = result(run_job(warehouse.root, small_config, "backup"))
    restored = Warehouse(Path(shutil.copytree(warehouse.root / made["backup"], tmp_path / "restored")))
    before = current(restored.published)

    looked = run_job(restored.root, small_config, "materialize", assets=["sources", "core"])  # no source, as in daily_data
    batch, _ = Landing(restored.root).receive(
        *("sales-daily", POSTED, [("rows.csv", b"date,store_code,sku,quantity,unit_price\n2024-01-01,A,x,1,1\n")]),
        media_type="text/csv",
        received_at=datetime.now(UTC),
    )
    posted = run_job(restored.root, small_config, "ingest", batch_id=batch.batch_id)

    for done in (looked, posted):
        said = str(done.failure_data_for_node("sources__batches").error.cause.message)
        assert f"made of small, but {restored.root / 'landing'} has no batch of it" in said
    assert current(restored.published) == before


def test_a_landing_zone_that_was_copied_alone_is_loaded_again(warehouse: Warehouse, tmp_path: Path) -> None:
    alone, beside = Warehouse(tmp_path / "alone"), Warehouse(tmp_path / "beside")
    for each in (alone, beside):
        shutil.copytree(warehouse.root / "landing", each.root / "landing")
    shutil.copytree(warehouse.root / "published", beside.root / "published")

    chosen = [choose(each, load_declarations(), name=None, path=None) for each in (alone, beside)]

    assert chosen == [Origin(LANDED, None)] * 2


def test_a_backup_that_waits_holds_nothing_that_others_take_within_their_own_lock(warehouse: Warehouse) -> None:
    """A decision of a conversation holds its own lock and takes the registry's: both would wait for each other."""
    sessions, registry = warehouse.folder / "planning/sessions.lock", warehouse.folder / "forecasts/registry.lock"
    with locked(sessions):
        waiting = Thread(target=backup, args=(warehouse, BackupParams()), kwargs={"by": "d" * 32})
        waiting.start()
        time.sleep(1)
        taken = Thread(target=lambda: locked(registry).__enter__(), daemon=True)
        taken.start()
        taken.join(10)
        assert waiting.is_alive()
        assert not taken.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_backup_that_the_disk_has_no_room_for_is_not_begun(
    warehouse: Warehouse, small_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    before = sorted((warehouse.root / "backups").glob("*"))

    done = run_job(warehouse.root, small_config, "backup")

    assert "1 are free" in str(done.failure_data_for_node("publish__backup").error.cause.message)
    assert sorted((warehouse.root / "backups").glob("*")) == before


def test_a_rollback_points_to_the_snapshot_and_publishes_none(warehouse: Warehouse, small_config: Path) -> None:
    kept = [each.id for each in manifests(warehouse.published)]

    made = result(run_job(warehouse.root, small_config, "rollback", snapshot_id=kept[-1]))

    assert made["snapshot_id"] == current(warehouse.published) == kept[-1]
    assert [each.id for each in manifests(warehouse.published)] == kept


def test_an_amendment_after_a_rollback_is_of_what_is_served(warehouse: Warehouse) -> None:
    [newest, *_, oldest] = manifests(warehouse.published)
    assert current(warehouse.published) == oldest.id

    made = amend(warehouse, "state")

    assert made.id > newest.id
    assert {name: part for name, part in made.parts.items() if name != "state"} == {
        name: part for name, part in oldest.parts.items() if name != "state"
    }


def test_months_are_told_of_the_tables_that_are_kept_so(warehouse: Warehouse) -> None:
    keys = [key for key in ASSETS if key.startswith("core/") or key == "kpis/kpi_daily"]
    indexes = {key: warehouse.partitioned(key).index() for key in keys}
    dated = {key for key, index in indexes.items() if index and any(month[:2] == "20" for month in index.partitions)}

    assert dated <= set(BY_MONTH) <= {key for key, index in indexes.items() if index}
