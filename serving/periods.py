"""Ranges of days: cut into periods, and moved to what they are compared with. A period is a day and the day after it ends."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Literal

Granularity = Literal["day", "week", "month", "quarter"]
Compare = Literal["previous", "year"]
DAY = timedelta(days=1)


def whole(start: date, end: date) -> list[date]:
    """The bounds of one period, both days included."""
    return [start, end + DAY]


def day_bounds(start: date, end: date) -> list[date]:
    """The bounds that give one period a day, both days included."""
    return [start + timedelta(days=n) for n in range((end - start).days + 2)]


def period_bounds(start: date, end: date, granularity: str) -> list[date]:
    """The first day of each period that touches the range, cut at `start`, and the day after `end`.

    >>> [str(day) for day in period_bounds(date(2024, 1, 30), date(2024, 2, 2), "month")]
    ['2024-01-30', '2024-02-01', '2024-02-03']
    """
    if granularity == "day":
        return day_bounds(start, end)
    after, step = end + DAY, _NEXT[granularity]
    bounds, day = [start], step(start)
    while day < after:
        bounds.append(day)
        day = step(day)
    return [*bounds, after]


def _next_week(day: date) -> date:
    return day + timedelta(days=7 - day.weekday())


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _next_quarter(day: date) -> date:
    month = (day.month - 1) // 3 * 3 + 4
    return date(day.year + month // 13, month % 12, 1)


_NEXT: dict[str, Callable[[date], date]] = {"week": _next_week, "month": _next_month, "quarter": _next_quarter}


def base_bounds(bounds: list[date], compare: Compare) -> list[date]:
    """The periods that these are compared with, one for one, so that they add up to what the whole range is compared with.

    `previous`   as many days, right before the range: every bound moved back by the length of the range.
    `year`       the same dates a year earlier. The day that a leap year has more is no period of its own: 29 February is
                 compared with no day, and 28 February with two where the earlier year had a 29th.
    """
    if compare == "year":
        return [_year_before(bound) for bound in bounds]
    length = bounds[-1] - bounds[0]
    return [date.fromordinal(max(bound.toordinal() - length.days, 1)) for bound in bounds]


def _year_before(day: date) -> date:
    if day.month == 2 and day.day == 29:
        return date(day.year - 1, 3, 1)
    return day.replace(year=max(day.year - 1, 1))
