"""The forecasts of all plans: those that were made stay as they were said, those that are missing are made."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl
from msgspec import Struct

from assets_config.contract.season import SeasonForecast, SeasonPlan, SeasonStore, SeasonWeek
from pipelines.errors import PipelineError
from pipelines.planning.season.book import FORECAST, WEEKS
from pipelines.planning.season.forecast import Made, forecast_again, forecast_first
from pipelines.planning.season.plans import STORES, changing, living, state
from pipelines.shapes import frame_of
from pipelines.warehouse import Warehouse

TABLES: Mapping[str, type[Struct]] = {FORECAST: SeasonForecast, WEEKS: SeasonWeek, STORES: SeasonStore}


def make_forecasts(warehouse: Warehouse, *, at: datetime) -> tuple[list[str], dict[str, str]]:
    """Forecast the versions of plans that are not yet, and write the three tables.

    Gives the versions that were made, as `<plan_id> <version>`, and why others could not be, by plan: one plan that cannot be
    forecast stops no other. Plans of another source keep what they have. A version whose tables were not all written by a run
    that was killed is made again.
    """
    with changing(warehouse):
        known = {key: state(warehouse, key, shape) for key, shape in TABLES.items()}
        rows: dict[str, list[Struct]] = {key: [] for key in TABLES}
        said: list[str] = []
        failed: dict[str, str] = {}
        for plan_id, versions in living(warehouse).items():
            try:
                for made in _missing(warehouse, versions, known, at=at):
                    rows[FORECAST].append(made.forecast)
                    rows[WEEKS] += made.weeks
                    rows[STORES] += made.stores if made.forecast.version == 1 else []
                    said.append(f"{plan_id} {made.forecast.version}")
            except PipelineError as error:
                failed[plan_id] = str(error)
        new = dict.fromkeys(said)
        for key in (STORES, WEEKS, FORECAST):  # the one that says that a version is made comes last
            frame = known[key]
            if key == STORES:
                frame = frame.filter(~pl.col("plan_id").is_in([each.split()[0] for each in new if each.endswith(" 1")]))
            else:
                frame = frame.filter(~(pl.col("plan_id") + " " + pl.col("version").cast(pl.String)).is_in(list(new)))
            warehouse.write(key, pl.concat([frame, frame_of(TABLES[key], rows[key])]))
    return said, failed


def _missing(
    warehouse: Warehouse, versions: Sequence[SeasonPlan], known: Mapping[str, pl.DataFrame], *, at: datetime
) -> list[Made]:
    """The versions of a plan that are to be made, in order."""
    plan_id = versions[0].plan_id
    rows = {key: frame.filter(plan_id=plan_id) for key, frame in known.items()}
    there = set(rows[FORECAST]["version"].to_list())
    found: list[Made] = []
    first = None
    if 1 in there:
        first = Made(
            SeasonForecast(**rows[FORECAST].filter(version=1).row(0, named=True)),
            [SeasonWeek(**row) for row in rows[WEEKS].filter(version=1).sort("week").iter_rows(named=True)],
            [SeasonStore(**row) for row in rows[STORES].iter_rows(named=True)],
        )
    for plan in versions:
        if plan.version in there:
            continue
        made = forecast_first(warehouse, plan, at=at) if first is None else forecast_again(warehouse, plan, first, at=at)
        first = first or made
        found.append(made)
    return found
