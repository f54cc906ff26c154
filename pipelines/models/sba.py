"""Croston's method without its bias (Syntetos and Boylan 2005). Equal to CrostonSBA of statsforecast at alpha 0.1."""

from pipelines.features.panel import Panel
from pipelines.models.arrays import repeated, to_bytes
from pipelines.models.croston import rate

SUFFIX = ".npy"
predict = repeated


def fit(panel: Panel, *, horizon: int, alpha: float = 0.1) -> bytes:  # noqa: ARG001 - one signature for all
    """Croston's units a day times 1 - alpha / 2."""
    return to_bytes((1 - alpha / 2) * rate(panel, alpha))
