"""How long until a job starts, and until what it made is served? One line of JSON.

    python benchmarks/jobs.py                    20 jobs, a forked process a run, as `demandgraph up` is set up at first
    python benchmarks/jobs.py --repeats 5 --only warm

Each job makes one small asset and publishes. `started_s` is from the POST to the start of its Dagster run, `published_s` from the
POST to the first answer of the API that names the new snapshot; medians and the slowest. `warm` is the same graph and the same
command with another dagster.yaml: Dagster on PostgreSQL, runs on a Celery worker that has run one before (docs/jobs.md); it needs
`redis-server`, `initdb` and `postgres` on the PATH and the extra `celery`, and is left out where these are missing.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import yaml
from _up import Up, environment_of, make_root, running

from demandgraph.home import Home

SMALL = {"assets": ["forecasts/model_type", "publish/snapshot"]}
NEEDED = ("redis-server", "initdb", "postgres")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--port", type=int, default=18650)
    parser.add_argument("--only", choices=["fresh", "warm"])
    arguments = parser.parse_args()
    said: dict[str, object] = {"benchmark": "jobs", "repeats": arguments.repeats}
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").exists() else None) as folder:
        root = Path(folder)
        make_root(root)
        if arguments.only != "warm":
            with running(root, arguments.port) as up:
                said["fresh"] = timed(up, arguments.repeats)
        if arguments.only != "fresh":
            missing = [name for name in NEEDED if shutil.which(name) is None] + ["dagster-celery"] * (
                find_spec("dagster_celery") is None
            )
            if missing:
                said["warm"] = f"left out: {', '.join(missing)} not there"
            else:
                said["warm"] = warm(root, arguments.port, arguments.repeats)
    packages = {name: version(name) for name in ("dagster", "litestar", "granian")}
    said |= {"load": os.getloadavg()[0], "cores": os.cpu_count(), "python": platform.python_version(), **packages}
    print(json.dumps(said))


def timed(up: Up, repeats: int) -> dict[str, float]:
    """Seconds from the POST to STARTED and to the published snapshot, one job after the other."""
    started, published = [], []
    for n in range(repeats + 1):
        before, began = up.snapshot(), time.time()
        answer = up.post("materialize", SMALL)
        assert answer.status_code == 202, answer.text
        while up.snapshot() == before:
            time.sleep(0.05)
            assert time.time() - began < 120, "no snapshot was published within two minutes"
        served = time.time() - began
        job = up.ended(answer.json()["job_id"])
        assert job["status"] == "completed", job
        if n:  # the first warms caches and workers
            started.append(datetime.fromisoformat(job["started_at"]).timestamp() - began)
            published.append(served)
    return {
        "started_s": round(median(started), 2),
        "started_slowest_s": round(max(started), 2),
        "published_s": round(median(published), 2),
        "published_slowest_s": round(max(published), 2),
    }


def warm(root: Path, port: int, repeats: int) -> dict[str, float]:
    """The same over Dagster on PostgreSQL with a Celery worker: another dagster.yaml, and the worker's process."""
    broker, database = port + 3, port + 4
    home = Home(root / "data")
    shutil.rmtree(home.folder, ignore_errors=True)
    home.make()
    with redis(root, broker) as url, postgres(root, database) as storage:
        settings = yaml.safe_load(home.instance.read_text())
        settings["storage"] = {"postgres": {"postgres_url": storage}}
        settings["run_launcher"] = {
            "module": "dagster_celery.launcher",
            "class": "CeleryRunLauncher",
            "config": {"broker": url, "backend": url, "default_queue": "dagster"},
        }
        home.instance.write_text(yaml.safe_dump(settings))
        with running(root, port) as up, worker(root, url):
            return timed(up, repeats)


@contextmanager
def worker(root: Path, url: str) -> Iterator[None]:
    config = root / "celery.yaml"
    config.write_text(yaml.safe_dump({"execution": {"config": {"broker": url, "backend": url}}}))
    command = [
        str(Path(sys.executable).with_name("dagster-celery")),
        "worker",
        "start",
        "-A",
        "dagster_celery.app",
        "-y",
        str(config),
    ]
    command += ["--", "--concurrency", "1"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with started(command, root / "worker.log", env=environment_of(root, PATH=path)):
        yield


@contextmanager
def redis(root: Path, port: int) -> Iterator[str]:
    folder = root / "redis"
    folder.mkdir()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with started(command, root / "redis.log"):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgres(root: Path, port: int) -> Iterator[str]:
    """A cluster of its own; initdb refuses to run as root, so that root runs it as `postgres`."""
    folder = root / "postgres"
    as_user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []
    folder.mkdir()
    if as_user:
        root.chmod(0o755)
        shutil.chown(folder, "postgres", "postgres")
    subprocess.run([*as_user, "initdb", "-D", folder, "-U", "dagster", "--auth=trust"], check=True, stdout=subprocess.DEVNULL)
    command = [*as_user, "postgres", "-D", str(folder), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
    with started(command, root / "postgres.log"):
        yield f"postgresql+psycopg2://dagster@127.0.0.1:{port}/postgres"


@contextmanager
def started(command: list[str], log: Path, *, env: dict[str, str] | None = None) -> Iterator[None]:
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, env=env) as process,
    ):
        time.sleep(2)
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            yield
        finally:
            os.killpg(process.pid, 15)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)


if __name__ == "__main__":
    main()
