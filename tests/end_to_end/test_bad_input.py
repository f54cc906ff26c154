"""What a person may hand in by mistake, through the command: a clear error or counted rejects, and nothing lost."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

GOOD = "store,product,date,quantity,unit_price\n" + "".join(
    f"{store},{product},2024-01-{day:02},{day},2.50\n" for store in "AB" for product in "xy" for day in range(1, 31)
)
STAGES = ["sources", "core", "kpis", "publish"]


def materialize(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["-m", "demandgraph", "--data", root, "materialize", "--source", "csv", "--path", folder, "--select", *STAGES]
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=100)


def table(root: Path, key: str) -> pl.DataFrame:
    return pl.read_parquet(root / "warehouse" / key / "data.parquet")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data root that was loaded from good files, and the folder of those files."""
    root, folder = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("files")
    (folder / "sales.csv").write_text(GOOD)
    done = materialize(root, folder)
    assert done.returncode == 0, done.stderr
    return root, folder


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ["sales.csv", "is empty"]),
        (b"store,product,date,quantity,unit_price\n", ["sales.csv", "has no rows"]),
        (b"store,product,day,quantity,unit_price\nA,x,2024-01-01,1,2\n", ["sales.csv", "no column date", "day"]),
        (b"store,product,date,quantity,unit_price\nA,x,2024-01-01,many,2\n", ["sales.csv", "row 1", "quantity", "many"]),
        (b"store,product,date,quantity,unit_price\nA,x,2024-01-01,-1,2\n", ["sales.csv", "row 1", "NEGATIVE_QUANTITY"]),
    ],
)
def test_a_hopeless_file_is_a_clear_error_and_replaces_nothing(content: bytes, said: list[str], loaded: tuple[Path, Path]) -> None:
    root, folder = loaded
    tables = [root / "warehouse" / key / "data.parquet" for key in ("core/sales_daily", "kpis/kpi_daily")]
    before = [path.read_bytes() for path in [*tables, root / "published/current.json"]]
    (folder / "sales.csv").write_bytes(content)

    done = materialize(root, folder)

    assert done.returncode == 1
    assert all(piece in " ".join(done.stderr.split()) for piece in said), done.stderr
    assert [path.read_bytes() for path in [*tables, root / "published/current.json"]] == before


def test_bad_rows_are_kept_with_a_code_and_the_rest_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "stores.csv").write_text("code,region\nA,North\nB,South\n")
    bad = [
        "A,x,2024-01-01,abc,2.50",  # row 121
        "A,x,2024-02-01,1.5,2.50",
        "A,x,2024-02-02,-4,2.50",
        "C,x,2024-02-03,4,2.50",
        "A,x,2024-01-05,9,2.50",  # the same store, product and day as row 5
        "A,x",
        ",x,2024-02-04,4,2.50",
    ]
    (folder / "sales.csv").write_text(GOOD + "\n".join(bad) + "\n")

    done = materialize(tmp_path / "data", folder)

    assert done.returncode == 0, done.stderr
    sources, core = (table(tmp_path / "data", key) for key in ("sources/raw_sales_rejects", "core/sales_daily_rejects"))
    assert sorted(sources.select("row", "code").rows()) == [
        (121, "INVALID_TYPE"),
        (122, "INVALID_TYPE"),
        (126, "MALFORMED_LINE"),
        (127, "MISSING_VALUE"),
    ]
    assert sorted(core.select("row", "code").rows()) == [
        (5, "DUPLICATE_GRAIN"),
        (123, "NEGATIVE_QUANTITY"),
        (124, "UNKNOWN_STORE"),
    ]
    assert table(tmp_path / "data", "core/sales_daily").height + sources.height + core.height == 120 + len(bad)


def test_a_truncated_parquet_names_the_file(tmp_path: Path) -> None:
    folder, mine = tmp_path / "files", tmp_path / "mine"
    folder.mkdir()
    mine.mkdir()
    (mine / "sources.yaml").write_text("sources:\n  - {name: parquet, kind: files, about: a test, sales: {file: sales.parquet}}\n")
    pl.read_csv(GOOD.encode()).write_parquet(folder / "sales.parquet")
    whole = (folder / "sales.parquet").read_bytes()
    (folder / "sales.parquet").write_bytes(whole[: len(whole) // 2])

    command = ["-m", "demandgraph", "--data", tmp_path / "data", "materialize", "--source", "parquet", "--path", folder]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=100, env={"DEMANDGRAPH_CONFIG": str(mine)}
    )

    assert done.returncode == 1
    assert "sales.parquet" in done.stderr
    assert "cannot be read" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source", "nothing"], "no source is called nothing"),
        (["--preset", "m5"], "no preset is called m5"),
        (["--source", "csv"], "give their folder with --path"),
        (["--source", "csv", "--path", "/nowhere"], "is not a folder"),
        (["--select", "planning"], "is no stage and no asset"),
    ],
)
def test_wrong_arguments_say_what_would_work(arguments: list[str], said: str, tmp_path: Path) -> None:
    command = ["-m", "demandgraph", "--data", tmp_path / "data", "materialize", *arguments]

    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=100)

    assert done.returncode in (1, 2)
    assert said in " ".join((done.stdout + done.stderr).split())
