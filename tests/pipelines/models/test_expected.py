"""A sum of series is expected to follow the calendar, its level of late, and a little of last year's surprises."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.features.panel import Panel
from pipelines.models import expected as regression
from pipelines.models.expected import ECHO, WEEK_SHARE, expected
from tests.pipelines.panels import panel_of

DAYS, HORIZON = 1100, 28
DAY = np.arange(DAYS + HORIZON)


def panel(**fields: object) -> Panel:
    return panel_of(np.ones((1, DAYS)), **fields)


def test_paydays_and_the_days_around_a_feast_are_met() -> None:
    dates = [date(2024, 1, 1) + timedelta(days=n) for n in range(DAYS + 90)]
    event = np.array([day.day == 10 and day.month % 3 == 1 for day in dates]).astype(np.int16)
    assert event[DAYS : DAYS + HORIZON].any()
    y = np.array([1000.0 + 300 * (day.day in (1, 15)) for day in dates])
    y *= np.where(event == 1, 0.5, 1) * np.where(np.roll(event, -1) == 1, 1.6, 1) * np.where(np.roll(event, 1) == 1, 0.8, 1)

    found = expected(panel(event=event, event_names=np.array(["Feast"])), 0, y[:DAYS], HORIZON)

    np.testing.assert_allclose(found, y[DAYS : DAYS + HORIZON], rtol=0.1)
    plain = np.full(HORIZON, 1000.0)
    assert np.abs(found - y[DAYS : DAYS + HORIZON]).sum() < 0.2 * np.abs(plain - y[DAYS : DAYS + HORIZON]).sum()


def test_benefits_weigh_otherwise_on_each_weekday() -> None:
    outside = np.zeros((1, 1, DAYS + 90), np.float32)
    outside[0, 0, np.arange(DAYS + 90) % 9 < 4] = 7  # its unit does not matter
    on = outside[0, 0, : DAYS + HORIZON] > 0
    y = 1000 * np.where(on & (DAY % 7 == 2), 1.5, 1) * np.where(on, 1.1, 1)

    found = expected(panel(outside=outside, outside_names=np.array(["snap"])), 0, y[:DAYS], HORIZON)

    np.testing.assert_allclose(found, y[DAYS:], rtol=0.04)


def test_a_level_that_changed_is_followed_within_weeks() -> None:
    y = np.where(DAY < DAYS - 28, 1000.0, 1500.0)

    found = expected(panel(), 0, y[:DAYS], HORIZON)

    assert (found > 1350).all()
    assert (found < 1700).all()


def test_half_of_a_week_that_changed_and_an_echo_of_a_surprise_come_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression, "_fitted", lambda terms, total, is_open: np.full(len(terms), 1000.0))
    y = np.full(DAYS, 1000.0)
    y[DAYS - 364 + 5] = 1300.0  # the sixth day ahead, a year before
    sunday = y.copy()
    sunday[DAYS % 7 :: 7] *= 1.21  # what is the first weekday ahead

    surprised, changed = (expected(panel(), 0, each, HORIZON) for each in (y, sunday))

    factor = surprised / np.delete(surprised, 5).mean()
    assert factor[5] == pytest.approx(1.3**ECHO, rel=0.01)
    assert np.delete(factor, 5) == pytest.approx(1, rel=0.01)
    others = np.delete(changed, np.r_[0:28:7, 5]).mean()
    assert changed[0] / others == pytest.approx(1.21 ** (WEEK_SHARE + ECHO), rel=0.01)


def test_the_regression_is_least_squares_with_doubt_as_rows_of_zero() -> None:
    draw = np.random.default_rng(5)
    terms = np.column_stack([np.ones(800), draw.integers(0, 2, (800, 8)), draw.normal(size=(800, 4)), np.ones(800)])
    total, is_open = draw.uniform(50, 90, 772), draw.random(772) < 0.9
    root = np.sqrt(is_open * 0.5 ** (np.arange(772, 0, -1) / regression.HALF))
    doubt = np.sqrt(np.diag([1e-6, *[regression.RIDGE / 10] * 6, *[regression.RIDGE] * 6]))
    rows = np.vstack([terms[:772, :-1] * root[:, None], doubt])  # the last term never varies: it says nothing
    found = np.linalg.lstsq(rows, np.concatenate([np.log1p(total) * root, np.zeros(13)]))[0]

    np.testing.assert_allclose(regression._fitted(terms, total, is_open), np.expm1(terms[:, :-1] @ found), rtol=1e-6)


@pytest.mark.parametrize(
    ("total", "why"),
    [
        (np.zeros(DAYS), "nothing was ever sold"),
        (np.r_[np.zeros(DAYS - 700), np.ones(700)], "under two years since the first sale"),
        (np.r_[np.ones(DAYS - 28), np.zeros(28)], "closed for four weeks"),
    ],
)
def test_of_too_little_nothing_is_expected(total: np.ndarray, why: str) -> None:
    assert np.isnan(expected(panel(), 0, total, HORIZON)).all(), why


@settings(deadline=None, max_examples=25)
@given(arrays(np.float64, 760, elements=st.sampled_from([0.0, 0.001, 1.0, 7.0, 1e9])), st.sampled_from([1, 28, 90, 400]))
def test_whatever_was_sold_the_expected_is_a_number_above_zero(total: np.ndarray, horizon: int) -> None:
    found = expected(panel_of(np.ones((1, 760))), 0, total, horizon)

    assert found.shape == (horizon,)
    assert np.isnan(found).all() or (np.isfinite(found) & (found >= 0)).all()


def test_the_same_sum_gives_the_same_bytes() -> None:
    y = np.random.default_rng(1).poisson(300, DAYS).astype(float)

    first, again = (expected(panel(), 0, y.copy(), HORIZON) for _ in range(2))

    assert first.tobytes() == again.tobytes()
