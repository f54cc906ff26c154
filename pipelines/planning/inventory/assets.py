"""Assets of inventory planning."""

from typing import Any

from dagster import MaterializeResult, asset
from dagster_duckdb import DuckDBResource

from pipelines.report import GRAPH_POOL, table_made, upstream
from pipelines.resources import Storage, settings

GROUP: dict[str, Any] = {"key_prefix": "planning", "group_name": "planning", "owners": ["team:planning"], "pool": GRAPH_POOL}
SUPPLY = ("core/dim_product", "core/dim_process")


@asset(**GROUP, kinds={"numpy"}, deps=upstream(*SUPPLY, "core/receipt", "features/series_segment", "forecasts/forecast"))
def inventory_policy(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """When and up to what each store orders each product: safety stock, reorder point and order-up-to level."""
    from assets_config.inventory import stock_rules
    from pipelines.planning.inventory.ahead import ahead_of
    from pipelines.planning.inventory.levels import policy_frame, supply_of
    from pipelines.planning.inventory.risks import read_lead_times

    warehouse, rules = storage.warehouse(), stock_rules(settings().config)
    ahead, segments = ahead_of(warehouse.read("forecasts/forecast")), warehouse.read("features/series_segment")
    with duckdb.get_connection() as connection:
        lead_times = read_lead_times(warehouse, connection)
    products, processes = (warehouse.read(key) for key in SUPPLY)
    supply = supply_of(ahead, rules, processes=processes, products=products, lead_times=lead_times, segments=segments)
    made = policy_frame(ahead, supply, rules, segments)
    warehouse.write("planning/inventory_policy", made)
    methods = dict(made.group_by("method").len().sort("method").iter_rows())
    return table_made(warehouse, "planning/inventory_policy", series_of=methods)


@asset(
    **GROUP,
    kinds={"numpy"},
    deps=[
        *upstream(*SUPPLY, "core/sales_daily", "core/inventory_daily", "core/demand_unconstrained", "forecasts/forecast"),
        inventory_policy,
    ],
)
def stock_risk(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """The chance that each stock runs out, and what will be left over, in units and money."""
    from datetime import timedelta

    from assets_config.inventory import stock_rules
    from pipelines.planning.inventory.ahead import ahead_of
    from pipelines.planning.inventory.risks import costs_of, lost_sales, read_lost, read_prices, read_stock, risk_frame

    warehouse, rules = storage.warehouse(), stock_rules(settings().config)
    forecast, policy = warehouse.read("forecasts/forecast"), warehouse.read("planning/inventory_policy")
    ahead = ahead_of(forecast)
    products, processes = (warehouse.read(key) for key in SUPPLY)
    with duckdb.get_connection() as connection:
        made = risk_frame(
            ahead,
            policy,
            read_stock(warehouse, connection, ahead.as_of),
            prices=read_prices(warehouse, connection),
            costs=costs_of(processes, products),
            lost=lost_sales(read_lost(warehouse, connection, ahead.as_of - timedelta(days=rules.history_days - 1)), forecast),
        )
    warehouse.write("planning/stock_risk", made)
    states = dict(made.group_by("state").len().sort("state").iter_rows())
    return table_made(warehouse, "planning/stock_risk", series_of=states)


@asset(**GROUP, kinds={"numpy"}, deps=[*upstream(*SUPPLY), inventory_policy, stock_risk])
def replenishment_proposal(storage: Storage) -> MaterializeResult:
    """What is to be ordered now: how much, in whole packs, and why."""
    from pipelines.planning.inventory.orders import proposal_frame
    from pipelines.planning.inventory.risks import costs_of

    warehouse = storage.warehouse()
    products, processes = (warehouse.read(key) for key in SUPPLY)
    policy, risks = warehouse.read("planning/inventory_policy"), warehouse.read("planning/stock_risk")
    made = proposal_frame(policy, risks, costs_of(processes, products))
    warehouse.write("planning/replenishment_proposal", made)
    return table_made(warehouse, "planning/replenishment_proposal", units=int(made["quantity"].sum()))


ASSETS = [inventory_policy, stock_risk, replenishment_proposal]
