"""Windows of days as compiled loops: sums up to each day, once a series, so that a window of any length is one subtraction.

Numba compiles the loops, because numpy does each of their steps as a pass of its own over memory, and holds the interpreter
while it sums up: two threads gain little by it. `benchmarks/features.py` says what both cost (ADR 0011).
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from numba import njit

from assets_config.features import Statistic

Array = np.ndarray[Any, Any]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
MEAN, STD, MIN, MAX, SUM, ZERO_SHARE = (1 + STATISTICS.index(name) for name in ("mean", "std", "min", "max", "sum", "zero_share"))
NOWHERE = -1
KEPT = os.access(Path(__file__).parent, os.W_OK)
"""Whether compiled code is kept, for the next process, where Python keeps its own; a read-only installation compiles anew."""


class Groups(NamedTuple):
    """Rows in groups: those of group g are members[starts[g] : starts[g + 1]], in rising order."""

    members: Array
    starts: Array


def groups_of(codes: Array) -> Groups:
    """The rows of each code, from 0."""
    members = np.argsort(codes, kind="stable")
    return Groups(members, np.searchsorted(codes[members], np.arange(int(codes.max()) + 2)))


def plan(places: Mapping[str, int], windows: Mapping[Statistic, Iterable[int]], name: str) -> Array:
    """Which column takes which statistic of which window: a row a window, its length before the places. int64 [W, 7]

    `name` is how columns are called, as "{statistic}_{window}"; `places` has the number of each column.
    """
    lengths = sorted({window for each in windows.values() for window in each})
    rows = np.full((len(lengths), 1 + len(STATISTICS)), NOWHERE, np.int64)
    rows[:, 0] = lengths
    for statistic, each in windows.items():
        for window in each:
            column = places[name.format(statistic=statistic, window=window)]
            rows[lengths.index(window), 1 + STATISTICS.index(statistic)] = column
    return rows


def put_windows(values: Array, rows: Array, ends: Array, planned: Array, out: Array, *, stride: int = 1) -> None:
    """Statistics of the days end, end - stride, ..., as many as a window is long, written to the columns of a plan.

    Takes    values [n, T], NaN where unknown; rows [R], the row of `values` that each row of `out` is about; ends [D], before T.
    Gives    out [columns, R, D]: NaN where no day of the window is known. Days before the first are not known.
    """
    _check(values, ends)
    if len(planned):
        _windows(np.ascontiguousarray(values), rows, ends, stride, planned, out)


def put_days(values: Array, days: Array, out: Array) -> None:
    """The values of some days, NaN before the first: values [n, T], days [D], before T, to out [n, D]."""
    _check(values, days)
    _days(np.ascontiguousarray(values), days, out)


def put_known(values: Array, planned: Array, rows: Array, days: Array, origins: Array, out: Array) -> None:
    """The values of some days as they were known at their origins: as last planned since, up to the day, else as they were then.

    Takes    values [n, T], which of them are planned, bool [n, T]; rows [R]; days [D], before T; their origins [D], from 0.
    Gives    out [R, D].
    """
    _check(values, days)
    _known(values, planned, rows, days, origins, out)


def put_known_means(values: Array, planned: Array, groups: Groups, wanted: Array, days: Array, origins: Array, out: Array) -> None:
    """The mean of what was known at the origins of the rows of some groups, as put_known has it; values of 0 are none.

    Takes    wanted [R], the number of the group that each row of `out` is about.
    Gives    out [R, D] float64, NaN where no row of the group has a value.
    """
    _check(values, days)
    _known_means(values, planned, groups.members, groups.starts, wanted, days, origins, out)


def _check(values: Array, days: Array) -> None:
    if len(days) and days.max() >= values.shape[1]:
        raise IndexError(f"day {days.max()} lies past the last of {values.shape[1]} days")


@njit(nogil=True, cache=KEPT, error_model="numpy")
def _days(values, days, out):  # type: ignore[no-untyped-def]
    for r in range(values.shape[0]):
        for d in range(len(days)):
            out[r, d] = values[r, days[d]] if days[d] >= 0 else np.nan


@njit(nogil=True, cache=KEPT, error_model="numpy")
def _windows(values, rows, ends, stride, planned, out):  # type: ignore[no-untyped-def]
    days = values.shape[1]
    count, total = np.zeros(days + stride), np.zeros(days + stride)
    squares, zeros = np.zeros(days + stride), np.zeros(days + stride)
    summed = -1
    for r in range(len(rows)):
        row = rows[r]
        if row != summed:
            summed = row
            for t in range(days):
                value, known = values[row, t], 1.0
                if np.isnan(value):
                    value, known = 0.0, 0.0
                count[t + stride] = count[t] + known
                total[t + stride] = total[t] + value
                squares[t + stride] = squares[t] + value * value
                zeros[t + stride] = zeros[t] + (known if value == 0 else 0.0)
        for w in range(len(planned)):
            length = planned[w, 0] * stride
            mean_at, std_at, sum_at, zeros_at = planned[w, MEAN], planned[w, STD], planned[w, SUM], planned[w, ZERO_SHARE]
            for d in range(len(ends)):
                end = max(ends[d] + stride, 0)
                begin = max(end - length, 0)
                known = count[end] - count[begin]
                sold = total[end] - total[begin]
                share = 1 / known
                mean = sold * share
                if mean_at != NOWHERE:
                    out[mean_at, r, d] = mean
                if std_at != NOWHERE:  # rounding may leave a hair less than zero
                    out[std_at, r, d] = np.sqrt(np.float32(abs((squares[end] - squares[begin]) * share - mean * mean)))
                if sum_at != NOWHERE:
                    out[sum_at, r, d] = sold if known > 0 else np.nan
                if zeros_at != NOWHERE:
                    out[zeros_at, r, d] = (zeros[end] - zeros[begin]) * share
            min_at, max_at = planned[w, MIN], planned[w, MAX]
            if min_at != NOWHERE or max_at != NOWHERE:
                for d in range(len(ends)):
                    least, most = np.nan, np.nan
                    for day in range(ends[d], max(ends[d] - length, -1), -stride):
                        least, most = np.fmin(least, values[row, day]), np.fmax(most, values[row, day])
                    if min_at != NOWHERE:
                        out[min_at, r, d] = least
                    if max_at != NOWHERE:
                        out[max_at, r, d] = most


@njit(nogil=True, cache=KEPT, error_model="numpy")
def _known_day(planned, row, day, origin):  # type: ignore[no-untyped-def]
    while day > origin and not planned[row, day]:
        day -= 1
    return day


@njit(nogil=True, cache=KEPT, error_model="numpy")
def _known(values, planned, rows, days, origins, out):  # type: ignore[no-untyped-def]
    for r in range(len(rows)):
        for d in range(len(days)):
            out[r, d] = values[rows[r], _known_day(planned, rows[r], days[d], origins[d])]


@njit(nogil=True, cache=KEPT, error_model="numpy")
def _known_means(values, planned, members, starts, wanted, days, origins, out):  # type: ignore[no-untyped-def]
    count = np.empty(len(days))
    for r in range(len(wanted)):
        out[r], count[:] = 0, 0
        for row in members[starts[wanted[r]] : starts[wanted[r] + 1]]:
            for d in range(len(days)):
                value = values[row, _known_day(planned, row, days[d], origins[d])]
                out[r, d] += value
                count[d] += 1 if value > 0 else 0
        for d in range(len(days)):
            out[r, d] = out[r, d] / count[d] if count[d] > 0 else np.nan
