"""Conversations are kept in the browser: shown, renamed, deleted, exported."""

import json

from tests.page.conftest import ask, attach
from tests.page.mock_server import said
from tests.page.test_media import RECEIPT


def both(page, server):
    """Two conversations, the second open."""
    attach(page, RECEIPT)
    page.get_by_text("64 tokens").wait_for()
    ask(page, "What is this?")
    page.get_by_text("I see.").wait_for()
    page.get_by_role("button", name="New chat", exact=True).click()
    page.get_by_text("What would you like to know?").wait_for()
    server.script = [said("Blue.")]
    ask(page, "Which colour?")
    page.get_by_text("Blue.").wait_for()
    page.get_by_role("link", name="Which colour?").wait_for()
    return page.get_by_role("navigation", name="Conversations")


def test_conversations_are_there_after_a_reload_with_their_pictures(page, server):
    listed = both(page, server)
    page.reload()
    page.get_by_text("Blue.").wait_for()
    assert listed.get_by_role("link").all_inner_texts() == ["Which colour?", "What is this?"]
    listed.get_by_role("link", name="What is this?").click()
    page.get_by_text("I see.").wait_for()
    page.locator(".question .card-picture img").wait_for()
    page.go_back()
    page.get_by_text("Blue.").wait_for()


def test_a_conversation_is_renamed(page, server):
    listed = both(page, server)
    listed.get_by_role("link", name="Which colour?").hover()
    page.get_by_role("button", name="Rename Which colour?").click()
    page.get_by_role("textbox", name="Title").fill("Colours")
    page.keyboard.press("Enter")
    listed.get_by_role("link", name="Colours").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "Colours"
    page.reload()
    listed.get_by_role("link", name="Colours").wait_for()


def test_a_conversation_is_deleted_with_its_media_here_and_there(page, server):
    listed = both(page, server)
    listed.get_by_role("link", name="What is this?").hover()
    page.get_by_role("button", name="Delete What is this?").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    listed.get_by_role("link", name="What is this?").wait_for(state="detached")
    assert server.heard.deleted == ["file-1"]
    left = """() => new Promise((resolve) => { indexedDB.open('kimi-vl').onsuccess = (event) => {
        const count = event.target.result.transaction('media').objectStore('media').count();
        count.onsuccess = () => resolve(count.result);
    }; })"""
    assert page.evaluate(left) == 0
    assert page.get_by_text("Blue.").is_visible()


def test_conversations_are_exported_as_json(page, server):
    both(page, server)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export all").click()
    exported = json.loads(saved.value.path().read_text(encoding="utf-8"))
    assert {one["title"] for one in exported["conversations"]} == {"Which colour?", "What is this?"}
    nodes = [node for one in exported["conversations"] for node in one["nodes"].values()]
    assert {node["text"] for node in nodes} == {"What is this?", "I see.", "Which colour?", "Blue."}


def test_an_answer_that_a_reload_cut_off_is_shown_as_such(page, server):
    server.script = [[("text", "Half of it"), ("wait", server.heard.left)], said("All.")]
    ask(page, "Long?")
    page.get_by_text("Half of it").wait_for()
    page.get_by_role("link", name="Long?").wait_for()
    page.reload()
    page.get_by_text("The page was closed before the answer was complete.").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("All.").wait_for()


def test_another_conversation_is_answered_meanwhile(page, server):
    server.script = [[("text", "Slowly"), ("wait", server.heard.left)], said("Quickly.")]
    ask(page, "Slow?")
    page.get_by_text("Slowly").wait_for()
    page.get_by_role("link", name="Slow? is being answered").wait_for()
    page.get_by_role("button", name="New chat", exact=True).click()
    ask(page, "Quick?")
    page.get_by_text("Quickly.").wait_for()
    server.heard.left.set()
    page.get_by_role("link", name="Slow?").click()
    page.locator(".ending").wait_for()
    assert page.get_by_text("Slowly").is_visible()
