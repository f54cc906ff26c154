"""A season week by week."""

import random

import pytest

from pipelines.planning.season.replenishment import walk


def test_stores_are_filled_for_the_week_to_come() -> None:
    first, second, third = walk([10, 10], 20, [[10, 5]] * 3, [[10, 5]] * 3, strategy="weekly")

    assert (first.shipped, first.sold, first.kept) == ([0, 0], [10, 5], 20)
    assert (second.opening, second.needed, second.shipped, second.kept) == ([0, 5], [10, 0], [10, 0], 10)
    assert (third.opening, third.needed, third.shipped, third.lost, third.kept) == ([0, 0], [10, 5], [7, 3], [3, 2], 0)


def test_a_short_centre_sends_fair_shares() -> None:
    weeks = walk([0, 0], 9, [[10, 5]] * 2, [[10, 5]] * 2, strategy="weekly")

    assert weeks[0].lost == [10, 5]
    assert (weeks[1].shipped, weeks[1].kept, weeks[1].lost) == ([6, 3], 0, [4, 2])


def test_without_replenishment_nothing_is_shipped() -> None:
    weeks = walk([5, 5], 100, [[10, 5]] * 4, [[10, 5]] * 4, strategy="none")

    assert all(each.shipped == [0, 0] and each.kept == 100 for each in weeks)


def test_every_other_week_covers_two() -> None:
    weeks = walk([10], 100, [[5]] * 6, [[5]] * 6, strategy="bi-weekly")

    assert [each.shipped for each in weeks] == [[0], [0], [10], [0], [10], [0]]


@pytest.mark.parametrize("strategy", ["none", "weekly", "bi-weekly"])
def test_no_unit_appears_or_is_lost(strategy: str) -> None:
    chance = random.Random(3)
    for _ in range(300):
        stores, length = chance.randint(1, 6), chance.randint(1, 8)
        stock = [chance.randint(0, 40) for _ in range(stores)]
        kept, pack = chance.randint(0, 100), chance.choice([1, 6])
        expected, wanted = ([[chance.randint(0, 20) for _ in range(stores)] for _ in range(length)] for _ in range(2))

        weeks = walk(stock, kept, expected, wanted, strategy=strategy, pack=pack)

        before, have = kept, list(stock)
        for week, asked in zip(weeks, wanted, strict=True):
            assert week.opening == have
            assert before - week.kept == sum(week.shipped)
            assert week.kept >= 0
            assert all(each % pack == 0 for each in week.shipped)
            assert [a + b for a, b in zip(week.sold, week.lost, strict=True)] == asked
            have = [a + b - c for a, b, c in zip(have, week.shipped, week.sold, strict=True)]
            assert min(have) >= 0
            before = week.kept
        assert sum(stock) + kept == sum(have) + before + sum(sum(each.sold) for each in weeks)
