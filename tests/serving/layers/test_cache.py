"""Kept answers: the same as computed ones, for exactly the snapshots that they hold for, and no larger than allowed."""

import asyncio
import gzip
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import msgspec
import pytest
from litestar.testing import TestClient

from assets_config.contract.durable import write_bytes
from assets_config.contract.integrity import sha256
from assets_config.contract.layout import Published
from assets_config.contract.manifest import File, Manifest
from assets_config.contract.pointer import point
from assets_config.contract.tables import FACTS_PREFIX
from pipelines.publish.snapshot import manifests, rollback
from serving.app import HANDLERS, create_asgi
from serving.layers.answers import keep
from serving.layers.browsers import Browsers
from serving.layers.cache import Cache
from serving.layers.depends import READS, dependence
from tests.serving.conftest import KEYED, client_of, publish_sold, settings_of, tear
from tests.serving.test_snapshot import DOUBLED, KPIS

STORES = "/api/v1/dimensions/stores"
ROUTED = f"{STORES}/S001"  # a path with a parameter is never answered the short way
PRODUCTS = "/api/v1/dimensions/products?page_size=100"
RANGE = "start=2024-12-01&end=2024-12-31"
PLAIN = {"Accept-Encoding": "identity"}
VOLATILE = re.compile(rb'"(request_id|instance|computed_at)":"[^"]*"')


def app_of(root: Path, *, cache_mb: int = 64) -> Browsers:
    return create_asgi(settings_of(root, cache_mb=cache_mb))


def cache_of(app: Any) -> Cache:
    while not isinstance(app, Cache):
        app = app.app
    return app


@contextmanager
def serving(root: Path, *, cache_mb: int = 64) -> Iterator[tuple[TestClient, Cache]]:
    app = app_of(root, cache_mb=cache_mb)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client, cache_of(app)


def publish_changed(root: Path, *, change: Callable[[Manifest], dict[str, Any]]) -> Manifest:
    """Publish the current snapshot again with other fields of the manifest, as a later run would."""
    published = Published(root)
    newest = manifests(published)[0]
    at = newest.published_at + timedelta(seconds=1)
    said = {"id": f"{at:%Y%m%dT%H%M%SZ}-0000abcd", "published_at": at, "dagster_run_id": f"run-{at:%H%M%S}", **change(newest)}
    manifest = msgspec.structs.replace(newest, **said)
    write_bytes(published.manifest(manifest.id), msgspec.json.encode(manifest))
    point(published, manifest)
    return manifest


def emptied(root: Path, name: str) -> Callable[[Manifest], dict[str, Any]]:
    """The part without its rows, under another key."""

    def change(manifest: Manifest) -> dict[str, Any]:
        published, part = Published(root), manifest.parts[name]
        folder = shutil.copytree(published.part(part.key), published.part(f"{part.key}-emptied"))
        with duckdb.connect(str(folder / "tables.duckdb")) as connection:
            for table in part.tables:
                connection.execute(f"DELETE FROM {table}")
        files = {each: File((folder / each).stat().st_size, sha256(folder / each)) for each in part.files}
        other = msgspec.structs.replace(part, key=folder.name, files=files, made_at=part.made_at + timedelta(seconds=1))
        return {"parts": {**manifest.parts, name: other}}

    return change


def decided(root: Path) -> Manifest:
    """Publish as a moved alias does: the part `state` is another, all others are the same."""
    return publish_changed(root, change=emptied(root, "state"))


def reads_of(client: TestClient) -> list[str]:
    """A question or two to every route that reads the snapshot."""
    run = client.get("/api/v1/registry/runs?status=success").json()["items"][0]["run_id"]
    backtest = client.get("/api/v1/backtests").json()["items"][0]["backtest_id"]
    ranged = "start_date=2024-11-01&end_date=2024-12-31"
    return [
        STORES,
        f"{STORES}/S001",
        f"{STORES}?as_of=2024-12-01",
        PRODUCTS,
        "/api/v1/dimensions/products/SKU-0001",
        "/api/v1/dimensions/products/SKU-0001/supply",
        "/api/v1/dimensions/categories",
        "/api/v1/dimensions/segments",
        f"/api/v1/analytics/kpis?{ranged}",
        f"/api/v1/analytics/kpis?{ranged}&store_id=S001&product_id=SKU-0001",
        f"/api/v1/analytics/drilldowns?{ranged}&dimension=product",
        f"/api/v1/analytics/timeseries?{ranged}&granularity=week",
        "/api/v1/items",
        f"/api/v1/items/SKU-0001/timeseries?{RANGE}&store_id=S001",
        "/api/v1/items/SKU-0001/explanation",
        f"/api/v1/forecasts/summary?{RANGE}",
        "/api/v1/forecasts/accuracy",
        "/api/v1/forecasts/value-added",
        "/api/v1/inventory/SKU-0001/history",
        "/api/v1/featuresets",
        "/api/v1/featuresets/default",
        "/api/v1/featuresets/default/preview",
        "/api/v1/registry/runs",
        f"/api/v1/registry/runs/{run}",
        f"/api/v1/registry/runs/{run}/card",
        "/api/v1/registry/model-types",
        "/api/v1/registry/leaderboard",
        "/api/v1/registry/aliases",
        "/api/v1/backtests",
        f"/api/v1/backtests/{backtest}",
        f"/api/v1/backtests/{backtest}/folds",
        "/api/v1/ingest/batches",
        "/api/v1/ingest/audit",
        "/api/v1/ingest/external-ids",
        "/api/v1/system/info",
        "/api/v1/system/snapshots",
    ]


def said(answer: httpx.Response) -> tuple[int, bytes, str | None]:
    return answer.status_code, VOLATILE.sub(b"", answer.content), answer.headers.get("etag")


@pytest.fixture
def served(root: Path) -> Iterator[tuple[TestClient, Cache]]:
    """A server of one test, with its snapshot open and one answer kept."""
    with serving(root) as (client, cache):
        client.get(STORES)
        yield client, cache


@pytest.fixture
def warm(served: tuple[TestClient, Cache]) -> TestClient:
    return served[0]


@pytest.fixture
def cache(served: tuple[TestClient, Cache]) -> Cache:
    return served[1]


def test_a_kept_answer_is_the_computed_one_to_the_byte(warm: TestClient, cache: Cache) -> None:
    first, second = warm.get(KPIS), warm.get(KPIS)

    assert (second.content, second.headers["etag"]) == (first.content, first.headers["etag"])
    assert cache.hits == 1


def test_whatever_part_is_published_anew_every_kept_answer_is_as_if_computed(own_root: Path) -> None:
    names = [name for name in manifests(Published(own_root))[0].parts if name not in ("catalogue", "kpis")]
    names = [name for name in names if not name.startswith(FACTS_PREFIX)]
    with serving(own_root) as (client, cache):
        paths = reads_of(client)
        for name in names:
            for path in paths:
                client.get(path, headers=PLAIN)
            manifest = publish_changed(own_root, change=emptied(own_root, name))
            with serving(own_root) as (cold, _):
                for path in paths:
                    answer = client.get(path, headers=PLAIN)
                    assert said(answer) == said(cold.get(path, headers=PLAIN)), (name, path)
                    assert answer.status_code != 200 or manifest.id.encode() in answer.content or "/card" in path

    assert cache.hits > len(names) * 15


def test_a_moved_alias_computes_no_kpi_again(own_root: Path) -> None:
    with serving(own_root) as (client, cache):
        before = client.get(KPIS)
        misses = cache.misses
        manifest = decided(own_root)
        client.get("/readyz")
        after = client.get(KPIS)

    assert cache.misses == misses
    assert after.json()["metrics"] == before.json()["metrics"]
    assert after.json()["metadata"]["snapshot_id"] == manifest.id
    assert after.json()["metadata"]["run_id"] == manifest.dagster_run_id
    assert after.headers["etag"] != before.headers["etag"], "other bytes have another strong tag"


def test_an_answer_without_metadata_keeps_its_tag_when_an_alias_moves(own_root: Path) -> None:
    with client_of(own_root) as client:
        run = client.get("/api/v1/registry/runs?status=success").json()["items"][0]["run_id"]
        path = f"/api/v1/registry/runs/{run}/card"
        tag = client.get(path).headers["etag"]
        decided(own_root)
        again = client.get(path, headers={"If-None-Match": tag})

    assert again.status_code == 304


def test_new_sales_void_a_kpi(warm: TestClient, root: Path) -> None:
    before = warm.get(KPIS).json()

    publish_sold(root, DOUBLED)

    assert warm.get(KPIS).json()["metrics"]["total_units"] == 2 * before["metrics"]["total_units"]


def test_another_formula_over_the_same_parts_voids_a_kpi(warm: TestClient, root: Path) -> None:
    before = warm.get(KPIS).json()["metrics"]

    publish_changed(root, change=lambda each: {"kpis": [msgspec.structs.replace(kpi, expression="units") for kpi in each.kpis]})

    after = warm.get(KPIS).json()["metrics"]
    assert set(after.values()) == {before["total_units"]}


def test_a_rollback_gives_the_earlier_answers_again(warm: TestClient, root: Path) -> None:
    published = Published(root)
    first, body = manifests(published)[0].id, warm.get(KPIS).content
    publish_sold(root, DOUBLED)
    warm.get(KPIS)

    rollback(published, first)

    assert warm.get(KPIS).content == body


def test_a_kept_pin_is_gone_once_its_snapshot_is(warm: TestClient, root: Path) -> None:
    published = Published(root)
    first = manifests(published)[0].id
    publish_sold(root, DOUBLED)
    assert [warm.get(f"{KPIS}&snapshot={first}").status_code for _ in range(2)] == [200, 200]

    published.expired.mkdir(exist_ok=True)
    published.manifest(first).rename(published.expired / f"{first}.json")

    assert warm.get(f"{KPIS}&snapshot={first}").status_code == 410


def test_what_is_known_is_304_with_the_headers_of_the_answer(warm: TestClient) -> None:
    first = warm.get(KPIS)

    for known in (first.headers["etag"], f'"x", {first.headers["etag"]}', "*", f"W/{first.headers['etag']}"):
        again = warm.get(KPIS, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert again.headers["vary"] == first.headers["vary"]
        assert again.headers["cache-control"] == "max-age=60"
        assert "content-length" not in again.headers


def test_the_compressed_answer_is_the_plain_one_with_a_tag_of_its_own(warm: TestClient) -> None:
    plain = warm.get(PRODUCTS, headers=PLAIN)

    with warm.stream("GET", PRODUCTS, headers={"Accept-Encoding": "gzip"}) as packed:
        content = b"".join(packed.iter_raw())

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(content) == plain.content
    assert int(packed.headers["content-length"]) == len(content) < len(plain.content) / 2
    assert packed.headers["etag"] != plain.headers["etag"]
    assert "Accept-Encoding" in packed.headers["vary"]


@pytest.mark.parametrize("accepted", ["gzip;q=0", "identity", "br, zstd", ""])
def test_a_client_that_takes_no_gzip_gets_none(accepted: str, warm: TestClient) -> None:
    assert "content-encoding" not in warm.get(PRODUCTS, headers={"Accept-Encoding": accepted}).headers


@pytest.mark.parametrize("path", [KPIS, STORES, "/livez", "/api/v1/jobs/types", "/api/v1/nothing", "/docs"])
def test_head_is_get_without_the_body(path: str, warm: TestClient) -> None:
    for _ in range(2):
        head, get = warm.head(path, headers=PLAIN), warm.get(path, headers=PLAIN)

        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers.get("etag") == get.headers.get("etag")
        assert head.headers["content-length"] == str(len(get.content))


def test_the_order_of_parameters_does_not_matter_but_that_of_values_does(warm: TestClient, cache: Cache) -> None:
    ranged = "start_date=2024-10-01&end_date=2024-10-31"
    warm.get(f"/api/v1/analytics/kpis?{ranged}&store_id=S001&store_id=S002")
    misses = cache.misses

    same = warm.get(f"/api/v1/analytics/kpis?store_id=S001&store_id=S%3002&{ranged}")
    other = warm.get(f"/api/v1/analytics/kpis?{ranged}&store_id=S002&store_id=S001")

    assert same.json()["filters"]["store_id"] == ["S001", "S002"]
    assert other.json()["filters"]["store_id"] == ["S002", "S001"]
    assert cache.misses == misses + 1


@pytest.mark.parametrize("query", ["%3F=&snapshot=%17O%C3%98", "snapshot=%F0%BD%9E%A1%C2%8F", "%FF=%00", "region=%E5%8C%97"])
def test_a_query_of_any_bytes_is_answered_or_refused(query: str, warm: TestClient) -> None:
    assert warm.get(f"{KPIS}&{query}").status_code in (404, 422)


def test_a_wrong_request_is_told_so_though_a_right_one_is_kept(warm: TestClient) -> None:
    warm.get(KPIS)

    assert warm.get(f"{KPIS}&nothing=1").status_code == 422
    assert warm.get(f"{KPIS}&nothing=1").status_code == 422
    assert warm.post(KPIS, headers=KEYED).status_code == 405


def test_the_cache_stays_within_its_bytes(root: Path) -> None:
    with serving(root, cache_mb=1) as (client, cache):
        for n in range(600):
            assert client.get(f"/api/v1/dimensions/products?page_size=100&search=sku&page={n + 1}").status_code == 200
            assert cache.size <= cache.limit

        assert cache.evicted > 0
        assert cache.size == sum(answer.size for answer in cache._kept.values())
        hits = cache.hits
        client.get("/api/v1/dimensions/products?page_size=100&search=sku&page=600")
        client.get("/api/v1/dimensions/products?page_size=100&search=sku&page=1")
        assert cache.hits == hits + 1, "the newest is kept, the oldest went"


def test_a_cache_of_zero_keeps_nothing(root: Path) -> None:
    with serving(root, cache_mb=0) as (client, cache):
        answers = [client.get(KPIS) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 200]
        assert len(cache) == 0


def test_a_stampede_computes_once(root: Path) -> None:
    app = app_of(root)
    cache = cache_of(app)

    async def stampede() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await asyncio.gather(*(client.get(KPIS) for _ in range(64)))

    answers = asyncio.run(stampede())

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (cache.misses, cache.hits) == (1, 63)


def test_a_failed_question_makes_others_wait_for_one_answer_only(root: Path) -> None:
    app = app_of(root)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await asyncio.gather(*(client.get(f"{STORES}/none") for _ in range(32)))

    assert {answer.status_code for answer in asyncio.run(ask())} == {404}


@pytest.mark.parametrize(
    "path", ["/api/v1/system/snapshots", "/api/v1/seeder/status", "/api/v1/jobs/types", "/api/v1/ingest/kinds", "/livez"]
)
def test_what_does_not_come_from_the_snapshot_alone_is_not_kept(path: str, warm: TestClient, cache: Cache) -> None:
    before = len(cache)

    answer = warm.get(path)

    assert answer.status_code == 200
    assert "etag" not in answer.headers
    assert len(cache) == before


def test_each_role_has_answers_of_its_own(root: Path) -> None:
    app = app_of(root)

    async def asked_with(headers: dict[str, str]) -> int:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            await client.get(KPIS, headers=headers)
        return cache_of(app).misses

    async def ask() -> list[int]:
        return [await asked_with(headers) for headers in ({}, {}, KEYED, KEYED)]

    assert asyncio.run(ask()) == [1, 1, 2, 2]


ANSWER = [{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}]


def test_an_answer_that_varies_by_what_is_unknown_is_not_kept(warm: TestClient, cache: Cache) -> None:
    inner, before = cache.app, len(cache)

    async def varied(scope: Any, receive: Any, send: Any) -> None:
        async def send_varied(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"vary", b"Accept-Language")]}
            await send(message)

        await inner(scope, receive, send_varied)

    cache.app = varied
    try:
        answer = warm.get(ROUTED)
    finally:
        cache.app = inner

    assert (answer.status_code, "Accept-Language" in answer.headers["vary"]) == (200, True)
    assert len(cache) == before


def test_a_header_sent_twice_poisons_no_answer(warm: TestClient, cache: Cache) -> None:
    inner = cache.app

    async def by_first_accept(scope: Any, receive: Any, send: Any) -> None:
        first = next((value for name, value in scope["headers"] if name == b"accept"), b"")

        async def send_typed(message: Any) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": first}
            await send(message)

        await inner(scope, receive, send_typed)

    async def ask(*accepted: bytes) -> bytes:
        heard: list[Any] = []

        async def send(message: Any) -> None:
            heard.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": ROUTED,
            "raw_path": ROUTED.encode(),
            "query_string": b"",
            "headers": [(b"accept", each) for each in accepted],
            "state": {},
            "http_version": "1.1",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
            "root_path": "",
            "asgi": {"version": "3.0"},
        }
        await cache(scope, None, send)  # type: ignore[arg-type]
        return heard[1]["body"]

    async def asks() -> list[bytes]:
        return [await ask(b"text/csv", b"application/json"), await ask(b"application/json"), await ask(b"text/csv")]

    cache.app = by_first_accept
    try:
        assert asyncio.run(asks()) == [b"text/csv", b"application/json", b"text/csv"]
    finally:
        cache.app = inner


def test_a_request_that_names_two_snapshots_is_not_kept(warm: TestClient, cache: Cache, root: Path) -> None:
    first = manifests(Published(root))[0].id
    newer = publish_changed(root, change=lambda _: {}).id
    before = len(cache)

    statuses = [warm.get(f"{KPIS}&snapshot={first}&snapshot={newer}").status_code for _ in range(3)]

    assert statuses == [422, 422, 422]
    assert len(cache) == before


def test_a_streamed_answer_goes_through_as_it_comes(warm: TestClient, cache: Cache) -> None:
    inner, before = cache.app, len(cache)

    async def streamed(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        scope["state"]["leased"] = object()
        await send(ANSWER[0])
        for n in range(3):
            await send({"type": "http.response.body", "body": b"%d" % n, "more_body": n < 2})

    cache.app = streamed
    try:
        answer = warm.get("/api/v1/dimensions/streamed")
        head = warm.head("/api/v1/dimensions/streamed")
    finally:
        cache.app = inner

    assert (answer.content, head.content, len(cache)) == (b"012", b"", before)


def test_a_stale_answer_is_not_mistaken_for_a_good_one(warm: TestClient, root: Path) -> None:
    good = warm.get(KPIS)
    tear(root)

    stale = warm.get(KPIS, headers={"If-None-Match": good.headers["etag"]})

    assert stale.status_code == 200
    assert stale.json()["metadata"]["stale"] is True
    assert warm.get(KPIS).content == stale.content


def test_what_is_declared_exists(client: TestClient) -> None:
    operations = {getattr(each, "operation_id", None) for each in HANDLERS}  # a websocket has none

    assert set(READS) <= operations, "serving/layers/depends.py names a route that is gone"


def test_a_body_that_names_its_publish_elsewhere_is_of_that_snapshot_alone(warm: TestClient, cache: Cache, root: Path) -> None:
    old = cache._library.peek()
    assert old is not None
    body = warm.get(KPIS, headers=PLAIN).content
    depends = dependence(old, "get_kpis", ())
    told: dict[str, Any] = {"asked": b"", "route": "", "dataset_id": None, "model_version": None}
    publish_changed(root, change=lambda _: {})
    warm.get("/readyz")
    new = cache._library.peek()
    assert new is not None

    same = keep(old, depends, (), body, **told).of(new)
    elsewhere = keep(old, depends, (), body + old.id.encode(), **told)
    in_a_header = keep(old, depends, ((b"x-snapshot", old.id.encode()),), body, **told)
    silent = keep(old, depends, (), b"a,b", **told)

    assert same is not None
    assert same.body.replace(new.id.encode(), old.id.encode()) != body, "published_at differs too"
    assert elsewhere.of(new) is None
    assert in_a_header.of(new) is None
    assert silent.of(new) is not None
    assert silent.of(new).tag == silent.tag
