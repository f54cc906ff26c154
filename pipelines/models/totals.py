"""What two plain views expect of the totals of stores and departments, to which the sums of a pooled model are drawn.

Trees repeat the level that they have seen, and know the same month of few years. One view is a regression: what a store sells in
a department is smooth enough for one on the calendar (models.expected). The other is last year's season: what all stores together
sold a year ago on the days ahead, over what they sold just before, on top of the last weeks. They err apart, so that both together
are better than either (`benchmarks/m5.py`).
"""

import numpy as np

from pipelines.features.panel import GROUPS, Panel
from pipelines.models.expected import LAST_YEAR, LATELY, expected, ratio

REGRESSION, SEASON = 0.7, 0.3  # how much each view counts


def drawn(panel: Panel, yhat: np.ndarray, weight: float) -> np.ndarray:
    """Forecasts with each day's total of each store and department moved towards what is expected of it. [S, H] -> [S, H]

    Every series of a total is scaled alike: its share keeps its proportion. `weight` is taken on the log scale, from 0, nothing,
    to 1, all the way to the mean of the views; a view that has nothing to say of a total leaves it where it is.
    """
    names = [GROUPS.index("store"), GROUPS.index("department")]
    _, first, group = np.unique(panel.groups[:, names], axis=0, return_index=True, return_inverse=True)
    own, past = np.zeros((len(first), yhat.shape[1])), np.zeros((len(first), panel.days))
    for s in range(panel.series):
        own[group[s]] += yhat[s]
        past[group[s]] += np.nan_to_num(panel.y[s])
    stores = panel.groups[first, names[0]].tolist()
    regression = np.stack([expected(panel, store, total, yhat.shape[1]) for store, total in zip(stores, past, strict=True)])
    season = ratio(_season(past, yhat.shape[1]), own.sum(axis=1))[:, None]
    factor = ratio(regression, own) ** REGRESSION * season**SEASON
    return (yhat * (factor**weight)[group]).astype(yhat.dtype)


def _season(past: np.ndarray, horizon: int) -> np.ndarray:
    """The total of the days ahead, if each is as its weekday lately, moved as all totals together were a year ago. [G, T] -> [G]"""
    end = past.shape[1] - LAST_YEAR
    if end < LATELY or horizon > LAST_YEAR:
        return np.full(len(past), np.nan)
    before, after = _usual(past[:, :end], horizon).sum(), past[:, end : end + horizon].sum()
    growth = after / before if before > 0 and after > 0 else np.nan
    return _usual(past, horizon) * growth


def _usual(past: np.ndarray, horizon: int) -> np.ndarray:
    """The total of `horizon` days, if each is as its weekday was in the last LATELY days. [G, T] -> [G]"""
    week = past[:, -LATELY:].reshape(len(past), -1, 7).mean(axis=1)
    return np.asarray(week @ np.bincount(np.arange(horizon) % 7, minlength=7))
