"""The parts of a forecast: they add up to it, whatever made it, and say what a planted truth would have them say."""

import math
from functools import partial

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assets_config.contract.explanations import DRIVERS as MEANINGS
from assets_config.declared import load_declarations
from pipelines.features.panel import STOCKED_OUT, Panel
from pipelines.forecasts.explanations.parts import DRIVER_OF, DRIVERS, Contributor, Parts, by_shape, parts, usual
from pipelines.models import xgboost
from pipelines.models.types import module_of
from tests.pipelines.features.test_blocks import EVERYTHING
from tests.pipelines.models.test_every_type import POOLED, TYPES, artifact_of, degenerate, model_of
from tests.pipelines.panels import panel_of, rich_panel

HORIZON = 10
FORECASTS = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 30)), elements=st.floats(0, 1e6))


def explained(name: str, panel: Panel) -> tuple[np.ndarray, Parts]:
    """The forecast of a type, and its parts."""
    artifact, module = artifact_of(name, panel), module_of(model_of(name))
    yhat = module.predict(artifact, panel, horizon=HORIZON)
    tell = [getattr(module, each) for each in ("contributions",) if hasattr(module, each)]
    ones = np.ones(panel.series)
    return yhat, parts(panel, yhat, [Contributor(name, partial(each, artifact, panel, horizon=HORIZON), ones) for each in tell])


def of(found: Parts, driver: str) -> np.ndarray:
    return found.units[DRIVERS.index(driver)]


@pytest.mark.parametrize("name", TYPES)
def test_the_parts_of_every_type_add_up_to_its_forecast(name: str) -> None:
    yhat, found = explained(name, rich_panel(series=6, days=130))

    np.testing.assert_allclose(found.units.sum(axis=0), yhat, rtol=1e-9, atol=1e-9)
    assert found.failed == {}


@pytest.mark.parametrize("name", TYPES)
def test_degenerate_series_are_explained_in_finite_parts(name: str) -> None:
    yhat, found = explained(name, panel_of(np.array(list(degenerate(120).values()))))

    assert np.isfinite(found.units).all()
    np.testing.assert_allclose(found.units.sum(axis=0), yhat, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", POOLED)
def test_the_trees_leave_next_to_nothing_untold(name: str) -> None:
    panel = rich_panel(series=6, days=130)
    artifact, module = artifact_of(name, panel), module_of(model_of(name))

    told = module.contributions(artifact, panel, np.array([4, 1]), horizon=HORIZON)

    yhat = module.predict(artifact, panel, horizon=HORIZON)[[4, 1]]
    np.testing.assert_allclose(np.maximum(sum(told.values()), 0), yhat, rtol=1e-5)


@pytest.mark.parametrize("name", ["ets", "prophet_like", "xgboost"])
def test_nothing_after_the_cutoff_moves_a_part(name: str) -> None:
    panel = rich_panel(series=6, days=150)
    y, state, price = panel.y.copy(), panel.state.copy(), panel.price.copy()
    y[:, 130:], state[:, 130:] = 1e9, STOCKED_OUT
    price[:, 130:][~panel.planned[:, 130:]] = 1e9
    spoiled = msgspec.structs.replace(panel, y=y, state=state, price=price)

    clean, after = explained(name, panel.until(130))[1], explained(name, spoiled.until(130))[1]

    np.testing.assert_array_equal(clean.units, after.units)


def test_a_planted_promotion_is_told_apart() -> None:
    """Ten units a day, thirty on promotion, of every product on days of its own."""
    draw = np.random.default_rng(7)
    promotion = (draw.random((8, 200 + 90)) < 0.3).astype(np.uint8) * 20
    panel = panel_of(np.where(promotion[:, :200] > 0, 30, 10), promotion=promotion)
    features = load_declarations().feature_sets["demand"]
    artifact = xgboost.fit(panel, horizon=HORIZON, features=features, rounds=60, nthread=1)

    told = xgboost.contributions(artifact, panel, np.arange(8), horizon=HORIZON)

    on = promotion[:, 200 : 200 + HORIZON] > 0
    assert told["promotion"][on].mean() > 8
    assert told["promotion"][~on].mean() < -2
    assert max(np.abs(told[each]).mean() for each in told if each not in ("promotion", "expected")) < 3


@settings(max_examples=50, deadline=None)
@given(FORECASTS)
def test_a_shape_adds_up_to_any_forecast(yhat: np.ndarray) -> None:
    found = by_shape(yhat)

    np.testing.assert_allclose(sum(found.values()), yhat, rtol=1e-9, atol=1e-9 * max(yhat.max(), 1))


@settings(max_examples=50, deadline=None)
@given(FORECASTS, st.floats(0.1, 10))
def test_a_shape_grows_with_its_forecast(yhat: np.ndarray, factor: float) -> None:
    once, more = by_shape(yhat), by_shape(yhat * factor)

    for driver, units in once.items():
        np.testing.assert_allclose(more[driver], units * factor, atol=1e-7 * max(yhat.max(), 1))


def test_a_level_a_line_and_a_week_are_told_apart() -> None:
    week = np.array([-3.0, -2, -1, 0, 1, 2, 3])
    steps = np.arange(28)
    yhat = (20 + 0.5 * (steps + 1) + week[steps % 7])[None, :]

    found = by_shape(yhat)

    np.testing.assert_allclose(found["recent_sales"][0], 20)
    np.testing.assert_allclose(found["trend"][0], 0.5 * (steps + 1))
    np.testing.assert_allclose(found["weekday"][0], week[steps % 7], atol=1e-9)
    np.testing.assert_allclose(found["other"][0], 0, atol=1e-9)


def test_the_usual_is_the_mean_of_a_year_with_stock() -> None:
    y = np.full((3, 400), 100.0)
    y[0, -364:] = 4  # what lies before the year does not count
    y[1, -364:], y[1, -10:] = 4, 0
    y[2] = np.nan
    state = np.zeros(y.shape, dtype=np.int8)
    state[1, -10:] = STOCKED_OUT

    assert usual(panel_of(y, state=state)).tolist() == [4, 4, 0]


def test_a_weekday_adds_nothing_over_whole_weeks() -> None:
    panel = rich_panel(series=6, days=130)
    telling = Contributor("trees", lambda series: {"weekday_mean": np.full((6, 14), 3.0)}, np.ones(6))

    found = parts(panel, np.full((6, 14), 3.0), [telling])

    np.testing.assert_allclose(of(found, "weekday"), 0, atol=1e-12)
    np.testing.assert_allclose(of(found, "usual") + of(found, "recent_sales"), 3)


def test_the_ensemble_takes_a_member_by_its_weight() -> None:
    """Half of the first series is of trees that put 4 units down to the price; the other half forecasts 10."""
    panel = panel_of(np.full((2, 60), 5.0))
    telling = Contributor("trees", lambda series: {"price": np.full((len(series), 7), 4.0)}, np.array([0.5, 0]))

    found = parts(panel, np.array([[0.5 * 4 + 0.5 * 10] * 7, [8.0] * 7]), [telling])

    np.testing.assert_allclose(of(found, "price"), [[2.0] * 7, [0.0] * 7])
    np.testing.assert_allclose(of(found, "usual"), 5)
    np.testing.assert_allclose(of(found, "recent_sales"), [[0.0] * 7, [3.0] * 7])


def test_contributions_that_fail_are_named_and_stop_nothing() -> None:
    def broken(series: np.ndarray) -> dict[str, np.ndarray]:
        raise RuntimeError("no memory")

    found = parts(panel_of(np.full((2, 60), 5.0)), np.full((2, 7), 6.0), [Contributor("trees", broken, np.array([1.0, 0]))])

    assert found.failed == {"trees": "RuntimeError: no memory"}
    assert found.is_failed.tolist() == [True, False]
    np.testing.assert_allclose(found.units.sum(axis=0), 6)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 6)), elements=st.floats(-3, 3)))
def test_contributions_to_the_log_become_units_that_add_up(logs: np.ndarray) -> None:
    """Beside a loop that follows the logarithmic mean as it is written down."""
    found = xgboost.additive(logs)

    for row, units in zip(logs.tolist(), found.tolist(), strict=True):
        *changes, start = row
        end = sum(row)
        mean = (math.exp(end) - math.exp(start)) / (end - start) if abs(end - start) > 1e-6 else math.exp(start)
        assert units == pytest.approx([*(change * mean for change in changes), math.exp(start)], rel=1e-5, abs=1e-9)
        assert sum(units) == pytest.approx(math.exp(end), rel=1e-9)


def test_every_feature_speaks_for_a_driver() -> None:
    groups = {each.group for each in EVERYTHING.features(["snap_x"])}

    assert groups <= set(DRIVER_OF), "pipelines/forecasts/explanations/parts.py: DRIVER_OF must have every field of a feature set"
    assert list(MEANINGS) == list(DRIVERS)
