"""A knowledge base over a data root, made by the plain functions of its stage, and a small encoder with real weights."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from assets_config.contract.integrity import sha256
from assets_config.contract.knowledge import RagChunk, RagIndexParams, RagSource
from assets_config.knowledge import Encoder, LocalEncoder, NoEncoder
from pipelines.knowledge import documents as kept
from pipelines.knowledge.bundle import make
from pipelines.knowledge.chunks import chunks, read_chunks, sources
from pipelines.knowledge.corpus import Corpus
from pipelines.shapes import frame_of
from pipelines.warehouse import Warehouse

AT = datetime(2024, 7, 1, 12)
JOB = "1" * 32
LAYERS, WIDTH, INNER, HEADS = 2, 12, 24, 3


def found(pages: Mapping[str, str], **changes: object) -> list[kept.Found]:
    """Pages of the project by path; those that end with .json are of an API."""
    made = []
    for path, text in pages.items():
        kind = "openapi" if path.endswith(".json") else "markdown"
        made.append(kept.Found(**{"path": path, "kind": kind, "origin": "project", "content": text, **changes}))  # type: ignore[arg-type]
    return made


def index(root: Path, pages: list[kept.Found], encoder: Encoder | None = None) -> Corpus:
    """Let the knowledge base be of these documents alone; what is published stays."""
    warehouse = Warehouse(root)
    after = kept.changed(kept.documents(warehouse), pages, whole=True, at=AT, by=JOB)
    warehouse.write_changed(kept.DOCUMENTS, frame_of(kept.Document, after))
    return build(root, encoder)


def build(root: Path, encoder: Encoder | None = None) -> Corpus:
    """Make everything that is made of the documents."""
    warehouse = Warehouse(root)
    there = kept.documents(warehouse)
    warehouse.write_changed("knowledge/rag_chunk", frame_of(RagChunk, chunks(there)))
    warehouse.write_changed("knowledge/rag_source", frame_of(RagSource, sources(there, read_chunks(warehouse))))
    corpus = Corpus(warehouse, encoder or NoEncoder(), key="")
    corpus.encode()
    make(warehouse, corpus)
    return corpus


def command(path: str, digest: str, **changes: object) -> RagIndexParams:
    return RagIndexParams(**{"source_path": path, "sha256": digest, **changes})  # type: ignore[arg-type]


def small_encoder(folder: Path, words: list[str], *, seed: int = 3) -> LocalEncoder:
    """A BERT of two layers with random weights over a vocabulary of words and letters."""
    letters = [chr(n) for n in range(33, 127) if not chr(n).isupper()]
    pieces = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *letters, *(f"##{letter}" for letter in letters)])
    rng = np.random.default_rng(seed)
    shapes = {"embeddings.word_embeddings.weight": (len(pieces), WIDTH), "embeddings.position_embeddings.weight": (256, WIDTH)}
    shapes |= {"embeddings.token_type_embeddings.weight": (2, WIDTH), **_norm("embeddings.LayerNorm")}
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _linear(f"{name}.attention.{part}", WIDTH, WIDTH)
        shapes |= _norm(f"{name}.attention.output.LayerNorm") | _linear(f"{name}.intermediate.dense", INNER, WIDTH)
        shapes |= _linear(f"{name}.output.dense", WIDTH, INNER) | _norm(f"{name}.output.LayerNorm")
    header, body = {}, b""
    for name, shape in shapes.items():
        values = rng.normal(1 if name.endswith("LayerNorm.weight") else 0, 0.5, shape).astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(values)]}
        body += values
    said = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(len(said).to_bytes(8, "little") + said + body)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    return LocalEncoder(str(folder), sha256(folder / "model.safetensors"), HEADS)


def _norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def _linear(name: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}
