"""What two plain views expect of the totals of stores and departments, to which the sums of a pooled model are drawn.

Trees repeat the level that they have seen, and know the same month of few years. One view is last year's season: what all stores
together sold a year ago on the days ahead, over what they sold just before, on top of the last weeks. The other is a regression:
what a store sells in a department is smooth enough for a line through its log, with a week, a year, a month of paydays, events
and the series from outside. They err apart, so that the mean of both is better than either (`benchmarks/m5.py`).
"""

import numpy as np

from pipelines.features.panel import GROUPS, Panel

LAST_YEAR, LATELY = 364, 28  # days, whole weeks
YEAR, MONTH = 365.25, 30.4375  # days
YEAR_WAVES, MONTH_WAVES = 3, 2
FEWEST = 728  # days: two years, in whole weeks; a year that was seen once is not told from growth
LONGEST = 1825
HALF = 730  # days after which a day counts half
RECENT = 14  # days whose total the level meets
RIDGE = 3.0  # days' worth of doubt about each term but the level and the week
CLOSED = 0.3  # of the median: days below say nothing about the others
FARTHEST = 2.0  # times that a total is moved at most, whatever is expected


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
    expected = np.stack([_regression(panel, store, total, yhat.shape[1]) for store, total in zip(stores, past, strict=True)])
    factor = np.sqrt(_ratio(expected, own) * _ratio(_season(past, yhat.shape[1]), own.sum(axis=1))[:, None])
    return (yhat * (factor**weight)[group]).astype(yhat.dtype)


def _ratio(expected: np.ndarray, own: np.ndarray) -> np.ndarray:
    """How many times its own a total is expected to be; 1 where one of both is nothing, or not known."""
    both = (own > 0) & (expected > 0)
    return np.clip(np.where(both, expected, 1) / np.where(both, own, 1), 1 / FARTHEST, FARTHEST)


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


def _regression(panel: Panel, store: int, total: np.ndarray, horizon: int) -> np.ndarray:
    """What a total is expected to be on the days ahead; NaN where too little of it is known. [T] -> [H]"""
    total = total[max(int(np.argmax(total > 0)), len(total) - LONGEST) :]
    open_ = total > CLOSED * np.median(total)
    if len(total) < FEWEST or not open_[-RECENT:].any():
        return np.full(horizon, np.nan)
    terms = _terms(panel, store, len(total), horizon)
    past, y = terms[: len(total)], np.log1p(total)
    weight = open_ * 0.5 ** (np.arange(len(total), 0, -1) / HALF)
    doubt = np.full(terms.shape[1], RIDGE)
    doubt[0], doubt[1:7] = 1e-6, RIDGE / 10
    found = np.linalg.solve(past.T @ (past * weight[:, None]) + np.diag(doubt), past.T @ (weight * y))
    fitted = np.expm1(past[-RECENT:] @ found)[open_[-RECENT:]].sum()
    return np.expm1(terms[len(total) :] @ found) * (total[-RECENT:][open_[-RECENT:]].sum() / fitted)


def _terms(panel: Panel, store: int, days: int, horizon: int) -> np.ndarray:
    """Regressors of a store's last `days` days and of `horizon` days more; a line that may bend a year ago. [days + H, K]"""
    day = np.arange(panel.days - days, panel.days + horizon)
    date = panel.first_day.toordinal() + day
    waves = [YEAR / n for n in range(1, YEAR_WAVES + 1)] + [MONTH / n for n in range(1, MONTH_WAVES + 1)]
    angle = 2 * np.pi * date[:, None] / np.array(waves)
    known = np.minimum(day, len(panel.event) - 1)
    on, before = (panel.event[np.minimum(known + shift, len(panel.event) - 1)] for shift in (0, 1))
    events = np.arange(1, len(panel.event_names) + 1)
    outside = np.nan_to_num(panel.outside[:, store][:, known].T)
    line = (day - panel.days) / YEAR
    return np.column_stack(
        [
            np.ones(len(day)),
            *(date % 7 == weekday for weekday in range(1, 7)),
            np.sin(angle),
            np.cos(angle),
            on[:, None] == events,
            before[:, None] == events,
            outside,
            line,
            np.maximum(line, -1),
        ]
    ).astype(np.float64)
