"""k-means on a few hundred points, and how well they fall apart. Arrays only."""

import numpy as np


def kmeans(points: np.ndarray, k: int, *, starts: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The best of several starts, those of k-means++: labels [N], centroids [k, F], and the sum of squared distances to them."""
    draw = np.random.default_rng(seed)
    found = [settled(points, _spread(points, k, draw)) for _ in range(starts)]
    inertia = [float(np.square(points - centroids[labels]).sum()) for labels, centroids in found]
    best = int(np.argmin(inertia))
    return *found[best], inertia[best]


def settled(points: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and centroids once every point has the label of its nearest centroid, and every centroid is the mean of its points.

    A centroid that loses all its points is gone: there are fewer clusters then.
    """
    labels = np.full(len(points), -1)
    while True:
        _, found = np.unique(squared(points, centroids).argmin(axis=1), return_inverse=True)
        if (found == labels).all():
            return labels, centroids
        labels = found
        centroids = means(points, labels, int(labels.max()) + 1)


def squared(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """[N, k] squared distances."""
    return np.square(points[:, None, :] - centroids[None, :, :]).sum(axis=2)


def means(points: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """[k, F] the mean of each label's points; every label must have some."""
    sums = np.zeros((k, points.shape[1]))
    np.add.at(sums, labels, points)
    return sums / np.bincount(labels, minlength=k)[:, None]


def silhouette(points: np.ndarray, labels: np.ndarray) -> float | None:
    """Mean of (b - a) / max(a, b): distance to the own cluster's other points, and to those of the next one. None with one cluster.

    A point that is alone in its cluster counts 0; where all are, it says nothing.
    """
    k = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=k)
    if k < 2 or k == len(points):
        return None
    distance = np.sqrt(squared(points, points))
    to = np.stack([distance[:, labels == label].sum(axis=1) for label in range(k)], axis=1)
    places = np.arange(len(points))
    own = to[places, labels] / np.maximum(sizes[labels] - 1, 1)
    to = to / sizes
    to[places, labels] = np.inf
    other = to.min(axis=1)
    most = np.maximum(own, other)
    score = np.divide(other - own, most, out=np.zeros(len(points)), where=most > 0)
    return float(np.where(sizes[labels] > 1, score, 0).mean())


def _spread(points: np.ndarray, k: int, draw: np.random.Generator) -> np.ndarray:
    """k of the points, each drawn with a chance that grows with the squared distance to those before it."""
    chosen = [int(draw.integers(len(points)))]
    while len(chosen) < k:
        nearest = squared(points, points[chosen]).min(axis=1)
        total = nearest.sum()
        share = nearest / total if total > 0 else None
        chosen.append(int(draw.choice(len(points), p=share)))
    return points[chosen].copy()
