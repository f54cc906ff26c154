"""What was planted in generated data, so that estimates can be held against it.

| kind | of | value |
| --- | --- | --- |
| base_demand, noise, trend (name: which) | everything | the seed's |
| weekday (name: monday ...), month (name: 01 ...) | everything | factor |
| store_level, product_level | a store, a product | factor |
| elasticity | a product | exponent of price paid / list price at the start |
| temperature | a product | exponent of e a 10 degrees above 11 |
| absent | a series | 0: never sold |
| gap | a series and days | 0: days missing from the records |
| price_change | a product from a day on | list price / list price at the start |
| promotion (name) | a product, one store or all (empty), and days | lift beyond what the price does |
| holiday (name) | a day | factor |
| launch | a product, day of launch to the first day of full demand | days of the ramp |
| season | a product and days | share of demand that is left on the last day |
| stockout | a series and day | units that would have been sold |
| anomaly | a series and day | factor |
"""

import calendar
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from assets_config.contract.seeds import Seed
from pipelines.sources.synthetic.demand import SEASON_END, WEEKDAYS, Demand, Sold, first_day
from pipelines.sources.synthetic.plans import promotion_name, special
from pipelines.sources.synthetic.shops import FOREVER

SCHEMA: dict[str, Any] = {
    "kind": pl.String,
    "store_code": pl.String,
    "sku": pl.String,
    "name": pl.String,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "value": pl.Float64,
}


def standing(demand: Demand) -> Iterator[pl.DataFrame]:
    """What holds on all days. Given once, not again with days that follow."""
    seed, products = demand.seed, demand.products
    codes, skus = demand.stores.columns["code"], products.columns["sku"]
    yield rows("base_demand", value=[seed.base_demand])
    yield rows("noise", value=[seed.noise_sigma])
    yield rows("trend", name=seed.trend, value=[seed.trend_per_day if seed.trend != "none" else 0.0])
    yield rows("weekday", name=[each.lower() for each in calendar.day_name], value=WEEKDAYS)
    yield rows("month", name=[f"{month:02}" for month in range(1, 13)], value=[seed.months.get(m, 1.0) for m in range(1, 13)])
    yield rows("store_level", store=codes, value=demand.stores.level)
    yield rows("product_level", sku=skus, value=products.level)
    yield rows("elasticity", sku=skus, value=products.elasticity)
    yield rows("temperature", sku=skus, value=products.warmth)
    never = np.argwhere(~demand.pairs).tolist()
    yield rows("absent", store=[codes[s] for s, _ in never], sku=[skus[p] for _, p in never], value=[0.0] * len(never))


def planned(demand: Demand) -> Iterator[pl.DataFrame]:
    """What begins on a day of those that rows are given of, and was known before."""
    seed, products, plan = demand.seed, demand.products, demand.plan
    codes, skus = demand.stores.columns["code"], products.columns["sku"]
    begin, end = first_day(seed), (seed.end - seed.start).days
    moves = [(p, t + plan.origin) for p, t in np.argwhere(plan.moved).tolist() if begin <= t + plan.origin <= end]
    ratios = [float(plan.listed[p, t - plan.origin] / products.cents[p]) for p, t in moves]
    yield rows("price_change", sku=[skus[p] for p, _ in moves], start=[t for _, t in moves], value=ratios, seed=seed)
    offers = [each for each in plan.promotions() if begin <= each.first <= end]
    yield rows(
        "promotion",
        store=[None if each.store is None else codes[each.store] for each in offers],
        sku=[skus[each.product] for each in offers],
        name=[promotion_name(seed, each) for each in offers],
        start=[each.first for each in offers],
        end=[each.last for each in offers],
        value=[seed.promotion_lift] * len(offers),
        seed=seed,
    )
    holidays = [(t, found) for t in range(begin, end + 1) if (found := special(seed, seed.start + timedelta(days=t)))]
    days = [t for t, _ in holidays]
    yield rows("holiday", name=[n for _, (n, _) in holidays], start=days, end=days, value=[v for _, (_, v) in holidays], seed=seed)
    ages = [(sku, int(a), int(b)) for sku, a, b in zip(skus, products.launch, products.last, strict=True)]
    new = [each for each in ages if begin <= each[1] <= end]
    launched = [t for _, t, _ in new]
    yield rows(
        "launch",
        sku=[sku for sku, *_ in new],
        start=launched,
        end=[t + seed.ramp_days for t in launched],
        value=[float(seed.ramp_days)] * len(new),
        seed=seed,
    )
    lasting = [each for each in new if each[2] != FOREVER]
    yield rows(
        "season",
        sku=[sku for sku, *_ in lasting],
        start=[a for _, a, _ in lasting],
        end=[b for *_, b in lasting],
        value=[SEASON_END] * len(lasting),
        seed=seed,
    )
    for code, (first, last) in zip(codes, demand.gaps, strict=False):
        places = np.argwhere((first >= begin) & (first <= end)).tolist()
        yield rows(
            "gap",
            store=code,
            sku=[skus[p] for p, _ in places],
            start=[int(first[p, g]) for p, g in places],
            end=[int(last[p, g]) for p, g in places],
            value=[0.0] * len(places),
            seed=seed,
        )


def happened(demand: Demand, sold: Sold) -> Iterator[pl.DataFrame]:
    """Stock-outs and anomalies of a month."""
    codes, skus = pl.Series(demand.stores.columns["code"]), pl.Series(demand.products.columns["sku"])
    for kind, where, values in (("stockout", sold.stockout, sold.wanted), ("anomaly", sold.anomaly != 0, sold.anomaly)):
        s, p, d = np.nonzero(where)
        days = d + sold.month.first
        value = np.round(values[s, p, d].astype(np.float64), 6)
        yield rows(kind, store=codes.gather(s), sku=skus.gather(p), start=days, end=days, value=value, seed=demand.seed)


def rows(
    kind: str,
    *,
    value: Sequence[float] | np.ndarray,
    store: Any = None,
    sku: Any = None,
    name: Any = None,
    start: Sequence[int] | np.ndarray | None = None,
    end: Sequence[int] | np.ndarray | None = None,
    seed: Seed | None = None,
) -> pl.DataFrame:
    """Rows of the truth, as many as there are values; days are numbers, counted from the start of the seed."""
    columns = {"kind": kind, "store_code": store, "sku": sku, "name": name}
    days = {"start_date": start, "end_date": end}
    frame = pl.DataFrame({"value": pl.Series(value, dtype=pl.Float64)})
    frame = frame.with_columns(
        pl.lit(each, dtype=pl.String).alias(column) if each is None or isinstance(each, str) else pl.Series(column, each, pl.String)
        for column, each in columns.items()
    )
    for column, numbers in days.items():
        if numbers is None or seed is None:
            frame = frame.with_columns(pl.lit(None, dtype=pl.Date).alias(column))
        else:
            counted = pl.Series(column, numbers, dtype=pl.Int32) + (seed.start.toordinal() - 719163)
            frame = frame.with_columns(counted.cast(pl.Date))
    return frame.select(pl.col(each).cast(kind) for each, kind in SCHEMA.items())
