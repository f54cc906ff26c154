"""How a plan stands: sales against it, whether to forecast again, and what to cut at its checkpoint."""

from collections.abc import Mapping

from assets_config.contract.scenarios import PRIOR
from assets_config.contract.season import Markdown, VarianceWeek
from pipelines.planning.season.book import Book
from pipelines.planning.season.markdown import Checkpoint, lift_needed, options
from pipelines.planning.season.quantities import money
from pipelines.planning.season.stock import allotted, manufactured, season_of
from pipelines.planning.season.variance import is_exceeded, variance


def variances(book: Book) -> list[VarianceWeek]:
    """Every week that was reported, against the version that held before it."""
    found = []
    for n, actual in enumerate(book.sold_cumulative):
        week = n + 1
        version = book.in_force(week)
        planned = sum(book.units(version)[:week])
        exceeded = is_exceeded(planned, actual)
        action = _action(book, week) if exceeded else "none"
        found.append(VarianceWeek(book.plan_id, week, version, planned, actual, variance(planned, actual), exceeded, action))
    return found


def is_reforecast_due(book: Book) -> bool:
    """Whether the last week that was reported is off the plan, the season goes on, and it was not forecast again since."""
    told, rejected = variances(book), "manufacturing" in book.decided and manufactured(book) is None
    return bool(told) and not rejected and told[-1].action_taken == "re-forecast is due"


def _action(book: Book, week: int) -> str:
    for each in book.versions:
        if each.from_week >= week:
            return f"re-forecast after week {each.from_week}: version {each.version}"
    if week >= book.plan.weeks:
        return "none: the season is over"
    return "re-forecast is due" if week == len(book.sold) else "none: later weeks are known"


def at_checkpoint(book: Book, elasticity: float) -> Checkpoint | None:
    """The plan at the end of its markdown week; None before it, without one, or where nothing was manufactured."""
    week, made = book.plan.markdown_week, manufactured(book)
    if week is None or made is None or len(book.sold_cumulative) < week:
        return None
    version = [each.version for each in book.versions if each.from_week <= week and each.version in book.weeks][-1]
    ahead = book.units(version)[week:]
    forecast = book.forecasts[0]
    cost = None if forecast.cost is None else float(forecast.cost)
    stock = max(made - book.sold_cumulative[week - 1], 0)
    return Checkpoint(stock, sum(ahead) / len(ahead), len(ahead), elasticity, float(forecast.price), cost)


def markdowns(book: Book, elasticities: Mapping[str | None, float]) -> list[Markdown]:
    """What cuts at the checkpoint would bring, the recommended one among them; none before it."""
    elasticity = elasticities.get(book.plan.category, PRIOR)
    at, week, given = at_checkpoint(book, elasticity), book.plan.markdown_week, allotted(book)
    if at is None or week is None or given is None:
        return []
    received = sum(given.units) + sum(sum(each.shipped) for each in season_of(book)[:week])
    sold, planned = book.sold_cumulative[week - 1], sum(book.units(1)[:week])
    lift = lift_needed(at)
    need = "no rate of sale" if lift is None else f"{at.stock} / ({at.rate:.1f} x {at.weeks} weeks) = {lift:.3f} times the rate"
    said = f"{need}; elasticity {at.elasticity:.2f}"
    found = []
    for each in options(at):
        found.append(
            Markdown(
                plan_id=book.plan_id,
                week=week,
                cut=each.cut,
                is_recommended=each.is_recommended,
                sell_through=sold / received if received else 0.0,
                planned_sell_through=planned / received if received else 0.0,
                stock=at.stock,
                rate=at.rate,
                elasticity=at.elasticity,
                units=each.units,
                revenue=money(each.revenue),
                margin=None if each.margin is None else money(each.margin),
                reason=said,
            )
        )
    return found
