"""Model cards: what they say is what the registry and the backtests say."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipelines.charts import bar_chart
from pipelines.forecasts.registry.cards import Subject, about, card_frame
from pipelines.warehouse import Warehouse


@pytest.fixture(scope="module")
def cards(demo_root: Path) -> dict[str, dict[str, str]]:
    return {row["model_type"]: row for row in Warehouse(demo_root).read("forecasts/model_card").iter_rows(named=True)}


def test_every_run_of_the_last_fit_has_its_card(cards: dict[str, dict[str, str]], demo_root: Path) -> None:
    runs = Warehouse(demo_root).read("forecasts/model_run")

    assert {card["run_id"] for card in cards.values()} == set(runs["run_id"])
    for run in runs.iter_rows(named=True):
        said = cards[run["model_type"]]["markdown"]
        assert said.startswith(f"# Model card: {run['model_type']}\n\n")
        for fact in (run["artifact_hash"], run["dataset_id"], run["config"], str(run["data_window_end"]), run["artifact_uri"]):
            assert fact in said


def test_a_card_tells_the_errors_of_the_backtests(cards: dict[str, dict[str, str]], demo_root: Path) -> None:
    pooled = Warehouse(demo_root).read("backtests/backtest_metric").filter(fold=-1, level="series", segment="all", bucket="h_1_7")
    wape = dict(pooled.select("model_type", "wape").iter_rows())

    for name, card in cards.items():
        [line] = re.findall(r"^\| 1-7 \|.*$", card["markdown"], re.MULTILINE)
        told = [cell.strip() for cell in line.split("|")[3:6]]
        assert told == [f"{wape[each]:.4f}" for each in (name, "naive", "seasonal_naive")]


def test_champions_of_the_cards_are_all_series(cards: dict[str, dict[str, str]], demo_root: Path) -> None:
    told = [re.search(r"\| champion of \| (\d+) of (\d+) series \|", card["markdown"]) for card in cards.values()]

    assert sum(int(each[1]) for each in told if each) == Warehouse(demo_root).read("forecasts/champion").height


def test_the_gains_of_the_trees_add_up_to_all(cards: dict[str, dict[str, str]]) -> None:
    groups = cards["xgboost"]["markdown"].split("| group of features | share |")[1].split("\n\n")[0]

    assert sum(float(share) for share in re.findall(r"\| (\d\.\d{4}) \|", groups)) == pytest.approx(1, abs=0.002)
    assert "What it looks at" not in cards["naive"]["markdown"]


def test_a_plot_is_whole_and_the_same_for_the_same_numbers(cards: dict[str, dict[str, str]]) -> None:
    for card in cards.values():
        assert ElementTree.fromstring(card["plot"]).tag == "{http://www.w3.org/2000/svg}svg"

    bars = {"<mine>": [0.25, None], "naive": [0.5, 0.5]}
    drawn = bar_chart("a & b", ["1-7", "8-14"], bars)

    assert drawn == bar_chart("a & b", ["1-7", "8-14"], bars)
    assert [each.text for each in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}title")] == [
        *("<mine>, 1-7: 0.2500", "naive, 1-7: 0.5000", "naive, 8-14: 0.5000"),
    ]


def test_the_tallest_bar_is_as_tall_as_the_scale() -> None:
    drawn = ElementTree.fromstring(bar_chart("t", ["g"], {"a": [2.0], "b": [1.0]}))

    tall = [float(each.get("height", "0")) for each in drawn.iter() if len(each)]

    assert tall[-2:] == [184.0, 92.0]


def test_without_a_backtest_a_card_says_so(demo_root: Path) -> None:
    warehouse = Warehouse(demo_root)
    run = warehouse.read("forecasts/model_run").row(0, named=True)
    metrics = warehouse.read("backtests/backtest_metric").clear()
    champion, segments = warehouse.read("forecasts/champion"), warehouse.read("features/series_segment")

    [card] = card_frame([Subject(run, "About.", 14, {}, {})], metrics, champion, segments).rows(named=True)

    assert card["plot"] is None
    assert "There is no backtest" in card["markdown"]


def test_a_card_begins_with_what_the_type_is() -> None:
    assert about("One thought\nover two lines.\n\nMore of it.") == "One thought over two lines."
    assert about(None) == ""
