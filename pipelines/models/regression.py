"""The pooled model with squared errors: the mean of demand, pulled by large sales more than under tweedie loss."""

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
    rounds: int = 150,
    max_leaves: int = 64,
    eta: float = 0.08,
    max_rows: int = 400_000,
    history: int = 730,
    min_child_weight: float = 20,
    max_bin: int = 255,
    seed: int = 42,
    nthread: int = 0,
) -> bytes:
    """As xgboost.fit, with its rows, artifact and errors."""
    params = {
        "objective": "reg:squarederror",
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_leaves": max_leaves,
        "max_depth": 0,
        "max_bin": max_bin,
        "eta": eta,
        "min_child_weight": min_child_weight,
        "seed": seed,
        "nthread": nthread,
    }
    return xgboost.train(panel, params, horizon=horizon, features=features, rounds=rounds, max_rows=max_rows, history=history)
