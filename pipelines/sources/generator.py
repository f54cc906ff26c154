"""Synthetic sales with the shape of a retailer's, made from declared knobs and a seed.

Every store, product and series draws from a random stream of its own, so that more stores do not change the first ones, and
the same arguments give the same rows. Demand is caused, not decorated:

    demand = store level x product level x trend x weekday x season x holiday
             x (price / list price) ^ elasticity x promotion lift, then Poisson with overdispersion

A stock-out day sells nothing and, as in a till's export, has no row.
"""

from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl

from assets_config.declared import Generator
from pipelines.sources.columns import RAW

REGIONS = ("North", "South", "East", "West")
FORMATS = ("supermarket", "express", "hypermarket")
CITIES = ("Ashford", "Brookton", "Carlow", "Dunmore", "Eastvale", "Fairhaven", "Glenwood", "Harwick")
CATEGORIES = {
    "Bakery": ("Bread", "Pastry"),
    "Beverages": ("Juice", "Soft Drinks"),
    "Dairy": ("Cheese", "Milk"),
    "Household": ("Cleaning", "Paper"),
    "Produce": ("Fruit", "Vegetables"),
}
BRANDS = ("Alder", "Birch", "Cedar", "Rowan")
WEEKDAYS = np.array([0.85, 0.9, 0.95, 1.0, 1.15, 1.3, 1.1])  # Monday first
FIXED_HOLIDAYS = {(1, 1): "New Year", (5, 1): "May Day", (12, 24): "Christmas Eve", (12, 31): "New Year's Eve"}
HOLIDAY_LIFT = 1.6
PROMOTION_LIFT = 1.3
PROMOTION_DISCOUNT = 0.2
PROMOTION_DAYS = 7


class Generated(msgspec.Struct, frozen=True):
    """The four raw tables, without the place columns."""

    raw_stores: pl.DataFrame
    raw_products: pl.DataFrame
    raw_calendar: pl.DataFrame
    raw_sales: pl.DataFrame


def generate(knobs: Generator) -> Generated:
    """Make all four raw tables; the same knobs give the same bytes.

    >>> generate(Generator(name="tiny", about="", stores=1, products=2, days=75)).raw_stores["code"].to_list()
    ['S001']
    """
    days = [knobs.end - timedelta(days=knobs.days - 1 - n) for n in range(knobs.days)]
    stores = _stores(knobs)
    products = _products(knobs)
    sales = _sales(knobs, days, stores, products)
    calendar = [(day, _holiday(day)) for day in days + [knobs.end + timedelta(days=n) for n in range(1, 91)]]
    return Generated(
        _frame("raw_stores", stores),
        _frame("raw_products", products),
        _frame("raw_calendar", {"date": [day for day, _ in calendar], "holiday_name": [name for _, name in calendar]}),
        sales,
    )


def _stores(knobs: Generator) -> dict[str, list[str | None]]:
    numbers = range(1, knobs.stores + 1)
    return {
        "key": [f"S{n:03}" for n in numbers],
        "code": [f"S{n:03}" for n in numbers],
        "name": [f"{CITIES[n % len(CITIES)]} {FORMATS[n % len(FORMATS)]} {n}" for n in numbers],
        "region": [REGIONS[n % len(REGIONS)] for n in numbers],
        "city": [CITIES[n % len(CITIES)] for n in numbers],
        "store_type": [FORMATS[n % len(FORMATS)] for n in numbers],
    }


def _products(knobs: Generator) -> dict[str, list]:
    numbers = range(1, knobs.products + 1)
    shelf = [(category, department) for category, departments in CATEGORIES.items() for department in departments]
    draws = [np.random.default_rng([knobs.seed, 1, n]) for n in numbers]
    prices = [round(float(draw.uniform(0.99, 29.99)), 2) for draw in draws]
    costs = [round(price * float(draw.uniform(0.4, 0.7)), 2) for price, draw in zip(prices, draws, strict=True)]
    places = [shelf[n % len(shelf)] for n in numbers]
    return {
        "key": [f"SKU-{n:04}" for n in numbers],
        "sku": [f"SKU-{n:04}" for n in numbers],
        "name": [f"{department} {n}" for n, (_, department) in zip(numbers, places, strict=True)],
        "category": [category for category, _ in places],
        "department": [department for _, department in places],
        "brand": [BRANDS[n % len(BRANDS)] for n in numbers],
        "base_price": prices,
        "base_cost": costs,
    }


def _sales(knobs: Generator, days: list[date], stores: dict, products: dict) -> pl.DataFrame:
    weekday = WEEKDAYS[np.array([day.weekday() for day in days])]
    season = 1 + 0.15 * np.sin(2 * np.pi * (np.array([day.timetuple().tm_yday for day in days]) - 80) / 365.25)
    holiday = np.where([_holiday(day) is not None for day in days], HOLIDAY_LIFT, 1.0)
    trend = 1 + 0.0003 * np.arange(len(days))
    levels = [float(np.random.default_rng([knobs.seed, 0, s]).lognormal(0, 0.35)) for s in range(len(stores["code"]))]
    pieces = []
    for p, price in enumerate(products["base_price"]):
        taste = np.random.default_rng([knobs.seed, 2, p])
        level = float(taste.lognormal(0, 0.8))
        elasticity = -float(taste.uniform(0.5, 2.0))
        for s in range(len(stores["code"])):
            draw = np.random.default_rng([knobs.seed, 3, p, s])
            promoted = _promoted(draw, len(days), knobs.promotion_share)
            paid = np.round(np.where(promoted, price * (1 - PROMOTION_DISCOUNT), price), 2)
            demand = knobs.base_demand * levels[s] * level * trend * weekday * season * holiday
            demand *= (paid / price) ** elasticity * np.where(promoted, PROMOTION_LIFT, 1.0)
            demand *= draw.lognormal(0, knobs.noise_sigma, len(days))
            quantity = draw.poisson(demand)
            in_stock = draw.random(len(days)) >= knobs.stockout_share
            pieces.append((s, p, quantity, paid, in_stock))
    return _long(days, stores["code"], products["sku"], pieces)


def _long(days: list[date], codes: list[str], skus: list[str], pieces: list) -> pl.DataFrame:
    count = len(days)
    kept = np.concatenate([in_stock for *_, in_stock in pieces])
    frame = pl.DataFrame(
        {
            "store": pl.Series(np.repeat([s for s, *_ in pieces], count)),
            "product": pl.Series(np.repeat([p for _, p, *_ in pieces], count)),
            "date": pl.Series(days * len(pieces), dtype=pl.Date),
            "quantity": pl.Series(np.concatenate([quantity for _, _, quantity, *_ in pieces]), dtype=pl.Int64),
            "cents": pl.Series(np.round(np.concatenate([paid for *_, paid, _ in pieces]) * 100).astype(np.int64)),
        }
    ).filter(pl.Series(kept))
    price = pl.col("cents").cast(pl.Decimal(18, 2)) / 100
    return frame.select(
        pl.lit(pl.Series(codes)).gather(pl.col("store")).alias("store"),
        pl.lit(pl.Series(skus)).gather(pl.col("product")).alias("product"),
        "date",
        "quantity",
        price.cast(pl.Decimal(18, 4)).alias("unit_price"),
        ((pl.col("cents") * pl.col("quantity")).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2)).alias("total_amount"),
    )


def _promoted(draw: np.random.Generator, count: int, share: float) -> np.ndarray:
    """Whole weeks on promotion, so that about `share` of the days are."""
    starts = draw.random(count) < share / PROMOTION_DAYS
    return np.convolve(starts, np.ones(PROMOTION_DAYS), mode="full")[:count] > 0


def _holiday(day: date) -> str | None:
    if day.month == 11 and day.weekday() == 4 and 23 <= day.day <= 29:
        return "Black Friday"
    return FIXED_HOLIDAYS.get((day.month, day.day))


def _frame(table: str, values: dict) -> pl.DataFrame:
    types: dict[str, Any] = {"VARCHAR": pl.String, "DATE": pl.Date, "DECIMAL(18,2)": pl.Decimal(18, 2)}
    columns = {column.name: types[column.sql_type] for column in RAW[table]}
    return pl.DataFrame(
        {name: pl.Series(values[name]).cast(kind) for name, kind in columns.items()},
    )
