"""What the backtests' errors look like: the best types beside the baselines, by days ahead."""

import polars as pl

from pipelines.charts import bar_chart

BUCKETS = {"h_1_7": "1-7 days", "h_8_14": "8-14", "h_15_28": "15-28", "h_29_plus": "29 and more", "all": "all days"}
BASELINES = ("naive", "seasonal_naive")
BEST = 2


def errors_by_horizon(metrics: pl.DataFrame) -> str:
    """WAPE a horizon bucket, pooled over folds and series, of the best types and the baselines."""
    pooled = metrics.filter(fold=-1, level="series", segment="all").filter(pl.col("wape").is_not_null())
    wape = {(row["model_type"], row["bucket"]): row["wape"] for row in pooled.iter_rows(named=True)}
    ranked = [kind for kind in pooled.filter(bucket="all").sort("wape", "model_type")["model_type"] if kind not in BASELINES]
    shown = [*ranked[:BEST], *(kind for kind in BASELINES if (kind, "all") in wape)]
    buckets = [bucket for bucket in BUCKETS if any((kind, bucket) in wape for kind in shown)]
    bars = {kind: [wape.get((kind, bucket)) for bucket in buckets] for kind in shown}
    return bar_chart("WAPE by days ahead", [BUCKETS[bucket] for bucket in buckets], bars)
