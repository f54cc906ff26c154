"""ABC and XYZ: classes by what is earned and how evenly, against a loop."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.features.classes import abc_codes, class_frame
from pipelines.features.panel import CLOSED, NOT_LAUNCHED, OPEN
from tests.pipelines.panels import panel_of, rich_panel

CUTS = (0.8, 0.95)
REVENUES = st.lists(st.integers(0, 10_000), min_size=1, max_size=30)


def slow_classes(revenue: list[int]) -> list[str]:
    found = {}
    total, before = sum(revenue), 0
    for place, earned in sorted(enumerate(revenue), key=lambda each: (-each[1], each[0])):
        share = before / total if total else 1
        found[place] = "C" if not earned else "A" if share < 0.8 else "B" if share < 0.95 else "C"
        before += earned
    return [found[place] for place in range(len(revenue))]


@given(REVENUES)
def test_classes_go_by_the_share_of_those_before(revenue: list[int]) -> None:
    codes = abc_codes(np.array(revenue, dtype=float), CUTS)

    found = ["ABC"[code] for code in codes]
    assert found == slow_classes(revenue)
    if max(revenue):
        assert found[int(np.argmax(revenue))] == "A", "the first item is always A"
    pairs = list(zip(revenue, found, strict=True))
    assert all(one <= other for earned, one in pairs for less, other in pairs if earned > less)


@given(REVENUES)
def test_an_item_that_earned_nothing_moves_no_other(revenue: list[int]) -> None:
    codes = abc_codes(np.array(revenue, dtype=float), CUTS)

    assert abc_codes(np.array([*revenue, 0], dtype=float), CUTS)[:-1].tolist() == codes.tolist()


def test_series_are_classed_by_product_and_by_their_own_weeks() -> None:
    steady, odd, rare = np.full(70, 9.0), np.tile([3.0] * 7 + [9.0] * 7, 5), np.tile([70.0] + [0.0] * 69, 1)
    panel = panel_of(np.stack([steady, odd, rare]))

    found = class_frame(panel, abc=CUTS, xyz=(0.5, 1.0), weeks=52)

    assert found["revenue"].to_list() == [1260, 840, 140]
    assert found["abc"].to_list() == ["A", "A", "B"]  # 0, .5625 and .9375 of 2240 lie before
    assert found["weekly_cv"].to_list() == pytest.approx([0, 0.5, 3])
    assert found["xyz"].to_list() == ["X", "Y", "Z"]


def test_a_day_on_which_the_store_is_always_closed_voids_no_week() -> None:
    """Closed on Sundays, but for two; the second week has a holiday, the last five are a winter break."""
    y, state = np.tile([2.0] * 6 + [0.0], (2, 20)), np.zeros((2, 140), dtype=np.int8)
    state[:, 6::7] = CLOSED
    y[:, [27, 34]], state[:, [27, 34]] = 4, OPEN
    y[:, 8], state[:, 8] = 0, CLOSED
    y[:, -35:], state[:, -35:] = 0, CLOSED
    y[1, :84], state[1, :84] = np.nan, NOT_LAUNCHED  # leaves three weeks

    found = class_frame(panel_of(y, state=state), abc=CUTS, xyz=(0.5, 1.0), weeks=20)

    weeks = [12.0] * 12 + [16.0] * 2  # the fifteen before the break, but for that of the holiday
    assert found["weekly_cv"].to_list() == [pytest.approx(statistics.pstdev(weeks) / statistics.mean(weeks)), None]
    assert found["xyz"].to_list() == ["X", None]


def test_weeks_that_were_not_on_sale_say_nothing() -> None:
    panel = rich_panel(days=140)

    found = class_frame(panel, abc=CUTS, xyz=(0.5, 1.0), weeks=10)

    for s, cv in enumerate(found["weekly_cv"]):
        weeks = []
        for start in range(70, 140, 7):
            days = panel.y[s, start : start + 7]
            if (panel.state[s, start : start + 7] == 0).all() and not np.isnan(days).any():
                weeks.append(float(days.sum()))
        known = len(weeks) >= 8 and sum(weeks) > 0
        assert (cv is not None) == known
        assert not known or cv == pytest.approx(statistics.pstdev(weeks) / statistics.mean(weeks))
        assert (found["xyz"][s] is None) == (cv is None)
