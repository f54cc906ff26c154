"""What a feature set is: features.yaml, read into Structs, and the list of the features that an entry makes.

A row is one series on one target day t, seen from its origin o = t - step, the last day that is known. A feature is of one
leak class:

    lagged        made of what was observed up to the origin
    static        of the series itself
    known_ahead   of the target day, planned or in the calendar: it may lie after the origin
"""

import hashlib
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from assets_config.contract.names import Leak
from assets_config.mapping import Name

Statistic = Literal["mean", "std", "min", "max", "sum", "zero_share"]
Group = Literal["product", "store", "department_store"]
Calendar = Literal[
    "weekday", "day_of_month", "week", "month", "quarter", "year", "is_weekend", "is_month_end",
    "weekday_sin", "weekday_cos", "month_sin", "month_cos", "year_sin", "year_cos",
]  # fmt: skip
Price = Literal["price", "to_mean", "to_max", "change_7", "change_28", "to_other_stores"]
Id = Literal["store", "category", "department", "product", "region"]
Days = Annotated[int, Meta(ge=1, le=1095)]


class Events(Struct, frozen=True, forbid_unknown_fields=True):
    """Events of the target day, and of the days around it."""

    lead: Annotated[int, Meta(ge=0, le=14)] = 0  # days after the target day
    trail: Annotated[int, Meta(ge=0, le=14)] = 0  # days before it


class Feature(Struct, frozen=True):
    """One column of a feature set."""

    name: str
    group: str  # the field of the entry that makes it
    leak: Leak
    meaning: str


class FeatureSet(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of features.yaml. Days are counted back from the origin, the origin's own day first."""

    name: Name
    about: str
    lags: list[Annotated[int, Meta(ge=0, le=365)]] = []
    rolling: dict[Statistic, list[Days]] = {}
    weekday_mean: list[Annotated[int, Meta(ge=1, le=104)]] = []
    target_lags: list[Annotated[int, Meta(ge=91, le=1095)]] = []
    group_mean: dict[Group, list[Days]] = {}
    group_weekday_mean: dict[Group, list[Annotated[int, Meta(ge=1, le=104)]]] = {}
    stockout_share: list[Days] = []
    calendar: list[Calendar] = []
    events: Events | None = None
    outside: list[str] = []
    price: list[Price] = []
    promotion: bool = False
    ids: list[Id] = []
    age: bool = False
    step: bool = False

    @property
    def hash(self) -> str:
        """16 hex digits that differ when the features do; name and description do not count."""
        said = msgspec.to_builtins(self)
        del said["name"], said["about"]
        return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()[:16]

    def features(self, outside_names: list[str]) -> list[Feature]:
        """The columns in their order; `outside_names` are the series from outside that the data have."""
        made = [Feature(f"lag_{n}", "lags", "lagged", f"demand {n} days before the origin") for n in self.lags]
        for statistic, windows in self.rolling.items():
            meaning = f"{statistic} of demand over the last"
            made += [Feature(f"{statistic}_{n}", "rolling", "lagged", f"{meaning} {n} days") for n in windows]
        meaning = "mean demand of the last {} days of the target's weekday"
        made += [Feature(f"weekday_mean_{n}", "weekday_mean", "lagged", meaning.format(n)) for n in self.weekday_mean]
        made += [
            Feature(f"target_lag_{n}", "target_lags", "lagged", f"demand {n} days before the target day") for n in self.target_lags
        ]
        for group, windows in self.group_mean.items():
            meaning = f"mean demand of a series of the same {group} over the last"
            made += [Feature(f"{group}_mean_{n}", "group_mean", "lagged", f"{meaning} {n} days") for n in windows]
        for group, weeks in self.group_weekday_mean.items():
            meaning = f"the same of the last {{}} days of the target's weekday, by {group}"
            made += [Feature(f"{group}_weekday_mean_{n}", "group_weekday_mean", "lagged", meaning.format(n)) for n in weeks]
        made += [
            Feature(f"stockout_share_{n}", "stockout_share", "lagged", f"share of stock-outs among the last {n} days")
            for n in self.stockout_share
        ]
        made += [Feature(each, "calendar", "known_ahead", f"{each} of the target day") for each in self.calendar]
        if self.events is not None:
            around = range(-self.events.trail, self.events.lead + 1)
            made += [
                Feature(event_name(n), "events", "known_ahead", f"event {n} days from the target day, 0 without") for n in around
            ]
        made += [
            Feature(f"outside_{name}", "outside", "known_ahead", f"{name} on the target day")
            for name in outside_names
            if any(fnmatchcase(name, pattern) for pattern in self.outside)
        ]
        made += [Feature(price_name(each), "price", "known_ahead", PRICES[each]) for each in self.price]
        if self.promotion:
            made.append(Feature("promotion", "promotion", "known_ahead", "planned discount of the target day in percent"))
        made += [Feature(f"{each}_code", "ids", "static", f"code of the series' {each}") for each in self.ids]
        if self.age:
            made.append(Feature("age", "age", "static", "days from the series' first sale to the target day"))
        if self.step:
            made.append(Feature("step", "step", "static", "days from the origin to the target day"))
        return made


PRICES = {
    "price": "price of the target day as it was known at the origin: planned for it, else the last before it",
    "to_mean": "that price over the series' mean price up to the origin",
    "to_max": "that price over the series' highest price up to the origin",
    "change_7": "that price over the one 7 days before the origin",
    "change_28": "that price over the one 28 days before the origin",
    "to_other_stores": "that price over the mean price of the product in all stores, as known for that day",
}


def event_name(n: int) -> str:
    """The column of the events n days after the target day."""
    return "event" if n == 0 else f"event_in_{n}" if n > 0 else f"event_{-n}_ago"


def price_name(name: str) -> str:
    """The column of a feature of the price."""
    return name if name.startswith("price") else f"price_{name}"
