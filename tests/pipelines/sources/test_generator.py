"""The generator makes the same rows of the same knobs, and more of one kind leaves the others alone."""

from typing import Any

import polars as pl

from assets_config.declared import Generator
from pipelines.sources.generator import generate

KNOBS: dict[str, Any] = {"name": "tiny", "about": "for a test", "stores": 3, "products": 4, "days": 90}


def sales(**knobs: Any) -> pl.DataFrame:
    return generate(Generator(**{**KNOBS, **knobs})).raw_sales


def test_the_same_knobs_give_the_same_rows() -> None:
    assert sales().equals(sales())
    assert not sales().equals(sales(seed=43))


def test_more_stores_do_not_change_the_first_ones() -> None:
    wide = sales(stores=5)

    assert (
        wide.filter(pl.col("store").is_in(["S001", "S002", "S003"]))
        .sort("store", "product", "date")
        .equals(sales().sort("store", "product", "date"))
    )


def test_rows_are_unique_bounded_and_priced_to_the_cent() -> None:
    made = sales()

    assert not made.select("store", "product", "date").is_duplicated().any()
    assert made["quantity"].min() >= 0  # type: ignore[operator]
    for row in made.iter_rows(named=True):
        assert abs(row["total_amount"] - row["quantity"] * row["unit_price"]) < 1


def test_stockouts_are_days_without_a_row() -> None:
    assert sales(stockout_share=0.0).height == 3 * 4 * 90
    assert sales(stockout_share=0.3).height < 3 * 4 * 90 * 0.8
