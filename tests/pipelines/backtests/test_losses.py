import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.backtests import losses
from pipelines.backtests.intervals import LEVELS

Y = np.array([[10.0, 0, 10, 5]])
YHAT = np.array([[8.0, 1, 12, 5]])


def same_quantiles(values: np.ndarray) -> np.ndarray:
    """A forecast without doubt: all its quantiles are the same."""
    return np.repeat(values[..., None], len(LEVELS), axis=-1)


def test_goldens_worked_by_hand() -> None:
    found = losses.measured(Y, YHAT)

    assert found["wape"] == 5 / 25
    assert found["mae"] == 5 / 4
    assert found["rmse"] == 1.5
    assert found["bias"] == 0.25  # forecast minus actual: over-forecast
    assert found["bias_ratio"] == 1 / 25
    assert found["mape"] == pytest.approx((0.2 + 0.2 + 0) / 3)
    assert found["smape"] == pytest.approx((4 / 18 + 2 + 4 / 22 + 0) / 4)
    assert found["tracking_signal"] == pytest.approx(-1 / 1.25)


def test_a_loop_in_plain_python_agrees() -> None:
    draw = np.random.default_rng(5)
    y, yhat = draw.poisson(3, (1, 500)).astype(float), draw.gamma(3, 1, (1, 500))
    quantiles = np.sort(draw.gamma(3, 1, (1, 500, len(LEVELS))), axis=-1)
    points = list(zip(y[0].tolist(), yhat[0].tolist(), quantiles[0].tolist(), strict=True))

    errors = [abs(a - f) for a, f, _ in points]
    pinball = {level: [max(level * (a - q[n]), (level - 1) * (a - q[n])) for a, _, q in points] for n, level in enumerate(LEVELS)}

    found = losses.measured(y, yhat, quantiles=quantiles)
    assert found["wape"] == pytest.approx(sum(errors) / y.sum())
    assert found["mae"] == pytest.approx(sum(errors) / 500)
    assert found["pinball"] == pytest.approx(sum(map(sum, pinball.values())) / 500 / 7)
    assert found["wql"] == pytest.approx(2 * sum(sum(pinball[level]) for level in (0.1, 0.5, 0.9)) / 3 / y.sum())
    assert found["coverage_80"] == sum(q[1] <= a <= q[5] for a, _, q in points) / 500
    assert found["coverage_90"] == sum(q[0] <= a <= q[6] for a, _, q in points) / 500


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 9))
def test_what_parts_add_is_what_the_whole_adds(seed: int, series: int, days: int) -> None:
    draw = np.random.default_rng(seed)
    y, yhat = draw.poisson(1, (series, days)).astype(float), draw.gamma(1, 1, (series, days))
    y[draw.random(y.shape) < 0.2] = np.nan
    quantiles = np.sort(draw.gamma(1, 1, (series, days, len(LEVELS))), axis=-1)
    part = draw.random(y.shape) < 0.5

    whole = losses.points(y, yhat, quantiles)
    parts = [losses.points(y[of], yhat[of], quantiles[of]) for of in (part, ~part)]

    for name, each in whole.items():
        assert each.sum() == pytest.approx(sum(of[name].sum() for of in parts))
        assert not each[np.isnan(y)].any()


def test_the_bias_is_never_larger_than_the_error() -> None:
    draw = np.random.default_rng(6)
    for _ in range(100):
        found = losses.measured(draw.poisson(2, (1, 20)).astype(float) + 1, draw.gamma(2, 2, (1, 20)))

        assert abs(found["bias_ratio"] or 0) <= (found["wape"] or 0) + 1e-12


def test_undefined_is_none_and_never_inf() -> None:
    without_demand = losses.measured(np.zeros((1, 3)), np.ones((1, 3)), quantiles=same_quantiles(np.ones((1, 3))))
    unknown = losses.measured(np.full((1, 3), np.nan), np.ones((1, 3)), train=np.ones((1, 30)))

    assert [name for name, value in without_demand.items() if value is None] == [
        *("wape", "mape", "mase", "rmsse", "bias_ratio", "wql"),
    ]
    assert set(unknown.values()) == {None}


def test_seasonal_naive_in_sample_has_a_mase_of_one() -> None:
    train = np.random.default_rng(7).poisson(9, (3, 70)).astype(float)

    assert losses.measured(train[:, 7:], train[:, :-7], train=train)["mase"] == pytest.approx(1.0)


def test_naive_in_sample_has_a_rmsse_of_one_from_the_first_sale() -> None:
    train = np.random.default_rng(8).poisson(9, (1, 50)).astype(float) + 1
    padded = np.concatenate([np.zeros((1, 20)), train], axis=1)

    assert losses.measured(train[:, 1:], train[:, :-1], train=padded)["rmsse"] == pytest.approx(1.0)


def test_returns_do_not_end_the_days_that_scale() -> None:
    assert losses.squared_scale(np.array([[0.0, 0, 2, -3, 1]])) == pytest.approx([(25 + 16) / 2])


def test_many_series_are_scaled_as_one_at_a_time() -> None:
    train = np.random.default_rng(11).poisson(0.4, (3 * losses.ROWS + 5, 40)).astype(np.float32)
    train[::7, :9] = np.nan

    for scale in (losses.absolute_scale, losses.squared_scale):
        assert np.array_equal(scale(train), np.concatenate([scale(row[None]) for row in train]), equal_nan=True)


def test_series_without_a_scale_are_left_out() -> None:
    train = np.vstack([np.zeros(30), np.arange(30.0)])
    y = np.ones((2, 5))

    assert losses.measured(y, y, train=train)["mase"] == 0.0
    assert losses.measured(y[:1], y[:1], train=train[:1])["mase"] is None


def test_losses_do_not_depend_on_the_unit() -> None:
    ones, tens = losses.measured(Y, YHAT), losses.measured(Y * 10, YHAT * 10)

    for name in ("wape", "smape", "bias_ratio"):
        assert tens[name] == pytest.approx(ones[name])


def test_the_weighted_quantile_loss_without_doubt_is_the_wape() -> None:
    found = losses.measured(Y, YHAT, quantiles=same_quantiles(YHAT))

    assert found["wql"] == pytest.approx(found["wape"])
    assert found["pinball"] == pytest.approx((found["mae"] or 0) / 2)  # the levels lie evenly about the median


def test_a_tracking_signal_of_one_sided_errors_is_their_number() -> None:
    assert losses.measured(np.full((1, 4), 5.0), np.full((1, 4), 4.0))["tracking_signal"] == 4
    assert losses.measured(Y, Y)["tracking_signal"] == 0


def test_sums_of_a_group_leave_out_what_is_not_known() -> None:
    values = np.array([[1.0, np.nan], [2, 3], [np.nan, np.nan]], dtype=np.float32)

    assert losses.group_sums(values, np.array([1, 1, 0])).tolist() == [[0, 0], [3, 3]]


def test_stability_is_the_spread_of_folds_in_percent() -> None:
    assert losses.stability_pct([0.2, 0.4]) == pytest.approx(100 * 0.1 / 0.3)
    assert losses.stability_pct([0.2, None]) is None
    assert losses.stability_pct([-1.0, 1.0]) is None


def test_added_value_of_stages_sums_to_the_whole() -> None:
    wapes = [0.9, 0.7, 0.5, 0.55]

    steps = [losses.fva(base, stage) or 0 for base, stage in itertools.pairwise(wapes)]

    assert sum(steps) == pytest.approx(losses.fva(wapes[0], wapes[-1]))
    assert losses.fva(None, 0.5) is None


def test_the_wrmsse_of_one_series_is_its_rmsse() -> None:
    draw = np.random.default_rng(9)
    train, y, yhat = draw.poisson(4, (1, 60)).astype(float), draw.poisson(4, (1, 7)).astype(float), draw.gamma(4, 1, (1, 7))

    scales = [losses.level_scale(train, np.array([3.0]), np.zeros(1, dtype=int))] * 12

    assert losses.wrmsse(y, yhat, scales) == pytest.approx(losses.measured(y, yhat, train=train)["rmsse"])


def test_the_wrmsse_equals_a_loop_in_plain_python() -> None:
    draw = np.random.default_rng(10)
    train, y, yhat = draw.poisson(2, (6, 40)).astype(float), draw.poisson(2, (6, 5)).astype(float), draw.gamma(2, 1, (6, 5))
    train[0, :20] = 0
    revenue = np.arange(1.0, 7)
    levels = [np.zeros(6, dtype=int), np.array([0, 1, 0, 1, 2, 2]), np.arange(6)]

    total = 0.0
    for codes in levels:
        for group in set(codes.tolist()):
            members = [s for s in range(6) if codes[s] == group]
            history = [sum(float(train[s, t]) for s in members) for t in range(40)]
            first = next(t for t, value in enumerate(history) if value)
            steps = [(b - a) ** 2 for a, b in itertools.pairwise(history[first:])]
            errors = [sum(float(yhat[s, h] - y[s, h]) for s in members) ** 2 for h in range(5)]
            weight = sum(float(revenue[s]) for s in members) / 21
            total += weight * (sum(errors) / 5 / (sum(steps) / len(steps))) ** 0.5 / 3

    sums = [losses.group_sums(train, codes) for codes in levels]
    scales = [losses.level_scale(each, revenue, codes) for each, codes in zip(sums, levels, strict=True)]
    assert [each.weight.sum() for each in scales] == pytest.approx([1, 1, 1])
    assert losses.wrmsse(y, yhat, scales) == pytest.approx(total)
    assert losses.wrmsse(y, yhat, [losses.level_scale(sums[0], np.zeros(6), levels[0])]) is None
