"""How long does an agent take to answer, beside a job that would have to start first? One line of JSON.

    python benchmarks/agents.py [--repeats 5]    makes a small chain and starts all processes over it

`calls_ms` is what understanding a message and its calls took, `answered_ms` until the answer was there, with the launch of the job
that writes it down, and `written_s` until that job was completed: what a client would wait for where the job itself answered.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

from _up import Up, make_root, running

MESSAGES = (
    "How are we doing?",
    "Revenue of S001 last month compared with last year?",
    "Top 3 products by units in Q4",
    "Forecast of SKU-0001 in S001 for the next 7 days",
    "Stock of SKU-0001",
    "Which model is best?",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--port", type=int, default=18650)
    arguments = parser.parse_args()
    said: dict[str, object] = {"benchmark": "agents", "messages": len(MESSAGES), "repeats": arguments.repeats}
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").exists() else None) as folder:
        make_root(Path(folder))
        with running(Path(folder), arguments.port) as up:
            said |= timed(up, arguments.repeats)
    packages = {name: version(name) for name in ("dagster", "litestar", "granian")}
    said |= {"load": os.getloadavg()[0], "cores": os.cpu_count(), "python": platform.python_version(), **packages}
    print(json.dumps(said))


def timed(up: Up, repeats: int) -> dict[str, float]:
    """Medians over all messages, one after the other; the first round warms caches."""
    opened = up.client.post("/api/v1/agents/sessions", json={}).json()
    assert up.ended(opened["session_id"])["status"] == "completed", opened
    calls, answered, written = list[float](), list[float](), list[float]()
    for n in range(repeats + 1):
        for message in MESSAGES:
            began = time.monotonic()
            answer = up.client.post(f"/api/v1/agents/sessions/{opened['session_id']}/chat", json={"message": message})
            took = time.monotonic() - began
            assert answer.status_code == 202, answer.text
            [call] = answer.json()["tool_calls"]
            assert call["status"] == "answered", call
            assert up.ended(answer.json()["job"]["job_id"], every=0.05)["status"] == "completed"
            if n:
                calls.append(call["duration_ms"])
                answered.append(took * 1000)
                written.append(time.monotonic() - began)
    return {"calls_ms": round(median(calls), 1), "answered_ms": round(median(answered)), "written_s": round(median(written), 2)}


if __name__ == "__main__":
    main()
