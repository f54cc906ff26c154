"""What numpy lets go of the interpreter's lock for, however little it is: the same of few values, holding it (docs/adr/0027)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
FEW = 64
"""Places, up to which a step each in Python takes less than what letting go of the lock costs; past some hundred values numpy
lets go of it all the same."""


def taken(array: Array, places: Sequence[int]) -> Array:
    """The values at these places of the last axis but one, as `take` gives them: [..., places, last]"""
    if len(places) > FEW:
        return array.take(places, axis=-2)
    return np.concatenate([array[..., place : place + 1, :] for place in places], axis=-2)
