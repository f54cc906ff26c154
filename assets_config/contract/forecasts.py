"""The published tables of forecasts."""

from datetime import date
from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import CalendarDay, ProductId, StoreId, column
from assets_config.contract.names import ForecastSource


class Forecast(Struct, frozen=True):
    """One forecast day of one series, by the champion of that series.

    Rows with source `forecast` lie after the last day of sales; rows with source `backtest` are what the same model
    type had forecast for past days from data up to `cutoff` only.
    """

    store_id: StoreId
    product_id: ProductId
    date: Annotated[date, column("Day that the forecast is for.")]
    source: Annotated[ForecastSource, column("`forecast`: a future day; `backtest`: a past day, forecast as of cutoff.")]
    step: Annotated[int, column("Days after the cutoff, from 1.", unit="days")]
    cutoff: Annotated[CalendarDay, column("Last day that the model was allowed to see.")]
    yhat: Annotated[float, column("Expected demand.", unit="units/day")]
    q10: Annotated[float, column("Demand is below this in 10 % of cases.", unit="units/day")]
    q50: Annotated[float, column("Median demand.", unit="units/day")]
    q90: Annotated[float, column("Demand is below this in 90 % of cases.", unit="units/day")]
    y: Annotated[float | None, column("Observed demand; null where it is not known yet.", unit="units/day")]
    model_type: Annotated[str, column("Type of the champion, one of models.yaml.")]
    model_version: Annotated[str, column("run_id of the champion's model run; read it at /registry/runs/{run_id}.")]
    q05: Annotated[float, column("Demand is below this in 5 % of cases.", unit="units/day")] = 0.0
    q25: Annotated[float, column("Demand is below this in 25 % of cases.", unit="units/day")] = 0.0
    q75: Annotated[float, column("Demand is below this in 75 % of cases.", unit="units/day")] = 0.0
    q95: Annotated[float, column("Demand is below this in 95 % of cases.", unit="units/day")] = 0.0
