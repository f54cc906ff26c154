"""What is forecast, how good it was, and how series sell, from rows that can be checked by eye."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from litestar.testing import TestClient

from assets_config.contract.tables import DimProduct, DimStore, SeriesSegment
from tests.serving.conftest import client_of
from tests.serving.parts import write_snapshot

DAY = date(2024, 6, 30)
ROWS = {
    "dim_store": [DimStore(n, f"S{n}", f"Store {n}", "North", *[None] * 7) for n in (1, 2)],
    "dim_product": [DimProduct(1, "A-1", "Rye", "Bread", *[None] * 6)],
    "series_segment": [
        SeriesSegment(1, 1, "smooth", 1.0, 0.1, 8.5, 30, DAY),
        SeriesSegment(2, 1, "no_demand", None, None, None, 0, DAY),
    ],
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_snapshot(tmp_path, ROWS)
    with client_of(tmp_path) as client:
        yield client


def test_segments_say_how_a_series_sells(client: TestClient) -> None:
    url = "/api/v1/dimensions/segments"

    everything = client.get(url).json()
    smooth = client.get(f"{url}?pattern=smooth").json()["items"]
    second = client.get(f"{url}?store_id=S2&product_id=A-1").json()["items"]

    assert everything["total"] == 2
    assert [(each["store_id"], each["adi"], each["mean_demand"]) for each in smooth] == [(1, 1.0, 8.5)]
    assert [(each["pattern"], each["adi"], each["days"]) for each in second] == [("no_demand", None, 0)]
    assert client.get(f"{url}?pattern=odd").status_code == 422
