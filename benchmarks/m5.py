"""How good are forecasts at M5's size, and what do they cost? One line of JSON.

    python benchmarks/m5.py --path M5                    the three windows before the last one, and its baselines
    python benchmarks/m5.py --path M5 --windows 0        the last window, d_1914 to d_1941: look once
    python benchmarks/m5.py --path M5 --write next.parquet  also forecast the 28 days after the end, with quantiles
    python benchmarks/m5.py --path M5 --params '{"rounds": 150, "eta": 0.075}'   other parameters than the chosen ones

M5 holds the tidy Parquet files. They are loaded as any source is (into --root, kept where it is given), then each window of 28
days is forecast from everything before it. WRMSSE is over the competition's twelve levels, scaled from the first sale on,
weighted by the revenue of the last 28 training days. Window 0 is the last one. The Parquet has store_code, sku, date, mean and
q05 to q95; its quantiles come from the residuals of the windows that were run.
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
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

from assets_config.declared import load_declarations
from pipelines.backtests import intervals, losses
from pipelines.features.levels import LEVELS, Members, read_members
from pipelines.features.panel import Panel, read_panel
from pipelines.features.patterns import PATTERNS, patterns
from pipelines.forecasts.accuracy.coverage import shares
from pipelines.models import xgboost
from pipelines.warehouse import Warehouse

HORIZON = 28
CHOSEN = {"rounds": 300, "max_leaves": 160, "eta": 0.05, "max_rows": 6_000_000, "history": 700, "totals": 0.9, "nthread": 2}
"""Trees chosen on the windows 1, 2, 3 and 13; `totals` between 0.8 and 1, which were alike, with smaller trees on 6, 8, 10, 12 and
14 too."""


def load(root: Path, path: Path) -> float:
    """Make the panel of a data root, where it is not there yet; gives the seconds."""
    if (root / "warehouse/features/panel/panel.npz").exists():
        return 0.0
    (root / "dagster").mkdir(parents=True, exist_ok=True)
    (root / "dagster/dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {**os.environ, "DEMANDGRAPH_DATA": str(root), "DAGSTER_HOME": str(root / "dagster")}
    command = [sys.executable, "-m", "pipelines", "materialize", "--source", "m5", "--path", str(path)]
    began = time.perf_counter()
    subprocess.run([*command, "--select", "sources", "core", "features/panel"], env=environment, check=True, capture_output=True)
    return round(time.perf_counter() - began, 1)


class Window:
    """28 days to forecast, and what their errors are held against."""

    def __init__(self, panel: Panel, members: Members, back: int) -> None:
        end = panel.days - back * HORIZON
        self.seen = panel.until(end - HORIZON)
        self.y = np.nan_to_num(panel.y[:, end - HORIZON : end].astype(np.float64))
        lately = self.seen.y[:, -HORIZON:].astype(np.float64) * panel.price[:, end - 2 * HORIZON : end - HORIZON]
        revenue, codes = np.nansum(lately, axis=1), [members.of(level).codes for level in LEVELS]
        self._scales = [losses.level_scale(losses.group_sums(self.seen.y, of), revenue, of) for of in codes]

    def score(self, yhat: np.ndarray) -> dict[str, object]:
        errors = losses.measured(self.y, yhat)
        levels = {name: losses.wrmsse(self.y, yhat, [scale]) for name, scale in zip(LEVELS, self._scales, strict=True)}
        return {
            "wrmsse": _rounded(losses.wrmsse(self.y, yhat, self._scales)),
            "item_wape": _rounded(errors["wape"]),
            "bias_ratio": _rounded(errors["bias_ratio"]),
            "levels": {name: _rounded(value) for name, value in levels.items()},
        }

    def baselines(self) -> dict[str, float | None]:
        y = np.nan_to_num(self.seen.y.astype(np.float64))
        found = {
            "naive": np.repeat(y[:, -1:], HORIZON, axis=1),
            "seasonal_naive": np.tile(y[:, -7:], (1, HORIZON // 7)),
            "last_28_days": y[:, -HORIZON:],
        }
        return {name: _rounded(losses.wrmsse(self.y, yhat, self._scales)) for name, yhat in found.items()}


def forecast(panel: Panel, params: dict[str, object]) -> tuple[np.ndarray, dict[str, float]]:
    """The model's forecast of the 28 days after a panel, and its cost in CPU seconds."""
    began = time.process_time()
    features = load_declarations().feature_sets["demand"]
    artifact = xgboost.fit(panel, horizon=HORIZON, features=features, **params)
    fitted = time.process_time()
    yhat = xgboost.predict(artifact, panel, horizon=HORIZON)
    return yhat, {"fit_cpu_s": round(fitted - began), "predict_cpu_s": round(time.process_time() - fitted)}


def coverage(windows: list[tuple[Window, np.ndarray]]) -> dict[str, object]:
    """The share of days within [q05, q95], quantiles from the other windows: [share, low, high, points], with a 95 % band.

    By days ahead, and by demand: series that sell over 1 a day and up to that, and of each pattern among those over 1.
    """
    if len(windows) < 2:
        return {}
    points = [_flat(yhat, window.y) for window, yhat in windows]
    fold = np.repeat(np.arange(len(points)), [len(point[0]) for point in points])
    yhat, step, y = (np.concatenate(each) for each in zip(*points, strict=True))
    known = [patterns(window.seen) for window, _ in windows]
    found = intervals.honest_quantiles(yhat, step, y, fold, np.concatenate([np.repeat(each.kind, HORIZON) for each in known]))
    if found is None:
        return {}
    rows = pl.DataFrame(
        {
            "level": pl.repeat("series", len(y), eager=True),
            "step": step,
            "segment": np.array(PATTERNS)[np.concatenate([np.repeat(each.code, HORIZON) for each in known])],
            "demand": np.where(np.concatenate([np.repeat(each.mean > 1, HORIZON) for each in known]), "over_1", "up_to_1"),
            "covered": (y >= found[:, 0]) & (y <= found[:, -1]),
        }
    )
    table = shares(rows.filter(pl.Series(~np.isnan(y)))).filter((pl.col("segment") == "all") | (pl.col("demand") == "over_1"))
    said: dict[str, dict[str, list[float]]] = {}
    for row in table.iter_rows(named=True):
        kind = " ".join(each for each in (row["demand"], row["segment"]) if each != "all") or "all"
        cell = [*(round(row[name], 4) for name in ("coverage", "low", "high")), row["n"]]
        said.setdefault(row["bucket"], {})[kind] = cell
    return {"coverage_90": said}


def write(path: Path, panel: Panel, members: Members, yhat: np.ndarray, windows: list[tuple[Window, np.ndarray]]) -> None:
    """The forecast of the days after the end: store_code, sku, date, mean, q05 to q95."""
    flat, step, _ = _flat(yhat, yhat)
    past = [np.concatenate(each) for each in zip(*(_flat(own, window.y) for window, own in windows), strict=True)]
    kinds = [np.repeat(patterns(each).kind, HORIZON) for each in (panel, *(window.seen for window, _ in windows))]
    levels = intervals.quantiles(flat, step, *past, kind=kinds[0], past_kind=np.concatenate(kinds[1:]))
    names = members.frame.select(pl.col("store").alias("store_code"), pl.col("product").alias("sku"))
    made = names[np.repeat(np.arange(panel.series), HORIZON)].with_columns(
        pl.Series("date", [panel.day(panel.days + n) for n in range(HORIZON)] * panel.series),
        pl.Series("mean", flat.astype(np.float32)),
        *(pl.Series(f"q{round(level * 100):02d}", levels[:, n].astype(np.float32)) for n, level in enumerate(intervals.LEVELS)),
    )
    made.write_parquet(path, compression="zstd")


def _flat(yhat: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return yhat.reshape(-1).astype(np.float64), np.tile(np.arange(1, HORIZON + 1), len(yhat)), y.reshape(-1)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, help="folder of the tidy M5 files; without it there is nothing to measure")
    parser.add_argument("--root", type=Path, help="data root to load into, and to find loaded")
    parser.add_argument("--windows", type=int, nargs="*", default=[3, 2, 1], help="0 is the last")
    parser.add_argument("--write", type=Path, help="Parquet for the forecast of the 28 days after the end")
    parser.add_argument("--params", type=json.loads, default={}, help="JSON of parameters in place of the chosen ones")
    arguments = parser.parse_args()
    params = {**CHOSEN, **arguments.params}
    if arguments.path is None:
        print(json.dumps({"benchmark": "m5", "skipped": "give the folder of the M5 files with --path"}))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.root or Path(folder)
        loaded = load(root, arguments.path)
        warehouse = Warehouse(root)
        panel = read_panel(warehouse)
        members = read_members(warehouse, panel)
    run, said = [], []
    for back in arguments.windows:
        window = Window(panel, members, back)
        yhat, cost = forecast(window.seen, params)
        run.append((window, yhat))
        said.append({"window": back, "baselines": window.baselines(), **window.score(yhat), **cost})
        print(json.dumps(said[-1]), file=sys.stderr, flush=True)
    last = Window(panel, members, 0).baselines()
    if arguments.write:
        write(arguments.write, panel, members, forecast(panel, params)[0], run)
    scores = [each["wrmsse"] for each in said]
    result = {
        "benchmark": "m5",
        "series": panel.series,
        "load_s": loaded,
        "params": params,
        "baselines_of_the_last_window": last,
        "windows": said,
        "wrmsse_mean": _rounded(float(np.mean(scores))) if scores else None,
        "wrmsse_sd": _rounded(float(np.std(scores))) if scores else None,
        **coverage(run),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "polars", "xgboost-cpu")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
