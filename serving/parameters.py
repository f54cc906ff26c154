"""Parameters that many routes have, each described once."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import parse_qsl

from litestar.datastructures import MultiDict
from litestar.params import PathParameter, QueryParameter
from litestar.typing import FieldDefinition

from assets_config.contract.names import Segment
from serving.problems import FieldError, Validation

OfStore = Annotated[str | None, QueryParameter(description="Only this store: code, id or external id; see /dimensions/stores.")]
OfProduct = Annotated[
    str | None, QueryParameter(description="Only this product: SKU, id or external id; see /dimensions/products.")
]
OfModelType = Annotated[str | None, QueryParameter(description="Only this type of model; see /registry/model-types.")]
OfSegment = Annotated[
    Segment | None, QueryParameter(description="Only series with this demand pattern; `all` is of all series together.")
]
FromDay = Annotated[date | None, QueryParameter(description="First day, inclusive, ISO 8601; left out: from the first there is.")]
ToDay = Annotated[date | None, QueryParameter(description="Last day, inclusive, ISO 8601; left out: to the last there is.")]

ProductPath = Annotated[
    str, PathParameter(description="A product: SKU (SKU-0001), id (1) or external id; see /dimensions/products.")
]
RunPath = Annotated[str, PathParameter(description="run_id of a model run; see /registry/runs. Forecasts call it model_version.")]
SetPath = Annotated[str, PathParameter(description="set_id of a set of forecasts; see /forecasts.")]
JobPath = Annotated[str, PathParameter(description="job_id of a job; see /jobs. Every write answers with one.")]


PLAIN = re.compile("([^=&]+)=([^&]*)")
"""A parameter and its value, where nothing is escaped."""
Query = Sequence[tuple[str, str]]
"""The parameters of a query string, names and values."""


def pairs_of(query: str) -> Query:
    """The parameters of a query string as they are written, blank ones too. Raises ValueError, where it is no UTF-8.

    >>> pairs_of("b=2&a=%31&c")
    [('b', '2'), ('a', '1'), ('c', '')]
    """
    found = PLAIN.findall(query)
    is_plain = len(found) == query.count("&") + 1 and "%" not in query and "+" not in query
    return found if is_plain else parse_qsl(query, keep_blank_values=True, errors="strict")


def kinds_of(field: FieldDefinition) -> frozenset[Any]:
    """The types that a parameter's value may be of."""
    annotation = field.annotation
    choices = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return frozenset(get_origin(each) or each for each in choices)


def refuse_odd_values(given: MultiDict[str], known: Mapping[str, Collection[Any]]) -> None:
    """Raises Validation for a parameter that is given twice and has one value, and for the word null where no text is asked for.

    The last of several would count, and null would be read as if the parameter were left out: neither is what was meant.
    `known` has the types of each parameter that was given.
    """
    errors = []
    for name, values in given.dict().items():
        kinds = known[name]
        if len(values) > 1 and list not in kinds:
            errors.append(FieldError(name, values[1], "repeated", "give it once"))
        elif values[0] == "null" and str not in kinds and list not in kinds:
            errors.append(FieldError(name, "null", "invalid", "leave it out, or give a value"))
    if errors:
        raise Validation("; ".join(f"{each.field}: {each.message}" for each in errors), errors=errors)
