"""What is to be run for season plans without anybody asking: sales off the plan, weeks that came in, deadlines."""

import hashlib
from datetime import datetime

from msgspec import Struct

from assets_config.contract.plans import ReforecastParams, is_due
from assets_config.contract.season import Approval, VarianceWeek
from pipelines.planning.season.book import forecast_books, read_books
from pipelines.planning.season.checkpoint import is_reforecast_due, variances
from pipelines.planning.season.plans import APPROVALS, PLANS, state
from pipelines.shapes import frame_of
from pipelines.warehouse import Warehouse

VARIANCE = "planning/variance_week"


class Errand(Struct, frozen=True):
    """A run to be started once for each key: a plan to be forecast again, or without one all plans to be looked at."""

    key: str
    reforecast: ReforecastParams | None
    why: str


def errands(warehouse: Warehouse, *, now: datetime) -> list[Errand]:
    """What is to be run now; nothing where no plan was ever made. `now`: UTC without a zone."""
    if not warehouse.path(PLANS).exists():
        return []
    books = forecast_books(read_books(warehouse))
    found = []
    for book in books:
        if is_reforecast_due(book):
            params = ReforecastParams(forecast_id=book.plan_id, trigger="variance")
            said = f"plan {book.plan_id} is off by {variances(book)[-1].variance or 0:+.1%} after week {len(book.sold)}"
            found.append(Errand(f"{book.plan_id} {len(book.sold)} {book.sold_cumulative[-1]}", params, said))
    if found:
        return found
    told = frame_of(VarianceWeek, [row for book in books for row in variances(book)]).sort("plan_id", "week")
    if not told.equals(state(warehouse, VARIANCE, VarianceWeek).sort("plan_id", "week")):
        key = hashlib.sha256(told.write_json().encode()).hexdigest()[:32]
        return [Errand(key, None, "weekly sales came in")]
    rows = state(warehouse, APPROVALS, Approval).iter_rows(named=True)
    due = sorted(row["approval_id"] for row in rows if is_due(Approval(**row), now))
    return [Errand(" ".join(due), None, f"nobody decided in time: {', '.join(due)}")] if due else []
