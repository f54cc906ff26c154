"""What does a search in the knowledge base take, inside the process? One line of JSON.

    python benchmarks/search.py                       4,000 passages made of the words of the project's pages
    python benchmarks/search.py --passages 20000      more of them

Passages, vectors and the table for questions are random, of the sizes that a small BERT gives (384 dimensions, 30,522 pieces):
time does not depend on what they mean. Questions are sentences of the pages. `first_s` is of a fresh process, from its first line
to the end of its first search: it loads the library and the index.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

DIMENSIONS, PIECES, WORDS, QUESTIONS = 384, 30_522, 110, 1_000
OPEN = """
import time
began = time.perf_counter()
import sys
from pathlib import Path
from benchmarks.search import opened
from serving.knowledge import Wanted
base = opened(Path(sys.argv[1]))
assert base.search("how do I roll back to an earlier snapshot", Wanted("hybrid", 5))
print(time.perf_counter() - began, time.process_time())
"""


def write(folder: Path, passages: int) -> list[str]:
    """An index of random passages as it is published; gives the questions."""
    import msgspec

    from assets_config.contract.knowledge import Index, RagChunk, RagSource
    from pipelines.knowledge.corpus import write_table
    from pipelines.knowledge.documents import project_documents, project_files
    from pipelines.knowledge.fulltext import write_fulltext
    from pipelines.knowledge.query_table import QueryTable, sentences, vocabulary_of

    rng = np.random.default_rng(7)
    pages = [each.content for each in project_documents(project_files()) if each.kind == "markdown"]
    words = " ".join(pages).split()
    texts = [" ".join(words[n] for n in rng.integers(0, len(words), WORDS)) for _ in range(passages)]
    known = vocabulary_of(pages)
    vocabulary = [*known, *(f"[unused{n}]" for n in range(PIECES - len(known)))]
    vectors = rng.normal(size=(passages, DIMENSIONS)).astype(np.float32)
    rows = rng.integers(-127, 128, (PIECES, DIMENSIONS)).astype(np.int8)
    write_fulltext(folder, texts)
    write_table(folder, QueryTable(vocabulary, rows, np.ones(PIECES, np.float32), np.ones(PIECES, np.float32)))
    np.save(folder / "vectors.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    said = Index("hybrid", "", "random", DIMENSIONS, passages, {})
    (folder / "index.json").write_bytes(msgspec.json.encode(said))
    source = RagSource("0" * 16, "a.md", "markdown", "project", "A", "[]", "", 0, passages, datetime(2026, 1, 1), "", 1)
    chunks = [RagChunk(n, f"{n:016x}", source.source_id, n, "[]", text, 1, 1, "", None, None) for n, text in enumerate(texts)]
    (folder / "sources.json").write_bytes(msgspec.json.encode([source]))
    (folder / "chunks.json").write_bytes(msgspec.json.encode(chunks))
    asked = sentences(pages)
    return [asked[n] for n in rng.integers(0, len(asked), QUESTIONS)]


def opened(folder: Path) -> Any:
    import msgspec

    from assets_config.contract.knowledge import RagChunk, RagSource
    from serving.knowledge import Knowledge

    sources = msgspec.json.decode((folder / "sources.json").read_bytes(), type=list[RagSource])
    return Knowledge(folder, sources, msgspec.json.decode((folder / "chunks.json").read_bytes(), type=list[RagChunk]))


def timed(base: Any, questions: list[str], mode: str) -> dict[str, float]:
    from serving.knowledge import Wanted

    wanted, took, spent = Wanted(mode, 5), [], []  # type: ignore[arg-type]
    for question in questions:
        began, cpu = time.perf_counter(), time.process_time()
        base.search(question, wanted)
        spent.append((time.process_time() - cpu) * 1e3)
        took.append((time.perf_counter() - began) * 1e3)
    wall, used = statistics.quantiles(took, n=100), statistics.quantiles(spent, n=100)
    named = {"p50_ms": wall[49], "p99_ms": wall[98], "cpu_p50_ms": used[49], "cpu_p99_ms": used[98]}
    return {name: round(value, 2) for name, value in named.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=4_000, help="passages of the index")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        questions = write(folder, arguments.passages)
        written = time.perf_counter() - began
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-c", OPEN, name]
        said = [subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout for _ in range(3)]
        first, first_cpu = zip(*(map(float, each.split()) for each in said), strict=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        base = opened(folder)
        timed(base, questions[:100], "hybrid")
        result = {
            "benchmark": "search",
            "passages": arguments.passages,
            **{mode: timed(base, questions, mode) for mode in ("keyword", "semantic", "hybrid")},
            "first_s": round(statistics.median(first), 2),
            "first_cpu_s": round(statistics.median(first_cpu), 2),
            "write_s": round(written, 2),
            "peak_mb_before": before >> 10,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "python": platform.python_version(),
            "lancedb": version("lancedb"),
            "numpy": version("numpy"),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
