from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_config.contract.expressions import ExpressionError, formula, names
from assets_config.declared import load_declarations
from assets_config.entries import DeclarationError


def test_the_shipped_declarations_load() -> None:
    declared = load_declarations()

    assert {"demo_minimal", "csv", "m5", "m5_sample", "m5_wide", "serving_bench"} <= set(declared.sources)
    assert list(declared.models)[:3] == ["naive", "seasonal_naive", "moving_average"]
    assert {"lightgbm", "sarimax"} <= {model.type for model in declared.models.values() if not model.enabled}
    assert all(model.enabled or model.reason for model in declared.models.values())


def test_an_overlay_adds_and_replaces_by_name(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("models:\n  - {type: naive, enabled: false}\n  - {type: mine}\n")

    models = load_declarations(tmp_path).models

    assert models["naive"].enabled is False
    assert list(models)[-1] == "mine"


FILES = "sources:\n  - {{name: a, kind: files, about: x, tables: {{{}}}}}\n"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("sources.yaml", "sources:\n  - {name: a, kind: files}\n", ["sources.yaml", "entry a", "about"]),
        ("sources.yaml", "sources:\n  - {name: a, kind: ftp, about: x}\n", ["entry a", "kind"]),
        ("sources.yaml", "sources:\n  - {name: a, kind: generator, about: x, store: 5}\n", ["entry a", "store"]),
        ("sources.yaml", "sources:\n  - {name: a, kind: generator, about: x, stores: many}\n", ["entry a", "stores"]),
        ("sources.yaml", "sources: [", ["sources.yaml", "YAML"]),
        ("sources.yaml", FILES.format("sales-daily: {}"), ["sources.yaml", "entry a", "file", "tables"]),
        ("sources.yaml", FILES.format("sales: {file: x}"), ["entry a", "tables", "no kind is called sales", "sales-daily, "]),
        ("sources.yaml", FILES.format("stores: {file: x, columns: {key: id}}"),
         ["entry a", "tables.stores.columns", "key is none of ours", "external_id"]),
        ("sources.yaml", FILES.format("stores: {file: x, columns: {code: {column: id, value: A}}}"),
         ["entry a", "tables.stores.columns.code", "not both"]),
        ("sources.yaml", FILES.format("stores: {file: x, columns: {name: n, code: {colum: id}, region: r}}"),
         ["entry a", "`colum`", "`$.tables.stores.columns.code`"]),
        ("sources.yaml", FILES.format("stores: {file: x}, products: {file: x, lookups: [{file: y, by: {a: b, c: 1}, take: [d]}]}"),
         ["entry a", "`int`", "`$.tables.products.lookups[0].by.c`"]),
        ("sources.yaml", FILES.format("inventory: {file: x, weekly: {}}"), ["tables.inventory.weekly", "sales-daily only"]),
        ("sources.yaml", FILES.format("returns: {file: x, negative: return}"), ["tables.returns.negative", "sales-daily only"]),
        ("sources.yaml", FILES.format("returns: {file: x, cancelled: {column: a, prefix: C}}"), ["tables.returns.cancelled"]),
        ("sources.yaml", FILES.format("sales-daily: {file: x, weekly: {shares: [1, 1]}}"), ["entry a", "weekly.shares", "length"]),
        ("sources.yaml", FILES.format("sales-daily: {file: x, weekly: {shares: [0, 0, 0, 0, 0, 0, 0]}}"),
         ["entry a", "tables.sales-daily.weekly.shares", "sum to 0"]),
        ("sources.yaml", FILES.format("sales-daily: {file: x, weekly: {shares: [-1, 9, 0, 0, 0, 0, 0]}}"), ["negative"]),
        ("sources.yaml", FILES.format("sales-daily: {file: x, repeated: first}"), ["entry a", "first", "repeated"]),
        ("sources.yaml", FILES.format("sales-daily: {file: x, encoding: ascii}"), ["entry a", "ascii", "encoding"]),
        ("sources.yaml", FILES.format("sales-daily: {file: x, delimiter: tab}"), ["entry a", "delimiter"]),
        ("sources.yaml", FILES.format("sales-daily: {file: x, skip: {no code: a = 1}}"), ["entry a", "skip", "A-Z"]),
        ("sources.yaml", FILES.format("sales-daily: {file: x, columns: {quantity: {times: 0}}}"), ["entry a", "times", "> 0"]),
        ("sources.yaml", FILES.format("sales-daily: {file: x, wide: {columns: d_*}}"), ["entry a", "wide", "name"]),
        ("models.yaml", "models:\n  - {type: naive, parms: {}}\n", ["models.yaml", "entry naive", "parms"]),
        ("models.yaml", "evaluation: {horizon: 400}\n", ["models.yaml", "horizon"]),
        ("kpis.yaml", KPI := "kpis:\n  - {name: k, expression: revenue / baskets, unit: money, direction: up, meaning: m}\n",
         ["kpis.yaml", "entry k", "baskets", "revenue"]),
        ("kpis.yaml", KPI.replace("revenue / baskets", "exec(1)"), ["entry k", "exec"]),
        ("kpis.yaml", "grains:\n  - [shop]\n", ["grains", "shop", "store"]),
    ],
)  # fmt: skip
def test_a_mistake_names_file_entry_and_field(file: str, text: str, said: list[str], tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)

    with pytest.raises(DeclarationError) as caught:
        load_declarations(tmp_path)

    assert all(piece in str(caught.value) for piece in said), caught.value


def test_a_config_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="DEMANDGRAPH_CONFIG"):
        load_declarations(tmp_path / "none")


@given(a=st.integers(-1000, 1000), b=st.integers(-1000, 1000), c=st.integers(-1000, 1000))
def test_formulas_are_exact_arithmetic(a: int, b: int, c: int) -> None:
    sums = {"a": a, "b": b, "c": c}

    assert formula("(a + b) * c - 0.5 * a")(sums) == (a + b) * c - Fraction(a, 2)
    assert formula("a / (b - c)")(sums) == (None if b == c else Fraction(a, b - c))


@pytest.mark.parametrize("text", ["__import__('os')", "a.b", "a if b else c", "a ** b", "", "a +", "[a]", "'a'", "True"])
def test_anything_but_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        formula(text)


def test_names_come_in_order_of_use() -> None:
    assert names("revenue / (units + revenue)") == ["revenue", "units"]


def test_a_time_zone_that_does_not_exist_is_told(tmp_path: Path) -> None:
    table = "{file: x, columns: {date: {zone: Mars/Olympus}}}"
    (tmp_path / "sources.yaml").write_text(f"sources: [{{name: a, kind: files, about: x, tables: {{sales-daily: {table}}}}}]\n")

    with pytest.raises(DeclarationError, match=r"entry a: tables\.sales-daily\.columns\.date: no time zone is called Mars/Olympus"):
        load_declarations(tmp_path)
