"""From lines of text to rows of a kind: each column typed by its declaration, each line with the first fault it has.

MISSING_VALUE    a required column is empty, or a sale has neither price nor amount
INVALID_TYPE     it is no day, no whole number, no number; or it has more digits than are kept
TOO_LONG         a text is longer than the kind allows
OUT_OF_RANGE     a number or day is outside of the kind's bounds, or has happened after the batch came in
NEGATIVE_QUANTITY, NEGATIVE_AMOUNT   a number below 0 where that has no meaning
INVALID_RANGE    an interval ends before it begins
MALFORMED_LINE   no line of the file's form
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import msgspec

from assets_config.contract.cells import MOST, Column, columns
from assets_config.contract.kinds import KINDS
from assets_config.mapping import From, Lookup, TableFile, Zone, ZoneBy
from pipelines.errors import SourceError
from pipelines.sources.relation import Relation, identifier, literal, trimmed

OFFSET = r"(?i)(z|[+-]\d{2}(:?\d{2})?)$"
COMMA = r"^[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]*)(,[0-9]+)?([eE][+-]?[0-9]{1,2})?$"
BARE_DAY = r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$"
INTERVALS = (("valid_from", "valid_to"), ("start_date", "end_date"), ("launched_on", "discontinued_on"))
HAPPENED = ("sales-daily", "historical-sales", "returns", "inventory", "receipts")
"""Kinds that tell of what has happened: a day to come is a mistake, and would move the end of all data."""
NEGATIVES = {"quantity": "NEGATIVE_QUANTITY", "unit_price": "NEGATIVE_AMOUNT", "total_amount": "NEGATIVE_AMOUNT"}


class Fault(msgspec.Struct, frozen=True):
    """One way in which a line cannot be used: SQL condition, and the text that is shown for the value."""

    code: str
    field: str
    condition: str
    value: str


def typed(lines: Relation, kind: str, declared: TableFile, *, where: str, latest: date) -> str:
    """A query over the lines: the kind's columns, row, is_return_, and of faulty lines fault_ (code, field, value) and record.

    Lines that the mapping skips have only `skip_`, why. Raises SourceError, when a required column is not there.
    """
    ours = columns(KINDS[kind].rows)
    sources = {column.name: _source(column, declared, lines, where) for column in ours}
    values = {column.name: _value(column, sources[column.name], declared, lines) for column in ours}
    named = {column.name: given for column in ours if (given := sources[column.name].column)}
    taken = {name: lookup for lookup in declared.lookups for name in lookup.take}
    looked_up = {column.name: taken[named[column.name]] for column in ours if column.required and named.get(column.name) in taken}
    theirs = list(dict.fromkeys([*named.values(), *(key for lookup in looked_up.values() for key in lookup.by)]))
    raw = {name: f"r_{n}" for n, name in enumerate(theirs)}
    skip = "NULL"
    if declared.skip:
        skip = "CASE " + " ".join(f"WHEN {condition} THEN '{code}'" for code, condition in declared.skip.items()) + " END"
    cancelled = "false"
    if declared.cancelled is not None:
        column = identifier(_find(declared.cancelled.column, lines, where))
        cancelled = f"coalesce(starts_with(trim({column}::VARCHAR), {literal(declared.cancelled.prefix)}), false)"
    inner = ", ".join(
        [
            *(f"{value} AS {name}" for name, value in values.items()),
            *(f"{identifier(name)} AS {short}" for name, short in raw.items()),
            f"row_ AS row, {skip} AS skip_, {cancelled} AS cancelled_",
        ]
    )
    # What is shown of a faulty line is made of its raw columns here, where only faulty lines come by.
    shown = {column.name: _shown(sources[column.name], raw) for column in ours}
    missing = {name: _not_found(lookup, raw) for name, lookup in looked_up.items()}
    cases = " ".join(
        f"WHEN {fault.condition} THEN {{'code': '{fault.code}', 'field': '{fault.field}', 'value': {fault.value}}}"
        for fault in faults(kind, ours, shown, declared, latest, missing)
    )
    fault = f"CASE WHEN skip_ IS NOT NULL THEN NULL::STRUCT(code VARCHAR, field VARCHAR, value VARCHAR) {cases} END"
    packed = ", ".join(f"{identifier(name)} := {short}" for name, short in raw.items())
    record = f"CASE WHEN fault_ IS NOT NULL THEN to_json(struct_pack({packed}))::VARCHAR END AS record"
    judged = f"SELECT *, {fault} AS fault_ FROM (SELECT {inner} FROM {lines})"
    gone = "false"
    if kind == "sales-daily":
        gone = "cancelled_" if declared.negative == "reject" else "(cancelled_ OR coalesce(quantity < 0, false))"
    rows = f"SELECT {', '.join(values)}, row, skip_, {gone} AS is_return_, fault_, {record} FROM ({judged})"
    if gone == "false":
        return rows
    is_sound = "is_return_ AND fault_ IS NULL"  # what is out of bounds may have no positive counterpart
    turned = ", ".join(f"CASE WHEN {is_sound} THEN abs({name}) ELSE {name} END AS {name}" for name in ("quantity", "total_amount"))
    return f"SELECT * REPLACE ({turned}) FROM ({rows})"


def faults(
    kind: str, ours: Sequence[Column], shown: Mapping[str, str], declared: TableFile, latest: date, missing: Mapping[str, str]
) -> list[Fault]:
    """Every fault that a line of this kind may have, in the order in which they are looked for.

    `missing` has what is shown where nothing stands, of columns that were looked up.
    """
    found: list[Fault] = []
    signed = "true" if declared.negative == "return" else "cancelled_"  # whether the sign of a sale has a meaning
    for column in ours:
        name, text = column.name, shown[column.name]
        if column.required:
            found.append(Fault("MISSING_VALUE", name, f"{name} IS NULL AND {text} IS NULL", missing.get(name, text)))
        if column.type != "text":
            found.append(Fault("INVALID_TYPE", name, f"{name} IS NULL AND {text} IS NOT NULL", text))
        if column.max_length is not None:
            too_long = f"strlen({name}) > {column.max_length} AND length({name}) > {column.max_length}"
            found.append(Fault("TOO_LONG", name, too_long, f"left({text}, 200)"))
        for bound, wrong in ((column.least, "<"), (column.most, ">")):
            if bound is None:
                continue
            limit = f"DATE '{bound}'" if column.type == "day" else repr(bound)
            code, condition = "OUT_OF_RANGE", f"{name} {wrong} {limit}"
            if wrong == "<" and bound == 0:
                code = NEGATIVES.get(name, code)
            if kind == "sales-daily" and name in ("quantity", "total_amount"):
                condition = f"{condition} AND NOT {signed}" if wrong == "<" else f"({name} > {limit} OR {name} < -{limit})"
            found.append(Fault(code, name, condition, text))
    if kind == "sales-daily":
        found.append(Fault("MISSING_VALUE", "total_amount", "unit_price IS NULL AND total_amount IS NULL", "NULL"))
        amount = "total_amount IS NULL AND abs(quantity::DOUBLE) * unit_price::DOUBLE"
        found.append(Fault("OUT_OF_RANGE", "unit_price", f"{amount} > {MOST}", shown["unit_price"]))
    if kind == "promotions":
        found.append(Fault("MISSING_VALUE", "discount_pct", "discount_pct IS NULL AND discount_amount IS NULL", "NULL"))
    if kind == "external-ids":
        found.append(Fault("INVALID_TYPE", "entity", "entity NOT IN ('store', 'product')", shown["entity"]))
    if kind in HAPPENED:
        latest -= timedelta(days=6 if declared.weekly is not None else 0)  # a line of a week has happened when its last day has
        found.append(Fault("OUT_OF_RANGE", "date", f"date > DATE '{latest}'", shown["date"]))
    names = {column.name for column in ours}
    for first, last in INTERVALS:
        if first in names and last in names:
            found.append(Fault("INVALID_RANGE", last, f"{last} < {first}", shown[last]))
    return found


def sql_type(column: Column) -> str:
    """The SQL type of a column in the warehouse."""
    if column.type == "decimal":
        return f"DECIMAL(18,{column.scale})"
    return {"text": "VARCHAR", "day": "DATE", "integer": "BIGINT", "number": "DOUBLE", "flag": "BOOLEAN"}[column.type]


def _source(column: Column, declared: TableFile, lines: Relation, where: str) -> From:
    """Where a column comes from, its `column` spelled as the file has it; neither column nor value where it is absent.

    Names are compared without regard to case; a name of ours that the mapping does not mention may stand under an alias.
    """
    given = declared.columns.get(column.name)
    told = From(column=given) if isinstance(given, str) else given
    if told is not None and told.value is not None:
        return told
    if told is not None and told.column is not None:
        return msgspec.structs.replace(told, column=_find(told.column, lines, f"{where} (our {column.name})"))
    by_name = {name.lower(): name for name in reversed(list(lines.types))}
    taken = {str(each.column if isinstance(each, From) else each).lower() for each in declared.columns.values()}
    for name in (column.name, *column.aliases):
        found = by_name.get(name.lower())
        if found is not None and (name == column.name or name.lower() not in taken):
            return msgspec.structs.replace(told or From(), column=found)
    if column.required or told is not None:
        raise SourceError(f"{where} has no column {column.name}; it has {', '.join(list(lines.types)[:40])}")
    return From()


def _find(name: str, lines: Relation, where: str) -> str:
    by_name = {each.lower(): each for each in reversed(list(lines.types))}
    if name.lower() not in by_name:
        raise SourceError(f"{where} has no column {name}; it has {', '.join(list(lines.types)[:40])}")
    return by_name[name.lower()]


def _shown(source: From, raw: Mapping[str, str]) -> str:
    """What stands there as text, without blanks around; null where nothing does."""
    if source.value is not None:
        return literal(source.value)
    return _filled(raw[source.column]) if source.column else "NULL::VARCHAR"


def _not_found(lookup: Lookup, raw: Mapping[str, str]) -> str:
    """What was looked up in vain, as text."""
    keys = ", ".join(trimmed(raw[name]) for name in lookup.by)
    return f"concat({literal(f'{lookup.file} has none for ')}, concat_ws(', ', {keys}))"


def _filled(column: str) -> str:
    return f"nullif({trimmed(column)}, '')"


def _value(column: Column, source: From, declared: TableFile, lines: Relation) -> str:
    """A column as its type, null where that cannot be."""
    text = literal(source.value) if source.value is not None else _filled(identifier(source.column or ""))
    if source.column is None and source.value is None:
        return f"NULL::{sql_type(column)}"
    theirs = lines.types[source.column] if source.column else "VARCHAR"
    if column.type == "text":
        folded = {"upper": f"upper({text})", "lower": f"lower({text})"}
        return folded[source.case] if source.case else text
    if column.type == "day":
        return _day(source, text, theirs)
    if column.type == "flag":
        yes, no = "('true', 't', 'yes', 'y', '1')", "('false', 'f', 'no', 'n', '0')"
        return f"CASE WHEN lower({text}) IN {yes} THEN true WHEN lower({text}) IN {no} THEN false END"
    figure = text
    if declared.decimal == "," and theirs == "VARCHAR":
        written = f"regexp_matches({text}, '{COMMA}')"  # a dot only parts thousands: 2.50 is none of theirs
        figure = f"CASE WHEN {written} THEN replace(replace({text}, '.', ''), ',', '.') END"
    if theirs == "VARCHAR":  # a cast would take '1e5', '0x10' and '1_000' too: digits only
        figure = f"CASE WHEN regexp_matches({figure}, '^[+-]?[0-9]*[.]?[0-9]+([eE][+-]?[0-9]{{1,2}})?$') THEN {figure} END"
    elif "INT" in theirs and column.type == "integer" and source.times is None:
        return f"try_cast({identifier(source.column or '')} AS BIGINT)"
    elif column.type == "decimal" and source.times is None:
        return f"try_cast({identifier(source.column or '')} AS {sql_type(column)})"
    if column.type == "number":
        return f"try_cast({figure} AS DOUBLE) * {source.times or 1}"
    exact = f"try_cast({figure} AS DECIMAL(38,6))" + (f" * {source.times}" if source.times else "")
    exact = f"TRY({exact})" if source.times else exact
    if column.type == "integer":
        return f"CASE WHEN {exact} = floor({exact}) THEN try_cast({exact} AS BIGINT) END"
    return f"try_cast({exact} AS {sql_type(column)})"


def _day(source: From, text: str, theirs: str) -> str:
    column = identifier(source.column or "")
    if theirs == "DATE":
        return column
    zoned = theirs == "TIMESTAMP WITH TIME ZONE"
    if theirs.startswith("TIMESTAMP") and not zoned:
        naive = f"{column}::TIMESTAMP"
    elif source.formats:
        naive = _parsed(text, source.formats)
    else:
        naive = f"try_cast({text} AS TIMESTAMP)"
    if source.zone is None and source.day_in is None and not zoned:
        if naive.startswith("try_cast"):  # the day as it is written, whatever offset follows
            return f"CASE WHEN {naive} IS NOT NULL THEN coalesce(try_cast(left({text}, 10) AS DATE), try_cast({text} AS DATE)) END"
        return f"try_cast({naive} AS DATE)"
    zone, day_in = _zone(source.zone or "UTC"), _zone(source.day_in or source.zone or "UTC")
    with_offset = f"CASE WHEN regexp_matches({text}, {literal(OFFSET)}) THEN try_cast({text} AS TIMESTAMPTZ) END"
    if zoned:
        instant = column
    elif source.formats:
        own = [each for each in source.formats if "%z" in each.lower()]  # these give instants, not times of the zone
        plain = [each for each in source.formats if each not in own]
        parsed = [*([_parsed(text, own)] if own else []), *([f"timezone({zone}, {_parsed(text, plain)})"] if plain else [])]
        instant = f"coalesce({', '.join([*parsed, with_offset])})"
    elif theirs.startswith("TIMESTAMP"):
        instant = f"timezone({zone}, {naive})"
    else:
        instant = f"coalesce({with_offset}, timezone({zone}, {naive}))"
    day = f"try_cast(timezone({day_in}, {instant}) AS DATE)"
    if zoned or source.formats:
        return day
    return f"CASE WHEN regexp_matches({text}, '{BARE_DAY}') THEN try_cast({text} AS DATE) ELSE {day} END"


def _parsed(text: str, formats: Sequence[str]) -> str:
    return f"try_strptime({text}, [{', '.join(literal(each) for each in formats)}])"


def _zone(zone: Zone | ZoneBy) -> str:
    if isinstance(zone, str):
        return literal(zone)
    cases = " ".join(f"WHEN {literal(value)} THEN {literal(name)}" for value, name in zone.zones.items())
    return f"CASE trim({identifier(zone.column)}::VARCHAR) {cases} ELSE {literal(zone.otherwise)} END"
