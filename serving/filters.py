"""Which stores and products a request is about: ids and codes resolved, contradictions told."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from serving.problems import BadRequest, NotFound
from serving.snapshot import Snapshot


class Side(Struct, frozen=True):
    """A filter on one side of the cube: an axis and the members that are wanted."""

    axis: str
    members: list[Any]


class Filters(Struct, frozen=True):
    """What a request is restricted to; None is no restriction."""

    store: Side | None = None
    product: Side | None = None


def store_of(snapshot: Snapshot, text: str) -> int:
    """The id of a store given by code, id or external id. Raises NotFound; BadRequest for an id of several stores."""
    return _entity(snapshot, text, "store")


def product_of(snapshot: Snapshot, text: str) -> int:
    """The id of a product given by SKU, id or external id. Raises NotFound; BadRequest for an id of several products."""
    return _entity(snapshot, text, "product")


def resolve(
    snapshot: Snapshot,
    *,
    store_id: Sequence[str] | None = None,
    product_id: Sequence[str] | None = None,
    category: Sequence[str] | None = None,
    department: Sequence[str] | None = None,
    region: Sequence[str] | None = None,
) -> Filters:
    """The filters of a request.

    Raises NotFound for an unknown store, product or name; BadRequest where nothing can satisfy all of them.
    """
    regions, categories, departments = (snapshot.names[axis] for axis in ("region", "category", "department"))
    _known(region, regions.values(), "region")
    _known(category, categories.values(), "category")
    _known(department, departments.values(), "department")
    store = Side("region", list(dict.fromkeys(region))) if region else None
    if store_id:
        ids = [store_of(snapshot, text) for text in store_id]
        store = Side("store", _within(ids, regions, region, f"store {', '.join(store_id)}", "region"))
    product = Side("category", list(dict.fromkeys(category))) if category else None
    if department:
        product = Side("department", list(dict.fromkeys(department)))
        if category:
            ids = [each for each, name in departments.items() if name in department and categories[each] in category]
            if not ids:
                raise BadRequest(f"No product is in department {', '.join(department)} and category {', '.join(category)}.")
            product = Side("product", ids)
    if product_id:
        ids = [product_of(snapshot, text) for text in product_id]
        ids = _within(ids, categories, category, f"product {', '.join(product_id)}", "category")
        product = Side("product", _within(ids, departments, department, f"product {', '.join(product_id)}", "department"))
    return Filters(store, product)


def _entity(snapshot: Snapshot, text: str, noun: str) -> int:
    codes: dict[str, int] = snapshot.codes[noun]
    if text in codes:
        return codes[text]
    if text.isascii() and text.isdecimal() and len(text) < 19 and int(text) in codes.values():
        return int(text)
    meant = snapshot.aliases[noun].get(text, set())
    if len(meant) > 1:
        said = sorted(code for code, number in codes.items() if number in meant)
        raise BadRequest(f"The external id '{text}' is one of several {noun}s in several sources: use {' or '.join(said[:5])}.")
    for number in meant:
        return number
    raise NotFound(f"No {noun} has the code or id '{text}'; /api/v1/dimensions/{noun}s lists them.")


def _known(names: Sequence[str] | None, existing: Any, noun: str) -> None:
    if not names:
        return
    there = set(existing)
    for name in names:
        if name not in there:
            raise NotFound(f"No {noun} is called '{name}'; there are {', '.join(sorted(there)[:20])}.")


def _within(ids: list[int], names: dict[int, str], wanted: Sequence[str] | None, what: str, noun: str) -> list[int]:
    outside = [each for each in ids if wanted and names[each] not in wanted]
    if outside:
        raise BadRequest(f"The filters contradict each other: not all of {what} is in {noun} {', '.join(wanted or ())}.")
    return sorted(set(ids))
