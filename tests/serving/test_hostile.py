"""Ten thousand bad bodies: none brings the server down, none is kept, and each is told what is wrong with it."""

import asyncio
import gzip
import io
import json
import random
import resource
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets_config.contract.kinds import KINDS
from assets_config.contract.landing import SUFFIXES, Landing
from serving.app import create_asgi
from serving.settings import Settings
from serving.uploads import label
from tests.serving.parts import AT

REQUESTS = 10_000
MOST_GROWTH = 200 << 20  # bytes; the largest body is 20 MiB
TYPES = [
    "text/csv",
    "application/json",
    "application/vnd.apache.parquet",
    "application/octet-stream",
    "multipart/form-data; boundary=XX",
]
ODD_TYPES = [
    *("", "text/plain", "text/csv; charset=utf-16", "application/json;;;", "multipart/form-data", "application/xml", "*/*"),
    *(
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="a"; boundary=b',
        "TEXT/CSV",
        "\xe4\xf6",
        "image/png",
        "text/csv," * 500,
    ),
]
NAMES = [
    "../../../etc/passwd",
    "..\\..\\x.csv",
    "/abs/x.json",
    "a\x00b.csv",
    "x" * 5000,
    "",
    ".",
    "..",
    "\u202e.csv",
    "x.parquet",
    "%2e%2e%2fx",
    "~/x",
    "con",
]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1e308,
        -1e308,
        10**30,
        10**400,
        "",
        " ",
        "\x00",
        "x" * 20_000,
        "NaN",
        "null",
        "\U0001f4a5",
        "\ud800",
    ),
    *([], {}, [1], {"a": [1]}, {"date": {"$gt": ""}}, "'; DROP TABLE sales; --", "=cmd|' /C calc'!A0", "../../x", "9999-99-99"),
]
BOMBS = {}

Draw = random.Random
Bad = Callable[[Draw], bytes]


def noise(draw: Draw) -> bytes:
    return draw.randbytes(draw.choice([1, 3, 50, 2_000]))


def text_noise(draw: Draw) -> bytes:
    return "".join(draw.choices(',;"\n\r\t{}[]:\\abc01. \x00é', k=draw.randint(1, 300))).encode(
        draw.choice(["utf-8", "latin-1", "utf-16"])
    )


def rows(draw: Draw) -> bytes:
    made = [{draw.choice(["date", "sku", "quantity", "x", "", "x" * 300]): draw.choice(VALUES) for _ in range(draw.randint(0, 4))}]
    shape = draw.choice(
        [made, {"records": made}, {"rows": made}, made * draw.choice([1, 30]), made[0], [made], draw.choice(VALUES)]
    )
    return json.dumps(shape).encode()


def numbers(draw: Draw) -> bytes:
    said = draw.choice(
        ["NaN", "Infinity", "-Infinity", "1e999", "9" * draw.choice([20, 5_000]), "0x10", "01", "+1", "1.", "-", "1e", "--1", "nan"]
    )
    return f'[{{"quantity": {said}}}]'.encode()


def deep(draw: Draw) -> bytes:
    opening, closing = draw.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]"), (b'{"records":[', b"]}")])
    depth = draw.choice([8, 9, 50, 2_000, 20_000])
    return opening * depth + draw.choice([b"", b"1", b'"' + b"[" * 9 + b'"']) + closing * draw.choice([0, depth, depth + 1])


def cut_json(draw: Draw) -> bytes:
    whole = rows(draw) + draw.choice([b"", b",", b"]", b"x", b"\x00", b"//", b"[]"])
    return whole[: draw.randint(0, len(whole))]


def escapes(draw: Draw) -> bytes:
    return (
        b'[{"a": "'
        + b"".join(draw.choices([b"\\", b'\\"', b'"', b"[", b"{", b"\\u", b"\\ud800", b"x"], k=draw.randint(1, 60)))
        + draw.choice([b"", b'"}]'])
    )


def wide_csv(draw: Draw) -> bytes:
    names = ",".join(f"c{n}" for n in range(draw.choice([1, 500, 501, 10_000])))
    return names.encode() + draw.choice([b"", b"\n", b"\r", b"\n1,2\n", b"\n" * 50, b"\n\x00\n", b'\n"open'])


def odd_csv(draw: Draw) -> bytes:
    header = ",".join(
        draw.choices(
            ["date", "sku", "quantity", "", " ", '"a,b"', '"open', "date", "\ufeff", "a\rb", "\u2028"], k=draw.randint(1, 6)
        )
    )
    lines = [",".join(str(draw.choice(VALUES))[:2_000] for _ in range(draw.randint(0, 8))) for _ in range(draw.randint(0, 5))]
    return draw.choice(["\n", "\r\n", "\r"]).join([header, *lines]).encode(draw.choice(["utf-8", "utf-16", "utf-8-sig"]), "replace")


def parquet(draw: Draw) -> bytes:
    whole = b"PAR1" + draw.randbytes(60) + draw.choice([0, 1, 50, 60, 61, 2**31, 2**32 - 1]).to_bytes(4, "little") + b"PAR1"
    return draw.choice([whole, whole[: draw.randint(0, len(whole))], whole + b"x", b"PARE" + whole[4:], whole[4:]])


def bomb(draw: Draw) -> bytes:
    return BOMBS[draw.choice(["zip", "gzip"])]


def form(draw: Draw) -> bytes:
    made = b""
    for _ in range(draw.choice([0, 1, 1, 1, 2, 40])):
        name = draw.choice(NAMES).encode()
        disposition = draw.choice(
            [
                b'form-data; name="f"; filename="%s"' % name,
                b"form-data; filename*=UTF-8''%s" % name,
                b'form-data; name="f"',
                b"",
                b"form-data; filename=" + name,
            ]
        )
        kind = draw.choice(
            ["", "text/csv", "application/json", "application/octet-stream", "\x00", "text/csv; charset=nope"]
        ).encode()
        content = draw.choice([rows, odd_csv, parquet, noise, bomb, cut_json])(draw)
        made += (
            b"--XX\r\nContent-Disposition: "
            + disposition
            + b"\r\nContent-Type: "
            + kind
            + draw.choice([b"\r\n\r\n", b"\r\n", b""])
            + content
            + b"\r\n"
        )
    whole = made + draw.choice([b"--XX--\r\n", b"--XX--", b"--XX", b""])
    return draw.choice(
        [whole, whole, whole[: draw.randint(0, len(whole))], whole.replace(b"\r\n", b"\n"), b"--XX" * draw.choice([1, 3_000])]
    )


MADE_FOR: dict[str, list[Bad]] = {
    "text/csv": [wide_csv, odd_csv, text_noise],
    "application/json": [rows, numbers, deep, cut_json, escapes, text_noise],
    "application/vnd.apache.parquet": [parquet],
    "application/octet-stream": [parquet, noise],
    "multipart/form-data; boundary=XX": [form],
}
ANY = [each for listed in MADE_FOR.values() for each in listed] + [noise, bomb, lambda _: b""]
URLS = [
    *(f"/api/v1/ingest/{kind}" for kind in ("sales-daily", "stores", "prices")),
    *("/api/v1/ingest/sales-daily?source=till", "/api/v1/ingest/weekly-sales?plan=p1", "/api/v1/ingest/weekly-sales"),
]
ODD_URLS = [
    *(
        "/api/v1/ingest/nothing",
        "/api/v1/ingest/..",
        "/api/v1/ingest/stores?source=../x",
        "/api/v1/ingest/stores?x=1",
        "/api/v1/ingest/inbox",
    ),
    *(
        "/api/v1/ingest/weekly-sales?plan=%00",
        "/api/v1/ingest/stores?source=%ff%fe",
        "/api/v1/ingest/stores?source=",
        "/api/v1/ingest/%00",
    ),
    *("/api/v1/jobs", "/api/v1/seeder/generate", "/api/v1/seeder/append", f"/api/v1/ingest/batches/{'a' * 32}/replay"),
]


def request(draw: Draw) -> tuple[str, list[tuple[bytes, bytes]], list[bytes]]:
    """One request: url, headers, and the body in chunks."""
    media_type = draw.choice(TYPES)
    body = draw.choice(MADE_FOR[media_type] if draw.random() < 0.85 else ANY)(draw)
    if draw.random() < 0.05:
        media_type = draw.choice(ODD_TYPES)
    headers = [(b"host", b"127.0.0.1"), (b"content-type", media_type.encode("latin-1"))]
    if draw.random() < 0.05:
        headers.append(draw.choice([headers[1], (b"content-type", b"application/json")]))
    if draw.random() < 0.05:
        headers.append((b"content-encoding", draw.choice([b"gzip", b"identity", b"br, gzip", b"", b"\xff"])))
    if draw.random() < 0.1:
        headers += [(b"content-length", draw.choice([b"-1", b"x", b"9" * 5_000, b"99999999999", b"1_0", b"", b"0"]))] * draw.choice(
            [1, 2]
        )
    if draw.random() < 0.05:
        headers.append((b"idempotency-key", draw.choice([b"k", b"../../k", b"", b"\xff", b"k" * 300])))
    cuts = sorted(draw.choices(range(len(body) + 1), k=draw.choice([0, 0, 3])))
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    return draw.choice(URLS if draw.random() < 0.9 else ODD_URLS), headers, chunks


async def post(app: Any, url: str, headers: list[tuple[bytes, bytes]], chunks: list[bytes]) -> tuple[int, str, bytes]:
    path, _, query = url.partition("?")
    waiting = [{"type": "http.request", "body": chunk, "more_body": n + 1 < len(chunks)} for n, chunk in enumerate(chunks)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "headers": headers,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    media_type = dict(sent[0]["headers"]).get(b"content-type", b"").decode()
    return sent[0]["status"], media_type, b"".join(message.get("body", b"") for message in sent[1:])


def state_of(app: Any) -> Any:
    """The state of the application within its layers."""
    while not hasattr(app, "state"):
        app = app.app
    return app.state


def make_bombs() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", b"0" * (64 << 20))
    BOMBS["zip"] = packed.getvalue()
    BOMBS["gzip"] = gzip.compress(b"0" * (64 << 20), 1)


def test_ten_thousand_bad_bodies(tmp_path: Path) -> None:
    make_bombs()
    app = create_asgi(Settings(data=tmp_path, dagster_url="http://127.0.0.1:9"))
    draw = random.Random(20240601)

    async def send_all() -> Counter[int]:
        statuses: Counter[int] = Counter()
        before = 0
        for n in range(REQUESTS):
            if n == 200:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            url, headers, chunks = request(draw)
            status, media_type, body = await post(app, url, headers, chunks)
            said = json.loads(body)
            told = f"request {n}: {url} {headers} {b''.join(chunks)[:300]!r} gave {said}"
            assert 400 <= status < 500 or (status, said["code"]) == (503, "ORCHESTRATOR_UNAVAILABLE"), told
            assert media_type == "application/problem+json", told
            assert len(said["detail"]) > 15, told
            assert status != 422 or said["errors"], told
            statuses[status] += 1
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < MOST_GROWTH >> 10, f"memory grew by {grown >> 10} MiB"
        await state_of(app).jobs.close()
        return statuses

    statuses = asyncio.run(send_all())

    assert not list(tmp_path.iterdir()), "nothing is kept of what was refused"
    assert statuses[503] > 100, "some of the bodies must get past the checks"
    assert min(statuses[status] for status in (404, 413, 415, 422)) > 20


@pytest.mark.parametrize(
    "unit",
    [
        b"[",
        b"{",
        b'"',
        b"\\",
        b'\\"',
        b'{"a":',
        b"[{},",
        b"1,",
        b'"",',
        b",",
        b"\n",
        b"a\n",
        b"\r\n--XX",
        b"--XX\r\n\r\n",
        b"\x00",
        b" ",
        b"PAR1",
    ],
)
def test_the_largest_body_of_one_thing_costs_little_time_and_memory(unit: bytes, tmp_path: Path) -> None:
    app = create_asgi(Settings(data=tmp_path, dagster_url="http://127.0.0.1:9"))
    body = unit * ((20 << 20) // len(unit))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def send_all() -> list[int]:
        found = [
            (await post(app, URLS[0], [(b"host", b"localhost"), (b"content-type", kind.encode())], [body]))[0] for kind in TYPES
        ]
        await state_of(app).jobs.close()
        return found

    statuses = asyncio.run(send_all())

    assert set(statuses) <= {415, 422, 503}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_GROWTH >> 10


@pytest.mark.parametrize("media_type", SUFFIXES)
@pytest.mark.parametrize("kind", ["sales-daily", "stores"])
def test_what_is_kept_lies_under_its_kind_whatever_it_is_called(kind: str, media_type: str, tmp_path: Path) -> None:
    landing = Landing(tmp_path / "data")

    for n, name in enumerate(NAMES):
        shown = label(name, f"{kind}.csv", media_type)
        batch, is_new = landing.receive(kind, "api", [(shown, b"%d" % n)], media_type=media_type, received_at=AT)
        assert is_new
        assert landing.read(kind, batch.batch_id).files[0].name == shown

    kept = [path.relative_to(tmp_path).parts for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) == 2 * len(NAMES)
    assert all(path[:3] == ("data", "landing", kind) and len(path) == 5 for path in kept)
    assert {path[4] for path in kept} == {"manifest.json", f"0{SUFFIXES[media_type]}"}
    assert set(KINDS) >= {kind}


def test_serving_reads_no_parquet_and_loads_nothing_that_does(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from serving.app import create_asgi
from serving.bounds import check_parquet
from serving.settings import Settings
create_asgi(Settings(data=Path({str(tmp_path)!r})))
check_parquet(b"PAR1" + b"x" * 40 + (20).to_bytes(4, "little") + b"PAR1")
print(*sorted({{"pyarrow", "polars", "pandas", "dagster", "pipelines"}} & set(sys.modules)))
"""
    root = Path(__file__).parents[2]

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root).stdout

    assert said.split() == []
