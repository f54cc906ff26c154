"""Tables kept as one Parquet file a month, each made again only when what it is made of changed.

<root>/warehouse/<stage>/<table>/index.json               Index: which file is which month; replaced in one step
                                 <month>-<signature>.parquet
                                 <month>-<signature>.rejects.parquet    lines that could not be used

Readers go by the index, so that a table is always a whole one. A file that no index names is removed by the next writer.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import msgspec

from assets_config.contract.durable import locked, replacing, write_bytes
from assets_config.contract.integrity import sha256

ALL = "all"
"""The only partition of a table that is not kept by month, and of one without any row."""


class Account(msgspec.Struct, frozen=True):
    """What became of the lines that one batch brought to one partition."""

    loaded: int
    merged: int
    rejected: dict[str, int]


class Partition(msgspec.Struct, frozen=True):
    """One month of a table."""

    file: str
    signature: str
    sha256: str
    rows: int
    first_date: date | None
    last_date: date | None
    accounts: dict[str, Account]  # batch -> what became of its lines
    rejects: str | None
    unknown: bool  # whether lines were rejected for a store or product that may become known
    checks: dict[str, int]  # expectation -> rows that break it


class Index(msgspec.Struct, frozen=True):
    """The months of a table."""

    partitions: dict[str, Partition]
    source: str
    lineage: str
    dataset_id: str = ""


class Partitioned:
    """One table that is kept by month."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "index.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else write the table; for all from reading the index to replacing it."""
        with locked(self.folder / ".lock"):
            yield

    def index(self) -> Index | None:
        """None where the table was never made."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Index)
        except FileNotFoundError:
            return None

    def paths(self) -> list[Path]:
        index = self.index()
        return [] if index is None else [self.folder / index.partitions[month].file for month in sorted(index.partitions)]

    def rejects(self) -> list[Path]:
        index = self.index()
        return [] if index is None else [self.folder / each.rejects for each in index.partitions.values() if each.rejects]

    def write(
        self, month: str, signature: str, query: str, connection: duckdb.DuckDBPyConnection, *, dated: bool = True
    ) -> Partition:
        """Write a month's rows under a new name; it counts from `replace` on."""
        path = self.folder / f"{month}-{signature}.parquet"
        with replacing(path) as beside:
            connection.execute(f"COPY ({query}) TO '{_quoted(beside)}' (FORMAT parquet, COMPRESSION zstd)")
        span = "min(date), max(date)" if dated else "NULL, NULL"
        [(rows, first, last)] = connection.execute(f"SELECT count(*), {span} FROM read_parquet('{_quoted(path)}')").fetchall()
        return Partition(path.name, signature, sha256(path), rows, first, last, {}, None, False, {})

    def write_rejects(self, month: str, signature: str, query: str, connection: duckdb.DuckDBPyConnection) -> str:
        """Write the lines of a month that could not be used; gives the file's name."""
        path = self.folder / f"{month}-{signature}.rejects.parquet"
        with replacing(path) as beside:
            connection.execute(f"COPY ({query}) TO '{_quoted(beside)}' (FORMAT parquet, COMPRESSION zstd)")
        return path.name

    def replace(self, index: Index) -> None:
        """Make these the months of the table, in one step, and remove what belongs to none."""
        write_bytes(self._file, msgspec.json.format(msgspec.json.encode(index)))
        named = {each.file for each in index.partitions.values()} | {each.rejects for each in index.partitions.values()}
        self._remove(path for path in self.folder.glob("*.parquet") if path.name not in named)
        self._remove(self.folder.glob(".*.tmp"))

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in list(paths):
            path.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
