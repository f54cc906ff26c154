"""What an answer depends on, so that it outlives a publish that touched none of it (docs/adr/0012).

That is what the snapshot's manifest says of the data, what is in memory of it (catalogue, sums), the parts that the route
declares here, and those that were read on the way. A route that declares nothing depends on every part.
"""

import hashlib
from collections.abc import Collection

from msgspec import Struct

from assets_config.contract.manifest import Part
from serving.snapshot import Snapshot

READS: dict[str, tuple[str, ...]] = {
    "explain_item": ("explanations",),
    "get_cluster_diagnostics": ("clusters",),
    "get_allocation": ("season", "state"),
    "get_approval": ("season",),
    "get_backtest": ("registry",),
    "get_drilldown": (),
    "get_feature_set": ("features",),
    "get_forecast_summary": ("forecasts",),
    "get_item_timeseries": ("forecasts", "stock"),
    "get_kpi_timeseries": (),
    "get_kpis": (),
    "get_markdown": ("season", "state"),
    "get_model_card": ("registry", "cards"),
    "get_model_card_plot": ("registry", "cards"),
    "get_product": (),
    "get_scenario": ("state",),
    "get_store": (),
    "get_supply": (),
    "get_variance": ("season", "state"),
    "get_workflow": ("season", "state"),
    "get_workflow_results": ("season", "state"),
    "list_approvals": ("season",),
    "list_backtest_folds": ("registry",),
    "list_backtests": ("registry",),
    "list_alerts": ("alerts",),
    "list_categories": (),
    "list_feature_sets": ("features",),
    "list_forecast_accuracy": ("accuracy",),
    "list_forecast_value_added": ("accuracy",),
    "list_items": (),
    "list_model_types": ("registry",),
    "list_products": (),
    "list_replenishment_proposals": ("inventory",),
    "list_run_forecasts": ("registry", "trials"),
    "list_replenishment": ("season", "state"),
    "list_scenarios": ("state",),
    "list_segments": ("segments",),
    "list_sources": ("knowledge",),
    "list_agent_tools": ("knowledge",),
    "list_standings": ("registry",),
    "list_stock": ("stock",),
    "list_stock_risks": ("inventory",),
    "list_store_clusters": ("clusters",),
    "list_stores": (),
    "list_variance": ("season", "state"),
    "list_workflows": ("season", "state"),
    "preview_feature_set": ("features",),
    "list_workspaces": ("state",),
    "compare_workspaces": ("state",),
}
"""The parts that a route reads beside catalogue and sums, by operation id."""


class Dependence(Struct, frozen=True):
    """What one answer was made from: wherever this is the same, so is the answer, but for its metadata."""

    frame: str
    parts: tuple[tuple[str, Part | None], ...]  # None: the snapshot came without it
    digest: bytes

    def holds_for(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot gives the same answer."""
        known = snapshot.manifest.parts
        return self.frame == snapshot.frame and all(known.get(name) == part for name, part in self.parts)


def dependence(snapshot: Snapshot, operation: str, read: Collection[str]) -> Dependence:
    """What the answer of an operation that read these parts depends on."""
    asked = (operation, frozenset(read))
    found: Dependence | None = snapshot.memo.get(asked)
    if found is None:
        known = snapshot.manifest.parts
        names = {*snapshot.common, *READS[operation], *read} if operation in READS else {*known, *read}
        parts = tuple((name, known.get(name)) for name in sorted(names))
        said = (f"{name} {part.key} {part.made_at.isoformat()}" if part else f"{name} -" for name, part in parts)
        digest = hashlib.sha256("\n".join([snapshot.frame, *said]).encode()).digest()
        found = snapshot.memo[asked] = Dependence(snapshot.frame, parts, digest)
    return found
