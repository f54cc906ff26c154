"""Croston's method without its bias (Syntetos and Boylan 2005). Equal to CrostonSBA of statsforecast at alpha 0.1."""

import numpy as np

from pipelines.features.panel import Panel
from pipelines.models.arrays import from_bytes, to_bytes
from pipelines.models.croston import rate

SUFFIX = ".npy"


def fit(panel: Panel, *, horizon: int, alpha: float = 0.1) -> bytes:  # noqa: ARG001 - one signature for all
    """Croston's units a day times 1 - alpha / 2."""
    return to_bytes((1 - alpha / 2) * rate(panel, alpha))


def predict(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:  # noqa: ARG001
    """The same value for every step."""
    return np.repeat(from_bytes(artifact)[:, None], horizon, axis=1)
