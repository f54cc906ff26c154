"""Stores and products: one row an entity, with surrogate ids that never change within a lineage."""

import polars as pl

from pipelines.errors import SourceError

STORE_COLUMNS = ("code", "name", "region", "city", "store_type")
PRODUCT_COLUMNS = ("sku", "name", "category", "department", "brand", "base_price", "base_cost")


def dim_store(raw: pl.DataFrame, sold_in: pl.Series, previous: pl.DataFrame | None) -> pl.DataFrame:
    """The stores of the source; where it has no stores file, those that sales name.

    Takes    raw_stores, the distinct store keys of the sales, and dim_store as it was (same lineage), for its ids.
    Gives    the columns of contract.tables.DimStore, by store_id. Of two rows with one code the last holds.
    Raises   SourceError, when there is no store at all.
    """
    return _dimension(raw, sold_in, previous, code="code", identity="store_id", columns=STORE_COLUMNS)


def dim_product(raw: pl.DataFrame, sold: pl.Series, previous: pl.DataFrame | None) -> pl.DataFrame:
    """The products of the source; where it has no products file, those that sales name. As dim_store."""
    return _dimension(raw, sold, previous, code="sku", identity="product_id", columns=PRODUCT_COLUMNS)


def _dimension(
    raw: pl.DataFrame,
    keys: pl.Series,
    previous: pl.DataFrame | None,
    *,
    code: str,
    identity: str,
    columns: tuple[str, ...],
) -> pl.DataFrame:
    if raw.is_empty():
        raw = pl.DataFrame({code: keys.drop_nulls().unique()}).join(raw.clear(), on=code, how="left")
    if raw.is_empty():
        raise SourceError(f"the source names no {identity.removesuffix('_id')} at all")
    rows = raw.unique(code, keep="last", maintain_order=True).with_columns(
        name=pl.coalesce("name", code),
    )
    ids = _identities(rows[code], previous, code=code, identity=identity)
    return rows.join(ids, on=code).select(identity, *columns).sort(identity)


def _identities(codes: pl.Series, previous: pl.DataFrame | None, *, code: str, identity: str) -> pl.DataFrame:
    """Known codes keep their id; new ones follow in order of code."""
    known = pl.DataFrame(schema={code: pl.String, identity: pl.Int64}) if previous is None else previous.select(code, identity)
    new = codes.filter(~codes.is_in(known[code].implode())).sort()
    first = int(known[identity].max() or 0) + 1  # type: ignore[arg-type]
    added = pl.DataFrame({code: new, identity: pl.Series(range(first, first + len(new)), dtype=pl.Int64)})
    return pl.concat([known, added])
