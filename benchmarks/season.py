"""What is a season plan worth, beside last year's weeks and perfect foresight? One line of JSON.

    python benchmarks/season.py

A small fashion chain is generated, and a season of each category planned as of its start; then the sales that were generated for
its weeks are reported as they would have been, the plan is forecast again after week 4 where they are off, and the money is told.
No buy is changed by hand, and no price cut: what differs are forecast, buy and allocation. regret is of the best profit possible.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import msgspec
import polars as pl

from assets_config.contract.plans import DecideApprovalParams, ReforecastParams, SeasonPlanParams
from assets_config.contract.season import Approval
from assets_config.contract.seeds import PRESETS
from pipelines.planning.season.approvals import approvals
from pipelines.planning.season.book import read_books
from pipelines.planning.season.checkpoint import is_reforecast_due
from pipelines.planning.season.forecasts import make_forecasts
from pipelines.planning.season.plans import approval_id, change_plans, decide
from pipelines.planning.season.results import results
from pipelines.shapes import frame_of

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests have what makes the tables without Dagster
from tests.pipelines.planning.fashion import plant

SEED = msgspec.structs.replace(PRESETS["fashion_season"].seed, stores=12, base_demand=12.0)
START, WEEKS, AGAIN = date(2024, 5, 6), 12, 4
NOW = datetime(2026, 1, 5)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = plant(Path(folder), SEED)
        sales = (
            made.table("sales_daily").join(made.table("dim_product"), on="product_id").join(made.table("dim_store"), on="store_id")
        )
        found = {category: season(made, sales, category, n) for n, category in enumerate(sorted(set(sales["category"])))}
    best = sum(each["perfect_foresight"] for each in found.values())
    result = {
        "benchmark": "season",
        "regret": {name: round(1 - sum(each[name] for each in found.values()) / best, 4) for name in ("plan", "naive")},
        "wape_of_weeks": {name: round(statistics.median(each[f"wape_{name}"] for each in found.values()), 3) for name in
                          ("mixed", "prophet_like", "sarimax", "last_year")},
        "reforecasts": sum(int(each["again"]) for each in found.values()),
        "seconds_a_forecast": round(statistics.median(each["seconds"] for each in found.values()), 2),
        "categories": len(found),
    }  # fmt: skip
    packages = {name: version(name) for name in ("numpy", "statsmodels")}
    print(json.dumps({**result, "cores": os.cpu_count(), "python": platform.python_version(), **packages}))


def season(made, sales: pl.DataFrame, category: str, n: int) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Profit by policy, and errors of the weeks."""
    plan_id, warehouse = f"{n:032x}", made.warehouse
    asked = SeasonPlanParams(category=category, season_start_date=START, forecast_horizon_weeks=WEEKS)
    began = time.monotonic()
    command(made, asked, by=plan_id)
    seconds = time.monotonic() - began
    book = next(each for each in read_books(warehouse) if each.plan_id == plan_id)
    warehouse.write("planning/approval", frame_of(Approval, approvals(book, [], {}, at=NOW)))
    decide(
        warehouse, [DecideApprovalParams(approval_id=approval_id(plan_id, "manufacturing"), decision="approve")], at=NOW, by=plan_id
    )
    end = START + timedelta(days=7 * WEEKS - 1)
    sold = sales.filter(pl.col("date").is_between(START, end), category=category).with_columns(
        week=(pl.col("date") - START).dt.total_days() // 7 + 1
    )
    weekly = sold.group_by("code", "week").agg(units=pl.col("quantity").sum()).sort("week", "code")
    again = False
    for last in (AGAIN, WEEKS):
        lines = "".join(f"{code},{week},{units}\n" for code, week, units in weekly.filter(pl.col("week") <= last).rows())
        header = "store_id,week_number,units_sold\n"
        made.post("weekly-sales", header + lines, parameters={"forecast_id": plan_id}, name=f"{last}.csv")
        made.run()
        book = next(each for each in read_books(warehouse) if each.plan_id == plan_id)
        if last == AGAIN and is_reforecast_due(book):
            again = True
            command(made, ReforecastParams(forecast_id=plan_id, trigger="variance"), by=f"{n + 1000:032x}")
    actual = [sum(week.values()) for week in book.sold]
    first = book.weeks[1]
    before = [START - timedelta(days=364), end - timedelta(days=364)]
    year_ago = sales.filter(pl.col("date").is_between(*before), category=category)
    weeks_ago = [
        int(year_ago.filter(((pl.col("date") - before[0]).dt.total_days() // 7) == week)["quantity"].sum()) for week in range(WEEKS)
    ]
    said = {
        "mixed": [float(each.units) for each in first],
        "prophet_like": [each.prophet_like for each in first],
        "sarimax": [each.sarimax for each in first],
        "last_year": [float(each) for each in weeks_ago],
    }
    profit = {each.policy: float(each.profit) for each in results(warehouse, book)}
    errors = {f"wape_{name}": sum(abs(a - b) for a, b in zip(of, actual, strict=True)) / sum(actual) for name, of in said.items()}
    return {**profit, **errors, "again": float(again), "seconds": seconds}


def command(made, asked: SeasonPlanParams | ReforecastParams, *, by: str) -> None:  # type: ignore[no-untyped-def]
    change_plans(made.warehouse, [asked], first_sale=SEED.start, last_sale=SEED.end, at=NOW, by=by)
    _, failed = make_forecasts(made.warehouse, at=NOW)
    assert not failed, failed


if __name__ == "__main__":
    main()
