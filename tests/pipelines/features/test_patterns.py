"""How a series sells is told from its open days alone."""

from pathlib import Path
from statistics import fmean, pvariance

import numpy as np
import pytest

from pipelines.features.panel import NOT_LAUNCHED, OPEN, STOCKED_OUT, read_panel
from pipelines.features.patterns import PATTERNS, patterns
from pipelines.warehouse import Warehouse
from tests.pipelines.panels import panel_of


def test_each_quadrant_has_its_pattern() -> None:
    y = np.array([[4, 5, 6, 5] * 3, [5, 0, 5, 0] * 3, [1, 9, 1, 1] * 3, [1, 0, 9, 0] * 3, [0] * 12])

    found = patterns(panel_of(y))

    assert [PATTERNS[code] for code in found.code] == ["smooth", "intermittent", "erratic", "lumpy", "no_demand"]
    assert found.adi[:4].tolist() == [1, 2, 1, 2]
    assert found.cv2[3] == pytest.approx(16 / 25)  # sizes 1 and 9: mean 5, variance 16
    assert found.mean[1] == 2.5
    assert np.isnan(found.adi[4])


def test_days_that_say_nothing_of_demand_are_left_out() -> None:
    y = np.array([[np.nan, np.nan, 3, 0, 0, 3]])
    state = np.array([[NOT_LAUNCHED, NOT_LAUNCHED, OPEN, STOCKED_OUT, STOCKED_OUT, OPEN]], dtype=np.int8)

    found = patterns(panel_of(y, state=state))

    assert (found.days[0], found.adi[0], found.mean[0]) == (2, 1, 3)


def test_nothing_after_the_cutoff_moves_a_pattern() -> None:
    y = np.random.default_rng(3).poisson(0.6, (40, 90)).astype(float)
    other = y.copy()
    other[:, 60:] = 1e6

    before, after = (patterns(panel_of(each).until(60)) for each in (y, other))

    assert before.code.tolist() == after.code.tolist()
    np.testing.assert_array_equal(before.cv2, after.cv2)


def test_published_segments_equal_a_loop_over_the_days(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    panel = read_panel(warehouse)

    for s, row in enumerate(warehouse.read("features/series_segment").iter_rows(named=True)):
        seen = [float(panel.y[s, d]) for d in range(panel.days) if panel.state[s, d] == OPEN]
        sizes = [value for value in seen if value]
        assert (row["store_id"], row["product_id"]) == (panel.store_id[s], panel.product_id[s])
        assert row["adi"] == pytest.approx(len(seen) / len(sizes))
        assert row["cv2"] == pytest.approx(pvariance(sizes) / fmean(sizes) ** 2)
        assert row["mean_demand"] == pytest.approx(fmean(seen))
        assert row["as_of"] == panel.day(panel.days - 1)
