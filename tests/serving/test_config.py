"""The settings that hold, told to admins: where each stands, and nothing that opens."""

from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from assets_config.contract.keys import digest
from serving.__main__ import warnings
from serving.app import create_asgi
from serving.layers.edge import host_check
from serving.settings import SETTINGS, Settings, read_settings
from tests.serving.conftest import KEY, KEYED, client_of

CONFIG = "/api/v1/config"
SECRET = "another-secret-of-the-tests"


def told(settings: Settings) -> dict[str, Any]:
    with TestClient(create_asgi(settings), base_url="http://127.0.0.1") as client:
        answer = client.get(CONFIG, headers=KEYED)
    assert answer.status_code == 200, answer.text
    assert not any(secret in answer.text for secret in (KEY, SECRET, digest(KEY.encode())))
    body: dict[str, Any] = answer.json()
    return body


def test_every_setting_tells_its_value_and_where_it_stands(tmp_path: Path) -> None:
    settings = read_settings(
        {
            "DEMANDGRAPH_DATA": str(tmp_path),
            "DEMANDGRAPH_API_KEYS": f"me:admin:{KEY},till:operator:{SECRET}",
            "DEMANDGRAPH_DAGSTER_URL": f"http://dagster:{SECRET}@127.0.0.1:9",
            "DEMANDGRAPH_MAX_DAYS": "365",
            "DEMANDGRAPH_MAX_DAY": "1",
        }
    )

    body = told(settings)

    said = {each["name"]: (each["value"], each["origin"]) for each in body["items"]}
    assert list(said) == [setting.name for setting in SETTINGS]
    assert said["DEMANDGRAPH_API_KEYS"] == ("***", "environment")
    assert said["DEMANDGRAPH_DAGSTER_URL"] == ("http://***@127.0.0.1:9", "environment")
    assert said["DEMANDGRAPH_MAX_DAYS"] == ("365", "environment")
    assert said["DEMANDGRAPH_PORT"] == ("8123", "default")
    assert "DEMANDGRAPH_MAX_DAYS" in body["mistaken"][0]


def test_a_value_of_the_file_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEMANDGRAPH_API_KEYS", f"me:admin:{KEY}")
    (tmp_path / ".env").write_text("DEMANDGRAPH_WORKERS=3\nDEMANDGRAPH_PROT=1\n")

    body = told(read_settings())

    said = {each["name"]: (each["value"], each["origin"]) for each in body["items"]}
    assert said["DEMANDGRAPH_WORKERS"] == ("3", ".env")
    assert any("did you mean DEMANDGRAPH_PORT?" in each for each in body["mistaken"])


def test_no_key_stays_in_the_settings() -> None:
    settings = read_settings({"DEMANDGRAPH_API_KEYS": f"me:admin:{KEY}"})

    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "host", "is_known"),
    [
        ({}, b"127.0.0.1:8123", True),
        ({}, b"localhost", True),
        ({}, b"[::1]:8123", True),
        ({}, b"LOCALHOST", True),
        ({}, b"", False),
        ({}, b"127.0.0.1.evil.example", False),
        ({}, b"evil.example#@127.0.0.1", False),
        ({}, b"127.0.0.1:8123\n", False),
        ({}, b"127x0x0x1", False),
        ({}, b"\xff\xfe", False),
        ({"host": "10.0.0.5"}, b"10.0.0.5:8123", True),
        ({"host": "0.0.0.0"}, b"10.0.0.5:8123", False),
        ({"host": "0.0.0.0"}, b"0.0.0.0", False),
        ({"allowed_hosts": ("demand.example",)}, b"demand.example", True),
        ({"allowed_hosts": ("demand.example",)}, b"demandxexample", False),
        ({"allowed_hosts": ("demand.example",)}, b"sub.demand.example", False),
        ({"allowed_hosts": ("*",)}, b"any.example:1", True),
    ],
)
def test_a_server_answers_to_its_names_alone(settings: dict[str, Any], host: bytes, is_known: bool) -> None:
    assert bool(host_check(Settings(**settings).hosts).match(host)) is is_known


def test_a_name_that_is_allowed_is_answered(tmp_path: Path) -> None:
    with client_of(tmp_path, allowed_hosts=("demand.example",)) as client:
        statuses = [client.get("/livez", headers={"Host": host}).status_code for host in ("demand.example", "evil.example")]

    assert statuses == [200, 403]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, []),
        ({"mistaken": ("DEMANDGRAPH_X is no setting",)}, ["DEMANDGRAPH_X"]),
        ({"host": "0.0.0.0"}, ["no API key yet"]),
        ({"host": "0.0.0.0", "api_keys": (f"me:admin:{KEY}",)}, []),
        ({"host": "0.0.0.0", "api_keys": (f"me:admin:{KEY}",), "reader_open": "always"}, ["can read all of it"]),
    ],
)
def test_what_is_perhaps_not_meant_is_told(settings: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    said = list(warnings(Settings(data=tmp_path, **settings)))

    assert len(said) == len(words)
    assert all(word in sentence for word, sentence in zip(words, said, strict=True))
