"""Who may do what: every route against every role, keys that are wrong in every way, and requests that are too many."""

import asyncio
import hmac
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from litestar.testing import TestClient

from assets_config.contract.keys import Key, KeyFile, digest
from assets_config.contract.names import Role
from serving.layers.access import Access
from serving.layers.keyring import Keyring
from serving.layers.rules import RANK, SAFE, Rules, rule
from tests.serving.conftest import KEY, client_of, settings_of
from tests.serving.reviewed import application

NOW = datetime.now(UTC)
ROLES: tuple[Role, ...] = ("reader", "operator", "admin")
KEYS = {role: f"{role}-{KEY}" for role in ROLES}
JOBS, STORES = "/api/v1/jobs", "/api/v1/dimensions/stores"
OPEN = {
    *("GET /livez", "GET /readyz", "GET /health", "GET /docs", "GET /openapi.json", "GET /errors/{problem:str}"),
    *("GET /docs/assets/{file_path:path}", "HEAD /docs/assets/{file_path:path}"),
}
ADMIN = {
    *("GET /api/v1/config", "PATCH /api/v1/config", "DELETE /api/v1/seeder/data", "POST /api/v1/data/refresh"),
    *("PUT /api/v1/alert-rules/{rule:str}", "PUT /api/v1/notification-templates/{event:str}"),
}


class Route(NamedTuple):
    method: str
    path: str
    opt: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def url(self) -> str:
        """A path that this route answers, of things that are not there."""
        return "/".join("x" if step.startswith("{") else step for step in self.path.split("/"))


def routes() -> list[Route]:
    """Every route of the app; those that Litestar adds to answer OPTIONS are left out."""
    found = [
        Route(method, route.path, handler.opt)
        for route in application().routes
        for handler in getattr(route, "route_handlers", ())
        for method in sorted(handler.http_methods)
    ]
    return sorted((each for each in found if each.method != "OPTIONS"), key=str)


ROUTES = routes()


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server with a key a role and nothing published, where reads need a key too."""
    entries = tuple(f"{role}:{role}:{key}" for role, key in KEYS.items())
    with client_of(tmp_path_factory.mktemp("keyed"), headers={}, api_keys=entries, reader_open="never") as client:
        yield client


@pytest.mark.parametrize("route", [each for each in ROUTES if each.method not in SAFE], ids=str)
def test_every_write_says_which_role_it_needs(route: Route) -> None:
    assert "role" in route.opt, f"{route} says no role: give its handler opt=OPERATOR or ADMIN of serving/layers/rules.py"
    assert route.opt["role"] in ("open", *ROLES)


def test_only_reviewed_routes_are_open_and_only_reviewed_ones_are_for_admins() -> None:
    needs = {str(route): rule(route.opt, route.method).needs for route in ROUTES}

    assert {name for name, role in needs.items() if role is None} == OPEN, "review it, then add it to OPEN of this test"
    assert {name for name, role in needs.items() if role == "admin"} == ADMIN, "review it, then add it to ADMIN of this test"


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_lets_through_whom_it_should_and_nobody_else(route: Route, keyed: TestClient) -> None:
    needed = rule(route.opt, route.method).needs

    for role in (None, *ROLES):
        answer = keyed.request(route.method, route.url, headers={"X-API-Key": KEYS[role]} if role else {})

        if RANK[role] >= RANK[needed]:
            assert answer.status_code not in (401, 403), f"{role} gets {answer.text}"
        elif role is None:
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
        else:
            assert answer.status_code == 403
            assert f"role {needed} is needed, and the key {role} has {role}" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
def test_what_is_not_there_is_told_only_to_those_who_might_see_it(method: str, keyed: TestClient) -> None:
    path = "/api/v1/none"

    assert keyed.request(method, path).status_code == 401
    assert keyed.request(method, path, headers={"X-API-Key": KEYS["admin"]}).status_code in (404, 405)


@pytest.mark.parametrize(
    "path", ["/api/v1/config/", "//api/v1//config", "/api/v1/config?x=1", "/api/v1/%63onfig", "/api/v1/Config"]
)
def test_another_spelling_of_a_path_is_no_way_around(path: str, keyed: TestClient) -> None:
    answer = keyed.get(path, headers={"X-API-Key": KEYS["operator"]})

    assert answer.status_code in (403, 404)


def test_a_path_under_a_prefix_has_the_same_rule() -> None:
    rules = Rules(application())

    scope: Any = {"type": "http", "method": "GET", "path": "/demand/api/v1/config", "root_path": "/demand"}

    assert rules.of(scope).needs == "admin"


def test_either_header_carries_a_key(keyed: TestClient) -> None:
    bearers = [f"Bearer {KEYS['reader']}", f"bearer  {KEYS['reader']} "]

    answers = [keyed.get("/api/v1/jobs/types", headers={"Authorization": each}) for each in bearers]
    answers.append(keyed.get("/api/v1/jobs/types", headers={"X-API-Key": KEYS["reader"]}))

    assert [answer.status_code for answer in answers] == [200] * 3


GOOD = KEYS["admin"].encode()
HOSTILE: dict[str, list[tuple[bytes, bytes]]] = {
    "unknown": [(b"x-api-key", b"dg_" + b"x" * 43)],
    "cut": [(b"x-api-key", GOOD[:-1])],
    "longer": [(b"x-api-key", GOOD + b"x")],
    "another case": [(b"x-api-key", GOOD.upper())],
    "empty": [(b"x-api-key", b"")],
    "blank": [(b"authorization", b"  ")],
    "no scheme": [(b"authorization", GOOD)],
    "another scheme": [(b"authorization", b"Basic " + GOOD)],
    "scheme alone": [(b"authorization", b"Bearer")],
    "huge": [(b"x-api-key", b"x" * 400_000)],
    "huge bearer": [(b"authorization", b"Bearer " + b"x" * 400_000)],
    "not ascii": [(b"x-api-key", "schlüssel\U0001f4a5".encode())],
    "not utf-8": [(b"authorization", b"Bearer \xff\xfe")],
    "nul": [(b"x-api-key", GOOD + b"\x00")],
    "the hash": [(b"x-api-key", digest(GOOD).encode())],
    "the entry": [(b"x-api-key", b"sha256:" + digest(GOOD).encode())],
    "twice": [(b"x-api-key", GOOD), (b"x-api-key", GOOD)],
    "both": [(b"x-api-key", GOOD), (b"authorization", b"Bearer " + GOOD)],
    "a good one and a bad one": [(b"x-api-key", GOOD), (b"authorization", b"Bearer x")],
}


@pytest.mark.parametrize("headers", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("reader_open", ["never", "always"])
def test_a_key_that_is_wrong_is_refused_even_where_none_is_needed(
    headers: list[tuple[bytes, bytes]], reader_open: str, tmp_path: Path
) -> None:
    access = access_of(tmp_path, api_keys=(f"a:admin:{KEYS['admin']}",), reader_open=reader_open)

    said = admit(access, headers=headers)

    assert (said.status, said.problem, said.role) == (401, "Unauthorized", "reader" if reader_open == "always" else None)


def test_a_key_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    compare = hmac.compare_digest

    def seen(one: str, other: str) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr("serving.layers.keyring.hmac.compare_digest", seen)
    keyring = Keyring(tmp_path, (f"a:admin:{KEY}",))

    found = [keyring.find(KEY.encode()), keyring.find(b"another key of 24 letters")]

    assert [key.name if key else None for key in found] == ["a", None]
    assert [{len(each) for each in pair} for pair in compared] == [{64}, {64}]


def test_a_key_counts_from_when_it_is_made_until_it_is_revoked(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    with client_of(tmp_path, headers={}, reader_open="never") as client:

        def status(key: str) -> int:
            return client.get("/api/v1/jobs/types", headers={"X-API-Key": key}).status_code

        before = status("dg_" + "x" * 43)
        (one, _), (other, _) = (file.add(role="reader", name=name, now=NOW) for name in ("one", "other"))
        made = status(one), status(other)
        file.revoke("one", NOW)
        after = status(one), status(other)
        told = client.get("/api/v1/jobs/types", headers={"X-API-Key": one}).json()

    assert (before, made, after) == (401, (200, 200), (401, 200))
    assert "The key one is revoked." in told["detail"]


def test_a_key_expires(tmp_path: Path) -> None:
    secret, _ = KeyFile(tmp_path).add(role="reader", name="short", days=1, now=NOW - timedelta(days=2))

    said = admit(access_of(tmp_path), headers=[(b"x-api-key", secret.encode())])

    assert said.status == 401
    assert "The key short is expired." in said.detail


@pytest.mark.parametrize("content", [b"", b"{", b'{"keys": []}', b'[{"id": "a", "role": "owner"}]', b"\xff"])
def test_a_file_of_keys_that_cannot_be_read_lets_nobody_in(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret, _ = KeyFile(tmp_path).add(role="admin", now=NOW)
    access = access_of(tmp_path, api_keys=(f"a:admin:{KEY}",))
    assert admit(access, headers=[(b"x-api-key", secret.encode())]).status == 200

    KeyFile(tmp_path).path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        statuses = [admit(access, headers=[(b"x-api-key", key)]).status for key in (secret.encode(), KEY.encode())]

    assert statuses == [401, 200], "what the environment says still counts"
    assert str(KeyFile(tmp_path).path) in caplog.text


LOCAL, REMOTE = ("127.0.0.1", 5000), ("192.0.2.7", 5000)


@pytest.mark.parametrize(
    ("settings", "peer", "headers", "status"),
    [
        ({}, LOCAL, [], 200),
        ({}, ("::1", 5000), [], 200),
        ({}, ("::ffff:127.0.0.1", 5000), [], 200),
        ({}, None, [], 200),
        ({}, REMOTE, [], 401),
        ({}, ("2001:db8::1", 5000), [], 401),
        ({}, LOCAL, [(b"x-forwarded-for", b"192.0.2.7")], 401),
        ({}, LOCAL, [(b"forwarded", b"for=192.0.2.7")], 401),
        ({"host": "0.0.0.0"}, LOCAL, [], 401),
        ({"host": "0.0.0.0", "reader_open": "always"}, REMOTE, [], 200),
        ({"reader_open": "always"}, LOCAL, [(b"x-forwarded-for", b"192.0.2.7")], 200),
        ({"reader_open": "never"}, LOCAL, [], 401),
    ],
)
def test_reads_without_a_key_are_for_this_machine_alone(
    settings: dict[str, Any], peer: tuple[str, int] | None, headers: list[tuple[bytes, bytes]], status: int, tmp_path: Path
) -> None:
    access = access_of(tmp_path, **settings)

    assert admit(access, headers=headers, peer=peer).status == status
    assert admit(access, method="POST", path=JOBS, headers=headers, peer=peer).status == 401


def test_who_asks_is_left_for_the_log_and_the_cache(tmp_path: Path) -> None:
    access = access_of(tmp_path, api_keys=(f"till:operator:{KEY}",))

    keyed, nobody = admit(access, headers=[(b"x-api-key", KEY.encode())]), admit(access)

    assert (keyed.key, keyed.role) == ("till", "operator")
    assert (nobody.key, nobody.role) == (None, "reader")


def test_a_job_asks_for_the_role_of_its_type(keyed: TestClient) -> None:
    types = {
        each["name"]: each["role"] for each in keyed.get(f"{JOBS}/types", headers={"X-API-Key": KEYS["reader"]}).json()["items"]
    }
    alias = {"name": "production", "run_id": "a" * 32}

    def post(role: Role, job_type: str, params: dict[str, Any]) -> Any:
        body = {"job_type": job_type, "params": params}
        return keyed.post(JOBS, json=body, headers={"X-API-Key": KEYS[role]})

    assert (types["refresh"], types["verify_data"], types["set_alias"]) == ("admin", "operator", "operator")
    refused = post("operator", "refresh", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    assert refused.json()["detail"] == "Job refresh: the role admin is needed, and the key operator has operator."
    assert post("admin", "refresh", {}).status_code == 503, "no Dagster in this test"
    assert post("operator", "verify_data", {}).status_code == 503
    assert post("operator", "set_alias", alias).status_code == 503
    assert post("operator", "set_alias", {**alias, "force": True}).status_code == 403
    assert post("admin", "set_alias", {**alias, "force": True}).status_code == 503
    assert post("operator", "delete_alias", {"name": "production", "force": True}).status_code == 403


def test_the_description_says_who_may_call_what(keyed: TestClient) -> None:
    schema = keyed.get("/openapi.json").json()
    operations = {f"{method.upper()} {path}": each for path, methods in schema["paths"].items() for method, each in methods.items()}

    needed, config, alive = (operations[name] for name in ("POST /api/v1/jobs", "GET /api/v1/config", "GET /livez"))
    assert set(schema["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    assert (needed["x-role"], needed["security"]) == ("operator", [{"bearer": []}, {"apiKey": []}])
    assert (config["x-role"], alive["x-role"], alive["security"]) == ("admin", "open", [{}])
    assert {"401", "403", "408", "413", "429", "503"} <= set(needed["responses"])
    assert not {"401", "429"} & set(alive["responses"])
    assert all("security" in each for each in operations.values())
    unauthorized = schema["components"]["responses"][needed["responses"]["401"]["$ref"].rpartition("/")[2]]
    assert unauthorized["content"]["application/problem+json"]["schema"]["$ref"].endswith("/ProblemDetails")
    assert "ProblemDetails" in schema["components"]["schemas"]


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_too_many_requests_are_told_when_to_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("serving.layers.access.time", clock)
    keys = tuple(f"{name}:operator:{name}-{KEY}" for name in ("one", "other"))
    with client_of(tmp_path, headers={}, api_keys=keys, read_rate=2, write_rate=0.5, rate_burst_seconds=4) as client:

        def read(name: str) -> Any:
            return client.get("/api/v1/jobs/types", headers={"X-API-Key": f"{name}-{KEY}"})

        burst = [read("one").status_code for _ in range(9)]
        refused, other = read("one"), read("other").status_code
        write = client.post(JOBS, json={}, headers={"X-API-Key": f"one-{KEY}"}).status_code
        alive = {client.get("/livez", headers={"X-API-Key": f"one-{KEY}"}).status_code for _ in range(20)}
        clock.now += float(refused.headers["retry-after"])
        again = [read("one").status_code for _ in range(3)]

    assert burst == [200] * 8 + [429]
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("RATE_LIMITED", "1")
    assert (other, write, alive) == (200, 422, {200}), "other keys, writes and probes are counted apart"
    assert again == [200, 200, 429]


def test_guesses_are_counted_too(tmp_path: Path) -> None:
    access = access_of(tmp_path, write_rate=0.1, rate_burst_seconds=50)

    statuses = [admit(access, "POST", JOBS, [(b"x-api-key", b"guess %d" % n)], REMOTE).status for n in range(7)]

    assert statuses == [401] * 5 + [429] * 2


def test_a_network_of_many_addresses_is_one_client(tmp_path: Path) -> None:
    access = access_of(tmp_path, read_rate=0.1, rate_burst_seconds=20, reader_open="always")

    statuses = [admit(access, peer=(f"2001:db8:0:1::{n:x}", 5000)).status for n in range(4)]
    elsewhere = admit(access, peer=("2001:db8:0:2::1", 5000)).status

    assert (statuses, elsewhere) == ([200, 200, 429, 429], 200)


@pytest.mark.parametrize(("peer", "headers"), [(REMOTE, []), (LOCAL, [(b"origin", b"https://evil.example")])])
def test_a_websocket_is_refused_before_it_is_accepted(
    peer: tuple[str, int], headers: list[tuple[bytes, bytes]], tmp_path: Path
) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "websocket", "path": "/api/v1/stream", "headers": headers, "client": peer}
    asyncio.run(access_of(tmp_path)(scope, nothing, send))

    assert [(each["type"], each["code"]) for each in sent] == [("websocket.close", 1008)]


class Admitted(NamedTuple):
    status: int
    problem: str
    detail: str
    key: str | None
    role: Role | None


async def nothing() -> Any:
    return {"type": "http.disconnect"}


def access_of(root: Path, **changes: Any) -> Access:
    settings = settings_of(root, **{"api_keys": (), **changes})
    return Access(application(), Rules(application()), settings)


def admit(
    access: Access,
    method: str = "GET",
    path: str = STORES,
    headers: list[tuple[bytes, bytes]] | None = None,
    peer: tuple[str, int] | None = LOCAL,
) -> Admitted:
    scope: Any = {"type": "http", "method": method, "path": path, "headers": headers or [], "client": peer}
    problem = access.admit(scope)
    state = scope["state"]
    if problem is None:
        return Admitted(200, "", "", state["key"], state["role"])
    return Admitted(problem.status, type(problem).__name__, problem.detail, state["key"], state["role"])


def test_a_key_is_kept_as_what_it_was_made_of(tmp_path: Path) -> None:
    secret, made = KeyFile(tmp_path).add(role="admin", name="me", now=NOW)

    assert Keyring(tmp_path).find(secret.encode()) == Key(made.id, "me", "admin", digest(secret.encode()), NOW)
