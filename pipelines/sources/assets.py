"""Assets of the stage sources."""

from dagster import AssetExecutionContext, AssetsDefinition, Config, MaterializeResult, asset
from dagster_duckdb import DuckDBResource
from pydantic import Field

from pipelines.report import table_made
from pipelines.resources import Storage
from pipelines.sources.load import choose, load
from pipelines.sources.load import source as declaration_of


class SourceConfig(Config):
    """Which source to load. Left empty: the one this data root was last loaded from, at first the demo."""

    name: str | None = Field(default=None, description="Entry of sources.yaml, for example demo_minimal or m5_sample.")
    path: str | None = Field(default=None, description="Folder of the files, for sources that read files.")


@asset(key_prefix="sources", group_name="sources", kinds={"yaml"}, owners=["team:data"])
def source(config: SourceConfig, storage: Storage) -> MaterializeResult:
    """Which declared source the warehouse is loaded from. Its config chooses; without one the last choice stands."""
    warehouse = storage.warehouse()
    declarations = storage.declarations()
    origin = choose(warehouse, declarations, name=config.name, path=config.path)
    warehouse.set_origin(origin)
    about = declaration_of(declarations, origin).about
    return MaterializeResult(metadata={"source": origin.name, "path": origin.path or "", "about": about})


def _raw(table: str, about: str) -> AssetsDefinition:
    @asset(
        name=table,
        key_prefix="sources",
        group_name="sources",
        kinds={"duckdb", "parquet"},
        owners=["team:data"],
        deps=[source],
        description=about,
    )
    def raw(context: AssetExecutionContext, storage: Storage, duckdb: DuckDBResource) -> MaterializeResult:
        warehouse = storage.warehouse()
        origin = choose(warehouse, storage.declarations(), name=None, path=None)
        with duckdb.get_connection() as connection:
            rejected = load(warehouse, declaration_of(storage.declarations(), origin), origin, table, connection)
        if rejected:
            context.log.warning(f"{rejected} rows of {origin.name} were rejected: see sources/{table}_rejects")
        return table_made(warehouse, f"sources/{table}", rejected=rejected, source=origin.name)

    return raw


ASSETS = [
    source,
    _raw("raw_stores", "Stores as the source has them; empty where it has none."),
    _raw("raw_products", "Products as the source has them; empty where it has none."),
    _raw("raw_calendar", "Days with holiday or event names as the source has them; empty where it has none."),
    _raw("raw_sales", "Sales a store, product and day as the source has them, typed; file and row of each."),
]
