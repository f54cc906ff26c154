"""Finds the module of a model type and checks the declared parameters against its `fit`."""

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from assets_config.contract.names import ENSEMBLE
from assets_config.declared import Declarations, Model
from assets_config.entries import DeclarationError
from assets_config.features import FeatureSet
from pipelines.features.panel import Panel

NOT_TYPES = {"aggregates", "arrays", "assets", "calendar_terms", "expected", "fits", "known", "totals", "types"}
GIVEN = ("panel", "horizon", "features")
"""Arguments of a fit that are no parameters of the model."""
OF_SUMS = ("prophet_like", "sarimax", "unobserved_components")
"""The types that are fitted to sums of series, of which each series gets its share (aggregates.py)."""


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
    known = [name for name in inspect.signature(module.fit).parameters if name not in GIVEN]
    for parameter in model.params:
        if parameter not in known:
            allowed = ", ".join(known) or "none"
            raise DeclarationError(f"models.yaml: entry {model.type}: params: {parameter} is unknown; allowed: {allowed}")
    return module


BASELINES = (Model("naive"), Model("seasonal_naive", {"season_length": 7}))


def ensemble(declarations: Declarations) -> Model | None:
    """The entry of the ensemble, where it is enabled.

    Raises DeclarationError, when it has a parameter other than shrinkage, a number from 0 to 1.
    """
    model = declarations.models.get(ENSEMBLE)
    if model is None or not model.enabled:
        return None
    for name, value in model.params.items():
        if name != "shrinkage" or isinstance(value, str) or not 0 <= value <= 1:
            raise DeclarationError(f"models.yaml: entry {ENSEMBLE}: params: {name}: {value}; allowed: shrinkage, from 0 to 1")
    return model


def candidates(declarations: Declarations, fitted: Sequence[Model]) -> list[Model]:
    """The models that may become champion, in order of declaration: those that were fitted, and the ensemble."""
    chosen = [model.type for model in fitted] + [ENSEMBLE] * (ensemble(declarations) is not None)
    return [model for model in declarations.models.values() if model.type in chosen]


def compared(fitted: Sequence[Model]) -> list[Model]:
    """The models to backtest: those that were fitted, and the baselines, which are what others are measured by."""
    return [*fitted, *(each for each in BASELINES if each.type not in {model.type for model in fitted})]


def fit(model: Model, panel: Panel, *, horizon: int, feature_sets: Mapping[str, FeatureSet]) -> bytes:
    """The artifact of a model type on a panel; a type that learns from features and names no set learns from the first.

    Raises DeclarationError as module_of; ValueError, when the panel is too short for it.
    """
    module, feature_set = module_of(model), feature_set_of(model, feature_sets)
    if feature_set is None:
        return bytes(module.fit(panel, horizon=horizon, **model.params))
    return bytes(module.fit(panel, horizon=horizon, features=feature_set, **model.params))


def feature_set_of(model: Model, feature_sets: Mapping[str, FeatureSet]) -> FeatureSet | None:
    """The feature set that a model type learns from; None for a type that sees sales only."""
    if "features" not in inspect.signature(module_of(model).fit).parameters:
        return None
    return feature_sets[model.feature_set or next(iter(feature_sets))]


def enabled(declarations: Declarations) -> list[Model]:
    """The models to fit, in order of declaration, each checked; the ensemble is none of them.

    Raises DeclarationError as module_of, or when none is enabled.
    """
    models = [model for model in declarations.models.values() if model.enabled and model.type != ENSEMBLE]
    if not models:
        raise DeclarationError("models.yaml: no model is enabled")
    for model in models:
        module_of(model)
    return models
