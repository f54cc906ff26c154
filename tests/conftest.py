"""Small data roots that are made once a run, and how many processes share the tests."""

import fcntl
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from xdist.scheduler import LoadFileScheduling

SOURCES = """
sources:
  - {name: small, kind: generator, about: for tests, stores: 3, products: 4, start: 2024-08-04}
"""
MODELS = """
models:
  - type: xgboost
    params: {rounds: 8, max_leaves: 8, seed: 42, nthread: 1}
evaluation: {horizon: 14, n_splits: 3}
"""

TOGETHER = "tests/end_to_end/up/"
"""The files that share one running system."""


@pytest.fixture(scope="session")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own folder of declarations: a small source, quick models."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "sources.yaml").write_text(SOURCES)
    (folder / "models.yaml").write_text(MODELS)
    return folder


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process a core, four at most, for whole folders; none beside pytest's own where a file is named."""
    named = any(".py" in each for each in config.args)
    return 0 if named else min(os.cpu_count() or 1, 4)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Files that share a running system share a process too; else it is a file at a time."""
    return Folders(config, log) if config.getoption("dist") == "loadfile" else None


class Folders(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return TOGETHER if file.startswith(TOGETHER) else file


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory, worker_id: str, small_config: Path) -> Path:
    """A data root with every asset of the graph, published. Only to be read: `own_root` is one to alter.

    The process that asks first makes it, the others wait for it.
    """
    alone = worker_id == "master"
    folder = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    root = folder / "demo"
    with (folder / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "published/current.json").exists():
            make_demo(root, small_config)
    return root


def make_demo(root: Path, config: Path) -> None:
    from pipelines.definitions import defs

    with pytest.MonkeyPatch.context() as patch, DagsterInstance.ephemeral() as instance, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "AssetExecutionContext.run_id is deprecated")
        patch.setenv("DEMANDGRAPH_DATA", str(root))
        patch.setenv("DEMANDGRAPH_CONFIG", str(config))
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            run_config={
                "ops": {
                    "sources__batches": {"config": {"name": "small"}},
                    "publish__workspace": {"config": {"demo": '{"preservation": "keep", "workspace_name": "first"}'}},
                },
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            instance=instance,
        )
    assert result.success


@pytest.fixture
def own_root(demo_root: Path, tmp_path: Path) -> Path:
    """A copy of `demo_root` for one test."""
    return Path(shutil.copytree(demo_root, tmp_path / "demo"))


@pytest.fixture(scope="session")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the core tables and KPIs of a small chain, published. Only to be read: `root` is one to alter."""
    from tests.serving.conftest import publish_tiny

    root = tmp_path_factory.mktemp("published")
    publish_tiny(root)
    return root


@pytest.fixture
def root(published_once: Path, tmp_path: Path) -> Path:
    """A copy of `published_once` for one test."""
    return Path(shutil.copytree(published_once, tmp_path / "data"))
