"""The asset graph is the one that was reviewed, and data flows down it."""

import pytest
from dagster import AssetKey

from assets_config.contract.jobs import ASSETS, MaterializeParams, RefreshParams, UnknownAssets, selection
from assets_config.contract.names import STAGES
from assets_config.contract.tables import ORDER, PARTS, TABLES
from pipelines.definitions import defs
from pipelines.publish.frames import fields
from pipelines.publish.parts import TABLE_KEYS

GRAPH = defs.resolve_asset_graph()
KEYS = sorted(key.to_user_string() for key in GRAPH.get_all_asset_keys())


def test_jobs_know_exactly_the_assets_of_the_graph() -> None:
    assert sorted(ASSETS) == KEYS, "assets_config/contract/jobs.py: ASSETS must list every asset of the graph"


@pytest.mark.parametrize("key", KEYS)
def test_every_edge_points_down_the_stages(key: str) -> None:
    stage = STAGES.index(key.split("/")[0])

    for parent in GRAPH.get(AssetKey(key.split("/"))).parent_keys:
        assert STAGES.index(parent.path[0]) <= stage, f"{key} reads {parent.to_user_string()} of a later stage"
        assert ASSETS.index(parent.to_user_string()) < ASSETS.index(key), "ASSETS must list upstream first"


@pytest.mark.parametrize("key", KEYS)
def test_every_asset_introduces_itself(key: str) -> None:
    node = GRAPH.get(AssetKey(key.split("/")))

    assert node.description
    assert node.group_name == key.split("/")[0]
    assert node.owners
    assert node.kinds


def test_every_published_table_has_one_asset_and_one_part() -> None:
    assert {table: key.rsplit("/", 1)[1] for table, key in TABLE_KEYS.items()} == {table: table for table in TABLES}
    assert sorted(table for tables in PARTS.values() for table in tables) == sorted(TABLES)
    assert set(TABLE_KEYS.values()) <= set(KEYS)


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_a_type_and_a_meaning(table: str) -> None:
    columns = {field.name for field in fields(TABLES[table])}

    assert set(ORDER[table]) <= columns


def test_a_job_selects_stages_and_assets_upstream_first() -> None:
    assert selection(MaterializeParams()) == list(ASSETS)
    assert selection(MaterializeParams(["kpis", "core/dim_store"])) == ["core/dim_store", "kpis/kpi_daily", "kpis/cubes"]
    assert selection(RefreshParams()) == ["publish/snapshot"]


def test_a_job_refuses_assets_that_do_not_exist() -> None:
    with pytest.raises(UnknownAssets) as caught:
        selection(MaterializeParams(["core", "core/nothing"]))

    assert caught.value.entries == [(1, "core/nothing")]
