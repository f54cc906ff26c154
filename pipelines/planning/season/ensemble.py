"""The weeks of a season by two models, mixed by how well each did on the weeks before."""

from datetime import date

import numpy as np
from msgspec import Struct

from pipelines.features.panel import Panel
from pipelines.models import prophet_like, sarimax

MODELS = {"prophet_like": prophet_like, "sarimax": sarimax}
WEEK = 7
FEWEST = 56  # days to learn from in a backtest


class Season(Struct, frozen=True):
    """The weeks of a season: those of the mix and of each model, and how the models are weighed. [W]"""

    mixed: np.ndarray
    alone: dict[str, np.ndarray]
    weight: dict[str, float]  # together 1
    wape: dict[str, float | None]  # of weeks, in the backtest; None where there are too few days for one


def season(daily: np.ndarray, first_day: date, holiday: np.ndarray, *, gap: int, weeks: int) -> Season:
    """Forecast the weeks that begin `gap` days after the last day of `daily`.

    Each model is also fitted without the last days, as many as are forecast but at most half, and weighed by the inverse of its
    error of their weeks: with equal errors, or none to go by, each has a half.
    """
    horizon = gap + WEEK * weeks
    ahead = {name: _ahead(name, daily, first_day, holiday, horizon) for name in MODELS}
    alone = {name: days[gap:].reshape(weeks, WEEK).sum(axis=1) for name, days in ahead.items()}
    wape = _backtest(daily, first_day, holiday, horizon)
    inverse = {name: None if not each else 1 / each for name, each in wape.items()}
    known = [each for each in inverse.values() if each is not None]
    parts = {
        name: each / sum(known) if each is not None and len(known) == len(MODELS) else 1 / len(MODELS)
        for name, each in inverse.items()
    }
    mixed = np.sum([parts[name] * alone[name] for name in MODELS], axis=0)
    return Season(mixed, alone, parts, wape)


def _backtest(daily: np.ndarray, first_day: date, holiday: np.ndarray, horizon: int) -> dict[str, float | None]:
    weeks = min(horizon, len(daily) // 2) // WEEK
    cut = len(daily) - WEEK * weeks
    if weeks < 1 or cut < FEWEST:
        return dict.fromkeys(MODELS)
    actual = daily[cut:].reshape(weeks, WEEK).sum(axis=1)
    if not actual.sum():
        return dict.fromkeys(MODELS)
    found: dict[str, float | None] = {}
    for name in MODELS:
        said = _ahead(name, daily[:cut], first_day, holiday, WEEK * weeks).reshape(weeks, WEEK).sum(axis=1)
        found[name] = float(np.abs(said - actual).sum() / actual.sum())
    return found


def _ahead(name: str, daily: np.ndarray, first_day: date, holiday: np.ndarray, horizon: int) -> np.ndarray:
    """The days after the last, of one model. [horizon]"""
    panel, model = _panel(daily, first_day, holiday), MODELS[name]
    return model.predict(model.fit(panel, horizon=horizon), panel, horizon=horizon)[0].astype(np.float64)


def _panel(daily: np.ndarray, first_day: date, holiday: np.ndarray) -> Panel:
    """A panel of one series, as far as models of sums look at it."""
    days = len(daily)
    return Panel(
        first_day=first_day,
        store_id=np.array([0]),
        product_id=np.array([0]),
        groups=np.zeros((1, 5), dtype=np.int32),
        y=daily[None].astype(np.float64),
        state=np.zeros((1, days), dtype=np.int8),
        price=np.zeros((1, len(holiday)), dtype=np.float32),
        planned=np.zeros((1, len(holiday)), dtype=bool),
        promotion=np.zeros((1, len(holiday)), dtype=np.uint8),
        event=holiday,
        event_names=np.array([], dtype=np.str_),
        outside=np.zeros((0, 1, len(holiday)), dtype=np.float32),
        outside_names=np.array([], dtype=np.str_),
    )
