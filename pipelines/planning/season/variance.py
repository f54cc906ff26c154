"""How far sales are from the plan, and what that makes of the weeks that remain."""

from collections.abc import Sequence
from fractions import Fraction

from pipelines.planning.season.quantities import apportion

THRESHOLD = Fraction(1, 5)


def variance(planned: int, actual: int) -> float | None:
    """(actual - planned) / planned, of units up to a week: positive where more was sold. None where nothing was planned."""
    return (actual - planned) / planned if planned else None


def is_exceeded(planned: int, actual: int) -> bool:
    """Whether sales are more than a fifth off the plan, up or down; a fifth exactly is not. Any sale where none was planned is.

    >>> is_exceeded(100, 120), is_exceeded(100, 121), is_exceeded(0, 1)
    (False, True, True)
    """
    return abs(actual - planned) > THRESHOLD * planned


def ratio(planned: int, actual: int, prior: int = 0) -> float:
    """What the weeks that remain are multiplied by, drawn towards 1 by a prior of so many units; 1 where nothing is known.

    >>> ratio(100, 60), ratio(100, 60, prior=100)
    (0.6, 0.8)
    """
    return (actual + prior) / (planned + prior) if planned + prior else 1.0


def reforecast(planned: Sequence[int], actual: Sequence[int], retrained: Sequence[float] | None = None) -> tuple[list[int], float]:
    """The weeks of a season after some of them were sold, and the ratio that the others were multiplied by.

    The first weeks are what was sold. The prior is an average week of the plan, so that one odd week does not turn the season.
    Where `retrained` says what models expect of the weeks that remain, it counts as much as the part of the season that is over.
    """
    known = len(actual)
    prior = round(sum(planned) / len(planned))
    factor = ratio(sum(planned[:known]), sum(actual), prior)
    ahead = [each * factor for each in planned[known:]]
    if retrained is not None:
        share = known / len(planned)
        ahead = [(1 - share) * plain + share * learned for plain, learned in zip(ahead, retrained, strict=True)]
    return [*actual, *apportion(round(sum(ahead)), ahead)], factor
