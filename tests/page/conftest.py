"""A real Chromium before the committed bundle. Skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One for all tests of a worker."""
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


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser that has never been here."""
    context = browser.new_context(viewport={"width": 1100, "height": 800}, locale="en-GB")
    context.set_default_timeout(8000)
    yield context
    context.close()


@pytest.fixture
def page(context: Any, server: MockServer) -> Iterator[Any]:
    """The page, open. Whatever a test does: no script but ours runs, nothing is asked of another host, no policy is broken."""
    page = context.new_page()
    dialogs, abroad, errors = [], [], []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: None if request.url.startswith((server.url, "blob:", "data:")) else abroad.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(WATCH)
    page.goto(server.url)
    page.get_by_role("textbox", name="Question").wait_for()
    yield page
    assert (dialogs, abroad, errors) == ([], [], [])
    assert page.evaluate("violations") == []


def ask(page: Any, text: str) -> None:
    """Write a question and send it."""
    page.get_by_role("textbox", name="Question").fill(text)
    page.keyboard.press("Enter")


def attach(page: Any, *files: Path | dict[str, Any]) -> None:
    """By the file picker."""
    page.locator("input[type=file]").set_input_files(list(files))
