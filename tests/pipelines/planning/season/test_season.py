"""A whole season by its plain functions: plan, decision, sales, variance, markdown, result."""

import hashlib
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import polars as pl
import pytest
from msgspec import structs

from assets_config.contract.plans import DecideApprovalParams, ReforecastParams, SeasonPlanParams
from assets_config.contract.season import Approval, Markdown, VarianceWeek
from pipelines.errors import PipelineError
from pipelines.planning.season.book import Book
from pipelines.planning.season.checkpoint import is_reforecast_due, variances
from pipelines.planning.season.forecasts import make_forecasts
from pipelines.planning.season.history import read_history
from pipelines.planning.season.plans import change_plans, versions
from pipelines.planning.season.results import results, year_before
from pipelines.planning.season.steps import steps
from pipelines.planning.season.stock import allocations, buy, replenishment, season_of
from pipelines.planning.season.variance import reforecast
from pipelines.planning.season.watch import Errand, errands
from pipelines.shapes import frame_of
from tests.pipelines.planning.fashion import JOBS, SEED, START, Desk, plant, share
from tests.plant import Plant

PLAN = SeasonPlanParams(
    name="Summer", category="Dresses", season_start_date=START, forecast_horizon_weeks=8, markdown_checkpoint_week=5,
    min_per_store=5, pack_size=2,
)  # fmt: skip
WEIGHTS = [3, 2, 4, 3, 2]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only to be read: `fresh` is a copy."""
    root = tmp_path_factory.mktemp("planted")
    plant(root)
    return root


@pytest.fixture
def fresh(planted: Path, tmp_path: Path) -> Desk:
    return Desk(Plant(Path(shutil.copytree(planted, tmp_path / "data"))))


@pytest.fixture(scope="module")
def waiting(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A plan that waits for its buy to be decided. Only to be read."""
    made = Desk(Plant(Path(shutil.copytree(planted, tmp_path_factory.mktemp("waiting") / "data"))))
    made.command(PLAN, by=JOBS[0])
    return made


class Seen(NamedTuple):
    """A season that is over, and how it stood on its way."""

    desk: Desk
    week_3: Book
    week_4: Book
    due: list[Errand]
    again: Book
    then: list[Errand]
    rest: list[Errand]
    cuts: list[Markdown]
    cut: Approval


@pytest.fixture(scope="module")
def season(waiting: Desk, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """10 % under plan at first, 30 % by the end of week 4; forecast again, cut by 0.3 after week 5, and then sold twice as fast."""
    desk = Desk(Plant(Path(shutil.copytree(waiting.warehouse.root, tmp_path_factory.mktemp("season") / "data"))))
    codes, planned = desk.codes(), desk.book().units(1)
    desk.decide(DecideApprovalParams(approval_id=desk.approval("manufacturing").approval_id, decision="approve"), by=JOBS[1])
    for week in (1, 2, 3):
        desk.report(JOBS[0], week, share(round(planned[week - 1] * 0.9), WEIGHTS, codes))
    week_3 = desk.book()
    desk.report(JOBS[0], 4, share(max(int(sum(planned[:4]) * 0.7) - week_3.sold_cumulative[-1], 0), WEIGHTS, codes))
    week_4, due = desk.book(), errands(desk.warehouse, now=desk.now)
    desk.command(ReforecastParams(forecast_id=JOBS[0], trigger="variance"), by=JOBS[2])
    again, then = desk.book(), errands(desk.warehouse, now=desk.now)
    desk.warehouse.write("planning/variance_week", frame_of(VarianceWeek, variances(again)))
    rest = errands(desk.warehouse, now=desk.now)
    desk.report(JOBS[0], 5, share(again.units(2)[4], WEIGHTS, codes))
    cuts, cut = desk.cuts(desk.book()), desk.approval("markdown")
    desk.decide(DecideApprovalParams(approval_id=cut.approval_id, decision="modify", value=0.3), by=JOBS[3])
    for week in (6, 7, 8):
        desk.report(JOBS[0], week, share(again.units(2)[week - 1] * 2, WEIGHTS, codes))
    return Seen(desk, week_3, week_4, due, again, then, rest, cuts, cut)


@pytest.fixture(scope="module")
def desk(season: Seen) -> Desk:
    return season.desk


def steps_of(desk: Desk) -> dict[str, str]:
    book = desk.book()
    return {each.step_name: each.status for each in steps(book, list(desk.approvals().values()), desk.cuts(book))}


def test_a_plan_is_forecast_and_waits_for_a_decision(waiting: Desk) -> None:
    desk = waiting
    book = desk.book()
    forecast, bought = book.forecasts[0], buy(book)

    assert (book.plan_id, forecast.season, forecast.cutoff) == (JOBS[0], "Summer 2024", START - timedelta(days=1))
    assert sum(book.units(1)) == forecast.units == sum(each.units for each in book.stores) > 0
    assert forecast.wape_prophet_like is not None
    assert forecast.wape_sarimax is not None
    inverse = 1 / forecast.wape_prophet_like, 1 / forecast.wape_sarimax
    assert forecast.weight_prophet_like == pytest.approx(inverse[0] / sum(inverse))
    mixed = forecast.weight_prophet_like * forecast.prophet_like + (1 - forecast.weight_prophet_like) * forecast.sarimax
    assert forecast.units == pytest.approx(mixed, abs=1)
    assert (bought.proposed, bought.manufactured) == (-(-forecast.units * 6 // 5), None)
    assert allocations(book) == season_of(book) == []
    assert (desk.approval("manufacturing").status, desk.approval("manufacturing").proposed) == ("open", bought.proposed)
    assert steps_of(desk)["manufacturing"] == steps_of(desk)["allocation"] == "waiting"


def test_the_forecast_knows_nothing_after_its_cutoff(waiting: Desk) -> None:
    desk = waiting
    early, late = (read_history(desk.warehouse, "Dresses", day, ahead=56) for day in (START - timedelta(days=1), SEED.end))

    days = (START - early.first_day).days
    assert early.units.shape[1] == days < late.units.shape[1]
    assert (early.units == late.units[:, :days]).all()
    sold = desk.plant.table("sales_daily").join(desk.plant.table("dim_product").filter(category="Dresses"), on="product_id")
    out = desk.plant.table("demand_unconstrained").join(desk.plant.table("dim_product").filter(category="Dresses"), on="product_id")
    expected = sold.filter(pl.col("date") < START)["quantity"].sum()
    missed = out.filter(pl.col("date") < START).select(pl.col("unconstrained") - pl.col("sold")).sum().item()
    assert missed > 0
    assert early.units.sum() == pytest.approx(expected + missed)


@pytest.mark.parametrize("told", [True, False])
def test_days_out_of_stock_count_as_they_would_have_sold_whether_they_have_a_row_of_sales_or_not(
    told: bool, tmp_path: Path
) -> None:
    made, first = Plant(tmp_path), date(2024, 1, 1)
    days = [first + timedelta(days=n) for n in range(70)]
    out = days[-14:]
    rows = [{"date": day, "store_code": "S", "sku": "A", "quantity": 10 * (day not in out), "unit_price": 2} for day in days]
    other = [{"date": day, "store_code": "S", "sku": "B", "quantity": 1, "unit_price": 2} for day in days]
    made.post("sales-daily", [row for row in rows if told or row["quantity"]] + other)
    early = [{"date": first - timedelta(days=n), "store_code": "S", "sku": "B", "on_hand": 0} for n in (1, 2, 3)]
    made.post("inventory", early + [{"date": day, "store_code": "S", "sku": "A", "on_hand": 0} for day in out])
    made.run()
    with duckdb.connect() as connection:
        made.finish(connection)

    history = read_history(made.warehouse, None, days[-1], ahead=0)

    assert history.first_day == first
    assert history.units.tolist() == [[11] * 70]


def test_a_buy_is_split_to_the_unit(season: Seen) -> None:
    book = season.week_3

    assert sum(each.units for each in allocations(book)) + (buy(book).unallocated or 0) == buy(book).initial
    assert buy(book).manufactured == buy(book).proposed == (buy(book).initial or 0) + (buy(book).holdback or 0)
    assert all(each.units >= 5 and each.units % 2 == 0 for each in allocations(book))


def test_sales_off_the_plan_are_told_once(season: Seen) -> None:
    [*_, told] = variances(season.week_4)

    assert not is_reforecast_due(season.week_3)
    assert is_reforecast_due(season.week_4)
    assert (told.week, told.version, told.is_exceeded, told.action_taken) == (4, 1, True, "re-forecast is due")
    assert told.variance == pytest.approx(-0.3, abs=0.02)
    [errand] = season.due
    assert errand.reforecast == ReforecastParams(forecast_id=JOBS[0], trigger="variance")
    assert errand.key == f"{JOBS[0]} 4 {told.actual_cumulative}"
    assert not is_reforecast_due(season.again)
    assert [(each.reforecast, each.why) for each in season.then] == [(None, "weekly sales came in")]
    assert season.rest == []
    assert variances(season.again)[-1].action_taken == "re-forecast after week 4: version 2"


def test_a_week_counts_once_every_store_of_the_plan_has_reported_it_or_one_of_them_a_later_week(
    waiting: Desk, tmp_path: Path
) -> None:
    desk = Desk(Plant(Path(shutil.copytree(waiting.warehouse.root, tmp_path / "data"))))
    codes, book = desk.codes(), desk.book()
    first, second = (dict(zip(codes, book.by_store(units), strict=True)) for units in book.units(1)[:2])

    desk.report(JOBS[0], 1, {codes[0]: first[codes[0]]})

    assert variances(desk.book()) == []
    assert not is_reforecast_due(desk.book())
    with pytest.raises(PipelineError, match="has no week yet that all its stores reported: bring them in with POST"):
        desk.command(ReforecastParams(forecast_id=JOBS[0]), by=JOBS[1])

    desk.report(JOBS[0], 1, {code: first[code] for code in codes[1:]})
    desk.report(JOBS[0], 2, {code: second[code] for code in codes[1:]})

    assert [each.variance for each in variances(desk.book())] == [0]

    desk.report(JOBS[0], 3, {codes[0]: 1})

    planned = sum(book.units(1)[:2])
    assert [each.actual_cumulative for each in variances(desk.book())][1:] == [planned - second[codes[0]]]


def test_stores_that_opened_after_the_plan_are_neither_in_its_variance_nor_in_its_result(season: Seen, tmp_path: Path) -> None:
    desk = Desk(Plant(Path(shutil.copytree(season.desk.warehouse.root, tmp_path / "data"))))
    before, money = desk.book(), results(desk.warehouse, desk.book())
    desk.plant.post("stores", [{"code": "ZZ", "opened_on": START}], at=datetime.now(UTC))
    for week in range(1, 9):
        desk.report(JOBS[0], week, {"ZZ": 500})

    book = desk.book()

    assert desk.plant.table("weekly_actuals").height == 8 * 6
    assert variances(book) == variances(before)
    assert results(desk.warehouse, book) == money
    assert sum(map(sum, book.asked())) == book.sold_cumulative[-1]


def test_the_weeks_that_remain_are_lowered(season: Seen) -> None:
    book = season.again

    assert book.units(2)[:4] == [sum(week.values()) for week in book.sold]
    assert sum(book.units(2)) == book.forecasts[1].units < book.forecasts[0].units
    plain, factor = reforecast(book.units(1), book.units(2)[:4])
    assert book.forecasts[1].factor == factor
    assert book.units(2) != plain, "the models that learned from four weeks have their say"


def test_a_cut_is_proposed_at_the_checkpoint_and_modified(season: Seen) -> None:
    [recommended] = [each for each in season.cuts if each.is_recommended]
    decided = season.desk.approval("markdown")

    assert recommended.cut > 0
    assert recommended.stock == (buy(season.again).manufactured or 0) - season.desk.book().sold_cumulative[4]
    assert (season.cut.status, season.cut.proposed) == ("open", recommended.cut)
    assert (decided.status, decided.value, decided.proposed, decided.decided_by) == ("modified", 0.3, recommended.cut, JOBS[3])


def test_the_money_of_a_season_is_that_of_its_weeks(season: Seen) -> None:
    book = season.desk.book()
    rows = {each.policy: each for each in results(season.desk.warehouse, book)}

    assert rows["perfect_foresight"].regret == rows["perfect_foresight"].lost == rows["perfect_foresight"].left == 0
    assert all(each.regret >= 0 for each in rows.values())
    assert all(each.bought == each.sold + each.left for each in rows.values())
    assert rows["plan"].bought == buy(book).manufactured
    price, cost = (float(getattr(book.forecasts[0], name)) for name in ("price", "cost"))
    sold = [sum(week.sold) for week in season_of(book)]
    revenue = sum(units * price * (1 if week < 5 else 0.7) for week, units in enumerate(sold))
    assert float(rows["plan"].revenue) == pytest.approx(revenue, abs=0.01)
    profit = revenue - rows["plan"].bought * cost + rows["plan"].left * cost / 2
    assert float(rows["plan"].profit) == pytest.approx(profit, abs=0.01)
    assert set(steps_of(season.desk).values()) == {"pass"}


def test_units_of_a_season_are_all_somewhere(desk: Desk) -> None:
    book, rows = desk.book(), replenishment(desk.book())
    weeks = season_of(book)

    assert len(rows) == 8 * 5
    assert all(each.is_actual for each in rows)
    shipped, sold = sum(each.shipped for each in rows), sum(each.sold for each in rows)
    given = sum(each.units for each in allocations(book))
    left = given + shipped - sold
    assert left + weeks[-1].kept + sold == buy(book).manufactured


def test_the_year_before_is_that_of_the_sales(desk: Desk) -> None:
    book = desk.book()
    history = read_history(desk.warehouse, "Dresses", book.plan.cutoff, ahead=0)
    before = START - timedelta(days=364)

    found = year_before(book, history)

    begin = (before - history.first_day).days
    expected = np.rint(history.units[:, begin : begin + 7].sum(axis=1))
    assert found[0] == pytest.approx(expected.tolist(), abs=0.5)


COMMANDS: dict[str, tuple[Any, str]] = {
    "no such category": (structs.replace(PLAN, category="Hats"), "category Hats sold nothing.*Coats, Dresses, Tops"),
    "late": (structs.replace(PLAN, season_start_date=date(2026, 1, 1)), "more than 182 days after the last sale, 2024-08-31"),
    "early": (
        structs.replace(PLAN, season_start_date=date(2022, 3, 7)),
        "needs 56 days of sales before it; they begin",
    ),
    "after the end": (structs.replace(PLAN, markdown_checkpoint_week=8), "markdown_checkpoint_week 8 must be before the last"),
    "bounds": (structs.replace(PLAN, max_per_store=4), "max_per_store 4 is below min_per_store 5"),
    "unknown": (ReforecastParams(forecast_id="f" * 32), "no plan has the id f{32}"),
    "over": (ReforecastParams(forecast_id=JOBS[0]), "8 of them are over"),
    "wrong rest": (ReforecastParams(forecast_id=JOBS[0], actual_sales_week_1_to_n=[1] * 6, remaining_weeks=3), "2 remain, not 3"),
    "backwards": (ReforecastParams(forecast_id=JOBS[0], actual_sales_week_1_to_n=[1]), "after week 4 already; 1 weeks are fewer"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_cannot_be_names_why_and_changes_nothing(name: str, desk: Desk) -> None:
    command, why = COMMANDS[name]
    path = desk.warehouse.path("planning/season_plan")
    before = hashlib.sha256(path.read_bytes()).hexdigest()

    with pytest.raises(PipelineError, match=why):
        desk.command(command, by="e" * 32)

    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_a_decision_is_not_changed_and_must_have_its_value(desk: Desk) -> None:
    made = desk.approval("manufacturing").approval_id
    for command, why in (
        (DecideApprovalParams(approval_id=made, decision="reject"), "is approved already, by b{32}"),
        (DecideApprovalParams(approval_id="f" * 32, decision="reject"), "no approval has the id f"),
    ):
        with pytest.raises(PipelineError, match=why):
            desk.decide(command, by="e" * 32)
    assert desk.approval("manufacturing").status == "approved"


def test_what_was_said_stays_whatever_runs_again(desk: Desk) -> None:
    keys = [f"planning/{name}" for name in ("season_plan", "approval_decision", "season_forecast", "season_week", "approval")]
    before = {key: desk.warehouse.read(key) for key in keys}

    desk.now += timedelta(days=9)
    desk.command(by="e" * 32)
    desk.decide(by="e" * 32)
    desk.command(PLAN, by=JOBS[0])

    assert all(desk.warehouse.read(key).equals(frame) for key, frame in before.items())
    assert json.loads(versions(desk.warehouse)[JOBS[0]][1].actuals) == desk.book().units(2)[:4]


def test_a_forecast_that_was_half_written_is_made_again(season: Seen, tmp_path: Path) -> None:
    """Killed before the last of its tables: the plan has no version 2, its weeks are there."""
    desk = Desk(Plant(Path(shutil.copytree(season.desk.warehouse.root, tmp_path / "data"))))
    frame = desk.warehouse.read("planning/season_forecast")
    desk.warehouse.write("planning/season_forecast", frame.filter(version=1))

    made, failed = make_forecasts(desk.warehouse, at=desk.now)

    assert (made, failed) == ([f"{JOBS[0]} 2"], {})
    assert desk.warehouse.read("planning/season_week").height == 16
    assert sum(desk.book().units(2)) == frame.filter(version=2)["units"][0]


def test_nobody_decides_in_time_and_the_default_holds(fresh: Desk) -> None:
    desk = fresh
    desk.command(structs.replace(PLAN, approval_hours=1, approval_default="reject"), by=JOBS[0])

    desk.now += timedelta(minutes=59)
    assert desk.decide(by="e" * 32) == []
    assert errands(desk.warehouse, now=desk.now) == []
    desk.now += timedelta(minutes=1)
    [errand] = errands(desk.warehouse, now=desk.now)
    assert errand.why == f"nobody decided in time: {desk.approval('manufacturing').approval_id}"
    assert desk.decide(by="e" * 32) == [desk.approval("manufacturing").approval_id]

    approval = desk.approval("manufacturing")
    assert (approval.status, approval.decided_by, approval.value) == ("rejected", "deadline", None)
    assert allocations(desk.book()) == []
    assert steps_of(desk)["allocation"] == "skip"


def test_a_plan_of_another_source_rests(fresh: Desk) -> None:
    fresh.command(PLAN, by=JOBS[0])
    forecast = fresh.warehouse.read("planning/season_forecast")
    plans = fresh.warehouse.read("planning/season_plan")
    fresh.warehouse.write("planning/season_plan", plans.with_columns(lineage=pl.lit("another")))

    fresh.follow()

    assert list(versions(fresh.warehouse)) == [JOBS[0]]
    assert fresh.books() == []
    assert fresh.warehouse.read("planning/season_forecast").equals(forecast)
    assert fresh.approvals() == {}


def test_a_plan_that_cannot_be_forecast_stops_no_other(fresh: Desk) -> None:
    for by in JOBS[:2]:
        change_plans(fresh.warehouse, [PLAN], first_sale=SEED.start, last_sale=SEED.end, at=fresh.now, by=by)
    renamed = pl.when(plan_id=JOBS[0]).then(pl.lit("Hats")).otherwise("category").alias("category")
    fresh.warehouse.write("planning/season_plan", fresh.warehouse.read("planning/season_plan").with_columns(renamed))

    made, failed = make_forecasts(fresh.warehouse, at=fresh.now)

    assert made == [f"{JOBS[1]} 1"]
    assert list(failed) == [JOBS[0]]
    assert "category Hats sold nothing" in failed[JOBS[0]]
    [hats, _] = fresh.books()
    assert [(each.step_name, each.status) for each in steps(hats, [], [])] == [("parameters", "pass"), ("forecast", "fail")]


def test_nothing_is_run_before_there_is_a_plan(fresh: Desk) -> None:
    assert errands(fresh.warehouse, now=fresh.now) == []


def test_all_categories_are_planned_from_the_monday_after_the_last_sale(fresh: Desk) -> None:
    change_plans(fresh.warehouse, [SeasonPlanParams()], first_sale=SEED.start, last_sale=SEED.end, at=fresh.now, by=JOBS[0])

    [[plan]] = versions(fresh.warehouse).values()
    assert (SEED.end, plan.start_date, plan.cutoff) == (date(2024, 8, 31), date(2024, 9, 2), SEED.end)
    assert (plan.weeks, plan.holdback, plan.replenishment, plan.markdown_week) == (12, 0.45, "weekly", None)


def test_stores_that_are_alike_are_one_cluster_of_the_plan(fresh: Desk) -> None:
    tiers = read_history(fresh.warehouse, "Dresses", SEED.end, ahead=0)
    first, *others = tiers.store_id
    fresh.warehouse.write("planning/store_cluster_member", pl.DataFrame({"store_id": [first], "cluster_name": ["premium"]}))

    history = read_history(fresh.warehouse, "Dresses", SEED.end, ahead=0)

    assert history.cluster == ["premium", *tiers.cluster[1:]], "a store that is in none has the tier of its location"
    assert len(others) == len(tiers.cluster) - 1
