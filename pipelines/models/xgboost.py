"""One gradient-boosted model over all series: direct for every step up to the horizon, tweedie loss.

A training row is a day of a series, seen from an origin that lies a random number of steps before it; statistics are as of the
origin, so that one model serves every step with the newest days that it may know. `origins: horizon` is the plain way instead:
every row is seen from a whole horizon before. Rows are drawn and fed to a QuantileDMatrix in blocks of series: the whole
feature matrix is never held.
"""

import json
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
from pipelines.models.totals import drawn

log = logging.getLogger(__name__)

SUFFIX = ".ubj"
SAY_EVERY = 10  # seconds
BLOCK = 64  # series a block
FED_AT_ONCE = 250_000
"""Rows that xgboost is given at a time: it makes its quantiles of each piece and merges them, which many small ones make dear."""
UNKNOWN = -1e9
"""What stands for NaN in the features: below every value, so that a split can tell it. A matrix without gaps is held in one byte
a value and not in four, and learned from in less time (benchmarks/training.py)."""
FEWEST_DAYS = 28
ROWS_A_THREAD = 250_000
"""Rows that are worth a thread more: with fewer, threads wait for each other. Their number changes no byte of the result."""
NOTHING = 1e-6  # where nothing was sold: the tweedie loss starts from the log of the mean
NO_CHANGE = 1e-9  # a change of the log below this moves a forecast by as much: the mean of both ends is either


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
    totals: float = 0.0,
    min_child_weight: float = 20,
    subsample: float = 0.8,
    colsample_bynode: float = 0.8,
    tweedie_variance_power: float = 1.1,
    max_bin: int = 255,
    seed: int = 42,
    nthread: int = 0,
) -> bytes:
    """Train on about `max_rows` days drawn from the last `history` days; the booster as ubj, which knows its features.

    `totals`, from 0 to 1, is how far the totals of stores and departments are drawn to what is expected of them (models.totals).
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
        totals=totals,
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
    totals: float = 0.0,
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
            rows, labels, fed = [], [], 0
            for series in self._blocks:
                draw = np.random.default_rng([params["seed"], series[0]])
                targets = np.sort(draw.choice(days, drawn, replace=False))
                steps = draw.integers(1 if origins == "random" else horizon, horizon + 1, drawn)
                usable = _usable(panel, series, targets).reshape(-1)
                rows.append(_rows(blocks, series, targets, steps)[usable])
                labels.append(panel.y[series][:, targets].reshape(-1)[usable])
                fed += len(rows[-1])
                if fed >= FED_AT_ONCE:
                    break
            if fed:
                input_data(data=np.concatenate(rows), label=np.concatenate(labels), feature_names=blocks.names)
            return fed > 0

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
    booster.set_attr(feature_set=msgspec.json.encode(features).decode(), origins=origins, totals=str(totals))
    return bytes(booster.save_raw("ubj"))


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:
    """Demand for the `horizon` days after the panel's last, never negative."""
    booster, blocks = _loaded(artifact, panel)
    days, steps = _ahead(booster, panel, horizon)
    pieces = [
        booster.inplace_predict(_rows(blocks, series, days, steps), validate_features=False)
        for series in series_blocks(panel.series)
    ]
    yhat = np.maximum(np.concatenate(pieces).reshape(panel.series, horizon), 0)
    weight = float(booster.attr("totals") or 0)
    return drawn(panel, yhat, weight) if weight else yhat


def contributions(artifact: bytes, panel: Panel, series: np.ndarray, *, horizon: int) -> dict[str, np.ndarray]:
    """What each group of features adds to the forecasts of some series, by field of the feature set. float64 [len(series), horizon]

    `expected` is what the trees forecast before they look at a feature; with it the groups add up to the forecast, before it is
    cut at zero and drawn to totals. A feature is given what the expected value changes by at the splits on it, on the way of the
    row through each tree (Saabas 2014). That depends on the order of splits, which Shapley values do not; but those cost hundreds
    of times as much on trees as deep as these. `benchmarks/explanations.py` sets both beside each other.
    Under tweedie loss the trees add up to the log of the forecast: c_g, x their sum without `expected`. Each group is given
    c_g (yhat - yhat e^-x) / x, its share of the change by the logarithmic mean (Ang 2004), which leaves no remainder.
    """
    import xgboost

    booster, blocks = _loaded(artifact, panel)
    days, steps = _ahead(booster, panel, horizon)
    groups = [each.group for each in blocks.set.features(panel.outside_names.tolist())]
    names = list(dict.fromkeys(groups))
    member = np.array([[group == name for name in names] for group in groups], dtype=np.float64)
    pieces = []
    for block in series_blocks(len(series)):
        rows = xgboost.DMatrix(_rows(blocks, series[block], days, steps), nthread=1)
        found = booster.predict(rows, pred_contribs=True, approx_contribs=True, validate_features=False).astype(np.float64)
        pieces.append(np.column_stack([found[:, :-1] @ member, found[:, -1]]))
    found = np.concatenate(pieces) if pieces else np.empty((0, len(names) + 1))
    if json.loads(booster.save_config())["learner"]["objective"]["name"] == "reg:tweedie":
        found = additive(found)
    return {name: found[:, n].reshape(len(series), horizon) for n, name in enumerate([*names, "expected"])}


def additive(logs: np.ndarray) -> np.ndarray:
    """Contributions to the log of a forecast, the last column the log to start from, as units that add up to it. [n, K] -> [n, K]

    >>> additive(np.log([[2.0, 2.0, 3.0]])).round(3).tolist()
    [[4.5, 4.5, 3.0]]
    """
    total = logs[:, :-1].sum(axis=1)
    start = np.exp(logs[:, -1])
    is_change = np.abs(total) > NO_CHANGE
    slope = np.where(is_change, np.expm1(total) / np.where(is_change, total, 1), 1)
    return np.column_stack([logs[:, :-1] * (start * slope)[:, None], start])


def gains(artifact: bytes) -> dict[str, float]:
    """What the splits on each feature took off the loss, as shares that add up to 1, the largest first; none without a split."""
    import xgboost

    found: Any = xgboost.Booster({"nthread": 1}, model_file=bytearray(artifact)).get_score(importance_type="total_gain")
    total = sum(found.values())
    return {name: gain / total for name, gain in sorted(found.items(), key=lambda each: (-each[1], each[0]))}


def _loaded(artifact: bytes, panel: Panel) -> tuple[Any, Blocks]:
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(artifact))  # blocks are too small to share
    return booster, Blocks(panel, msgspec.json.decode(booster.attr("feature_set") or "", type=FeatureSet))


def _ahead(booster: Any, panel: Panel, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The days to forecast, and the steps from their origins. [horizon], [horizon]"""
    steps = np.full(horizon, horizon) if booster.attr("origins") == "horizon" else np.arange(1, horizon + 1)
    return np.arange(panel.days, panel.days + horizon), steps


def _rows(blocks: Blocks, series: np.ndarray, days: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The features of blocks, without gaps."""
    rows = blocks.features(series, days, steps)
    np.copyto(rows, UNKNOWN, where=np.isnan(rows))
    return rows


def _usable(panel: Panel, series: np.ndarray, days: np.ndarray | slice) -> np.ndarray:
    """Which days can be learned from. [series, days] bool"""
    return ~np.isnan(panel.y[series][:, days]) & np.isin(panel.state[series][:, days], (OPEN, CLOSED))


def series_blocks(series: int) -> list[np.ndarray]:
    """The numbers of all series in blocks of BLOCK."""
    return [np.arange(start, min(start + BLOCK, series)) for start in range(0, series, BLOCK)]
