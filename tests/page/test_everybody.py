"""For everybody: a phone's width, the keyboard alone, screen readers, light and dark."""

from tests.page.conftest import ask, attach
from tests.page.mock_server import NOTHING, said
from tests.page.test_media import RECEIPT

WIDE = "| " + " | ".join("abcdefghijkl") + " |\n" + "|---" * 12 + "|\n" + "| " + " | ".join("column" for _ in range(12)) + " |"
WIDE += "\n\n```\n" + "x" * 300 + "\n```\n\n" + "y" * 300 + "\n\n$$" + "+".join(f"x_{{{k}}}" for k in range(60)) + "$$"
NAMELESS = """() => [...document.querySelectorAll('button, a, input:not([type=file]), textarea, select')].filter((element) =>
    !(element.ariaLabel || element.innerText?.trim() || element.labels?.length || element.title)).map((element) => element.outerHTML)"""
CONTRAST = """(selectors) => selectors.map((selector) => {
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgb = (colour) => { context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data]; };
    const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
    const element = document.querySelector(selector);
    let behind = element;
    while (behind && rgb(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(rgb(getComputedStyle(behind ?? document.body).backgroundColor))];
    return [selector, Math.round(100 * (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)) / 100];
})"""


def with_everything(page, server):
    found = {
        "boxes": [{"label": "a label that is rather long for a box", "box": [5, 5, 900, 90], "medium": 0, "view": 0, "page": None}],
        "points": [],
        "citations": [{"page": 1, "quote": "z" * 200, "box": None, "verified": True, "medium": 0}],
        "looked_at": ["receipt.png: " + "w" * 100],
    }
    server.script = [[("thinking", "Hm."), *said(WIDE, {**NOTHING, **found})]]
    attach(page, RECEIPT)
    page.get_by_text("64 tokens").wait_for()
    ask(page, "q" * 200)
    page.get_by_text("1,234 tokens in").wait_for()
    page.locator(".katex-display").wait_for()


def test_a_phone_scrolls_in_one_direction_only(page, server):
    page.set_viewport_size({"width": 360, "height": 740})
    page.reload()
    with_everything(page, server)
    for selector in ("html", ".thread", ".composer"):
        assert page.locator(selector).evaluate("(element) => element.scrollWidth - element.clientWidth") <= 0
    assert page.locator(".thread").evaluate(
        "(e) => [...e.querySelectorAll('.column > *')].every((c) => c.getBoundingClientRect().right <= 360)"
    )
    for opens, closes in (("Conversations", "Close conversations"), ("Settings", "Close settings")):
        page.get_by_role("button", name=opens, exact=True).click()
        assert page.locator("html").evaluate("(element) => element.scrollWidth") <= 360
        page.get_by_role("button", name=closes).click()


def test_everything_has_a_name(page, server):
    with_everything(page, server)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Edit question").click()
    assert page.evaluate(NAMELESS) == []
    for role in ("main", "navigation", "complementary"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.locator("img:not([alt])").count() == 0


def test_a_screen_reader_is_not_told_every_token(page, server):
    server.script = [[("text", f"word{k} ") for k in range(50)] + said("end")[1:]]
    page.evaluate("""() => {
        window.told = [];
        const regions = document.querySelectorAll('[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]');
        window.regions = regions.length;
        const all = { childList: true, characterData: true, subtree: true };
        for (const region of regions) new MutationObserver(() => told.push(region.textContent)).observe(region, all);
    }""")
    ask(page, "Count")
    page.get_by_text("1,234 tokens in").wait_for()
    page.get_by_role("status").get_by_text("The answer is complete.").wait_for()
    assert page.evaluate("regions") == 1
    assert [words for words in page.evaluate("told") if words] == ["The question was sent.", "The answer is complete."]
    assert page.get_by_role("article", name="Answer").locator("xpath=ancestor::*[@aria-live or @role='log' or @role='status']").count() == 0


def test_the_keyboard_is_enough(page, server):
    skip = page.get_by_role("link", name="Skip to the question")
    assert skip.bounding_box()["width"] <= 1
    skip.focus()
    assert skip.bounding_box()["width"] > 50
    page.keyboard.press("Enter")
    page.keyboard.type("By keys")
    page.keyboard.press("Enter")
    page.get_by_role("article", name="Answer").get_by_text("By keys").wait_for()
    seen = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e.matches('textarea') ? e.parentElement : e);"
            " return e === document.body ? ['', ''] : [e.ariaLabel ?? e.innerText, s.outlineStyle + s.outlineWidth]; }"
        )
        if name:
            seen.add(name.strip())
            assert "solid" in outline, name
    assert {"Answer again", "Copy answer", "Edit question", "Settings", "New chat"} <= seen
    page.keyboard.press("Control+Shift+O")
    page.get_by_text("What would you like to know?").wait_for()


def test_text_stands_out_from_its_ground_in_light_and_dark(page, server):
    with_everything(page, server)
    page.get_by_role("button", name="Settings").click()
    selectors = [
        ".said",
        ".markdown",
        ".usage",
        ".thinking summary",
        ".hint",
        ".spot-name",
        ".tag",
        ".chip-quote",
        ".quiet",
        ".looked",
        "header h1",
    ]
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        told = dict(page.evaluate(CONTRAST, selectors))
        assert {selector: ratio for selector, ratio in told.items() if ratio < 4.5} == {}  # WCAG 2 AA


def test_the_theme_follows_the_system_and_the_switch(page, server):
    ground = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert light != dark
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("light", exact=True).click()
    page.locator("html[data-theme=light]").wait_for()
    assert page.evaluate(ground) == light
    page.reload()
    assert page.evaluate(ground) == light
