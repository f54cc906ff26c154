"""Assets of the stage forecasts, a folder each question."""

from pipelines.forecasts.accuracy import assets as accuracy
from pipelines.forecasts.champions import assets as champions
from pipelines.forecasts.explanations import assets as explanations
from pipelines.forecasts.registry import assets as registry

ASSETS = [*champions.ASSETS, *explanations.ASSETS, *registry.ASSETS, *accuracy.ASSETS]
CHECKS = [*explanations.CHECKS, *registry.CHECKS, *accuracy.CHECKS]
