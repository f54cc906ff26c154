"""The buckets that processes share are those of one process, and a lock keeps them exact."""

import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.layers.buckets import Buckets
from serving.layers.shared_buckets import SharedBuckets

ASKS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=80)
DRAWS = """
import sys, pathlib
from serving.layers.shared_buckets import SharedBuckets
buckets = SharedBuckets(pathlib.Path(sys.argv[1]), 1, 1000)
sys.stdin.readline()
print(sum(buckets.take("one", 50.0) == 0 for _ in range(700)))
"""


@settings(deadline=None)
@given(st.floats(0.01, 1000), st.integers(1, 20), ASKS)
def test_they_give_what_the_buckets_of_one_process_give(rate: float, burst: int, asks: list[tuple[str, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        alone = Buckets(rate, burst)
        shared = [SharedBuckets(Path(folder) / "reads", rate, burst) for _ in range(2)]
        now = 100.0
        for n, (client, pause) in enumerate(asks):
            now += pause
            assert shared[n % 2].take(client, now) == alone.take(client, now)


def test_a_rate_that_is_taken_back_keeps_nobody_waiting(tmp_path: Path) -> None:
    buckets = SharedBuckets(tmp_path / "writes", 0.0001, 1)
    assert [buckets.take("a", 7.0) > 1000 for _ in range(2)] == [False, True]

    buckets.hold_by(5, 20)

    assert 0 < buckets.take("a", 7.0) <= 0.2


def test_processes_that_draw_at_once_get_the_burst_and_no_more(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRAWS, str(tmp_path / "reads")]
    drawing = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for each in drawing:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()

    assert sum(int(each.communicate()[0]) for each in drawing) == 1000


def test_of_more_clients_than_there_is_room_for_the_idle_ones_go(tmp_path: Path) -> None:
    buckets = SharedBuckets(tmp_path / "reads", 1, 2)
    for n in range(200_000):
        buckets.take(f"client {n}", float(n))

    assert [buckets.take("client 199999", 200_000.0) > 0 for _ in range(3)] == [False, False, True]
    assert (tmp_path / "reads").stat().st_size == 1 << 20
