"""The browser that draws what only a browser draws: Chromium through Playwright, used when a pack is built and never afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

CHROMIUM = "/usr/bin/chromium"  # Debian's; Playwright would download its own


@contextmanager
def browser_page(width: int, height: int) -> Iterator[Any]:
    """A Playwright page of one pixel per CSS pixel. Raises ImportError without Playwright, which only this needs."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as e:
        raise ImportError("drawing icons and web pages needs Playwright and Chromium; install them with: pip install playwright") from e

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-lcd-text", "--font-render-hinting=none"])
        page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=1)
        page.set_default_timeout(180_000)  # milliseconds; on a busy machine a screenshot has taken more than the default of 30 seconds
        yield page
        browser.close()


def screenshot(page: Any, html: str = "", *, transparent: bool = False) -> np.ndarray:
    """What the browser shows, of a new document `html` all of it: uint8 [H, W, 3], or with opacity [H, W, 4]."""
    if html:
        page.set_content(html, wait_until="load")
    picture = np.frombuffer(page.screenshot(full_page=bool(html), omit_background=transparent), np.uint8)
    if transparent:
        return np.asarray(cv2.imdecode(picture, cv2.IMREAD_UNCHANGED))[:, :, [2, 1, 0, 3]]
    return np.asarray(cv2.imdecode(picture, cv2.IMREAD_COLOR))[:, :, ::-1]
