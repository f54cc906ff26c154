"""Which source is loaded: the one that was asked for, else the last one, else what was landed, else the demo."""

from pathlib import Path

from assets_config.contract.landing import Landing
from assets_config.declared import Declarations, Generator, Source
from assets_config.mapping import FileSource
from pipelines.errors import SourceError
from pipelines.sources.land import check_folder, is_posted, waiting
from pipelines.warehouse import Origin, Warehouse

DEFAULT_SOURCE = "demo_minimal"
LANDED = "landing"
"""The origin of a data root that was never told a source: what was posted or dropped into the inbox."""


def choose(warehouse: Warehouse, declarations: Declarations, *, name: str | None, path: str | None) -> Origin:
    """Decide which source is loaded: the one asked for, else the last one, else what was landed, else the demo.

    Raises SourceError, when no source has that name, or a path is missing, no folder, or not wanted.
    """
    if name is None:
        if path is not None:
            raise SourceError(f"a path ({path}) needs the name of the source that says how to read it")
        landing = Landing(warehouse.root)
        started = any(is_posted(batch) for batch in landing.batches()) or any(waiting(landing))
        return warehouse.origin() or Origin(LANDED if started else DEFAULT_SOURCE, None)
    origin = Origin(name, str(Path(path).absolute()) if path else None)
    declared = source(declarations, origin)
    if isinstance(declared, FileSource):
        if origin.path is None:
            raise SourceError(f"source {name} reads files: give their folder with --path")
        check_folder(declared, Path(origin.path))
    if isinstance(declared, Generator) and origin.path is not None:
        raise SourceError(f"source {name} generates its rows and reads no path ({origin.path})")
    return origin


def source(declarations: Declarations, origin: Origin) -> Source:
    """The declaration of a source. Raises SourceError, naming those that exist."""
    if origin.name not in declarations.sources:
        known = ", ".join(declarations.sources)
        raise SourceError(f"no source is called {origin.name} in sources.yaml; there are {known}")
    return declarations.sources[origin.name]
