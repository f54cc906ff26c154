"""Sums a day of every grain, and the cent is never lost: the same numbers as a loop over the facts."""

import io
import random
import shutil
import zipfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import polars as pl
import pytest

from assets_config.contract.manifest import Cubes
from assets_config.declared import MeasureDeclaration, load_declarations
from pipelines.errors import ContractError, PipelineError
from pipelines.kpis import cubes as module
from pipelines.kpis.cubes import cubes_folder, read_index, write_cubes
from pipelines.kpis.measures import write_kpi_daily
from pipelines.sources.audit import event
from pipelines.warehouse import Warehouse
from tests.plant import Plant, rewrite

DECLARED = load_declarations()
MEASURES = [measure.name for measure in DECLARED.measures]


def read_cubes(root: Path) -> tuple[Cubes, dict[str, np.ndarray]]:
    """What the cubes are, and sums up to each day over all years, put together cell by cell."""
    index = read_index(Warehouse(root))
    whole = index.cubes
    arrays = {
        name: np.zeros([*(len(whole.axes[axis]) for axis in grain.axes), whole.days + 1, len(whole.measures)], dtype=np.int64)
        for name, grain in whole.grains.items()
    }
    for each in index.years.values():
        with zipfile.ZipFile(cubes_folder(Warehouse(root)) / each.file) as archive:
            year = msgspec.json.decode(archive.read("cubes.json"), type=Cubes)
            shift = (year.first_day - whole.first_day).days + 1
            for name, grain in year.grains.items():
                for (*places, day, measure), value in np.ndenumerate(np.load(io.BytesIO(archive.read(grain.file)))):
                    cell = [whole.axes[axis].index(year.axes[axis][n]) for axis, n in zip(grain.axes, places, strict=True)]
                    arrays[name][(*cell, day + shift, measure)] += value
    return whole, {name: np.cumsum(array, axis=-2) for name, array in arrays.items()}


def facts_of(root: Path) -> list[dict[str, Any]]:
    """kpi_daily with the member of each axis, money in cents."""
    warehouse = Warehouse(root)
    stores = {row["store_id"]: row for row in warehouse.read("core/dim_store").iter_rows(named=True)}
    products = {row["product_id"]: row for row in warehouse.read("core/dim_product").iter_rows(named=True)}
    return [
        {
            **row,
            "revenue": int(row["revenue"] * 100),
            "store": row["store_id"],
            "product": row["product_id"],
            "category": products[row["product_id"]]["category"] or "(unknown)",
            "department": products[row["product_id"]]["department"] or "(unknown)",
            "region": stores[row["store_id"]]["region"] or "(unknown)",
        }
        for row in warehouse.read("kpis/kpi_daily").iter_rows(named=True)
    ]


@pytest.fixture(scope="module")
def facts(demo_root: Path) -> list[dict[str, Any]]:
    return facts_of(demo_root)


@pytest.mark.parametrize("grain", DECLARED.grains, ids=lambda grain: "_".join(grain) or "total")
def test_any_range_of_a_grain_equals_a_loop_over_the_facts(grain: list[str], demo_root: Path, facts: list[dict[str, Any]]) -> None:
    cubes, arrays = read_cubes(demo_root)
    cube, draw = arrays["_".join(grain) or "total"], random.Random(3)
    ranges = [sorted(draw.choices(range(cubes.days), k=2)) for _ in range(5)] + [[0, cubes.days - 1], [0, 0]]

    for first, last in ranges:
        found = cube[..., last + 1, :] - cube[..., first, :]
        expected: dict[tuple[int, ...], list[int]] = defaultdict(lambda: [0] * len(MEASURES))
        for row in facts:
            if first <= (row["date"] - cubes.first_day).days <= last:
                cell = expected[tuple(cubes.axes[axis].index(row[axis]) for axis in grain)]
                for m, name in enumerate(MEASURES):
                    cell[m] += row[name]

        for cell, sums in np.ndenumerate(np.empty(found.shape[:-1])):
            assert found[cell].tolist() == expected[cell], (first, last, cell, sums)


def test_the_parts_of_each_grain_add_up_to_the_total(demo_root: Path) -> None:
    _, arrays = read_cubes(demo_root)

    for name, cube in arrays.items():
        parts = cube.sum(axis=tuple(range(cube.ndim - 2)))
        np.testing.assert_array_equal(parts, arrays["total"], err_msg=name)


@pytest.mark.parametrize(
    "grains",
    [
        [["store", "product"], ["region", "store"]],
        [["store", "product"], ["product", "category"], ["category"]],
        [["product", "category"], ["department", "region"], ["category"], ["department"]],
    ],
    ids=str,
)
def test_two_axes_of_one_side_are_summed_like_any_other(
    grains: list[list[str]], own_root: Path, facts: list[dict[str, Any]]
) -> None:
    with duckdb.connect() as connection:
        write_cubes(Warehouse(own_root), DECLARED.published_measures(), grains, connection)

    cubes, arrays = read_cubes(own_root)
    for grain in grains:
        expected = np.zeros_like(arrays["_".join(grain)][..., -1, :])
        for row in facts:
            expected[tuple(cubes.axes[axis].index(row[axis]) for axis in grain)] += [row[name] for name in MEASURES]
        np.testing.assert_array_equal(arrays["_".join(grain)][..., -1, :], expected, err_msg=str(grain))


def test_what_has_no_region_is_a_member_of_its_own(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    stores = warehouse.read("core/dim_store")
    _, before = read_cubes(own_root)

    warehouse.write("core/dim_store", stores.with_columns(region=stores["region"].clear().extend_constant(None, len(stores))))
    with duckdb.connect() as connection:
        write_cubes(warehouse, DECLARED.published_measures(), [[], ["region"]], connection)

    cubes, arrays = read_cubes(own_root)
    assert cubes.axes["region"] == ["(unknown)"]
    np.testing.assert_array_equal(arrays["region"][0], before["total"])


def test_the_file_says_what_its_arrays_are(demo_root: Path, facts: list[dict[str, Any]]) -> None:
    cubes, arrays = read_cubes(demo_root)

    assert cubes.measures == MEASURES
    assert cubes.first_day == min(row["date"] for row in facts)
    assert cubes.first_day + timedelta(days=cubes.days - 1) == max(row["date"] for row in facts)
    for name, grain in cubes.grains.items():
        assert name == ("_".join(grain.axes) or "total")
        assert arrays[name].dtype == np.int64
        assert arrays[name][..., 1:, :].nbytes == grain.bytes
        assert arrays[name].shape == (*(len(cubes.axes[axis]) for axis in grain.axes), cubes.days + 1, len(MEASURES))


def test_the_same_facts_give_the_same_bytes(own_root: Path) -> None:
    before = {path.name: path.read_bytes() for path in cubes_folder(Warehouse(own_root)).iterdir()}
    shutil.rmtree(cubes_folder(Warehouse(own_root)))

    with duckdb.connect() as connection:
        write_cubes(Warehouse(own_root), DECLARED.published_measures(), DECLARED.grains, connection)

    assert {path.name: path.read_bytes() for path in cubes_folder(Warehouse(own_root)).iterdir()} == before


def test_a_grain_that_is_too_large_is_left_out(own_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cubes, _ = read_cubes(own_root)
    monkeypatch.setattr(module, "LARGEST", cubes.grains["store"].bytes)

    with duckdb.connect() as connection:
        made = write_cubes(
            Warehouse(own_root), DECLARED.published_measures(), [[], ["store"], ["store", "product"]], connection
        ).cubes

    assert set(made.grains) == {"total", "store"}


def test_cubes_of_other_facts_are_refused(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    rewrite(warehouse, "core/sales_daily", lambda frame: frame.head(50))
    with duckdb.connect() as connection:
        write_kpi_daily(warehouse, DECLARED.measures, connection)

    with pytest.raises(PipelineError, match="sums another kpi_daily"):
        read_index(warehouse)

    shutil.rmtree(cubes_folder(warehouse))
    with pytest.raises(PipelineError, match="materialise kpis/cubes"):
        read_index(warehouse)


def test_facts_without_rows_are_an_error_and_replace_nothing(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    before = (cubes_folder(warehouse) / "index.json").read_bytes()
    rewrite(warehouse, "kpis/kpi_daily", lambda frame: frame.clear())

    with duckdb.connect() as connection, pytest.raises(ContractError, match="has no rows"):
        write_cubes(warehouse, DECLARED.published_measures(), DECLARED.grains, connection)

    assert (cubes_folder(warehouse) / "index.json").read_bytes() == before


def test_measures_equal_the_sales_they_are_made_of(demo_root: Path) -> None:
    sales, facts = Warehouse(demo_root).read("core/sales_daily"), Warehouse(demo_root).read("kpis/kpi_daily")

    expected = [(*row[:3], row[5], row[3], 1) for row in sales.iter_rows()]

    assert facts.rows() == expected


def test_a_measure_that_is_no_sql_is_named_and_replaces_nothing(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    before = warehouse.digest("kpis/kpi_daily")
    wrong = MeasureDeclaration("profit", "total_amount - cost", "money", "for a test")

    with duckdb.connect() as connection, pytest.raises(ContractError, match=r"kpis\.yaml: measure profit: .*cost"):
        write_kpi_daily(warehouse, [*DECLARED.measures, wrong], connection)

    assert warehouse.digest("kpis/kpi_daily") == before


def test_only_what_changed_is_summed_and_the_cubes_are_as_if_all_were(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    plant = Plant(own_root)
    plant.post(
        "sales-daily",
        [{"date": "2025-01-01", "store_code": "S001", "sku": "SKU-0001", "quantity": 5, "unit_price": 2}],
        at=datetime(2025, 1, 2, tzinfo=UTC),
    )
    plant.post(
        "sales-daily",
        [{"date": "2024-10-05", "store_code": "S002", "sku": "SKU-0002", "quantity": 9, "unit_price": 3}],
        at=datetime(2025, 1, 2, tzinfo=UTC),
    )
    plant.run()
    with duckdb.connect() as connection:
        made = write_kpi_daily(warehouse, DECLARED.measures, connection)
        write_cubes(warehouse, DECLARED.published_measures(), DECLARED.grains, connection)
    cubes, arrays = read_cubes(own_root)

    shutil.rmtree(cubes_folder(warehouse))
    with duckdb.connect() as connection:
        write_cubes(warehouse, DECLARED.published_measures(), DECLARED.grains, connection)

    whole, afresh = read_cubes(own_root)
    assert sorted(made) == ["2024-10", "2025-01"]
    assert cubes == whole
    for name, array in afresh.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_a_year_whose_rows_did_not_change_keeps_its_file(own_root: Path) -> None:
    warehouse, plant = Warehouse(own_root), Plant(own_root)
    before = read_index(warehouse).years
    plant.post(
        "sales-daily",
        [{"date": "2025-01-01", "store_code": "S001", "sku": "SKU-0001", "quantity": 5, "unit_price": 2}],
        at=datetime(2025, 1, 2, tzinfo=UTC),
    )
    make(plant)

    after = read_index(warehouse).years
    assert sorted(set(after) - set(before)) == ["2025"]
    assert {year: after[year] for year in before} == before


def test_a_file_that_was_altered_is_written_again(own_root: Path) -> None:
    index = read_index(Warehouse(own_root))
    path = cubes_folder(Warehouse(own_root)) / index.years[min(index.years)].file
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    with duckdb.connect() as connection:
        write_cubes(Warehouse(own_root), DECLARED.published_measures(), DECLARED.grains, connection)

    assert path.read_bytes() == whole


def test_a_product_that_moves_is_summed_where_it_belongs_now(own_root: Path) -> None:
    warehouse = Warehouse(own_root)
    _, before = read_cubes(own_root)
    products = warehouse.read("core/dim_product").with_columns(category=pl.lit("Everything"))
    warehouse.write("core/dim_product", products)

    with duckdb.connect() as connection:
        write_cubes(warehouse, DECLARED.published_measures(), DECLARED.grains, connection)

    cubes, arrays = read_cubes(own_root)
    assert cubes.axes["category"] == ["Everything"]
    np.testing.assert_array_equal(arrays["category"][0], before["total"])


def test_a_history_that_becomes_shorter_is_summed_as_if_it_had_never_been_longer(own_root: Path) -> None:
    warehouse, plant = Warehouse(own_root), Plant(own_root)
    late = plant.post(
        "sales-daily",
        [{"date": "2025-03-01", "store_code": "S001", "sku": "SKU-0001", "quantity": 5, "unit_price": 2}],
        at=datetime(2025, 3, 2, tzinfo=UTC),
    )
    _, before = read_cubes(own_root)
    make(plant)
    assert read_cubes(own_root)[0].days > before["total"].shape[0] - 1

    [batch] = [each for each in plant.ledger.active() if each.batch_id == late]
    plant.ledger.audit.append([event(batch, "retracted")])
    make(plant)

    _, after = read_cubes(own_root)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array, err_msg=name)
    assert warehouse.partitioned("kpis/kpi_daily").paths()


def test_sums_that_no_cell_holds_are_left_to_duckdb(own_root: Path) -> None:
    huge = pl.lit(10**15).cast(pl.Decimal(18, 2)).alias("revenue")
    rewrite(Warehouse(own_root), "kpis/kpi_daily", lambda frame: frame.with_columns(huge * 9))

    with duckdb.connect() as connection:
        made = write_cubes(Warehouse(own_root), DECLARED.published_measures(), DECLARED.grains, connection).cubes

    assert made.grains == {}


def make(plant: Plant) -> None:
    plant.run()
    with duckdb.connect() as connection:
        write_kpi_daily(plant.warehouse, DECLARED.measures, connection)
        write_cubes(plant.warehouse, DECLARED.published_measures(), DECLARED.grains, connection)
