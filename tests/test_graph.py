"""The asset graph is the one that was reviewed, and data flows down it."""

from typing import Any

import msgspec
import pytest
from dagster import AssetKey, define_asset_job, validate_run_config

from assets_config.contract.graph import AMENDMENT, ASSETS, ON_REQUEST
from assets_config.contract.jobs import JOB_TYPES
from assets_config.contract.launch import UnknownAssets, run_config, selection
from assets_config.contract.materialize import MaterializeParams, RefreshParams
from assets_config.contract.names import STAGES
from assets_config.contract.seeds import Seed, SeedAppendParams
from assets_config.contract.tables import ORDER, PARTS, STATE, TABLES
from pipelines.definitions import defs
from pipelines.forecasts.registry.assets import AliasConfig, NoteConfig
from pipelines.knowledge.assets import KnowledgeConfig
from pipelines.planning.alerts.assets import AlertConfig, RuleConfig
from pipelines.planning.clusters.assets import ClusterConfig
from pipelines.planning.notifications.assets import PreferenceConfig, RetryConfig, TemplateConfig
from pipelines.planning.scenarios.assets import ScenarioConfig
from pipelines.planning.season.assets import DecisionConfig, PlanConfig
from pipelines.planning.sessions.assets import SessionConfig
from pipelines.publish.assets import BackupConfig, ExportConfig, PointerConfig
from pipelines.publish.frames import fields
from pipelines.publish.parts import TABLE_KEYS
from pipelines.publish.workspaces.assets import WorkspaceConfig
from pipelines.report import GRAPH_POOL, descriptions
from pipelines.sources.assets import SourceConfig
from pipelines.trials.assets import BacktestConfig, PredictConfig, TrainConfig

GRAPH = defs.resolve_asset_graph()
AGENTS = {"planning": ("orchestrator", "demand", "inventory", "pricing")}
"""Groups of assets within a stage."""
KEYS = sorted(key.to_user_string() for key in GRAPH.get_all_asset_keys())


def test_jobs_know_exactly_the_assets_of_the_graph() -> None:
    assert sorted(ASSETS) == KEYS, "assets_config/contract/graph.py: ASSETS must list every asset of the graph"


@pytest.mark.parametrize("key", KEYS)
def test_every_edge_points_down_the_stages(key: str) -> None:
    stage = STAGES.index(key.split("/")[0])

    for parent in GRAPH.get(AssetKey(key.split("/"))).parent_keys:
        assert STAGES.index(parent.path[0]) <= stage, f"{key} reads {parent.to_user_string()} of a later stage"
        assert ASSETS.index(parent.to_user_string()) < ASSETS.index(key), "ASSETS must list upstream first"


def test_documents_are_made_after_the_core_tables_also_where_nothing_between_them_is_selected() -> None:
    """The file says of which content of the core tables it is."""
    assert AssetKey(["core", "sales_daily"]) in GRAPH.get(AssetKey(["knowledge", "document"])).parent_keys


@pytest.mark.parametrize("key", KEYS)
def test_every_asset_introduces_itself(key: str) -> None:
    node = GRAPH.get(AssetKey(key.split("/")))

    assert node.description
    assert node.group_name in (key.split("/")[0], *AGENTS.get(key.split("/")[0], ()))
    assert node.owners
    assert node.kinds


WORKED_OUT = {"season_plan", "scenario", "scenario_day"}
"""State that is made of tables of the graph."""
DECIDED = {TABLE_KEYS[each] for each in PARTS[STATE] if each not in WORKED_OUT}
BESIDE = {*(key for key in KEYS if key.startswith("trials/")), *DECIDED, *ON_REQUEST}


@pytest.mark.parametrize("key", KEYS)
def test_what_writes_the_graph_runs_one_at_a_time(key: str) -> None:
    pool = GRAPH.get(AssetKey(key.split("/"))).assets_def.op.pool

    assert pool == (None if key in BESIDE else GRAPH_POOL), f"{key}: give its @asset pool=GRAPH_POOL of pipelines/report.py"


@pytest.mark.parametrize("table", TABLES)
def test_every_published_column_is_explained_in_the_ui(table: str) -> None:
    assert list(descriptions(TABLE_KEYS[table])) == [each.name for each in msgspec.structs.fields(TABLES[table])]


def test_every_published_table_has_one_asset_and_one_part() -> None:
    assert {table: key.rsplit("/", 1)[1] for table, key in TABLE_KEYS.items()} == {table: table for table in TABLES}
    assert sorted(table for tables in PARTS.values() for table in tables) == sorted(TABLES)
    assert set(TABLE_KEYS.values()) <= set(KEYS)


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_a_type_and_a_meaning(table: str) -> None:
    columns = {field.name for field in fields(TABLES[table])}

    assert set(ORDER[table]) <= columns


def test_a_job_selects_stages_and_assets_upstream_first() -> None:
    some = MaterializeParams(["kpis", "core/dim_store"])

    assert selection("materialize", MaterializeParams()) == list(ASSETS)
    assert selection("materialize", some) == ["core/dim_store", "kpis/kpi_daily", "kpis/cubes"]
    assert selection("refresh", RefreshParams()) == ["publish/snapshot"]


def test_a_job_refuses_assets_that_do_not_exist() -> None:
    with pytest.raises(UnknownAssets) as caught:
        selection("materialize", MaterializeParams(["core", "core/nothing"]))

    assert caught.value.entries == [(1, "core/nothing")]


PARAMETERS: dict[str, dict[str, Any]] = {
    "ingest": {"batch_id": "0" * 32},
    "replay_batch": {"batch_id": "0" * 32},
    "seed": {"scenario": "sparse", "stores": 3, "overrides": {"noise_sigma": 0.2}},
    "seed_append": {"start_date": "2025-01-01", "end_date": "2025-01-31"},
    "seed_delete": {"confirm": True, "scope": "facts"},
    "set_alias": {"name": "production", "run_id": "0" * 32, "protected": True, "note": 'as "agreed" {é}'},
    "delete_alias": {"name": "production", "force": True},
    "rag_index": {"source_path": "a.md", "sha256": "0" * 64, "tags": ["x"]},
    "rag_delete": {"source_id": "0" * 16},
    "cluster": {"clusters": 2},
    "update_alert": {"alert_id": "0" * 32, "action": "snooze", "until": "2030-01-01T00:00:00Z", "note": "é"},
    "retry_notification": {"notification_id": "0" * 32},
    "set_preference": {
        "user": "ann",
        "channels": ["email"],
        "email": "ann@example.com",
        "quiet_from": "22:00",
        "quiet_until": "07:00",
    },
    "set_template": {"event": "opened", "subject": "{title}", "body": "{note} {{é}}"},
    "set_alert_rule": {"rule": "bias", "warn": 5, "enabled": False},
    "train": {"model_type": "moving_average", "store_id": 1, "product_id": "SKU-0001", "window_size": 14},
    "backtest": {"model_type": "xgboost", "params": {"rounds": 8}, "n_splits": 2, "gap": 1},
    "predict": {"run_id": "0" * 32, "horizon": 7, "store_id": "S001"},
    "rollback": {"snapshot_id": "20240101T000000Z-00000000"},
    "export": {"tables": ["forecast"], "format": "csv"},
    "annotate_run": {"run_id": "0" * 32, "archive": True, "tags": ["a", "b"], "notes": "no\nmore"},
    "season_plan": {"name": "Spring", "forecast_horizon_weeks": 12, "markdown_checkpoint_week": 6},
    "reforecast": {"forecast_id": "0" * 32, "actual_sales_week_1_to_n": [70, 80]},
    "scenario": {"name": "Cheaper", "product_id": "SKU-0001", "assumptions": {"price": {"change": -0.1}}},
    "delete_scenario": {"scenario_id": "0" * 32},
    "decide_approval": {"approval_id": "0" * 32, "decision": "modify", "value": 9600},
    "chat": {"session_id": "0" * 32, "turn_id": "1" * 32, "sha256": "2" * 64},
    "close_session": {"session_id": "0" * 32},
    "decide_tool_call": {"approval_id": "0" * 32, "decision": "reject", "note": "é"},
    "demo": {
        "skip_seed": False,
        "seed_overrides": {"stores": 3},
        "preservation": "keep",
        "user_scope": {"store_id": "S001", "product_id": 1},
    },
    "update_workspace": {"workspace_id": "0" * 32, "notes": None, "tags": ["a"], "pinned": True},
    "delete_workspace": {"workspace_id": "0" * 32},
    "export_workspace": {"workspace_id": "0" * 32},
}
"""Parameters of the job types that need some."""


@pytest.mark.parametrize("name", JOB_TYPES)
def test_every_job_selects_assets_of_the_graph(name: str) -> None:
    params = msgspec.convert(PARAMETERS.get(name, {}), JOB_TYPES[name].params)

    chosen = selection(name, params)

    assert chosen
    assert set(chosen) <= set(KEYS)
    assert chosen == sorted(chosen, key=ASSETS.index)


@pytest.mark.parametrize("name", JOB_TYPES)
def test_the_config_of_a_job_is_one_that_its_run_takes(name: str) -> None:
    params = msgspec.convert(PARAMETERS.get(name, {}), JOB_TYPES[name].params)

    config = run_config(name, params)

    chosen = [AssetKey(key.split("/")) for key in selection(name, params)]
    job = define_asset_job("made", selection=chosen).resolve(asset_graph=GRAPH)
    assert validate_run_config(job, config)
    decoded = SourceConfig(**config.get("ops", {}).get("sources__batches", {}).get("config", {}))
    if decoded.seed is not None:
        assert msgspec.json.decode(decoded.seed, type=Seed).stores == 3
    if decoded.append is not None:
        assert msgspec.json.decode(decoded.append, type=SeedAppendParams) == params
    told = [field for field, value in decoded.model_dump().items() if value]
    assert told == {
        "ingest": ["batch"],
        "replay_batch": ["replay"],
        "seed": ["seed"],
        "seed_append": ["append"],
        "seed_enrich": ["enrich"],
        "seed_delete": ["delete"],
        "demo": ["seed"],
    }.get(name, [])


CONFIGS: dict[str, Any] = {
    "forecasts/model_alias": AliasConfig,
    "forecasts/model_run_note": NoteConfig,
    "trials/trial_run": TrainConfig,
    "trials/trial_backtest": BacktestConfig,
    "trials/trial_forecast": PredictConfig,
    "publish/workspace": WorkspaceConfig,
    "publish/pointer": PointerConfig,
    "publish/export": ExportConfig,
    "publish/backup": BackupConfig,
    "planning/store_cluster": ClusterConfig,
    "planning/alert_rule": RuleConfig,
    "planning/alert": AlertConfig,
    "planning/notification_preference": PreferenceConfig,
    "planning/notification_template": TemplateConfig,
    "planning/notification": RetryConfig,
    "knowledge/document": KnowledgeConfig,
    "planning/season_plan": PlanConfig,
    "planning/scenario": ScenarioConfig,
    "planning/approval_decision": DecisionConfig,
    "planning/agent_session": SessionConfig,
}
"""The config of each asset that a job tells what to do."""


@pytest.mark.parametrize("name", [name for name, job in JOB_TYPES.items() if job.state])
def test_a_job_that_changes_state_tells_one_asset_and_publishes(name: str) -> None:
    params = msgspec.convert(PARAMETERS.get(name, {}), JOB_TYPES[name].params)

    key = JOB_TYPES[name].state
    job = JOB_TYPES[name]
    made = {each for each in ASSETS if each.split("/")[0] in job.stages and each not in ON_REQUEST}
    assert selection(name, params) == sorted({key, *job.assets, *made, *([AMENDMENT] if job.amends else [])}, key=ASSETS.index)
    op = GRAPH.get(AssetKey(key.split("/"))).assets_def.op
    config = CONFIGS[key](**run_config(name, params)["ops"][op.name]["config"])
    assert msgspec.json.decode(getattr(config, name), type=JOB_TYPES[name].params) == params
