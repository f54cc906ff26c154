"""The features of a feature set, computed in blocks of series straight from the panel: the whole matrix is never held.

Each row is one series on one target day t, seen from its origin t - step. Windows end at the origin; nothing observed later
can reach a row. Features, their names and leak classes: assets_config.features.
"""

from datetime import timedelta
from typing import Any

import numpy as np

from assets_config.features import FeatureSet, event_name, price_name
from pipelines.features.panel import GROUPS, STOCKED_OUT, Panel, demand
from pipelines.features.windows import groups_of, plan, put_days, put_known, put_known_means, put_windows

Array = np.ndarray[Any, Any]


class Blocks:
    """Features of a panel by one feature set; what all blocks share is computed once."""

    def __init__(self, panel: Panel, feature_set: FeatureSet) -> None:
        self.panel = panel
        self.set = feature_set
        self.names = [each.name for each in feature_set.features(panel.outside_names.tolist())]
        places = {name: n for n, name in enumerate(self.names)}
        self._rolling = plan(places, feature_set.rolling, "{statistic}_{window}")
        self._weekday = plan(places, {"mean": feature_set.weekday_mean}, "weekday_mean_{window}")
        self._stockouts = plan(places, {"sum": feature_set.stockout_share}, "stockout_share_{window}")
        by_group = {*feature_set.group_mean, *feature_set.group_weekday_mean}
        self._groups = {name: _Group(panel, name) for name in sorted(by_group)}
        self._group_plans = [
            (name, stride, plan(places, {"mean": windows}, name + label))
            for wanted, stride, label in (
                (feature_set.group_mean, 1, "_mean_{window}"),
                (feature_set.group_weekday_mean, 7, "_weekday_mean_{window}"),
            )
            for name, windows in wanted.items()
        ]
        self._first = np.argmax(~np.isnan(panel.y), axis=1) if feature_set.age else None
        calendar = _calendar(panel)
        self._calendar = {name: calendar[name].astype(np.float32) for name in feature_set.calendar}
        self._products = groups_of(panel.groups[:, GROUPS.index("product")]) if "to_other_stores" in feature_set.price else None

    def features(self, series: Array, days: Array, steps: Array) -> Array:
        """The features of every given series on every given target day, float32 [len(series) * len(days), len(names)].

        Takes    `steps` [len(days)], from 1: the origin of target day t is t - step, and not before the panel's first day.
        Rows run by series, then day; in memory, column follows column. Target days may lie past the panel's end, up to what is
        known ahead.
        """
        made = np.empty((len(self.names), len(series), len(days)), np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 is NaN: nothing is known there
            self._put(made, series, days, days - steps)
        return made.reshape(len(self.names), -1).T

    def _put(self, made: Array, series: Array, days: Array, origins: Array) -> None:
        panel, wanted = self.panel, self.set
        columns = dict(zip(self.names, made, strict=True))
        history, own = demand(panel, _span(series)), np.arange(len(series))
        for lag in wanted.lags:
            put_days(history, origins - lag, columns[f"lag_{lag}"])
        for lag in wanted.target_lags:
            put_days(history, days - lag, columns[f"target_lag_{lag}"])
        put_windows(history, own, origins, self._rolling, made)
        same_weekday = days - 7 * -(-(days - origins) // 7)  # the last day of the target's weekday that is not after the origin
        put_windows(history, own, same_weekday, self._weekday, made, stride=7)
        for name, stride, planned in self._group_plans:
            group, ends = self._groups[name], origins if stride == 1 else same_weekday
            put_windows(group.mean, group.of[series], ends, planned, made, stride=stride)
        if wanted.stockout_share:
            out_of_stock = (panel.state[_span(series)] == STOCKED_OUT).astype(np.float32)
            put_windows(out_of_stock, own, origins, self._stockouts, made)
            for window in wanted.stockout_share:
                columns[f"stockout_share_{window}"] /= window
        for each in wanted.calendar:
            columns[each][:] = self._calendar[each][days]
        if wanted.events is not None:
            for shift in range(-wanted.events.trail, wanted.events.lead + 1):
                columns[event_name(shift)][:] = panel.event[np.clip(days + shift, 0, len(panel.event) - 1)]
        for place, name in enumerate(panel.outside_names.tolist()):
            if f"outside_{name}" in columns:
                columns[f"outside_{name}"][:] = panel.outside[place][panel.groups[series, 0]][:, days]
        if wanted.price:
            self._put_prices(columns, series, days, origins)
        if wanted.promotion:
            columns["promotion"][:] = panel.promotion[series[:, None], days]
        for axis in wanted.ids:
            columns[f"{axis}_code"][:] = panel.groups[series, GROUPS.index(axis), None]
        if self._first is not None:
            columns["age"][:] = days[None, :] - self._first[series, None]
        if wanted.step:
            columns["step"][:] = days - origins

    def _put_prices(self, columns: dict[str, Array], series: Array, days: Array, origins: Array) -> None:
        panel = self.panel
        price, now = panel.price[_span(series)], np.empty((len(series), len(days)), np.float32)
        put_known(panel.price, panel.planned, series, days, origins, now)
        for name in self.set.price:
            column = columns[price_name(name)]
            if name == "price":
                column[:] = now
            elif name == "to_mean":
                running = np.cumsum(price, axis=1, dtype=np.float64) / np.arange(1, price.shape[1] + 1)
                column[:] = _ratio(now, running[:, origins])
            elif name == "to_max":
                column[:] = _ratio(now, np.maximum.accumulate(price, axis=1)[:, origins])
            elif name == "to_other_stores" and self._products is not None:
                product, others = panel.groups[series, GROUPS.index("product")], np.empty(now.shape)
                put_known_means(panel.price, panel.planned, self._products, product, days, origins, others)
                column[:] = _ratio(now, others)
            else:
                back = int(name.removeprefix("change_"))
                column[:] = _ratio(now, np.where(origins >= back, price[:, np.maximum(origins - back, 0)], np.nan))


class _Group:
    """The mean demand of a series of each group, a day: total over the group's series that are on sale."""

    def __init__(self, panel: Panel, name: str) -> None:
        codes = [panel.groups[:, GROUPS.index(each)].astype(np.int64) for each in name.split("_")]
        combined = codes[0] * (codes[-1].max() + 1) + codes[-1] if len(codes) > 1 else codes[0]
        _, self.of = np.unique(combined, return_inverse=True)
        total = np.zeros((int(self.of.max()) + 1, panel.days))
        count = np.zeros_like(total)
        order, starts = groups_of(self.of)
        for g in range(len(total)):
            y = demand(panel, order[starts[g] : starts[g + 1]])
            total[g], count[g] = np.nansum(y, axis=0, dtype=np.float64), (~np.isnan(y)).sum(axis=0)
        self.mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _span(at: Array) -> Array | slice:
    """Numbers that follow each other as a slice: what it takes is a view."""
    if len(at) > 0 and at[0] >= 0 and at[-1] - at[0] == len(at) - 1 and (np.diff(at) == 1).all():
        return slice(int(at[0]), int(at[-1]) + 1)
    return at


def _ratio(over: Array, under: Array) -> Array:
    return np.where(under > 0, over / np.where(under > 0, under, 1), np.nan)


def _calendar(panel: Panel) -> dict[str, Array]:
    """Each calendar feature of every day that is known ahead."""
    dates = [panel.day(n) for n in range(len(panel.event))]
    weekday, month = np.array([day.weekday() for day in dates]), np.array([day.month for day in dates])
    angle = 2 * np.pi * np.array([day.timetuple().tm_yday for day in dates]) / 365.25
    return {
        "weekday": weekday,
        "day_of_month": np.array([day.day for day in dates]),
        "week": np.array([day.isocalendar().week for day in dates]),
        "month": month,
        "quarter": (month - 1) // 3 + 1,
        "year": np.array([day.year for day in dates]),
        "is_weekend": weekday >= 5,
        "is_month_end": np.array([(day + timedelta(days=1)).month != day.month for day in dates]),
        "weekday_sin": np.sin(2 * np.pi * weekday / 7),
        "weekday_cos": np.cos(2 * np.pi * weekday / 7),
        "month_sin": np.sin(2 * np.pi * month / 12),
        "month_cos": np.cos(2 * np.pi * month / 12),
        "year_sin": np.sin(angle),
        "year_cos": np.cos(angle),
    }
