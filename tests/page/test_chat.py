"""Asking, and answers while they are written: stop, try again, edit, settings, errors."""

import threading

from tests.page.conftest import ask
from tests.page.mock_server import MODEL, said

RICH = """The total is **£12.40**, as $e^{i\\pi}=-1$.

$$\\int_0^1 x^2\\,dx = \\frac13$$

```python
def double(x):
    return 2 * x  # twice
```

| item | price |
|------|------:|
| rye  |  3.20 |

It costs $5 and then $6. See [the site](https://example.org/a)."""


def test_an_answer_is_laid_out(page, server):
    server.script = [said(RICH)]
    ask(page, "What is the total?")
    answer = page.get_by_role("article", name="Answer")
    answer.get_by_text("1,234 tokens in (1,100 image) · 21 thinking · 36 out").wait_for()
    assert answer.locator("strong").inner_text() == "£12.40"
    answer.locator(".katex-display").wait_for()
    assert answer.locator(".katex").count() == 2  # and no third one of the dollars
    assert answer.get_by_text("It costs $5 and then $6.").count() == 1
    answer.locator(".hljs-keyword").first.wait_for()
    assert answer.locator("code").inner_text() == "def double(x):\n    return 2 * x  # twice"
    assert answer.locator("td[align=right]").inner_text() == "3.20"
    link = answer.get_by_role("link", name="the site")
    assert (link.get_attribute("rel"), link.get_attribute("target")) == ("noopener noreferrer nofollow", "_blank")
    asked = server.heard.chats[0]
    assert asked == {
        "model": "nano",
        "messages": [{"role": "user", "content": "What is the total?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_code_is_copied(page, server):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    server.script = [said("```sh\necho 'a < b'\n```")]
    ask(page, "code")
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "echo 'a < b'"


def test_thinking_is_folded_and_counts_while_it_runs(page, server):
    go_on = threading.Event()
    server.script = [[("thinking", "First the rye. "), ("thinking", "Then the cheddar."), ("wait", go_on), *said("Both.")]]
    ask(page, "And both?")
    thinking = page.locator("details.thinking")
    page.get_by_text("about 2 tokens").wait_for()
    assert thinking.locator("summary").inner_text().startswith("Thinking")
    assert not page.get_by_text("Then the cheddar.").is_visible()
    thinking.locator("summary").click()
    page.get_by_text("First the rye. Then the cheddar.").wait_for()
    go_on.set()
    page.get_by_text("21 tokens", exact=False).first.wait_for()
    assert thinking.locator("summary").inner_text().startswith("Thought for 0.")
    assert page.get_by_role("article", name="Answer").locator("> .markdown").inner_text() == "Both."


def test_escape_stops_and_what_was_said_stays(page, server):
    server.script = [[("text", "One, two, "), ("wait", threading.Event())], said("Again.")]
    ask(page, "Count.")
    page.get_by_text("One, two,").wait_for()
    status = page.get_by_role("status")
    assert status.inner_text() == "The question was sent."
    page.keyboard.press("Escape")
    page.get_by_text("You stopped this answer.").wait_for()
    assert server.heard.left.wait(5)
    assert page.get_by_text("One, two,").is_visible()
    assert status.inner_text() == "Stopped."
    page.get_by_role("button", name="Answer again").click()
    page.get_by_text("Again.").wait_for()
    page.get_by_label("Version 2 of 2").wait_for()
    page.get_by_role("button", name="Previous version").click()
    page.get_by_text("One, two,").wait_for()


def test_a_question_is_edited_and_sent_again(page, server):
    server.script = [said("Four."), said("Six."), said("Twelve.")]
    ask(page, "2+2?")
    page.get_by_text("Four.").wait_for()
    page.get_by_role("button", name="Edit question").click()
    editor = page.get_by_role("article", name="Edit question").get_by_role("textbox")
    assert editor.input_value() == "2+2?"
    editor.fill("3+3?")
    editor.press("Enter")
    page.get_by_text("Six.").wait_for()
    assert page.get_by_text("Four.").count() == 0
    ask(page, "Twice that?")
    page.get_by_text("Twelve.").wait_for()
    assert [m["content"] for m in server.heard.chats[2]["messages"]] == ["3+3?", "Six.", "Twice that?"]
    page.get_by_role("button", name="Previous version").first.click()
    page.get_by_text("Four.").wait_for()
    page.get_by_role("button", name="Next version").first.click()
    page.get_by_text("Twelve.").wait_for()


def test_shift_enter_begins_a_line_and_an_unfinished_word_is_not_sent(page, server):
    box = page.get_by_role("textbox", name="Question")
    box.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    box.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    assert box.input_value() == "one\ntwo"
    page.keyboard.press("Enter")
    page.get_by_role("article", name="Answer").get_by_text("one").wait_for()
    assert server.heard.chats[0]["messages"][0]["content"] == "one\ntwo"
    assert len(server.heard.chats) == 1


def test_settings_are_sent_and_kept(page, server):
    server.models = [MODEL, {**MODEL, "id": "large"}]
    page.reload()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Model").select_option("large")
    page.get_by_text("on", exact=True).click()
    for name, value in (("Thinking budget (tokens)", "300"), ("Temperature", "9"), ("Most tokens of an answer", "77"), ("Seed", "5")):
        page.get_by_label(name).fill(value)
    page.get_by_label("Instructions for every chat").fill("Be brief.")
    page.get_by_role("button", name="Close settings").click()
    page.reload()
    ask(page, "Hello")
    page.get_by_role("article", name="Answer").get_by_text("Hello").wait_for()
    asked = server.heard.chats[0]
    expected = {"model": "large", "thinking": "on", "max_thinking_tokens": 300, "temperature": 2, "max_tokens": 77, "seed": 5}
    assert {name: asked.get(name) for name in expected} == expected
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_model_that_does_not_think_is_not_asked_to(page, server):
    page.evaluate("localStorage.setItem('kimi-vl.settings', JSON.stringify({thinking: 'on', thinkingBudget: 9, temperature: 'x'}))")
    server.models = [{**MODEL, "thinking": False}]
    page.reload()
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("This model answers without thinking.").wait_for()
    ask(page, "Hello")
    page.get_by_role("article", name="Answer").get_by_text("Hello").wait_for()
    assert server.heard.chats[0].keys() == {"model", "messages", "stream", "stream_options"}


def test_an_error_is_one_calm_line_and_can_be_tried_again(page, server):
    server.script = [[("error", 503, "server_is_overloaded", "too many requests are waiting; try again in a moment")], said("Here.")]
    ask(page, "Anybody?")
    page.locator(".ending").get_by_text("Too many requests are waiting; try again in a moment.").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("Here.").wait_for()
    assert len(server.heard.chats) == 2


def test_a_server_that_dies_in_the_middle_loses_nothing(page, server):
    server.script = [[("text", "Half of the ans"), ("die",)], said("All of it.")]
    ask(page, "A long question")
    page.locator(".ending").get_by_text("The connection ended before the answer was complete.").wait_for()
    assert page.get_by_text("Half of the ans").is_visible()
    assert page.get_by_text("A long question").first.is_visible()
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("All of it.").wait_for()


def test_an_answer_cut_at_its_limit_says_so(page, server):
    server.script = [[("text", "On and"), ("end", {}, "length")]]
    ask(page, "Tell me all")
    page.get_by_text("The answer was cut off at its limit of tokens.").wait_for()


def test_a_proxy_that_answers_in_html_is_an_error_like_any_other(page, server):
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=502, body="<h1>Bad <script>alert(1)</script></h1>"))
    ask(page, "Hello")
    page.locator(".ending").get_by_text("The server answered with status 502.").wait_for()


def test_a_draft_outlives_a_reload(page, server):
    server.script = [said("Yes.")]
    ask(page, "First")
    page.get_by_text("Yes.").wait_for()
    page.get_by_role("textbox", name="Question").fill("half a thou")
    page.reload()
    page.get_by_text("Yes.").wait_for()
    assert page.get_by_role("textbox", name="Question").input_value() == "half a thou"
