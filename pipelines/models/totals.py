"""Last year's season for the totals of stores and departments, to which the sums of a pooled model are drawn.

Trees repeat the level that they have seen. What all stores together sold a year ago on the days ahead, over what they sold just
before, says how the level moves with the season; it is the steadier the more is summed.
"""

import numpy as np

from pipelines.features.panel import GROUPS, Panel

YEAR, RECENT = 364, 28  # days, whole weeks


def drawn(panel: Panel, yhat: np.ndarray, weight: float) -> np.ndarray:
    """Forecasts with the total of each store and department moved towards that of its season, by `weight` of the way. [S, H]

    Every series of a sum is scaled alike: its share and its days keep their proportions. `weight` is taken on the log scale, from
    0, nothing, to 1, all the way. A sum that is nothing, or that has sold nothing lately, stays as it is.
    """
    _, group = np.unique(panel.groups[:, [GROUPS.index("store"), GROUPS.index("department")]], axis=0, return_inverse=True)
    own = np.bincount(group, yhat.sum(axis=1, dtype=np.float64))
    expected = np.bincount(group, _usual(panel, panel.days, yhat.shape[1])) * growth(panel, yhat.shape[1])
    both = (own > 0) & (expected > 0)
    factor = np.where(both, (expected / np.where(both, own, 1)) ** weight, 1)
    return yhat * factor[group].astype(np.float32)[:, None]


def growth(panel: Panel, horizon: int) -> float:
    """How the total of all series moved a year ago from the 28 days before to the days ahead; 1 where that is not known."""
    end = panel.days - YEAR
    if end < RECENT or horizon > YEAR:
        return 1.0
    before = _usual(panel, end, horizon).sum()
    after = np.nansum(panel.y[:, end : end + horizon], dtype=np.float64)
    return float(after / before) if before > 0 and after > 0 else 1.0


def _usual(panel: Panel, end: int, horizon: int) -> np.ndarray:
    """The total of `horizon` days from day `end` on, if each is as its weekday was in the 28 days before. [S]"""
    recent = np.nan_to_num(panel.y[:, max(end - RECENT, 0) : end].astype(np.float64))
    recent = np.pad(recent, ((0, 0), (RECENT - recent.shape[1], 0)))
    week = recent.reshape(len(recent), -1, 7).mean(axis=1)
    return np.asarray(week @ np.bincount(np.arange(horizon) % 7, minlength=7))
