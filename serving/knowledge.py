"""Search in the knowledge base of one snapshot: by words, by meaning, or both, merged by rank.

By words: BM25 of the published Lance table. By meaning: a question is encoded by a published table, a look-up and a sum, and
compared with every vector; no model is loaded. Opened by the first search, in a thread, and kept with the snapshot.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec
import numpy as np
from msgspec import Struct

from assets_config.contract.knowledge import KNOWLEDGE, Index, RagChunk, RagMode, RagSource
from assets_config.contract.ranking import DEPTH, merged
from assets_config.contract.wordpiece import WordPiece
from serving.snapshot import Snapshot
from serving.stems import rarities


class Leg(Struct, frozen=True):
    """What one way of searching says of a chunk."""

    score: float
    rank: int


class Hit(Struct, frozen=True):
    """A chunk that was found."""

    chunk: RagChunk
    source: RagSource
    score: float
    keyword: Leg | None
    semantic: Leg | None


class Wanted(Struct, frozen=True):
    """What is searched: how, among which chunks, and what is too little."""

    mode: RagMode
    most: int
    kinds: Collection[str] = ()
    sources: Collection[str] = ()
    tags: Collection[str] = ()
    least_score: float | None = None
    least_cosine: float | None = None
    of_one_source: int | None = None


class Knowledge:
    """The knowledge base of a snapshot, open. Its methods work in the thread that calls them."""

    def __init__(
        self, folder: Path, sources: Sequence[RagSource], chunks: Sequence[RagChunk], *, without: Collection[str] = ()
    ) -> None:
        """`without`: kinds of documents that nothing in this snapshot stands behind, and that are never found."""
        self.index = msgspec.json.decode((folder / "index.json").read_bytes(), type=Index)
        self.sources = {each.source_id: each for each in sources}
        self.chunks = chunks
        self._tags = {each.source_id: frozenset(json.loads(each.tags)) for each in sources}
        self._without = frozenset(without)
        self._table = _lance(folder)
        has_vectors = self.index.encoder is not None
        self._vectors = np.load(folder / "vectors.npy") if has_vectors else None
        self._questions = Questions(folder) if has_vectors else None

    def search(self, question: str, wanted: Wanted) -> list[Hit]:
        """The chunks that answer a question best, best first; equal ones in the order of the index."""
        allowed = self._allowed(wanted)
        keyword = self._by_words(question, allowed, wanted.least_score) if wanted.mode != "semantic" else {}
        semantic = self._by_meaning(question, allowed, wanted.least_cosine) if wanted.mode != "keyword" else {}
        legs = [{position: each.rank for position, each in leg.items()} for leg in (keyword, semantic)]
        found: list[Hit] = []
        taken: Counter[str] = Counter()
        for position, score in merged(legs):
            chunk = self.chunks[position]
            taken[chunk.source_id] += 1
            if wanted.of_one_source is None or taken[chunk.source_id] <= wanted.of_one_source:
                source = self.sources[chunk.source_id]
                found.append(Hit(chunk, source, score, keyword.get(position), semantic.get(position)))
            if len(found) == wanted.most:
                break
        return found

    def around(self, chunk: RagChunk, reach: int) -> tuple[list[RagChunk], list[RagChunk]]:
        """The chunks of the same document right before and right after one, at most `reach` of each."""
        first = max(chunk.position - min(reach, chunk.ordinal), 0)
        before = self.chunks[first : chunk.position]
        after = [each for each in self.chunks[chunk.position + 1 : chunk.position + 1 + reach] if each.source_id == chunk.source_id]
        return list(before), after

    def encode(self, text: str) -> np.ndarray | None:
        """What a text means, as a vector of length one; None without vectors, or where no word is known."""
        return self._questions.encode(text) if self._questions else None

    def rarity(self, stem: str) -> float:
        """How much the stem of a word tells, by the share of chunks that have it; nothing where none has."""
        return self._rarities.get(stem, 0.0)

    @cached_property
    def _rarities(self) -> dict[str, float]:
        return rarities([each.text for each in self.chunks])

    def _allowed(self, wanted: Wanted) -> np.ndarray | None:
        """Whether each chunk may be found, by position; None where every one may."""
        if not (wanted.kinds or wanted.sources or wanted.tags or self._without):
            return None
        among = {
            source_id
            for source_id, each in self.sources.items()
            if each.kind not in self._without
            and (not wanted.kinds or each.kind in wanted.kinds)
            and (not wanted.sources or source_id in wanted.sources)
            and (not wanted.tags or self._tags[source_id] & set(wanted.tags))
        }
        return np.fromiter((each.source_id in among for each in self.chunks), bool, len(self.chunks))

    def _by_words(self, question: str, allowed: np.ndarray | None, least: float | None) -> dict[int, Leg]:
        from lancedb.query import MatchQuery

        if not self.chunks:
            return {}
        depth = DEPTH if allowed is None else len(self.chunks)
        query = self._table.search(MatchQuery(question.replace("\0", " "), "text")).select(["position", "_score"]).limit(depth)
        rows = query.to_arrow()
        found = zip(rows["position"].to_pylist(), rows["_score"].to_pylist(), strict=True)
        kept = [(-score, position) for position, score in found if allowed is None or allowed[position]]
        ranked = sorted(each for each in kept if least is None or -each[0] >= least)[:DEPTH]
        return {position: Leg(-score, rank) for rank, (score, position) in enumerate(ranked, 1)}

    def _by_meaning(self, question: str, allowed: np.ndarray | None, least: float | None) -> dict[int, Leg]:
        encoded = self.encode(question)
        if encoded is None or self._vectors is None:
            return {}
        cosines = np.einsum("ij,j->i", self._vectors, encoded)  # BLAS would share it out to threads that wait in a spin
        if allowed is not None:
            cosines[~allowed] = -2
        first = np.argpartition(-cosines, DEPTH)[:DEPTH] if len(cosines) > DEPTH else np.arange(len(cosines))
        first = first[np.lexsort((first, -cosines[first]))]
        kept = [position for position in first.tolist() if cosines[position] >= (-1 if least is None else least)]
        return {position: Leg(float(cosines[position]), rank) for rank, position in enumerate(kept, 1)}


class Questions:
    """The published table that encodes questions: a vector a word piece, summed by weight."""

    def __init__(self, folder: Path) -> None:
        self._tokens = WordPiece(json.loads((folder / "vocabulary.json").read_bytes()))
        self._rows, self._scales, self._weights = (np.load(folder / f"{name}.npy") for name in ("rows", "scales", "weights"))

    def encode(self, text: str) -> np.ndarray | None:
        """A vector of length one; None where no piece of the text is known."""
        ids = self._tokens.encode(text)
        if not ids:
            return None
        total: np.ndarray = np.einsum("i,ij->j", self._weights[ids] * self._scales[ids], self._rows[ids].astype(np.float32))
        length = float(np.sqrt(np.einsum("i,i->", total, total)))
        return total / np.float32(length) if length > 1e-9 else None


_open: WeakValueDictionary[tuple[Path, tuple[str, ...]], Knowledge] = WeakValueDictionary()


def _lance(folder: Path) -> Any:
    """The full-text index. The library takes seconds and 150 MB, so that only a process that searches loads it."""
    import lancedb

    return lancedb.connect(str(folder)).open_table("chunks")


async def knowledge_of(lease: Snapshot) -> Knowledge | None:
    """The knowledge base of a snapshot; None where it was published without one.

    Snapshots whose part is the same share one. The first search of a process waits for the library to load.
    """
    if not lease.has(KNOWLEDGE, "rag_chunk"):
        return None
    async with lease.memo.setdefault(Knowledge, asyncio.Lock()):
        without = () if lease.has("cards", "model_card") else ("card",)
        key = (lease.folder(KNOWLEDGE), without)
        found: Knowledge | None = lease.memo.get(KNOWLEDGE) or _open.get(key)
        if found is None:
            sources = [RagSource(**row) for row in await lease.rows(KNOWLEDGE, "rag_source", "true ORDER BY path, source_id")]
            chunks = [RagChunk(**row) for row in await lease.rows(KNOWLEDGE, "rag_chunk", "true ORDER BY position")]
            found = await asyncio.to_thread(Knowledge, key[0], sources, chunks, without=without)
        lease.memo[KNOWLEDGE] = _open[key] = found
        return found
