"""Whatever a batch holds, it ends in a state with its reasons, and the others are loaded as if it were not there."""

import io
import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from assets_config.contract.cells import columns
from assets_config.contract.kinds import KINDS
from tests.plant import Plant

GOOD = "date,store_code,sku,quantity,unit_price\n2024-05-01,S1,A,3,2.50\n2024-06-01,S1,B,4,1.00\n"
VALUES = [
    *("", " ", "NaN", "inf", "-inf", "1e400", "-1", "0", "1.5", "99999999999999999999999999", "0x10", "1_000", "٣", "true"),
    *("0001-01-01", "9999-12-31", "2024-02-30", "2024-05-01T25:00:00", "2024-05-01T10:00:00+14:00", "2024-05-01"),
    *("'; DROP TABLE x; --", '"', "\\", "\x00", "S1", "A", "a" * 5000, "🛒", "a,b", "a\nb", "{}", "[1]", "null"),
]
NAMES = ["row", "row_", "part_", "skip_", "fault_", "record", "file", "rank", "source", "l", 'we"ird', "Date", "DATE ", "select"]


def parquet(frame: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


def csv(draw: random.Random, kind: str) -> tuple[str, bytes]:
    names = [column.name for column in columns(KINDS[kind].rows)] + draw.sample(NAMES, 3)
    lines = [",".join(names)]
    for _ in range(draw.randrange(1, 6)):
        cells = [json.dumps(draw.choice(VALUES))[1:-1] if draw.random() < 0.8 else draw.choice(VALUES) for _ in names]
        lines.append(",".join(cells[: draw.randrange(1, len(names) + 2)]))
    return "rows.csv", "\n".join(lines).encode()


def records(draw: random.Random, kind: str) -> tuple[str, bytes]:
    names = [column.name for column in columns(KINDS[kind].rows)] + draw.sample(NAMES, 3)
    odd = [*VALUES, None, True, 1e308, -5, 2**70, [1, [2]], {"a": {"b": 1}}]
    rows = [{name: draw.choice(odd) for name in names if draw.random() < 0.9} for _ in range(draw.randrange(1, 6))]
    return "rows.json", json.dumps({"records": rows}).encode()


def noise(draw: random.Random, kind: str) -> tuple[str, bytes]:
    content = draw.choice([parquet(pl.DataFrame({"a": [1]})), GOOD.encode(), b'[{"date": 1}]'])
    cut = draw.randrange(len(content) + 1)
    body = content[:cut] + draw.randbytes(draw.randrange(0, 40)) + content[cut + draw.randrange(0, 9) :]
    return draw.choice(["rows.csv", "rows.json", "rows.parquet"]), body


def typed(draw: random.Random, kind: str) -> tuple[str, bytes]:
    """A Parquet file whose columns have types that no kind speaks of."""
    makers: list[Callable[[], pl.Series]] = [
        lambda: pl.Series([[1, 2], [3]]),
        lambda: pl.Series([{"a": 1}, {"a": 2}]),
        lambda: pl.Series([float("nan"), float("inf")]),
        lambda: pl.Series([None, None], dtype=pl.Int64),
        lambda: pl.Series([b"\xff\x00", b"x"]),
        lambda: pl.Series([datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59)]),
        lambda: pl.Series([datetime(2024, 5, 1, tzinfo=UTC), None]),
        lambda: pl.Series([date(2024, 5, 1), date(1, 1, 1)]),
        lambda: pl.Series([Decimal("1E+20"), Decimal("-1.123456789")], dtype=pl.Decimal(38, 9)),
        lambda: pl.Series([2**63, 1], dtype=pl.UInt64),
        lambda: pl.Series(["S1", "A"], dtype=pl.Categorical),
        lambda: pl.Series([True, False]),
        lambda: pl.Series([1.5, -3e300]),
        lambda: pl.Series(["S1", "'"]),
    ]
    names = [column.name for column in columns(KINDS[kind].rows)] + draw.sample(NAMES, 2)
    return "rows.parquet", parquet(pl.DataFrame({name: draw.choice(makers)() for name in names}))


@pytest.mark.parametrize("make", [csv, records, noise, typed], ids=lambda make: make.__name__)
def test_no_batch_stops_the_others(make: Callable[[random.Random, str], tuple[str, bytes]], tmp_path: Path) -> None:
    draw, plant = random.Random(17), Plant(tmp_path)
    good = plant.post("sales-daily", GOOD)
    bad = []
    for kind in KINDS:
        for _ in range(5):
            name, content = make(draw, kind)
            parameters = dict.fromkeys(KINDS[kind].parameters, draw.choice(VALUES))
            bad.append(plant.post(kind, content, name=name, parameters=parameters))

    plant.run()

    assert plant.batch(good)["state"] == "loaded"
    sold = {(store, sku, day): units for store, sku, day, units, *_ in plant.sales()}
    assert sold["S1", "B", date(2024, 6, 1)] == 4
    for batch in set(bad):
        told = plant.batch(batch)
        assert told["state"] in ("loaded", "partially_loaded", "rejected"), told
        assert told["lines"] == told["loaded"] + told["rejected"] + told["merged"] + told["skipped"]
        assert told["state"] != "rejected" or told["reasons"] not in ("", "{}"), told
    assert plant.ledger.audit.fault() is None
    assert plant.run() == {table: [] for table in plant.run()}
