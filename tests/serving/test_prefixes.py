"""Sums over days: the same whether they are held in memory or in a file of their own, and gone with their last holder."""

import gc
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from assets_config.contract.layout import Published
from assets_config.contract.manifest import Manifest
from pipelines.publish.snapshot import manifests
from serving.prefixes import Prefixes, shared_prefixes
from tests.serving.conftest import client_of
from tests.serving.layers.test_cache import publish_changed, serving
from tests.serving.test_snapshot import FACTS, KPIS


@pytest.fixture
def folders(published_once: Path) -> tuple[Path, list[Path]]:
    published = Published(published_once)
    parts = manifests(published)[0].parts
    return published.part(parts["kpis"].key), [published.part(parts[FACTS].key)]


def test_what_passes_the_memory_is_mapped_and_has_the_same_sums(folders: tuple[Path, list[Path]]) -> None:
    held, mapped = (Prefixes(*folders, memory=memory) for memory in (1 << 30, 0))
    some = Prefixes(*folders, memory=sum(array.nbytes for array in held.arrays.values()) - 1)

    assert held.mapped == set()
    assert mapped.mapped == set(held.arrays) == set(mapped.arrays)
    assert some.mapped == {max(held.arrays, key=lambda name: held.arrays[name].nbytes)}
    for name, array in held.arrays.items():
        np.testing.assert_array_equal(mapped.arrays[name], array)


def test_a_cell_is_the_sum_of_the_days_before(folders: tuple[Path, list[Path]]) -> None:
    prefixes = Prefixes(*folders, memory=0)
    days = np.load(folders[1][0] / "cube_store.npy")

    found = prefixes.arrays["store"]

    for day in range(days.shape[1] + 1):
        assert (found[:, day] == days[:, :day].sum(axis=1)).all()


def test_a_mapped_file_has_no_name_and_goes_with_its_snapshot(folders: tuple[Path, list[Path]]) -> None:
    def nameless() -> int:
        lines = Path("/proc/self/maps").read_text().splitlines()
        return sum(tempfile.gettempdir() in line and line.endswith("(deleted)") for line in lines)

    before = nameless()
    prefixes = Prefixes(*folders, memory=0)

    assert nameless() == before + len(prefixes.arrays)
    del prefixes
    gc.collect()
    assert nameless() == before


def test_snapshots_that_share_facts_share_their_sums(folders: tuple[Path, list[Path]]) -> None:
    assert shared_prefixes(*folders, memory=1 << 30) is shared_prefixes(*folders, memory=1 << 30)


def test_answers_are_the_same_without_any_memory_for_sums(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with client_of(root) as client:
        held = client.get(KPIS).content
    monkeypatch.setattr("serving.snapshot.shared_prefixes", lambda whole, years, memory: Prefixes(whole, years, memory=0))

    with client_of(root) as client:
        assert client.get(KPIS).content == held


def test_no_more_snapshots_stay_open_than_are_pinned(root: Path) -> None:
    def unchanged(_: Manifest) -> dict[str, object]:
        return {}

    ids = [publish_changed(root, change=unchanged).id for _ in range(8)]
    files = len(os.listdir("/proc/self/fd"))
    with serving(root) as (client, cache):
        for snapshot_id in ids:
            assert client.get(f"{KPIS}&snapshot={snapshot_id}").status_code == 200
        gc.collect()
        assert len(cache._library._opened) == 1 + 3
        assert cache._library.leases == 0
    del cache, client
    gc.collect()

    assert len(os.listdir("/proc/self/fd")) <= files + 2
