"""Surrogate ids: the number that a source's store, product or category was given. It is never taken back, nor given again.

What was frozen, planned or decided says these numbers, so they are kept beside the tables and outlive them: those of each source
that was ever loaded, and of codes that it names no more. A backup has them, since nothing can make them again.
"""

import polars as pl

from assets_config.contract.durable import remove_leftovers, replacing
from pipelines.warehouse import Warehouse

FOLDER = "core/surrogate"


def given(warehouse: Warehouse, entity: str, codes: pl.Series, *, table: str, code: str) -> pl.DataFrame:
    """The ids of `codes`, and of all others that the loaded source ever named; they are on disk before a table says them.

    Takes    the table that says them, and its column of codes: a root in which no ids were kept yet goes on from what it says.
    Gives    the column of codes and `<entity>_id`.
    """
    identity = f"{entity}_id"
    path = warehouse.folder / FOLDER / warehouse.new_stamp(table).lineage / f"{entity}.parquet"
    known = pl.read_parquet(path) if path.exists() else _said(warehouse.previous(table), code, identity)
    found = numbered(known, codes, code=code, identity=identity)
    if not path.exists() or found.height > known.height:
        remove_leftovers(path.parent, of_the_dead=True)
        with replacing(path) as beside:
            found.write_parquet(beside)
    return found


def numbered(known: pl.DataFrame, codes: pl.Series, *, code: str, identity: str) -> pl.DataFrame:
    """Known codes keep their ids, new ones follow in order of code, from 1."""
    new = codes.filter(~codes.is_in(known[code].implode())).unique().sort()
    first = int(known[identity].max() or 0) + 1  # type: ignore[arg-type]
    return pl.concat([known, pl.DataFrame({code: new, identity: pl.Series(range(first, first + len(new)), dtype=pl.Int64)})])


def _said(table: pl.DataFrame | None, code: str, identity: str) -> pl.DataFrame:
    empty = pl.DataFrame(schema={code: pl.String, identity: pl.Int64})
    return empty if table is None else table.select(code, identity).unique(maintain_order=True)
