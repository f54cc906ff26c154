"""Assets of the stage core."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    MaterializeResult,
    asset,
)
from dagster_duckdb import DuckDBResource

from pipelines.core import entities, ids, ledger, tables
from pipelines.core.facts import Fact, build
from pipelines.core.lines import Incoming
from pipelines.core.quality import UNSEEN_GAP, closed_days, reject_share, stale_days
from pipelines.core.stockouts import write_unconstrained
from pipelines.errors import SourceError
from pipelines.report import GRAPH_POOL, as_in, table_made, upstream
from pipelines.resources import Storage
from pipelines.warehouse import Warehouse

GROUP: dict[str, Any] = {"key_prefix": "core", "group_name": "core", "owners": ["team:data"], "pool": GRAPH_POOL}
FEW = 0.01
"""Share of rejected lines above which the check warns."""
EXPECTATIONS = ("grain_unique", "references_hold", "non_negative")
SALES_CHECKS = (*EXPECTATIONS, "rejects_are_few", "no_calendar_gap", "fresh")


@asset(**GROUP, kinds={"polars", "parquet"}, deps=upstream("sources/batches"))
def hist_store(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Every version of each store's attributes, with the days that it held; surrogate ids stay the same from load to load."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        entities.write_stores(warehouse, connection)
    return table_made(warehouse, "core/hist_store")


@asset(**GROUP, kinds={"polars", "parquet"}, deps=upstream("sources/batches"))
def hist_product(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Every version of each product's attributes, with the days that it held; surrogate ids stay the same from load to load."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        entities.write_products(warehouse, connection)
    return table_made(warehouse, "core/hist_product")


@asset(**GROUP, kinds={"polars", "parquet"}, deps=[hist_store])
def dim_store(storage: Storage) -> MaterializeResult:
    """One row a store, as it is now."""
    warehouse = storage.warehouse()
    entities.write_newest(warehouse, "store")
    return table_made(warehouse, "core/dim_store", **as_in(warehouse, "core/dim_store", "core/hist_store"))


@asset(**GROUP, kinds={"polars", "parquet"}, deps=[hist_product])
def dim_product(storage: Storage) -> MaterializeResult:
    """One row a product, as it is now."""
    warehouse = storage.warehouse()
    entities.write_newest(warehouse, "product")
    return table_made(warehouse, "core/dim_product", **as_in(warehouse, "core/dim_product", "core/hist_product"))


@asset(**GROUP, kinds={"polars", "parquet"}, deps=[*upstream("sources/batches"), dim_store, dim_product])
def id_map(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """What each source calls our stores and products, and what an id means in each of them."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        unresolved = ids.write_id_map(warehouse, connection)
    return table_made(warehouse, "core/id_map", unresolved=unresolved)


def _fact(fact: Fact, about: str) -> AssetsDefinition:
    name = fact.table.rpartition("/")[2]

    @asset(
        **GROUP,
        name=name,
        description=about,
        kinds={"duckdb", "parquet"},
        deps=[*upstream("sources/batches"), id_map],
        check_specs=[AssetCheckSpec("expectations_hold", asset=AssetKey(["core", name]))],
    )
    def made(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
        warehouse = storage.warehouse()
        with duckdb.get_connection() as connection:
            months = build(fact, warehouse, connection)
        said = table_made(warehouse, fact.table, **{"months made again": len(months)})
        found = {each.check_name: each for each in _expectations(warehouse, fact)}
        check = AssetCheckResult(
            check_name="expectations_hold",
            passed=all(each.passed for each in found.values()),
            metadata={str(label): each.metadata["rows that break it"] for label, each in found.items()},
        )
        return MaterializeResult(metadata=said.metadata, check_results=[check])

    return made


@asset(
    **GROUP,
    kinds={"duckdb", "parquet"},
    deps=[*upstream("sources/batches"), id_map],
    check_specs=[AssetCheckSpec(each, asset=AssetKey(["core", "sales_daily"])) for each in SALES_CHECKS],
)
def sales_daily(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Sales unique at store x product x day, ids resolved: the last batch's word on each. Lines that cannot be used are kept."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        months = build(tables.SALES, warehouse, connection)
        incoming = Incoming(warehouse)
        index = warehouse.partitioned("core/sales_daily").index()
        assert index is not None
        share, codes = reject_share(incoming, index)
        if not any(each.rows for each in index.partitions.values()):
            raise SourceError(f"not one sales line is usable: {codes or 'no batch holds any'}")
        closed, gaps = closed_days(warehouse, connection)
    age = stale_days(incoming, index)
    said = table_made(warehouse, "core/sales_daily", rejected=codes, **{"months made again": len(months)})
    results = [
        *_expectations(warehouse, tables.SALES),
        _warned("rejects_are_few", share <= FEW, {"share": share, "limit": FEW, **codes}),
        _warned("no_calendar_gap", not gaps, {"days on which no store sold": gaps[:20], "closed store-days": closed}),
        _warned("fresh", age <= UNSEEN_GAP, {"days from the last sale to the newest batch": age}),
    ]
    return MaterializeResult(metadata=said.metadata, check_results=results)


@asset(**GROUP, kinds={"polars", "parquet"}, deps=[*upstream("sources/batches"), sales_daily])
def dim_calendar(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """One row a day, from the first day of sales to 90 days after the last, with holidays and events."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        entities.write_calendar(warehouse, connection)
    return table_made(warehouse, "core/dim_calendar")


@asset(**GROUP, kinds={"duckdb", "parquet"}, deps=[dim_product, sales_daily])
def dim_category(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """The categories that occur in the data, with the first day and the number of their sales records."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        unseen = entities.write_categories(warehouse, connection)
    return table_made(warehouse, "core/dim_category", **{"new categories": unseen})


@asset(**GROUP, kinds={"polars", "parquet"}, deps=[*upstream("sources/batches"), dim_product])
def dim_process(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """How each product is supplied, as ERP extracts say: supplier, lead time, smallest order, pack."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        entities.write_supply(warehouse, connection)
    return table_made(warehouse, "core/dim_process")


inventory_daily = _fact(tables.INVENTORY, "Stock of each store and product on the days that it was counted.")


@asset(**GROUP, kinds={"duckdb", "parquet"}, deps=[sales_daily, inventory_daily])
def demand_unconstrained(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """What would have been sold on days without stock, beside what was."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        write_unconstrained(warehouse, connection)
    return table_made(warehouse, "core/demand_unconstrained")


@asset(**GROUP, kinds={"polars", "parquet"}, deps=upstream("sources/batches"))
def seed_truth(storage: Storage) -> MaterializeResult:
    """What a generator planted: elasticities, lifts, launches, stock-outs and anomalies. Empty where nothing was generated."""
    warehouse = storage.warehouse()
    columns = {"kind": pl.String, "store_code": pl.String, "sku": pl.String, "name": pl.String}
    schema = {**columns, "start_date": pl.Date, "end_date": pl.Date, "value": pl.Float64}
    frames = [pl.read_parquet(each.path, columns=list(schema)) for each in Incoming(warehouse).of("truth")]
    warehouse.write("core/seed_truth", pl.concat([pl.DataFrame(schema=schema), *frames]))
    return table_made(warehouse, "core/seed_truth")


returns_daily = _fact(tables.RETURNS, "What customers brought back, a day and reason; cancelled sales among it.")
receipt = _fact(tables.RECEIPTS, "Goods received, with the day they were ordered on where it is known.")
price_history = _fact(tables.PRICES, "Prices over intervals of days, chain-wide or of one store.")
promotion = _fact(tables.PROMOTIONS, "Promotions over intervals of days, chain-wide or of one store.")
lifecycle = _fact(tables.LIFECYCLE, "First and last day on sale of products, chain-wide or in one store.")
exogenous = _fact(tables.EXOGENOUS, "Daily series from outside, such as a temperature.")
weekly_actuals = _fact(tables.WEEKLY, "Units sold a store and week of a plan, as they were reported.")
ALL_FACTS = [sales_daily, returns_daily, inventory_daily, receipt, price_history, promotion, lifecycle, exogenous, weekly_actuals]


@asset(**GROUP, kinds={"polars", "parquet"}, deps=[*upstream("sources/batches"), *ALL_FACTS])
def ingest_batch(context: AssetExecutionContext, storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Every batch that came in: its state and what became of its lines. What changed is added to the audit trail."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        added = ledger.write_batches(warehouse, connection, run_id=context.run_id)
    return table_made(warehouse, "core/ingest_batch", **{"audit events added": added})


@asset(**GROUP, kinds={"duckdb", "parquet"}, deps=[ingest_batch])
def ingest_reject(storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Lines that could not be used, with code, field, value and the whole record; the first thousand of each batch."""
    warehouse = storage.warehouse()
    with duckdb.get_connection() as connection:
        ledger.write_rejects(warehouse, connection)
    return table_made(warehouse, "core/ingest_reject")


@asset(
    **GROUP,
    kinds={"polars", "parquet"},
    deps=[ingest_batch],
    check_specs=[AssetCheckSpec("chain_holds", asset=AssetKey(["core", "ingest_audit"]))],
)
def ingest_audit(storage: Storage) -> MaterializeResult:
    """What happened to each batch, chained by hashes, so that no event can be altered or taken out unseen."""
    warehouse = storage.warehouse()
    audit = Incoming(warehouse).ledger.audit
    warehouse.write("core/ingest_audit", ledger.audit_frame(audit.events()))
    fault = audit.fault()
    made = table_made(warehouse, "core/ingest_audit")
    return MaterializeResult(
        metadata=made.metadata,
        check_results=[AssetCheckResult(check_name="chain_holds", passed=fault is None, metadata={"fault": fault or "none"})],
    )


def _expectations(warehouse: Warehouse, fact: Fact) -> list[AssetCheckResult]:
    index = warehouse.partitioned(fact.table).index()
    assert index is not None
    name = fact.table.rpartition("/")[2]
    results = []
    for each in EXPECTATIONS:
        broken = {month: part.checks[each] for month, part in index.partitions.items() if part.checks[each]}
        results.append(
            AssetCheckResult(
                asset_key=AssetKey(["core", name]), check_name=each, passed=not broken, metadata={"rows that break it": broken}
            )
        )
    return results


def _warned(check: str, passed: bool, metadata: Mapping[str, Any]) -> AssetCheckResult:
    """What a check of sales_daily found; where it does not pass, that is a warning and stops nothing."""
    return AssetCheckResult(
        asset_key=AssetKey(["core", "sales_daily"]),
        check_name=check,
        passed=passed,
        severity=AssetCheckSeverity.WARN,
        metadata=dict(metadata),
    )


ASSETS: list[AssetsDefinition] = [
    *(hist_store, hist_product, dim_store, dim_product, id_map),
    *ALL_FACTS,
    *(dim_calendar, dim_category, dim_process, demand_unconstrained, seed_truth),
    *(ingest_batch, ingest_reject, ingest_audit),
]
