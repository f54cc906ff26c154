"""A watch on sales that come out other than forecast: forecasts are made again before the week is over."""

import json
from datetime import date
from pathlib import Path

import duckdb
from dagster import DefaultSensorStatus, RunRequest, SensorEvaluationContext, SkipReason, sensor
from msgspec import Struct

from pipelines.automation.schedules import backtest
from pipelines.errors import PipelineError
from pipelines.resources import Storage, settings
from pipelines.warehouse import Warehouse

FEWEST = 7  # days that must be known: a week has every weekday once


class Variance(Struct, frozen=True):
    """What was sold beside what was forecast, over the days of the forecast that are known by now."""

    cutoff: date
    last: date
    days: int
    sold: float
    forecast: float

    @property
    def share(self) -> float | None:
        """Sold minus forecast over forecast: positive is more than forecast. None where nothing was forecast."""
        return (self.sold - self.forecast) / self.forecast if self.forecast else None


@sensor(
    job=backtest,
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.RUNNING,
    description="Forecast again where sales come out other than forecast, by more than DEMANDGRAPH_VARIANCE.",
)
def sales_off_forecast(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """Forecast again when sales since the cutoff differ in sum by more than DEMANDGRAPH_VARIANCE; once a week at most."""
    limit, warehouse = settings().variance, Storage().warehouse()
    seen = signature(warehouse)
    if not limit or not seen:
        return SkipReason("DEMANDGRAPH_VARIANCE is 0" if not limit else "there are no forecasts and sales yet")
    if context.cursor == seen:
        return SkipReason("neither sales nor forecasts are others than before")
    try:
        found = variance(warehouse)
    except (PipelineError, duckdb.Error) as error:  # a run is just replacing the files: the next look finds them
        return SkipReason(f"not to be read now: {error}")
    context.update_cursor(seen)
    if found is None or found.share is None or found.days < FEWEST:
        return SkipReason(f"{found.days if found else 0} days of the forecast are known, of which {FEWEST} are needed")
    said = f"{found.days} days up to {found.last}: {found.sold:,.0f} sold, {found.forecast:,.0f} forecast, {found.share:+.1%}"
    if abs(found.share) <= limit:
        return SkipReason(said)
    context.log.info(said)
    tags = {"demandgraph/job_type": "materialize", "demandgraph/variance": f"{found.share:.4f}"}
    return RunRequest(run_key=f"{found.cutoff} {found.last:%G-W%V}", tags=tags)


def variance(warehouse: Warehouse) -> Variance | None:
    """What became of the forecast that is newest; None where no day of it is known yet. A day without a line sold nothing."""
    forecast, sales = (warehouse.parquet(key) for key in ("forecasts/forecast", "kpis/kpi_daily"))
    query = f"""
        WITH known AS (SELECT max(date) AS last FROM {sales}),
        ahead AS (SELECT store_id, product_id, date, cutoff, yhat FROM {forecast}, known
                  WHERE source = 'forecast' AND date <= known.last)
        SELECT max(cutoff), max(date), count(DISTINCT date), coalesce(sum(units), 0), sum(yhat)
        FROM ahead LEFT JOIN {sales} USING (store_id, product_id, date)"""
    with duckdb.connect() as connection:
        [(cutoff, last, days, sold, said)] = connection.execute(query).fetchall()
    return Variance(cutoff, last, days, float(sold), float(said)) if days else None


def signature(warehouse: Warehouse) -> str | None:
    """What differs when sales or forecasts were made again; None where one of them is not there."""
    try:
        files = [path for key in ("forecasts/forecast", "kpis/kpi_daily") for path in warehouse.files(key)]
        return json.dumps([_stat(path) for path in files])
    except (PipelineError, FileNotFoundError):
        return None


def _stat(path: Path) -> tuple[str, int, int]:
    found = path.stat()
    return path.name, found.st_mtime_ns, found.st_size
