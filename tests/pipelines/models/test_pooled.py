"""Known answers of the pooled models beside the tweedie one."""

from typing import Any

import numpy as np
import pytest

from assets_config.declared import load_declarations
from pipelines.models import random_forest, regression, xgboost
from tests.pipelines.panels import panel_of

HORIZON = 10
WEEK = np.array([2, 2, 2, 2, 4, 9, 7], dtype=np.float32)
GIVEN: dict[str, Any] = {"features": load_declarations().feature_sets["demand"], "horizon": HORIZON, "nthread": 1}


@pytest.mark.parametrize(
    ("module", "params"), [(regression, {"rounds": 60, "eta": 0.2}), (random_forest, {"trees": 60})], ids=["regression", "forest"]
)
def test_a_perfect_week_is_learned(module: Any, params: dict[str, Any]) -> None:
    panel = panel_of(np.tile(WEEK, (6, 22)))

    yhat = module.predict(module.fit(panel, **GIVEN, **params, min_child_weight=1), panel, horizon=HORIZON)

    np.testing.assert_allclose(yhat, np.tile(WEEK, (6, 2))[:, :HORIZON], atol=1.0)


def test_a_forest_is_the_mean_of_its_trees_and_never_leaves_what_was_seen() -> None:
    y = np.random.default_rng(5).poisson(6, (5, 120)).astype(np.float32)
    panel = panel_of(y)

    yhat = random_forest.predict(random_forest.fit(panel, **GIVEN, trees=10), panel, horizon=HORIZON)

    assert y.min() <= yhat.min()
    assert yhat.max() <= y.max()


@pytest.mark.parametrize("module", [xgboost, regression, random_forest], ids=["xgboost", "regression", "forest"])
def test_a_panel_without_a_day_on_sale_is_told(module: Any) -> None:
    with pytest.raises(ValueError, match="no day to learn from: nothing was on sale on the last 52 days"):
        module.fit(panel_of(np.full((2, 90), np.nan)), **GIVEN)
