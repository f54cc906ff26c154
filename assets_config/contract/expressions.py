"""The arithmetic that a KPI may be written in: names of measures, numbers, + - * / and brackets.

A division by zero makes the whole KPI null. The language is parsed, never evaluated as Python.
"""

import ast
from collections.abc import Callable, Mapping
from fractions import Fraction

Formula = Callable[[Mapping[str, int | Fraction]], Fraction | None]


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
    return _compile(_parse(expression), expression)


def _parse(expression: str) -> ast.expr:
    try:
        return ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ExpressionError(f"'{expression}' is no arithmetic expression: {error}") from error


def _compile(node: ast.expr, source: str) -> Formula:
    match node:
        case ast.Name(id=name):
            return lambda sums: Fraction(sums[name])
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            constant = Fraction(str(number))
            return lambda _: constant
        case ast.BinOp(left=left, op=operator, right=right):
            combine = _OPERATORS.get(type(operator))
            if combine is not None:
                first, second = _compile(left, source), _compile(right, source)
                return lambda sums: _both(combine, first(sums), second(sums))
    raise ExpressionError(f"'{source}': {ast.unparse(node)} is not allowed; use measures, numbers, + - * / and brackets")


def _both(
    combine: Callable[[Fraction, Fraction], Fraction | None], first: Fraction | None, second: Fraction | None
) -> Fraction | None:
    return None if first is None or second is None else combine(first, second)


_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction | None]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b if b else None,
}
