"""How demand answers to prices: what was planted is found again."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets_config.contract.scenarios import PRIOR
from assets_config.contract.season import PriceElasticity
from assets_config.contract.seeds import Seed
from pipelines.planning.season.elasticity import AMONG, Days, Estimate, by_category, elasticities, estimate, settled
from pipelines.sources.synthetic.generator import generate
from tests.pipelines.planning.fashion import plant
from tests.plant import rewrite


def days(seed: int, *, slope: float = -1.7, mean: float = 20.0, rows: int = 400) -> Days:
    """Two series of a product with prices that move, and sales that answer to them with noise."""
    chance = np.random.default_rng(seed)
    series = np.repeat([1, 2], rows // 2)
    price = np.round(10 * np.exp(chance.normal(0, 0.2, rows)), 2)
    column = chance.integers(0, 2, rows).astype(float)
    expected = mean * series * (price / 10) ** slope * 1.3**column * np.exp(chance.normal(0, 0.3, rows) - 0.045)
    return Days(series, series, np.full(rows, "A"), chance.poisson(expected).astype(float), price, column[:, None])


@pytest.mark.parametrize(("slope", "mean"), [(-1.7, 20.0), (-0.5, 20.0), (-1.7, 0.8)])
def test_a_planted_slope_is_found_however_little_is_sold(slope: float, mean: float) -> None:
    found = [estimate(days(seed, slope=slope, mean=mean)) for seed in range(30)]
    values = np.array([each.value for each in found])
    errors = np.array([each.std_error for each in found])

    assert values.mean() == pytest.approx(slope, abs=3 * values.std() / np.sqrt(30) + 0.02)
    assert errors.mean() == pytest.approx(values.std(), rel=0.35)


def test_the_estimate_is_that_of_a_poisson_regression_with_a_level_a_series() -> None:
    import statsmodels.api as sm  # a second to load, for one question

    made = days(1)
    inner = np.column_stack([made.series == 1, made.series == 2, np.log(made.price), made.columns]).astype(float)

    found = estimate(made)

    told = sm.GLM(made.units, inner, family=sm.families.Poisson()).fit(scale="X2")
    assert found.value == pytest.approx(told.params[2], abs=1e-8)
    assert found.std_error == pytest.approx(told.bse[2], rel=1e-6)


@pytest.mark.parametrize("elasticity", [-0.5, -1.7])
def test_what_the_generator_planted_is_recovered(elasticity: float, tmp_path: Path) -> None:
    seed = Seed(
        stores=5, products=10, start=date(2023, 1, 1), end=date(2023, 12, 31), elasticity=elasticity, promotion_share=0.2,
        price_change_share=0.02, trend="linear", trend_per_day=0.0005,
    )  # fmt: skip
    truth = pl.concat([piece.frame for piece in generate(seed) if piece.table == "truth"])
    planted = dict(truth.filter(kind="elasticity").select("sku", "value").iter_rows())

    rows = elasticities(plant(tmp_path, seed).warehouse)

    products = {each.member: each for each in rows if each.level == "product"}
    assert products.keys() == planted.keys()
    for sku, each in products.items():
        assert each.source == "shrunk"
        assert abs(each.elasticity - planted[sku]) < 3 * each.std_error + 0.02, sku
    assert by_category(rows)[None] == pytest.approx(np.mean(list(planted.values())), abs=0.1)


def test_days_without_a_row_are_days_without_a_sale(tmp_path: Path) -> None:
    """Half of the days sold nothing, which tills do not say; prices are told by plans, or by what was paid alone."""
    seed = Seed(
        stores=5, products=10, start=date(2023, 1, 1), end=date(2023, 12, 31), base_demand=0.8, elasticity=-3.0,
        promotion_share=0.2, price_change_share=0.02,
    )  # fmt: skip
    warehouse = plant(tmp_path, seed).warehouse

    def found() -> dict[str, PriceElasticity]:
        return {each.member: each for each in elasticities(warehouse) if each.level == "category"}

    whole = found()
    rewrite(warehouse, "core/sales_daily", lambda sales: sales.filter(pl.col("quantity") > 0))
    sold = found()
    for file in warehouse.files("core/price_history"):
        pl.read_parquet(file).clear().write_parquet(file)
    unplanned = found()

    for name, each in sold.items():
        assert each.estimate == pytest.approx(whole[name].estimate, abs=0.1)
        assert each.estimate == pytest.approx(-3, abs=4 * (each.std_error or 0))
        assert each.rows > 0.9 * whole[name].rows
        assert unplanned[name].estimate == pytest.approx(whole[name].estimate, abs=0.25)


def test_what_tells_nothing_or_cannot_be_is_replaced_and_said() -> None:
    sparse = settled("category", "a", Estimate(None, None, 5, 1), PRIOR, 1.0)
    upward = settled("product", "b", Estimate(0.7, 0.1, 500, 30), -2.0, AMONG)
    steep = settled("product", "c", Estimate(-40.0, 0.01, 500, 30), -2.0, AMONG)
    vague = settled("product", "d", Estimate(-3.0, 0.3, 500, 30), -2.0, 0.3)

    assert (sparse.elasticity, sparse.source, sparse.flag) == (-1.5, "prior", "sparse")
    assert (upward.elasticity, upward.source, upward.flag) == (-2.0, "prior", "implausible")
    assert (steep.elasticity, steep.flag) == (-5.0, "clamped")
    assert vague.elasticity == pytest.approx(-2.5), "equal variances meet half-way"


def test_too_few_changes_of_price_tell_nothing() -> None:
    made = days(1)
    flat = Days(made.series, made.level, made.sku, made.units, np.full(400, 9.99), made.columns)

    assert estimate(flat) == Estimate(None, None, 400, 0)
    assert estimate(made.of("B")) == Estimate(None, None, 0, 0)
