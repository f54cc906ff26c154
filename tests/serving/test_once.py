"""Idempotency keys: of all that come with one, one launches."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from serving.orchestrator import once
from serving.orchestrator.once import Once
from serving.problems import Conflict, OrchestratorUnavailable


class Launches:
    """Counts launches, as Dagster would be asked for them."""

    def __init__(self, *, seconds: float = 0.0, fault: Exception | None = None) -> None:
        self.count, self._seconds, self._fault = 0, seconds, fault
        self.known: str | None = None

    async def launch(self) -> str:
        self.count += 1
        await asyncio.sleep(self._seconds)
        if self._fault is not None:
            raise self._fault
        return f"run-{self.count}"

    async def launched(self) -> str | None:
        return self.known


def files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name != ".lock"]


def test_of_many_at_once_one_launches(tmp_path: Path) -> None:
    said = Launches(seconds=0.2)

    async def all_at_once() -> list[str]:
        workers = [Once(tmp_path) for _ in range(8)]  # as processes that share nothing but the folder
        return await asyncio.gather(*(each.run("k", "body", said.launch, said.launched) for each in workers))

    assert set(asyncio.run(all_at_once())) == {"run-1"}
    assert said.count == 1
    assert len(files(tmp_path)) == 1


def test_another_body_is_a_conflict_and_launches_nothing(tmp_path: Path) -> None:
    said, keys = Launches(), Once(tmp_path)
    asyncio.run(keys.run("k", "body", said.launch, said.launched))

    with pytest.raises(Conflict):
        asyncio.run(keys.run("k", "other", said.launch, said.launched))

    assert said.count == 1
    assert keys.is_known("k", "body")
    assert not keys.is_known("k", "other")


def test_a_launch_that_fails_leaves_the_key_free(tmp_path: Path) -> None:
    keys, bad, good = Once(tmp_path), Launches(fault=OrchestratorUnavailable("away")), Launches()

    with pytest.raises(OrchestratorUnavailable):
        asyncio.run(keys.run("k", "body", bad.launch, bad.launched))

    assert asyncio.run(keys.run("k", "body", good.launch, good.launched)) == "run-1"


@pytest.mark.parametrize(("found", "run", "launches"), [("run-of-the-dead", "run-of-the-dead", 0), (None, "run-1", 1)])
def test_a_key_whose_worker_was_killed_is_taken_over_once(tmp_path: Path, found: str | None, run: str, launches: int) -> None:
    keys, said = Once(tmp_path), Launches(seconds=0.1)
    said.known = found
    asyncio.run(keys.run("k", "body", said.launch, said.launched))
    [path] = files(tmp_path)
    dead = {**json.loads(path.read_text()), "run": None, "pid": 2**22 + 1}
    path.write_text(json.dumps(dead))
    os.utime(path, (time.time() - once.SETTLED - 1,) * 2)
    said.count = 0

    async def two() -> list[str]:
        return await asyncio.gather(*(Once(tmp_path).run("k", "body", said.launch, said.launched) for _ in range(2)))

    assert asyncio.run(two()) == [run, run]
    assert said.count == launches


def test_a_claim_of_a_living_worker_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "PATIENCE", 0.3)
    keys, said = Once(tmp_path), Launches()
    asyncio.run(keys.run("k", "body", said.launch, said.launched))
    [path] = files(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "run": None}))

    with pytest.raises(OrchestratorUnavailable):
        asyncio.run(keys.run("k", "body", said.launch, said.launched))

    assert said.count == 1


def test_a_key_is_free_again_after_a_day(tmp_path: Path) -> None:
    keys, said = Once(tmp_path), Launches()
    asyncio.run(keys.run("k", "body", said.launch, said.launched))
    [path] = files(tmp_path)
    os.utime(path, (time.time() - once.KEEP - 1,) * 2)

    assert not keys.is_known("k", "body")
    assert asyncio.run(keys.run("k", "other", said.launch, said.launched)) == "run-2"
