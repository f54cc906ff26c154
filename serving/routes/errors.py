"""What does a problem type mean?"""

import inspect

from litestar import get
from litestar.params import FromPath
from msgspec import Struct

from serving.layers.rules import OPEN
from serving.problems import PROBLEMS, NotFound


class ProblemType(Struct, frozen=True):
    """A type of problem that an answer may have."""

    type: str
    code: str
    status: int
    title: str
    meaning: str


@get("/errors/{problem:str}", operation_id="get_problem_type", tags=["health"], opt=OPEN)
async def get_problem_type(problem: FromPath[str]) -> ProblemType:
    """What the type of a problem means; `type` of every problem body leads here."""
    if problem in PROBLEMS:
        each, code = PROBLEMS[problem], problem.replace("-", "_").upper()
        return ProblemType(f"/errors/{problem}", code, each.status, each.title, inspect.getdoc(each) or "")
    raise NotFound(f"No problem type is called '{problem}'; there are {', '.join(PROBLEMS)}.")
