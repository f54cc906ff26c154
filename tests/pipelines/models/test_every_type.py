"""What every model type promises, whatever the series: a finite forecast that is never negative, from the past alone."""

from typing import Any

import msgspec
import numpy as np
import pytest

from assets_config.declared import Model, load_declarations
from pipelines.features.panel import STOCKED_OUT, Panel
from pipelines.models.types import fit, module_of
from tests.pipelines.panels import panel_of, rich_panel

HORIZON = 10
DECLARED = load_declarations()
QUICK: dict[str, dict[str, Any]] = {
    "xgboost": {"rounds": 4, "max_leaves": 8, "nthread": 1},
    "regression": {"rounds": 4, "max_leaves": 8, "nthread": 1},
    "random_forest": {"trees": 4, "max_depth": 4, "nthread": 1},
    "sarimax": {"max_iterations": 1, "max_groups": 2, "max_days": 50},
    "unobserved_components": {"max_iterations": 1, "max_groups": 2, "max_days": 50},
}
TYPES = [name for name in DECLARED.models if name not in ("lightgbm", "ensemble")]
POOLED = ["xgboost", "regression", "random_forest"]
OF_SUMS = ["prophet_like", "sarimax", "unobserved_components"]
OF_ONE_SERIES = [name for name in TYPES if name not in (*POOLED, *OF_SUMS, "ses_weekday")]
BLIND_TO_EMPTY_SHELVES = [name for name in TYPES if name not in (*OF_SUMS, "naive", "seasonal_naive")]


def model_of(name: str) -> Model:
    declared = DECLARED.models[name]
    return msgspec.structs.replace(declared, params={**declared.params, **QUICK.get(name, {})})


def artifact_of(name: str, panel: Panel) -> bytes:
    return fit(model_of(name), panel, horizon=HORIZON, feature_sets=DECLARED.feature_sets)


def forecast(name: str, panel: Panel) -> np.ndarray:
    yhat: np.ndarray = module_of(model_of(name)).predict(artifact_of(name, panel), panel, horizon=HORIZON)
    assert yhat.shape == (panel.series, HORIZON)
    assert yhat.dtype == np.float32
    assert np.isfinite(yhat).all()
    assert (yhat >= 0).all()
    return yhat


def degenerate(days: int) -> dict[str, np.ndarray]:
    day = np.arange(days)
    return {
        "zero": np.zeros(days),
        "missing": np.full(days, np.nan),
        "last day only": np.where(day == days - 1, 3, np.nan),
        "first day only": np.where(day == 0, 3.0, 0),
        "one sale amid": np.where(day < days // 2, np.nan, np.where(day == days // 2, 3, 0)),
        "constant": np.full(days, 5.0),
        "huge": np.full(days, 1e12),
        "huge and rising": np.linspace(1, 1e12, days),
        "one huge day": np.where(day == days - 2, 1e12, 0),
        "tiny": np.full(days, 1e-30),
        "ordinary": np.random.default_rng(5).poisson(3, days).astype(np.float64),
    }


@pytest.mark.parametrize("name", TYPES)
def test_degenerate_series_get_a_forecast_among_others(name: str) -> None:
    forecast(name, panel_of(np.array(list(degenerate(120).values()))))


@pytest.mark.parametrize("kind", degenerate(1))
@pytest.mark.parametrize("name", TYPES)
def test_a_degenerate_series_alone_gets_a_forecast_or_the_reason_why_not(name: str, kind: str) -> None:
    panel = panel_of(degenerate(120)[kind][None, :])

    if name in POOLED and kind == "missing":
        with pytest.raises(ValueError, match="no day"):
            forecast(name, panel)
    else:
        forecast(name, panel)


@pytest.mark.parametrize("name", [name for name in TYPES if name not in POOLED])
def test_what_never_sold_is_forecast_not_to_sell(name: str) -> None:
    never = np.array([np.zeros(120), np.full(120, np.nan)])

    assert not forecast(name, panel_of(never)).any()


@pytest.mark.parametrize("days", [1, 2, 6, 7, 8, 29])
@pytest.mark.parametrize("name", TYPES)
def test_a_short_panel_gets_a_forecast_or_the_days_that_it_lacks(name: str, days: int) -> None:
    panel = panel_of(np.array(list(degenerate(max(days, 3)).values()))[:, :days])

    if name in POOLED or (name in ("seasonal_naive", "seasonal_average") and days < 7):
        with pytest.raises(ValueError, match=f"needs .* days.*, the panel has {days}"):
            forecast(name, panel)
    else:
        forecast(name, panel)


@pytest.mark.parametrize("name", TYPES)
def test_a_very_long_series_gets_a_forecast(name: str) -> None:
    y = np.random.default_rng(5).poisson(0.2, (2, 6_000))

    assert forecast(name, panel_of(y)).max() < 10


@pytest.mark.parametrize("name", TYPES)
def test_falling_sales_are_not_forecast_below_zero(name: str) -> None:
    forecast(name, panel_of(np.maximum(np.linspace([60, 30, 9], [-20, 0, 0], 120).T, 0)))


@pytest.mark.parametrize("name", TYPES)
def test_the_same_panel_gives_the_same_bytes(name: str) -> None:
    panel = rich_panel(series=6, days=130)

    assert artifact_of(name, panel) == artifact_of(name, panel)


@pytest.mark.parametrize("name", TYPES)
def test_nothing_after_the_cutoff_moves_a_forecast(name: str) -> None:
    panel = rich_panel(series=6, days=150)
    y, state, price = panel.y.copy(), panel.state.copy(), panel.price.copy()
    y[:, 130:], state[:, 130:] = 1e9, STOCKED_OUT
    price[:, 130:][~panel.planned[:, 130:]] = 1e9
    spoiled = msgspec.structs.replace(panel, y=y, state=state, price=price)

    np.testing.assert_array_equal(forecast(name, spoiled.until(130)), forecast(name, panel.until(130)))


@pytest.mark.parametrize("name", OF_ONE_SERIES)
def test_a_forecast_does_not_depend_on_the_other_series(name: str) -> None:
    panel = rich_panel(series=5, days=130)

    together = forecast(name, panel)

    for s in range(panel.series):
        alone = panel_of(panel.y[s : s + 1], state=panel.state[s : s + 1])
        np.testing.assert_array_equal(forecast(name, alone)[0], together[s])


@pytest.mark.parametrize("name", BLIND_TO_EMPTY_SHELVES)
def test_days_with_an_empty_shelf_teach_nothing(name: str) -> None:
    panel = rich_panel(series=6, days=130)
    spoiled = msgspec.structs.replace(panel, y=np.where(panel.state == STOCKED_OUT, 1e6, panel.y).astype(np.float32))

    assert artifact_of(name, spoiled) == artifact_of(name, panel)


def test_every_type_has_a_module_or_the_reason_why_not() -> None:
    for model in DECLARED.models.values():
        assert model.enabled or model.reason, f"models.yaml: {model.type} is not enabled: say why"
        assert model.type in ("lightgbm", "ensemble") or module_of(model)
