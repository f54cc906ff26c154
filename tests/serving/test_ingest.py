"""Bringing data in: what is refused before anything is kept, what is kept, and what is told of it."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from assets_config.contract.catalogue import IdMap
from assets_config.contract.cells import columns
from assets_config.contract.ingest import IngestAudit, IngestBatch, IngestReject
from assets_config.contract.kinds import KINDS
from assets_config.contract.landing import Landing
from serving.bounds import check_csv, check_json, check_parquet
from serving.problems import Problem, Validation
from serving.uploads import label
from tests.serving.conftest import client_of
from tests.serving.parts import AT, write_snapshot

URL = "/api/v1/ingest/sales-daily"
CSV = b"date,store_code,sku,quantity,unit_price\n2024-06-01,S001,SKU-0001,3,2.49\n"
ROW = {"date": "2024-06-01", "store_code": "S001", "sku": "SKU-0001", "quantity": 3, "unit_price": 2.49}
PARQUET = b"PAR1" + b"x" * 40 + (20).to_bytes(4, "little") + b"PAR1"
BATCH = IngestBatch(
    *("a" * 32, "sales-daily", "api", "partially_loaded", "june.csv", "text/csv", 70, "0" * 64, "{}", AT),
    *(3, 1, 2, 0, 0, date(2024, 6, 1), date(2024, 6, 2), '{"UNKNOWN_STORE": 2}', 12, "12345678-1234-1234-1234-123456789abc"),
)
LATER = msgspec.structs.replace(
    BATCH, batch_id="b" * 32, kind="stores", state="rejected", received_at=AT + timedelta(hours=1), reasons="no usable row"
)
REJECTS = [IngestReject("a" * 32, n, "june.csv", "UNKNOWN_STORE", "store_code", "S999", json.dumps({"n": n})) for n in (1, 2)]
AUDIT = [
    IngestAudit(n, AT, "ab"[n % 2] * 32, "sales-daily", "loaded", 1, 1, 0, 0, 0, "", None, "0" * 64, "1" * 64) for n in range(1, 8)
]
IDS = [IdMap("erp", "product", "500", "SKU-0001", 1), IdMap("api", "store", "1042", "S001", 1)]


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published root that tests only read, or fail to write to."""
    root = tmp_path_factory.mktemp("ingest")
    write_snapshot(root, {"ingest_batch": [BATCH, LATER], "ingest_reject": REJECTS, "ingest_audit": AUDIT, "id_map": IDS})
    return root


@pytest.fixture(scope="module")
def client(shared_root: Path) -> Iterator[TestClient]:
    with client_of(shared_root) as client:
        yield client


def post(
    client: TestClient, body: bytes, media_type: str = "text/csv", url: str = URL, **headers: str
) -> tuple[int, dict[str, Any]]:
    answer = client.post(url, content=body, headers={"Content-Type": media_type, **headers})
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()


def form(*files: tuple[str, str, bytes], media_type: bool = True) -> bytes:
    parts = [
        b'--XX\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n' % name.encode()
        + (b"Content-Type: %s\r\n" % said.encode() if media_type else b"")
        + b"\r\n%s\r\n" % content
        for name, said, content in files
    ]
    return b"".join(parts) + b"--XX--\r\n"


FORM = "multipart/form-data; boundary=XX"
GOOD = {
    "csv": (CSV, "text/csv"),
    "csv with a byte order mark": (b"\xef\xbb\xbf" + CSV, "text/csv; charset=utf-8"),
    "csv with semicolons": (CSV.replace(b",", b";"), "text/csv"),
    "json list": (json.dumps([ROW]).encode(), "application/json"),
    "json records": (json.dumps({"records": [ROW]}).encode(), "application/json"),
    "brackets in texts": (json.dumps([{"a": '[[[[[[[[[[[[\\"{{{'}]).encode(), "application/json"),
    "most rows": (json.dumps([ROW] * 10_000).encode(), "application/json"),
    "parquet": (PARQUET, "application/vnd.apache.parquet"),
    "parquet as octets": (PARQUET, "application/octet-stream"),
    "form by type": (form(("x", "text/csv", CSV)), FORM),
    "form by ending": (form(("x.csv", "application/vnd.ms-excel", CSV)), FORM),
    "form by magic": (form(("x", "application/octet-stream", PARQUET)), FORM),
    "form of json": (form(("x", "", json.dumps([ROW]).encode()), media_type=False), FORM),
    "form with traversal": (form(("../../x.parquet", "text/csv", CSV)), FORM),
}
BAD = {
    "empty": (b"", "text/csv", 422, "empty"),
    "no media type": (CSV, "", 415, "text/csv"),
    "another media type": (CSV, "text/plain", 415, "text/csv"),
    "octets": (CSV, "application/octet-stream", 415, "Parquet"),
    "zip": (b"PK\x03\x04" + CSV, "text/csv", 415, "zip"),
    "gzip": (b"\x1f\x8b" + CSV, "application/json", 415, "gzip"),
    "utf-16": (CSV.decode().encode("utf-16"), "text/csv", 422, "NUL"),
    "latin-1": (CSV.replace(b"SKU", b"\xc4"), "text/csv", 422, "UTF-8"),
    "header only": (CSV.split(b"\n")[0] + b"\n", "text/csv", 422, "below the header"),
    "column twice": (CSV.replace(b"sku", b"date", 1), "text/csv", 422, "'date'"),
    "column without a name": (CSV.replace(b"sku", b"", 1), "text/csv", 422, "column 3"),
    "many columns": (b",".join(b"c%d" % n for n in range(501)) + b"\n1\n", "text/csv", 422, "501 columns"),
    "long header": (b"c" * 70_000 + b"\n1\n", "text/csv", 422, "70,000 bytes"),
    "many lines": (b"a\n" + b"1\n" * 1_000_001, "text/csv", 422, "1,000,001 lines"),
    "no rows": (b"[]", "application/json", 422, "no rows"),
    "too many rows": (json.dumps([ROW] * 10_001).encode(), "application/json", 422, "10,001 rows"),
    "not a list": (b'{"rows": []}', "application/json", 422, "rows"),
    "a number": (b"3", "application/json", 422, "array"),
    "rows that are numbers": (b"[1, 2]", "application/json", 422, "row 0"),
    "nested row": (b'[{"a": {"b": 1}}]', "application/json", 422, "row 0"),
    "deep": (b"[" * 200_000, "application/json", 422, "flat"),
    "deep and whole": (b"[" * 9 + b"]" * 9, "application/json", 422, "8 deep"),
    "not a number": (b'[{"a": NaN}]', "application/json", 422, "NaN"),
    "infinite": (b'[{"a": 1e999}]', "application/json", 422, "out of range"),
    "many members": (json.dumps([{f"m{n}": 1 for n in range(201)}]).encode(), "application/json", 422, "200 members"),
    "long text": (json.dumps([{"a": "x" * 10_001}]).encode(), "application/json", 422, "10,001"),
    "broken utf-8": (b'[{"a": "\xff"}]', "application/json", 422, "UTF-8"),
    "cut json": (b'[{"a": 1}', "application/json", 422, "pair"),
    "not parquet": (CSV, "application/vnd.apache.parquet", 422, "begin with PAR1"),
    "cut parquet": (PARQUET[:-4], "application/vnd.apache.parquet", 422, "cut off"),
    "wrong footer": (PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1", "application/vnd.apache.parquet", 422, "damaged"),
    "form without boundary": (form(("x", "text/csv", CSV)), "multipart/form-data", 422, "boundary"),
    "another boundary": (form(("x", "text/csv", CSV)), "multipart/form-data; boundary=YY", 422, "boundary"),
    "cut form": (form(("x", "text/csv", CSV))[:-10], FORM, 422, "closing boundary"),
    "two files": (form(("x", "text/csv", CSV), ("y", "text/csv", CSV)), FORM, 422, "2 files"),
    "no file": (b"--XX--\r\n", FORM, 422, "0 files"),
    "a field": (b'--XX\r\nContent-Disposition: form-data; name="source"\r\n\r\nx\r\n--XX--', FORM, 422, "'source'"),
    "empty file": (form(("x.csv", "text/csv", b"")), FORM, 422, "empty"),
    "unknown file": (form(("x", "text/plain", b"\x01\x02")), FORM, 415, "text/plain"),
    "zip in a form": (form(("x.csv", "text/csv", b"PK\x03\x04")), FORM, 415, "zip"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_passes_meets_the_absent_orchestrator_and_is_not_kept(name: str, client: TestClient, shared_root: Path) -> None:
    status, body = post(client, *GOOD[name])

    assert (status, body["code"]) == (503, "ORCHESTRATOR_UNAVAILABLE"), body
    assert not (shared_root / "landing").exists()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body_is_refused_and_the_cause_named(name: str, client: TestClient, shared_root: Path) -> None:
    body, media_type, expected, cause = BAD[name]

    status, said = post(client, body, media_type)

    assert status == expected, said
    assert cause in said["detail"]
    assert not (shared_root / "landing").exists()


@pytest.mark.parametrize(
    ("url", "status", "cause"),
    [
        ("/api/v1/ingest/sales", 404, "sales-daily"),
        (f"{URL}?source=Bad-Name", 422, "source"),
        (f"{URL}?mapping=x", 422, "mapping"),
        (f"{URL}?forecast_id=p1", 422, "weekly-sales"),
        ("/api/v1/ingest/weekly-sales", 422, "forecast_id"),
        ("/api/v1/ingest/weekly-sales?plan=a&forecast_id=b", 422, "plan"),
        ("/api/v1/ingest/weekly-sales?plan=a%20b", 422, "plan"),
        ("/api/v1/ingest/weekly-sales?plan=p1", 503, "Dagster"),
        ("/api/v1/ingest/weekly-sales?forecast_id=p1", 503, "Dagster"),
        ("/api/v1/ingest/kinds", 405, "POST"),
    ],
)
def test_path_and_query_are_checked(url: str, status: int, cause: str, client: TestClient) -> None:
    found, said = post(client, CSV, url=url)

    assert found == status, said
    assert cause in said["detail"]


def test_a_body_past_the_limit_is_refused_by_its_announced_length(client: TestClient) -> None:
    status, said = post(client, b"x", **{"Content-Length": str(21 << 20)})

    assert (status, said["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "20,971,520" in said["detail"]


def test_a_chunked_body_is_read_no_further_than_the_limit(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(21):
            yield b"x" * (1 << 20)

    answer = client.post(URL, content=chunks(), headers={"Content-Type": "text/csv"})

    assert answer.status_code == 413


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    status, said = post(client, CSV, **{"Content-Encoding": "gzip"})

    assert (status, said["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_mapping_may_have_its_own_encoding_and_header() -> None:
    latin = "Datum;Menge;Menge\n1.6.2024;3;Käse\n".encode("latin-1")

    check_csv(latin, is_ours=False)
    with pytest.raises(Validation, match="UTF-8"):
        check_csv(latin, is_ours=True)
    with pytest.raises(Validation, match="NUL"):
        check_csv("a\n1\n".encode("utf-16"), is_ours=False)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_each_kind_passes_in_both_forms(kind: str) -> None:
    row = {each.name: each.example for each in columns(KINDS[kind].rows)}
    text = ",".join(row) + "\n" + ",".join(str(value) for value in row.values())

    check_json(msgspec.json.encode({"records": [row]}))
    check_csv(text.encode(), is_ours=True)


def test_the_deepest_json_that_is_no_row_never_recurses() -> None:
    for body in (b"[" * 8 + b"]" * 8, b'{"records":' * 5_000, b'[{"a":' * 3_000 + b"1" + b"}]" * 3_000):
        with pytest.raises(Validation):
            check_json(body)


def test_a_parquet_of_one_byte_is_refused() -> None:
    for size in range(12):
        with pytest.raises(Problem):
            check_parquet(PARQUET[:size])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("june.csv", "june.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\june.csv", "june.csv"),
        ("a\x00b\n\u202ec.csv", "abc.csv"),
        ("..", "stores.csv"),
        ("/", "stores.csv"),
        ("x.parquet", "x.parquet.csv"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_file_name_is_a_label_only(name: str, said: str) -> None:
    assert label(name, "stores.csv", "text/csv") == said


def test_kinds_tell_columns_bounds_and_an_example(client: TestClient) -> None:
    body = client.get("/api/v1/ingest/kinds").json()

    found = {each["kind"]: each for each in body["items"]}
    quantity = next(each for each in found["sales-daily"]["columns"] if each["name"] == "quantity")
    assert list(found) == list(KINDS)
    assert (quantity["type"], quantity["required"], quantity["least"]) == ("integer", True, 0)
    assert found["weekly-sales"]["parameters"] == ["forecast_id"]
    assert set(found["stores"]["example"]) == {each["name"] for each in found["stores"]["columns"]}


def test_batches_are_listed_newest_first_and_filtered(client: TestClient) -> None:
    url = "/api/v1/ingest/batches"

    whole = client.get(url).json()
    found = [client.get(f"{url}?{query}").json()["items"] for query in ("state=rejected", "kind=sales-daily", "source=erp")]

    assert [each["batch_id"][0] for each in whole["items"]] == ["b", "a"]
    assert [[each["batch_id"][0] for each in items] for items in found] == [["b"], ["a"], []]
    assert client.get(f"{url}?state=lost").status_code == 422
    assert client.get(f"{url}?batch_state=rejected").status_code == 422


def test_a_batch_tells_counts_reasons_and_job(client: TestClient) -> None:
    body = client.get(f"/api/v1/ingest/batches/{'a' * 32}").json()
    other = client.get(f"/api/v1/ingest/batches/{'b' * 32}").json()

    assert body["lines"] == body["loaded"] + body["rejected"] + body["merged"] + body["skipped"]
    assert (body["reasons"], body["error"]) == ({"UNKNOWN_STORE": 2}, None)
    assert body["job_id"] == "12345678123412341234123456789abc"
    assert body["received_at"] == "2024-07-01T12:00:00Z"
    assert (other["reasons"], other["error"]) == ({}, "no usable row")


def test_a_landed_batch_is_received_until_it_is_published(shared_root: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(shared_root, tmp_path / "data"))
    batch, _ = Landing(root).receive(
        "stores", "api", [("s.csv", b"code\nS1\n")], media_type="text/csv", received_at=datetime(2024, 7, 2, tzinfo=UTC)
    )

    with client_of(root) as client:
        body = client.get(f"/api/v1/ingest/batches/{batch.batch_id}").json()
        rejects = client.get(f"/api/v1/ingest/batches/{batch.batch_id}/rejects").json()
        replay = client.post(f"/api/v1/ingest/batches/{batch.batch_id}/replay")

    assert (body["state"], body["lines"], body["file_name"], body["job_id"]) == ("received", 0, "s.csv", None)
    assert rejects["items"] == []
    assert replay.status_code == 503


def test_a_landed_batch_is_told_before_anything_is_published(tmp_path: Path) -> None:
    batch, _ = Landing(tmp_path).receive("stores", "api", [("s.csv", b"x")], media_type="text/csv", received_at=AT)

    with client_of(tmp_path) as client:
        answer = client.get(f"/api/v1/ingest/batches/{batch.batch_id}")
        unknown = client.get(f"/api/v1/ingest/batches/{'c' * 32}")

    assert (answer.status_code, answer.json()["metadata"]) == (200, None)
    assert unknown.status_code == 404


@pytest.mark.parametrize("batch_id", ["c" * 32, "..", "%2e%2e%2f%2e%2e", "idempotency", "*"])
def test_an_unknown_batch_is_not_found(batch_id: str, client: TestClient) -> None:
    answers = [
        client.get(f"/api/v1/ingest/batches/{batch_id}"),
        client.get(f"/api/v1/ingest/batches/{batch_id}/rejects"),
        client.post(f"/api/v1/ingest/batches/{batch_id}/replay"),
    ]

    assert {answer.status_code for answer in answers} <= {404, 405}


def test_a_batch_whose_bytes_are_gone_cannot_be_replayed(client: TestClient) -> None:
    answer = client.post(f"/api/v1/ingest/batches/{'a' * 32}/replay")

    assert (answer.status_code, answer.json()["code"]) == (410, "GONE")


def test_rejects_are_told_as_they_came(client: TestClient) -> None:
    url = f"/api/v1/ingest/batches/{'a' * 32}/rejects"

    body = client.get(f"{url}?page_size=1&page=2").json()
    other = client.get(f"{url}?code=INVALID_TYPE").json()

    assert body["total"] == 2
    assert body["items"][0]["record"] == {"n": 2}
    assert other["items"] == []


def test_the_audit_is_followed_by_after(client: TestClient) -> None:
    found: list[int] = []
    after: int | None = 0
    while after is not None:
        body = client.get(f"/api/v1/ingest/audit?after={after}&limit=3").json()
        found += [each["seq"] for each in body["items"]]
        after = body["next_after"]

    of_one = client.get(f"/api/v1/ingest/audit?batch_id={'a' * 32}").json()["items"]
    assert found == [1, 2, 3, 4, 5, 6, 7]
    assert [each["seq"] for each in of_one] == [2, 4, 6]
    assert client.get("/api/v1/ingest/audit?limit=501").status_code == 422


def test_external_ids_are_filtered(client: TestClient) -> None:
    url = "/api/v1/ingest/external-ids"

    found = [client.get(f"{url}?{query}").json()["total"] for query in ("", "entity=store", "source=erp", "external_id=500")]

    assert found == [2, 1, 1, 1]


def test_an_older_snapshot_without_the_part_has_no_batches(tmp_path: Path) -> None:
    write_snapshot(tmp_path, {}, leave_out=["ingest", "stock", "planning"])

    with client_of(tmp_path) as client:
        answers = [client.get(f"/api/v1/ingest/{path}") for path in ("batches", "audit", "external-ids")]

    assert [(answer.status_code, answer.json()["items"]) for answer in answers] == [(200, [])] * 3


def test_the_post_documents_its_bodies_and_answers(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/api/v1/ingest/{kind}"]["post"]

    assert {*operation["requestBody"]["content"]} == {
        *("application/json", "text/csv", "application/vnd.apache.parquet", "multipart/form-data"),
    }
    assert sorted(operation["responses"]) == [
        "202",
        "400",
        "401",
        "403",
        "404",
        "408",
        "409",
        "410",
        "413",
        "415",
        "422",
        "429",
        "500",
        "503",
    ]
