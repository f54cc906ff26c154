"""What assets reach the world through: the warehouse, the declarations and DuckDB. Reads the environment, alone."""

import os
from pathlib import Path
from typing import Annotated, Literal

from dagster import ConfigurableResource
from dagster_duckdb import DuckDBResource
from msgspec import Meta, Struct

from assets_config.declared import Declarations, load_declarations
from assets_config.settings import layers, listed, read
from pipelines.warehouse import Warehouse


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of the pipelines. A field is the variable of the same name in upper case, after DEMANDGRAPH_."""

    data: Annotated[Path, Meta(description="Root folder of all state: landing, warehouse, published, dagster.")] = Path("data")
    config: Annotated[
        Path | None, Meta(description="Folder whose sources.yaml, models.yaml and kpis.yaml lie over the shipped ones.")
    ] = None
    executor: Annotated[
        Literal["in_process", "multiprocess"],
        Meta(description="How the steps of a run are executed: in_process or multiprocess."),
    ] = "in_process"
    memory: Annotated[str, Meta(description="Memory that DuckDB may use in one step before it spills to disk.")] = "3GB"
    threads: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Threads that DuckDB uses in one step; all cores by default.")
    ] = None
    jobs_retention_days: Annotated[
        int, Meta(ge=0, le=36500, description="Days that ended jobs and their events are kept; 0 keeps all [days].")
    ] = 30
    variance: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="Share by which sales may be off the forecast until forecasts are made again unasked; 0: never [ratio].",
        ),
    ] = 0.2
    embedding_key: Annotated[
        str,
        Meta(description="Key of the embeddings server that knowledge.yaml names, where it asks for one.", extra={"secret": True}),
    ] = ""
    webhook_url: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[^\s/]+")] | None,
        Meta(description="Where the channel webhook posts notifications to.", extra={"secret": True}),
    ] = None
    webhook_secret: Annotated[
        str | None, Meta(description="Signs what is posted: X-Signature is its HMAC-SHA256.", extra={"secret": True})
    ] = None
    smtp_url: Annotated[
        Annotated[str, Meta(pattern=r"^(smtp|smtps|smtp\+starttls)://[^\s/]+")] | None,
        Meta(description="Mail server of the channel email: smtp://user:password@host:port, smtps:// or smtp+starttls://.",
             extra={"secret": True}),
    ] = None  # fmt: skip
    mail_from: Annotated[str, Meta(description="Sender of notifications by e-mail.")] = "demandgraph@localhost"


SETTINGS = listed(Settings)
"""Every setting: name, default and help."""


def settings() -> Settings:
    """The settings that hold: the environment's, then those of `.env`, then the defaults.

    Raises SettingError, naming the variable, when a value cannot be used.
    """
    return read(Settings, layers(os.environ))


class Storage(ConfigurableResource):
    """The data root and what is declared about it."""

    def warehouse(self) -> Warehouse:
        return Warehouse(settings().data)

    def declarations(self) -> Declarations:
        """Raises DeclarationError, when the YAML has a mistake."""
        return load_declarations(settings().config)


def duckdb_resource() -> DuckDBResource:
    """In-memory DuckDB: a fresh one for each use, that spills beside the warehouse and keeps no order it need not."""
    held = settings()
    spill = held.data.absolute() / "warehouse" / ".spill"
    return DuckDBResource(
        database=":memory:",
        connection_config={
            "memory_limit": held.memory,
            "threads": held.threads or os.cpu_count() or 1,
            "preserve_insertion_order": False,
            "temp_directory": str(spill),
        },
    )
