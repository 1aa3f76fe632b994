"""Pictures, PDFs and videos: how they come in, what they cost, what is drawn over them."""

import base64
import json
import threading
from pathlib import Path

from tests.page.conftest import ask, attach
from tests.page.mock_server import NOTHING, medium, said, view

EXAMPLES = Path(__file__).parents[2] / "examples"
RECEIPT, LETTER, CLIP = EXAMPLES / "receipt.png", EXAMPLES / "letter.pdf", EXAMPLES / "clip.mp4"
HAND_OVER = """([event, name, type, data]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    const target = document.querySelector('#composer textarea');
    const given = { bubbles: true, cancelable: true };
    if (event === 'paste') target.dispatchEvent(new ClipboardEvent('paste', { ...given, clipboardData: transfer }));
    else for (const kind of ['dragenter', 'dragover', 'drop']) {
      target.dispatchEvent(new DragEvent(kind, { ...given, dataTransfer: transfer }));
    }
}"""


def hand_over(page, event, path, kind):
    page.evaluate(HAND_OVER, [event, path.name, kind, base64.b64encode(path.read_bytes()).decode()])


def test_files_come_by_picker_by_dropping_and_by_pasting(page, server):
    attach(page, LETTER)
    hand_over(page, "drop", CLIP, "video/mp4")
    hand_over(page, "paste", RECEIPT, "image/png")
    page.get_by_text("64 tokens").nth(2).wait_for()
    assert sorted(server.heard.uploads) == sorted((path.name, path.read_bytes()) for path in (LETTER, CLIP, RECEIPT))
    ask(page, "What are these?")
    page.get_by_text("I see.").wait_for()
    parts = server.heard.chats[0]["messages"][0]["content"]
    assert sorted(part["type"] for part in parts) == ["file", "image_url", "text", "video_url"]
    assert parts[-1] == {"type": "text", "text": "What are these?"}


def test_a_card_shows_what_a_file_costs_and_what_is_not_seen_of_it(page, server):
    pages = [view(595, 842, 500, page=n) for n in range(1, 9)]
    server.count = lambda index, name: medium(index, name, 4000, pages, "document", "pages 9 to 40 do not fit")
    attach(page, LETTER)
    page.get_by_text("4,000 tokens · 8 pages").wait_for()
    assert page.locator(".card-note").inner_text() == "pages 9 to 40 do not fit"
    assert page.get_by_text("4,020 of 8,192 tokens of context").is_visible()
    page.get_by_role("button", name="Remove letter.pdf").click()
    page.get_by_text("Enter sends").wait_for()
    assert server.heard.deleted == ["file-1"]


def test_thumbnails_are_drawn_anew(page, server):
    attach(page, RECEIPT, CLIP)
    page.locator(".card-picture img").nth(1).wait_for()
    sizes = "() => [...document.querySelectorAll('.card-picture img')].map((i) => Math.max(i.naturalWidth, i.naturalHeight))"
    assert page.evaluate(sizes) == [160, 160]
    kinds = """() => new Promise((resolve) => { indexedDB.open('kimi-vl').onsuccess = (event) => {
        const all = event.target.result.transaction('media').objectStore('media').getAll();
        all.onsuccess = () => resolve(all.result.map((medium) => medium.thumbnail.type));
    }; })"""
    assert page.evaluate(kinds) == ["image/png", "image/png"]


def test_what_is_no_medium_is_refused_in_words(page, server):
    attach(
        page,
        {"name": "run.exe", "mimeType": "application/octet-stream", "buffer": b"MZ"},
        {"name": "drawing.svg", "mimeType": "image/svg+xml", "buffer": b"<svg onload='alert(1)'/>"},
        {"name": "nothing.png", "mimeType": "image/png", "buffer": b""},
    )
    told = page.get_by_role("alert").inner_text()
    assert "run.exe is no picture, PDF or video." in told
    assert "drawing.svg is no picture, PDF or video." in told
    assert "nothing.png is empty." in told
    assert server.heard.uploads == []


def test_a_file_that_the_server_cannot_read_says_so_at_its_card(page, server):
    error = {"message": "the file is no picture", "type": "x", "code": "invalid_image", "param": "messages[0].content[1].image_url"}
    body = json.dumps({"error": error})
    page.route("**/v1/tokenize", lambda route: route.fulfill(status=400, content_type="application/json", body=body))
    good = {"name": "good.png", "mimeType": "image/png", "buffer": RECEIPT.read_bytes()}
    attach(page, good, {"name": "broken.png", "mimeType": "image/png", "buffer": b"not a picture"})
    page.get_by_text("The file is no picture.").wait_for()
    assert page.locator(".card.troubled .card-name").inner_text() == "broken.png"


def test_an_upload_that_fails_is_tried_again(page, server):
    page.route("**/v1/files", lambda route: route.abort(), times=1)
    attach(page, RECEIPT)
    page.get_by_text("The server does not answer.").wait_for()
    page.get_by_role("button", name="Upload receipt.png again").click()
    page.get_by_text("64 tokens").wait_for()


def test_a_server_that_has_forgotten_a_file_gets_it_again(page, server):
    attach(page, RECEIPT)
    page.get_by_text("64 tokens").wait_for()
    ask(page, "First")
    page.get_by_text("I see.").wait_for()
    server.files.clear()
    page.reload()
    ask(page, "Second")
    page.get_by_role("article", name="Answer").get_by_text("Second").wait_for()
    assert [data for _, data in server.heard.uploads] == [RECEIPT.read_bytes()] * 2
    assert [chat["messages"][0]["content"][0]["image_url"]["url"] for chat in server.heard.chats] == ["file-1", "file-1", "file-2"]


def test_boxes_and_points_lie_where_they_should(page, server):
    size = page.evaluate(
        "async (data) => { const i = new Image(); i.src = data; await i.decode(); return [i.naturalWidth, i.naturalHeight]; }",
        "data:image/png;base64," + base64.b64encode(RECEIPT.read_bytes()).decode(),
    )
    width, height = size
    found = {
        **NOTHING,
        "boxes": [
            {"label": "total", "box": [width / 4, height / 2, width * 3 / 4, height * 5 / 8], "medium": 0, "view": 0, "page": None},
            {"label": "turned", "box": [width, height, width / 2, height * 3 / 4], "medium": 0, "view": 0, "page": None},
        ],
        "points": [{"label": "shop", "point": [width / 2, height / 10], "medium": 0, "view": 0, "page": None}],
    }
    server.script = [said("There.", found)]
    attach(page, RECEIPT)
    page.get_by_text("64 tokens").wait_for()
    ask(page, "Where is the total?")
    picture = page.locator(".spot-picture > .overlaid")
    picture.locator("img").wait_for()
    picture.scroll_into_view_if_needed()
    whole = picture.locator("img").bounding_box()
    assert abs(whole["width"] / whole["height"] - width / height) < 0.01
    edges = [edge.bounding_box() for edge in picture.locator("rect.edge").all()]
    shares = [[(e["x"] - whole["x"]) / whole["width"], (e["y"] - whole["y"]) / whole["height"], e["width"] / whole["width"]] for e in edges]
    for share, wanted in zip(shares, ([0.25, 0.5, 0.5], [0.5, 0.75, 0.5]), strict=True):
        assert all(abs(a - b) < 0.02 for a, b in zip(share, wanted, strict=True))
    point = picture.locator(".point").bounding_box()
    assert abs(point["x"] + 8 - whole["x"] - whole["width"] / 2) < 3
    assert abs(point["y"] + point["height"] / 2 - whole["y"] - whole["height"] / 10) < 3
    page.get_by_role("list", name="Found in receipt.png").get_by_role("button", name="total").focus()
    assert picture.locator("g.chosen").count() == 1
    told = page.get_by_role("list", name="Found in receipt.png").inner_text()
    assert f"{width // 4}" in told
    assert "px" in told


def test_a_page_of_a_pdf_is_a_sheet_with_its_number(page, server):
    server.count = lambda index, name: medium(index, name, 900, [view(600, 800, 450, page=n) for n in (1, 3)], "document")
    cited = {"page": 3, "quote": "Yours sincerely", "box": [60, 600, 300, 640], "verified": True, "medium": 0}
    boxes = [{"label": "signature", "box": [60, 600, 300, 700], "medium": 0, "view": 1, "page": 3}]
    server.script = [
        said("On page 3.", {**NOTHING, "boxes": boxes, "citations": [cited, {**cited, "page": 9, "verified": False, "box": None}]})
    ]
    attach(page, LETTER)
    page.get_by_text("900 tokens").wait_for()
    ask(page, "Who signed?")
    sheet = page.locator(".spot .sheet").first
    sheet.wait_for()
    assert sheet.inner_text() == "page 3"
    box = page.locator(".spot-picture > .overlaid").bounding_box()
    assert abs(box["width"] / box["height"] - 600 / 800) < 0.01
    page.get_by_role("button", name="page 3 Yours sincerely").click()
    page.get_by_text("found word for word").wait_for()
    page.get_by_role("button", name="page 9 Yours sincerely").click()
    page.get_by_text("not found in the document; check it").wait_for()


def test_a_moment_of_a_video_is_drawn(page, server):
    server.count = lambda index, name: medium(index, name, 90, [view(320, 240, 45, time_s=t) for t in (0.0, 1.0)], "video")
    boxes = [{"label": "it", "box": [10, 10, 50, 50], "medium": 0, "view": 1, "page": None}]
    server.script = [said("At one second.", {**NOTHING, "boxes": boxes})]
    attach(page, CLIP)
    page.get_by_text("90 tokens · 2 frames to 0:01").wait_for()
    ask(page, "Where?")
    page.locator(".spot canvas").first.wait_for()
    assert page.locator(".spot-name").inner_text() == "clip.mp4, 0:01"


def test_sending_waits_for_an_upload_on_its_way(page, server):
    server.gate = threading.Event()
    attach(page, RECEIPT)
    page.get_by_text("uploading").wait_for()
    ask(page, "What is it?")
    page.get_by_text("Reading").wait_for()
    assert server.heard.chats == []
    server.gate.set()
    page.get_by_text("I see.").wait_for()
    assert len(server.heard.uploads) == 1
    page.locator(".question .card").get_by_text("64 tokens").wait_for()  # learnt afterwards


def test_a_question_sent_in_haste_uploads_once(page, server):
    attach(page, RECEIPT)
    ask(page, "What is it?")
    page.get_by_text("I see.").wait_for()
    page.locator(".question .card").get_by_text("64 tokens").wait_for()
    page.locator(".question .card-picture img").wait_for()
    assert [data for _, data in server.heard.uploads] == [RECEIPT.read_bytes()]
    assert len(server.heard.chats) == 1
