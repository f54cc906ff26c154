"""Every kind takes the example that it shows, and puts it into its table."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from assets_config.contract.cells import columns
from assets_config.contract.kinds import KINDS
from pipelines.core import entities
from tests.plant import Plant

LATER = datetime(2024, 12, 31, tzinfo=UTC)
EXAMPLES: dict[str, dict[str, Any]] = {
    kind: {column.name: column.example for column in columns(declared.rows)} for kind, declared in KINDS.items()
}
TABLES = {
    "sales-daily": "sales_daily",
    "historical-sales": "sales_daily",
    "weekly-sales": "weekly_actuals",
    "returns": "returns_daily",
    "stores": "hist_store",
    "products": "hist_product",
    "prices": "price_history",
    "promotions": "promotion",
    "inventory": "inventory_daily",
    "receipts": "receipt",
    "erp-items": "dim_product",
    "external-ids": "id_map",
    "lifecycle": "lifecycle",
    "exogenous": "exogenous",
}


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_the_example_of_every_kind_is_loaded_in_every_form(form: str, tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    batches = {}
    for kind, example in EXAMPLES.items():
        row, path = pl.DataFrame([example]), tmp_path / f"{kind}.{form}"
        {"json": row.write_json, "csv": row.write_csv, "parquet": row.write_parquet}[form](path)
        parameters = dict.fromkeys(KINDS[kind].parameters, "spring")
        batches[kind] = plant.post(kind, path.read_bytes(), name=path.name, parameters=parameters, at=LATER)

    plant.run()

    for kind, batch in batches.items():
        told = plant.batch(batch)
        assert (told["state"], told["lines"], told["loaded"]) == ("loaded", 1, 1), (kind, plant.rejects(batch))
        assert kind not in TABLES or plant.table(TABLES[kind]).height >= 1, kind


def test_category_sales_become_a_product_of_that_category(tmp_path: Path) -> None:
    plant = Plant(tmp_path)

    plant.post("historical-sales", [EXAMPLES["historical-sales"]])
    plant.run()

    assert plant.table("dim_product").select("sku", "name", "category").rows() == [("Dresses", "Dresses", "Dresses")]
    [(store, sku, _, units, _, amount)] = plant.sales()
    assert (store, sku, units, str(amount)) == ("S001", "Dresses", 42, "2099.58")


def test_weekly_sales_belong_to_the_plan_that_the_batch_names(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("stores", [{"code": "S1"}])
    plant.post("products", [{"sku": "A"}])

    plant.post("weekly-sales", "store_id,week_number,units_sold\nS1,4,120\nS1,4,130\n", parameters={"forecast_id": "spring"})
    late = plant.post("weekly-sales", "store_id,week_number,units_sold\nS1,4,99\n", parameters={"forecast_id": "autumn"})
    plant.run()

    found = plant.table("weekly_actuals").select("plan", "week_number", "units_sold").rows()
    assert found == [("autumn", 4, 99), ("spring", 4, 130)]
    assert plant.batch(late)["parameters"] == '{"forecast_id": "autumn"}'


def test_an_erp_number_is_our_product_where_the_crosswalk_says_so(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.post("stores", [{"code": "S1"}])
    plant.post("products", [{"sku": "A", "name": "Bread"}])
    plant.post("external-ids", [{"entity": "product", "external_id": "10-77", "code": "A"}])

    plant.post("erp-items", [{"item_code": "10-77", "supplier": "Mill", "lead_time_days": 9, "moq": 24, "pack_size": 12}])
    plant.run()
    with duckdb.connect() as connection:
        entities.write_supply(plant.warehouse, connection)

    assert plant.table("dim_product")["sku"].to_list() == ["A"]
    [row] = plant.table("dim_process").rows(named=True)
    assert (row["product_id"], row["supplier"], row["lead_time_days"], row["moq"], row["pack_size"]) == (1, "Mill", 9, 24, 12)
