"""A line, a week, a year and holidays, by least squares, on the sums of stores and departments; shared down to series.

The additive model of Prophet (Taylor and Letham 2018) without changepoints and priors.
"""

import numpy as np

from pipelines.features.panel import Panel
from pipelines.models.aggregates import first_steps, shared_forecast
from pipelines.models.arrays import to_bytes

SUFFIX = ".npy"
YEAR = 365.25
TWO_YEARS = 728  # in whole weeks


def fit(panel: Panel, *, horizon: int, year_order: int = 4, max_groups: int = 100, max_days: int = 730) -> bytes:
    """The forecast of every series. The year has `year_order` waves where two years are known and within `max_days`, else none."""

    def ahead(y: np.ndarray) -> np.ndarray:
        terms = _terms(panel, len(y), horizon, year_order)
        found, *_ = np.linalg.lstsq(terms[: len(y)], y)
        return terms[len(y) :] @ found

    return to_bytes(shared_forecast(panel, ahead, horizon=horizon, max_groups=max_groups, max_days=max_days))


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:  # noqa: ARG001
    """The forecast of the fit, its first `horizon` days."""
    return first_steps(artifact, horizon)


def _terms(panel: Panel, days: int, horizon: int, year_order: int) -> np.ndarray:
    """The regressors of the panel's last `days` days and of `horizon` days more. [days + horizon, K]"""
    day = np.arange(-days, horizon)
    date = panel.first_day.toordinal() + panel.days + day
    periods = [7 / order for order in (1, 2, 3)]
    periods += [YEAR / order for order in range(1, year_order + 1) if days >= TWO_YEARS]
    waves = 2 * np.pi * date[:, None] / np.array(periods)
    holiday = np.zeros(len(day))
    known = panel.holiday[panel.days - days : panel.days + horizon]  # ends before the last step of a long horizon
    holiday[: len(known)] = known
    return np.column_stack([np.ones(len(day)), day / days, np.sin(waves), np.cos(waves), holiday])
