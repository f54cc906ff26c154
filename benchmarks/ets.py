"""Is the grid of ETS(A,N,A) as good as AutoETS, at what cost, and do other models equal their peers? One line of JSON.

    python benchmarks/ets.py --path DIR                 1,000 series of M5 by the grid, 80 of them by AutoETS too: two minutes
    python benchmarks/ets.py --path DIR --series 1000   all 1,000 by AutoETS: half an hour

DIR holds the tidy Parquet files of M5. Three folds of 28 days, the last ones; training is everything before, from the first row
of a series. Both sides run one after the other in this process. `ms` is wall time a series and fold of fit and forecast,
`rmsse` the mean over folds of the mean over series: `grid` and `auto_ets` on the same series, `grid_all` on all 1,000.
`parity` is the largest difference of a forecast over the peer's forecast, of the models that have a counterpart.
"""

import argparse
import json
import os
import platform
import time
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import duckdb
import numpy as np

from pipelines.backtests.losses import measured
from pipelines.features.panel import AHEAD, Panel
from pipelines.models import adida, croston, ets, moving_average, sba, seasonal_average, seasonal_naive, tsb

FIRST, DAYS, HORIZON, FOLDS = date(2011, 1, 29), 1941, 28, 3


def m5(path: Path, series: int) -> Panel:
    """Demand of some series, in an order drawn by hash; all else of the panel is empty."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW sales AS FROM read_parquet('{path / 'sales_daily.parquet'}')")
        connection.execute(
            "CREATE TABLE chosen AS SELECT *, row_number() OVER (ORDER BY hash(store_code || sku)) - 1 AS s "
            f"FROM (SELECT DISTINCT store_code, sku FROM sales) QUALIFY s < {series}"
        )
        rows = connection.execute(
            "SELECT s, (date - ?::DATE)::INT AS d, quantity::FLOAT AS y FROM sales JOIN chosen USING (store_code, sku)", [FIRST]
        ).fetchnumpy()
    y = np.full((series, DAYS), np.nan, dtype=np.float32)
    y[rows["s"], rows["d"]] = rows["y"]
    started = np.maximum.accumulate(~np.isnan(y), axis=1)
    y[started & np.isnan(y)] = 0
    end = DAYS + AHEAD
    return Panel(
        first_day=FIRST,
        store_id=np.zeros(series, dtype=np.int64),
        product_id=np.arange(series),
        groups=np.zeros((series, 5), dtype=np.int32),
        y=y,
        state=np.zeros(y.shape, dtype=np.int8),
        price=np.zeros((series, end), dtype=np.float32),
        planned=np.zeros((series, end), dtype=bool),
        promotion=np.zeros((series, end), dtype=np.uint8),
        event=np.zeros(end, dtype=np.int16),
        event_names=np.array([], dtype=np.str_),
        outside=np.zeros((0, 1, end), dtype=np.float32),
        outside_names=np.array([], dtype=np.str_),
    )


def forecast(module: ModuleType, panel: Panel) -> np.ndarray:
    yhat: np.ndarray = module.predict(module.fit(panel, horizon=HORIZON), panel, horizon=HORIZON)
    return yhat


def peer_forecast(peer: object, panel: Panel, series: int) -> np.ndarray:
    histories = [row[~np.isnan(row)].astype(np.float64) for row in panel.y[:series]]
    return np.stack([peer.forecast(y, HORIZON)["mean"] for y in histories])  # type: ignore[attr-defined]


def score(panel: Panel, cutoff: int, yhat: np.ndarray) -> float:
    y = panel.y[: len(yhat)].astype(np.float64)
    error = measured(y[:, cutoff : cutoff + HORIZON], yhat.astype(np.float64), train=y[:, :cutoff])["rmsse"]
    assert error is not None
    return error


def accuracy(panel: Panel, series: int) -> dict[str, object]:
    from statsforecast.models import AutoETS

    errors: dict[str, list[float]] = {"grid": [], "grid_all": [], "auto_ets": []}
    seconds = {"grid": 0.0, "auto_ets": 0.0}
    for fold in range(FOLDS, 0, -1):
        cutoff = DAYS - fold * HORIZON
        seen = panel.until(cutoff)
        began = time.perf_counter()
        yhat = forecast(ets, seen)
        seconds["grid"] += time.perf_counter() - began
        began = time.perf_counter()
        theirs = peer_forecast(AutoETS(season_length=7), seen, series)
        seconds["auto_ets"] += time.perf_counter() - began
        errors["grid_all"].append(score(panel, cutoff, yhat))
        errors["grid"].append(score(panel, cutoff, yhat[:series]))
        errors["auto_ets"].append(score(panel, cutoff, theirs))
    ms = {"grid": seconds["grid"] / FOLDS / panel.series * 1000, "auto_ets": seconds["auto_ets"] / FOLDS / series * 1000}
    return {
        "rmsse": {name: round(float(np.mean(each)), 4) for name, each in errors.items()},
        "rmsse_folds": {name: [round(each, 4) for each in folds] for name, folds in errors.items()},
        "ms": {name: round(each, 3) for name, each in ms.items()},
        "times_faster": round(ms["auto_ets"] / ms["grid"]),
    }


def parity(panel: Panel, series: int) -> dict[str, float]:
    from statsforecast.models import ADIDA, TSB, CrostonClassic, CrostonSBA, SeasonalNaive, SeasonalWindowAverage, WindowAverage

    peers = {
        seasonal_naive: SeasonalNaive(7),
        moving_average: WindowAverage(28),
        seasonal_average: SeasonalWindowAverage(7, 8),
        croston: CrostonClassic(),
        sba: CrostonSBA(),
        tsb: TSB(0.1, 0.1),
        adida: ADIDA(),
    }
    differences = {}
    for module, peer in peers.items():
        theirs = peer_forecast(peer, panel, series)
        difference = np.abs(forecast(module, panel)[:series] - theirs) / np.maximum(np.abs(theirs), 1e-9)
        differences[module.__name__.rsplit(".", 1)[1]] = float(f"{difference.max():.1e}")
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", help="folder of the tidy files; without it there is nothing to measure")
    parser.add_argument("--series", type=int, default=80, help="series that AutoETS forecasts, of the 1,000")
    arguments = parser.parse_args()
    if arguments.path is None:
        print(json.dumps({"benchmark": "ets", "skipped": "give the folder of the M5 files with --path"}))
        return
    try:
        peer = version("statsforecast")
    except PackageNotFoundError:
        print(json.dumps({"benchmark": "ets", "skipped": "the peer is not installed: pip install 'demandgraph[pipelines,bench]'"}))
        return
    panel = m5(Path(arguments.path), 1000)
    result = {
        "benchmark": "ets",
        "series": {"grid": panel.series, "auto_ets": arguments.series},
        "folds": FOLDS,
        **accuracy(panel, arguments.series),
        "parity": parity(panel.until(DAYS), 300),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "statsforecast": peer,
        "numpy": version("numpy"),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
