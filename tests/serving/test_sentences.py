"""Parameters of a season from plain language: what is said, what is not, what is denied and what contradicts itself."""

import time
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_config.contract.plans import SeasonParameters
from serving.grammar import number, percent
from serving.sentences import FIELDS, extract, named, overall

TODAY = date(2024, 8, 31)  # a Saturday
DEFAULTS = {name: getattr(SeasonParameters(), name) for name in FIELDS}
W, S, R, H, M = FIELDS

SAID: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("Plan the next season please.", {}),
    ("12 weeks", {W: 12}),
    ("A 10-week season", {W: 10}),
    ("a season of ten weeks", {W: 10}),
    ("twenty-six weeks of coats", {W: 26}),
    ("twenty six weeks of coats", {W: 26}),
    ("a dozen weeks", {W: 12}),
    ("8 wks", {W: 8}),
    ("Forecast three months ahead", {W: 13}),
    ("6 months", {W: 26}),
    ("plan half a year", {W: 26}),
    ("for the quarter", {W: 13}),
    ("100 weeks", {}),
    ("0 weeks", {}),
    ("Dairy - 12 weeks", {W: 12}),
    ("12-14 weeks", {W: 14}),
    ("12 weeks from 2025-03-03", {W: 12, S: "2025-03-03"}),
    ("start on 3 March 2025", {S: "2025-03-03"}),
    ("starting March 3rd, 2025", {S: "2025-03-03"}),
    ("starts Mar 3 2025", {S: "2025-03-03"}),
    ("beginning on the 1st of October", {S: "2024-10-01"}),
    ("from April", {S: "2025-04-01"}),
    ("in September 2024", {S: "2024-09-01"}),
    ("the first week of March 2025", {S: "2025-03-03"}),
    ("mid-October", {S: "2024-10-15"}),
    ("late November 2024", {S: "2024-11-22"}),
    ("starting next Monday", {S: "2024-09-02"}),
    ("start next week", {S: "2024-09-02"}),
    ("launch in three weeks", {S: "2024-09-16"}),
    ("31 February 2025", {}),
    ("from 2025-03-03 to 2025-05-25", {W: 12, S: "2025-03-03"}),
    ("from 3 March 2025 until 11 May 2025", {W: 10, S: "2025-03-03"}),
    ("from 1 December to 31 January", {W: 9, S: "2024-12-01"}),
    ("no replenishment", {R: "none"}),
    ("Don't replenish the stores.", {R: "none"}),
    ("without any replenishment", {R: "none"}),
    ("Never restock during the season", {R: "none"}),
    ("replenishment: none", {R: "none"}),
    ("Replenishment is off", {R: "none"}),
    ("a one-time shipment", {R: "none"}),
    ("no weekly replenishment", {R: "none"}),
    ("replenish every two weeks", {R: "bi-weekly"}),
    ("bi-weekly replenishment", {R: "bi-weekly"}),
    ("biweekly restocking", {R: "bi-weekly"}),
    ("Stores are restocked every other week", {R: "bi-weekly"}),
    ("fortnightly deliveries", {R: "bi-weekly"}),
    ("not weekly but bi-weekly replenishment", {R: "bi-weekly"}),
    ("replenish weekly", {}),
    ("weekly demand curve, no deliveries", {R: "none"}),
    ("Replenish weekly. Actually, make it every two weeks.", {R: "bi-weekly"}),
    ("hold back 30%", {H: 0.3}),
    ("30 percent holdback", {H: 0.3}),
    ("keep half at the DC", {H: 0.5}),
    ("keep a third in reserve", {H: 0.3333}),
    ("a holdback of 0.4", {H: 0.4}),
    ("holding back 37,5 %", {H: 0.375}),
    ("no holdback", {H: 0.0}),
    ("Hold nothing back.", {H: 0.0}),
    ("Send everything to the stores", {H: 0.0}),
    ("send 70% to stores at launch", {H: 0.3}),
    ("allocate 60 % upfront", {H: 0.4}),
    ("hold back 150%", {}),
    ("no markdowns", {}),
    ("markdown at week 6", {M: 6}),
    ("Week 6 markdown checkpoint", {M: 6}),
    ("mark down in the sixth week", {M: 6}),
    ("discounts after 5 weeks", {M: 5}),
    ("markdown halfway through 8 weeks", {W: 8, M: 4}),
    ("full price throughout", {}),
    ("markdown in week 12 of a 10 week season", {W: 10}),
    ("Markdown at week 6. No, week 7 markdown.", {M: 7}),
    (
        "8000 dresses over 12 weeks from the first week of March 2025. Keep 45% at the DC. Replenish weekly. Markdown at week 6.",
        {W: 12, S: "2025-03-03", H: 0.45, M: 6},
    ),
    (
        "Fast fashion drop: 6 weeks from 7 October 2024, no replenishment, hold back nothing, no markdowns",
        {W: 6, S: "2024-10-07", R: "none", H: 0.0},
    ),
]


@pytest.mark.parametrize(("text", "said"), SAID, ids=[text[:60] for text, _ in SAID])
def test_a_sentence_is_taken_at_its_word(text: str, said: dict[str, Any]) -> None:
    found = {each.field: each for each in extract(text, today=TODAY)}

    assert {name: each.value for name, each in found.items()} == DEFAULTS | said
    for each in found.values():
        assert (each.source == "default") == (
            each.span is None or (each.confidence == "low" and each.value == DEFAULTS[each.field])
        )
        if each.span is not None:
            assert text[each.span.start : each.span.end] == each.span.text


def one(text: str, field: str) -> Any:
    return next(each for each in extract(text, today=TODAY) if each.field == field)


def test_what_is_said_is_surer_than_what_follows_and_that_than_a_default() -> None:
    assert [one(text, W).confidence for text in ("12 weeks", "3 months", "soon")] == ["high", "medium", "low"]
    assert [one(text, W).source for text in ("12 weeks", "3 months", "soon")] == ["stated", "derived", "default"]
    assert one("replenish weekly", R).source == "stated", "a value that is the default is stated all the same"
    assert one("no markdowns", M).source == "stated"


def test_a_contradiction_is_told_and_the_last_word_holds() -> None:
    found = one("Replenish weekly, and no replenishment.", R)

    assert (found.value, found.confidence) == ("none", "low")
    assert "'weekly' says weekly" in found.reasoning
    assert overall(extract("Replenish weekly, and no replenishment.", today=TODAY)) == "low"


def test_a_correction_is_no_contradiction() -> None:
    found = one("12 weeks, sorry, 10 weeks", W)

    assert (found.value, found.confidence) == (10, "medium")
    assert "corrects" in found.reasoning


def test_what_is_out_of_bounds_or_too_late_is_named() -> None:
    assert one("100 weeks", W).reasoning == "'100 weeks' is out of bounds; the default holds"
    assert one("a season of -3 weeks", W).reasoning == "'-3 weeks' is out of bounds; the default holds"
    assert one("-3 months", W).reasoning == "'-3 months' is out of bounds; the default holds"
    for text in ("Dairy from 30 February 2025", "Dairy from 30 February 2025, 10 weeks"):
        assert one(text, S).reasoning == "'30 February 2025' is no day of the calendar; the default holds"
        assert overall(extract(text, today=TODAY)) == "low"
    assert "not before the last of 10 weeks" in one("markdown in week 12 of a 10 week season", M).reasoning


def test_the_whole_is_as_sure_as_its_parts() -> None:
    assert overall(extract(SAID[-1][0], today=TODAY)) == "high"
    assert overall(extract("12 weeks", today=TODAY)) == "medium"
    assert overall(extract("hello", today=TODAY)) == "low"


def test_a_category_is_found_by_its_name() -> None:
    names = ["Dresses", "Evening Dresses", "Coats"]

    assert named("8 weeks of dresses", names) == "Dresses"
    assert named("8 weeks of evening dresses", names) == "Evening Dresses"
    assert named("dresses and coats", names) is None
    assert named("overcoats", names) is None


def test_numbers_are_read_in_digits_and_words() -> None:
    assert [number(text) for text in ("12", "twelve", "twenty-one", "twenty one", "a dozen", "sixth")] == [12, 12, 21, 21, 12, 6]
    assert [percent(text) for text in ("45%", "45 percent", "0.45", ".45", "half", "12,5%")] == [0.45, 0.45, 0.45, 0.45, 0.5, 0.125]


@given(st.text(max_size=300))
def test_any_text_is_answered(text: str) -> None:
    assert [each.field for each in extract(text, today=TODAY)] == list(FIELDS)


WORDS = [
    *("weekly", "every", "two", "weeks", "no", "not", "replenish", "markdown", "week", "6", "45%", "keep", "hold back", "stores"),
    *("from", "to", "March", "2025", "3", ".", ",", "actually", "half", "send", "in", "season", "  ", "the"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_order_of_words_gives_parameters_that_can_be_planned(words: list[str]) -> None:
    found = {each.field: each.value for each in extract(" ".join(words), today=TODAY)}

    assert 1 <= found[W] <= 52
    assert found[R] in ("none", "weekly", "bi-weekly")
    assert 0 <= found[H] <= 1
    assert found[M] is None or 1 <= found[M] < found[W]
    assert found[S] is None or date.fromisoformat(found[S])


@pytest.mark.parametrize(
    "text", [" " * 2000, "replenish " * 200, "keep " * 400, "week 6 " * 280, "not " * 500, "45% " * 500, "a" * 2000]
)
def test_a_long_text_is_read_in_a_moment(text: str) -> None:
    began = time.process_time()
    extract(text, today=TODAY)

    assert time.process_time() - began < 5, "seconds of a processor: a pattern that backtracks takes minutes"
