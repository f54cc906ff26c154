"""Which source is loaded: the one that was asked for, else the last one, else what was landed, else the demo."""

from contextlib import suppress
from pathlib import Path

import msgspec

from assets_config.contract.landing import Landing
from assets_config.contract.manifest import Manifest
from assets_config.declared import Declarations, Generator, Source
from assets_config.mapping import FileSource
from pipelines.errors import SourceError
from pipelines.sources.audit import Audit
from pipelines.sources.land import check_folder, is_posted, waiting
from pipelines.warehouse import Origin, Warehouse

DEFAULT_SOURCE = "demo_minimal"
LANDED = "landing"
"""The origin of a data root that was never told a source: what was posted or dropped into the inbox."""


def choose(warehouse: Warehouse, declarations: Declarations, *, name: str | None, path: str | None) -> Origin:
    """Decide which source is loaded: the one asked for, else the last one, else what was landed, else the demo.

    Raises SourceError, when no source has that name, or a path is missing, no folder, or not wanted; and as `first` does.
    """
    if name is None:
        if path is not None:
            raise SourceError(f"a path ({path}) needs the name of the source that says how to read it")
        return warehouse.origin() or first(warehouse)
    origin = Origin(name, str(Path(path).absolute()) if path else None)
    declared = source(declarations, origin)
    if isinstance(declared, FileSource):
        if origin.path is None:
            raise SourceError(f"source {name} reads files: give their folder with --path")
        check_folder(declared, Path(origin.path))
    if isinstance(declared, Generator) and origin.path is not None:
        raise SourceError(f"source {name} generates its rows and reads no path ({origin.path})")
    return origin


def first(warehouse: Warehouse) -> Origin:
    """The source of a data root that was never told one: what was landed, else the demo.

    Raises SourceError, when something is published whose batches are not here, as in a backup: it would be replaced by other data.
    """
    landing = Landing(warehouse.root)
    batches = landing.batches()
    newest = _published(warehouse)
    if newest and not any(batch.received_at <= newest.published_at for batch in batches):
        raise SourceError(
            f"{newest.id} is published here, made of {newest.source}, but {landing.folder} has no batch of it: bring that folder "
            "back, or say what to load in its place (demandgraph materialize --preset, or --source with --path)"
        )
    active = {batch_id for batch_id, last in Audit(landing.audit).states().items() if last.state != "retracted"}
    has_come = any(is_posted(batch) or batch.batch_id in active for batch in batches) or any(waiting(landing))
    return Origin(LANDED if has_come else DEFAULT_SOURCE, None)


def source(declarations: Declarations, origin: Origin) -> Source:
    """The declaration of a source. Raises SourceError, naming those that exist."""
    if origin.name not in declarations.sources:
        known = ", ".join(declarations.sources)
        raise SourceError(f"no source is called {origin.name} in sources.yaml; there are {known}")
    return declarations.sources[origin.name]


def _published(warehouse: Warehouse) -> Manifest | None:
    """The newest snapshot that is kept; None where there is none that can be read."""
    for path in sorted(warehouse.published.snapshots.glob("*.json"), reverse=True):
        with suppress(msgspec.MsgspecError, OSError):
            return msgspec.json.decode(path.read_bytes(), type=Manifest)
    return None
