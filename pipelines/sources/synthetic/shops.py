"""The stores and products of generated data: what they look like, and what of it moves demand.

Levels multiply demand and are 1 on average, roughly. A store's follows from its size, location and income, so that stores that
look alike sell alike; a product's is chance.
"""

from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np

from assets_config.contract.seeds import Seed
from pipelines.sources.synthetic.streams import Draw, stream

REGIONS = {"North": -3.0, "South": 3.0, "East": -1.0, "West": 1.0}
"""Degrees that a region is warmer than the country."""
CITIES = ("Ashford", "Brookton", "Carlow", "Dunmore", "Eastvale", "Fairhaven", "Glenwood", "Harwick")
GROCERS = {"supermarket": (8000, 20_000), "express": (1500, 4000), "hypermarket": (30_000, 60_000)}
FASHION_STORES = {"mall": (5000, 12_000), "boutique": (1500, 4000), "flagship": (15_000, 30_000)}
"""Formats with their smallest and largest sales floor in square feet."""
TIERS = {"A": 1.25, "B": 1.0, "C": 0.8}
"""Locations with what they do to the level."""
GROCERIES = {
    "Bakery": ("Bread", "Pastry", -0.03),
    "Beverages": ("Juice", "Soft Drinks", 0.15),
    "Dairy": ("Cheese", "Milk", 0.0),
    "Household": ("Cleaning", "Paper", 0.0),
    "Produce": ("Fruit", "Vegetables", 0.06),
}
FASHION = {
    "Dresses": ("Day Dresses", "Evening Dresses", 0.2),
    "Tops": ("Shirts", "T-Shirts", 0.15),
    "Coats": ("Jackets", "Overcoats", -0.25),
    "Trousers": ("Chinos", "Jeans", 0.0),
    "Knitwear": ("Cardigans", "Jumpers", -0.2),
    "Shoes": ("Boots", "Sneakers", 0.0),
}
"""Categories with two departments, and by how much the logarithm of demand grows when it is 10 degrees warmer."""
BRANDS = ("Alder", "Birch", "Cedar", "Rowan")
FOREVER = 10**6


class Stores(msgspec.Struct, frozen=True):
    """S stores: columns of the kind `stores`, and [S] arrays of what moves demand."""

    columns: dict[str, list[Any]]
    level: np.ndarray
    warmth: np.ndarray  # degrees that a store is warmer than the country


class Products(msgspec.Struct, frozen=True):
    """P products: columns of the kind `products`, and [P] arrays of what moves demand."""

    columns: dict[str, list[Any]]
    cents: np.ndarray  # list price at the start
    level: np.ndarray
    elasticity: np.ndarray
    warmth: np.ndarray  # what 10 degrees more do to the logarithm of demand
    launch: np.ndarray  # number of the first day on sale; negative: before the start
    last: np.ndarray  # number of the last day on sale; FOREVER: none
    lead_days: np.ndarray  # from order to receipt


def make_stores(seed: Seed) -> Stores:
    """All stores of a seed; the first ones do not depend on how many there are."""
    formats = FASHION_STORES if seed.seasons else GROCERS
    made = [_store(seed, n, formats) for n in range(seed.stores)]
    columns = {name: [columns[name] for columns, _ in made] for name in made[0][0]}
    return Stores(columns, np.array([level for _, level in made]), np.array([REGIONS[name] for name in columns["region"]]))


def make_products(seed: Seed) -> Products:
    """All products of a seed; the first ones do not depend on how many there are."""
    shelves = FASHION if seed.seasons else GROCERIES
    made = [_product(seed, n, shelves) for n in range(seed.products)]
    columns = {name: [columns[name] for columns, _ in made] for name in made[0][0]}
    numbers = {name: np.array([numbers[name] for _, numbers in made]) for name in made[0][1]}
    return Products(columns, **numbers)


def _store(seed: Seed, n: int, formats: dict[str, tuple[int, int]]) -> tuple[dict[str, Any], float]:
    draw = stream(seed.seed, Draw.STORE, n)
    store_type = list(formats)[n % len(formats)]
    size = int(draw.integers(*formats[store_type])) // 100 * 100
    tier = list(TIERS)[int(draw.choice(len(TIERS), p=(0.3, 0.45, 0.25)))]
    income = int(60_000 * TIERS[tier] * np.exp(0.25 * draw.standard_normal())) // 500 * 500
    level = (size / 12_000) ** 0.4 * TIERS[tier] * (income / 60_000) ** 0.3 * float(np.exp(0.05 * draw.standard_normal()))
    city = CITIES[n % len(CITIES)]
    columns = {
        "code": f"S{n + 1:03}",
        "name": f"{city} {store_type} {n + 1}",
        "region": list(REGIONS)[n % len(REGIONS)],
        "city": city,
        "store_type": store_type,
        "size_sqft": size,
        "location_tier": tier,
        "median_income": income,
        "opened_on": seed.start - timedelta(days=int(draw.integers(400, 9000))),
        "valid_from": seed.start,
    }
    return columns, level


def _product(seed: Seed, n: int, shelves: dict[str, tuple[str, str, float]]) -> tuple[dict[str, Any], dict[str, Any]]:
    draw = stream(seed.seed, Draw.PRODUCT, n)
    # products of one season have to differ in category, so seasons go round first
    place = n // (2 * seed.seasons) if seed.seasons else n
    category = list(shelves)[place % len(shelves)]
    *departments, warmth = shelves[category]
    department = departments[place // len(shelves) % 2]
    cents = int(draw.integers(99, 3000))
    cost = round(cents * (1 - float(draw.uniform(0.3, 0.6))))
    level = float(np.exp(0.6 * draw.standard_normal() - 0.18))
    elasticity = seed.elasticity * (1 + 0.1 * float(np.clip(draw.standard_normal(), -2, 2)))
    launched, when, age, lead = draw.random(4)
    launch, last = -365 - int(2000 * age), FOREVER
    if seed.seasons:
        launch, last = _season(seed, n)
    elif launched < seed.launch_share:
        launch = 1 + int(when * seed.launch_within)
    columns = {
        "sku": f"SKU-{n + 1:04}",
        "name": f"{department} {n + 1}",
        "category": category,
        "department": department,
        "brand": BRANDS[n % len(BRANDS)],
        "base_price": cents,
        "base_cost": cost,
        "launched_on": seed.start + timedelta(days=launch),
        "discontinued_on": None if last == FOREVER else seed.start + timedelta(days=last),
        "valid_from": seed.start,
    }
    numbers = {
        "cents": cents,
        "level": level,
        "elasticity": elasticity,
        "warmth": warmth,
        "launch": launch,
        "last": last,
        "lead_days": 2 + int(9 * lead),
    }
    return columns, numbers


def _season(seed: Seed, n: int) -> tuple[int, int]:
    """First and last day number of the half-year that product n lives in, counted on from the one that the start lies in.

    Spring-summer runs from March to August, autumn-winter from September to February; a season of the seed is one of each.
    """
    half = (seed.start.year * 12 + seed.start.month - 3) // 6 + n % (2 * seed.seasons)
    first, after = (date((each * 6 + 2) // 12, (each * 6 + 2) % 12 + 1, 1) for each in (half, half + 1))
    return (first - seed.start).days, (after - seed.start).days - 1
