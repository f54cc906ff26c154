"""Stores and products keep their ids, and a day is told once."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.core.calendar import dim_calendar
from pipelines.core.dimensions import dim_product, dim_store
from pipelines.errors import SourceError
from pipelines.sources.columns import PLACE, RAW

NOBODY = pl.Series([], dtype=pl.String)


def stores(*codes: str, **columns: list[str | None]) -> pl.DataFrame:
    names = [column.name for column in (*RAW["raw_stores"], *PLACE)]
    known = pl.DataFrame({"code": list(codes), **columns}, schema_overrides=dict.fromkeys(["code", *columns], pl.String))
    return known.with_columns(pl.lit(None, pl.String).alias(name) for name in names if name not in known.columns)


@given(st.lists(st.sets(st.sampled_from("ABCDEFGH"), min_size=1), min_size=1, max_size=6))
def test_an_id_once_given_never_changes_while_the_store_stays(loads: list[set[str]]) -> None:
    previous = None
    for codes in loads:
        made = dim_store(stores(*sorted(codes, reverse=True)), NOBODY, previous)

        assert set(made["code"]) == codes
        assert not made["store_id"].is_duplicated().any()
        assert made["store_id"].is_sorted()
        known = dict(previous.select("code", "store_id").iter_rows()) if previous is not None else {}
        assert all(known.get(code, identity) == identity for code, identity in made.select("code", "store_id").iter_rows())
        previous = made


def test_first_ids_follow_the_order_of_codes() -> None:
    made = dim_store(stores("C", "A", "B"), NOBODY, None)

    assert made.select("store_id", "code").rows() == [(1, "A"), (2, "B"), (3, "C")]


def test_of_two_rows_with_one_code_the_last_holds() -> None:
    made = dim_store(stores("A", "A", name=["old", "new"]), NOBODY, None)

    assert made.select("code", "name").rows() == [("A", "new")]


def test_a_store_without_a_name_is_called_by_its_code() -> None:
    made = dim_store(stores("A", "B", name=[None, "Bee"]), NOBODY, None)

    assert made["name"].to_list() == ["A", "Bee"]


def test_without_any_store_or_product_the_error_says_which() -> None:
    products = pl.DataFrame(schema={column.name: pl.String for column in (*RAW["raw_products"], *PLACE)})

    with pytest.raises(SourceError, match="no store at all"):
        dim_store(stores(), NOBODY, None)
    with pytest.raises(SourceError, match="no product at all"):
        dim_product(products, NOBODY, None)


def test_holidays_of_one_day_are_joined_and_days_told_once() -> None:
    named = pl.DataFrame(
        {"date": [date(2024, 1, 2)] * 3 + [date(2024, 1, 3), None], "holiday_name": ["b", "a", "b", None, "lost"]},
        schema={"date": pl.Date, "holiday_name": pl.String},
    )

    made = dim_calendar(date(2024, 1, 1), date(2024, 1, 3), named)

    assert made.height == 3 + 90
    assert not made["date"].is_duplicated().any()
    assert made.head(3).select("is_holiday", "holiday_name").rows() == [(False, None), (True, "a, b"), (False, None)]
    assert made["day_of_week"].head(3).to_list() == [0, 1, 2]
