"""Data that are posted, dropped into the inbox or generated are served, bad rows are told, and what was generated goes again."""

from typing import Any

import pytest

from tests.end_to_end.running import Running, until

ROWS = "date,store_code,sku,quantity,unit_price\n2025-01-01,S001,SKU-0001,5,2.00\n2025-01-01,S999,SKU-0001,7,2.00\n"


@pytest.fixture(scope="module")
def batch(up: Running) -> dict[str, Any]:
    """A batch with a line of a store that is not known, once it was read."""
    posted = up.client.post("/ingest/sales-daily", content=ROWS, headers={"Content-Type": "text/csv"})
    assert posted.status_code == 202, posted.text
    up.result(f"/jobs/{posted.json()['job']['job_id']}")
    found: dict[str, Any] = up.read(f"/ingest/batches/{posted.json()['batch_id']}")
    return found


def test_posted_rows_are_served_and_bad_ones_told(up: Running, batch: dict[str, Any]) -> None:
    rejects = up.read(f"/ingest/batches/{batch['batch_id']}/rejects")["items"]

    assert (batch["state"], batch["lines"], batch["loaded"], batch["rejected"]) == ("partially_loaded", 2, 1, 1)
    assert [(reject["row_index"], reject["code"], reject["value"]) for reject in rejects] == [(1, "UNKNOWN_STORE", "S999")]
    assert new_year(up) == 5


def test_bad_rows_come_good_with_their_store_and_a_batch_is_read_again(up: Running, batch: dict[str, Any]) -> None:
    path, shop = f"/ingest/batches/{batch['batch_id']}", {"code": "S999", "external_id": "77", "name": "New shop"}

    jobs = [up.post("/ingest/stores", {"records": [shop]}), up.post(f"{path}/replay")]  # one waits for the other

    mended, replayed = (up.result(job)["snapshot_id"] for job in jobs)
    assert (up.read(path, snapshot=mended)["state"], new_year(up, mended)) == ("loaded", 12)
    [known] = up.read("/ingest/external-ids", snapshot=mended)["items"]
    assert (known["external_id"], known["code"]) == ("77", "S999")
    assert (up.read(path, snapshot=replayed)["state"], new_year(up, replayed)) == ("replayed", 12)
    states = [event["state"] for event in up.read("/ingest/audit", batch_id=batch["batch_id"])["items"]]
    assert states == ["received", "validating", "partially_loaded", "loaded", "validating", "replayed"]


def test_a_file_in_the_inbox_is_served(up: Running, batch: dict[str, Any]) -> None:
    folder = up.data / "landing/inbox/promotions"
    folder.mkdir(parents=True)
    header = "sku,name,start_date,end_date,discount_pct"
    deals = ["SKU-0001,Deal,2025-01-02,2025-01-03,0.1", "SKU-0001,Deal,2025-01-09,2025-01-03,0.1"]
    (folder / "deals.csv").write_text("\n".join([header, *deals]))

    [found] = until(lambda: up.read("/ingest/batches?kind=promotions")["items"])

    assert (found["state"], found["loaded"], found["reasons"]) == ("partially_loaded", 1, {"INVALID_RANGE": 1})
    assert list(folder.iterdir()) == []
    assert "sensor" in [job["origin"] for job in up.read("/jobs?job_type=ingest")["items"]]


def test_generated_days_are_appended_enriched_and_taken_out_again(up: Running, batch: dict[str, Any]) -> None:
    jobs = [
        up.post("/seeder/append", {"start_date": "2025-01-01", "end_date": "2025-01-07"}),
        up.post("/seeder/phase2-enrichment"),
        up.start("seed_delete", {"scope": "facts", "confirm": True}),
    ]  # each waits for the one before

    appended, enriched, deleted = (up.result(job)["snapshot_id"] for job in jobs)

    assert new_year(up, appended) > 12
    assert new_year(up, enriched) == new_year(up, appended)
    generated = [
        {each["file_name"]: each["loaded"] for each in up.read("/ingest/batches?kind=seed", snapshot=snapshot)["items"]}
        for snapshot in (appended, enriched)
    ]
    new = generated[1].keys() - generated[0].keys()
    assert new == {"demo_minimal_enrich.json"}
    assert all(generated[1][name] > 0 for name in new)
    assert new_year(up, deleted) == 12


def test_checks_are_told_newest_first(up: Running, batch: dict[str, Any]) -> None:
    found = up.read("/assets/core/sales_daily/checks?check=grain_unique")["items"]

    assert len(found) > 1
    assert [each["at"] for each in found] == sorted((each["at"] for each in found), reverse=True)
    assert {"passed"} <= {each["status"] for each in found} <= {"passed", "unknown"}  # of a job that was cancelled


def new_year(up: Running, snapshot: str | None = None) -> int:
    """Units sold on 1 January 2025, the day after the demo's last."""
    asked = "/analytics/kpis?start_date=2025-01-01&end_date=2025-01-01"
    units: int = up.read(asked, snapshot=snapshot)["metrics"]["total_units"]
    return units
