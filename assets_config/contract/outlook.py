"""What comes of assumptions about the days ahead: the arithmetic of what-if, which both sides do."""

from collections.abc import Sequence
from datetime import date, timedelta

from msgspec import Struct

from assets_config.contract.scenarios import Assumptions, Price, PromotionPlan, Question


class Outlook(Struct, frozen=True):
    """The days of a scenario and their sums. Money is null without a price."""

    days: list[tuple[date, float, float, float, float | None]]  # date, baseline, demand, sold, price
    baseline_units: float
    units: float
    lost: float
    left: float | None  # None: no stock was assumed
    baseline_revenue: float | None
    revenue: float | None


def multiplied(baseline: Sequence[float], first: date, assumed: Assumptions, elasticity: float) -> list[float]:
    """Demand of each day by the heuristic, before lifecycle and stock.

    (1 + price) ^ elasticity x (1 + promotion) x (1 + holiday), each on its days; a day without any is the baseline to the bit.

    >>> ten_off = Assumptions(price=Price(change=-0.1), promotion=PromotionPlan(lift=0.15))
    >>> round(multiplied([1.0], date(2025, 1, 1), ten_off, -1.5)[0], 5)
    1.3469
    """
    found = []
    for n, units in enumerate(baseline):
        day, factor = first + timedelta(days=n), 1.0
        if assumed.price is not None and holds(assumed.price, day):
            factor *= (1 + assumed.price.change) ** elasticity
        if assumed.promotion is not None and holds(assumed.promotion, day):
            factor *= 1 + assumed.promotion.lift
        if assumed.holiday is not None and day in assumed.holiday.dates:
            factor *= 1 + assumed.holiday.lift
        found.append(units * factor)
    return found


def outlook(baseline: Sequence[float], demand: Sequence[float], first: date, assumed: Assumptions, price: float | None) -> Outlook:
    """What comes of demand: aged by the lifecycle, sold as far as there is stock, and paid for.

    What is sold and what is left are the stock and its deliveries. Money is units times the price of their day.
    """
    stock = assumed.inventory
    have = stock.on_hand if stock is not None else 0.0
    days: list[tuple[date, float, float, float, float | None]] = []
    for n, (plain, wanted) in enumerate(zip(baseline, demand, strict=True)):
        day, cost = first + timedelta(days=n), price
        if assumed.lifecycle is not None:
            wanted *= (1 + assumed.lifecycle.change_per_week) ** (n / 7)
        sold = wanted
        if stock is not None:
            have += sum(each.units for each in stock.inbound if each.date == day)
            sold = min(wanted, have)
            have -= sold
        if cost is not None and assumed.price is not None and holds(assumed.price, day):
            cost *= 1 + assumed.price.change
        if cost is not None and assumed.promotion is not None and holds(assumed.promotion, day):
            cost *= 1 - assumed.promotion.discount
        days.append((day, plain, wanted, sold, cost))
    return Outlook(
        days=days,
        baseline_units=sum(baseline),
        units=sum(sold for _, _, _, sold, _ in days),
        lost=sum(wanted - sold for _, _, wanted, sold, _ in days),
        left=have if stock is not None else None,
        baseline_revenue=None if price is None else sum(each * price for each in baseline),
        revenue=None if price is None else sum(sold * (cost or 0.0) for _, _, _, sold, cost in days),
    )


def holds(plan: Price | PromotionPlan, day: date) -> bool:
    """Whether a day is one of its days."""
    return (plan.start_date is None or plan.start_date <= day) and (plan.end_date is None or day <= plan.end_date)


def why_not_days(question: Question, first: date, days: int) -> tuple[str, str] | None:
    """The member of a question that is of none of the days that are forecast, and why, as the end of a sentence; None without."""
    last, assumed = first + timedelta(days=days - 1), question.assumed
    if question.horizon is not None and question.horizon > days:
        return "horizon", f"is more than the {days} days that are forecast, {first} to {last}"
    none = f"lies outside of the days that are asked for, {first} to {last}"
    for name, plan in (("price", assumed.price), ("promotion", assumed.promotion)):
        if plan is not None and plan.start_date is not None and plan.start_date > last:
            return f"assumptions.{name}.start_date", none
        if plan is not None and plan.end_date is not None and plan.end_date < first:
            return f"assumptions.{name}.end_date", none
    if assumed.holiday is not None and not any(first <= day <= last for day in assumed.holiday.dates):
        return "assumptions.holiday.dates", none
    return None
