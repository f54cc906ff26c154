"""A plan with all that is known of it, read from the tables of its stage."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from assets_config.contract.season import SeasonForecast, SeasonPlan, SeasonStore, SeasonWeek
from pipelines.planning.season.plans import STORES, ApprovalDecision, approval_id, decisions, living, state, weeks_sold
from pipelines.planning.season.quantities import apportion
from pipelines.warehouse import Warehouse

FORECAST, WEEKS = "planning/season_forecast", "planning/season_week"


class Book(Struct, frozen=True):
    """One plan. Versions are oldest first, stores in order of their code; weeks that were sold are those of `weeks_sold`."""

    versions: list[SeasonPlan]
    forecasts: list[SeasonForecast]  # may lack the newest versions, where they could not be made
    weeks: dict[int, list[SeasonWeek]]  # by version
    stores: list[SeasonStore]
    sold: list[dict[int, int]]  # by week: units by store
    decided: dict[str, ApprovalDecision]  # by kind

    @property
    def plan(self) -> SeasonPlan:
        return self.versions[-1]

    @property
    def plan_id(self) -> str:
        return self.versions[-1].plan_id

    @property
    def sold_cumulative(self) -> list[int]:
        """Units up to the end of each week that was reported."""
        totals = [sum(week.values()) for week in self.sold[: self.plan.weeks]]
        return [sum(totals[: n + 1]) for n in range(len(totals))]

    def in_force(self, week: int) -> int:
        """The version that held before a week: the newest that knew of no sale of it."""
        made = [each.version for each in self.versions if each.from_week < week and each.version in self.weeks]
        return made[-1]

    def units(self, version: int) -> list[int]:
        return [each.units for each in self.weeks[version]]

    def by_store(self, units: int) -> list[int]:
        """What each store is expected to sell of a week's units: its share of the season."""
        return apportion(units, [each.units for each in self.stores])

    def asked(self) -> list[list[int]]:
        """What was asked for by week and store: reported sales, and the newest version for weeks to come."""
        newest = self.units(max(self.weeks))
        ahead = [self.by_store(units) for units in newest]
        known = [[week.get(each.store_id, 0) for each in self.stores] for week in self.sold[: self.plan.weeks]]
        return [*known, *ahead[len(known) :]]


def read_books(warehouse: Warehouse) -> list[Book]:
    """The plans of the source that is loaded, oldest first, as far as they were forecast."""
    made = decisions(warehouse)
    forecasts = _by_plan(warehouse, FORECAST, SeasonForecast)
    weeks, stores = _by_plan(warehouse, WEEKS, SeasonWeek), _by_plan(warehouse, STORES, SeasonStore)
    found = []
    for plan_id, versions in living(warehouse).items():
        by_version: dict[int, list[SeasonWeek]] = {}
        for row in weeks.get(plan_id, []):
            by_version.setdefault(row["version"], []).append(SeasonWeek(**row))
        decided = {kind: made[key] for kind in ("manufacturing", "markdown") if (key := approval_id(plan_id, kind)) in made}
        found.append(
            Book(
                versions,
                [SeasonForecast(**row) for row in forecasts.get(plan_id, [])],
                by_version,
                [SeasonStore(**row) for row in stores.get(plan_id, [])],
                weeks_sold(warehouse, plan_id),
                decided,
            )
        )
    return found


def _by_plan(warehouse: Warehouse, key: str, shape: type[Struct]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in state(warehouse, key, shape).iter_rows(named=True):
        found.setdefault(row["plan_id"], []).append(row)
    return found


def forecast_books(books: Sequence[Book]) -> list[Book]:
    """Those that have a forecast: what follows can be worked out of them only."""
    return [each for each in books if each.forecasts]
