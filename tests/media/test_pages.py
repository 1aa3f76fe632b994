"""Pages by number and by question, and the size at which each is drawn."""

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_vl.checkpoint import locate_checkpoint
from kimi_vl.errors import InputError, MediaError
from kimi_vl.media.pages import fit_page, parse_pages, relevance, said_pages, select_pages, terms
from kimi_vl.processor import Processor


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("3", [3]),
        ("3-7,9,12-", [3, 4, 5, 6, 7, 9, 12, 13, 14]),
        (" 2 , 2-3 ", [2, 3]),
        ("14-", [14]),
        ("9,1", [1, 9]),
        ("1\u20132", [1, 2]),
    ],
)
def test_pages_are_read_as_people_write_them(text, pages):
    assert parse_pages(text, 14) == pages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"pages is '': '' is no page and no range; write 3, 3-7 or 12-, with commas between"),
        ("3,,4", r"'' is no page"),
        ("-5", r"'-5' is no page and no range"),
        ("a-b", r"'a-b' is no page"),
        ("3-4-5", r"'3-4-5' is no page"),
        ("0", r"pages are counted from 1"),
        ("15", r"there is no page 15; the document has 14"),
        ("3-15", r"there is no page 15"),
        ("20-", r"there is no page 20"),
        ("7-3", r"'7-3' runs backwards; write 3-7"),
        ("9999999999", r"is no page"),
        ("\u0663x", r"is no page"),
        ("1," * 6000, r"pages has 12,000 characters; at most 10,000 are read"),
    ],
)
def test_what_is_no_page_is_named(text, message):
    with pytest.raises(InputError, match=message):
        parse_pages(text, 14)


@given(st.text("0123456789-, \u20133", max_size=12), st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_pages_of_the_document_or_a_clear_error(text, count):
    with contextlib.suppress(InputError):
        pages = parse_pages(text, count)
        assert pages == sorted(set(pages))
        assert pages
        assert set(pages) <= set(range(1, count + 1))


@given(st.sets(st.integers(1, 60), min_size=1))
@settings(max_examples=200, deadline=None)
def test_what_is_said_names_every_page_and_no_other(pages):
    said = said_pages(pages).replace(" and ", ",").replace(" to ", "-")
    assert parse_pages(said, 60) == sorted(pages)


def test_runs_of_pages_are_said_together():
    assert said_pages([18, 3, 17]) == "3, 17 and 18"
    assert said_pages([3, 4, 5, 1234]) == "3 to 5 and 1,234"
    assert (said_pages([]), said_pages([7])) == ("none", "7")


# Relevance -----------------------------------------------------------------------------------------------------------------


def test_bm25_by_hand():
    """Two words of the question on page 1, one on page 2; ln(1 + (N - n + 0.5) / (n + 0.5)), k1 = 1.2, b = 0.75."""
    scores = relevance("How many anchor bolts?", ["anchor bolts fit", "anchor of a ship at sea", "nothing"])
    lengths, mean = (3, 6), 10 / 3

    def part(idf, length):
        return idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / mean))

    both, one = 0.4700036292457356, 0.9808292530117262  # ln 1.6, ln(8/3)
    assert scores == {1: pytest.approx(part(both, lengths[0]) + part(one, lengths[0])), 2: pytest.approx(part(both, lengths[1]))}


def test_terms_meet_in_one_form():
    assert terms("Ｆish \ufb01le 1,204.50 Bolts glass") == ["fish", "file", "1204.50", "bolt", "glass"]


# Selection -----------------------------------------------------------------------------------------------------------------

FILLER = "general remarks about the weather and other things of no great interest to anybody"


def thousand_pages():
    pages = [f"{FILLER} {k}" for k in range(1, 1001)]
    pages[0] = "Annual report of the Harbour Trust"
    pages[2] = "Contents\n" + "\n".join(f"Chapter {k} ..... {k * 90}" for k in range(1, 9))
    pages[16] = "The dredger Amalia moved 48,210 tonnes of silt. " + FILLER
    pages[499] = "Silt of the lower basin. " + FILLER
    return pages


def test_a_question_about_a_thousand_pages_finds_its_page_and_says_what_was_left_out():
    chosen = select_pages("How many tonnes of silt did the Amalia move?", thousand_pages(), budget=5000, page_tokens=1000)
    assert chosen.pages == (1, 3, 16, 17, 18)
    assert chosen.reasons[3] == "table of contents"
    assert chosen.reasons[17].startswith("best match, score ")
    assert (chosen.reasons[16], chosen.reasons[1]) == ("beside page 17", "first page")
    assert str(chosen) == "looked at pages 1, 3 and 16 to 18 of 1,000: those that the question's words point to"
    assert chosen.explained().splitlines()[-1] == "left out: 995 of 1,000 pages"


def test_one_page_of_budget_is_the_best_match():
    assert select_pages("the Amalia's silt", thousand_pages(), budget=1999, page_tokens=1000).pages == (17,)


def test_a_page_that_the_question_names_comes_first():
    assert select_pages("What does page 812 say of silt?", thousand_pages(), budget=1000, page_tokens=1000).pages == (812,)
    assert select_pages("Compare pages 5-7", thousand_pages(), budget=3000, page_tokens=1000).pages == (5, 6, 7)
    assert 2000 not in select_pages("page 2000 silt", thousand_pages(), budget=3000, page_tokens=1000).pages


def test_a_document_that_fits_is_looked_at_in_full():
    chosen = select_pages("anything", ["a", "b", "c"], budget=3000, page_tokens=1000)
    assert (chosen.pages, str(chosen)) == ((1, 2, 3), "looked at all 3 pages")
    assert str(select_pages("x", ["a"], budget=9, page_tokens=9)) == "looked at the only page"


def test_a_scan_is_looked_at_evenly_and_small_and_says_so():
    chosen = select_pages("What is the total?", [""] * 100, budget=5000, page_tokens=1000)
    assert (len(chosen.pages), chosen.pages[0], chosen.pages[-1], chosen.tokens) == (20, 1, 100, 250)
    gaps = {b - a for a, b in zip(chosen.pages, chosen.pages[1:], strict=False)}
    assert gaps <= {5, 6}
    assert "evenly spread and small, for the document is scanned and has no text to search" in str(chosen)


def test_pages_without_text_among_others_are_counted():
    pages = [*thousand_pages()[:40], "", ""]
    assert str(select_pages("silt", pages, budget=2000, page_tokens=1000)).endswith("; 2 pages without a text layer could not be searched")


def test_where_no_word_is_found_pages_are_spread_evenly():
    chosen = select_pages("zymurgy?", thousand_pages(), budget=4000, page_tokens=1000)
    assert len(chosen.pages) == 16
    assert "none of the question's words stands in the text" in str(chosen)


def test_ties_go_by_page_number_and_the_choice_is_the_same_each_time():
    pages = ["start of it all", *["the same words on each page"] * 50]
    first = select_pages("same words", pages, budget=4, page_tokens=1)
    assert first.pages == (1, 2, 3, 4)
    assert all(select_pages("same words", pages, budget=4, page_tokens=1) == first for _ in range(3))


def test_too_small_a_budget_is_an_error():
    with pytest.raises(InputError, match=r"the budget is 10 tokens and one page takes 1,000; allow more"):
        select_pages("x", ["a"] * 5, budget=10, page_tokens=1000)


@given(st.text(max_size=40), st.lists(st.text(max_size=60), min_size=1, max_size=12), st.integers(1, 30), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_any_question_gives_pages_within_the_budget(question, texts, budget, cost):
    if budget < cost:
        return
    chosen = select_pages(question, texts, budget=budget, page_tokens=cost)
    assert 1 <= len(chosen.pages) <= len(texts)
    assert list(chosen.pages) == sorted(set(chosen.pages))
    assert set(chosen.pages) <= set(range(1, len(texts) + 1))
    assert len(chosen.pages) * chosen.tokens <= budget
    assert chosen.reasons.keys() == set(chosen.pages)
    assert str(len(texts)) in str(chosen) or len(texts) == 1


def test_a_thousand_pages_of_3000_characters_are_searched_in_a_second_or_two():
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefghijklmnop", k=6)) for _ in range(3000)]
    pages = [" ".join(generator.choices(words, k=430)) for _ in range(1000)]
    pages[700] += " unmistakable"
    assert 701 in select_pages("Where is the unmistakable one?", pages, budget=3000, page_tokens=1000).pages


# Sizes -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def token_count():
    return Processor.from_pretrained(locate_checkpoint(None)).image_processor.token_count


@pytest.mark.parametrize(("width", "height"), [(612, 792), (842, 595), (300, 4000)])
@pytest.mark.parametrize("tokens", [64, 256, 1000])
def test_a_page_is_as_large_as_its_tokens_allow(width, height, tokens, token_count):
    wide, high = fit_page(width, height, tokens, token_count)
    assert token_count(wide, high) <= tokens
    assert token_count(wide + 28, high + 28) > tokens
    assert wide / high == pytest.approx(width / height, rel=0.03)


def test_no_page_is_drawn_finer_than_wanted():
    assert fit_page(612, 792, 10**9, lambda w, h: w * h) == (1700, 2200)
    assert fit_page(72, 36, 10**9, lambda w, h: w * h, max_dpi=100) == (100, 50)


def test_a_page_that_never_fits_is_an_error():
    with pytest.raises(InputError, match="a page does not fit into 3 tokens at any size"):
        fit_page(612, 792, 3, lambda w, h: 4)
    with pytest.raises(MediaError, match="has no size"):
        fit_page(float("inf"), 792, 3, lambda w, h: 4)
