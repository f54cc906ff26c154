"""A message as it was understood: what it names, which days it speaks of, and what was asked before."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import islice
from typing import Any

from msgspec import Struct

from serving.agents.dates import Days, days_of, left_out
from serving.agents.names import PARAMETERS, WORDS, Names, Thing, Unknown
from serving.agents.vocabulary import COMMON, TIMES

HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", re.IGNORECASE)
AGAINST = r"\b(?:compared (?:with|to)|vs\.?|versus|than|against|over|with)\s+(?:the )?"
COMPARED = (
    ("year", AGAINST + r"(?:last|previous|prior|a) year(?: ago)?\b"),
    ("year", r"\byear[- ](?:over|on)[- ]year\b|\byoy\b|\bsame (?:\w+ ){0,2}(?:last|a) year\b"),
    ("previous", AGAINST + r"(?:last|previous|prior|preceding)(?: (?:period|week|month|quarter|days))?\b|\bbefore that\b"),
)
"""What a question compares with, and how that is said."""
OBJECT = re.compile(r"\b(?:of|for|in|at)\s+(?:the\s+|our\s+|my\s+)?([a-z][\w-]{2,40})(?![\w-]*\d)", re.IGNORECASE)


class Call(Struct, frozen=True):
    """A tool that is to be called, and what has to be said beside what it gives."""

    tool: str
    arguments: dict[str, Any]
    notes: tuple[str, ...] = ()


class Tell(Struct, frozen=True):
    """What is to be said without a call."""

    text: str
    lists_tools: bool = False


class World(Struct, frozen=True):
    """What messages are understood by: names and days of the snapshot, and the models that there are."""

    names: Names
    first: date
    last: date
    model_types: tuple[str, ...]
    aliases: tuple[str, ...] = ()


class Before(Struct, frozen=True):
    """What was called for the message before; empty at the beginning."""

    tool: str = ""
    arguments: Mapping[str, Any] = {}
    job_id: str | None = None


class Ask:
    """One question."""

    def __init__(self, text: str, world: World, before: Before) -> None:
        self.text, self.world, self.before = text, world, before
        self.compare: str | None = None
        rest = text
        for kind, pattern in COMPARED:
            match = re.search(pattern, rest, re.IGNORECASE)
            if match:
                self.compare = self.compare or kind
                rest = rest[: match.start()] + " " * len(match.group()) + rest[match.end() :]
        self.lower, self.ids = text.lower(), [each.lower() for each in HEX.findall(text)]
        rest = HEX.sub(lambda match: " " * len(match.group()), rest)
        found: tuple[list[Thing], list[Unknown]] = world.names.find(rest)
        models = {_key(name) for name in world.model_types}
        self.things, self.unknown = found[0], [each for each in found[1] if _key(each.text) not in models]
        self._rest = _without(rest, self.things)

    def says(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self.text, re.IGNORECASE)

    def days(self, *, ahead: bool = False) -> Days | None:
        """The days that it speaks of."""
        return days_of(self._rest, first=self.world.first, last=self.world.last, ahead=ahead)

    def days_left_out(self) -> list[tuple[str, bool]]:
        """Other days that it speaks of, the first few, and whether there are such days."""
        return [*islice(left_out(self._rest, self.world.last), 5)]

    def of(self, axis: str) -> list[str]:
        """What it names of an axis."""
        return list(dict.fromkeys(each.value for each in self.things if each.axis == axis))

    def one(self, axis: str) -> str | None:
        return next(iter(self.of(axis)), None)

    @property
    def filters(self) -> dict[str, list[str]]:
        """All that it names, as parameters of KPIs."""
        found = {PARAMETERS.get(axis, axis): self.of(axis) for axis in WORDS}
        return {name: values for name, values in found.items() if values}

    @property
    def object(self) -> str | None:
        """A word that stands where a name would, and is none that is known."""
        days = self.days()
        rest = self._rest.replace(days.text, "") if days else self._rest
        found = (match.group(1) for match in OBJECT.finditer(rest))
        return next((each for each in found if each.lower() not in COMMON | TIMES), None)

    @property
    def model_type(self) -> str | None:
        """The model type that it names: the longest, with blanks or hyphens for underscores too."""
        plain = f" {re.sub(r'[^a-z0-9]+', ' ', self.lower)} "
        named = [name for name in self.world.model_types if f" {_key(name)} " in plain]
        return max(named, key=len, default=None)

    def number(self, pattern: str, *, least: int = 1, most: int = 100) -> int | None:
        """A number within bounds, where a pattern's first group has one."""
        match = self.says(pattern)
        return min(max(int(match.group(1)), least), most) if match else None


def cleaned(text: str) -> str:
    """A text without what is no letter: control characters, marks that turn the direction of writing, halves of letters."""
    seen = (
        " " if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn") and letter not in "\n\t" else letter
        for letter in text
    )
    return re.sub(r"[ \t]+", " ", unicodedata.normalize("NFC", "".join(seen))).strip()


def parts_of(text: str) -> list[str]:
    """The questions of a message: sentences that ask or order something by themselves."""
    found = re.split(r"\n+|;\s+|(?<=[?!])\s+|(?<=[a-z\d]{2}\.)\s+(?=[A-Z])|,?\s+and then\s+", text)
    return [each.strip() for each in found if re.search(r"\w", each)]


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def _without(text: str, things: Sequence[Thing]) -> str:
    """A text with blanks for the things in it, so that no product called March is a month."""
    for each in things:
        text = text[: each.start] + "\0" * (each.end - each.start) + text[each.end :]
    return text.replace("\0", " ")
