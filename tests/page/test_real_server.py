"""The page before `kimi-vl serve` as a user starts it: nano, in a process of its own, with a key.

What the page makes of answers that nano never gives is tested before the mock server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.media.clips import clip
from tests.media.pdfs import page as one_page
from tests.media.pdfs import pdf, text
from tests.page.conftest import WINDOW, Tab, ask, attach
from tests.page.test_access import STORED
from tests.page.test_media import EXAMPLES, RECEIPT, hand_over
from tests.server.serving import until

KEY = "right-horse-battery"
HEADERS = {"authorization": f"Bearer {KEY}"}
SUM = "What do the rye bread and the cheddar cost together?"
TABLE = "Write the table as Markdown."


class House:
    """`kimi-vl serve`, with room for one answer and one that waits."""

    def __init__(self, keys: Path) -> None:
        keys.write_text(f"anna={KEY}\n")
        command = [sys.executable, "-m", "kimi_vl.cli.main", "serve", "--port", "0", "--api-key-file", str(keys)]
        command += ["--max-running", "1", "--set", "waiting=1"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
        assert self.process.stderr is not None
        records = (json.loads(line) for line in self.process.stderr if line.startswith("{"))
        self.url = next(f"http://127.0.0.1:{record['port']}/" for record in records if record["event"] == "listening")
        self.client = httpx.Client(base_url=self.url, headers=HEADERS, timeout=60, trust_env=False)

    def number(self, name: str) -> float:
        """Of /metrics."""
        lines = self.client.get("/metrics").text.splitlines()
        return float(next((line.split()[-1] for line in lines if line.startswith(name)), "0"))

    def close(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def house(browser, tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house") / "keys")
    yield house
    house.close()


@pytest.fixture(scope="module")
def tab(browser, house):
    """One for all tests, let in: the key is kept in the page alone, until it is loaded again."""
    context = browser.new_context(viewport=WINDOW, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(20_000)
    tab = Tab(context.new_page())
    tab.watch(house.url)
    tab.page.goto(house.url)
    let_in(tab.page)
    yield tab
    context.close()


@pytest.fixture
def page(tab):
    yield tab.page
    assert (tab.dialogs, tab.abroad, tab.errors) == ([], [], [])
    assert tab.page.evaluate("violations") == []


def let_in(page):
    page.get_by_role("textbox", name="API key").fill(KEY)
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for(state="hidden")


def new_chat(page):
    """An empty one. What came before is kept."""
    page.get_by_role("button", name="New chat (Ctrl+Shift+O)").click()
    page.get_by_text("What would you like to know?").wait_for()


def answered(page):
    """The text of the last answer, once it is complete."""
    answer = page.get_by_role("article", name="Answer").last
    answer.locator(".usage").wait_for()
    return answer.locator("> .markdown").inner_text()


def bring(page, path, kind=None, event=None):
    """A file, by the picker or by an event, until its card says what it costs."""
    if event:
        hand_over(page, event, path, kind)
    else:
        attach(page, path)
    page.locator("#composer .card").get_by_text(" tokens · ").wait_for()


def begin_table(page):
    """A question with a long answer, until a row of it is drawn while the rest is still written."""
    new_chat(page)
    bring(page, EXAMPLES / "timetable.png")
    ask(page, TABLE)
    page.locator("article[aria-busy=true] td").get_by_text("Airport").wait_for(timeout=60_000)  # nano has to see the picture first


def test_a_bad_key_is_told_and_a_good_one_opens(page):
    page.reload()
    field = page.get_by_role("dialog", name="This server wants an API key").get_by_role("textbox", name="API key")
    field.fill("wrong-horse")
    page.keyboard.press("Enter")
    page.get_by_text("That key was not accepted.").wait_for()
    let_in(page)
    page.locator(".model-name").get_by_text("nano").wait_for()
    assert KEY not in page.evaluate(STORED)


def test_a_pasted_picture_is_thought_about_and_the_thinking_is_folded(page):
    new_chat(page)
    bring(page, RECEIPT, "image/png", "paste")
    ask(page, SUM)
    assert answered(page) == "8.05"
    thinking = page.locator("details.thinking")
    assert thinking.locator("summary").inner_text().startswith("Thought for")
    assert thinking.locator(".markdown").count() == 0
    thinking.locator("summary").click()
    thinking.get_by_text("4.60").wait_for()


def test_a_dropped_picture_is_pointed_at_and_is_there_after_a_reload(page):
    new_chat(page)
    bring(page, EXAMPLES / "settings.png", "image/png", "drop")
    ask(page, "Where do I click to save the changes?")
    assert answered(page) == "(0.849, 0.787)"
    point = page.locator(".spot-picture .point")
    assert point.evaluate("mark => [mark.style.left, mark.style.top]") == ["84.9%", "78.7%"]
    page.get_by_role("list", name="Found in settings.png").get_by_text("543.4, 352.6 px").wait_for()
    page.reload()
    let_in(page)
    page.get_by_text("(0.849, 0.787)").wait_for()
    page.locator(".question .card-picture img").wait_for()
    point.wait_for()


def test_a_document_is_cited(page):
    new_chat(page)
    bring(
        page,
        {"name": "order.pdf", "mimeType": "application/pdf", "buffer": pdf(one_page(text("Order number: 4711", 20, 60), size=(300, 150)))},
    )
    ask(page, "What is the order number?")
    assert answered(page) == "4711"
    assert page.get_by_title("These words stand in the document").inner_text().startswith("page 1")


def test_a_video_is_seen(page):
    new_chat(page)
    bring(page, {"name": "bars.mp4", "mimeType": "video/mp4", "buffer": clip([0.0, 0.5, 1.0])})
    assert "2 frames" in page.locator("#composer .card").inner_text()
    ask(page, "What is seen?")
    assert answered(page)
    assert "image" in page.locator(".usage").inner_text()


def test_a_table_is_drawn_while_it_is_written_and_its_writing_ends_when_it_is_stopped(page, house):
    before = house.number('kimi_vl_requests_cancelled_total{stage="answering"}')
    begin_table(page)
    page.keyboard.press("Escape")
    page.get_by_text("You stopped this answer.").wait_for()
    assert page.locator("th").all_inner_texts() == ["Line", "Platform", "Departs", "Minutes"]
    assert until(lambda: house.number("kimi_vl_slots_taken") == 0, 5)
    assert house.number('kimi_vl_requests_cancelled_total{stage="answering"}') == before + 1


def test_a_full_server_is_one_line_and_the_question_can_be_asked_again(page, house):
    new_chat(page)
    [line_feed] = house.client.post("/v1/tokenize", json={"prompt": "\n", "return_tokens": True}).json()["tokens"]
    endless = {"model": "nano", "prompt": "a", "stream": True, "max_tokens": 9000, "logit_bias": {str(line_feed): 100}}
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        first = stack.enter_context(house.client.stream("POST", "/v1/completions", json=endless))
        lines = first.iter_lines()  # kept, because it closes the stream when it goes
        next(lines)
        waiting = pool.submit(house.client.post, "/v1/completions", json={"model": "nano", "prompt": "a", "max_tokens": 1})
        assert until(lambda: house.number("kimi_vl_requests_waiting") == 1, 5)
        ask(page, "What is 3.45 + 4.60?")
        page.locator(".ending").get_by_text("try again in a moment.").wait_for()
        first.close()
        assert waiting.result().status_code == 200
    page.get_by_role("button", name="Try again").click()
    assert answered(page)
    assert page.locator(".ending").count() == 0


def test_a_server_that_is_gone_in_the_middle_leaves_what_was_said(page, house):
    """The last one: nobody starts it again."""
    begin_table(page)
    house.process.kill()
    page.locator(".ending").get_by_text("The connection ended before the answer was complete.").wait_for()
    assert page.locator("td").get_by_text("Airport").is_visible()
    page.get_by_role("button", name="Try again").click()
    page.locator(".ending").get_by_text("The server does not answer.").wait_for()
    assert page.get_by_text(TABLE).first.is_visible()
