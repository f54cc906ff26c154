"""Season parameters out of plain language: a grammar, no model. Each value says where in the text it was found, and how surely.

Each pattern claims a span of the text for a field. A claim is weighed by what stands before it (not, instead of) and against other
claims of its field: where two differ, the one after a word of correction holds, else the last one, and the confidence falls.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from assets_config.contract.names import Confidence
from assets_config.contract.plans import LONGEST, SeasonParameters
from serving.grammar import CORRECTED, HALF, NO_DAY, NOTHING, RULES, Context, Rule

FIELDS = SeasonParameters.__struct_fields__
BEFORE_NOT = re.compile(r"\b(?:not|no|never|don'?t|without|rather than|instead of|isn'?t)\s(?:\w+\s)?$", re.IGNORECASE)


class Span(Struct, frozen=True):
    """Where in the text a value was found."""

    start: Annotated[int, Meta(description="Position of its first character, from 0.")]
    end: Annotated[int, Meta(description="Position after its last one.")]
    text: Annotated[str, Meta(description="The text between.")]


class Field(Struct, frozen=True):
    """A parameter, and why it has its value."""

    field: Annotated[str, Meta(description="Name of the parameter.")]
    value: Annotated[int | float | str | None, Meta(description="What it is taken to be.")]
    source: Annotated[Literal["stated", "derived", "default"], Meta(description="Said so, follows from what is said, or neither.")]
    span: Annotated[Span | None, Meta(description="Where it was found; null for a default.")]
    confidence: Annotated[
        Confidence, Meta(description="high: said once; medium: derived or corrected; low: default or contradicted.")
    ]
    reasoning: Annotated[str, Meta(description="Why, in words.")]


class Claim(Struct, frozen=True):
    """What a pattern reads in a span of the text."""

    value: Any
    start: int
    end: int
    is_derived: bool = False


def extract(text: str, *, today: date) -> list[Field]:
    """The five parameters of a season as a text says them, in the order of SeasonParameters.

    `today`: the day that relative dates are counted from, the last day of sales. A value that is out of bounds, or contradicts
    another field, is not taken: its default holds, and the reasoning says so.
    """
    context, taken, claims = Context(text, today), list[Claim](), dict[str, list[Claim]]()
    for field, rules in RULES.items():
        claims[field] = []
        for rule in rules:
            for claim in _claims(rule, context):
                if all(claim.end <= each.start or claim.start >= each.end for each in taken):
                    taken.append(claim)
                    claims[field].append(claim)
    found = {field: _settled(field, claims[field], text) for field in FIELDS}
    weeks, week = found["forecast_horizon_weeks"], found["markdown_checkpoint_week"]
    if week.value == HALF:
        value = max(int(weeks.value or 2) // 2, 1)
        week = Field(week.field, value, "derived", week.span, "medium", f"halfway through {weeks.value} weeks is week {value}")
    if week.value is not None and int(week.value) >= int(weeks.value or 0):
        why = f"week {week.value} is not before the last of {weeks.value} weeks, so that there is no markdown; say which is meant"
        week = Field(week.field, None, "default", week.span, "low", why)
    return [*(found | {week.field: week}).values()]


def overall(fields: Iterable[Field]) -> Confidence:
    """How surely a text was understood: high where most was said, low where nothing was or something contradicts."""
    told = list(fields)
    said = [each for each in told if each.source != "default"]
    if not said or any(each.confidence == "low" and each.span is not None for each in told):
        return "low"
    return "high" if len(said) >= 3 and all(each.confidence == "high" for each in said) else "medium"


def named(text: str, names: Collection[str]) -> str | None:
    """The one name of a list that a text has in it, whatever the case; None where it has none or several."""
    found = [name for name in names if re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE)]
    longest = [name for name in found if not any(name != other and name.lower() in other.lower() for other in found)]
    return longest[0] if len(longest) == 1 else None


DEFAULTS = SeasonParameters()


def _claims(rule: Rule, context: Context) -> Iterator[Claim]:
    for match in rule.pattern.finditer(context.text):
        if not rule.bears_not and BEFORE_NOT.search(context.text, max(match.start() - 30, 0), match.start()):
            continue
        value = rule.read(match, context)
        if value is not None:
            yield Claim(None if value == NOTHING else value, match.start(), match.end(), rule.is_derived)


def _settled(field: str, claims: list[Claim], text: str) -> Field:
    """The value of a field by its claims."""
    default = getattr(DEFAULTS, field)
    claims = sorted(claims, key=lambda each: each.start)
    bad = [each for each in claims if not _is_within(field, each.value)]
    claims = [each for each in claims if each not in bad]
    if not claims and bad:
        said = text[bad[0].start : bad[0].end]
        why = "is no day of the calendar" if bad[0].value == NO_DAY else "is out of bounds"
        return Field(field, default, "default", _span(text, bad[0]), "low", f"'{said}' {why}; the default holds")
    if not claims:
        return Field(field, default, "default", None, "low", f"nothing is said of it; the default is {_shown(default)}")
    last = claims[-1]
    others = [each for each in claims if each.value != last.value]
    source: Literal["stated", "derived"] = "derived" if last.is_derived else "stated"
    said = f"'{text[last.start : last.end].strip()}' says {_shown(last.value)}"
    if not others:
        return Field(field, last.value, source, _span(text, last), "medium" if last.is_derived else "high", said)
    before = others[-1]
    earlier = f"'{text[before.start : before.end].strip()}' says {_shown(before.value)}"
    if CORRECTED.search(text, before.end, last.end):
        return Field(field, last.value, source, _span(text, last), "medium", f"{said}, which corrects: {earlier}")
    return Field(field, last.value, source, _span(text, last), "low", f"{said}, but {earlier}; the last one is taken")


def _span(text: str, claim: Claim) -> Span:
    return Span(claim.start, claim.end, text[claim.start : claim.end])


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _is_within(field: str, value: Any) -> bool:
    if field in ("forecast_horizon_weeks", "markdown_checkpoint_week"):
        return value in (None, HALF) or 1 <= value <= LONGEST
    return value != NO_DAY and (field != "dc_holdback_percentage" or 0 <= value <= 1)
