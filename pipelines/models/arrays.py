"""One numpy array as bytes and back: the artifact of the simple models."""

from io import BytesIO

import numpy as np

from pipelines.features.panel import Panel


def to_bytes(array: np.ndarray) -> bytes:
    """An array as the artifact of a model: .npy, float32."""
    content = BytesIO()
    np.save(content, array.astype(np.float32), allow_pickle=False)
    return content.getvalue()


def from_bytes(artifact: bytes) -> np.ndarray:
    """The array of an artifact, of the shape that it was written with."""
    array: np.ndarray = np.load(BytesIO(artifact), allow_pickle=False)
    return array


def repeated(artifact: bytes, panel: Panel, *, horizon: int) -> np.ndarray:  # noqa: ARG001 - the signature of every predict
    """The forecast of models that know one value a series: the same for every step. float32 [S, horizon]"""
    return np.repeat(from_bytes(artifact)[:, None], horizon, axis=1)
