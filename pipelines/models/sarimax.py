"""Seasonal ARIMA with a week, of statsmodels, on the sums of stores and departments; shared down to series.

A fit takes a second or two, so sums and days are capped.
"""

import numpy as np

from pipelines.features.panel import Panel
from pipelines.models.aggregates import first_steps, shared_forecast
from pipelines.models.arrays import to_bytes

SUFFIX = ".npy"


def fit(
    panel: Panel,
    *,
    horizon: int,
    p: int = 1,
    d: int = 0,
    q: int = 1,
    weekly_p: int = 0,
    weekly_d: int = 1,
    weekly_q: int = 1,
    max_iterations: int = 50,
    max_groups: int = 20,
    max_days: int = 400,
) -> bytes:
    """The forecast of every series, from the order (p, d, q) and the weekly order."""

    from statsmodels.tsa.statespace.sarimax import SARIMAX

    def ahead(y: np.ndarray) -> np.ndarray:
        weekly = (weekly_p, weekly_d, weekly_q, 7)
        model = SARIMAX(y, order=(p, d, q), seasonal_order=weekly, enforce_stationarity=False, concentrate_scale=True)
        return np.asarray(model.fit(disp=False, maxiter=max_iterations).forecast(horizon))

    return to_bytes(shared_forecast(panel, ahead, horizon=horizon, max_groups=max_groups, max_days=max_days))


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:  # noqa: ARG001
    """The forecast of the fit, its first `horizon` days."""
    return first_steps(artifact, horizon)
