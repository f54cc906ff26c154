"""Every error that the API answers with, and the one way in which they are rendered (RFC 9457).

    Problem
    ├── Validation 422            malformed or out of bounds; names the field
    ├── BadRequest 400            each part is fine, together they contradict each other
    ├── Unauthorized 401, Forbidden 403, NotFound 404, MethodNotAllowed 405, NotAcceptable 406,
    │   SlowBody 408, Conflict 409
    ├── Gone 410, Moved 410       it was here once; the same is now done elsewhere
    ├── PayloadTooLarge 413, UnsupportedMediaType 415, RateLimited 429
    ├── Database 500, Unknown 500 ours to mend; the log has the cause under the request id
    ├── Provider 502, AgentFallbackExhausted 502
    └── NoSnapshot 503, OrchestratorUnavailable 503, TimedOut 503

`type` is /errors/<class name in kebab case>, `code` the same in upper snake case. Nothing else decides a status.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import duckdb
import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Send
from litestar.utils.scope.state import ScopeState
from msgspec import Meta, Struct

log = logging.getLogger("serving.problems")

MEDIA_TYPE = "application/problem+json"
FAULT = "Something went wrong here. The log of the server has the cause under the request id."
UNKNOWN_FIELD = re.compile(r"unknown field `([^`]*)`")
STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
LONGEST_VALUE = 1000
"""Bytes of JSON that a value of a body may have to be told again: it may be the whole of a large body."""


class FieldError(Struct, frozen=True):
    """What is wrong with one parameter or one member of a body."""

    field: Annotated[str, Meta(description="Name of the parameter, or path of the member within the body.")]
    value: Annotated[Any, Meta(description="What was sent; null where nothing was.")]
    code: Annotated[str, Meta(description="Kind of fault: invalid, missing, unknown.")]
    message: Annotated[str, Meta(description="What would work.")]


class ProblemDetails(Struct, frozen=True):
    """The body of every error."""

    type: Annotated[str, Meta(description="Kind of problem; a page about it stands at that path.")]
    title: Annotated[str, Meta(description="The kind of problem in words.")]
    status: Annotated[int, Meta(description="The HTTP status.")]
    detail: Annotated[str, Meta(description="What was asked and what would work.")]
    instance: Annotated[str, Meta(description="This occurrence: /requests/{request_id}.")]
    errors: Annotated[list[FieldError], Meta(description="One entry a faulty field; empty where no field is at fault.")]
    code: Annotated[str, Meta(description="The kind of problem for programs, for example NOT_FOUND.")]
    request_id: Annotated[str, Meta(description="Quote it when you report the problem; the log knows it.")]


class Problem(Exception):
    """An error that the client is told of. `detail` is a sentence that says what was asked and what would work."""

    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})

    @classmethod
    def slug(cls) -> str:
        """The class's name in kebab case.

        >>> NoSnapshot.slug()
        'no-snapshot'
        """
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def body(self, request_id: str) -> ProblemDetails:
        slug = self.slug()
        return ProblemDetails(
            type=f"/errors/{slug}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            instance=f"/requests/{request_id}",
            errors=self.errors,
            code=slug.replace("-", "_").upper(),
            request_id=request_id,
        )


class Validation(Problem):
    """A parameter or a body is malformed, out of bounds or unknown. `errors` names each field and what would work."""

    status, title = 422, "Validation failed"


class BadRequest(Problem):
    """Each parameter is fine by itself, but together they contradict each other: a start after the end, a range that is
    too long, a store that is not in the region."""

    status, title = 400, "Contradictory request"


class Unauthorized(Problem):
    """A key is needed and none was sent, or the one that was sent is not known, has expired or was revoked."""

    status, title = 401, "Unauthorized"


class Forbidden(Problem):
    """The key's role does not allow this, or the request came under a host name that is not served."""

    status, title = 403, "Forbidden"


class NotFound(Problem):
    """There is no such path, entity or snapshot. A known entity without rows is not an error."""

    status, title = 404, "Not found"


class MethodNotAllowed(Problem):
    """The path exists, but not with this method; the header Allow lists those that do."""

    status, title = 405, "Method not allowed"


class NotAcceptable(Problem):
    """None of the media types in the header Accept is offered by this route; the detail lists those that are."""

    status, title = 406, "Not acceptable"


class SlowBody(Problem):
    """The body came in too slowly, or stopped. What had come of it is not kept."""

    status, title = 408, "Body too slow"


class Conflict(Problem):
    """The state of the thing does not allow this: the job has ended, or the Idempotency-Key was used for another body."""

    status, title = 409, "Conflict"


class Gone(Problem):
    """It was here once and was collected, such as a snapshot past its time."""

    status, title = 410, "Gone"


class Moved(Problem):
    """An old path whose work is now done by a job; the detail names the job type."""

    status, title = 410, "Moved"


class PayloadTooLarge(Problem):
    """The body is larger than the limit."""

    status, title = 413, "Payload too large"


class UnsupportedMediaType(Problem):
    """The body's media type is not accepted here."""

    status, title = 415, "Unsupported media type"


class RateLimited(Problem):
    """Too many requests; the header Retry-After says when to come back [s]."""

    status, title = 429, "Rate limited"


class Database(Problem):
    """A published file could not be read, for example because it was altered while it was served.
    `demandgraph doctor` names the file; publishing again mends it."""

    status, title = 500, "Database error"


class Unknown(Problem):
    """A fault of ours. The log holds the cause under the request id."""

    status, title = 500, "Internal error"


class Provider(Problem):
    """An outside provider did not answer as it should."""

    status, title = 502, "Provider failed"


class AgentFallbackExhausted(Problem):
    """No configured way of answering was left."""

    status, title = 502, "No fallback left"


class NoSnapshot(Problem):
    """Nothing usable is published yet, or all of it is damaged. `demandgraph doctor` says which and what to do."""

    status, title = 503, "No snapshot"


class OrchestratorUnavailable(Problem):
    """Dagster does not answer or its daemon is down. No job was made; try again when it is back."""

    status, title = 503, "Orchestrator unavailable"


class TimedOut(Problem):
    """The answer took longer than the server allows. A read was given up; a write goes on, and is told by `/jobs`."""

    status, title = 503, "Timed out"


PROBLEMS: dict[str, type[Problem]] = {each.slug(): each for each in Problem.__subclasses__()}
"""Every problem type by its slug."""

_BY_STATUS: dict[int, type[Problem]] = {each.status: each for each in reversed(list(PROBLEMS.values()))}


def invalid(field: str, value: Any, message: str, *, code: str = "invalid") -> Validation:
    """The problem of one faulty field."""
    return Validation(f"{field}: {message}", errors=[FieldError(field, value, code, message)])


def problem_of(error: Exception, request: Request[Any, Any, Any]) -> Problem:
    """The problem that an exception is answered as; internals are left to the log."""
    match error:
        case Problem():
            return error
        case ValidationException():
            return _of_validation(error, request)
        case HTTPException(status_code=400):  # Litestar calls an unreadable body so; here malformed is 422
            return invalid("body", None, str(error.detail))
        case HTTPException(status_code=status) if status in _BY_STATUS and status < 500:
            kind = _BY_STATUS[status]
            return kind(_DETAILS.get(status, str(error.detail)).format(request=request), headers=error.headers)
        case RecursionError() | UnicodeDecodeError() if request.method in ("POST", "PUT", "PATCH"):
            return invalid("body", None, "not readable as JSON: it is nested too deep, or not UTF-8")
        case duckdb.Error():
            return Database("The published tables could not be read. Run `demandgraph doctor` on the server.")
    return Unknown(FAULT)


_DETAILS = {
    404: "There is nothing at {request.url.path}. /docs lists what there is.",
    405: "{request.method} is not possible at {request.url.path}. /docs lists what is.",
}


def _of_validation(error: ValidationException, request: Request[Any, Any, Any]) -> Problem:
    extra = error.extra if isinstance(error.extra, list) else []
    errors = [_field_error(entry, request) for entry in extra]
    if not errors:  # Litestar says these in words only
        message = str(error.detail)
        named = re.search(r"parameter '?(\w+)'?", message)
        missing = message.startswith("Missing required")
        field = named.group(1) if named else "body"
        text = "this parameter is required" if missing else "not readable as JSON of the expected shape"
        errors = [FieldError(field, None, "missing" if missing else "invalid", text)]
    return Validation("; ".join(f"{each.field}: {each.message}" for each in errors), errors=errors)


def _field_error(entry: Mapping[str, Any], request: Request[Any, Any, Any]) -> FieldError:
    key = str(entry.get("key", "body"))
    message = str(entry.get("message", "invalid"))
    if message == "'data'":  # Litestar's words for an empty body
        return FieldError("body", None, "missing", "a JSON body is needed")
    parameters = request.route_handler.parsed_fn_signature.parameters
    if key == "data" or entry.get("source") == "body":
        body = ScopeState.from_scope(request.scope).json
        path, value, code, text = said_of(message, key.removeprefix("data"), parameters["data"].annotation, body)
        return FieldError(path or "body", value, code, text)
    if key in parameters:  # what it is called in the query
        key = getattr(parameters[key].kwarg_definition, "name", None) or key
    value = request.query_params.get(key)
    if value is None:
        value = request.path_params.get(key)
    allowed = _allowed(parameters, key)
    if allowed and value is not None:
        message = f"use one of {', '.join(allowed)}"
    return FieldError(key, value, "invalid", message)


def _allowed(parameters: Mapping[str, Any], key: str) -> list[str]:
    """The values that a parameter may have, where they are listed."""
    for name, field in parameters.items():
        if key in (name, getattr(field.kwarg_definition, "name", None)):
            return _listed(field.annotation)
    return []


def _listed(hint: Any) -> list[str]:
    """The values that an annotation lists, also in a list or beside None."""
    if get_origin(hint) is Literal:
        return [str(value).lower() if isinstance(value, bool) else str(value) for value in get_args(hint)]
    return [value for inner in get_args(hint) for value in _listed(inner)]


def said_of(message: str, path: str, shape: Any, body: Any) -> tuple[str, Any, str, str]:
    """msgspec's message on a body of the type `shape`, told as a FieldError: with what was sent, and what is known or listed."""
    unknown = UNKNOWN_FIELD.search(message)
    for name in filter(None, (name for name, _ in STEP.findall(path))):
        holder = _struct_in(shape)
        shape = get_type_hints(holder).get(name, Any) if isinstance(holder, type) else Any
    if unknown:
        known = ", ".join(_struct_in(shape).__struct_fields__) or "none"
        path = f"{path}.{unknown.group(1)}".removeprefix(".")
        return path, _sent(body, path), "unknown", f"unknown; known are: {known}"
    if message.startswith("Object missing"):
        return path, None, "invalid", message
    listed = _listed(shape) if message.startswith("Invalid enum") else []
    return path, _sent(body, path), "invalid", f"use one of {', '.join(listed)}" if listed else message


def _sent(body: Any, path: str) -> Any:
    """What lies at a path of a body, such as `filters.kinds[1]`; None where it can not be said."""
    for name, place in STEP.findall(path):
        try:
            body = body[int(place)] if place else body[name]
        except (KeyError, IndexError, TypeError):
            return None
    try:
        return body if len(msgspec.json.encode(body)) <= LONGEST_VALUE else None
    except (RecursionError, TypeError):
        return None


def _struct_in(hint: Any) -> Any:
    """The Struct of an annotation, also in a list or beside None."""
    inner = [each for each in get_args(hint) if each not in (type(None), ...)]
    return _struct_in(inner[-1]) if inner else hint


def render(problem: Problem, request_id: str) -> Response[bytes]:
    """The answer for a problem."""
    return Response(
        msgspec.json.encode(problem.body(request_id)),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


async def refuse(send: Send, problem: Problem, request_id: str) -> None:
    """Answer a problem outside of the application, as plain ASGI."""
    body = msgspec.json.encode(problem.body(request_id))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The exception handler of the whole app: routing errors, validation, problems and everything unforeseen."""
    problem = problem_of(error, request)
    request_id = str(request.scope["state"].get("request_id", ""))
    if problem.status >= 500 and not isinstance(problem, NoSnapshot | OrchestratorUnavailable):
        said = {"request_id": request_id}
        log.error("request %s failed: %s %s", request_id, request.method, request.url.path, exc_info=error, extra=said)
    return render(problem, request_id)
