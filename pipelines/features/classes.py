"""What a series is worth and how evenly it sells: ABC of its product, XYZ of its weeks."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pipelines.features.panel import CLOSED, OPEN, Panel

ABC, XYZ = "ABC", "XYZ"
FEWEST_WEEKS = 8
BLOCK = 4096  # series a block, so that no second panel is held


def class_frame(panel: Panel, *, abc: Sequence[float], xyz: Sequence[float], weeks: int) -> pl.DataFrame:
    """abc, xyz, weekly_cv and revenue of each series of the panel, in its order, from its newest weeks.

    abc is that of the product, by its revenue in all stores; xyz and weekly_cv are null where fewer than eight whole weeks on sale
    are known, or nothing was sold.
    """
    pieces = [_weekly(panel, slice(start, start + BLOCK), weeks) for start in range(0, panel.series, BLOCK)]
    revenue, cv = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
    products, codes = np.unique(panel.product_id, return_inverse=True)
    of_product = np.bincount(codes, weights=revenue, minlength=len(products))
    return (
        pl.DataFrame(
            {
                "abc": np.array(list(ABC))[abc_codes(of_product, abc)[codes]],
                "xyz": np.array(list(XYZ))[np.digitize(np.nan_to_num(cv), xyz)],
                "weekly_cv": cv,
                "revenue": np.round(revenue, 2),
            }
        )
        .with_columns(pl.col("weekly_cv").fill_nan(None))
        .with_columns(pl.when(pl.col("weekly_cv").is_not_null()).then("xyz").alias("xyz"))
    )


def abc_codes(revenue: np.ndarray, cuts: Sequence[float]) -> np.ndarray:
    """Class of each item, 0 for A, by the share of the revenue of those before it; ties go by place.

    An item that earned nothing is of the last class, and moves no other.
    """
    order = np.argsort(-revenue, kind="stable")
    earned = np.maximum(revenue[order], 0)
    total = earned.sum()
    before = np.cumsum(earned) - earned
    share = before / total if total > 0 else np.ones(len(revenue))
    codes = np.empty(len(revenue), dtype=np.int8)
    codes[order] = np.where(earned > 0, np.digitize(share, cuts), len(cuts))
    return codes


def _weekly(panel: Panel, rows: slice, weeks: int) -> tuple[np.ndarray, np.ndarray]:
    """Revenue, and the coefficient of variation of the demand of whole weeks on sale; NaN where they say too little.

    A day of the week on which the store is closed as a rule is no gap in its weeks; any other closed day is.
    """
    days = min(weeks, panel.days // 7) * 7
    y = panel.y[rows, panel.days - days :].astype(np.float64)
    price = panel.price[rows, panel.days - days : panel.days]
    revenue = np.nansum(y * np.nan_to_num(price), axis=1)
    state = panel.state[rows, panel.days - days :].reshape(len(y), -1, 7)
    is_open, closed = state == OPEN, state == CLOSED
    traded = is_open.any(axis=2, keepdims=True)  # weeks without an open day tell no rule
    rule = (closed & traded).sum(axis=1, keepdims=True) > (is_open & traded).sum(axis=1, keepdims=True)
    sums = np.where(is_open | (closed & rule), y.reshape(state.shape), np.nan).sum(axis=2)
    counted = ~np.isnan(sums) & traded[:, :, 0]
    n = counted.sum(axis=1)
    known = np.where(counted, sums, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = known.sum(axis=1) / n
        sd = np.sqrt(np.where(counted, np.square(sums - mean[:, None]), 0).sum(axis=1) / n)
        cv = sd / mean
    return revenue, np.where((n >= FEWEST_WEEKS) & (mean > 0), cv, np.nan)
