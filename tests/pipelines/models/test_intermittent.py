"""Intermittent demand: known answers, and a plain loop as second opinion. benchmarks/ets.py sets them beside statsforecast."""

from types import ModuleType

import numpy as np
import pytest

from pipelines.features.panel import STOCKED_OUT, Panel
from pipelines.models import adida, croston, sba, tsb
from tests.pipelines.panels import panel_of

HORIZON = 3


def rate(module: ModuleType, panel: Panel) -> list[float]:
    yhat = module.predict(module.fit(panel, horizon=HORIZON), panel, horizon=HORIZON)
    assert (yhat == yhat[:, :1]).all()
    return [float(v) for v in yhat[:, 0]]


def slow_sales(series: int = 14, days: int = 120) -> np.ndarray:
    draw = np.random.default_rng(2)
    y = draw.poisson(3, (series, days)) * (draw.random((series, days)) < draw.uniform(0.05, 0.9, (series, 1)))
    y = y.astype(np.float64)
    for s in range(0, series, 3):
        y[s, : draw.integers(1, 80)] = np.nan
    return y


def smooth(values: list[float], alpha: float) -> float:
    level = values[0]
    for value in values[1:]:
        level += alpha * (value - level)
    return level


def plain_croston(y: list[float]) -> float:
    sold = [n for n, value in enumerate(y) if value > 0]
    if not sold:
        return 0.0
    intervals = [n - before for n, before in zip(sold, [-1, *sold], strict=False)]
    return smooth([y[n] for n in sold], 0.1) / smooth([float(each) for each in intervals], 0.1)


def plain_tsb(y: list[float]) -> float:
    sizes = [value for value in y if value > 0]
    return smooth(sizes, 0.1) * smooth([float(value > 0) for value in y], 0.1) if sizes else 0.0


def plain_adida(y: list[float]) -> float:
    sold = [n for n, value in enumerate(y) if value > 0]
    if not sold:
        return 0.0
    length = max(round((sold[-1] + 1) / len(sold)), 1)
    days = y[len(y) % length :]
    sums = [sum(days[n : n + length]) for n in range(0, len(days), length)]

    def squares(alpha: float) -> float:
        return sum((sums[n] - smooth(sums[:n], alpha)) ** 2 for n in range(1, len(sums)))

    alphas = np.linspace(0.1, 0.3, 41)
    return smooth(sums, float(min(alphas, key=squares))) / length


@pytest.mark.parametrize(
    ("module", "plain", "tolerance"),
    [
        (croston, plain_croston, 1e-6),
        (sba, lambda y: 0.95 * plain_croston(y), 1e-6),
        (tsb, plain_tsb, 1e-6),
        (adida, plain_adida, 0.02),  # its weight is searched for, here on a grid of 0.005
    ],
    ids=["croston", "sba", "tsb", "adida"],
)
def test_a_rate_equals_a_plain_loop(module: ModuleType, plain: object, tolerance: float) -> None:
    y = slow_sales()

    found = rate(module, panel_of(y))

    for row, each in zip(y, found, strict=True):
        known = [float(v) for v in row if not np.isnan(v)]
        assert each == pytest.approx(plain(known), rel=tolerance)  # type: ignore[operator]


def test_six_units_every_third_day_are_two_a_day() -> None:
    panel = panel_of(np.array([[0.0, 0, 6] * 20]))

    assert rate(croston, panel) == [2]
    assert rate(sba, panel) == pytest.approx([1.9])
    assert rate(adida, panel) == [2]


def test_every_day_the_same_is_that_many_a_day() -> None:
    panel = panel_of(np.full((1, 30), 4.0))

    assert rate(croston, panel) == rate(tsb, panel) == rate(adida, panel) == [4]


def test_what_is_no_longer_sold_is_let_go_by_tsb_alone() -> None:
    panel = panel_of(np.array([[2.0] * 60 + [0.0] * 60]))

    assert rate(tsb, panel) == pytest.approx([2 * 0.9**60])
    assert rate(croston, panel) == [2]


@pytest.mark.parametrize("module", [croston, sba, tsb, adida], ids=lambda m: m.__name__)
def test_days_out_of_stock_are_as_if_they_had_not_been(module: ModuleType) -> None:
    y = np.array([[3.0, 0, 0, 5, 0, 2] * 10])
    holes = np.insert(y, [7, 20, 33], 0, axis=1)
    state = np.insert(np.zeros(y.shape, dtype=np.int8), [7, 20, 33], STOCKED_OUT, axis=1)

    assert rate(module, panel_of(holes, state=state)) == rate(module, panel_of(y))
