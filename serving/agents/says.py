"""What a tool gave, in words. Every number is one that stands in the answer or in what was asked: nothing is worked out here."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from serving.agents.lists import KEY_FIGURES, SHOWN, entries, figures, number, subject

Arguments = Mapping[str, Any]
Body = Mapping[str, Any]
MOST_DAYS = 14


def said(tool: str, arguments: Arguments, body: Body) -> list[str]:
    """The answer of a tool as lines."""
    return list(SAYS[tool](arguments, body))


def refused(body: Any) -> str:
    """Why a call was refused, as the problem says it."""
    detail = body.get("detail") if isinstance(body, Mapping) else None
    return str(detail or "It gave no answer.")


def _kpis(arguments: Arguments, body: Body) -> Iterator[str]:
    about = subject(arguments) or " of everything"
    yield f"KPIs{about} from {body['start_date']} to {body['end_date']}: {figures(body['metrics'])}."
    base = body.get("comparison")
    if base:
        yield f"From {base['start_date']} to {base['end_date']}: {figures(base['metrics'])}; {_changes(base)}."


def _changes(comparison: Body) -> str:
    told = {name: each["ratio"] for name, each in comparison["changes"].items() if name in KEY_FIGURES}
    return f"changes as ratios: {', '.join(f'{name} {number(ratio)}' for name, ratio in told.items())}"


def _series(arguments: Arguments, body: Body) -> Iterator[str]:
    points, shown = body["points"], body["points"][-MOST_DAYS:]
    cut = f", the last {len(shown)} of {len(points)}" if len(shown) < len(points) else ""
    yield f"By {body['granularity']}{subject(arguments)}{cut}:"
    for each in shown:
        yield f"- {each['period_start']} to {each['period_end']}: {figures(each['metrics'])}"


def _ranking(arguments: Arguments, body: Body) -> Iterator[str]:
    order, by = "lowest" if arguments["sort_order"] == "asc" else "highest", arguments["order_by"]
    yield f"By {body['dimension']}, {order} {by} first, {body['start_date']} to {body['end_date']}; {body['total_items']} in all:"
    for each in body["items"]:
        share = number(each["revenue_share_pct"])
        yield f"{each['rank']}. {each['dimension_value']}: {figures(each['metrics'])}; revenue_share_pct {share}"


def _overview(_: Arguments, body: Body) -> Iterator[str]:
    yield f"From {body['start_date']} to {body['end_date']}: {figures(body['metrics'])}."
    yield f"Since the days before, {_changes(body['comparison'])}."
    stock, alerts = body["stock"], body["alerts"]
    yield (
        f"Series out of stock: {number(stock['stocked_out'])}, below the reorder point: {number(stock['below_reorder_point'])}, "
        f"overstocked: {number(stock['overstocked'])}."
    )
    yield f"Open alerts: {number(alerts['open'])}, critical ones: {number(alerts['critical'])}."


def _summary(_: Arguments, body: Body) -> Iterator[str]:
    found, period = body["summary"], body["period"]
    units, items = number(found["total_forecast"]), number(found["items_count"])
    yield f"From {period['start']} to {period['end']} {units} units are forecast, of {items} products."
    if found["total_actual"] is not None:
        sold = f"On the days whose sales are known {number(found['total_actual'])} were sold"
        yield f"{sold}: wape {number(found['wape'])}, bias_ratio {number(found['bias_ratio'])}."
    if found["reason"]:
        yield f"Errors are not known: {found['reason']}."


def _item(_: Arguments, body: Body) -> Iterator[str]:
    points, shown = body["timeseries"], body["timeseries"][:MOST_DAYS]
    if not points:
        yield f"{body['sku']} has neither sales nor a forecast on these days."
        return
    yield f"{body['sku']}, units a day, the first {len(shown)} of {len(points)} days:"
    for each in shown:
        ahead = f"forecast {_quantiles(each, 'forecast')}" if each["forecast"] is not None else "no forecast"
        yield f"- {each['date']}: {ahead}" + (f", sold {number(each['actual'])}" if each["actual"] is not None else "")


def _levels(arguments: Arguments, body: Body) -> Iterator[str]:
    shown, about = body["items"][:MOST_DAYS], f"{arguments['level']} {arguments['member']}"
    if not shown:
        yield f"No day of these is forecast of {about}."
        return
    yield f"Forecast of {about}, units a day, the first {len(shown)} of {body['total']} days:"
    for each in shown:
        yield f"- {each['date']}: {_quantiles(each, 'yhat')}"


def _quantiles(found: Body, name: str) -> str:
    return f"{number(found[name])} (q10 {number(found['q10'])}, q90 {number(found['q90'])})"


def _why(arguments: Arguments, body: Body) -> Iterator[str]:
    if not body["items"]:
        yield f"No forecast{subject(arguments)} is explained."
    for each in body["items"]:
        parts = ", ".join(f"{part['name']} {number(part['units'])}" for part in each["parts"])
        about = f"Store {each['store_id']}, {each['start_date']} to {each['end_date']}"
        yield f"{about}: {number(each['forecast'])} units, the sum of {parts}. {each['summary']}"


def _stock(_: Arguments, body: Body) -> Iterator[str]:
    names = ("current_stock", "on_order", "reorder_point", "safety_stock", "days_of_cover")
    told = ", ".join(f"{name} {number(body[name])}" for name in names)
    yield f"{body['sku']}: {told}; counted {body['last_updated'] or 'never'}."
    why = [body[name] for name in ("policy_reason", "reason") if body[name]]
    if why:
        yield f"What is not known: {'; '.join(why)}."
    for each in body["stores"][:5]:
        yield f"- {each['code']} on {each['date']}: {number(each['on_hand'])} on hand, {number(each['on_order'])} on order"


def _job(_: Arguments, body: Body) -> Iterator[str]:
    progress = body.get("progress")
    steps = f", {progress['steps_done']} of {progress['steps_planned']} steps done" if progress else ""
    yield f"Job {body['job_id']} ({body['job_type']}) is {body['status']}{steps}."
    if body.get("error_message"):
        yield f"It failed: {body['error_message']}"
    made = {name: each for name, each in (body.get("result") or {}).items() if isinstance(each, str | int | float)}
    if made:
        yield f"It gave {', '.join(f'{name} {number(each)}' for name, each in made.items())}."


def _started(_: Arguments, body: Body) -> Iterator[str]:
    yield f"Job {body['job_id']} ({body['job_type']}) was started. Ask 'is it done?', or read /api/v1/jobs/{body['job_id']}."


def _parameters(_: Arguments, body: Body) -> Iterator[str]:
    category = f" of {body['category']}" if body["category"] else ""
    yield f"A season{category}, understood with {body['confidence']} confidence; nothing is started:"
    for each in body["fields"]:
        yield f"- {each['field']}: {number(each['value'])} ({each['source']})"
    yield "POST /api/v1/workflows/forecast with these, a name and the category starts the plan."


def _what_if(arguments: Arguments, body: Body) -> Iterator[str]:
    sums, change = body["sums"], number(arguments["assumptions"]["price"]["change"])
    yield (
        f"{arguments['product_id']} with its price changed by the ratio {change}: units {number(sums['units'])} in place of "
        f"{number(sums['baseline_units'])}, revenue {number(sums['revenue'])} in place of {number(sums['baseline_revenue'])}."
    )
    yield f"By the method {body['method']}, with an elasticity of {number(body['elasticity'])}."


def _answer(_: Arguments, body: Body) -> Iterator[str]:
    if not body["sentences"]:
        yield str(body["notice"])
    for each in body["sentences"]:
        cited = each["citation"]
        yield f"- {each['text']} ({cited['path']}, lines {cited['first_line']} to {cited['last_line']})"


def _run(_: Arguments, body: Body) -> Iterator[str]:
    found = {name: each for name, each in body["metrics"].items() if isinstance(each, int | float)}
    told = figures(found) if found else "none"
    days = f"{body['data_window_start']} to {body['data_window_end']}"
    yield f"Run {body['run_id']} is {body['model_type']}, {body['status']}, fitted on {days}; metrics: {told}."


def _compared(_: Arguments, body: Body) -> Iterator[str]:
    a, b = body["run_a"], body["run_b"]
    yield f"{a['run_id']} is {a['model_type']}, {b['run_id']} is {b['model_type']}."
    for name, each in list(body["metrics_diff"].items())[:6]:
        yield f"- {name}: {number(each['a'])} and {number(each['b'])}"


SAYS: dict[str, Callable[[Arguments, Body], Iterator[str]]] = {
    **{tool: partial(entries, tool) for tool in SHOWN},
    "get_kpis": _kpis,
    "get_kpi_timeseries": _series,
    "get_drilldown": _ranking,
    "get_overview": _overview,
    "get_forecast_summary": _summary,
    "get_item_timeseries": _item,
    "list_forecast_levels": _levels,
    "explain_item": _why,
    "get_stock": _stock,
    "get_job": _job,
    **dict.fromkeys(("backtest", "train", "predict", "create_alias", "archive_run"), _started),
    "extract_parameters": _parameters,
    "simulate_scenario": _what_if,
    "answer_question": _answer,
    "get_model_run": _run,
    "compare_model_runs": _compared,
}
"""How each tool is told; a test holds it to the tools that there are."""
