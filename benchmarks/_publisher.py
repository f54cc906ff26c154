"""Publishes one snapshot after another over a data root: sales that differ, and names of model runs in between. For soak.py.

    python benchmarks/_publisher.py --data DIR --every 2 --seconds 60

Prints the id of each snapshot when its publish has returned.
"""

import argparse
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import polars as pl

from assets_config.declared import load_declarations
from pipelines.kpis.cubes import write_cubes
from pipelines.publish.snapshot import publish
from pipelines.warehouse import Warehouse

GRAINS = [[], ["store"], ["product"], ["category"], ["region"], ["store", "category"]]
LEAST = 3  # publishes, however long they take on a busy machine
NO_NAMES = {"name": pl.String, "run_id": pl.String, "model_type": pl.String, "protected": pl.Boolean, "note": pl.String}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=float, default=2.0, help="seconds from one publish to the next")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    warehouse, declared = Warehouse(arguments.data), load_declarations()
    began, n = time.monotonic(), 0
    while n < LEAST or time.monotonic() - began < arguments.seconds:
        sell_one_more(warehouse) if n % 2 == 0 else name_a_run(warehouse)
        if n % 2 == 0:
            with duckdb.connect(config={"threads": 1}) as connection:
                write_cubes(warehouse, declared.published_measures(), GRAINS, connection)
        print(publish(warehouse, measures=declared.published_measures(), kpis=declared.kpis).id, flush=True)
        n += 1
        time.sleep(max(0.0, began + n * arguments.every - time.monotonic()))


def sell_one_more(warehouse: Warehouse) -> None:
    """Let every store sell one unit more of everything in the newest month, so that no two snapshots have the same sums."""
    table = warehouse.partitioned("kpis/kpi_daily")
    index = table.index()
    assert index is not None
    month = max(index.partitions)
    part = index.partitions[month]
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("altered", pl.read_parquet(table.folder / part.file).with_columns(pl.col("units") + 1).to_arrow())
        made = table.write(month, secrets.token_hex(8), "FROM altered", connection)
    made = msgspec.structs.replace(made, signature=part.signature, accounts=part.accounts, checks=part.checks)
    table.replace(msgspec.structs.replace(index, partitions={**index.partitions, month: made}))


def name_a_run(warehouse: Warehouse) -> None:
    """Move a name, as the job `set_alias` does: of what is published, the part `state` alone differs."""
    row = ("soak", secrets.token_hex(16), "naive", False, None, datetime.now(UTC).replace(tzinfo=None), secrets.token_hex(16))
    columns = {**NO_NAMES, "changed_at": pl.Datetime("us"), "changed_by": pl.String}
    warehouse.write("forecasts/model_alias", pl.DataFrame([row], schema=columns, orient="row"))


if __name__ == "__main__":
    main()
