"""Assets of the stage planning, a folder each question."""

from pipelines.planning.alerts import assets as alerts
from pipelines.planning.clusters import assets as clusters
from pipelines.planning.inventory import assets as inventory
from pipelines.planning.notifications import assets as notifications
from pipelines.planning.scenarios import assets as scenarios
from pipelines.planning.season import assets as season
from pipelines.planning.sessions import assets as sessions

ASSETS = [
    *clusters.ASSETS,
    *inventory.ASSETS,
    *season.ASSETS,
    *scenarios.ASSETS,
    *alerts.ASSETS,
    *notifications.ASSETS,
    *sessions.ASSETS,
]
CHECKS = season.CHECKS
