"""The published tables are described in full, and their types are ones that publish can hold a frame to."""

from typing import Annotated, get_args, get_origin, get_type_hints

import msgspec
import pytest

from assets_config.contract.manifest import Manifest
from assets_config.contract.tables import ORDER, PARTS, TABLES
from pipelines.publish.frames import SQL_TYPES, fields
from pipelines.publish.parts import TABLE_KEYS


@pytest.mark.parametrize("table", TABLES)
def test_every_column_says_what_it_means(table: str) -> None:
    hints = get_type_hints(TABLES[table], include_extras=True)

    for name, hint in hints.items():
        assert get_origin(hint) is Annotated, f"{table}.{name}: give it column(...)"
        [meta] = [each for each in get_args(hint)[1:] if isinstance(each, msgspec.Meta)]
        assert (meta.description or "").rstrip("]").endswith((".", *"abcdefghijklmnopqrstuvwxyz")), f"{table}.{name}"
        assert len(meta.description or "") > 4, f"{table}.{name}"


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_a_sql_type(table: str) -> None:
    found = fields(TABLES[table])

    assert [field.name for field in found] == list(TABLES[table].__struct_fields__)
    assert {field.sql_type for field in found} <= set(SQL_TYPES.values())


def test_nullable_and_listed_columns_are_recognised() -> None:
    forecast = {field.name: field for field in fields(TABLES["forecast"])}
    store = {field.name: field for field in fields(TABLES["dim_store"])}

    assert forecast["source"].allowed == ("forecast", "backtest")
    assert (forecast["y"].nullable, forecast["yhat"].nullable) == (True, False)
    assert (store["region"].nullable, store["code"].nullable) == (True, False)
    assert store["region"].sql_type == "VARCHAR"


def test_every_table_is_in_exactly_one_part_and_ordered() -> None:
    listed = [table for tables in PARTS.values() for table in tables]

    assert sorted(listed) == sorted(TABLES) == sorted(ORDER)
    for table, columns in ORDER.items():
        assert set(columns) <= set(TABLES[table].__struct_fields__), table


def test_the_asset_of_a_table_is_called_like_it() -> None:
    assert {table: key.rsplit("/", 1)[-1] for table, key in TABLE_KEYS.items()} == {table: table for table in TABLES}


def test_a_manifest_survives_json_to_the_last_field() -> None:
    text = b"""{"id": "20260102T030405Z-1a2b3c4d", "schema_version": "1", "package_version": "0.1.0",
        "published_at": "2026-01-02T03:04:05Z", "dagster_run_id": null, "source": "small", "dataset_id": "00",
        "first_day": "2024-01-01", "as_of": "2024-12-31", "omitted": {"registry": "why"},
        "parts": {"kpis": {"key": "ab", "files": {"tables.duckdb": {"bytes": 1, "sha256": "ff"}}, "tables": {"kpi_daily": 3},
                           "dataset_id": "00", "made_at": "2026-01-02T03:04:05Z"}},
        "measures": [{"name": "units", "unit": "count", "meaning": "m"}],
        "kpis": [{"name": "k", "expression": "units", "unit": "count", "direction": "up", "meaning": "m"}]}"""

    manifest = msgspec.json.decode(text, type=Manifest)

    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest
    assert manifest.parts["kpis"].files["tables.duckdb"].bytes == 1
