"""What a forecast is made of: parts a driver, for every series and day, that add up to it.

A type that tells the contributions of its features (`contributions` of its module) is asked for them. What is forecast besides, by
types that see sales alone or by the members of the ensemble that do, is split by its own shape: its level, its week, its line.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import msgspec
import numpy as np

from assets_config.contract.names import Driver
from pipelines.features.panel import STOCKED_OUT, Panel

DRIVERS: tuple[Driver, ...] = get_args(Driver)
YEAR = 364
FEWEST_FOR_A_LINE = 14
"""Days of a forecast below which a line cannot be told from a week."""
DRIVER_OF: dict[str, Driver] = {
    **dict.fromkeys(("expected", "lags", "rolling", "ids", "age"), "recent_sales"),
    **dict.fromkeys(("weekday_mean",), "weekday"),
    **dict.fromkeys(("calendar", "target_lags"), "season"),
    **dict.fromkeys(("group_mean", "group_weekday_mean"), "similar_series"),
    **dict.fromkeys(("stockout_share",), "stockouts"),
    **dict.fromkeys(("events",), "event"),
    **dict.fromkeys(("outside",), "outside"),
    **dict.fromkeys(("price",), "price"),
    **dict.fromkeys(("promotion",), "promotion"),
    **dict.fromkeys(("step",), "other"),
}
"""The driver that each field of a feature set speaks for; what the trees expect of any series is part of its level."""


class Contributor(msgspec.Struct, frozen=True):
    """A fitted type that tells the contributions of its features, and its share of each series' forecast."""

    model_type: str
    contributions: Callable[[np.ndarray], Mapping[str, np.ndarray]]  # of some series: field of the feature set -> [n, H]
    weight: np.ndarray  # [S], 0 to 1


class Parts(msgspec.Struct, frozen=True):
    """The parts of every forecast, and what could not be computed."""

    units: np.ndarray  # [len(DRIVERS), S, H] float64: along the first axis they add up to the forecast
    failed: dict[str, str]  # model type -> why its contributions are missing
    is_failed: np.ndarray  # [S] bool: a part of the series' forecast is of such a type


def parts(panel: Panel, yhat: np.ndarray, contributors: Sequence[Contributor] = ()) -> Parts:
    """Split the forecasts [S, H] of the days after the panel's last into parts a driver.

    `usual` is the mean of the last year's known days; `recent_sales` is what the level of the forecast differs by. A contributor
    that raises is named, and its share is split by shape as well, so that the parts add up whatever happens.
    """
    units = np.zeros((len(DRIVERS), *yhat.shape))
    failed: dict[str, str] = {}
    is_failed = np.zeros(len(yhat), dtype=bool)
    for each in contributors:
        series = np.flatnonzero(each.weight > 0)
        try:
            found = each.contributions(series)
        except Exception as error:  # noqa: BLE001 - a forecast is published with or without its explanation
            failed[each.model_type] = f"{type(error).__name__}: {error}"
            is_failed[series] = True
            continue
        for group, added in found.items():
            units[DRIVERS.index(DRIVER_OF.get(group, "other")), series] += each.weight[series, None] * added
    for driver, shape in by_shape(yhat - units.sum(axis=0)).items():
        units[DRIVERS.index(driver)] += shape
    _keep_weeks_level(units)
    level = usual(panel)[:, None]
    units[DRIVERS.index("usual")] += level
    units[DRIVERS.index("recent_sales")] -= level
    return Parts(units, failed, is_failed)


def by_shape(yhat: np.ndarray) -> dict[Driver, np.ndarray]:
    """Forecasts as a level at the cutoff, a line, a week around them, and what remains; by least squares. [S, H] each

    A forecast of under two weeks has no line, one of under a week no more weekdays than days.
    """
    steps = np.arange(yhat.shape[1])
    week = (steps[:, None] % 7 == np.arange(7)).astype(np.float64)
    line = (steps[:, None] + 1.0)[:, : int(len(steps) >= FEWEST_FOR_A_LINE)]
    found = np.linalg.pinv(np.column_stack([week, line])) @ yhat.T
    level = found[: min(len(steps), 7)].mean(axis=0)[:, None]
    rises, weekday = (line @ found[7:]).T, (week @ found[:7]).T - level
    flat = np.broadcast_to(level, yhat.shape)
    return {"recent_sales": flat, "trend": rises, "weekday": weekday, "other": yhat - flat - rises - weekday}


def _keep_weeks_level(units: np.ndarray) -> None:
    """Move what weekdays add on the mean of whole weeks to the level: means of own weekdays tell it too."""
    weekday = units[DRIVERS.index("weekday")]
    whole = weekday.shape[1] // 7 * 7
    if whole:
        level = weekday[:, :whole].mean(axis=1, keepdims=True)
        units[DRIVERS.index("recent_sales")] += level
        weekday -= level


def usual(panel: Panel) -> np.ndarray:
    """Mean demand of the last year's known days, units a day; 0 where none is known. float64 [S]"""
    y, out = panel.y[:, -YEAR:], panel.state[:, -YEAR:] == STOCKED_OUT
    known = ~(np.isnan(y) | out)
    total = np.where(known, y, 0).sum(axis=1, dtype=np.float64)
    return total / np.maximum(known.sum(axis=1), 1)
