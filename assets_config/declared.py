"""The declarations: what exists, in YAML, read into Structs.

Each file is a list of entries; a user's own folder (DEMANDGRAPH_CONFIG) may hold files of the same names, whose entries
are added and, where the name is taken, replace the shipped one. A mistake is a DeclarationError that names file, entry
and field.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct, structs

from assets_config.contract.expressions import ExpressionError, formula, names
from assets_config.contract.manifest import Kpi, Measure
from assets_config.contract.names import Pattern
from assets_config.contract.seeds import PRESETS, Preset, Seed
from assets_config.entries import DeclarationError, content_of, entry_of, texts
from assets_config.features import FeatureSet
from assets_config.knowledge import Encoder, NoEncoder
from assets_config.mapping import FileSource, Name


class Generator(Seed, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="generator"):
    """Synthetic data with knobs of its own, beside the presets of contract.seeds."""

    name: Name
    about: str


Source = FileSource | Generator


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """A model type with its parameters: the type is the name of a module in pipelines/models."""

    type: Name
    params: dict[str, int | float | str | bool] = {}
    enabled: bool = True
    reason: str = ""  # why it is not enabled
    patterns: Annotated[tuple[Pattern, ...], Meta(min_length=1)] = get_args(Pattern)  # champion of no other series
    feature_set: Name | None = None  # of features.yaml, for types that learn from features; the first where none is named


class Evaluation(Struct, frozen=True, forbid_unknown_fields=True):
    """How models are compared and how far ahead they look."""

    horizon: Annotated[int, Meta(ge=1, le=90)] = 28
    n_splits: Annotated[int, Meta(ge=1, le=20)] = 3
    strategy: Literal["expanding", "sliding"] = "expanding"
    gap: Annotated[int, Meta(ge=0, le=30)] = 0
    min_train_size: Annotated[int, Meta(ge=7)] = 56
    champion: Literal["series", "segment"] = "series"  # chosen for each series, or for all series of a demand pattern
    dead_zone: Annotated[float, Meta(ge=0, le=1)] = 0.005  # of WAPE: a challenger must be better by more than this


class Registry(Struct, frozen=True, forbid_unknown_fields=True):
    """How long model runs and frozen forecasts are kept."""

    keep_runs: Annotated[int, Meta(ge=1, le=1000)] = 20  # newest runs a model type
    keep_frozen: Annotated[int, Meta(ge=1, le=1000)] = 60  # newest sets of frozen forecasts a source


class MeasureDeclaration(Struct, frozen=True, forbid_unknown_fields=True):
    """An additive measure: a SQL expression over the rows of core/sales_daily, summed over any of their dimensions."""

    name: Name
    expression: str
    unit: Literal["money", "count"]
    meaning: str


class Declarations(Struct, frozen=True):
    """All that is declared."""

    sources: dict[str, Source]
    models: dict[str, Model]
    evaluation: Evaluation
    measures: list[MeasureDeclaration]
    kpis: list[Kpi]
    grains: list[list[str]]
    feature_sets: dict[str, FeatureSet]
    registry: Registry = Registry()
    encoder: Encoder = NoEncoder()

    def published_measures(self) -> list[Measure]:
        """The measures as the manifest states them."""
        return [Measure(each.name, each.unit, each.meaning) for each in self.measures]


class _ModelsFile(Struct, frozen=True, forbid_unknown_fields=True):
    models: list[Any] = []
    evaluation: dict[str, Any] = {}
    registry: dict[str, Any] = {}


class _FeaturesFile(Struct, frozen=True, forbid_unknown_fields=True):
    feature_sets: list[Any] = []


class _KpisFile(Struct, frozen=True, forbid_unknown_fields=True):
    measures: list[Any] = []
    kpis: list[Any] = []
    grains: list[list[str]] = []


class _KnowledgeFile(Struct, frozen=True, forbid_unknown_fields=True):
    encoder: dict[str, Any] = {}


class _SourcesFile(Struct, frozen=True, forbid_unknown_fields=True):
    sources: list[Any] = []


AXES = ("store", "product", "category", "department", "region")


def load_declarations(overlay: Path | None = None) -> Declarations:
    """Read the shipped YAML and lay the files of `overlay` over it.

    Raises DeclarationError, when a file, entry or field is not what it should be.
    """
    sources, feature_sets = _sources(overlay), _feature_sets(overlay)
    models, evaluation, registry = _models(overlay, feature_sets)
    measures, kpis, grains = _kpis(overlay)
    return Declarations(sources, models, evaluation, measures, kpis, grains, feature_sets, registry, _encoder(overlay))


def _sources(overlay: Path | None) -> dict[str, Source]:
    found: dict[str, Source] = {each.name: _generator(each) for each in PRESETS.values()}
    for where, text in texts("sources.yaml", overlay):
        for entry in content_of(where, text, _SourcesFile).sources:
            source: Source = entry_of(where, entry, Source)  # type: ignore[arg-type]
            fault = source.fault() if isinstance(source, FileSource) else None
            if fault:
                raise DeclarationError(f"{where}: entry {source.name}: {fault}")
            found[source.name] = source
    return found


def _feature_sets(overlay: Path | None) -> dict[str, FeatureSet]:
    found: dict[str, FeatureSet] = {}
    for where, text in texts("features.yaml", overlay):
        for entry in content_of(where, text, _FeaturesFile).feature_sets:
            feature_set = entry_of(where, entry, FeatureSet)
            found[feature_set.name] = feature_set
    return found


def _models(overlay: Path | None, feature_sets: Mapping[str, FeatureSet]) -> tuple[dict[str, Model], Evaluation, Registry]:
    found: dict[str, Model] = {}
    evaluation, registry = Evaluation(), Registry()
    for where, text in texts("models.yaml", overlay):
        declared = content_of(where, text, _ModelsFile)
        for entry in declared.models:
            model = entry_of(where, entry, Model, label="type")
            if model.feature_set is not None and model.feature_set not in feature_sets:
                known = ", ".join(feature_sets)
                raise DeclarationError(
                    f"{where}: entry {model.type}: feature_set: none is called {model.feature_set}; there are {known}"
                )
            found[model.type] = model
        if declared.evaluation:
            evaluation = entry_of(where, declared.evaluation, Evaluation, label="evaluation")
        if declared.registry:
            registry = entry_of(where, declared.registry, Registry, label="registry")
    return found, evaluation, registry


def _kpis(overlay: Path | None) -> tuple[list[MeasureDeclaration], list[Kpi], list[list[str]]]:
    measures: dict[str, MeasureDeclaration] = {}
    kpis: dict[str, Kpi] = {}
    grains: list[list[str]] = []
    for where, text in texts("kpis.yaml", overlay):
        listed = content_of(where, text, _KpisFile)
        for entry in listed.measures:
            measure = entry_of(where, entry, MeasureDeclaration)
            measures[measure.name] = measure
        for entry in listed.kpis:
            kpi = entry_of(where, entry, Kpi)
            _check_kpi(where, kpi, list(measures))
            kpis[kpi.name] = kpi
        for grain in listed.grains:
            _check_grain(where, grain)
            grains += [grain] if grain not in grains else []
    return list(measures.values()), list(kpis.values()), grains


def _encoder(overlay: Path | None) -> Encoder:
    found: Encoder = NoEncoder()
    for where, text in texts("knowledge.yaml", overlay):
        said = content_of(where, text, _KnowledgeFile).encoder
        found = entry_of(where, said, Encoder, label="type") if said else found  # type: ignore[arg-type]
    return found


def _generator(preset: Preset) -> Generator:
    return Generator(name=preset.name, about=preset.about, **structs.asdict(preset.seed))


def _check_kpi(where: str, kpi: Kpi, measures: list[str]) -> None:
    try:
        formula(kpi.expression)
        used = names(kpi.expression)
    except ExpressionError as error:
        raise DeclarationError(f"{where}: entry {kpi.name}: expression: {error}") from error
    for name in used:
        if name not in measures:
            raise DeclarationError(
                f"{where}: entry {kpi.name}: expression: no measure is called {name}; there are {', '.join(measures)}"
            )


def _check_grain(where: str, grain: list[str]) -> None:
    for axis in grain:
        if axis not in AXES:
            raise DeclarationError(f"{where}: grains: {axis} is no axis; there are {', '.join(AXES)}")
