"""Which fitted types tell the contributions of their features, and their share of each series' forecast."""

import json
from functools import partial

import numpy as np
import polars as pl

from assets_config.contract.names import ENSEMBLE
from assets_config.declared import Declarations
from pipelines.features.panel import Panel
from pipelines.features.patterns import PATTERNS, patterns
from pipelines.forecasts.explanations.parts import Contributor
from pipelines.models.fits import read_artifact
from pipelines.models.types import module_of
from pipelines.warehouse import Warehouse


def contributors(
    warehouse: Warehouse, declared: Declarations, panel: Panel, champion: pl.DataFrame, fits: pl.DataFrame, *, horizon: int
) -> list[Contributor]:
    """The types whose module has `contributions`: all of a forecast where they are champion, their weight where the ensemble is.

    Raises PipelineError, naming the run, when an artifact is gone or altered.
    """
    chosen = champion["model_type"].to_numpy()
    mixed: dict[str, dict[str, float]] = {}
    code = np.zeros(panel.series, dtype=np.int8)
    for row in warehouse.read("forecasts/ensemble").iter_rows(named=True):
        mixed = json.loads(read_artifact(warehouse, row["run_id"], row["artifact_uri"], row["artifact_hash"]))
        code = patterns(panel).code
    found = []
    for row in fits.iter_rows(named=True):
        tell = getattr(module_of(declared.models[row["model_type"]]), "contributions", None)
        if tell is None:
            continue
        in_mix = np.array([mixed.get(pattern, {}).get(row["model_type"], 0.0) for pattern in PATTERNS])[code]
        weight = np.where(chosen == row["model_type"], 1.0, np.where(chosen == ENSEMBLE, in_mix, 0.0))
        artifact = read_artifact(warehouse, row["run_id"], row["artifact_uri"], row["artifact_hash"])
        found.append(Contributor(row["model_type"], partial(tell, artifact, panel, horizon=horizon), weight))
    return found
