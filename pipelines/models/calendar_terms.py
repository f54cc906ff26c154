"""What the calendar says of a day, as the terms of a regression: week, month, year, events, series from outside and growth."""

import numpy as np

from pipelines.features.panel import Panel

YEAR = 365.25  # days
YEAR_WAVES = 2
AROUND_EVENTS = (-2, -1, 0, 1, 2)  # days: shops fill up before a feast and are empty after it
BENDS = (-1.0, -0.5)  # years before the end, where the line of growth may bend
WEEKDAYS = np.arange(1, 7)  # each beside the first
MONTHDAYS = np.arange(1, 32)
WEEK_TERMS = slice(1, 1 + len(WEEKDAYS))


def terms(panel: Panel, store: int, days: int, horizon: int) -> np.ndarray:
    """Regressors of a store's last `days` days and of `horizon` days more; the first is the level. float64 [days + horizon, K]

    Days of the month each have a term, since paydays and benefits fall on dates: waves are too smooth for them. The week changes
    with the year; a series from outside, counted as a share of its largest value, may weigh otherwise on each weekday.
    """
    day = np.arange(panel.days - days, panel.days + horizon)
    date = panel.first_day.toordinal() + day
    weekday = (date % 7)[:, None] == WEEKDAYS
    dates = np.datetime64(panel.first_day) + day
    monthday = (dates - dates.astype("datetime64[M]")).astype(np.int64) + 1
    year = np.concatenate([_wave(date, YEAR / n) for n in range(1, YEAR_WAVES + 1)], axis=1)
    last = len(panel.event) - 1
    events = np.arange(1, len(panel.event_names) + 1)
    around = [panel.event[np.clip(day + shift, 0, last)][:, None] == events for shift in AROUND_EVENTS]
    outside = np.nan_to_num(panel.outside[:, store][:, np.minimum(day, last)].T)
    outside = outside / np.maximum(np.abs(outside).max(axis=0, initial=0), np.finfo(np.float32).tiny)
    line = ((day - panel.days) / YEAR)[:, None]
    return np.concatenate(
        [
            np.ones((len(day), 1)),
            weekday,
            year,
            *(weekday * wave[:, None] for wave in year.T),
            monthday[:, None] == MONTHDAYS,
            *around,
            outside,
            *(weekday * each[:, None] for each in outside.T),
            line,
            *(np.maximum(line, bend) for bend in BENDS),
        ],
        axis=1,
    ).astype(np.float64)


def _wave(date: np.ndarray, length: float) -> np.ndarray:
    angle = 2 * np.pi * date / length
    return np.column_stack([np.sin(angle), np.cos(angle)])
