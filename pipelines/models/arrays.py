"""One numpy array as bytes and back: the artifact of the simple models."""

from io import BytesIO

import numpy as np


def to_bytes(array: np.ndarray) -> bytes:
    content = BytesIO()
    np.save(content, array.astype(np.float32), allow_pickle=False)
    return content.getvalue()


def from_bytes(artifact: bytes) -> np.ndarray:
    array: np.ndarray = np.load(BytesIO(artifact), allow_pickle=False)
    return array
