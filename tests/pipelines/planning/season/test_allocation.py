"""Which store gets how much."""

import random

import pytest

from pipelines.planning.season.allocation import Allotment, allocate


def test_the_worked_example_is_met() -> None:
    made = allocate(5280, [30, 20, 10, 5], least=[100] * 4, most=[2000, 3000, 900, 900], pack=6)

    assert made == Allotment([1998, 1908, 900, 474], 0, False)


def test_three_equal_stores_share_ten() -> None:
    assert allocate(10, [1, 1, 1]).units == [4, 3, 3]


def test_a_supply_below_the_minima_is_shared_and_said() -> None:
    assert allocate(10, [9, 1, 1], least=[10, 10, 10]) == Allotment([4, 3, 3], 0, True)
    assert allocate(13, [9, 1], least=[12, 12], pack=6) == Allotment([6, 6], 1, True)


def test_a_minimum_beyond_the_whole_supply_is_not_met_and_that_is_said() -> None:
    assert allocate(0, [0], least=[19]) == Allotment([0], 0, True)
    assert allocate(5, [7], least=[19], pack=2) == Allotment([4], 1, True)
    assert allocate(11, [1, 1], least=[100, 10]) == Allotment([10, 1], 0, True), "each is cut in proportion"
    assert allocate(19, [0], least=[19]) == Allotment([19], 0, False)


def test_what_no_store_can_take_is_left() -> None:
    assert allocate(100, [5, 1], most=[10, 20]) == Allotment([10, 20], 70, False)
    assert allocate(13, [1, 1], pack=6) == Allotment([6, 6], 1, False)


def test_a_store_without_need_gets_its_least_before_and_the_rest_after_the_others() -> None:
    assert allocate(10, [5, 0], least=[0, 2]) == Allotment([8, 2], 0, False)
    assert allocate(10, [5, 0], most=[4, 9]) == Allotment([4, 6], 0, False)
    assert allocate(10, [0, 0, 0]) == Allotment([4, 3, 3], 0, False)


def test_nobody_gets_nothing_of_nothing() -> None:
    assert allocate(0, [3, 2]) == Allotment([0, 0], 0, False)
    assert allocate(7, []) == Allotment([], 7, False)


def test_ten_thousand_allocations_keep_every_unit_and_every_bound() -> None:
    chance = random.Random(7)
    for _ in range(10_000):
        count, pack = chance.randint(1, 12), chance.choice([1, 1, 2, 6, 12])
        needs = [chance.choice([0, chance.randint(0, 50), chance.randint(0, 5000)]) for _ in range(count)]
        least = [chance.choice([0, chance.randint(0, 40)]) for _ in range(count)]
        most = chance.choice([None, [max(low + pack, chance.randint(0, 400)) for low in least]])
        supply = chance.choice([chance.randint(0, 60), chance.randint(0, 3000)])
        low = [-(-each // pack) for each in least]
        high = [supply // pack] * count if most is None else [each // pack for each in most]

        made = allocate(supply, needs, least=least, most=most, pack=pack)

        assert sum(made.units) + made.unallocated == supply
        assert all(each % pack == 0 for each in made.units)
        packs = [each // pack for each in made.units]
        assert made.is_relaxed == (sum(low) > supply // pack)
        if made.is_relaxed:
            assert all(a <= b for a, b in zip(packs, low, strict=True))
            continue
        assert all(a <= b <= c for a, b, c in zip(low, packs, high, strict=True))
        assert made.unallocated < pack or packs == high


def test_stores_between_their_bounds_are_as_near_to_their_need_as_packs_allow() -> None:
    """The slow way: the level at which min(max(level x need, least), most) uses the supply up, by bisection."""
    chance = random.Random(11)
    for _ in range(500):
        count = chance.randint(2, 9)
        needs = [chance.randint(1, 60) for _ in range(count)]
        least, most = [chance.randint(0, 30) for _ in range(count)], [chance.randint(30, 200) for _ in range(count)]
        supply = chance.randint(sum(least), sum(most))

        made = allocate(supply, needs, least=least, most=most)

        low, high = 0.0, 1e6
        for _ in range(200):
            level = (low + high) / 2
            exact = [min(max(level * need, a), b) for need, a, b in zip(needs, least, most, strict=True)]
            low, high = (level, high) if sum(exact) < supply else (low, level)
        assert made.units == pytest.approx(exact, abs=1.0001)
