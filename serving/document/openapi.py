"""The OpenAPI document as it is served: Litestar's, with what a reader needs who must choose a call by it.

Each operation has every problem that it answers, an example that works, and links that say which answer an id comes from; each
parameter and member has a description.
"""

import inspect
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Litestar
from msgspec import Struct

from assets_config.contract.graph import ASSETS
from assets_config.contract.jobs import JOB_TYPES
from assets_config.contract.names import STAGES
from serving.document.examples import EXAMPLES, Example, source_of
from serving.document.words import FIELDS, PARAMETERS
from serving.problems import MEDIA_TYPE, PROBLEMS

ABOUT = """Sales, KPIs and forecasts of one published snapshot, and jobs that make the next.

- A GET reads the snapshot and computes no forecast. `?snapshot=<id>` pins any of them; `metadata.snapshot_id` says which was read.
- A write answers 202 with a job. Follow it at /jobs/{job_id}; once it is completed, reads answer with what it published.
- Stores and products are named by id, by code or SKU, or by what a source calls them, wherever store_id or product_id is asked.
- Lists have `items`, `page`, `page_size`, `total`; a known thing without rows is an empty list, an unknown one 404.
- Money has two places, ratios six and no percent unless the name ends in pct. What cannot be told is null, with a reason beside it.
- An error is a problem document: `code` is for programs, `errors` names each field at fault, `detail` says what would work.
"""
TAGS = {
    "agents": "Conversations in plain words, answered by rules from calls of these operations.",
    "alerts": "What is worth a look: what rules found, who sees to it, and who was told.",
    "analytics": "What was sold: KPIs of ranges, rankings, periods.",
    "assets": "The tables that the pipeline makes: freshness, columns, checks.",
    "backtests": "How wrong each type of model would have been.",
    "data": "Bring data in, generate some, and see what became of it.",
    "dimensions": "Stores, products, categories, days, prices and promotions: names and attributes to filter by.",
    "featuresets": "What pooled models learn from.",
    "forecasts": "What is forecast at every level, how good that was, and why.",
    "health": "Whether the server answers, is ready and is well.",
    "inventory": "How much stock there is and was, and how long it lasts.",
    "items": "One product by day: sold and forecast, with reasons.",
    "jobs": "What is being made: start it, follow it, stop it, run it again.",
    "knowledge": "What the documents say, and which operation to call.",
    "planning": "Season plans: what to make, where it goes, what it costs, and the decisions.",
    "registry": "Model runs: compare, verify, name, annotate.",
    "system": "The server, its snapshots and what it leans on.",
    "workspaces": "Demo runs that were kept: what came of them, compare two, repeat one, take it away.",
}
OPERATIONAL = ("/livez", "/readyz", "/health", "/metrics", "/errors/{problem}")
EVERYWHERE = ("validation", "forbidden", "unknown")
API = ("unauthorized", "not-found", "rate-limited")
READ = ("bad-request", "gone", "no-snapshot", "database")
WRITE = ("bad-request", "conflict", "gone", "payload-too-large", "unsupported-media-type", "orchestrator-unavailable", "database")
OF_DAGSTER = ("list_events", "list_job", "get_job", "explain_job", "list_assets", "get_asset", "list_check_results")
ALSO = {
    "is_ready": ("no-snapshot",),
    "get_problem_type": ("not-found",),
    "explain_job": ("conflict",),
    "explain_model_run": ("conflict",),
    "get_model_card": ("conflict",),
    "get_model_card_plot": ("conflict",),
}
GENERIC = re.compile(r"^(\w+?)_(?:\w+\.)*(\w+)_$")
PREFIXED = re.compile(r"^[a-z]+_([A-Z]\w+)$")


def described(app: Litestar) -> dict[str, Any]:
    """The document of an application."""
    document = _renamed(app.openapi_schema.to_schema())
    document["info"]["description"] = ABOUT
    document["tags"] = [{"name": name, "description": said} for name, said in TAGS.items()]
    schemas = document["components"]["schemas"]
    _hold_bodies_to_their_structs(app, schemas)
    _tell_jobs_apart(document)
    for name, schema in schemas.items():
        for field, said in schema.get("properties", {}).items():
            _describe(said, FIELDS.get(f"{name}.{field}") or FIELDS.get(field))
    _close_bodies(document)
    operations = {operation["operationId"]: operation for _, _, operation in operations_of(document)}
    known: dict[str, Any] = {}
    document["components"]["responses"] = known
    for path, method, operation in operations_of(document):
        _finish(operation, path, method, known)
    for name, operation in operations.items():
        _link(name, operation, operations)
    return document


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation of all that can be called."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _renamed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with plain numbers and short names: ListedStore for Listed_serving.routes.dimensions.Store_."""
    names = {name: _short(name) for name in document["components"]["schemas"]}
    twice = sorted(name for name, many in Counter(names.values()).items() if many > 1)
    if twice:
        raise ValueError(f"two Structs of bodies have one name: {', '.join(twice)}")

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: _told_apart(walk(each)) if key == "oneOf" else walk(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [walk(each) for each in value]
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and value.startswith("#/components/schemas/"):
            return f"#/components/schemas/{names[value.rpartition('/')[2]]}"
        return value

    found: dict[str, Any] = walk(document)
    found["components"]["schemas"] = {names[name]: schema for name, schema in found["components"]["schemas"].items()}
    return found


def _hold_bodies_to_their_structs(app: Litestar, schemas: dict[str, Any]) -> None:
    """Describe bodies as msgspec reads them: Litestar leaves out the bounds of what may be null, and of members of a list."""
    fields = (
        getattr(handler, "parsed_data_field", None) for route in app.routes for handler in getattr(route, "route_handlers", ())
    )
    bodies = {
        each.annotation for each in fields if each and isinstance(each.annotation, type) and issubclass(each.annotation, Struct)
    }
    ordered = sorted(bodies, key=lambda each: each.__name__)
    _, found = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    for name, schema in found.items():
        known = schemas.get(name, {})
        for field, said in schema.get("properties", {}).items():
            said |= _words(known.get("properties", {}).get(field, {}))
            _type_choices(said)
        schemas[name] = {**schema, **_words(known)}


def _words(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("title", "description") if key in schema}


def _type_choices(schema: dict[str, Any]) -> None:
    """Say of words to choose from that they are strings, here and in what is inside."""
    if all(isinstance(each, str) for each in schema.get("enum", [None])):
        schema["type"] = "string"
    for inner in (*schema.get("anyOf", ()), schema.get("items", {})):
        if isinstance(inner, dict) and inner:
            _type_choices(inner)


def _close_bodies(document: dict[str, Any]) -> None:
    """Say of every body that members which it does not have are refused."""
    schemas = document["components"]["schemas"]
    waiting = [content.get("schema", {}) for _, _, each in operations_of(document)
               for content in each.get("requestBody", {}).get("content", {}).values()]  # fmt: skip
    while waiting:
        schema = waiting.pop()
        name = schema.get("$ref", "").rpartition("/")[2]
        if name and "additionalProperties" not in schemas[name]:
            if "properties" in schemas[name]:
                schemas[name]["additionalProperties"] = False
            waiting += [schemas[name], *schemas[name].get("properties", {}).values()]
        waiting += [*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())]


def _tell_jobs_apart(document: dict[str, Any]) -> None:
    """The body of POST /jobs as one shape a job type, so that its parameters are known before it is sent."""
    schemas = document["components"]["schemas"]
    types = [(each.name, each.params) for each in JOB_TYPES.values()]
    found, params = msgspec.json.schema_components([shape for _, shape in types], ref_template="#/components/schemas/{name}")
    for name, schema in params.items():
        schemas.setdefault(name, schema)
    schemas["MaterializeParams"]["properties"]["assets"]["items"] = {"type": "string", "enum": [*STAGES, *ASSETS]}
    request = schemas["JobRequest"]
    own = request["properties"]
    shapes = []
    for (name, shape), schema in zip(types, found, strict=True):
        required = ["job_type"] if not schemas[shape.__name__].get("required") else ["job_type", "params"]
        shapes.append(
            {
                "type": "object",
                "title": name,
                "description": JOB_TYPES[name].summary,
                "properties": {"job_type": {**own["job_type"], "enum": [name]}, "params": schema, "dry_run": own["dry_run"]},
                "required": required,
                "additionalProperties": False,
            }
        )
    schemas["JobRequest"] = {"title": request["title"], "oneOf": shapes}


def _told_apart(choices: list[Any]) -> list[Any]:
    """Without integer beside number, which holds it: a whole number would be both, and so none."""
    types = [each.get("type") for each in choices]
    return [each for each in choices if each.get("type") != "integer" or "number" not in types]


def _short(name: str) -> str:
    generic, prefixed = GENERIC.match(name), PREFIXED.match(name)
    if generic:
        return generic.group(1) + generic.group(2)
    return prefixed.group(1) if prefixed else name


def _describe(said: dict[str, Any], text: str | None) -> None:
    """Give a parameter or member its description, where it has none of its own."""
    if not said.get("description") and text:
        said["description"] = text


def _finish(operation: dict[str, Any], path: str, method: str, known: dict[str, Any]) -> None:
    """`known`: the problems of the document, by name."""
    name = operation["operationId"]
    operation["summary"] = re.split(r"(?<=[.;:]) |\.$|\n", operation.get("description", "") or name)[0].rstrip(".;:")
    for each in operation.get("parameters", []):
        word = f"{{{each['name']}}}" if each["in"] == "path" else f"?{each['name']}"
        _describe(each, PARAMETERS.get(f"{name}{word}") or PARAMETERS.get(word))
        each["schema"] = _optional(each["schema"])
        _describe(each["schema"], each.get("description"))
    responses = operation["responses"]
    for status in [status for status in responses if status >= "400" and not (name == "get_health" and status == "503")]:
        del responses[status]
    is_table = "text/csv" in responses.get("200", {}).get("content", {})
    for status, slugs in _problems(path, method, name, is_table=is_table).items():
        known.setdefault("-or-".join(slugs), _response(slugs))
        if not (name == "get_health" and status == 503):  # which answers its own body
            responses[str(status)] = {"$ref": f"#/components/responses/{'-or-'.join(slugs)}"}
    example = EXAMPLES.get(name, Example())
    _show(operation, example)
    operation["x-example"] = {"request": f"{method.upper()} {path}{'?' if example.query else ''}{example.query}"}
    if example.body is not None or example.text is not None:
        operation["x-example"]["body"] = example.body if example.text is None else example.text


def _show(operation: dict[str, Any], example: Example) -> None:
    """Give parameters and the body the values of the example, but for those that come from another answer."""
    given = {name: value for name, value in parse_qsl(example.query) if "{" not in value}
    for each in operation.get("parameters", []):
        if each["name"] in given and each["schema"].get("type") == "string":
            each["example"] = given[each["name"]]
    wanted, body = ("text/csv", example.text) if example.text else ("application/json", example.body)
    content = operation.get("requestBody", {}).get("content", {}).get(wanted)
    if content is not None and body is not None and not re.search(r"\{\w+\}", str(body)):
        content["example"] = body


def _optional(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter: one that is left out is not sent as null."""
    choices = [each for each in schema.get("oneOf", ()) if each.get("type") != "null"]
    if len(choices) == 1:
        schema = {**choices[0], **{key: value for key, value in schema.items() if key != "oneOf"}}
    if "enum" in schema:
        schema = {**schema, "type": "string", "enum": [value for value in schema["enum"] if value is not None]}
        schema |= {"type": "boolean"} if schema["enum"] == [True] else {}
    return schema


def _problems(path: str, method: str, name: str, *, is_table: bool) -> dict[int, list[str]]:
    """The slugs of the problems that an operation answers, by status."""
    slugs = [*EVERYWHERE, *ALSO.get(name, ()), *(["not-acceptable"] if is_table else [])]
    if path not in OPERATIONAL:
        slugs += [*API, *(READ if method == "get" else (*WRITE, "no-snapshot"))]
        if name.startswith(OF_DAGSTER):
            slugs.append("orchestrator-unavailable")
    found: dict[int, list[str]] = {}
    for slug, problem in sorted(PROBLEMS.items(), key=lambda each: each[1].status):
        if slug in slugs:
            found.setdefault(problem.status, []).append(slug)
    return found


def _response(slugs: list[str]) -> dict[str, Any]:
    """What is answered for problems of one status."""
    said = (f"{PROBLEMS[slug].title}: {' '.join((inspect.getdoc(PROBLEMS[slug]) or '').split())}" for slug in slugs)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {"description": " ".join(said), "content": content}


def _link(name: str, operation: dict[str, Any], operations: dict[str, Any]) -> None:
    """Say of each id in the path which answer it comes from: to a reader in words, to a program as links of that answer."""
    by_source: dict[str, dict[str, str]] = {}
    for each in operation.get("parameters", []):
        if each["in"] != "path" or each["name"] == "problem":
            continue
        source, pointer = source_of(name, each["name"])
        operation["x-example"][each["name"]] = f"{pointer} of {source}"
        by_source.setdefault(source, {})[each["name"]] = f"$response.body#/{pointer}"
    for source, parameters in by_source.items():
        answers = operations[source]["responses"]
        answer = answers["200"] if "200" in answers else answers["202"]
        answer.setdefault("links", {})[name] = {"operationId": name, "parameters": parameters}
