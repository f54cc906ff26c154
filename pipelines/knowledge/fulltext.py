"""The full-text index: a Lance table of texts by position, indexed once its rows are there."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

TABLE = "chunks"


def write_fulltext(folder: Path, texts: Sequence[str]) -> None:
    """Make `<folder>/chunks.lance`; English words are searched by their stems. Nothing is written later: a reader sees all of it."""
    import lancedb
    from lancedb.index import FTS

    rows = pa.table({"position": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts, pa.string())})
    table = lancedb.connect(str(folder)).create_table(TABLE, rows)
    if texts:
        table.create_index("text", config=FTS(with_position=False))
