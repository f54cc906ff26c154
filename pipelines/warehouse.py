"""Where assets hand tables to each other: one Parquet file a table under `<root>/warehouse/<stage>/<table>/`.

Each file carries in its metadata the lineage it was made in (a source and its path) and, past the core stage, the
dataset id. So publish can tell a table that was made from another source from one that belongs.
"""

import hashlib
from pathlib import Path

import duckdb
import msgspec
import polars as pl
import pyarrow.parquet

from assets_config.contract.integrity import sha256
from assets_config.contract.layout import Published
from assets_config.contract.durable import replacing, write_bytes
from pipelines.errors import PipelineError

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
    dataset_id: str  # empty up to the core stage


class Warehouse:
    """The tables of one data root, read and written whole."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.folder = self.root / "warehouse"
        self.published = Published(self.root)

    def path(self, key: str) -> Path:
        """The Parquet file of a table such as `core/sales_daily`; it may not exist yet."""
        return self.folder / key / "data.parquet"

    def existing(self, key: str) -> Path:
        """The Parquet file of a table that must exist.

        Raises PipelineError, when the asset was never materialised.
        """
        path = self.path(key)
        if not path.exists():
            raise PipelineError(f"{key} is not there yet: materialise {key} (or everything) first")
        return path

    def read(self, key: str) -> pl.DataFrame:
        return pl.read_parquet(self.existing(key))

    def write(self, key: str, frame: pl.DataFrame) -> int:
        """Replace a table in one step; gives its number of rows."""
        with replacing(self.path(key)) as beside:
            frame.write_parquet(beside, compression="zstd", metadata=msgspec.to_builtins(self.new_stamp(key)))
        return frame.height

    def write_query(self, key: str, connection: duckdb.DuckDBPyConnection, query: str) -> int:
        """Replace a table by the rows of a query, without holding them in memory; gives their number."""
        stamp = ", ".join(f"{name}: '{value}'" for name, value in msgspec.to_builtins(self.new_stamp(key)).items())
        with replacing(self.path(key)) as beside:
            [(rows,)] = connection.execute(
                f"COPY ({query}) TO '{quoted(beside)}' (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{stamp}}})"
            ).fetchall()
        return int(rows)

    def stamp(self, key: str) -> Stamp:
        """What the file of a table says of its origin.

        Raises PipelineError, when the asset was never materialised.
        """
        metadata = pyarrow.parquet.read_metadata(self.existing(key)).metadata or {}
        return Stamp(**{name: metadata.get(name.encode(), b"").decode() for name in Stamp.__struct_fields__})

    def dataset_id(self) -> str:
        """16 hex digits of the content of the core tables.

        Raises PipelineError, when a core table is missing.
        """
        digests = [sha256(self.existing(key)) for key in CORE_TABLES]
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
        """The stamp of a table that is written now: raw tables take the chosen source's, others inherit."""
        stage = key.split("/")[0]
        if stage == "sources":
            origin = self.origin()
            if origin is None:
                raise PipelineError("no source was chosen yet: materialise sources/source first")
            return Stamp(origin.name, origin.lineage, "")
        if stage == "core":
            return self.stamp("sources/raw_sales")
        loaded = self.stamp("core/sales_daily")
        return Stamp(loaded.source, loaded.lineage, self.dataset_id())


def quoted(path: Path) -> str:
    """A path for use between single quotes in SQL, where DuckDB takes no bound value."""
    return str(path).replace("'", "''")
