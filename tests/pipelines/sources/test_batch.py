"""What a batch may hold, by mistake or by habit of its source: every line is loaded, merged, skipped or rejected with a code."""

import codecs
import gzip
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_config.declared import Declarations, load_declarations
from assets_config.mapping import Cancelled, FileSource, From, Lookup, TableFile, Weekly, Wide, ZoneBy
from pipelines.errors import SourceError
from pipelines.sources.batch import Loaded, read_batch
from pipelines.sources.shape import weekly
from tests.plant import MEDIA_TYPES, NOON, Plant

SHIPPED = load_declarations()
HEADER = "store_code,sku,date,quantity,unit_price\n"
GOOD = "A,x,2024-01-01,1,2.50\nA,x,2024-01-02,2,2.50\nB,x,2024-01-01,3,2.50\n"
AS_THEY_ARE: dict[str, Any] = {}


class Read(NamedTuple):
    """What one batch became."""

    loaded: Loaded
    folder: Path

    def rows(self, *columns: str, table: str = "sales-daily") -> list[tuple[Any, ...]]:
        """The loaded rows of all months, in the order of the file."""
        paths = [self.folder / f"{each.table}.{each.month}.parquet" for each in self.loaded.pieces if each.table == table]
        return pl.concat([pl.read_parquet(path) for path in paths]).sort("row", "date").select(*columns).rows() if paths else []

    def rejects(self, *columns: str) -> list[tuple[Any, ...]]:
        path = self.folder / "rejects.parquet"
        return (
            pl.read_parquet(path).sort("row").select(columns or ("row", "code", "field", "value")).rows() if path.exists() else []
        )


def declared(kind: str, **options: Any) -> Declarations:
    """A source called mine that reads one kind."""
    source = FileSource("mine", "for a test", {kind: TableFile(**{"file": "*", **options})})
    assert source.fault() is None
    return msgspec.structs.replace(SHIPPED, sources={**SHIPPED.sources, "mine": source})


def read(
    root: Path,
    content: str | bytes | pl.DataFrame,
    *,
    kind: str = "sales-daily",
    name: str = "sales.csv",
    others: dict[str, str] = AS_THEY_ARE,
    **options: Any,
) -> Read:
    """Land a file and read it: as posted, or by a mapping where there are options of one."""
    if isinstance(content, pl.DataFrame):
        content.write_parquet(root / "sent.parquet")
        content, name = (root / "sent.parquet").read_bytes(), "sales.parquet"
    plant = Plant(root / "data", declared(kind, **options))
    files: list[tuple[str, bytes | Path]] = [(name, content.encode() if isinstance(content, str) else content)]
    files += [(each, text.encode()) for each, text in others.items()]
    source = "mine" if options else "api"
    batch, _ = plant.ledger.landing.receive(kind, source, files, media_type=MEDIA_TYPES[Path(name).suffix], received_at=NOON)
    with duckdb.connect(config={"threads": 2, "preserve_insertion_order": False}) as connection:
        loaded = read_batch(plant.ledger.batches, batch, plant.declarations, connection)
    return Read(loaded, plant.ledger.batches.path(batch.batch_id))


def sales(*lines: str, header: str = HEADER) -> str:
    return header + "".join(f"{line}\n" for line in lines)


def test_good_rows_are_loaded_with_their_types(tmp_path: Path) -> None:
    made = read(tmp_path, HEADER + GOOD)

    assert (made.loaded.lines, made.loaded.rejected, made.rejects()) == (3, {}, [])
    assert made.rows("store_code", "sku", "quantity", "row") == [("A", "x", 1, 1), ("A", "x", 2, 2), ("B", "x", 3, 3)]
    assert dict(pl.read_parquet_schema(made.folder / "sales-daily.2024-01.parquet")) == {
        "date": pl.Date,
        "store_code": pl.String,
        "sku": pl.String,
        "quantity": pl.Int64,
        "unit_price": pl.Decimal(18, 4),
        "total_amount": pl.Decimal(18, 2),
        "row": pl.Int64,
    }


def test_rows_are_kept_by_month_with_first_and_last_day(tmp_path: Path) -> None:
    made = read(tmp_path, sales("A,x,2024-02-29,1,2", "A,x,2023-12-31,1,2", "A,x,2024-02-01,1,2"))

    assert [(each.month, each.rows) for each in made.loaded.pieces] == [("2023-12", 1), ("2024-02", 2)]
    assert (made.loaded.first_date, made.loaded.last_date) == (date(2023, 12, 31), date(2024, 2, 29))


HOPELESS: dict[str, tuple[str | bytes, list[str]]] = {
    "0 bytes": ("", ["empty"]),
    "header only": (HEADER, ["no rows"]),
    "no line end": (HEADER.rstrip(), ["no rows"]),
    "missing column": (HEADER.replace("quantity", "amount") + GOOD, ["no column quantity", "store_code, sku, date, amount"]),
    "double name": ("a,A\n1,2\n", ["column names", "a, A"]),
    "empty name": ("store_code,,date\n1,2,3\n", ["column names"]),
    "all bad": (HEADER + "A,x,2024-01-01,many,2\n", ["row 1", "INVALID_TYPE", "quantity", "'many'"]),
    "all below 0": (HEADER + "A,x,2024-01-01,-1,2\n", ["row 1", "NEGATIVE_QUANTITY", "'-1'"]),
    "other encoding": ((HEADER + GOOD).encode("utf-16"), ["cannot be read", "not in utf-8", "`encoding`", "utf-16"]),
    "umlaut in the header": ((HEADER.strip() + ",Größe\n").encode("latin-1"), ["cannot be read", "not in utf-8", "latin-1"]),
    "gzip": (gzip.compress((HEADER + GOOD).encode()), ["packed with gzip"]),
    "workbook": (b"PK\x03\x04" + b"\0" * 100, ["packed with zip"]),
    "blank lines": ("\n\n", ["no header"]),
    "zeros": (b"\0" * 2000, ["no column"]),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plant, Path]:
    """A plant that was loaded from good files, and their folder."""
    plant, folder = Plant(tmp_path_factory.mktemp("data")), tmp_path_factory.mktemp("files")
    (folder / "sales.csv").write_text(HEADER + GOOD)
    plant.load("csv", folder)
    return plant, folder


@pytest.mark.parametrize(("content", "said"), HOPELESS.values(), ids=HOPELESS)
def test_a_hopeless_file_is_named_and_replaces_nothing(loaded: tuple[Plant, Path], content: str | bytes, said: list[str]) -> None:
    plant, folder = loaded
    before = plant.warehouse.dataset_id(), [batch.batch_id for batch in plant.ledger.active()]
    (folder / "sales.csv").write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(SourceError) as caught:
        plant.load("csv", folder)

    assert all(piece in str(caught.value) for piece in ["sales.csv", *said]), caught.value
    assert str(plant.warehouse.root) not in str(caught.value)
    assert (plant.warehouse.dataset_id(), [batch.batch_id for batch in plant.ledger.active()]) == before
    assert list(plant.warehouse.root.rglob("*.tmp")) == []


def test_hopeless_posted_batches_harm_no_other(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("sales-daily", HEADER + GOOD)
    batches = [plant.post("sales-daily", content) for content, _ in HOPELESS.values()]

    plant.run()

    told = [plant.batch(batch) for batch in batches]
    assert {(each["state"], each["loaded"]) for each in told} == {("rejected", 0)}
    assert len(plant.sales()) == 3


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_parquet_says_so(tmp_path: Path, keep: float) -> None:
    pl.read_csv((HEADER + GOOD).encode()).write_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()

    made = read(tmp_path, whole[: int(len(whole) * keep)], name="sales.parquet")

    assert made.loaded.failure is not None
    assert made.loaded.failure.startswith("sales.parquet cannot be read")
    assert [path.name for path in made.folder.iterdir()] == ["loaded.json"]


def test_a_parquet_without_rows_says_so(tmp_path: Path) -> None:
    made = read(tmp_path, pl.read_csv((HEADER + GOOD).encode()).clear())

    assert made.loaded.failure == "sales.parquet has no rows"


BAD = [
    ("A,x,2024-01-03,1.5,2", "INVALID_TYPE", "quantity", "1.5"),
    ("A,x,2024-01-03,many,2", "INVALID_TYPE", "quantity", "many"),
    ("A,x,2024-01-03,nan,2", "INVALID_TYPE", "quantity", "nan"),
    ("A,x,2024-01-03,0x10,2", "INVALID_TYPE", "quantity", "0x10"),
    ("A,x,2024-01-03,1_000,2", "INVALID_TYPE", "quantity", "1_000"),
    ("A,x,2024-01-03,1e30,2", "INVALID_TYPE", "quantity", "1e30"),
    ("A,x,2024-02-30,1,2", "INVALID_TYPE", "date", "2024-02-30"),
    ("A,x,yesterday,1,2", "INVALID_TYPE", "date", "yesterday"),
    ("A,x,2024-01-03,1,cheap", "INVALID_TYPE", "unit_price", "cheap"),
    (",x,2024-01-03,1,2", "MISSING_VALUE", "store_code", None),
    ("A,   ,2024-01-03,1,2", "MISSING_VALUE", "sku", None),
    ("A,x,,1,2", "MISSING_VALUE", "date", None),
    ("A,x,2024-01-03,,2", "MISSING_VALUE", "quantity", None),
    ("A,x,2024-01-03,1,", "MISSING_VALUE", "total_amount", None),
    (f"{'S' * 51},x,2024-01-03,1,2", "TOO_LONG", "store_code", "S" * 51),
    ("A,x,2024-01-03,-1,2", "NEGATIVE_QUANTITY", "quantity", "-1"),
    ("A,x,2024-01-03,-9223372036854775808,2", "NEGATIVE_QUANTITY", "quantity", "-9223372036854775808"),
    ("A,x,2024-01-03,1,-0.01", "NEGATIVE_AMOUNT", "unit_price", "-0.01"),
    ("A,x,2024-01-03,1000000000001,2", "OUT_OF_RANGE", "quantity", "1000000000001"),
    ("A,x,2024-01-03,1000000000000,2", "OUT_OF_RANGE", "unit_price", "2"),
    ("A,x,1989-12-31,1,2", "OUT_OF_RANGE", "date", "1989-12-31"),
    ("A,x,2101-01-01,1,2", "OUT_OF_RANGE", "date", "2101-01-01"),
    ("A,x,infinity,1,2", "OUT_OF_RANGE", "date", "infinity"),
    ("A,x,2024-01-03", "MALFORMED_LINE", None, None),
    ("A,x,2024-01-03,1,2,3,4", "MALFORMED_LINE", None, None),
]


@pytest.mark.parametrize(("line", "code", "field", "value"), BAD)
def test_a_bad_line_is_rejected_with_code_and_place(
    tmp_path: Path, line: str, code: str, field: str | None, value: str | None
) -> None:
    made = read(tmp_path, sales("A,y,2024-01-01,1,2", line) + GOOD)

    assert made.rejects() == [(2, code, field, value)]
    assert made.loaded.rejected == {code: 1}
    assert pl.read_parquet_schema(made.folder / "rejects.parquet")["row"] == pl.Int64
    assert [row for (row,) in made.rows("row")] == [1, 3, 4, 5]


def test_a_rejected_line_is_kept_whole(tmp_path: Path) -> None:
    made = read(tmp_path, sales('A,"6"" pipe",2024-01-01,many,2', "broken line"))

    [(_, typed), (_, malformed)] = made.rejects("row", "record")
    assert json.loads(typed) == {"date": "2024-01-01", "store_code": "A", "sku": '6" pipe', "quantity": "many", "unit_price": "2"}
    assert malformed.strip() == "broken line"


def test_bytes_of_another_encoding_spoil_their_line_alone(tmp_path: Path) -> None:
    made = read(tmp_path, (HEADER + GOOD).encode() + "Köln,x,2024-01-01,1,2\n".encode("latin-1") + b"B,y,2024-01-01,1,2\n")

    assert made.loaded.rejected == {"MALFORMED_LINE": 1}
    assert [row for (row,) in made.rows("row")] == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("kind", "text", "code", "field"),
    [
        ("prices", "sku,price,valid_from,valid_to\nx,1,2024-01-02,2024-01-01\n", "INVALID_RANGE", "valid_to"),
        ("promotions", "sku,name,start_date,end_date\nx,p,2024-01-01,2024-01-02\n", "MISSING_VALUE", "discount_pct"),
        (
            "promotions",
            "sku,name,start_date,end_date,discount_pct\nx,p,2024-01-01,2024-01-02,1.01\n",
            "OUT_OF_RANGE",
            "discount_pct",
        ),
        ("promotions", "sku,name,start_date,end_date,discount_pct\nx,p,2024-01-03,2024-01-02,1\n", "INVALID_RANGE", "end_date"),
        ("lifecycle", "sku,launched_on,discontinued_on\nx,2024-01-02,2024-01-01\n", "INVALID_RANGE", "discontinued_on"),
        ("external-ids", "entity,external_id,code\nshop,1,A\n", "INVALID_TYPE", "entity"),
        ("weekly-sales", "store_id,week_number,units_sold\nA,54,1\n", "OUT_OF_RANGE", "week_number"),
        ("inventory", "store_code,sku,date,on_hand,is_stockout\nA,x,2024-01-01,1,maybe\n", "INVALID_TYPE", "is_stockout"),
        ("exogenous", "date,name,value\n2024-01-01,rain,wet\n", "INVALID_TYPE", "value"),
    ],
)
def test_every_kind_has_its_own_bounds(tmp_path: Path, kind: str, text: str, code: str, field: str) -> None:
    made = read(tmp_path, text, kind=kind)

    assert [found[1:3] for found in made.rejects()] == [(code, field)]


def test_the_first_fault_of_a_line_is_the_one_that_is_told(tmp_path: Path) -> None:
    made = read(tmp_path, sales(",,2024-13-01,-1.5,x"))

    assert made.rejects() == [(1, "INVALID_TYPE", "date", "2024-13-01")]


def test_quantities_that_are_whole_are_taken_however_they_are_written(tmp_path: Path) -> None:
    made = read(tmp_path, sales("A,x,2024-01-01,3.0,2", "A,x,2024-01-02, 4 ,2", "A,x,2024-01-03,1e2,2", "A,x,2024-01-04,+5,2"))

    assert made.rows("quantity") == [(3,), (4,), (100,), (5,)]


def test_floats_of_a_parquet_are_never_rounded_to_units(tmp_path: Path) -> None:
    frame = pl.read_csv((HEADER + GOOD).encode()).with_columns(quantity=pl.Series([1.0, 1.5, float("nan")]))

    made = read(tmp_path, frame)

    assert made.rows("row", "quantity") == [(1, 1)]
    assert made.rejects("row", "code", "value") == [(2, "INVALID_TYPE", "1.5"), (3, "INVALID_TYPE", "nan")]


def test_a_parquet_keeps_its_own_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "store_code": [7],  # numbers as codes
            "sku": [b"x".decode()],
            "date": [datetime(2024, 1, 1, 23, 59)],
            "quantity": pl.Series([3], dtype=pl.Int8),
            "unit_price": [2.5],
        }
    )

    made = read(tmp_path, frame)

    assert made.rows("store_code", "date", "quantity", "unit_price") == [("7", date(2024, 1, 1), 3, Decimal("2.5000"))]


def test_row_numbers_hold_beside_any_malformed_lines(tmp_path: Path) -> None:
    sound = {1, 4, 5, 9, 10}  # 2, 3 and 6, 7, 8 are malformed, 11 ends the file
    lines = [f"A,x,2024-01-01,{row},2" if row in sound else f"broken {row}" for row in range(1, 12)]

    made = read(tmp_path, sales(*lines))

    assert made.rows("row", "quantity") == [(row, row) for row in sorted(sound)]
    assert [(row, record.strip()) for row, record in made.rejects("row", "record")] == [
        (row, f"broken {row}") for row in (2, 3, 6, 7, 8, 11)
    ]


def test_a_quoted_line_break_is_one_row(tmp_path: Path) -> None:
    made = read(tmp_path, HEADER + '"A\nB",x,2024-01-01,1,2\nA,x\nA,x,2024-01-03,3,2\n')

    assert made.rows("row", "store_code", "quantity") == [(1, "A\nB", 1), (3, "A", 3)]
    assert [row for (row,) in made.rejects("row")] == [2]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_line_that_an_open_quote_swallows_is_rejected(tmp_path: Path, newline: str) -> None:
    lines = [f"A,x,2024-01-{day:02},{day},2" for day in range(1, 12)]
    lines[2], lines[5], lines[8] = 'A,"x,2024-01-03,3,2', 'A,x"x,2024-01-06,6,2', "broken"

    made = read(tmp_path, sales(*lines).replace("\n", newline))

    assert made.rows("row", "quantity") == [(row, row) for row in (1, 2, 7, 8, 10, 11)]
    assert [(row, record.strip()) for row, record in made.rejects("row", "record")] == [
        (row, lines[row - 1]) for row in (3, 4, 5, 6, 9)
    ]
    assert made.loaded.lines == 11


def test_a_quote_that_swallows_what_follows_is_named(tmp_path: Path) -> None:
    many = [f"A,x,2024-01-{1 + row % 28:02},{row},2" for row in range(1, 1000)]
    many[499] = 'A,"x,2024-01-01,1,2'

    made = read(tmp_path, sales(*many))

    assert made.loaded.failure is not None
    assert made.loaded.failure.startswith("sales.csv: a quote that opens in line 501 is not closed")
    assert made.loaded.pieces == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_delimiter_line_end_and_byte_order_mark_do_not_matter(tmp_path: Path, delimiter: str, newline: str) -> None:
    made = read(tmp_path, "\ufeff" + (HEADER + GOOD).replace(",", delimiter).replace("\n", newline))

    assert made.loaded.rejected == {}
    assert made.rows("store_code", "quantity") == [("A", 1), ("A", 2), ("B", 3)]


def test_names_with_quotes_are_read_as_they_are(tmp_path: Path) -> None:
    made = read(tmp_path, sales('O\'Neill,"6"" pipe",2024-01-01,1,2', "A,x,2024-01-01,many,2"), name="o'neill.csv")

    assert made.rows("store_code", "sku") == [("O'Neill", '6" pipe')]
    assert made.rejects("file") == [("o'neill.csv",)]


@pytest.mark.parametrize("name", ["row", "skip_", "r_0", "fault_", 'a"b', "it's", "part_", "quantity_1"])
@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_column_may_be_called_anything(tmp_path: Path, name: str, form: str) -> None:
    frame = pl.read_csv((HEADER + GOOD).encode()).with_columns(pl.lit("text").alias(name))

    made = {
        "csv": lambda: read(tmp_path, frame.write_csv(), identical="drop"),
        "json": lambda: read(tmp_path, frame.write_json(), name="sales.json", identical="drop"),
        "parquet": lambda: read(tmp_path, frame, identical="drop"),
    }[form]()

    assert made.loaded.failure is None
    assert made.rows("store_code", "quantity", "row") == [("A", 1, 1), ("A", 2, 2), ("B", 3, 3)]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_the_one_name_that_is_ours_is_refused(tmp_path: Path, form: str) -> None:
    frame = pl.read_csv((HEADER + GOOD).encode()).with_columns(pl.lit("text").alias("Row_"))

    made = {
        "csv": lambda: read(tmp_path, frame.write_csv()),
        "json": lambda: read(tmp_path, frame.write_json(), name="sales.json"),
        "parquet": lambda: read(tmp_path, frame),
    }[form]()

    assert made.loaded.failure is not None
    assert "no column may be called row_" in made.loaded.failure


def test_columns_stand_under_their_aliases_in_any_case(tmp_path: Path) -> None:
    made = read(tmp_path, "Branch,ITEM_ID,Date,QUANTITY,Unit_Price,remark\nA,x,2024-01-01,1,2.5,hm\n")

    assert made.rows("store_code", "sku", "quantity") == [("A", "x", 1)]


def test_their_column_names_are_mapped_to_ours(tmp_path: Path) -> None:
    text = "Shop,PRODUCT,Day,quantity,unit_price\nA,x,2024-01-01,1,2.5\n"

    made = read(tmp_path, text, columns={"store_code": "shop", "date": "Day"})

    assert made.rows("store_code", "sku", "quantity") == [("A", "x", 1)]


def test_a_column_that_is_mapped_is_no_alias_for_another(tmp_path: Path) -> None:
    text = "store,store_id,sku,date,quantity,unit_price\nwrong,A,x,2024-01-01,1,2\n"

    made = read(tmp_path, text, columns={"store_code": "store_id"})

    assert made.rows("store_code") == [("A",)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": {"total_amount": "turnover"}}, "has no column turnover; it has store_code, sku"),
        ({"columns": {"date": From(column="day")}}, "has no column day; it has"),
        ({"cancelled": Cancelled("invoice", "C")}, "has no column invoice; it has"),
        ({"wide": Wide("d_*", "d", "quantity")}, "has no column like d_*; it has"),
        ({"lookups": [Lookup("calendar.csv", {"d": "d"}, ["date"])]}, "needs calendar.csv, which did not come with it"),
        ({"columns": {"date": From(zone=ZoneBy("land", {"DE": "Europe/Berlin"}))}}, "land"),
        ({"skip": {"X": "no_such_column > 1"}}, "no_such_column"),
    ],
)
def test_a_mapping_that_does_not_fit_says_what_the_file_has(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    made = read(tmp_path, sales("A,x,2024-01-01 10:00,1,2"), **options)

    assert made.loaded.failure is not None
    assert made.loaded.failure.startswith("sales.csv")
    assert said in made.loaded.failure


def test_a_missing_file_or_folder_is_named_with_what_is_there(tmp_path: Path) -> None:
    folder, plant = tmp_path / "files", Plant(tmp_path / "data")
    folder.mkdir()
    (folder / "sale.csv").write_text(HEADER + GOOD)

    with pytest.raises(SourceError, match=r"holds no sales\.csv; it holds sale\.csv"):
        plant.load("csv", folder)
    with pytest.raises(SourceError, match="nowhere is not a folder"):
        plant.load("csv", tmp_path / "nowhere")


def test_an_optional_file_need_not_be_there(tmp_path: Path) -> None:
    folder, plant = tmp_path / "files", Plant(tmp_path / "data")
    folder.mkdir()
    (folder / "sales.csv").write_text(HEADER + GOOD)

    chosen = plant.load("csv", folder)

    assert [batch.kind for batch in chosen] == ["sales-daily"]


def test_lines_are_loaded_rejected_merged_or_skipped_over_all_files(tmp_path: Path) -> None:
    folder, plant = tmp_path / "files", Plant(tmp_path / "data", declared("sales-daily", file="*.csv", skip={"TEST": "sku = 't'"}))
    folder.mkdir()
    (folder / "a.csv").write_text(HEADER + GOOD + "A,x\nA,t,2024-01-01,1,2\n" + GOOD)
    (folder / "b.csv").write_text(HEADER + "A,x,2024-01-09,1.5,2\n" + GOOD)

    plant.load("mine", folder)

    counts = plant.table("ingest_batch").sort("file_name").select("file_name", "lines", "loaded", "rejected", "merged", "skipped")
    assert counts.rows() == [("a.csv", 8, 3, 1, 3, 1), ("b.csv", 4, 3, 1, 0, 0)]
    rejects = plant.table("ingest_reject").sort("file").select("file", "row_index", "code")
    assert rejects.rows() == [("a.csv", 3, "MALFORMED_LINE"), ("b.csv", 0, "INVALID_TYPE")]


def test_one_hopeless_file_of_many_is_named(tmp_path: Path) -> None:
    folder, plant = tmp_path / "files", Plant(tmp_path / "data", declared("sales-daily", file="*.csv"))
    folder.mkdir()
    (folder / "a.csv").write_text(HEADER + GOOD)
    (folder / "b.csv").write_text("")

    with pytest.raises(SourceError, match=r"b\.csv is empty"):
        plant.load("mine", folder)


@pytest.mark.parametrize(
    "wrap", [lambda rows: rows, lambda rows: {"records": rows}, lambda rows: {"records": rows, "sent_by": "till"}]
)
def test_json_is_a_list_of_objects_or_holds_one(tmp_path: Path, wrap: Any) -> None:
    rows = [
        {"store_code": "A", "sku": "x", "date": "2024-01-01", "quantity": 2, "unit_price": 2.5, "tags": ["a", {"b": 1}]},
        {"store_code": 7, "sku": "y", "date": "2024-01-02", "quantity": "3", "total_amount": "4.00"},
        {"store_code": {"no": 1}, "sku": None, "date": "2024-01-02", "quantity": 3, "unit_price": 1},
        {"store_code": "A", "sku": "x", "date": "2024-01-03", "quantity": True, "unit_price": 1},
    ]

    made = read(tmp_path, json.dumps(wrap(rows)), name="rows.json")

    assert made.rows("store_code", "sku", "quantity", "unit_price", "total_amount") == [
        ("A", "x", 2, Decimal("2.5"), None),
        ("7", "y", 3, None, Decimal("4.00")),
    ]
    assert made.rejects() == [(3, "MISSING_VALUE", "sku", None), (4, "INVALID_TYPE", "quantity", "true")]
    assert json.loads(made.rejects("record")[0][0])["store_code"] == '{"no":1}'


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        "[1]",
        '{"records": {}}',
        '{"records": [[]]}',
        "[{}]",
        "not json",
        '[{"store_code": "A"',
        "[" * 100_000,
        '[{"": 1}]',
        '[{"sku": 1, "SKU": 2}]',
    ],
    ids=lambda text: text[:20],
)
def test_json_of_another_form_says_so(tmp_path: Path, content: str) -> None:
    made = read(tmp_path, content, name="rows.json")

    assert made.loaded.failure is not None
    assert made.loaded.failure.startswith("rows.json")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_read_as_the_mapping_says(tmp_path: Path, encoding: str) -> None:
    made = read(tmp_path, sales("Köln,größe,2024-01-01,1,2").encode(encoding), encoding=encoding)

    assert made.rows("store_code", "sku") == [("Köln", "größe")]


@pytest.mark.parametrize(
    ("encoding", "start", "by"), [("windows-1252", b"", "cp1252"), ("utf-16", codecs.BOM_UTF16_BE, "utf-16-be")]
)
def test_encodings_that_duckdb_lacks_are_read_too(tmp_path: Path, encoding: str, start: bytes, by: str) -> None:
    made = read(tmp_path, start + sales("Köln „A“,5 €,2024-01-01,1,2").encode(by), encoding=encoding)

    assert made.rows("store_code", "sku") == [("Köln „A“", "5 €")]


def test_a_byte_that_means_nothing_spoils_its_line_alone(tmp_path: Path) -> None:
    made = read(tmp_path, sales("A,x,2024-01-01,1,2").encode() + b"A,\x81,2024-01-02,2,2\n", encoding="windows-1252")

    assert made.rows("row", "quantity") == [(1, 1)]
    assert made.rejects("row", "code") == [(2, "MALFORMED_LINE")]


def test_latin_1_with_a_euro_sign_is_told_to_be_windows_1252(tmp_path: Path) -> None:
    made = read(tmp_path, sales("A,5 €,2024-01-01,1,2").encode("cp1252"), encoding="latin-1")

    assert made.loaded.failure is not None
    assert "windows-1252" in made.loaded.failure


@pytest.mark.parametrize(
    ("quantity", "price", "taken"),
    [
        ("3", "2,50", (3, Decimal("2.5"))),
        ("1.000", "1.234,56", (1000, Decimal("1234.56"))),
        ("1.000.000", ",5", (10**6, Decimal("0.5"))),
        ("3,0", "2", (3, Decimal(2))),
        ("3", "2.50", ("unit_price", "2.50")),
        ("1.5", "2", ("quantity", "1.5")),
        ("3", "1,2,3", ("unit_price", "1,2,3")),
        ("3", "1,234.5", ("unit_price", "1,234.5")),
    ],
)
def test_a_decimal_comma_is_read_and_dots_only_part_thousands(tmp_path: Path, quantity: str, price: str, taken: Any) -> None:
    text = f"store_code;sku;date;quantity;unit_price\nA;x;2024-01-01;{quantity};{price}\n"

    made = read(tmp_path, text, decimal=",")

    found = made.rows("quantity", "unit_price") or made.rejects("field", "value")
    assert found == [taken]


@pytest.mark.parametrize(
    ("text", "formats", "day"),
    [
        ("31.12.2023", ["%d.%m.%Y"], date(2023, 12, 31)),
        ("12/31/2023", ["%d/%m/%Y", "%m/%d/%Y"], date(2023, 12, 31)),
        ("02/01/2024", ["%d/%m/%Y", "%m/%d/%Y"], date(2024, 1, 2)),
        ("2024-01-02 23:59:59", [], date(2024, 1, 2)),
        ("2024-01-02T23:59:59.5+05:00", [], date(2024, 1, 2)),
        ("2024-01-02T00:30:00Z", [], date(2024, 1, 2)),
        ("2024-01-02", ["%d.%m.%Y"], None),
        ("31.11.2023", ["%d.%m.%Y"], None),
        ("1704153600", [], None),
    ],
)
def test_days_are_read_by_the_formats_of_the_mapping(tmp_path: Path, text: str, formats: list[str], day: date | None) -> None:
    made = read(tmp_path, sales(f"A,x,{text},1,2"), columns={"date": From(formats=formats)})

    assert made.rows("date") == ([(day,)] if day else [])
    assert made.loaded.rejected == ({} if day else {"INVALID_TYPE": 1})


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "where", "day"),
    [
        # a time without an offset is one of the zone; its day is the zone's
        ("2024-01-01 23:30", From(zone=BERLIN), date(2024, 1, 1)),
        ("2024-01-01 23:30", From(zone="UTC", day_in=BERLIN), date(2024, 1, 2)),
        ("2023-07-01 22:30", From(zone="UTC", day_in=BERLIN), date(2023, 7, 2)),
        ("2024-01-01 22:30", From(zone="UTC", day_in=BERLIN), date(2024, 1, 1)),
        ("2024-01-02 03:00", From(zone="UTC", day_in="America/New_York"), date(2024, 1, 1)),
        # an offset counts, whatever the zone
        ("2024-01-01T23:30:00Z", From(zone=BERLIN), date(2024, 1, 2)),
        ("2024-01-01T23:30:00-05:00", From(zone=BERLIN), date(2024, 1, 2)),
        ("2024-01-02T00:30:00+0100", From(zone="UTC"), date(2024, 1, 1)),
        ("2024-01-01T23:30:00+02", From(day_in="UTC"), date(2024, 1, 1)),
        # a day alone is that day
        ("2024-01-01", From(zone=BERLIN), date(2024, 1, 1)),
        ("2024-01-01", From(zone="UTC", day_in="America/New_York"), date(2024, 1, 1)),
        ("31-12-2023", From(zone=BERLIN, formats=["%d-%m-%Y"]), date(2023, 12, 31)),
        # days on which clocks change: 02:30 is not there in March, and there twice in October
        ("2024-03-31 02:30", From(zone=BERLIN), date(2024, 3, 31)),
        ("2024-03-31 00:30", From(zone=BERLIN), date(2024, 3, 31)),
        ("2024-03-31 23:59", From(zone=BERLIN), date(2024, 3, 31)),
        ("2024-03-30 23:30", From(zone="UTC", day_in=BERLIN), date(2024, 3, 31)),
        ("2024-03-31 22:30", From(zone="UTC", day_in=BERLIN), date(2024, 4, 1)),
        ("2023-10-29 02:30", From(zone=BERLIN), date(2023, 10, 29)),
        ("2023-10-29 22:30", From(zone="UTC", day_in=BERLIN), date(2023, 10, 29)),
        # formats with a zone of their own
        ("01.01.2024 23:30 -0500", From(zone=BERLIN, formats=["%d.%m.%Y %H:%M %z"]), date(2024, 1, 2)),
        ("01.01.2024 23:30", From(zone="UTC", day_in=BERLIN, formats=["%d.%m.%Y %H:%M"]), date(2024, 1, 2)),
    ],
)
def test_the_day_of_a_time_is_that_of_its_zone(tmp_path: Path, text: str, where: From, day: date) -> None:
    made = read(tmp_path, sales(f"A,x,{text},1,2"), columns={"date": where})

    assert made.rejects() == []
    assert made.rows("date") == [(day,)]


def test_the_zone_may_depend_on_a_column(tmp_path: Path) -> None:
    zones = ZoneBy("country", {"JP": "Asia/Tokyo", "US": "America/New_York"})
    text = "store_code,country,sku,date,quantity,unit_price\n" + "".join(
        f"A,{country},x,2024-01-01 20:00,1,2\n" for country in ("JP", "US", "FR", "")
    )

    made = read(tmp_path, text, columns={"date": From(zone="UTC", day_in=zones)})

    assert [str(day) for (day,) in made.rows("date")] == ["2024-01-02", "2024-01-01", "2024-01-01", "2024-01-01"]


def test_times_of_a_parquet_with_a_zone_take_the_day_that_is_asked_for(tmp_path: Path) -> None:
    instant = pl.Series([datetime(2024, 1, 1, 23, 30)]).dt.replace_time_zone("UTC")
    frame = pl.DataFrame({"store_code": ["A"], "sku": ["x"], "date": instant, "quantity": [1], "unit_price": [1.0]})

    here, there = read(tmp_path, frame), read(tmp_path, frame, columns={"date": From(day_in=BERLIN)})

    assert (here.rows("date"), there.rows("date")) == ([(date(2024, 1, 1),)], [(date(2024, 1, 2),)])


def test_ids_are_folded_to_one_case(tmp_path: Path) -> None:
    made = read(
        tmp_path, sales("a1,Xy,2024-01-01,1,2"), columns={"store_code": From(case="upper"), "sku": From(column="sku", case="lower")}
    )

    assert made.rows("store_code", "sku") == [("A1", "xy")]


@pytest.mark.parametrize(("dozens", "units"), [("2", 24), ("0.5", 6), ("0.3", None), ("9e31", None), ("1e30", None)])
def test_a_count_of_dozens_becomes_units_if_it_is_whole(tmp_path: Path, dozens: str, units: int | None) -> None:
    made = read(tmp_path, sales(f"A,x,2024-01-01,{dozens},2", "A,y,2024-01-01,1,2"), columns={"quantity": From(times=12)})

    assert made.loaded.failure is None
    assert made.rows("quantity") == [*([(units,)] if units else []), (12,)]
    assert len(made.rejects()) == (units is None)


def test_a_column_may_be_a_constant(tmp_path: Path) -> None:
    text = "sku,date,quantity,unit_price\nx,2024-01-01,1,2\n"

    made = read(tmp_path, text, columns={"store_code": From(value="O'Neill")})

    assert made.rows("store_code") == [("O'Neill",)]


def test_negative_quantities_are_returns_where_the_mapping_says_so(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "store_code,sku,date,quantity,total_amount\nA,x,2024-01-01,3,7.50\nA,x,2024-01-02,-1,-2.50\nA,x,2024-02-02,-2,\n",
        negative="return",
    )

    assert made.rows("quantity", "total_amount") == [(3, Decimal("7.50"))]
    assert made.rows("date", "quantity", "total_amount", "row", table="returns") == [(date(2024, 1, 2), 1, Decimal("2.50"), 2)]
    assert made.rejects() == [(3, "MISSING_VALUE", "total_amount", None)]


def test_returns_keep_what_was_paid_back_where_only_the_price_is_told(tmp_path: Path) -> None:
    made = read(tmp_path, sales("A,x,2024-01-01,-3,0.335"), negative="return")

    assert made.rows("quantity", "total_amount", table="returns") == [(3, Decimal("1.01"))]


def test_a_return_is_bounded_as_a_sale_is(tmp_path: Path) -> None:
    lines = [f"A,x,2024-01-01,{quantity},2" for quantity in (-(10**12) - 1, -(2**63), 10**12 + 1)]

    made = read(tmp_path, sales(*lines, "A,y,2024-01-01,-1,2"), negative="return")

    assert made.loaded.failure is None
    assert made.loaded.rejected == {"OUT_OF_RANGE": 3}
    assert made.rows("sku", "quantity", table="returns") == [("y", 1)]


def test_cancelled_lines_are_returns_known_by_a_prefix(tmp_path: Path) -> None:
    text = "invoice,store_code,sku,date,quantity,unit_price\n"
    text += (
        "536,A,x,2024-01-01,3,2\nC537,A,x,2024-01-02,-2,2\n C538,A,x,2024-01-03,1,2\n539,A,x,2024-01-04,-1,2\n,A,x,2024-01-05,1,2\n"
    )

    made = read(tmp_path, text, cancelled=Cancelled("Invoice", "C"))

    assert made.rows("row", "quantity") == [(1, 3), (5, 1)]
    assert made.rows("row", "quantity", table="returns") == [(2, 2), (3, 1)]
    assert made.rejects() == [(4, "NEGATIVE_QUANTITY", "quantity", "-1")]


def test_identical_lines_are_one_where_the_mapping_says_so(tmp_path: Path) -> None:
    text = sales("A,x,2024-01-01,1,2", "A,x,2024-01-01,1,2", "A,x,2024-01-01,1,3", "A,x,2024-01-01,1,2", "A,x,no,1,2", "A,x,no,1,2")

    made = read(tmp_path, text, identical="drop")

    assert [row for (row,) in made.rows("row")] == [1, 3]
    assert (made.loaded.lines, made.loaded.merged, made.loaded.rejected) == (6, 2, {"INVALID_TYPE": 2})


def test_repeated_lines_add_up_where_the_mapping_says_so(tmp_path: Path) -> None:
    text = sales("A,x,2024-01-01,1,2.00", "A,x,2024-01-01,3,1.00", "A,y,2024-01-01,5,1.00")
    last, total = (
        Plant(tmp_path / "last", declared("sales-daily")),
        Plant(tmp_path / "sum", declared("sales-daily", repeated="sum")),
    )

    batches = [plant.post("sales-daily", text, source="mine") for plant in (last, total)]
    for plant in (last, total):
        plant.run()

    day = date(2024, 1, 1)
    assert last.sales()[0] == ("A", "x", day, 3, Decimal("1.0000"), Decimal("3.00"))
    assert total.sales()[0] == ("A", "x", day, 4, Decimal("1.2500"), Decimal("5.00"))
    assert total.sales()[1] == last.sales()[1] == ("A", "y", day, 5, Decimal("1.0000"), Decimal("5.00"))
    assert [plant.batch(batch)["merged"] for plant, batch in zip((last, total), batches, strict=True)] == [1, 1]


@settings(max_examples=50, deadline=None)
@given(
    quantity=st.integers(0, 10**12),
    cents=st.none() | st.integers(0, 10**14),
    shares=st.tuples(*[st.floats(0, 10)] * 7).filter(lambda shares: sum(shares) > 0.01),
)
def test_a_week_spread_over_days_keeps_its_totals(quantity: int, cents: int | None, shares: tuple[float, ...]) -> None:
    amount = "NULL" if cents is None else f"{Decimal(cents) / 100}"
    line = (
        f"SELECT DATE '2024-01-29' AS date, {quantity}::BIGINT AS quantity, {amount}::DECIMAL(18,2) AS total_amount, NULL AS fault_"
    )

    days = duckdb.sql(f"SELECT date, quantity, total_amount FROM ({weekly(line, shares)}) ORDER BY date").fetchall()

    assert [str(day) for day, _, _ in days] == [f"2024-01-{day}" for day in (29, 30, 31)] + [
        f"2024-02-0{day}" for day in range(1, 5)
    ]
    assert sum(units for _, units, _ in days) == quantity
    assert all(units >= 0 for _, units, _ in days)
    assert cents is None or sum(taken for _, _, taken in days) == Decimal(cents) / 100


def test_a_weekly_line_becomes_seven_rows_and_a_bad_one_a_reject(tmp_path: Path) -> None:
    made = read(tmp_path, sales("A,x,2024-01-01,14,2.50", "A,x,2024-01-08,many,2"), weekly=Weekly())

    assert [day for (day,) in made.rows("quantity")] == [2] * 7
    assert made.rejects() == [(2, "INVALID_TYPE", "quantity", "many")]
    assert made.loaded.lines == 8


def test_a_week_that_is_not_over_yet_is_rejected(tmp_path: Path) -> None:
    assert NOON.date() == date(2024, 6, 1)

    made = read(tmp_path, sales("A,x,2024-05-27,14,2.50", "A,y,2024-05-28,14,2.50"), weekly=Weekly())

    assert made.loaded.last_date == date(2024, 6, 2), "it may be tomorrow already where the store is"
    assert made.rejects() == [(2, "OUT_OF_RANGE", "date", "2024-05-28")]


def test_shares_say_how_a_week_is_spread(tmp_path: Path) -> None:
    made = read(tmp_path, sales("A,x,2024-01-01,10,2.50"), weekly=Weekly((0, 0, 0, 1, 2, 7, 0)))

    assert [day for (day,) in made.rows("quantity")] == [0, 0, 0, 1, 2, 7, 0]


def test_wide_columns_become_rows_with_what_is_looked_up(tmp_path: Path) -> None:
    text = "store_id,item_id,d_1,d_2,d_3\nA,x,1,2,3\nB,x,4,many,\n"
    others = {
        "calendar.csv": "d,date,wk\nd_1,2024-01-01,1\nd_2,2024-01-02,1\nd_3,2024-01-08,2\n",
        "prices.csv": "store_id,item_id,wk,sell_price\nA,x,1,2.50\nB,x,1,3\n",
    }

    made = read(
        tmp_path,
        text,
        others=others,
        columns={"store_code": "store_id", "sku": "item_id", "unit_price": "sell_price"},
        wide=Wide("d_*", "d", "quantity"),
        lookups=[
            Lookup("calendar.csv", {"d": "d"}, ["date", "wk"]),
            Lookup("prices.csv", {"store_id": "store_id", "item_id": "item_id", "wk": "wk"}, ["sell_price"]),
        ],
        skip={"NOT_ON_SALE": "sell_price IS NULL"},
    )

    assert made.rows("row", "store_code", "quantity", "unit_price") == [
        (1, "A", 1, Decimal("2.5")),
        (1, "A", 2, Decimal("2.5")),
        (2, "B", 4, Decimal(3)),
    ]
    assert made.loaded.skipped == {"NOT_ON_SALE": 1}
    assert made.rejects() == [(2, "INVALID_TYPE", "quantity", "many")]
    assert made.loaded.lines == 5


def test_blanks_around_what_is_looked_up_do_not_matter(tmp_path: Path) -> None:
    text = "code,sku, d1 \nA, p 1 ,1\nA,p 1,2\nA,p 2,3\n"
    others = {
        "days.csv": "d,date\n d1\t,2024-01-01\n",
        "items.csv": "no,name,grp\np 1 ,beer, g1\n",
        "groups.csv": "grp,price\ng1 ,3\n",
    }

    made = read(
        tmp_path,
        text,
        others=others,
        columns={"sku": "name", "store_code": "code", "unit_price": "price"},
        wide=Wide("d?", "d", "quantity"),
        lookups=[
            Lookup("days.csv", {"d": "d"}, ["date"]),
            Lookup("items.csv", {"sku": "no"}, ["name", "grp"]),
            Lookup("groups.csv", {"grp": "grp"}, ["price"]),
        ],
    )

    assert made.rows("sku", "date", "quantity", "unit_price") == [
        ("beer", date(2024, 1, 1), 1, Decimal(3)),
        ("beer", date(2024, 1, 1), 2, Decimal(3)),
    ]
    assert made.rejects() == [(3, "MISSING_VALUE", "sku", "items.csv has none for p 2")]


def test_a_lookup_takes_one_line_of_many(tmp_path: Path) -> None:
    text = "code,sku,date,quantity,unit_price\nA,1,2024-01-01,1,2\nA,2,2024-01-01,1,2\n"

    made = read(
        tmp_path,
        text,
        others={"items.csv": "no,name\n1,beer\n1,beer\n1,ale\n"},
        columns={"sku": "name", "store_code": "code"},
        lookups=[Lookup("items.csv", {"sku": "no"}, ["name"])],
    )

    assert made.rows("sku") == [("ale",)]
    assert made.rejects() == [(2, "MISSING_VALUE", "sku", "items.csv has none for 2")]


def test_lines_that_are_left_out_on_purpose_are_counted_by_why(tmp_path: Path) -> None:
    text = sales("A,x,2024-01-01,1,2", "A,POSTAGE,2024-01-01,many,2", "A,t1,2024-01-01,1,2", "A,t2,2024-01-01,1,2")

    made = read(tmp_path, text, skip={"NO_PRODUCT": "sku = 'POSTAGE'", "TEST": "sku LIKE 't%'"})

    assert [row for (row,) in made.rows("row")] == [1]
    assert (made.loaded.skipped, made.loaded.rejected, made.loaded.lines) == ({"NO_PRODUCT": 1, "TEST": 2}, {}, 4)


def test_a_changed_mapping_has_a_batch_read_again(tmp_path: Path) -> None:
    text = sales("A,x,2024-01-01,1,2.00", "A,x,2024-01-01,3,1.00")
    plant = Plant(tmp_path, declared("sales-daily"))
    plant.post("sales-daily", text, source="mine")
    plant.run()

    plant.declarations = declared("sales-daily", repeated="sum")
    made = plant.run()

    assert made["core/sales_daily"] == ["2024-01"]
    assert [row[3] for row in plant.sales()] == [4]


CELLS = st.sampled_from(["A", "x", "2024-01-01", "2024-02-30", "1", "-1", "1.5", "", " ", "2.50", "é", "'", '""', "NULL", "1e99"])


@settings(max_examples=15, deadline=None)
@given(lines=st.lists(st.lists(CELLS, min_size=3, max_size=6), min_size=1, max_size=12))
def test_any_lines_are_loaded_or_rejected_once_each(tmp_path_factory: pytest.TempPathFactory, lines: list[list[str]]) -> None:
    made = read(tmp_path_factory.mktemp("any"), sales(*(",".join(line) for line in lines)))

    seen = [row for (row,) in made.rows("row")] + [row for (row,) in made.rejects("row")]
    assert sorted(seen) == list(range(1, len(lines) + 1))
    assert made.loaded.lines == len(lines)
