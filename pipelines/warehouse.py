"""Where assets hand tables to each other, under `<root>/warehouse/<stage>/<table>/`: one Parquet file, or one a month.

Each table carries with it the lineage it was made in (a source and its path) and, past the core stage, the
dataset id. So publish can tell a table that was made from another source from one that belongs.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec
import polars as pl
import pyarrow.parquet

from assets_config.contract.durable import remove_leftovers, replacing, write_bytes
from assets_config.contract.integrity import sha256
from assets_config.contract.layout import Published
from pipelines.errors import PipelineError
from pipelines.partitions import Partitioned

ALSO_CORE = (
    *("core/dim_calendar", "core/demand_unconstrained", "core/lifecycle"),
    *("core/price_history", "core/promotion", "core/exogenous"),
)
CORE_TABLES = ("core/dim_store", "core/dim_product", "core/sales_daily")


class Origin(msgspec.Struct, frozen=True):
    """Which source this warehouse is loaded from."""

    name: str
    path: str | None

    @property
    def lineage(self) -> str:
        """16 hex digits that differ when the source or its path does."""
        return hashlib.sha256(f"{self.name}\n{self.path or ''}".encode()).hexdigest()[:16]


class Stamp(msgspec.Struct, frozen=True):
    """What each Parquet file says of its origin in its metadata."""

    source: str
    lineage: str
    dataset_id: str  # empty in the core stage


class Warehouse:
    """The tables of one data root, read and written whole."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.folder = self.root / "warehouse"
        self.published = Published(self.root)

    def path(self, key: str) -> Path:
        """The Parquet file of a table such as `core/sales_daily`; it may not exist yet."""
        return self.folder / key / "data.parquet"

    def partitioned(self, key: str) -> Partitioned:
        """A table that is kept by month; it may not exist yet."""
        return Partitioned(self.folder / key)

    def files(self, key: str) -> list[Path]:
        """The Parquet files of a table that must exist: one, or one a month.

        Raises PipelineError, when the asset was never materialised.
        """
        for _ in range(2):  # a run beside this one may have replaced what the index named
            paths = self.partitioned(key).paths() or [self.path(key)]
            if paths[0].exists():
                return paths
        raise PipelineError(f"{key} is not there yet: materialise {key} (or everything) first")

    def existing(self, key: str) -> Path:
        """The Parquet file of a table that is kept in one, or the folder of one that is kept by month.

        Raises PipelineError, when the asset was never materialised.
        """
        paths = self.files(key)
        return paths[0] if paths == [self.path(key)] else paths[0].parent

    def parquet(self, key: str) -> str:
        """A table as SQL to select from. Raises PipelineError, when the asset was never materialised."""
        return scan(self.files(key))

    def read(self, key: str) -> pl.DataFrame:
        return pl.read_parquet(self.files(key))

    def previous(self, key: str) -> pl.DataFrame | None:
        """A table as it was last made, None where that was from another source: ids, champions and clusters go on from it."""
        if not self.path(key).exists() or self.stamp(key).lineage != self.new_stamp(key).lineage:
            return None
        return self.read(key)

    def digest(self, key: str) -> str:
        """64 hex digits of a table's content. Raises PipelineError, when the asset was never materialised."""
        self.files(key)
        index = self.partitioned(key).index()
        if index is None:
            return sha256(self.path(key))
        said = "\n".join(f"{month} {part.sha256}" for month, part in sorted(index.partitions.items()))
        return hashlib.sha256(said.encode()).hexdigest()

    def write(self, key: str, frame: pl.DataFrame) -> int:
        """Replace a table in one step; gives its number of rows."""
        remove_leftovers(self.path(key).parent, of_the_dead=True)
        with replacing(self.path(key)) as beside:
            frame.write_parquet(beside, compression="zstd", metadata=msgspec.to_builtins(self.new_stamp(key)))
        return frame.height

    def write_changed(self, key: str, frame: pl.DataFrame) -> None:
        """Replace a table, unless it has these rows already: a file that stays the same keeps its part of the snapshot."""
        if not self.path(key).exists() or not frame.equals(self.read(key)):
            self.write(key, frame)

    def write_query(self, key: str, connection: duckdb.DuckDBPyConnection, query: str) -> int:
        """Replace a table by the rows of a query, without holding them in memory; gives their number."""
        stamp = ", ".join(f"{name}: '{value}'" for name, value in msgspec.to_builtins(self.new_stamp(key)).items())
        remove_leftovers(self.path(key).parent, of_the_dead=True)
        with replacing(self.path(key)) as beside:
            [(rows,)] = connection.execute(
                f"COPY ({query}) TO '{quoted(beside)}' (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{stamp}}})"
            ).fetchall()
        return int(rows)

    def stamp(self, key: str) -> Stamp:
        """What the file of a table says of its origin.

        Raises PipelineError, when the asset was never materialised.
        """
        self.files(key)
        index = self.partitioned(key).index()
        if index is not None:
            return Stamp(index.source, index.lineage, index.dataset_id)
        metadata = pyarrow.parquet.read_metadata(self.path(key)).metadata or {}
        return Stamp(**{name: metadata.get(name.encode(), b"").decode() for name in Stamp.__struct_fields__})

    def dataset_id(self) -> str:
        """16 hex digits of the content of the core tables that features, models and KPIs are made of.

        Raises PipelineError, when one of CORE_TABLES is missing.
        """
        told = [key for key in ALSO_CORE if self.path(key).exists() or self.partitioned(key).index() is not None]
        digests = [self.digest(key) for key in (*CORE_TABLES, *told)]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]

    def origin(self) -> Origin | None:
        """The source that was last asked for; None before the first load."""
        try:
            return msgspec.json.decode(self._origin_file.read_bytes(), type=Origin)
        except FileNotFoundError:
            return None

    def set_origin(self, origin: Origin) -> None:
        write_bytes(self._origin_file, msgspec.json.format(msgspec.json.encode(origin)))

    @property
    def _origin_file(self) -> Path:
        return self.folder / "sources" / "source.json"

    def new_stamp(self, key: str) -> Stamp:
        """The stamp of a table that is written now: core tables take the chosen source's, others inherit."""
        stage = key.split("/")[0]
        if stage == "core":
            origin = self.origin()
            if origin is None:
                raise PipelineError("no source was chosen yet: materialise sources/batches first")
            return Stamp(origin.name, origin.lineage, "")
        loaded = self.stamp("core/sales_daily")
        return Stamp(loaded.source, loaded.lineage, self.dataset_id())


def scan(paths: Sequence[Path]) -> str:
    """Parquet files of the same columns as SQL to select from."""
    listed = ", ".join(f"'{quoted(path)}'" for path in paths)
    return f"read_parquet([{listed}])"


def quoted(path: Path) -> str:
    """A path for use between single quotes in SQL, where DuckDB takes no bound value."""
    return str(path).replace("'", "''")
