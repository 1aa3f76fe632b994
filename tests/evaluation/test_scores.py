"""Scores of answers against values worked out by hand, and answers that nobody should have given."""

import math

import pytest

from kimi_vl.evaluation.metrics import coordinates, intersection_over_union
from kimi_vl.evaluation.scores import (
    MOST_ITEMS,
    SCORES,
    WORST_COUNT,
    WORST_SECONDS,
    matched_items,
    parse_items,
    seconds_of,
    within,
)
from kimi_vl.evaluation.suite import TASKS
from tests.evaluation.items import result

HOSTILE = [
    "",
    " ",
    "NaN",
    "nan, nan",
    "9" * 5000,
    "7 " * 3000,
    '{"items": [',
    "[" * 20000,
    "\n" * 100,
    "-",
    "(1e999, 1e999)",
    "\x00",
    "é" * 500,
]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("said", HOSTILE, ids=lambda text: repr(text[:12]))
def test_no_answer_breaks_a_score_and_none_of_these_is_right(score, said):
    truth = {"items": "Bread 3.45\nMilk 2.79", "when": "0:03.5", "refusal": None}.get(score, "12")
    scores = SCORES[score]([result(truth, said, box=(0.1, 0.1, 0.2, 0.2), thinking=said)])
    name, headline = next(iter(scores.items()))
    assert all(math.isfinite(value) for estimate in scores.values() for value in (estimate.value, estimate.low, estimate.high))
    assert headline.n == 1
    assert headline.value >= 1 if name == "CER" else headline.value == 0


def test_every_task_has_a_score_and_a_headline():
    assert {task.score for task in TASKS} == SCORES.keys()


def test_exact_answers_are_counted_with_their_wilson_interval():
    estimate = SCORES["exact"]([result("$1,204.50", "1.204,50 $"), result("Milk", "milk."), result("7", "8")])["exact"]
    assert (estimate.value, estimate.n) == (2 / 3, 3)
    assert estimate.low == pytest.approx(0.2077, abs=1e-4)
    assert estimate.high == pytest.approx(0.9385, abs=1e-4)


def test_cer_leaves_out_rules_and_counts_all_documents_together():
    scores = SCORES["cer"]([result("Milk 2.79", "Milk .... 2.79"), result("abcdefghi", "abcdefgh")])
    assert scores["CER"].value == 1 / 18
    assert scores["words found"].value == 2 / 3


# Articles ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Rye bread 3.45\nMilk 1L 2.79",
        "Rye bread: $3.45\nMilk 1L - 2.79",
        '[{"name": "Rye bread", "price": 3.45}, {"name": "Milk 1L", "price": "2.79"}]',
        '{"items": [{"item": "Rye bread", "amount": "3.45"}, {"item": "Milk 1L", "total": 2.79}]}',
        '```json\n[["Rye bread", 3.45], ["Milk 1L", 2.79]]\n```',
        '{"Rye bread": "3,45", "Milk 1L": 2.79}',
    ],
)
def test_articles_are_read_from_lines_and_from_json(text):
    assert matched_items([("Rye bread", "3.45"), ("Milk 1L", "2.79")], parse_items(text)) == 2


@pytest.mark.parametrize(
    "text", ['[{"name": "Milk", "price": NaN}]', '[{"name": "Milk", "price": true}]', '[{"name": 3, "price": 2.79}]', "[1, 2]", "{}"]
)
def test_json_without_articles_gives_none(text):
    assert parse_items(text) == []


def test_a_loop_of_articles_is_cut():
    assert len(parse_items("Milk 2.79\n" * 5000)) == MOST_ITEMS


def test_names_may_differ_by_a_fifth_and_prices_not_at_all():
    truth = [("Oat milk 1L", "2.79")]
    assert matched_items(truth, [("Oot milk 1I", "2.79")]) == 1  # 2 of 11
    assert matched_items(truth, [("Oot mi1k 1I", "2.79")]) == 0  # 3 of 11
    assert matched_items(truth, [("Oat milk 1L", "2.78")]) == 0


def test_articles_are_paired_as_well_as_can_be_and_none_counts_twice():
    truth = [("Milk A", "1.00"), ("Milk B", "1.00")]
    assert matched_items(truth, [("Milk A", "1.00"), ("Milk A", "1.00")]) == 2  # either name is one edit of six from both
    # The first fits both, the second only what the first would take.
    assert matched_items([("abcdefghij", "1.00"), ("abcdefgxxx", "1.00")], [("abcdefghxx", "1.00"), ("abcdefghij", "1.00")]) == 2
    assert matched_items(truth, [("Milk A", "1.00")]) == 1


def test_item_f1_counts_over_all_documents():
    scores = SCORES["items"](
        [result("Bread 3.45\nMilk 2.79", "Bread 3.45\nMilk 2.79\nEggs 1.00"), result("Tea 1.10\nJam 2.20", "Tea 1.10")]
    )
    assert scores["item F1"].value == 2 * 3 / (2 + 3 + 2 + 1)
    assert scores["all items right"].value == 0


# Places ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count", "found"),
    [
        ("(0.512, 0.250)", 2, (0.512, 0.25)),
        ("Click at .5, 1.", 2, (0.5, 1.0)),
        ("[0.1, 0.2, 0.3, 0.4]", 4, (0.1, 0.2, 0.3, 0.4)),
        ("[0.1, 0.2, 0.3, 0.4]", 2, None),
        ("(512, 250)", 2, (512.0, 250.0)),
        ("(nan, inf)", 2, None),
        ("no number", 2, None),
    ],
)
def test_coordinates_want_exactly_as_many_numbers(text, count, found):
    assert coordinates(text, count) == found


def test_overlap_of_boxes():
    assert intersection_over_union((0, 0, 2, 2), (1, 1, 3, 3)) == 1 / 7
    assert intersection_over_union((0, 0, 1, 1), (0, 0, 1, 1)) == 1
    assert intersection_over_union((0, 0, 1, 1), (2, 2, 3, 3)) == 0
    assert intersection_over_union((0.4, 0.4, 0.1, 0.1), (0, 0, 1, 1)) == 0  # inside out


def test_points_and_boxes_are_scored_against_the_box():
    box = (0.2, 0.2, 0.4, 0.4)
    said = ["(0.3, 0.3)", "(0.2, 0.4)", "(0.5, 0.3)", "[0.2, 0.2, 0.4, 0.4]"]
    assert SCORES["point"]([result("(0.300, 0.300)", text, box=box) for text in said])["point in box"].value == 0.5
    boxes = ["[0.2, 0.2, 0.4, 0.4]", "[0.2, 0.2, 0.4, 0.29]", "(0.3, 0.3)"]
    scores = SCORES["box"]([result("", text, box=box) for text in boxes])
    assert scores["IoU at least 0.5"].value == 1 / 3
    assert scores["mean IoU"].value == pytest.approx((1 + 0.45) / 3)


# Numbers and times -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "said", "right"),
    [
        ("40", "42", True),
        ("40", "42.1", False),
        ("45 %", "44", True),
        ("$1,204", "1250", True),
        ("1.204,5 EUR", "1200,0", True),
        ("-3.0", "3.0", False),
        ("0", "0.01", False),
        ("12", "between 11 and 12", False),
        ("12", "twelve", False),
    ],
)
def test_values_from_charts_may_be_five_percent_off(truth, said, right):
    assert within(truth, said) is right


def test_only_values_are_relaxed_and_names_are_not():
    assert SCORES["relaxed"]([result("2020", "2021", tag="find")])["relaxed"].value == 0
    scores = SCORES["relaxed"]([result("2020", "2021", tag="cell")])
    assert (scores["relaxed"].value, scores["exact"].value) == (1, 0)


def test_counts_have_a_mean_error_that_no_answer_can_blow_up():
    scores = SCORES["count"]([result("3", "3"), result("3", "5."), result("3", "many"), result("3", "900000")])
    assert scores["exact"].value == 0.25
    assert scores["mean error"].value == (0 + 2 + WORST_COUNT + WORST_COUNT) / 4


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:03.5", 3.5),
        ("[0:03.5]", 3.5),
        ("1:02:03.5", 3723.5),
        ("3.5 s", 3.5),
        ("3", 3),
        ("3.5 seconds.", 3.5),
        ("soon", None),
        ("-1", None),
    ],
)
def test_times_are_read_with_and_without_a_clock(text, seconds):
    assert seconds_of(text) == seconds


def test_a_time_counts_within_half_a_second():
    scores = SCORES["when"]([result("0:03.9", said) for said in ("0:03.4", "0:04.4", "0:04.5", "late")])  # 4.4 - 3.9 > 0.5 in binary
    assert scores["within 0.5 s"].value == 0.5
    assert scores["mean error, s"].value == pytest.approx((0.5 + 0.5 + 0.6 + WORST_SECONDS) / 4)


# Thinking, needles, refusals -----------------------------------------------------------------------------------------------


def test_arithmetic_reports_the_answer_the_price_and_the_steps():
    good, bad = "Bread 3.45\n3.45 + 2.79 = 6.24", "3.45 + 2.79 = 6.34"
    scores = SCORES["arithmetic"](
        [
            result("6.24", "6.24", thinking=good, thinking_tokens=30),
            result("6.24", "6.34", thinking=bad, thinking_tokens=20),
            result("6.24", "6.24"),
        ]
    )
    assert scores["accuracy"].value == 2 / 3
    assert scores["thinking tokens"].value == 50 / 3
    assert (scores["traces that hold"].value, scores["traces that hold"].n) == (0.5, 2)


def test_needles_are_broken_down_by_depth():
    results = [result("7", "7", facts={"depth": 0.1}), result("7", "8", facts={"depth": 0.99}), result("7", "7")]
    scores = SCORES["needle"](results)
    assert {name: (e.value, e.n) for name, e in scores.items()} == {"exact": (2 / 3, 3), "first third": (1, 1), "last third": (0, 1)}


def test_refusals_have_precision_recall_and_f1():
    no = "I cannot tell from this document."
    scores = SCORES["refusal"]([result(None, no), result(None, no), result(None, "7"), result("7", no), result("7", "9")])
    assert (scores["recall"].value, scores["precision"].value) == (2 / 3, 2 / 3)
    assert scores["F1"].value == 2 * 2 / (3 + 3)


def test_nobody_refusing_has_no_precision():
    assert "precision" not in SCORES["refusal"]([result(None, "7"), result("7", "7")])
