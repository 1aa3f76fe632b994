"""Edit distance, error rates, intervals and the comparison of answers, against hand-made cases and slow references."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_vl.errors import InputError
from kimi_vl.evaluation.metrics import (
    bootstrap_ratio,
    character_error_rate,
    levenshtein,
    money_f1,
    normalise,
    printed_amounts,
    same_answer,
    share,
    word_error_rate,
    words_found,
)


def table_distance(a, b):
    """The textbook's table, row after row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_edit_distance_of_cases_counted_by_hand(a, b, distance):
    assert levenshtein(a, b) == distance


@given(st.text("abcd", max_size=14), st.text("abcd", max_size=14))
def test_edit_distance_equals_the_textbook_table(a, b):
    assert levenshtein(a, b) == table_distance(a, b)


@given(st.lists(st.sampled_from(["to", "be", "or"]), max_size=9), st.lists(st.sampled_from(["to", "be", "or"]), max_size=9))
def test_edit_distance_of_words_equals_the_textbook_table(a, b):
    assert levenshtein(a, b) == table_distance(a, b)


def test_edit_distance_crosses_the_width_of_machine_words():
    rng = np.random.default_rng(3)
    a, b = ("".join(rng.choice(list("abcdef"), size=n)) for n in (333, 290))
    assert levenshtein(a, b) == levenshtein(b, a) == table_distance(a, b)


def test_character_error_rate_is_edits_of_all_documents_over_all_reference_characters():
    estimate = character_error_rate([("abcd", "abcx"), ("ab cd ef", "ab cd ef")])
    assert estimate.value == pytest.approx(1 / 12)
    assert estimate.n == 2
    assert (estimate.low, estimate.high) == pytest.approx((0, 1 / 4))  # both draws the second document, or both the first


def test_white_space_counts_once_fully_or_not_at_all():
    pairs = [("a b\nc", "a  b c")]
    assert character_error_rate(pairs).value == 0
    assert character_error_rate(pairs, "raw").value == pytest.approx(2 / 5)
    assert character_error_rate([("ab c", "a bc")], "ignore").value == 0
    assert character_error_rate([("ab c", "a bc")]).value == pytest.approx(2 / 4)


def test_composed_and_decomposed_letters_are_equal():
    assert character_error_rate([("café", unicodedata.normalize("NFD", "café"))]).value == 0


def test_an_invented_text_costs_more_than_one():
    assert character_error_rate([("a", "xyz")]).value == 3


def test_word_error_rate_counts_words():
    assert word_error_rate([("the cat sat", "the cut sat down")]).value == pytest.approx(2 / 3)


def test_words_found_counts_each_printed_word_once_and_forgives_additions():
    estimate = words_found([("a b b c", "x b a y"), ("d", "D")])
    assert (estimate.value, estimate.n) == (pytest.approx(2 / 5), 2)
    assert (estimate.low, estimate.high) == pytest.approx((0, 1 / 2))


@pytest.mark.parametrize("pairs", [[], [("", "noise")], [("  \n", "")]])
def test_an_error_rate_without_a_reference_is_refused(pairs):
    for rate in (character_error_rate, word_error_rate, words_found):
        with pytest.raises(InputError, match="at least one reference"):
            rate(pairs)


def test_an_unknown_treatment_of_spaces_is_refused():
    with pytest.raises(InputError, match="'strip'; there are collapse, raw, ignore"):
        character_error_rate([("a", "a")], "strip")


def test_the_bootstrap_interval_has_the_width_of_the_normal_approximation():
    rng = np.random.default_rng(0)
    edits, lengths = rng.poisson(2.0, 400).astype(float), np.full(400, 40.0)
    low, high = bootstrap_ratio(edits, lengths)
    half = 1.96 * edits.std() / np.sqrt(400) / 40
    assert (low + high) / 2 == pytest.approx(edits.sum() / 16000, rel=0.02)
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (8, 10, 0.490162, 0.943318), (450, 500, 0.870578, 0.923322)],
)
def test_wilson_intervals_equal_those_of_scipy(right, n, low, high):
    estimate = share(right, n)
    assert (estimate.value, estimate.n) == (right / n, n)
    assert estimate.low == pytest.approx(low, abs=1e-6)
    assert estimate.high == pytest.approx(high, abs=1e-6)


@pytest.mark.parametrize(("right", "n"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_an_impossible_share_is_refused(right, n):
    with pytest.raises(InputError, match="is not a share"):
        share(right, n)


@pytest.mark.parametrize(
    "group",
    [
        ["1204.50", "$1204.50", "$1,204.50", "1.204,50 EUR", "€1.204,50", "USD 1204.50", "1'204.50", " $ 1,204.50. "],
        ["-3.00", "-$3.00", "$-3,00"],
        ["0.05", "$0.05", "0,05"],
        ["2024-03-18", "18 March 2024", "March 18, 2024", "Mar 18, 2024", "18-MAR-24", "18/03/24", "18.3.2024", "03/18/2024", "2024/3/18"],
        ["05/06/2024", "5.6.2024", "5/6/24"],
        ["CORNER PANTRY", "Corner  pantry.", '"corner pantry"'],
    ],
)
def test_answers_that_say_the_same_are_equal(group):
    assert all(same_answer(a, b) for a, b in pairwise(group)), [normalise(a) for a in group]


@pytest.mark.parametrize(
    ("truth", "answer"),
    [
        ("15.72", "15.27"),
        ("15.72", "1572"),
        ("15.72", "-15.72"),
        ("1,204.50", "204.50"),
        ("004518", "4518"),
        ("05/06/2024", "06/05/2024"),
        ("2024-03-18", "2024-03-19"),
        ("2024-0317", "2024-03-17"),
        ("A7-4421", "A7 4421"),
        ("555-0173", "555 0173"),
        ("15.72", "The total is 15.72"),
        ("15.72", ""),
    ],
)
def test_answers_that_differ_are_not_equal(truth, answer):
    assert not same_answer(truth, answer)


@pytest.mark.parametrize("text", ["32 March 2024", "2024-13-01", "1/2/3/4", "May", "12 may june", "99999-1-1", "18 Foo 2024"])
def test_what_only_looks_like_a_date_is_compared_as_text(text):
    assert normalise(text) == text.casefold()


def test_amounts_are_found_in_running_text():
    text = "Brake pads 2 $12.50 $25.00, chain 1,204.50 part 12.345 version 1.2.50 on 05.06.2024 back -1,05."
    assert printed_amounts(text) == ["12.50", "25.00", "1204.50", "-1.05"]


def test_money_f1_counts_amounts_whatever_their_order_and_each_as_often_as_printed():
    scores = money_f1([("2.00 3.00 2.00", "3.00 2.00 9.99"), ("4.00", "4.00")])
    assert scores == {"precision": 3 / 4, "recall": 3 / 4, "f1": 3 / 4}
    assert money_f1([("no price", "none")]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


@given(st.text(max_size=40))
def test_no_text_breaks_the_comparison(text):
    assert same_answer(text, text)
