"""Model cards: what a fitted type is, how good it was beside the baselines, where it is champion, and what it is not for."""

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from assets_config.contract.cards import ModelCard
from assets_config.contract.names import ENSEMBLE
from assets_config.declared import Declarations
from pipelines.backtests import ensemble
from pipelines.charts import bar_chart
from pipelines.features.panel import Panel
from pipelines.models.fits import fitted, read_artifact
from pipelines.models.types import BASELINES, OF_SUMS, feature_set_of, module_of
from pipelines.shapes import schema
from pipelines.warehouse import Warehouse

BUCKETS = {"all": "all days", "h_1_7": "1-7", "h_8_14": "8-14", "h_15_28": "15-28", "h_29_plus": "29 and more"}
NAMES = tuple(model.type for model in BASELINES)
MOST_FEATURES = 10
HEAD = ("scored", "WAPE", *(f"of {name}" for name in NAMES), "MASE", "bias", "in q05-q95")
Row = dict[str, Any]


class Subject(msgspec.Struct, frozen=True):
    """What a card is about."""

    run: Row  # of forecasts/model_run
    about: str  # what the type is, in a sentence
    horizon: int
    gains: Mapping[str, float]  # feature -> share of the gain; empty for types that see sales alone
    groups: Mapping[str, str]  # feature -> its field in the feature set


def subjects(warehouse: Warehouse, declared: Declarations, panel: Panel) -> list[Subject]:
    """The model runs of the last fit that did not fail.

    Raises PipelineError, naming the run, when an artifact is gone or altered.
    """
    horizons = dict(pl.concat([fitted(warehouse), warehouse.read("forecasts/ensemble")]).select("run_id", "horizon").iter_rows())
    outside = panel.outside_names.tolist()
    found = []
    for run in warehouse.read("forecasts/model_run").filter(is_current=True, status="success").iter_rows(named=True):
        model = declared.models[run["model_type"]]
        module = ensemble if model.type == ENSEMBLE else module_of(model)
        gains, groups = {}, {}
        if hasattr(module, "gains"):
            gains = module.gains(read_artifact(warehouse, run["run_id"], run["artifact_uri"], run["artifact_hash"]))
            feature_set = feature_set_of(model, declared.feature_sets)
            groups = {each.name: each.group for each in feature_set.features(outside)} if feature_set else {}
        found.append(Subject(run, about(module.__doc__), horizons[run["run_id"]], gains, groups))
    return found


def card_frame(subjects: list[Subject], metrics: pl.DataFrame, champion: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """The columns of contract.cards.ModelCard, one row a subject.

    Takes    backtests/backtest_metric, forecasts/champion and features/series_segment.
    """
    pooled = metrics.filter((pl.col("fold") == -1) & (pl.col("level") == "series") & (pl.col("n") > 0))
    own = champion.join(segments, on=["store_id", "product_id"]).group_by("model_type", "pattern").len()
    rows = []
    for subject in subjects:
        model_type = subject.run["model_type"]
        by_bucket, by_pattern = _errors(pooled.filter(segment="all"), "bucket"), _errors(pooled.filter(bucket="all"), "segment")
        champion_of = dict(own.filter(model_type=model_type).select("pattern", "len").iter_rows())
        rows.append(
            {
                "run_id": subject.run["run_id"],
                "model_type": model_type,
                "markdown": _markdown(subject, by_bucket, by_pattern, champion_of, champion.height),
                "plot": _plot(model_type, by_bucket),
            }
        )
    return pl.DataFrame(rows, schema=schema(ModelCard))


def _errors(pooled: pl.DataFrame, by: str) -> dict[str, dict[str, Row]]:
    """model type -> bucket or pattern -> its errors."""
    found: dict[str, dict[str, Row]] = {}
    for row in pooled.iter_rows(named=True):
        found.setdefault(row["model_type"], {})[row[by]] = row
    return found


def _markdown(
    subject: Subject,
    by_bucket: dict[str, dict[str, Row]],
    by_pattern: dict[str, dict[str, Row]],
    champion_of: Mapping[str, int],
    series: int,
) -> str:
    run, model_type = subject.run, subject.run["model_type"]
    facts = {
        "run": f"`{run['run_id']}`",
        "fitted": f"{run['created_at']:%Y-%m-%d %H:%M} UTC, in {run['fit_seconds']:.2f} s",
        "data": f"{run['data_window_start']} to {run['data_window_end']}, {run['series']} series, dataset `{run['dataset_id']}`",
        "parameters": f"`{run['config']}`",
        "feature set": f"`{run['feature_set']}`" if run["feature_set"] else "none of its own",
        "champion of": f"{sum(champion_of.values())} of {series} series",
    }
    pieces = [f"# Model card: {model_type}", subject.about, _table(("", ""), [[name, said] for name, said in facts.items()])]
    errors = [
        [BUCKETS[bucket], *_said(by_bucket, model_type, bucket)] for bucket in BUCKETS if bucket in by_bucket.get(model_type, {})
    ]
    pieces += ["## Errors by days ahead", "Of all backtest folds, beside the baselines. WAPE, bias and coverage are ratios."]
    pieces.append(_table(("days ahead", *HEAD), errors) if errors else "There is no backtest: the data have too few days for one.")
    kinds = [each for each in by_pattern.get(model_type, {}) if each != "all"]
    if kinds:
        lines = [[kind, *_said(by_pattern, model_type, kind), str(champion_of.get(kind, 0))] for kind in kinds]
        pieces += ["## Errors by demand pattern", _table(("pattern", *HEAD, "champion of"), lines)]
    if subject.gains:
        pieces += ["## What it looks at", "Shares of what splits took off the loss.", _gains(subject)]
    pieces += ["## Limits", "\n".join(f"- {each}" for each in _limits(subject)), "## Verify", _verify(run)]
    return "\n\n".join(pieces) + "\n"


def _said(errors: dict[str, dict[str, Row]], model_type: str, key: str) -> list[str]:
    row = errors[model_type][key]
    baselines = [errors.get(name, {}).get(key, {}).get("wape") for name in NAMES]
    return [
        f"{row['n']:,}",
        *(_number(each) for each in (row["wape"], *baselines, row["mase"], row["bias_ratio"], row["coverage_90"])),
    ]


def _gains(subject: Subject) -> str:
    groups: dict[str, float] = {}
    for feature, share in subject.gains.items():
        group = subject.groups[feature]
        groups[group] = groups.get(group, 0.0) + share
    ordered = sorted(groups.items(), key=lambda each: (-each[1], each[0]))
    features = [[feature, subject.groups[feature], _number(share)] for feature, share in subject.gains.items()][:MOST_FEATURES]
    of_groups = _table(("group of features", "share"), [[group, _number(share)] for group, share in ordered])
    return f"{of_groups}\n\n{_table(('feature', 'group', 'share'), features)}"


def _limits(subject: Subject) -> list[str]:
    run = subject.run
    found = [f"It forecasts {subject.horizon} days ahead, for series that sold by {run['data_window_end']}."]
    if run["feature_set"]:
        found.append("It knows prices, promotions and events as they are planned; what was never tried, it cannot foretell.")
    elif run["model_type"] in OF_SUMS:
        found.append("It forecasts a store's department; a series gets its share of the last 28 days, its weekdays too.")
    elif run["model_type"] == ENSEMBLE:
        found.append("It is as good as its members, and knows what they know.")
    else:
        found.append("No price, promotion or event moves its forecast.")
    if run["model_type"] in (*NAMES, *OF_SUMS):
        found.append("What was sold on a day without stock counts as what was wanted.")
    return [*found, "It says what goes with demand, never what causes it."]


def _verify(run: Row) -> str:
    return (
        f"The artifact `{run['artifact_uri']}` has {run['artifact_size_bytes']:,} bytes and the SHA-256 `{run['artifact_hash']}`. "
        f"`GET /api/v1/registry/runs/{run['run_id']}/verify` hashes it again."
    )


def _plot(model_type: str, errors: dict[str, dict[str, Row]]) -> str | None:
    """WAPE by days ahead beside the baselines; None without a backtest."""
    buckets = [bucket for bucket in BUCKETS if bucket in errors.get(model_type, {})]
    if not buckets:
        return None
    shown = dict.fromkeys((model_type, *NAMES))
    bars = {name: [errors.get(name, {}).get(bucket, {}).get("wape") for bucket in buckets] for name in shown}
    return bar_chart("WAPE by days ahead", [BUCKETS[bucket] for bucket in buckets], bars)


def _table(head: tuple[str, ...], lines: list[list[str]]) -> str:
    rows = [list(head), ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def about(doc: str | None) -> str:
    """The first paragraph of a module's docstring, on one line."""
    return " ".join((doc or "").strip().split("\n\n")[0].split())
