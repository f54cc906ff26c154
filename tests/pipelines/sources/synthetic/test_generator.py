"""The generator gives what its seed says: the same rows for the same seed, frames of the kinds, and plans that show in sales."""

import hashlib
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from assets_config.contract.cells import columns
from assets_config.contract.kinds import KINDS
from assets_config.contract.seeds import BASE, ENRICHMENT, PRESETS, Overrides, Seed, resolve
from pipelines.sources.synthetic.generator import generate

ALL = (*BASE, *ENRICHMENT)
TINY = Seed(
    stores=3, products=4, start=date(2024, 1, 10), end=date(2024, 4, 5), promotion_share=0.2, price_change_share=0.03,
    launch_share=0.3, launch_within=40, stockout_share=0.05, gaps=2, tables=ALL,
)  # fmt: skip
DAYS = {"prices": "valid_from", "promotions": "start_date", "truth": "start_date"}  # the others with days: date
POLARS = {"text": pl.String, "day": pl.Date, "integer": pl.Int64, "number": pl.Float64, "flag": pl.Boolean}
SHIFTS = [{"stores": 5}, {"products": 9}, {"end": date(2024, 6, 20)}, {"stores": 5, "products": 9, "end": date(2024, 6, 20)}]


def changed(base: Seed, **knobs: Any) -> Seed:
    return msgspec.structs.replace(base, **knobs)


def tables(seed: Seed) -> dict[str, pl.DataFrame]:
    found = defaultdict(list)
    for piece in generate(seed):
        found[piece.table].append(piece.frame)
    return {table: pl.concat(frames) for table, frames in found.items()}


def ordered(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return sorted(frame.rows(), key=repr)


@pytest.fixture(scope="module")
def tiny() -> dict[str, pl.DataFrame]:
    return tables(TINY)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for run in ("one", "two"):
        for piece in generate(TINY):
            Path(tmp_path, run).mkdir(exist_ok=True)
            piece.frame.write_parquet(Path(tmp_path, run, f"{piece.table}-{piece.month}.parquet"), compression="zstd")

    one, two = ({each.name: each.read_bytes() for each in Path(tmp_path, run).iterdir()} for run in ("one", "two"))
    assert len(one) > 20
    assert one == two


def test_another_seed_gives_other_rows(tiny: dict[str, pl.DataFrame]) -> None:
    other = tables(changed(TINY, seed=43))

    assert not other["sales-daily"].equals(tiny["sales-daily"])
    assert not other["products"].equals(tiny["products"])


def test_a_change_of_the_generator_is_on_purpose() -> None:
    """Demos and golden answers change with it. The random streams of numpy may change with its versions, too."""
    sales = tables(Seed(stores=2, products=3, end=date(2024, 2, 29), tables=("sales-daily",)))["sales-daily"]

    assert hashlib.sha256(sales.write_csv().encode()).hexdigest()[:16] == "78db25a7e50159e9"


@pytest.mark.parametrize("more", SHIFTS, ids=lambda more: "-".join(more))
def test_more_of_something_leaves_the_first_alone(more: dict[str, Any], tiny: dict[str, pl.DataFrame]) -> None:
    wide = tables(changed(TINY, **more))

    for table, frame in tiny.items():
        last = TINY.end + timedelta(days=90 if table == "holidays" else 0)
        kept, before = wide[table], frame
        for column, known in (("store_code", "stores"), ("sku", "products")):
            if column in kept.columns:
                names = tiny[known].to_series().to_list()
                kept = kept.filter(pl.col(column).is_null() | pl.col(column).is_in(names))
        if table == "stores":
            kept = kept.head(TINY.stores)
        if (day := DAYS.get(table, "date")) in kept.columns:
            kept = kept.filter(pl.col(day).is_null() | (pl.col(day) <= last))
        if table == "prices":  # the last price is open until another one comes
            kept, before = kept.drop("valid_to"), before.drop("valid_to")
        assert ordered(kept) == ordered(before), table


@pytest.mark.parametrize("knob", Overrides.__struct_fields__)
def test_an_override_that_says_what_holds_changes_nothing(knob: str) -> None:
    plain = resolve("demo_minimal", stores=2, products=3)
    field = {"promotion_intensity": "promotion_share", "stockout_intensity": "stockout_share"}.get(knob, knob)
    value = 365 if knob == "window_days" else getattr(plain, field)

    named = resolve("demo_minimal", stores=2, products=3, overrides=Overrides(**{knob: value}))

    assert tables(named)["sales-daily"].write_csv() == tables(plain)["sales-daily"].write_csv()


@pytest.mark.parametrize(("knob", "value"), [("sparsity", 0.5), ("stockout_intensity", 0.3), ("noise_sigma", 0.4)])
def test_an_override_leaves_stores_prices_and_products(knob: str, value: float) -> None:
    plain, turned = (
        tables(resolve("demo_minimal", stores=2, products=6, overrides=each)) for each in (None, Overrides(**{knob: value}))
    )

    assert not turned["sales-daily"].equals(plain["sales-daily"])
    for table in ("stores", "products", "prices", "promotions", "holidays"):
        assert turned[table].equals(plain[table]), table


@pytest.mark.parametrize("end", [date(2024, 2, 29), date(2024, 2, 11), date(2024, 2, 10), date(2024, 4, 4)])
def test_batches_one_after_the_other_are_the_whole(end: date, tiny: dict[str, pl.DataFrame]) -> None:
    first = tables(changed(TINY, end=end))
    added = tables(changed(TINY, since=end + timedelta(days=1)))

    for table, whole in tiny.items():
        parts = pl.concat([each[table] for each in (first, added) if table in each])
        if table == "prices":
            whole, parts = whole.drop("valid_to"), parts.drop("valid_to")
        if table == "returns":  # what the first batch sold does not come back in the second
            assert set(ordered(first[table])) <= set(ordered(whole))
            continue
        assert ordered(parts) == ordered(whole), table


def test_appended_days_have_chance_of_their_own_but_the_same_shop(tiny: dict[str, pl.DataFrame]) -> None:
    since = date(2024, 3, 14)

    added = tables(changed(TINY, since=since, noise_seed=43))

    assert not set(added) & {"stores", "products", "lifecycle"}
    sales, whole = added["sales-daily"], tiny["sales-daily"].filter(pl.col("date") >= since)
    both = sales.join(whole, on=["date", "store_code", "sku"])
    assert both["unit_price"].equals(both["unit_price_right"]), "prices and promotions go on as planned"
    assert (both["quantity"] != both["quantity_right"]).mean() > 0.7  # type: ignore[operator]
    assert both["quantity"].mean() == pytest.approx(both["quantity_right"].mean(), rel=0.05)
    for table, frame in added.items():
        assert frame[DAYS.get(table, "date")].min() >= since, table  # type: ignore[operator]


@pytest.mark.parametrize("preset", PRESETS)
def test_frames_are_what_the_kinds_say(preset: str) -> None:
    seed = changed(resolve(preset, stores=3, products=14), tables=ALL)
    months = defaultdict(list)

    for piece in generate(seed):
        months[piece.table].append(piece.month)
        if piece.table == "truth":
            continue
        kind = KINDS[piece.table]
        assert piece.frame.columns == [each.name for each in columns(kind.rows)]
        assert not piece.frame.select(kind.grain).is_duplicated().any()
        assert (piece.month is None) == (kind.by_month is None)
        if kind.by_month:
            assert piece.frame[kind.by_month].dt.strftime("%Y-%m").unique().to_list() == [piece.month]
        for column in columns(kind.rows):
            values = piece.frame[column.name]
            assert values.dtype == (pl.Decimal(18, column.scale) if column.type == "decimal" else POLARS[column.type])
            assert not (column.required and values.has_nulls())
            if (given := values.drop_nulls()).len() and column.type in ("integer", "decimal", "number", "day"):
                assert given.min() >= column.least, column.name  # type: ignore[operator]
                assert given.max() <= column.most, column.name  # type: ignore[operator]
            if column.type == "text" and given.len():
                assert given.str.len_chars().max() <= (column.max_length or 200)  # type: ignore[operator]

    assert set(months) == {*ALL, "truth"}
    for table, found in months.items():
        assert len(found) == len(set(found)), table


def test_sales_days_are_those_of_the_range(tiny: dict[str, pl.DataFrame]) -> None:
    for table in ("sales-daily", "inventory", "exogenous", "receipts", "returns"):
        assert tiny[table]["date"].is_between(TINY.start, TINY.end).all(), table


def test_amounts_are_quantity_times_price(tiny: dict[str, pl.DataFrame]) -> None:
    for quantity, price, amount in tiny["sales-daily"].select("quantity", "unit_price", "total_amount").iter_rows():
        assert quantity * price == amount


def test_every_store_column_that_describes_is_filled(tiny: dict[str, pl.DataFrame]) -> None:
    stores = tiny["stores"].drop("external_id", "closed_on")

    assert stores.null_count().sum_horizontal().item() == 0
    assert (stores["opened_on"] < TINY.start).all()


def test_prices_are_cents_in_the_range_and_above_cost() -> None:
    products = tables(changed(TINY, products=200, tables=("products",)))["products"]

    assert products["base_price"].is_between(Decimal("0.99"), Decimal("29.99")).all()
    share = products["base_cost"].cast(pl.Float64) / products["base_price"].cast(pl.Float64)
    assert share.is_between(0.39, 0.71).all()


def test_without_stock_nothing_is_sold(tiny: dict[str, pl.DataFrame]) -> None:
    stock = tiny["inventory"]
    out = stock.filter("is_stockout")

    assert out.height > 20
    assert out["on_hand"].unique().to_list() == [0]
    assert out.join(tiny["sales-daily"], on=["date", "store_code", "sku"], how="semi").is_empty()
    counts = stock.filter(~pl.col("is_stockout"))
    assert counts["date"].dt.weekday().unique().to_list() == [7]
    assert counts["on_hand"].min() > 0  # type: ignore[operator]
    told = tiny["truth"].filter(pl.col("kind") == "stockout").select("start_date", "store_code", "sku")
    assert ordered(told) == ordered(out.select("date", "store_code", "sku"))


def test_days_in_stock_have_a_row_even_if_nothing_was_sold() -> None:
    made = tables(Seed(stores=2, products=3, end=date(2024, 3, 31), base_demand=0.3, stockout_share=0.0))

    assert made["sales-daily"].height == 2 * 3 * 91
    assert (made["sales-daily"]["quantity"] == 0).any()


def test_list_prices_are_intervals_without_hole_or_overlap(tiny: dict[str, pl.DataFrame]) -> None:
    for (sku,), rows in tiny["prices"].group_by("sku", maintain_order=True):
        firsts, lasts = rows["valid_from"].to_list(), rows["valid_to"].to_list()
        assert firsts[0] == TINY.start
        assert lasts == [each - timedelta(days=1) for each in firsts[1:]] + [None]
        base = tiny["products"].filter(pl.col("sku") == sku)["base_price"].item()
        assert rows["price"][0] == base
        assert (rows["price"].cast(pl.Float64) / float(base)).is_between(0.79, 1.21).all()
    assert tiny["prices"].height > TINY.products


def test_what_is_paid_follows_from_prices_and_promotions(tiny: dict[str, pl.DataFrame]) -> None:
    cents = Decimal("0.01")
    cuts = defaultdict(list)
    for row in tiny["promotions"].iter_rows(named=True):
        for n in range((row["end_date"] - row["start_date"]).days + 1):
            for store in [row["store_code"]] if row["store_code"] else tiny["stores"]["code"]:
                cuts[store, row["sku"], row["start_date"] + timedelta(days=n)].append(row)
    promoted = 0

    for row in tiny["sales-daily"].iter_rows(named=True):
        prices = tiny["prices"].filter(pl.col("sku") == row["sku"], pl.col("valid_from") <= row["date"])
        paid = prices["price"][-1]
        for cut in cuts[row["store_code"], row["sku"], row["date"]]:
            promoted += 1
            paid = paid * (1 - cut["discount_pct"]) if cut["discount_pct"] else paid - cut["discount_amount"]
        assert abs(row["unit_price"] - paid) <= cents / 2

    assert max(len(each) for each in cuts.values()) == 1, "promotions do not overlap"
    assert promoted > 100


def test_promotions_take_their_share_of_days() -> None:
    seed = Seed(stores=4, products=60, promotion_share=0.2, tables=("promotions",))
    promotions = tables(seed)["promotions"].with_columns(days=(pl.col("end_date") - pl.col("start_date")).dt.total_days() + 1)
    chain = promotions.filter(pl.col("store_code").is_null())["days"].sum() * seed.stores
    local = promotions.filter(pl.col("store_code").is_not_null())["days"].sum()

    assert promotions["days"].is_between(3, 14).all()
    assert (chain + local) / (4 * 60 * 366) == pytest.approx(0.2, abs=0.02)
    assert chain / (chain + local) == pytest.approx(0.7, abs=0.05)
    assert promotions["discount_pct"].is_null().mean() == pytest.approx(0.5, abs=0.05)


def test_a_product_is_sold_from_its_launch_on_only() -> None:
    made = tables(resolve("new_launches", stores=2, products=40))
    first = made["sales-daily"].group_by("sku").agg(pl.col("date").min().alias("first"))
    both = made["products"].join(first, on="sku").filter(pl.col("launched_on") > date(2024, 1, 1))

    assert 10 < both.height < 30
    assert (both["first"] >= both["launched_on"]).all()


def test_sparse_pairs_never_sell_and_gaps_leave_days_out() -> None:
    made = tables(resolve("sparse", stores=10, products=20))
    sales, truth = made["sales-daily"], made["truth"]

    pairs = sales.select("store_code", "sku").unique()
    assert 70 < pairs.height < 130
    assert pairs.height + truth.filter(pl.col("kind") == "absent").height == 200
    gaps = truth.filter(pl.col("kind") == "gap").with_columns(date=pl.date_ranges("start_date", "end_date")).explode("date")
    assert gaps.height > 1000
    for table in ("sales-daily", "inventory"):
        assert made[table].join(gaps, on=["store_code", "sku", "date"], how="semi").is_empty()


def test_fashion_products_live_for_their_season() -> None:
    seed = changed(PRESETS["fashion_season"].seed, stores=2, tables=ALL)
    made = tables(seed)
    lives = made["lifecycle"]
    days = made["sales-daily"].join(lives, on="sku")

    assert days.select(pl.col("date").is_between("launched_on", "discontinued_on")).to_series().all()
    assert lives.select("launched_on", "discontinued_on").unique().height == 2 * seed.seasons
    assert lives["launched_on"].dt.month().unique().sort().to_list() == [3, 9]
    assert made["products"].select("sku", "launched_on", "discontinued_on").equals(lives.drop("store_code"))
    age = (pl.col("date") - pl.col("launched_on")).dt.total_days()
    by_age = days.group_by(age.alias("age") // 30).agg(pl.col("quantity").mean()).sort("age")["quantity"].to_list()
    assert by_age[0] < by_age[1] > by_age[3] > by_age[5], "a season rises, then declines"


def test_enrichment_changes_no_sale_and_comes_alone(tiny: dict[str, pl.DataFrame]) -> None:
    base, enriched = tables(changed(TINY, tables=BASE)), tables(changed(TINY, tables=ENRICHMENT))

    assert set(enriched) == set(ENRICHMENT)
    assert set(base) == {*BASE, "truth"}
    for table, frame in {**base, **enriched}.items():
        assert frame.equals(tiny[table]), table


def test_about_two_in_a_hundred_units_come_back_after_they_were_sold() -> None:
    made = tables(Seed(stores=3, products=10, tables=ALL))
    sold, back = made["sales-daily"], made["returns"]

    assert back["quantity"].sum() / sold["quantity"].sum() == pytest.approx(0.02, rel=0.1)
    for store, sku in sold.select("store_code", "sku").unique().iter_rows():
        series = [frame.filter(pl.col("store_code") == store, pl.col("sku") == sku) for frame in (sold, back)]
        daily = [frame.group_by("date").agg(pl.col("quantity").sum()).sort("date") for frame in series]
        for n in range(20, 366, 40):
            before = [frame.filter(pl.col("date") <= TINY.start + timedelta(days=n))["quantity"].sum() for frame in daily]
            assert before[1] <= before[0]


def test_receipts_follow_their_order_by_the_lead_time(tiny: dict[str, pl.DataFrame]) -> None:
    lead = (tiny["receipts"]["date"] - tiny["receipts"]["ordered_on"]).dt.total_days()

    assert lead.is_between(2, 12).all()
    assert (tiny["receipts"]["quantity"] % 6 == 0).all()


def test_a_range_of_no_day_is_refused() -> None:
    with pytest.raises(ValueError, match="before the start"):
        tables(changed(TINY, end=date(2023, 12, 1)))

    assert tables(changed(TINY, since=date(2024, 4, 6))).keys() <= {"holidays"}


def test_a_special_day_of_the_seed_wins_over_the_holiday() -> None:
    made = tables(Seed(stores=1, products=1, special_days={"2024-12-25": 0.3, "2024-07-01": 2.0}))
    factors = {row["start_date"]: row["value"] for row in made["truth"].filter(pl.col("kind") == "holiday").iter_rows(named=True)}

    assert factors[date(2024, 12, 25)] == 0.3
    assert factors[date(2024, 7, 1)] == 2.0
    assert factors[date(2024, 5, 1)] == 1.5
    assert {date(2024, 12, 25), date(2024, 7, 1), date(2025, 1, 1)} <= set(made["holidays"]["date"])
