"""Synthetic data with the shape of a retailer's: pieces of the kinds that may be brought in, made from a Seed.

The same Seed gives the same rows, byte for byte. More stores, products or days leave the rows of the first ones alone, but for
the `valid_to` of the last price. So does a later batch: the Seed of the earlier one with another `end`, `since` the day after
the earlier end, and a `noise_seed` of its own. Without one, the rows are those that one batch of the whole range would have had
(but for returns of what the earlier batch sold, which are in neither).

Demand is caused, not decorated: `demand` says how, `truth` what was planted. A day in stock has a row even if nothing was sold;
a stock-out day sells nothing and, as in a till's export, has none.
"""

from collections.abc import Iterator

import msgspec
import polars as pl

from assets_config.contract.seeds import BASE, Seed
from pipelines.sources.synthetic import tables, truth
from pipelines.sources.synthetic.demand import Demand, first_day, make_demand, sell
from pipelines.sources.synthetic.streams import months


class Piece(msgspec.Struct, frozen=True):
    """Rows of one kind, or of `truth`: all of them, or those of a calendar month (2024-01) where the kind is kept by month."""

    table: str
    month: str | None
    frame: pl.DataFrame


def generate(seed: Seed) -> Iterator[Piece]:
    """Give the tables that a seed asks for, piece by piece, one month in memory at a time. A piece without rows is left out.

    Frames have the columns of the kind's Struct in its order, decimals as Decimal(18, scale). Beside them comes `truth`, last, if
    one of the BASE tables is asked for. With `seed.since`, rows are those of days from then on, prices and promotions those that
    begin then; stores, products, lifecycle and what stands still in the truth are not repeated. A seed whose `since` lies after its
    end gives nothing.

    Raises ValueError, when the end lies before the start.

    >>> [(piece.table, piece.frame.height) for piece in generate(Seed(stores=2, products=1, tables=("stores", "lifecycle")))]
    [('stores', 2), ('lifecycle', 1), ('truth', 66)]
    """
    if seed.end < seed.start:
        raise ValueError(f"the end {seed.end} lies before the start {seed.start}")
    demand = make_demand(seed)
    for table, make in (*(tables.STANDING.items() if seed.since is None else ()), *tables.PLANNED.items()):
        if table in seed.tables:
            yield from _piece(table, None, make(demand))
    told: list[pl.DataFrame] = []
    yield from _monthly(demand, told)
    if set(seed.tables) & set(BASE):
        begun = (*(truth.standing(demand) if seed.since is None else ()), *truth.planned(demand), *told)
        yield from _piece("truth", None, pl.concat(begun))


def _monthly(demand: Demand, told: list[pl.DataFrame]) -> Iterator[Piece]:
    """Pieces of each month; what happened in it is added to `told`."""
    seed = demand.seed
    wanted = set(seed.tables)
    if not wanted & {*BASE, *tables.MONTHLY, "returns"}:
        return
    coming: pl.DataFrame | None = None
    for month in months(seed):
        if month.first + month.days <= first_day(seed):
            continue
        sold = sell(demand, month)
        for table, make in tables.MONTHLY.items():
            if table in wanted:
                yield from _piece(table, month.name, make(demand, sold))
        if "returns" in wanted:
            due, coming = tables.returns(demand, sold, coming)
            yield from _piece("returns", month.name, due)
        if wanted & set(BASE):
            told.extend(truth.happened(demand, sold))


def _piece(table: str, month: str | None, frame: pl.DataFrame) -> Iterator[Piece]:
    if frame.height:
        yield Piece(table, month, frame)
