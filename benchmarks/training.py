"""What does it cost to train and forecast with the same features, beside mlforecast with xgboost? One line of JSON.

    python benchmarks/training.py --root DATA                   the first 3,049 series of the panel of a data root
    python benchmarks/training.py --root DATA --series 30490 --history 400
    python benchmarks/training.py --root DATA --gaps            the peer learns from the same rows as `every_day`

The panel without its last 28 days is learned from, the 28 days are forecast and scored: lags, means and deviations of up to 56
days, calendar and price; the same booster parameters. `mlforecast` learns from every day of the history, all features 28 days
back. Ours three times: `drawn`, as the engine does it, from days that are drawn, at most --rows of them, each seen from an origin a
random number of days before (docs/adr/0009); `drawn_28`, from such days with all features 28 days back, as the peer has them; and
`every_day`, from all days so. The peer leaves out rows in which a feature is missing, as is usual, ours does not; with `--gaps`
neither does. Each side runs in a fresh process and reads the same panel; `cpu_s` and `mb` are those of the whole process, reading
included; `ratios` are those to the peer. Threads of the peer wait as they do by themselves, spinning; with
OMP_WAIT_POLICY=passive they sleep, as ours do (docs/adr/0024).
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np

from pipelines.features.panel import Panel, read_panel
from pipelines.warehouse import Warehouse

HORIZON, WINDOWS = 28, (7, 28, 56)
BOOSTER = {"rounds": 100, "max_leaves": 64, "eta": 0.1, "subsample": 1.0, "colsample_bynode": 0.8, "min_child_weight": 20}
WAYS = {
    "drawn": {"origins": "random"},
    "drawn_28": {"origins": "horizon"},
    "every_day": {"origins": "horizon", "max_rows": 2**40},
}
"""How ours are trained."""


def ours(panel: Panel, history: int, way: dict[str, object]) -> np.ndarray:
    from assets_config.features import FeatureSet
    from pipelines.models import xgboost

    feature_set = FeatureSet(
        name="benchmark",
        about="",
        lags=[0, 7, 14],
        rolling={"mean": list(WINDOWS), "std": list(WINDOWS)},
        calendar=["weekday", "day_of_month", "month", "year"],
        price=["price"],
    )
    artifact = xgboost.fit(panel, horizon=HORIZON, features=feature_set, history=history, nthread=2, **BOOSTER, **way)
    return xgboost.predict(artifact, panel, horizon=HORIZON)


def mlforecast(panel: Panel, history: int, *, gaps: bool) -> np.ndarray:
    import polars as pl
    import xgboost
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean, RollingStd

    def frame(days: np.ndarray) -> pl.DataFrame:
        number = {"unique_id": np.repeat(np.arange(panel.series, dtype=np.int32), len(days)), "n": np.tile(days, panel.series)}
        made = pl.DataFrame({**number, "price": panel.price[:, days].reshape(-1)})
        date = pl.lit(panel.first_day).dt.offset_by(pl.format("{}d", "n")).cast(pl.Date).alias("ds")
        return made.with_columns(date).drop("n")

    first = max(0, panel.days - history - HORIZON - max(WINDOWS) - 14)
    past = np.arange(first, panel.days)
    known = frame(past).with_columns(pl.Series("y", panel.y[:, past].reshape(-1))).filter(pl.col("y").is_not_nan())
    model = xgboost.XGBRegressor(
        objective="reg:tweedie",
        tweedie_variance_power=1.1,
        tree_method="hist",
        grow_policy="lossguide",
        n_estimators=BOOSTER["rounds"],
        max_depth=0,
        max_bin=255,
        learning_rate=BOOSTER["eta"],
        n_jobs=2,
        **{name: BOOSTER[name] for name in ("max_leaves", "subsample", "colsample_bynode", "min_child_weight")},
    )
    windows = [shape(window) for shape in (RollingMean, RollingStd) for window in WINDOWS]
    forecaster = MLForecast(
        models={"yhat": model},
        freq="1d",
        lags=[HORIZON, HORIZON + 7, HORIZON + 14],
        lag_transforms={HORIZON: windows},
        date_features=["weekday", "day", "month", "year"],
        num_threads=2,
    )
    if gaps:
        from pipelines.models.xgboost import FEWEST_DAYS  # not before the peer's xgboost: it has threads wait otherwise

        first_learned = panel.first_day + timedelta(days=max(panel.days - history, HORIZON + FEWEST_DAYS))
        rows = forecaster.preprocess(known, static_features=[], dropna=False).filter(pl.col("ds") >= first_learned)
        forecaster.fit_models(rows.drop("unique_id", "ds", "y").to_numpy(), rows["y"].to_numpy())
    else:
        forecaster.fit(known, static_features=[], dropna=True, as_numpy=True)
    ahead = frame(np.arange(panel.days, panel.days + HORIZON))
    found = forecaster.predict(HORIZON, X_df=ahead)
    everyone = ahead.select("unique_id", "ds").join(found, on=["unique_id", "ds"], how="left", maintain_order="left")
    return np.asarray(everyone["yhat"].fill_null(0)).reshape(panel.series, HORIZON)


def run(side: str, root: Path, series: int, history: int, rows: int, *, gaps: bool) -> dict[str, float]:
    """One side's cost and errors, in this process."""
    whole = read_panel(Warehouse(root))
    first = np.arange(min(series, whole.series))
    names = ("store_id", "product_id", "groups", "y", "state", "price", "planned", "promotion")
    part = msgspec.structs.replace(whole, **{name: getattr(whole, name)[first] for name in names})
    del whole
    actual = part.y[:, -HORIZON:].astype(np.float64)
    began, cpu = time.perf_counter(), time.process_time()
    seen = part.until(part.days - HORIZON)
    yhat = ours(seen, history, {"max_rows": rows, **WAYS[side]}) if side in WAYS else mlforecast(seen, history, gaps=gaps)
    known = ~np.isnan(actual)
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "wape": round(float(np.abs(yhat - actual)[known].sum() / actual[known].sum()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="data root with features/panel; without it there is nothing to measure")
    parser.add_argument("--series", type=int, default=3049)
    parser.add_argument("--history", type=int, default=10_000, help="days that are learned from")
    parser.add_argument("--rows", type=int, default=2_000_000, help="days that are drawn")
    parser.add_argument("--gaps", action="store_true", help="have the peer learn from rows with missing features too")
    parser.add_argument("--side", choices=(*WAYS, "mlforecast"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.root is None:
        print(json.dumps({"benchmark": "training", "skipped": "give a data root with features/panel by --root"}))
        return
    if arguments.side:
        of = arguments.root, arguments.series, arguments.history, arguments.rows
        print(json.dumps(run(arguments.side, *of, gaps=arguments.gaps)))
        return
    found = {}
    for side in (*WAYS, "mlforecast"):
        try:
            version("mlforecast" if side == "mlforecast" else "xgboost-cpu")
        except PackageNotFoundError:
            continue
        given = [f"--{name}={getattr(arguments, name)}" for name in ("root", "series", "history", "rows")]
        given += ["--gaps"] if arguments.gaps else []
        done = subprocess.run([sys.executable, __file__, "--side", side, *given], check=True, capture_output=True, text=True)
        found[side] = json.loads(done.stdout.splitlines()[-1])
    result = {"benchmark": "training", "series": arguments.series, "gaps": arguments.gaps, **found}
    if "mlforecast" in found:
        names = ("cpu_s", "mb", "wape")
        result["ratios"] = {
            way: {name: round(found[way][name] / found["mlforecast"][name], 3) for name in names} for way in WAYS if way in found
        }
    print(json.dumps({**result, "cores": os.cpu_count(), "python": platform.python_version(), "numpy": version("numpy")}))


if __name__ == "__main__":
    main()
