"""Questions about stock, orders, prices, alerts, and what there is."""

from collections.abc import Callable
from typing import Any

from serving.agents.ahead import first_store, pattern_of
from serving.agents.ask import Ask, Call
from serving.agents.names import PARAMETERS
from serving.agents.sales import FEW, SALES, SOME, span

STATES = {
    "stocked_out": r"\bout of stock\b|\bstock-?outs?\b|\bstocked out\b|\bempty shel",
    "below_safety": r"\bbelow safety\b",
    "below_reorder_point": r"\bbelow (?:the )?reorder\b|\bunderstock",
    "overstocked": r"\boverstock|\btoo much stock\b|\bexcess\b",
}
PLACES = ("stores", "shops", "branches")
NOUNS = r"\b(stores|shops|branches|products|items|skus|articles|categories|clusters|departments|regions)\b"


def risks(ask: Ask) -> Call:
    """What may run out, or be left over."""
    state = next((name for name, pattern in STATES.items() if ask.says(pattern)), None)
    sort = "overstock_value" if state == "overstocked" else "shortage_value"
    only = {"stock_state": state} if state else {}
    return Call("list_stock_risks", {**only, **_series(ask), "sort_by": sort, "page_size": FEW})


def stock(ask: Ask) -> Call | list[Call]:
    """What is there."""
    if ask.of("product"):
        return [Call("get_stock", {"product": each, **first_store(ask)}) for each in ask.of("product")]
    return Call("list_stock_status", {**first_store(ask), "sort_by": "days_of_cover", "page_size": FEW})


def orders(ask: Ask) -> Call:
    """What is to be ordered."""
    return Call("list_replenishment_proposals", {**_series(ask), "page_size": FEW})


def alerts(ask: Ask) -> Call:
    """What is worth a look."""
    severity = {"severity": "critical"} if ask.says(r"\bcritical\b") else {}
    state = ask.says(r"\b(acknowledged|snoozed|resolved)\b")
    stands = state.group(1).lower() if state else "open"
    return Call("list_alerts", {"alert_state": stands, **severity, **_series(ask), "page_size": FEW})


def dated(tool: str, **more: Any) -> Callable[[Ask], Call]:
    """A list of a store, a product and a range, which need not be told."""

    def build(ask: Ask) -> Call:
        found = ask.days()
        days = {"start_date": str(found.start), "end_date": str(found.end)} if found else {}
        return Call(tool, {**more, **({} if more else _series(ask)), **days, "page_size": SOME})

    return build


def segments(ask: Ask) -> Call:
    """Series by demand pattern and class."""
    told = {"pattern": pattern_of(ask)}
    for name, letters in (("abc", "abc"), ("xyz", "xyz")):
        said = ask.says(rf"\bclass ([{letters}])\b|\b([{letters}])[- ](?:class|items|products|series)\b")
        told[name] = (said.group(1) or said.group(2)).upper() if said else None
    return Call("list_segments", {**{name: each for name, each in told.items() if each}, **_series(ask), "page_size": FEW})


def listed(ask: Ask) -> Call | None:
    """Which stores, products, categories ... there are."""
    said = ask.says(NOUNS)
    if said is None or ask.says(SALES):
        return None
    noun = said.group(1).lower()
    if noun == "clusters":
        return Call("list_store_clusters", {"page_size": FEW})
    if noun == "categories":
        return Call("list_categories", {"page_size": 2 * SOME})
    if noun in ("departments", "regions"):
        days, notes = span(ask)
        ranked = {"dimension": noun[:-1], "order_by": "total_revenue", "sort_order": "desc", "max_items": 2 * SOME}
        return Call("get_drilldown", {**ranked, **days, **ask.filters}, notes)
    tool, axes = ("list_stores", ("region", "cluster")) if noun in PLACES else ("list_products", ("category", "department"))
    wanted = {axis: ask.of(axis)[0] for axis in axes if ask.of(axis)}
    return Call(tool, {**wanted, "page_size": SOME})


def _series(ask: Ask) -> dict[str, str]:
    """A store and a product, as the lists that take one of each have them."""
    return {PARAMETERS[axis]: ask.of(axis)[0] for axis in ("store", "product") if ask.of(axis)}
