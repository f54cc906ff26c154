"""Does searching by words and meaning find more than searching by words? One line of JSON.

    python benchmarks/retrieval.py --path docs --encoder MODEL      every *.md below docs, encoded by the model of that folder

MODEL holds model.safetensors and vocab.txt of a small BERT of sentences. Vectors are kept in --cache, by the hash of their text.

Questions are made of the corpus itself, as pipelines/knowledge/evaluation.py says: headings that are withheld, whose section is
the answer, and sentences that link to another page, which is the answer. Intervals are of 2,000 paired bootstrap draws of the
questions. Nothing was chosen by these figures.
"""

import argparse
import json
import platform
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from assets_config.contract.integrity import sha256
from pipelines.knowledge.chunks import chunks as cut
from pipelines.knowledge.documents import Document, Found, changed
from pipelines.knowledge.encoders import Cache
from pipelines.knowledge.evaluation import Ranks, gains, heading_questions, link_questions, ranks, withheld
from pipelines.knowledge.links import LINK
from pipelines.knowledge.minilm import MiniLM
from pipelines.knowledge.query_table import fitted, sentences

DRAWS = 2_000
MOST = 300


def corpus(folder: Path) -> list[Document]:
    found = [
        Found(path.relative_to(folder).as_posix(), "markdown", "project", path.read_text(encoding="utf-8", errors="replace"))
        for path in sorted(folder.rglob("*.md"))
    ]
    return changed([], found, whole=True, at=datetime(2026, 1, 1), by="")


def compared(found: Ranks) -> dict[str, Any]:
    """nDCG@10 of each way, and by how much both beat words alone, with its interval of 95 %."""
    ways = {name: gains(getattr(found, name)) for name in ("keyword", "semantic", "hybrid")}
    more = ways["hybrid"] - ways["keyword"]
    draws = np.random.default_rng(7).integers(0, len(more), (DRAWS, len(more)))
    low, high = np.percentile(more[draws].mean(axis=1), [2.5, 97.5])
    return {
        "questions": len(more),
        **{f"ndcg_10_{name}": round(float(each.mean()), 3) for name, each in ways.items()},
        **{f"hits_5_{name}": round(float(np.mean([0 < n <= 5 for n in getattr(found, name)])), 3) for name in ways},
        "more": round(float(more.mean()), 3),
        "interval": [round(float(low), 3), round(float(high), 3)],
        "best_cosine_p05_p50_p95": [round(float(each), 3) for each in np.percentile(found.best_cosines, [5, 50, 95])],
    }


def joined(*found: Ranks) -> Ranks:
    return Ranks(*([value for each in found for value in getattr(each, name)] for name in Ranks.__struct_fields__))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, default=Path(__file__).parents[1] / "docs", help="folder of markdown files")
    parser.add_argument("--encoder", type=Path, help="folder of the model; without it nothing is measured")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors from run to run")
    arguments = parser.parse_args()
    if arguments.encoder is None:
        print(json.dumps({"benchmark": "retrieval", "skipped": "name a model by --encoder"}))
        return
    with TemporaryDirectory() as folder:
        print(json.dumps(measured(arguments.path, arguments.encoder, arguments.cache or Path(folder), Path(folder))))


def measured(path: Path, model: Path, kept: Path, scratch: Path) -> dict[str, Any]:
    documents = corpus(path)
    rows = cut(documents)
    texts, by_heading = withheld(rows, heading_questions(rows, most=MOST))
    by_link = link_questions(documents, rows, most=MOST)
    digest = sha256(model / "model.safetensors")
    encodes = MiniLM(model, digest=digest, heads=12)
    cache = Cache(kept, encodes)
    learned = [*texts, *(each for each in sentences([each.text for each in rows]) if not LINK.search(each))]
    began, cpu = time.perf_counter(), time.process_time()
    vectors = cache.vectors(learned)
    encoding, encoding_cpu = time.perf_counter() - began, time.process_time() - cpu
    began = time.perf_counter()
    table = fitted(encodes, learned, vectors, chunks=len(texts))
    fitting = time.perf_counter() - began
    found = {}
    for name, questions in (("headings", by_heading), ("links", by_link)):
        encoded = table.encode([each.text for each in questions])
        found[name] = ranks(texts, questions, vectors=vectors[: len(texts)], encoded=encoded, scratch=scratch)
    return {
        "benchmark": "retrieval",
        "documents": len(documents),
        "chunks": len(rows),
        "learned_sentences": len(learned) - len(texts),
        "all": compared(joined(*found.values())),
        **{name: compared(each) for name, each in found.items()},
        "encoded_now": cache.encoded,
        "encoding_seconds": round(encoding, 1),
        "encoding_cpu_seconds": round(encoding_cpu, 1),
        "fitting_seconds": round(fitting, 1),
        "weights": digest[:16],
        "python": platform.python_version(),
        "lancedb": version("lancedb"),
        "numpy": version("numpy"),
    }


if __name__ == "__main__":
    main()
