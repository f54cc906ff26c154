"""The days that a message speaks of, counted from a Tuesday: the last day of sales."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.agents.dates import days_of, left_out

FIRST, LAST = date(2023, 9, 3), date(2024, 12, 31)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("on 2024-02-29", "2024-02-29", "2024-02-29"),
        ("2024-03", "2024-03-01", "2024-03-31"),
        ("3 March", "2024-03-03", "2024-03-03"),
        ("March 3rd, 2024", "2024-03-03", "2024-03-03"),
        ("in February", "2024-02-01", "2024-02-29"),
        ("in may", "2024-05-01", "2024-05-31"),
        ("Q1", "2024-01-01", "2024-03-31"),
        ("Q3 2023", "2023-07-01", "2023-09-30"),
        ("in 2024", "2024-01-01", "2024-12-31"),
        ("from 3 March to 5 April", "2024-03-03", "2024-04-05"),
        ("between October and November", "2024-10-01", "2024-11-30"),
        ("2024-10-01 - 2024-10-07", "2024-10-01", "2024-10-07"),
        ("from December to October", "2024-10-01", "2024-12-31"),
        ("since 1 November", "2024-11-01", "2024-12-31"),
        ("until 2023-10-01", "2023-09-03", "2023-10-01"),
        ("before 2023-10-01", "2023-09-03", "2023-09-30"),
        ("before 0001-01-01", "0001-01-01", "0001-01-01"),
        ("today", "2024-12-31", "2024-12-31"),
        ("yesterday", "2024-12-30", "2024-12-30"),
        ("the day before yesterday", "2024-12-29", "2024-12-29"),
        ("last 7 days", "2024-12-25", "2024-12-31"),
        ("past two weeks", "2024-12-18", "2024-12-31"),
        ("last 3 months", "2024-10-01", "2024-12-31"),
        ("last week", "2024-12-23", "2024-12-29"),
        ("last month", "2024-12-01", "2024-12-31"),
        ("last year", "2024-01-01", "2024-12-31"),
        ("this week", "2024-12-30", "2024-12-31"),
        ("this month", "2024-12-01", "2024-12-31"),
        ("year to date", "2024-01-01", "2024-12-31"),
        ("mtd", "2024-12-01", "2024-12-31"),
        ("next 10 days", "2025-01-01", "2025-01-10"),
        ("tomorrow", "2025-01-01", "2025-01-01"),
        ("next week", "2025-01-06", "2025-01-12"),
        ("next month", "2025-01-01", "2025-01-31"),
    ],
)
def test_days_are_read_from_the_last_day_of_sales(text: str, start: str, end: str) -> None:
    found = days_of(f"units of it {text}?", first=FIRST, last=LAST)

    assert found is not None
    assert (str(found.start), str(found.end)) == (start, end)
    assert found.text in text


def test_a_week_or_month_that_is_under_way_is_not_the_last_one() -> None:
    week = days_of("last week", first=FIRST, last=date(2024, 12, 28))
    month = days_of("last month", first=FIRST, last=date(2024, 12, 30))

    assert week is not None
    assert month is not None
    assert (week.start, week.end) == (date(2024, 12, 16), date(2024, 12, 22))
    assert (month.start, month.end) == (date(2024, 11, 1), date(2024, 11, 30))


@pytest.mark.parametrize(("text", "start"), [("in January", "2025-01-01"), ("in December", "2025-12-01"), ("Q1", "2025-01-01")])
def test_a_month_of_a_forecast_is_the_next_that_is_not_over(text: str, start: str) -> None:
    found = days_of(text, first=FIRST, last=LAST, ahead=True)

    assert found is not None
    assert str(found.start) == start


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("in March vs April, and in May", [("April", True), ("May", True)]),
        ("from 3 March to 5 April", []),
        ("on 30 February and 3 March", [("30 February", False)]),
        ("the day before yesterday", []),
        ("today and the last 3 weeks", [("today", True)]),
        ("this year to date", []),
        ("2024-13-45", [("2024-13-45", False)]),
        ("may I see sales since 1 November?", []),
    ],
)
def test_other_days_that_are_told_are_left_out_by_name(text: str, others: list[tuple[str, bool]]) -> None:
    assert [*left_out(text, LAST)] == others


@pytest.mark.parametrize("text", ["", "may I see sales?", "march on", "30 February 2024", "2024-13-45", "42", "the first", "12:30"])
def test_what_names_no_day_is_none(text: str) -> None:
    assert days_of(text, first=FIRST, last=LAST) is None


UNITS = st.sampled_from(["day", "days", "weeks", "month", "quarters", "years"])


@given(many=st.integers(0, 9999), unit=UNITS, back=st.booleans(), at=st.dates(date(2000, 1, 1), date(2090, 12, 31)))
def test_ranges_of_any_length_end_or_begin_with_the_sales(many: int, unit: str, *, back: bool, at: date) -> None:
    found = days_of(f"{'last' if back else 'next'} {many} {unit}", first=FIRST, last=at)

    assert found is not None
    assert found.start <= found.end
    assert found.end == at if back else found.start == at + timedelta(1)
    if unit.startswith("day") and back:
        assert (found.end - found.start).days == max(many, 1) - 1


@given(text=st.text(alphabet="0123456789-/ QMarchJune to from in last next year", max_size=40))
def test_any_text_is_a_range_or_none(text: str) -> None:
    found = days_of(text, first=FIRST, last=LAST)

    assert found is None or found.start <= found.end
