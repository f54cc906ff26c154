"""Panels that a test writes down itself."""

from datetime import date
from typing import Any

import numpy as np

from pipelines.features.panel import AHEAD, GROUPS, Panel


def panel_of(y: np.ndarray, *, first_day: date = date(2024, 1, 1), **fields: Any) -> Panel:
    """A panel of demand alone: one store, each series a product of its own, price 2, always on sale."""
    series, days = y.shape
    given: dict[str, Any] = {
        "first_day": first_day,
        "store_id": np.ones(series, dtype=np.int64),
        "product_id": np.arange(1, series + 1),
        "groups": np.zeros((series, len(GROUPS)), dtype=np.int32),
        "y": y.astype(np.float32),
        "state": np.zeros(y.shape, dtype=np.int8),
        "price": np.full((series, days + AHEAD), 2.0, dtype=np.float32),
        "planned": np.zeros((series, days + AHEAD), dtype=bool),
        "promotion": np.zeros((series, days + AHEAD), dtype=np.uint8),
        "event": np.zeros(days + AHEAD, dtype=np.int16),
        "event_names": np.array([], dtype=np.str_),
        "outside": np.zeros((0, 1, days + AHEAD), dtype=np.float32),
        "outside_names": np.array([], dtype=np.str_),
    }
    return Panel(**{**given, **fields})


def rich_panel(series: int = 12, days: int = 420, seed: int = 3) -> Panel:
    """Two regions, three stores, launches, stock-outs, planned and paid prices, promotions, events and a series from outside."""
    draw = np.random.default_rng(seed)
    y = draw.poisson(4, (series, days)).astype(np.float32)
    y[draw.random(y.shape) < 0.3] = 0
    for s in range(0, series, 3):
        y[s, : draw.integers(1, days // 2)] = np.nan
    state = np.where(np.isnan(y), 1, 0).astype(np.int8)
    state[(draw.random(y.shape) < 0.05) & ~np.isnan(y)] = 3
    end = days + AHEAD
    price = np.round(draw.uniform(1, 9, (series, 1)) * draw.choice([0.8, 1.0, 1.0, 1.1], (series, end)), 2).astype(np.float32)
    places = np.arange(series)
    planned = np.repeat(draw.random((series, 1)) < 0.5, end, axis=1)
    planned[::4] = np.arange(end) // 11 % 3 == 0  # for some days only
    groups = np.stack([places % 3, places // 3 % 2, places // 3 % 4, places // 3, places % 3 // 2], axis=1).astype(np.int32)
    return panel_of(
        y,
        groups=groups,
        state=state,
        price=price,
        planned=planned,
        promotion=(draw.integers(1, 40, (series, end)) * (draw.random((series, end)) < 0.1)).astype(np.uint8),
        event=(draw.integers(1, 4, end) * (draw.random(end) < 0.05)).astype(np.int16),
        event_names=np.array(["Easter", "Fair", "Rally"]),
        outside=np.where(draw.random((2, 3, end)) < 0.2, np.nan, draw.normal(size=(2, 3, end))).astype(np.float32),
        outside_names=np.array(["snap_x", "temperature"]),
    )
