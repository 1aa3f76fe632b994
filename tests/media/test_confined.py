"""The real readers of videos and documents inside the full confinement: real files come out whole, and bombs end within their limits."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import numpy as np
import pytest

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media import load_image, sandbox
from kimi_vl.media.documents import read_document_info, read_document_pages, read_document_text
from kimi_vl.media.office import read_office_info
from kimi_vl.media.sandbox import READERS, pool
from kimi_vl.media.sources import open_source
from kimi_vl.media.video import read_video_changes, read_video_frames, read_video_info, read_video_subtitles
from tests.media import bombs
from tests.media.clips import clip, number_of
from tests.media.offices import office
from tests.media.pdfs import block, locked, page, pdf, text
from tests.media.pictures import blocks, encoded

MiB = 1 << 20
INSIDE = {
    "video_info": read_video_info,
    "video_frames": read_video_frames,
    "video_changes": read_video_changes,
    "video_subtitles": read_video_subtitles,
    "office_info": read_office_info,
    "document_info": read_document_info,
    "document_text": read_document_text,
    "document_pages": read_document_pages,
}
PNG = encoded(blocks(), "PNG")
PDF = pdf(page(text("Total due: 12.50", points=40), block(10, 10, 50, 50, "1 0 0"), entries="/Rotate 90"))
TENTHS = [Fraction(k, 10) for k in range(8)]


def read(reader, data, request=None, limits=None):
    with open_source(data) as source:
        yield from sandbox.read(reader, source.file, "the file", request, limits)


def told(parts):
    """Parts as values that can be compared."""
    return [(part.facts, None if part.size is None else part.as_pixels().tolist()) for part in parts]


def refused(reader, data, request=None, limits=None):
    with pytest.raises(MediaError) as caught:
        list(read(reader, data, request, limits))
    return caught.value.code


def retire():
    """End the workers at rest."""
    while sandbox._pool._idle:
        sandbox._pool._idle.pop().end()


@pytest.fixture
def deaths(monkeypatch):
    """How the workers that start from here on have ended."""
    retire()
    seen = []
    end = pool.Worker.end

    def noting(worker):
        seen.append(end(worker))
        return seen[-1]

    monkeypatch.setattr(pool.Worker, "end", noting)
    return seen


# Every reader, on real files --------------------------------------------------------------------------------------------------


def test_the_list_of_readers_is_complete():
    assert READERS.keys() == {"picture", *INSIDE}


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "libx264"),
        ("mov", "mjpeg"),
        ("mp4", "libx265"),
        ("mkv", "libx264"),
        ("webm", "libvpx-vp9"),
        ("webm", "libvpx"),
        ("mp4", "libsvtav1"),
        ("avi", "mpeg4"),
        ("ts", "libx264"),
    ],
)
def test_every_container_and_codec_gives_inside_what_it_gives_outside(container, codec):
    full = codec == "mjpeg"
    data = clip(TENTHS, container=container, codec=codec, rate=10, tick=Fraction(1, 10), pixel_format="yuvj420p" if full else "yuv420p")
    requests = {"video_info": {}, "video_changes": {}, "video_frames": {"per_second": 10}}
    for reader, request in requests.items():
        assert told(read(reader, data, request)) == told(INSIDE[reader](BytesIO(data), "the file", request)), reader
    shown = [number_of(part.pixels_HWC) for part in read("video_frames", data, {"per_second": 10}) if part.pixels_HWC is not None]
    assert shown == list(range(8))


def test_office_files_are_read_inside():
    data = office("DOCX")
    assert told(read("office_info", data, {})) == told(read_office_info(BytesIO(data), "the file", {}))


def test_subtitles_are_read_inside():
    data = clip(TENTHS, container="mkv", subtitles=("ass", [(0, 0.5, "Grüße"), (0.5, 0.8, "two")]))
    parts = told(read("video_subtitles", data, {}))
    assert parts == told(read_video_subtitles(BytesIO(data), "the file", {}))
    assert parts[0][0]["subtitles"] == [[0.0, 0.5, "Grüße"], [0.5, 0.8, "two"]]


@pytest.mark.parametrize(("reader", "request_"), [("document_info", {}), ("document_text", {}), ("document_pages", {"dpi": 72})])
def test_documents_give_inside_what_they_give_outside(reader, request_):
    assert told(read(reader, PDF, request_)) == told(INSIDE[reader](BytesIO(PDF), "the file", request_))


# PDFium brings these fonts; what neither it nor the file has comes out in one of them, or, where it has no such letters, as nothing.
@pytest.mark.parametrize("font", ["Helvetica", "Times-Roman", "Courier-Bold", "Symbol", "ZapfDingbats", "Calibri"])
def test_text_without_an_embedded_font_is_drawn_inside_where_no_font_file_can_be_opened(font):
    data = pdf(page(text("Hamburg 123", points=40))).replace(b"/BaseFont /Helvetica", b"/BaseFont /" + font.encode())
    (part,) = read("document_pages", data, {"dpi": 72})
    assert 1000 < (part.pixels_HWC < 128).all(-1).sum() < 5000


def test_chinese_without_an_embedded_font_is_read_as_text_and_drawn_blank():
    entries, content = page("BT /C 40 Tf 50 200 Td <4F60597D> Tj ET")
    extra = {
        5: b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [6 0 R] >>",
        6: b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /FontDescriptor 7 0 R /DW 1000 "
        b"/CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> >>",
        7: b"<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [-25 -254 1000 880] /Ascent 880 /Descent -120 >>",
    }
    data = pdf((entries, content), extra=extra).replace(b"/Font << /F1", b"/Font << /C 5 0 R /F1")
    (words,) = read("document_text", data, {"boxes": False})
    (drawn,) = read("document_pages", data, {"dpi": 72})
    assert (words.facts["text"], int(drawn.pixels_HWC.min())) == ("你好", 255)


# Codes of refusals ------------------------------------------------------------------------------------------------------------


VIDEO = clip(TENTHS)


@pytest.mark.parametrize(
    ("reader", "data", "request_", "code"),
    [
        ("document_info", b"%PDF-1.7\nrubbish", {}, "invalid_pdf"),
        ("document_pages", PDF[:150], {}, "invalid_pdf"),
        ("document_text", locked("x", "user", "owner"), {}, "pdf_password_required"),
        ("document_info", locked("x", "user", "owner"), {"password": "wrong"}, "pdf_password_required"),
        ("document_pages", pdf(*[page()] * 65), {}, "too_many_pages"),
        ("document_text", PDF, {"pages": [2]}, "invalid_value"),
        ("video_info", VIDEO[: len(VIDEO) // 2], {}, "invalid_video"),
        ("video_frames", b"\0\0\0\x18ftypmp42" + bytes(200), {"per_second": 1}, "invalid_video"),
        ("video_frames", VIDEO, {"per_second": 1, "start": 100.0}, "invalid_value"),
        ("video_subtitles", VIDEO, {}, "invalid_value"),
        ("video_info", PNG, {}, "unsupported_media"),
    ],
)
def test_refusals_have_the_codes_of_the_error_contract(reader, data, request_, code):
    assert refused(reader, data, request_) == code
    with pytest.raises(MediaError) as caught:
        list(INSIDE[reader](BytesIO(data), "the file", request_))
    assert caught.value.code == code


def test_a_bad_request_is_the_callers_fault_and_no_fault_of_the_file():
    for reader in INSIDE:
        with pytest.raises(InputError, match="unknown key 'colour'") as caught:
            list(read(reader, PDF if reader.startswith("document") else VIDEO, {"colour": 1}))
        assert not isinstance(caught.value, MediaError)


# Memory -----------------------------------------------------------------------------------------------------------------------


def test_four_minutes_of_video_take_no_more_memory_than_one(deaths):
    """Frames leave one by one; kept, the 360 more of 320 × 240 pixels would be 83 MB."""
    most = []
    for minutes in (1, 4):
        film = clip([k / 2 for k in range(120 * minutes)], rate=2, size=(320, 240))
        seen = sum(part.size == (320, 240) for part in read("video_frames", film, {"per_second": 2, "max_frames": 1000}))
        assert seen == 120 * minutes
        retire()
        most.append(deaths[-1].max_rss_bytes)
    assert most[1] < most[0] + 16 * MiB


# Bombs ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["flate", "flate_twice", "forms", "shading", "jpx", "jbig2"])
def test_i4_i8_bombs_end_within_5_seconds_and_1_5_gib(name, deaths):
    data = getattr(bombs, name)()
    assert len(data) < 100_000
    began = time.monotonic()
    try:
        codes = [part.facts.get("code", "drawn") for part in read("document_pages", data)]
    except MediaError as error:
        codes = [error.code]
    spent = time.monotonic() - began
    retire()
    assert spent < 5.5  # half a second for a machine that is busy
    assert max(death.max_rss_bytes for death in deaths) < 1536 * MiB
    assert codes == (["drawn"] if name in ("flate_twice", "jpx", "jbig2") else ["pdf_too_complex"])
    assert [part.facts["text"] for part in read("document_text", PDF, {"boxes": False})] == ["Total due: 12.50"]


@pytest.mark.parametrize(
    ("reader", "limits", "code"),
    [
        ("document_pages", {"memory_bytes": 300 * MiB}, "pdf_too_complex"),
        ("document_text", {"memory_bytes": 300 * MiB}, "pdf_too_complex"),
        ("document_pages", {"cpu_seconds": 0}, "pdf_too_complex"),
        ("document_pages", {"seconds": 0.3}, "pdf_too_complex"),
        ("document_info", {"seconds": 0.3}, "pdf_too_complex"),
    ],
)
def test_i4_every_limit_of_a_document_has_the_same_code_however_it_is_met(reader, limits, code):
    data = bombs.forms() if "memory_bytes" not in limits else bombs.flate()
    began = time.monotonic()
    try:
        codes = {part.facts.get("code") for part in read(reader, data, {}, replace(READERS[reader].limits, **limits))}
    except MediaError as error:
        codes = {error.code}
    assert codes == {code}
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"seconds": 0.01}, "media_timeout"),
        ({"memory_bytes": 24 * MiB}, "media_too_complex"),
        ({"memory_bytes": 8 * MiB}, "media_too_complex"),
        ({"parts": 3}, "media_too_large"),
    ],
)
def test_h8_the_limits_of_a_video_hold_and_the_next_file_is_read(limits, code):
    data = clip([Fraction(k, 30) for k in range(60)], size=(1280, 720))
    assert refused("video_frames", data, {"per_second": 30}, replace(READERS["video_frames"].limits, **limits)) == code
    assert load_image(PNG).size == (64, 48)


# Many at once -----------------------------------------------------------------------------------------------------------------


def test_i11_32_documents_at_once_keep_apart():
    files = [pdf(page(text(f"number {k}"), block(10 * k, 0, 10, 10, "1 0 0"))) for k in range(32)]
    with ThreadPoolExecutor(32) as threads:
        words = list(threads.map(lambda data: next(iter(list(read("document_text", data, {"boxes": False})))).facts["text"], files))
        drawn = list(threads.map(lambda data: next(iter(list(read("document_pages", data, {"dpi": 72})))).pixels_HWC, files))
    assert words == [f"number {k}" for k in range(32)]
    for k, pixels in enumerate(drawn):
        columns = np.flatnonzero((pixels[295] == (255, 0, 0)).all(-1))
        assert (columns.min(), columns.max()) == (10 * k, 10 * k + 9)
    assert len(sandbox._pool._idle) <= sandbox._pool.size


def test_h13_eight_4k_decodes_at_once_share_the_pool_and_pictures_are_read_between_them():
    data = clip([Fraction(k, 10) for k in range(3)], size=(3840, 2160), rate=10, tick=Fraction(1, 10))
    request = {"per_second": 10, "most_side": 960}
    most, done = 0, threading.Event()

    def watch():
        nonlocal most
        while not done.wait(0.01):
            most = max(most, len(sandbox._pool._lent))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(9) as threads:
        videos = [
            threads.submit(lambda: [number_of(p.pixels_HWC) for p in read("video_frames", data, request) if p.size]) for _ in range(8)
        ]
        picture = threads.submit(load_image, PNG)
        assert picture.result(timeout=30).size == (64, 48)
        assert [video.result() for video in videos] == [[0, 1, 2]] * 8
    done.set()
    watcher.join()
    assert 1 <= most <= sandbox._pool.size


def test_h14_a_video_that_is_left_early_is_stopped_within_200_ms():
    data = clip([Fraction(k, 30) for k in range(240)], size=(640, 360))
    frames = read("video_frames", data, {"per_second": 30})
    next(frames)
    (worker,) = sandbox._pool._lent
    began = time.monotonic()
    frames.close()
    assert time.monotonic() - began < 0.2
    assert worker.death is not None
