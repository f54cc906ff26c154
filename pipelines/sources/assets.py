"""Assets of the stage sources."""

import msgspec
from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from dagster_duckdb import DuckDBResource
from pydantic import Field

from assets_config.contract.landing import Batch
from assets_config.contract.seeds import Seed, SeedAppendParams
from assets_config.declared import Declarations
from pipelines.errors import SourceError
from pipelines.report import GRAPH_POOL
from pipelines.resources import Storage
from pipelines.sources.land import land_seed
from pipelines.sources.load import Ledger
from pipelines.sources.origin import LANDED, choose, first
from pipelines.warehouse import Origin


class SourceConfig(Config):
    """What to load beside the batches that wait. Left empty: the source this data root was last loaded from."""

    name: str | None = Field(default=None, description="Entry of sources.yaml, for example demo_minimal or m5_sample.")
    path: str | None = Field(default=None, description="Folder of the files, for sources that read files.")
    seed: str | None = Field(default=None, description="A generator's knobs as JSON (contract.seeds.Seed).")
    append: str | None = Field(default=None, description="Days to generate as JSON (contract.jobs.SeedAppendParams).")
    enrich: bool = Field(default=False, description="Generate lifecycle, receipts, exogenous series and returns.")
    delete: str | None = Field(default=None, description="Generated rows to take out: all, facts or dimensions.")
    batch: str | None = Field(default=None, description="Batch that was posted, also where it had been taken out before.")
    replay: str | None = Field(default=None, description="Batch whose kept bytes are read again.")


@asset(key_prefix="sources", group_name="sources", kinds={"duckdb", "parquet"}, owners=["team:data"], pool=GRAPH_POOL)
def batches(context: AssetExecutionContext, config: SourceConfig, storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
    """Every batch of the landing zone, read into typed rows; what cannot be typed is kept beside them with code, field and value.

    Takes in what was posted or lies in the inbox, and what the config asks for. Only batches that were not read yet are read.
    """
    ledger, declarations, run_id = Ledger(storage.warehouse()), storage.declarations(), context.run_id
    refused = ledger.take_in(run_id)
    for file, why in refused.items():
        context.log.warning(f"inbox/{file} stays where it is: {why}")
    again = [config.replay] if config.replay else []
    with duckdb.get_connection() as connection:
        wanted = _wanted(ledger, config, declarations, run_id)
        made = ledger.read(wanted.batches, declarations, connection, run_id=run_id)
        try:
            ledger.check(wanted.batches)
        except SourceError as error:
            if not wanted.is_look_again:
                raise
            context.log.warning(f"what was loaded of {wanted.origin} stays: {error}")
        else:
            if wanted.origin is not None:
                ledger.switch(wanted.batches, wanted.origin, run_id=run_id, anew=config.seed is not None)
        active = ledger.active()
        made += ledger.read(active, declarations, connection, again=again, run_id=run_id)
    for loaded in made:
        if loaded.failure:
            context.log.warning(f"batch {loaded.batch_id} cannot be used: {loaded.failure}")
        elif loaded.rejected:
            context.log.warning(f"batch {loaded.batch_id}: {loaded.rejected} of {loaded.lines} lines were rejected")
    return MaterializeResult(
        metadata={
            "source": (ledger.warehouse.origin() or Origin("", None)).name,
            "active batches": len(active),
            "read now": len(made),
            "lines read": sum(loaded.lines for loaded in made),
            "dagster/row_count": sum(loaded.lines for loaded in made),
            "left in the inbox": refused,
        }
    )


class Wanted(msgspec.Struct, frozen=True):
    """The source to switch to, if any, with its batches, which are kept by now."""

    origin: Origin | None = None
    batches: list[Batch] = []
    is_look_again: bool = False  # nobody asked for it: what is wrong with it must not hold up the others


def _wanted(ledger: Ledger, config: SourceConfig, declarations: Declarations, run_id: str) -> Wanted:
    if config.seed is not None:
        seed = msgspec.json.decode(config.seed, type=Seed)
        origin = Origin(seed.preset, None)
        return Wanted(origin, [land_seed(ledger.landing, seed, origin.name)])
    if config.append is not None:
        ledger.append(msgspec.json.decode(config.append, type=SeedAppendParams), run_id=run_id)
    elif config.enrich:
        ledger.enrich(run_id=run_id)
    elif config.delete is not None:
        ledger.delete(config.delete, run_id=run_id)
    elif config.replay is not None or config.batch is not None:
        ledger.reactivate(config.replay or config.batch or "", run_id=run_id)
        if ledger.warehouse.origin() is None:
            first(ledger.warehouse)  # what was posted to a restored backup does not stand for all that is published
            return Wanted(Origin(LANDED, None))
    else:
        origin = choose(ledger.warehouse, declarations, name=config.name, path=config.path)
        if config.name is not None or ledger.warehouse.origin() is None:
            return Wanted(origin, ledger.land(origin, declarations))
        try:
            found = ledger.look_again(origin, declarations)
        except SourceError:
            return Wanted()
        return Wanted(origin, found, is_look_again=True) if found else Wanted()
    return Wanted()


ASSETS = [batches]
