"""Questions about forecasts: what is expected, how good that is, and why."""

from serving.agents.ask import Ask, Call
from serving.agents.sales import FEW, span

AHEAD = 14  # days
LEVELS = ("store", "category", "region", "department")
PATTERNS = r"\b(smooth|intermittent|erratic|lumpy)\b"


def forecast(ask: Ask) -> Call | list[Call]:
    """What will be sold: of products, of members of a level, or in all."""
    days, notes = span(ask, ahead=True, days=AHEAD)
    both, store = {"start": days["start_date"], "end": days["end_date"]}, first_store(ask)
    if ask.of("product"):
        return [Call("get_item_timeseries", {"item": each, **both, **store}, notes) for each in ask.of("product")]
    for level in LEVELS:
        if ask.of(level):
            others = {"source": "forecast", **days, "page_size": 100}
            return [Call("list_forecast_levels", {"level": level, "member": each, **others}, notes) for each in ask.of(level)]
    if ask.says(r"\b(?:list|which|show|all|latest|newest)\b.*\bforecasts\b") and ask.days(ahead=True) is None:
        return Call("list_forecast_sets", {"page_size": FEW})
    return Call("get_forecast_summary", both, notes)


def accuracy(ask: Ask) -> Call:
    """How good forecasts were."""
    if ask.says(r"\bvalue[- ]added\b|\bfva\b|\badds?\b"):
        return Call("list_forecast_value_added", {"segment": pattern_of(ask) or "all"})
    if ask.says(r"\bcoverage\b|\bintervals?\b"):
        return Call("list_interval_coverage", {"level": "series", "page_size": FEW})
    days, notes = span(ask)
    items = {"item_ids": ",".join(ask.of("product"))} if ask.of("product") else {}
    return Call("get_forecast_summary", {"start": days["start_date"], "end": days["end_date"], **items}, notes)


def why(ask: Ask) -> list[Call] | None:
    """What a forecast is the sum of."""
    others = {"span": "horizon", **first_store(ask), "page_size": FEW}
    return [Call("explain_item", {"item": each, **others}) for each in ask.of("product")] or None


def first_store(ask: Ask) -> dict[str, str]:
    """The store that a question is about, where it is one that takes one."""
    return {"store_id": ask.of("store")[0]} if ask.of("store") else {}


def pattern_of(ask: Ask) -> str | None:
    """The demand pattern that a question names."""
    found = ask.says(PATTERNS)
    return found.group(1).lower() if found else None
