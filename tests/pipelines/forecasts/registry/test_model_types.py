"""The table of model types says what each module takes and what models.yaml gives it."""

from pathlib import Path

import msgspec
import polars as pl
import pytest

from assets_config.declared import Declarations, load_declarations
from pipelines.forecasts.registry.model_types import model_types
from pipelines.models.types import GIVEN
from pipelines.warehouse import Warehouse

CATALOG = pl.DataFrame({"feature_set": ["demand"] * 2, "hash": ["ab" * 8] * 2})


@pytest.fixture(scope="module")
def declared() -> Declarations:
    return load_declarations()


@pytest.fixture(scope="module")
def table(declared: Declarations) -> pl.DataFrame:
    return model_types(declared, CATALOG)


def test_every_declared_type_has_a_row_in_order(table: pl.DataFrame, declared: Declarations) -> None:
    assert table["model_type"].to_list() == list(declared.models)
    assert table["position"].to_list() == list(range(len(declared.models)))
    assert table.filter("enabled")["reason"].null_count() == table.filter("enabled").height
    assert table.filter(~pl.col("enabled"))["reason"].null_count() == 0


def test_a_type_without_a_module_tells_the_reason(table: pl.DataFrame) -> None:
    [row] = table.filter(model_type="lightgbm").rows(named=True)

    assert (row["enabled"], row["description"], row["params"]) == (False, None, "[]")
    assert row["reason"] == "not among the packages; xgboost with its histograms plays its part"
    assert table.filter(pl.col("model_type") != "lightgbm")["description"].str.ends_with(".").all()


def test_parameters_tell_default_and_value(table: pl.DataFrame, declared: Declarations) -> None:
    said = {row["model_type"]: msgspec.json.decode(row["params"]) for row in table.iter_rows(named=True)}

    average, trees = said["moving_average"], {each["name"]: each for each in said["xgboost"]}
    assert average == [{"name": "window_size", "type": "integer", "choices": None, "default": 28, "value": 28}]
    assert said["ensemble"] == [{"name": "shrinkage", "type": "number", "choices": None, "default": 0.5, "value": 0.5}]
    assert said["naive"] == []
    assert (trees["origins"]["type"], trees["origins"]["choices"]) == ("string", ["horizon", "random"])
    assert (trees["min_child_weight"]["type"], trees["min_child_weight"]["default"]) == ("number", 20)
    assert not {*GIVEN} & {*trees}
    for name, params in said.items():
        assert {each["name"]: each["value"] for each in params}.items() >= declared.models[name].params.items()


def test_types_that_learn_from_features_name_their_set(table: pl.DataFrame) -> None:
    learners = table.filter("learns_from_features")

    assert learners["model_type"].to_list() == ["xgboost", "regression", "random_forest"]
    assert learners["feature_set"].to_list() == [f"demand/{'ab' * 8}"] * 3
    assert table.filter(~pl.col("learns_from_features"))["feature_set"].null_count() == table.height - 3


def test_the_demo_tells_the_value_that_was_laid_over(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)

    [row] = warehouse.read("forecasts/model_type").filter(model_type="xgboost").rows(named=True)
    [run] = warehouse.read("forecasts/model_run").filter(model_type="xgboost").rows(named=True)

    [rounds] = [each for each in msgspec.json.decode(row["params"]) if each["name"] == "rounds"]
    assert (rounds["default"], rounds["value"]) == (150, 8)
    assert row["feature_set"] == run["feature_set"]
