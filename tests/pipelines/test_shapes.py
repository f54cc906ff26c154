"""Frames of the contract's Structs."""

from pathlib import Path

import duckdb
import pytest

from assets_config.contract.tables import TABLES
from pipelines.publish.frames import check
from pipelines.shapes import empty


@pytest.mark.parametrize("table", TABLES)
def test_a_frame_of_a_published_table_is_what_publish_asks_for(tmp_path: Path, table: str) -> None:
    path = tmp_path / "data.parquet"

    empty(TABLES[table]).write_parquet(path)

    with duckdb.connect() as connection:
        assert check(table, [path], connection) == 0
