"""The days of a product: what was sold, and what would have been where stock ran out."""

from pathlib import Path

import pytest
from litestar.testing import TestClient

from pipelines.warehouse import Warehouse


def test_days_without_stock_tell_what_would_have_been_sold(client: TestClient, published_once: Path) -> None:
    out = Warehouse(published_once).read("core/demand_unconstrained").sort("unconstrained").rows(named=True)
    assert len(out) > 10
    for row in (out[0], out[-1]):
        day, store, product = row["date"], row["store_id"], row["product_id"]

        found = client.get(f"/api/v1/items/{product}/timeseries?start={day}&end={day}&store_id={store}").json()["timeseries"]

        assert [(point["actual"], point["unconstrained"]) for point in found] == [
            (row["sold"], pytest.approx(row["unconstrained"], abs=0.006))
        ]


def test_days_with_stock_tell_what_was_sold_alone(client: TestClient, published_once: Path) -> None:
    warehouse = Warehouse(published_once)
    out = {row[:3] for row in warehouse.read("core/demand_unconstrained").iter_rows()}
    row = next(row for row in warehouse.read("core/sales_daily").iter_rows(named=True) if row["product_id"] == 1)
    assert (row["store_id"], 1, row["date"]) not in out

    url = f"/api/v1/items/1/timeseries?start={row['date']}&end={row['date']}&store_id={row['store_id']}"
    [point] = client.get(url).json()["timeseries"]

    assert (point["actual"], point["unconstrained"]) == (row["quantity"], None)
