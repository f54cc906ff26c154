"""What a user installs: the closure of each extra, the pins, and a wheel that works away from the checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
HEAVY = {
    *("torch", "tensorflow", "keras", "jax", "scikit-learn", "xgboost", "xgboost-cpu", "lightgbm", "catboost"),
    *("statsmodels", "prophet", "mlflow", "onnxruntime", "scipy", "pandas", "polars", "dagster", "dagster-duckdb"),
}
"""Nothing that trains, infers or orchestrates belongs into the serving process."""


def closure(name: str, extra: str) -> set[str]:
    """Every distribution that installing `name[extra]` brings, from the metadata of what is installed here."""
    found: set[tuple[str, str]] = set()
    waiting = [(name, extra), (name, "")]
    while waiting:
        each = waiting.pop()
        if each in found:
            continue
        found.add(each)
        for line in requires(each[0]) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": each[1]}):
                wanted = canonicalize_name(requirement.name)
                waiting += [(wanted, asked) for asked in ("", *requirement.extras)]
    return {distribution for distribution, _ in found}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in lines if line and not line.startswith("#"))
    }


def test_serving_needs_no_ml_package() -> None:
    brought = closure("demandgraph", "serving")

    assert {"litestar", "duckdb", "msgspec"} <= brought
    assert not brought & HEAVY


def test_pipelines_take_the_small_build_of_xgboost() -> None:
    brought = closure("demandgraph", "pipelines")

    assert "xgboost-cpu" in brought
    assert not {name for name in brought if name.startswith("nvidia-")}


@pytest.mark.parametrize("extra", ["pipelines", "serving", "otel", "dev"])
def test_every_package_is_pinned(extra: str) -> None:
    missing = closure("demandgraph", extra) - set(pins()) - {"demandgraph"}

    assert not missing, f"constraints.txt has no pin for {', '.join(sorted(missing))}: run `make constraints`"


def test_pins_are_versions_and_name_no_address() -> None:
    text = (ROOT / "constraints.txt").read_text()

    assert not re.search(r"://|^-|@|--hash", text, re.MULTILINE)
    assert all(re.fullmatch(r"[0-9][0-9A-Za-z.]*", version) for version in pins().values())


def build_wheel(folder: Path) -> None:
    """A wheel of the four packages in dist/, built from a copy so that the checkout stays as it is."""
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("assets_config", "pipelines", "serving", "demandgraph"):
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    shutil.copytree(ROOT / "docs", folder / "docs")
    (folder / "tests/serving").mkdir(parents=True)
    for file in ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "tests/serving/openapi.json"):
        shutil.copy(ROOT / file, folder / file)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run(command, cwd=folder, check=True, timeout=120)


def test_the_wheel_holds_code_and_data(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())

    tracked = {
        path.relative_to(ROOT).as_posix()
        for package in ("assets_config", "pipelines", "serving", "demandgraph")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert tracked - packed == set(), "add the kind of file to [tool.setuptools.package-data]"


def test_the_wheel_holds_what_the_knowledge_base_is_made_of(wheel: Path) -> None:
    packed = {name.partition(".data/data/share/demandgraph/")[2] for name in zipfile.ZipFile(wheel).namelist()}

    pages = {path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]}
    assert pages | {"openapi.json"} <= packed


def test_declarations_are_read_and_overlaid_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    unpacked, overlay = tmp_path / "unpacked", tmp_path / "mine"
    zipfile.ZipFile(wheel).extractall(unpacked)
    overlay.mkdir()
    tables = "{sales-daily: {file: s.csv}}"
    (overlay / "sources.yaml").write_text(f"sources:\n  - {{name: mine, kind: files, about: ours, tables: {tables}}}\n")
    script = (
        "import assets_config.declared as d, os, pathlib;"
        "print(d.__file__, *d.load_declarations(pathlib.Path(os.environ['DEMANDGRAPH_CONFIG'])).sources)"
    )
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "DEMANDGRAPH_CONFIG": str(overlay)}

    said = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout

    file, *names = said.split()
    assert Path(file).is_relative_to(unpacked)
    assert {"demo_minimal", "mine"} <= set(names)
