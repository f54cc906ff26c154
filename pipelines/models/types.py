"""Finds the module of a model type and checks the declared parameters against its `fit`."""

import importlib
import importlib.util
import inspect
from types import ModuleType

from assets_config.declared import DeclarationError, Declarations, Model

NOT_TYPES = {"arrays", "assets", "fits", "types"}


def module_of(model: Model) -> ModuleType:
    """The module of a model type.

    Raises DeclarationError, when there is none of that name or a parameter is not one of its fit's.
    """
    name = f"pipelines.models.{model.type}"
    if model.type in NOT_TYPES or importlib.util.find_spec(name) is None:
        raise DeclarationError(f"models.yaml: entry {model.type}: there is no module pipelines/models/{model.type}.py")
    module = importlib.import_module(name)
    known = [name for name in inspect.signature(module.fit).parameters if name not in ("panel", "horizon")]
    for parameter in model.params:
        if parameter not in known:
            allowed = ", ".join(known) or "none"
            raise DeclarationError(f"models.yaml: entry {model.type}: params: {parameter} is unknown; allowed: {allowed}")
    return module


BASELINES = (Model("naive"), Model("seasonal_naive", {"season_length": 7}))


def compared(declarations: Declarations) -> list[Model]:
    """The models to backtest: those that are enabled, and the baselines, which are what others are measured by."""
    models = enabled(declarations)
    return models + [each for each in BASELINES if each.type not in {model.type for model in models}]


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
