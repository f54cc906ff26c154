from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from assets_config.contract.integrity import damage
from pipelines.errors import ContractError, PublishError
from pipelines.publish.snapshot import collect, current, manifests, rollback
from pipelines.warehouse import Origin, Warehouse
from tests.plant import Plant, rewrite
from tests.serving.conftest import publish_made, publish_tiny

FACTS = "facts_2024"


def test_what_is_published_has_the_checksums_of_its_manifest(tmp_path: Path) -> None:
    manifest = publish_tiny(tmp_path)

    published = Warehouse(tmp_path).published
    assert current(published) == manifest.id
    assert damage(published, manifest) == []
    assert manifest.parts[FACTS].tables["kpi_daily"] == Warehouse(tmp_path).read("kpis/kpi_daily").height


def test_parts_whose_inputs_did_not_change_are_shared(tmp_path: Path) -> None:
    first = publish_tiny(tmp_path)

    same, other = publish_tiny(tmp_path), publish_tiny(tmp_path, scale=2)

    assert same.parts == first.parts
    assert same.id > first.id
    assert other.parts["kpis"].key != first.parts["kpis"].key


def test_what_was_never_made_is_left_out_and_named(tmp_path: Path) -> None:
    manifest = publish_tiny(tmp_path)

    assert set(manifest.omitted) == {"features", "segments", "registry", "forecasts", "state"}
    assert "materialise" in manifest.omitted["forecasts"]


def test_a_table_of_another_source_is_not_published(tmp_path: Path) -> None:
    first = publish_tiny(tmp_path)
    warehouse = Warehouse(tmp_path)
    warehouse.set_origin(Origin("other", "elsewhere"))
    Plant(tmp_path).run()

    with pytest.raises(PublishError, match="another source"):
        publish_made(tmp_path)

    assert current(warehouse.published) == first.id


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pl.col("units").cast(pl.Float64), "units is DOUBLE, the contract says BIGINT"),
        (pl.when(pl.col("units") > 0).then(None).otherwise(pl.col("units")).alias("units"), "units is null"),
    ],
)
def test_a_frame_that_differs_from_the_contract_is_refused(change: pl.Expr, said: str, tmp_path: Path) -> None:
    first = publish_tiny(tmp_path)
    warehouse = Warehouse(tmp_path)
    rewrite(warehouse, "kpis/kpi_daily", lambda frame: frame.with_columns(change))

    with pytest.raises(ContractError, match=said):
        publish_made(tmp_path)

    assert current(warehouse.published) == first.id
    assert list(warehouse.published.root.rglob("*.tmp")) == []


def test_a_missing_column_is_refused_with_both_schemas(tmp_path: Path) -> None:
    publish_tiny(tmp_path)
    warehouse = Warehouse(tmp_path)
    warehouse.write("core/dim_store", warehouse.read("core/dim_store").drop("city"))

    with pytest.raises(ContractError, match=r"dim_store: columns are .*the contract says .*city"):
        publish_made(tmp_path)


def test_a_damaged_part_is_made_again_under_another_key(tmp_path: Path) -> None:
    first = publish_tiny(tmp_path)
    published = Warehouse(tmp_path).published
    (published.part(first.parts[FACTS].key) / "tables.duckdb").write_bytes(b"gone")

    second = publish_tiny(tmp_path)

    assert second.parts[FACTS].key == f"{first.parts[FACTS].key}-2"
    assert damage(published, second) == []


def test_the_nightly_check_names_what_was_altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.publish.assets import published_files_are_whole
    from pipelines.resources import Storage

    manifest = publish_tiny(tmp_path)
    monkeypatch.setenv("DEMANDGRAPH_DATA", str(tmp_path))
    sound = published_files_are_whole(storage=Storage())
    path = Warehouse(tmp_path).published.part(manifest.parts["catalogue"].key) / "tables.duckdb"
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(bytes(content))

    found = published_files_are_whole(storage=Storage())

    assert sound.passed
    assert not found.passed
    assert "tables.duckdb" in str(found.metadata["damage"])


def test_rollback_refuses_what_is_unknown_or_damaged(tmp_path: Path) -> None:
    first = publish_tiny(tmp_path)
    second = publish_tiny(tmp_path, scale=2)
    published = Warehouse(tmp_path).published
    (published.part(first.parts["kpis"].key) / "cubes.json").unlink()

    with pytest.raises(PublishError, match=r"cubes\.json is missing"):
        rollback(published, first.id)
    with pytest.raises(PublishError, match=second.id):
        rollback(published, "20200101T000000Z-00000000")

    assert current(published) == second.id


def test_old_snapshots_go_but_five_and_the_served_one_stay(tmp_path: Path) -> None:
    made = [publish_tiny(tmp_path, scale=scale) for scale in range(1, 9)]
    published = Warehouse(tmp_path).published
    rollback(published, made[0].id)
    for manifest in made:
        old = msgspec.structs.replace(manifest, published_at=datetime.now(UTC) - timedelta(days=3))
        published.manifest(manifest.id).write_bytes(msgspec.json.encode(old))

    collect(published, now=datetime.now(UTC))

    kept = {manifest.id for manifest in manifests(published)}
    assert kept == {made[0].id, *(manifest.id for manifest in made[-5:])}
    assert {path.stem for path in published.expired.glob("*.json")} == {manifest.id for manifest in made[1:3]}
    parts = {part.key for manifest in manifests(published) for part in manifest.parts.values()}
    assert {path.name for path in published.parts.iterdir()} == parts


def test_ids_of_stores_survive_a_new_store(tmp_path: Path) -> None:
    publish_tiny(tmp_path)
    plant = Plant(tmp_path)
    before = plant.table("dim_store").select("store_id", "code")

    plant.post("stores", [{"code": "A000", "name": "a new one"}], at=datetime.now(UTC))
    plant.run()

    after = plant.table("dim_store").select("store_id", "code")
    assert after.filter(pl.col("code") != "A000").equals(before)
    assert after.filter(pl.col("code") == "A000")["store_id"].item() == before["store_id"].max() + 1  # type: ignore[operator]
