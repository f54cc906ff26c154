"""The published tables of forecast sets: what was forecast as of each cutoff, kept as it was said."""

from datetime import date, datetime
from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import CalendarDay, column
from assets_config.contract.names import ForecastKind, SetLevel


class ForecastSet(Struct, frozen=True):
    """One set of forecasts of all series, made at one cutoff and never altered since."""

    set_id: Annotated[str, column("16 hex digits: hash of what was forecast. The same forecasts made again are the same set.")]
    kind: Annotated[ForecastKind, column("`series`: days ahead of each store and product; `season`: a season plan's.")]
    cutoff: Annotated[CalendarDay, column("Last day that the models were allowed to see.")]
    start_date: Annotated[CalendarDay, column("First day that is forecast.")]
    end_date: Annotated[CalendarDay, column("Last day that is forecast.")]
    horizon: Annotated[int, column("Number of days that are forecast.", unit="days")]
    series: Annotated[int, column("Number of series, each a store and product.", unit="series")]
    units: Annotated[float, column("Expected demand of all series over all days.", unit="units")]
    models: Annotated[str, column("Number of series that each model type forecasts, as a JSON object.")]
    is_current: Annotated[bool, column("Whether it is the set that the snapshot's forecasts are of.")]
    is_scored: Annotated[bool, column("Whether it counts for realised accuracy: one set a cutoff does, none made in hindsight.")]
    dataset_id: Annotated[str, column("Hash of the core tables that it was made from.")]
    made_at: Annotated[datetime, column("When it was made, UTC.")]


class ForecastSetLevel(Struct, frozen=True):
    """One day of one member of a level as a set forecasts it: the sum of the forecasts of its series."""

    set_id: Annotated[str, column("The set; read it at /forecasts/{set_id}.")]
    level: Annotated[SetLevel, column("What is summed: total, region, store, category or department.")]
    member: Annotated[str, column("Store code or name of the member; `total` of the total.")]
    date: Annotated[date, column("Day that the forecast is for.")]
    step: Annotated[int, column("Days after the cutoff, from 1.", unit="days")]
    yhat: Annotated[float, column("Expected demand.", unit="units/day")]
    q05: Annotated[float, column("Demand is below this in 5 % of cases.", unit="units/day")]
    q10: Annotated[float, column("Demand is below this in 10 % of cases.", unit="units/day")]
    q25: Annotated[float, column("Demand is below this in 25 % of cases.", unit="units/day")]
    q50: Annotated[float, column("Median demand.", unit="units/day")]
    q75: Annotated[float, column("Demand is below this in 75 % of cases.", unit="units/day")]
    q90: Annotated[float, column("Demand is below this in 90 % of cases.", unit="units/day")]
    q95: Annotated[float, column("Demand is below this in 95 % of cases.", unit="units/day")]
