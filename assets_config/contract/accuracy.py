"""The published tables of how good forecasts were, what each step of making them adds, and whether their ranges hold."""

from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import column
from assets_config.contract.names import Bucket, DemandClass, Level, Segment, Stage


class ForecastAccuracy(Struct, frozen=True):
    """Errors of frozen forecasts, pooled over all that were frozen and whose days are known by now.

    A frozen forecast is what was said as of its cutoff, before the first of its days. Demand of a level counts all its series,
    those that were launched since too. A metric that is undefined is null, and `reason` says why.
    """

    level: Annotated[Level, column("What is scored: `series` is store x product, the others are sums of it.")]
    bucket: Annotated[Bucket, column("Days between cutoff and target, `all` for the whole horizon.")]
    model_type: Annotated[str, column("Type of the champion that had forecast, of series only; `all` for all.")]
    segment: Annotated[Segment, column("Demand pattern as of the cutoff, of series only; `all` for all.")]
    cutoffs: Annotated[int, column("Number of frozen forecasts that are scored.")]
    n: Annotated[int, column("Scored points.", unit="series-days")]
    mae: Annotated[float, column("Mean absolute error.", unit="units/day")]
    wape: Annotated[float | None, column("Sum of absolute errors over sum of demand.", unit="ratio")]
    bias_ratio: Annotated[float | None, column("Sum of forecast minus actual over sum of demand.", unit="ratio")]
    coverage_90: Annotated[float, column("Share of actuals within q05 and q95.", unit="ratio")]
    reason: Annotated[str | None, column("Why metrics are null, where they are.")]


class ForecastValueAdded(Struct, frozen=True):
    """What one stage of forecasting adds to the stage before it, on the same days of the backtests.

    Stages are naive, seasonal_naive, the best single type, the ensemble and the champions. Types are chosen for each fold from the
    other folds, so that no stage is scored on what it was chosen by.
    """

    segment: Annotated[Segment, column("Demand pattern as of the cutoff; `all` for all series.")]
    position: Annotated[int, column("Place of the stage, from 1.")]
    stage: Annotated[Stage, column("The stage; ensemble is left out where it is not enabled.")]
    model_type: Annotated[
        str | None, column("Its model type; of best_single each that was best, with commas; null for champion, which has many.")
    ]
    n: Annotated[int, column("Scored points, the same for all stages.", unit="series-days")]
    wape: Annotated[float | None, column("Sum of absolute errors over sum of demand.", unit="ratio")]
    fva: Annotated[float | None, column("WAPE of the stage before minus this one; positive is better.", unit="ratio")]
    fva_naive: Annotated[float | None, column("WAPE of naive minus this one: the sum of fva up to here.", unit="ratio")]
    reason: Annotated[str | None, column("Why figures are null or flatter the stage, where they do.")]


class IntervalCoverage(Struct, frozen=True):
    """How often demand fell within q05 and q95 in the backtests, where each fold's quantiles come from the other folds.

    [low, high] is the 95 % Wilson interval of as many independent points. Those of one series are not independent, so the truth is
    less certain than that: coverage outside of it may be chance, coverage within it is no proof.
    """

    level: Annotated[Level, column("What is forecast: `series` is store x product, the others are sums of it.")]
    bucket: Annotated[Bucket, column("Horizon bucket, `all` for the whole horizon.")]
    segment: Annotated[Segment, column("Demand pattern as of the cutoff, of series only; `all` for all.")]
    demand: Annotated[DemandClass, column("Mean demand as of the cutoff, of series only: `over_1` or `up_to_1` a day; or `all`.")]
    n: Annotated[int, column("Points whose demand is known.", unit="series-days")]
    coverage: Annotated[float, column("Share of actuals within q05 and q95.", unit="ratio")]
    low: Annotated[float, column("Lower end of the band around coverage.", unit="ratio")]
    high: Annotated[float, column("Upper end of the band around coverage.", unit="ratio")]
    inside: Annotated[bool, column("Whether the band holds 0.9.")]
