"""The published model cards."""

from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import column


class ModelCard(Struct, frozen=True):
    """What a model run of the last fit is, how good it was, and what it is not for."""

    run_id: Annotated[str, column("The model run; read it at /registry/runs/{run_id}.")]
    model_type: Annotated[str, column("Type of the model, one of models.yaml.")]
    markdown: Annotated[str, column("The card as markdown, without its plot.")]
    plot: Annotated[str | None, column("WAPE by horizon beside the baselines, as SVG; null without a backtest.")]
