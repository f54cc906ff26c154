"""How ways of searching are merged: by rank, so that scores of different kinds need no common scale.

Serving answers with it, and the evaluation of the pipeline measures with it. Reciprocal rank fusion of Cormack and others, 2009.
"""

from collections.abc import Mapping, Sequence

DEPTH = 50
"""Chunks that each way of searching brings to the merge."""
CONSTANT = 60
"""How little the first places count more than those that follow."""

LISTED = """
a an and are as at be been but by can could did do does done for from get give had has have he her here him his how i if in into
is it its just let like may me more most my no not of off on only or our out over own she should so some such than that the their
them then there these they this those to too up us very want was we were what when where which while who whom whose why will
with would you your
"""
FILLERS = frozenset(LISTED.split())
"""Words that a question is full of and that tell nothing of what it asks."""


def merged(legs: Sequence[Mapping[int, int]]) -> list[tuple[int, float]]:
    """Positions with their score, best first; equal ones by position. Each leg gives the rank, from 1, of what it found.

    >>> [position for position, _ in merged([{7: 1, 8: 2}, {8: 1}])]
    [8, 7]
    """
    scores: dict[int, float] = {}
    for leg in legs:
        for position, rank in leg.items():
            scores[position] = scores.get(position, 0.0) + 1 / (CONSTANT + rank)
    return sorted(scores.items(), key=lambda each: (-each[1], each[0]))
