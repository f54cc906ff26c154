"""The words in which a season is told: patterns of each parameter, and what they mean. English."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from msgspec import Struct

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
MINUS = r"(?:(?<!\S)[-\u2212]|\b)"
PCT = r"(\d{1,3}(?:[.,]\d{1,2})?\s?(?:%|percent|per cent|pct)|0?\.\d{1,4}|" + "|".join(PARTS) + ")"
MONTH = "(" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS) + r")\b\.?"
DATE = (
    r"(?P<iso>\d{4}-\d{2}-\d{2})|"
    rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<month>{MONTH})(?:,?\s(?P<year>\d{{4}}))?|"
    rf"(?P<month2>{MONTH})\s(?P<day2>\d{{1,2}})(?!\d)(?:st|nd|rd|th)?(?:,?\s(?P<year2>\d{{4}}))?|"
    r"(?P<part>first week of|beginning of|start of|early|mid|middle of|late|end of|in|from)"
    rf"[\s-](?P<month3>{MONTH})(?!\s\d{{1,2}}\b)(?:,?\s(?P<year3>\d{{4}}))?"
)
NO = r"(?:no|without|don'?t|do not|doesn'?t|does not|never|not|skip|zero|omit|avoid|drop)"
REST = r"[^.;!?\n]"  # what may stand between words of one sentence
REPLENISH = r"(?:replenish\w*|re-?stock\w*|re-?suppl\w+|re-?fill\w*|top[- ]?ups?|shipments?|deliver\w+)"
MARK = r"(?:mark(?:ed|ing)?[- ]?downs?|discount\w*|price cuts?|clearance|(?:reduc|cut|lower)\w* (?:the )?prices?|checkpoint)"
IS = r"(?:\s?(?:strategy|is|are|:|=|to|should be)){0,4}\s?"
UP_TO_PART = r"[^.;!?\n%]"
SEND = r"(?:send|ship|allocate|push|distribute)"
KEPT = r"in reserve|at the (?:dc|warehouse|distribution)"
NOT_AN_END = "".join(f"(?<!{word} )" for word in ("until", "till", "through", "to", "ending", "ending on", "ends", "ends on"))
HOLD = r"(?:hold\w*[- ]?backs?|held back|hold|reserve[sd]?|keep\w*|retain\w*|withhold\w*|set aside)"
CORRECTED = re.compile(
    r"\b(?:actually|instead|rather|sorry|correction|make (?:it|that)|scratch that|on second thought|no,)", re.IGNORECASE
)
DAYS = {"mid": 15, "middle of": 15, "late": 22, "end of": 22}
HALF, NOTHING, NO_DAY = "half", "nothing", "no day"
"""What a pattern says that is no value yet: half of the season; null; a day that no calendar has."""


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


def _rule(
    pattern: str, read: Callable[[re.Match[str], Context], Any], *, is_derived: bool = False, bears_not: bool = False
) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), read, is_derived, bears_not)


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


def _length(match: re.Match[str], _: Context) -> int:
    """Weeks or months; less than none where a minus stands before."""
    return number(match.group(1)) * (1 if match.group()[0].isalnum() else -1)


def _part(match: re.Match[str], _: Context) -> float:
    return percent(match.group(1))


def day_of(match: re.Match[str], today: date) -> date | None:
    """The day that a match of DATE names; without a year the next one from today on. None for a day that there is not."""
    told = match.groupdict()
    try:
        if told["iso"]:
            return date.fromisoformat(told["iso"])
        word = told["month"] or told["month2"] or told["month3"]
        month = next(n for n, name in enumerate(MONTHS, 1) if name.startswith(word.lower()[:3]))
        day = int(told["day"] or told["day2"] or DAYS.get(told["part"].lower(), 1))
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


def _weeks_ahead(match: re.Match[str], context: Context) -> str:
    return (monday(context.today) + timedelta(weeks=number(match.group(1)) - 1)).isoformat()


def _start(match: re.Match[str], context: Context) -> str:
    day = day_of(match, context.today)
    if day is not None and (match["part"] or "").lower() == "first week of":
        day = monday(day - timedelta(days=1))
    return NO_DAY if day is None else day.isoformat()


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


START = re.compile(rf"\b(?:{DATE})", re.IGNORECASE)
LENGTHS = {"quarter": 13, "half a year": 26, "half year": 26, "a year": 52, "one year": 52, "full year": 52}

RULES: dict[str, tuple[Rule, ...]] = {
    "replenishment_strategy": (
        _rule(rf"\b{NO}\s(?:\w+\s){{0,2}}{REPLENISH}", _always("none"), bears_not=True),
        _rule(rf"{REPLENISH}{IS}(?:none|off|disabled|not needed)\b", _always("none")),
        _rule(r"\b(?:one|single)[- ](?:time )?(?:shipment|drop|delivery)\b", _always("none"), is_derived=True),
        _rule(
            r"\b(?:bi-?weekly|fortnightly|every (?:other|second|2|two) weeks?|once every two weeks|twice a month)\b",
            _near(REPLENISH, "bi-weekly"),
        ),
        _rule(r"(?<![\w-])(?:weekly|every week|each week|once a week|per week)\b", _near(REPLENISH, "weekly")),
    ),
    "markdown_checkpoint_week": (
        _rule(rf"\b{NO}\s(?:\w+\s){{0,2}}{MARK}", _always(NOTHING), bears_not=True),
        _rule(rf"{MARK}{IS}(?:none|off|disabled|not (?:needed|wanted|planned|allowed))\b", _always(NOTHING)),
        _rule(r"\b(?:full price (?:all|only|throughout)|never mark\w* (?:it |them )?down)\b", _always(NOTHING), bears_not=True),
        _rule(rf"{MARK}{REST}{{0,40}}?\bweek (?:number |no\. ?|#)?({NUM})\b", _week),
        _rule(rf"\bweek (?:number |no\. ?|#)?({NUM})\b{REST}{{0,25}}?{MARK}", _week),
        _rule(rf"\b({NUM})(?:st|nd|rd|th)? week\b{REST}{{0,25}}?{MARK}", _week),
        _rule(rf"{MARK}{REST}{{0,30}}?\b({NUM})(?:st|nd|rd|th)? week\b", _week),
        _rule(rf"\bafter ({NUM}) weeks?\b{REST}{{0,25}}?{MARK}", _week),
        _rule(rf"{MARK}{REST}{{0,30}}?\bafter ({NUM}) weeks?\b", _week),
        _rule(rf"{MARK}{REST}{{0,30}}?\b(?:half-?way|mid-?season|midpoint|middle)\b", _always(HALF), is_derived=True),
    ),
    "dc_holdback_percentage": (
        _rule(rf"\b{NO}\s(?:\w+\s)?(?:hold\w*[- ]?backs?|reserve)\b", _always(0.0), bears_not=True),
        _rule(r"\b(?:hold nothing back|hold back nothing|keep nothing)\b", _always(0.0)),
        _rule(rf"\b{SEND} (?:everything|all(?: units)?|100 ?%){REST}{{0,15}}?\bstores\b", _always(0.0), is_derived=True),
        _rule(rf"\b{HOLD}\b{UP_TO_PART}{{0,40}}?\b{PCT}", _part),
        _rule(rf"(?<![\d.]){PCT}{UP_TO_PART}{{0,30}}?\b(?:hold\w*[- ]?back|held back|{KEPT})", _part),
        _rule(
            rf"\b(?:{SEND}|initial(?:ly)?)\b{UP_TO_PART}{{0,30}}?\b{PCT}{REST}{{0,25}}?\b(?:stores|upfront|launch|initially)\b",
            lambda match, _: round(1 - percent(match.group(1)), 4),
            is_derived=True,
        ),
    ),
    "season_start_date": (
        _rule(r"\bnext (?:monday|week)\b", lambda _, context: monday(context.today).isoformat()),
        _rule(rf"\bin ({NUM}) weeks?\b(?=\s*(?:[.,;!]|$|from|and))", _weeks_ahead, is_derived=True),
        _rule(rf"{NOT_AN_END}\b(?:{DATE})", _start),
    ),
    "forecast_horizon_weeks": (
        _rule(rf"\b(?:until|till|through|to|ending(?: on)?|ends(?: on)?) (?:{DATE})", _weeks_between, is_derived=True),
        _rule(
            rf"(?<!every )(?<!week ){MINUS}({NUM})[- ]?(?:weeks?|wks?)\b(?! (?:from now|ago|of history|lead|before|earlier))",
            _length,
        ),
        _rule(
            rf"{MINUS}({NUM})[- ]months?\b(?! (?:ago|of history))",
            lambda match, context: round(_length(match, context) * 52 / 12),
            is_derived=True,
        ),
        _rule(
            r"\b(?:a |one |the )?(quarter|half a year|half year|a year|one year|full year)\b(?! of)",
            lambda match, _: LENGTHS[match.group(1).lower()],
            is_derived=True,
        ),
    ),
}
"""The patterns of each field. What one has claimed, a later one does not see: 'every 2 weeks' is no season of two weeks."""
