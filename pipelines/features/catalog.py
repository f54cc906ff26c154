"""What the feature sets are, and what a model would see of the largest series: published for people and programs to look at."""

from collections.abc import Mapping

import msgspec
import numpy as np
import polars as pl

from assets_config.contract.sales import FeatureCatalog, FeaturePreview
from assets_config.features import FeatureSet
from pipelines.features.blocks import Blocks
from pipelines.features.panel import Panel
from pipelines.shapes import schema

SERIES = 50
"""Series whose rows are published: those that sold most."""
ROWS = 100
"""Target days of each, the newest."""


def catalog(feature_sets: Mapping[str, FeatureSet], panel: Panel) -> pl.DataFrame:
    """The columns of contract.sales.FeatureCatalog; what the panel has from outside makes features too."""
    rows = [
        (each.name, each.hash, each.about, position, feature.name, feature.group, feature.leak, feature.meaning)
        for each in feature_sets.values()
        for position, feature in enumerate(each.features(panel.outside_names.tolist()))
    ]
    return pl.DataFrame(rows, schema=schema(FeatureCatalog), orient="row")


def preview(feature_sets: Mapping[str, FeatureSet], panel: Panel) -> pl.DataFrame:
    """The columns of contract.sales.FeaturePreview: rows as of the day before, of the series that sold most.

    Gives    no rows where the panel has one day: none has a day before.
    """
    sold = np.nansum(panel.y, axis=1, dtype=np.float64)
    series = np.sort(np.argsort(-sold, kind="stable")[:SERIES])
    days = np.arange(max(1, panel.days - ROWS), panel.days)
    rows = []
    for each in feature_sets.values() if len(days) else ():
        blocks = Blocks(panel, each)
        values = blocks.features(series, days, np.ones(len(days), dtype=np.int64)).reshape(len(series), len(days), -1)
        for n, s in enumerate(series):
            for m, day in enumerate(days.tolist()):
                cells = [None if np.isnan(cell) else round(float(cell), 6) for cell in values[n, m]]
                said = msgspec.json.encode(dict(zip(blocks.names, cells, strict=True))).decode()
                rows.append((each.name, panel.store_id[s], panel.product_id[s], panel.day(day), panel.day(day - 1), said))
    return pl.DataFrame(rows, schema=schema(FeaturePreview), orient="row")
