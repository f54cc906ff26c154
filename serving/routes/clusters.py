"""Which stores are alike, and how sure is that?"""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from msgspec import Meta, Struct

from assets_config.contract.clusters import ClusterDiagnostic, ClusterId, ClusterName, StoreCluster
from serving.formats import table
from serving.paging import Listed, Page, PageSize, page_of
from serving.reply import Metadata, metadata, rounded
from serving.snapshot import Snapshot


class ClusterSaid(Struct, frozen=True):
    """A group of stores that are alike."""

    cluster_id: ClusterId
    cluster_name: ClusterName
    fashion_tier: Annotated[str, Meta(description="The name in capitals.")]
    store_count: Annotated[int, Meta(description="Stores that are in it now.")]
    mean_revenue: Annotated[float, Meta(description="Mean weekly revenue of the stores that it was made of. [money/week]")]
    centroid: Annotated[dict[str, float], Meta(description="Mean of each feature in standard deviations from that of all stores.")]
    fitted_at: Annotated[datetime, Meta(description="When the clusters were made, UTC.")]


class Scale(Struct, frozen=True):
    """What a feature of stores was standardised with."""

    feature: Annotated[str, Meta(description="What stores are compared by.")]
    mean: Annotated[float, Meta(description="Mean over the stores, in the feature's own unit.")]
    deviation: Annotated[float, Meta(description="Its standard deviation; of a share times the root of the number of shares.")]


class ClusterDiagnostics(Struct, frozen=True):
    """What other numbers of clusters would be worth."""

    items: Annotated[list[ClusterDiagnostic], Meta(description="A row a number of clusters from 2 to 8 that the stores allow.")]
    standardisation: Annotated[list[Scale], Meta(description="The features, and what they were standardised with.")]
    metadata: Annotated[Metadata, Meta(description="Where this was read from.")]


@table("/dimensions/stores/clusters", operation_id="list_store_clusters", tags=["dimensions"])
async def list_store_clusters(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[ClusterSaid]:
    """The clusters of stores, the one that earns most first, with how many stores are in each.

    /dimensions/stores?cluster= lists those stores; KPIs take `cluster` as a filter and as a dimension. The job `cluster` makes new
    ones.
    """
    sizes = [each.cluster_id for each in lease.clusters.values()]
    found = [
        ClusterSaid(
            each.cluster_id,
            each.cluster_name,
            each.fashion_tier,
            sizes.count(each.cluster_id),
            each.mean_revenue,
            {name: round(value, 6) + 0.0 for name, value in msgspec.json.decode(each.centroid, type=dict[str, float]).items()},
            each.fitted_at.replace(tzinfo=UTC),
        )
        for each in await _clusters(lease)
    ]
    return page_of(found, page, page_size, metadata(lease, "clusters"))


@get("/dimensions/stores/clusters/diagnostics", operation_id="get_cluster_diagnostics", tags=["dimensions"])
async def get_cluster_diagnostics(lease: NamedDependency[Snapshot]) -> ClusterDiagnostics:
    """Inertia and silhouette of two to eight clusters of stores, and what they are compared by.

    Inertia falls with every cluster more; take a number after which it falls little and the silhouette is high, and whose smallest
    cluster is worth a plan of its own. The job `cluster` takes the number.
    """
    rows = [ClusterDiagnostic(**row) for row in await lease.rows("clusters", "cluster_diagnostic", "true ORDER BY k")]
    items = [msgspec.structs.replace(row, inertia=rounded(row.inertia), silhouette=rounded(row.silhouette)) for row in rows]
    scale: dict[str, tuple[float, float]] = {}
    for each in (await _clusters(lease))[:1]:
        scale = msgspec.json.decode(each.scale, type=dict[str, tuple[float, float]])
    said = [Scale(name, round(mean, 6), round(deviation, 6)) for name, (mean, deviation) in scale.items()]
    return ClusterDiagnostics(items, said, metadata(lease, "clusters"))


async def _clusters(lease: Snapshot) -> list[StoreCluster]:
    return [StoreCluster(**row) for row in await lease.rows("clusters", "store_cluster", "true ORDER BY cluster_id")]
