"""The declared model types as a table: what the module of each says of itself, and what models.yaml says of it."""

import importlib
import inspect
from collections.abc import Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import msgspec
import polars as pl

from assets_config.contract.model_types import ModelType
from assets_config.contract.names import ENSEMBLE
from assets_config.declared import Declarations, Model
from pipelines.backtests import ensemble
from pipelines.models.types import GIVEN
from pipelines.shapes import schema


def model_types(declared: Declarations, catalog: pl.DataFrame) -> pl.DataFrame:
    """The columns of contract.model_types.ModelType, in order of declaration; `catalog` is features/feature_catalog.

    A type that is not enabled may have no module: its description is null, and its parameters are those that are declared.
    """
    hashes = dict(catalog.select("feature_set", "hash").unique().iter_rows())
    first = next(iter(declared.feature_sets), None)
    rows = []
    for position, model in enumerate(declared.models.values()):
        module = _module(model)
        takes = {} if module is None or module is ensemble else dict(inspect.signature(module.fit).parameters)
        name = (model.feature_set or first) if "features" in takes else None
        rows.append(
            {
                "model_type": model.type,
                "position": position,
                "enabled": model.enabled,
                "reason": model.reason or None,
                "description": None if module is None else (module.__doc__ or "").partition("\n")[0],
                "params": msgspec.json.encode(_parameters(model, takes)).decode(),
                "learns_from_features": "features" in takes,
                "feature_set": None if name is None else f"{name}/{hashes[name]}",
                "patterns": msgspec.json.encode(model.patterns).decode(),
            }
        )
    return pl.DataFrame(rows, schema=schema(ModelType))


def _module(model: Model) -> ModuleType | None:
    if model.type == ENSEMBLE:
        return ensemble
    name = f"pipelines.models.{model.type}"
    return importlib.import_module(name) if find_spec(name) else None


def _parameters(model: Model, takes: Mapping[str, inspect.Parameter]) -> list[dict[str, Any]]:
    """Name, type (JSON Schema's word), choices, default and value of each parameter."""
    if model.type == ENSEMBLE:
        return [_parameter("shrinkage", float, ensemble.SHRINKAGE, model)]
    if not takes:
        return [_parameter(name, type(value), None, model) for name, value in model.params.items()]
    return [_parameter(name, each.annotation, each.default, model) for name, each in takes.items() if name not in GIVEN]


def _parameter(name: str, kind: Any, default: Any, model: Model) -> dict[str, Any]:
    schema = msgspec.json.schema(kind)
    said = {"name": name, "type": schema.get("type", "string"), "choices": schema.get("enum")}
    return {**said, "default": default, "value": model.params.get(name, default)}
