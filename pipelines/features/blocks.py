"""The features of a feature set, computed in blocks of series straight from the panel: the whole matrix is never held.

Each row is one series on one target day t, seen from its origin t - step. Windows end at the origin; nothing observed later
can reach a row. Features, their names and leak classes: assets_config.features.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from assets_config.features import FeatureSet, Statistic, event_name, price_name
from pipelines.features.panel import GROUPS, STOCKED_OUT, Panel, demand

Array = np.ndarray[Any, Any]
Span = Array | slice
KEPT = 2**24
"""Bytes that are allocated and freed once. glibc keeps for later what is freed, up to twice the largest piece freed so far; without
this it takes each array of a block from the system anew, which costs more than what is computed in it."""
EXACT_SUMS = 2**31
"""Sums of whole numbers below this are exact in int32, whose arithmetic takes a third of the time of float64."""


class Blocks:
    """Features of a panel by one feature set; what all blocks share is computed once."""

    def __init__(self, panel: Panel, feature_set: FeatureSet) -> None:
        self.panel = panel
        self.set = feature_set
        np.empty(KEPT, np.uint8)
        self.names = [each.name for each in feature_set.features(panel.outside_names.tolist())]
        self._groups = {name: _Group(panel, name) for name in {*feature_set.group_mean, *feature_set.group_weekday_mean}}
        self._first = np.argmax(~np.isnan(panel.y), axis=1) if feature_set.age else None
        calendar = _calendar(panel)
        self._calendar = {name: calendar[name].astype(np.float32) for name in feature_set.calendar}
        self._product_price = _product_price(panel) if "to_other_stores" in feature_set.price else None

    def features(self, series: Array, days: Array, steps: Array) -> Array:
        """The features of every given series on every given target day, float32 [len(series) * len(days), len(names)].

        Takes    `steps` [len(days)], from 1: the origin of target day t is t - step, and not before the panel's first day.
        Rows run by series, then day; in memory, column follows column. Target days may lie past the panel's end, up to what is
        known ahead.
        """
        made = np.empty((len(self.names), len(series), len(days)), np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 is NaN: nothing is known there
            self._put(dict(zip(self.names, made, strict=True)), series, days, steps)
        return made.reshape(len(self.names), -1).T

    def _put(self, columns: dict[str, Array], series: Array, days: Array, steps: Array) -> None:
        panel, wanted = self.panel, self.set
        rows, targets, origins = _span(series), _span(days), _span(days - steps)
        history = _History(demand(panel, rows), wanted.lookback)
        for lag in wanted.lags:
            columns[f"lag_{lag}"][:] = history.at(_shift(origins, -lag))
        for window, statistics in _by_window(wanted.rolling).items():
            history.rolling(statistics, origins, window, out=[columns[f"{statistic}_{window}"] for statistic in statistics])
        same_weekday = _span(days - 7 * -(-steps // 7))  # the last day of the target's weekday that is not after the origin
        for weeks in wanted.weekday_mean:
            columns[f"weekday_mean_{weeks}"][:] = history.weekday_mean(same_weekday, weeks)
        for lag in wanted.target_lags:
            columns[f"target_lag_{lag}"][:] = history.at(_shift(targets, -lag))
        for name, windows in wanted.group_mean.items():
            group = self._groups[name]
            for window in windows:
                group.history.rolling(["mean"], origins, window, rows=group.of[series], out=[columns[f"{name}_mean_{window}"]])
        for name, windows in wanted.group_weekday_mean.items():
            group = self._groups[name]
            for weeks in windows:
                means = group.history.weekday_mean(same_weekday, weeks, rows=group.of[series])
                columns[f"{name}_weekday_mean_{weeks}"][:] = means
        for window in wanted.stockout_share:
            out_of_stock = _running(panel.state[rows] == STOCKED_OUT)
            share = _upto(out_of_stock, days - steps) - _upto(out_of_stock, days - steps - window)
            columns[f"stockout_share_{window}"][:] = share / window
        for each in wanted.calendar:
            columns[each][:] = self._calendar[each][targets]
        if wanted.events is not None:
            for shift in range(-wanted.events.trail, wanted.events.lead + 1):
                columns[event_name(shift)][:] = panel.event[np.clip(days + shift, 0, len(panel.event) - 1)]
        for place, name in enumerate(panel.outside_names.tolist()):
            if f"outside_{name}" in columns:
                columns[f"outside_{name}"][:] = panel.outside[place][panel.groups[series, 0]][:, days]
        if wanted.price:
            self._put_prices(columns, series, days, days - steps)
        if wanted.promotion:
            columns["promotion"][:] = _columns(panel.promotion[rows], targets)
        for axis in wanted.ids:
            columns[f"{axis}_code"][:] = panel.groups[series, GROUPS.index(axis), None]
        if self._first is not None:
            columns["age"][:] = days[None, :] - self._first[series, None]
        if wanted.step:
            columns["step"][:] = steps

    def _put_prices(self, columns: dict[str, Array], series: Array, days: Array, origins: Array) -> None:
        panel, rows = self.panel, _span(series)
        price, planned = panel.price[rows], panel.planned[rows]
        now = _columns(price, _span(days))
        if not planned.all():
            now = np.where(planned[:, None], now, _columns(price, _span(origins)))
        for name in self.set.price:
            column = columns[price_name(name)]
            if name == "price":
                column[:] = now
            elif name == "to_mean":
                running = np.cumsum(price, axis=1, dtype=np.float64) / np.arange(1, price.shape[1] + 1)
                column[:] = _ratio(now, running[:, origins])
            elif name == "to_max":
                column[:] = _ratio(now, np.maximum.accumulate(price, axis=1)[:, origins])
            elif name == "to_other_stores" and self._product_price is not None:
                product = panel.groups[series, GROUPS.index("product")]
                column[:] = _ratio(now, self._product_price[product[:, None], days])
            else:
                back = int(name.removeprefix("change_"))
                column[:] = _ratio(now, np.where(origins >= back, price[:, np.maximum(origins - back, 0)], np.nan))


class _History:
    """Rows of daily values with sums up to each day, so that a window of any length is one subtraction. NaN is unknown."""

    def __init__(self, values: Array, lookback: int) -> None:
        self._padding = -(-lookback // 7) * 7
        self._values = np.concatenate([np.full((len(values), self._padding), np.nan, values.dtype), values], axis=1)
        self._seen = ~np.isnan(self._values)
        known = self._values.copy()
        np.copyto(known, 0, where=~self._seen)
        self._known = _summable(known)
        self._sums: dict[str, Array] = {}
        self._weekly: tuple[Array, Array] | None = None

    def at(self, days: Span) -> Array:
        return _columns(self._values, _shift(days, self._padding))

    def rolling(self, statistics: list[Statistic], ends: Span, window: int, *, rows: Array | None = None, out: list[Array]) -> None:
        """Statistics of the `window` days that end on each of `ends`, written to `out`; NaN where no day is known."""
        if not {"min", "max"}.isdisjoint(statistics):
            picks = [self.at(_shift(ends, -n)) for n in range(window)]
        if set(statistics) - {"min", "max"}:
            count = self._between("count", ends, window, rows)
        if not {"mean", "std", "sum"}.isdisjoint(statistics):
            total = self._between("sum", ends, window, rows)
            mean = total / count
        for statistic, column in zip(statistics, out, strict=True):
            if statistic == "mean":
                column[:] = mean
            elif statistic == "std":
                variance = self._between("squares", ends, window, rows)
                variance /= count
                variance -= mean * mean
                column[:] = variance
                np.sqrt(np.abs(column, out=column), out=column)  # rounding may leave a hair less than zero
            elif statistic == "zero_share":
                column[:] = self._between("zeros", ends, window, rows) / count
            elif statistic == "sum":
                column[:] = np.where(count > 0, total, np.nan)
            else:
                (np.fmin if statistic == "min" else np.fmax).reduce(picks, out=column)

    def weekday_mean(self, ends: Span, weeks: int, *, rows: Array | None = None) -> Array:
        """The mean of the days ends, ends - 7, ... `weeks` of them; NaN where none is known."""
        if self._weekly is None:
            self._weekly = _by_week(self._known), _by_week(self._seen)
        at = _shift(ends, self._padding + 7)
        total, count = (_columns(each, at, rows) - _columns(each, _shift(at, -7 * weeks), rows) for each in self._weekly)
        return total / count

    def _between(self, what: str, ends: Span, window: int, rows: Array | None) -> Array:
        if what not in self._sums:
            known, seen = self._known, self._seen
            values = {
                "sum": lambda: known,
                "squares": lambda: known * known,
                "count": lambda: seen,
                "zeros": lambda: seen & (known == 0),
            }[what]()
            self._sums[what] = _running(values)
        at = _shift(ends, self._padding + 1)
        return (_columns(self._sums[what], at, rows) - _columns(self._sums[what], _shift(at, -window), rows)).astype(np.float64)


class _Group:
    """The mean demand of a series of each group, a day: total over the group's series that are on sale."""

    def __init__(self, panel: Panel, name: str) -> None:
        codes = [panel.groups[:, GROUPS.index(each)].astype(np.int64) for each in name.split("_")]
        combined = codes[0] * (codes[-1].max() + 1) + codes[-1] if len(codes) > 1 else codes[0]
        _, self.of = np.unique(combined, return_inverse=True)
        total = np.zeros((int(self.of.max()) + 1, panel.days))
        count = np.zeros_like(total)
        order = np.argsort(self.of, kind="stable")
        starts = np.searchsorted(self.of[order], np.arange(len(total) + 1))
        for g in range(len(total)):
            y = demand(panel, order[starts[g] : starts[g + 1]])
            total[g], count[g] = np.nansum(y, axis=0, dtype=np.float64), (~np.isnan(y)).sum(axis=0)
        self.history = _History(np.where(count > 0, total / np.maximum(count, 1), np.nan), 1095)


def _span(at: Array) -> Span:
    """Numbers that follow each other as a slice: what it takes is a view."""
    if len(at) > 0 and at[0] >= 0 and at[-1] - at[0] == len(at) - 1 and (np.diff(at) == 1).all():
        return slice(int(at[0]), int(at[-1]) + 1)
    return at


def _shift(at: Span, by: int) -> Span:
    return slice(at.start + by, at.stop + by) if isinstance(at, slice) else at + by


def _columns(values: Array, at: Span, rows: Array | None = None) -> Array:
    """values[rows][:, at]"""
    if rows is not None:
        return values[rows, at] if isinstance(at, slice) else values[rows[:, None], at]
    return values[:, at] if isinstance(at, slice) else values.take(at, axis=1)


def _by_window(rolling: Mapping[Statistic, list[int]]) -> dict[int, list[Statistic]]:
    """The statistics of each window: they share its sums."""
    return {window: [each for each in rolling if window in rolling[each]] for windows in rolling.values() for window in windows}


def _running(values: Array) -> Array:
    """[n, T] -> [n, T + 1] sums of the first days."""
    kind = np.int32 if values.dtype == bool else values.dtype
    result = np.zeros((values.shape[0], values.shape[1] + 1), kind)
    np.cumsum(values, axis=1, dtype=kind, out=result[:, 1:])
    return result


def _summable(values: Array) -> Array:
    """What can be summed without loss: int32 where numbers are whole and the sums of their squares fit, else float64."""
    most = float(np.abs(values).max(initial=0))
    if most**2 * values.shape[1] < EXACT_SUMS:
        whole = values.astype(np.int32)
        if (whole.astype(values.dtype) == values).all():
            return whole
    return values.astype(np.float64)


def _upto(running: Array, days: Array) -> Array:
    return running[:, np.maximum(days + 1, 0)]


def _by_week(values: Array) -> Array:
    """Sums over the same weekday up to each day, behind seven zeros: [n, T] -> [n, T + 7 or a little more]."""
    weeks = -(-values.shape[1] // 7)
    padded = np.zeros((len(values), (weeks + 1) * 7))
    padded[:, 7 : 7 + values.shape[1]] = values
    shaped = padded.reshape(len(values), weeks + 1, 7)
    return np.cumsum(shaped, axis=1, out=shaped).reshape(len(values), -1)


def _product_price(panel: Panel) -> Array:
    """The mean price of each product over the stores that have one, a day. [P, T + AHEAD]"""
    product = panel.groups[:, GROUPS.index("product")]
    total = np.zeros((int(product.max()) + 1, panel.price.shape[1]))
    count = np.zeros_like(total)
    for s in range(panel.series):
        total[product[s]] += panel.price[s]
        count[product[s]] += panel.price[s] > 0
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


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
