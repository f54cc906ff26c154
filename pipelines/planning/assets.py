"""Assets of the stage planning, a folder each question."""

from pipelines.planning.inventory import assets as inventory

ASSETS = [*inventory.ASSETS]
