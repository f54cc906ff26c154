"""The published tables of sales, and of what pooled models make of them."""

from datetime import date
from typing import Annotated

from msgspec import Struct

from assets_config.contract.columns import CalendarDay, Day, Money, ProductId, StoreId, column
from assets_config.contract.names import Leak, Pattern, RevenueClass, SteadinessClass


class KpiDaily(Struct, frozen=True):
    """The additive measures of one store, product and day: the grain that every KPI is summed from."""

    store_id: StoreId
    product_id: ProductId
    date: Day
    revenue: Annotated[Money, column("Sum of total_amount.", unit="money")]
    units: Annotated[int, column("Sum of quantity.", unit="units")]
    transactions: Annotated[int, column("Number of store-product-day records (not baskets).", unit="records")]


class SeriesSegment(Struct, frozen=True):
    """How often and how evenly a series sells. Days before the launch, without stock, or on which it was closed are left out."""

    store_id: StoreId
    product_id: ProductId
    pattern: Annotated[Pattern, column("smooth, intermittent, erratic or lumpy by ADI 1.32 and CV^2 0.49; no_demand: no sale.")]
    adi: Annotated[float | None, column("Average demand interval: days over days with a sale; null without one.", unit="days")]
    cv2: Annotated[float | None, column("Squared coefficient of variation of the sizes of sales; null without one.", unit="ratio")]
    mean_demand: Annotated[float | None, column("Mean demand; null where no day counts.", unit="units/day")]
    days: Annotated[int, column("Days that count.", unit="days")]
    as_of: Annotated[date, column("Last day that was looked at.")]
    abc: Annotated[RevenueClass, column("Class of the product by its revenue in all stores, A the largest; see segments.yaml.")] = (
        "C"
    )
    xyz: Annotated[
        SteadinessClass | None, column("Class of the series by the variation of its weeks, X the steadiest; null: see weekly_cv.")
    ] = None
    weekly_cv: Annotated[
        float | None,
        column("Standard deviation over mean of weekly demand; null with fewer than eight weeks or no sale.", unit="ratio"),
    ] = None
    revenue: Annotated[float, column("Revenue of the newest weeks that were looked at.", unit="money")] = 0.0


class FeatureCatalog(Struct, frozen=True):
    """One feature of one feature set: a column that pooled models learn from."""

    feature_set: Annotated[str, column("Entry of features.yaml.")]
    hash: Annotated[str, column("16 hex digits that differ when the set's features do; model runs name it.")]
    about: Annotated[str, column("What the set is for.")]
    position: Annotated[int, column("Place of the column, from 0.")]
    feature: Annotated[str, column("Name of the column.")]
    feature_group: Annotated[str, column("Field of the entry that makes it, for example rolling.")]
    leak: Annotated[
        Leak, column("lagged: observed up to the origin; static: of the series; known_ahead: planned or in the calendar.")
    ]
    meaning: Annotated[str, column("What it is.")]


class FeaturePreview(Struct, frozen=True):
    """The features of one series on one of its newest target days, as a model would see them one day ahead."""

    feature_set: Annotated[str, column("Entry of features.yaml.")]
    store_id: StoreId
    product_id: ProductId
    date: Annotated[CalendarDay, column("Target day.")]
    origin: Annotated[CalendarDay, column("Last day that was known.")]
    features: Annotated[str, column("Name and value of each feature as JSON; null where it is not known.")]
