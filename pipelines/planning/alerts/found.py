"""What every rule looks at, read from the warehouse."""

from datetime import date

import polars as pl

from pipelines.forecasts.registry.runs import damaged_artifacts
from pipelines.planning.alerts import measures
from pipelines.warehouse import Warehouse


def frames(warehouse: Warehouse) -> tuple[dict[str, pl.DataFrame], date]:
    """Values by rule, and the last day of sales. Season plans are looked at where there are any."""
    forecast, risks = warehouse.read("forecasts/forecast"), warehouse.read("planning/stock_risk")
    stores, products = warehouse.read("core/dim_store"), warehouse.read("core/dim_product")
    series = forecast.filter(source="forecast", step=1).select("store_id", "product_id")
    names = series.join(stores.select("store_id", "code"), on="store_id")
    names = names.join(products.select("product_id", "sku"), on="product_id")
    batches, as_of = warehouse.read("core/ingest_batch"), forecast.filter(source="forecast")["cutoff"][0]
    found = {
        "stockout_risk": measures.stockout_risk(risks, names),
        "overstock": measures.overstock(risks, warehouse.read("planning/inventory_policy"), names),
        "bias": measures.bias(forecast, products),
        "anomaly": measures.anomaly(forecast, names),
        "accuracy_decay": measures.accuracy_decay(
            *(warehouse.read(key) for key in ("forecasts/forecast_accuracy", "backtests/backtest_metric", "backtests/backtest"))
        ),
        "interval_miscoverage": measures.interval_miscoverage(warehouse.read("forecasts/interval_coverage")),
        "value_added": measures.value_added(warehouse.read("forecasts/forecast_value_added")),
        "data_freshness": measures.data_freshness(batches, as_of),
        "rejects": measures.rejects(batches),
        "unmapped_ids": measures.unmapped_ids(warehouse.read("core/id_map")),
        "artifact_damage": measures.artifact_damage(damaged_artifacts(warehouse, warehouse.read("forecasts/model_run"))),
    }
    for rule, key, measure in (
        ("variance", "planning/variance_week", measures.variance),
        ("sell_through", "planning/markdown", measures.sell_through),
    ):
        table = warehouse.previous(key)
        if table is not None:
            found[rule] = measure(table)
    return {rule: frame.drop_nulls("value") for rule, frame in found.items()}, as_of
