"""The model that a trial asks for: its type with the parameters that were given, over those that are declared."""

from assets_config.contract.names import ENSEMBLE
from assets_config.contract.trials import NAMED, OfSeries, Value
from assets_config.declared import Declarations, Model
from pipelines.models.types import module_of


def asked_model(declarations: Declarations, asked: OfSeries) -> Model:
    """The entry that models.yaml would have for it, enabled or not.

    Raises DeclarationError as `module_of`, for a type or a parameter that there is not.
    """
    known = declarations.models.get(asked.model_type, Model(asked.model_type))
    own: dict[str, Value] = {
        name: default if getattr(asked, name) is None else getattr(asked, name)
        for name, (model_type, default) in NAMED.items()
        if model_type == asked.model_type
    }
    model = Model(asked.model_type, {**known.params, **own, **asked.params}, feature_set=known.feature_set)
    if asked.model_type != ENSEMBLE:
        module_of(model)
    return model
