"""Which stores and products are there?"""

from collections.abc import Collection, Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct
from msgspec.structs import asdict, astuple

from assets_config.contract.catalogue import DimProduct, DimStore
from assets_config.contract.columns import ProductId, StoreId
from assets_config.contract.names import UNKNOWN, Pattern, RevenueClass, SteadinessClass
from assets_config.contract.sales import SeriesSegment
from serving.filters import product_of, require_known, store_of
from serving.formats import table
from serving.paging import Listed, Order, Page, PageSize, Search, matches, ordered, page_from, page_of
from serving.problems import NotFound
from serving.reply import Metadata, metadata
from serving.snapshot import Snapshot

AsOf = Annotated[date | None, QueryParameter(description="Attributes as they were on this day; today's where it is not given.")]
T = TypeVar("T")


class Store(Struct, frozen=True):
    """A store."""

    id: StoreId
    code: Annotated[str, Meta(description="Business code; accepted wherever store_id is.")]
    name: str
    region: str | None
    city: str | None
    store_type: str | None
    size_sqft: Annotated[int | None, Meta(description="Sales floor. [square feet]")]
    location_tier: Annotated[str | None, Meta(description="Tier of the location, A best.")]
    median_income: Annotated[int | None, Meta(description="Median household income around the store. [money/year]")]
    opened_on: Annotated[date | None, Meta(description="First day of trade.")]
    closed_on: Annotated[date | None, Meta(description="Last day of trade.")]
    cluster_id: Annotated[int | None, Meta(description="Its cluster, see /dimensions/stores/clusters; null where it has none.")]
    cluster: Annotated[str | None, Meta(description="Name of its cluster; use it as `cluster` in /analytics.")]


class StoreAnswer(Store, frozen=True):
    """A store, and where that was read."""

    metadata: Metadata


class ExternalName(Struct, frozen=True):
    """What one source calls a product."""

    source: str
    external_id: str


class Product(Struct, frozen=True):
    """A product."""

    id: ProductId
    sku: Annotated[str, Meta(description="Stock-keeping unit; accepted wherever product_id is.")]
    name: str
    category: str | None
    department: str | None
    brand: str | None
    base_price: Annotated[float | None, Meta(description="List price. [money/unit]")]
    base_cost: Annotated[float | None, Meta(description="Purchase cost. [money/unit]")]
    launched_on: Annotated[date | None, Meta(description="First day on sale.")]
    discontinued_on: Annotated[date | None, Meta(description="Last day on sale.")]
    external_ids: Annotated[list[ExternalName], Meta(description="What sources call it; accepted wherever product_id is.")]


class ProductAnswer(Product, frozen=True):
    """A product, and where that was read."""

    metadata: Metadata


class Category(Struct, frozen=True):
    """A category that occurs in the data."""

    category_id: int
    category_name: Annotated[str, Meta(description="Use it as `category` in /analytics and /dimensions/products.")]
    row_count: Annotated[int, Meta(description="Store-product-day records. [records]")]
    products: Annotated[int, Meta(description="Products in it.")]
    first_seen: Annotated[date | None, Meta(description="First day of sales; null where it never sold.")]


@table("/dimensions/stores", operation_id="list_stores", tags=["dimensions"])
async def list_stores(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    region: FromQuery[str | None] = None,
    store_type: FromQuery[str | None] = None,
    cluster: Annotated[str | None, QueryParameter(description="Only stores of this cluster, by name or cluster_id.")] = None,
    search: Search = None,
    sort_by: Annotated[Literal["code", "name", "region"], QueryParameter(description="Field to sort by.")] = "code",
    sort_order: Order = "asc",
    as_of: AsOf = None,
) -> Listed[Store]:
    """Stores, filtered and sorted. Use an id or code of it as store_id in /analytics and /items.

    With as_of the attributes are those that held on that day, as its region was then.
    """
    stores = await _stores(lease, as_of)
    _require_known([*stores, *lease.stores], region=region, store_type=store_type)
    if cluster is not None:
        require_known([cluster], {name for each in lease.stores for name in _cluster_of(lease, each.store_id)}, "cluster")
    found = [
        each
        for each in stores
        if region in (None, each.region or UNKNOWN)
        and store_type in (None, each.store_type or UNKNOWN)
        and (cluster is None or cluster in _cluster_of(lease, each.store_id))
        and matches(search, each.code, each.name)
    ]
    shown = page_of(ordered(found, sort_by, sort_order, tie="code"), page, page_size, metadata(lease, "catalogue"))
    return Listed([_store(lease, each) for each in shown.items], page, page_size, shown.total, shown.metadata)


@get("/dimensions/stores/{store:str}", operation_id="get_store", tags=["dimensions"])
async def get_store(lease: NamedDependency[Snapshot], store: FromPath[str], as_of: AsOf = None) -> StoreAnswer:
    """One store with all its attributes, by code, id or external id; with as_of those of that day.

    404 with as_of where it had no attributes yet on that day.
    """
    wanted = store_of(lease, store)
    found = _only((each for each in await _stores(lease, as_of) if each.store_id == wanted), f"Store {store}", as_of)
    return StoreAnswer(**asdict(_store(lease, found)), metadata=metadata(lease, "catalogue"))


@table("/dimensions/products", operation_id="list_products", tags=["dimensions"])
async def list_products(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    category: FromQuery[str | None] = None,
    department: FromQuery[str | None] = None,
    brand: FromQuery[str | None] = None,
    search: Search = None,
    sort_by: Annotated[Literal["sku", "name", "category", "base_price"], QueryParameter(description="Field to sort by.")] = "sku",
    sort_order: Order = "asc",
    as_of: AsOf = None,
) -> Listed[Product]:
    """Products, filtered and sorted. Use an id or SKU of it as product_id in /analytics, or in /items/{id}."""
    products = await _products(lease, as_of)
    _require_known([*products, *lease.products], category=category, department=department, brand=brand)
    found = [
        each
        for each in products
        if category in (None, each.category or UNKNOWN)
        and department in (None, each.department or UNKNOWN)
        and brand in (None, each.brand or UNKNOWN)
        and matches(search, each.sku, each.name)
    ]
    shown = page_of(ordered(found, sort_by, sort_order, tie="sku"), page, page_size, metadata(lease, "catalogue"))
    return Listed([_product(lease, each) for each in shown.items], page, page_size, shown.total, shown.metadata)


@get("/dimensions/products/{product:str}", operation_id="get_product", tags=["dimensions"])
async def get_product(lease: NamedDependency[Snapshot], product: FromPath[str], as_of: AsOf = None) -> ProductAnswer:
    """One product, by SKU, id or external id, with what other systems call it.

    /inventory/{product} has its stock, /items/{item}/timeseries its sales and forecast, /dimensions/prices its prices.
    """
    wanted = product_of(lease, product)
    found = _only((each for each in await _products(lease, as_of) if each.product_id == wanted), f"Product {product}", as_of)
    return ProductAnswer(**asdict(_product(lease, found)), metadata=metadata(lease, "catalogue"))


@table("/dimensions/categories", operation_id="list_categories", tags=["dimensions"])
async def list_categories(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[Category]:
    """The categories that occur in the data, by name, with their products and since when they sell."""
    return await page_from(lease, "dim_category", _category, {}, order="category", page=page, page_size=page_size)


@table("/dimensions/segments", operation_id="list_segments", tags=["dimensions"])
async def list_segments(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    store_id: FromQuery[str | None] = None,
    product_id: FromQuery[str | None] = None,
    pattern: FromQuery[Pattern | None] = None,
    abc: Annotated[RevenueClass | None, QueryParameter(description="Only products of this class of revenue.")] = None,
    xyz: Annotated[SteadinessClass | None, QueryParameter(description="Only series of this class of steadiness.")] = None,
) -> Listed[SeriesSegment]:
    """The demand pattern of each store and product that ever sold, the revenue class of its product, and how steady its weeks are.

    Use it to see which series can be forecast well; /forecasts/accuracy and /registry/leaderboard can be asked by pattern.
    """
    wanted = {
        "store_id = ?": store_of(lease, store_id) if store_id else None,
        "product_id = ?": product_of(lease, product_id) if product_id else None,
        "pattern = ?": pattern,
        "abc = ?": abc,
        "xyz = ?": xyz,
    }
    order = "store_id, product_id"
    return await page_from(lease, "series_segment", SeriesSegment, wanted, order=order, page=page, page_size=page_size)


async def _stores(lease: Snapshot, as_of: date | None) -> list[DimStore]:
    return lease.stores if as_of is None else await _versions(lease, "hist_store", as_of, DimStore)


async def _products(lease: Snapshot, as_of: date | None) -> list[DimProduct]:
    return lease.products if as_of is None else await _versions(lease, "hist_product", as_of, DimProduct)


def _category(*, category: str, **others: Any) -> Category:
    return Category(category_name=category, **others)


def _require_known(rows: Collection[Struct], **given: str | None) -> None:
    """Raises NotFound for a value that no row has in the field of that name."""
    for name, value in given.items():
        if value is not None:
            require_known([value], {getattr(each, name) or UNKNOWN for each in rows}, name)


def _store(lease: Snapshot, row: DimStore) -> Store:
    member = lease.clusters.get(row.store_id)
    return Store(*_values(row), *((member.cluster_id, member.cluster_name) if member else (None, None)))


def _cluster_of(lease: Snapshot, store_id: int) -> tuple[str, ...]:
    """What the cluster of a store may be called by."""
    member = lease.clusters.get(store_id)
    return (str(member.cluster_id), member.cluster_name) if member else (UNKNOWN,)


def _product(lease: Snapshot, row: DimProduct) -> Product:
    names = [ExternalName(each.source, each.external_id) for each in lease.product_ids.get(row.product_id, ())]
    return Product(*[*_values(row), names])


async def _versions(lease: Snapshot, table: str, as_of: date, shape: type[T]) -> list[T]:
    """What held on a day: each store or product has at most one version then."""
    where = "(valid_from IS NULL OR valid_from <= ?) AND (valid_to IS NULL OR valid_to >= ?)"
    rows = await lease.rows("catalogue", table, where, [as_of, as_of])
    return [shape(**{name: row[name] for name in shape.__struct_fields__}) for row in rows]  # type: ignore[attr-defined]


def _only(found: Iterable[T], what: str, as_of: date | None) -> T:
    for each in found:
        return each
    raise NotFound(f"{what} is known, but had no attributes yet on {as_of}; leave as_of out for those of today.")


def _values(row: Struct) -> list[Any]:
    return [float(value) if isinstance(value, Decimal) else value for value in astuple(row)]
