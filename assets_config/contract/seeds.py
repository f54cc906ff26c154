"""Synthetic data: the knobs of the generator, the nine presets, and what a request may change of them.

A Seed says everything: the same Seed gives the same rows, byte for byte, so that a Seed in JSON is a batch that can be replayed.
"""

from datetime import date, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from assets_config.contract.cells import FIRST_DAY, LAST_DAY

MOST_DAYS = 3660
SEED_KIND = "seed"
"""The folder of the landing zone that generated batches lie in: their content is a Seed in JSON."""
BASE: tuple[str, ...] = ("stores", "products", "holidays", "prices", "promotions", "inventory", "sales-daily")
ENRICHMENT: tuple[str, ...] = ("lifecycle", "receipts", "exogenous", "returns")


class Seed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the generator is asked for. Shares are shares of days, 0 to 1; factors multiply demand."""

    preset: Annotated[str, Meta(description="Scenario that the knobs began as.")] = "retail_standard"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Other seeds give other random numbers.")] = 42
    stores: Annotated[int, Meta(ge=1, le=1000, description="Number of stores.")] = 10
    products: Annotated[int, Meta(ge=1, le=100_000, description="Number of products.")] = 50
    start: Annotated[date, Meta(description="First day of sales.")] = date(2024, 1, 1)
    end: Annotated[date, Meta(description="Last day of sales.")] = date(2024, 12, 31)
    since: Annotated[
        date | None, Meta(description="Rows are given from this day on; an earlier batch gave the days before. Null: all days.")
    ] = None
    noise_seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**31 - 1)] | None,
        Meta(description="Seed of the random numbers of days; that of `seed` where it is null."),
    ] = None
    launch_within: Annotated[int, Meta(ge=1, le=3650, description="Launches lie in that many days from the start on. [days]")] = 250
    base_demand: Annotated[float, Meta(gt=0, le=100_000, description="Mean demand of a store and product. [units/day]")] = 20.0
    trend: Annotated[Literal["none", "linear", "exponential"], Meta(description="How demand grows.")] = "none"
    trend_per_day: Annotated[float, Meta(ge=-0.05, le=0.05, description="Growth of demand a day. [ratio]")] = 0.0
    months: Annotated[dict[int, float], Meta(description="Factor on demand by month of the year, 1 to 12; others have 1.")] = {}
    special_days: Annotated[dict[str, float], Meta(description="Factor on demand by day, beside that of the fixed holidays.")] = {}
    noise_sigma: Annotated[float, Meta(ge=0, le=0.9, description="Spread of the noise, sigma of its logarithm.")] = 0.1
    anomaly_share: Annotated[float, Meta(ge=0, le=0.9, description="Days with an anomaly. [ratio]")] = 0.01
    anomaly_factor: Annotated[float, Meta(ge=1, le=10, description="Factor on demand of an anomaly, or its inverse.")] = 2.0
    promotion_share: Annotated[float, Meta(ge=0, le=0.9, description="Days on promotion. [ratio]")] = 0.1
    promotion_lift: Annotated[float, Meta(ge=1, le=5, description="Factor on demand of a promotion.")] = 1.3
    elasticity: Annotated[float, Meta(ge=-5, le=0, description="Percent that demand moves with a percent of the price.")] = -0.5
    price_change_share: Annotated[float, Meta(ge=0, le=0.9, description="Days on which a list price moves. [ratio]")] = 0.01
    holiday_lift: Annotated[float, Meta(ge=0.1, le=10, description="Factor on demand of a holiday.")] = 1.5
    stockout_share: Annotated[float, Meta(ge=0, le=0.9, description="Days without stock. [ratio]")] = 0.02
    sparsity: Annotated[float, Meta(ge=0, le=0.9, description="Pairs of store and product that never sell. [ratio]")] = 0.0
    gaps: Annotated[int, Meta(ge=0, le=50, description="Stretches of missing days in each series.")] = 0
    gap_days: Annotated[tuple[int, int], Meta(description="Shortest and longest stretch of missing days. [days]")] = (2, 10)
    launch_share: Annotated[float, Meta(ge=0, le=0.9, description="Products that are launched within the range. [ratio]")] = 0.0
    ramp_days: Annotated[int, Meta(ge=1, le=365, description="Days from the launch until demand is full. [days]")] = 30
    seasons: Annotated[int, Meta(ge=0, le=12, description="Fashion seasons; products live for one each. 0: none.")] = 0
    tables: Annotated[tuple[str, ...], Meta(description="Kinds of data that are generated.")] = BASE


class Overrides(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The seven knobs that a request may turn; they are applied last. Not naming one leaves the rows byte for byte."""

    stores: Annotated[Annotated[int, Meta(ge=1, le=100)] | None, Meta(description="Number of stores.")] = None
    products: Annotated[Annotated[int, Meta(ge=1, le=500)] | None, Meta(description="Number of products.")] = None
    window_days: Annotated[
        Annotated[int, Meta(ge=75, le=365)] | None, Meta(description="Days before the end that sales begin on.")
    ] = None
    sparsity: Annotated[
        Annotated[float, Meta(ge=0, le=0.9)] | None, Meta(description="Share of store and product pairs that never sell.")
    ] = None
    promotion_intensity: Annotated[Annotated[float, Meta(ge=0, le=0.5)] | None, Meta(description="Share of days on promotion.")] = (
        None
    )
    stockout_intensity: Annotated[Annotated[float, Meta(ge=0, le=0.5)] | None, Meta(description="Share of days without stock.")] = (
        None
    )
    noise_sigma: Annotated[
        Annotated[float, Meta(ge=0, le=0.5)] | None, Meta(description="Spread of the noise, sigma of its logarithm.")
    ] = None


class Preset(Struct, frozen=True):
    """A named seed."""

    name: str
    about: str
    seed: Seed


def _preset(name: str, about: str, **knobs: Any) -> Preset:
    return Preset(name, about, Seed(preset=name, **knobs))


PRESETS: dict[str, Preset] = {
    each.name: each
    for each in (
        _preset(
            "retail_standard", "A retailer in an ordinary year.",
            trend="linear", trend_per_day=0.0005, noise_sigma=0.15, promotion_share=0.10, stockout_share=0.02,
        ),
        _preset(
            "holiday_rush", "The last quarter, rising steeply to Black Friday and Christmas.",
            start=date(2024, 10, 1), base_demand=16.0, trend="exponential", trend_per_day=0.005,
            months={10: 1.0, 11: 1.3, 12: 1.8}, noise_sigma=0.2, promotion_share=0.25, stockout_share=0.15,
            special_days={"2024-11-28": 2.0, "2024-11-29": 3.0, "2024-12-24": 1.5, "2024-12-25": 0.3},
        ),
        _preset(
            "high_variance", "Noisy sales with many anomalies.",
            noise_sigma=0.4, anomaly_share=0.05, anomaly_factor=3.0, promotion_share=0.15, stockout_share=0.05,
        ),
        _preset(
            "stockout_heavy", "A quarter of the days without stock.",
            base_demand=10.0, noise_sigma=0.2, promotion_share=0.2, stockout_share=0.25,
        ),
        _preset(
            "new_launches", "Twice the products, half of them launched within the year, ramping up.",
            products=100, base_demand=16.0, trend="linear", trend_per_day=0.002,
            launch_share=0.5, ramp_days=45, promotion_share=0.15,
        ),
        _preset("sparse", "Half of the pairs never sell, and every series has gaps.", sparsity=0.5, gaps=3),
        _preset(
            "demo_minimal", "5 stores x 20 products x one year, for a first look.",
            stores=5, products=20, start=date(2024, 1, 2), promotion_share=0.05,
        ),
        _preset(
            "showcase_rich", "Everything at once: two years, launches, promotions, stock-outs, and the enrichment tables.",
            stores=8, products=40, start=date(2023, 1, 1), trend="linear", trend_per_day=0.0005, noise_sigma=0.15,
            promotion_share=0.12, stockout_share=0.04, launch_share=0.2, tables=(*BASE, *ENRICHMENT),
        ),
        _preset(
            "fashion_season", "50 stores with size, income and tier, three seasons of fashion, for season plans.",
            stores=50, products=36, start=date(2022, 3, 1), end=date(2024, 8, 31), base_demand=3.0, elasticity=-1.8,
            noise_sigma=0.2, promotion_share=0.08, seasons=3, ramp_days=21,
        ),
    )
}  # fmt: skip
"""The presets by name."""


def resolve(
    scenario: str,
    *,
    seed: int | None = None,
    stores: int | None = None,
    products: int | None = None,
    start: date | None = None,
    end: date | None = None,
    sparsity: float | None = None,
    overrides: Overrides | None = None,
) -> Seed:
    """The Seed of a preset with what was asked for laid over it, the overrides last.

    Raises KeyError for an unknown preset, ValueError where the range of days is too short, too long or out of bounds.
    """
    base = PRESETS[scenario].seed
    given = {"seed": seed, "stores": stores, "products": products, "start": start, "end": end, "sparsity": sparsity}
    knobs: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    turned = overrides or Overrides()
    renamed = {"promotion_intensity": "promotion_share", "stockout_intensity": "stockout_share"}
    for name in turned.__struct_fields__:
        value = getattr(turned, name)
        if value is not None and name != "window_days":
            knobs[renamed.get(name, name)] = value
    made = msgspec.structs.replace(base, **knobs)
    if not FIRST_DAY <= made.start <= LAST_DAY or not FIRST_DAY <= made.end <= LAST_DAY:
        raise ValueError(f"the range {made.start} to {made.end} must lie within {FIRST_DAY} to {LAST_DAY}")
    if turned.window_days is not None:
        made = msgspec.structs.replace(made, start=made.end - timedelta(days=turned.window_days - 1))
    if not 27 <= (made.end - made.start).days < MOST_DAYS:
        raise ValueError(f"the range {made.start} to {made.end} must have 28 to {MOST_DAYS} days")
    if (made.end - made.start).days < made.launch_within + 60:
        made = msgspec.structs.replace(made, launch_within=max((made.end - made.start).days // 2, 1))
    return made


class SeedParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Generate synthetic data in place of what is loaded. What is not given is the scenario's."""

    scenario: Annotated[str, Meta(description="One of /seeder/scenarios.")] = "retail_standard"
    seed: Annotated[Annotated[int, Meta(ge=0, le=2**31 - 1)] | None, Meta(description="Other seeds give other random numbers.")] = (
        None
    )
    stores: Annotated[Annotated[int, Meta(ge=1, le=100)] | None, Meta(description="Number of stores.")] = None
    products: Annotated[Annotated[int, Meta(ge=1, le=500)] | None, Meta(description="Number of products.")] = None
    start_date: Annotated[date | None, Meta(description="First day.")] = None
    end_date: Annotated[date | None, Meta(description="Last day.")] = None
    sparsity: Annotated[
        Annotated[float, Meta(ge=0, le=0.9)] | None, Meta(description="Share of store and product pairs that never sell.")
    ] = None
    overrides: Annotated[Overrides, Meta(description="Knobs that are applied last.")] = Overrides()

    def resolved(self) -> Seed:
        """Raises KeyError for an unknown scenario, ValueError for a range of days that is too short."""
        return resolve(
            self.scenario,
            seed=self.seed,
            stores=self.stores,
            products=self.products,
            start=self.start_date,
            end=self.end_date,
            sparsity=self.sparsity,
            overrides=self.overrides,
        )


class SeedAppendParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Generate the days after those that were generated, for the same stores and products."""

    start_date: Annotated[date, Meta(description="First new day; it must follow the last generated one.")]
    end_date: Annotated[date, Meta(description="Last new day.")]
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Seed of the noise of the new days.")] = 43


class SeedEnrichParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Generate lifecycle, replenishment, exogenous series and returns for the generated sales."""


class SeedDeleteParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Take generated data out of the tables. Batches that were brought in stay."""

    confirm: Annotated[Literal[True], Meta(description="Must be true.")]
    scope: Annotated[
        Literal["all", "facts", "dimensions"],
        Meta(description="facts: sales, stock, prices and promotions; dimensions: stores and products, and so the facts too."),
    ] = "all"
