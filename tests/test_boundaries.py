"""House rules on imports: who may know whom. Each rule is data and a short walk over the syntax trees."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from assets_config.contract.names import STAGES

ROOT = Path(__file__).parents[1]
OURS = ("assets_config", "pipelines", "serving", "demandgraph")
EVERYWHERE = {"msgspec"}

MAY_IMPORT: dict[str, set[str]] = {
    "assets_config/contract": {"assets_config.contract"},
    "assets_config": {"assets_config", "dotenv", "yaml"},
    "pipelines": {
        *("assets_config", "pipelines", "dagster", "dagster_duckdb", "duckdb", "numba", "numpy", "polars", "pyarrow"),
        *("rich", "scipy", "statsmodels", "xgboost", "yaml"),
        *("httpx", "lancedb", "markdown_it", "threadpoolctl"),
        "pydantic",  # Dagster's config classes are described with its Field
    },
    "serving": {
        *("assets_config", "serving", "duckdb", "granian", "httpx", "litestar", "nanoarrow", "numpy", "swagger_ui_bundle"),
        *("opentelemetry", "prometheus_client"),
        "lancedb",
    },
    "demandgraph": {"assets_config", "demandgraph", "rich", "yaml"},
}
"""Beside the standard library and msgspec. The first folder that holds a file decides."""

ROOMS: dict[str, tuple[str, ...]] = {
    "forecasts": ("champions", "explanations", "registry", "accuracy"),
    "planning": ("clusters", "inventory", "season", "scenarios", "alerts", "notifications", "sessions"),
    "publish": ("workspaces",),
}
"""The folders of a stage that have assets of their own, in the order in which data flows."""

MAY_READ_ENVIRONMENT = (
    "pipelines/resources.py",
    "serving/settings.py",
    "demandgraph/",
    "pipelines/models/__init__.py",  # says to OpenMP how to wait, by the only way that there is
)
UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec"}


class Import(NamedTuple):
    """One imported module with the line that imports it."""

    file: str
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"

    @property
    def top(self) -> str:
        return self.module.split(".")[0]


@cache
def sources(root: Path) -> list[tuple[str, ast.AST]]:
    paths = [path for package in OURS for path in sorted((root / package).rglob("*.py"))]
    return [(path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def imports(root: Path) -> Iterator[Import]:
    for file, tree in sources(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (Import(file, node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level:
                yield Import(file, node.lineno, "." * node.level)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from (Import(file, node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def imports_are_absolute(root: Path) -> Iterator[str]:
    for each in imports(root):
        if each.module.startswith("."):
            yield f"{each} relatively: write the whole name, so that a search finds it"


def packages_import_what_they_may(root: Path) -> Iterator[str]:
    for each in imports(root):
        folder = next(folder for folder in MAY_IMPORT if each.file.startswith(f"{folder}/"))
        allowed = MAY_IMPORT[folder] | EVERYWHERE
        if each.top in sys.stdlib_module_names or each.module.startswith("."):
            continue
        if not any(each.module == name or each.module.startswith(f"{name}.") for name in allowed):
            yield (
                f"{each}; {folder}/ may import {', '.join(sorted(allowed))}. "
                "What both sides need goes into assets_config/contract; a new dependency into pyproject.toml and here"
            )


def only_assets_know_dagster(root: Path) -> Iterator[str]:
    for each in imports(root):
        package, stage, *rest = each.file.split("/")
        if package == "pipelines" and stage in STAGES and rest[-1:] != ["assets.py"] and each.top.startswith("dagster"):
            folder = "/".join([stage, *rest[:-1]])
            yield f"{each}: move what knows Dagster to pipelines/{folder}/assets.py"


def stages_import_upstream_only(root: Path) -> Iterator[str]:
    for each in imports(root):
        _, stage, *_ = each.file.split("/")
        if each.top != "pipelines" or stage not in STAGES:
            continue
        imported = each.module.split(".")[1]
        if imported in STAGES and STAGES.index(imported) > STAGES.index(stage):
            yield (f"{each}: {imported} comes after {stage}. Read its table, or move what both need to the earlier stage")


def rooms_import_upstream_only(root: Path) -> Iterator[str]:
    for each in imports(root):
        match each.file.split("/"), each.module.split("."):
            case ["pipelines", stage, room, _], ["pipelines", same, other, *_] if stage == same:
                rooms = ROOMS.get(stage, ())
                if other in rooms and rooms.index(other) > rooms.index(room):
                    yield f"{each}: {other} comes after {room}. Read its table, or move what both need to the earlier one"


def settings_are_read_in_one_place(root: Path) -> Iterator[str]:
    for file, tree in sources(root):
        if file.startswith(MAY_READ_ENVIRONMENT):
            continue
        for node in ast.walk(tree):
            attribute = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
            name = node.attr if attribute else node.id if isinstance(node, ast.Name) else ""  # type: ignore[attr-defined]
            if name in ("environ", "environb", "getenv", "putenv"):
                yield (
                    f"{file}:{node.lineno} reads the environment: "  # type: ignore[attr-defined]
                    "add a Setting to pipelines/resources.py or serving/settings.py and pass the value"
                )


def nothing_is_unpickled(root: Path) -> Iterator[str]:
    for each in imports(root):
        if each.top in UNSAFE_MODULES:
            yield f"{each}, which runs what it reads: write JSON, Parquet or .npy"


def nothing_is_evaluated(root: Path) -> Iterator[str]:
    for file, tree in sources(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
                yield f"{file}:{node.lineno} calls {node.func.id}: parse it, as contract/expressions.py does"


Rule = Callable[[Path], Iterator[str]]
RULES: dict[Rule, dict[str, str]] = {
    imports_are_absolute: {"serving/app.py": "from . import settings"},
    packages_import_what_they_may: {
        "serving/app.py": "from pipelines.resources import setting",
        "pipelines/core/facts.py": "import serving.app",
        "demandgraph/cli.py": "def f():\n    from pipelines import definitions",
        "assets_config/declared.py": "import pipelines",
        "assets_config/contract/tables.py": "import yaml",
        "serving/kpis.py": "import polars",
        "pipelines/models/forest.py": "from sklearn.ensemble import RandomForestRegressor",
    },
    only_assets_know_dagster: {
        "pipelines/core/facts.py": "import dagster as dg",
        "pipelines/planning/season/stock.py": "from dagster import asset",
    },
    stages_import_upstream_only: {"pipelines/core/facts.py": "from pipelines.kpis.cubes import build"},
    rooms_import_upstream_only: {"pipelines/planning/season/stock.py": "from pipelines.planning.alerts.state import look"},
    settings_are_read_in_one_place: {
        "pipelines/core/facts.py": "import os\nos.environ['X']",
        "serving/app.py": "from os import getenv\ngetenv('X')",
    },
    nothing_is_unpickled: {"pipelines/models/fits.py": "from joblib import load"},
    nothing_is_evaluated: {"serving/kpis.py": "eval('1 + 1')"},
}
"""Each rule with files that break it."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house_rule_is_kept(rule: Rule) -> None:
    broken = list(rule(ROOT))

    assert not broken, "\n" + "\n".join(broken)


BREACHES = [(rule, file, code) for rule, files in RULES.items() for file, code in files.items()]


@pytest.mark.parametrize(("rule", "file", "code"), BREACHES, ids=[f"{rule.__name__}-{file}" for rule, file, _ in BREACHES])
def test_a_breach_is_found_and_named(tmp_path: Path, rule: Rule, file: str, code: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(code)

    broken = list(rule(tmp_path))

    assert len(broken) == 1
    assert file in broken[0]


def test_rules_look_at_every_package() -> None:
    files = {file for file, _ in sources(ROOT)}

    assert {f"{package}/__init__.py" for package in OURS} <= files


def test_rooms_are_those_that_have_assets() -> None:
    found = {tuple(path.parts[-3:-1]) for path in (ROOT / "pipelines").glob("*/*/assets.py")}

    assert found == {(stage, room) for stage, rooms in ROOMS.items() for room in rooms}, (
        "name the folder in ROOMS, where data flows"
    )


def test_the_contract_loads_nothing_but_msgspec() -> None:
    modules = [f"assets_config.contract.{path.stem}" for path in (ROOT / "assets_config/contract").glob("[a-z]*.py")]
    script = f"""
import importlib, sys
before = set(sys.modules)
for module in {modules!r}:
    importlib.import_module(module)
print(*{{name.split(".")[0] for name in set(sys.modules) - before}} - set(sys.stdlib_module_names))
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert set(said.split()) <= {"assets_config", "msgspec", "typing_extensions"}, said
