"""The reviewed OpenAPI document, and what in another one would break a client that was written by it.

`make openapi` writes it anew.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from litestar import Litestar

from serving.app import create_app
from serving.document.openapi import described, operations_of
from serving.settings import Settings

REVIEWED = Path(__file__).with_name("openapi.json")
Document = dict[str, Any]


class Facts(NamedTuple):
    """What a parameter or member may be; None where nothing is said."""

    types: frozenset[str]
    values: frozenset[str] | None
    least: float | None
    most: float | None
    is_required: bool


@cache
def application() -> Litestar:
    """The application as it is by default, for tests that look at its routes and its document: making one takes 0.2 s."""
    return create_app(Settings())


@cache
def served() -> Document:
    """The document as it is served now. Only to be read."""
    document: Document = json.loads(json.dumps(described(application()), default=str))
    return document


def reviewed() -> Document:
    document: Document = json.loads(REVIEWED.read_text())
    return document


def write() -> None:
    REVIEWED.write_text(json.dumps(served(), indent=1, sort_keys=True) + "\n")


def breaking(old: Document, new: Document) -> list[str]:
    """One sentence for each thing of `old` that `new` takes from a client."""
    return list(_breaks(old, new))


def _breaks(old: Document, new: Document) -> Iterator[str]:
    after = {(path, method): operation for path, method, operation in operations_of(new)}
    for path, method, operation in operations_of(old):
        name = f"{method.upper()} {path}"
        if (path, method) not in after:
            yield f"{name} is gone"
            continue
        other = after[path, method]
        if operation["operationId"] != other["operationId"]:
            yield f"{name}: operationId {operation['operationId']} is now {other['operationId']}"
        yield from _asks_more(name, sent(operation, old), sent(other, new))
        yield from _gives_less(name, given(operation, old), given(other, new))


def _asks_more(name: str, before: dict[str, Facts], after: dict[str, Facts]) -> Iterator[str]:
    for key, facts in after.items():
        if facts.is_required and not (key in before and before[key].is_required):
            yield f"{name}: {key} is now required"
    for key, facts in before.items():
        if key not in after:
            yield f"{name}: {key} is no longer taken"
        elif not _holds(facts, after[key]):
            yield f"{name}: {key} takes less than before: {facts} became {after[key]}"


def _gives_less(name: str, before: dict[str, Facts], after: dict[str, Facts]) -> Iterator[str]:
    for key, facts in before.items():
        if key not in after:
            yield f"{name}: {key} is no longer given"
        elif not _holds(after[key], facts):
            yield f"{name}: {key} may be something else than before: {facts} became {after[key]}"
        elif facts.is_required and not after[key].is_required:
            yield f"{name}: {key} may be left out now"


def _holds(inner: Facts, outer: Facts) -> bool:
    """Whether all that `inner` allows is allowed by `outer`."""
    return (
        inner.types <= outer.types
        and (outer.values is None or (inner.values is not None and inner.values <= outer.values))
        and (outer.least is None or (inner.least is not None and inner.least >= outer.least))
        and (outer.most is None or (inner.most is not None and inner.most <= outer.most))
    )


def sent(operation: Document, document: Document) -> dict[str, Facts]:
    """What a client may send: parameters as `in name`, members of the body as `body.member`."""
    found: dict[str, Facts] = {}
    for each in operation.get("parameters", []):
        facts = _facts(each["schema"], document, is_required=each.get("required", False))
        found[f"{each['in']} {each['name']}"] = facts
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        found |= _walk(f"body[{media_type}]", content.get("schema", {}), document, is_required=True)
    return found


def given(operation: Document, document: Document) -> dict[str, Facts]:
    """What a client may read: members of each answer that is no problem, as `200.member`."""
    found: dict[str, Facts] = {}
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            found |= _walk(f"{status}[{media_type}]", content.get("schema", {}), document, is_required=True)
    return found


def _walk(key: str, schema: Document, document: Document, *, is_required: bool, depth: int = 0) -> dict[str, Facts]:
    found = {key: _facts(schema, document, is_required=is_required)}
    if depth > 12:
        return found
    for choice in _choices(schema, document):
        required = choice.get("required", ())
        for name, member in choice.get("properties", {}).items():
            found |= _walk(f"{key}.{name}", member, document, is_required=name in required, depth=depth + 1)
        for part in ("items", "additionalProperties"):
            if isinstance(choice.get(part), dict):
                found |= _walk(f"{key}[]", choice[part], document, is_required=True, depth=depth + 1)
    return found


def _choices(schema: Document, document: Document) -> list[Document]:
    """The schemas that a value may follow, references resolved."""
    if "$ref" in schema:
        return _choices(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    listed = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    return [choice for each in listed for choice in _choices(each, document)] if listed else [schema]


def _facts(schema: Document, document: Document, *, is_required: bool) -> Facts:
    choices = _choices(schema, document)
    types: set[str] = set()
    for choice in choices:
        said = choice.get("type", "any")
        types |= set(said) if isinstance(said, list) else {said}
    if "number" in types:
        types.add("integer")
    listed = [choice["enum"] for choice in choices if "enum" in choice]
    values = frozenset(map(str, (value for each in listed for value in each))) if listed else None
    least = next((each["minimum"] for each in [schema, *choices] if "minimum" in each), None)
    most = next((each["maximum"] for each in [schema, *choices] if "maximum" in each), None)
    return Facts(frozenset(types), values, least, most, is_required)


if __name__ == "__main__":
    write()
