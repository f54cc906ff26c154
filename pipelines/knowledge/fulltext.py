"""The full-text index: a Lance table of texts by position, indexed once its rows are there."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets_config.contract.ranking import FILLERS

TABLE = "chunks"


def write_fulltext(folder: Path, texts: Sequence[str]) -> None:
    """Make `<folder>/chunks.lance`; English words are searched by their stems. Nothing is written later."""
    import lancedb
    from lancedb.index import FTS

    rows = pa.table({"position": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts, pa.string())})
    table = lancedb.connect(str(folder)).create_table(TABLE, rows)
    if texts:
        table.create_index("text", config=FTS(with_position=False, custom_stop_words=sorted(FILLERS)))


def search_fulltext(folder: Path, question: str, most: int) -> list[tuple[int, float]]:
    """Position and BM25 score of the texts that have words of a question, best first; equal ones by position.

    The question is never read as a query of its own syntax: quotes and operators are words.
    """
    from lancedb.query import MatchQuery

    table = _opened(folder)
    rows = table.search(MatchQuery(question, "text")).select(["position", "_score"]).limit(most).to_arrow()
    found = zip(rows["position"].to_pylist(), rows["_score"].to_pylist(), strict=True)
    return sorted(found, key=lambda each: (-each[1], each[0]))


@lru_cache(maxsize=1)
def _opened(folder: Path) -> Any:
    import lancedb

    return lancedb.connect(str(folder)).open_table(TABLE)
