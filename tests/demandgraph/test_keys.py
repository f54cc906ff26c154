"""`demandgraph keys`: a key is printed once and alone, listed without being told, and revoked."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assets_config.contract.keys import KeyFile, digest
from demandgraph import keys
from demandgraph.cli import main

NOW = datetime.now(UTC)


def test_a_new_key_stands_alone_on_standard_output(data: Path) -> None:
    command = [Path(sys.executable).with_name("demandgraph"), "--data", data, "keys", "new", "--role", "operator", "--name", "till"]

    said = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert said.returncode == 0
    assert re.fullmatch(r"dg_[A-Za-z0-9_-]{43}\n", said.stdout)
    assert "till (operator)" in said.stderr
    assert said.stdout.strip() not in said.stderr
    [kept] = KeyFile(data).read()
    assert (kept.name, kept.role, kept.sha256) == ("till", "operator", digest(said.stdout.strip().encode()))


def test_keys_are_listed_without_what_opens(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret, made = KeyFile(data).add(role="admin", name="me", days=3, now=NOW)
    KeyFile(data).add(role="reader", name="gone", now=NOW)
    main(["--data", str(data), "keys", "revoke", "gone"])

    codes = [main(["keys", "list", "--data", str(data)]), main(["keys", "list", "--json", "--data", str(data)])]

    said = capsys.readouterr().out
    assert codes == [0, 0]
    assert secret not in said
    assert made.sha256 not in said
    listed = json.loads(said[said.index("[\n") :])
    assert [(key["name"], key["state"]) for key in listed] == [("me", "active"), ("gone", "revoked")]


def test_what_cannot_be_done_is_told_with_exit_code_1(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = ["--data", str(data), "keys", "new", "--role", "reader", "--name", "till"]

    codes = [main(new), main(new), main(["--data", str(data), "keys", "revoke", "nobody"])]

    said = capsys.readouterr().err
    assert codes == [0, 1, 1]
    assert "There is a key called till" in said
    assert "No key that counts is called nobody" in said


@pytest.mark.parametrize("wrong", ["new", "new --role owner", "new --role admin --days 0", "revoke", ""])
def test_a_wrong_command_line_is_refused(wrong: str) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["keys", *wrong.split()])

    assert refused.value.code == 2


def test_the_first_admin_key_is_made_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMANDGRAPH_API_KEYS", raising=False)
    KeyFile(data).add(role="operator", now=NOW)

    first, second = keys.first(data), keys.first(data)
    [admin] = [key for key in KeyFile(data).read() if key.role == "admin"]
    KeyFile(data).revoke(admin.id, NOW)
    third = keys.first(data)

    assert first is not None
    assert second is None
    assert third not in (None, first), "who revoked the last one can go on"


def test_no_key_is_made_where_the_environment_has_one(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMANDGRAPH_API_KEYS", f"me:admin:sha256:{'0' * 64}")

    assert keys.first(data) is None
    assert KeyFile(data).read() == []


def test_a_mistyped_setting_is_told(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DEMANDGRAPH_PROT", "1")

    main(["--data", str(data), "keys", "list"])

    assert "did you mean DEMANDGRAPH_PORT?" in capsys.readouterr().err
