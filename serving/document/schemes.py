"""The part of the OpenAPI description that says who may call an operation, made from the same rules that decide it."""

from typing import Any

from serving.layers.rules import Rule
from serving.problems import MEDIA_TYPE, Forbidden, PayloadTooLarge, Problem, RateLimited, SlowBody, TimedOut, Unauthorized

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `demandgraph keys`."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, in a header of its own."},
}
EITHER: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]


def with_security(schema: dict[str, Any], rules: dict[str, Rule], *, reader_open: bool) -> dict[str, Any]:
    """The description with the schemes, the keys that each operation takes, its role and the answers that come of them.

    `rules` by operation id. `reader_open`: whether a read may do without a key, in some case at least.
    """
    schema.setdefault("components", {})["securitySchemes"] = SCHEMES
    for operation in (each for methods in schema["paths"].values() for each in methods.values() if "operationId" in each):
        rule = rules[operation["operationId"]]
        none = rule.needs is None or (rule.needs == "reader" and reader_open)
        operation["security"] = ([{}] if none else []) + ([] if rule.needs is None else EITHER)
        operation["x-role"] = rule.needs or "open"
        for problem in _answers(rule, has_body="requestBody" in operation):
            operation["responses"].setdefault(str(problem.status), _response(problem))
    return schema


def _answers(rule: Rule, *, has_body: bool) -> list[type[Problem]]:
    keyed = [] if rule.needs is None else [Unauthorized, Forbidden] if rule.needs != "reader" else [Unauthorized]
    counted = [] if rule.is_probe else [RateLimited]
    sized = [SlowBody, PayloadTooLarge] if has_body else []
    return [*keyed, *counted, *sized, TimedOut]


def _response(problem: type[Problem]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {"description": " ".join((problem.__doc__ or "").split()), "content": content}
