"""The explanation table: it explains what is published, says how sure it is, and what limits it."""

from pathlib import Path

import duckdb
import msgspec
import numpy as np
import polars as pl
import pytest

from assets_config.contract.explanations import CAVEATS, DRIVERS, ForecastExplanation, Part
from assets_config.segments import segment_rules
from pipelines.features.panel import DISCONTINUED, STOCKED_OUT
from pipelines.features.patterns import segment_frame
from pipelines.forecasts.explanations.parts import parts
from pipelines.forecasts.explanations.table import caveats, confidence, explanation_frame, not_adding_up
from pipelines.publish.frames import fields
from pipelines.warehouse import Warehouse
from tests.pipelines.panels import panel_of

KEYS = ["store_id", "product_id"]


def test_every_published_series_is_explained_by_parts_that_add_up(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    ahead = warehouse.read("forecasts/forecast").filter(source="forecast")
    found = warehouse.read("forecasts/forecast_explanation")

    sums = ahead.group_by(KEYS).agg(pl.col("yhat").sum(), pl.col("date").max().alias("end_date"), pl.first("model_version"))
    first = ahead.filter(step=1).select(*KEYS, "yhat", pl.col("date").alias("end_date"), "model_version")

    for span, expected in (("horizon", sums), ("next_day", first)):
        both = found.filter(span=span).join(expected, on=KEYS, how="full", suffix="_of_forecast")
        assert both.height == sums.height
        assert both["yhat"].to_list() == pytest.approx(both["yhat_of_forecast"].to_list())
        assert both["end_date"].to_list() == both["end_date_of_forecast"].to_list()
        assert both["model_version"].to_list() == both["model_version_of_forecast"].to_list()
    for text, yhat in found.select("parts", "yhat").iter_rows():
        listed = msgspec.json.decode(text, type=list[Part])
        assert sum(each.units for each in listed) == pytest.approx(yhat, rel=1e-5, abs=1e-5)


def test_parts_that_do_not_add_up_are_found(demo_root: Path) -> None:
    found = Warehouse(demo_root).read("forecasts/forecast_explanation")
    wrong = found.with_columns(pl.when(pl.int_range(pl.len()) == 3).then(pl.col("yhat") + 1).otherwise("yhat").alias("yhat"))

    assert not_adding_up(found).is_empty()
    assert not_adding_up(wrong)["summary"].to_list() == [found["summary"][3]]
    assert not_adding_up(found.head(1).with_columns(parts=pl.lit("[]"), yhat=pl.lit(2.0))).height == 1


@pytest.mark.parametrize(
    ("band", "limits", "expected"),
    [
        (0.4, [], "high"),
        (1.0, ["INTERMITTENT"], "high"),
        (1.01, [], "medium"),
        (2.0, [], "medium"),
        (2.1, [], "low"),
        (None, [], "low"),
        (0.4, ["FEW_DAYS"], "low"),
        (0.4, ["NOT_BACKTESTED", "INTERMITTENT"], "low"),
    ],
)
def test_confidence_follows_the_band(band: float | None, limits: list[str], expected: str) -> None:
    assert confidence(band, limits) == expected


def test_caveats_say_what_limits_a_series() -> None:
    y, state = np.full((6, 100), 4.0), np.zeros((6, 100), dtype=np.int8)
    y[1, :70] = np.nan
    y[2, ::2], y[2, 1::4] = 0, 0
    y[3] = 0
    state[1, :70] = 1
    state[4, -28], state[4, -60] = STOCKED_OUT, STOCKED_OUT
    state[5, -1] = DISCONTINUED
    panel = panel_of(y, state=state)
    types = ["ets", "ets", "sba", "naive", "prophet_like", "ets"]
    champion = pl.DataFrame({"model_type": types, "absolute_error": [1.0, None, 1.0, 1.0, 1.0, 1.0]})

    found = caveats(panel, champion, segment_frame(panel, segment_rules()), np.array([False, False, False, False, False, True]))

    assert found == [
        [],
        ["NOT_BACKTESTED", "FEW_DAYS"],
        ["INTERMITTENT"],
        ["NO_DEMAND"],
        ["RECENT_STOCKOUTS", "SHARE_OF_SUM"],
        ["NOT_ON_SALE", "PARTS_FAILED"],
    ]
    assert {code for each in found for code in each} == set(CAVEATS)


def test_one_sentence_says_it_all() -> None:
    """Four units a day for a year, forecast to be five, with a band from 4 to 6."""
    panel = panel_of(np.full((1, 364), 4.0))
    forecast = pl.DataFrame(
        {
            "store_id": [1, 1],
            "product_id": [1, 1],
            "source": ["forecast"] * 2,
            "step": [1, 2],
            "yhat": [5.0, 5.0],
            "q10": [4.0, 4.0],
            "q90": [6.0, 6.0],
            "model_type": ["naive"] * 2,
            "model_version": ["ab"] * 2,
        }
    )
    champion = pl.DataFrame({"model_type": ["naive"], "absolute_error": [1.0]})

    found = explanation_frame(
        panel, forecast, champion, segment_frame(panel, segment_rules()), parts(panel, np.array([[5.0, 5.0]]))
    )

    assert found["summary"].to_list() == [
        "5.00 units are forecast on 2024-12-30: 4.00 as usual, recent sales +1.00; high confidence.",
        "10.00 units are forecast from 2024-12-30 to 2024-12-31: 8.00 as usual, recent sales +2.00; high confidence.",
    ]
    assert found["band"].to_list() == [0.4, 0.4]
    assert msgspec.json.decode(found["parts"][0], type=list[Part]) == [
        Part("usual", 4.0, "USUAL_LEVEL"),
        Part("recent_sales", 1.0, "RECENT_SALES_RAISES"),
    ]


@pytest.mark.parametrize("selling", [0, 1], ids=["none sells", "only the last sells"])
def test_series_that_are_forecast_to_sell_nothing_are_explained_too(selling: int) -> None:
    count = 120  # more than Polars reads to guess the type of a column
    yhat = np.zeros((count, 2))
    yhat[count - selling :] = 5
    panel = panel_of(np.repeat(yhat[:, :1], 60, axis=1), store_id=np.arange(count), product_id=np.arange(count))
    forecast = pl.DataFrame({"store_id": np.repeat(np.arange(count), 2), "yhat": yhat.reshape(-1)}).with_columns(
        product_id="store_id",
        source=pl.lit("forecast"),
        step=pl.Series([1, 2] * count),
        q10=pl.col("yhat") * 0.5,
        q90=pl.col("yhat") * 1.5,
        model_type=pl.lit("naive"),
        model_version=pl.lit("ab"),
    )
    champion = pl.DataFrame({"model_type": ["naive"] * count, "absolute_error": [0.0] * count})

    found = explanation_frame(panel, forecast, champion, segment_frame(panel, segment_rules()), parts(panel, yhat))

    with duckdb.connect() as connection:
        described = connection.sql("DESCRIBE SELECT * FROM found").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == [(each.name, each.sql_type) for each in fields(ForecastExplanation)]
    for span in ("next_day", "horizon"):
        assert found.filter(span=span)["band"].to_list() == [None] * (count - selling) + [1.0] * selling


@pytest.mark.parametrize(("word", "meaning"), [*DRIVERS.items(), *CAVEATS.items()])
def test_every_driver_and_caveat_is_documented(word: str, meaning: str) -> None:
    line = f"| `{word}` | {meaning} |"

    assert line in (Path(__file__).parents[4] / "docs/explanations.md").read_text(), f"docs/explanations.md: write\n{line}"
