"""Settings in layers: the environment over `.env` over defaults, typed, and mistyped names told."""

from pathlib import Path

import pytest

from assets_config.settings import NAMES, Layers, SettingError, layers, read
from pipelines.resources import SETTINGS as PIPELINES
from pipelines.resources import Settings as PipelineSettings
from serving.settings import SETTINGS as SERVING
from serving.settings import Settings


def test_the_names_are_those_of_both_sides() -> None:
    both = {setting.name for setting in (*PIPELINES, *SERVING)}

    assert set(NAMES) == both, "assets_config/settings.py: NAMES lists every setting"


def test_the_environment_lies_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# ours\nDEMANDGRAPH_PORT=9001\nexport DEMANDGRAPH_WORKERS='2'\nDEMANDGRAPH_MAX_DAYS=\nOTHER=1\nDEMANDGRAPH_DATA=$HOME/x\n"
    )
    given = layers({"DEMANDGRAPH_PORT": "9002", "DEMANDGRAPH_QUERY_THREADS": ""}, tmp_path)

    settings = read(Settings, given)

    assert (settings.port, settings.workers, settings.max_days, settings.query_threads) == (9002, 2, 730, 4)
    assert str(settings.data) == "$HOME/x", "taken as it stands"
    assert given.find("DEMANDGRAPH_PORT") == ("9002", "environment")
    assert given.find("DEMANDGRAPH_WORKERS") == ("2", ".env")
    assert given.find("DEMANDGRAPH_MAX_DAYS") is None


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    assert read(Settings, layers({}, tmp_path)) == Settings()


def test_lists_are_written_with_commas() -> None:
    settings = read(Settings, Layers({"DEMANDGRAPH_ALLOWED_HOSTS": "a.example, b.example,", "DEMANDGRAPH_CORS_ORIGINS": "*"}))

    assert (settings.allowed_hosts, settings.cors_origins) == (("a.example", "b.example"), ("*",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEMANDGRAPH_PORT", "port"),
        ("DEMANDGRAPH_READER_OPEN", "yes"),
        ("DEMANDGRAPH_CORS_ORIGINS", "https://a.example/page"),
        ("DEMANDGRAPH_ALLOWED_HOSTS", "a.example/b"),
        ("DEMANDGRAPH_READ_RATE", "-1"),
        ("DEMANDGRAPH_REQUEST_SECONDS", "0"),
    ],
)
def test_a_value_that_cannot_be_used_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{name} is '{value}'"):
        read(Settings, Layers({name: value}))
    with pytest.raises(SettingError, match=f"{name} in .env"):
        read(Settings, Layers({}, {name: value}))


def test_a_secret_is_not_told_even_where_it_is_wrong() -> None:
    with pytest.raises(SettingError) as raised:
        read(Settings, Layers({"DEMANDGRAPH_API_KEYS": "till:owner:secret-of-more-than-24-letters"}))

    assert "DEMANDGRAPH_API_KEYS is of the wrong form" in str(raised.value)
    assert "secret-of" not in str(raised.value)


def test_pipelines_have_typed_settings_too() -> None:
    assert read(PipelineSettings, Layers({"DEMANDGRAPH_THREADS": "3"})).threads == 3
    with pytest.raises(SettingError, match="DEMANDGRAPH_EXECUTOR is 'celery'"):
        read(PipelineSettings, Layers({"DEMANDGRAPH_EXECUTOR": "celery"}))


def test_a_mistyped_name_is_told_with_what_was_meant() -> None:
    given = Layers({"DEMANDGRAPH_PROT": "1", "DEMANDGRAPH_PORT": "2", "PATH": "x"}, {"DEMANDGRAPH_MAX_DAY": "3", "OTHER": "4"})

    assert given.mistaken() == [
        "DEMANDGRAPH_MAX_DAY is no setting and does nothing; did you mean DEMANDGRAPH_MAX_DAYS?",
        "DEMANDGRAPH_PROT is no setting and does nothing; did you mean DEMANDGRAPH_PORT?",
    ]
    assert Layers({"DEMANDGRAPH_XYZZY_QUUX": "1"}).mistaken() == [
        "DEMANDGRAPH_XYZZY_QUUX is no setting and does nothing; docs/settings.md lists all"
    ]
