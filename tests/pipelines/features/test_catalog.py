"""What is published of the feature sets is what models see."""

import json
from datetime import timedelta

import numpy as np

from assets_config.declared import load_declarations
from pipelines.features.blocks import Blocks
from pipelines.features.catalog import catalog, preview
from tests.pipelines.panels import panel_of, rich_panel

SETS = load_declarations().feature_sets


def test_the_catalog_lists_the_columns_in_their_order() -> None:
    panel = rich_panel()

    found = catalog(SETS, panel)

    for name, each in SETS.items():
        own = found.filter(found["feature_set"] == name)
        assert own["feature"].to_list() == Blocks(panel, each).names
        assert own["position"].to_list() == list(range(len(own)))
        assert set(own["hash"]) == {each.hash}


def test_a_panel_of_one_day_has_no_row_to_preview() -> None:
    found = preview(SETS, panel_of(np.ones((2, 1))))

    assert found.height == 0
    assert found.schema == preview(SETS, rich_panel(days=60)).schema


def test_a_preview_row_is_what_a_model_sees_one_day_ahead() -> None:
    panel = rich_panel(days=150)
    blocks = Blocks(panel, SETS["demand"])

    found = preview(SETS, panel)

    assert found.height == panel.series * 100
    row = found.row(17, named=True)
    s = int(np.flatnonzero((panel.store_id == row["store_id"]) & (panel.product_id == row["product_id"]))[0])
    day = (row["date"] - panel.first_day).days
    [expected] = blocks.features(np.array([s]), np.array([day]), np.array([1]))
    values = json.loads(row["features"])
    assert list(values) == blocks.names
    assert row["origin"] == row["date"] - timedelta(days=1)
    for name, value in zip(blocks.names, expected.tolist(), strict=True):
        assert values[name] is None if np.isnan(value) else abs(values[name] - value) < 1e-5
