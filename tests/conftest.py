"""A small data root that the whole graph was materialised into, once a session."""

import shutil
import warnings
from pathlib import Path

import pytest
from dagster import DagsterInstance

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


@pytest.fixture(scope="session")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own folder of declarations: a small source, quick models."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "sources.yaml").write_text(SOURCES)
    (folder / "models.yaml").write_text(MODELS)
    return folder


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory, small_config: Path) -> Path:
    """A data root with every asset of the graph, published. Only to be read: `own_root` is one to alter."""
    from pipelines.definitions import defs

    root = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch, DagsterInstance.ephemeral() as instance, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "AssetExecutionContext.run_id is deprecated")
        patch.setenv("DEMANDGRAPH_DATA", str(root))
        patch.setenv("DEMANDGRAPH_CONFIG", str(small_config))
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            run_config={
                "ops": {"sources__batches": {"config": {"name": "small"}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            instance=instance,
        )
    assert result.success
    return root


@pytest.fixture
def own_root(demo_root: Path, tmp_path: Path) -> Path:
    """A copy of `demo_root` for one test."""
    return Path(shutil.copytree(demo_root, tmp_path / "demo"))
