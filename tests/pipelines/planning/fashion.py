"""A small chain of fashion stores, planted without Dagster, and the season's tables worked out as its assets do."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path

import duckdb
import msgspec
import polars as pl

from assets_config.contract.plans import DecideApprovalParams, ReforecastParams, SeasonPlanParams
from assets_config.contract.season import Approval, Markdown
from assets_config.contract.seeds import PRESETS, Seed
from pipelines.planning.season.approvals import approvals
from pipelines.planning.season.book import Book, read_books
from pipelines.planning.season.checkpoint import markdowns
from pipelines.planning.season.forecasts import make_forecasts
from pipelines.planning.season.plans import change_plans, decide, state
from pipelines.shapes import frame_of
from pipelines.sources.synthetic.generator import generate
from tests.plant import Plant

SEED = msgspec.structs.replace(PRESETS["fashion_season"].seed, stores=5, products=18)
NOW = datetime(2026, 1, 5, 12)
JOBS = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
START = date(2024, 6, 3)
TABLES = ("stores", "products", "holidays", "prices", "promotions", "inventory", "sales-daily")


def plant(root: Path, seed: Seed = SEED) -> Plant:
    """A data root with the core tables of a seed."""
    made = Plant(root)
    pieces = list(generate(seed))
    for table in TABLES:
        content = BytesIO()
        pl.concat([piece.frame for piece in pieces if piece.table == table]).write_parquet(content)
        made.post(table, content.getvalue(), name=f"{table}.parquet", at=datetime.now(UTC))
    made.run()
    with duckdb.connect() as connection:
        made.finish(connection)
    return made


class Desk:
    """Command plans at a time, and read what follows. The clock stands unless it is turned."""

    def __init__(self, made: Plant) -> None:
        self.plant, self.warehouse, self.now = made, made.warehouse, NOW
        self.elasticity: dict[str | None, float] = {None: -1.8}

    def command(self, *commands: SeasonPlanParams | ReforecastParams, by: str) -> None:
        change_plans(self.warehouse, commands, first_sale=SEED.start, last_sale=SEED.end, at=self.now, by=by)
        self.follow()

    def decide(self, *commands: DecideApprovalParams, by: str) -> list[str]:
        found = decide(self.warehouse, commands, at=self.now, by=by)
        self.follow()
        return found

    def follow(self) -> None:
        """Work out forecasts and approvals, as a run of the season's assets does."""
        _, failed = make_forecasts(self.warehouse, at=self.now)
        assert not failed, failed
        earlier = self.approvals()
        rows = [row for book in self.books() for row in approvals(book, self.cuts(book), earlier, at=self.now)]
        self.warehouse.write("planning/approval", frame_of(Approval, rows))

    def books(self) -> list[Book]:
        return read_books(self.warehouse)

    def book(self) -> Book:
        [found] = self.books()
        return found

    def cuts(self, book: Book) -> list[Markdown]:
        return markdowns(book, self.elasticity)

    def approvals(self) -> dict[str, Approval]:
        rows = state(self.warehouse, "planning/approval", Approval).iter_rows(named=True)
        return {row["approval_id"]: Approval(**row) for row in rows}

    def approval(self, kind: str) -> Approval:
        [found] = [each for each in self.approvals().values() if each.kind == kind]
        return found

    def report(self, plan_id: str, week: int, units: Mapping[str, int]) -> None:
        """Bring the sales of a week in, by store code."""
        lines = "".join(f"{code},{week},{sold}\n" for code, sold in units.items())
        self.plant.post(
            "weekly-sales", f"store_id,week_number,units_sold\n{lines}", parameters={"forecast_id": plan_id}, name=f"{week}.csv"
        )
        self.plant.run()
        self.follow()

    def codes(self) -> list[str]:
        """The codes of the stores in the order of a book's."""
        return sorted(self.plant.table("dim_store")["code"].to_list())


def share(units: int, weights: Sequence[int], codes: Sequence[str]) -> dict[str, int]:
    """A week's units by store code, in proportion."""
    from pipelines.planning.season.quantities import apportion

    return dict(zip(codes, apportion(units, weights), strict=True))
