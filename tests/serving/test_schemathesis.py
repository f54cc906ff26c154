"""A real server keeps to its own document when it is asked odd questions; `make fuzz` asks thousands more."""

import shutil
from pathlib import Path

from tests.serving.fuzz import ask, serving


def test_the_server_keeps_to_its_document(demo_root: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(demo_root, tmp_path / "data"))

    with serving(root) as url:
        said = ask(url, phases="examples,fuzzing", examples=3, seed=7, folder=tmp_path)

    assert said.returncode == 0, said.stdout[-5_000:] + said.stderr[-1_000:]
    assert "Tested: " in said.stdout
    assert not list((root / "landing").rglob("*.part")), "nothing is left behind"
