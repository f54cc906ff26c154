from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from assets_config.contract import integrity
from assets_config.contract.integrity import damage, sha256
from assets_config.contract.manifest import Manifest
from pipelines.errors import ContractError, PublishError
from pipelines.publish.snapshot import collect, current, manifests, rollback
from pipelines.warehouse import Origin, Warehouse
from tests.plant import Plant, rewrite
from tests.serving.conftest import publish_made, publish_sold, publish_tiny

FACTS = "facts_2024"
DOUBLED = pl.col("units") * 2


@pytest.fixture
def first(root: Path) -> Manifest:
    """What was published first at `root`."""
    [manifest] = manifests(Warehouse(root).published)
    return manifest


def test_what_is_published_has_the_checksums_of_its_manifest(root: Path, first: Manifest) -> None:
    published = Warehouse(root).published
    assert current(published) == first.id
    assert damage(published, first) == []
    assert first.parts[FACTS].tables["kpi_daily"] == Warehouse(root).read("kpis/kpi_daily").height


def test_parts_whose_inputs_did_not_change_are_shared(root: Path, first: Manifest) -> None:
    same, other = publish_tiny(root), publish_tiny(root, scale=2)

    assert same.parts == first.parts
    assert same.id > first.id
    assert other.parts["kpis"].key != first.parts["kpis"].key


def test_what_was_never_made_is_left_out_and_named(root: Path, first: Manifest) -> None:
    assert set(first.omitted) == {
        *(
            "features",
            "segments",
            "registry",
            "trials",
            "forecasts",
            "explanations",
            "cards",
            "levels",
            "sets",
            "accuracy",
            "state",
        ),
        *("clusters", "inventory", "alerts", "notifications", "season", "prices", "knowledge"),
    }
    assert "materialise" in first.omitted["forecasts"]


def test_a_table_of_another_source_is_not_published(root: Path, first: Manifest) -> None:
    warehouse = Warehouse(root)
    warehouse.set_origin(Origin("other", "elsewhere"))
    Plant(root).run()

    with pytest.raises(PublishError, match="another source"):
        publish_made(root)

    assert current(warehouse.published) == first.id


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pl.col("units").cast(pl.Float64), "units is DOUBLE, the contract says BIGINT"),
        (pl.when(pl.col("units") > 0).then(None).otherwise(pl.col("units")).alias("units"), "units is null"),
    ],
)
def test_a_frame_that_differs_from_the_contract_is_refused(change: pl.Expr, said: str, root: Path, first: Manifest) -> None:
    warehouse = Warehouse(root)
    rewrite(warehouse, "kpis/kpi_daily", lambda frame: frame.with_columns(change))

    with pytest.raises(ContractError, match=said):
        publish_made(root)

    assert current(warehouse.published) == first.id
    assert list(warehouse.published.root.rglob("*.tmp")) == []


def test_a_missing_column_is_refused_with_both_schemas(root: Path) -> None:
    warehouse = Warehouse(root)
    warehouse.write("core/dim_store", warehouse.read("core/dim_store").drop("city"))

    with pytest.raises(ContractError, match=r"dim_store: columns are .*the contract says .*city"):
        publish_made(root)


def test_a_damaged_part_is_made_again_under_another_key(root: Path, first: Manifest) -> None:
    published = Warehouse(root).published
    (published.part(first.parts[FACTS].key) / "tables.duckdb").write_bytes(b"gone")

    second = publish_made(root)

    assert second.parts[FACTS].key == f"{first.parts[FACTS].key}-2"
    assert damage(published, second) == []


def test_the_nightly_check_names_what_was_altered_in_each_snapshot_and_reads_a_shared_file_once(
    root: Path, first: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.publish.assets import published_files_are_whole
    from pipelines.resources import Storage

    monkeypatch.setenv("DEMANDGRAPH_DATA", str(root))
    second, read = publish_made(root), []
    monkeypatch.setattr(integrity, "sha256", lambda path: read.append(path) or sha256(path))
    sound = published_files_are_whole(storage=Storage())
    path = Warehouse(root).published.part(first.parts["catalogue"].key) / "tables.duckdb"
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(bytes(content))

    found = published_files_are_whole(storage=Storage())

    assert sound.passed
    assert not found.passed
    said = found.metadata["damage"].value
    assert said.keys() == {first.id, second.id}
    assert all(["tables.duckdb does not have" in sentence for sentence in each] == [True] for each in said.values())
    files = [file for part in first.parts.values() for file in part.files]
    assert len(read) == 2 * len(files) == 2 * len(set(read))


def test_rollback_refuses_what_is_unknown_or_damaged(root: Path, first: Manifest) -> None:
    second = publish_tiny(root, scale=2)
    published = Warehouse(root).published
    (published.part(first.parts["kpis"].key) / "cubes.json").unlink()

    with pytest.raises(PublishError, match=r"cubes\.json is missing"):
        rollback(published, first.id)
    with pytest.raises(PublishError, match=second.id):
        rollback(published, "20200101T000000Z-00000000")

    assert current(published) == second.id


def test_old_snapshots_go_but_five_and_the_served_one_stay(root: Path, first: Manifest) -> None:
    made = [first, *(publish_sold(root, DOUBLED) for _ in range(7))]
    published = Warehouse(root).published
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


def test_ids_of_stores_survive_a_new_store(root: Path) -> None:
    plant = Plant(root)
    before = plant.table("dim_store").select("store_id", "code")

    plant.post("stores", [{"code": "A000", "name": "a new one"}], at=datetime.now(UTC))
    plant.run()

    after = plant.table("dim_store").select("store_id", "code")
    assert after.filter(pl.col("code") != "A000").equals(before)
    assert after.filter(pl.col("code") == "A000")["store_id"].item() == before["store_id"].max() + 1  # type: ignore[operator]
