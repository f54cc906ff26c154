"""What may be launched over the API: each job type with the Struct of its parameters, its role and its assets.

Serving validates with these Structs before a Dagster run exists; a test checks the assets against the real graph.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from assets_config.contract.alerts import AlertsParams, SetAlertRuleParams, UpdateAlertParams
from assets_config.contract.clusters import ClusterParams, SegmentParams
from assets_config.contract.copies import BackupParams, BackupResult, Export, ExportParams, RollbackParams
from assets_config.contract.graph import CLUSTERS, DATA_STAGES, DELIVERY, KNOWN_PRICES, SEASON
from assets_config.contract.ingest import IngestParams, ReplayParams
from assets_config.contract.knowledge import DocumentsChanged, RagDeleteParams, RagIndexParams
from assets_config.contract.materialize import (
    ExplainParams,
    FeaturesParams,
    KpisParams,
    MaterializeParams,
    Published,
    RefreshParams,
    VerifyParams,
)
from assets_config.contract.names import STAGES, Role
from assets_config.contract.notifications import (
    DeliverParams,
    RetryNotificationParams,
    SetPreferenceParams,
    SetTemplateParams,
)
from assets_config.contract.plans import DecideApprovalParams, ReforecastParams, SeasonPlanParams, SeasonReviewParams
from assets_config.contract.scenarios import DeleteScenarioParams, ScenarioParams
from assets_config.contract.seeds import SeedAppendParams, SeedDeleteParams, SeedEnrichParams, SeedParams
from assets_config.contract.state import AnnotateRunParams, DeleteAliasParams, SetAliasParams
from assets_config.contract.trials import BacktestParams, BacktestResult, PredictParams, PredictResult, TrainParams, TrainResult
from assets_config.contract.workspaces import (
    BundleResult,
    DeleteWorkspaceParams,
    DemoParams,
    DemoResult,
    ExportWorkspaceParams,
    UpdateWorkspaceParams,
    seed_of,
)


class JobType(Struct, frozen=True):
    """One thing that a program may ask for."""

    name: str
    params: type[Struct]
    role: Role
    summary: str
    stages: tuple[str, ...] = DATA_STAGES  # what it makes
    source: Callable[[Any], dict[str, Any]] | None = None  # its parameters as config of the asset sources/batches
    state: str = ""  # the one asset that it changes, whose config has its parameters as JSON under the job type's name
    assets: tuple[str, ...] = ()  # what it makes besides, by key
    amends: str = ""  # the one part that it publishes, in place of a whole snapshot
    result: type[Struct] = Published  # what it answers with once it is completed, beside the assets


def _seed(params: SeedParams) -> dict[str, Any]:
    return {"seed": msgspec.json.encode(params.resolved()).decode()}


def _append(params: SeedAppendParams) -> dict[str, Any]:
    return {"append": msgspec.json.encode(params).decode()}


def _demo(params: DemoParams) -> dict[str, Any]:
    return {} if params.skip_seed else _seed(seed_of(params))


JOB_TYPES: dict[str, JobType] = {
    job.name: job
    for job in (
        JobType("materialize", MaterializeParams, "operator", "Make assets again, in the order of the graph.", ()),
        JobType("refresh", RefreshParams, "admin", "Publish the newest complete tables as a new snapshot; no ML.", ("publish",)),
        JobType(
            "ingest", IngestParams, "operator", "Read the batches that wait in the landing zone and publish.",
            source=lambda params: {"batch": params.batch_id},
        ),
        JobType(
            "replay_batch", ReplayParams, "operator", "Read the kept bytes of a batch again and publish.",
            source=lambda params: {"replay": params.batch_id},
        ),
        JobType("seed", SeedParams, "operator", "Generate synthetic data in place of what is loaded.", source=_seed),
        JobType("seed_append", SeedAppendParams, "operator", "Generate the days that follow.", source=_append),
        JobType(
            "seed_enrich", SeedEnrichParams, "operator", "Generate lifecycle, replenishment, exogenous series and returns.",
            source=lambda _: {"enrich": True},
        ),
        JobType(
            "seed_delete", SeedDeleteParams, "admin", "Take generated data out of the tables.",
            source=lambda params: {"delete": params.scope},
        ),
        JobType("verify_data", VerifyParams, "operator", "Check the loaded data again.", ("core",)),
        JobType(
            "set_alias", SetAliasParams, "operator", "Call a model run by a name, or move the name to it.", (),
            state="forecasts/model_alias", amends="state",
        ),
        JobType(
            "delete_alias", DeleteAliasParams, "operator", "Take a name from a model run.", (),
            state="forecasts/model_alias", amends="state",
        ),
        JobType(
            "annotate_run", AnnotateRunParams, "operator", "Archive a model run, or change its tags and notes.", (),
            state="forecasts/model_run_note", amends="state",
        ),
        JobType("features", FeaturesParams, "operator", "Make the features again and publish.", ("features", "publish")),
        JobType("kpis", KpisParams, "operator", "Sum the KPIs again and publish.", ("kpis", "publish")),
        JobType(
            "explain", ExplainParams, "operator", "Explain the forecasts again and publish.", ("publish",),
            assets=("forecasts/forecast_explanation",),
        ),
        JobType(
            "rollback", RollbackParams, "admin", "Serve a kept snapshot again, at once.", (), state="publish/pointer",
        ),
        JobType(
            "export", ExportParams, "operator", "Write published tables as files.", (), state="publish/export", result=Export,
        ),
        JobType(
            "backup", BackupParams, "admin", "Copy the served snapshot and what people decided.", (),
            state="publish/backup", result=BackupResult,
        ),
        JobType(
            "train", TrainParams, "operator", "Fit a model type for some series or all, as a run of the registry.", (),
            state="trials/trial_run", amends="trials", result=TrainResult,
        ),
        JobType(
            "backtest", BacktestParams, "operator", "Evaluate a model type on some series or all, beside the baselines.", (),
            state="trials/trial_backtest", assets=("trials/trial_fold", "trials/trial_metric"),
            amends="trials", result=BacktestResult,
        ),
        JobType(
            "predict", PredictParams, "operator", "Forecast with a model run, for some of its series or all.", (),
            state="trials/trial_forecast", amends="trials", result=PredictResult,
        ),
        JobType(
            "rag_index", RagIndexParams, "operator", "Index a posted document, or the project's own again, and publish.",
            ("knowledge", "publish"), state="knowledge/document", result=DocumentsChanged,
        ),
        JobType(
            "rag_delete", RagDeleteParams, "operator", "Take a document out of the knowledge base and publish.",
            ("knowledge", "publish"), state="knowledge/document", result=DocumentsChanged,
        ),
        JobType(
            "segment", SegmentParams, "operator", "Class the series anew: demand pattern, ABC and XYZ.", ("publish",),
            assets=("features/series_segment",),
        ),
        JobType(
            "cluster", ClusterParams, "operator", "Make the clusters of stores anew.", ("publish",),
            assets=CLUSTERS, state="planning/store_cluster",
        ),
        JobType(
            "alerts", AlertsParams, "operator", "Look at every rule again.", ("publish",),
            assets=("planning/alert_rule", "planning/alert", *DELIVERY),
        ),
        JobType(
            "update_alert", UpdateAlertParams, "operator", "Acknowledge, snooze, resolve or reopen an alert.", ("publish",),
            assets=DELIVERY, state="planning/alert",
        ),
        JobType(
            "set_alert_rule", SetAlertRuleParams, "admin", "Change the thresholds of a rule.", (),
            state="planning/alert_rule", amends="state",
        ),
        JobType(
            "deliver", DeliverParams, "operator", "Tell of what became of alerts, and try again what is due.", ("publish",),
            assets=DELIVERY,
        ),
        JobType(
            "retry_notification", RetryNotificationParams, "operator", "Try a notification again that was given up.", ("publish",),
            assets=DELIVERY, state="planning/notification",
        ),
        JobType(
            "set_preference", SetPreferenceParams, "operator", "Say what a user is told of, and how.", (),
            state="planning/notification_preference", amends="state",
        ),
        JobType(
            "set_template", SetTemplateParams, "admin", "Say in which words an event of an alert is told.", (),
            state="planning/notification_template", amends="state",
        ),
        JobType(
            "season_plan", SeasonPlanParams, "operator", "Plan a season: forecast it, propose what to make.", ("publish",),
            assets=SEASON, state="planning/season_plan",
        ),
        JobType(
            "reforecast", ReforecastParams, "operator", "Forecast the weeks of a season that remain from those sold.", ("publish",),
            assets=KNOWN_PRICES, state="planning/season_plan",
        ),
        JobType(
            "decide_approval", DecideApprovalParams, "operator", "Decide what a plan waits for; the plan goes on.", ("publish",),
            assets=KNOWN_PRICES, state="planning/approval_decision",
        ),
        JobType(
            "scenario", ScenarioParams, "operator", "Work a what-if out and save it.", ("publish",),
            assets=("planning/scenario_day",), state="planning/scenario",
        ),
        JobType(
            "delete_scenario", DeleteScenarioParams, "operator", "Delete a saved scenario.", ("publish",),
            assets=("planning/scenario_day",), state="planning/scenario",
        ),
        *(
            JobType(name, SeasonReviewParams, "operator", summary, ("publish",), assets=assets)
            for name, summary, assets in (
                ("allocate", "Share what was manufactured among stores again, for every plan.", KNOWN_PRICES),
                ("markdown", "Estimate elasticities, and what to cut at the checkpoint of every plan, again.", SEASON),
                ("variance_check", "Hold the sales that were reported against every plan.", KNOWN_PRICES),
            )
        ),
        JobType(
            "demo", DemoParams, "operator", "Make all of the graph, publish it, and keep what came of it as a workspace.", STAGES,
            source=_demo, state="publish/workspace", result=DemoResult,
        ),
        JobType(
            "update_workspace", UpdateWorkspaceParams, "operator", "Change name, tags, notes or place of a workspace.", (),
            state="publish/workspace", amends="state",
        ),
        JobType(
            "delete_workspace", DeleteWorkspaceParams, "operator", "Forget a workspace; what its run made stays.", (),
            state="publish/workspace", amends="state",
        ),
        JobType(
            "export_workspace", ExportWorkspaceParams, "operator", "Write a workspace and its scenarios as a bundle of files.", (),
            state="publish/workspace", amends="state", result=BundleResult,
        ),
    )
}  # fmt: skip
