"""Which snapshot is served while snapshots come, go and break."""

import json
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from assets_config.contract.layout import Published
from pipelines.publish.snapshot import manifests, rollback
from tests.serving.conftest import client_of, publish_sold, publish_tiny

KPIS = "/api/v1/analytics/kpis?start_date=2024-10-01&end_date=2024-10-31"
FACTS = "facts_2024"
DOUBLED = pl.col("units") * 2
BREAK = {
    "missing": lambda path: path.unlink(),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "altered": lambda path: path.write_bytes(path.read_bytes()[:-10] + b"0123456789"),
}


def part_file(root: Path, part: str, name: str) -> Path:
    published = Published(root)
    return published.part(manifests(published)[0].parts[part].key) / name


def test_the_next_request_sees_a_new_snapshot(root: Path) -> None:
    with client_of(root) as client:
        before = client.get(KPIS).json()
        manifest = publish_sold(root, DOUBLED)
        after = client.get(KPIS).json()

    assert after["metadata"]["snapshot_id"] == manifest.id
    assert after["metrics"]["total_units"] == 2 * before["metrics"]["total_units"]


def test_a_pin_gives_the_old_answer_bit_for_bit(root: Path) -> None:
    with client_of(root) as client:
        before = client.get(KPIS)
        publish_sold(root, DOUBLED)
        pinned = client.get(f"{KPIS}&snapshot={before.json()['metadata']['snapshot_id']}")

    assert pinned.content == before.content


def test_rollback_serves_the_earlier_snapshot(root: Path) -> None:
    published = Published(root)
    first = manifests(published)[0].id
    publish_sold(root, DOUBLED)

    rollback(published, first)

    with client_of(root) as client:
        assert client.get(KPIS).json()["metadata"]["snapshot_id"] == first


def test_swapping_under_load_fails_no_request_and_mixes_nothing(root: Path) -> None:
    expected = {manifests(Published(root))[0].id: 1}
    failures, answers = [], []
    stop = threading.Event()
    with client_of(root) as client:
        one = client.get(KPIS).json()["metrics"]["total_units"]

        def ask() -> None:
            while not stop.is_set():
                answer = client.get(KPIS)
                if answer.status_code != 200:
                    failures.append(answer.text)
                    return
                body = answer.json()
                answers.append((body["metadata"]["snapshot_id"], body["metrics"]["total_units"]))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for scale in (2, 4, 8, 16):
            expected[publish_sold(root, DOUBLED).id] = scale
        stop.set()
        for thread in threads:
            thread.join()

    assert failures == []
    assert all(units == one * expected[snapshot_id] for snapshot_id, units in answers)
    assert len({snapshot_id for snapshot_id, _ in answers}) > 1


@pytest.mark.parametrize("damage", sorted(BREAK))
@pytest.mark.parametrize(("part", "name"), [(FACTS, "tables.duckdb"), (FACTS, "cube_store.npy"), ("kpis", "cubes.json")])
def test_a_damaged_part_leaves_the_last_good_snapshot(damage: str, part: str, name: str, root: Path) -> None:
    with client_of(root) as client:
        good = client.get(KPIS).json()
        publish_tiny(root, scale=2)
        BREAK[damage](part_file(root, part, name))

        served = client.get(KPIS).json()
        health = client.get("/health").json()

    assert served["metrics"] == good["metrics"]
    assert served["metadata"]["stale"] is True
    assert health["status"] == "degraded"
    assert name in health["problem"]


@pytest.mark.parametrize("damage", sorted(BREAK))
def test_a_cold_start_falls_back_to_the_newest_whole_snapshot(damage: str, root: Path) -> None:
    first = manifests(Published(root))[0].id
    publish_sold(root, DOUBLED)
    BREAK[damage](part_file(root, FACTS, "tables.duckdb"))

    with client_of(root) as client:
        body = client.get(KPIS).json()

    assert body["metadata"]["snapshot_id"] == first
    assert body["metadata"]["stale"] is True


@pytest.mark.parametrize("damage", sorted(BREAK))
def test_nothing_whole_is_a_clear_503(damage: str, root: Path) -> None:
    BREAK[damage](part_file(root, FACTS, "tables.duckdb"))

    with client_of(root) as client:
        answer = client.get(KPIS)

        assert answer.status_code == 503
        assert answer.json()["code"] == "NO_SNAPSHOT"
        assert "tables.duckdb" in answer.json()["detail"]
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("content", [b"", b"{", b'{"snapshot": "../../etc/passwd", "published_at": "2024-01-01T00:00:00Z"}'])
def test_a_torn_pointer_leaves_the_last_good_snapshot(content: bytes, root: Path) -> None:
    Published(root).pointer.write_bytes(content)

    with client_of(root) as client:
        assert client.get(KPIS).json()["metadata"]["stale"] is True


def test_an_empty_root_is_a_503_until_something_is_published(tmp_path: Path, published_once: Path) -> None:
    with client_of(tmp_path) as client:
        assert client.get(KPIS).status_code == 503

        shutil.copytree(published_once / "published", tmp_path / "published")

        assert client.get(KPIS).status_code == 200


def test_tables_altered_while_served_are_never_a_wrong_number(root: Path) -> None:
    with client_of(root) as client:
        first = client.get("/livez")
        path = part_file(root, FACTS, "tables.duckdb")
        undeclared = f"{KPIS}&product_id=SKU-0001&store_id=S001"
        client.get("/readyz")  # opens the snapshot, reads no fact yet
        content = bytearray(path.read_bytes())
        for place in range(12_288, len(content), 1000):
            content[place] ^= 0xFF
        path.write_bytes(bytes(content))

        answer = client.get(undeclared)

    assert first.status_code == 200
    assert answer.status_code == 500
    assert answer.json()["code"] == "DATABASE"


def test_an_unknown_pin_is_not_found_and_an_expired_one_gone(root: Path) -> None:
    published = Published(root)
    published.expired.mkdir(exist_ok=True)
    (published.expired / "20200101T000000Z-00000000.json").write_text("{}")

    with client_of(root) as client:
        statuses = [
            client.get(f"{KPIS}&snapshot={pin}").status_code
            for pin in ("20200102T000000Z-00000000", "20200101T000000Z-00000000", "../../current")
        ]

    assert statuses == [404, 410, 404]


def test_serving_loads_no_ml_package(root: Path) -> None:
    program = textwrap.dedent(
        """
        import json, sys
        from pathlib import Path
        from litestar.testing import TestClient
        from serving.app import create_asgi
        from serving.settings import Settings

        with TestClient(create_asgi(Settings(data=Path(sys.argv[1]))), base_url="http://127.0.0.1") as client:
            for path in sys.argv[2:]:
                assert client.get(path).status_code == 200, path
        heavy = ("torch", "tensorflow", "sklearn", "xgboost", "statsmodels", "mlflow", "onnxruntime", "scipy",
                 "dagster", "polars", "pandas", "pyarrow", "pipelines")
        print(json.dumps([name for name in heavy if name in sys.modules]))
        """
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(root), "/health", KPIS, "/api/v1/dimensions/stores", "/openapi.json"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == []


def test_a_mended_part_is_served_again_without_a_restart(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.library.RETRY_AFTER", 0.0)
    with client_of(root) as client:
        client.get(KPIS)
        manifest = publish_sold(root, DOUBLED)
        path = part_file(root, FACTS, "tables.duckdb")
        content = path.read_bytes()
        path.write_bytes(b"")
        assert client.get(KPIS).json()["metadata"]["stale"] is True

        path.write_bytes(content)

        deadline = time.monotonic() + 60
        while (seen := client.get(KPIS).json()["metadata"])["stale"] and time.monotonic() < deadline:
            time.sleep(0.01)

    assert seen["snapshot_id"] == manifest.id
    assert seen["stale"] is False
