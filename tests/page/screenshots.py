"""Draws docs/page/*.png: `python -m tests.page.screenshots docs/page`. The answers are written here; no model is asked."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.page.conftest import CHROMIUM, FLAGS, ask, attach
from tests.page.mock_server import MODEL, NOTHING, MockServer, medium, said, view
from tests.page.test_media import RECEIPT

SUM = """The rye bread and the cheddar cost **£8.05** together.

| item | price |
|:-----|------:|
| Rye bread | 3.45 |
| Cheddar | 4.60 |
| **together** | **8.05** |

The tax of 5 % is already in the total:

$$\\text{total} = \\sum_{i=1}^{5} p_i \\cdot (1 + 0.05) = 14.97 \\cdot 1.05 \\approx 15.72$$

```python
prices = {"rye bread": 3.45, "cheddar": 4.60}
print(f"£{sum(prices.values()):.2f}")  # £8.05
```"""
PLACE = {"medium": 0, "view": 0, "page": None}
PLACES = {
    **NOTHING,
    "boxes": [{"label": "total", "box": [30, 357, 420, 382], **PLACE}, {"label": "tax", "box": [30, 334, 420, 355], **PLACE}],
    "points": [{"label": "date", "point": [300, 127], **PLACE}],
}
COLOURS = 160


def sums(page: Any, server: MockServer) -> None:
    """A question about a receipt, thought about and answered at length."""
    answer(page, server, "What do the rye bread and the cheddar cost together?", [("thinking", "3.45 + 4.60 = 8.05"), *said(SUM)])
    page.locator(".katex-display").wait_for()
    page.locator(".hljs-string").first.wait_for()


def places(page: Any, server: MockServer) -> None:
    """A question with an answer that points at things."""
    text = "The total is **15.72**, of which 0.75 is tax; the receipt is of 9 May 2024."
    answer(page, server, "What is the total, and where does it stand?", said(text, PLACES))
    page.locator(".spot img").first.wait_for()
    page.get_by_role("list", name="Found in receipt.png").get_by_role("button", name="total").hover()


def answer(page: Any, server: MockServer, question: str, steps: list[Any]) -> None:
    """From an empty page to the end of an answer."""
    server.reset()
    server.models = [{**MODEL, "id": "kimi-vl-nano"}]
    server.count = lambda index, name: medium(index, name, 304, [view(448, 520, 304)])
    server.script = [steps]
    page.goto(server.url)
    attach(page, RECEIPT)
    page.get_by_text("304 tokens").wait_for()
    ask(page, question)
    page.locator(".usage").wait_for()


def draw(page: Any, path: Path) -> None:
    """A picture in few colours, which is small."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


def main(folder: Path) -> None:
    """All of them."""
    server = MockServer()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        wide = {"width": 1180, "height": 860}
        light = browser.new_page(viewport=wide, color_scheme="light")
        sums(light, server)
        draw(light, folder / "light.png")
        places(light, server)
        draw(light, folder / "boxes.png")
        dark = browser.new_page(viewport=wide, color_scheme="dark")
        sums(dark, server)
        dark.get_by_role("button", name="Settings").click()
        draw(dark, folder / "dark.png")
        phone = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="light", has_touch=True, is_mobile=True)
        places(phone, server)
        draw(phone, folder / "phone.png")
        browser.close()
    server.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
