"""The explanation table: the parts of every published forecast, how sure it is, its limits, and all of it in a sentence."""

import json
from datetime import timedelta

import msgspec
import numpy as np
import polars as pl

from assets_config.contract.explanations import ForecastExplanation, Part, reason_code
from pipelines.features.panel import CLOSED, OPEN, STOCKED_OUT, Panel
from pipelines.forecasts.explanations.parts import DRIVERS, Parts
from pipelines.models.types import OF_SUMS
from pipelines.shapes import schema

FEWEST_DAYS = 56
RECENT_DAYS = 28
NOTHING = 1e-6  # of the forecast, or of a unit: a part below this is rounding
HIGH, MEDIUM = 1.0, 2.0  # widest bands, over the forecast


def ahead(forecast: pl.DataFrame, series: int) -> tuple[np.ndarray, np.ndarray]:
    """The forecasts of the days ahead and the widths of their bands from q10 to q90, [S, H] each, of forecasts/forecast."""
    rows = forecast.filter(source="forecast").sort("store_id", "product_id", "step")
    yhat, band = rows["yhat"].to_numpy(), (rows["q90"] - rows["q10"]).to_numpy()
    return yhat.reshape(series, -1), band.reshape(series, -1)


def explanation_frame(
    panel: Panel, forecast: pl.DataFrame, champion: pl.DataFrame, segments: pl.DataFrame, found: Parts
) -> pl.DataFrame:
    """The columns of contract.explanations.ForecastExplanation, two rows a series.

    Takes    forecasts/forecast, forecasts/champion, features/series_segment, and the parts of the forecasts of the days ahead.
    """
    yhat, band = ahead(forecast, panel.series)
    versions = dict(forecast.filter(source="forecast").select("model_type", "model_version").unique().iter_rows())
    limits = caveats(panel, champion, segments, found.is_failed)
    first = panel.day(panel.days)
    rows = []
    for span, days in (("next_day", 1), ("horizon", yhat.shape[1])):
        last = first + timedelta(days=days - 1)
        total, width = yhat[:, :days].sum(axis=1), band[:, :days].sum(axis=1)
        units = found.units[:, :, :days].sum(axis=2)
        for s, model_type in enumerate(champion["model_type"]):
            listed = _listed(units[:, s], float(total[s]))
            ratio = float(width[s] / total[s]) if total[s] > 0 else None
            sure = confidence(ratio, limits[s])
            rows.append(
                {
                    "store_id": int(panel.store_id[s]),
                    "product_id": int(panel.product_id[s]),
                    "span": span,
                    "start_date": first,
                    "end_date": last,
                    "cutoff": panel.day(panel.days - 1),
                    "yhat": float(total[s]),
                    "parts": msgspec.json.encode(listed).decode(),
                    "band": ratio,
                    "confidence": sure,
                    "caveats": json.dumps(limits[s]),
                    "summary": _summary(float(total[s]), listed, f"on {first}" if days == 1 else f"from {first} to {last}", sure),
                    "model_type": model_type,
                    "model_version": versions[model_type],
                }
            )
    return pl.DataFrame(rows, schema=schema(ForecastExplanation))


def caveats(panel: Panel, champion: pl.DataFrame, segments: pl.DataFrame, is_failed: np.ndarray) -> list[list[str]]:
    """The codes of contract.explanations.CAVEATS that hold for each series."""
    pattern, model_type = segments["pattern"], champion["model_type"]
    holds = {
        "NOT_BACKTESTED": champion["absolute_error"].is_null().to_numpy(),
        "FEW_DAYS": (segments["days"] < FEWEST_DAYS).to_numpy(),
        "NO_DEMAND": (pattern == "no_demand").to_numpy(),
        "INTERMITTENT": pattern.is_in(["intermittent", "lumpy"]).to_numpy(),
        "RECENT_STOCKOUTS": (panel.state[:, -RECENT_DAYS:] == STOCKED_OUT).any(axis=1),
        "NOT_ON_SALE": ~np.isin(panel.state[:, -1], (OPEN, CLOSED, STOCKED_OUT)),
        "SHARE_OF_SUM": model_type.is_in(OF_SUMS).to_numpy(),
        "PARTS_FAILED": is_failed,
    }
    return [[code for code, held in holds.items() if held[s]] for s in range(panel.series)]


def confidence(band: float | None, limits: list[str]) -> str:
    """high, medium or low, by the width of the band; low for a series that is too new for its band to be its own."""
    if band is None or band > MEDIUM or {"NOT_BACKTESTED", "FEW_DAYS"} & set(limits):
        return "low"
    return "high" if band <= HIGH else "medium"


def not_adding_up(explanations: pl.DataFrame) -> pl.DataFrame:
    """The rows whose parts do not add up to yhat: by more than 1e-5 of it, or of a unit where it is under one."""
    shape = pl.List(pl.Struct({"name": pl.String, "units": pl.Float64}))
    total = pl.col("parts").str.json_decode(shape).list.eval(pl.element().struct.field("units")).list.sum()
    return explanations.filter((total.fill_null(0) - pl.col("yhat")).abs() > 1e-5 * pl.max_horizontal("yhat", 1.0))


def _listed(units: np.ndarray, total: float) -> list[Part]:
    """The parts that are more than rounding, in the order of DRIVERS."""
    least = NOTHING * max(total, 1.0)
    parts = zip(DRIVERS, units.round(6).tolist(), strict=True)
    return [Part(name, value, reason_code(name, value)) for name, value in parts if abs(value) > least]


def _summary(total: float, listed: list[Part], when: str, sure: str) -> str:
    """One sentence: the forecast, the usual, and the parts that move it most, the largest first."""
    level = sum(each.units for each in listed if each.name == "usual")
    moved = sorted((each for each in listed if each.name != "usual"), key=lambda each: -abs(each.units))
    told = [f"{each.name.replace('_', ' ')} {each.units:+.2f}" for each in moved[:3]]
    return f"{total:.2f} units are forecast {when}: {', '.join([f'{level:.2f} as usual', *told])}; {sure} confidence."
