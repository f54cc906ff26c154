"""Parts: the tables that are published together, as one immutable folder named by a hash of what went in."""

import hashlib
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import msgspec

from assets_config.contract.durable import making_folder
from assets_config.contract.integrity import part_damage, sha256
from assets_config.contract.knowledge import KNOWLEDGE
from assets_config.contract.layout import Published
from assets_config.contract.manifest import File, Manifest, Part
from assets_config.contract.tables import FACTS_PREFIX, ORDER, PARTS, SCHEMA_VERSION, STATE, TRIALS
from pipelines.errors import PipelineError
from pipelines.knowledge.bundle import current_bundle
from pipelines.kpis.cubes import cubes_folder, months_of_years, read_index, rows_of
from pipelines.models.fits import artifact_path
from pipelines.publish.frames import check
from pipelines.trials.tables import is_there
from pipelines.warehouse import Warehouse, scan

TABLE_KEYS = {
    "dim_store": "core/dim_store",
    "dim_product": "core/dim_product",
    "dim_calendar": "core/dim_calendar",
    "dim_category": "core/dim_category",
    "dim_process": "core/dim_process",
    "hist_store": "core/hist_store",
    "hist_product": "core/hist_product",
    "id_map": "core/id_map",
    "price_history": "core/price_history",
    "promotion": "core/promotion",
    "inventory_daily": "core/inventory_daily",
    "demand_unconstrained": "core/demand_unconstrained",
    "weekly_actuals": "core/weekly_actuals",
    "ingest_batch": "core/ingest_batch",
    "ingest_reject": "core/ingest_reject",
    "ingest_audit": "core/ingest_audit",
    "kpi_daily": "kpis/kpi_daily",
    "series_segment": "features/series_segment",
    "feature_catalog": "features/feature_catalog",
    "feature_preview": "features/feature_preview",
    "model_type": "forecasts/model_type",
    "model_run": "forecasts/model_run",
    "model_alias": "forecasts/model_alias",
    "model_run_note": "forecasts/model_run_note",
    "backtest": "backtests/backtest",
    "backtest_fold": "backtests/backtest_fold",
    "backtest_metric": "backtests/backtest_metric",
    "forecast": "forecasts/forecast",
    "forecast_explanation": "forecasts/forecast_explanation",
    "model_card": "forecasts/model_card",
    "forecast_level": "forecasts/forecast_level",
    "forecast_set": "forecasts/forecast_set",
    "forecast_set_level": "forecasts/forecast_set_level",
    "forecast_accuracy": "forecasts/forecast_accuracy",
    "forecast_value_added": "forecasts/forecast_value_added",
    "interval_coverage": "forecasts/interval_coverage",
    "rag_source": "knowledge/rag_source",
    "rag_chunk": "knowledge/rag_chunk",
    "store_cluster": "planning/store_cluster",
    "store_cluster_member": "planning/store_cluster_member",
    "cluster_diagnostic": "planning/cluster_diagnostic",
    "inventory_policy": "planning/inventory_policy",
    "stock_risk": "planning/stock_risk",
    "replenishment_proposal": "planning/replenishment_proposal",
    "alert_rule": "planning/alert_rule",
    "alert": "planning/alert",
    "notification_preference": "planning/notification_preference",
    "notification_template": "planning/notification_template",
    "notification": "planning/notification",
    "notification_delivery": "planning/notification_delivery",
    "trial_run": "trials/trial_run",
    "trial_backtest": "trials/trial_backtest",
    "trial_fold": "trials/trial_fold",
    "trial_metric": "trials/trial_metric",
    "trial_forecast": "trials/trial_forecast",
    "season_plan": "planning/season_plan",
    "season_forecast": "planning/season_forecast",
    "season_week": "planning/season_week",
    "season_store": "planning/season_store",
    "season_buy": "planning/season_buy",
    "allocation": "planning/allocation",
    "replenishment": "planning/replenishment",
    "variance_week": "planning/variance_week",
    "markdown": "planning/markdown",
    "approval": "planning/approval",
    "season_result": "planning/season_result",
    "season_step": "planning/season_step",
    "price_elasticity": "planning/price_elasticity",
    "scenario": "planning/scenario",
    "scenario_day": "planning/scenario_day",
    "agent_session": "planning/agent_session",
    "agent_turn": "planning/agent_turn",
    "tool_approval": "planning/tool_approval",
    "workspace": "publish/workspace",
}
"""The asset that makes each published table: its last key part is the table's name (a test holds it to the graph)."""


KPI_DAILY = TABLE_KEYS["kpi_daily"]


class PartInputs(msgspec.Struct, frozen=True):
    """What a part is made of: its tables' Parquet files, and files that are taken along as they are."""

    name: str
    tables: dict[str, list[Path]]
    extras: dict[str, Path]  # path within the part -> file; a .zip is unpacked into the part
    dataset_id: str

    def key(self, package_version: str) -> str:
        """32 hex digits: a hash of the contents that go in, of the code's version and of the contract's."""
        digest = hashlib.sha256(f"{self.name}\n{package_version}\n{SCHEMA_VERSION}\n{self.dataset_id}\n".encode())
        files = [(label, path) for label, paths in self.tables.items() for path in paths] + list(self.extras.items())
        for label, path in sorted(files):
            digest.update(f"{label} {sha256(path)}\n".encode())
        return digest.hexdigest()[:32]


def inputs(warehouse: Warehouse, name: str) -> list[PartInputs]:
    """What the part `name` would be made of now; for `kpis` also the parts of its years.

    Raises PipelineError, when one of its tables was never materialised.
    """
    if name == "kpis":
        return _kpis(warehouse)
    if name == STATE:
        return _state(warehouse)
    if name == KNOWLEDGE:
        return _knowledge(warehouse)
    if name == TRIALS:
        return _trials(warehouse)
    tables = {table: warehouse.files(TABLE_KEYS[table]) for table in PARTS[name]}
    extras: dict[str, Path] = {}
    if name == "registry":
        listed = warehouse.read("forecasts/model_run")["artifact_uri"].drop_nulls().to_list()
        artifacts = {uri: warehouse.folder / "models" / uri for uri in sorted(listed)}
        extras = {uri: path for uri, path in artifacts.items() if path.exists()}  # one that is gone is told by verify
    made_past_core = not all(TABLE_KEYS[table].startswith("core/") for table in PARTS[name])
    dataset_id = warehouse.stamp(TABLE_KEYS[PARTS[name][0]]).dataset_id if made_past_core else warehouse.dataset_id()
    return [PartInputs(name, tables, extras, dataset_id)]


def _kpis(warehouse: Warehouse) -> list[PartInputs]:
    """What the cubes are, and a part a year with its rows and sums, so that a new day leaves those of past years as they are.

    The dataset of a year is the content of its own months.
    """
    index, rows, cubes = read_index(warehouse), warehouse.partitioned(KPI_DAILY).folder, cubes_folder(warehouse)
    years = [
        PartInputs(
            f"{FACTS_PREFIX}{year}",
            {"kpi_daily": [rows / month.file for month in months]},
            {"cubes.zip": cubes / index.years[year].file},
            rows_of(months)[:16],
        )
        for year, months in months_of_years(warehouse).items()
    ]
    return [PartInputs("kpis", {}, {"cubes.json": cubes / index.file}, index.dataset_id), *years]


def _state(warehouse: Warehouse) -> list[PartInputs]:
    """The tables of state that there are: one is first made by a run of the whole graph, or by the first job that changes it."""
    paths = {table: warehouse.path(TABLE_KEYS[table]) for table in PARTS[STATE]}
    tables = {table: [path] for table, path in paths.items() if path.exists()}
    if not tables:
        raise PipelineError("nothing was decided yet: materialise forecasts (or everything) first")
    return [PartInputs(STATE, tables, {}, warehouse.stamp(TABLE_KEYS[next(iter(tables))]).dataset_id)]


def _knowledge(warehouse: Warehouse) -> list[PartInputs]:
    """The last index that was finished, with the tables that it was made of, whatever a run is making meanwhile."""
    bundle = current_bundle(warehouse)
    tables = {table: [bundle.file(f"{table}.parquet")] for table in PARTS[KNOWLEDGE]}
    return [PartInputs(KNOWLEDGE, tables, {"index.zip": bundle.file("index.zip")}, bundle.digest[:16])]


def _trials(warehouse: Warehouse) -> list[PartInputs]:
    """The tables of trials of the source that is loaded, with the artifacts of their runs. The caller holds the lock `adding`."""
    keys = {table: TABLE_KEYS[table] for table in PARTS[TRIALS]}
    tables = {table: [warehouse.path(key)] for table, key in keys.items() if is_there(warehouse, key)}
    if not tables:
        raise PipelineError("nothing was tried yet: a job of type train, backtest or predict is the first")
    listed = warehouse.read(keys["trial_run"])["artifact_uri"].drop_nulls().to_list() if "trial_run" in tables else []
    extras = {uri: path for uri in sorted(listed) if (path := artifact_path(warehouse, uri, stage="trials")).exists()}
    return [PartInputs(TRIALS, tables, extras, warehouse.stamp(keys[next(iter(tables))]).dataset_id)]


def make_part(
    published: Published,
    part: PartInputs,
    *,
    package_version: str,
    known: Sequence[Manifest],
    made_at: datetime,
) -> Part:
    """The part for these inputs: one that an earlier snapshot has, if its files are whole, else a new one.

    Raises ContractError, when a table differs from its contract; nothing is left behind then.
    """
    key = part.key(package_version)
    earlier = {each.key: each for manifest in known for each in manifest.parts.values()}
    for n in range(1, 1000):
        numbered = key if n == 1 else f"{key}-{n}"
        if numbered not in earlier:
            break
        if not any(part_damage(published, part.name, earlier[numbered])):
            return earlier[numbered]
    folder = published.part(numbered)
    if folder.exists():  # a publish was killed between the part and its manifest: no reader knows this path
        shutil.rmtree(folder)
    with making_folder(folder) as beside:
        rows = _write_tables(beside / "tables.duckdb", part.tables) if part.tables else {}
        _copy_extras(beside, part.extras)
        files = {
            str(path.relative_to(beside)): File(path.stat().st_size, sha256(path))
            for path in sorted(beside.rglob("*"))
            if path.is_file()
        }
    return Part(numbered, files, rows, part.dataset_id, made_at)


def _write_tables(target: Path, tables: Mapping[str, Sequence[Path]]) -> dict[str, int]:
    rows = {}
    with duckdb.connect(str(target), config={"threads": 2}) as connection:
        for name, paths in tables.items():
            rows[name] = check(name, paths, connection)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {scan(paths)} ORDER BY {', '.join(ORDER[name])}")
    with duckdb.connect(str(target), read_only=True) as connection:
        for name, expected in rows.items():
            found = connection.execute(f"SELECT count(*) FROM {name}").fetchall()
            assert found == [(expected,)], f"{name}: wrote {expected} rows, read back {found}"
    return rows


def _copy_extras(folder: Path, extras: Mapping[str, Path]) -> None:
    for relative, source in extras.items():
        if source.suffix == ".zip":
            with zipfile.ZipFile(source) as archive:
                archive.extractall(folder)
        else:
            (folder / relative).parent.mkdir(exist_ok=True)
            shutil.copyfile(source, folder / relative)
