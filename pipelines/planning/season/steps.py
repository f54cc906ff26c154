"""How far each plan is: the steps of its workflow, and who does them."""

from collections.abc import Iterator, Sequence

from assets_config.contract.season import Agent, Approval, Markdown, SeasonStep, StepStatus
from pipelines.planning.season.book import Book
from pipelines.planning.season.checkpoint import variances
from pipelines.planning.season.stock import buy, manufactured, proposed, season_of

Said = tuple[str, Agent, StepStatus, str]


def steps(book: Book, approvals: Sequence[Approval], cuts: Sequence[Markdown]) -> list[SeasonStep]:
    """The steps of a plan in their order."""
    said = list(_steps(book, {each.kind: each for each in approvals}, cuts))
    return [SeasonStep(book.plan_id, n, len(said), *each) for n, each in enumerate(said)]


def _steps(book: Book, approvals: dict[str, Approval], cuts: Sequence[Markdown]) -> Iterator[Said]:
    plan, sold, over = book.plan, len(book.sold), len(book.sold) >= book.plan.weeks
    asked = f"{plan.weeks} weeks from {plan.start_date}, holdback {plan.holdback:g}, replenishment {plan.replenishment}"
    yield "parameters", "orchestrator", "pass", f"{asked}, markdown week {plan.markdown_week or 'none'}"
    if not book.forecasts:
        yield "forecast", "demand", "fail", "the season could not be forecast: the job that asked for it has the reason"
        return
    first, made = book.forecasts[0], manufactured(book)
    yield "forecast", "demand", "pass", f"{first.units} units for {first.season}: {first.method}"
    yield "distribution", "demand", "pass", f"{len(book.stores)} stores in {len({each.cluster for each in book.stores})} clusters"
    yield "manufacturing", "inventory", *_decision(approvals["manufacturing"], f"{proposed(book)} units proposed")
    is_rejected = approvals["manufacturing"].status == "rejected"
    if made is None:
        after: StepStatus = "skip" if is_rejected else "waiting"
        why = "the buy was rejected" if is_rejected else "for the decision on the buy"
        yield "allocation", "inventory", after, why
        yield "replenishment", "inventory", after, why
        yield "markdown", "pricing", after, why
        yield "results", "orchestrator", after, ""
        return
    yield "allocation", "inventory", "pass", buy(book).reason
    yield "replenishment", "inventory", *_shipments(book)
    yield "variance", "orchestrator", *_watch(book)
    yield "reforecast", "demand", *_again(book)
    yield "markdown", "pricing", *_markdown(book, approvals, cuts)
    said = "what came of it, beside a naive plan and perfect foresight" if over else f"for weeks {sold + 1} to {plan.weeks}"
    yield "results", "orchestrator", "pass" if over else "waiting", said


def _decision(approval: Approval, proposal: str) -> tuple[StepStatus, str]:
    if approval.status == "open":
        return "waiting", f"{proposal}; to be decided until {approval.deadline:%Y-%m-%d %H:%M} UTC, then {approval.default_action}"
    return "fail" if approval.status == "rejected" else "pass", f"{proposal}; {approval.status} by {approval.decided_by}"


def _shipments(book: Book) -> tuple[StepStatus, str]:
    if book.plan.replenishment == "none":
        return "skip", "the plan has no replenishment"
    weeks = season_of(book)
    return "pass", f"{sum(sum(each.shipped) for each in weeks)} units in {sum(any(each.shipped) for each in weeks)} shipments"


def _watch(book: Book) -> tuple[StepStatus, str]:
    told = variances(book)
    if not told:
        return "waiting", "for the sales of week 1"
    off = [each.week for each in told if each.is_exceeded]
    status: StepStatus = "pass" if len(told) >= book.plan.weeks else "running"
    return status, f"{len(told)} weeks reported; more than a fifth off the plan in weeks: {', '.join(map(str, off)) or 'none'}"


def _again(book: Book) -> tuple[StepStatus, str]:
    if len(book.versions) == 1:
        return "skip", "sales were not off the plan"
    failed = [each.version for each in book.versions if each.version not in book.weeks]
    if failed:
        return "fail", f"version {failed[-1]} could not be made: its job has the reason"
    last = book.forecasts[-1]
    return "pass", f"version {last.version}: {last.units} units; the weeks that remain are {last.factor:.3f} of the plan"


def _markdown(book: Book, approvals: dict[str, Approval], cuts: Sequence[Markdown]) -> tuple[StepStatus, str]:
    if book.plan.markdown_week is None:
        return "skip", "the plan has no markdown"
    if "markdown" in approvals:
        return _decision(approvals["markdown"], f"a cut of {approvals['markdown'].proposed:.0%}")
    if not cuts:
        return "waiting", f"for the sales up to week {book.plan.markdown_week}"
    return "skip", f"nothing to cut: {cuts[0].reason}"
