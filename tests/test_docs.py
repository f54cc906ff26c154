"""What exists is named in the docs, and what the docs name exists. Each message says which line to add or mend."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demandgraph.cli import parser
from pipelines.resources import SETTINGS as PIPELINES
from serving.problems import PROBLEMS
from serving.settings import SETTINGS as SERVING

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> dict[str, argparse.ArgumentParser]:
    action = next(each for each in parser()._actions if isinstance(each, argparse._SubParsersAction))
    return dict(action.choices)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def code_lines(page: Path) -> Iterator[str]:
    """The lines of a page's shell blocks, comments left out."""
    for block in re.findall(r"```(?:sh|bash)\n(.*?)```", page.read_text(), re.DOTALL):
        yield from (line for line in block.replace("\\\n", " ").splitlines() if line.strip())


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("setting", [*PIPELINES, *SERVING], ids=lambda setting: setting.name)
def test_every_setting_has_its_line(setting: Any) -> None:
    line = f"| `{setting.name}` | {f'`{setting.default}`' if setting.default else ''} | {setting.help} |".replace("|  |", "| |")

    assert line in (ROOT / "docs/settings.md").read_text(), f"docs/settings.md: write\n{line}"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    named = {name for page in PAGES for name in re.findall(r"DEMANDGRAPH_[A-Z_]+", page.read_text())}

    assert named <= {setting.name for setting in (*PIPELINES, *SERVING)}


@pytest.mark.parametrize("slug", PROBLEMS)
def test_every_problem_has_its_heading(slug: str) -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/problems.md").read_text(), re.MULTILINE)

    assert any(slug in heading for heading in headings), f"docs/problems.md: add a heading with {slug}"


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"`demandgraph {command}`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("target", sorted(targets()))
def test_every_target_is_documented(target: str) -> None:
    assert any(f"make {target}" in page.read_text() for page in PAGES), f"name `make {target}` in README.md or docs/"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_on_the_page_exist(page: Path) -> None:
    for line in code_lines(page):
        words = shlex.split(line, comments=True)
        words = words[next((n for n, word in enumerate(words) if "=" not in word), 0) :]
        if words[:1] == ["make"]:
            assert words[1] in targets(), f"{page.name}: {line}"
        if words and words[0].endswith("demandgraph"):
            commands()[words[1]].parse_args(words[2:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text()

    missing = [page.name for page in (ROOT / "docs").rglob("*.md") if page.name not in ("index.md",) and page.name not in index]

    assert not missing
