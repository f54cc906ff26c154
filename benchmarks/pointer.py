"""What does it cost to ask whether the pointer was moved? One line of JSON.

    python benchmarks/pointer.py

Time of one question [us], the median of several rounds: `turn` by the watch of the server, `pointer` by a look at the file.
"""

import json
import os
import platform
import tempfile
import timeit
from pathlib import Path
from statistics import median

from assets_config.contract.layout import Published
from assets_config.contract.pointer import TURN_BYTES
from serving.watch import Watch

ROUNDS, QUESTIONS = 9, 100_000


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        published = Published(Path(root))
        published.root.mkdir()
        published.pointer.write_bytes(b"{}")
        published.turn.write_bytes(bytes(TURN_BYTES))
        watch, pointer = Watch(published), str(published.pointer)
        watch.keep(watch.look())
        found = {"turn": us(watch.has_moved), "pointer": us(lambda: os.stat(pointer))}
    ratio = round(found["turn"] / found["pointer"], 2)
    print(json.dumps({"benchmark": "pointer", "us": found, "ratio": ratio, "python": platform.python_version()}))


def us(question) -> float:
    return round(median(timeit.repeat(question, number=QUESTIONS, repeat=ROUNDS)) / QUESTIONS * 1e6, 2)


if __name__ == "__main__":
    main()
