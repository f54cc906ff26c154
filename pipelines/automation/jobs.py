"""The Dagster jobs that schedules and sensors start: each makes some assets of the graph."""

from collections.abc import Iterable

from dagster import AssetSelection, define_asset_job
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets_config.contract.graph import ASSETS, ON_REQUEST


def asset_job(name: str, keys: Iterable[str], about: str) -> UnresolvedAssetJobDefinition:
    """A job that makes these assets, in the order of the graph."""
    return define_asset_job(name, selection=AssetSelection.assets(*keys), description=about)


def of_stages(stages: Iterable[str]) -> list[str]:
    """Every asset of these stages that does something without being told to, as the contract lists them."""
    wanted = set(stages)
    return [key for key in ASSETS if key.split("/")[0] in wanted and key not in ON_REQUEST]
