"""The days that a message speaks of, counted from the last day of sales."""

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from msgspec import Struct

from serving.grammar import MONTH, MONTHS, NUM, number

DAY = timedelta(days=1)
UNIT = r"(day|week|month|quarter|year)s?"
TO = re.compile(r"\s*(?:to|until|till|through|and|-|\u2013|\.\.)\s*$", re.IGNORECASE)
OPEN = re.compile(r"\b(since|from|after|starting)\s+(?:the\s+)?$", re.IGNORECASE)
CLOSED = re.compile(r"\b(until|till|up to|before|through)\s+(?:the\s+)?$", re.IGNORECASE)
MENTION = re.compile(
    r"(?P<iso>\b\d{4}-\d{2}-\d{2}\b)|"
    r"\b(?P<iso_month>\d{4}-\d{2})\b(?!-)|"
    rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<month>{MONTH})(?:,?\s(?P<year>\d{{4}}))?|"
    rf"\b(?P<month2>{MONTH})\s(?P<day2>\d{{1,2}})(?!\d)(?:st|nd|rd|th)?(?:,?\s(?P<year2>\d{{4}}))?|"
    rf"\b(?P<month3>{MONTH})(?:,?\s(?P<year3>\d{{4}}))?|"
    r"\bQ(?P<quarter>[1-4])(?:[ /-]?(?P<year4>\d{4}))?|"
    r"\b(?:in|for|of|during|since|from|year)\s(?P<year5>(?:19|20)\d{2})\b(?!-)",
    re.IGNORECASE,
)
MODAL = re.compile(r"\b(?:in|of|for|since|from|until|to|and|during|last|this|next|vs|with)\s+$", re.IGNORECASE)
"""What stands before May or March where they are months, and no verbs."""


class Days(Struct, frozen=True):
    """A range of days, and what in the text says so."""

    start: date
    end: date
    text: str
    at: int = 0  # where that stands


def days_of(text: str, *, first: date, last: date, ahead: bool = False) -> Days | None:
    """The days that a text speaks of; None where it names none.

    Takes    first, last: first and last day of sales, from which is counted; ahead: whether a month without its year is the next
             one, of a forecast, rather than the last one that has begun.
    """
    mentions = list(_mentions(text, last, ahead=ahead))
    if mentions:
        return _joined(text, mentions, first, last)
    for pattern, read in RELATIVE:
        match = pattern.search(text)
        if match:
            return Days(*read(match, last), match.group(), match.start())
    return None


def left_out(text: str, last: date) -> Iterator[tuple[str, bool]]:
    """What a text tells as days beside those that are read, and whether there are such days: 30 February is none."""
    used = days_of(text, first=last, last=last)
    told = [(used.at, used.at + len(used.text))] if used else []
    found = [(match, _read(match, last, ahead=False) is not None) for match in _matches(text)]
    found += [(match, True) for pattern, _ in RELATIVE for match in pattern.finditer(text)]
    for match, is_there in found:
        if all(match.end() <= start or end <= match.start() for start, end in told):
            told.append(match.span())
            yield match.group(), is_there


def _joined(text: str, mentions: list[tuple[date, date, int, int]], first: date, last: date) -> Days:
    start, end, at, after = mentions[0]
    if len(mentions) > 1 and TO.search(text[after : mentions[1][2]]):
        other = mentions[1]
        return Days(min(start, other[0]), max(end, other[1]), text[at : other[3]], at)
    before = text[:at]
    if OPEN.search(before):
        return Days(start, max(last, start), text[at:after], at)
    if closed := CLOSED.search(before):
        end = max(start, date.min + DAY) - DAY if closed.group(1).lower() == "before" else end
        return Days(min(first, end), end, text[at:after], at)
    return Days(start, end, text[at:after], at)


def _mentions(text: str, last: date, *, ahead: bool) -> Iterator[tuple[date, date, int, int]]:
    for match in _matches(text):
        found = _read(match, last, ahead=ahead)
        if found is not None:
            yield *found, match.start(), match.end()


def _matches(text: str) -> Iterator[re.Match[str]]:
    for match in MENTION.finditer(text):
        word = match["month3"] or ""
        if match["year3"] or word.lower() not in ("may", "mar", "march") or MODAL.search(text[: match.start()]):
            yield match


def _read(match: re.Match[str], last: date, *, ahead: bool) -> tuple[date, date] | None:
    """The days of a mention; None for 30 February."""
    try:
        return _range(match.groupdict(), last, ahead=ahead)
    except ValueError:
        return None


def _range(told: dict[str, str | None], last: date, *, ahead: bool) -> tuple[date, date]:
    if told["iso"]:
        day = date.fromisoformat(told["iso"])
        return day, day
    if told["iso_month"]:
        return month_of(date.fromisoformat(f"{told['iso_month']}-01"))
    if told["year5"]:
        return date(int(told["year5"]), 1, 1), date(int(told["year5"]), 12, 31)
    if told["quarter"]:
        month = int(told["quarter"]) * 3 - 2
        year = int(told["year4"]) if told["year4"] else _year(lambda year: date(year, month, 1), last, ahead=ahead)
        return date(year, month, 1), month_of(date(year, month + 2, 1))[1]
    word = told["month"] or told["month2"] or told["month3"] or ""
    month = next(n for n, name in enumerate(MONTHS, 1) if name.startswith(word.lower()[:3]))
    said = told["day"] or told["day2"]
    on = int(said) if said else 1
    year_said = told["year"] or told["year2"] or told["year3"]
    year = int(year_said) if year_said else _year(lambda year: date(year, month, on), last, ahead=ahead)
    day = date(year, month, on)
    return (day, day) if said else month_of(day)


def _year(begin: Callable[[int], date], last: date, *, ahead: bool) -> int:
    """The year of the last such day up to the last of sales; ahead, of the first whose month is not over."""
    if ahead:
        return last.year if month_of(begin(last.year))[1] > last else last.year + 1
    return last.year if begin(last.year) <= last else last.year - 1


def month_of(day: date) -> tuple[date, date]:
    """First and last day of the month of a day."""
    return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _period_of(day: date, unit: str) -> tuple[date, date]:
    if unit == "day":
        return day, day
    if unit == "week":
        start = day - timedelta(days=day.weekday())
        return start, start + 6 * DAY
    if unit == "month":
        return month_of(day)
    if unit == "quarter":
        start = date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        return start, month_of(start.replace(month=start.month + 2))[1]
    return date(day.year, 1, 1), date(day.year, 12, 31)


def _back(day: date, many: int, unit: str) -> date:
    """The first day of so many units that end on a day."""
    if unit in ("day", "week"):
        return day - timedelta(days=min(many * (7 if unit == "week" else 1), 40_000) - 1)
    months = min(many * {"month": 1, "quarter": 3, "year": 12}[unit], 1200)
    at = max(day.year * 12 + day.month - 1 - months, 12)
    year, month = divmod(at, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1])) + DAY


def _last_many(match: re.Match[str], last: date) -> tuple[date, date]:
    return _back(last, max(number(match.group(1)), 1), match.group(2).lower()), last


def _next_many(match: re.Match[str], last: date) -> tuple[date, date]:
    many, unit = max(number(match.group(1)), 1), match.group(2).lower()
    return last + DAY, last + timedelta(days=min(many * {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}[unit], 3650))


def _before(match: re.Match[str], last: date) -> tuple[date, date]:
    """The whole week, month ... before the one that is under way; a period that ends with the last day counts as over."""
    unit = match.group(1).lower()
    start, end = _period_of(last, unit)
    return (start, end) if end == last else _period_of(start - DAY, unit)


def _under_way(match: re.Match[str], last: date) -> tuple[date, date]:
    return _period_of(last, match.group(1).lower())[0], last


def _to_date(match: re.Match[str], last: date) -> tuple[date, date]:
    unit = {"y": "year", "m": "month", "w": "week", "q": "quarter"}[match.group(1)[0].lower()]
    return _period_of(last, unit)[0], last


def _after(match: re.Match[str], last: date) -> tuple[date, date]:
    return _period_of(_period_of(last, match.group(1).lower())[1] + DAY, match.group(1).lower())


RELATIVE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], tuple[date, date]]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), read)
    for pattern, read in (
        (rf"\b(?:last|past|previous|recent)\s({NUM})\s{UNIT}\b", _last_many),
        (rf"\b(?:next|coming|following)\s({NUM})\s{UNIT}\b", _next_many),
        (rf"\b(?:last|previous|past)\s{UNIT}\b", _before),
        (rf"\b(?:next|coming)\s{UNIT}\b", _after),
        (rf"\bthis\s{UNIT}\b", _under_way),
        (r"\b(y(?:ear)?|m(?:onth)?|w(?:eek)?|q(?:uarter)?)(?:[- ]?to[- ]?date|td)\b", _to_date),
        (r"\bday before yesterday\b", lambda _, last: (last - DAY - DAY, last - DAY - DAY)),
        (r"\byesterday\b", lambda _, last: (last - DAY, last - DAY)),
        (r"\b(?:today|latest day|most recent day)\b", lambda _, last: (last, last)),
        (r"\btomorrow\b", lambda _, last: (last + DAY, last + DAY)),
    )
)
"""What is told from the last day of sales: that is today."""
