"""PDFs by PDFium: what a file is, what its text layer says and where, and its pages as pictures.

Readers of `media/parts`: plain generators over an open binary file, to be run in a confined child process, because PDFium parses hostile
bytes in C++, is not thread-safe, and 95 KB can make it want 8 GB (RELIABILITY I). What can be bounded from outside is bounded here: the
size of a picture before there is one, the objects of a page before they are drawn, and the seconds of drawing. JavaScript, actions and
embedded files are never run, fetched or opened; this build of PDFium has neither a JavaScript engine nor XFA.

A page that cannot be read gives a Part with `page`, `error` and its `code` and no more, and the next page follows: the caller decides
whether one bad page of fifty ends the request.
"""

from __future__ import annotations

import ctypes
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Any, BinaryIO, Self

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media.parts import Part
from kimi_vl.media.words import PageText, words_of

MAX_PIXELS = 16_000_000  # of one page (RELIABILITY §2.1); A4 at 400 dpi has 15.5 million
MAX_SIDE = 16_384
MAX_DRAWN = 64  # pages drawn when none are named (RELIABILITY I5)
MAX_NAMED = 20_000  # pages that one request may name
MAX_OBJECTS = 500_000  # on a page: a dense map has some 100,000 paths
MAX_CHARACTERS = 100_000  # read of one page; a dense page of a dictionary has 10,000
SECONDS_PER_PAGE = 4.0  # of drawing; one second less than a page may take in all (sandbox/limits.py, RELIABILITY I4)
DEFAULT_DPI = 150.0
SIZES_TOLD = 64  # pages whose sizes `read_document_info` tells
SAMPLED = 8  # pages looked at for a text layer
FINE = 1 << 24  # pixels of an imaginary rendering by which the page's own coordinates become shares
HEADER_WITHIN = 1024  # bytes in which "%PDF-" must stand

# Radicals to Hangul, compatibility forms, half and full width, and the planes of rarer ideographs.
EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U0001f200-\U0001f2ff\U00020000-\U0003ffff]"
)
BROUGHT = (b"Helvetica", b"Times", b"Courier", b"Symbol", b"ZapfDingbats", b"Arial")  # by PDFium, or replaced by what it brings
FORMS_DEEP, MAX_TEXTS = 5, 20_000  # of a page, where fonts are looked for
LARGEST = 14_400  # points on a side that the format allows; PDFium takes a second to order the characters of a page of 10^9
PAGE_ERRORS = (pdfium.PdfiumError, MemoryError, MediaError)

# `FPDFText_GetCharBox` by addresses: a page of layer, number, and where left, right, bottom and top go.
_char_box = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * 4)(
    ctypes.cast(pdfium_c.FPDFText_GetCharBox, ctypes.c_void_p).value or 0
)

READS = {"info": {"password"}, "text": {"password", "pages", "boxes"}, "pages": {"password", "pages", "dpi", "size", "max_pixels"}}


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentRequest:
    """What is wanted of a document; see the readers. As JSON: the same names, lists for tuples, and nothing else."""

    pages: tuple[int, ...] | None = None
    dpi: float | None = None
    size: tuple[int, int] | None = None
    max_pixels: int = MAX_PIXELS
    boxes: bool = True
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.pages is not None and not (0 < len(self.pages) <= MAX_NAMED and all(type(n) is int and n >= 1 for n in self.pages)):
            raise InputError(f"pages is {_short(self.pages)}; it must be 1 to {MAX_NAMED:,} page numbers, counted from 1")
        if self.dpi is not None and not (type(self.dpi) in (int, float) and 1 <= self.dpi <= 1200):
            raise InputError(f"dpi is {_short(self.dpi)}; it must be a number from 1 to 1200")
        if self.size is not None and not (len(self.size) == 2 and all(type(n) is int and 1 <= n <= MAX_SIDE for n in self.size)):
            raise InputError(f"size is {_short(self.size)}; it must be [width, height] in pixels, each from 1 to {MAX_SIDE:,}")
        if not (type(self.max_pixels) is int and 1 <= self.max_pixels <= MAX_PIXELS):
            raise InputError(f"max_pixels is {_short(self.max_pixels)}; it must be an integer from 1 to {MAX_PIXELS:,}")
        if type(self.boxes) is not bool:
            raise InputError(f"boxes is {_short(self.boxes)}; it must be true or false")
        # PDFium takes a C string, so "right\0wrong" would open what "right" opens; the format itself reads 127 bytes of a password.
        if self.password is not None and not (isinstance(self.password, str) and len(self.password) <= 127 and "\0" not in self.password):
            raise InputError("password must be a text of at most 127 characters without NUL")

    @classmethod
    def from_dict(cls, values: object, reader: str) -> Self:
        """Check a JSON object for a reader: "info", "text" or "pages"; null is left out. Raises: InputError with what would be right."""
        if not isinstance(values, dict):
            raise InputError(f"the request is {_short(values)}; it must be an object")
        if unknown := [key for key in values if key not in READS[reader]]:
            raise InputError(f"unknown key {_short(unknown[0])} in the request; there are {', '.join(sorted(READS[reader]))}")
        given: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
        for key in given.keys() & {"pages", "size"}:
            if not isinstance(given[key], (list, tuple)):
                raise InputError(f"{key} is {_short(given[key])}; it must be a list")
            given[key] = tuple(given[key])
        return cls(**given)


def read_document_info(document: BinaryIO, name: str, request: Mapping[str, Any]) -> Iterator[Part]:
    """One Part about the file: `pages`, `sizes` (of the first 64, points, as shown), `encrypted`, `locked`, `has_text`, `title`.

    Request: `password`. A file that does not open without a password is `locked`, with `pages` 0; a wrong one is an error.
    `has_text`: at least half of up to eight pages, evenly spread, have characters in their text layer.
    Raises: MediaError for what is no PDF, has no pages or is damaged; InputError for a bad request.
    """
    wanted = DocumentRequest.from_dict(request, "info")
    if wanted.password is None and _is_locked(document, name):
        yield Part({"pages": 0, "sizes": [], "encrypted": True, "locked": True, "has_text": False, "title": ""})
        return
    with _opened(document, name, wanted.password) as pdf:
        count = len(pdf)
        sampled = sorted({k * (count - 1) // max(1, SAMPLED - 1) for k in range(SAMPLED)})
        yield Part(
            {
                "pages": count,
                "sizes": [_size_told(pdf, index) for index in range(min(count, SIZES_TOLD))],
                "encrypted": pdfium_c.FPDF_GetSecurityHandlerRevision(pdf) != -1,
                "locked": False,
                "has_text": 2 * sum(_has_characters(pdf, index) for index in sampled) >= len(sampled),
                "title": _plain(pdf.get_metadata_value("Title"))[:300],
            }
        )


def read_document_text(document: BinaryIO, name: str, request: Mapping[str, Any]) -> Iterator[Part]:
    """The text layer of each page as `words.PageText.to_facts`, with boxes that lie on the ink of a rendering.

    Request: `pages` (numbers from 1; all where it is left out), `password`, `boxes`: where that is false a page has `text` instead of
    `words`, which is all that a search needs and takes a ninth of the time. At most 100,000 characters of a page are read; `cut` tells.
    A page that cannot be read gives `page`, `error` and `code`. Raises: as `read_document_info`, and MediaError for pages beyond the last.
    """
    wanted = DocumentRequest.from_dict(request, "text")
    with _opened(document, name, wanted.password) as pdf:
        for number in _numbers(pdf, name, wanted.pages, MAX_NAMED):
            try:
                with _page(pdf, number) as page:
                    facts = _page_text(page, number).to_facts() if wanted.boxes else _plain_text(page, number)
                yield Part(facts)
            except PAGE_ERRORS as error:
                yield _failed(number, error)


def read_document_pages(document: BinaryIO, name: str, request: Mapping[str, Any]) -> Iterator[Part]:
    """Each page as a viewer shows it, on white, with annotations and filled forms: pixels, and `page`, `width`, `height` (points), `dpi`;
    `blank`, where there are any, counts characters of East Asian scripts in fonts that the file does not hold: nothing here draws them.

    Request: `pages` (numbers from 1; where it is left out, all of a document of at most 64), `password`, and the size: `dpi` (150 where
    neither it nor `size` is given), `size` ([width, height] of a box in pixels into which each page is fitted), `max_pixels`. The smallest
    of what these say counts, and never more than 16 million pixels or 16,384 on a side.
    A page that cannot be drawn gives `page`, `error` and `code`. Raises: as `read_document_text`.
    """
    wanted = DocumentRequest.from_dict(request, "pages")
    with _opened(document, name, wanted.password) as pdf:
        pdf.init_forms()
        for number in _numbers(pdf, name, wanted.pages, MAX_DRAWN):
            try:
                with _page(pdf, number) as page:
                    width, height = page.get_size()
                    pixels = _drawn(page, picture_size(width, height, wanted))
                    blank = _blank_characters(page)
                dpi = round(72 * pixels.shape[1] / width, 2)
                facts = {"page": number, "width": _points(width), "height": _points(height), "dpi": dpi}
                yield Part(facts | ({"blank": blank} if blank else {}), pixels)
            except PAGE_ERRORS as error:
                yield _failed(number, error)


def picture_size(width: float, height: float, wanted: DocumentRequest) -> tuple[int, int]:
    """Pixels (width, height) of a picture of a page of so many points."""
    scales = [math.sqrt(wanted.max_pixels / (width * height)), MAX_SIDE / width, MAX_SIDE / height]
    if wanted.size is not None:
        scales += [wanted.size[0] / width, wanted.size[1] / height]
    if wanted.dpi is not None or wanted.size is None:
        scales.append((wanted.dpi or DEFAULT_DPI) / 72)
    wide, high = (max(1, round(side * min(scales))) for side in (width, height))
    if wide * high > wanted.max_pixels:  # rounding up both sides adds half a row and half a column
        wide, high = max(1, min(wide, wanted.max_pixels)), max(1, wanted.max_pixels // wide)
    return wide, high


# The file ------------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(document: BinaryIO, name: str, password: str | None) -> Iterator[pdfium.PdfDocument]:
    """The document, closed at the end. Raises: MediaError saying why it does not open."""
    try:
        pdf = _open(document, name, password)
    except pdfium.PdfiumError as error:
        why, code = _refusal(error.err_code, password)
        raise MediaError(f"{name} {why}", code) from None
    with pdf:
        yield pdf


def _open(document: BinaryIO, name: str, password: str | None) -> pdfium.PdfDocument:
    document.seek(0)
    head = document.read(HEADER_WITHIN + 4)
    if not head:
        raise MediaError(f"{name} is empty (0 bytes)", "invalid_pdf")
    if b"%PDF-" not in head:
        raise MediaError(f"{name} is no PDF: none of its first {HEADER_WITHIN:,} bytes begins the mark %PDF-", "invalid_pdf")
    document.seek(0)
    return pdfium.PdfDocument(document, password=password)


def _refusal(code: int | None, password: str | None) -> tuple[str, str]:
    """What to say of the file, and its code."""
    if code == pdfium_c.FPDF_ERR_PASSWORD:
        why = "is encrypted and needs a password" if password is None else "is encrypted and this is not its password"
        return why, "pdf_password_required"
    if code == pdfium_c.FPDF_ERR_SECURITY:
        return "is encrypted in a way that is not supported; save it again without protection", "unsupported_media"
    return "is a damaged or truncated PDF, or has no pages; save or download it again", "invalid_pdf"


def _is_locked(document: BinaryIO, name: str) -> bool:
    try:
        _open(document, name, None).close()
    except pdfium.PdfiumError as error:
        return error.err_code == pdfium_c.FPDF_ERR_PASSWORD
    return False


def _numbers(pdf: pdfium.PdfDocument, name: str, pages: tuple[int, ...] | None, most: int) -> Sequence[int]:
    """The numbers of the pages wanted. Raises: MediaError where the document has no such page, or too many to take them all."""
    count = len(pdf)
    if pages is None:
        if count > most:
            raise MediaError(
                f"{name} has {count:,} pages; at most {most:,} are read at once. Name the pages, such as 1-{most}", "too_many_pages"
            )
        return range(1, count + 1)
    if max(pages) > count:
        raise MediaError(f"page {max(pages):,} was asked for and {name} has {count:,} page{'s' * (count > 1)}", "invalid_value")
    return pages


def _size_told(pdf: pdfium.PdfDocument, index: int) -> list[float]:
    """As `_page` will find it, without reading the page where that can be; zeros for one that cannot be read."""
    try:
        size = pdf.get_page_size(index)
        if min(size) <= 0:
            with _page(pdf, index + 1) as page:
                size = page.get_size()
        return [_points(side) for side in size]
    except PAGE_ERRORS:
        return [0.0, 0.0]


def _has_characters(pdf: pdfium.PdfDocument, index: int) -> bool:
    try:
        with _page(pdf, index + 1) as page:
            text = page.get_textpage()
            try:
                return text.count_chars() > 0
            finally:
                text.close()
    except PAGE_ERRORS:
        return False


def _failed(number: int, error: BaseException) -> Part:
    reason = str(error) if isinstance(error, MediaError) else "it is damaged, or needs more memory than there is"
    code = error.code if isinstance(error, MediaError) else "pdf_too_complex" if isinstance(error, MemoryError) else "invalid_pdf"
    return Part({"page": number, "error": f"page {number} cannot be read: {reason}", "code": code})


# One page ------------------------------------------------------------------------------------------------------------------


@contextmanager
def _page(pdf: pdfium.PdfDocument, number: int) -> Iterator[pdfium.PdfPage]:
    """A page of a size above zero. One whose CropBox lies outside its MediaBox is shown whole, as viewers do."""
    page = pdf[number - 1]
    try:
        if min(page.get_size()) <= 0:
            page.set_cropbox(*page.get_mediabox())
            page.close()
            page = pdf[number - 1]
        if not all(math.isfinite(side) and side > 0 for side in page.get_size()):
            raise MediaError("it has no area", "invalid_pdf")
        yield page
    finally:
        page.close()


def _drawn(page: pdfium.PdfPage, size: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3], RGB on white. Raises: MediaError for a page of too many objects, or one that takes too long."""
    if (objects := pdfium_c.FPDFPage_CountObjects(page)) > MAX_OBJECTS:
        raise MediaError(f"it has {objects:,} objects; at most {MAX_OBJECTS:,} are drawn", "pdf_too_complex")
    width, height = size
    pixels_HWC = np.full((height, width, 3), 255, np.uint8)
    bitmap = pdfium_c.FPDFBitmap_CreateEx(width, height, pdfium_c.FPDFBitmap_BGR, pixels_HWC.ctypes.data, 3 * width)
    if not bitmap:
        raise MediaError(f"there is no memory for {width:,}×{height:,} pixels", "pdf_too_complex")
    try:
        where = (bitmap, page, 0, 0, width, height, 0, pdfium_c.FPDF_ANNOT | pdfium_c.FPDF_REVERSE_BYTE_ORDER)
        _draw(page, where)
        if page.formenv:
            pdfium_c.FPDF_FFLDraw(page.formenv, *where)
    finally:
        pdfium_c.FPDFBitmap_Destroy(bitmap)
    return pixels_HWC


def _blank_characters(page: pdfium.PdfPage) -> int:
    """Characters of the text layer that no font here can draw. The fonts that PDFium brings are Latin, and no others can be opened.

    Reading the layer takes a third as long as drawing the page, so it is read only where a font is missing that PDFium does not bring.
    """
    if max(page.get_size()) > LARGEST or not _lacks_fonts(page):
        return 0
    text = page.get_textpage()
    try:
        count = min(text.count_chars(), MAX_CHARACTERS)
        if not EAST_ASIAN.search(text.get_text_range(0, count, errors="ignore")):
            return 0
        return sum(_is_blank(text, k) for k in range(count))
    finally:
        text.close()


def _lacks_fonts(page: pdfium.PdfPage) -> bool:
    known: set[int | None] = set()
    for found in islice(_texts(page.raw, pdfium_c.FPDFPage_CountObjects, pdfium_c.FPDFPage_GetObject), MAX_TEXTS):
        font = pdfium_c.FPDFTextObj_GetFont(found)
        address = ctypes.cast(font, ctypes.c_void_p).value
        if address in known:
            continue
        known.add(address)
        name = ctypes.create_string_buffer(100)
        pdfium_c.FPDFFont_GetBaseFontName(font, name, len(name))
        if pdfium_c.FPDFFont_GetIsEmbedded(font) == 0 and not name.value.startswith(BROUGHT):
            return True
    return False


def _texts(owner: Any, count: Any, get: Any, deep: int = FORMS_DEEP) -> Iterator[Any]:
    """The pieces of text of a page or form, those of its own forms included."""
    for number in range(count(owner)):
        found = get(owner, number)
        kind = pdfium_c.FPDFPageObj_GetType(found)
        if kind == pdfium_c.FPDF_PAGEOBJ_TEXT:
            yield found
        elif kind == pdfium_c.FPDF_PAGEOBJ_FORM and deep:
            yield from _texts(found, pdfium_c.FPDFFormObj_CountObjects, pdfium_c.FPDFFormObj_GetObject, deep - 1)


def _is_blank(text: pdfium.PdfTextPage, number: int) -> bool:
    if not EAST_ASIAN.match(chr(pdfium_c.FPDFText_GetUnicode(text, number))):
        return False
    of = pdfium_c.FPDFText_GetTextObject(text, number)
    font = pdfium_c.FPDFTextObj_GetFont(of) if of else None
    return bool(font) and pdfium_c.FPDFFont_GetIsEmbedded(font) == 0


def _draw(page: pdfium.PdfPage, where: tuple[Any, ...]) -> None:
    """In steps: PDFium asks between objects whether to go on, so one slow page costs its seconds and not the others'."""
    deadline = time.monotonic() + SECONDS_PER_PAGE
    pause = pdfium_c.IFSDK_PAUSE(version=1)
    late = type(pause.NeedToPauseNow)(lambda _: time.monotonic() > deadline)
    pause.NeedToPauseNow = late
    status = pdfium_c.FPDF_RenderPageBitmap_Start(*where, ctypes.byref(pause))
    pdfium_c.FPDF_RenderPage_Close(page)
    if status == pdfium_c.FPDF_RENDER_TOBECONTINUED:
        raise MediaError(f"drawing it takes more than {SECONDS_PER_PAGE:g} seconds", "pdf_too_complex")
    if status != pdfium_c.FPDF_RENDER_DONE:
        raise MediaError("it is damaged", "invalid_pdf")


def _page_text(page: pdfium.PdfPage, number: int) -> PageText:
    text = page.get_textpage()
    try:
        count = text.count_chars()
        read = min(count, MAX_CHARACTERS)
        codes = list(map(pdfium_c.FPDFText_GetUnicode, repeat(text.raw), range(read)))
        areas = _shares(page, _character_boxes(text, read))
    finally:
        text.close()
    width, height = page.get_size()
    return PageText(number, _points(width), _points(height), tuple(words_of(codes, areas)), count > read)


def _plain_text(page: pdfium.PdfPage, number: int) -> dict[str, Any]:
    """Facts without places: `text` in lines, with words put together that a line's end divides."""
    layer = page.get_textpage()
    try:
        count = layer.count_chars()
        text = layer.get_text_range(0, min(count, MAX_CHARACTERS), errors="ignore")
    finally:
        layer.close()
    width, height = page.get_size()
    lines = (
        "".join(" " if c.isspace() else c for c in line if c.isspace() or (c.isprintable() and c != "\ufffe")) for line in text.splitlines()
    )
    text = "\n".join(line.rstrip() for line in lines)
    return {"page": number, "width": _points(width), "height": _points(height), "text": text, "cut": count > MAX_CHARACTERS}


def _character_boxes(text: pdfium.PdfTextPage, count: int) -> np.ndarray:
    """float64 [n, 4]: left, bottom, right, top of each character's ink, in the page's own units; of its font's where there is no ink."""
    boxes = np.zeros((count, 4))
    start, layer = boxes.ctypes.data, ctypes.cast(text.raw, ctypes.c_void_p).value
    for k in range(count):  # PDFium writes into the array: to make Python's numbers of its numbers takes four times as long
        at = start + 32 * k
        _char_box(layer, k, at, at + 16, at + 8, at + 24)
    without_ink = ~((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    boxes[without_ink] = 0.0
    loose = pdfium_c.FS_RECTF()
    for k in np.flatnonzero(without_ink).tolist():
        if pdfium_c.FPDFText_GetLooseCharBox(text.raw, k, loose):
            boxes[k] = loose.left, loose.bottom, loose.right, loose.top
    return np.nan_to_num(boxes, posinf=0.0, neginf=0.0)


def _shares(page: pdfium.PdfPage, boxes: np.ndarray) -> np.ndarray:
    """Boxes in the page's own units as shares of the page as shown: turned, cropped, from the upper left corner.

    PDFium itself says where three points lie on a rendering of 2^24 pixels, so that this cannot differ from how it draws.
    """
    left, bottom, right, top = page.get_bbox()
    x, y = ctypes.c_int(), ctypes.c_int()
    shown = []
    for corner in ((left, bottom), (right, bottom), (left, top)):
        pdfium_c.FPDF_PageToDevice(page, 0, 0, FINE, FINE, 0, *corner, x, y)
        shown.append((x.value / FINE, y.value / FINE))
    origin, along, up = np.array(shown)
    across = np.stack([(along - origin) / (right - left), (up - origin) / (top - bottom)])
    corners = np.stack([boxes[:, [0, 1]], boxes[:, [2, 3]]]) - (left, bottom)  # [2, n, 2]
    placed = corners @ across + origin
    return np.concatenate([placed.min(0), placed.max(0)], axis=1)


def _short(value: object) -> str:
    return ascii(value)[:60]


def _points(side: float) -> float:
    return round(side, 2)


def _plain(text: str) -> str:
    """Without control characters and halves of pairs, which JSON and terminals choke on."""
    return "".join(c for c in text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if c.isprintable()).strip()
