"""What a demo run made and came to, as its workspace tells it, and two of them held against each other."""

import math
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

Value = str | int | float | bool | None
ALIKE = 1e-6
"""Two runs of the same data may differ in the last digits: models are fitted by several threads."""


class CreatedObjects(Struct, frozen=True):
    """What a run made, or worked with, by id. Any of it may be gone since: /health looks."""

    model_run_ids: Annotated[list[str], Meta(description="Model runs that it fitted; see /registry/runs.")] = []
    winning_run_id: Annotated[str | None, Meta(description="The one of the winner.")] = None
    scenario_ids: Annotated[
        list[str], Meta(description="Saved scenarios with the tag workspace:{name} or workspace:{workspace_id}.")
    ] = []
    plan_ids: Annotated[list[str], Meta(description="Season plans that it worked out again; see /workflows.")] = []


class PhaseSummary(Struct, frozen=True):
    """A stage of the pipeline, up to the publish."""

    phase_name: Annotated[str, Meta(description="Stage of the pipeline.")]
    steps: Annotated[int, Meta(description="Steps that ended well. [steps]")]
    seconds: Annotated[float, Meta(description="Time that they took, in sum. [s]")]


class ApprovalEvent(Struct, frozen=True):
    """An approval, as it stood when the run ended."""

    approval_id: Annotated[str, Meta(description="Read it at /approvals/{approval_id}.")]
    plan_id: Annotated[str, Meta(description="The season plan that waits or waited for it.")]
    kind: Annotated[str, Meta(description="What is decided: manufacturing or markdown.")]
    decision: Annotated[str, Meta(description="open, or what was decided.")]
    auto_approved: Annotated[bool, Meta(description="Whether its default was taken, since nobody decided in time.")]
    reason: Annotated[str | None, Meta(description="What was said of the decision; null where nothing was.")]


class RagEvent(Struct, frozen=True):
    """How well the knowledge base that the run made is searched."""

    mode: Annotated[str, Meta(description="keyword, semantic or hybrid.")]
    chunks: Annotated[int, Meta(description="Passages that are indexed. [chunks]")]
    questions: Annotated[int, Meta(description="Questions that were asked of it. [questions]")]
    hits_5: Annotated[float | None, Meta(description="Part of them whose answer is among the first five. [ratio]")]
    detail: Annotated[str, Meta(description="Why it is searched so.")]


class Story(Struct, frozen=True):
    """What happened in a run."""

    job_ids: Annotated[list[str], Meta(description="The job, and the one that it runs again; see /jobs.")] = []
    phase_summaries: Annotated[list[PhaseSummary], Meta(description="Its stages in order.")] = []
    approval_events: Annotated[list[ApprovalEvent], Meta(description="Approvals of season plans, newest first; at most 100.")] = []
    rag_events: Annotated[list[RagEvent], Meta(description="What was found of the knowledge base.")] = []


class Compared(Struct, frozen=True):
    """One thing of two workspaces."""

    name: Annotated[str, Meta(description="What is compared.")]
    a: Annotated[Value, Meta(description="As the first has it; null where it does not.")]
    b: Annotated[Value, Meta(description="As the second has it; null where it does not.")]
    same: Annotated[bool, Meta(description="Whether both are alike; numbers are, where they differ by less than a millionth.")]


class Reproduction(Struct, frozen=True):
    """Whether a run came to what the one came to that it repeats."""

    original: Annotated[str, Meta(description="The workspace that is repeated.")]
    reproduced: Annotated[bool, Meta(description="Whether all is alike.")]
    compared: Annotated[list[Compared], Meta(description="What was compared: a of the original, b of this.")]


class ResultSummary(Struct, frozen=True, kw_only=True):
    """What came of a run."""

    winner_model_type: Annotated[str | None, Meta(description="Model type of the lowest WAPE, of those asked for; null: none.")] = (
        None
    )
    winner_wape: Annotated[float | None, Meta(description="Its WAPE over all folds and series. [ratio]")] = None
    wapes: Annotated[dict[str, float], Meta(description="WAPE by model type. [ratio]")] = {}
    series: Annotated[int, Meta(description="Series that sold. [series]")] = 0
    units: Annotated[float, Meta(description="Units sold. [units]")] = 0.0
    forecast_units: Annotated[float | None, Meta(description="Units forecast for all days ahead; null: nothing. [units]")] = None
    scope_forecast_units: Annotated[float | None, Meta(description="The same of the series that it looks at. [units]")] = None
    story_reproduction: Annotated[Reproduction | None, Meta(description="How it compares with the one that it repeats.")] = None


def compared(a: ResultSummary, b: ResultSummary) -> list[Compared]:
    """What came of two runs, side by side."""
    names = [name for name in ResultSummary.__struct_fields__ if name not in ("wapes", "story_reproduction")]
    one, other = ({name: getattr(each, name) for name in names} | _by_type(each.wapes) for each in (a, b))
    return beside(one, other)


def beside(a: Mapping[str, Value], b: Mapping[str, Value]) -> list[Compared]:
    """Two mappings, member by member, in the order of the first.

    >>> [each.same for each in beside({"x": 1.0, "y": "a"}, {"x": 1.0000001, "z": None})]
    [True, False, True]
    """
    return [Compared(name, a.get(name), b.get(name), _is_alike(a.get(name), b.get(name))) for name in dict.fromkeys([*a, *b])]


def _by_type(wapes: Mapping[str, float]) -> dict[str, float]:
    return {f"wape of {name}": wapes[name] for name in sorted(wapes)}


def _is_alike(a: Value, b: Value) -> bool:
    return math.isclose(a, b, rel_tol=ALIKE, abs_tol=ALIKE) if isinstance(a, float) and isinstance(b, float) else a == b
