"""What was planted is found again in the sales by plain regression, and the truth is enough to work demand out by hand.

Each estimate has to follow two planted values, one of which unplugs the effect: a generator whose sales ignored it would fail,
and so would an estimate that always finds what it looks for.
"""

import math
from collections import defaultdict
from datetime import date, timedelta
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl
import pytest

from assets_config.contract.seeds import BASE, ENRICHMENT, Seed, resolve
from pipelines.sources.synthetic import demand
from pipelines.sources.synthetic.generator import generate
from pipelines.sources.synthetic.shops import Stores, make_stores

WORLD = Seed(
    stores=5, products=30, start=date(2023, 1, 1), end=date(2023, 12, 31), base_demand=150.0,
    promotion_share=0.2, price_change_share=0.02, tables=(*BASE, *ENRICHMENT),
)  # fmt: skip


class World(NamedTuple):
    """The days of sales with what a planner knows of them, and what was planted."""

    days: pl.DataFrame  # series, date, store_code, sku, quantity, price_ratio, promoted, holiday, launched_on
    truth: pl.DataFrame

    def planted(self, kind: str) -> pl.DataFrame:
        return self.truth.filter(pl.col("kind") == kind)


def tables(seed: Seed) -> dict[str, pl.DataFrame]:
    found = defaultdict(list)
    for piece in generate(seed):
        found[piece.table].append(piece.frame)
    return {table: pl.concat(frames) for table, frames in found.items()}


def world(**knobs: Any) -> World:
    made = tables(msgspec.structs.replace(WORLD, **knobs))
    cut = made["promotions"].with_columns(date=pl.date_ranges("start_date", "end_date")).explode("date")
    chain = cut.filter(pl.col("store_code").is_null()).select("sku", "date", chain=True)
    local = cut.filter(pl.col("store_code").is_not_null()).select("store_code", "sku", "date", local=True)
    days = (
        made["sales-daily"]
        .filter(pl.col("quantity") > 0)
        .join(made["products"].select("sku", "base_price", "launched_on"), on="sku")
        .join(made["holidays"], on="date", how="left")
        .join(chain, on=["sku", "date"], how="left")
        .join(local, on=["store_code", "sku", "date"], how="left")
        .select(
            pl.concat_str("store_code", "sku").alias("series"),
            *("date", "store_code", "sku", "quantity", "launched_on"),
            (pl.col("unit_price").cast(pl.Float64) / pl.col("base_price").cast(pl.Float64)).alias("price_ratio"),
            (pl.col("chain").is_not_null() | pl.col("local").is_not_null()).alias("promoted"),
            pl.col("holiday_name").is_not_null().alias("holiday"),
        )
    )
    return World(days, made["truth"])


def regress(days: pl.DataFrame, *, within: str = "series", **more: pl.Expr) -> dict[str, float]:
    """ln units on ln price, promotion, holiday and what is given more, with weekdays, months and each series of its own level."""
    columns = {
        "price": pl.col("price_ratio").log(),
        "promotion": pl.col("promoted").cast(pl.Float64),
        "holiday": pl.col("holiday").cast(pl.Float64),
        **more,
        **{f"weekday{n}": (pl.col("date").dt.weekday() == n).cast(pl.Float64) for n in range(2, 8)},
        **{f"month{n}": (pl.col("date").dt.month() == n).cast(pl.Float64) for n in range(2, 13)},
    }
    made = days.select(within, pl.col("quantity").log().alias("y"), **columns)
    centred = made.select((pl.col(name) - pl.col(name).mean().over(within)) for name in ["y", *columns])
    found, *_ = np.linalg.lstsq(centred.select(*columns).to_numpy(), centred["y"].to_numpy(), rcond=None)
    return dict(zip(columns, found.tolist(), strict=True))


@pytest.mark.parametrize("elasticity", [-0.5, -1.8, 0.0])
def test_the_elasticity_is_found_in_sales(elasticity: float) -> None:
    made = world(elasticity=elasticity)

    assert regress(made.days)["price"] == pytest.approx(elasticity, abs=0.05)
    planted = made.planted("elasticity")["value"]
    assert planted.mean() == pytest.approx(elasticity, abs=0.1)
    assert planted.std() == pytest.approx(-0.1 * elasticity, rel=0.4)


def test_the_elasticity_of_each_product_is_found_in_sales() -> None:
    made = world(elasticity=-1.8)

    for sku, planted in made.planted("elasticity").select("sku", "value").iter_rows():
        assert regress(made.days.filter(pl.col("sku") == sku))["price"] == pytest.approx(planted, abs=0.3), sku


@pytest.mark.parametrize("lift", [1.3, 1.8, 1.0])
def test_the_lift_of_promotions_is_found_beyond_their_price(lift: float) -> None:
    made = world(promotion_lift=lift)

    assert math.exp(regress(made.days)["promotion"]) == pytest.approx(lift, rel=0.02)
    assert made.planted("promotion")["value"].unique().to_list() == [lift]


@pytest.mark.parametrize("lift", [1.5, 2.2, 1.0])
def test_the_lift_of_holidays_is_found_in_sales(lift: float) -> None:
    made = world(holiday_lift=lift)

    assert math.exp(regress(made.days)["holiday"]) == pytest.approx(lift, rel=0.03)
    assert made.planted("holiday")["value"].unique().to_list() == [lift]


@pytest.mark.parametrize(("ramp_days", "slope"), [(30, 1.0), (1, 0.0)])
def test_the_ramp_of_launches_is_found_in_sales(ramp_days: int, slope: float) -> None:
    made = world(launch_share=0.6, ramp_days=ramp_days)
    age = (pl.col("date") - pl.col("launched_on")).dt.total_days()

    found = regress(made.days.filter(age > 0), ramp=(age / 30).clip(upper_bound=1.0).log())

    assert found["ramp"] == pytest.approx(slope, abs=0.04)
    assert made.planted("launch").height > 10
    assert made.planted("launch")["value"].unique().to_list() == [ramp_days]


@pytest.mark.parametrize("plugged", [True, False])
def test_the_level_of_stores_is_found_in_sales(plugged: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def flat(seed: Seed) -> Stores:
        return msgspec.structs.replace(make_stores(seed), level=np.ones(seed.stores))

    if not plugged:
        monkeypatch.setattr(demand, "make_stores", flat)
    made = world(stores=12, products=12)
    first = made.planted("store_level")["store_code"][0]
    dummies = {code: (pl.col("store_code") == code).cast(pl.Float64) for code in made.planted("store_level")["store_code"][1:]}

    found = {first: 0.0, **regress(made.days, within="sku", **dummies)}

    levels = {code: math.log(value) for code, value in made.planted("store_level").select("store_code", "value").iter_rows()}
    for code, level in levels.items():
        assert found[code] - found[first] == pytest.approx(level - levels[first], abs=0.06), code  # mild or cold places: 0.03
    assert (max(levels.values()) - min(levels.values()) > 0.5) == plugged


@pytest.mark.parametrize("sigma", [0.1, 0.4])
def test_the_spread_of_noise_is_found_in_sales(sigma: float) -> None:
    still, noisy = (
        tables(msgspec.structs.replace(WORLD, base_demand=50_000.0, noise_sigma=each, stores=2))["sales-daily"]
        for each in (0.0, sigma)
    )

    ratio = noisy["quantity"].to_numpy() / still["quantity"].to_numpy()

    assert np.log(ratio).std() == pytest.approx(sigma, rel=0.05)
    assert ratio.mean() == pytest.approx(1, abs=0.02), "noise is 1 in the mean"


def test_large_stores_in_good_places_sell_more() -> None:
    made = tables(Seed(stores=200, products=1, end=date(2024, 1, 31), tables=("stores",)))
    both = made["stores"].join(made["truth"].filter(pl.col("kind") == "store_level"), left_on="code", right_on="store_code")
    x = np.column_stack(
        [
            np.log(both["size_sqft"].to_numpy()),
            np.log(both["median_income"].to_numpy()),
            *((both["location_tier"] == tier).to_numpy().astype(float) for tier in "ABC"),
        ]
    )

    found, *_ = np.linalg.lstsq(x, np.log(both["value"].to_numpy()), rcond=None)

    size, income, best, middle, worst = found
    assert size == pytest.approx(0.4, abs=0.02)
    assert income == pytest.approx(0.3, abs=0.05)
    assert best - middle == pytest.approx(math.log(1.25), abs=0.03)
    assert middle - worst == pytest.approx(math.log(1.25), abs=0.03)


@pytest.mark.parametrize("preset", ["retail_standard", "holiday_rush", "new_launches", "sparse", "fashion_season"])
def test_demand_can_be_worked_out_from_the_truth(preset: str) -> None:
    seed = msgspec.structs.replace(
        resolve(preset, stores=2, products=6), noise_sigma=0.0, anomaly_share=0.05, tables=(*BASE, *ENRICHMENT)
    )
    made = tables(seed)

    sold, worked_out = follow(made, seed)

    off = (sold - worked_out) / np.sqrt(worked_out)  # of Poisson numbers: mean 0, variance 1
    assert len(off) > 800
    assert off.mean() == pytest.approx(0, abs=4 / math.sqrt(len(off)))
    assert (off**2).mean() == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize(
    "kind",
    ["weekday", "store_level", "product_level", "elasticity", "temperature", "promotion", "holiday", "launch", "anomaly", "trend"],
)
def test_demand_is_not_what_it_is_without_one_of_its_causes(kind: str) -> None:
    seed = msgspec.structs.replace(
        resolve("new_launches", stores=2, products=8), noise_sigma=0.0, anomaly_share=0.05, tables=(*BASE, *ENRICHMENT)
    )
    made = tables(seed)
    sold, known = follow(made, seed)
    blind = {**made, "truth": made["truth"].filter(pl.col("kind") != kind)}

    _, worked_out = follow(blind, seed)

    likelihood, without = (float((sold * np.log(each) - each).sum()) for each in (known, worked_out))
    assert likelihood - without > 10, f"{kind} does not move sales"


def follow(made: dict[str, pl.DataFrame], seed: Seed) -> tuple[np.ndarray, np.ndarray]:
    """Units of each row of sales after a launch, and the demand that plain arithmetic on truth, prices and weather gives."""
    truth = list(made["truth"].iter_rows(named=True))

    def table(kind: str, *keys: str) -> dict[Any, float]:
        return {tuple(row[key] for key in keys): row["value"] for row in truth if row["kind"] == kind}

    weekday, months, holiday = table("weekday", "name"), table("month", "name"), table("holiday", "start_date")
    stores, products = table("store_level", "store_code"), table("product_level", "sku")
    elasticity, warmth = table("elasticity", "sku"), table("temperature", "sku")
    anomaly, season = table("anomaly", "store_code", "sku", "start_date"), table("season", "sku")
    launch = {row["sku"]: row["start_date"] for row in truth if row["kind"] == "launch"}
    ends = dict(made["lifecycle"].select("sku", "discontinued_on").iter_rows())
    launched = dict(made["lifecycle"].select("sku", "launched_on").iter_rows())
    ramp = seed.ramp_days
    lift = defaultdict(lambda: 1.0)
    for row in truth:
        if row["kind"] == "promotion":
            for n in range((row["end_date"] - row["start_date"]).days + 1):
                for store in [row["store_code"]] if row["store_code"] else made["stores"]["code"]:
                    lift[store, row["sku"], row["start_date"] + timedelta(days=n)] = row["value"]
    base = {sku: float(price) for sku, price in made["products"].select("sku", "base_price").iter_rows()}
    degrees = {(store, day): value for store, day, value in made["exogenous"].select("store_code", "date", "value").iter_rows()}
    slope = {"linear": 1.0, "exponential": 2.0, "none": 0.0}
    names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    kind, rate = next(((row["name"], row["value"]) for row in truth if row["kind"] == "trend"), ("none", 0.0))
    sold, expected = [], []
    for day, store, sku, units, price in made["sales-daily"].select("date", "store_code", "sku", "quantity", "unit_price").rows():
        number = (day - seed.start).days
        demand = seed.base_demand * (math.exp(rate * number) if slope[kind] == 2 else 1 + slope[kind] * rate * number)
        demand *= stores.get((store,), 1.0) * products.get((sku,), 1.0)
        demand *= weekday.get((names[day.weekday()],), 1.0) * months[(f"{day.month:02}",)] * holiday.get((day,), 1.0)
        demand *= math.exp(warmth.get((sku,), 0.0) * (degrees[store, day] - 11) / 10)
        demand *= (float(price) / base[sku]) ** elasticity.get((sku,), 0.0) * lift[store, sku, day]
        demand *= anomaly.get((store, sku, day), 1.0)
        if sku in launch:
            age = (day - launch[sku]).days
            demand *= min(age / ramp, 1.0)
            if (sku,) in season and age > ramp:
                demand *= 1 - (1 - season[sku,]) * (age - ramp) / ((ends[sku] - launch[sku]).days - ramp)
        if day == launched[sku]:
            assert units == 0, "a ramp begins with nothing"
            continue
        sold.append(units)
        expected.append(demand)
    return np.array(sold), np.array(expected)
