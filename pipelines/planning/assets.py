"""Assets of the stage planning, a folder each question."""

from pipelines.planning.alerts import assets as alerts
from pipelines.planning.clusters import assets as clusters
from pipelines.planning.inventory import assets as inventory

ASSETS = [*clusters.ASSETS, *inventory.ASSETS, *alerts.ASSETS]
