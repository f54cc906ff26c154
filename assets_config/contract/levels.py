"""The published table of forecasts above the series."""

from datetime import date
from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import CalendarDay, column
from assets_config.contract.names import ForecastSource, Level


class ForecastLevel(Struct, frozen=True):
    """One forecast day of one member of a level: the sum of the forecasts of its series.

    A past day on which a series' demand is not known counts that series neither in the forecast nor in the demand. Quantiles
    are the level's own, from its residuals in backtests: those of a sum are not the sums of those of its parts.
    """

    level: Annotated[Level, column("What is summed: total, region, store, category, department or product.")]
    member: Annotated[str, column("Store code, SKU or name of the member; `total` of the total.")]
    date: Annotated[date, column("Day that the forecast is for.")]
    source: Annotated[ForecastSource, column("`forecast`: a future day; `backtest`: a past day, forecast as of cutoff.")]
    step: Annotated[int, column("Days after the cutoff, from 1.", unit="days")]
    cutoff: Annotated[CalendarDay, column("Last day that the models were allowed to see.")]
    series: Annotated[int, column("Number of series summed.", unit="series")]
    yhat: Annotated[float, column("Expected demand.", unit="units/day")]
    q05: Annotated[float, column("Demand is below this in 5 % of cases; of a past day from the other folds.", unit="units/day")]
    q10: Annotated[float, column("Demand is below this in 10 % of cases.", unit="units/day")]
    q25: Annotated[float, column("Demand is below this in 25 % of cases.", unit="units/day")]
    q50: Annotated[float, column("Median demand.", unit="units/day")]
    q75: Annotated[float, column("Demand is below this in 75 % of cases.", unit="units/day")]
    q90: Annotated[float, column("Demand is below this in 90 % of cases.", unit="units/day")]
    q95: Annotated[float, column("Demand is below this in 95 % of cases.", unit="units/day")]
    y: Annotated[float | None, column("Observed demand; null where it is not known yet.", unit="units/day")]
