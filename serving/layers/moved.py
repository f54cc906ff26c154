"""Old spellings of paths: those whose question has a path of its own are redirected to it, those that computed name their job.

The table is data, `assets_config/seed_paths.csv`: methods (for the reader), the old path, the new one or the job type, and the
stages that `materialize` takes where this server does not have that job type.
"""

import csv
from collections.abc import Awaitable, Iterator
from importlib.resources import files
from urllib.parse import quote

from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from msgspec import Struct

from assets_config.contract.jobs import JOB_TYPES
from serving.layers.kinds import HTTP
from serving.problems import Moved, refuse


class OldPath(Struct, frozen=True):
    """One line of the table. Segments in braces stand for any."""

    methods: str
    old: str
    new: str
    job_type: str
    stages: str

    def fit(self, segments: list[str]) -> dict[str, str] | None:
        """What stands in for the braces of a path; None where it is another path."""
        wanted = self.old.split("/")
        if len(wanted) != len(segments):
            return None
        pairs = list(zip(wanted, segments, strict=True))
        if any(want != got for want, got in pairs if not want.startswith("{")):
            return None
        return {want: got for want, got in pairs if want.startswith("{")}

    def location(self, named: dict[str, str], query: str) -> str:
        """The new path with its query and that of the request."""
        path, _, own = self.new.partition("?")
        said = "/".join(quote(named[each], safe="") if each in named else each for each in path.split("/"))
        return "?".join(filter(None, [said, "&".join(filter(None, [own, query]))]))

    def advice(self) -> str:
        """Which job does now what the path did."""
        if self.job_type in JOB_TYPES:
            return f"that is the job type '{self.job_type}'; POST it to /api/v1/jobs."
        missing = "which this server does not have; /api/v1/jobs/types lists those that it has."
        advice = f"that is the job type '{self.job_type}', {missing}"
        if self.stages:
            advice += f" The job type 'materialize' does it with the assets {', '.join(self.stages.split())}."
        return advice


def _read() -> Iterator[OldPath]:
    lines = files("assets_config").joinpath("seed_paths.csv").read_text(encoding="utf-8").splitlines()
    yield from (OldPath(**row) for row in csv.DictReader(lines))


OLD_PATHS = tuple(_read())
"""Every old path, those without braces before those that would fit them too."""


class OldPaths:
    """Wraps the application: answers 308 or 410 for an old path. No route of the application is one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._starts = {each.old.split("/")[1] for each in OLD_PATHS}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == HTTP and not scope["path"].startswith("/api/v1/"):
            segments = scope["path"].removesuffix("/").split("/")
            for each in OLD_PATHS if segments[1:] and segments[1] in self._starts else ():
                named = each.fit(segments)
                if named is not None:
                    return _answer(each, named, scope, send)
        return self.app(scope, receive, send)


async def _answer(old: OldPath, named: dict[str, str], scope: HTTPScope, send: Send) -> None:
    scope["state"]["route"] = old.old  # what the log and the counters call it
    if not old.new:
        problem = Moved(f"Nothing is computed at {old.old} any more: {old.advice()}")
        await refuse(send, problem, str(scope["state"].get("request_id", "")))
        return
    location = old.location(named, scope["query_string"].decode("latin-1")).encode("latin-1")
    headers = [(b"location", location), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
