"""The M5 competition's wide CSV files and the same sales in tidy Parquet give the same core tables.

The files are read by path: DEMANDGRAPH_TEST_DATA, else ../shared/data beside the checkout.
"""

from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.conftest import Once
from tests.end_to_end.test_real_data import FILES as FOLDER
from tests.end_to_end.test_real_data import load
from tests.plant import Plant

FILES = FOLDER / "m5"
pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason=f"no folder {FILES}: set DEMANDGRAPH_TEST_DATA to the test data")


def write_wide(folder: Path) -> None:
    """The sample's sales as the competition gave them: a line a product and store, a column a day, 0 before it was on sale."""
    folder.mkdir()
    with duckdb.connect() as connection:
        for name in ("calendar", "sell_prices", "stores", "products"):
            connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{FILES / name}.parquet')")
        connection.execute(f"CREATE VIEW sales AS FROM read_parquet('{FILES}/sample_50items_sales_daily.parquet')")
        known = "SELECT 'd_' || d AS d, date FROM calendar WHERE date <= (SELECT max(date) FROM sales)"
        connection.execute(f"CREATE TABLE days AS {known}")
        connection.execute(
            "CREATE TABLE cells AS SELECT store_code AS store_id, sku AS item_id, d, coalesce(quantity, 0) AS quantity "
            "FROM (SELECT DISTINCT store_code, sku FROM sales) CROSS JOIN days LEFT JOIN sales USING (store_code, sku, date)"
        )
        listed = ", ".join(f"'{d}'" for (d,) in connection.execute("SELECT d FROM days ORDER BY date").fetchall())
        connection.execute(
            f"COPY (SELECT item_id || '_' || store_id || '_evaluation' AS id, item_id, dept AS dept_id, category AS cat_id, "
            f"store_id, state AS state_id, w.* EXCLUDE (store_id, item_id) FROM "
            f"(PIVOT cells ON d IN ({listed}) USING first(quantity)) w "
            f"JOIN products ON sku = item_id JOIN stores ON store_code = store_id ORDER BY id) "
            f"TO '{folder}/sales_train_evaluation.csv'"
        )
        connection.execute(f"COPY (SELECT * REPLACE ('d_' || d AS d) FROM calendar) TO '{folder}/calendar.csv'")
        connection.execute(
            f"COPY (SELECT store_code AS store_id, sku AS item_id, wm_yr_wk, sell_price FROM sell_prices "
            f"WHERE sku IN (SELECT sku FROM sales)) TO '{folder}/sell_prices.csv'"
        )


def sold_by_codes(plant: Plant) -> pl.DataFrame:
    """The sales as `Plant.sales` gives them, in a frame: these are three quarters of a million."""
    stores, products = plant.table("dim_store"), plant.table("dim_product")
    named = plant.table("sales_daily").join(stores, on="store_id").join(products, on="product_id")
    return named.select("code", "sku", "date", "quantity", "unit_price", "total_amount").sort("code", "sku", "date")


def test_wide_and_tidy_files_give_the_same_tables(once: Once, tmp_path: Path) -> None:
    write_wide(tmp_path / "wide")
    wide = Plant(tmp_path / "data")

    batches = wide.load("m5_wide", tmp_path / "wide")
    tidy = Plant(once("m5_sample", lambda root: load(root, "m5_sample")))

    told = wide.batch(next(batch.batch_id for batch in batches if batch.kind == "sales-daily"))
    assert told["lines"] == 500 * 1941 == told["loaded"] + told["skipped"]
    assert (told["rejected"], told["merged"]) == (0, 0)
    sold = set(wide.table("dim_product")["sku"])
    assert len(sold) == 50
    assert sold_by_codes(wide).equals(sold_by_codes(tidy))
    assert wide.table("dim_store").equals(tidy.table("dim_store"))
    columns = ["sku", "category", "department"]
    everything = tidy.table("dim_product").select(columns)
    assert set(wide.table("dim_product").select(columns).rows()) == {row for row in everything.rows() if row[0] in sold}
