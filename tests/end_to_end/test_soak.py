"""The small form of `make soak`: snapshots are swapped under load, and every answer is that of the snapshot it names."""

import json
import subprocess
import sys
from pathlib import Path

from demandgraph.ports import any_free_port

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


def test_swapping_under_load_gives_no_wrong_answer(published_once: Path) -> None:
    options = ["--seconds", "5", "--connections", "8", "--every", "1", "--workers", "2", "--port", str(any_free_port())]

    done = subprocess.run([sys.executable, SOAK, *options, "--data", published_once], capture_output=True, text=True, timeout=240)

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["faults"] == {}
    assert told["snapshots"] >= 3
    assert told["heard_of"] >= 3
    assert told["not_modified"] > 0
    assert told["compressed"] > 0
