"""One gradient-boosted model over all series: direct for every step up to the horizon, tweedie loss.

A training row is a day of a series, seen from an origin that lies a random number of steps before it; statistics are as of the
origin, so that one model serves every step with the newest days that it may know. `origins: horizon` is the plain way instead:
every row is seen from a whole horizon before. Rows are drawn and fed to a QuantileDMatrix in blocks of series: the whole
feature matrix is never held.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
import numpy as np

from assets_config.features import FeatureSet
from pipelines.features.blocks import Blocks
from pipelines.features.panel import CLOSED, OPEN, Panel

log = logging.getLogger(__name__)

SUFFIX = ".ubj"
SAY_EVERY = 10  # seconds
BLOCK = 64  # series a block
FEWEST_DAYS = 28
ROWS_A_THREAD = 250_000
"""Rows that are worth a thread more: with fewer, threads wait for each other. Their number changes no byte of the result."""
NOTHING = 1e-6  # where nothing was sold: the tweedie loss starts from the log of the mean


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
    origins: Literal["random", "horizon"] = "random",
    min_child_weight: float = 20,
    subsample: float = 0.8,
    colsample_bynode: float = 0.8,
    tweedie_variance_power: float = 1.1,
    max_bin: int = 255,
    seed: int = 42,
    nthread: int = 0,
) -> bytes:
    """Train on about `max_rows` days drawn from the last `history` days; the booster as ubj, which knows its features.

    Days on which a series was not on sale, or out of stock, are not learned from.

    Raises ValueError, when the panel is too short for one row: horizon + 28 days; or when it has no day to learn from.
    """
    params = {
        "objective": "reg:tweedie",
        "tweedie_variance_power": tweedie_variance_power,
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_leaves": max_leaves,
        "max_depth": 0,
        "max_bin": max_bin,
        "eta": eta,
        "min_child_weight": min_child_weight,
        "subsample": subsample,
        "colsample_bynode": colsample_bynode,
        "seed": seed,
        "nthread": nthread,
    }
    return train(
        panel,
        params,
        horizon=horizon,
        features=features,
        rounds=rounds,
        max_rows=max_rows,
        history=history,
        origins=origins,
    )


def train(
    panel: Panel,
    params: dict[str, Any],
    *,
    horizon: int,
    features: FeatureSet,
    rounds: int,
    max_rows: int,
    history: int,
    origins: str = "random",
) -> bytes:
    """A booster with the parameters of xgboost, `seed`, `nthread` and `max_bin` among them; rows and errors as fit."""
    import xgboost

    first = max(panel.days - history, horizon + FEWEST_DAYS)
    if first >= panel.days:
        raise ValueError(f"xgboost needs more than {first} days for a horizon of {horizon}, the panel has {panel.days}")
    if not any(_usable(panel, series, slice(first, None)).any() for series in series_blocks(panel.series)):
        raise ValueError(f"xgboost finds no day to learn from: nothing was on sale on the last {panel.days - first} days")
    days = np.arange(first, panel.days)
    blocks = Blocks(panel, features)
    drawn = min(len(days), max(1, round(max_rows / panel.series)))

    class Rows(xgboost.DataIter):
        def __init__(self) -> None:
            self._blocks: Iterator[np.ndarray] = iter(())
            super().__init__()

        def reset(self) -> None:
            self._blocks = iter(series_blocks(panel.series))

        def next(self, input_data: Callable) -> bool:
            for series in self._blocks:
                draw = np.random.default_rng([params["seed"], series[0]])
                targets = np.sort(draw.choice(days, drawn, replace=False))
                steps = draw.integers(1 if origins == "random" else horizon, horizon + 1, drawn)
                y = panel.y[series][:, targets].reshape(-1)
                usable = _usable(panel, series, targets).reshape(-1)
                if usable.any():
                    rows = blocks.features(series, targets, steps)[usable]
                    input_data(data=rows, label=y[usable], feature_names=blocks.names)
                    return True
            return False

    class Progress(xgboost.callback.TrainingCallback):
        def __init__(self) -> None:
            self._began = self._said = time.monotonic()

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - what xgboost calls
            now, done = time.monotonic(), epoch + 1
            if now - self._said > SAY_EVERY:
                self._said = now
                log.info("round %s of %s, %.0f s left", done, rounds, (now - self._began) / done * (rounds - done))
            return False

    nthread = params["nthread"] or min(os.cpu_count() or 1, 1 + drawn * panel.series // ROWS_A_THREAD)
    params = {**params, "nthread": nthread}
    matrix = xgboost.QuantileDMatrix(Rows(), max_bin=params["max_bin"], nthread=nthread)
    if not matrix.get_label().any():
        params = {**params, "base_score": NOTHING}
    log.info("learning from %s days of %s series", matrix.num_row(), panel.series)
    booster = xgboost.train(params, matrix, num_boost_round=rounds, callbacks=[Progress()])
    booster.set_attr(feature_set=msgspec.json.encode(features).decode(), origins=origins)
    return bytes(booster.save_raw("ubj"))


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:
    """Demand for the `horizon` days after the panel's last, never negative."""
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(artifact))  # blocks are too small to share
    blocks = Blocks(panel, msgspec.json.decode(booster.attr("feature_set") or "", type=FeatureSet))
    days, steps = np.arange(panel.days, panel.days + horizon), np.arange(1, horizon + 1)
    if booster.attr("origins") == "horizon":
        steps = np.full(horizon, horizon)
    pieces = [
        booster.inplace_predict(blocks.features(series, days, steps), validate_features=False)
        for series in series_blocks(panel.series)
    ]
    return np.maximum(np.concatenate(pieces).reshape(panel.series, horizon), 0)


def _usable(panel: Panel, series: np.ndarray, days: np.ndarray | slice) -> np.ndarray:
    """Which days can be learned from. [series, days] bool"""
    return ~np.isnan(panel.y[series][:, days]) & np.isin(panel.state[series][:, days], (OPEN, CLOSED))


def series_blocks(series: int) -> list[np.ndarray]:
    """The numbers of all series in blocks of BLOCK."""
    return [np.arange(start, min(start + BLOCK, series)) for start in range(0, series, BLOCK)]
