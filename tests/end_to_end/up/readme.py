"""What the README and `demandgraph up` tell people to type."""

import shlex
from math import isclose
from pathlib import Path

from tests.end_to_end.running import Running

README = Path(__file__).parents[3] / "README.md"


def curls(up: Running) -> list[list[str]]:
    """The curl lines that were printed, as words."""
    return [shlex.split(line) for line in up.said.splitlines() if line.startswith("curl ")]


def contains(whole: object, part: object, *, exact: bool) -> bool:
    """Whether a JSON value has all that another shows of it; where not `exact`, numbers with a fraction to a hundredth of them."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and contains(whole[key], value, exact=exact) for key, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(whole) == len(part) and all(contains(*pair, exact=exact) for pair in zip(whole, part, strict=True))
    if isinstance(whole, float) and isinstance(part, int | float) and not exact:
        return isclose(whole, part, rel_tol=1e-2)
    return whole == part
