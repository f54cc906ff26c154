"""The same features as those of pipelines/features/blocks.py, by Polars expressions over a long frame: a second opinion on them.

The whole frame is held: a row a series and day.
"""

import numpy as np
import polars as pl

from assets_config.features import FeatureSet
from pipelines.features.panel import GROUPS, STOCKED_OUT, Panel, demand


def feature_frame(panel: Panel, feature_set: FeatureSet, targets: pl.DataFrame) -> pl.DataFrame:
    """The features of each row of `targets` (s, day, step: numbers), in the order and with the names of the feature set.

    A feature that is not known is null.
    """
    wanted = feature_set
    long = _long(panel)
    rows = targets.select(pl.col("s", "day", "step").cast(pl.Int64)).with_columns(
        origin=pl.col("day") - pl.col("step"),
        same=pl.col("day") - 7 * ((pl.col("step") + 6) // 7),  # the last day of the target's weekday up to the origin
        **{name: pl.Series(panel.groups[:, n].astype(np.int64)).gather(targets["s"].to_numpy()) for n, name in enumerate(GROUPS)},
    )
    y = pl.col("y")
    at_origin = {f"lag_{n}": y.shift(n).over("s") for n in wanted.lags}
    at_origin |= {f"{what}_{n}": _rolling(what, n).over("s") for what, windows in wanted.rolling.items() for n in windows}
    at_origin |= {f"stockout_share_{n}": pl.col("out").rolling_sum(n, min_samples=1).over("s") / n for n in wanted.stockout_share}
    rows = _joined(rows, long, ["s"], "origin", at_origin)
    weekly = {f"weekday_mean_{n}": y.rolling_mean(n, min_samples=1).over("s", pl.col("day") % 7) for n in wanted.weekday_mean}
    rows = _joined(rows, long, ["s"], "same", weekly)
    for lag in wanted.target_lags:
        shifted = rows.with_columns(at=pl.col("day") - lag)
        rows = _joined(shifted, long, ["s"], "at", {f"target_lag_{lag}": y}).drop("at")
    for group in {*wanted.group_mean, *wanted.group_weekday_mean}:
        keys = group.split("_")
        means = long.group_by(*keys, "day").agg(y.mean()).sort(*keys, "day")
        windows = {f"{group}_mean_{n}": y.rolling_mean(n, min_samples=1).over(keys) for n in wanted.group_mean.get(group, [])}
        rows = _joined(rows, means, keys, "origin", windows)
        weeks = {
            f"{group}_weekday_mean_{n}": y.rolling_mean(n, min_samples=1).over(*keys, pl.col("day") % 7)
            for n in wanted.group_weekday_mean.get(group, [])
        }
        rows = _joined(rows, means, keys, "same", weeks)
    rows = rows.with_columns(pl.lit(panel.first_day).dt.offset_by(pl.format("{}d", "day")).alias("date"))
    rows = rows.with_columns(**{name: CALENDAR[name] for name in wanted.calendar})
    if wanted.events is not None:
        events = pl.Series(panel.event.astype(np.int64))
        for shift in range(-wanted.events.trail, wanted.events.lead + 1):
            place = (rows["day"] + shift).clip(0, len(events) - 1)
            name = "event" if shift == 0 else f"event_in_{shift}" if shift > 0 else f"event_{-shift}_ago"
            rows = rows.with_columns(events.gather(place).alias(name))
    names = [each.name for each in wanted.features(panel.outside_names.tolist())]
    for n, outside in enumerate(panel.outside_names.tolist()):
        if f"outside_{outside}" in names:
            values = panel.outside[n][rows["store"].to_numpy(), rows["day"].to_numpy()]
            rows = rows.with_columns(pl.Series(f"outside_{outside}", values).fill_nan(None))
    rows = _with_prices(rows, panel, wanted)
    s, day = rows["s"].to_numpy(), rows["day"].to_numpy()
    first = pl.Series(np.argmax(~np.isnan(panel.y), axis=1))
    rows = rows.with_columns(
        pl.Series("promotion", panel.promotion[s, day]),
        (pl.col("day") - first.gather(s)).alias("age"),
        **{f"{name}_code": pl.col(name) for name in GROUPS},
    )
    return rows.select(pl.col(name).cast(pl.Float64) for name in names)


def _long(panel: Panel) -> pl.DataFrame:
    series, days = panel.y.shape
    columns = {
        "s": np.repeat(np.arange(series, dtype=np.int64), days),
        "day": np.tile(np.arange(days, dtype=np.int64), series),
        "y": demand(panel).reshape(-1).astype(np.float64),
        "out": (panel.state == STOCKED_OUT).reshape(-1).astype(np.float64),
        **{name: np.repeat(panel.groups[:, n].astype(np.int64), days) for n, name in enumerate(GROUPS)},
    }
    return pl.DataFrame(columns).with_columns(pl.col("y").fill_nan(None))


def _rolling(what: str, days: int) -> pl.Expr:
    y = pl.col("y")
    match what:
        case "mean":
            return y.rolling_mean(days, min_samples=1)
        case "std":
            return y.rolling_std(days, min_samples=1, ddof=0)
        case "min":
            return y.rolling_min(days, min_samples=1)
        case "max":
            return y.rolling_max(days, min_samples=1)
        case "sum":
            return y.rolling_sum(days, min_samples=1)
        case _:
            return (y == 0).cast(pl.Float64).rolling_mean(days, min_samples=1)


def _joined(rows: pl.DataFrame, known: pl.DataFrame, keys: list[str], day: str, columns: dict[str, pl.Expr]) -> pl.DataFrame:
    """Rows with columns of a frame that is sorted by keys and day, as of the day that the column `day` of rows names."""
    if not columns:
        return rows
    made = known.select(*keys, pl.col("day").alias(day), **columns)
    return rows.join(made, on=[*keys, day], how="left", maintain_order="left")


def _with_prices(rows: pl.DataFrame, panel: Panel, wanted: FeatureSet) -> pl.DataFrame:
    series, days = panel.price.shape
    prices = pl.DataFrame(
        {
            "s": np.repeat(np.arange(series, dtype=np.int64), days),
            "day": np.tile(np.arange(days, dtype=np.int64), series),
            "product": np.repeat(panel.groups[:, GROUPS.index("product")].astype(np.int64), days),
            "paid": panel.price.reshape(-1).astype(np.float64),
            "planned": panel.planned.reshape(-1),
        }
    )
    paid = pl.col("paid")
    known = {
        "mean_paid": (paid.cum_sum() / paid.cum_count()).over("s"),
        "max_paid": paid.cum_max().over("s"),
        "paid_7": paid.shift(7).over("s"),
        "paid_28": paid.shift(28).over("s"),
    }
    rows = _joined(rows, prices, ["s"], "origin", known)
    rows = _with_known_price(rows, prices)
    members = prices.select("product", "s").unique()
    others = _with_known_price(rows.select("product", "day", "origin").unique().join(members, on="product"), prices)
    others = others.filter(pl.col("price") > 0).group_by("product", "day", "origin").agg(pl.col("price").mean().alias("others"))
    rows = rows.join(others, on=["product", "day", "origin"], how="left", maintain_order="left")
    under = {
        "to_mean": "mean_paid",
        "to_max": "max_paid",
        "change_7": "paid_7",
        "change_28": "paid_28",
        "to_other_stores": "others",
    }
    made = {
        f"price_{name}": pl.when(pl.col(of) > 0).then(pl.col("price") / pl.col(of))
        for name, of in under.items()
        if name in wanted.price
    }
    return rows.with_columns(**made)


def _with_known_price(rows: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """`price`, that of each row's day as known at its origin: of the last day up to it that was planned, or of the origin."""
    planned = pl.when("planned").then("day").forward_fill().over("s")
    rows = _joined(rows, prices, ["s"], "day", {"last": planned}).with_columns(at=pl.max_horizontal("last", "origin"))
    return _joined(rows, prices, ["s"], "at", {"price": pl.col("paid")}).drop("last", "at")


DAY = pl.col("date")
ANGLE = 2 * np.pi / 365.25 * DAY.dt.ordinal_day()
WEEKDAY, MONTH = DAY.dt.weekday().cast(pl.Int64) - 1, DAY.dt.month().cast(pl.Int64)
CALENDAR = {
    "weekday": WEEKDAY,
    "day_of_month": DAY.dt.day(),
    "week": DAY.dt.week(),
    "month": MONTH,
    "quarter": DAY.dt.quarter(),
    "year": DAY.dt.year(),
    "is_weekend": WEEKDAY >= 5,
    "is_month_end": DAY.dt.month_end() == DAY,
    "weekday_sin": (2 * np.pi * WEEKDAY / 7).sin(),
    "weekday_cos": (2 * np.pi * WEEKDAY / 7).cos(),
    "month_sin": (2 * np.pi * MONTH / 12).sin(),
    "month_cos": (2 * np.pi * MONTH / 12).cos(),
    "year_sin": ANGLE.sin(),
    "year_cos": ANGLE.cos(),
}
