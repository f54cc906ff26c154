"""Questions about what was sold: sums, series, rankings, and the range of days that they are of."""

from datetime import timedelta
from typing import Any

from serving.agents.ask import Ask, Call
from serving.agents.names import WORDS

DEFAULT_DAYS, SERIES_DAYS = 28, 84
FEW, SOME = 5, 10  # entries of a list that are looked at
ORDER_BY = {
    "total_transactions": r"\btransactions?\b",
    "avg_unit_price": r"\b(?:unit )?prices?\b",
    "avg_basket_value": r"\bbaskets?\b",
    "total_units": r"\bunits?\b|\bquantit|\bpieces\b|\bvolume\b",
}
GRANULARITY = {
    "month": r"\bmonthly\b|\b(?:by|per|each|every) month\b",
    "quarter": r"\bquarterly\b|\b(?:by|per|each|every) quarter\b",
    "day": r"\bdaily\b|\b(?:by|per|each|every) day\b|\bday by day\b",
    "week": r"\bweekly\b|\b(?:by|per|each|every) week\b|\btrends?\b|\bover time\b|\bdevelop|\bevol",
}
SALES = (
    r"\bsales\b|\bs[eo]ll?(?:s|ing|ers?|d)?\b|\brevenue|\bturnover\b|\bunits?\b|\btransactions?\b|\bkpis?\b|\bbaskets?\b|"
    r"\baverage (?:unit )?price|\bincome\b|\bgrowth\b|\bgr[eo]w\b|\bperform|\bdoing\b"
)
RANKED = (
    r"\b(?:top|best|worst|bottom|most|least|highest|lowest|biggest|largest|smallest|weakest|slowest|fewest|rank\w*|split|breakdown|"
    r"drill\w*|share)\b|\bbreak\b.*\bdown\b"
)
LOWEST = r"\b(?:worst|lowest|least|bottom|slowest|weakest|fewest|smallest)\b"
COMPARES = r"\bcompar|\bvs\b|\bversus\b|\bbetter\b|\bworse\b|\bor\b"
UNSOLD = r"\b(?:not|no|never|without|didn'?t)\b.*\b(?:sell|sold|sales?)\b"


def span(ask: Ask, *, ahead: bool = False, days: int = DEFAULT_DAYS) -> tuple[dict[str, str], tuple[str, ...]]:
    """The range of a question, and what is to be said of it; so many days where it names none."""
    found, first, last = ask.days(ahead=ahead), ask.world.first, ask.world.last
    if found is not None:
        notes = [f"'{found.text}' is read as {found.start} to {found.end}."]
        if not ahead and found.end > last:
            notes.append(f"Sales are known up to {last}.")
        if not ahead and found.start < first:
            notes.append(f"Sales are known from {first} on.")
        return {"start_date": str(found.start), "end_date": str(found.end)}, tuple(notes)
    said = "read" if ask.days_left_out() else "named"
    if ahead:
        named = {"start_date": str(last + timedelta(1)), "end_date": str(last + timedelta(days))}
        return named, (f"No days were {said}: the {days} after the last of sales.",)
    named = {"start_date": str(last - timedelta(days - 1)), "end_date": str(last)}
    return named, (f"No days were {said}: the last {days} of sales.",)


def kpis(ask: Ask) -> Call:
    """Sums of a range."""
    days, notes = span(ask)
    return Call("get_kpis", {**days, **ask.filters, **_compare(ask)}, notes)


def series(ask: Ask) -> Call | None:
    """Sums a day, week, month or quarter."""
    if not (ask.says(SALES) or ask.things):
        return None
    every = next(name for name, pattern in GRANULARITY.items() if ask.says(pattern))
    days, notes = span(ask, days=SERIES_DAYS)
    return Call("get_kpi_timeseries", {"granularity": every, **days, **ask.filters, **_compare(ask)}, notes)


def ranking(ask: Ask) -> Call | None:
    """Members of a dimension by a KPI."""
    if not ask.says(SALES + "|" + RANKED + "|" + COMPARES):
        return None
    dimension = _dimension(ask)
    if dimension is None:
        return None
    days, notes = span(ask)
    by = next((name for name, pattern in ORDER_BY.items() if ask.says(pattern)), "total_revenue")
    many = ask.number(r"\b(?:top|best|worst|bottom|first|lowest|highest|weakest|slowest)\s(\d{1,4})\b")
    order = "asc" if ask.says(LOWEST) or ask.says(UNSOLD) else "desc"
    if ask.says(UNSOLD):
        notes = (*notes, "What sold nothing is in no ranking: this one begins with what sold least.")
    ranked = {"dimension": dimension, "order_by": by, "sort_order": order, "max_items": many or (FEW if ask.says(RANKED) else SOME)}
    return Call("get_drilldown", {**ranked, **days, **ask.filters}, notes)


def _dimension(ask: Ask) -> str | None:
    """What is to be ranked: an axis that is told without a name of it, or of which several names are."""
    if ask.says(r"\b(?:which|best|worst|by|per) (?:days?|dates?)\b"):
        return "date"
    if ask.says(r"\b(?:by|per|which) (?:segments?|demand patterns?)\b"):
        return "segment"
    several = [axis for axis in WORDS if len(ask.of(axis)) > 1]
    if several and ask.says(COMPARES):
        return several[0]
    told = {axis: match.start() for axis, words in WORDS.items() if (match := ask.says(rf"\b(?:{words})\b"))}
    free = {axis: at for axis, at in told.items() if not ask.of(axis)}
    asked = [axis for axis in free if ask.says(rf"\b(?:by|per|each|which|top|best|worst|bottom)\b[\w ]*?\b(?:{WORDS[axis]})\b")]
    if asked or free:
        return min(asked or free, key=free.__getitem__)
    return "product" if ask.says(r"\bsellers?\b") else None


def _compare(ask: Ask) -> dict[str, Any]:
    return {"compare": ask.compare} if ask.compare else {}
