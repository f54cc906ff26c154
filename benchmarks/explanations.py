"""What does it cost to explain the forecasts of the trees, and how far is that from Shapley values? One line of JSON.

    python benchmarks/explanations.py                        2,000 generated series x 730 days
    python benchmarks/explanations.py --root DATA            the panel of a data root, as it was materialised

The booster is that of models.yaml and its feature set, on at most 40,000 rows. `us` is CPU time a row: a series on a day ahead.
Both sides are xgboost's, on one thread, on the same rows; Shapley values on `rows` of them, since they are slow. `difference` is
the sum of absolute differences between the contributions of the groups of features over the sum of absolute Shapley values,
`rank_correlation` the mean over rows of Spearman's between both. Bytes are those of the published table.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import xgboost as peer

from assets_config.declared import load_declarations
from assets_config.features import FeatureSet
from assets_config.segments import segment_rules
from pipelines.features.blocks import Blocks
from pipelines.features.panel import AHEAD, Panel, read_panel
from pipelines.features.patterns import segment_frame
from pipelines.forecasts.explanations.parts import Contributor, Parts, parts
from pipelines.forecasts.explanations.table import explanation_frame
from pipelines.models import xgboost
from pipelines.warehouse import Warehouse

HORIZON, MOST_ROWS = 28, 40_000


def generated(series: int, days: int) -> Panel:
    """Poisson demand around a level, a week, a year, promotions and prices of its own."""
    draw = np.random.default_rng(11)
    end = days + AHEAD
    day = np.arange(end)
    months = draw.choice([0.8, 1.0, 1.0, 1.1], (series, end // 28 + 1))
    price = draw.uniform(1, 9, (series, 1)) * months.repeat(28, axis=1)[:, :end]
    promotion = (20 * (draw.random((series, end)) < 0.05)).astype(np.uint8)
    week = draw.uniform(0.6, 1.4, (series, 7))[:, day % 7]
    year = 1 + 0.3 * np.sin(2 * np.pi * day / 365.25)
    level = draw.lognormal(1, 1, (series, 1)) * week * year * np.where(promotion > 0, 1.8, 1)
    place = np.arange(series)
    return Panel(
        first_day=date(2023, 1, 1),
        store_id=place // 50 + 1,
        product_id=place % 50 + 1,
        groups=np.stack([place // 50, place % 50 // 10, place % 50 // 5, place % 50, place // 150], axis=1).astype(np.int32),
        y=draw.poisson(level[:, :days]).astype(np.float32),
        state=np.zeros((series, days), dtype=np.int8),
        price=price.astype(np.float32),
        planned=np.ones((series, end), dtype=bool),
        promotion=promotion,
        event=(draw.integers(1, 4, end) * (draw.random(end) < 0.03)).astype(np.int16),
        event_names=np.array(["a", "b", "c"]),
        outside=np.zeros((0, series // 50 + 1, end), dtype=np.float32),
        outside_names=np.array([], dtype=np.str_),
    )


def beside_shapley(artifact: bytes, panel: Panel, feature_set: FeatureSet, rows: int) -> dict[str, float]:
    """CPU time a row of both, and how far they are from each other over the groups of features."""
    draw, blocks = np.random.default_rng(5), Blocks(panel, feature_set)
    days, steps = np.arange(panel.days, panel.days + HORIZON), np.arange(1, HORIZON + 1)
    every = blocks.features(draw.permutation(panel.series)[:64], days, steps)
    groups = [each.group for each in feature_set.features(panel.outside_names.tolist())]
    member = np.array([[group == name for name in dict.fromkeys(groups)] for group in groups], dtype=np.float64)
    booster, found, cost = peer.Booster({"nthread": 1}, model_file=bytearray(artifact)), {}, {}
    chosen = every[draw.permutation(len(every))[:rows]]
    for name, is_path, matrix in (("shapley", False, chosen), ("path", True, every), ("agreed", True, chosen)):
        began = time.process_time()
        told = booster.predict(
            peer.DMatrix(matrix, nthread=1), pred_contribs=True, approx_contribs=is_path, validate_features=False
        )
        cost[name] = (time.process_time() - began) / len(matrix) * 1e6
        found[name] = told[:, :-1] @ member
    ranks = {name: found[name].argsort(axis=1).argsort(axis=1) for name in ("shapley", "agreed")}
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(ranks["shapley"], ranks["agreed"], strict=True)]
    return {
        "us": round(cost["path"], 1),
        "shapley_us": round(cost["shapley"], 1),
        "difference": round(float(np.abs(found["agreed"] - found["shapley"]).sum() / np.abs(found["shapley"]).sum()), 3),
        "rank_correlation": round(float(np.mean(correlations)), 3),
    }


def table(artifact: bytes, panel: Panel) -> tuple[Parts, float, int]:
    """The parts of all series, CPU seconds of parts and table, and bytes of the table in DuckDB."""
    yhat = xgboost.predict(artifact, panel, horizon=HORIZON).astype(np.float64)
    keys = ("store_id", "product_id", "step", "yhat", "q10", "q90")
    flat = yhat.reshape(-1)
    steps = np.tile(np.arange(1, HORIZON + 1), panel.series)
    ids = (np.repeat(each, HORIZON) for each in (panel.store_id, panel.product_id))
    forecast = pl.DataFrame(dict(zip(keys, (*ids, steps, flat, flat * 0.5, flat * 1.5), strict=True))).with_columns(
        source=pl.lit("forecast"), model_type=pl.lit("xgboost"), model_version=pl.lit("0" * 32)
    )
    champion = pl.DataFrame({"model_type": ["xgboost"] * panel.series, "absolute_error": [1.0] * panel.series})
    segments = segment_frame(panel, segment_rules())
    began = time.process_time()
    tell = partial(xgboost.contributions, artifact, panel, horizon=HORIZON)
    found = parts(panel, yhat, [Contributor("xgboost", tell, np.ones(panel.series))])
    frame = explanation_frame(panel, forecast, champion, segments, found)
    seconds = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        frame.write_parquet(Path(folder) / "data.parquet", compression="zstd")
        with duckdb.connect(f"{folder}/tables.duckdb") as connection:
            connection.execute(f"CREATE TABLE t AS FROM read_parquet('{folder}/data.parquet') ORDER BY product_id, store_id, span")
        return found, seconds, (Path(folder) / "tables.duckdb").stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="data root; without it a panel is generated")
    parser.add_argument("--rows", type=int, default=100, help="rows whose Shapley values are computed")
    arguments = parser.parse_args()
    panel = read_panel(Warehouse(Path(arguments.root))) if arguments.root else generated(2000, 730)
    declared = load_declarations()
    feature_set = declared.feature_sets["demand"]
    params = {**declared.models["xgboost"].params, "max_rows": MOST_ROWS, "nthread": 1}
    artifact = xgboost.fit(panel, horizon=HORIZON, features=feature_set, **params)
    found, seconds, size = table(artifact, panel)
    result = {
        "benchmark": "explanations",
        "series": panel.series,
        "days": panel.days,
        "features": len(feature_set.features(panel.outside_names.tolist())),
        **beside_shapley(artifact, panel, feature_set, arguments.rows),
        "rows": arguments.rows,
        "table_ms_a_series": round(seconds / panel.series * 1e3, 3),
        "bytes_a_series": round(size / panel.series),
        "failed": found.failed,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "xgboost": version("xgboost-cpu"),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
