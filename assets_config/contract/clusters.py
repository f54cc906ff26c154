"""The published tables of store clusters, and what a new clustering is asked."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from assets_config.contract.columns import StoreId, column

ClusterId = Annotated[int, column("Cluster of stores, 1 the one with the largest mean revenue.")]
ClusterName = Annotated[str, column("Name of the cluster: premium, mainstream or value; tier_1 and so on where there are others.")]


class StoreCluster(Struct, frozen=True):
    """A group of stores that are alike, and what new stores are held against."""

    cluster_id: ClusterId
    cluster_name: ClusterName
    fashion_tier: Annotated[str, column("The name in capitals, as season plans have it.")]
    store_count: Annotated[int, column("Stores that it was made of; stores that came later are not counted.")]
    mean_revenue: Annotated[float, column("Mean weekly revenue of these stores.", unit="money/week")]
    centroid: Annotated[str, column("Mean of each feature, standardised, as JSON.")]
    scale: Annotated[str, column("Mean and standard deviation that each feature was standardised with, as JSON.")]
    fitted_at: Annotated[datetime, column("When the clusters were made, UTC.")]


class StoreClusterMember(Struct, frozen=True):
    """The cluster of a store."""

    store_id: StoreId
    cluster_id: ClusterId
    cluster_name: ClusterName
    distance: Annotated[float, column("Distance to the centroid, in standard deviations.")]
    is_assigned: Annotated[bool, column("Whether it came after the clusters were made: it has the nearest and moved no other.")]
    fitted_at: Annotated[datetime, column("When the clusters were made, UTC.")]


class ClusterDiagnostic(Struct, frozen=True):
    """What so many clusters would be worth."""

    k: Annotated[int, column("Number of clusters.")]
    inertia: Annotated[float, column("Sum of squared distances to the centroids; falls with k.")]
    silhouette: Annotated[float | None, column("Mean silhouette, -1 to 1; null where every store is alone.", unit="ratio")]
    smallest: Annotated[int, column("Stores of the smallest cluster.")]
    is_chosen: Annotated[bool, column("Whether there are that many clusters now.")]


class ClusterParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Make the clusters of stores anew from what is known now; stores may change their cluster."""

    clusters: Annotated[
        Annotated[int, Meta(ge=1, le=8)] | None, Meta(description="How many; those of segments.yaml where it is null.")
    ] = None


class SegmentParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Class the series anew: demand pattern, ABC and XYZ."""
