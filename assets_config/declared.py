"""The declarations: what exists, in YAML, read into Structs.

Each file is a list of entries; a user's own folder (DEMANDGRAPH_CONFIG) may hold files of the same names, whose entries
are added and, where the name is taken, replace the shipped one. A mistake is a DeclarationError that names file, entry
and field.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
import yaml
from msgspec import Meta, Struct, structs

from assets_config.contract.expressions import ExpressionError, formula, names
from assets_config.contract.manifest import Kpi, Measure
from assets_config.contract.names import Pattern
from assets_config.contract.seeds import PRESETS, Preset, Seed
from assets_config.features import FeatureSet
from assets_config.knowledge import Encoder, NoEncoder
from assets_config.mapping import FileSource, Name


class DeclarationError(ValueError):
    """A mistake in a YAML file; the message says file, entry and field, and what would work."""


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
T = TypeVar("T")


def load_declarations(overlay: Path | None = None) -> Declarations:
    """Read the shipped YAML and lay the files of `overlay` over it.

    Raises DeclarationError, when a file, entry or field is not what it should be.
    """
    sources: dict[str, Source] = {each.name: _generator(each) for each in PRESETS.values()}
    feature_sets: dict[str, FeatureSet] = {}
    models: dict[str, Model] = {}
    measures: dict[str, MeasureDeclaration] = {}
    kpis: dict[str, Kpi] = {}
    grains: list[list[str]] = []
    evaluation = Evaluation()
    registry = Registry()
    for where, text in _texts("sources.yaml", overlay):
        for entry in _file(where, text, _SourcesFile).sources:
            source: Source = _entry(where, entry, Source)  # type: ignore[arg-type]
            fault = source.fault() if isinstance(source, FileSource) else None
            if fault:
                raise DeclarationError(f"{where}: entry {source.name}: {fault}")
            sources[source.name] = source
    for where, text in _texts("features.yaml", overlay):
        for entry in _file(where, text, _FeaturesFile).feature_sets:
            feature_set = _entry(where, entry, FeatureSet)
            feature_sets[feature_set.name] = feature_set
    for where, text in _texts("models.yaml", overlay):
        declared = _file(where, text, _ModelsFile)
        for entry in declared.models:
            model = _entry(where, entry, Model, label="type")
            if model.feature_set is not None and model.feature_set not in feature_sets:
                known = ", ".join(feature_sets)
                raise DeclarationError(
                    f"{where}: entry {model.type}: feature_set: none is called {model.feature_set}; there are {known}"
                )
            models[model.type] = model
        if declared.evaluation:
            evaluation = _entry(where, declared.evaluation, Evaluation, label="evaluation")
        if declared.registry:
            registry = _entry(where, declared.registry, Registry, label="registry")
    for where, text in _texts("kpis.yaml", overlay):
        listed = _file(where, text, _KpisFile)
        for entry in listed.measures:
            measure = _entry(where, entry, MeasureDeclaration)
            measures[measure.name] = measure
        for entry in listed.kpis:
            kpi = _entry(where, entry, Kpi)
            _check_kpi(where, kpi, list(measures))
            kpis[kpi.name] = kpi
        for grain in listed.grains:
            _check_grain(where, grain)
            grains += [grain] if grain not in grains else []
    encoder: Encoder = NoEncoder()
    for where, text in _texts("knowledge.yaml", overlay):
        said = _file(where, text, _KnowledgeFile).encoder
        encoder = _entry(where, said, Encoder, label="type") if said else encoder  # type: ignore[arg-type]
    return Declarations(
        sources, models, evaluation, list(measures.values()), list(kpis.values()), grains, feature_sets, registry, encoder
    )


def fields_of(name: str, overlay: Path | None, shape: type[T]) -> T:
    """A file that is one entry: its fields, those of the overlay's file of the same name over the shipped ones.

    Raises DeclarationError, naming the file that the faulty field stands in.
    """
    found: dict[str, Any] = {}
    for where, text in _texts(name, overlay):
        found |= _file(where, text, dict[str, Any])
        try:
            read = msgspec.convert(found, shape)
        except msgspec.ValidationError as error:
            raise DeclarationError(f"{where}: {error}") from error
    return read


def entries_of(name: str, overlay: Path | None, members: Mapping[str, type[Any]]) -> dict[str, list[Any]]:
    """The entries that a file lists under each of its members, the shipped ones first.

    Raises DeclarationError, naming file, entry and field.
    """
    found: dict[str, list[Any]] = {member: [] for member in members}
    for where, text in _texts(name, overlay):
        listed = _file(where, text, dict[str, list[Any]])
        if unknown := listed.keys() - members.keys():
            raise DeclarationError(f"{where}: {', '.join(sorted(unknown))} is unknown; known are {', '.join(members)}")
        for member, entries in listed.items():
            found[member] += [_entry(where, entry, members[member], label="key") for entry in entries]
    return found


def _generator(preset: Preset) -> Generator:
    return Generator(name=preset.name, about=preset.about, **structs.asdict(preset.seed))


def _texts(name: str, overlay: Path | None) -> list[tuple[str, str]]:
    texts = [(f"assets_config/{name}", files("assets_config").joinpath(name).read_text(encoding="utf-8"))]
    if overlay is not None:
        if not overlay.is_dir():
            raise DeclarationError(f"DEMANDGRAPH_CONFIG: {overlay} is not a folder")
        path = overlay / name
        if path.exists():
            texts.append((str(path), path.read_text(encoding="utf-8")))
    return texts


def _file(where: str, text: str, shape: type[T]) -> T:
    try:
        return msgspec.convert(_parsed(text) or {}, shape)
    except yaml.YAMLError as error:
        raise DeclarationError(f"{where}: not readable as YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise DeclarationError(f"{where}: {error}") from error


def _parsed(text: str) -> Any:
    if not yaml.__with_libyaml__:
        return yaml.safe_load(text)
    try:
        return yaml.load(text, yaml.CSafeLoader)  # ten times as fast as the parser in Python, whose errors show the line
    except yaml.YAMLError:
        return yaml.safe_load(text)


def _entry(where: str, entry: Any, shape: type[T], *, label: str = "name") -> T:
    named = entry.get(label, "?") if isinstance(entry, dict) else entry
    try:
        return msgspec.convert(entry, shape)
    except msgspec.ValidationError as error:
        raise DeclarationError(f"{where}: entry {named}: {error}") from error


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
