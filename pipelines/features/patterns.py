"""The demand pattern of a series: how often it sells, and how evenly.

Syntetos and Boylan (2005): the average demand interval is days over days with a sale, and CV^2 the squared coefficient of variation
of the sizes of sales. Up to 1.32 days and 0.49, methods for steady demand are the better ones. Only open days count:
what was not sold before the launch, from an empty shelf or behind a closed door says nothing about demand.
"""

from typing import get_args

import msgspec
import numpy as np
import polars as pl

from assets_config.contract.names import Pattern
from assets_config.segments import SegmentRules
from pipelines.features.classes import class_frame
from pipelines.features.panel import OPEN, Panel

ADI_CUT, CV2_CUT = 1.32, 0.49
PATTERNS: tuple[str, ...] = get_args(Pattern)
SMOOTH, INTERMITTENT, ERRATIC, LUMPY, NO_DEMAND = range(5)
BLOCK = 4096  # series a block, so that no second panel is held


class Patterns(msgspec.Struct, frozen=True):
    """What is known of S series; NaN where undefined."""

    code: np.ndarray  # [S] int8, a position in PATTERNS
    adi: np.ndarray  # [S] days
    cv2: np.ndarray  # [S] ratio
    mean: np.ndarray  # [S] units/day
    days: np.ndarray  # [S] days that count

    @property
    def kind(self) -> np.ndarray:
        """What errors are pooled by: the pattern, and whether more than one unit is sold a day. [S] int8"""
        return self.code * np.int8(2) + (self.mean > 1)


def patterns(panel: Panel) -> Patterns:
    """The pattern of every series from all days of the panel: `panel.until(n)` gives those of a cutoff."""
    pieces = [_sums(panel, slice(start, start + BLOCK)) for start in range(0, panel.series, BLOCK)]
    days, sales, total, squares = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        adi, size, mean = days / sales, total / sales, total / days
        cv2 = np.maximum(squares / sales - size**2, 0) / size**2
    adi[sales == 0] = np.nan
    code = np.where(adi < ADI_CUT, np.where(cv2 < CV2_CUT, SMOOTH, ERRATIC), np.where(cv2 < CV2_CUT, INTERMITTENT, LUMPY))
    code[sales == 0] = NO_DEMAND
    return Patterns(code.astype(np.int8), adi, cv2, mean, days)


def segment_frame(panel: Panel, rules: SegmentRules) -> pl.DataFrame:
    """The columns of contract.sales.SeriesSegment, as of the panel's last day."""
    found = patterns(panel)
    classes = class_frame(panel, abc=rules.abc, xyz=rules.xyz, weeks=rules.weeks)
    said = pl.DataFrame(
        {
            "store_id": panel.store_id,
            "product_id": panel.product_id,
            "pattern": np.array(PATTERNS)[found.code],
            "adi": found.adi,
            "cv2": found.cv2,
            "mean_demand": found.mean,
            "days": found.days,
            "as_of": pl.repeat(panel.day(panel.days - 1), panel.series, dtype=pl.Date, eager=True),
        }
    ).with_columns(pl.col("adi", "cv2", "mean_demand").fill_nan(None))
    return pl.concat([said, classes], how="horizontal")


def _sums(panel: Panel, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Days that count, days with a sale, units and squared units of some series."""
    y = panel.y[rows].astype(np.float64)
    counted = (panel.state[rows] == OPEN) & ~np.isnan(y)
    size = np.where(counted, y, 0)
    return counted.sum(axis=1), (size > 0).sum(axis=1), size.sum(axis=1), (size**2).sum(axis=1)
