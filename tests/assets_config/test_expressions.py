"""KPI formulas are exact arithmetic and nothing else."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_config.contract.expressions import ExpressionError, formula, is_additive, names, quotient

SUMS = {"revenue": 12345, "units": 40, "transactions": 0}
Tree = tuple[str, Callable[[], Fraction]]


def joined(operator: str, left: Tree, right: Tree) -> Tree:
    """The text of two trees with an operator between, and the same arithmetic on Fractions."""
    work = {
        "+": lambda: left[1]() + right[1](),
        "-": lambda: left[1]() - right[1](),
        "*": lambda: left[1]() * right[1](),
        "/": lambda: left[1]() / right[1](),
    }[operator]
    return f"({left[0]} {operator} {right[0]})", work


LEAVES: st.SearchStrategy[Tree] = st.one_of(
    st.sampled_from(list(SUMS)).map(lambda name: (name, lambda: Fraction(SUMS[name]))),
    st.integers(0, 1000).map(lambda number: (str(number), lambda: Fraction(number))),
    st.decimals(0, 100, places=2).map(lambda number: (str(number), lambda: Fraction(number))),
)
TREES = st.recursive(LEAVES, lambda inner: st.builds(joined, st.sampled_from("+-*/"), inner, inner), max_leaves=12)


@given(tree=TREES)
def test_any_formula_equals_fraction_arithmetic(tree: Tree) -> None:
    text, work = tree
    try:
        expected: Fraction | None = work()
    except ZeroDivisionError:
        expected = None

    assert formula(text)(SUMS) == expected


@given(tree=TREES)
def test_integers_give_the_same_as_fractions(tree: Tree) -> None:
    places = {"revenue": (0, 100), "units": (1, 1), "transactions": (2, 1)}

    found = quotient(tree[0], places)([1_234_500, 40, 0])  # revenue in cents

    assert (None if found is None else Fraction(*found)) == formula(tree[0])(SUMS)


@given(tree=TREES, scale=st.integers(2, 9))
def test_what_is_additive_scales_with_its_measures(tree: Tree, scale: int) -> None:
    compute = formula(tree[0])

    once, several = compute(SUMS), compute({name: scale * value for name, value in SUMS.items()})

    if is_additive(tree[0]) and once is not None:
        assert several == scale * once


@pytest.mark.parametrize(
    ("text", "additive"),
    [
        ("revenue", True),
        ("revenue - 2 * units", True),
        ("(revenue + units) / 4", True),
        ("revenue / units", False),
        ("revenue * units", False),
        ("units + 1", False),
        ("3", False),
        ("(revenue / units) * units", False),
    ],
)
def test_only_sums_of_measures_are_additive(text: str, additive: bool) -> None:
    assert is_additive(text) == additive


@given(tree=TREES)
def test_names_are_those_that_the_text_holds(tree: Tree) -> None:
    text = tree[0]

    assert names(text) == sorted((name for name in SUMS if name in text), key=text.index)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4", Fraction(14)),
        ("10 - 4 - 3", Fraction(3)),
        ("8 / 4 / 2", Fraction(1)),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("revenue / units", Fraction(12345, 40)),
        ("units / transactions", None),
        ("1 + 0 * (units / transactions)", None),
    ],
)
def test_precedence_decimals_and_nulls(text: str, expected: Fraction | None) -> None:
    assert formula(text)(SUMS) == expected


@pytest.mark.parametrize(
    "text",
    [
        "print(revenue)",
        "revenue.real",
        "revenue[0]",
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "[units for units in (1,)]",
        "revenue if units else 0",
        "revenue and units",
        "revenue < units",
        "revenue % units",
        "revenue // units",
        "revenue ** 9",
        "revenue @ units",
        "~units",
        "'7' * 3",
        "True + 1",
        "None",
        "2j",
        "f'{units}'",
        "(units := 3)",
        "units; revenue",
        "units\nrevenue",
        "units +",
        "((units)",
        "",
        "   ",
        "\x00",
    ],
)
def test_anything_but_arithmetic_is_refused_with_the_piece(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        formula(text)

    assert text.strip().splitlines()[:1] == [] or text[:4] in str(caught.value)
