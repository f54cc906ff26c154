"""Features: the same by other means, windows that end at the origin, and a row that can be recomputed by hand."""

from collections.abc import Callable

import msgspec
import numpy as np
import polars as pl
import pytest

from assets_config.declared import load_declarations
from assets_config.features import Events, FeatureSet
from pipelines.features.blocks import Blocks
from tests.pipelines.features.frame import feature_frame
from tests.pipelines.panels import panel_of, rich_panel

EVERYTHING = FeatureSet(
    name="everything",
    about="each feature that there is",
    lags=[0, 1, 7, 28, 365],
    rolling={name: [1, 7, 28, 91] for name in ("mean", "std", "min", "max", "sum", "zero_share")},
    weekday_mean=[1, 4, 52],
    target_lags=[91, 364],
    group_mean={"product": [7], "store": [28], "department_store": [7, 28]},
    group_weekday_mean={"department_store": [4], "product": [2]},
    stockout_share=[7, 28],
    calendar=[
        *("weekday", "day_of_month", "week", "month", "quarter", "year", "is_weekend", "is_month_end"),
        *("weekday_sin", "weekday_cos", "month_sin", "month_cos", "year_sin", "year_cos"),
    ],
    events=Events(lead=2, trail=3),
    outside=["*"],
    price=["price", "to_mean", "to_max", "change_7", "change_28", "to_other_stores"],
    promotion=True,
    ids=["store", "category", "department", "product", "region"],
    age=True,
    step=True,
)


@pytest.mark.parametrize("feature_set", [EVERYTHING, load_declarations().feature_sets["demand"]], ids=lambda each: each.name)
@pytest.mark.parametrize("seed", range(3))
def test_other_means_give_the_same_numbers(feature_set: FeatureSet, seed: int) -> None:
    panel, draw = rich_panel(seed=seed), np.random.default_rng(seed)
    blocks = Blocks(panel, feature_set)
    series = np.array([5, 0, 11, 2])
    days = np.sort(draw.choice(np.arange(20, panel.days + 28), 40, replace=False))
    steps = np.maximum(draw.integers(1, 20, len(days)), days - panel.days + 1)

    fast = blocks.features(series, days, steps)
    targets = pl.DataFrame(
        {"s": np.repeat(series, len(days)), "day": np.tile(days, len(series)), "step": np.tile(steps, len(series))}
    )
    slow = feature_frame(panel, feature_set, targets)

    assert slow.columns == blocks.names
    for n, name in enumerate(blocks.names):
        np.testing.assert_allclose(fast[:, n], slow[name].cast(pl.Float64).to_numpy(), rtol=2e-5, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("change", [lambda y: y * 4096, lambda y: y + 0.25], ids=["large numbers", "fractions"])
def test_large_numbers_and_fractions_are_summed_without_loss(change: Callable[[np.ndarray], np.ndarray]) -> None:
    panel = rich_panel()
    panel = msgspec.structs.replace(panel, y=change(panel.y))
    blocks, series, days = Blocks(panel, EVERYTHING), np.arange(4), np.array([70, 200, 300, 419])
    targets = pl.DataFrame({"s": np.repeat(series, 4), "day": np.tile(days, 4), "step": np.full(16, 7)})

    fast, slow = blocks.features(series, days, np.full(4, 7)), feature_frame(panel, EVERYTHING, targets)

    for n, name in enumerate(blocks.names):
        np.testing.assert_allclose(fast[:, n], slow[name].cast(pl.Float64).to_numpy(), rtol=2e-5, atol=2e-5, err_msg=name)


def test_days_that_follow_each_other_give_what_single_days_give() -> None:
    panel = rich_panel()
    blocks, series = Blocks(panel, EVERYTHING), np.arange(panel.series)
    days = np.arange(100, 130)

    together = blocks.features(series, days, np.full(30, 7)).reshape(panel.series, 30, -1)

    for n, day in enumerate(days):
        np.testing.assert_array_equal(together[:, n], blocks.features(series, np.array([day]), np.array([7])))


def test_a_row_can_be_recomputed_by_hand() -> None:
    y = np.arange(60, dtype=np.float32)[None, :] % 9
    feature_set = FeatureSet(
        name="few",
        about="",
        lags=[0, 7],
        rolling={"mean": [7], "zero_share": [28]},
        weekday_mean=[2],
        calendar=["weekday"],
        age=True,
        step=True,
    )
    blocks = Blocks(panel_of(y), feature_set)

    [row] = blocks.features(np.array([0]), np.array([50]), np.array([10]))

    values = dict(zip(blocks.names, row.tolist(), strict=True))
    assert values["lag_0"] == 40 % 9
    assert values["lag_7"] == 33 % 9
    assert values["mean_7"] == pytest.approx(sum(day % 9 for day in range(34, 41)) / 7)
    assert values["zero_share_28"] == pytest.approx(sum(day % 9 == 0 for day in range(13, 41)) / 28)
    assert values["weekday_mean_2"] == (36 % 9 + 29 % 9) / 2  # 50 - 14 is the last same weekday up to day 40
    assert values["weekday"] == 50 % 7  # 2024-01-01 is a Monday
    assert (values["age"], values["step"]) == (50, 10)


def test_only_what_is_known_ahead_moves_when_the_future_does() -> None:
    panel, cutoff = rich_panel(), 300
    blocks = Blocks(panel.until(cutoff), EVERYTHING)
    days, steps = np.arange(cutoff, cutoff + 28), np.arange(1, 29)
    spoiled = msgspec.structs.replace(panel, y=panel.y.copy(), state=panel.state.copy(), price=panel.price.copy())
    spoiled.y[:, cutoff:], spoiled.state[:, cutoff:] = 1e9, 3
    spoiled.price[:, cutoff:][~panel.planned[:, cutoff:]] = 1e9

    after = Blocks(spoiled.until(cutoff), EVERYTHING)

    series = np.arange(panel.series)
    np.testing.assert_array_equal(blocks.features(series, days, steps), after.features(series, days, steps))


def test_known_ahead_inputs_are_listed_and_do_move() -> None:
    panel, cutoff = rich_panel(), 300
    days, steps, series = np.arange(cutoff, cutoff + 28), np.arange(1, 29), np.arange(panel.series)
    other = msgspec.structs.replace(
        panel, price=panel.price * 3, promotion=panel.promotion + 1, event=panel.event + 1, outside=panel.outside + 1
    )
    before, after = (Blocks(each.until(cutoff), EVERYTHING).features(series, days, steps) for each in (panel, other))

    moved = {
        name
        for n, name in enumerate(Blocks(panel, EVERYTHING).names)
        if not np.array_equal(before[:, n], after[:, n], equal_nan=True)
    }

    classes = {each.name: each.leak for each in EVERYTHING.features(panel.outside_names.tolist())}
    assert moved
    assert {classes[name] for name in moved} == {"known_ahead"}
    assert {"promotion", "event", "outside_snap_x", "price"} <= moved


def test_a_set_is_known_by_its_features_not_by_its_name() -> None:
    renamed = msgspec.structs.replace(EVERYTHING, name="other", about="other")

    assert renamed.hash == EVERYTHING.hash
    assert msgspec.structs.replace(EVERYTHING, step=False).hash != EVERYTHING.hash


def test_a_panel_until_a_day_is_the_panel_that_was_known_then() -> None:
    panel = rich_panel()
    seen = panel.until(200)

    assert seen.days == 200
    np.testing.assert_array_equal(seen.price[:, :200], panel.price[:, :200])
    assert 0 < panel.planned[:, 200:290].mean() < 1
    for s in range(panel.series):
        known = panel.price[s, 199]
        for day in range(200, 290):
            known = panel.price[s, day] if panel.planned[s, day] else known
            assert seen.price[s, day] == known


@pytest.mark.parametrize("step", [1, 14, 60])
def test_a_row_that_is_learned_from_is_the_row_that_was_seen_at_its_origin(step: int) -> None:
    panel, series, day = rich_panel(), np.arange(12), np.array([360])
    origin = 360 - step

    learned = Blocks(panel, EVERYTHING).features(series, day, np.array([step]))
    seen = Blocks(panel.until(origin + 1), EVERYTHING).features(series, day, np.array([step]))

    np.testing.assert_array_equal(learned, seen)


def test_a_price_that_is_paid_after_the_last_plan_ended_is_that_of_its_own_day_on() -> None:
    price = np.full((2, 150), 10, np.float32)
    price[:, 30:40], price[:, 50:] = 7, 5
    planned = np.zeros((2, 150), dtype=bool)
    planned[0, 30:40] = True  # the other store asked for the same on these days, but nobody planned it
    panel = panel_of(np.full((2, 60), 3.0), price=price, planned=planned)
    blocks = Blocks(panel, FeatureSet(name="few", about="", price=["price", "to_other_stores"]))

    rows = [blocks.features(np.arange(2), np.array([day]), np.array([day - 20])) for day in (25, 35, 55)]

    assert [row[:, 0].tolist() for row in rows] == [[10, 10], [7, 10], [7, 10]]
    assert [row[0, 1] for row in rows] == pytest.approx([1, 7 / 8.5, 7 / 8.5])
