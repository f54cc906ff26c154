"""Ask a real server odd questions by its own document: `make fuzz` asks thousands, a test some.

Schemathesis makes the questions, and holds each answer to the document: no server error, no status or body that it does not tell,
nothing accepted that it forbids, nothing refused that it allows.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from demandgraph.ports import any_free_port
from tests.conftest import MODELS, SOURCES, make_demo
from tests.serving.conftest import KEY

COMMAND = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The url of a real server over a data root, with no Dagster: what starts jobs answers 503."""
    port = any_free_port()
    environment = {
        **os.environ,
        "DEMANDGRAPH_DATA": str(root),
        "DEMANDGRAPH_DAGSTER_URL": "http://127.0.0.1:9",
        "DEMANDGRAPH_API_KEYS": f"fuzz:admin:{KEY}",
        "DEMANDGRAPH_READ_RATE": "0",
        "DEMANDGRAPH_WRITE_RATE": "0",
    }
    command = [sys.executable, "-m", "serving", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 60
            while not _is_ready(url):
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)
            # The first search loads a library, for which schemathesis would not wait where other processes are busy.
            httpx.post(f"{url}/api/v1/rag/retrieve", json={"query": "sales"}, headers={"X-API-Key": KEY}, timeout=60)
            yield url
        finally:
            process.terminate()


def ask(url: str, *, phases: str, examples: int, seed: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run schemathesis in a folder of its own; its exit status is 0 where nothing was found."""
    options = [
        "--header",
        f"X-API-Key: {KEY}",
        "--phases",
        phases,
        "--max-examples",
        str(examples),
        "--seed",
        str(seed),
        "--checks",
        "all",
        "--no-color",
    ]
    options += ["--generation-database", "none", "--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off"]
    command = [COMMAND, "--config-file", CONFIG, "run", f"{url}/openapi.json", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=60, help="questions for each operation and phase (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "sources.yaml").write_text(SOURCES)
        (folder / "models.yaml").write_text(MODELS)
        make_demo(folder / "data", folder)
        with serving(folder / "data") as url:
            said = ask(url, phases=options.phases, examples=options.examples, seed=options.seed, folder=folder)
    print(said.stdout, said.stderr)
    return said.returncode


if __name__ == "__main__":
    sys.exit(main())
