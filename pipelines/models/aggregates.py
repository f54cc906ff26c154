"""Models that are worth their time on sums only: fitted on each store and department, shared down to its series.

Their artifact is the forecast itself, float32 [S, horizon]: a fitted model of statsmodels is kept as a pickle, which is never read.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np

from pipelines.features.panel import Panel, departments
from pipelines.models.arrays import from_bytes

SHARE_DAYS = 28
FEWEST = 28  # days that a fit needs
GROWTH = 2  # no day ahead is above this many times the largest day seen: a bad fit cannot explode


def shared_forecast(
    panel: Panel, ahead: Callable[[np.ndarray], np.ndarray], *, horizon: int, max_groups: int, max_days: int
) -> np.ndarray:
    """What `ahead` forecasts of the sums of stores and departments, shared down to their series. float32 [S, horizon]

    Takes    ahead(y) -> float64 [horizon]: the days after the panel's last, from a sum's days up to it. They begin with its first
             sale, are the last `max_days` at most, and the largest is 1.
    Gives    every series its share of the last 28 days' sales, an equal one where nothing was sold; together they are the
             forecast of the sum. A sum that is constant, has under 28 days or cannot be fitted repeats the mean of its last 28.
             There are `max_groups` sums at most: the smallest are fitted as one.
    """
    y = np.nan_to_num(panel.y[:, -max(max_days, SHARE_DAYS) :]).astype(np.float64)
    forecast = np.empty((panel.series, horizon), dtype=np.float32)
    for members in _groups(panel, y.sum(axis=1), max_groups):
        days = y[members]
        total = days.sum(axis=0)[-max_days:]
        total = total[np.argmax(total > 0) :]
        largest = max(float(total.max()), np.finfo(np.float32).tiny)
        steps = np.clip(_ahead(ahead, total / largest, horizon), 0, GROWTH) * largest
        forecast[members] = split(steps, days[:, -SHARE_DAYS:].sum(axis=1))
    return forecast


def split(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Share each total by weight, equally where all weights are zero; the parts add up to it to the bit. [H], [S] -> float32 [S, H]

    Every part is a whole number of the smallest steps that a float32 of the total's size can take.

    >>> split(np.array([10.0]), np.array([1.0, 1.0, 2.0]))[:, 0].tolist()
    [2.5, 2.5, 5.0]
    """
    total = total.astype(np.float32)
    step = np.spacing(total).astype(np.float64)
    upto = np.cumsum(weight if weight.any() else np.ones(len(weight)))
    bounds = np.rint((upto / upto[-1])[:, None] * (total / step))
    return (np.diff(bounds, axis=0, prepend=0) * step).astype(np.float32)


def first_steps(artifact: bytes, horizon: int) -> np.ndarray:
    """The first `horizon` days of the forecast that an artifact is.

    Raises ValueError, when it was fitted for fewer.
    """
    forecast = from_bytes(artifact)
    if horizon > forecast.shape[1]:
        raise ValueError(f"the model was fitted for {forecast.shape[1]} days ahead, not for {horizon}: fit it again")
    return forecast[:, :horizon]


def _groups(panel: Panel, sales: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """The series of each store and department, those that sold most first; the last takes all that are left."""
    group = departments(panel)
    place = np.argsort(np.argsort(-np.bincount(group, sales), kind="stable"))
    place = np.minimum(place[group], most - 1)
    for n in range(int(place.max(initial=-1)) + 1):
        yield np.flatnonzero(place == n)


def _ahead(ahead: Callable[[np.ndarray], np.ndarray], y: np.ndarray, horizon: int) -> np.ndarray:
    mean = np.full(horizon, y[-SHARE_DAYS:].mean())
    if len(y) < FEWEST or y.min() == y.max():
        return mean
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an optimiser that stops early says so; what it found is bounded and backtested
        try:
            steps = ahead(y)
        except np.linalg.LinAlgError:
            return mean
    return steps if np.isfinite(steps).all() else mean
