"""Season parameters out of plain language: a grammar, no model. Each value says where in the text it was found, and how surely.

Each pattern claims a span of the text for a field. A claim is weighed by what stands before it (not, instead of) and against other
claims of its field: where two differ, the one after a word of correction holds, else the last one, and the confidence falls.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from assets_config.contract.names import Confidence
from assets_config.contract.plans import LONGEST, SeasonParameters

FIELDS = SeasonParameters.__struct_fields__
UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
TENS = ("twenty", "thirty", "forty", "fifty")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth")
NUMBERS = {
    **{word: n for n, word in enumerate((*UNITS, *TEENS), 1)},
    **{word: 20 + 10 * n for n, word in enumerate(TENS)},
    **{f"{ten}-{one}": 20 + 10 * n + m for n, ten in enumerate(TENS) for m, one in enumerate(UNITS, 1)},
    **{word: n for n, word in enumerate(ORDINALS, 1)},
    "a dozen": 12,
}
PARTS = {"half": 0.5, "a third": 1 / 3, "one third": 1 / 3, "a quarter": 0.25, "one quarter": 0.25, "two thirds": 2 / 3}
MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
NUM = r"(?:\d{1,4}|a dozen|(?:twenty|thirty|forty|fifty)(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|" + "|".join(
    sorted((*UNITS, *TEENS, *ORDINALS), key=len, reverse=True)
) + ")"  # fmt: skip
PCT = r"(\d{1,3}(?:[.,]\d{1,2})?\s?(?:%|percent|per cent|pct)|0?\.\d{1,4}|" + "|".join(PARTS) + ")"
MONTH = "(" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS) + r")\b\.?"
DATE = (
    r"(?P<iso>\d{4}-\d{2}-\d{2})|"
    rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<month>{MONTH})(?:,?\s(?P<year>\d{{4}}))?|"
    rf"(?P<month2>{MONTH})\s(?P<day2>\d{{1,2}})(?!\d)(?:st|nd|rd|th)?(?:,?\s(?P<year2>\d{{4}}))?|"
    rf"(?P<part>first week of|beginning of|start of|early|mid|middle of|late|end of|in|from)[\s-](?P<month3>{MONTH})(?!\s\d{{1,2}}\b)(?:,?\s(?P<year3>\d{{4}}))?"
)
NO = r"(?:no|without|don'?t|do not|doesn'?t|does not|never|not|skip|zero|omit|avoid|drop)"
REST = r"[^.;!?\n]"  # what may stand between words of one sentence
REPLENISH = r"(?:replenish\w*|re-?stock\w*|re-?suppl\w+|re-?fill\w*|top[- ]?ups?|shipments?|deliver\w+)"
MARK = r"(?:mark(?:ed|ing)?[- ]?downs?|discount\w*|price cuts?|clearance|(?:reduc|cut|lower)\w* (?:the )?prices?|checkpoint)"
HOLD = r"(?:hold\w*[- ]?backs?|held back|hold|reserve[sd]?|keep\w*|retain\w*|withhold\w*|set aside)"
BEFORE_NOT = re.compile(r"\b(?:not|no|never|don'?t|without|rather than|instead of|isn'?t)\s(?:\w+\s)?$", re.IGNORECASE)
CORRECTED = re.compile(
    r"\b(?:actually|instead|rather|sorry|correction|make (?:it|that)|scratch that|on second thought|no,)", re.IGNORECASE
)


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


class Rule(Struct, frozen=True):
    """A pattern of a field, and what it means; None: nothing after all."""

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str], "Context"], Any]
    is_derived: bool = False
    bears_not: bool = False  # a negation before it is part of it, or does not touch it


class Context(Struct, frozen=True):
    """What patterns may look at beside their match."""

    text: str
    today: date


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
    """How surely the text was understood: high where most was said, and nothing contradicts; low where nothing was, or something does."""
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


HALF = "half"
DEFAULTS = SeasonParameters()


def _claims(rule: Rule, context: Context) -> Iterator[Claim]:
    for match in rule.pattern.finditer(context.text):
        if not rule.bears_not and BEFORE_NOT.search(context.text, max(match.start() - 30, 0), match.start()):
            continue
        value = rule.read(match, context)
        if value is not None:
            yield Claim(None if value == NOTHING else value, match.start(), match.end(), rule.is_derived)


NOTHING = "nothing"  # a rule says null


def _settled(field: str, claims: list[Claim], text: str) -> Field:
    """The value of a field by its claims."""
    default = getattr(DEFAULTS, field)
    claims = sorted(claims, key=lambda each: each.start)
    bad = [each for each in claims if not _is_within(field, each.value)]
    claims = [each for each in claims if each not in bad]
    if not claims and bad:
        said = text[bad[0].start : bad[0].end]
        return Field(field, default, "default", _span(text, bad[0]), "low", f"'{said}' is out of bounds; the default holds")
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
    return field != "dc_holdback_percentage" or 0 <= value <= 1


def number(text: str) -> int:
    """A number in digits or words, ordinals too."""
    plain = text.lower().replace(" ", "-") if text.lower() != "a dozen" else "a dozen"
    return int(plain) if plain.isdecimal() else NUMBERS[plain]


def percent(text: str) -> float:
    """A part of a whole: 45%, 45 percent, 0.45, half."""
    plain = text.lower().strip()
    if plain in PARTS:
        return round(PARTS[plain], 4)
    value = float(re.sub(r"[^\d.,]", "", plain).replace(",", "."))
    return round(value / 100, 4) if plain[-1] in "%tc" else value


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _always(value: Any) -> Callable[[re.Match[str], Context], Any]:
    return lambda *_: value


def _near(word: str, value: Any) -> Callable[[re.Match[str], Context], Any]:
    """The value, where a word stands in the same sentence, or in the one that it corrects."""

    def read(match: re.Match[str], context: Context) -> Any:
        sentences = re.split(r"[.;!?\n]", context.text[: match.start()])
        before = " ".join(sentences[-2:]) if CORRECTED.search(sentences[-1]) else sentences[-1]  # 'Actually, make it ...'
        after = re.split(r"[.;!?\n]", context.text[match.end() :])[0]
        return value if re.search(word, before + match.group() + after, re.IGNORECASE) else None

    return read


def _week(match: re.Match[str], _: Context) -> int:
    return number(match.group(1))


def _part(match: re.Match[str], _: Context) -> float:
    return percent(match.group(1))


def _rest(match: re.Match[str], _: Context) -> float:
    return round(1 - percent(match.group(1)), 4)


def day_of(match: re.Match[str], today: date) -> date | None:
    """The day that a match of DATE names; without a year the next one from today on. None for a day that there is not."""
    told = match.groupdict()
    try:
        if told["iso"]:
            return date.fromisoformat(told["iso"])
        word = told["month"] or told["month2"] or told["month3"]
        month = next(n for n, name in enumerate(MONTHS, 1) if name.startswith(word.lower()[:3]))
        day = int(
            told["day"] or told["day2"] or {"mid": 15, "middle of": 15, "late": 22, "end of": 22}.get(told["part"].lower(), 1)
        )
        year = told["year"] or told["year2"] or told["year3"]
        if year:
            return date(int(year), month, day)
        this = date(today.year, month, day)
        return this if this > today else date(today.year + 1, month, day)
    except ValueError:
        return None


def monday(day: date) -> date:
    """The first Monday after a day."""
    return day + timedelta(days=7 - day.weekday())


def _start(match: re.Match[str], context: Context) -> str | None:
    day = day_of(match, context.today)
    if day is not None and (match["part"] or "").lower() == "first week of":
        day = monday(day - timedelta(days=1))
    return None if day is None else day.isoformat()


def _weeks_between(match: re.Match[str], context: Context) -> int | None:
    """Weeks from the last date before to this one, begun ones too."""
    end = day_of(match, context.today)
    starts = [day for each in START.finditer(context.text, 0, match.start()) if (day := day_of(each, context.today))]
    if end is None or not starts:
        return None
    if not (match["year"] or match["year2"] or match["year3"] or match["iso"]) and end < starts[-1]:
        end = end.replace(year=end.year + 1)
    days = (end - starts[-1]).days + 1
    return -(-days // 7) if days > 0 else None


START = _pattern(rf"\b(?:{DATE})")
LENGTHS = {"quarter": 13, "half a year": 26, "half year": 26, "a year": 52, "one year": 52, "full year": 52}

RULES: dict[str, tuple[Rule, ...]] = {
    "replenishment_strategy": (
        Rule(_pattern(rf"\b{NO}\s(?:\w+\s){{0,2}}{REPLENISH}"), _always("none"), bears_not=True),
        Rule(_pattern(rf"{REPLENISH}(?:\s?(?:strategy|is|are|:|=|to|should be)){{0,4}}\s?(?:none|off|disabled|not needed)\b"), _always("none")),
        Rule(_pattern(r"\b(?:one|single)[- ](?:time )?(?:shipment|drop|delivery)\b"), _always("none"), is_derived=True),
        Rule(
            _pattern(r"\b(?:bi-?weekly|fortnightly|every (?:other|second|2|two) weeks?|once every two weeks|twice a month)\b"),
            _near(REPLENISH, "bi-weekly"),
        ),
        Rule(_pattern(r"(?<![\w-])(?:weekly|every week|each week|once a week|per week)\b"), _near(REPLENISH, "weekly")),
    ),
    "markdown_checkpoint_week": (
        Rule(_pattern(rf"\b{NO}\s(?:\w+\s){{0,2}}{MARK}"), _always(NOTHING), bears_not=True),
        Rule(_pattern(rf"{MARK}(?:\s?(?:is|are|:|=)){{0,3}}\s?(?:none|off|disabled|not (?:needed|wanted|planned|allowed))\b"), _always(NOTHING)),
        Rule(_pattern(r"\b(?:full price (?:all|only|throughout)|never mark\w* (?:it |them )?down)\b"), _always(NOTHING), bears_not=True),
        Rule(_pattern(rf"{MARK}{REST}{{0,40}}?\bweek (?:number |no\. ?|#)?({NUM})\b"), _week),
        Rule(_pattern(rf"\bweek (?:number |no\. ?|#)?({NUM})\b{REST}{{0,25}}?{MARK}"), _week),
        Rule(_pattern(rf"\b({NUM})(?:st|nd|rd|th)? week\b{REST}{{0,25}}?{MARK}"), _week),
        Rule(_pattern(rf"{MARK}{REST}{{0,30}}?\b({NUM})(?:st|nd|rd|th)? week\b"), _week),
        Rule(_pattern(rf"\bafter ({NUM}) weeks?\b{REST}{{0,25}}?{MARK}"), _week),
        Rule(_pattern(rf"{MARK}{REST}{{0,30}}?\bafter ({NUM}) weeks?\b"), _week),
        Rule(_pattern(rf"{MARK}{REST}{{0,30}}?\b(?:halfway|half-way|mid-?season|midpoint|middle)\b"), _always(HALF), is_derived=True),
    ),
    "dc_holdback_percentage": (
        Rule(_pattern(rf"\b{NO}\s(?:\w+\s)?(?:hold\w*[- ]?backs?|reserve)\b"), _always(0.0), bears_not=True),
        Rule(_pattern(r"\b(?:hold nothing back|hold back nothing|keep nothing)\b"), _always(0.0)),
        Rule(
            _pattern(r"\b(?:send|ship|allocate|push|distribute) (?:everything|all(?: units)?|100 ?%)" rf"{REST}{{0,15}}?\bstores\b"),
            _always(0.0),
            is_derived=True,
        ),
        Rule(_pattern(rf"\b{HOLD}\b{REST.replace('^', '^%')}{{0,40}}?\b{PCT}"), _part),
        Rule(
            _pattern(rf"(?<![\d.]){PCT}{REST.replace('^', '^%')}{{0,30}}?\b(?:hold\w*[- ]?back|held back|in reserve|at the (?:dc|warehouse|distribution))"),
            _part,
        ),
        Rule(
            _pattern(rf"\b(?:send|ship|allocate|push|initial(?:ly)?)\b{REST.replace('^', '^%')}{{0,30}}?\b{PCT}{REST}{{0,25}}?\b(?:stores|upfront|launch|initially)\b"),
            _rest,
            is_derived=True,
        ),
    ),
    "season_start_date": (
        Rule(_pattern(r"\bnext (?:monday|week)\b"), lambda _, context: monday(context.today).isoformat()),
        Rule(
            _pattern(rf"\b(?:in|from) ({NUM}) weeks?(?: from now| time|'s? time)?\b(?=\s*(?:[.,;!]|$|from|and))|\bin ({NUM}) weeks?' time\b"),
            lambda match, context: (monday(context.today) + timedelta(weeks=number(match.group(1) or match.group(2)) - 1)).isoformat(),
            is_derived=True,
        ),
        Rule(_pattern(rf"(?<!until )(?<!till )(?<!through )(?<!to )(?<!ending )(?<!ending on )(?<!ends )(?<!ends on )\b(?:{DATE})"), _start),
    ),
    "forecast_horizon_weeks": (
        Rule(_pattern(rf"\b(?:until|till|through|to|ending(?: on)?|ends(?: on)?) (?:{DATE})"), _weeks_between, is_derived=True),
        Rule(_pattern(rf"(?<!every )(?<!week )\b({NUM})[- ]?(?:weeks?|wks?)\b(?! (?:from now|ago|of history|lead|before|earlier))"), _week),
        Rule(
            _pattern(rf"\b({NUM})[- ]months?\b(?! (?:ago|of history))"),
            lambda match, _: round(number(match.group(1)) * 52 / 12),
            is_derived=True,
        ),
        Rule(
            _pattern(r"\b(?:a |one |the )?(quarter|half a year|half year|a year|one year|full year)\b(?! of)"),
            lambda match, _: LENGTHS[match.group(1).lower()],
            is_derived=True,
        ),
    ),
}  # fmt: skip
"""The patterns of each field. What one has claimed, a later one does not see: 'every 2 weeks' is no season of two weeks."""
