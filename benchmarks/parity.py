"""Do losses equal those of utilsforecast, and features those of mlforecast? One line of JSON; exit status 1 where one does not.

    python benchmarks/parity.py

Each number is the largest relative difference, on 40 generated series of 300 days whose first day sells; the forecast of the
last 28 is drawn at random. Where definitions differ by a factor it is applied: smape here is twice theirs, and the standard
deviation of a window divides by its days here, by one less there. Models are held against statsforecast in `ets.py`.
"""

import json
import platform
import sys
from datetime import date, timedelta
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import polars as pl

from assets_config.features import FeatureSet
from pipelines.backtests import losses
from pipelines.backtests.intervals import LEVELS
from pipelines.features.blocks import Blocks
from pipelines.features.panel import AHEAD, Panel

SERIES, DAYS, HORIZON, BACK = 40, 300, 28, 28
WINDOWS = (7, 28, 56)
CLOSE = 1e-5  # features are float32
FIRST = date(2024, 1, 1)


def long(y: np.ndarray, **columns: np.ndarray) -> pl.DataFrame:
    """One row a series and day."""
    series, days = y.shape
    frame = {"unique_id": np.repeat(np.arange(series), days), "ds": [FIRST + timedelta(n) for n in range(days)] * series}
    return pl.DataFrame({**frame, "y": y.reshape(-1), **{name: each.reshape(-1) for name, each in columns.items()}})


def of_losses(y: np.ndarray, draw: np.random.Generator) -> dict[str, float]:
    from utilsforecast import losses as theirs

    train, test = y[:, :-HORIZON], y[:, -HORIZON:]
    yhat = test + draw.normal(0, 2, test.shape)
    quantiles = np.stack([yhat + 3 * (level - 0.5) for level in LEVELS], axis=-1)
    scored, history = long(test, m=yhat, **{f"q{level}": quantiles[..., n] for n, level in enumerate(LEVELS)}), long(train)
    ranges = {"m-lo-80": "q0.1", "m-hi-80": "q0.9", "m-lo-90": "q0.05", "m-hi-90": "q0.95"}
    scored = scored.with_columns(pl.col(quantile).alias(name) for name, quantile in ranges.items())
    named = {"m": [f"q{level}" for level in losses.WEIGHTED]}

    def mean(frame: pl.DataFrame) -> float:
        return float(frame["m"].mean())

    def a_series(name: str) -> float:
        """Ours, series by series, as theirs are."""
        rows = zip(test[:, None], yhat[:, None], quantiles[:, None], strict=True)
        return float(np.mean([losses.measured(own, forecast, quantiles=q)[name] for own, forecast, q in rows]))

    ours = losses.measured(test, yhat, quantiles=quantiles, train=train)
    pinball = [mean(theirs.quantile_loss(scored, {"m": f"q{level}"}, level)) for level in LEVELS]
    pairs = {
        "mae": (ours["mae"], mean(theirs.mae(scored, ["m"]))),
        "rmse": (a_series("rmse"), mean(theirs.rmse(scored, ["m"]))),
        "wape": (a_series("wape"), mean(theirs.wape(scored, ["m"]))),
        "smape": (ours["smape"], 2 * mean(theirs.smape(scored, ["m"]))),
        "mape": (ours["mape"], mean(theirs.mape(scored, ["m"]))),
        "bias": (ours["bias"], mean(theirs.bias(scored, ["m"]))),
        "mase": (ours["mase"], mean(theirs.mase(scored, ["m"], 7, history))),
        "rmsse": (ours["rmsse"], mean(theirs.rmsse(scored, ["m"], 1, history))),
        "pinball": (ours["pinball"], float(np.mean(pinball))),
        "wql": (a_series("wql"), mean(theirs.scaled_crps(scored, named, np.array(losses.WEIGHTED)))),
        "coverage_80": (ours["coverage_80"], mean(theirs.coverage(scored, ["m"], 80))),
        "coverage_90": (ours["coverage_90"], mean(theirs.coverage(scored, ["m"], 90))),
    }
    return {name: abs(own - peer) / abs(peer) for name, (own, peer) in pairs.items() if own is not None}


def of_features(y: np.ndarray) -> dict[str, float]:
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMax, RollingMean, RollingMin, RollingStd, SeasonalRollingMean

    kinds = {"mean": RollingMean, "std": RollingStd, "min": RollingMin, "max": RollingMax}
    transforms = [kind(window, min_samples=window) for kind in kinds.values() for window in WINDOWS]
    made = MLForecast(
        models=[], freq="1d", lags=[BACK, BACK + 7], lag_transforms={BACK: [*transforms, SeasonalRollingMean(7, 4)]}
    ).preprocess(long(y), static_features=[], dropna=False)
    feature_set = FeatureSet(
        name="parity", about="", lags=[0, 7], rolling={name: list(WINDOWS) for name in kinds}, weekday_mean=[4]
    )
    days = np.arange(BACK, DAYS)
    ours = Blocks(_panel(y), feature_set)
    matrix = ours.features(np.arange(SERIES), days, np.full(len(days), BACK)).reshape(SERIES, len(days), -1)
    column = {name: matrix[:, :, n].astype(np.float64) for n, name in enumerate(ours.names)}
    for window in WINDOWS:
        column[f"std_{window}"] *= np.sqrt(window / (window - 1))
    names = {
        f"{name}_{window}": f"rolling_{name}_lag{BACK}_window_size{window}_min_samples{window}"
        for name in kinds
        for window in WINDOWS
    }
    names |= {"lag_0": f"lag{BACK}", "lag_7": f"lag{BACK + 7}"}
    names["weekday_mean_4"] = f"seasonal_rolling_mean_lag{BACK}_season_length7_window_size4"
    found = {}
    for name, theirs in names.items():
        peer = made[theirs].to_numpy().reshape(SERIES, DAYS)[:, BACK:].astype(np.float64)
        there = np.isfinite(peer)  # theirs wait for a whole window, ours say what is known
        found[name] = float(np.max(np.abs(column[name] - peer)[there] / np.maximum(np.abs(peer[there]), 1)))
    return found


def _panel(y: np.ndarray) -> Panel:
    end = DAYS + AHEAD
    return Panel(
        first_day=FIRST,
        store_id=np.zeros(SERIES, np.int64),
        product_id=np.arange(SERIES),
        groups=np.zeros((SERIES, 5), np.int32),
        y=y.astype(np.float32),
        state=np.zeros(y.shape, np.int8),
        price=np.ones((SERIES, end), np.float32),
        planned=np.ones((SERIES, end), bool),
        promotion=np.zeros((SERIES, end), np.uint8),
        event=np.zeros(end, np.int16),
        event_names=np.array([], np.str_),
        outside=np.zeros((0, 1, end), np.float32),
        outside_names=np.array([], np.str_),
    )


def main() -> int:
    try:
        peers = {name: version(name) for name in ("mlforecast", "utilsforecast")}
    except PackageNotFoundError:
        print(json.dumps({"benchmark": "parity", "skipped": "a peer is not installed: pip install 'demandgraph[pipelines,bench]'"}))
        return 0
    draw = np.random.default_rng(5)
    y = draw.poisson(4, (SERIES, DAYS)).astype(np.float64)
    y[:, 0] = 3
    y[:, -HORIZON:] += 1  # every day of the test sells, so that mape is over all of them on both sides
    found = {"losses": of_losses(y, draw), "features": of_features(y)}
    said = {group: {name: float(f"{value:.1e}") for name, value in each.items()} for group, each in found.items()}
    apart = [name for each in found.values() for name, value in each.items() if not value < CLOSE]
    print(json.dumps({"benchmark": "parity", **said, "apart": apart, "python": platform.python_version(), **peers}))
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main())
