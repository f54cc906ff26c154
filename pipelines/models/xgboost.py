"""One gradient-boosted model over all series: direct for every step up to the horizon, tweedie loss.

Rows are fed to a QuantileDMatrix in blocks of series, so that the whole feature matrix is never held.
"""

from collections.abc import Callable, Iterator

import numpy as np

from pipelines.features.blocks import LOOKBACK, NAMES, features
from pipelines.features.panel import Panel

SUFFIX = ".ubj"
BLOCK = 256  # series a block


def fit(
    panel: Panel,
    *,
    horizon: int,
    rounds: int = 150,
    max_leaves: int = 64,
    eta: float = 0.08,
    max_rows: int = 400_000,
    seed: int = 42,
    nthread: int = 0,
) -> bytes:
    """Train on at most `max_rows` target days, the newest days of every series first; the booster as ubj.

    Raises ValueError, when the panel is too short for one row: horizon + 28 days.
    """
    import xgboost

    first = max(panel.days - _days_for(panel, max_rows), min(horizon + 28, horizon + LOOKBACK))
    if first >= panel.days:
        raise ValueError(f"xgboost needs more than {first} days for a horizon of {horizon}, the panel has {panel.days}")
    days = np.arange(first, panel.days)

    class Blocks(xgboost.DataIter):
        def __init__(self) -> None:
            self._blocks: Iterator[np.ndarray] = iter(())
            self.reset()
            super().__init__()

        def reset(self) -> None:
            self._blocks = iter(_blocks(panel.series))

        def next(self, input_data: Callable) -> bool:
            series = next(self._blocks, None)
            if series is None:
                return False
            y = panel.y[series][:, days].reshape(-1)
            sold = ~np.isnan(y)
            input_data(data=features(panel, series, days, horizon=horizon)[sold], label=y[sold], feature_names=list(NAMES))
            return True

    matrix = xgboost.QuantileDMatrix(Blocks(), max_bin=256, nthread=nthread)
    params = {
        "objective": "reg:tweedie",
        "tweedie_variance_power": 1.1,
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_leaves": max_leaves,
        "max_depth": 0,
        "max_bin": 256,
        "eta": eta,
        "min_child_weight": 20,
        "subsample": 0.8,
        "colsample_bynode": 0.8,
        "seed": seed,
        "nthread": nthread,
    }
    booster = xgboost.train(params, matrix, num_boost_round=rounds)
    return bytes(booster.save_raw("ubj"))


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:
    """Demand for the `horizon` days after the panel's last, never negative."""
    import xgboost

    booster = xgboost.Booster(model_file=bytearray(artifact))
    days = np.arange(panel.days, panel.days + horizon)
    pieces = [
        booster.inplace_predict(features(panel, series, days, horizon=horizon), validate_features=False)
        for series in _blocks(panel.series)
    ]
    return np.maximum(np.concatenate(pieces).reshape(panel.series, horizon), 0)


def _days_for(panel: Panel, max_rows: int) -> int:
    return max(28, max_rows // max(panel.series, 1))


def _blocks(series: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + BLOCK, series)) for start in range(0, series, BLOCK)]
