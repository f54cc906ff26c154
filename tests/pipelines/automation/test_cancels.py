"""A run that was asked to end ends, whatever becomes of who asked, and of its process."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, job, op, reconstructable
from dagster._core.events import DagsterEvent, DagsterEventType, EngineEventData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id

from assets_config.contract.cancels import Cancels
from pipelines.automation.dead_runs import (
    PATIENCE,
    PROCESS_TAG,
    REMEMBERED,
    end_cancelled_runs,
    fail_dead_runs,
    process_tag,
)


@op
def nothing() -> None:
    """Does nothing."""


@job
def idle() -> None:
    nothing()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterInstance]:
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with DagsterInstance.from_config(str(home)) as found:
        yield found


def a_run(instance: DagsterInstance, status: DagsterRunStatus, pid: int | None = None) -> DagsterRun:
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__").get_job_origin("idle")
    code = reconstructable(idle).get_python_origin()
    run = instance.create_run_for_job(idle, run_id=make_new_run_id(), status=status, remote_job_origin=origin, job_code_origin=code)
    if pid is not None:
        instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
    return run


def status(instance: DagsterInstance, run: DagsterRun) -> DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as found:
        yield found
        found.kill()


def test_a_queued_run_is_ended_and_forgotten_later(instance: DagsterInstance, tmp_path: Path) -> None:
    cancels, run = Cancels(tmp_path), a_run(instance, DagsterRunStatus.QUEUED)
    cancels.ask(run.run_id)

    assert end_cancelled_runs(instance, cancels, now=time.time()) == [run.run_id]

    assert status(instance, run) == DagsterRunStatus.CANCELED
    assert cancels.is_asked(run.run_id), "the queue may have let it go at that moment: it is looked at again"
    end_cancelled_runs(instance, cancels, now=time.time() + REMEMBERED + 1)
    assert not cancels.is_asked(run.run_id)


def test_a_run_that_left_the_queue_while_it_was_cancelled_is_cancelled_again(instance: DagsterInstance, tmp_path: Path) -> None:
    cancels, run = Cancels(tmp_path), a_run(instance, DagsterRunStatus.QUEUED)
    cancels.ask(run.run_id)
    end_cancelled_runs(instance, cancels, now=time.time())
    for kind in (DagsterEventType.RUN_ENQUEUED,):  # as the race leaves it: the event of the queue comes after the cancel
        instance.report_dagster_event(DagsterEvent(event_type_value=kind.value, job_name="idle"), run_id=run.run_id)
    assert status(instance, run) == DagsterRunStatus.QUEUED

    end_cancelled_runs(instance, cancels, now=time.time() + 10)

    assert status(instance, run) == DagsterRunStatus.CANCELED


def test_a_starting_run_is_left_until_it_has_started(instance: DagsterInstance, tmp_path: Path) -> None:
    cancels, run = Cancels(tmp_path), a_run(instance, DagsterRunStatus.STARTING)
    cancels.ask(run.run_id)

    assert end_cancelled_runs(instance, cancels, now=time.time()) == []

    assert cancels.is_asked(run.run_id)


def test_a_process_that_does_not_end_is_killed(
    instance: DagsterInstance, tmp_path: Path, process: "subprocess.Popen[bytes]"
) -> None:
    cancels, run = Cancels(tmp_path), a_run(instance, DagsterRunStatus.CANCELING, process.pid)
    cancels.ask(run.run_id)

    assert end_cancelled_runs(instance, cancels, now=time.time() + 1) == []
    assert process.poll() is None

    assert end_cancelled_runs(instance, cancels, now=time.time() + PATIENCE + 1) == [run.run_id]
    assert process.wait(10) == -9
    assert status(instance, run) == DagsterRunStatus.CANCELED


def test_a_run_that_broke_down_over_its_cancel_is_cancelled(instance: DagsterInstance, tmp_path: Path) -> None:
    cancels, run = Cancels(tmp_path), a_run(instance, DagsterRunStatus.FAILURE)
    other = a_run(instance, DagsterRunStatus.FAILURE)
    cancels.ask(run.run_id)

    end_cancelled_runs(instance, cancels, now=time.time())

    assert (status(instance, run), status(instance, other)) == (DagsterRunStatus.CANCELED, DagsterRunStatus.FAILURE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (DagsterRunStatus.STARTING, DagsterRunStatus.FAILURE),
        (DagsterRunStatus.STARTED, DagsterRunStatus.FAILURE),
        (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED),
    ],
)
def test_a_run_without_its_process_ends_as_what_it_was(
    instance: DagsterInstance, process: "subprocess.Popen[bytes]", before: DagsterRunStatus, after: DagsterRunStatus
) -> None:
    run = a_run(instance, before, process.pid)
    assert fail_dead_runs(instance) == []

    process.kill()  # and nobody has asked after it yet: it is a zombie
    deadline = time.monotonic() + 10
    while not fail_dead_runs(instance):
        assert time.monotonic() < deadline

    assert status(instance, run) == after


def number_of_another(instance: DagsterInstance, run: DagsterRun, process: "subprocess.Popen[bytes]") -> None:
    """Tag a run with this process, but the number of another: as after a restart, when numbers are given anew."""
    run_id, _, began = process_tag(run.run_id)[PROCESS_TAG].split(" ", 2)
    instance.add_run_tags(run.run_id, {PROCESS_TAG: f"{run_id} {process.pid} {began}"})


def test_another_process_that_has_the_number_of_a_run_by_now_is_not_killed(
    instance: DagsterInstance, tmp_path: Path, process: "subprocess.Popen[bytes]"
) -> None:
    cancels, run = Cancels(tmp_path), a_run(instance, DagsterRunStatus.CANCELING, process.pid)
    number_of_another(instance, run, process)
    cancels.ask(run.run_id)

    assert end_cancelled_runs(instance, cancels, now=time.time() + PATIENCE + 1) == [run.run_id]

    assert process.poll() is None
    assert status(instance, run) == DagsterRunStatus.CANCELED


@pytest.mark.parametrize("before", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED])
def test_a_run_whose_number_another_process_has_by_now_is_marked_as_failed(
    instance: DagsterInstance, process: "subprocess.Popen[bytes]", before: DagsterRunStatus
) -> None:
    run = a_run(instance, before, process.pid)
    number_of_another(instance, run, process)

    assert fail_dead_runs(instance) == [run.run_id]


def test_a_retry_is_not_taken_for_the_process_of_what_it_runs_again(
    instance: DagsterInstance, process: "subprocess.Popen[bytes]"
) -> None:
    run = a_run(instance, DagsterRunStatus.STARTED, process.pid)
    instance.add_run_tags(run.run_id, process_tag(make_new_run_id()))

    assert fail_dead_runs(instance) == []


@pytest.mark.parametrize("name", ["..", "../x", "a" * 36, "0" * 35, ""])
def test_no_other_file_is_named_by_a_run(tmp_path: Path, name: str) -> None:
    if name == "a" * 36:
        Cancels(tmp_path).ask(name)  # letters of a hash: a name of ours
        return
    with pytest.raises(ValueError, match="no id of a Dagster run"):
        Cancels(tmp_path).ask(name)
