"""Has wrk ask questions in their order, over kept connections."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HOST, CONNECTIONS = "127.0.0.1", 16
SCRIPT = """
local questions, n = {}, 0
for line in io.lines(os.getenv("QUESTIONS")) do questions[#questions + 1] = line end
request = function()
  n = n % #questions + 1
  local method, path, body = questions[n]:match("^(%S+) (%S+) ?(.*)$")
  return wrk.format(method, path, nil, body)
end
done = function(summary, latency)
  local bad = 0
  for _, count in pairs(summary.errors) do bad = bad + count end
  local median, slow = latency:percentile(50), latency:percentile(99)
  io.write(string.format("\\n%d %d %d %d %d\\n", summary.requests, summary.duration, bad, median, slow))
end
"""


class Question(NamedTuple):
    """A question as HTTP."""

    method: str
    path: str
    body: str = ""


class Answers(NamedTuple):
    """How a server answered."""

    requests: int
    failed: int  # by an answer of 400 or above, or by none
    requests_per_s: float
    p50_ms: float
    p99_ms: float


def ask(port: int, questions: Sequence[Question], *, seconds: int, once: bool) -> Answers:
    """Ask for so long. Raises SystemExit, where each may be asked once and there are too few."""
    with tempfile.TemporaryDirectory() as folder:
        said, script = Path(folder, "questions"), Path(folder, "ask.lua")
        said.write_text("\n".join(" ".join(each) for each in questions))
        script.write_text(SCRIPT)
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"http://{HOST}:{port}"]
        done = subprocess.run(command, env={**os.environ, "QUESTIONS": str(said)}, check=True, capture_output=True, text=True)
    requests, micros, failed, median, slow = map(int, done.stdout.split()[-5:])
    if once and requests > len(questions):
        raise SystemExit(f"{requests} questions were asked in {seconds} s, and there were {len(questions)}: give fewer --seconds")
    return Answers(requests, failed, requests / micros * 1e6, median / 1000, slow / 1000)
