"""What the calendar says of each day, beside a loop that asks the standard library."""

from datetime import date, timedelta

import numpy as np

from pipelines.models.calendar_terms import AROUND_EVENTS, BENDS, MONTHDAYS, WEEK_TERMS, terms
from tests.pipelines.panels import panel_of

FIRST = date(2024, 1, 29)  # a Monday; February has 29 days


def test_every_day_has_its_weekday_date_events_outside_and_line() -> None:
    event = np.zeros(130, np.int16)
    event[[20, 22]] = 2, 1
    outside = np.zeros((1, 1, 130), np.float32)
    outside[0, 0, ::3] = 5
    names = {"event_names": np.array(["Fair", "Feast"]), "outside_names": np.array(["snap"])}
    panel = panel_of(np.ones((1, 40)), first_day=FIRST, event=event, outside=outside, **names)

    found = terms(panel, 0, 30, 28)

    assert found.shape[0] == 58
    for row, n in zip(found, range(10, 68), strict=True):
        day = FIRST + timedelta(days=n)
        weekday = [float(day.toordinal() % 7 == each) for each in range(1, 7)]
        waves = [f(2 * np.pi * day.toordinal() * k / 365.25) for k in (1, 2) for f in (np.sin, np.cos)]
        said = [1.0, *weekday, *waves, *(each * wave for wave in waves for each in weekday)]
        said += [float(day.day == each) for each in MONTHDAYS]
        said += [float(event[n + shift] == name) for shift in AROUND_EVENTS for name in (1, 2)]
        is_on = float(n % 3 == 0)
        said += [is_on, *(is_on * each for each in weekday)]
        said += [(n - 40) / 365.25, *(max((n - 40) / 365.25, bend) for bend in BENDS)]
        np.testing.assert_allclose(row, said, atol=1e-6)
        np.testing.assert_array_equal(row[WEEK_TERMS], weekday)


def test_days_past_what_is_known_repeat_its_last() -> None:
    panel = panel_of(np.ones((1, 40)), event=np.arange(130, dtype=np.int16) // 129, event_names=np.array(["Fair"]))

    found = terms(panel, 0, 30, 120)

    assert np.isfinite(found).all()
    for n, shift in enumerate(AROUND_EVENTS):
        column = found[:, 1 + 6 + 4 + 24 + 31 + n]
        np.testing.assert_array_equal(column, np.arange(150) >= 119 - shift)  # the last known day is row 119
