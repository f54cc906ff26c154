"""How long does it take to plan the stock of 30,000 series, and is the service that was asked for reached? One line of JSON.

    python benchmarks/stock.py                                      300 stores x 100 products
    python benchmarks/stock.py --stores 30 --products 100

Demand, forecasts and backtests are drawn, 28 days ahead and three folds of 28 behind, as forecasts/forecast has them. Timed are:
reading them, policies, risks, orders, what four rules look at and the alerts; classes of the series over a year; clusters of
the stores. `service` is the share of order cycles without a stock-out, of a generated chain that is reviewed every day.
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

from assets_config.alerts import alert_rules
from assets_config.contract.seeds import Seed
from assets_config.inventory import stock_rules
from assets_config.segments import segment_rules
from pipelines.features.panel import AHEAD, GROUPS, Panel
from pipelines.features.patterns import segment_frame
from pipelines.planning.alerts import measures
from pipelines.planning.alerts.machine import Book, looked_at
from pipelines.planning.alerts.rules import as_declared
from pipelines.planning.alerts.state import worth_a_look
from pipelines.planning.clusters.tiers import cluster_frame, diagnostic_frame, member_frame
from pipelines.planning.inventory.ahead import Ahead, ahead_of
from pipelines.planning.inventory.levels import policy_frame, supply_of
from pipelines.planning.inventory.orders import proposal_frame
from pipelines.planning.inventory.policy import Supply, order_quantity
from pipelines.planning.inventory.risks import risk_frame
from pipelines.sources.synthetic.demand import make_demand, sell
from pipelines.sources.synthetic.streams import months

LAST, HORIZON, FOLDS, YEAR = date(2024, 12, 31), 28, 3, 364
LEVELS = (0.9, 0.95, 0.99)
seconds: dict[str, float] = {}


@contextmanager
def timed(name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - began, 2)


def keys(stores: int, products: int) -> dict[str, np.ndarray]:
    return {
        "store_id": np.repeat(np.arange(1, stores + 1), products),
        "product_id": np.tile(np.arange(1, products + 1), stores),
    }


def forecasts(stores: int, products: int) -> pl.DataFrame:
    """Rows of forecasts/forecast, of series whose demand is Poisson around what is forecast."""
    draw, n = np.random.default_rng(1), stores * products
    mean = np.exp(draw.normal(1, 1.2, n))
    days = HORIZON * (FOLDS + 1)
    step = np.tile(np.arange(1, HORIZON + 1), FOLDS + 1)
    begun = [LAST - timedelta(days=HORIZON * (FOLDS - fold)) for fold in range(FOLDS + 1)]
    yhat = np.repeat(mean[:, None], days, axis=1)
    frame = pl.DataFrame({name: np.repeat(values, days) for name, values in keys(stores, products).items()})
    cutoff = pl.Series(np.tile(np.repeat(np.array(begun, dtype="datetime64[D]"), HORIZON), n)).cast(pl.Date)
    is_past = np.tile(np.arange(days) < FOLDS * HORIZON, n)
    return frame.with_columns(
        cutoff.alias("cutoff"),
        pl.Series("step", np.tile(step, n)),
        pl.Series("source", np.where(is_past, "backtest", "forecast")),
        pl.Series("yhat", yhat.ravel()),
        pl.Series("y", np.where(is_past, draw.poisson(yhat).ravel(), np.nan)).fill_nan(None),
    ).with_columns((pl.col("cutoff") + pl.duration(days=pl.col("step"))).cast(pl.Date).alias("date"))


def panel(stores: int, products: int) -> Panel:
    draw, named = np.random.default_rng(2), keys(stores, products)
    y = draw.poisson(np.exp(draw.normal(1, 1.2, (stores * products, 1))), (stores * products, YEAR)).astype(np.float32)
    return Panel(
        first_day=LAST - timedelta(days=YEAR - 1),
        **named,
        groups=np.zeros((len(y), len(GROUPS)), dtype=np.int32),
        y=y,
        state=np.zeros(y.shape, dtype=np.int8),
        price=np.full((len(y), YEAR + AHEAD), 2.0, dtype=np.float32),
        planned=np.zeros((len(y), YEAR + AHEAD), dtype=bool),
        promotion=np.zeros((len(y), 1), dtype=np.uint8),
        event=np.zeros(YEAR + AHEAD, dtype=np.int16),
        event_names=np.array([], dtype=np.str_),
        outside=np.zeros((0, 1, YEAR + AHEAD), dtype=np.float32),
        outside_names=np.array([], dtype=np.str_),
    )


def plan(stores: int, products: int, path: Path) -> dict[str, int]:
    """Time every step; gives how much came out."""
    draw, n = np.random.default_rng(3), stores * products
    forecasts(stores, products).write_parquet(path, compression="zstd")
    held, one = panel(stores, products), pl.DataFrame({"product_id": np.arange(1, products + 1)})
    ids = pl.DataFrame(keys(stores, products))
    stock = ids.with_columns(
        pl.lit(LAST).alias("date"),
        pl.Series("on_hand", draw.integers(0, 120, n)),
        pl.lit(0, pl.Int64).alias("on_order"),
        pl.Series("is_stockout", draw.random(n) < 0.02),
    )
    products_told = one.with_columns(base_cost=2.0, sku=pl.format("P{}", "product_id"))
    processes = one.with_columns(lead_time_days=pl.lit(7), moq=pl.lit(6), pack_size=pl.lit(6), unit_cost=pl.lit(2.0))
    lead_times = one.with_columns(days=7.0, sd=1.0)
    names = ids.with_columns(code=pl.format("S{}", "store_id"), sku=pl.format("P{}", "product_id"))
    rules, chosen = stock_rules(), segment_rules()
    with timed("classes"):
        segments = segment_frame(held, chosen)
    with timed("read"):
        frame = pl.read_parquet(path)
        ahead = ahead_of(frame)
    with timed("policies"):
        supply = supply_of(ahead, rules, processes=processes, products=products_told, lead_times=lead_times, segments=segments)
        policy = policy_frame(ahead, supply, rules, segments)
    with timed("risks"):
        costs = one.with_columns(cost=2.0, list_price=3.0, discontinued_on=pl.lit(None, pl.Date))
        prices = ids.with_columns(price=3.0)
        lost = ids.head(0).with_columns(lost_units=pl.lit(0.0))
        risks = risk_frame(ahead, policy, stock, prices=prices, costs=costs, lost=lost)
    with timed("orders"):
        orders = proposal_frame(policy, risks, costs)
    with timed("alerts"):
        found = {
            "stockout_risk": measures.stockout_risk(risks, names),
            "overstock": measures.overstock(risks, policy, names),
            "bias": measures.bias(frame, products_told),
            "anomaly": measures.anomaly(frame, names),
        }
        held_rules = {key: as_declared(rule) for key, rule in alert_rules().items()}
        seen = worth_a_look(found, held_rules, ())
        book = looked_at(Book({}, {}), seen, held_rules, dataset_id="d", as_of=LAST, at=datetime(2025, 1, 1))
    with timed("clusters"):
        features = pl.DataFrame(
            {"store_id": np.arange(1, stores + 1), "revenue": draw.random(stores)}
            | {f"feature {k}": draw.normal(size=stores) for k in range(12)}
        )
        clusters = cluster_frame(features, chosen, at=datetime(2025, 1, 1))
        member_frame(features, clusters, None)
        diagnostic_frame(features, chosen, chosen=clusters.height)
    return {"policies": policy.height, "orders": orders.height, "alerts": len(book.alerts)}


def service() -> dict[str, float]:
    """The share of order cycles without a stock-out, by the level that was asked for: 240 series, 86 days, lead time 7."""
    made = make_demand(Seed(stores=8, products=30, promotion_share=0, stockout_share=0, anomaly_share=0))
    sold = [sell(made, month) for month in months(made.seed)]
    wanted, known = (np.concatenate([getattr(each, name) for each in sold], axis=2) for name in ("wanted", "expected"))
    wanted, known = wanted.reshape(240, -1).astype(float), known.reshape(240, -1)
    return {f"{level:.2f}": round(reached(wanted, known, level), 3) for level in LEVELS}


def reached(wanted: np.ndarray, known: np.ndarray, level: float) -> float:
    series, begin = len(wanted), 9 * HORIZON
    error = (wanted - known)[:, :begin].reshape(series, -1, HORIZON)
    one, rules = np.ones(series, dtype=np.int64), stock_rules()
    supply = Supply(np.full(series, level), 7 * one, np.zeros(series), one, one, np.full(series, 120.0))
    segments = pl.DataFrame({"store_id": one, "product_id": np.arange(series)}).with_columns(
        pattern=pl.lit("smooth"), adi=1.0, cv2=0.1, mean_demand=1.0
    )
    position, orders, kept = np.zeros(series), 0, 0
    for day in range(begin, wanted.shape[1] - HORIZON):
        position -= wanted[:, day]
        ahead = Ahead(LAST, one, np.arange(series), known[:, day + 1 : day + 1 + HORIZON], error)
        policy = policy_frame(ahead, supply, rules, segments)
        ordered = order_quantity(position, *(policy[n].to_numpy() for n in ("reorder_point", "order_up_to", "max_stock")), one, one)
        if day >= begin + 14:
            is_cycle = ordered > 0
            orders += int(is_cycle.sum())
            kept += int((position >= wanted[:, day + 1 : day + 8].sum(axis=1))[is_cycle].sum())
        position += ordered
    return kept / orders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=300)
    parser.add_argument("--products", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        made = plan(arguments.stores, arguments.products, Path(root) / "forecast.parquet")
    result = {
        "benchmark": "stock",
        "series": arguments.stores * arguments.products,
        "seconds": round(sum(seconds.values()), 1),
        "seconds_of": seconds,
        "made": made,
        "service": service(),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "polars")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
