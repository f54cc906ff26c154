"""What a job tells an asset to do: commands in its config, as JSON under the name of the job type."""

from typing import Any

import msgspec
from dagster import Config


def commands(config: Config, **shapes: type[msgspec.Struct]) -> list[Any]:
    """The commands that a config has, by field and the Struct of what it says; none in a run of the graph, which tells nothing."""
    said = ((getattr(config, field), shape) for field, shape in shapes.items())
    return [msgspec.json.decode(text, type=shape) for text, shape in said if text is not None]
