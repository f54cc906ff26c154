"""An OpenAPI document -> passages: one that introduces it, and one for each operation."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
import yaml

from pipelines.errors import PipelineError
from pipelines.knowledge.passages import MOST_CHARACTERS, Passage

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MOST_OPERATIONS = 5_000
MOST_MEMBERS = 60


def read(path: str, text: str) -> dict[str, Any]:
    """The document, of JSON or YAML. Raises PipelineError, naming the path, where it is none."""
    try:
        try:
            found = msgspec.json.decode(text)
        except msgspec.DecodeError:
            found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise PipelineError(f"{path}: readable neither as JSON nor as YAML: {str(error)[:300]}") from error
    if not isinstance(found, dict) or not isinstance(found.get("paths"), dict):
        raise PipelineError(f"{path}: an OpenAPI document is an object with the member paths; index it as markdown if it is prose")
    return found


def passages(path: str, text: str) -> list[Passage]:
    """A passage an operation: method and path, what it is for, its parameters, what it takes and gives.

    References are followed one level deep. Raises PipelineError for what is no OpenAPI document.
    """
    document = read(path, text)
    last_line = text.count("\n") + 1
    info = document.get("info") if isinstance(document.get("info"), dict) else {}
    title = str((info or {}).get("title") or path)
    introduction = "\n".join(str(said) for said in (title, (info or {}).get("description")) if said)
    found = [Passage((title,), introduction[:MOST_CHARACTERS], 1, last_line)]
    usual = _usual(document)
    for at, method, operation in _operations(document):
        if len(found) > MOST_OPERATIONS:
            raise PipelineError(f"{path}: more than {MOST_OPERATIONS} operations: index it in parts")
        pointer = f"#/paths/{at.replace('~', '~0').replace('/', '~1')}/{method}"
        operation_id = operation.get("operationId")
        about, members = list(_about(operation)), list(_told(document, operation, usual))
        told = "\n\n".join("\n".join(part) for part in (about, members) if part)[:MOST_CHARACTERS]
        name = str(operation_id) if isinstance(operation_id, str) else None
        found.append(Passage((title, f"{method.upper()} {at}"), told or pointer, 1, last_line, name, pointer))
    return found


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for at, methods in document["paths"].items():
        for method, operation in methods.items() if isinstance(methods, dict) else ():
            if method in METHODS and isinstance(operation, dict):
                yield str(at), method, operation


def _usual(document: Mapping[str, Any]) -> set[str]:
    """Names of parameters that tell operations apart no more, since every tenth of them has them: page, snapshot."""
    operations = [operation for _, _, operation in _operations(document)]
    counts = Counter(
        str(_resolved(document, each).get("name")) for operation in operations for each in _listed(operation.get("parameters"))
    )
    return {name for name, count in counts.items() if count > max(len(operations) / 10, 3)}


def _about(operation: Mapping[str, Any]) -> Iterator[str]:
    """What it is for: its summary, where the description does not begin with it, and the description."""
    summary, description = (str(operation.get(name) or "").strip() for name in ("summary", "description"))
    yield from (said for said in ("" if description.startswith(summary) else summary, description) if said)


def _told(document: Mapping[str, Any], operation: Mapping[str, Any], usual: Collection[str]) -> Iterator[str]:
    if isinstance(operation.get("operationId"), str):
        yield f"operation: {operation['operationId'].replace('_', ' ')} ({operation['operationId']})"
    if isinstance(operation.get("tags"), list):
        yield f"tags: {', '.join(map(str, operation['tags']))}"
    for each in _listed(operation.get("parameters")):
        said = _resolved(document, each)
        if str(said.get("name")) not in usual:
            yield f"parameter {said.get('name')} ({said.get('in')}): {str(said.get('description') or '').strip()}"
    body = _resolved(document, operation.get("requestBody"))
    for schema in _schemas(body):
        yield f"takes: {_members(document, schema)}"
    for status, response in _object(operation.get("responses")).items():
        if str(status).startswith("2"):
            for schema in _schemas(_resolved(document, response)):
                yield f"gives: {_members(document, schema)}"


def _schemas(said: Mapping[str, Any]) -> Iterator[Any]:
    for content in _object(said.get("content")).values():
        yield _object(content).get("schema")
        return  # other media types say the same


def _members(document: Mapping[str, Any], schema: Any) -> str:
    name = str(_object(schema).get("$ref", "")).rpartition("/")[2]
    members = list(_object(_resolved(document, schema).get("properties")))[:MOST_MEMBERS]
    return " ".join(part for part in (name, f"({', '.join(map(str, members))})" if members else "") if part)


def _resolved(document: Mapping[str, Any], said: Any) -> Mapping[str, Any]:
    """What a reference within the document points to; what it is itself where it is none."""
    found = _object(said)
    reference = found.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return found
    target: Any = document
    for step in reference[2:].split("/"):
        target = _object(target).get(step.replace("~1", "/").replace("~0", "~"))
    return _object(target)


def _object(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}


def _listed(said: Any) -> list[Any]:
    return said if isinstance(said, list) else []
