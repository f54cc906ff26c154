"""What the whole graph publishes: every part, checked against the tables that it was made of."""

import shutil
from pathlib import Path

import duckdb
import msgspec
import pytest

from assets_config.contract.integrity import damage
from assets_config.contract.manifest import Manifest
from assets_config.contract.tables import PARTS
from assets_config.declared import load_declarations
from pipelines.errors import PublishError
from pipelines.kpis.cubes import write_cubes
from pipelines.kpis.measures import write_kpi_daily
from pipelines.publish.parts import TABLE_KEYS
from pipelines.publish.snapshot import current, manifests, publish, rollback
from pipelines.warehouse import Origin, Warehouse
from tests.plant import Plant


def publish_again(root: Path) -> Manifest:
    declared = load_declarations()
    return publish(Warehouse(root), measures=declared.published_measures(), kpis=declared.kpis)


def test_the_whole_graph_publishes_every_part(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)

    [manifest] = manifests(warehouse.published)

    assert current(warehouse.published) == manifest.id
    assert set(manifest.parts) == {*PARTS, "facts_2024"}
    assert manifest.omitted == {}
    assert manifest.source == "small"
    assert manifest.dataset_id == warehouse.dataset_id()
    assert damage(warehouse.published, manifest) == []
    assert msgspec.json.decode(warehouse.published.manifest(manifest.id).read_bytes(), type=Manifest) == manifest


def test_a_snapshot_keeps_the_newest_result_of_each_check(demo_root: Path) -> None:
    [manifest] = manifests(Warehouse(demo_root).published)

    found = {(check.asset, check.name): check for check in manifest.checks}
    assert len(found) == len(manifest.checks)
    assert found["core/sales_daily", "grain_unique"].passed
    assert found["forecasts/forecast", "coverage_is_nominal"].severity == "warn"
    assert ("publish/snapshot", "published_files_are_whole") not in found  # it runs after
    assert {check.dagster_run_id for check in manifest.checks} == {manifest.dagster_run_id}
    assert all(check.at <= manifest.published_at for check in manifest.checks)


@pytest.mark.parametrize("table", sorted(TABLE_KEYS))
def test_a_published_table_has_the_rows_of_its_asset(table: str, demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    [manifest] = manifests(warehouse.published)
    [part] = [part for part in manifest.parts.values() if table in part.tables]

    with duckdb.connect(str(warehouse.published.part(part.key) / "tables.duckdb"), read_only=True) as connection:
        published = connection.execute(f"SELECT * FROM {table}").fetchall()

    made = warehouse.read(TABLE_KEYS[table]).rows()
    assert len(published) == part.tables[table] == len(made)
    assert sorted(map(repr, published)) == sorted(map(repr, made))


def test_publishing_again_shares_every_part(own_root: Path) -> None:
    [first] = manifests(Warehouse(own_root).published)

    second = publish_again(own_root)

    assert second.parts == first.parts
    assert second.id > first.id
    assert current(Warehouse(own_root).published) == second.id


def test_only_the_part_that_changed_is_made_again(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    [first] = manifests(warehouse.published)
    forecast = warehouse.read("forecasts/forecast")
    warehouse.write("forecasts/forecast", forecast.with_columns(forecast["yhat"] + 1))

    second = publish_again(own_root)

    changed = [name for name, part in second.parts.items() if part.key != first.parts[name].key]
    assert changed == ["forecasts"]
    assert damage(warehouse.published, first) == damage(warehouse.published, second) == []


def test_parts_of_another_source_are_left_out_with_the_reason(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    kept = {key: warehouse.path(key).read_bytes() for key in ("forecasts/forecast", "forecasts/model_run")}
    warehouse.set_origin(Origin("other", None))
    plant = Plant(own_root)
    plant.run()
    with duckdb.connect() as connection:
        plant.finish(connection)
        declared = load_declarations()
        write_kpi_daily(warehouse, declared.measures, connection)
        write_cubes(warehouse, declared.published_measures(), declared.grains, connection)

    manifest = publish_again(own_root)

    assert manifest.source == "other"
    assert set(manifest.parts) == {"catalogue", "stock", "planning", "ingest", "kpis", "facts_2024", "state"}
    assert "forecasts/forecast was made from another source than other" in manifest.omitted["forecasts"]
    assert set(manifest.omitted) == {
        *("features", "segments", "forecasts", "explanations", "cards", "levels", "sets", "accuracy", "registry"),
        *("clusters", "inventory", "alerts", "notifications"),
    }
    assert {key: warehouse.path(key).read_bytes() for key in kept} == kept


def test_without_a_required_part_nothing_is_published(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    before = warehouse.published.pointer.read_bytes()
    shutil.rmtree(warehouse.partitioned("kpis/kpi_daily").folder)

    with pytest.raises(PublishError, match=r"without the part kpis: kpis/kpi_daily is not there yet"):
        publish_again(own_root)

    assert warehouse.published.pointer.read_bytes() == before


def test_rollback_points_back_and_the_next_publish_goes_on_top(own_root: Path) -> None:
    published = Warehouse(own_root).published
    [first] = manifests(published)
    second = publish_again(own_root)

    assert rollback(published, first.id) == first
    assert current(published) == first.id

    third = publish_again(own_root)

    assert third.id > second.id
    assert current(published) == third.id
    assert [manifest.id for manifest in manifests(published)] == [third.id, second.id, first.id]
