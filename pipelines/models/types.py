"""Finds the module of a model type and checks the declared parameters against its `fit`."""

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from assets_config.declared import DeclarationError, Declarations, Model
from assets_config.features import FeatureSet
from pipelines.features.panel import Panel

NOT_TYPES = {"aggregates", "arrays", "assets", "fits", "known", "types"}


def module_of(model: Model) -> ModuleType:
    """The module of a model type.

    Raises DeclarationError, when there is none of that name or a parameter is not one of its fit's.
    """
    name = f"pipelines.models.{model.type}"
    if model.type in NOT_TYPES or importlib.util.find_spec(name) is None:
        there = ", ".join(sorted({each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)])} - NOT_TYPES))
        raise DeclarationError(
            f"models.yaml: entry {model.type}: there is no module pipelines/models/{model.type}.py; there are {there}"
        )
    module = importlib.import_module(name)
    known = [name for name in inspect.signature(module.fit).parameters if name not in ("panel", "horizon", "features")]
    for parameter in model.params:
        if parameter not in known:
            allowed = ", ".join(known) or "none"
            raise DeclarationError(f"models.yaml: entry {model.type}: params: {parameter} is unknown; allowed: {allowed}")
    return module


def fit(model: Model, panel: Panel, *, horizon: int, feature_sets: Mapping[str, FeatureSet]) -> bytes:
    """The artifact of a model type on a panel; a type that learns from features and names no set learns from the first.

    Raises DeclarationError as module_of; ValueError, when the panel is too short for it.
    """
    module = module_of(model)
    if "features" not in inspect.signature(module.fit).parameters:
        return bytes(module.fit(panel, horizon=horizon, **model.params))
    feature_set = feature_sets[model.feature_set or next(iter(feature_sets))]
    return bytes(module.fit(panel, horizon=horizon, features=feature_set, **model.params))


def enabled(declarations: Declarations) -> list[Model]:
    """The models to fit, in order of declaration, each checked.

    Raises DeclarationError as module_of, or when none is enabled.
    """
    models = [model for model in declarations.models.values() if model.enabled]
    if not models:
        raise DeclarationError("models.yaml: no model is enabled")
    for model in models:
        module_of(model)
    return models
