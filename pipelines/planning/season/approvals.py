"""What plans wait for a decision on."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import structs

from assets_config.contract.season import Approval, ApprovalKind, ApprovalStatus, Markdown
from pipelines.planning.season.book import Book
from pipelines.planning.season.plans import ApprovalDecision, approval_id
from pipelines.planning.season.stock import buy

STATUS: Mapping[str, ApprovalStatus] = {"approve": "approved", "modify": "modified", "reject": "rejected"}


def approvals(book: Book, cuts: Sequence[Markdown], earlier: Mapping[str, Approval], *, at: datetime) -> list[Approval]:
    """The approvals of a plan: of its buy, and of a markdown where its checkpoint recommends one.

    Takes    cuts: its markdowns; earlier: the approvals as they were told last, by id; at: now, when new ones open.
    Gives    each as it stands. What was proposed when it was decided stays.
    """
    bought = buy(book)
    found = [_told(book, "manufacturing", float(bought.proposed), bought.reason.split(";")[0], earlier, at)]
    best = [each for each in cuts if each.is_recommended and each.cut > 0]
    if best or "markdown" in book.decided:
        cut, reason = (best[0].cut, best[0].reason) if best else (0.0, "")
        found.append(_told(book, "markdown", cut, reason, earlier, at))
    return found


def cut_of(book: Book) -> float:
    """The markdown that holds after the checkpoint; 0 where none was decided."""
    made = book.decided.get("markdown")
    return made.value if made is not None and made.value is not None else 0.0


def _told(book: Book, kind: ApprovalKind, proposal: float, reason: str, earlier: Mapping[str, Approval], at: datetime) -> Approval:
    key = approval_id(book.plan_id, kind)
    known, made, plan = earlier.get(key), book.decided.get(kind), book.versions[0]
    since = known.opened_at if known else at
    fresh = Approval(
        approval_id=key,
        plan_id=book.plan_id,
        kind=kind,
        status="open",
        proposed=proposal,
        value=None,
        reason=reason,
        opened_at=since,
        deadline=since + timedelta(hours=plan.approval_hours),
        default_action=plan.approval_default,
        decided_at=None,
        decided_by=None,
        note=None,
    )
    return fresh if made is None else _decided(known or fresh, made)


def _decided(approval: Approval, made: ApprovalDecision) -> Approval:
    return structs.replace(
        approval,
        status=STATUS[made.decision],
        value=made.value,
        decided_at=made.decided_at,
        decided_by=made.decided_by,
        note=made.note,
    )
