"""What is said of Dagster where it is away. What is said where it runs is in end_to_end/up/test_first_look.py."""

import pytest
from litestar.testing import TestClient


def test_dagster_that_is_away_is_told_with_what_would_mend_it(client: TestClient) -> None:
    said = client.get("/api/v1/config/providers/health").json()

    assert (said["status"], said["latency_ms"]) == ("degraded", None)
    assert [(each["name"], each["status"]) for each in said["providers"]] == [("dagster", "unavailable")]
    assert "demandgraph up" in said["providers"][0]["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/assets"),
        ("GET", "/assets/core/sales_daily"),
        ("GET", "/assets/core/sales_daily/checks"),
        ("GET", f"/jobs/{'a' * 32}/events"),
        ("GET", f"/jobs/{'a' * 32}/explanation"),
        ("POST", f"/jobs/{'a' * 32}/retry"),
    ],
)
def test_questions_that_only_dagster_can_answer_are_503_without_it(method: str, path: str, client: TestClient) -> None:
    answer = client.request(method, f"/api/v1{path}")

    assert (answer.status_code, answer.json()["code"]) == (503, "ORCHESTRATOR_UNAVAILABLE")
    assert answer.headers["retry-after"]
