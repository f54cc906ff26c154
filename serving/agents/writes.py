"""Questions about names of model runs and about what would be, and those that ask for what no agent may do."""

import re
from typing import Any

from serving.agents.ask import HEX, Ask, Call, Tell

NAME = "[a-z0-9][a-z0-9_-]{0,99}"
NO_NAME = ("a", "alias", "an", "and", "as", "for", "it", "its", "model", "named", "point", "run", "the", "this", "to")
DOWN = r"\b(?:drop|cut|lower|reduce|cheaper|less|down|discount|off|decrease|fall)\w*"
UP = r"\b(?:raise|increase|rise|higher|more|up|dearer)\w*"


def call_off(ask: Ask) -> Tell | None:
    """What no tool does. Updates of what is shown are no such thing."""
    if ask.says(r"^\W*(?:please\s+)?update (?:me|us)\b"):
        return None
    return Tell(
        "I delete, cancel and overwrite nothing, and run no SQL; the API has operations for it, with roles of their own.",
        lists_tools=True,
    )


def name_run(ask: Ask) -> Call | Tell | None:
    """Give a run a name, or say which have one."""
    changes = ask.says(r"\bpromote\b|\b(?:set|move|point|make|create|add|call|name|give)\b|^\W*alias\b|\bshould be called\b")
    if not ask.ids:
        if ask.says(r"\bpromote\b") or (changes and ask.says(r"\balias\b") and not ask.says(r"^\W*(?:which|what|show|list)\b")):
            return Tell("Which run? Name it by its run_id, as 'latest runs' lists them: promote run <run_id> to production.")
        return Call("list_aliases", {"page_size": 20}) if ask.says(r"\balias") else None
    if not changes:
        return None
    name = _name(ask)
    if name is None:
        return Tell(f"Which name is run {ask.ids[0]} to have? Lower case, digits, - and _: promote run {ask.ids[0]} to production.")
    return Call("create_alias", {"name": name, "run_id": ask.ids[0]})


def archive(ask: Ask) -> Call | list[Call] | Tell | None:
    """Archive runs."""
    if not ask.ids:
        return Tell("Which run? Name each that is to be archived by its run_id: archive run <run_id>.")
    return [Call("archive_run", {"run_id": each}) for each in dict.fromkeys(ask.ids)]


def what_if(ask: Ask) -> Call | Tell:
    """The same days with another price."""
    product = ask.one("product")
    if product is None and ask.unknown:
        return Call("simulate_scenario", {})  # the unknown name is told in place of it
    if product is None:
        return Tell("Of which product? I work out another price of one: what if the price of SKU-0001 drops by 10%?")
    part = ask.says(r"(\d{1,3}(?:\.\d+)?)\s?(?:%|percent|per cent)")
    is_down, is_up = ask.says(DOWN), ask.says(UP)
    if part is None or bool(is_down) == bool(is_up):
        return Tell(f"By how much, and up or down? What if the price of {product} drops by 10%?")
    change = round(float(part.group(1)) / (-100 if is_down else 100), 6)
    store: dict[str, Any] = {"store_id": ask.one("store")} if ask.one("store") else {}
    return Call("simulate_scenario", {"product_id": product, **store, "assumptions": {"price": {"change": change}}})


def _name(ask: Ask) -> str | None:
    """The name that is told beside an id: what is quoted, or follows a word such as to, as, called, alias."""
    rest = HEX.sub(" \n ", ask.lower)
    quoted = re.findall(rf"[\"'`]({NAME})[\"'`]", rest)
    after = re.findall(rf"\b(?:to|as|called|named|alias|it)\s+(?:the\s+)?(?:alias\s+)?({NAME})\b", rest)
    verb = r"\b(?:call|name|set|move|point|make|create|add)\s+(?:the\s+)?"
    beside = re.findall(rf"\n\s+(?:as |to )?({NAME})\b|{verb}({NAME})\b", rest)
    found = [*quoted, *after, *(each for pair in beside for each in pair)]
    return next((each for each in found if each and each not in NO_NAME), None)
