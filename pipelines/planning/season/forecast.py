"""What a season is forecast to sell: its weeks, and the part of each store."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from msgspec import Struct

from assets_config.contract.season import SeasonForecast, SeasonPlan, SeasonStore, SeasonWeek
from pipelines.planning.season.ensemble import WEEK, season
from pipelines.planning.season.history import History, read_history
from pipelines.planning.season.quantities import apportion, money
from pipelines.planning.season.variance import reforecast
from pipelines.warehouse import Warehouse

RETRAINED_FROM = 4
"""Weeks of a season from which on the models learn from them too."""
USUAL = 8  # weeks whose weekdays say how a week is spread over its days
QUARTERS = ("Winter", "Spring", "Summer", "Autumn")


class Made(Struct, frozen=True):
    """A version of a plan as it was forecast; the stores are those of the first version."""

    forecast: SeasonForecast
    weeks: list[SeasonWeek]
    stores: list[SeasonStore]


def forecast_first(warehouse: Warehouse, plan: SeasonPlan, *, at: datetime) -> Made:
    """The first version. Raises PipelineError, naming the category, where it sold nothing."""
    history, gap = _history(warehouse, plan)
    made = season(history.units.sum(axis=0), history.first_day, history.holiday, gap=gap, weeks=plan.weeks)
    units = apportion(round(float(made.mixed.sum())), made.mixed.tolist())
    forecast = SeasonForecast(
        **_said(plan),
        season=f"{QUARTERS[_middle(plan).month % 12 // 3]} {_middle(plan).year}",
        units=sum(units),
        prophet_like=float(made.alone["prophet_like"].sum()),
        sarimax=float(made.alone["sarimax"].sum()),
        weight_prophet_like=made.weight["prophet_like"],
        wape_prophet_like=made.wape["prophet_like"],
        wape_sarimax=made.wape["sarimax"],
        factor=1.0,
        price=money(history.price),
        cost=None if history.cost is None else money(history.cost),
        method="prophet_like and SARIMAX on the daily sum, weighed by the inverse of their errors in a backtest",
        made_at=at,
    )
    return Made(forecast, _weeks(plan, units, made.alone), _stores(plan, history, forecast.units))


def forecast_again(warehouse: Warehouse, plan: SeasonPlan, first: Made, *, at: datetime) -> Made:
    """A later version: what was sold, and the weeks that remain by the ratio of sales to the first version.

    From four weeks on the models also learn from the weeks that were sold, and what they expect counts by the part of the season
    that is over.
    """
    actual: list[int] = json.loads(plan.actuals)
    alone = {name: np.array([getattr(each, name) for each in first.weeks]) for name in ("prophet_like", "sarimax")}
    retrained, method = None, "units sold, and the weeks that remain multiplied by the ratio of sales to the plan"
    if len(actual) >= RETRAINED_FROM:
        history, gap = _history(warehouse, plan)
        daily = _extended(history.units.sum(axis=0), gap, actual)
        made = season(daily, history.first_day, history.holiday, gap=0, weeks=plan.weeks - len(actual))
        retrained = made.mixed.tolist()
        alone = {name: np.concatenate([weeks[: len(actual)], made.alone[name]]) for name, weeks in alone.items()}
        method += f"; {len(actual)} of {plan.weeks} parts by models that learned from the weeks sold"
    units, factor = reforecast([each.units for each in first.weeks], actual, retrained)
    cutoff = plan.start_date + timedelta(days=WEEK * len(actual) - 1)
    changes = {**_said(plan), "cutoff": cutoff, "units": sum(units), "factor": factor, "method": method, "made_at": at}
    kept = {name: getattr(first.forecast, name) for name in SeasonForecast.__struct_fields__ if name not in changes}
    kept |= {name: float(weeks.sum()) for name, weeks in alone.items()}
    return Made(SeasonForecast(**{**kept, **changes}), _weeks(plan, units, alone), first.stores)


def _history(warehouse: Warehouse, plan: SeasonPlan) -> tuple[History, int]:
    """The sales before the season, and the days between the last of them and the first of it."""
    gap = (plan.start_date - plan.cutoff).days - 1
    return read_history(warehouse, plan.category, plan.cutoff, ahead=gap + WEEK * plan.weeks), gap


def _said(plan: SeasonPlan) -> dict[str, Any]:
    end = plan.start_date + timedelta(days=WEEK * plan.weeks - 1)
    names = ("plan_id", "version", "category", "cutoff", "start_date", "weeks")
    return {**{name: getattr(plan, name) for name in names}, "end_date": end}


def _middle(plan: SeasonPlan) -> datetime:
    return datetime.combine(plan.start_date, datetime.min.time()) + timedelta(days=WEEK * plan.weeks // 2)


def _weeks(plan: SeasonPlan, units: Sequence[int], alone: dict[str, np.ndarray]) -> list[SeasonWeek]:
    return [
        SeasonWeek(
            plan_id=plan.plan_id,
            version=plan.version,
            week=n + 1,
            start_date=plan.start_date + timedelta(days=WEEK * n),
            units=each,
            prophet_like=float(alone["prophet_like"][n]),
            sarimax=float(alone["sarimax"][n]),
            is_actual=n < plan.from_week,
        )
        for n, each in enumerate(units)
    ]


def _stores(plan: SeasonPlan, history: History, units: int) -> list[SeasonStore]:
    """The season shared to clusters, and within each to its stores, by the sales of the year before."""
    weight = history.last_year if history.last_year.any() else np.ones(len(history.store_id))
    clusters = sorted(set(history.cluster))
    members = [[n for n, each in enumerate(history.cluster) if each == name] for name in clusters]
    found: dict[int, int] = {}
    for part, inside in zip(apportion(units, [float(weight[rows].sum()) for rows in members]), members, strict=True):
        found |= dict(zip(inside, apportion(part, weight[inside].tolist()), strict=True))
    return [
        SeasonStore(plan.plan_id, store, cluster, float(weight[n] / weight.sum()), found[n])
        for n, (store, cluster) in enumerate(zip(history.store_id, history.cluster, strict=True))
    ]


def _extended(daily: np.ndarray, gap: int, actual: Sequence[int]) -> np.ndarray:
    """The days up to the season, usual ones where none are known, and its weeks spread over days as weeks usually are."""
    usual = daily[-WEEK * USUAL :].reshape(-1, WEEK).mean(axis=0)
    between = np.resize(usual, gap)
    turned = np.roll(usual, -gap)
    share = turned / turned.sum() if turned.sum() else np.full(WEEK, 1 / WEEK)
    return np.concatenate([daily, between, *[share * each for each in actual]])
