"""Clusters of stores, ordered and named by what they earn; new stores are given the nearest."""

import json
from datetime import datetime

import numpy as np
import polars as pl

from assets_config.contract.clusters import ClusterDiagnostic, StoreCluster, StoreClusterMember
from assets_config.segments import SegmentRules
from pipelines.planning.clusters.features import scale_of, standardised
from pipelines.planning.clusters.kmeans import kmeans, settled, silhouette, squared
from pipelines.shapes import empty, schema

NAMES = {1: ("mainstream",), 2: ("premium", "value"), 3: ("premium", "mainstream", "value")}
TRIED = range(2, 9)


def cluster_frame(features: pl.DataFrame, rules: SegmentRules, *, at: datetime, clusters: int | None = None) -> pl.DataFrame:
    """The columns of contract.clusters.StoreCluster, made from the stores of `features`; no row where there are none."""
    features = features.sort("store_id")
    if features.is_empty():
        return empty(StoreCluster)
    scale = scale_of(features)
    points, revenue = standardised(features, scale), features["revenue"].to_numpy()
    wanted = min(clusters or rules.clusters, len(points))
    labels, centroids, _ = kmeans(points, wanted, starts=rules.starts, seed=rules.seed)
    labels, centroids = joined(points, labels, centroids, rules.fewest_stores)
    k, sizes = len(centroids), np.bincount(labels)
    earned = np.bincount(labels, weights=revenue) / sizes
    order = np.argsort(-earned, kind="stable")
    names = NAMES.get(k, tuple(f"tier_{n}" for n in range(1, k + 1)))
    rows = [
        {
            "cluster_id": n,
            "cluster_name": name,
            "fashion_tier": name.upper(),
            "store_count": int(sizes[label]),
            "mean_revenue": round(float(earned[label]), 2),
            "centroid": json.dumps(dict(zip(scale, centroids[label].tolist(), strict=False))),
            "scale": json.dumps(scale),
            "fitted_at": at,
        }
        for n, (name, label) in enumerate(zip(names, order, strict=True), 1)
    ]
    return pl.DataFrame(rows, schema=schema(StoreCluster))


def joined(points: np.ndarray, labels: np.ndarray, centroids: np.ndarray, fewest: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and centroids after clusters of fewer points, the smallest first, were dissolved: their points go to the nearest."""
    while len(centroids) > 1 and np.bincount(labels).min() < fewest:
        labels, centroids = settled(points, np.delete(centroids, np.bincount(labels).argmin(), axis=0))
    return labels, centroids


def member_frame(features: pl.DataFrame, clusters: pl.DataFrame, previous: pl.DataFrame | None) -> pl.DataFrame:
    """The columns of contract.clusters.StoreClusterMember: every store of `features` is in one cluster.

    A store that was in one of these very clusters stays there, whatever its features are by now.
    """
    features = features.sort("store_id")
    if features.is_empty() or clusters.is_empty():
        return empty(StoreClusterMember)
    scale, fitted_at = json.loads(clusters["scale"][0]), clusters["fitted_at"][0]
    centroids = np.array([list(json.loads(each).values()) or [0.0] for each in clusters["centroid"]])
    distance = np.sqrt(squared(standardised(features, scale), centroids))
    known = {} if previous is None else dict(previous.filter(fitted_at=fitted_at).select("store_id", "cluster_id").iter_rows())
    is_first = not known
    names = dict(clusters.select("cluster_id", "cluster_name").iter_rows())
    was_new = set() if previous is None else set(previous.filter("is_assigned")["store_id"])
    rows = []
    for place, store in enumerate(features["store_id"]):
        cluster = known.get(store, int(distance[place].argmin()) + 1)
        is_assigned = not is_first and (store not in known or store in was_new)
        rows.append((store, cluster, names[cluster], float(distance[place, cluster - 1]), is_assigned, fitted_at))
    return pl.DataFrame(rows, schema=schema(StoreClusterMember), orient="row")


def diagnostic_frame(features: pl.DataFrame, rules: SegmentRules, *, chosen: int) -> pl.DataFrame:
    """The columns of contract.clusters.ClusterDiagnostic, a row a number of clusters from 2 to 8 that the stores allow."""
    features = features.sort("store_id")
    points = standardised(features, scale_of(features))
    rows = []
    for k in (k for k in TRIED if k <= len(points)):
        labels, _, inertia = kmeans(points, k, starts=rules.starts, seed=rules.seed)
        rows.append((k, inertia, silhouette(points, labels), int(np.bincount(labels, minlength=k).min()), k == chosen))
    return pl.DataFrame(rows, schema=schema(ClusterDiagnostic), orient="row")
