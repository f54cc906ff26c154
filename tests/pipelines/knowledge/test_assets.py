"""The stage as Dagster runs it: jobs that index and delete, what a run leaves as it was, and a run that is killed."""

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import AssetSelection, DagsterInstance
from msgspec import structs

from assets_config.contract.documents import Documents
from assets_config.contract.knowledge import KNOWLEDGE, DocumentsChanged, RagDeleteParams, RagIndexParams
from assets_config.contract.launch import run_config, selection
from assets_config.contract.manifest import Manifest, Part
from pipelines.definitions import defs
from pipelines.knowledge import bundle
from pipelines.publish.snapshot import manifests
from pipelines.warehouse import Warehouse
from tests.knowledge import command
from tests.serving.conftest import publish_made

JOB = defs.resolve_implicit_global_asset_job_def()
GRAPH = defs.resolve_asset_graph()


@pytest.fixture(scope="module")
def indexed_once(published_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose knowledge base was made by a run, published. Only to be copied."""
    root = Path(shutil.copytree(published_once, tmp_path_factory.mktemp("indexed") / "data"))
    run(root, ["knowledge", "publish"])
    return root


@pytest.fixture
def root(indexed_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(indexed_once, tmp_path / "data"))


def run(root: Path, stages: list[str], config: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Materialise stages; gives the metadata of each asset by key."""
    with pytest.MonkeyPatch.context() as patch, DagsterInstance.ephemeral() as instance, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "AssetExecutionContext.run_id is deprecated")
        patch.setenv("DEMANDGRAPH_DATA", str(root))
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        chosen = list(AssetSelection.groups(*stages).resolve(GRAPH))
        result = JOB.execute_in_process(run_config={**quiet, **(config or {})}, asset_selection=chosen, instance=instance)
        checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    made = {event.materialization.asset_key: event.materialization.metadata for event in result.get_asset_materialization_events()}
    found = {key.to_user_string(): {name: each.value for name, each in said.items()} for key, said in made.items()}
    return {**found, "checks": checks}


def start(root: Path, job_type: str, params: Any) -> dict[str, Any]:
    """Run a job as the API would launch it; gives what it says of the documents."""
    stages = list(dict.fromkeys(key.split("/")[0] for key in selection(job_type, params)))
    return run(root, stages, run_config(job_type, params))["knowledge/document"]["result"]


def part(root: Path, nth: int = 0) -> Part:
    """The part of the nth newest snapshot."""
    found: Manifest = manifests(Warehouse(root).published)[nth]
    return found.parts[KNOWLEDGE]


def rows(root: Path, query: str, nth: int = 0) -> list[tuple[Any, ...]]:
    path = Warehouse(root).published.part(part(root, nth).key) / "tables.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def counts(said: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(said[name] for name in ("indexed", "updated", "unchanged", "removed"))


def test_a_second_run_changes_nothing_and_shares_the_part(root: Path) -> None:
    before = part(root)

    said = run(root, ["knowledge", "publish"])

    assert part(root) == before
    assert counts(said["knowledge/document"]["documents"]) == (0, 0, len(rows(root, "FROM rag_source")), 0)
    assert said["knowledge/index"]["mode"] == "keyword"
    assert said["checks"] == {"hybrid_is_as_good": True, "published_files_are_whole": True}
    kinds = {kind for (kind,) in rows(root, "SELECT DISTINCT kind FROM rag_source")}
    assert kinds == {"markdown", "openapi", "kpi", "asset"}
    [(assets,)] = rows(root, "SELECT count(*) FROM rag_chunk WHERE heading_path LIKE '%core/dim_store%'")
    assert assets >= 1


def test_a_document_is_indexed_updated_left_alone_and_deleted(root: Path) -> None:
    kept, others = Documents(root), len(rows(root, "FROM rag_source"))
    there = "SELECT version, chunks, tags FROM rag_source WHERE path = 'mine/notes.md' AND origin = 'upload'"

    first = start(root, "rag_index", command("mine/notes.md", kept.keep(b"# Notes\n\nApples.\n"), tags=["own"]))
    assert counts(first) == (1, 0, others, 0)
    assert first["documents"]["mine/notes.md"] == "indexed"
    assert set(first) == {each.name for each in structs.fields(DocumentsChanged)} - {"snapshot_id"}
    assert rows(root, there) == [(1, 1, '["own"]')]
    made = part(root)

    again = start(root, "rag_index", command("mine/notes.md", kept.keep(b"# Notes\n\nApples.\n"), tags=["own"]))
    assert counts(again) == (0, 0, others + 1, 0)
    assert part(root) == made

    other = start(root, "rag_index", command("mine/notes.md", kept.keep(b"# Notes\n\nPears.\n\n## More\n\nPlums.\n")))
    assert counts(other) == (0, 1, others, 0)
    assert rows(root, there) == [(2, 2, "[]")]
    [(source,)] = rows(root, "SELECT source_id FROM rag_source WHERE path = 'mine/notes.md'")

    gone = start(root, "rag_delete", RagDeleteParams(source))
    assert counts(gone) == (0, 0, others, 1)
    assert rows(root, there) == []
    assert rows(root, f"FROM rag_chunk WHERE source_id = '{source}'") == []
    assert rows(root, "SELECT count(*) FROM rag_chunk WHERE source_id NOT IN (SELECT source_id FROM rag_source)") == [(0,)]
    assert rows(root, there, nth=1) == [(2, 2, "[]")]
    assert len([path for path in (root / "warehouse/knowledge/index").iterdir() if path.is_dir()]) == bundle.KEEP


def test_a_page_of_the_project_comes_back_by_its_prefix(root: Path) -> None:
    [(source,)] = rows(root, "SELECT source_id FROM rag_source WHERE path = 'docs/models.md'")
    there = "SELECT count(*) FROM rag_source WHERE path = 'docs/models.md'"
    start(root, "rag_delete", RagDeleteParams(source))
    assert rows(root, there) == [(0,)]

    run(root, ["knowledge", "publish"])
    assert rows(root, there) == [(0,)]

    start(root, "rag_index", RagIndexParams("project", path_prefix="docs/adr"))
    assert rows(root, there) == [(0,)]

    start(root, "rag_index", RagIndexParams("project", path_prefix="docs/models.md"))
    assert rows(root, there) == [(1,)]


def test_a_bad_document_fails_its_job_and_loses_nothing(root: Path) -> None:
    before = part(root)
    digest = Documents(root).keep(b"only prose")

    with pytest.raises(Exception, match=r"shop\.yaml: an OpenAPI document"):
        start(root, "rag_index", command("shop.yaml", digest, source_type="openapi"))
    run(root, ["knowledge", "publish"])

    assert part(root) == before


def test_a_publish_takes_the_last_index_that_was_finished(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = part(root)
    write = bundle.write_bytes

    (root / "warehouse/knowledge/.index-of-a-killed-run").mkdir()

    def killed(path: Path, content: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        start(root, "rag_index", command("mine.md", Documents(root).keep(b"# Mine")))
    publish_made(root)
    half = part(root)

    monkeypatch.setattr(bundle, "write_bytes", write)
    run(root, ["knowledge", "publish"])

    assert half == before
    assert not list((root / "warehouse/knowledge").glob(".*-*"))
    assert rows(root, "SELECT version FROM rag_source WHERE path = 'mine.md'") == [(1,)]
