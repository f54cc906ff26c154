"""What a person may hand in by mistake, through the command: a clear error or counted rejects, and nothing lost."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pipelines.warehouse import Warehouse

GOOD = "store_code,sku,date,quantity,unit_price\n" + "".join(
    f"{store},{product},2024-01-{day:02},{day},2.50\n" for store in "AB" for product in "xy" for day in range(1, 31)
)
STAGES = ["sources", "core", "kpis", "publish"]


def materialize(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["-m", "demandgraph", "--data", root, "materialize", "--source", "csv", "--path", folder, "--select", *STAGES]
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=100)


def table(root: Path, key: str) -> pl.DataFrame:
    return Warehouse(root).read(key)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data root that was loaded from good files, and the folder of those files."""
    root, folder = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("files")
    (folder / "sales.csv").write_text(GOOD)
    done = materialize(root, folder)
    assert done.returncode == 0, done.stderr
    return root, folder


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("sales.csv", b"", ["sales.csv", "is empty"]),
        ("stores.csv", b"code,opened_on\nA,yesterday\n", ["stores.csv", "row 1", "INVALID_TYPE in opened_on", "'yesterday'"]),
    ],
)
def test_a_hopeless_file_is_a_clear_error_and_replaces_nothing(
    name: str, content: bytes, said: list[str], loaded: tuple[Path, Path]
) -> None:
    root, folder = loaded
    (folder / "sales.csv").write_text(GOOD)
    kept = [path for key in ("core/sales_daily", "core/ingest_batch", "kpis/kpi_daily") for path in Warehouse(root).files(key)]
    before = {path: path.read_bytes() for path in [*kept, root / "published/current.json"]}
    (folder / name).write_bytes(content)

    done = materialize(root, folder)

    assert done.returncode == 1
    assert all(piece in " ".join(done.stderr.split()) for piece in said), done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_bad_rows_are_kept_with_a_code_and_the_rest_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "stores.csv").write_text("code,region\nA,North\nB,South\n")
    bad = [
        "A,x,2024-01-01,abc,2.50",  # row_index 120
        "A,x,2024-02-01,1.5,2.50",
        "A,x,2024-02-02,-4,2.50",
        "C,x,2024-02-03,4,2.50",
        "A,x,2024-01-05,9,2.50",  # the same store, product and day as the fifth row
        "A,x",
        ",x,2024-02-04,4,2.50",
    ]
    (folder / "sales.csv").write_text(GOOD + "\n".join(bad) + "\n")

    done = materialize(tmp_path / "data", folder)

    assert done.returncode == 0, done.stderr
    assert table(tmp_path / "data", "core/ingest_reject").sort("row_index").select("row_index", "code").rows() == [
        (120, "INVALID_TYPE"),
        (121, "INVALID_TYPE"),
        (122, "NEGATIVE_QUANTITY"),
        (123, "UNKNOWN_STORE"),
        (125, "MALFORMED_LINE"),
        (126, "MISSING_VALUE"),
    ]
    batches = table(tmp_path / "data", "core/ingest_batch").sort("kind")
    assert batches.select("kind", "state", "lines", "loaded", "rejected", "merged", "skipped").rows() == [
        ("sales-daily", "partially_loaded", 127, 120, 6, 1, 0),
        ("stores", "loaded", 2, 2, 0, 0, 0),
    ]
    assert table(tmp_path / "data", "core/sales_daily").height == 120


def test_sales_of_unknown_stores_alone_are_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "stores.csv").write_text("code\nC\n")
    (folder / "sales.csv").write_text(GOOD)

    done = materialize(tmp_path / "data", folder)

    assert done.returncode == 1
    assert "not one sales line is usable: {'UNKNOWN_STORE': 120}" in " ".join(done.stderr.split())
    assert not (tmp_path / "data/published/current.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source", "nothing"], "no source is called nothing"),
        (["--preset", "m5"], "no preset is called m5"),
        (["--source", "csv"], "give their folder with --path"),
        (["--source", "csv", "--path", "/nowhere"], "is not a folder"),
        (["--select", "plans"], "is no stage and no asset"),
    ],
)
def test_wrong_arguments_say_what_would_work(arguments: list[str], said: str, tmp_path: Path) -> None:
    command = ["-m", "demandgraph", "--data", tmp_path / "data", "materialize", *arguments]

    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=100)

    assert done.returncode in (1, 2)
    assert said in " ".join((done.stdout + done.stderr).split())
