"""What a column means, and the columns that many tables have."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta


def column(description: str, *, unit: str = "") -> Meta:
    """What a column means. The unit is appended in brackets, since OpenAPI keeps the description only."""
    return Meta(description=f"{description} [{unit}]" if unit else description)


StoreId = Annotated[int, column("Surrogate key of a store, stable within a data root. Use it wherever store_id is asked.")]
ProductId = Annotated[int, column("Surrogate key of a product, stable within a data root. Use it wherever product_id is asked.")]
Day = Annotated[date, column("Calendar day of the sale.")]
Money = Decimal
CalendarDay = date
Entity = Literal["store", "product"]
