"""PDFs made by hand, read back: sizes, words and pixels against what was written; bad inputs of RELIABILITY group I by their ids."""

import contextlib
import json
import time
from io import BytesIO

import numpy as np
import pypdfium2 as pdfium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media import documents
from kimi_vl.media.documents import (
    DocumentRequest,
    picture_size,
    read_document_info,
    read_document_pages,
    read_document_text,
)
from kimi_vl.media.words import PageText, words_of
from tests.media.pdfs import FONTS, assembled, block, locked, page, pdf, stream, text

TURNS = (0, 90, 180, 270)


def info(data, **request):
    (part,) = read_document_info(BytesIO(data), "a.pdf", request)
    assert part.pixels_HWC is None
    return part.facts


def texts(data, **request):
    parts = list(read_document_text(BytesIO(data), "a.pdf", request))
    json.dumps([part.facts for part in parts], allow_nan=False).encode("utf-8")
    return [PageText.from_facts(part.facts) for part in parts]


def pictures(data, **request):
    parts = list(read_document_pages(BytesIO(data), "a.pdf", request))
    assert all(part.pixels_HWC.dtype == np.uint8 and part.pixels_HWC.flags.c_contiguous for part in parts)
    return parts


def colour_box(pixels, colour, near=60):
    """The box (left, top, right, bottom in pixels) of all that is nearly of a colour."""
    rows, columns = np.nonzero(np.abs(pixels.astype(int) - colour).max(-1) <= near)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


# What a file is ------------------------------------------------------------------------------------------------------------


def test_info_tells_pages_sizes_text_and_title():
    pages = (page(text("one")), page(text("two"), size=(200, 500), entries="/Rotate 90"))
    data = pdf(*pages, extra={3: b"<< /Title (A\\007B C) >>"}, trailer="/Info 3 0 R")
    assert info(data) == {
        "pages": 2,
        "sizes": [[400.0, 300.0], [500.0, 200.0]],
        "encrypted": False,
        "locked": False,
        "has_text": True,
        "title": "AB C",
    }


@pytest.mark.parametrize(("scanned", "has_text"), [(0, True), (4, True), (5, False), (8, False)])
def test_a_document_has_text_if_half_of_the_pages_looked_at_have(scanned, has_text):
    pages = [page(block(0, 0, 9, 9)) if k < scanned else page(text("x")) for k in range(8)]
    assert info(pdf(*pages))["has_text"] is has_text


# Words and where they stand -------------------------------------------------------------------------------------------------


def test_words_stand_in_lines_as_they_were_written():
    (found,) = texts(pdf(page(text("Total due: $1,204.50", y=200), text("by 3 May", y=170))))
    assert [(word.text, word.line) for word in found.words] == [
        *(("Total", 0), ("due:", 0), ("$1,204.50", 0)),
        *(("by", 1), ("3", 1), ("May", 1)),
    ]
    assert found.text == "Total due: $1,204.50\nby 3 May"
    assert (found.number, found.width, found.height, found.is_cut) == (1, 400.0, 300.0, False)


def test_a_hyphen_at_the_end_of_a_line_stays_with_the_first_half_and_each_half_has_its_own_line():
    (found,) = texts(pdf(page(text("exam-", y=200), text("ple", y=170))))
    assert [(word.text, word.line) for word in found.words] == [("exam-", 0), ("ple", 1)]
    assert found.words[0].area[3] < found.words[1].area[1]


# A black block is written where a letter will be: PDFium's box of the letter I, a bar in Helvetica, is compared with the pixels of the bar.
@pytest.mark.parametrize("crop", ["", "/CropBox [40 100 360 280]"])
@pytest.mark.parametrize("turn", TURNS)
def test_boxes_lie_on_the_ink_of_the_rendering_however_the_page_is_turned_and_cropped(turn, crop):
    data = pdf(page("1 0 0 rg", text("I", x=120, y=150, points=90), entries=f"/Rotate {turn} {crop}"))
    ((word,),) = (found.words for found in texts(data))
    (part,) = pictures(data, dpi=144)
    high, wide = part.pixels_HWC.shape[:2]
    sides = (640, 360) if crop else (800, 600)
    assert (wide, high) == (sides if turn in (0, 180) else sides[::-1])
    ink = np.array(colour_box(part.pixels_HWC, (255, 0, 0)))
    assert np.abs(np.array(word.area) * (wide, high, wide, high) - ink).max() <= 1.0
    # And by hand: the bar's lower end is on the base line, 150 points above the page's lower edge.
    left, bottom = (40, 100) if crop else (0, 0)
    width, height = (320, 180) if crop else (400, 300)
    foot = {
        0: (3, 1 - (150 - bottom) / height),
        90: (0, (150 - bottom) / height),
        180: (1, (150 - bottom) / height),
        270: (2, 1 - (150 - bottom) / height),
    }
    side, share = foot[turn]
    assert word.area[side] == pytest.approx(share, abs=0.002)
    middle = (120 + 0.139 * 90 - left) / width  # Helvetica's I is 278 wide, so its middle is at 139 thousandths
    along = {0: middle, 90: middle, 180: 1 - middle, 270: 1 - middle}[turn]
    assert sum(word.area[k] for k in ((0, 2) if turn in (0, 180) else (1, 3))) / 2 == pytest.approx(along, abs=0.01)


def test_text_that_is_turned_has_an_upright_box_around_it():
    (found,) = texts(pdf(page(text("Wide", points=40, matrix="0 1 -1 0 200 100"))))
    left, top, right, bottom = found.words[0].area
    assert (bottom - top) * 300 > 2 * (right - left) * 400
    assert (left * 400, right * 400, bottom * 300) == pytest.approx((171, 200, 200), abs=3)


def test_words_outside_the_page_are_left_out_and_those_across_its_edge_are_cut():
    (found,) = texts(pdf(page(text("inside"), text("beyond", x=500), text("edge", x=380, y=100))))
    assert [word.text for word in found.words] == ["inside", "edge"]
    assert found.words[1].area[2] == 1.0


def test_a_page_is_read_up_to_its_limit_and_says_so(monkeypatch):
    monkeypatch.setattr(documents, "MAX_CHARACTERS", 5)
    (found,) = texts(pdf(page(text("abc def"))))
    assert ([word.text for word in found.words], found.is_cut) == (["abc", "d"], True)


def test_text_without_boxes_is_the_same_text_with_divided_words_put_together():
    data = pdf(page(text("Total due: $1,204.50", y=200), text("exam-", y=170), text("ple of (it)", y=140)), page())
    parts = list(read_document_text(BytesIO(data), "a.pdf", {"boxes": False}))
    assert parts[0].facts == {"page": 1, "width": 400.0, "height": 300.0, "text": "Total due: $1,204.50\nexample of (it)", "cut": False}
    assert parts[1].facts["text"] == ""


def test_pages_are_read_in_the_order_asked_for():
    data = pdf(*(page(text(f"p{k}")) for k in range(1, 5)))
    assert [(found.number, found.text) for found in texts(data, pages=[4, 2])] == [(4, "p4"), (2, "p2")]


def test_halves_of_characters_and_control_characters_do_not_survive():
    areas = np.tile([0.1, 0.1, 0.2, 0.2], (6, 1))
    words = words_of([0xD83D, 0xDE00, 0x41, 0xD83D, 0x07, 0x42], areas)
    assert [word.text for word in words] == ["\U0001f600A\ufffd", "B"]


@given(st.lists(st.tuples(st.integers(0, 0x10FFFF), st.lists(st.floats(-2, 3), min_size=4, max_size=4)), max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_characters_give_words_that_json_holds_inside_the_page(characters):
    codes = [code for code, _ in characters]
    words = words_of(codes, np.array([box for _, box in characters]).reshape(-1, 4))
    page_text = PageText(1, 10.0, 10.0, tuple(words))
    assert PageText.from_facts(json.loads(json.dumps(page_text.to_facts(), allow_nan=False))) == page_text
    page_text.text.encode("utf-8")
    for word in words:
        left, top, right, bottom = word.area
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        assert word.text
    assert [word.line for word in words] == sorted(word.line for word in words)


def words_one_by_one(codes, areas):
    """`words_of` in plain steps."""
    found, line, places = [], 0, np.clip(areas, 0, 1).round(5).tolist()
    text, boxes = [], []
    for code, box in [*zip(codes, places, strict=True), (0x20, [0.0] * 4)]:
        is_hyphen = code in (0x02, 0xAD, 0xFFFE)
        if not (is_hyphen or code <= 0x20 or 0x7F <= code <= 0xA0 or code in (0x2028, 0x2029)):
            text.append(code)
            boxes.append(box)
            continue
        inked = [place for place in [*boxes, box][: len(boxes) + is_hyphen] if place[2] > place[0] and place[3] > place[1]]
        if text and inked:
            whole = "".join(map(chr, text)).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            lefts, tops, rights, bottoms = zip(*inked, strict=True)
            found.append((whole + "-" * is_hyphen, (min(lefts), min(tops), max(rights), max(bottoms)), line))
        line += is_hyphen or code in (0x0A, 0x2028, 0x2029)
        text, boxes = [], []
    lines = sorted({line for *_, line in found})
    return [(whole, area, lines.index(line)) for whole, area, line in found]


CODES = st.sampled_from([0x41, 0x62, 0x20, 0x0A, 0x0D, 0x02, 0xAD, 0xFFFE, 0xD83D, 0xDE00, 0xA0, 0x2028, 0x4E00, 0x1F600])
AREAS = st.tuples(*[st.sampled_from([-0.5, 0.0, 0.123456789, 0.5, 1.0, 1.7])] * 4)


@settings(max_examples=150)
@given(st.lists(st.tuples(CODES, AREAS), max_size=24))
def test_words_are_those_of_reading_character_by_character(characters):
    codes = [code for code, _ in characters]
    areas = np.array([area for _, area in characters], float).reshape(-1, 4)
    assert [tuple(word) for word in words_of(codes, areas)] == words_one_by_one(codes, areas)


def test_boxes_of_characters_are_those_of_the_library_s_own_helper():
    """Of its font where there is no ink."""
    with pdfium.PdfDocument(pdf(page(text("A word, then two. "), text("Another line", y=100)))) as document:
        layer = document[0].get_textpage()
        count = layer.count_chars()
        boxes = documents._character_boxes(layer, count)
        inked = [layer.get_charbox(k) for k in range(count)]
        loose = [layer.get_charbox(k, loose=True) for k in range(count)]
    expected = [box if box[2] > box[0] and box[3] > box[1] else other for box, other in zip(inked, loose, strict=True)]
    assert count > 25
    assert 0 < sum(box != other for box, other in zip(expected, loose, strict=True)) < count
    assert boxes.tolist() == [list(box) for box in expected]


def test_facts_of_a_page_that_failed_are_no_page():
    with pytest.raises(InputError, match=r"these are no facts of a page with its words: \{'page': 3, 'error'"):
        PageText.from_facts({"page": 3, "error": "page 3 cannot be read"})


# Pictures --------------------------------------------------------------------------------------------------------------------


def test_pixels_are_rgb_on_white_where_they_belong():
    (part,) = pictures(pdf(page(block(300, 10, 50, 40, "1 0 0"), block(0, 280, 20, 20, "0 0 1"))), dpi=72)
    assert part.facts == {"page": 1, "width": 400.0, "height": 300.0, "dpi": 72.0}
    assert part.pixels_HWC.shape == (300, 400, 3)
    assert colour_box(part.pixels_HWC, (255, 0, 0), near=0) == (300, 250, 350, 290)
    assert colour_box(part.pixels_HWC, (0, 0, 255), near=0) == (0, 0, 20, 20)
    assert (part.pixels_HWC[100, 100] == 255).all()


@pytest.mark.parametrize(("turn", "corner"), [(0, (0, 0)), (90, (1, 0)), (180, (1, 1)), (270, (0, 1))])
def test_i9_rotation_turns_clockwise(turn, corner):
    (part,) = pictures(pdf(page(block(0, 200, 100, 100), entries=f"/Rotate {turn}")), dpi=72)
    high, wide = part.pixels_HWC.shape[:2]
    x, y = corner[0] * (wide - 1), corner[1] * (high - 1)
    assert part.pixels_HWC[y, x].max() == 0
    assert (part.pixels_HWC == 0).all(-1).sum() == 100 * 100


def test_annotations_and_the_text_of_filled_forms_are_drawn():
    look = b"<< /Type /XObject /Subtype /Form /BBox [0 0 50 20] /Length 26 >>\nstream\n0 1 0 rg 0 0 50 20 re f   \nendstream"
    stamp = b"<< /Type /Annot /Subtype /Stamp /Rect [10 10 60 30] /AP << /N 4 0 R >> /F 4 >>"
    content = b"/Tx BMC q BT /Helv 12 Tf 0 g 2 5 Td (HELLO) Tj ET Q EMC"
    own = stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 90 20] /Resources << /Font << /Helv 7 0 R >> >>")
    field = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (HELLO) /Rect [200 10 290 30] /AP << /N 6 0 R >> /F 4 /DA (/Helv 12 Tf 0 g) >>"
    )
    extra = {3: stamp, 4: look, 5: field, 6: own, 7: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"}
    form = "/AcroForm << /Fields [5 0 R] /DR << /Font << /Helv 7 0 R >> >> >>"
    (part,) = pictures(pdf(page(entries="/Annots [3 0 R 5 0 R]"), catalogue=form, extra=extra), dpi=72)
    assert colour_box(part.pixels_HWC, (0, 255, 0), near=0) == (10, 270, 60, 290)
    assert (part.pixels_HWC[270:290, 200:290].max(-1) < 120).sum() > 50


@pytest.mark.parametrize(
    ("request_", "size"),
    [
        ({}, (833, 625)),
        ({"dpi": 72}, (400, 300)),
        ({"dpi": 36.0}, (200, 150)),
        ({"size": [800, 800]}, (800, 600)),
        ({"size": [200, 30]}, (40, 30)),
        ({"size": [4000, 4000], "dpi": 72}, (400, 300)),
        ({"max_pixels": 30_000, "dpi": 600}, (200, 150)),
        ({"max_pixels": 1}, (1, 1)),
        ({"dpi": 1200}, (4619, 3463)),  # 4619 × 3464 would be 216 more than 16 million
    ],
)
def test_the_smallest_size_that_is_asked_for_counts(request_, size):
    (part,) = pictures(pdf(page()), **request_)
    assert part.pixels_HWC.shape[1::-1] == size


@given(st.floats(1e-3, 1e9), st.floats(1e-3, 1e9), st.integers(1, documents.MAX_PIXELS), st.floats(1, 1200))
@settings(max_examples=300, deadline=None)
def test_no_page_gets_more_pixels_than_allowed_nor_none(width, height, most, dpi):
    wide, high = picture_size(width, height, DocumentRequest(max_pixels=most, dpi=dpi))
    assert 1 <= wide <= documents.MAX_SIDE
    assert 1 <= high <= documents.MAX_SIDE
    assert wide * high <= most


# Bad requests --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ([], r"the request is \[\]; it must be an object"),
        ({"page": 3}, r"unknown key 'page' in the request; there are dpi, max_pixels, pages, password, size"),
        ({"pages": []}, r"pages is \(\); it must be 1 to 20,000 page numbers, counted from 1"),
        ({"pages": [0]}, r"pages is \(0,\)"),
        ({"pages": [True]}, r"pages is \(True,\)"),
        ({"pages": [1.0]}, r"pages is \(1.0,\)"),
        ({"pages": "1-3"}, r"pages is '1-3'; it must be a list"),
        ({"pages": [9]}, r"page 9 was asked for and a.pdf has 1 page$"),
        ({"dpi": float("nan")}, r"dpi is nan; it must be a number from 1 to 1200"),
        ({"dpi": True}, r"dpi is True"),
        ({"size": [5]}, r"size is \(5,\); it must be \[width, height\] in pixels, each from 1 to 16,384"),
        ({"size": [5, 99999]}, r"size is \(5, 99999\)"),
        ({"max_pixels": 10**9}, r"max_pixels is 1000000000; it must be an integer from 1 to 16,000,000"),
        ({"password": 5}, r"password must be a text of at most 127 characters without NUL"),
        ({"password": "right\0wrong"}, r"password must be a text"),
    ],
)
def test_a_bad_request_is_refused_with_what_would_be_right(request_, message):
    with pytest.raises(InputError, match=message):
        list(read_document_pages(BytesIO(pdf(page())), "a.pdf", request_))


def test_null_means_left_out_and_a_request_does_not_print_its_password():
    assert DocumentRequest.from_dict({"pages": None, "password": "secret"}, "text") == DocumentRequest(password="secret")
    assert "secret" not in repr(DocumentRequest(password="secret"))
    with pytest.raises(InputError, match="unknown key 'dpi' in the request; there are boxes, pages, password"):
        DocumentRequest.from_dict({"dpi": 3}, "text")
    with pytest.raises(InputError, match="boxes is 1; it must be true or false"):
        DocumentRequest.from_dict({"boxes": 1}, "text")


# RELIABILITY, group I ----------------------------------------------------------------------------------------------------------


READERS = (read_document_info, read_document_text, read_document_pages)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"a.pdf is empty \(0 bytes\)"),
        (b"no such thing", r"a.pdf is no PDF: none of its first 1,024 bytes begins the mark %PDF-"),
        (b"%PDF-1.7\nrubbish", r"a.pdf is a damaged or truncated PDF"),
        (pdf(page(text("x")))[:150], r"a.pdf is a damaged or truncated PDF"),
        (pdf(), r"a.pdf is a damaged or truncated PDF, or has no pages"),
    ],
)
def test_i1_garbage_truncated_and_empty_files(reader, data, message):
    with pytest.raises(MediaError, match=message):
        list(reader(BytesIO(data), "a.pdf", {}))


def test_i2_passwords():
    data = locked("secret words", "user", "owner")
    assert info(data) == {"pages": 0, "sizes": [], "encrypted": True, "locked": True, "has_text": False, "title": ""}
    for reader in READERS[1:]:
        with pytest.raises(MediaError, match=r"a.pdf is encrypted and needs a password"):
            list(reader(BytesIO(data), "a.pdf", {}))
    for reader in READERS:
        with pytest.raises(MediaError, match=r"a.pdf is encrypted and this is not its password"):
            list(reader(BytesIO(data), "a.pdf", {"password": "wrong"}))
    for password in ("user", "owner"):
        assert texts(data, password=password)[0].text == "secret words"
        assert {key: info(data, password=password)[key] for key in ("pages", "encrypted", "locked")} == {
            "pages": 1,
            "encrypted": True,
            "locked": False,
        }


def test_i2_a_file_with_an_owner_password_only_opens():
    data = locked("open to all", "", "owner")
    assert texts(data)[0].text == "open to all"
    assert (info(data)["encrypted"], info(data)["locked"]) == (True, False)


@pytest.mark.parametrize("side", ["14400", "1000000", "1000000000", "1e30", "NaN", "0", "-300", "0.001", "99999999999999999999"])
@pytest.mark.parametrize("unit", ["", "/UserUnit 75000"])
def test_i3_pages_of_any_claimed_size(side, unit):
    data = pdf(page(text("x"), size=(side, side), entries=unit))
    began = time.monotonic()
    for part in read_document_pages(BytesIO(data), "a.pdf", {"max_pixels": 1_000_000}):
        assert part.pixels_HWC is None or 1 <= part.pixels_HWC.size <= 3_000_000
        assert (part.pixels_HWC is None) == ("error" in part.facts)
    assert len(list(read_document_text(BytesIO(data), "a.pdf", {}))) == 1
    json.dumps(info(data), allow_nan=False)
    assert time.monotonic() - began < 5


def test_i4_a_page_of_too_many_objects_is_not_drawn(monkeypatch):
    monkeypatch.setattr(documents, "MAX_OBJECTS", 3)
    data = pdf(page(*(block(k, 0, 1, 1) for k in range(4))), page(block(0, 0, 1, 1)))
    first, second = read_document_pages(BytesIO(data), "a.pdf", {})
    assert first.facts == {"page": 1, "error": "page 1 cannot be read: it has 4 objects; at most 3 are drawn", "code": "pdf_too_complex"}
    assert second.pixels_HWC is not None


def test_i4_a_page_that_takes_too_long_ends_and_the_next_is_drawn(monkeypatch):
    monkeypatch.setattr(documents, "SECONDS_PER_PAGE", 0.0)
    slow = page(*(block(k % 400, k // 400, 30, 30, "1 0 0") for k in range(20_000)))
    parts = read_document_pages(BytesIO(pdf(slow, page())), "a.pdf", {})
    assert next(parts).facts == {
        "page": 1,
        "error": "page 1 cannot be read: drawing it takes more than 0 seconds",
        "code": "pdf_too_complex",
    }
    monkeypatch.setattr(documents, "SECONDS_PER_PAGE", 5.0)
    assert next(parts).pixels_HWC is not None


def ten_thousand_pages():
    kids = " ".join(["10 0 R"] * 10_000)
    one = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 40 30] /Resources << {FONTS} >> >>".encode()
    return assembled({1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: f"<< /Type /Pages /Kids [{kids}] /Count 10000 >>".encode(), 10: one})


def test_i5_ten_thousand_pages_are_drawn_only_by_name():
    data = ten_thousand_pages()
    assert (info(data)["pages"], len(info(data)["sizes"])) == (10_000, 64)
    with pytest.raises(MediaError, match=r"a.pdf has 10,000 pages; at most 64 are read at once. Name the pages, such as 1-64"):
        pictures(data)
    assert [part.facts["page"] for part in pictures(data, pages=[1, 9_999])] == [1, 9_999]


def cyclic():
    return assembled(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 5 >>",
            3: b"<< /Type /Pages /Kids [2 0 R] /Parent 2 0 R /Count 2 >>",
        }
    )


def self_referencing_table():
    data = pdf(page(text("x")))
    start = data.rindex(b"startxref")
    return data.replace(b"/Size", b"/Prev " + data[start + 10 : data.index(b"\n", start + 10)] + b" /Size")


def long_chain():
    """Two thousand tables of offsets, each naming the one before."""
    data = bytearray(pdf(page(text("x"))))
    for _ in range(2_000):
        before = data.rindex(b"startxref")
        previous = bytes(data[before + 10 : data.index(b"\n", before + 10)])
        start = len(data)
        data += (
            b"xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 12 /Root 1 0 R /Prev " + previous + b" >>\nstartxref\n%d\n%%%%EOF\n" % start
        )
    return bytes(data)


@pytest.mark.parametrize("make", [cyclic, self_referencing_table, long_chain])
@pytest.mark.parametrize("reader", READERS)
def test_i6_cyclic_trees_and_tables_end_within_a_second(reader, make):
    data = make()
    began = time.monotonic()
    try:
        parts = list(reader(BytesIO(data), "a.pdf", {}))
    except MediaError:
        parts = []
    assert len(parts) <= 5
    assert time.monotonic() - began < 1


def test_i7_scripts_actions_and_attachments_are_left_alone(tmp_path):
    mark = tmp_path / "ran"
    action = (
        f"/OpenAction << /S /JavaScript /JS (app.launchURL\\('file://{mark}'\\)) >> /AA << /WC << /S /Launch /F (/bin/touch {mark}) >> >>"
    )
    names = "/Names << /EmbeddedFiles << /Names [(a) 5 0 R] >> >>"
    extra = {5: b"<< /Type /Filespec /F (a) /EF << /F 6 0 R >> >>", 6: stream(b"payload", b"/Type /EmbeddedFile")}
    data = pdf(page(text("x"), entries="/AA << /O << /S /URI /URI (http://127.0.0.1:9/) >> >>"), catalogue=action + names, extra=extra)
    assert texts(data)[0].text == "x"
    assert len(pictures(data)) == 1
    assert not mark.exists()


def test_i9_a_cropbox_outside_the_mediabox_shows_the_whole_page():
    data = pdf(page(text("x"), block(0, 0, 100, 100), entries="/CropBox [1000 1000 1200 1200]"))
    assert info(data)["sizes"] == [[400.0, 300.0]]
    assert [word.text for word in texts(data)[0].words] == ["x"]
    (part,) = pictures(data, dpi=72)
    assert colour_box(part.pixels_HWC, (0, 0, 0), near=0) == (0, 200, 100, 300)


def test_i10_one_bad_page_among_good_ones_is_named_and_the_others_are_read():
    data = pdf(page(text("one")), page(text("two")), page(text("three"))).replace(b"12 0 obj\n<< /Type /Page", b"12 0 obj\n<< /Type /Pore")
    for reader in (read_document_text, read_document_pages):
        parts = list(reader(BytesIO(data), "a.pdf", {}))
        assert [part.facts["page"] for part in parts] == [1, 2, 3]
        assert [k for k, part in enumerate(parts, 1) if "error" in part.facts] in ([], [2])
    broken = data.replace(b"[10 0 R 12 0 R 14 0 R]", b"[10 0 R 99 0 R 14 0 R]")
    failed = [part.facts.get("error") for part in read_document_pages(BytesIO(broken), "a.pdf", {})]
    assert failed == [None, "page 2 cannot be read: it is damaged, or needs more memory than there is", None]
    assert info(broken)["sizes"][1] == [0.0, 0.0]


@pytest.mark.parametrize(("offset", "opens"), [(0, True), (900, True), (1019, True), (1024, False), (5000, False)])
def test_i12_the_header_must_begin_within_the_first_1024_bytes(offset, opens):
    front = (b"<html><!--" + b" " * 5000)[:offset]
    data = pdf(page(text("x")), header=front + b"%PDF-1.7\n")
    if opens:
        assert texts(data)[0].text == "x"
    else:
        with pytest.raises(MediaError, match="is no PDF"):
            texts(data)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_parts_or_one_clear_error(draw):
    data = bytearray(pdf(page(text("Total 12.50"), block(5, 5, 50, 50)), page(text("two"), entries="/Rotate 90")))
    for _ in range(draw.draw(st.integers(1, 12))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    for reader in READERS:
        with contextlib.suppress(MediaError):
            parts = list(reader(BytesIO(bytes(data)), "a.pdf", {"max_pixels": 10_000} if reader is read_document_pages else {}))
            json.dumps([part.facts for part in parts], allow_nan=False).encode()
