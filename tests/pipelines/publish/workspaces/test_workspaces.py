"""Workspaces tell what the tables of their run say, are repeated, changed and exported, and never make a run fail."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from dagster import ExecuteInProcessResult

from assets_config.contract.copies import ARCHIVE, CHECKSUMS, MANIFEST
from assets_config.contract.launch import run_config
from assets_config.contract.names import STAGES
from assets_config.contract.scenarios import Assumptions, DeleteScenarioParams, Price, ScenarioParams
from assets_config.contract.stories import CreatedObjects, ResultSummary, Story, compared
from assets_config.contract.workspaces import DeleteWorkspaceParams, DemoParams, UpdateWorkspaceParams, Workspace
from pipelines.errors import PipelineError, PublishError
from pipelines.planning.scenarios.state import change_scenarios
from pipelines.publish.snapshot import manifests
from pipelines.publish.workspaces import state, summary
from pipelines.publish.workspaces.bundle import check, export_workspace, packed
from pipelines.publish.workspaces.state import add, change_workspaces, workspaces
from pipelines.warehouse import Warehouse
from tests.pipelines.forecasts.registry.test_state import AT, JOB, make, run_job

LAST = ["publish/workspace", "publish/snapshot"]
"""The last two steps of a demo run: those before them were done for `demo_root`, whose run was kept too."""
NOBODY = "0" * 32
PROGRAM = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from pipelines.publish.workspaces.bundle import export_workspace
from pipelines.warehouse import Warehouse

def export_and_die(number, at):
    seen = 0
    def heard(event, _):
        nonlocal seen
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(heard)
    export_workspace(Warehouse(Path(sys.argv[1])), number, at=datetime(2024, 7, 1), by="job")

for line in sys.stdin:
    number, at = line.split()
    child = os.fork()
    if child == 0:
        export_and_die(number, int(at))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else "exported", flush=True)
"""


@pytest.fixture(scope="module")
def shared(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One to which workspaces are added, and of which nothing else is changed."""
    return Warehouse(Path(shutil.copytree(demo_root, tmp_path_factory.mktemp("kept") / "demo")))


@pytest.fixture
def own(own_root: Path) -> Warehouse:
    return Warehouse(own_root)


def run(warehouse: Warehouse, config: Path, **asked: Any) -> ExecuteInProcessResult:
    return make(warehouse.root, config, LAST, run_config("demo", msgspec.convert(asked, DemoParams)))


def kept(warehouse: Warehouse, *, job: str = JOB, **asked: Any) -> Workspace:
    """What a run that made these tables would keep, and is kept."""
    params = msgspec.convert({"preservation": "keep", **asked}, DemoParams)
    made = summary.kept(warehouse, params, [], jobs=[job], at=AT)
    add(warehouse, made)
    return made


def first(warehouse: Warehouse) -> Workspace:
    return next(each for each in workspaces(warehouse).values() if each.name == "first")


def result_of(workspace: Workspace) -> ResultSummary:
    return msgspec.json.decode(workspace.result_summary, type=ResultSummary)


def test_a_workspace_is_published_with_the_run_that_it_tells_of(demo_root: Path) -> None:
    [manifest] = manifests(Warehouse(demo_root).published)

    assert manifest.dagster_run_id is not None
    assert manifest.parts["state"].tables["workspace"] == 1
    assert first(Warehouse(demo_root)).workspace_id == manifest.dagster_run_id.replace("-", "")


def test_what_came_of_a_run_is_what_a_loop_over_its_tables_finds(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    workspace = first(warehouse)
    result, sales = result_of(workspace), warehouse.read("core/sales_daily").to_dicts()
    made, story = (
        msgspec.json.decode(said, type=shape)  # type: ignore[type-var]
        for said, shape in ((workspace.created_objects, CreatedObjects), (workspace.story, Story))
    )

    units: dict[tuple[int, int], float] = {}
    for line in sales:
        series = (line["store_id"], line["product_id"])
        units[series] = units.get(series, 0.0) + line["quantity"]
    assert (result.series, result.units) == (len(units), sum(units.values()))
    most = min(units, key=lambda series: (-units[series], series))
    assert (workspace.store_id, workspace.product_id) == most
    assert (workspace.first_day, workspace.last_day) == (min(each["date"] for each in sales), max(each["date"] for each in sales))
    scored = {
        row["model_type"]: row["wape"]
        for row in warehouse.read("backtests/backtest_metric").to_dicts()
        if (row["fold"], row["bucket"], row["level"], row["segment"]) == (-1, "all", "series", "all") and row["wape"] is not None
    }
    assert result.wapes == pytest.approx(scored, abs=1e-6)
    assert result.winner_model_type == min(scored, key=lambda name: (scored[name], name))
    days = [row for row in warehouse.read("forecasts/forecast").to_dicts() if row["source"] == "forecast"]
    assert result.forecast_units == pytest.approx(sum(row["yhat"] for row in days))
    of_series = [row["yhat"] for row in days if (row["store_id"], row["product_id"]) == most]
    assert result.scope_forecast_units == pytest.approx(sum(of_series))
    runs = {row["run_id"]: row for row in warehouse.read("forecasts/model_run").to_dicts()}
    assert set(made.model_run_ids) == set(runs)
    assert made.winning_run_id is not None
    assert runs[made.winning_run_id]["model_type"] == result.winner_model_type
    assert story.job_ids == [workspace.workspace_id]
    assert [each.phase_name for each in story.phase_summaries][:2] == ["sources", "core"]
    assert (
        {"models", "forecasts", "planning", "kpis", "knowledge"} <= {each.phase_name for each in story.phase_summaries} <= {*STAGES}
    )
    [searched] = story.rag_events
    assert searched.chunks == warehouse.read("knowledge/rag_chunk").height
    assert (workspace.status, json.loads(workspace.warnings)) == ("completed", [])


def test_an_ephemeral_run_leaves_no_workspace(shared: Warehouse, small_config: Path) -> None:
    before = shared.path(state.KEY).read_bytes()

    done = run(shared, small_config)

    [answered] = [
        each.materialization.metadata["result"].value
        for each in done.get_asset_materialization_events()
        if each.asset_key is not None and each.asset_key.path[-1] == "workspace"
    ]
    assert answered == {"workspace_id": None}
    assert shared.path(state.KEY).read_bytes() == before


def test_a_scope_that_there_is_is_looked_at_and_one_that_there_is_not_is_told(shared: Warehouse) -> None:
    there = kept(shared, user_scope={"store_id": "S002", "product_id": 3})
    dangling = kept(shared, job="2" * 32, user_scope={"store_id": "S999", "product_id": 3})

    assert (there.store_id, there.product_id, json.loads(there.warnings)) == (2, 3, [])
    assert (dangling.store_id, dangling.product_id) == (first(shared).store_id, first(shared).product_id)
    [said] = json.loads(dangling.warnings)
    assert said == "there is no store S999: the series that sells most is looked at"
    assert (there.status, dangling.status) == ("completed", "completed")


def test_the_winner_is_one_of_the_types_that_were_asked_for(shared: Warehouse) -> None:
    asked = kept(shared, train_model_types=["naive", "no_such_type"])

    assert result_of(asked).winner_model_type == "naive"
    assert json.loads(asked.warnings) == ["not compared, since they could not be fitted or scored: no_such_type"]
    assert json.loads(asked.asked)["train_model_types"] == ["naive", "no_such_type"]


def test_a_replay_of_the_same_data_reproduces_the_story(shared: Warehouse) -> None:
    original = first(shared)

    again = kept(shared, replayed_from_workspace_id=original.workspace_id)

    told = result_of(again).story_reproduction
    assert told is not None
    assert (told.original, told.reproduced, again.replayed_from) == (original.workspace_id, True, original.workspace_id)
    assert {"winner_wape", "units", "forecast_units"} <= {each.name for each in told.compared}
    assert first(shared) == original


def test_a_replay_that_comes_to_something_else_names_it(own: Warehouse) -> None:
    own.write("forecasts/forecast", own.read("forecasts/forecast").with_columns(pl.col("yhat") * 2))

    told = result_of(kept(own, replayed_from_workspace_id=first(own).workspace_id)).story_reproduction

    assert told is not None
    assert not told.reproduced
    assert {each.name for each in told.compared if not each.same} == {"forecast_units", "scope_forecast_units"}


def test_what_a_replay_repeats_may_be_gone(shared: Warehouse) -> None:
    again = kept(shared, replayed_from_workspace_id=NOBODY)

    assert result_of(again).story_reproduction is None
    assert NOBODY in json.loads(again.warnings)[0]


def test_what_cannot_be_found_makes_a_workspace_partial_and_no_run_fail(own: Warehouse) -> None:
    shutil.rmtree(own.path("planning/approval").parent)

    made = kept(own)

    assert made.status == "partial"
    assert json.loads(made.warnings)[0].startswith("approvals cannot be told: ")
    assert result_of(made) == result_of(first(own))


def test_where_too_many_are_kept_the_run_is_published_without(
    own: Warehouse, small_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MOST", 1)

    done = run(own, small_config, preservation="keep")

    assert done.success
    assert list(workspaces(own)) == [first(own).workspace_id]
    assert len(manifests(own.published)) == 2


def test_what_is_said_of_a_workspace_is_changed_and_nothing_else_is(own: Warehouse, small_config: Path) -> None:
    before = first(own)
    change: dict[str, Any] = {"tags": ["b", "a", "b"], "notes": "as shown in June", "pinned": True}

    done = run_job(own.root, small_config, "update_workspace", workspace_id=before.workspace_id, **change)
    noted = first(own)
    change_workspaces(own, [UpdateWorkspaceParams(workspace_id=before.workspace_id, notes=None)], at=AT, by=JOB)

    assert done.success
    assert (noted.notes, noted.changed_by) == ("as shown in June", done.run_id.replace("-", ""))
    after = first(own)
    assert (after.tags, after.notes, after.pinned, after.archived) == ('["b","a"]', None, True, False)
    said = {"tags", "notes", "pinned", "changed_at", "changed_by"}
    assert [name for name in Workspace.__struct_fields__ if getattr(after, name) != getattr(before, name)] == [
        name for name in Workspace.__struct_fields__ if name in said - {"notes"}
    ]


def test_a_change_of_nothing_leaves_the_bytes_and_one_of_nobody_all(shared: Warehouse) -> None:
    before = shared.path(state.KEY).read_bytes()

    change_workspaces(shared, [UpdateWorkspaceParams(workspace_id=first(shared).workspace_id)], at=AT, by=JOB)
    with pytest.raises(PipelineError, match=NOBODY):
        change_workspaces(
            shared,
            [
                UpdateWorkspaceParams(workspace_id=first(shared).workspace_id, pinned=True),
                UpdateWorkspaceParams(workspace_id=NOBODY, pinned=True),
            ],
            at=AT,
            by=JOB,
        )

    assert shared.path(state.KEY).read_bytes() == before


def test_a_deleted_workspace_leaves_what_its_run_made(own: Warehouse) -> None:
    runs, gone = own.read("forecasts/model_run"), first(own).workspace_id

    change_workspaces(own, [DeleteWorkspaceParams(gone)], at=AT, by=JOB)

    assert workspaces(own) == {}
    assert own.read("forecasts/model_run").equals(runs)


def test_the_same_content_is_the_same_bundle_and_other_content_the_next(own: Warehouse) -> None:
    number = first(own).workspace_id
    folder = own.root / "exports/workspaces" / number

    one = export_workspace(own, number, at=AT, by=JOB)
    again = export_workspace(own, number, at=AT, by=JOB)
    change_workspaces(own, [UpdateWorkspaceParams(workspace_id=number, notes="new")], at=AT, by=JOB)
    (folder / "2").mkdir()  # as a job leaves it that is killed before it has counted its bundle
    other = export_workspace(own, number, at=AT, by=JOB)

    assert one == again
    assert (one[0], other[0], first(own).exports) == (1, 2, 2)
    assert one[1] != other[1]
    for count, digest in (one, other):
        archive = (folder / str(count) / ARCHIVE).read_bytes()
        assert hashlib.sha256(archive).hexdigest() == digest
        assert check(archive).workspace["notes"] == {1: None, 2: "new"}[count]


def test_a_bundle_has_the_scenarios_of_the_workspace_and_names_what_is_gone(own: Warehouse) -> None:
    for n, tag in enumerate(("workspace:second", f"workspace:{first(own).workspace_id}", "other")):
        asked = ScenarioParams(product_id="1", name=tag[-5:], tags=[tag], assumptions=Assumptions(price=Price(change=-0.1)))
        change_scenarios(own, [asked], at=AT, by=str(n) * 32)
    second = kept(own, workspace_name="second")
    assert msgspec.json.decode(second.created_objects, type=CreatedObjects).scenario_ids == ["0" * 32]

    export_workspace(own, first(own).workspace_id, at=AT, by=JOB)
    change_scenarios(own, [DeleteScenarioParams("0" * 32)], at=AT, by=JOB)
    export_workspace(own, second.workspace_id, at=AT, by=JOB)

    folder = own.root / "exports/workspaces" / first(own).workspace_id / "1"
    plan = json.loads((folder / f"scenario_plans/{'1' * 32}.json").read_bytes())
    assert (plan["tags"], len(plan["days"])) == ([f"workspace:{first(own).workspace_id}"], 14)
    lines = (folder / CHECKSUMS).read_text().splitlines()
    assert lines == [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}"
        for name in (f"scenario_plans/{'1' * 32}.json", MANIFEST)
    ]
    manifest = check((own.root / "exports/workspaces" / second.workspace_id / "1" / ARCHIVE).read_bytes())
    assert [(each.kind, each.id) for each in manifest.unresolved_references] == [("scenario", "0" * 32)]
    assert (manifest.bundle_format_version, manifest.files) == (1, [])


def test_killed_at_any_change_of_files_what_is_counted_is_whole(own: Warehouse) -> None:
    number, killed = first(own).workspace_id, 0
    folder = own.root / "exports/workspaces" / number
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(own.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdin is not None
    assert program.stdout is not None

    for step in range(1, 300):
        program.stdin.write(f"{number} {step}\n")
        program.stdin.flush()
        ended = program.stdout.readline().strip() == "exported"
        for count in range(1, first(own).exports + 1):
            assert check((folder / str(count) / ARCHIVE).read_bytes()).workspace["workspace_id"] == number
        if ended:
            break
        killed += 1
    program.communicate()

    assert ended
    assert killed > 20, "an export touches fewer files than it must: the kills prove nothing"
    assert first(own).exports == 1
    assert export_workspace(own, number, at=AT, by=JOB)[0] == 1
    assert [each.name for each in folder.iterdir()] == ["1"]


def test_an_altered_bundle_is_named(own: Warehouse) -> None:
    number = first(own).workspace_id
    export_workspace(own, number, at=AT, by=JOB)
    with zipfile.ZipFile(own.root / "exports/workspaces" / number / "1" / ARCHIVE) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}

    with pytest.raises(PublishError, match=r"manifest\.json"):
        check(packed({**files, MANIFEST: files[MANIFEST].replace(b"first", b"other")}))
    with pytest.raises(PublishError, match=r"more\.json"):
        check(packed({**files, "more.json": b"{}"}))


def test_runs_are_alike_where_numbers_differ_in_the_last_digits_only() -> None:
    one = ResultSummary(winner_model_type="naive", winner_wape=0.25, wapes={"naive": 0.25}, series=2, units=10.0)
    near = msgspec.structs.replace(one, units=10.0000001)
    far = msgspec.structs.replace(one, wapes={"naive": 0.26, "ets": 0.3})

    assert all(each.same for each in compared(one, near))
    assert [each.name for each in compared(one, far) if not each.same] == ["wape of naive", "wape of ets"]
