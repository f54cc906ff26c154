"""What a plan buys, where it goes at first, and how the season then lives on it."""

import polars as pl

from assets_config.contract.season import Allocation, Replenishment, SeasonBuy
from pipelines.planning.season.allocation import Allotment, allocate
from pipelines.planning.season.book import Book
from pipelines.planning.season.quantities import bought, held_back
from pipelines.planning.season.replenishment import Week, walk


def proposed(book: Book) -> int:
    """Units to manufacture for the first version of a plan."""
    return bought(book.forecasts[0].units, book.versions[0].safety_stock)


def manufactured(book: Book) -> int | None:
    """Units that were decided; None before the decision, and where it was rejected."""
    made = book.decided.get("manufacturing")
    return None if made is None or made.value is None else int(made.value)


def allotted(book: Book) -> Allotment | None:
    """The initial allocation in the order of the book's stores; None before the decision."""
    units, plan = manufactured(book), book.versions[0]
    if units is None:
        return None
    initial, _ = held_back(units, plan.holdback)
    least = [plan.min_per_store] * len(book.stores)
    most = None if plan.max_per_store is None else [plan.max_per_store] * len(book.stores)
    return allocate(initial, [each.units for each in book.stores], least=least, most=most, pack=plan.pack_size)


def buy(book: Book) -> SeasonBuy:
    """How much to manufacture, and how it is split where that was decided."""
    plan, demand, made, given = book.versions[0], book.forecasts[0].units, manufactured(book), allotted(book)
    said = f"{demand} x (1 + {plan.safety_stock:g}) rounded up = {proposed(book)}"
    initial = kept = None
    if made is not None and given is not None:
        initial, kept = held_back(made, plan.holdback)
        said += (
            f"; {made} decided: {kept} held back at {plan.holdback:g}, {initial} to stores, {given.unallocated} of them unallocated"
        )
    return SeasonBuy(
        plan_id=book.plan_id,
        demand=demand,
        safety_stock=plan.safety_stock,
        proposed=proposed(book),
        manufactured=made,
        initial=initial,
        holdback=kept,
        unallocated=None if given is None else given.unallocated,
        is_relaxed=given is not None and given.is_relaxed,
        reason=said,
    )


def allocations(book: Book) -> list[Allocation]:
    """What each store gets at the start; none before the decision."""
    given, plan = allotted(book), book.versions[0]
    if given is None:
        return []
    supply, every = sum(given.units) + given.unallocated, sum(each.units for each in book.stores)
    found = []
    for store, units in zip(book.stores, given.units, strict=True):
        said = f"{supply} x {store.units} / {every} = {supply * store.units / every if every else 0:.1f}"
        if given.is_relaxed:
            said += f"; the minima of {plan.min_per_store} do not fit, each is cut"
        elif units <= plan.min_per_store:
            said += f"; at least {plan.min_per_store}"
        elif plan.max_per_store is not None and units + plan.pack_size > plan.max_per_store:
            said += f"; at most {plan.max_per_store}"
        said += f"; {units // plan.pack_size} packs of {plan.pack_size} = {units}"
        least, most = plan.min_per_store, plan.max_per_store
        found.append(Allocation(book.plan_id, store.store_id, store.cluster, store.units, least, most, units, said))
    return found


def season_of(book: Book) -> list[Week]:
    """The season week by week: as sold where that is known, else as the newest version has it; none before the decision.

    What was not allocated stays at the distribution centre. Shipments go by the version that held before their week.
    """
    made, given, plan = manufactured(book), allotted(book), book.versions[0]
    if made is None or given is None:
        return []
    expected = [book.by_store(book.units(book.in_force(n + 1))[n]) for n in range(plan.weeks)]
    kept = made - sum(given.units)
    return walk(given.units, kept, expected, book.asked(), strategy=plan.replenishment, pack=plan.pack_size)


def replenishment(book: Book) -> list[Replenishment]:
    """The same by store."""
    return [
        Replenishment(
            book.plan_id, n + 1, each.store_id, week.opening[s], week.needed[s], week.shipped[s], week.sold[s], week.lost[s],
            n < len(book.sold),
        )
        for n, week in enumerate(season_of(book))
        for s, each in enumerate(book.stores)
    ]  # fmt: skip


def not_adding_up(buys: pl.DataFrame, given: pl.DataFrame) -> list[str]:
    """The plans whose allocations, unallocated and held back units are not what is manufactured."""
    sums = dict(given.group_by("plan_id").agg(pl.col("units").sum()).iter_rows())
    return [
        row["plan_id"]
        for row in buys.drop_nulls("manufactured").iter_rows(named=True)
        if sums.get(row["plan_id"], 0) + row["unallocated"] + row["holdback"] != row["manufactured"]
    ]
