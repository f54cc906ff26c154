"""What a sum of many series is expected to be, by a regression of its log on the calendar, from its own days alone."""

import numpy as np

from pipelines.features.panel import Panel
from pipelines.models.calendar_terms import WEEK_TERMS, terms

LAST_YEAR, LATELY = 364, 28  # days, whole weeks
FEWEST = 728  # days: two years, in whole weeks; a year that was seen once is not told from growth
LONGEST = 1825
HALF = 730  # days after which a day counts half
RIDGE = 1.0  # days' worth of doubt about each term but the level and the week
CLOSED = 0.3  # of the median: days below say nothing about the others
LEVEL_DAYS, WEEK_DAYS = 14, 112  # age at which a day counts 1/e in what the level, and the week, have become
WEEK_SHARE = 0.5  # of the way from the week of all years to that of late
ECHO = 0.15  # of a day's surprise that comes back on the same weekday of the next year
FARTHEST = 2.0  # times that anything is moved at most


def expected(panel: Panel, store: int, total: np.ndarray, horizon: int) -> np.ndarray:
    """A sum of series of one store on the days ahead; NaN where too little of it is known. [T] -> [H]

    The regression says how days differ. What it missed says the rest: lately, the level; for some months, the week; on the same
    days a year ago, what no term stands for.
    """
    total = total[max(int(np.argmax(total > 0)), len(total) - LONGEST) :]
    days = len(total)
    is_open = total > CLOSED * np.median(total)
    if days < FEWEST or not is_open[-LATELY:].any():
        return np.full(horizon, np.nan)
    fitted = _fitted(terms(panel, store, days, horizon), total, is_open)
    past, ahead = fitted[:days], fitted[days:]
    age = np.arange(days, 0, -1)
    lately, months = (is_open * np.exp(-age / length) for length in (LEVEL_DAYS, WEEK_DAYS))
    level = (total @ lately) / (past @ lately)
    weekday = np.eye(7)[np.arange(days + horizon) % 7]
    was, thought = ((each * months) @ weekday[:days] for each in (total, past))
    week = weekday[days:] @ ratio(was / was.sum(), thought / thought.sum())
    return ahead * level * week**WEEK_SHARE * np.exp(ECHO * _surprise(total, past, is_open, horizon))


def ratio(expected: np.ndarray, own: np.ndarray) -> np.ndarray:
    """How many times its own a sum is expected to be; 1 where one of both is nothing, or not known.

    >>> ratio(np.array([3.0, 9.0, np.nan, 1.0]), np.array([2.0, 1.0, 1.0, 0.0])).tolist()
    [1.5, 2.0, 1.0, 1.0]
    """
    both = (own > 0) & (expected > 0)
    return np.clip(np.where(both, expected, 1) / np.where(both, own, 1), 1 / FARTHEST, FARTHEST)


def _fitted(terms: np.ndarray, total: np.ndarray, is_open: np.ndarray) -> np.ndarray:
    """The regression on the days of a sum and on those ahead, above zero. [T + H, K], [T] -> [T + H]"""
    past = terms[: len(total)]
    varies = np.ptp(past, axis=0) > 0
    varies[0] = True
    past, terms = past[:, varies], terms[:, varies]
    weight = is_open * 0.5 ** (np.arange(len(total), 0, -1) / HALF)
    doubt = np.full(varies.shape, RIDGE)
    doubt[0], doubt[WEEK_TERMS] = 1e-6, RIDGE / 10
    weighted = past * weight[:, None]
    found = np.linalg.solve(weighted.T @ past + np.diag(doubt[varies]), weighted.T @ np.log1p(total))
    return np.maximum(np.expm1(terms @ found), np.finfo(np.float32).tiny)


def _surprise(total: np.ndarray, past: np.ndarray, is_open: np.ndarray, horizon: int) -> np.ndarray:
    """By how much, as logs, the days a year before those ahead were missed, beside the weeks before them. [T] -> [H]"""
    start = len(total) - LAST_YEAR
    if horizon > LAST_YEAR:
        return np.zeros(horizon)
    missed = np.log(ratio(total, past)) * is_open
    return missed[start : start + horizon] - missed[start - LATELY : start].mean()
