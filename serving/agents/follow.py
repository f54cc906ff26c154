"""Questions that say little by themselves: the one before with something else, a bare name, a name that nothing has."""

from typing import Any

from serving.agents.ask import Ask, Call
from serving.agents.names import PARAMETERS, SIDE, WORDS
from serving.agents.sales import FEW, kpis, span
from serving.agents.tools import GUARDED, JOBS

OF_SALES = ("get_kpis", "get_kpi_timeseries", "get_drilldown")
OF_DAYS_AHEAD = ("get_item_timeseries", "list_forecast_levels")
LOST = {"store": "list_stores", "region": "list_stores", "cluster": "list_store_clusters", "category": "list_categories"}


def again(ask: Ask) -> Call | None:
    """The question before with other names or days: and of S002? and in March? What starts or changes something is told whole."""
    before = ask.before
    if not before.tool or before.tool in (*JOBS, *GUARDED) or not (ask.things or ask.days() or ask.compare):
        return None
    if not ask.says(r"^\W*(?:and|or|what about|how about|same|now|then|but|also|only|for|in|of|versus|vs|compared)\b"):
        return None
    arguments, notes = dict(before.arguments), tuple[str, ...]()
    first, last = ("start", "end") if "start" in arguments else ("start_date", "end_date")
    ahead = before.tool in OF_DAYS_AHEAD
    if first in arguments and ask.days(ahead=ahead):
        days, notes = span(ask, ahead=ahead)
        arguments |= {first: days["start_date"], last: days["end_date"]}
    if before.tool in OF_SALES:
        sides = {SIDE.get(each.axis, "product") for each in ask.things}
        replaced = {PARAMETERS.get(axis, axis) for axis in WORDS if SIDE.get(axis, "product") in sides}
        arguments = {name: each for name, each in arguments.items() if name not in replaced} | ask.filters
        return Call(before.tool, {**arguments, **({"compare": ask.compare} if ask.compare else {})}, notes)
    for axis, names in (("product", ("item", "product", "product_id")), ("store", ("store_id", "store"))):
        if ask.of(axis):
            name = next((each for each in names if each in arguments), PARAMETERS[axis])
            arguments[name] = ask.of(axis)[0]
    if ask.things and "member" in arguments:
        arguments |= {"level": ask.things[0].axis, "member": ask.things[0].value}
    return Call(before.tool, arguments, notes)


def named(ask: Ask) -> Call | list[Call] | None:
    """A name and little else."""
    words = sum(len(ask.text[each.start : each.end].split()) for each in ask.things)
    if not ask.things or len(ask.text.split()) > words + 2:
        return None
    if ask.of("product"):
        return [Call("get_product", {"product": each}) for each in ask.of("product")]
    return [Call("get_store", {"store": each}) for each in ask.of("store")] or kpis(ask)


def lost(ask: Ask) -> list[Call] | None:
    """Where a name is told that nothing has: a look at what comes near, in place of an answer about something else."""
    if not ask.unknown:
        return None
    axis, name = ask.unknown[0].axis, ask.unknown[0].text[:60]
    said = f"There is no {axis or 'store, product or group'} called '{name}', so that I looked no further."
    tool = LOST.get(axis, "list_products")
    searched = tool in ("list_stores", "list_products") and axis != "region" and len(name) > 1
    arguments: dict[str, Any] = {"search": name} if searched else {}
    return [Call(tool, {**arguments, "page_size": FEW}, (said,))]
