"""Facts: the lines of all batches, ids resolved, one row a grain; the last batch's word holds, in whatever order they are read.

A month is made again only when a batch that has lines in it came, changed or went, or when an id means something else. Lines
of an unknown store or product are looked at again whenever ids were added. Rejects, per month, have batch_id, file, row, code,
field, value and record.

UNKNOWN_STORE, UNKNOWN_PRODUCT   nobody told us of a store or product that the source calls so
OUT_OF_RANGE                     lines that add up to more than a quantity or an amount may be
"""

import hashlib
from collections.abc import Mapping, Sequence

import duckdb
import msgspec

from assets_config.contract.cells import MOST, columns
from assets_config.contract.kinds import KINDS
from pipelines.core.ids import Keys, keys_path, read_keys
from pipelines.core.lines import Incoming, Lines, signature_of, tagged
from pipelines.errors import PipelineError
from pipelines.partitions import ALL, Account, Index, Partition, Partitioned
from pipelines.sources.relation import literal
from pipelines.sources.typed import sql_type
from pipelines.warehouse import Warehouse, quoted, scan

CODE = "2"
"""Rises when the same lines would give other rows: every month is then made again."""


class Fact(msgspec.Struct, frozen=True):
    """How lines of some kinds become one table."""

    table: str  # core/<name>
    kinds: Mapping[str, str]  # kind -> SELECT list of its lines: store, product (where it has them) and `values`
    values: tuple[str, ...]  # columns beside ids
    grain: tuple[str, ...]
    select: str  # the table's columns, from ids and values
    order: str
    store: str | None = "required"  # required, or optional: empty means every store
    product: bool = True
    dated: bool = True
    sums: Mapping[str, str] = {}  # value -> how lines of one grain add up, where their source says that they do

    @property
    def ids(self) -> tuple[str, ...]:
        return (*(("store_id",) if self.store else ()), *(("product_id",) if self.product else ()))


def build(fact: Fact, warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Bring a table up to date; gives the months that were made again.

    Raises PipelineError, when ids were not resolved yet.
    """
    keys = read_keys(warehouse)
    if keys is None:
        raise PipelineError("core/id_map is not there yet: materialise core/id_map first")
    table = warehouse.partitioned(fact.table)
    with table.locked():  # what came in is looked at within: another run may have loaded more meanwhile
        return _build(fact, table, warehouse, Incoming(warehouse), keys, connection)


def _build(
    fact: Fact, table: Partitioned, warehouse: Warehouse, incoming: Incoming, keys: Keys, connection: duckdb.DuckDBPyConnection
) -> list[str]:
    stamp = warehouse.new_stamp(fact.table)
    before = table.index()
    known = before.partitions if before is not None and before.lineage == stamp.lineage else {}
    months: dict[str, list[Lines]] = {}
    for each in incoming.of(*fact.kinds):
        months.setdefault(each.month, []).append(each)
    made: list[str] = []
    partitions: dict[str, Partition] = {}
    for entity in ("store", "product"):
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {entity}_keys AS SELECT source, external_id, id "
            f"FROM read_parquet('{quoted(keys_path(warehouse))}') WHERE entity = '{entity}'"
        )
    for month, lines in sorted(months.items()) or [(ALL, [])]:
        unknown = month in known and known[month].unknown
        wanted = _signature(fact, lines, keys, unknown=unknown)
        if month in known and known[month].signature == wanted and (table.folder / known[month].file).exists():
            partitions[month] = known[month]
            continue
        partitions[month] = _make(fact, table, month, lines, keys, connection)
        made.append(month)
    if made or before is None or partitions.keys() != before.partitions.keys() or before.lineage != stamp.lineage:
        table.replace(Index(partitions, stamp.source, stamp.lineage))
    return made


def _signature(fact: Fact, lines: Sequence[Lines], keys: Keys, *, unknown: bool) -> str:
    """What a month is made of; where it has lines of `unknown` ids, all ids that there are belong to it."""
    said = [CODE, fact.table, signature_of(lines), keys.epoch, keys.now if unknown else ""]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16]


def _make(
    fact: Fact, table: Partitioned, month: str, lines: Sequence[Lines], keys: Keys, connection: duckdb.DuckDBPyConnection
) -> Partition:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE resolved AS {_resolved(fact, lines, connection)}")
    if fact.sums and any(each.loaded.repeated == "sum" for each in lines):
        connection.execute(_refuse_large_sums(fact))
    unknown = connection.execute(
        "SELECT rank, fault, count(*) FROM resolved WHERE fault IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    may_be_told = any(code.startswith("UNKNOWN_") for _, code, _ in unknown)
    signature = _signature(fact, lines, keys, unknown=may_be_told)
    ids = (*fact.ids, *(name for name in fact.grain if name not in fact.ids))
    grain = ", ".join(ids)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE grouped AS SELECT rank, {grain}, count(*) AS n, max(row) AS row "
        f"FROM resolved WHERE fault IS NULL GROUP BY rank, {grain}"
    )
    counts = connection.execute("SELECT rank, count(*), sum(n) FROM grouped GROUP BY rank ORDER BY rank").fetchall()
    rows = "SELECT * FROM resolved WHERE fault IS NULL"
    if any(total > groups for _, groups, total in counts):
        rows = _merged(fact, lines, grain)
    if len(counts) > 1:
        rows = f"SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY {grain} ORDER BY rank DESC) = 1"
    query = f"SELECT {fact.select} FROM ({rows}) ORDER BY {fact.order}"
    part = table.write(month, signature, query, connection, dated=fact.dated)
    rejects = None
    if unknown:
        rejects = table.write_rejects(month, signature, _rejects(fact, lines), connection)
    return msgspec.structs.replace(
        part,
        rejects=rejects,
        unknown=may_be_told,
        accounts=_accounts(lines, counts, unknown),
        checks=_checks(fact, table, part, counts[0][1] if len(counts) == 1 else None, connection),
    )


def _resolved(fact: Fact, lines: Sequence[Lines], connection: duckdb.DuckDBPyConnection) -> str:
    scans = []
    for kind, select in fact.kinds.items():
        of_kind = [each for each in lines if each.kind == kind]
        source = tagged(of_kind, connection) if of_kind else _nothing(kind)
        scans.append(f"SELECT {select}, row, rank, source, adds_up FROM {source}")
    names = [*(("store",) if fact.store else ()), *(("product",) if fact.product else ())]
    joins, ids, faults = "", "", ""
    for name in names:
        joins += f" LEFT JOIN {name}_keys k_{name} ON k_{name}.external_id = l.{name} AND k_{name}.source = l.source"
        ids += f", k_{name}.id AS {name}_id"
        missing = f"k_{name}.id IS NULL" + (" AND l.store IS NOT NULL" if name == "store" and fact.store == "optional" else "")
        faults += f" WHEN {missing} THEN 'UNKNOWN_{name.upper()}'"
    fault = f"CASE{faults} END" if faults else "NULL::VARCHAR"
    # What the source called them is kept of faulty lines only: texts are what costs most here.
    shown = "".join(f", CASE WHEN fault IS NOT NULL THEN {name} END AS {name}" for name in names)
    kept = ", ".join((*fact.ids, *fact.values, "row", "rank", "adds_up", "fault"))
    return f"SELECT {kept}{shown} FROM (SELECT l.*{ids}, {fault} AS fault FROM ({' UNION ALL '.join(scans)}) l{joins})"


def _nothing(kind: str) -> str:
    """No line of a kind, with the types of its columns."""
    listed = ", ".join(f"NULL::{sql_type(column)} AS {column.name}" for column in columns(KINDS[kind].rows))
    said = "".join(f", NULL::VARCHAR AS {name}" for name in KINDS[kind].parameters)
    return f"(SELECT {listed}{said}, 0::BIGINT AS row, 0::BIGINT AS rank, '' AS source, false AS adds_up WHERE false)"


def _refuse_large_sums(fact: Fact) -> str:
    """Lines that are each within bounds, but whose sum is not, are all rejected: no batch may stop a table from being made."""
    grain = ", ".join(dict.fromkeys((*fact.ids, *fact.grain)))
    numbers = [name for name in fact.sums if name in ("quantity", "total_amount")]
    large = " OR ".join(f"sum({name}::DOUBLE) > {MOST}" for name in numbers)
    if "unit_price" in fact.sums:
        large += f" OR sum(quantity * unit_price::DOUBLE) > {MOST}"
    found = f"SELECT rank, {grain} FROM resolved WHERE fault IS NULL AND adds_up GROUP BY rank, {grain} HAVING {large}"
    matches = " AND ".join(f"resolved.{name} IS NOT DISTINCT FROM large.{name}" for name in ("rank", *grain.split(", ")))
    return f"UPDATE resolved SET fault = 'OUT_OF_RANGE' FROM ({found}) AS large WHERE resolved.fault IS NULL AND {matches}"


def _merged(fact: Fact, lines: Sequence[Lines], grain: str) -> str:
    """One row a batch and grain: the last line, or the sum where the source's lines add up."""
    last = "SELECT r.* FROM resolved r SEMI JOIN grouped g ON r.rank = g.rank AND r.row = g.row AND " + " AND ".join(
        f"r.{name} IS NOT DISTINCT FROM g.{name}" for name in grain.split(", ")
    )
    last = (
        f"SELECT * FROM ({last} AND r.fault IS NULL) QUALIFY row_number() OVER (PARTITION BY rank, {grain} ORDER BY row DESC) = 1"
    )
    if not fact.sums or not any(each.loaded.repeated == "sum" for each in lines):
        return last
    added = ", ".join(f"{how} AS {name}" for name, how in fact.sums.items())
    sums = f"SELECT rank, {grain}, {added} FROM resolved WHERE fault IS NULL AND adds_up GROUP BY rank, {grain}"
    replaced = ", ".join(f"CASE WHEN adds_up THEN s.{name} ELSE l.{name} END AS {name}" for name in fact.sums)
    matches = " AND ".join(f"l.{name} IS NOT DISTINCT FROM s.{name}" for name in ("rank", *grain.split(", ")))
    return f"SELECT l.* REPLACE ({replaced}) FROM ({last}) l LEFT JOIN ({sums}) s ON {matches}"


def _rejects(fact: Fact, lines: Sequence[Lines]) -> str:
    ranks = {each.rank: each.batch for each in lines}
    batches = " ".join(f"WHEN {rank} THEN '{batch.batch_id}'" for rank, batch in ranks.items())
    files = " ".join(f"WHEN {rank} THEN {literal(batch.files[0].name)}" for rank, batch in ranks.items())
    # What the source called them is kept of lines with unknown ids; of the others there are ours.
    names = {"store": "coalesce(store, store_id::VARCHAR)"} if fact.store else {}
    names |= {"product": "coalesce(product, product_id::VARCHAR)"} if fact.product else {}
    names |= {name: name for name in fact.values}
    field = "CASE fault WHEN 'UNKNOWN_STORE' THEN 'store_code' WHEN 'UNKNOWN_PRODUCT' THEN 'sku' ELSE 'quantity' END"
    asked = {"STORE": "store", "PRODUCT": "product"}
    values = " ".join(f"WHEN 'UNKNOWN_{code}' THEN {name}" for code, name in asked.items() if name in names)
    record = ", ".join(f"'{name}': {value}" for name, value in names.items())
    return (
        f"SELECT CASE rank {batches} END AS batch_id, CASE rank {files} END AS file, row, fault AS code, {field} AS field, "
        f"CASE fault {values} END AS value, to_json({{{record}}})::VARCHAR AS record "
        "FROM resolved WHERE fault IS NOT NULL ORDER BY rank, row"
    )


def _accounts(lines: Sequence[Lines], counts: Sequence[tuple], unknown: Sequence[tuple]) -> dict[str, Account]:
    ranks = {each.rank: each.batch.batch_id for each in lines}
    rejected: dict[int, dict[str, int]] = {rank: {} for rank in ranks}
    for rank, code, n in unknown:
        rejected[rank][code] = n
    found = {rank: (groups, int(total) - groups) for rank, groups, total in counts}
    return {batch: Account(*found.get(rank, (0, 0)), rejected[rank]) for rank, batch in ranks.items()}


def _checks(
    fact: Fact, table: Partitioned, part: Partition, groups: int | None, connection: duckdb.DuckDBPyConnection
) -> dict[str, int]:
    """How many rows break what must hold: the grain is unique, references lead somewhere, nothing is negative.

    `groups` is the number of distinct grains where it is known already.
    """
    source = scan([table.folder / part.file])
    types = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    grain = ", ".join(dict.fromkeys(name for name in (*fact.ids, *fact.grain) if name in types))
    unique = f"SELECT count(*) FROM (SELECT 1 FROM {source} GROUP BY {grain} HAVING count(*) > 1)"
    numbers = [name for name, kind in types.items() if kind == "BIGINT" or kind.startswith("DECIMAL")]
    negative = " OR ".join(f"{name} < 0" for name in numbers) or "false"
    dangling = " + ".join(
        f"(SELECT count(*) FROM (SELECT DISTINCT {name} AS id FROM {source} WHERE {name} IS NOT NULL) ANTI JOIN "
        f"{name.removesuffix('_id')}_keys USING (id))"
        for name in fact.ids
    )
    [row] = connection.execute(
        f"SELECT {abs(part.rows - groups) if groups is not None else f'({unique})'}, {dangling or 0}, "
        f"(SELECT count(*) FROM {source} WHERE {negative})"
    ).fetchall()
    return dict(zip(("grain_unique", "references_hold", "non_negative"), row, strict=True))
