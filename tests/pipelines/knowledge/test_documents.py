"""Which documents there are: new, changed, unchanged, deleted, and what a command may not do."""

import hashlib
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from assets_config.contract.documents import Documents
from assets_config.contract.knowledge import RagDeleteParams, RagIndexParams, why_not_path
from assets_config.declared import load_declarations
from pipelines.errors import PipelineError
from pipelines.knowledge.chunks import chunks
from pipelines.knowledge.documents import (
    Document,
    asset_documents,
    changed,
    kpi_document,
    posted,
    project_documents,
    project_files,
    summary,
    without,
)
from pipelines.warehouse import Warehouse
from tests.knowledge import AT, JOB, command, found

PAGES = {"README.md": "# Read me\n\nFirst.", "docs/a.md": "# A\n\nSecond.", "docs/adr/b.md": "# B\n\nThird."}
LATER, NEXT = AT + timedelta(days=1), "2" * 32


def known() -> list[Document]:
    return changed([], found(PAGES), whole=True, at=AT, by=JOB)


def test_the_same_content_again_changes_nothing() -> None:
    again = changed(known(), found(PAGES), whole=True, at=LATER, by=NEXT)

    assert again == known()
    assert summary(known(), again) == {
        "indexed": 0, "updated": 0, "unchanged": 3, "removed": 0, "documents": dict.fromkeys(sorted(PAGES), "unchanged"),
    }  # fmt: skip


def test_other_content_is_a_new_version_and_what_vanished_goes() -> None:
    after = changed(known(), found({"README.md": "# Read me\n\nOther.", "new.md": "New."}), whole=True, at=LATER, by=NEXT)

    assert [(each.path, each.version, each.indexed_by) for each in after] == [("README.md", 2, NEXT), ("new.md", 1, NEXT)]
    assert {key: value for key, value in summary(known(), after).items() if key != "documents"} == {
        "indexed": 1, "updated": 1, "unchanged": 0, "removed": 2,
    }  # fmt: skip


def test_only_what_lies_below_the_prefix_is_read_again() -> None:
    after = changed(known(), found({"docs/a.md": "# A\n\nOther."}), scanned="docs", at=LATER, by=NEXT)

    assert [(each.path, each.version) for each in after] == [("README.md", 1), ("docs/a.md", 2)]


def test_a_prefix_that_nothing_lies_below_is_named() -> None:
    with pytest.raises(PipelineError, match="nope/: no page of the project is it or lies below it"):
        changed(known(), [], scanned="nope/", at=LATER, by=NEXT)

    assert [each.path for each in changed(known(), [], scanned="docs", at=LATER, by=NEXT)] == ["README.md"], "its pages went"


def test_an_upload_with_the_path_of_a_page_is_told_beside_it() -> None:
    upload = found({"README.md": "# Mine"}, origin="upload")

    told = summary(known(), changed(known(), upload, at=LATER, by=NEXT))

    assert (told["indexed"], told["unchanged"]) == (1, len(PAGES))
    assert told["documents"] == {"README.md (upload)": "indexed", **dict.fromkeys(PAGES, "unchanged")}


def test_a_deleted_page_stays_away_until_its_path_is_read_again() -> None:
    gone = known()[0]
    without_it = without(known(), RagDeleteParams(gone.source_id))

    whole_run = changed(without_it, found(PAGES), whole=True, at=LATER, by=NEXT)
    scanned = changed(whole_run, found(PAGES), scanned="", whole=True, at=LATER, by=NEXT)

    assert gone.path not in [each.path for each in whole_run if not each.removed]
    assert gone.source_id not in {each.source_id for each in chunks(whole_run)}
    assert [each.path for each in scanned if not each.removed] == sorted(PAGES)
    with pytest.raises(PipelineError, match=gone.source_id):
        without(without_it, RagDeleteParams(gone.source_id))


def test_what_was_posted_stays_when_the_project_is_read() -> None:
    upload = found({"notes.md": "# Notes"}, origin="upload", tags=("mine",))
    with_upload = changed(known(), upload, at=AT, by=JOB)

    after = changed(with_upload, found(PAGES), scanned="", whole=True, at=LATER, by=NEXT)

    assert [each for each in after if each.origin == "upload"] == [each for each in with_upload if each.origin == "upload"]


def test_a_posted_document_is_the_bytes_that_were_kept(tmp_path: Path) -> None:
    kept = Documents(tmp_path)
    digest = kept.keep(b"# Notes\n")

    assert posted(Warehouse(tmp_path), command("notes.md", digest, tags=["a", "a"])).tags == ("a",)
    assert kept.keep(b"# Notes\n") == digest == hashlib.sha256(b"# Notes\n").hexdigest()

    (tmp_path / "landing/documents" / digest).write_bytes(b"other")
    with pytest.raises(PipelineError, match=r"notes\.md.*post it again"):
        posted(Warehouse(tmp_path), command("notes.md", digest))


@pytest.mark.parametrize(
    ("content", "source_type", "why"),
    [(b"\xff\xfe", "markdown", "UTF-8"), (b"a" * 500_001, "markdown", "at most 500,000"), (b"prose", "openapi", "paths")],
)
def test_a_document_that_cannot_be_cut_is_named(tmp_path: Path, content: bytes, source_type: str, why: str) -> None:
    digest = Documents(tmp_path).keep(content)

    with pytest.raises(PipelineError, match=why):
        posted(Warehouse(tmp_path), command("x.md", digest, source_type=source_type))


@pytest.mark.parametrize("path", ["../x.md", "a/../../x.md", "/etc/passwd", "a\\..\\b", "C:/x", "~/x", ".."])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    assert why_not_path(path)
    with pytest.raises(ValueError, match="relative path"):
        command(path, "0" * 64)  # as the job reads it, whatever has looked at it before
    with pytest.raises(msgspec.ValidationError, match=r"relative path|regex"):
        msgspec.convert({"scope": "project", "path_prefix": path}, RagIndexParams)


def test_a_command_without_a_document_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="needs source_path and sha256"):
        msgspec.convert({}, RagIndexParams)
    assert msgspec.convert({"scope": "project"}, RagIndexParams).path_prefix is None


def test_the_project_finds_its_own_pages_and_its_api() -> None:
    paths = [each.path for each in project_documents(project_files())]

    assert {"README.md", "docs/index.md", "docs/adr/0001-contract-in-assets-config.md", "openapi.json"} <= set(paths)
    assert [each.path for each in project_documents(project_files(), prefix="docs/adr")] == [
        p for p in paths if p.startswith("docs/adr/")
    ]
    assert not project_documents(project_files(), prefix="docs/ad")


def test_kpis_and_assets_are_pages_with_a_heading_each() -> None:
    cut = chunks(changed([], [kpi_document(load_declarations()), *asset_documents({"core/dim_store": "Stores."})], at=AT, by=JOB))

    assert [each.heading_path for each in cut if "core/" in each.heading_path] == ['["Assets of the stage core", "core/dim_store"]']
    assert any('"avg_basket_value"' in each.heading_path and "revenue / transactions" in each.text for each in cut)


def test_chunks_keep_their_ids_and_know_their_document() -> None:
    before, after = chunks(known()), chunks(changed(known(), found({"new.md": "New."}), at=LATER, by=NEXT))

    assert {each.chunk_id for each in before} < {each.chunk_id for each in after}
    assert [each.position for each in after] == list(range(len(after)))
    assert {each.source_id for each in after} == {
        structs.asdict(each)["source_id"] for each in changed(known(), found({"new.md": "New."}), at=LATER, by=NEXT)
    }
