"""One row a day, from the first day of sales to 90 days after the last."""

from datetime import date, timedelta

import polars as pl

DAYS_AHEAD = 90


def dim_calendar(first: date, last: date, holidays: pl.DataFrame) -> pl.DataFrame:
    """The columns of contract.catalogue.DimCalendar for first .. last + 90 days.

    `holidays` has date and holiday_name (null where a day has none); names of one day are joined with a comma.
    """
    days = pl.DataFrame({"date": pl.date_range(first, last + timedelta(days=DAYS_AHEAD), "1d", eager=True)})
    named = (
        holidays.drop_nulls(["date", "holiday_name"])
        .unique(["date", "holiday_name"])
        .sort("date", "holiday_name")
        .group_by("date", maintain_order=True)
        .agg(pl.col("holiday_name").str.join(", "))
    )
    day = pl.col("date").dt
    return (
        days.join(named, on="date", how="left")
        .select(
            "date",
            (day.weekday() - 1).cast(pl.Int64).alias("day_of_week"),
            day.month().cast(pl.Int64).alias("month"),
            day.quarter().cast(pl.Int64).alias("quarter"),
            day.year().cast(pl.Int64).alias("year"),
            pl.col("holiday_name").is_not_null().alias("is_holiday"),
            "holiday_name",
        )
        .sort("date")
    )
