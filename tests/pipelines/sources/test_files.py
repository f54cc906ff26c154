"""What a source's files may hold by mistake: a clear error or a counted reject, and what was loaded before stays."""

from pathlib import Path

import duckdb
import polars as pl
import pytest

from assets_config.declared import FileSource, TableFile
from pipelines.errors import SourceError
from pipelines.sources.columns import RAW
from pipelines.sources.files import read
from pipelines.sources.load import load
from pipelines.warehouse import Origin, Warehouse

HEADER = "store,product,date,quantity,unit_price\n"
GOOD = "A,x,2024-01-01,1,2.50\nA,x,2024-01-02,2,2.50\nB,x,2024-01-01,3,2.50\n"


class Files:
    """A folder of files, declared as a source, and the warehouse that it is loaded into."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "files"
        self.folder.mkdir()
        self.warehouse = Warehouse(root / "data")
        self.origin = Origin("mine", str(self.folder))
        self.warehouse.set_origin(self.origin)

    def load(self, content: str | bytes | pl.DataFrame, name: str = "sales.csv", **declared: object) -> int:
        path = self.folder / name
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.load_folder(name, **declared)

    def load_folder(self, pattern: str, **declared: object) -> int:
        source = FileSource("mine", "for a test", TableFile(pattern, **declared))  # type: ignore[arg-type]
        with duckdb.connect(config={"preserve_insertion_order": False}) as connection:
            return load(self.warehouse, source, self.origin, "raw_sales", connection)

    @property
    def rows(self) -> pl.DataFrame:
        return self.warehouse.read("sources/raw_sales").sort("file", "row")

    @property
    def rejects(self) -> pl.DataFrame:
        return self.warehouse.read("sources/raw_sales_rejects").sort("file", "row")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_good_rows_are_loaded_with_their_place(files: Files) -> None:
    rejected = files.load(HEADER + GOOD)

    assert rejected == 0
    assert files.rejects.is_empty()
    assert files.rows.select("store", "product", "quantity", "file", "row").rows() == [
        ("A", "x", 1, "sales.csv", 1),
        ("A", "x", 2, "sales.csv", 2),
        ("B", "x", 3, "sales.csv", 3),
    ]
    assert dict(files.rows.drop("file", "row").schema) == {
        "store": pl.String,
        "product": pl.String,
        "date": pl.Date,
        "quantity": pl.Int64,
        "unit_price": pl.Decimal(18, 4),
        "total_amount": pl.Decimal(18, 2),
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ["sales.csv", "empty"]),
        (HEADER, ["sales.csv", "no rows"]),
        (HEADER.rstrip(), ["sales.csv", "no rows"]),
        (HEADER.replace("quantity", "amount") + GOOD, ["sales.csv", "no column quantity", "store, product, date, amount"]),
        ("a,a\n1,2\n", ["sales.csv", "column names", "a, a"]),
        ("store,,date\n1,2,3\n", ["sales.csv", "column names"]),
        (HEADER + "A,x,2024-01-01,many,2\n", ["sales.csv", "row 1", "INVALID_TYPE", "quantity", "'many'"]),
        ((HEADER + GOOD).encode("utf-16"), ["sales.csv", "cannot be read"]),
    ],
    ids=["0-bytes", "header-only", "no-newline", "missing-column", "double-name", "empty-name", "all-bad", "utf-16"],
)
def test_a_hopeless_file_is_named_and_replaces_nothing(files: Files, content: str | bytes, said: list[str]) -> None:
    files.load(HEADER + GOOD)
    before = files.warehouse.path("sources/raw_sales").read_bytes()

    with pytest.raises(SourceError) as caught:
        files.load(content)

    assert all(piece in str(caught.value) for piece in said), caught.value
    assert files.warehouse.path("sources/raw_sales").read_bytes() == before
    assert list(files.warehouse.folder.rglob("*.tmp")) == []


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_parquet_is_named_and_replaces_nothing(files: Files, keep: float) -> None:
    frame = pl.read_csv((HEADER + GOOD).encode())
    files.load(frame, "sales.parquet")
    before = files.warehouse.path("sources/raw_sales").read_bytes()
    whole = (files.folder / "sales.parquet").read_bytes()

    with pytest.raises(SourceError, match=r"sales\.parquet cannot be read"):
        files.load(whole[: int(len(whole) * keep)], "sales.parquet")

    assert files.warehouse.path("sources/raw_sales").read_bytes() == before


def test_a_parquet_without_rows_is_an_error(files: Files) -> None:
    with pytest.raises(SourceError, match=r"sales\.parquet has no rows"):
        files.load(pl.read_csv((HEADER + GOOD).encode()).clear(), "sales.parquet")


@pytest.mark.parametrize(
    ("line", "code", "field", "value"),
    [
        ("A,x,2024-01-03,1.5,2", "INVALID_TYPE", "quantity", "1.5"),
        ("A,x,2024-01-03,many,2", "INVALID_TYPE", "quantity", "many"),
        ("A,x,2024-01-03,nan,2", "INVALID_TYPE", "quantity", "nan"),
        ("A,x,2024-01-03,1e30,2", "INVALID_TYPE", "quantity", "1e30"),
        ("A,x,2024-02-30,1,2", "INVALID_TYPE", "date", "2024-02-30"),
        ("A,x,yesterday,1,2", "INVALID_TYPE", "date", "yesterday"),
        ("A,x,2024-01-03,1,cheap", "INVALID_TYPE", "unit_price", "cheap"),
        (",x,2024-01-03,1,2", "MISSING_VALUE", "store", None),
        ("A,   ,2024-01-03,1,2", "MISSING_VALUE", "product", "   "),
        ("A,x,,1,2", "MISSING_VALUE", "date", None),
        ("A,x,2024-01-03,,2", "MISSING_VALUE", "quantity", None),
        ("A,x,2024-01-03", "MALFORMED_LINE", None, None),
        ("A,x,2024-01-03,1,2,3,4", "MALFORMED_LINE", None, None),
    ],
)
def test_a_bad_row_is_rejected_with_code_and_place(
    files: Files, line: str, code: str, field: str | None, value: str | None
) -> None:
    rejected = files.load(f"{HEADER}A,y,2024-01-01,1,2\n{line}\n{GOOD}")

    assert rejected == 1
    assert files.rejects.select("file", "row", "code", "field", "value").rows() == [("sales.csv", 2, code, field, value)]
    assert "2024" in files.rejects["record"].item() or "x" in files.rejects["record"].item()
    assert files.rows["row"].to_list() == [1, 3, 4, 5]


def test_quantities_that_are_whole_are_taken_however_they_are_written(files: Files) -> None:
    files.load(HEADER + "A,x,2024-01-01,3.0,2\nA,x,2024-01-02, 4 ,2\nA,x,2024-01-03,-5,2\n")

    assert files.rows["quantity"].to_list() == [3, 4, -5]  # what is negative is for the stage core to reject


def test_floats_of_a_parquet_are_never_rounded_to_units(files: Files) -> None:
    frame = pl.read_csv((HEADER + GOOD).encode()).with_columns(quantity=pl.Series([1.0, 1.5, float("nan")]))

    rejected = files.load(frame, "sales.parquet")

    assert rejected == 2
    assert files.rows.select("row", "quantity").rows() == [(1, 1)]
    assert files.rejects.select("row", "code", "value").rows() == [(2, "INVALID_TYPE", "1.5"), (3, "INVALID_TYPE", "nan")]


def test_row_numbers_hold_beside_any_malformed_lines(files: Files) -> None:
    sound = {1, 4, 5, 9, 10}  # 2, 3 and 6, 7, 8 are malformed, 11 ends the file
    lines = [f"A,x,2024-01-01,{row},2" if row in sound else f"broken {row}" for row in range(1, 12)]

    rejected = files.load(HEADER + "\n".join(lines) + "\n")

    assert rejected == 11 - len(sound)
    assert files.rows.select("row", "quantity").rows() == [(row, row) for row in sorted(sound)]
    assert [int(row) for row in files.rejects["row"]] == [2, 3, 6, 7, 8, 11]
    assert files.rejects["record"].str.strip_chars().to_list() == [f"broken {row}" for row in (2, 3, 6, 7, 8, 11)]


def test_a_quoted_line_break_is_one_row(files: Files) -> None:
    files.load(HEADER + '"A\nB",x,2024-01-01,1,2\nA,x\nA,x,2024-01-03,3,2\n')

    assert files.rows.select("row", "store", "quantity").rows() == [(1, "A\nB", 1), (3, "A", 3)]
    assert [int(row) for row in files.rejects["row"]] == [2]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_delimiter_line_end_and_byte_order_mark_do_not_matter(files: Files, delimiter: str, newline: str) -> None:
    text = "\ufeff" + (HEADER + GOOD).replace(",", delimiter).replace("\n", newline)

    rejected = files.load(text)

    assert rejected == 0
    assert files.rows["quantity"].to_list() == [1, 2, 3]
    assert files.rows["store"].to_list() == ["A", "A", "B"]


def test_rows_in_are_rows_loaded_and_rejects_over_all_files(files: Files) -> None:
    (files.folder / "a.csv").write_text(HEADER + GOOD + "A,x\n")
    (files.folder / "b.csv").write_text(HEADER + "A,x,2024-01-09,1.5,2\n" + GOOD)

    rejected = files.load_folder("*.csv")

    assert rejected == 2
    assert files.rows.height + files.rejects.height == 8
    assert files.rows.select("file", "row").rows() == [
        ("a.csv", 1),
        ("a.csv", 2),
        ("a.csv", 3),
        ("b.csv", 2),
        ("b.csv", 3),
        ("b.csv", 4),
    ]
    assert files.rejects.select("file", "code").rows() == [("a.csv", "MALFORMED_LINE"), ("b.csv", "INVALID_TYPE")]


def test_one_hopeless_file_of_many_is_named(files: Files) -> None:
    (files.folder / "a.csv").write_text(HEADER + GOOD)
    (files.folder / "b.csv").write_text("")

    with pytest.raises(SourceError, match=r"b\.csv is empty"):
        files.load_folder("*.csv")


def test_their_column_names_are_mapped_to_ours(files: Files) -> None:
    text = "Shop,PRODUCT,Day,quantity,unit_price\nA,x,2024-01-01,1,2.5\n"

    files.load(text, columns={"store": "shop", "date": "Day"})

    assert files.rows.select("store", "product", "quantity").rows() == [("A", "x", 1)]


def test_a_mapped_column_that_is_absent_is_named_in_both_languages(files: Files) -> None:
    with pytest.raises(SourceError, match=r"sales\.csv has no column turnover \(our total_amount\); it has store, product"):
        files.load(HEADER + GOOD, columns={"total_amount": "turnover"})


def test_a_mapping_of_no_column_of_ours_is_told(files: Files) -> None:
    with pytest.raises(SourceError, match=r"basket is none of ours: store, product, date"):
        files.load(HEADER + GOOD, columns={"basket": "store"})


def test_a_missing_file_or_folder_is_named_with_what_is_there(files: Files, tmp_path: Path) -> None:
    (files.folder / "sale.csv").write_text(HEADER + GOOD)

    with pytest.raises(SourceError, match=r"holds no sales\.csv; it holds sale\.csv"):
        files.load_folder("sales.csv")
    with duckdb.connect() as connection, pytest.raises(SourceError, match="nowhere is not a folder"):
        read(tmp_path / "nowhere", TableFile("sales.csv"), RAW["raw_sales"], connection)


def test_an_optional_file_that_is_not_there_is_no_table(files: Files) -> None:
    with duckdb.connect() as connection:
        assert read(files.folder, TableFile("stores.csv", optional=True), RAW["raw_stores"], connection) is None


def test_names_with_quotes_are_read_as_they_are(files: Files) -> None:
    files.load(HEADER + 'O\'Neill,"6"" pipe",2024-01-01,1,2\n', "o'neill.csv")

    assert files.rows.select("store", "product", "file").rows() == [("O'Neill", '6" pipe', "o'neill.csv")]
