"""The arithmetic that a KPI may be written in: names of measures, numbers, + - * / and brackets.

A division by zero makes the whole KPI null. The language is parsed, never evaluated as Python.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

Formula = Callable[[Mapping[str, int | Fraction]], Fraction | None]
Quotient = Callable[[Sequence[int]], tuple[int, int] | None]
_Pair = tuple[int, int]
_Work = Callable[[Any], _Pair | None]


class ExpressionError(ValueError):
    """An expression that cannot be read; the message says which piece and what is allowed."""


def names(expression: str) -> list[str]:
    """The measures that an expression uses, in order of first use.

    >>> names("revenue / units")
    ['revenue', 'units']
    """
    tree = _parse(expression)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return list(dict.fromkeys(node.id for node in sorted(found, key=lambda node: node.col_offset)))


def formula(expression: str) -> Formula:
    """Compile an expression to a function of the measures' sums. Exact: the result is a Fraction, null at x / 0.

    >>> formula("revenue / units")({"revenue": 30, "units": 4})
    Fraction(15, 2)
    """

    def leaf(name: str) -> _Work:
        return lambda sums: (sums[name].numerator, sums[name].denominator)

    compute = _compile(_parse(expression), expression, leaf)

    def value(sums: Mapping[str, int | Fraction]) -> Fraction | None:
        found = compute(sums)
        return None if found is None else Fraction(*found)

    return value


def quotient(expression: str, measures: Mapping[str, tuple[int, int]]) -> Quotient:
    """Compile the same to integers, for the thousands of figures of one answer: numerator and denominator, not reduced.

    Takes    for each measure its place in the sums, and what they are counted in: 100 for cents, 1 for whole units.
    Gives    a function of the sums; the denominator may be negative, but is never 0. None at x / 0.

    >>> quotient("revenue / units", {"revenue": (0, 100), "units": (1, 1)})([3000, 4])
    (3000, 400)
    """

    def leaf(name: str) -> _Work:
        place, scale = measures[name]
        return lambda sums: (sums[place], scale)

    return _compile(_parse(expression), expression, leaf)


def is_additive(expression: str) -> bool:
    """Whether values of disjoint parts may be added up: a sum of measures times numbers, such as `2 * (a - b)`.

    >>> is_additive("revenue - cost"), is_additive("revenue / units"), is_additive("units + 1")
    (True, False, False)
    """
    return _degree(_parse(expression)) == 1


def _degree(node: ast.expr) -> int | None:
    """1 for what is linear in the measures and 0 at their zero, 0 for a number, None for anything else."""
    match node:
        case ast.Name():
            return 1
        case ast.Constant():
            return 0
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            return _degree(left) if _degree(left) == _degree(right) else None
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if 0 in (_degree(left), _degree(right)):
            return _degree(left) or _degree(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right) if _degree(right) == 0:
            return _degree(left)
    return None


def _parse(expression: str) -> ast.expr:
    try:
        return ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ExpressionError(f"'{expression}' is no arithmetic expression: {error}") from error


def _compile(node: ast.expr, source: str, leaf: Callable[[str], _Work]) -> _Work:
    match node:
        case ast.Name(id=name):
            return leaf(name)
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            constant = Fraction(str(number)).as_integer_ratio()
            return lambda _: constant
        case ast.BinOp(left=left, op=operator, right=right):
            combine = _OPERATORS.get(type(operator))
            if combine is not None:
                return _both(combine, _compile(left, source, leaf), _compile(right, source, leaf))
    raise ExpressionError(f"'{source}': {ast.unparse(node)} is not allowed; use measures, numbers, + - * / and brackets")


def _both(combine: Callable[[_Pair, _Pair], _Pair | None], first: _Work, second: _Work) -> _Work:
    def work(sums: Any) -> _Pair | None:
        a, b = first(sums), second(sums)
        return None if a is None or b is None else combine(a, b)

    return work


_OPERATORS: dict[type[ast.operator], Callable[[_Pair, _Pair], _Pair | None]] = {
    ast.Add: lambda a, b: (a[0] * b[1] + b[0] * a[1], a[1] * b[1]),
    ast.Sub: lambda a, b: (a[0] * b[1] - b[0] * a[1], a[1] * b[1]),
    ast.Mult: lambda a, b: (a[0] * b[0], a[1] * b[1]),
    ast.Div: lambda a, b: (a[0] * b[1], a[1] * b[0]) if b[0] else None,
}
