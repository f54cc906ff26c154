"""Assets of store clusters."""

from typing import Any

import msgspec
from dagster import Config, MaterializeResult, asset
from dagster_duckdb import DuckDBResource
from pydantic import Field

from assets_config.contract.clusters import ClusterParams
from pipelines.report import GRAPH_POOL, now, table_made, upstream
from pipelines.resources import Storage, settings

GROUP: dict[str, Any] = {"key_prefix": "planning", "group_name": "planning", "owners": ["team:planning"], "pool": GRAPH_POOL}


@asset(**GROUP, kinds={"duckdb"}, deps=upstream("core/dim_store", "core/dim_product", "core/sales_daily"))
def store_feature(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """What stores are compared by: size, income, tier, what they sell a week, and of which categories."""
    from assets_config.segments import segment_rules
    from pipelines.planning.clusters.features import feature_frame, read_weekly

    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        weekly = read_weekly(warehouse, connection, segment_rules(settings().config).weeks)
    warehouse.write("planning/store_feature", feature_frame(warehouse.read("core/dim_store"), weekly))
    return table_made(warehouse, "planning/store_feature")


class ClusterConfig(Config):
    """Whether the clusters are made anew. Left empty: they stay, and new stores are held against them."""

    cluster: str | None = Field(default=None, description="Make them anew, as JSON (contract.clusters.ClusterParams).")


@asset(**GROUP, kinds={"numpy"}, deps=[store_feature])
def store_cluster(config: ClusterConfig, storage: Storage) -> MaterializeResult:
    """Groups of stores that are alike, by what they earn: premium, mainstream and value. Made once, and by the job `cluster`."""
    from assets_config.segments import segment_rules
    from pipelines.planning.clusters.tiers import cluster_frame

    warehouse = storage.warehouse()
    before = warehouse.previous("planning/store_cluster")
    if before is None or before.is_empty() or config.cluster is not None:
        asked = ClusterParams() if config.cluster is None else msgspec.json.decode(config.cluster, type=ClusterParams)
        rules = segment_rules(settings().config)
        before = cluster_frame(warehouse.read("planning/store_feature"), rules, at=now(), clusters=asked.clusters)
    warehouse.write("planning/store_cluster", before)
    sizes = dict(before.select("cluster_name", "store_count").iter_rows())
    return table_made(warehouse, "planning/store_cluster", stores=sizes)


@asset(**GROUP, kinds={"numpy"}, deps=[store_feature, store_cluster])
def store_cluster_member(storage: Storage) -> MaterializeResult:
    """The cluster of every store; one that came after the clusters were made has the nearest, and moves no other."""
    from pipelines.planning.clusters.tiers import member_frame

    warehouse = storage.warehouse()
    features, clusters = (warehouse.read(f"planning/{name}") for name in ("store_feature", "store_cluster"))
    made = member_frame(features, clusters, warehouse.previous("planning/store_cluster_member"))
    warehouse.write("planning/store_cluster_member", made)
    return table_made(warehouse, "planning/store_cluster_member", assigned=int(made["is_assigned"].sum()))


@asset(**GROUP, kinds={"numpy"}, deps=[store_feature, store_cluster])
def cluster_diagnostic(storage: Storage) -> MaterializeResult:
    """What two to eight clusters would be worth: inertia and silhouette."""
    from assets_config.segments import segment_rules
    from pipelines.planning.clusters.tiers import diagnostic_frame

    warehouse, rules = storage.warehouse(), segment_rules(settings().config)
    features, clusters = (warehouse.read(f"planning/{name}") for name in ("store_feature", "store_cluster"))
    warehouse.write("planning/cluster_diagnostic", diagnostic_frame(features, rules, chosen=clusters.height))
    return table_made(warehouse, "planning/cluster_diagnostic")


ASSETS = [store_feature, store_cluster, store_cluster_member, cluster_diagnostic]
