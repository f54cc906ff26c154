"""Aliases and notes of model runs: a job changes a row and no part but theirs, and nothing else changes them."""

import random
import subprocess
import sys
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult

from assets_config.contract.jobs import JOB_TYPES
from assets_config.contract.launch import run_config, selection
from assets_config.contract.state import AnnotateRunParams, DeleteAliasParams, SetAliasParams
from pipelines.definitions import defs
from pipelines.errors import PipelineError
from pipelines.forecasts.registry.state import ALIASES, NOTES, RUNS, aliases, change_aliases, change_notes, dangling
from pipelines.models.fits import artifact_path
from pipelines.publish.snapshot import manifests
from pipelines.warehouse import Warehouse

AT, JOB = datetime(2024, 7, 1, 12), "1" * 32
PROGRAM = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from assets_config.contract.state import SetAliasParams
from pipelines.forecasts.registry.state import change_aliases
from pipelines.warehouse import Warehouse

def change_and_die(run_id, at):
    seen = 0
    def heard(event, _):
        nonlocal seen
        if event in ("open", "os.rename", "os.remove"):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(heard)
    change_aliases(Warehouse(Path(sys.argv[1])), [SetAliasParams("production", run_id)], at=datetime(2024, 7, 1), by="job")

for line in sys.stdin:
    run_id, at = line.split()
    child = os.fork()
    if child == 0:
        change_and_die(run_id, int(at))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else "changed", flush=True)
"""


@pytest.fixture
def warehouse(own_root: Path) -> Warehouse:
    return Warehouse(own_root)


def run_ids(warehouse: Warehouse, status: str = "success") -> list[str]:
    return warehouse.read(RUNS).filter(status=status)["run_id"].to_list()


def make(root: Path, config: Path, keys: Sequence[str], options: dict[str, Any] | None = None) -> ExecuteInProcessResult:
    """One Dagster run of the real graph over these assets."""
    with pytest.MonkeyPatch.context() as patch, DagsterInstance.ephemeral() as instance, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "AssetExecutionContext.run_id is deprecated")
        patch.setenv("DEMANDGRAPH_DATA", str(root))
        patch.setenv("DEMANDGRAPH_CONFIG", str(config))
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            run_config={**(options or {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            instance=instance,
            asset_selection=[AssetKey(key.split("/")) for key in keys],
            raise_on_error=False,
        )


def run_job(root: Path, config: Path, job_type: str, **params: Any) -> ExecuteInProcessResult:
    """One Dagster run, as the API would launch it."""
    command = msgspec.convert(params, JOB_TYPES[job_type].params)
    return make(root, config, selection(job_type, command), run_config(job_type, command))


def test_a_job_that_changes_state_makes_the_state_part_alone(warehouse: Warehouse, small_config: Path) -> None:
    first, second, *_ = warehouse.read(RUNS).filter(status="success").rows(named=True)

    jobs = [
        run_job(warehouse.root, small_config, "set_alias", name="production", run_id=first["run_id"], protected=True, note="é"),
        run_job(warehouse.root, small_config, "annotate_run", run_id=second["run_id"], archive=True),
    ]

    assert all(job.success for job in jobs)
    snapshots = [*reversed(manifests(warehouse.published))]
    others = [{name: part.key for name, part in each.parts.items() if name != "state"} for each in snapshots]
    assert others == [others[0]] * 3
    assert len({each.parts["state"].key for each in snapshots}) == 3
    tables = [each.parts["state"].tables for each in snapshots]
    assert [(each["model_alias"], each["model_run_note"]) for each in tables] == [(0, 0), (1, 0), (1, 1)]
    [alias] = aliases(warehouse).drop("changed_at").rows()
    assert alias == ("production", first["run_id"], first["model_type"], True, "é", jobs[0].run_id.replace("-", ""))


def test_a_job_over_a_run_that_failed_fails_and_names_it(warehouse: Warehouse, small_config: Path) -> None:
    run = run_ids(warehouse)[0]
    runs = warehouse.read(RUNS)
    failed = pl.when(pl.col("run_id") == run).then(pl.lit("failed")).otherwise("status")
    warehouse.write(RUNS, runs.with_columns(failed.alias("status")))

    job = run_job(warehouse.root, small_config, "set_alias", name="production", run_id=run)

    assert not job.success
    error = job.failure_data_for_node("forecasts__model_alias").error.cause
    assert error.message.strip().endswith(f"Run {run} is failed: only runs with status success can have an alias.")
    assert len(manifests(warehouse.published)) == 1, "nothing is published"
    assert aliases(warehouse).is_empty()


def test_the_graph_made_again_leaves_state_as_it_was(warehouse: Warehouse, small_config: Path) -> None:
    run, other, *_ = run_ids(warehouse)
    change_aliases(warehouse, [SetAliasParams("production", run, True)], at=AT, by=JOB)
    change_notes(warehouse, [AnnotateRunParams(tags=["a"], run_id=other)], at=AT, by=JOB)
    before = {key: warehouse.path(key).read_bytes() for key in (ALIASES, NOTES)}

    made = make(warehouse.root, small_config, [RUNS, ALIASES, NOTES])

    assert made.success
    assert {key: warehouse.path(key).read_bytes() for key in (ALIASES, NOTES)} == before


def test_a_run_with_an_alias_outlives_newer_ones_and_keeps_its_artifact(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("registry: {keep_runs: 1}")
    old = {row["model_type"]: row for row in warehouse.read(RUNS).iter_rows(named=True)}
    named, dropped = old["naive"], old["seasonal_naive"]
    change_aliases(warehouse, [SetAliasParams("production", named["run_id"])], at=AT, by=JOB)
    fits = warehouse.read("models/fit")
    newer = pl.col("run_id").str.slice(0, 31) + pl.lit("x")
    later = pl.col("created_at").dt.offset_by("1h")
    warehouse.write("models/fit", fits.with_columns(newer.alias("run_id"), later, pl.lit(None, pl.String).alias("artifact_uri")))

    made = make(warehouse.root, tmp_path, [RUNS, ALIASES])

    assert made.success
    kept = warehouse.read(RUNS)["run_id"].to_list()
    assert named["run_id"] in kept
    assert dropped["run_id"] not in kept
    assert artifact_path(warehouse, named["artifact_uri"]).exists()
    assert not artifact_path(warehouse, dropped["artifact_uri"]).exists()
    assert aliases(warehouse)["run_id"].to_list() == [named["run_id"]]


def test_a_protected_alias_changes_with_force_only(warehouse: Warehouse) -> None:
    first, second, *_ = run_ids(warehouse)
    change_aliases(warehouse, [SetAliasParams("production", first, True, "why")], at=AT, by=JOB)

    for command in (
        SetAliasParams("production", second),
        SetAliasParams("production", first, False),
        DeleteAliasParams("production"),
    ):
        with pytest.raises(PipelineError, match=f"Alias production is protected and names run {first}"):
            change_aliases(warehouse, [command], at=AT, by=JOB)
    change_aliases(warehouse, [SetAliasParams("production", first, True, "why")], at=datetime(2025, 1, 1), by="2" * 32)
    unchanged = aliases(warehouse).row(0, named=True)
    change_aliases(warehouse, [SetAliasParams("production", second, force=True)], at=AT, by=JOB)
    moved = aliases(warehouse).row(0, named=True)
    change_aliases(warehouse, [DeleteAliasParams("production", force=True)], at=AT, by=JOB)

    assert (unchanged["changed_at"], unchanged["changed_by"]) == (AT, JOB), "the same again is no change"
    assert (moved["run_id"], moved["protected"], moved["note"]) == (second, True, None)
    assert aliases(warehouse).is_empty()


def test_commands_that_cannot_be_carried_out_name_the_culprit(warehouse: Warehouse) -> None:
    run, archived, *_ = run_ids(warehouse)
    change_aliases(warehouse, [SetAliasParams("production", run)], at=AT, by=JOB)
    change_notes(warehouse, [AnnotateRunParams(archive=True, run_id=archived)], at=AT, by=JOB)
    before = {key: warehouse.path(key).read_bytes() for key in (ALIASES, NOTES)}

    with pytest.raises(PipelineError, match=f"no model run has the id {'0' * 32}"):
        change_aliases(warehouse, [DeleteAliasParams("production"), SetAliasParams("other", "0" * 32)], at=AT, by=JOB)
    with pytest.raises(PipelineError, match=f"Run {archived} is archived"):
        change_aliases(warehouse, [SetAliasParams("other", archived)], at=AT, by=JOB)
    with pytest.raises(PipelineError, match="no alias is called other; there are production"):
        change_aliases(warehouse, [DeleteAliasParams("other")], at=AT, by=JOB)
    with pytest.raises(PipelineError, match=f"Run {run} has the alias production"):
        change_notes(warehouse, [AnnotateRunParams(archive=True, run_id=run)], at=AT, by=JOB)
    with pytest.raises(PipelineError, match=f"no model run has the id {'0' * 32}"):
        change_notes(warehouse, [AnnotateRunParams(notes="x", run_id="0" * 32)], at=AT, by=JOB)

    assert {key: warehouse.path(key).read_bytes() for key in (ALIASES, NOTES)} == before, "all or none of the commands"


def test_a_note_changes_in_what_is_given(warehouse: Warehouse) -> None:
    run = run_ids(warehouse)[0]
    commands = [
        AnnotateRunParams(archive=True, tags=["b", "a", "b"], notes="first", run_id=run),
        AnnotateRunParams(archive=False, run_id=run),
        AnnotateRunParams(notes="", run_id=run),
        AnnotateRunParams(tags=[], run_id=run),
    ]

    found = []
    for command in commands:
        change_notes(warehouse, [command], at=AT, by=JOB)
        [note] = warehouse.read(NOTES).rows(named=True)
        found.append((note["archived"], note["tags"], note["notes"]))

    assert found == [(True, '["b","a"]', "first"), (False, '["b","a"]', "first"), (False, '["b","a"]', None), (False, "[]", None)]


def test_an_alias_whose_run_is_gone_is_named(warehouse: Warehouse) -> None:
    first, second, *_ = run_ids(warehouse)
    change_aliases(warehouse, [SetAliasParams("production", first), SetAliasParams("other", second)], at=AT, by=JOB)
    assert dangling(warehouse) == {}

    warehouse.write(RUNS, warehouse.read(RUNS).filter(pl.col("run_id") != first))

    assert dangling(warehouse) == {"production": first}


def test_any_commands_end_where_plain_dicts_do(warehouse: Warehouse) -> None:
    draw, runs = random.Random(4), run_ids(warehouse)[:3]
    named: dict[str, tuple[str, bool, str | None]] = {}
    archived: set[str] = set()
    refused = 0
    for _ in range(120):
        name, run, force, is_archive = draw.choice("abc"), draw.choice(runs), draw.random() < 0.3, draw.random() < 0.4
        protected, note = draw.choice([None, False, True]), draw.choice([None, "x"])
        kind = draw.choice(["set", "set", "delete", "annotate"])
        shielded = name in named and named[name][1] and not force
        after = (run, named.get(name, ("", False))[1] if protected is None else protected, note)
        try:
            if kind == "set":
                change_aliases(warehouse, [SetAliasParams(name, run, protected, note, force)], at=AT, by=JOB)
                assert run not in archived
                assert not shielded or named[name] == after
                named[name] = after
            elif kind == "delete":
                change_aliases(warehouse, [DeleteAliasParams(name, force)], at=AT, by=JOB)
                assert not shielded
                del named[name]
            else:
                change_notes(warehouse, [AnnotateRunParams(archive=is_archive, run_id=run)], at=AT, by=JOB)
                assert not is_archive or run not in {each[0] for each in named.values()}
                archived = archived | {run} if is_archive else archived - {run}
        except PipelineError:
            refused += 1

    found = aliases(warehouse).select("name", "run_id", "protected", "note").rows()
    assert found == [(name, *named[name]) for name in sorted(named)]
    assert set(warehouse.read(NOTES).filter("archived")["run_id"]) == archived
    assert 20 < refused < 100


def test_killed_at_any_change_of_files_an_alias_names_the_old_run_or_the_new(warehouse: Warehouse) -> None:
    first, second, *_ = run_ids(warehouse)
    change_aliases(warehouse, [SetAliasParams("production", first), SetAliasParams("other", first)], at=AT, by=JOB)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(warehouse.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdin is not None
    assert program.stdout is not None

    killed, wanted = 0, first
    for step in range(1, 200):
        was = wanted
        wanted = second if was == first else first
        program.stdin.write(f"{wanted} {step}\n")
        program.stdin.flush()
        ended = program.stdout.readline().strip() == "changed"
        found = dict(aliases(warehouse).select("name", "run_id").iter_rows())
        assert found["other"] == first
        assert found["production"] == wanted if ended else found["production"] in (was, wanted)
        wanted = found["production"]
        if ended:
            break
        killed += 1
    program.communicate()

    assert ended
    assert killed > 5, "changing an alias touches fewer files than it must: the kills prove nothing"
    change_aliases(warehouse, [], at=AT, by=JOB)
    assert aliases(warehouse)["run_id"].to_list() == [first, wanted]
