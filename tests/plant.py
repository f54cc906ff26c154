"""A data root whose core tables are made by the plain functions of the stages, batch by batch, without Dagster."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl

from assets_config.contract.landing import POSTED, Batch
from assets_config.declared import Declarations, load_declarations
from pipelines.core import entities, ids, ledger
from pipelines.core.facts import build
from pipelines.core.lines import Incoming
from pipelines.core.stockouts import write_unconstrained
from pipelines.core.tables import FACTS
from pipelines.sources.load import Ledger
from pipelines.sources.origin import LANDED
from pipelines.warehouse import Origin, Warehouse

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
MEDIA_TYPES = {".csv": "text/csv", ".json": "application/json", ".parquet": "application/vnd.apache.parquet"}


class Plant:
    """Bring batches in with `post` or `land`, then `run`, then look at tables."""

    def __init__(self, root: Path, declarations: Declarations | None = None) -> None:
        self.warehouse = Warehouse(root)
        self.declarations = declarations or load_declarations()
        self.ledger = Ledger(self.warehouse)
        if self.warehouse.origin() is None:
            self.warehouse.set_origin(Origin(LANDED, None))
        self._minutes = 0

    def post(
        self,
        kind: str,
        content: Iterable[Mapping[str, Any]] | str | bytes,
        *,
        source: str = POSTED,
        name: str | None = None,
        at: datetime | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> str:
        """Keep a batch as the API would: rows as JSON, a text as CSV, bytes under a name. Gives its id."""
        self._minutes += 1
        if not isinstance(content, str | bytes):
            content, name = json.dumps(list(content), default=str), name or "rows.json"
        name = name or "rows.csv"
        batch, _ = self.ledger.landing.receive(
            kind,
            source,
            [(name, content.encode() if isinstance(content, str) else content)],
            media_type=MEDIA_TYPES[Path(name).suffix],
            received_at=at or NOON + timedelta(minutes=self._minutes),
            parameters=parameters,
        )
        return batch.batch_id

    def load(self, source: str, folder: Path) -> list[Batch]:
        """Load a folder through an entry of sources.yaml, as `materialize --source` does."""
        origin = Origin(source, str(folder))
        chosen = self.ledger.land(origin, self.declarations)
        with duckdb.connect() as connection:
            self.ledger.read(chosen, self.declarations, connection)
        self.ledger.check(chosen)
        self.ledger.switch(chosen, origin)
        self.run()
        return chosen

    def run(self, *, replay: str | None = None) -> dict[str, list[str]]:
        """Take in what waits and bring every core table up to date; gives the months that were made again, by table."""
        self.ledger.take_in()
        if replay:
            self.ledger.reactivate(replay)
        with duckdb.connect(config={"threads": 2}) as connection:
            again = [replay] if replay else []
            self.ledger.read(self.ledger.active(), self.declarations, connection, again=again)
            return self.build(connection)

    def build(self, connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
        entities.write_stores(self.warehouse, connection)
        entities.write_products(self.warehouse, connection)
        entities.write_newest(self.warehouse, "store")
        entities.write_newest(self.warehouse, "product")
        ids.write_id_map(self.warehouse, connection)
        made = {fact.table: build(fact, self.warehouse, connection) for fact in FACTS}
        made["core/demand_unconstrained"] = write_unconstrained(self.warehouse, connection)
        ledger.write_batches(self.warehouse, connection)
        ledger.write_rejects(self.warehouse, connection)
        return made

    def finish(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Write the tables that are made of others: calendar, categories, supply and the audit trail."""
        incoming = Incoming(self.warehouse)
        entities.write_calendar(self.warehouse, connection)
        entities.write_categories(self.warehouse, connection)
        entities.write_supply(self.warehouse, connection)
        self.warehouse.write("core/ingest_audit", ledger.audit_frame(incoming.ledger.audit.events()))

    def table(self, name: str) -> pl.DataFrame:
        return self.warehouse.read(f"core/{name}")

    def batch(self, batch_id: str) -> dict[str, Any]:
        """The row of a batch in core/ingest_batch."""
        return self.table("ingest_batch").row(by_predicate=pl.col("batch_id") == batch_id, named=True)

    def rejects(self, batch_id: str) -> list[tuple[int, str, str | None]]:
        """Row index, code and value of the rejected rows of a batch."""
        found = self.table("ingest_reject").filter(pl.col("batch_id") == batch_id).sort("row_index", "code")
        return found.select("row_index", "code", "value").rows()

    def sales(self) -> list[tuple[Any, ...]]:
        """The sales by codes, which do not depend on the order in which stores and products came."""
        stores, products = self.table("dim_store"), self.table("dim_product")
        named = self.table("sales_daily").join(stores, on="store_id").join(products, on="product_id")
        columns = ["code", "sku", "date", "quantity", "unit_price", "total_amount"]
        return sorted(named.select(columns).rows(), key=repr)


def rewrite(warehouse: Warehouse, key: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Alter a table that is kept by month behind the back of its asset; its signatures stay."""
    table = warehouse.partitioned(key)
    index = table.index()
    assert index is not None
    parts = {}
    with duckdb.connect() as connection:
        for month, part in index.partitions.items():
            connection.register("altered", change(pl.read_parquet(table.folder / part.file)).to_arrow())
            made = table.write(month, secrets.token_hex(8), "FROM altered", connection)
            parts[month] = msgspec.structs.replace(made, signature=part.signature, accounts=part.accounts, checks=part.checks)
    table.replace(msgspec.structs.replace(index, partitions=parts))
