"""Pages as browsers and desktops lay them out, composed by a grammar: a bar on top, perhaps one at the side, sections, buttons."""

from collections.abc import Callable
from typing import NamedTuple

import cv2

from kimi_vl.training.synth.canvas import Colour
from kimi_vl.training.synth.content import Choice
from kimi_vl.training.synth.documents.forms import draw_entries
from kimi_vl.training.synth.documents.lines import fitted
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.screens.themes import VIVID, ink_on, mixed, panel
from kimi_vl.training.synth.screens.windows import BUTTONS, TABS, Window

LINKS = Choice(
    tuple(
        "Home|Products|Pricing|Blog|Docs|Contact|Support|News|Events|Teams|Orders|Reports|Messages|Projects|Photos|Store|Jobs|Gallery|"
        "Forum|Downloads|Community|Learn|Status|Partners|Travel|Recipes|Sports|Music".split("|")
    ),
    ("Catalogue", "Careers", "Press", "Imprint", "Courses", "Tickets"),
)
ACTIONS = Choice(
    ("Edit", "Delete", "View", "Open", "Rename", "Remove", "Reply", "Pay", "Track", "Details", "Change", "Follow", "Invite", "Copy"),
    ("Inspect", "Approve", "Reject", "Renew"),
)
CALLS = Choice(("Buy", "Add to cart", "Book", "Read more", "Details", "Order", "Try it", "Play", "Choose"), ("Reserve", "Get it"))
ENDS = Choice(
    tuple(
        "Save|Cancel|Save changes|Apply|Discard|Reset|Send|Back|Next|Continue|Delete account|Log out|Preview|Submit|Export|Help".split("|")
    ),
    ("Publish", "Not now", "Restore defaults"),
)
STATES = ("Paid", "Open", "New", "Draft", "Late", "Active", "Shipped", "Closed", "Sold out", "Beta")
SIGNS = ("delete", "edit", "trash", "download", "more", "share", "copy", "settings", "favourite", "star", "print", "mail")
RULES = Choice(("line", "line", "none", "card", "zebra"), ("frame",))  # what sets rows apart


class Row(NamedTuple):
    """Where a row of a section is: its top, its height and what it is painted on."""

    top: int
    high: int
    paper: Colour


def rows(window: Window, count: int, gap: int) -> list[Row]:
    """Ground for up to `count` rows, ruled, on a card or neither; the cursor moves below it. Raises Overfull where there is no room."""
    high, theme = window.high + gap, window.theme
    count = min(count, (window.bottom - window.y - 8) // high)
    if count < 1:
        raise Overfull("no room for rows")
    rule, top = str(RULES.pick(window.rng, window.content.split)), window.y
    tint = mixed(theme.page, theme.ink, 0.06)
    for k in range(count if rule == "line" else 0):
        y = top + (k + 1) * high
        window.canvas.fill(window.left, y - 1, window.right, y, theme.line)
    if rule in ("card", "frame"):
        panel(window.canvas, (window.left, top, window.right, top + count * high), theme.page, theme.line, theme.radius)
    if rule == "zebra":
        for k in range(0, count, 2):
            window.canvas.fill(window.left, top + k * high, window.right, top + (k + 1) * high, tint)
    window.y = top + count * high + window.rng.randint(6, 18)
    return [Row(top + k * high, high, tint if rule == "zebra" and k % 2 == 0 else theme.page) for k in range(count)]


def name(window: Window) -> str:
    """What a row is about: a thing, a person or a place not on the screen yet."""
    content = window.content
    for _ in range(8):
        drawn = content.one(
            (content.product, content.person, content.town, content.proper, lambda: f"Invoice {content.rng.randint(1, 999)}")
        )()
        if not any(drawn.casefold() in taken or taken in drawn.casefold() for taken in window.used):
            window.used.add(drawn.casefold())
            return drawn
    raise Overfull("no name is left")


# Bars ------------------------------------------------------------------------------------------------------------------


def top_bar(window: Window) -> None:
    """A site's name, links, a search field, icons and the first letter of somebody's name."""
    content, theme, y = window.content, window.theme, window.y
    paper = content.one((theme.bar, theme.page, theme.page, mixed(theme.page, theme.ink, 0.05)))
    ink, high = ink_on(paper), window.high + 8
    window.canvas.fill(window.left, y, window.right, y + high, paper)
    window.canvas.fill(window.left, y + high - 1, window.right, y + high, theme.line)
    x, end = window.left + 12, window.right - 10
    brand = content.proper()
    window.canvas.write(x, y + 4 + window.pad + window.bold.ascent, brand, window.bold, ink, paper=paper)
    x += window.bold.width(brand) + window.rng.randint(14, 30)
    if content.chance(0.4):
        side = window.high - 4
        cv2.circle(window.canvas.rgb, (end - side // 2, y + high // 2), side // 2, (*window.accent, 0), -1, cv2.LINE_AA)
        end -= side + 8
    taken = {w.label for w in window.widgets if w.kind == "icon"}
    for sign in window.icon_names(window.rng.randint(0, 3)):
        if sign not in taken and end - window.high > x + 60:
            end -= window.high
            window.icon(end, y + 4, sign, paper=paper, ink=ink)
            end -= 4
    if content.chance(0.45) and end - x > 240:
        wide = window.rng.randint(110, 150)
        hint = fitted("Search", window.font, wide - 14)
        window.field("Search", "", (end - wide, y + 4, end, y + 4 + window.high), hint=hint)
        window.used.add("search")
        end -= wide + 10
    for _ in range(window.rng.randint(2, 6)):
        label = window.fresh(LINKS)
        if x + window.font.width(label) > end - 6:
            break
        x = window.text(x, y + 4, label, ink=ink, paper=paper, same_row=True)
        start = x - window.font.width(label)
        window.add("link", label, (start - 2, y + 4, x + 2, y + 4 + window.high))
        x += window.rng.randint(10, 18)
    window.y += high


def crumbs(window: Window) -> None:
    """The way to this page."""
    x = window.left
    for k in range(window.rng.randint(1, 3)):
        label = window.fresh(LINKS)
        if x + window.font.width(label) > window.right - 90:
            raise Overfull("too many crumbs")
        x = window.link(x, window.y, label, same_row=k > 0)
        x = window.text(x + 6, window.y, window.content.one((">", "/", ">")), same_row=True) + 6
    window.text(x, window.y, fitted(window.content.word().capitalize(), window.font, window.right - x), same_row=True)
    window.down(0.9)


def banner(window: Window) -> None:
    """A coloured message with a button or a cross at its end."""
    colour = window.content.one(((255, 244, 206), (223, 246, 221), (253, 231, 233), (221, 235, 252), window.accent))
    box = (window.left, window.y, window.right, window.y + window.high + 8)
    panel(window.canvas, box, colour, mixed(colour, (0, 0, 0), 0.2), window.theme.radius)
    text = fitted(window.content.fragment(6), window.font, window.right - window.left - window.high - 40)
    window.text(window.left + 10, window.y + 4, text, ink=ink_on(colour), paper=colour)
    if not any(w.label == "close" for w in window.widgets):
        window.icon(window.right - window.high - 4, window.y + 4, "close", paper=colour, ink=ink_on(colour))
    window.y = box[3] + window.rng.randint(6, 16)


# Sections --------------------------------------------------------------------------------------------------------------


def settings_rows(window: Window) -> None:
    """A label on the left of each row, its control at the right end."""
    content = window.content
    style = content.one(("check box", "check box", "switch", "mixed", "mixed", "mixed"))
    inset = window.rng.randint(0, 12)
    for row in rows(window, window.rng.randint(2, 8), window.rng.randint(2, 22)):
        kind = style if style != "mixed" else content.one(("check box", "check box", "switch", "choice", "field", "button"))
        y, left, right = row.top + (row.high - window.high) // 2, window.left + inset, window.right - inset - 2
        if kind in ("check box", "switch"):
            label = window.option()
            if window.font.width(label) > right - left - 70:
                raise Overfull("a label runs into its control")
            if kind == "check box":
                window.check_at_end(left, right, y, label, content.chance(0.5), enabled=content.chance(0.92), paper=row.paper)
            else:
                window.switch(left, right, y, label, content.chance(0.5), paper=row.paper)
        elif kind == "button":
            label = name(window)
            action = str(ACTIONS.pick(window.rng, content.split))
            start = right - window.button_width(action)
            if window.text(left, y, label, paper=row.paper) > start - 8:
                raise Overfull("a row is too long")
            window.button(start, y, action, same_row=True, row=label)
        else:
            _entry(window, left, right, y, row.paper, choice=kind == "choice")


def _entry(window: Window, left: int, right: int, y: int, paper: Colour, *, choice: bool) -> None:
    """A drop-down or a field at the right end of a row."""
    wide = window.rng.randint(90, 200)
    if choice:
        label, options = window.choice()
        value = window.content.one(options)
        wide = max(wide, window.font.width(value) + window.high + 12)
    else:
        ((label, value),) = draw_entries(window.content, 1)
        if label.casefold() in window.used:
            raise Overfull("a label occurs twice")
        window.used.add(label.casefold())
        value = fitted(value, window.font, wide - 14) if window.content.chance(0.8) else ""
    if window.text(left, y, label, paper=paper) > right - wide - 8:
        raise Overfull("a label runs into its control")
    box = (right - wide, y, right, y + window.high)
    if choice:
        window.drop_down(label, value, box)
    else:
        window.field(label, value, box, hint=window.hint(label) if window.content.chance(0.5) else "")


def table(window: Window) -> None:
    """Rows with a check box in front, a name, a detail, a coloured state and buttons or icons, each named by its row."""
    content, money = window.content, window.content.money()
    details: Callable[[], str] = content.one((content.date, content.time, lambda: money.full(content.cents()), content.town))
    boxed, stated, detailed = content.chance(0.35), content.chance(0.4), content.chance(0.7)
    signs = [s for s in SIGNS if s in window.hand] if content.chance(0.5) else []
    signs = window.rng.sample(signs, min(len(signs), window.rng.randint(1, 2)))
    count = 0 if signs else content.one((0, 1, 1, 2))
    actions = [window.fresh(ACTIONS) for _ in range(count)]
    linked = content.chance(0.3) and not boxed
    wide = sum(window.button_width(a) + 6 for a in actions) + len(signs) * (window.high + 4)
    middle = window.left + int((window.right - window.left - wide) * 0.5)
    third = window.left + int((window.right - window.left - wide) * 0.76)
    for row in rows(window, window.rng.randint(2, 8), window.rng.randint(0, 12)):
        y, x = row.top + (row.high - window.high) // 2, window.left + 6
        label = name(window)
        if boxed:
            end = window.check_box(x, y, label, content.chance(0.5), paper=row.paper)
        elif linked:
            end = window.link(x, y, label, paper=row.paper)
        else:
            end = window.text(x, y, label, paper=row.paper)
        if end > middle - 6:
            raise Overfull("a row is too long")
        if detailed and window.text(middle, y, details(), paper=row.paper, same_row=True) > third - 6:
            raise Overfull("a row is too long")
        if stated:
            _badge(window, third, y, content.one(STATES), window.right - wide - 4)
        x = window.right - wide
        for action in actions:
            x = window.button(x, y, action, same_row=True, row=label) + 6
        for sign in signs:
            x = window.icon(x, y, sign, paper=row.paper, ink=ink_on(row.paper), row=label) + 4


def _badge(window: Window, x: int, y: int, text: str, end: int) -> None:
    colour = window.content.one(VIVID)
    width = window.font.width(text)
    if x + width + 12 > end:
        raise Overfull("no room for a badge")
    panel(window.canvas, (x, y + 2, x + width + 12, y + window.high - 2), colour, colour, window.content.one((4, window.high // 2)))
    window.text(x + 6, y, text, ink=ink_on(colour), paper=colour, same_row=True)


def cards(window: Window) -> None:
    """A grid of cards, each with a title, a detail and a button that is called alike on all."""
    content, theme, money = window.content, window.theme, window.content.money()
    columns = min(window.rng.randint(2, 4), (window.right - window.left) // 130)
    gap = window.rng.randint(8, 16)
    wide = (window.right - window.left - gap * (columns - 1)) // max(1, columns)
    pictured = window.rng.choice((0, 0, 36, 60))
    tall = pictured + 3 * window.high + 12
    call, lines = str(CALLS.pick(window.rng, content.split)), min(window.rng.randint(1, 2), (window.bottom - window.y) // (tall + gap))
    if lines < 1 or columns < 1 or window.button_width(call) > wide - 12:
        raise Overfull("no room for cards")
    signed = content.chance(0.3)
    for k in range(lines * columns):
        x, y = window.left + (k % columns) * (wide + gap), window.y + k // columns * (tall + gap)
        panel(window.canvas, (x, y, x + wide, y + tall), theme.field, theme.line, theme.radius)
        if pictured:
            window.canvas.fill(x + 1, y + 1, x + wide - 1, y + pictured, content.one(VIVID))
        title = name(window)
        window.text(x + 8, y + pictured + 4, fitted(title, window.font, wide - 14), paper=theme.field)
        if window.font.width(title) > wide - 14:
            raise Overfull("a title is too long for its card")
        window.text(x + 8, y + pictured + 4 + window.high, money.full(content.cents()), paper=theme.field)
        foot = y + pictured + 6 + 2 * window.high
        if signed:
            window.icon(x + 8, foot, "favourite" if "favourite" in window.hand else window.icon_names(1)[0], row=title)
        else:
            window.button(x + 8, foot, call, primary=content.chance(0.5), row=title)
    window.y += lines * (tall + gap) + 4


def grid(window: Window) -> None:
    """Fields in two columns with their labels above."""
    content, half = window.content, (window.right - window.left - 16) // 2
    drawn = [(label, value) for label, value in draw_entries(content, 6) if label.casefold() not in window.used]
    for k, (label, value) in enumerate(drawn[: window.rng.randint(2, 6)]):
        x = window.left + (k % 2) * (half + 16)
        if k % 2 == 0:
            if not window.room(2.4):
                return
            y = window.y
        window.used.add(label.casefold())
        if window.font.width(label) > half:
            raise Overfull("a label is too long")
        window.text(x, y, label)
        top = y + window.line + window.pad + 3
        shown = fitted(value, window.font, half - 14) if content.chance(0.7) else ""
        box = (x, top, x + half, top + window.high)
        window.field(
            label, shown, box, same_row=False, hint=fitted(window.hint(label), window.font, half - 14) if content.chance(0.5) else ""
        )
        window.y = top + window.high + 8


def tools(window: Window) -> None:
    """A row of icons or buttons, perhaps with a field for searching at its end."""
    if window.content.chance(0.5):
        window.tool_bar()
    else:
        x = window.left
        for k in range(window.rng.randint(2, 4)):
            label = window.fresh(BUTTONS)
            if x + window.button_width(label) > window.right:
                break
            x = window.button(x, window.y, label, enabled=window.content.chance(0.8), same_row=k > 0) + 8
        window.down()


def pages(window: Window) -> None:
    """Back and forth between pages of a list."""
    many = window.rng.randint(2, 40)
    left, right = window.content.one((("Previous", "Next"), ("Newer", "Older"), ("Back", "Forward")))
    if {left.casefold(), right.casefold()} & window.used:
        return
    window.used |= {left.casefold(), right.casefold()}
    here = window.rng.randint(1, many)
    x = window.button(window.left, window.y, left, enabled=here > 1)
    x = window.text(x + 10, window.y, f"Page {here} of {many}", same_row=True)
    window.button(x + 10, window.y, right, enabled=here < many, same_row=True)
    window.down()


def foot(window: Window) -> None:
    """The buttons that end a page, one of them filled."""
    labels = [window.fresh(ENDS) for _ in range(window.rng.randint(1, 3))]
    total = sum(window.button_width(label) + 10 for label in labels)
    if total > window.right - window.left:
        raise Overfull("too many buttons")
    x = window.content.one((window.left, window.right - total + 10, window.right - total + 10))
    primary = window.rng.choice((0, len(labels) - 1))
    for k, label in enumerate(labels):
        x = window.button(x, window.y, label, primary=k == primary, enabled=window.content.chance(0.85), same_row=k > 0) + 10
    window.down()


SECTIONS: tuple[tuple[Callable[[Window], None], int], ...] = (
    *((settings_rows, 9), (table, 7), (cards, 4), (grid, 4), (tools, 2), (Window.radios, 3), (Window.drop_downs, 2)),
    *((lambda window: window.checks(window.rng.randint(2, 4)), 3), (Window.levels, 3), (Window.heading, 2), (Window.note, 1)),
)


def composed(window: Window) -> None:
    """A page of one to four sections."""
    content = window.content
    bar = content.one((top_bar, top_bar, Window.title_bar, None))
    if bar:
        bar(window)
    if window.right - window.left > 480 and content.chance(0.25):
        window.side_bar()
    if content.chance(0.25):
        labels = [window.fresh(TABS) for _ in range(window.rng.randint(2, 4))]
        window.tabs(window.left + 6, window.right - 6, window.y + 6, labels, window.rng.randrange(len(labels)))
        window.y += window.high + 8
    window.inset()
    for piece, share in ((crumbs, 0.15), (Window.heading, 0.4), (banner, 0.12)):
        if content.chance(share) and window.room(2):
            piece(window)
    makers, weights = zip(*SECTIONS, strict=True)
    for section in dict.fromkeys(window.rng.choices(makers, weights, k=window.rng.randint(1, 4))):
        if window.room(3):
            section(window)
    if content.chance(0.15) and window.room(1.3):
        pages(window)
    if content.chance(0.55) and window.room(1.3):
        foot(window)
