"""What assets reach the world through: the warehouse, the declarations and DuckDB. Reads the environment, alone."""

import os
from pathlib import Path
from typing import NamedTuple

from dagster import ConfigurableResource
from dagster_duckdb import DuckDBResource

from assets_config.declared import Declarations, load_declarations
from pipelines.warehouse import Warehouse


class Setting(NamedTuple):
    """One environment variable that the pipelines read."""

    name: str
    default: str
    help: str


SETTINGS = (
    Setting("DEMANDGRAPH_DATA", "data", "Root folder of all state: landing, warehouse, published, dagster."),
    Setting("DEMANDGRAPH_CONFIG", "", "Folder whose sources.yaml, models.yaml and kpis.yaml lie over the shipped ones."),
    Setting("DEMANDGRAPH_EXECUTOR", "in_process", "How the steps of a run are executed: in_process or multiprocess."),
    Setting("DEMANDGRAPH_MEMORY", "3GB", "Memory that DuckDB may use in one step before it spills to disk."),
    Setting("DEMANDGRAPH_THREADS", "", "Threads that DuckDB uses in one step; all cores by default."),
)


def setting(name: str) -> str:
    """The value of a pipeline setting: the environment's, or its default."""
    defaults = {each.name: each.default for each in SETTINGS}
    return os.environ.get(name) or defaults[name]


def threads() -> int:
    """How many threads a step may use."""
    return int(setting("DEMANDGRAPH_THREADS") or os.cpu_count() or 1)


class Storage(ConfigurableResource):
    """The data root and what is declared about it."""

    def warehouse(self) -> Warehouse:
        return Warehouse(Path(setting("DEMANDGRAPH_DATA")))

    def declarations(self) -> Declarations:
        """Raises DeclarationError, when the YAML has a mistake."""
        overlay = setting("DEMANDGRAPH_CONFIG")
        return load_declarations(Path(overlay) if overlay else None)


def duckdb_resource() -> DuckDBResource:
    """In-memory DuckDB: a fresh one for each use, that spills beside the warehouse and keeps no order it need not."""
    spill = Path(setting("DEMANDGRAPH_DATA")).absolute() / "warehouse" / ".spill"
    return DuckDBResource(
        database=":memory:",
        connection_config={
            "memory_limit": setting("DEMANDGRAPH_MEMORY"),
            "threads": threads(),
            "preserve_insertion_order": False,
            "temp_directory": str(spill),
        },
    )
