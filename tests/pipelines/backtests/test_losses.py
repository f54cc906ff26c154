import itertools

import numpy as np
import pytest

from pipelines.backtests import losses

Y = np.array([10.0, 0, 10, 5])
YHAT = np.array([8.0, 1, 12, 5])


def test_goldens_worked_by_hand() -> None:
    assert losses.wape(Y, YHAT) == 5 / 25
    assert losses.mae(Y, YHAT) == 5 / 4
    assert losses.rmse(Y, YHAT) == 1.5
    assert losses.bias(Y, YHAT) == 0.25  # forecast minus actual: over-forecast
    assert losses.bias_ratio(Y, YHAT) == 1 / 25
    assert losses.mape(Y, YHAT) == (pytest.approx((0.2 + 0.2 + 0) / 3), 3)
    assert losses.smape(Y, YHAT) == pytest.approx((4 / 18 + 2 + 4 / 22 + 0) / 4)


def test_a_loop_in_plain_python_agrees() -> None:
    draw = np.random.default_rng(5)
    y, yhat = draw.poisson(3, 500).astype(float), draw.gamma(3, 1, 500)

    errors = [abs(float(a) - float(f)) for a, f in zip(y, yhat, strict=True)]
    levels = [max(0.9 * (a - f), -0.1 * (a - f)) for a, f in zip(y, yhat, strict=True)]

    assert losses.wape(y, yhat) == pytest.approx(sum(errors) / sum(y))
    assert losses.mae(y, yhat) == pytest.approx(sum(errors) / 500)
    assert losses.pinball(y, yhat, 0.9) == pytest.approx(sum(levels) / 500)
    assert losses.pinball(y, yhat, 0.5) == pytest.approx(sum(errors) / 1000)


def test_the_bias_is_never_larger_than_the_error() -> None:
    draw = np.random.default_rng(6)
    for _ in range(100):
        y, yhat = draw.poisson(2, 20).astype(float) + 1, draw.gamma(2, 2, 20)

        assert abs(losses.bias_ratio(y, yhat) or 0) <= (losses.wape(y, yhat) or 0) + 1e-12


def test_undefined_is_none_and_never_inf() -> None:
    zero, ones = np.zeros(3), np.ones(3)

    assert losses.wape(zero, ones) is None
    assert losses.bias_ratio(zero, ones) is None
    assert losses.mape(zero, ones) == (None, 0)
    assert losses.mae(np.full(3, np.nan), ones) is None


def test_seasonal_naive_in_sample_has_a_mase_of_one() -> None:
    train = np.random.default_rng(7).poisson(9, (3, 70)).astype(float)
    scale = losses.absolute_scale(train)

    assert losses.mase(train[:, 7:], train[:, :-7], scale) == pytest.approx(1.0)


def test_naive_in_sample_has_a_rmsse_of_one_from_the_first_sale() -> None:
    train = np.random.default_rng(8).poisson(9, (1, 50)).astype(float) + 1
    padded = np.concatenate([np.zeros((1, 20)), train], axis=1)

    scale = losses.squared_scale(padded)

    assert losses.rmsse(train[:, 1:], train[:, :-1], scale) == pytest.approx(1.0)


def test_series_without_a_scale_are_left_out() -> None:
    train = np.vstack([np.zeros(30), np.arange(30.0)])
    y = np.ones((2, 5))

    assert losses.mase(y, y, losses.absolute_scale(train)) == 0.0
    assert losses.mase(y[:1], y[:1], losses.absolute_scale(train[:1])) is None


def test_losses_do_not_depend_on_the_unit() -> None:
    for loss in (losses.wape, losses.smape, losses.bias_ratio):
        assert loss(Y * 10, YHAT * 10) == pytest.approx(loss(Y, YHAT))


def test_the_weighted_quantile_loss_at_the_median_is_the_wape() -> None:
    assert losses.wql(Y, {0.5: YHAT}) == losses.wape(Y, YHAT)
    # .1: .1 * 2 + .9 * 1 + .9 * 2 = 2.9; .9: .9 * 2 + .1 * 1 + .1 * 2 = 2.1; 2 * mean / 25
    assert losses.wql(Y, {0.1: YHAT, 0.9: YHAT}) == pytest.approx(2 * 2.5 / 25)
    assert losses.wql(np.zeros(4), {0.5: YHAT}) is None


def test_a_tracking_signal_of_one_sided_errors_is_their_number() -> None:
    assert losses.tracking_signal(np.array([5.0, 5, 5, 5]), np.array([4.0, 4, 4, 4])) == 4
    assert losses.tracking_signal(Y, YHAT) == pytest.approx(-1 / 1.25)
    assert losses.tracking_signal(Y, Y) == 0
    assert losses.tracking_signal(np.array([np.nan]), np.array([1.0])) is None


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

    scales = losses.level_scales(train, np.array([3.0]), [np.zeros(1, dtype=int)] * 12)

    assert losses.wrmsse(y, yhat, scales) == pytest.approx(losses.rmsse(y, yhat, losses.squared_scale(train)))


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

    scales = losses.level_scales(train, revenue, levels)
    assert [each.weight.sum() for each in scales] == pytest.approx([1, 1, 1])
    assert losses.wrmsse(y, yhat, scales) == pytest.approx(total)
    assert losses.wrmsse(y, yhat, losses.level_scales(train, np.zeros(6), levels)) is None
