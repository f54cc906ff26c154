"""Demand of every series and day, caused by what the seed plants:

    demand = base_demand x store level x product level x trend x weekday x month x temperature x holiday
             x (price paid / list price at the start) ^ elasticity x promotion lift x launch ramp or season
             x noise x anomaly, then Poisson

So a promotion does two things: it cuts the price, which works through the elasticity, and it lifts demand beyond that. With
elasticity -0.5, a cut of 20 % and a lift of 1.3, demand is 0.8 ^ -0.5 x 1.3 = 1.45 times what it was. Noise is log-normal with
mean 1. Weekday factors are 1 on average; month factors are as the seed says.
"""

from datetime import date

import msgspec
import numpy as np

from assets_config.contract.seeds import Seed
from pipelines.sources.synthetic.plans import Plan, make_gaps, make_plan, special
from pipelines.sources.synthetic.shops import FOREVER, Products, Stores, make_products, make_stores
from pipelines.sources.synthetic.streams import Draw, Month, stream

WEEKDAYS = np.array([0.85, 0.89, 0.93, 0.98, 1.1, 1.25, 1.0])  # Monday first
MILD = 11.0  # degrees: the mean of the year, at which temperature does nothing
SUMMER = 9.0  # degrees that the warmest day is above the mean
SEASON_END = 0.25  # share of its demand that a fashion product keeps on its last day
MOST = 1e9  # units a day, lest a steep trend pass what may be counted


class Sold(msgspec.Struct, frozen=True):
    """A month of every series. Arrays are [S, P, D] for stores, products and days, where not said otherwise."""

    month: Month
    expected: np.ndarray  # units, without chance
    wanted: np.ndarray  # units that would have been bought had there been stock
    paid: np.ndarray  # price in cents
    on_sale: np.ndarray  # whether the series is recorded: on sale in the store, within the range, and no gap
    stockout: np.ndarray  # whether nothing could be bought; only where on_sale
    anomaly: np.ndarray  # factor of an anomaly, 0 where there is none
    temperature: np.ndarray  # [S, D] degrees


class Demand(msgspec.Struct, frozen=True):
    """What is the same on all days of a seed."""

    seed: Seed
    stores: Stores
    products: Products
    plan: Plan
    pairs: np.ndarray  # [S, P] whether the store ever sells the product
    gaps: list[tuple[np.ndarray, np.ndarray]]  # of each store: [P, G] first and last day numbers


def make_demand(seed: Seed) -> Demand:
    """Draw everything but the chance of days."""
    products = make_products(seed)
    pairs = [stream(seed.seed, Draw.PAIR, store).random(seed.products) >= seed.sparsity for store in range(seed.stores)]
    gaps = [make_gaps(seed, store) for store in range(seed.stores)] if seed.gaps else []
    return Demand(seed, make_stores(seed), products, make_plan(seed, products), np.stack(pairs), gaps)


def first_day(seed: Seed) -> int:
    """Number of the first day that rows are given of."""
    return (max(seed.since or seed.start, seed.start) - seed.start).days


def sell(demand: Demand, month: Month) -> Sold:
    """One month of every series. Months do not depend on each other."""
    seed, products, plan = demand.seed, demand.products, demand.plan
    shape = (seed.stores, seed.products, month.days)
    expected, anomaly = np.empty(shape), np.zeros(shape, dtype=np.float32)
    wanted, paid = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int32)
    on_sale, stockout = np.empty(shape, dtype=bool), np.empty(shape, dtype=bool)
    temperature = np.stack([_temperature(demand, store, month) for store in range(seed.stores)])
    common = _common(demand, month)
    listed = plan.listed[:, plan.of(month)]
    sold_at_all = _sold_at_all(demand, month)
    for s in range(seed.stores):
        paid[s] = plan.paid[:, plan.of(month)]
        np.multiply(common, demand.stores.level[s], out=expected[s])
        expected[s] *= np.exp(products.warmth[:, None] * ((temperature[s] - MILD) / 10))
        for each in plan.local.get((s, month.index), []):
            days = slice(max(each.first - month.first, 0), each.last - month.first + 1)
            paid[s, each.product, days] = each.paid(listed[each.product, days])
            cut = paid[s, each.product, days] / listed[each.product, days]
            expected[s, each.product, days] *= cut ** products.elasticity[each.product] * seed.promotion_lift
        np.minimum(expected[s], MOST, out=expected[s])
        on_sale[s] = sold_at_all & demand.pairs[s][:, None]
        if demand.gaps:
            on_sale[s] &= ~_missing(demand.gaps[s], month)
        wanted[s], stockout[s], anomaly[s] = _chance(seed, s, month, expected[s])
        anomaly[s] *= on_sale[s]
        stockout[s] &= on_sale[s]
    return Sold(month, expected, wanted, paid, on_sale, stockout, anomaly, temperature)


def ramp(launch: np.ndarray, last: np.ndarray, days: np.ndarray, ramp_days: int) -> np.ndarray:
    """[P, D] factor of a product's age: 0 on the day of launch, rising to 1 after ramp_days.

    Where there is a last day, it then falls to SEASON_END on that day, in a straight line. What it is outside does not matter.
    """
    age = days - launch[:, None]
    rising = np.clip(age / ramp_days, 0, 1)
    falling = np.clip((age - ramp_days) / np.maximum(last - launch - ramp_days, 1)[:, None], 0, 1)
    return rising * np.where(last[:, None] == FOREVER, 1.0, 1 - (1 - SEASON_END) * falling)


def _common(demand: Demand, month: Month) -> np.ndarray:
    """[P, D] what the day and the product do to demand in every store."""
    seed, products, plan = demand.seed, demand.products, demand.plan
    days = seed.base_demand * trend(seed, month.numbers)
    days *= [WEEKDAYS[day.weekday()] * special_factor(seed, day) for day in month.dates]
    days *= seed.months.get(month.month, 1.0)
    common = products.level[:, None] * days
    common *= (plan.paid[:, plan.of(month)] / products.cents[:, None]) ** products.elasticity[:, None]
    common *= np.where(plan.promoted[:, plan.of(month)], seed.promotion_lift, 1.0)
    return common * ramp(products.launch, products.last, month.numbers, seed.ramp_days)


def trend(seed: Seed, days: np.ndarray) -> np.ndarray:
    """Factor of days, 1 on day 0; never below 0."""
    if seed.trend == "exponential":
        return np.exp(seed.trend_per_day * days)
    return np.maximum(1 + (seed.trend_per_day if seed.trend == "linear" else 0.0) * days, 0)


def special_factor(seed: Seed, day: date) -> float:
    """Factor of a holiday, 1 on others."""
    found = special(seed, day)
    return found[1] if found else 1.0


def _sold_at_all(demand: Demand, month: Month) -> np.ndarray:
    days, products = month.numbers, demand.products
    within = (days >= first_day(demand.seed)) & (days <= (demand.seed.end - demand.seed.start).days)
    return within & (days >= products.launch[:, None]) & (days <= products.last[:, None])


def _missing(gaps: tuple[np.ndarray, np.ndarray], month: Month) -> np.ndarray:
    found = np.zeros((len(gaps[0]), month.days), dtype=bool)
    for first, last in zip(gaps[0].T, gaps[1].T, strict=True):
        found |= (month.numbers >= first[:, None]) & (month.numbers <= last[:, None])
    return found


def _temperature(demand: Demand, store: int, month: Month) -> np.ndarray:
    seed = demand.seed
    days = np.array([day.timetuple().tm_yday for day in month.dates])
    weather = 2 * stream(noise_seed(seed), Draw.TEMPERATURE, store, month.index).standard_normal(month.days)
    return np.round(MILD + demand.stores.warmth[store] - SUMMER * np.cos(2 * np.pi * (days - 15) / 365.25) + weather, 1)


def _chance(seed: Seed, store: int, month: Month, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units wanted, whether out of stock, and the factor of an anomaly or 0; each [P, D]."""

    def drawn(draw: Draw) -> np.random.Generator:
        return stream(noise_seed(seed), draw, store, month.index)

    mean = expected.copy()
    if seed.noise_sigma:
        noise = drawn(Draw.NOISE).standard_normal(mean.shape)
        mean *= np.exp(seed.noise_sigma * noise - seed.noise_sigma**2 / 2)
    luck = drawn(Draw.ANOMALY).random(mean.shape)
    anomaly = np.where(luck < seed.anomaly_share / 2, seed.anomaly_factor, 1 / seed.anomaly_factor)
    anomaly[luck >= seed.anomaly_share] = 0
    mean *= np.where(anomaly == 0, 1, anomaly)
    return drawn(Draw.SALE).poisson(mean), drawn(Draw.STOCKOUT).random(mean.shape) < seed.stockout_share, anomaly


def noise_seed(seed: Seed) -> int:
    """The seed of the chance of days."""
    return seed.seed if seed.noise_seed is None else seed.noise_seed
