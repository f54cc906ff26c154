"""Which stores and products are there?"""

from decimal import Decimal
from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct
from msgspec.structs import asdict

from assets_config.contract.tables import DimProduct, DimStore, ProductId, StoreId
from serving.filters import product_of, store_of
from serving.reply import Listed, Metadata, Page, PageSize, Search, metadata, page_of
from serving.snapshot import Snapshot

Order = Literal["asc", "desc"]


class Store(Struct, frozen=True):
    """A store."""

    id: StoreId
    code: Annotated[str, Meta(description="Business code; accepted wherever store_id is.")]
    name: str
    region: str | None
    city: str | None
    store_type: str | None


class StoreAnswer(Store, frozen=True):
    """A store, and where that was read."""

    metadata: Metadata


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


class ProductAnswer(Product, frozen=True):
    """A product, and where that was read."""

    metadata: Metadata


@get("/dimensions/stores", operation_id="list_stores", tags=["dimensions"])
async def list_stores(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    region: FromQuery[str | None] = None,
    store_type: FromQuery[str | None] = None,
    search: Search = None,
    sort_by: Annotated[Literal["code", "name", "region"], QueryParameter(description="Field to sort by.")] = "code",
    sort_order: FromQuery[Order] = "asc",
) -> Listed[Store]:
    """Stores, filtered and sorted. Use an id or code of it as store_id in /analytics and /items."""
    found = [
        each
        for each in snapshot_stores(lease)
        if (region is None or each.region == region)
        and (store_type is None or each.store_type == store_type)
        and _matches(search, each.code, each.name)
    ]
    found.sort(key=lambda each: each.code)
    found.sort(key=lambda each: getattr(each, sort_by) or "", reverse=sort_order == "desc")
    return page_of(found, page, page_size, metadata(lease, "catalogue"))


@get("/dimensions/stores/{store:str}", operation_id="get_store", tags=["dimensions"])
async def get_store(lease: NamedDependency[Snapshot], store: FromPath[str]) -> StoreAnswer:
    """One store, by code or id."""
    wanted = store_of(lease, store)
    found = next(each for each in snapshot_stores(lease) if each.id == wanted)
    return StoreAnswer(**asdict(found), metadata=metadata(lease, "catalogue"))


@get("/dimensions/products", operation_id="list_products", tags=["dimensions"])
async def list_products(
    lease: NamedDependency[Snapshot],
    page: Page = 1,
    page_size: PageSize = 20,
    category: FromQuery[str | None] = None,
    department: FromQuery[str | None] = None,
    brand: FromQuery[str | None] = None,
    search: Search = None,
    sort_by: Annotated[Literal["sku", "name", "category", "base_price"], QueryParameter(description="Field to sort by.")] = "sku",
    sort_order: FromQuery[Order] = "asc",
) -> Listed[Product]:
    """Products, filtered and sorted. Use an id or SKU of it as product_id in /analytics, or in /items/{id}."""
    found = [
        each
        for each in snapshot_products(lease)
        if (category is None or each.category == category)
        and (department is None or each.department == department)
        and (brand is None or each.brand == brand)
        and _matches(search, each.sku, each.name)
    ]
    found.sort(key=lambda each: each.sku)
    smallest = 0.0 if sort_by == "base_price" else ""
    found.sort(key=lambda each: getattr(each, sort_by) or smallest, reverse=sort_order == "desc")
    return page_of(found, page, page_size, metadata(lease, "catalogue"))


@get("/dimensions/products/{product:str}", operation_id="get_product", tags=["dimensions"])
async def get_product(lease: NamedDependency[Snapshot], product: FromPath[str]) -> ProductAnswer:
    """One product, by SKU or id."""
    wanted = product_of(lease, product)
    found = next(each for each in snapshot_products(lease) if each.id == wanted)
    return ProductAnswer(**asdict(found), metadata=metadata(lease, "catalogue"))


def snapshot_stores(snapshot: Snapshot) -> list[Store]:
    """The stores of a snapshot as they are told."""
    rows: list[DimStore] = snapshot.stores
    return [Store(each.store_id, each.code, each.name, each.region, each.city, each.store_type) for each in rows]


def snapshot_products(snapshot: Snapshot) -> list[Product]:
    """The products of a snapshot as they are told."""
    rows: list[DimProduct] = snapshot.products
    return [
        Product(
            each.product_id,
            each.sku,
            each.name,
            each.category,
            each.department,
            each.brand,
            _money(each.base_price),
            _money(each.base_cost),
        )
        for each in rows
    ]


def _money(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _matches(search: str | None, *texts: str) -> bool:
    return search is None or any(search.lower() in text.lower() for text in texts)
