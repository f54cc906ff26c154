"""Which stores and products a request is about: ids and codes resolved, contradictions told."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, get_args

from litestar.params import QueryParameter
from msgspec import Struct

from assets_config.contract.names import UNKNOWN, Pattern
from serving.problems import BadRequest, NotFound
from serving.snapshot import Snapshot

GROUPS = {"store": ("region", "cluster"), "product": ("category", "department")}
"""What stores and products belong to."""
SIDES = {axis: side for side, axes in GROUPS.items() for axis in (side, *axes)}
Stores = Annotated[list[str] | None, QueryParameter(description="Store ids or codes; repeat for several.")]
Products = Annotated[list[str] | None, QueryParameter(description="Product ids or SKUs; repeat for several.")]
Names = Annotated[list[str] | None, QueryParameter(description="Names; repeat for several.")]
Segments = Annotated[list[str] | None, QueryParameter(description="Demand patterns, such as smooth; repeat for several.")]
PATTERNS = (*get_args(Pattern), UNKNOWN)


class Side(Struct, frozen=True):
    """A filter on stores or on products: an axis and the members that are wanted."""

    axis: str
    members: list[Any]


class Filters(Struct, frozen=True):
    """What a request is restricted to; None is no restriction."""

    store: Side | None = None
    product: Side | None = None
    segments: list[str] | None = None


class FiltersSaid(Struct, frozen=True):
    """The filters of the request, as they were given."""

    store_id: list[str] = []
    product_id: list[str] = []
    category: list[str] = []
    department: list[str] = []
    region: list[str] = []
    cluster: list[str] = []
    segment: list[str] = []

    @classmethod
    def of(cls, *given: list[str] | None) -> "FiltersSaid":
        """From the parameters of a route, in this order; None is none.

        They stand in each route: what a dependency gives is no parameter that layers/direct.py could read without routing.
        """
        return cls(*[each or [] for each in given]) if any(given) else NOTHING_SAID


NOTHING_SAID, NO_FILTERS = FiltersSaid(), Filters()


def store_of(snapshot: Snapshot, text: str) -> int:
    """The id of a store given by code, id or external id. Raises NotFound; BadRequest for an id of several stores."""
    return _entity(snapshot, text, "store")


def product_of(snapshot: Snapshot, text: str) -> int:
    """The id of a product given by SKU, id or external id. Raises NotFound; BadRequest for an id of several products."""
    return _entity(snapshot, text, "product")


def resolve(snapshot: Snapshot, asked: FiltersSaid) -> Filters:
    """The filters of a request.

    Raises NotFound for an unknown store, product or name; BadRequest where nothing can satisfy all of them.
    """
    if asked is NOTHING_SAID:
        return NO_FILTERS
    store = product = None
    if asked.store_id or asked.region or asked.cluster:
        store = _side(snapshot, "store", asked.store_id, {"region": asked.region, "cluster": asked.cluster})
    if asked.product_id or asked.category or asked.department:
        product = _side(snapshot, "product", asked.product_id, {"category": asked.category, "department": asked.department})
    if not asked.segment:
        return Filters(store, product)
    require_known(asked.segment, PATTERNS, "segment")
    return Filters(store, product, list(dict.fromkeys(asked.segment)))


def _side(snapshot: Snapshot, noun: str, texts: Sequence[str], groups: dict[str, list[str]]) -> Side:
    wanted = {axis: set(names) for axis, names in groups.items() if names}
    for axis, names in wanted.items():
        require_known(groups[axis], snapshot.members[axis], axis)
        if not texts and len(wanted) == 1:
            return Side(axis, sorted(names))
    if not texts:
        belongs = [(snapshot.names[axis], names) for axis, names in wanted.items()]
        ids = [each for each in snapshot.members[noun] if all(of[each] in names for of, names in belongs)]
        if not ids:
            raise BadRequest(f"The filters contradict each other: no {noun} is in {_said(wanted)}.")
        return Side(noun, ids)
    ids = sorted({_entity(snapshot, text, noun) for text in texts})
    for axis, names in wanted.items():
        if any(snapshot.names[axis][each] not in names for each in ids):
            raise BadRequest(
                f"The filters contradict each other: not all of {noun} {', '.join(texts)} is in {_said({axis: names})}."
            )
    return Side(noun, ids)


def _said(wanted: dict[str, set[str]]) -> str:
    return " and ".join(f"{axis} {', '.join(sorted(names))}" for axis, names in wanted.items())


def _entity(snapshot: Snapshot, text: str, noun: str) -> int:
    codes: dict[str, int] = snapshot.codes[noun]
    if text in codes:
        return codes[text]
    if text.isascii() and text.isdecimal() and len(text) < 19 and int(text) in snapshot.members[noun]:
        return int(text)
    meant = snapshot.aliases[noun].get(text, set())
    if len(meant) > 1:
        said = sorted(code for code, number in codes.items() if number in meant)
        raise BadRequest(f"The external id '{text}' is one of several {noun}s in several sources: use {' or '.join(said[:5])}.")
    for number in meant:
        return number
    raise NotFound(f"No {noun} has the code or id '{text}'; /api/v1/dimensions/{noun}s lists them.")


def require_known(names: Sequence[str], there: Collection[str], noun: str) -> None:
    """Raises NotFound for a name that is not there, with those that are."""
    for name in names:
        if name not in there:
            raise NotFound(f"No {noun} is called '{name[:100]}'; there are {', '.join(sorted(there)[:20]) or 'none'}.")
