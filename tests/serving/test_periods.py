"""Periods: cut at the range, whole within it."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.periods import period_bounds

LABELS = {
    "day": lambda day: day,
    "week": lambda day: day.isocalendar()[:2],
    "month": lambda day: (day.year, day.month),
    "quarter": lambda day: (day.year, (day.month - 1) // 3),
}


@pytest.mark.parametrize("granularity", LABELS)
@given(start=st.dates(date(1990, 1, 1), date(2040, 1, 1)), length=st.integers(0, 800))
def test_each_period_holds_the_days_of_one_label(granularity: str, start: date, length: int) -> None:
    label, end = LABELS[granularity], start + timedelta(days=length)

    bounds = period_bounds(start, end, granularity)

    assert (bounds[0], bounds[-1]) == (start, end + timedelta(days=1))
    labels = [[label(first + timedelta(days=n)) for n in range((after - first).days)] for first, after in pairwise(bounds)]
    assert all(each and len(set(each)) == 1 for each in labels)
    assert all(earlier[0] != later[0] for earlier, later in pairwise(labels))
