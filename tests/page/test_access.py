"""API keys, and a server that is not there."""

from tests.page.conftest import ask

STORED = """async () => JSON.stringify([
    ...[localStorage, sessionStorage].map((kept) =>
        Array.from({ length: kept.length }, (_, k) => [kept.key(k), kept.getItem(kept.key(k))])),
    document.cookie, location.href,
    await new Promise((resolve) => { indexedDB.open('kimi-vl').onsuccess = (event) => {
        const all = event.target.result.transaction('conversations').objectStore('conversations').getAll();
        all.onsuccess = () => resolve(all.result);
    }; }),
])"""


def test_a_key_is_asked_for_and_never_stored(page, server):
    server.key = "right-horse"
    page.reload()
    dialog = page.get_by_role("dialog", name="This server wants an API key")
    field = dialog.get_by_role("textbox", name="API key")
    field.fill("wrong")
    page.keyboard.press("Enter")
    dialog.get_by_text("That key was not accepted.").wait_for()
    field.fill("right-horse")
    page.keyboard.press("Enter")
    dialog.wait_for(state="hidden")
    ask(page, "Hello")
    page.get_by_role("article", name="Answer").get_by_text("Hello").wait_for()
    page.get_by_role("link", name="Hello").wait_for()
    assert "right-horse" not in page.evaluate(STORED)
    assert "right-horse" not in page.content()
    page.reload()
    dialog.wait_for()


def test_a_key_that_runs_out_in_between_is_asked_for_and_the_question_goes_on(page, server):
    server.key = "new"
    ask(page, "Hello")
    page.get_by_role("textbox", name="API key").fill("new")
    page.keyboard.press("Enter")
    page.get_by_role("article", name="Answer").get_by_text("Hello").wait_for()


def test_who_gives_no_key_is_told_and_keeps_the_question(page, server):
    server.key = "new"
    ask(page, "Hello")
    page.get_by_role("button", name="Cancel").click()
    page.locator(".ending").get_by_text("This server wants an API key.").wait_for()
    server.key = None
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("article", name="Answer").get_by_text("Hello").wait_for()


def test_a_server_that_is_away_is_one_line_and_comes_back(page, server):
    page.route("**/v1/models", lambda route: route.abort())
    page.reload()
    page.get_by_role("alert").get_by_text("The server does not answer.").wait_for()
    page.unroute("**/v1/models")
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    page.get_by_role("alert").wait_for(state="detached")
    page.locator(".model-name").get_by_text("nano").wait_for()


def test_offline_says_so(page, server):
    page.context.set_offline(True)
    ask(page, "Hello")
    page.locator(".ending").get_by_text("You are offline.").wait_for()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("article", name="Answer").get_by_text("Hello").wait_for()
