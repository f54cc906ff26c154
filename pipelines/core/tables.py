"""The fact tables of the stage core: which kinds they are made of, and at which grain."""

from pipelines.core.facts import Fact

SERIES = "store_code AS store, sku AS product"

AMOUNT = "coalesce(total_amount, (quantity::DECIMAL(18,0) * unit_price)::DECIMAL(18,2))"

SALES = Fact(
    table="core/sales_daily",
    kinds={
        "sales-daily": f"{SERIES}, date, quantity, unit_price, total_amount",
        "historical-sales": "store_id AS store, category AS product, date, quantity_sold AS quantity, "
        "NULL::DECIMAL(18,4) AS unit_price, revenue AS total_amount",
    },
    values=("date", "quantity", "unit_price", "total_amount"),
    grain=("store_id", "product_id", "date"),
    select="store_id, product_id, date, quantity, "
    "coalesce(unit_price, (total_amount / nullif(quantity, 0)))::DECIMAL(18,4) AS unit_price, "
    f"{AMOUNT} AS total_amount",
    order="store_id, product_id, date",
    sums={
        "quantity": "sum(quantity)::BIGINT",
        "total_amount": f"sum({AMOUNT})::DECIMAL(18,2)",
        "unit_price": f"(sum({AMOUNT}) / nullif(sum(quantity), 0))::DECIMAL(18,4)",
    },
)

RETURNS = Fact(
    table="core/returns_daily",
    kinds={"returns": f"{SERIES}, date, quantity, total_amount, coalesce(reason, '') AS reason"},
    values=("date", "quantity", "total_amount", "reason"),
    grain=("store_id", "product_id", "date", "reason"),
    select="store_id, product_id, date, reason, quantity, total_amount",
    order="store_id, product_id, date, reason",
    sums={"quantity": "sum(quantity)::BIGINT", "total_amount": "sum(total_amount)::DECIMAL(18,2)"},
)

INVENTORY = Fact(
    table="core/inventory_daily",
    kinds={"inventory": f"{SERIES}, date, on_hand, on_order, is_stockout"},
    values=("date", "on_hand", "on_order", "is_stockout"),
    grain=("store_id", "product_id", "date"),
    select="store_id, product_id, date, on_hand, coalesce(on_order, 0) AS on_order, "
    "coalesce(is_stockout, on_hand = 0) AS is_stockout",
    order="store_id, product_id, date",
)

RECEIPTS = Fact(
    table="core/receipt",
    kinds={"receipts": f"{SERIES}, date, quantity, coalesce(order_id, '') AS order_id, ordered_on"},
    values=("date", "quantity", "order_id", "ordered_on"),
    grain=("store_id", "product_id", "date", "order_id"),
    select="store_id, product_id, date, order_id, quantity, ordered_on",
    order="store_id, product_id, date, order_id",
)

PRICES = Fact(
    table="core/price_history",
    kinds={"prices": f"{SERIES}, price, valid_from, valid_to"},
    values=("price", "valid_from", "valid_to"),
    grain=("product_id", "store_id", "valid_from"),
    # A price ends at the latest when the next one of the same product and store begins.
    select="product_id, store_id, price, valid_from, least(valid_to, (lead(valid_from) OVER "
    "(PARTITION BY product_id, store_id ORDER BY valid_from) - 1)::DATE) AS valid_to",
    order="product_id, store_id NULLS FIRST, valid_from",
    store="optional",
    dated=False,
)

PROMOTIONS = Fact(
    table="core/promotion",
    kinds={"promotions": f"{SERIES}, name, discount_pct, discount_amount, start_date, end_date"},
    values=("name", "discount_pct", "discount_amount", "start_date", "end_date"),
    grain=("product_id", "store_id", "name", "start_date"),
    select="product_id, store_id, name, discount_pct::DOUBLE AS discount_pct, discount_amount, start_date, end_date",
    order="product_id, store_id NULLS FIRST, start_date, name",
    store="optional",
    dated=False,
)

LIFECYCLE = Fact(
    table="core/lifecycle",
    kinds={"lifecycle": f"{SERIES}, launched_on, discontinued_on"},
    values=("launched_on", "discontinued_on"),
    grain=("product_id", "store_id"),
    select="product_id, store_id, launched_on, discontinued_on",
    order="product_id, store_id NULLS FIRST",
    store="optional",
    dated=False,
)

EXOGENOUS = Fact(
    table="core/exogenous",
    kinds={"exogenous": "store_code AS store, date, name, value"},
    values=("date", "name", "value"),
    grain=("name", "store_id", "date"),
    select="name, store_id, date, value",
    order="name, store_id NULLS FIRST, date",
    store="optional",
    product=False,
)

WEEKLY = Fact(
    table="core/weekly_actuals",
    kinds={"weekly-sales": "store_id AS store, forecast_id AS plan, week_number, units_sold"},
    values=("plan", "week_number", "units_sold"),
    grain=("plan", "store_id", "week_number"),
    select="plan, store_id, week_number, units_sold",
    order="plan, store_id, week_number",
    product=False,
    dated=False,
)

FACTS = (SALES, RETURNS, INVENTORY, RECEIPTS, PRICES, PROMOTIONS, LIFECYCLE, EXOGENOUS, WEEKLY)
