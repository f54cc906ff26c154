from importlib.metadata import PackageNotFoundError

import pytest

from demandgraph import installed
from demandgraph.installed import Requirement, numbers, requirements


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed, as importlib.metadata would tell it."""
    found: dict[str, str] = {}

    def version(name: str) -> str:
        if name not in found:
            raise PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(installed, "version", version)
    return found


def test_every_dependency_of_pyproject_is_read() -> None:
    found = {(each.name, each.extra) for each in requirements()}

    assert {("msgspec", ""), ("dagster", "pipelines"), ("litestar", "serving"), ("pytest", "dev")} <= found


def test_what_is_installed_here_has_no_fault() -> None:
    assert [fault for each in requirements() if each.extra in ("", "pipelines", "serving") and (fault := each.fault())] == []


def test_a_version_outside_the_range_is_a_fault(versions: dict[str, str]) -> None:
    versions["dagster"] = "1.14.0"

    fault = Requirement("dagster", "<1.14,>=1.13", "pipelines").fault()

    assert fault == "dagster 1.14.0 is installed, <1.14,>=1.13 is needed"


def test_the_gpu_build_of_xgboost_will_do(versions: dict[str, str]) -> None:
    versions["xgboost"] = "3.2.0"

    assert Requirement("xgboost-cpu", "<4,>=3", "pipelines").fault() is None


def test_a_missing_package_is_a_fault(versions: dict[str, str]) -> None:
    assert Requirement("dagster", ">=1.13", "pipelines").fault() == "dagster is missing"


@pytest.mark.parametrize(("text", "parts"), [("2.10.0rc1", (2, 10)), ("3", (3,)), ("1.13.0", (1, 13)), ("x", ())])
def test_versions_compare_as_numbers(text: str, parts: tuple[int, ...]) -> None:
    assert numbers(text) == parts
