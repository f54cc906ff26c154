import polars as pl

from pipelines.forecasts.champion import champions


def test_the_champion_has_the_smallest_error_and_the_earlier_type_wins_ties() -> None:
    rows = [("a", 0, 10.0), ("b", 0, 12.0), ("a", 1, 9.0), ("b", 1, 10.0), ("a", 2, 8.0), ("b", 2, 12.0)]
    predictions = pl.DataFrame(
        [(kind, s, yhat, 10.0) for kind, s, yhat in rows], schema=["model_type", "s", "yhat", "y"], orient="row"
    )

    found = champions(predictions.with_columns(pl.col("s").cast(pl.Int32)), ["a", "b"], 4)

    assert found["model_type"].to_list() == ["a", "b", "a", "a"]  # series 2 ties, series 3 was never scored
