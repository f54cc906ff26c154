"""Many deep trees beside each other, each of a part of the rows and features, averaged: a random forest over all series.

Breiman 2001, in the random-forest mode of xgboost: one round of `trees` trees with a step of one.
"""

from assets_config.features import FeatureSet
from pipelines.features.panel import Panel
from pipelines.models import xgboost

SUFFIX = xgboost.SUFFIX
predict = xgboost.predict
contributions = xgboost.contributions
gains = xgboost.gains


def fit(
    panel: Panel,
    *,
    horizon: int,
    features: FeatureSet,
    trees: int = 100,
    max_depth: int = 12,
    max_rows: int = 400_000,
    history: int = 730,
    min_child_weight: float = 20,
    subsample: float = 0.63,
    colsample_bynode: float = 0.6,
    max_bin: int = 255,
    seed: int = 42,
    nthread: int = 0,
) -> bytes:
    """As xgboost.fit, with its rows, artifact and errors. `subsample` .63 is the share of rows that a bootstrap draws."""
    params = {
        "objective": "reg:squarederror",
        "tree_method": "hist",
        "num_parallel_tree": trees,
        "eta": 1,
        "max_depth": max_depth,
        "max_bin": max_bin,
        "min_child_weight": min_child_weight,
        "subsample": subsample,
        "colsample_bynode": colsample_bynode,
        "seed": seed,
        "nthread": nthread,
    }
    return xgboost.train(panel, params, horizon=horizon, features=features, rounds=1, max_rows=max_rows, history=history)
