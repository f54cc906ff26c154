"""The chunks as they are now with what is made of them: vectors, the table for questions, the evaluation. Each is made once, and
kept by a hash of all that it depends on."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from assets_config.contract.durable import making_folder, remove_leftovers, write_bytes
from assets_config.contract.knowledge import Evaluation, Index, RagMode
from assets_config.knowledge import Encoder
from pipelines.knowledge.chunks import read_chunks, searched
from pipelines.knowledge.documents import documents
from pipelines.knowledge.encoders import Cache, Told, encoder
from pipelines.knowledge.evaluation import Ranks, allows_hybrid, heading_questions, link_questions, ranks, verdict, withheld
from pipelines.knowledge.links import LINK
from pipelines.knowledge.query_table import QueryTable, fitted, sentences
from pipelines.warehouse import Warehouse

CODE = "3"
"""Rises when the same chunks and encoder would give another table or evaluation."""


class Found(msgspec.Struct, frozen=True):
    """What is kept of an evaluation."""

    digest: str
    evaluation: Evaluation
    cosines: dict[str, float]


class Corpus:
    """The corpus of one data root, with the encoder that is declared."""

    def __init__(self, warehouse: Warehouse, declared: Encoder, *, key: str, told: Told | None = None) -> None:
        """For whoever holds the lock of the stage; `told` hears how much is encoded.

        Raises PipelineError, when there are no chunks yet or the encoder cannot be had.
        """
        self.folder = warehouse.folder / "knowledge"
        for scratch in self.folder.glob(".*-*"):  # of runs that were killed: the lock of the stage is held
            shutil.rmtree(scratch, ignore_errors=True)
        self.chunks = read_chunks(warehouse)
        self.texts = [searched(each) for each in self.chunks]
        self.encodes = encoder(declared, key=key)
        self._told = told
        self._cache = None if self.encodes is None else Cache(self.folder / "vectors", self.encodes)
        self._withheld, self._asked = withheld(self.chunks, heading_questions(self.chunks))
        self._warehouse = warehouse
        self._sentences = sentences([each.text for each in self.chunks])

    @property
    def encoded(self) -> int:
        """Texts that had to be encoded since it was opened."""
        return self._cache.encoded if self._cache else 0

    @property
    def digest(self) -> str:
        """16 hex digits of chunks, encoder and code."""
        said = [CODE, self.encodes.identity if self.encodes else "none", *(each.chunk_id for each in self.chunks)]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]

    def encode(self) -> None:
        """Encode all texts that table and evaluation need, and forget those that nothing needs any more."""
        if self._cache is not None:
            needed = [*self.texts, *self._sentences, *self._withheld]
            self._cache.vectors(needed, told=self._told)
            self._cache.keep_only(needed)

    def vectors(self) -> np.ndarray | None:
        """A vector a chunk, float32; None without an encoder."""
        return None if self._cache is None else self._cache.vectors(self.texts, told=self._told)

    def table(self) -> QueryTable | None:
        """The table that encodes questions; None without an encoder. Fitted where chunks or encoder changed."""
        if self._cache is None or self.encodes is None:
            return None
        folder = self.folder / "query_table"
        if not (folder / self.digest).exists():
            remove_leftovers(folder, of_the_dead=True)
            made = self._fitted(self.texts, self._sentences)
            with making_folder(folder / self.digest) as beside:
                write_table(beside, made)
            for other in folder.iterdir():
                if other.name != self.digest:
                    shutil.rmtree(other, ignore_errors=True)
        return read_table(folder / self.digest)

    def evaluation(self) -> Found:
        """How well the corpus is searched. Made where chunks or encoder changed."""
        path = self.folder / "evaluation.json"
        try:
            known = msgspec.json.decode(path.read_bytes(), type=Found)
        except (FileNotFoundError, msgspec.MsgspecError):
            known = None
        if known is not None and known.digest == self.digest:
            return known
        places = self._ranks()
        percentiles = (
            dict(zip(("p05", "p50", "p95"), np.percentile(places.best_cosines, [5, 50, 95]), strict=True))
            if places.best_cosines
            else {}
        )
        found = Found(self.digest, verdict(places), {name: round(float(value), 4) for name, value in percentiles.items()})
        write_bytes(path, msgspec.json.format(msgspec.json.encode(found)))
        return found

    def index(self) -> Index:
        """What index.json says."""
        found = self.evaluation()
        if self.encodes is None:
            return Index(
                "keyword",
                "No encoder is configured, so that documents are searched by their words.",
                None,
                0,
                len(self.chunks),
                {},
                found.evaluation,
            )
        mode: RagMode = "hybrid" if allows_hybrid(found.evaluation) else "keyword"
        reason = f"Evaluation over {found.evaluation.questions} questions of the documents: {found.evaluation.verdict}."
        return Index(
            mode, reason, self.encodes.identity, self.encodes.dimensions, len(self.chunks), found.cosines, found.evaluation
        )

    def _fitted(self, texts: Sequence[str], sentences: Sequence[str]) -> QueryTable:
        assert self._cache is not None
        assert self.encodes is not None
        learned = [*texts, *sentences]
        return fitted(self.encodes, learned, self._cache.vectors(learned, told=self._told), chunks=len(texts))

    def _ranks(self) -> Ranks:
        """Of an index and a table that never saw the headings that are asked for."""
        vectors = encoded = None
        questions = [*self._asked, *link_questions(documents(self._warehouse), self.chunks)]
        if self._cache is not None and questions:
            vectors = self._cache.vectors(self._withheld, told=self._told)
            learned = [each for each in self._sentences if not LINK.search(each)]  # the questions are among these
            encoded = self._fitted(self._withheld, learned).encode([each.text for each in questions])
        return ranks(self._withheld, questions, vectors=vectors, encoded=encoded, scratch=self.folder)


def write_table(folder: Path, table: QueryTable) -> None:
    """Write a query table: an .npy for each array, and its vocabulary as JSON."""
    for name in ("rows", "scales", "weights"):
        np.save(folder / f"{name}.npy", getattr(table, name))
    (folder / "vocabulary.json").write_text(json.dumps(list(table.vocabulary), ensure_ascii=False), encoding="utf-8")


def read_table(folder: Path) -> QueryTable:
    """The query table of a folder, as it was written."""
    vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    return QueryTable(vocabulary, *(np.load(folder / f"{name}.npy") for name in ("rows", "scales", "weights")))
