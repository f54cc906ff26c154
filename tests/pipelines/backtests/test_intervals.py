import numpy as np
import pytest

from pipelines.backtests.intervals import LEVELS, honest_quantiles, quantiles


def test_quantiles_rise_and_are_never_negative() -> None:
    draw = np.random.default_rng(1)
    yhat, step = draw.gamma(1, 3, 5000), draw.integers(1, 29, 5000)
    y = draw.poisson(yhat).astype(float)

    found = quantiles(yhat, step, yhat, step, y)

    assert (np.diff(found, axis=1) >= 0).all()
    assert (found >= 0).all()


def test_quantiles_cover_what_they_say() -> None:
    draw = np.random.default_rng(2)
    yhat, step = draw.gamma(4, 5, 20_000), draw.integers(1, 29, 20_000)
    y = yhat + draw.normal(0, 1 + yhat / 5)
    past, future = slice(0, 15_000), slice(15_000, None)

    found = quantiles(yhat[future], step[future], yhat[past], step[past], np.maximum(y[past], 0))

    for n, level in enumerate(LEVELS):
        share = float(np.mean(np.maximum(y[future], 0) <= found[:, n]))
        assert abs(share - level) < 0.03, f"{level}: {share}"


def test_one_residual_is_taken_by_its_conformal_rank() -> None:
    residuals = np.arange(-9.0, 10.0)  # 19 of them: ranks ceil(20 q) are 1, 2, 5, 10, 15, 18 and 19
    past = np.full(19, 100.0)

    found = quantiles(np.array([100.0]), np.array([1]), past, np.ones(19), past + residuals)

    assert found.tolist() == [[91, 92, 95, 100, 105, 108, 109]]


def test_each_kind_of_demand_has_ranges_of_its_own() -> None:
    draw = np.random.default_rng(3)
    yhat, step, kind = draw.gamma(4, 5, 20_000), draw.integers(1, 29, 20_000), draw.integers(0, 2, 20_000)
    y = np.maximum(yhat + draw.normal(0, np.where(kind == 1, 8, 2)), 0)
    past, future = slice(0, 15_000), slice(15_000, None)
    asked = yhat[future], step[future], yhat[past], step[past], y[past]

    apart, together = quantiles(*asked, kind=kind[future], past_kind=kind[past]), quantiles(*asked)

    def covered(found: np.ndarray, of: int) -> float:
        return float(np.mean(((found[:, 0] <= y[future]) & (y[future] <= found[:, -1]))[kind[future] == of]))

    assert all(abs(covered(apart, of) - 0.9) < 0.02 for of in (0, 1))
    assert covered(together, 0) > 0.95
    assert covered(together, 1) < 0.87


@pytest.mark.parametrize(("of_kind", "of_size", "expected"), [(60, 0, 1), (10, 60, 2), (10, 10, 3)])
def test_a_cell_with_few_errors_takes_those_of_its_size_and_then_all(of_kind: int, of_size: int, expected: float) -> None:
    """Errors are 1 in the kind that is asked for, 2 in another of its size, 3 in other sizes."""
    past = np.repeat([100.0, 100.0, 5.0], [of_kind, of_size, 300])
    error, kind = (np.repeat(each, [of_kind, of_size, 300]) for each in ([1.0, 2.0, 3.0], [7, 2, 7]))

    found = quantiles(np.array([100.0]), np.array([1]), past, np.ones(len(past)), past + error, kind=np.array([7]), past_kind=kind)

    assert found[0, 3] == 100 + expected


def test_without_a_backtest_quantiles_are_the_forecast() -> None:
    found = quantiles(np.array([3.0]), np.array([1]), np.array([]), np.array([]), np.array([]))

    assert found.tolist() == [[3.0] * 7]


def test_quantiles_of_a_fold_never_see_its_own_demand() -> None:
    draw = np.random.default_rng(4)
    yhat, step, fold = np.full(600, 10.0), np.tile(np.arange(1, 29), 22)[:600], np.repeat([0, 1, 2], 200)
    y = draw.poisson(10, 600).astype(float)
    other = np.where(fold == 1, y + 1000, y)

    before, after = (honest_quantiles(yhat, step, each, fold) for each in (y, other))

    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
    assert (after[fold == 0] > before[fold == 0]).any()
    assert honest_quantiles(yhat[:200], step[:200], y[:200], fold[:200]) is None
