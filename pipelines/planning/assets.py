"""Assets of the stage planning, a folder each question."""

from pipelines.planning.alerts import assets as alerts
from pipelines.planning.clusters import assets as clusters
from pipelines.planning.inventory import assets as inventory
from pipelines.planning.notifications import assets as notifications

ASSETS = [*clusters.ASSETS, *inventory.ASSETS, *alerts.ASSETS, *notifications.ASSETS]
