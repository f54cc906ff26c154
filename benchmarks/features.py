"""What do features of a whole panel cost, beside mlforecast on Polars? One line of JSON.

    python benchmarks/features.py                          3,000 generated series x 400 days
    python benchmarks/features.py --series 30490 --days 1941   the shape of M5
    python benchmarks/features.py --root DATA              the panel of a data root, as it was materialised

Three lags, mean and standard deviation of 7, 28 and 56 days, all 28 days back, four calendar fields and the price, for every
day of every series. Ours go through blocks of 64 series on two threads and are summed up, not kept: a trainer takes them block
by block. Each side runs in a fresh process on the same numbers, and is asked for one series before, so that what it loads when it
is first called (`first_s`) is not counted; the peer is left out where it is not installed. `mb` is the peak memory of the process,
the panel or frame included.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from pipelines.features.panel import AHEAD, Panel, read_panel
from pipelines.warehouse import Warehouse

BACK, WINDOWS = 28, (7, 28, 56)
Measured = tuple[float, float, int]
"""Seconds of the first call, of one series, and of all; and how many values there were."""


def ours(root: Path) -> Measured:
    from assets_config.features import FeatureSet
    from pipelines.features.blocks import Blocks
    from pipelines.models.xgboost import series_blocks

    panel = _panel(root)
    feature_set = FeatureSet(
        name="benchmark",
        about="",
        lags=[0, 7, 14],
        rolling={"mean": list(WINDOWS), "std": list(WINDOWS)},
        calendar=["weekday", "day_of_month", "month", "year"],
        price=["price"],
    )
    days = np.arange(BACK, panel.days)
    steps = np.full(len(days), BACK)
    first = time.perf_counter()
    Blocks(panel, feature_set).features(np.arange(1), days, steps)
    began = time.perf_counter()
    blocks = Blocks(panel, feature_set)

    def total(series: np.ndarray) -> int:
        return int(np.isfinite(blocks.features(series, days, steps)[:, 0]).sum())

    with ThreadPoolExecutor(2) as threads:
        cells = sum(threads.map(total, series_blocks(panel.series)))
    return began - first, time.perf_counter() - began, cells


def mlforecast(root: Path) -> Measured:
    import polars as pl
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean, RollingStd

    panel = _panel(root)
    series, days = panel.y.shape
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat(np.arange(series, dtype=np.int32), days),
            "ds": pl.Series(np.tile(np.arange(days, dtype=np.int32), series)),
            "y": panel.y.reshape(-1),
            "price": panel.price[:, :days].reshape(-1),
        }
    ).with_columns(pl.lit(panel.first_day).dt.offset_by(pl.format("{}d", "ds")).cast(pl.Date).alias("ds"))
    frame = frame.filter(pl.col("y").is_not_nan())

    def features(rows: pl.DataFrame) -> pl.DataFrame:
        windows = [shape(window) for shape in (RollingMean, RollingStd) for window in WINDOWS]
        forecaster = MLForecast(
            models=[],
            freq="1d",
            lags=[BACK, BACK + 7, BACK + 14],
            lag_transforms={BACK: windows},
            date_features=["weekday", "day", "month", "year"],
            num_threads=2,
        )
        return forecaster.preprocess(rows, static_features=[], dropna=False)

    first = time.perf_counter()
    features(frame.filter(pl.col("unique_id") == 0))
    began = time.perf_counter()
    made = features(frame)
    return began - first, time.perf_counter() - began, int(made[f"lag{BACK}"].is_finite().sum())


def _panel(root: Path) -> Panel:
    if not (root / "generated.npz").exists():
        return read_panel(Warehouse(root))
    with np.load(root / "generated.npz") as stored:
        return Panel(first_day=date(2011, 1, 29), **{name: stored[name] for name in stored.files})


def _generate(root: Path, series: int, days: int) -> None:
    draw = np.random.default_rng(1)
    y = draw.poisson(0.8, (series, days)).astype(np.float32)
    for s in range(0, series, 3):
        y[s, : draw.integers(0, days // 2)] = np.nan
    np.savez(
        root / "generated.npz",
        store_id=np.arange(series) % 10,
        product_id=np.arange(series) // 10,
        groups=np.zeros((series, 5), np.int32),
        y=y,
        state=np.isnan(y).astype(np.int8),
        price=np.full((series, days + AHEAD), 2, np.float32),
        planned=np.ones((series, days + AHEAD), bool),
        promotion=np.zeros((series, days + AHEAD), np.uint8),
        event=np.zeros(days + AHEAD, np.int16),
        event_names=np.array([], np.str_),
        outside=np.zeros((0, 1, days + AHEAD), np.float32),
        outside_names=np.array([], np.str_),
    )


def _fresh(side: str, root: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", side, "--root", str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="data root whose features/panel is read")
    parser.add_argument("--series", type=int, default=3_000)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--side", choices=("ours", "mlforecast"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        first, seconds, cells = {"ours": ours, "mlforecast": mlforecast}[arguments.side](arguments.root)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"seconds": round(seconds, 2), "first_s": round(first, 2), "mb": peak, "lags": cells}))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.root or Path(folder)
        if arguments.root is None:
            _generate(root, arguments.series, arguments.days)
        result = {"benchmark": "features", "ours": _fresh("ours", root)}
        try:
            peer = _fresh("mlforecast", root) if version("mlforecast") else None
        except PackageNotFoundError:
            peer = None
        if peer is not None:
            result |= {
                "mlforecast": peer,
                "times_faster": round(peer["seconds"] / result["ours"]["seconds"], 1),
                "share_of_memory": round(result["ours"]["mb"] / peer["mb"], 2),
            }
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "numpy": version("numpy")}
    print(json.dumps({**result, **machine}))


if __name__ == "__main__":
    main()
