"""Where things lie under the data root, for both sides."""

from pathlib import Path


class Published:
    """Paths of the published area of one data root."""

    def __init__(self, root: Path) -> None:
        self.root = root / "published"
        self.parts = self.root / "parts"
        self.snapshots = self.root / "snapshots"
        self.expired = self.snapshots / "expired"  # manifests of collected snapshots: a pin of one answers 410
        self.pointer = self.root / "current.json"
        self.turn = self.root / "turn"
        self.lock = self.root / "publish.lock"

    def manifest(self, snapshot_id: str) -> Path:
        return self.snapshots / f"{snapshot_id}.json"

    def part(self, key: str) -> Path:
        return self.parts / key
