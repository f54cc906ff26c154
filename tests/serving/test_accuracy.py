"""Realised accuracy and value added, from rows that can be checked by eye."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from assets_config.contract.accuracy import ForecastAccuracy, ForecastValueAdded
from assets_config.contract.registry import BacktestMetric
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

ACCURACY, ADDED, BOARD = "/api/v1/forecasts/accuracy", "/api/v1/forecasts/value-added", "/api/v1/registry/leaderboard"
NO_DEMAND = "wape, bias_ratio: no demand to divide by"
ERRORS = (2, 10, 2.0, 0.25, -0.05, 0.9, None)  # from cutoffs to reason
ROWS = {
    "forecast_accuracy": [
        ForecastAccuracy("series", "all", "all", "all", *ERRORS),
        ForecastAccuracy("series", "h_1_7", "ets", "lumpy", 2, 10, 2.0, None, None, 0.9, NO_DEMAND),
        ForecastAccuracy("total", "h_1_7", "all", "all", *ERRORS),
    ],
    "forecast_value_added": [
        ForecastValueAdded("all", 1, "naive", "naive", 10, 0.4, None, None, None),
        ForecastValueAdded("all", 2, "champion", None, 10, 0.3, 0.1, 0.1, None),
        ForecastValueAdded("lumpy", 1, "naive", "naive", 4, 0.9, None, None, None),
    ],
    "backtest_metric": [
        BacktestMetric(f"b-{kind}", kind, -1, "all", 8, 2.0, 3.0, wape, 0.3, 0.4, 8, 0.9, 0.8, 0.5, 0.06, segment=segment)
        for kind, segment, wape in [
            ("naive", "all", 0.4),
            ("ets", "all", 0.3),
            ("naive", "lumpy", 0.7),
            ("ets", "lumpy", 0.8),
        ]
    ],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("accuracy")
    write_snapshot(root, ROWS)
    with client_of(root) as client:
        yield client


def test_accuracy_is_told_by_level_lag_type_and_segment(client: TestClient) -> None:
    everything = client.get(ACCURACY).json()
    lumpy = client.get(f"{ACCURACY}?level=series&bucket=h_1_7&model_type=ets&segment=lumpy").json()

    assert (everything["total"], everything["reason"]) == (3, None)
    assert [each["level"] for each in everything["items"]] == ["series", "series", "total"]
    assert everything["items"][0] == {
        "level": "series",
        "bucket": "all",
        "model_type": "all",
        "segment": "all",
        "cutoffs": 2,
        "n": 10,
        "mae": 2.0,
        "wape": 0.25,
        "bias_ratio": -0.05,
        "coverage_90": 0.9,
        "reason": None,
    }
    [only] = lumpy["items"]
    assert (only["wape"], only["reason"]) == (None, NO_DEMAND)
    assert everything["metadata"]["snapshot_id"]


def test_accuracy_is_read_in_pages(client: TestClient) -> None:
    second = client.get(f"{ACCURACY}?page=2&page_size=2").json()

    assert (second["page"], second["page_size"], second["total"]) == (2, 2, 3)
    assert [each["level"] for each in second["items"]] == ["total"]


def test_value_added_climbs_from_naive_to_champion(client: TestClient) -> None:
    found = client.get(f"{ADDED}?segment=all").json()

    assert [(each["stage"], each["fva"]) for each in found["items"]] == [("naive", None), ("champion", 0.1)]
    assert [each["segment"] for each in client.get(f"{ADDED}?stage=naive").json()["items"]] == ["all", "lumpy"]


@pytest.mark.parametrize(
    "query", [f"{ACCURACY}?bucket=h_2", f"{ACCURACY}?level=shop", f"{ADDED}?stage=best", f"{BOARD}?segment=odd"]
)
def test_an_unknown_word_is_refused(query: str, client: TestClient) -> None:
    assert client.get(query).status_code == 422


def test_a_filter_that_matches_nothing_is_an_empty_list(client: TestClient) -> None:
    found = client.get(f"{ACCURACY}?model_type=none").json()

    assert (found["items"], found["total"], found["reason"]) == ([], 0, None)


def test_before_anything_was_realised_the_answer_says_so(tmp_path: Path) -> None:
    write_snapshot(tmp_path, {})
    with client_of(tmp_path) as client:
        accuracy, added = client.get(ACCURACY).json(), client.get(ADDED).json()

    assert (accuracy["items"], added["items"]) == ([], [])
    assert "sales are loaded up to 2024-06-30" in accuracy["reason"]
    assert "no backtest" in added["reason"]


def test_a_snapshot_without_the_part_says_what_to_make(tmp_path: Path) -> None:
    write_snapshot(tmp_path, {}, leave_out=["accuracy"])
    with client_of(tmp_path) as client:
        found = client.get(ACCURACY).json()

    assert (found["items"], found["total"]) == ([], 0)
    assert "materialise forecasts" in found["reason"]


def test_the_leaderboard_ranks_the_types_of_a_segment(client: TestClient) -> None:
    lumpy = client.get(f"{BOARD}?segment=lumpy").json()["items"]

    assert [each["model_type"] for each in client.get(BOARD).json()["items"]] == ["ets", "naive"]
    assert [(each["rank"], each["model_type"], each["wape"]) for each in lumpy] == [(1, "naive", 0.7), (2, "ets", 0.8)]
    assert [each["added_to_naive"] for each in lumpy] == [0.0, -0.1]
