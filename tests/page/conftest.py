"""A real Chromium before the committed bundle. Skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.page.mock_server import MockServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WATCH = """
window.violations = [];
addEventListener('securitypolicyviolation', (event) => violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""
FORGET = """async () => {
    localStorage.clear();
    sessionStorage.clear();
    return await new Promise((resolve) => {
        const gone = indexedDB.deleteDatabase('kimi-vl');
        gone.onsuccess = () => resolve(true);
        gone.onerror = gone.onblocked = () => resolve(false);
    });
}"""
WINDOW = {"width": 1100, "height": 800}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for all tests of a file, and no longer: while Playwright runs, its event loop does, and `asyncio.run` begins no other."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served() -> Iterator[MockServer]:
    """One for all tests of a file."""
    server = MockServer()
    yield server
    server.close()


@pytest.fixture
def server(served: MockServer) -> MockServer:
    served.reset()
    return served


@dataclass
class Tab:
    """A tab for all tests of a file, since a new one costs as much as a test, and what has been seen in it."""

    page: Any
    dialogs: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self, home: str) -> None:
        """Note dialogs, requests to anywhere else, and errors."""
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.page.on(
            "request", lambda request: None if request.url.startswith((home, "blob:", "data:")) else self.abroad.append(request.url)
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.add_init_script(WATCH)

    def forget(self, home: str) -> None:
        """As if nobody had ever been here."""
        page = self.page
        page.unroute_all()
        page.context.set_offline(False)
        page.context.clear_permissions()
        page.goto(home + "blank")
        assert page.evaluate(FORGET)
        page.set_viewport_size(WINDOW)
        page.emulate_media(color_scheme="light")
        self.dialogs, self.abroad, self.errors = [], [], []


@pytest.fixture(scope="module")
def tab(browser: Any, served: MockServer) -> Iterator[Tab]:
    context = browser.new_context(viewport=WINDOW, locale="en-GB")
    context.set_default_timeout(8000)
    tab = Tab(context.new_page())
    tab.watch(served.url)
    yield tab
    context.close()


@pytest.fixture
def page(tab: Tab, server: MockServer) -> Iterator[Any]:
    """The page, open. Whatever a test does: no script but ours runs, nothing is asked of another host, no policy is broken."""
    tab.forget(server.url)
    tab.page.goto(server.url)
    tab.page.get_by_role("textbox", name="Question").wait_for()
    yield tab.page
    assert (tab.dialogs, tab.abroad, tab.errors) == ([], [], [])
    assert tab.page.evaluate("violations") == []


def ask(page: Any, text: str) -> None:
    """Write a question and send it."""
    page.get_by_role("textbox", name="Question").fill(text)
    page.keyboard.press("Enter")


def attach(page: Any, *files: Path | dict[str, Any]) -> None:
    """By the file picker."""
    page.locator("input[type=file]").set_input_files(list(files))
