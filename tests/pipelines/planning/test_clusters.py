"""Clusters of stores: every store is in one, whatever the order and the units; new ones move no other."""

import json
import math
import random
from datetime import datetime

import msgspec
import numpy as np
import polars as pl
import pytest

from assets_config.segments import SegmentRules, segment_rules
from pipelines.planning.clusters.features import feature_frame, scale_of, standardised
from pipelines.planning.clusters.kmeans import kmeans, silhouette, squared
from pipelines.planning.clusters.tiers import cluster_frame, diagnostic_frame, joined, member_frame

AT = datetime(2024, 7, 1)
RULES = segment_rules()


def stores(sizes: tuple[int, ...] = (8, 10, 12), seed: int = 1) -> pl.DataFrame:
    """Features of stores in clear groups; the last group earns most."""
    draw = np.random.default_rng(seed)
    rows = []
    for group, count in enumerate(sizes):
        for _ in range(count):
            level = 1 + 4 * group
            rows.append((len(rows) + 1, *(level * 1000 + draw.normal(0, 80, 2)), level * 10 + draw.normal(0, 1)))
    return pl.DataFrame(rows, schema=["store_id", "revenue", "weekly units", "income"], orient="row")


def groups(members: pl.DataFrame) -> set[frozenset[int]]:
    return {frozenset(each["store_id"]) for each in members.partition_by("cluster_id")}


def clustered(features: pl.DataFrame, rules: SegmentRules = RULES) -> tuple[pl.DataFrame, pl.DataFrame]:
    clusters = cluster_frame(features, rules, at=AT)
    return clusters, member_frame(features, clusters, None)


def test_the_tier_that_earns_most_comes_first() -> None:
    clusters, members = clustered(stores())

    assert clusters.select("cluster_id", "cluster_name", "store_count").rows() == [
        (1, "premium", 12),
        (2, "mainstream", 10),
        (3, "value", 8),
    ]
    assert clusters["fashion_tier"].to_list() == ["PREMIUM", "MAINSTREAM", "VALUE"]
    assert groups(members) == {frozenset(range(1, 9)), frozenset(range(9, 19)), frozenset(range(19, 31))}
    assert not members["is_assigned"].any()


@pytest.mark.parametrize("seed", range(5))
def test_neither_order_nor_units_move_a_store(seed: int) -> None:
    features = stores(seed=seed)
    before = member_frame(features, cluster_frame(features, RULES, at=AT), None)

    shuffled = clustered(features.sample(fraction=1, shuffle=True, seed=seed))[1]
    in_cents = clustered(features.with_columns(pl.col("income") * 100 + 7, pl.col("weekly units") / 12))[1]

    assert shuffled.equals(before)
    assert groups(in_cents) == groups(before)


def test_every_store_is_in_exactly_one_cluster_of_three_or_more() -> None:
    draw = random.Random(2)
    for _ in range(30):
        sizes = tuple(draw.randint(1, 9) for _ in range(draw.randint(1, 5)))
        features = stores(sizes, draw.randint(0, 99))

        clusters, members = clustered(features)

        assert sorted(members["store_id"]) == sorted(features["store_id"])
        assert clusters["store_count"].sum() == features.height
        assert clusters["store_count"].min() >= min(3, features.height)
        assert dict(members.group_by("cluster_id").len().iter_rows()) == dict(
            clusters.select("cluster_id", "store_count").iter_rows()
        )


def test_a_new_store_has_the_nearest_cluster_and_moves_no_other() -> None:
    features = stores()
    clusters, members = clustered(features)
    moved = features.with_columns(pl.when(pl.col("store_id") == 1).then(9000.0).otherwise("weekly units").alias("weekly units"))
    new = pl.DataFrame([(99, 5200.0, 5100.0, 48.0)], schema=features.schema, orient="row")

    later = member_frame(pl.concat([moved, new]), clusters, members)
    again = member_frame(pl.concat([moved, new]), clusters, later)

    rows = {row["store_id"]: row for row in later.iter_rows(named=True)}
    scale = json.loads(clusters["scale"][0])
    point = [(value - scale[name][0]) / scale[name][1] for name, value in (("weekly units", 5100), ("income", 48))]
    distance = {
        row["cluster_id"]: math.dist(point, list(json.loads(row["centroid"]).values())) for row in clusters.iter_rows(named=True)
    }
    assert rows[99]["cluster_id"] == min(distance, key=distance.__getitem__) == 2
    assert rows[99]["distance"] == pytest.approx(distance[2])
    assert rows[99]["is_assigned"]
    assert later.filter(pl.col("store_id") != 99)["cluster_id"].to_list() == members["cluster_id"].to_list()
    assert again.equals(later), "a store that was assigned stays so"


def test_clusters_made_anew_take_every_store_in() -> None:
    features = stores()
    _, members = clustered(features)

    clusters = cluster_frame(features, RULES, at=datetime(2024, 8, 1), clusters=2)
    anew = member_frame(features, clusters, members)

    assert clusters["cluster_name"].to_list() == ["premium", "value"]
    assert anew["cluster_id"].n_unique() == 2
    assert not anew["is_assigned"].any()


def test_what_is_not_known_of_a_store_says_nothing() -> None:
    features = stores().with_columns(
        pl.lit(None, pl.Float64).alias("tier"),
        pl.lit(3.3).alias("log size"),
        pl.when(pl.col("store_id") != 4).then("income").alias("income"),
    )

    scale = scale_of(features)

    assert list(scale) == ["weekly units", "income"]
    assert standardised(features, scale)[3, 1] == 0


def test_features_are_what_a_store_is_and_sells() -> None:
    weekly = pl.DataFrame(
        [(1, "a", 10.0, 30.0), (1, "b", 5.0, 10.0), (2, "a", 1.0, 8.0), (3, "a", 1.0, 1.0)],
        schema=["store_id", "category", "units", "revenue"],
        orient="row",
    )
    told = pl.DataFrame(
        [(1, 1000, 50_000, "A"), (2, None, None, "C"), (3, 2000, 40_000, "B"), (4, 10, 1, "A")],
        schema=["store_id", "size_sqft", "median_income", "location_tier"],
        orient="row",
    )

    found = feature_frame(told, weekly)

    columns = ["log size", "income", "tier", "weekly units", "revenue a square foot", "share of a", "share of b"]
    assert found.columns == ["store_id", "revenue", *columns]
    assert found.select(columns).rows() == [
        (math.log(1000), 50_000, -1, 15, 0.04, 0.75, 0.25),
        (None, None, -3, 1, None, 1, 0),
        (math.log(2000), 40_000, -2, 1, 0.0005, 1, 0),
    ]


@pytest.mark.parametrize("earned", [0.0, -4.0])
def test_a_store_without_revenue_has_no_mix_and_is_in_a_cluster_all_the_same(earned: float) -> None:
    told = pl.DataFrame({"store_id": [*range(1, 9)]}).with_columns(size_sqft=1000, median_income=50_000, location_tier=pl.lit("A"))
    rows = [(k, name, k + 1.0, k + (9.0 if (name == "a") == (k < 5) else 1.0)) for k in range(1, 8) for name in ("a", "b")]
    schema = ["store_id", "category", "units", "revenue"]
    sold = pl.DataFrame(rows, schema=schema, orient="row")
    none = pl.DataFrame([(8, "a", 0.0, earned), (8, "b", 0.0, 0.0)], schema=schema, orient="row")
    clusters, members = clustered(feature_frame(told, sold))

    features = feature_frame(told, pl.concat([sold, none]))
    anew, all_members = clustered(features)

    assert features.select("share of a", "share of b").rows()[7] == (None, None)
    assert features.head(7).equals(feature_frame(told, sold))
    assert math.isfinite(member_frame(features, clusters, members)["distance"][7])
    assert {"share of a", "share of b"} <= set(json.loads(anew["scale"][0]))
    assert all_members["distance"].is_finite().all()
    assert feature_frame(told, none)["revenue"].to_list() == [earned], "nor where no store has any"


@pytest.mark.parametrize("seed", range(4))
def test_points_are_nearest_to_the_mean_of_their_own(seed: int) -> None:
    draw = np.random.default_rng(seed)
    points = draw.normal(size=(60, 3))

    labels, centroids, inertia = kmeans(points, 4, starts=10, seed=7)

    slow = 0.0
    for point, label in zip(points.tolist(), labels.tolist(), strict=True):
        distance = [math.dist(point, centroid) for centroid in centroids.tolist()]
        assert distance[label] == min(distance)
        slow += min(distance) ** 2
    assert inertia == pytest.approx(slow)
    for label in range(4):
        assert centroids[label] == pytest.approx(points[labels == label].mean(axis=0))


def test_silhouette_is_that_of_a_loop() -> None:
    draw = np.random.default_rng(3)
    points = np.concatenate([draw.normal(0, 1, (7, 2)), draw.normal(4, 1, (5, 2)), [[20.0, 20.0]]])
    labels = np.array([0] * 7 + [1] * 5 + [2])

    scores = []
    for i, point in enumerate(points):
        means = {
            label: [math.dist(point, other) for j, other in enumerate(points) if labels[j] == label and j != i]
            for label in range(3)
        }
        own = means.pop(int(labels[i]))
        if not own:
            scores.append(0.0)
            continue
        a, b = sum(own) / len(own), min(sum(each) / len(each) for each in means.values())
        scores.append((b - a) / max(a, b))

    assert silhouette(points, labels) == pytest.approx(sum(scores) / len(scores))
    assert silhouette(points, np.zeros(13, int)) is None


def test_equal_points_make_one_cluster() -> None:
    labels, centroids, inertia = kmeans(np.ones((5, 2)), 3, starts=2, seed=1)

    assert (labels.tolist(), len(centroids), inertia) == ([0] * 5, 1, 0)


def test_a_small_cluster_is_joined_to_the_nearest() -> None:
    points = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2], [8.0]])
    labels, centroids, _ = kmeans(points, 3, starts=10, seed=1)

    found, left = joined(points, labels, centroids, 3)

    assert len(centroids) == 3
    assert len(left) == 2
    assert len(set(found[3:])) == 1
    assert squared(points, left).argmin(axis=1).tolist() == found.tolist()


def test_diagnostics_fall_with_every_cluster_more() -> None:
    found = diagnostic_frame(stores(), RULES, chosen=3)

    assert found["k"].to_list() == [*range(2, 9)]
    assert found["inertia"].to_list() == sorted(found["inertia"].to_list(), reverse=True)
    assert found.filter("is_chosen")["k"].to_list() == [3]
    assert found.sort("silhouette")["k"][-1] == 3
    assert diagnostic_frame(stores((1, 1)), RULES, chosen=1)["k"].to_list() == [2]


def test_without_stores_there_are_no_clusters() -> None:
    none = stores().clear()

    assert cluster_frame(none, RULES, at=AT).is_empty()
    assert member_frame(none, cluster_frame(stores(), RULES, at=AT), None).is_empty()


def test_cuts_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match=r"abc: the first cut, 0.9, must lie below the second, 0.5"):
        msgspec.structs.replace(RULES, abc=(0.9, 0.5))
