"""How good were forecasts once their days had come, and what does each stage of making them add?"""

from typing import Annotated, Generic, TypeVar

from litestar.di import NamedDependency
from litestar.params import FromQuery
from msgspec import Meta

from assets_config.contract.accuracy import ForecastAccuracy, ForecastValueAdded
from assets_config.contract.names import Bucket, Level, Segment, Stage
from serving.formats import table
from serving.reply import Listed, Page, PageSize, metadata
from serving.snapshot import Snapshot

T = TypeVar("T")
NOT_MADE = "the snapshot has no part accuracy: materialise forecasts and publish"
NOT_REALISED = "no day of a frozen forecast is known yet: sales are loaded up to {}, and forecasts begin the day after"
NO_BACKTEST = "no backtest was made: the data have too few days for one fold"


class Explained(Listed[T], Generic[T], frozen=True):
    """One page of a list that can be empty for a reason."""

    reason: Annotated[str | None, Meta(description="Why there are none at all; null where the filters match none.")] = None


@table("/forecasts/accuracy", operation_id="list_forecast_accuracy", tags=["forecasts"])
async def list_forecast_accuracy(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    level: FromQuery[Level | None] = None,
    bucket: FromQuery[Bucket | None] = None,
    model_type: FromQuery[str | None] = None,
    segment: FromQuery[Segment | None] = None,
) -> Explained[ForecastAccuracy]:
    """Realised errors of frozen forecasts by level, days between cutoff and target, model type and demand pattern."""
    wanted = {"level = ?": level, "bucket = ?": bucket, "model_type = ?": model_type, "segment = ?": segment}
    order = "level, bucket, model_type, segment"
    rows, total = await lease.page("accuracy", "forecast_accuracy", wanted, order=order, page=page, page_size=page_size)
    reason = _reason(lease, "forecast_accuracy", NOT_REALISED.format(lease.manifest.as_of))
    return Explained([ForecastAccuracy(**row) for row in rows], page, page_size, total, metadata(lease, "accuracy"), reason)


@table("/forecasts/value-added", operation_id="list_forecast_value_added", tags=["forecasts"])
async def list_forecast_value_added(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    segment: FromQuery[Segment | None] = None,
    stage: FromQuery[Stage | None] = None,
) -> Explained[ForecastValueAdded]:
    """WAPE of each stage in backtests, from naive to champion, and what it adds to the stage before, by demand pattern."""
    wanted = {"segment = ?": segment, "stage = ?": stage}
    order = "segment, position"
    rows, total = await lease.page("accuracy", "forecast_value_added", wanted, order=order, page=page, page_size=page_size)
    reason = _reason(lease, "forecast_value_added", NO_BACKTEST)
    return Explained([ForecastValueAdded(**row) for row in rows], page, page_size, total, metadata(lease, "accuracy"), reason)


def _reason(lease: Snapshot, table: str, empty: str) -> str | None:
    """Why a table has no rows at all."""
    part = lease.manifest.parts.get("accuracy")
    if part is None:
        return lease.manifest.omitted.get("accuracy", NOT_MADE)
    return None if part.tables[table] else empty
