"""Tables kept by month: only what changed is made again, and a table is always a whole one."""

import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest

from pipelines.partitions import Index, Partitioned
from pipelines.warehouse import Warehouse
from tests.plant import Plant

ROOT = Path(__file__).parents[2]
HEADER = "store_code,sku,date,quantity,unit_price\n"
MONTHS = HEADER + "A,x,2024-01-31,1,2\nA,x,2024-02-01,2,2\nA,x,2024-03-01,3,2\n"


@pytest.fixture
def table(tmp_path: Path) -> Partitioned:
    """A table of two months, a row each."""
    made = Partitioned(tmp_path / "it's" / "sales")
    write(made, {"2024-01": 1, "2024-02": 2})
    return made


def write(table: Partitioned, months: dict[str, int]) -> None:
    with duckdb.connect() as connection:
        parts = {month: table.write(month, f"s{n}", query(month, n), connection) for month, n in months.items()}
    table.replace(Index(parts, "csv", "0" * 16))


def query(month: str, n: int) -> str:
    return f"SELECT DATE '{month}-01' AS date, {n} AS quantity"


def rows(table: Partitioned) -> list[int]:
    return [
        n
        for path in table.paths()
        for (n,) in duckdb.sql(f"SELECT quantity FROM '{str(path).replace(chr(39), chr(39) * 2)}'").fetchall()
    ]


def state(root: Path) -> dict[str, int]:
    """The files of core/sales_daily with the time of their last change."""
    folder = root / "warehouse" / "core" / "sales_daily"
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.suffix == ".parquet"}


def test_a_table_that_was_never_made_has_no_files(tmp_path: Path) -> None:
    table = Partitioned(tmp_path / "none")

    assert (table.index(), table.paths(), table.rejects()) == (None, [], [])


def test_files_that_are_replaced_while_they_are_looked_up_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse(tmp_path)
    table = warehouse.partitioned("core/sales_daily")
    write(table, {"2024-01": 1})
    before = table.index()
    write(table, {"2024-02": 2})
    told = iter([before, table.index()])
    monkeypatch.setattr(Partitioned, "index", lambda _: next(told))

    assert warehouse.files("core/sales_daily") == [table.folder / "2024-02-s2.parquet"]


def test_a_month_knows_its_rows_and_days(table: Partitioned) -> None:
    index = table.index()

    assert index is not None
    assert [(part.rows, part.first_date, part.last_date) for part in index.partitions.values()] == [
        (1, date(2024, 1, 1), date(2024, 1, 1)),
        (1, date(2024, 2, 1), date(2024, 2, 1)),
    ]
    assert rows(table) == [1, 2]


def test_what_is_written_counts_from_the_index_on(table: Partitioned) -> None:
    with duckdb.connect() as connection:
        table.write("2024-01", "new", query("2024-01", 9), connection)

    assert rows(table) == [1, 2]


def test_a_file_that_no_index_names_is_removed(table: Partitioned) -> None:
    (table.folder / "2023-01-old.parquet").write_bytes(b"left by a killed run")
    (table.folder / ".2024-01-s9.parquet.1.2.tmp").write_bytes(b"half")

    write(table, {"2024-02": 3})

    assert sorted(path.name for path in table.folder.iterdir()) == ["2024-02-s3.parquet", "index.json"]
    assert rows(table) == [3]


def test_a_write_that_fails_leaves_the_old_table_and_no_rest(table: Partitioned) -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.Error):
        table.write("2024-01", "new", "SELECT DATE '2024-01-01' AS date, error('broken') AS quantity", connection)

    assert rows(table) == [1, 2]
    assert list(table.folder.glob("*new*")) == list(table.folder.glob(".*")) == []


def test_only_months_that_changed_are_made_again(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", MONTHS)
    first = plant.run()
    before = state(tmp_path)

    plant.post("sales-daily", HEADER + "A,x,2024-02-02,4,2\nA,x,2024-04-01,5,2\n")
    then = plant.run()

    assert first["core/sales_daily"] == ["2024-01", "2024-02", "2024-03"]
    assert then["core/sales_daily"] == ["2024-02", "2024-04"]
    after = state(tmp_path)
    assert {name for name in before if name[:7] != "2024-02"} < set(after)
    assert all(after[name] == changed for name, changed in before.items() if name in after)
    assert [row[3] for row in plant.sales()] == [1, 2, 4, 3, 5]


def test_without_anything_new_no_file_is_touched(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", MONTHS)
    plant.run()
    before = state(tmp_path), (tmp_path / "warehouse/core/sales_daily/index.json").stat().st_mtime_ns

    made = plant.run()

    assert {months for each in made.values() for months in each} == set()
    assert (state(tmp_path), (tmp_path / "warehouse/core/sales_daily/index.json").stat().st_mtime_ns) == before


def test_a_new_product_leaves_the_months_as_they_are(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("stores", [{"code": "A"}])
    plant.post("products", [{"sku": "x"}])
    plant.post("sales-daily", MONTHS)
    plant.run()

    plant.post("products", [{"sku": "b"}, {"sku": "x", "name": "Rye"}])
    made = plant.run()

    assert made["core/sales_daily"] == []


def test_a_month_whose_last_batch_went_goes_too(tmp_path: Path) -> None:
    plant, folder = Plant(tmp_path / "data"), tmp_path / "files"
    folder.mkdir()
    (folder / "sales.csv").write_text(MONTHS)
    plant.load("csv", folder)

    (folder / "sales.csv").write_text(MONTHS.replace("2024-03-01", "2024-02-28"))
    plant.load("csv", folder)

    index = plant.warehouse.partitioned("core/sales_daily").index()
    assert index is not None
    assert sorted(index.partitions) == ["2024-01", "2024-02"]
    assert {name[:7] for name in state(tmp_path / "data")} == {"2024-01", "2024-02"}


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.partitions import Partitioned
from tests.plant import Plant
plant = Plant(Path(sys.argv[1]))
plant.post("sales-daily", "store_code,sku,date,quantity,unit_price\\nA,x,2024-02-02,9,2\\n")
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "before the index":
    Partitioned.replace = kill
else:
    Partitioned._remove = kill
plant.run()
"""


@pytest.mark.parametrize("when", ["before the index", "after the index"])
def test_a_killed_write_leaves_a_whole_table(tmp_path: Path, when: str) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", MONTHS)
    plant.run()

    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, when], cwd=ROOT, capture_output=True, text=True, timeout=100)

    assert done.returncode == -signal.SIGKILL, done.stderr
    kept = plant.table("sales_daily")["quantity"].to_list()
    assert kept == ([1, 2, 3] if when == "before the index" else [1, 2, 9, 3])
    plant.run()
    assert plant.table("sales_daily")["quantity"].to_list() == [1, 2, 9, 3]
    named = {path.name for path in plant.warehouse.files("core/sales_daily")}
    assert set(state(tmp_path)) == named or when == "after the index"
