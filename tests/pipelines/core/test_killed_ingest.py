"""Ingest that is killed at any instant loses no batch and loads none by half."""

import json
import os
import random
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

from assets_config.contract.integrity import sha256
from pipelines.partitions import Index
from pipelines.sources.load import Ledger
from pipelines.warehouse import Warehouse
from tests.plant import Plant

PROGRAM = """
import os, select, signal, sys
from pathlib import Path
from tests.plant import Plant
import pipelines.sources.batch, pipelines.core.facts

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        Plant(Path(sys.argv[1])).run()
        os._exit(0)
    if line.strip():
        select.select([], [], [], float(line))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}", flush=True)
"""
ROWS = 400
FIRST = date(2024, 1, 1)


def drop(landing: Path, number: int) -> None:
    """Put a file of ROWS rows into the inbox: each row has the batch's number as its quantity."""
    rows = [
        f"{FIRST + timedelta(days=n % 60)},S{n // 60},P{number % 4},{number + 1},2.00"  # 60 days lie in three months
        for n in range(ROWS)
    ]
    folder = landing / "inbox" / "sales-daily"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"day_{number}.csv"
    path.with_suffix(".part").write_text("date,store_code,sku,quantity,unit_price\n" + "\n".join(rows) + "\n")
    old = time.time() - 10
    os.utime(path.with_suffix(".part"), (old, old))
    path.with_suffix(".part").rename(path)


def check_landing(root: Path, dropped: int) -> None:
    """Every dropped file lies in the inbox or is a whole batch, byte for byte; none is both lost and not there."""
    ledger = Ledger(Warehouse(root))
    batches = ledger.landing.batches()
    names = {file.name for batch in batches for file in batch.files}
    waiting = {path.name for path in ledger.landing.inbox.rglob("*.csv")}
    assert names | waiting == {f"day_{number}.csv" for number in range(dropped)}
    for batch in batches:
        for file, path in zip(batch.files, ledger.landing.files(batch), strict=True):
            assert (path.stat().st_size, sha256(path)) == (file.bytes, file.sha256)
    assert ledger.audit.fault() is None


def loaded_whole(root: Path) -> int:
    """The number of batches in the sales table; each is in it with all of its rows that no later one replaced, or not at all."""
    table = Warehouse(root).partitioned("core/sales_daily")
    index: Index | None = table.index()
    if index is None:
        return 0
    for part in index.partitions.values():
        assert sha256(table.folder / part.file) == part.sha256
    accounts = [set(part.accounts) for part in index.partitions.values()]
    assert all(each == accounts[0] for each in accounts), "a month has a batch that another month lacks"
    with duckdb.connect() as connection:
        listed = [str(path) for path in table.paths()]
        found = connection.execute(
            "SELECT product_id, count(*), count(DISTINCT quantity) FROM read_parquet(?) GROUP BY product_id", [listed]
        ).fetchall()
    assert all((rows, quantities) == (ROWS, 1) for _, rows, quantities in found)
    return len(accounts[0])


def test_killed_at_random_instants_no_batch_is_lost_or_half_loaded(tmp_path: Path) -> None:
    draw, killed, before = random.Random(3), 0, 0
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(20):
            drop(tmp_path / "landing", number)
            process.stdin.write(f"{draw.uniform(0, 0.5)}\n")
            process.stdin.flush()
            killed += process.stdout.readline().strip() == "killed"

            check_landing(tmp_path, number + 1)
            now = loaded_whole(tmp_path)
            assert now >= before
            before = now
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == "ended 0"

    assert killed >= 10, "too few kills came in time: the test proves nothing"
    assert loaded_whole(tmp_path) == 20
    plant = Plant(tmp_path)
    assert {row["state"] for row in plant.table("ingest_batch").iter_rows(named=True)} == {"loaded"}
    assert {(sku, units) for _, sku, _, units, *_ in plant.sales()} == {(f"P{n % 4}", n + 1) for n in range(16, 20)}
    assert not [path for path in tmp_path.rglob("*.tmp") if "core" in path.parts]
    events = [json.loads(line) for line in plant.ledger.audit.path.read_text().splitlines()]
    assert {event["state"] for event in events} >= {"received", "validating", "loaded"}
