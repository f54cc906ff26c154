"""From a file's own shape to one line a row: other files looked up, wide columns turned to rows."""

from collections.abc import Callable
from fnmatch import fnmatchcase

from assets_config.mapping import TableFile, Wide
from pipelines.errors import SourceError
from pipelines.sources.relation import Relation, identifier, trimmed


def shaped(lines: Relation, declared: TableFile, lookup: Callable[[str], Relation], *, where: str) -> Relation:
    """The relation with the columns that the mapping may name: the file's, those of wide, and those looked up.

    `lookup` opens another file of the source. Raises SourceError, naming the column that is not there.
    """
    asked = {name for each in declared.lookups for name in each.by}
    lines = _trimmed(lines, asked)  # before there is a line a cell
    if declared.wide is not None:
        lines = _unpivoted(lines, declared.wide, where)
    for each in declared.lookups:
        other = lookup(each.file)
        _must_have(lines, list(each.by), where)
        _must_have(other, [*each.by.values(), *each.take], each.file)
        other = _trimmed(other, {*each.by.values(), *(asked & {*each.take})})
        taken = ", ".join(f"min({identifier(name)}) AS {identifier(name)}" for name in each.take)
        keys = ", ".join(f"{identifier(theirs)}::VARCHAR AS k{n}" for n, theirs in enumerate(each.by.values()))
        found = f"(SELECT {keys}, {taken} FROM {other} GROUP BY ALL)"
        matches = " AND ".join(f"l.{identifier(ours)}::VARCHAR = o.k{n}" for n, ours in enumerate(each.by))
        added = ", ".join(f"o.{identifier(name)}" for name in each.take)
        kept = {name: kind for name, kind in lines.types.items() if name not in each.take}
        replaced = [identifier(name) for name in lines.types if name in each.take]
        without = f"EXCLUDE ({', '.join(replaced)})" if replaced else ""
        sql = f"(SELECT l.* {without}, {added} FROM {lines} l LEFT JOIN {found} o ON {matches})"
        lines = Relation(sql, kept | {name: other.types[name] for name in each.take}, lines.malformed)
    return lines


def _trimmed(lines: Relation, names: set[str]) -> Relation:
    """The lines with texts that are looked up, or looked up by, without blanks around."""
    texts = [name for name, kind in lines.types.items() if name in names and kind == "VARCHAR"]
    if not texts:
        return lines
    replaced = ", ".join(f"{trimmed(identifier(name))} AS {identifier(name)}" for name in texts)
    return Relation(f"(SELECT * REPLACE ({replaced}) FROM {lines})", lines.types, lines.malformed)


def _unpivoted(lines: Relation, wide: Wide, where: str) -> Relation:
    cells = [name for name in lines.types if fnmatchcase(name, wide.columns)]
    if not cells:
        raise SourceError(f"{where} has no column like {wide.columns}; it has {', '.join(list(lines.types)[:20])}")
    listed = ", ".join(identifier(name) for name in cells)
    sql = f"(UNPIVOT {lines} ON {listed} INTO NAME {identifier(wide.name)} VALUE {identifier(wide.value)})"
    kept = {name: kind for name, kind in lines.types.items() if name not in cells}
    return Relation(sql, kept | {wide.name: "VARCHAR", wide.value: lines.types[cells[0]]}, lines.malformed)


def weekly(rows: str, shares: tuple[float, ...]) -> str:
    """Typed sales lines of a week -> of its seven days; units and amounts are whole and add up to the week's."""
    total, steps, passed = sum(shares), [0.0], 0.0
    for share in shares:
        passed += share
        steps.append(passed / total)
    days = ", ".join(f"({n}, {steps[n]:.12f}, {steps[n + 1]:.12f})" for n in range(7))
    units = "(round(quantity * upto) - round(quantity * after))::BIGINT"
    wide = "total_amount::DECIMAL(38,2)"
    amount = f"(({wide} * upto)::DECIMAL(18,2) - ({wide} * after)::DECIMAL(18,2))::DECIMAL(18,2)"
    return (
        f"SELECT * EXCLUDE (n_, after, upto) REPLACE (CASE WHEN fault_ IS NULL THEN date + n_ ELSE date END AS date, "
        f"CASE WHEN fault_ IS NULL THEN {units} ELSE quantity END AS quantity, "
        f"CASE WHEN fault_ IS NULL THEN {amount} ELSE total_amount END AS total_amount) "
        f"FROM ({rows}) JOIN (VALUES {days}) AS days(n_, after, upto) ON fault_ IS NULL OR n_ = 0"
    )


def _must_have(lines: Relation, wanted: list[str], where: str) -> None:
    for name in wanted:
        if name not in lines.types:
            raise SourceError(f"{where} has no column {name}; it has {', '.join(list(lines.types)[:40])}")
