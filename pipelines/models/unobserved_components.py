"""A level and a week that both drift, of statsmodels, on the sums of stores and departments; shared down to series.

A fit takes a part of a second, so sums and days are capped.
"""

import numpy as np

from pipelines.features.panel import Panel
from pipelines.models.aggregates import first_steps, shared_forecast
from pipelines.models.arrays import to_bytes

SUFFIX = ".npy"


def fit(panel: Panel, *, horizon: int, max_iterations: int = 50, max_groups: int = 70, max_days: int = 400) -> bytes:
    """The forecast of every series: local level plus weekday effects."""

    from statsmodels.tsa.statespace.structural import UnobservedComponents

    def ahead(y: np.ndarray) -> np.ndarray:
        model = UnobservedComponents(y, "local level", seasonal=7)
        return np.asarray(model.fit(disp=False, maxiter=max_iterations).forecast(horizon))

    return to_bytes(shared_forecast(panel, ahead, horizon=horizon, max_groups=max_groups, max_days=max_days))


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:  # noqa: ARG001
    """The forecast of the fit, its first `horizon` days."""
    return first_steps(artifact, horizon)
