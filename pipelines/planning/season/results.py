"""What a season that is over brought, beside what plainer and what all-knowing planning would have."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from msgspec import Struct

from assets_config.contract.season import Policy, SeasonResult
from pipelines.planning.season.allocation import allocate
from pipelines.planning.season.approvals import cut_of
from pipelines.planning.season.book import Book
from pipelines.planning.season.ensemble import WEEK
from pipelines.planning.season.history import YEAR, History, read_history
from pipelines.planning.season.quantities import bought, held_back, money
from pipelines.planning.season.replenishment import Week, walk
from pipelines.planning.season.stock import manufactured, season_of
from pipelines.warehouse import Warehouse

SALVAGE = 0.5
"""Part of the cost that a unit brings after the season."""


class Terms(Struct, frozen=True):
    """What a unit costs, and brings in each week."""

    cost: float
    price: list[float]


def results(warehouse: Warehouse, book: Book) -> list[SeasonResult]:
    """One row a policy, each with the sales that were reported as what was asked for; none before the season is over.

    The naive policy takes the same weeks of the year before for its forecast, and buys and shares by the same rules. Perfect
    foresight makes what is asked for, and has it where it is asked for.
    """
    made, plan = manufactured(book), book.plan
    if made is None or len(book.sold) < plan.weeks:
        return []
    full, cost = float(book.forecasts[0].price), float(book.forecasts[0].cost or 0)
    cut, week = cut_of(book), plan.markdown_week or plan.weeks
    terms = Terms(cost, [full if n < week else full * (1 - cut) for n in range(plan.weeks)])
    asked = book.asked()
    history = read_history(warehouse, plan.category, plan.cutoff, ahead=0)
    buy, weeks = _naive(book, year_before(book, history))
    each: list[tuple[Policy, int, list[Week]]] = [
        ("plan", made, season_of(book)),
        ("naive", buy, weeks),
        ("perfect_foresight", sum(map(sum, asked)), _foreseen(asked)),
    ]
    best = _profit(terms, each[2][1], each[2][2])
    return [_result(book, policy, terms, units, told, best) for policy, units, told in each]


def year_before(book: Book, history: History) -> list[list[int]]:
    """What each store of a plan sold in the same weeks a year before, by week; usual weeks where those are not known."""
    plan, place = book.plan, {store: n for n, store in enumerate(history.store_id)}
    first = (plan.start_date - timedelta(days=YEAR) - history.first_day).days
    usual = history.units[:, -4 * WEEK :].sum(axis=1) / 4
    found = []
    for n in range(plan.weeks):
        begin = first + WEEK * n
        is_known = begin >= 0 and begin + WEEK <= history.units.shape[1]
        units = history.units[:, begin : begin + WEEK].sum(axis=1) if is_known else usual
        found.append([round(float(units[place[each.store_id]])) if each.store_id in place else 0 for each in book.stores])
    return found


def _naive(book: Book, expected: Sequence[Sequence[int]]) -> tuple[int, list[Week]]:
    plan, total = book.versions[0], sum(map(sum, expected))
    buy = bought(total, plan.safety_stock)
    initial, _ = held_back(buy, plan.holdback)
    needs = np.array(expected).sum(axis=0).tolist()
    given = allocate(initial, needs, pack=plan.pack_size)
    kept = buy - sum(given.units)
    return buy, walk(given.units, kept, expected, book.asked(), strategy=plan.replenishment, pack=plan.pack_size)


def _foreseen(asked: Sequence[Sequence[int]]) -> list[Week]:
    stores = len(asked[0]) if asked else 0
    return walk(np.array(asked).sum(axis=0).tolist() if stores else [], 0, asked, asked, strategy="none")


def _profit(terms: Terms, units: int, weeks: Sequence[Week]) -> float:
    sold = [sum(each.sold) for each in weeks]
    revenue = sum(each * price for each, price in zip(sold, terms.price, strict=True))
    return revenue - units * terms.cost + (units - sum(sold)) * SALVAGE * terms.cost


def _result(book: Book, policy: Policy, terms: Terms, units: int, weeks: Sequence[Week], best: float) -> SeasonResult:
    sold = [sum(each.sold) for each in weeks]
    left, profit = units - sum(sold), _profit(terms, units, weeks)
    return SeasonResult(
        plan_id=book.plan_id,
        policy=policy,
        bought=units,
        sold=sum(sold),
        lost=sum(sum(each.lost) for each in weeks),
        left=left,
        revenue=money(sum(each * price for each, price in zip(sold, terms.price, strict=True))),
        cost=money(units * terms.cost),
        salvage=money(left * SALVAGE * terms.cost),
        profit=money(profit),
        regret=money(best - profit),
    )
