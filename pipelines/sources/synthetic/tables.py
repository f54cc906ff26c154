"""The rows of generated data: a demand, and where they are kept by month what was sold in one -> a frame of the kind."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from assets_config.contract.cells import columns
from assets_config.contract.kinds import KINDS
from pipelines.sources.synthetic.demand import Demand, Sold, first_day, noise_seed
from pipelines.sources.synthetic.plans import promotion_name, special
from pipelines.sources.synthetic.streams import Draw, stream

EPOCH = date(1970, 1, 1)
HOLIDAYS_AHEAD = 90  # days after the end whose holidays are told
LEAST_COVER, MOST_COVER = 3, 14  # days of demand that a count finds
WEEK = 7
REVIEW = 14  # days between two orders of a series
PACK = 6
RETURN_SHARE = 0.02
RETURN_DAYS = 14  # after which nothing is taken back
REASONS = ("changed mind", "damaged", "wrong item")
TYPES: dict[str, Any] = {"text": pl.String, "day": pl.Date, "integer": pl.Int64, "number": pl.Float64, "flag": pl.Boolean}


def typed(kind: str, values: Mapping[str, Any]) -> pl.DataFrame:
    """A frame of a kind from columns by name; a column that is not given is null.

    Days are dates, or numbers since 1970 in an array; decimals are whole cents.
    """
    series = []
    for column in columns(KINDS[kind].rows):
        given = values.get(column.name)
        each = pl.Series(column.name, [None] * len(next(iter(values.values()))) if given is None else given)
        if column.type == "decimal":
            # cents become decimals in integers alone: a division of floats would be off in the last place now and then
            each = each.cast(pl.Decimal(18, column.scale)) / 100
            series.append(each.cast(pl.Decimal(18, column.scale)))
        elif column.type == "day" and each.dtype.is_integer():
            series.append(each.cast(pl.Int32).cast(pl.Date))
        else:
            series.append(each.cast(TYPES[column.type]))
    return pl.DataFrame(series)


def _stores(demand: Demand) -> pl.DataFrame:
    return typed("stores", demand.stores.columns)


def _products(demand: Demand) -> pl.DataFrame:
    return typed("products", demand.products.columns)


def _lifecycle(demand: Demand) -> pl.DataFrame:
    return typed("lifecycle", {name: demand.products.columns[name] for name in ("sku", "launched_on", "discontinued_on")})


def _holidays(demand: Demand) -> pl.DataFrame:
    """Holidays of the range and HOLIDAYS_AHEAD days after it; a later batch goes on where an earlier one stopped telling."""
    seed = demand.seed
    first = seed.start if seed.since is None else seed.since + timedelta(days=HOLIDAYS_AHEAD)
    days = [first + timedelta(days=n) for n in range((seed.end - first).days + HOLIDAYS_AHEAD + 1)]
    found = [(day, name[0]) for day in days if (name := special(seed, day))]
    return typed("holidays", {"date": [day for day, _ in found], "holiday_name": [name for _, name in found]})


def _prices(demand: Demand) -> pl.DataFrame:
    """List prices of the whole chain, each until the day before the next; the last one is open."""
    seed, plan = demand.seed, demand.plan
    begin, start, end = first_day(seed), -plan.origin, (seed.end - seed.start).days
    values: dict[str, list[Any]] = {"sku": [], "price": [], "valid_from": [], "valid_to": []}
    for p, sku in enumerate(demand.products.columns["sku"]):
        moves = [0, *(int(t) for t in np.flatnonzero(plan.moved[p]) - start if 0 < t <= end)]
        for day, after in zip(moves, [*moves[1:], None], strict=True):
            if day >= begin:
                values["sku"].append(sku)
                values["price"].append(int(plan.listed[p, day + start]))
                values["valid_from"].append(seed.start + timedelta(days=day))
                values["valid_to"].append(None if after is None else seed.start + timedelta(days=after - 1))
    return typed("prices", values)


def _promotions(demand: Demand) -> pl.DataFrame:
    """Promotions that begin within the range; their end is as planned and may lie after it."""
    seed = demand.seed
    found = [each for each in demand.plan.promotions() if first_day(seed) <= each.first <= (seed.end - seed.start).days]
    codes, skus = demand.stores.columns["code"], demand.products.columns["sku"]
    values = {
        "sku": [skus[each.product] for each in found],
        "name": [promotion_name(seed, each) for each in found],
        "start_date": [seed.start + timedelta(days=each.first) for each in found],
        "end_date": [seed.start + timedelta(days=each.last) for each in found],
        "discount_pct": pl.Series([each.percent or None for each in found], dtype=pl.Int64),
        "discount_amount": pl.Series([each.cents or None for each in found], dtype=pl.Int64),
        "store_code": [None if each.store is None else codes[each.store] for each in found],
    }
    return typed("promotions", values)


def _sales(demand: Demand, sold: Sold) -> pl.DataFrame:
    where = np.flatnonzero(sold.on_sale & ~sold.stockout)
    quantity, cents = sold.wanted.ravel()[where], sold.paid.ravel()[where].astype(np.int64)
    values = _keys(demand, sold, where) | {"quantity": quantity, "unit_price": cents, "total_amount": quantity * cents}
    return typed("sales-daily", values)


def _inventory(demand: Demand, sold: Sold) -> pl.DataFrame:
    """A count of each series on Sundays, and one on each day without stock."""
    sunday = np.array([day.weekday() == 6 for day in sold.month.dates])
    where = np.flatnonzero(sold.on_sale & (sunday | sold.stockout))
    luck = np.stack([_drawn(demand, Draw.STOCK, s, sold).random(sold.wanted.shape[1:]) for s in range(demand.seed.stores)])
    daily, empty = sold.expected.ravel()[where], sold.stockout.ravel()[where]
    cover = LEAST_COVER + (MOST_COVER - LEAST_COVER) * luck.ravel()[where]
    on_hand = np.where(empty, 0, np.maximum(np.ceil(daily * cover), 1)).astype(np.int64)
    ordered = np.where(on_hand < WEEK * daily, _packs(WEEK * daily), 0)
    return typed("inventory", _keys(demand, sold, where) | {"on_hand": on_hand, "on_order": ordered, "is_stockout": empty})


def _receipts(demand: Demand, sold: Sold) -> pl.DataFrame:
    """What REVIEW days of demand need, every REVIEW days; the days differ by store and product."""
    seed = demand.seed
    stores, products = np.arange(seed.stores), np.arange(seed.products)
    number = (seed.start - EPOCH).days + sold.month.numbers
    due = (number + 7 * stores[:, None, None] + 3 * products[:, None]) % REVIEW == 0
    where = np.flatnonzero(sold.on_sale & due)
    late = np.stack([_drawn(demand, Draw.RECEIPT, s, sold).integers(0, 3, sold.wanted.shape[1:]) for s in range(seed.stores)])
    keys = _keys(demand, sold, where)
    lead = demand.products.lead_days[np.unravel_index(where, sold.wanted.shape)[1]] + late.ravel()[where]
    told = pl.DataFrame({"day": keys["date"].cast(pl.Int32).cast(pl.Date), "store": keys["store_code"]})
    orders = told.select(pl.concat_str(pl.lit("PO-"), pl.col("day").dt.strftime("%y%m%d"), pl.lit("-"), pl.col("store")))
    values = {
        "quantity": _packs(REVIEW * sold.expected.ravel()[where]),
        "order_id": orders.to_series(),
        "ordered_on": keys["date"] - lead,
    }
    return typed("receipts", keys | values)


def _exogenous(demand: Demand, sold: Sold) -> pl.DataFrame:
    """The temperature that demand has followed, by store and day."""
    seed, month = demand.seed, sold.month
    within = (month.numbers >= first_day(seed)) & (month.numbers <= (seed.end - seed.start).days)
    days = (seed.start - EPOCH).days + month.numbers[within]
    values = {
        "date": pl.Series(np.tile(days, seed.stores)),
        "name": ["temperature"] * (seed.stores * len(days)),
        "value": sold.temperature[:, within].ravel(),
        "store_code": pl.Series(demand.stores.columns["code"]).gather(np.repeat(np.arange(seed.stores), len(days))),
    }
    return typed("exogenous", values)


def returns(demand: Demand, sold: Sold, coming: pl.DataFrame | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Returns of a month, and what of its sales will come back after it; `coming` is the latter of the month before.

    RETURN_SHARE of the units come back 1 to RETURN_DAYS days after the sale, those of one row together and for one reason. What
    would come back after the end of the batch does not.
    """
    seed, month = demand.seed, sold.month
    # drawn for what was wanted, on days outside of the range too: what is drawn for a day must not depend on where the range ends
    wanted = sold.wanted
    back = np.stack([_drawn(demand, Draw.RETURN, s, sold).binomial(wanted[s], RETURN_SHARE) for s in range(seed.stores)])
    back *= sold.on_sale & ~sold.stockout
    luck = np.stack([_drawn(demand, Draw.RETURN_DELAY, s, sold).random((*wanted.shape[1:], 2)) for s in range(seed.stores)])
    s, p, d = np.nonzero(back)
    found = pl.DataFrame(
        {
            "store": s,
            "product": p,
            "day": d + month.first + 1 + (luck[s, p, d, 0] * RETURN_DAYS).astype(np.int64),
            "reason": pl.Series(REASONS).gather((luck[s, p, d, 1] * len(REASONS)).astype(np.int64)),
            "quantity": back[s, p, d],
            "cents": back[s, p, d] * sold.paid[s, p, d],
        }
    )
    grain = ["store", "product", "day", "reason"]
    known = (found if coming is None else pl.concat([coming, found])).group_by(grain).sum().sort(grain)
    after = month.first + month.days
    due = known.filter(pl.col("day") < after, pl.col("day") <= (seed.end - seed.start).days)
    values = {
        "date": due["day"] + (seed.start - EPOCH).days,
        "store_code": pl.Series(demand.stores.columns["code"]).gather(due["store"]),
        "sku": pl.Series(demand.products.columns["sku"]).gather(due["product"]),
        "quantity": due["quantity"],
        "total_amount": due["cents"],
        "reason": due["reason"],
    }
    return typed("returns", values), known.filter(pl.col("day") >= after)


def _keys(demand: Demand, sold: Sold, where: np.ndarray) -> dict[str, pl.Series]:
    """Day number since 1970, store and product of places in the flat arrays of a month."""
    s, p, d = np.unravel_index(where, sold.wanted.shape)
    return {
        "date": pl.Series(d + (demand.seed.start - EPOCH).days + sold.month.first),
        "store_code": pl.Series(demand.stores.columns["code"]).gather(s),
        "sku": pl.Series(demand.products.columns["sku"]).gather(p),
    }


def _drawn(demand: Demand, draw: Draw, store: int, sold: Sold) -> np.random.Generator:
    return stream(noise_seed(demand.seed), draw, store, sold.month.index)


def _packs(units: np.ndarray) -> np.ndarray:
    """Units rounded up to whole packs, at least one."""
    return np.maximum(np.ceil(units / PACK), 1).astype(np.int64) * PACK


STANDING: dict[str, Callable[[Demand], pl.DataFrame]] = {"stores": _stores, "products": _products, "lifecycle": _lifecycle}
"""Tables without days, given once."""
PLANNED: dict[str, Callable[[Demand], pl.DataFrame]] = {"holidays": _holidays, "prices": _prices, "promotions": _promotions}
"""Tables of what is planned for days."""
MONTHLY: dict[str, Callable[[Demand, Sold], pl.DataFrame]] = {
    "sales-daily": _sales,
    "inventory": _inventory,
    "receipts": _receipts,
    "exogenous": _exogenous,
}
"""Tables of what happened, by month; returns, which pass from one to the next, stand beside them."""
