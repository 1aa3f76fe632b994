"""Where answers stand, on pages whose every word and box is known."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_vl.media.documents import read_document_pages, read_document_text
from kimi_vl.media.words import PageText, Word
from kimi_vl.processor.citations import Claim, cite, shows_print
from tests.media.pdfs import block, page, pdf, text


def paper(number, *lines):
    """A page of lines 0.1 apart; the k-th word of line n has the box (0.1 k, 0.1 n) to (0.1 k + 0.08, 0.1 n + 0.05)."""
    words = [
        Word(word, (round(0.1 * k, 2), round(0.1 * n, 2), round(0.1 * k + 0.08, 2), round(0.1 * n + 0.05, 2)), n)
        for n, line in enumerate(lines)
        for k, word in enumerate(line.split())
    ]
    return PageText(number, 612.0, 792.0, tuple(words))


def area(line, first, last=None):
    last = first if last is None else last
    return (round(0.1 * first, 2), round(0.1 * line, 2), round(0.1 * last + 0.08, 2), round(0.1 * line + 0.05, 2))


INVOICE = paper(1, "Invoice 2024-0317", "Chain $21.90", "Inner tubes 2 $18.60", "Total $1,204.50")
LETTER = paper(7, "Dear Dr. Amalia Ostrander,", "the ﬁnal fee of the member-", "ship is 45 euros", "the 2 of us the end")


def only(answer, *pages, **options):
    (citation,) = cite(answer, pages, **options)
    return citation


# What stands there -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["$1,204.50", "1204.5", "1.204,50 EUR", "1204.50", "The total is $1,204.50.", "1'204.50"])
def test_numbers_are_found_however_they_are_written(answer):
    found = only(answer.replace(" EUR", ""), INVOICE)
    assert (found.page, found.boxes, found.verified) == (1, (area(3, 1),), True)


@pytest.mark.parametrize("answer", ["1204", "204.50", "1,204.05", "-1204.50", "120450", "1,2045.0"])
def test_other_numbers_are_not_found(answer):
    found = only(answer, INVOICE)
    assert (found.page, found.verified, found.how) == (None, False, "not found in the text of the pages looked at")


def test_an_ambiguous_number_says_how_it_was_read():
    found = only("1234 kilograms", paper(1, "net 1.234 kg"))
    assert (found.text, found.verified, found.how) == ("1234", True, "stands there; 1.234 is read as 1234")


def test_a_phrase_is_found_across_lines_with_a_box_for_each():
    found = only("the final fee of the membership", LETTER)
    assert found.boxes == (area(1, 0, 5), area(2, 0))
    assert found.box == (0.0, 0.1, 0.58, 0.25)
    assert found.verified


@pytest.mark.parametrize(
    ("answer", "box"),
    [
        ("AMALIA ostrander", area(0, 2, 3)),
        ("“Amalia Ostrander”", area(0, 2, 3)),
        ("The letter is to Amalia Ostrander, I believe, who is a member of it since long ago.", area(0, 2, 3)),
        ("final", area(1, 1)),
        ("４５ euros", area(2, 2, 3)),
        ("2024-0317", (0.1, 0.0, 0.18, 0.05)),
    ],
)
def test_names_and_words_are_found(answer, box):
    found = only(answer, INVOICE, LETTER)
    assert (found.verified, found.boxes) == (True, (box,))


def test_a_word_that_a_line_divides_has_two_boxes():
    assert only("membership", LETTER).boxes == (area(1, 5), area(2, 0))


def test_hyphens_inside_words_do_not_count():
    assert only("well-known", paper(1, "a well‑known name")).verified
    assert not any(citation.verified for citation in cite("10-20", [paper(1, "1020 pieces")]))


# What proves nothing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["the", "2", "Yes.", "The", "of the"])
def test_common_texts_are_not_verified(answer):
    for citation in cite(answer, [INVOICE, LETTER]):
        assert not citation.verified


def test_a_small_number_is_verified_beside_the_questions_words():
    found = only("2", INVOICE, LETTER, question="How many inner tubes are there?")
    assert (found.page, found.boxes, found.verified, found.others) == (1, (area(2, 2),), True, 1)
    assert not only("2", LETTER, question="How many inner tubes are there?").verified


def test_a_part_of_a_word_or_number_is_not_the_word():
    assert only("21", INVOICE).page is None
    assert only("tube", INVOICE).page is None


# Several places and pages --------------------------------------------------------------------------------------------------------


def test_of_several_places_the_nearest_to_the_question_is_given():
    sheet = paper(3, "North 1500 visitors", "South 1500 visitors", "East 900 visitors")
    found = only("1500", sheet, question="How many visitors has South?")
    assert (found.boxes, found.others) == ((area(1, 1),), 1)
    assert only("1500", sheet).boxes == (area(0, 1),)


def test_the_page_that_an_answer_names_is_the_only_one_that_counts():
    pages = [paper(3, "fee 4500"), paper(9, "fee 4500")]
    found = only("The fee is 4500 (page 9).", *pages)
    assert (found.page, found.verified) == (9, True)
    wrong = only("The fee is 4500 [page 5].", *pages)
    assert (wrong.page, wrong.boxes, wrong.verified) == (5, (), False)
    assert wrong.how == "page 5 is not among the pages looked at; it stands on page 3"
    wrong = only("It is 700 on page 3.", pages[0], paper(9, "fee 700"))
    assert (wrong.verified, wrong.how) == (False, "page 3 does not have it; it stands on page 9")


def test_each_number_of_a_long_sentence_is_cited_by_itself_and_once():
    found = cite("I have seen that the chain costs $21.90 and the tubes $18.60, so that with 21.90 it comes to $40.50 in all.", [INVOICE])
    assert [(citation.text, citation.verified) for citation in found] == [("21.90", True), ("18.60", True), ("40.50", False)]


def test_what_an_answer_quotes_is_looked_for_and_nothing_else_of_the_sentence():
    found = cite('It says "the ﬁnal fee" on line 1204.', [LETTER], quotes=["45 euros", "46 euros"])
    assert [(citation.text, citation.verified) for citation in found] == [("45 euros", True), ("46 euros", False), ("the ﬁnal fee", True)]


def test_an_amount_with_decimals_is_telling_and_its_whole_part_is_not():
    fee = paper(1, "it is $24.00 a year")
    assert only("$24.00", fee).verified
    assert not only("24", fee).verified


def test_a_copied_passage_is_one_citation_even_across_sentences():
    sheet = paper(1, "open on Saturdays. The new fee", "is due in May")
    assert only("on Saturdays. The new fee is due", sheet).boxes == (area(0, 1, 5), area(1, 0, 1))


def test_of_a_passage_with_a_misread_word_the_rest_is_cited():
    sheet = paper(1, "tell you that the rooms are", "open again from the 9th of May")
    found, date = cite("tel you that the rooms are open again from the ninth of March on, so they say to us", [sheet])
    assert (found.text, found.verified) == ("you that the rooms are open again from the", True)
    assert (date.text, date.verified) == ("March", False)


@pytest.mark.parametrize("answer", ["I cannot tell from this document.", "I see no date."])
def test_an_answer_that_says_nothing_of_the_page_is_not_cited(answer):
    assert cite(answer, [INVOICE]) == []


def test_a_short_answer_that_stands_nowhere_is_marked():
    found = only("a blue bicycle", INVOICE)
    assert (found.page, found.verified, found.how) == (None, False, "not found in the text of the pages looked at")


def test_no_pages_and_no_words_give_no_verified_citation():
    assert [citation.verified for citation in cite("1,204.50", [])] == [False]
    assert [citation.verified for citation in cite("1,204.50", [PageText(1, 5.0, 5.0, ())])] == [False]
    assert cite("", [INVOICE]) == []


# A model's own boxes, and print ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "verified", "how"),
    [
        (Claim(1, (0.09, 0.29, 0.2, 0.36), "$1204.5"), True, "the model's own box, and the text stands in it"),
        (Claim(1, (0.09, 0.09, 0.2, 0.16), "$1204.5"), False, "the model's own box, and the text does not stand in it"),
        (Claim(2, (0.0, 0.0, 1.0, 1.0), "x"), False, "the model's own box; page 2 is not among the pages looked at"),
        (Claim(8, (0.0, 0.0, 1.0, 1.0), "x"), False, "the model's own box; the page has no text layer to check it by"),
    ],
)
def test_a_box_that_the_model_drew_is_checked_by_the_words_in_it(claim, verified, how):
    (found,) = cite("", [INVOICE, PageText(8, 5.0, 5.0, ())], claims=[claim])
    assert (found.page, found.boxes, found.verified, found.how) == (claim.page, (claim.area,), verified, how)


def test_text_that_is_not_printed_is_not_verified():
    """White on white, and behind a block: in the text layer, for nobody to see."""
    data = pdf(
        page(
            text("Total 1204.50", y=250),
            "1 1 1 rg",
            text("Rebate 777.77", y=200),
            "0 g",
            text("Secret 888.88", y=100),
            block(40, 90, 300, 40),
        )
    )
    pages = [PageText.from_facts(part.facts) for part in read_document_text(BytesIO(data), "a.pdf", {})]
    (drawn,) = read_document_pages(BytesIO(data), "a.pdf", {})
    for number, seen in (("1204.50", True), ("777.77", False), ("888.88", False)):
        assert only(number, *pages).verified
        found = only(number, *pages, pixels={1: drawn.pixels_HWC})
        assert (found.verified, found.how == "the text layer has it, but nothing is printed there") == (seen, not seen)


def test_print_is_seen_at_the_edge_of_a_page():
    pixels = np.full((10, 10, 3), 255, np.uint8)
    pixels[9, 9] = 0
    assert shows_print(pixels, (0.8, 0.8, 1.0, 1.0))
    assert not shows_print(pixels, (0.0, 0.0, 0.5, 0.5))
    assert not shows_print(pixels, (1.0, 1.0, 1.0, 1.0))


def test_boxes_of_a_real_page_hold_what_is_cited():
    """The only black things on the page are the words; the cited box holds all of the second word and none of the first."""
    data = pdf(page(text("Balance", x=30, y=200), text("4,711.00", x=250, y=200)))
    pages = [PageText.from_facts(part.facts) for part in read_document_text(BytesIO(data), "a.pdf", {})]
    (drawn,) = read_document_pages(BytesIO(data), "a.pdf", {"dpi": 144})
    left, top, right, bottom = only("4711", *pages).box
    rows, columns = np.nonzero(drawn.pixels_HWC[..., 0] < 128)
    ink = columns > 400
    assert (columns[ink].min() / 800, rows[ink].min() / 600) == (pytest.approx(left, abs=0.003), pytest.approx(top, abs=0.003))
    assert ((columns[ink].max() + 1) / 800, (rows[ink].max() + 1) / 600) == (
        pytest.approx(right, abs=0.003),
        pytest.approx(bottom, abs=0.003),
    )


# Anything -----------------------------------------------------------------------------------------------------------------------

WORDS = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from(["the", "Fee", "1,234.50", "12", "exam-", "ple", "(page 1)", "-", '"'])), max_size=12
)


@given(WORDS, WORDS, WORDS)
@settings(max_examples=100, deadline=None)
def test_whatever_is_verified_stands_on_a_page_that_was_looked_at(answer, first, second):
    pages = [paper(1, " ".join(first)), paper(2, " ".join(second))]
    areas = {p.number: {word.area for word in p.words} for p in pages}
    for citation in cite(" ".join(answer), pages, question="the fee"):
        if citation.verified:
            assert citation.boxes
            assert all(any(a[0] >= box[0] and a[2] <= box[2] for a in areas[citation.page]) for box in citation.boxes)


@pytest.mark.parametrize("answer", ["1," * 10_000, "A " * 10_000, '"' * 20_000, "(page 1) " * 2_000, "1.2.3.4 " * 2_000, "a-" * 10_000])
def test_hostile_answers_take_no_time(answer):
    pages = [paper(n, *(["the same 12 words on every line of it"] * 100)) for n in range(1, 11)]
    assert len(cite(answer, pages)) <= 50
