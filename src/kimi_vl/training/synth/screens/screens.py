"""Screenshots: dialogs, forms, settings, log-in pages, lists, windows with menus, and pages composed of all of these."""

from collections.abc import Callable

from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.documents.lines import fitted
from kimi_vl.training.synth.pictures.icons import ICONS
from kimi_vl.training.synth.places import corners
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Overfull, Turn
from kimi_vl.training.synth.screens.compositions import composed
from kimi_vl.training.synth.screens.turns import ScreenTurns, Shown
from kimi_vl.training.synth.screens.windows import TABS, Window

LOG_IN = Choice(("Log in", "Sign in", "Login"), ("Enter", "Go"))


def dialog(window: Window) -> None:
    """A question with buttons."""
    window.title_bar()
    window.inset()
    window.note()
    if window.content.chance(0.4):
        window.fields(1)
    if window.content.chance(0.5):
        window.checks(1)
    window.buttons(window.rng.randint(1, 3))


def form(window: Window) -> None:
    if window.content.chance(0.6):
        window.title_bar()
    window.inset()
    if window.content.chance(0.4):
        window.heading()
    window.fields(window.rng.randint(2, 6))
    blocks: list[Callable[[], None]] = [window.drop_downs, window.radios, lambda: window.checks(window.rng.randint(1, 3))]
    for block in window.rng.sample(blocks, window.rng.randint(1, 2)):
        if window.room(3):
            block()
    if window.room(1.3):
        window.buttons(window.rng.randint(1, 3))


def settings(window: Window) -> None:
    if window.content.chance(0.7):
        window.title_bar()
    if window.content.chance(0.6):
        labels = [window.fresh(TABS) for _ in range(window.rng.randint(2, 4))]
        window.tabs(window.left + 6, window.right - 6, window.y + 6, labels, window.rng.randrange(len(labels)))
        window.y += window.high + 8
    elif window.right - window.left > 480 and window.content.chance(0.6):
        window.side_bar()
    window.inset()
    blocks: list[Callable[[], None]] = [
        lambda: window.switches(window.rng.randint(1, 5)),
        lambda: window.checks(window.rng.randint(1, 4)),
        window.radios,
        window.drop_downs,
        window.levels,
        window.levels,
        window.heading,
    ]
    for block in window.rng.sample(blocks, window.rng.randint(2, 6)):
        if window.room(2.5):
            block()
    if window.content.chance(0.6) and window.room(1.3):
        window.buttons(window.rng.randint(1, 3))


def log_in(window: Window) -> None:
    """A narrow column in the middle."""
    content, middle = window.content, (window.left + window.right) // 2
    half = window.rng.randint(130, 190)
    window.left, window.right = middle - half, middle + half
    window.y += window.rng.randint(20, 80)
    window.heading()
    name = content.one(("Email", "User name", "Login"))
    for label, value in ((name, content.email()), ("Password", content.number(window.rng.randint(5, 12)))):
        window.used.add(label.casefold())
        window.text(window.left, window.y, label)
        window.y += window.line + window.pad + 3
        box = (window.left, window.y, window.right, window.y + window.high)
        shown = "" if content.chance(0.3) else fitted(value, window.font, 10**6)
        window.field(label, shown, box, secret=label == "Password", same_row=False)
        window.down()
    window.checks(window.rng.randint(0, 1))
    window.buttons(window.rng.randint(0, 1), (str(LOG_IN.pick(window.rng, content.split)),))


def listing(window: Window) -> None:
    """Files, contacts or messages."""
    if window.content.chance(0.7):
        window.title_bar()
    if window.content.chance(0.7):
        window.tool_bar()
    if window.content.chance(0.5):
        window.status_bar()
    window.inset()
    window.rows(window.rng.randint(3, 10))
    if window.content.chance(0.5) and window.room(1.5):
        window.buttons(window.rng.randint(1, 3))


def program(window: Window) -> None:
    """Title, menus, tools, perhaps an open menu."""
    window.title_bar()
    window.menu_strip()
    menu = window.content.one([w for w in window.widgets if w.kind == "menu"])
    if window.content.chance(0.6):
        window.status_bar()
    if window.content.chance(0.5):
        window.pop_up(menu.box[0], menu.box[3])
    elif window.content.chance(0.75):
        window.tool_bar()
    window.inset()
    block: Callable[[], None] = window.content.one((window.note, lambda: window.rows(window.rng.randint(2, 6)), lambda: window.fields(3)))
    block()


def launcher(window: Window) -> None:
    """Apps on a plain page."""
    if window.content.chance(0.3):
        window.title_bar()
    window.inset()
    window.apps()


KINDS: tuple[Callable[[Window], None], ...] = (
    *(dialog, form, form, settings, settings, settings, log_in, listing, program, program, launcher, *(composed,) * 10),
)


def open_window(content: Content) -> tuple[Window, int]:
    """A window of one of the kinds, and the height of the screen (pixels). Raises Overfull."""
    window = Window(content)
    content.one(KINDS)(window)
    if window.y > window.bottom:
        raise Overfull("the window is full")
    window.foot()
    return window, window.cut()


def screen(content: Content) -> Draft:
    """A screenshot, 448 to 672 pixels wide, with 3 to 6 turns. Raises Overfull."""
    window, height = open_window(content)
    shown = Shown(tuple(window.widgets), window.title, window.status, window.message, tuple(window.signs) or ICONS)
    turns = content.rng.randint(3, 6)

    def ask(interview: Interview) -> list[Turn]:
        return ScreenTurns(content, interview, shown).draw(turns)

    outlines = [corners(*widget.box) for widget in window.widgets]
    return Draft(window.canvas, height, min(window.font.x_height, window.bold.x_height), ask, outlines, coloured=True)
