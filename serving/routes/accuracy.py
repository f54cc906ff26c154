"""How good were forecasts once their days had come, and what does each stage of making them add?"""

from typing import Annotated, Generic, TypeVar

from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta
from msgspec.structs import asdict

from assets_config.contract.accuracy import ForecastAccuracy, ForecastValueAdded, IntervalCoverage
from assets_config.contract.names import Bucket, DemandClass, Level, Stage
from serving.formats import table
from serving.paging import Listed, Page, PageSize, page_from
from serving.parameters import OfModelType, OfSegment
from serving.snapshot import Snapshot

T = TypeVar("T")
OfLevel = Annotated[Level | None, QueryParameter(description="Only this level; `series` is store x product, others are sums.")]
OfBucket = Annotated[Bucket | None, QueryParameter(description="Only these days ahead: h_1_7 is the first week; `all` pools them.")]
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
    level: OfLevel = None,
    bucket: OfBucket = None,
    model_type: OfModelType = None,
    segment: OfSegment = None,
) -> Explained[ForecastAccuracy]:
    """Realised errors of frozen forecasts by level, days between cutoff and target, model type and demand pattern.

    These are errors of what was really said before the days came. Before any day has come the list is empty, with a reason: then
    /backtests and /registry/leaderboard say what to expect.
    """
    wanted = {"level = ?": level, "bucket = ?": bucket, "model_type = ?": model_type, "segment = ?": segment}
    order = "level, bucket, model_type, segment"
    found = await page_from(lease, "forecast_accuracy", ForecastAccuracy, wanted, order=order, page=page, page_size=page_size)
    return Explained(**asdict(found), reason=_reason(lease, "forecast_accuracy", NOT_REALISED.format(lease.manifest.as_of)))


@table("/forecasts/value-added", operation_id="list_forecast_value_added", tags=["forecasts"])
async def list_forecast_value_added(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    segment: OfSegment = None,
    stage: Annotated[Stage | None, QueryParameter(description="Only this stage of making forecasts.")] = None,
) -> Explained[ForecastValueAdded]:
    """WAPE of each stage in backtests, from naive to champion, and what it adds to the stage before, by demand pattern."""
    wanted = {"segment = ?": segment, "stage = ?": stage}
    order = "segment, position"
    found = await page_from(lease, "forecast_value_added", ForecastValueAdded, wanted, order=order, page=page, page_size=page_size)
    return Explained(**asdict(found), reason=_reason(lease, "forecast_value_added", NO_BACKTEST))


@table("/forecasts/coverage", operation_id="list_interval_coverage", tags=["forecasts"])
async def list_interval_coverage(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    level: OfLevel = None,
    bucket: OfBucket = None,
    segment: OfSegment = None,
    demand: Annotated[DemandClass | None, QueryParameter(description="Only series that sell so much a day.")] = None,
) -> Explained[IntervalCoverage]:
    """How often demand fell within q05 and q95 in backtests, which is to be 90 %, by level, days ahead and demand pattern.

    Look here before stock is planned by quantiles: where `inside` is false, ranges are too narrow or too wide.
    """
    wanted = {"level = ?": level, "bucket = ?": bucket, "segment = ?": segment, "demand = ?": demand}
    order = "level, bucket, segment, demand"
    found = await page_from(lease, "interval_coverage", IntervalCoverage, wanted, order=order, page=page, page_size=page_size)
    return Explained(**asdict(found), reason=_reason(lease, "interval_coverage", NO_BACKTEST))


def _reason(lease: Snapshot, table: str, empty: str) -> str | None:
    """Why a table has no rows at all."""
    part = lease.manifest.parts.get("accuracy")
    if part is None:
        return lease.manifest.omitted.get("accuracy", NOT_MADE)
    return None if part.tables[table] else empty
