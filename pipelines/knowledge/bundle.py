"""The finished index: the published tables and all that a search needs, consistent with each other.

    <root>/warehouse/knowledge/index/current.json            which bundle was finished last; replaced in one step
                                     <digest>/               rag_source.parquet, rag_chunk.parquet, index.zip

A publish reads the last finished bundle, whatever a run is making at that moment.
"""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from msgspec import Struct

from assets_config.contract.durable import making_folder, remove_leftovers, write_bytes
from assets_config.contract.integrity import sha256
from assets_config.contract.knowledge import Index
from pipelines.errors import PipelineError
from pipelines.knowledge.corpus import Corpus, write_table
from pipelines.knowledge.documents import documents
from pipelines.knowledge.fulltext import write_fulltext
from pipelines.knowledge.links import indexed, told_of
from pipelines.warehouse import Warehouse

CODE = "3"
"""Rises when the same tables would give another index."""
KEEP = 3
TABLES = ("rag_source", "rag_chunk")


class Bundle(Struct, frozen=True):
    """One finished index."""

    folder: str
    digest: str

    def file(self, name: str) -> Path:
        return Path(self.folder) / name


class _Pointer(Struct, frozen=True):
    digest: str


def current_bundle(warehouse: Warehouse) -> Bundle:
    """The bundle that was finished last. Raises PipelineError, when there is none."""
    folder = _folder(warehouse)
    try:
        digest = msgspec.json.decode((folder / "current.json").read_bytes(), type=_Pointer).digest
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        raise PipelineError("knowledge/index is not there yet: materialise knowledge (or everything) first") from error
    if not (folder / digest / "index.zip").exists():
        raise PipelineError("knowledge/index is damaged: materialise knowledge/index again")
    return Bundle(str(folder / digest), digest)


def make(warehouse: Warehouse, corpus: Corpus) -> tuple[Bundle, Index]:
    """Build the index of the chunks that there are, unless it is the one that was finished last."""
    said = corpus.index()
    digest = digest_of(warehouse, {"index": msgspec.json.encode(said).decode(), "corpus": corpus.digest})
    if is_current(warehouse, digest):
        return current_bundle(warehouse), said
    with TemporaryDirectory(dir=corpus.folder, prefix=".index-") as scratch:
        folder = Path(scratch)
        write_fulltext(folder, indexed(corpus.chunks, told_of(documents(warehouse))))
        table, vectors = corpus.table(), corpus.vectors()
        if table is not None and vectors is not None:
            write_table(folder, table)
            np.save(folder / "vectors.npy", vectors)
        (folder / "index.json").write_bytes(msgspec.json.format(msgspec.json.encode(said)))
        return finish(warehouse, digest, folder), said


def digest_of(warehouse: Warehouse, made_of: Mapping[str, str]) -> str:
    """64 hex digits of all that a bundle is made of: the two tables' rows, and the hashes that are given by name."""
    said = [f"{table} {sha256(warehouse.existing(f'knowledge/{table}'))}" for table in TABLES]
    said += [f"{name} {value}" for name, value in sorted(made_of.items())]
    return hashlib.sha256("\n".join([CODE, *said]).encode()).hexdigest()


def is_current(warehouse: Warehouse, digest: str) -> bool:
    """Whether the bundle `digest` is what is published next; False where there is none."""
    try:
        return current_bundle(warehouse).digest == digest
    except PipelineError:
        return False


def finish(warehouse: Warehouse, digest: str, content: Path) -> Bundle:
    """Keep the files of a folder as the bundle `digest`, with the tables as they are now, and point to it."""
    folder = _folder(warehouse)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder, of_the_dead=True)
    if not (folder / digest).exists():
        with making_folder(folder / digest) as beside:
            for table in TABLES:
                os.link(warehouse.existing(f"knowledge/{table}"), beside / f"{table}.parquet")
            _zip(beside / "index.zip", content)
    write_bytes(folder / "current.json", msgspec.json.encode(_Pointer(digest)))
    others = sorted(
        (path for path in folder.iterdir() if path.is_dir() and path.name != digest), key=lambda path: path.stat().st_mtime
    )
    for path in others[: -(KEEP - 1)]:
        shutil.rmtree(path, ignore_errors=True)
    return Bundle(str(folder / digest), digest)


def _zip(target: Path, content: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(content.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(content).as_posix())


def _folder(warehouse: Warehouse) -> Path:
    return warehouse.folder / "knowledge" / "index"
