"""What may be launched over the API: each job type with the Struct of its parameters, its role and its assets.

Serving validates with these Structs before a Dagster run exists; a test checks the assets against the real graph.
"""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from assets_config.contract.alerts import AlertsParams, SetAlertRuleParams, UpdateAlertParams
from assets_config.contract.clusters import ClusterParams, SegmentParams
from assets_config.contract.copies import BackupParams, BackupResult, Export, ExportParams, RollbackParams
from assets_config.contract.knowledge import DocumentsChanged, RagDeleteParams, RagIndexParams
from assets_config.contract.names import STAGES, Role
from assets_config.contract.notifications import (
    DeliverParams,
    RetryNotificationParams,
    SetPreferenceParams,
    SetTemplateParams,
)
from assets_config.contract.plans import DecideApprovalParams, ReforecastParams, SeasonPlanParams, SeasonReviewParams
from assets_config.contract.scenarios import DeleteScenarioParams, ScenarioParams
from assets_config.contract.seeds import Overrides, Seed, resolve
from assets_config.contract.state import AnnotateRunParams, DeleteAliasParams, SetAliasParams
from assets_config.contract.trials import BacktestParams, BacktestResult, PredictParams, PredictResult, TrainParams, TrainResult

ASSETS = (
    "sources/batches",
    "core/hist_store",
    "core/hist_product",
    "core/dim_store",
    "core/dim_product",
    "core/id_map",
    "core/sales_daily",
    "core/returns_daily",
    "core/inventory_daily",
    "core/receipt",
    "core/price_history",
    "core/promotion",
    "core/lifecycle",
    "core/exogenous",
    "core/weekly_actuals",
    "core/dim_process",
    "core/dim_category",
    "core/dim_calendar",
    "core/demand_unconstrained",
    "core/seed_truth",
    "core/ingest_batch",
    "core/ingest_reject",
    "core/ingest_audit",
    "features/panel",
    "features/series_segment",
    "features/feature_catalog",
    "features/feature_preview",
    "models/fit",
    "backtests/prediction",
    "backtests/ensemble_weight",
    "backtests/backtest",
    "backtests/backtest_fold",
    "backtests/backtest_metric",
    "trials/trial_run",
    "trials/trial_backtest",
    "trials/trial_fold",
    "trials/trial_metric",
    "trials/trial_forecast",
    "forecasts/champion",
    "forecasts/ensemble",
    "forecasts/model_type",
    "forecasts/model_run",
    "forecasts/model_alias",
    "forecasts/model_run_note",
    "forecasts/forecast",
    "forecasts/forecast_explanation",
    "forecasts/model_card",
    "forecasts/forecast_level",
    "forecasts/frozen",
    "forecasts/forecast_set",
    "forecasts/forecast_set_level",
    "forecasts/forecast_accuracy",
    "forecasts/forecast_value_added",
    "forecasts/interval_coverage",
    "planning/store_feature",
    "planning/store_cluster",
    "planning/store_cluster_member",
    "planning/cluster_diagnostic",
    "planning/inventory_policy",
    "planning/stock_risk",
    "planning/replenishment_proposal",
    "planning/season_plan",
    "planning/approval_decision",
    "planning/season_forecast",
    "planning/season_store",
    "planning/season_week",
    "planning/season_buy",
    "planning/allocation",
    "planning/replenishment",
    "planning/variance_week",
    "planning/price_elasticity",
    "planning/markdown",
    "planning/approval",
    "planning/season_result",
    "planning/season_step",
    "planning/scenario",
    "planning/scenario_day",
    "planning/alert_rule",
    "planning/alert",
    "planning/notification_preference",
    "planning/notification_template",
    "planning/notification",
    "planning/notification_delivery",
    "kpis/kpi_daily",
    "kpis/cubes",
    "knowledge/document",
    "knowledge/rag_chunk",
    "knowledge/rag_source",
    "knowledge/vectors",
    "knowledge/query_table",
    "knowledge/evaluation",
    "knowledge/index",
    "publish/snapshot",
    "publish/amendment",
    "publish/pointer",
    "publish/export",
    "publish/backup",
)
"""Every asset that a job may select, upstream first."""

CLUSTER_ASSETS = tuple(
    f"planning/{name}" for name in ("store_feature", "store_cluster", "store_cluster_member", "cluster_diagnostic")
)
DELIVERY_ASSETS = ("planning/notification", "planning/notification_delivery")
AMENDMENT = "publish/amendment"
"""The asset that publishes one part alone: the others stay as they are served, whatever the warehouse holds meanwhile."""

ON_REQUEST = (AMENDMENT, "publish/pointer", "publish/export", "publish/backup")
"""Assets that do nothing unless they are told to: no job that makes their stage takes them along."""
SEASON = tuple(key for key in ASSETS[ASSETS.index("planning/season_plan") : ASSETS.index("planning/season_step") + 1])
"""All of season plans: what follows from a command is worked out by the run that carries it out."""

KNOWN_PRICES = tuple(key for key in SEASON if key != "planning/price_elasticity")
"""The same with the elasticities that were estimated when a season was last planned: they read two years of sales."""

DATA_STAGES = ("sources", "core", "kpis", "publish")
"""What a job that brings data in makes again: everything but models and forecasts, which jobs of their own train."""


BY_MONTH = (
    "core/sales_daily",
    "core/returns_daily",
    "core/inventory_daily",
    "core/receipt",
    "core/exogenous",
    "core/demand_unconstrained",
    "kpis/kpi_daily",
)
"""Assets that are kept by month: a run makes those months again whose lines changed."""


class MaterializeParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Which assets to make again. The data source is the one that this data root was last loaded from."""

    assets: Annotated[
        list[str],
        Meta(
            description="Asset keys such as `core/sales_daily`, or whole stages such as `forecasts`. Empty: the whole graph.",
            max_length=100,
        ),
    ] = []


class RefreshParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Publish what is computed already; starts no model."""


class IngestParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Read every batch that waits in the landing zone, whichever job is told of it, and publish."""

    batch_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="The batch that the job was started for.")]


class ReplayParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Read the kept bytes of a batch again; the tables come out as they were."""

    batch_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="A batch of /ingest/batches.")]


class SeedParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Generate synthetic data in place of what is loaded. What is not given is the scenario's."""

    scenario: Annotated[str, Meta(description="One of /seeder/scenarios.")] = "retail_standard"
    seed: Annotated[Annotated[int, Meta(ge=0, le=2**31 - 1)] | None, Meta(description="Other seeds give other random numbers.")] = (
        None
    )
    stores: Annotated[Annotated[int, Meta(ge=1, le=100)] | None, Meta(description="Number of stores.")] = None
    products: Annotated[Annotated[int, Meta(ge=1, le=500)] | None, Meta(description="Number of products.")] = None
    start_date: Annotated[date | None, Meta(description="First day.")] = None
    end_date: Annotated[date | None, Meta(description="Last day.")] = None
    sparsity: Annotated[
        Annotated[float, Meta(ge=0, le=0.9)] | None, Meta(description="Share of store and product pairs that never sell.")
    ] = None
    overrides: Annotated[Overrides, Meta(description="Knobs that are applied last.")] = Overrides()

    def resolved(self) -> Seed:
        """Raises KeyError for an unknown scenario, ValueError for a range of days that is too short."""
        return resolve(
            self.scenario,
            seed=self.seed,
            stores=self.stores,
            products=self.products,
            start=self.start_date,
            end=self.end_date,
            sparsity=self.sparsity,
            overrides=self.overrides,
        )


class SeedAppendParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Generate the days after those that were generated, for the same stores and products."""

    start_date: Annotated[date, Meta(description="First new day; it must follow the last generated one.")]
    end_date: Annotated[date, Meta(description="Last new day.")]
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Seed of the noise of the new days.")] = 43


class SeedEnrichParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Generate lifecycle, replenishment, exogenous series and returns for the generated sales."""


class SeedDeleteParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Take generated data out of the tables. Batches that were brought in stay."""

    confirm: Annotated[Literal[True], Meta(description="Must be true.")]
    scope: Annotated[
        Literal["all", "facts", "dimensions"],
        Meta(description="facts: sales, stock, prices and promotions; dimensions: stores and products, and so the facts too."),
    ] = "all"


class FeaturesParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Make the panel, the feature catalogue and its preview again, and publish."""


class KpisParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Sum the measures and cubes again, and publish."""


class ExplainParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Explain the forecasts of all series again, and publish."""


class VerifyParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Check the loaded data: references, signs, calendar, sales and dimensions present."""


class Published(Struct, frozen=True):
    """What a job that publishes made."""

    snapshot_id: Annotated[str | None, Meta(description="The snapshot that it published; pin reads to it with ?snapshot=.")] = None


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
            assets=CLUSTER_ASSETS, state="planning/store_cluster",
        ),
        JobType(
            "alerts", AlertsParams, "operator", "Look at every rule again.", ("publish",),
            assets=("planning/alert_rule", "planning/alert", *DELIVERY_ASSETS),
        ),
        JobType(
            "update_alert", UpdateAlertParams, "operator", "Acknowledge, snooze, resolve or reopen an alert.", ("publish",),
            assets=DELIVERY_ASSETS, state="planning/alert",
        ),
        JobType(
            "set_alert_rule", SetAlertRuleParams, "admin", "Change the thresholds of a rule.", (),
            state="planning/alert_rule", amends="state",
        ),
        JobType(
            "deliver", DeliverParams, "operator", "Tell of what became of alerts, and try again what is due.", ("publish",),
            assets=DELIVERY_ASSETS,
        ),
        JobType(
            "retry_notification", RetryNotificationParams, "operator", "Try a notification again that was given up.", ("publish",),
            assets=DELIVERY_ASSETS, state="planning/notification",
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
    )
}  # fmt: skip


def role_of(job_type: str, params: Struct) -> Role:
    """The role that a job asks for: its type's, or admin where it is forced against a protection."""
    return "admin" if getattr(params, "force", False) else JOB_TYPES[job_type].role


class UnknownAssets(ValueError):
    """Assets that a job asked for and that the graph does not have; `entries` are (position, text)."""

    def __init__(self, entries: list[tuple[int, str]]) -> None:
        super().__init__(", ".join(text for _, text in entries))
        self.entries = entries


def selection(job_type: str, params: Struct) -> list[str]:
    """The asset keys that a job makes, upstream first.

    Raises UnknownAssets, when an entry is neither an asset key nor a stage.
    """
    if isinstance(params, MaterializeParams):
        unknown = [(n, entry) for n, entry in enumerate(params.assets) if entry not in ASSETS and entry not in STAGES]
        if unknown:
            raise UnknownAssets(unknown)
        return [key for key in ASSETS if not params.assets or key in params.assets or key.split("/")[0] in params.assets]
    job = JOB_TYPES[job_type]
    own = {job.state, *job.assets, *([AMENDMENT] if job.amends else [])}
    return [key for key in ASSETS if key in own or (key.split("/")[0] in job.stages and key not in ON_REQUEST)]


def run_config(job_type: str, params: Struct) -> dict[str, Any]:
    """The Dagster run config of a job: what the asset sources/batches is told, or the asset whose state it changes."""
    job = JOB_TYPES[job_type]
    if job.state:
        ops = {job.state.replace("/", "__"): {"config": {job_type: msgspec.json.encode(params).decode()}}}
        if job.amends:
            ops[AMENDMENT.replace("/", "__")] = {"config": {"part": job.amends}}
        return {"ops": ops}
    return {"ops": {"sources__batches": {"config": job.source(params)}}} if job.source else {}
