"""What the container files install, copy and start: read, and carried out as far as can be done without a container."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from demandgraph.cli import parser
from demandgraph.ports import any_free_port
from tests.test_packaging import HEAVY, ROOT

FILES = {extra: ROOT / f"containers/{extra}.Dockerfile" for extra in ("serving", "pipelines")}


def instructions(extra: str) -> list[tuple[str, str]]:
    lines = FILES[extra].read_text().replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line and not line.startswith("#"))]


def copied(extra: str) -> list[str]:
    """What is copied from the checkout."""
    found = [shlex.split(rest)[:-1] for word, rest in instructions(extra) if word == "COPY" and "--from" not in rest]
    return [name for names in found for name in names]


def install(extra: str) -> list[str]:
    [line] = [rest for word, rest in instructions(extra) if word == "RUN" and "pip install" in rest]
    return shlex.split(line.partition("&&")[2])


@pytest.mark.parametrize("extra", FILES)
def test_exactly_one_extra_is_installed_at_the_pinned_versions(extra: str) -> None:
    assert install(extra) == ["/app/bin/pip", "install", "--no-cache-dir", "-c", "constraints.txt", f".[{extra}]"]
    assert FILES[extra].read_text().count("pip install") == 1


@pytest.mark.parametrize("extra", FILES)
def test_each_side_has_its_own_code_and_what_both_share(extra: str) -> None:
    names = copied(extra)
    packages = {name for name in names if (ROOT / name).is_dir()}

    assert packages == {"assets_config", "demandgraph", extra} | ({"docs"} if extra == "pipelines" else set())
    assert all((ROOT / name).exists() for name in names)


@pytest.mark.parametrize("extra", FILES)
def test_nothing_runs_as_root_and_what_is_started_exists(extra: str) -> None:
    said = instructions(extra)
    words = [word for word, _ in said]
    [command] = [json.loads(rest) for word, rest in said if word == "CMD"]
    [start] = [json.loads(rest) for word, rest in said if word == "ENTRYPOINT"]

    assert words.index("USER") < words.index("ENTRYPOINT")
    assert dict(said)["USER"] != "root"
    assert start == ["/app/bin/demandgraph"]
    assert parser().parse_args(command).command == command[0]


@pytest.mark.parametrize("extra", FILES)
def test_bases_have_a_version_that_is_tested(extra: str) -> None:
    bases = [rest.split()[0] for word, rest in instructions(extra) if word == "FROM"]

    assert set(bases) == {"python:3.12-slim"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the serving file makes of what it copies: an environment with that installed, at the pinned versions."""
    source, app = tmp_path_factory.mktemp("src"), tmp_path_factory.mktemp("image") / "app"
    for name in copied("serving"):
        take = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        take(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "venv", app], check=True)
    command = [word.replace("/app/", f"{app}/") for word in install("serving") if word != "--no-cache-dir"]
    subprocess.run([*command, "-q", "--no-compile", "--disable-pip-version-check"], cwd=source, check=True, capture_output=True)
    return app


@pytest.mark.network
@pytest.mark.timeout(600)
def test_what_the_serving_file_copies_installs_without_ml_and_answers(app: Path, root: Path, tmp_path: Path) -> None:
    listed = subprocess.run([app / "bin/pip", "list", "--format=json"], capture_output=True, check=True, text=True).stdout
    port = any_free_port()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"DEMANDGRAPH_DATA": str(root)}

    with subprocess.Popen([app / "bin/demandgraph", "serve", "--port", str(port)], cwd=tmp_path, env=environment) as process:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    with urlopen(f"http://127.0.0.1:{port}/health") as answer:
                        health = json.load(answer)
                    break
                except URLError:
                    time.sleep(0.2)
        finally:
            process.terminate()

    assert not {each["name"].lower() for each in json.loads(listed)} & HEAVY
    assert health["status"] == "ok"
    assert health["ml_dependencies"]["violations"] == []


@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_wheel_needs_no_more_for_serving_and_doctor_is_content(app: Path, wheel: Path, tmp_path: Path) -> None:
    """Without an index: all that the extra asks for is there, though the wheel has the pipelines too."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pip = [app / "bin/python", "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "uninstall", "-q", "-y", "demandgraph"], check=True, capture_output=True)
    subprocess.run([*pip, "install", "-q", "--no-index", f"{wheel}[serving]"], check=True, capture_output=True)

    subprocess.run([app / "bin/python", "-c", "import serving.app"], cwd=tmp_path, env=environment, check=True, timeout=60)
    doctor = subprocess.run(
        [app / "bin/demandgraph", "doctor"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )

    assert doctor.returncode == 0, doctor.stdout
    assert "[pipelines]" in doctor.stdout
