"""The features of a feature set, computed in blocks of series straight from the panel: the whole matrix is never held.

Each row is one series on one target day t, seen from its origin t - step. Windows end at the origin; nothing observed later
can reach a row. Features, their names and leak classes: assets_config.features.
"""

from datetime import timedelta
from typing import Any

import numpy as np

from assets_config.features import FeatureSet
from pipelines.features.panel import GROUPS, STOCKED_OUT, Panel, demand

Array = np.ndarray[Any, Any]


class Blocks:
    """Features of a panel by one feature set; what all blocks share is computed once."""

    def __init__(self, panel: Panel, feature_set: FeatureSet) -> None:
        self.panel = panel
        self.set = feature_set
        self.names = [each.name for each in feature_set.features(panel.outside_names.tolist())]
        self._groups = {name: _Group(panel, name) for name in {*feature_set.group_mean, *feature_set.group_weekday_mean}}
        self._first = np.argmax(~np.isnan(panel.y), axis=1)
        self._calendar = {name: column for name, column in _calendar(panel).items() if name in feature_set.calendar}
        self._product_price = _product_price(panel) if "to_other_stores" in feature_set.price else None

    def features(self, series: Array, days: Array, steps: Array) -> Array:
        """The features of every given series on every given target day, float32 [len(series) * len(days), len(names)].

        Takes    `steps` [len(days)], from 1: the origin of target day t is t - step, and not before the panel's first day.
        Rows run by series, then day. Target days may lie past the panel's end, up to what is known ahead.
        """
        panel, wanted = self.panel, self.set
        origins = days - steps
        y = demand(panel, series).astype(np.float64)
        out = np.empty((len(series), len(days), len(self.names)), np.float32)
        column = iter(range(len(self.names)))

        def put(values: Array) -> None:
            out[:, :, next(column)] = values

        history = _History(y, wanted.lookback)
        for lag in wanted.lags:
            put(history.at(origins - lag))
        for statistic, windows in wanted.rolling.items():
            for window in windows:
                put(history.rolling(statistic, origins, window))
        same_weekday = days - 7 * -(-steps // 7)  # the last day of the target's weekday that is not after the origin
        for weeks in wanted.weekday_mean:
            put(history.weekday_mean(same_weekday, weeks))
        for lag in wanted.target_lags:
            put(history.at(days - lag))
        for name, windows in wanted.group_mean.items():
            group = self._groups[name]
            for window in windows:
                put(group.history.rolling("mean", origins, window, rows=group.of[series]))
        for name, windows in wanted.group_weekday_mean.items():
            group = self._groups[name]
            for weeks in windows:
                put(group.history.weekday_mean(same_weekday, weeks, rows=group.of[series]))
        for window in wanted.stockout_share:
            out_of_stock = _running((panel.state[series] == STOCKED_OUT).astype(np.float64))
            put((_upto(out_of_stock, origins) - _upto(out_of_stock, origins - window)) / window)
        for each in wanted.calendar:
            put(self._calendar[each][days])
        if wanted.events is not None:
            for shift in range(-wanted.events.trail, wanted.events.lead + 1):
                put(panel.event[np.clip(days + shift, 0, len(panel.event) - 1)])
        for place in self._outside():
            put(panel.outside[place][panel.groups[series, 0]][:, days])
        if wanted.price:
            self._put_prices(put, series, days, origins)
        if wanted.promotion:
            put(panel.promotion[series][:, days])
        for axis in wanted.ids:
            put(panel.groups[series, GROUPS.index(axis), None])
        if wanted.age:
            put(days[None, :] - self._first[series, None])
        if wanted.step:
            put(np.broadcast_to(steps, (len(series), len(days))))
        return out.reshape(-1, len(self.names))

    def _outside(self) -> list[int]:
        found = []
        for place, name in enumerate(self.panel.outside_names.tolist()):
            if f"outside_{name}" in self.names:
                found.append(place)
        return found

    def _put_prices(self, put: Any, series: Array, days: Array, origins: Array) -> None:
        price = self.panel.price[series].astype(np.float64)
        now = np.where(self.panel.planned[series, None], price[:, days], price[:, origins])
        for name in self.set.price:
            if name == "price":
                put(now)
            elif name == "to_mean":
                put(_ratio(now, (np.cumsum(price, axis=1) / np.arange(1, price.shape[1] + 1))[:, origins]))
            elif name == "to_max":
                put(_ratio(now, np.maximum.accumulate(price, axis=1)[:, origins]))
            elif name == "to_other_stores" and self._product_price is not None:
                put(_ratio(now, self._product_price[self.panel.groups[series, GROUPS.index("product")]][:, days]))
            else:
                back = int(name.removeprefix("change_"))
                put(_ratio(now, np.where(origins >= back, price[:, np.maximum(origins - back, 0)], np.nan)))


class _History:
    """Rows of daily values with sums up to each day, so that a window of any length is one subtraction. NaN is unknown."""

    def __init__(self, values: Array, lookback: int) -> None:
        self._padding = -(-lookback // 7) * 7
        self._values = np.concatenate([np.full((len(values), self._padding), np.nan), values], axis=1)
        seen = ~np.isnan(self._values)
        self._known = np.where(seen, self._values, 0)
        self._seen = seen
        self._sums: dict[str, Array] = {}
        self._weekly: tuple[Array, Array] | None = None

    def at(self, days: Array) -> Array:
        return _columns(self._values, days + self._padding)

    def rolling(self, statistic: str, ends: Array, window: int, *, rows: Array | None = None) -> Array:
        """A statistic of the `window` days that end on each of `ends`; NaN where none is known."""
        if statistic in ("min", "max"):
            picks = [self.at(ends - n) for n in range(window)]
            return np.fmin.reduce(picks) if statistic == "min" else np.fmax.reduce(picks)
        count = self._between("count", ends, window, rows)
        count = np.where(count > 0, count, np.nan)
        if statistic == "zero_share":
            return self._between("zeros", ends, window, rows) / count
        total = self._between("sum", ends, window, rows)
        if statistic == "sum":
            return total + 0 * count
        mean = total / count
        if statistic == "mean":
            return mean
        return np.sqrt(np.maximum(self._between("squares", ends, window, rows) / count - mean**2, 0))

    def weekday_mean(self, ends: Array, weeks: int, *, rows: Array | None = None) -> Array:
        """The mean of the days ends, ends - 7, ... `weeks` of them; NaN where none is known."""
        if self._weekly is None:
            self._weekly = _by_week(self._known), _by_week(self._seen.astype(np.float64))
        at = ends + self._padding
        total, count = (_columns(each, at + 7, rows) - _columns(each, at + 7 - 7 * weeks, rows) for each in self._weekly)
        return total / np.where(count > 0, count, np.nan)

    def _between(self, what: str, ends: Array, window: int, rows: Array | None) -> Array:
        if what not in self._sums:
            values = {
                "sum": lambda: self._known,
                "squares": lambda: self._known**2,
                "count": lambda: self._seen,
                "zeros": lambda: self._seen & (self._known == 0),
            }[what]()
            self._sums[what] = _running(values)
        at = ends + self._padding + 1
        return _columns(self._sums[what], at, rows) - _columns(self._sums[what], at - window, rows)


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


def _columns(values: Array, at: Array, rows: Array | None = None) -> Array:
    """values[rows][:, at]; days that follow each other are a view."""
    if rows is not None:
        return values[rows[:, None], at]
    if len(at) > 1 and at[-1] - at[0] == len(at) - 1 and (np.diff(at) == 1).all():
        return values[:, at[0] : at[-1] + 1]
    return values[:, at]


def _running(values: Array) -> Array:
    """[n, T] -> [n, T + 1] sums of the first days."""
    result = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, dtype=np.float64, out=result[:, 1:])
    return result


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
