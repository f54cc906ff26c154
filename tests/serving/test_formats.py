"""The same rows as JSON, CSV, Arrow and Parquet."""

import csv
import io
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import DimProduct, DimStore
from serving.app import create_asgi
from serving.formats import ARROW, CHUNK, CSV, JSON, OFFERED, PARQUET
from serving.settings import Settings
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot
from tests.serving.reviewed import application

ROOT = Path(__file__).parents[2]
RANGE = "start_date=2024-10-01&end_date=2024-12-15"
DAYS = f"/api/v1/analytics/timeseries?granularity=day&{RANGE}"
STORES = "/api/v1/dimensions/stores"
TABLES = [
    f"/api/v1/analytics/kpis?{RANGE}&compare=previous",
    f"/api/v1/analytics/timeseries?granularity=week&{RANGE}&compare=year",
    f"/api/v1/analytics/drilldowns?dimension=product&{RANGE}&max_items=5",
    "/api/v1/analytics/definitions",
    STORES,
    "/api/v1/dimensions/products?sort_by=base_price",
    "/api/v1/dimensions/categories",
    "/api/v1/dimensions/segments",
    "/api/v1/items?search=sku",
    "/api/v1/items/SKU-0001/timeseries?start=2024-10-01&end=2024-10-31",
    "/api/v1/inventory/SKU-0001/history",
    "/api/v1/registry/runs",
    "/api/v1/registry/leaderboard",
    "/api/v1/forecasts/accuracy",
    "/api/v1/ingest/batches",
    "/api/v1/backtests",
]


FROM_DAGSTER = {"list_jobs", "explain_job", "list_assets", "list_check_results"}
OF_FOLDERS = {"list_exports"}


def read(client: TestClient, url: str, media_type: str) -> list[dict[str, Any]]:
    answer = client.get(url, headers={"Accept": media_type})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(media_type)
    if media_type == CSV:
        return list(csv.DictReader(io.StringIO(answer.text)))
    if media_type == ARROW:
        return list(pyarrow.ipc.open_stream(answer.content).read_all().to_pylist())
    return list(pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist())


@pytest.mark.parametrize("url", TABLES)
def test_every_format_holds_the_same_rows(url: str, client: TestClient) -> None:
    as_csv, as_arrow, as_parquet = (read(client, url, each) for each in (CSV, ARROW, PARQUET))

    assert as_arrow == as_parquet
    assert [list(row) for row in as_csv] == [list(row) for row in as_arrow]
    body = client.get(url).json()
    rows = next((body[name] for name in ("items", "points", "timeseries") if name in body), [body])
    assert len(as_csv) == body.get("total", len(rows))


def test_money_has_two_places_and_null_is_nothing(client: TestClient) -> None:
    url = "/api/v1/analytics/timeseries?granularity=month&start_date=2024-12-01&end_date=2025-01-31"

    december, january = read(client, url, CSV)
    table = pyarrow.ipc.open_stream(client.get(url, headers={"Accept": ARROW}).content).read_all()

    assert len(december["total_revenue"].partition(".")[2]) == 2
    assert (january["period_start"], january["total_revenue"], january["avg_unit_price"]) == ("2025-01-01", "0.00", "")
    assert table.schema.field("total_revenue").type == pa.decimal128(38, 2)
    assert table.schema.field("total_units").type == pa.int64()
    assert table.schema.field("period_start").type == pa.date32()
    assert table["avg_unit_price"].to_pylist()[1] is None
    assert float(table["total_revenue"][0].as_py()) == client.get(url).json()["points"][0]["metrics"]["total_revenue"]


def test_a_list_is_given_whole_and_a_page_where_one_is_asked(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.formats.BLOCK", 5)  # so that the 12 products come in three blocks
    url = "/api/v1/dimensions/products"

    whole = read(client, url, CSV)
    page = read(client, f"{url}?page=2&page_size=5", CSV)

    skus = [each["sku"] for each in client.get(f"{url}?page_size=100").json()["items"]]
    assert [row["sku"] for row in whole] == skus
    assert [row["sku"] for row in page] == skus[5:10]
    assert client.get(url, headers={"Accept": CSV}).headers["x-total-count"] == "12"


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_a_large_answer_says_what_a_small_one_says(media_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = [DimStore(n, f"S{n}", Random(n).randbytes(4000).hex(), *[None] * 8) for n in range(100)]
    write_snapshot(tmp_path, {"dim_store": stores, "dim_product": [DimProduct(1, "A", "A", *[None] * 7)]})
    asked = {"Accept": media_type, "Accept-Encoding": "identity"}

    with client_of(tmp_path) as client:
        large, head = client.get(STORES, headers=asked), client.head(STORES, headers=asked)
        monkeypatch.setattr("serving.formats.CHUNK", 1 << 30)
        small = client.get(STORES, headers=asked)

    assert len(large.content) > CHUNK
    assert large.content == small.content
    assert small.headers["content-type"].startswith(media_type)
    for name in ("content-type", "content-length", "cache-control"):
        assert large.headers[name] == head.headers[name] == small.headers[name], name


def test_an_answer_past_a_chunk_is_streamed(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"Accept": CSV, "Accept-Encoding": "identity"}
    monkeypatch.setattr("serving.formats.CHUNK", 1000)
    streamed = client.get(DAYS, headers=plain)
    monkeypatch.undo()

    at_once = client.get(DAYS, headers=plain)

    assert len(streamed.content) > 1000
    assert streamed.content == at_once.content
    assert streamed.headers["content-length"] == str(len(at_once.content))


def test_what_json_says_beside_the_rows_is_in_headers(client: TestClient) -> None:
    said = client.get(STORES).json()["metadata"]

    headers = client.get(STORES, headers={"Accept": CSV}).headers

    assert headers["x-snapshot-id"] == said["snapshot_id"]
    assert headers["x-as-of"] == said["as_of"]
    assert headers["x-stale"] == "false"
    assert headers["content-disposition"] == 'attachment; filename="list_stores.csv"'


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", JSON),
        ("text/*", CSV),
        ("application/json;q=0.1, text/csv", CSV),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("application/json;q=0, */*;q=0.5", CSV),
        (PARQUET, PARQUET),
        ("text/html", None),
        ("application/json;q=0", None),
        (";;,", None),
    ],
)
def test_the_best_that_is_accepted_is_given(accept: str, given: str | None, client: TestClient) -> None:
    answer = client.get(STORES, headers={"Accept": accept})

    if given is None:
        assert (answer.status_code, answer.json()["code"]) == (406, "NOT_ACCEPTABLE")
        assert all(each in answer.json()["detail"] for each in OFFERED)
    else:
        assert (answer.status_code, answer.headers["vary"].split(", ")[0]) == (200, "Accept")
        assert answer.headers["content-type"].startswith(given)


def test_each_media_type_has_its_own_tag(client: TestClient) -> None:
    tags = {client.get(STORES, headers={"Accept": each}).headers["etag"] for each in OFFERED}
    as_csv = client.get(STORES, headers={"Accept": CSV})

    known = client.get(STORES, headers={"Accept": CSV, "If-None-Match": as_csv.headers["etag"]})
    other = client.get(STORES, headers={"Accept": JSON, "If-None-Match": as_csv.headers["etag"]})

    assert len(tags) == len(OFFERED)
    assert (known.status_code, other.status_code) == (304, 200)


def test_a_formula_in_a_name_is_a_text_in_csv_and_itself_elsewhere(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", 'plain, "quoted"', "5 - 3", ""]
    stores = [DimStore(n, f"S{n}", name, *[None] * 8) for n, name in enumerate(names)]
    write_snapshot(tmp_path, {"dim_store": stores, "dim_product": [DimProduct(1, "A", "A", *[None] * 7)]})

    with client_of(tmp_path) as client:
        as_csv, as_parquet = read(client, STORES, CSV), read(client, STORES, PARQUET)

    assert [row["name"] for row in as_csv] == [f"'{name}" for name in names[:5]] + names[5:]
    assert [row["name"] for row in as_parquet] == names


def test_json_is_bounded_and_says_what_is_not(root: Path) -> None:
    settings = Settings(data=root, max_rows=50)

    with TestClient(create_asgi(settings), base_url="http://127.0.0.1") as client:
        refused = client.get(DAYS)
        given = read(client, DAYS, CSV)

    assert (refused.status_code, refused.json()["code"]) == (400, "BAD_REQUEST")
    assert "76 rows" in refused.json()["detail"]
    assert CSV in refused.json()["detail"]
    assert len(given) == 76


def test_a_list_past_the_bound_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.formats.MOST_ROWS", 11)

    answer = client.get("/api/v1/dimensions/products?sort_order=desc", headers={"Accept": CSV})

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


def test_a_wrong_question_is_a_problem_in_any_format(client: TestClient) -> None:
    answer = client.get(f"/api/v1/analytics/kpis?{RANGE}&store_id=none", headers={"Accept": CSV})

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_every_list_of_the_snapshot_is_described_in_every_format() -> None:
    """A list that fails here says `@get` where `@table` of serving/formats.py would do."""
    paths = application().openapi_schema.to_schema()["paths"]
    reads = {path: methods["get"] for path, methods in paths.items() if "get" in methods}

    lists = {
        path
        for path, read in reads.items()
        if any(each["name"] == "page_size" for each in read.get("parameters", ()))
        and read["operationId"] not in FROM_DAGSTER | OF_FOLDERS
    }

    known = {url.partition("?")[0].replace("SKU-0001/history", "{product}/history").replace("SKU-0001", "{item}") for url in TABLES}
    assert known <= set(reads)
    for path in lists | known:
        assert set(reads[path]["responses"]["200"]["content"]) == set(OFFERED), path


def test_arrow_needs_no_pyarrow(root: Path) -> None:
    script = f"""
import sys
sys.modules["pyarrow"] = None  # an import of it fails
from pathlib import Path
from litestar.testing import TestClient
from serving.app import create_asgi
from serving.settings import Settings
with TestClient(create_asgi(Settings(data=Path({str(root)!r}))), base_url="http://127.0.0.1") as client:
    for media_type in {list(OFFERED)!r}:
        answer = client.get({STORES!r}, headers={{"Accept": media_type}})
        assert answer.status_code == 200, answer.text
print("answered")
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)

    assert found.stdout == "answered\n"
