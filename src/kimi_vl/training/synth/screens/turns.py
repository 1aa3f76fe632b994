"""What can be asked about a window: where to click, what is on, what is written where, and what is not there.

Instructions about absent widgets are refused; points are the middle of the widget that is meant.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.pictures.icons import ICONS
from kimi_vl.training.synth.places import box_at, point_at
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.screens.widgets import Widget

PRESSED = (
    *("button", "icon", "tab", "menu", "menu item", "drop-down", "field"),
    *("check box", "radio button", "switch", "row", "slider", "entry", "app", "link"),
)
MARKED = ("radio button", "tab", "entry", "row")
ABSENT = {
    "button": ("Save", "Cancel", "Print", "Delete", "Open", "Next", "Apply", "Help", "Send", "Export", "Restore", "Accept"),
    "switch": ("Dark mode", "Bluetooth", "Sounds", "Wi-Fi", "Backup", "Night light"),
    "check box": ("Remember me", "Word wrap", "Newsletter", "Read only", "Subtitles", "Autoplay"),
    "field": ("Name", "Email", "City", "Phone", "Password", "Amount", "Country", "Tracking code"),
    "tab": ("Privacy", "General", "Network", "About", "Security", "Plugins"),
    "menu": ("File", "Edit", "View", "Tools", "Project", "Window"),
}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
INTENDING = ("button", "icon", "menu item", "entry", "tab", "link", "app")
# What somebody wants: labels that serve him, others that might as well, and how he says it. Nothing is asked where two are on a screen.
_GOALS = (
    ("cancel|discard|not now|dismiss", "close|no|skip|back|decline|reset|log out", "leave without saving|give up my changes"),
    (
        "save|save changes|apply",
        "ok|yes|submit|finish|accept|update|done|save as|send|publish|continue|next",
        "keep my changes|store what I entered",
    ),
    ("print|printer", "export|download pdf", "get this on paper|make a paper copy"),
    ("delete|remove|trash|delete account", "clear|uninstall|cut|close|archive|discard", "get rid of this|throw this away"),
    ("search|find|magnifier", "zoom|filter|go|browse", "look something up|search for something"),
    ("help|support", "question|info|about|learn|docs|contact|forum|faq|learn more", "get help|find out how this works"),
    ("undo", "revert|back|history|reset|restore|arrow left", "take back my last step"),
    ("redo", "forward|repeat|refresh|retry|arrow right", "do again what I took back"),
    ("copy", "duplicate|cut|paste|link", "put a copy into the clipboard"),
    ("paste", "insert|copy", "put in what I copied"),
    ("download", "export|save as|arrow down|install|get it|import|downloads|save|cloud", "fetch this to my computer"),
    ("upload", "import|arrow up|cloud|browse|attach|share|add", "put a file of mine online"),
    ("send", "submit|mail|reply|share|publish|post|ok", "send this off"),
    ("share|invite", "link|send|copy|mail|publish|forward", "let others see this|pass this on to a friend"),
    ("next|continue", "forward|proceed|arrow right|older|finish|ok|skip", "go to the next step"),
    ("reset|restore defaults", "restore|revert|undo|refresh|clear|cancel", "start over with the defaults"),
    ("refresh|retry|try again", "reload|reset|update|repeat", "load this again|make another attempt"),
    (
        "settings|properties|options|preferences",
        "general|account|tools|advanced|format|edit|sliders|more",
        "change how this program behaves|adjust the preferences",
    ),
    ("home", "start|overview|back", "go to the start page"),
    ("user|profile|account", "users|person|contact|settings|log in|sign in|log out", "see my profile"),
    ("bell|notifications", "alarm|messages|news|updates|mail|status", "see what is new"),
    ("shopping cart|cart", "buy now|add to cart|order|orders|store|shop|bag|buy|products", "see what I am about to buy"),
    ("add|plus|new|create|add new", "insert|compose|invite|zoom in|open|write", "make a new one|add another one"),
    ("install", "download|update|get it|open", "put this program on my computer"),
    ("log in|sign in|login", "enter|go|account|register|user|log out|continue", "get into my account"),
    ("log out", "quit|close|exit|log in|user|back", "leave my account"),
    ("edit|rename", "change|pencil|compose|format|write", "correct this|alter this"),
    ("preview|view", "open|eye|show|details|print", "have a look at it first"),
    ("calendar", "clock|events|date|add event", "look at my appointments"),
    ("photos|gallery", "camera|image|photo|files", "look at pictures"),
    ("music|radio", "sound|play|volume|podcasts|sounds|headphones", "listen to something"),
    ("phone|call", "contact|video|messages", "call somebody"),
    ("favourite|heart|star", "bookmark|like|follow", "mark this as one that I like"),
    ("quit|exit", "close|log out|cancel|x", "end this program"),
)
GOALS = tuple((frozenset(serve.split("|")), frozenset(might.split("|")), tuple(said.split("|"))) for serve, might, said in _GOALS)
CLICKED = {"button": "click_button", "switch": "click_toggle", "check box": "click_toggle", "field": "click_field"}
QUERIED = {"button": "is_enabled", "switch": "is_on", "check box": "is_checked", "field": "field_text"}


class Shown(NamedTuple):
    """Facts of a drawn window; a text that it lacks is empty. `icons` are all names of icons by the hand that drew its own."""

    widgets: tuple[Widget, ...]
    title: str
    status: str
    message: str
    icons: tuple[str, ...] = ICONS


class ScreenTurns:
    """Draws turns about one window; each maker returns None when the window does not allow its question."""

    def __init__(self, content: Content, interview: Interview, shown: Shown) -> None:
        self.content, self.rng = content, content.rng
        self.interview, self.shown = interview, shown

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns, fewer when the window is poor."""
        makers = (
            *((self.click, 28), (self.intent, 8), (self.neighbour, 8), (self.ordinal, 6), (self.of_row, 10), (self.box, 10)),
            *((self.at_place, 6), (self.is_on, 30), (self.is_chosen, 12), (self.chosen, 14), (self.field, 12), (self.enabled, 10)),
            *((self.buttons, 3), (self.checked, 4), (self.title, 3), (self.status, 3), (self.level, 5)),
            *((self.detail, 4), (self.count, 4), (self.read, 4), (self.message, 3), (self.absent, 12), (self.interview.foreign, 2)),
        )
        return self.interview.draw(count, makers) or [self.interview.foreign()]

    def of(self, *kinds: str) -> list[Widget]:
        return [widget for widget in self.shown.widgets if widget.kind in kinds]

    def some(self, *kinds: str) -> Widget | None:
        """One of these kinds whose name no other widget has."""
        found = self.of(*kinds)
        if not found:
            return None
        widget = self.content.one(found)
        return widget if sum(w.label.casefold() == widget.label.casefold() for w in self.shown.widgets) == 1 else None

    def said(self, label: str) -> str:
        return self.rng.choice((label, label, label, f'"{label}"', label.lower()))

    # Places ------------------------------------------------------------------------------------------------------------

    def click(self) -> Turn | None:
        """The kind is drawn first, or long lists would drown everything else."""
        kinds = list(dict.fromkeys(widget.kind for widget in self.of(*PRESSED)))
        if not kinds or not (widget := self.some(self.content.one(kinds))):
            return None
        place = self.shown.widgets.index(widget)
        thought = f"The {widget.called} is there."
        if widget.kind == "icon":
            return self.interview.glance("click_icon", point_at(place), thought, "point", label=widget.label)
        words = f"{self.said(widget.label)} {widget.kind}"
        key = self.content.one((CLICKED.get(widget.kind, "click"), "click"))
        slots = {"thing": words, "label": self.said(widget.label), "state": "off" if widget.on else "on"}
        return self.interview.glance(key, point_at(place), thought, "point", **slots)

    def point_or_box(self, widget: Widget, words: str, thought: str) -> Turn:
        """Where a widget is that `words` single out: mostly a point."""
        place = self.shown.widgets.index(widget)
        if self.content.chance(0.25):
            return self.interview.glance("box_of", box_at(place), thought, "box", thing=words)
        return self.interview.glance("click", point_at(place), thought, "point", thing=words)

    def intent(self) -> Turn | None:
        """Where to click to reach what somebody wants; nothing else on the screen may serve him."""
        served = []
        for serve, might, goals in GOALS:
            found = [w for w in self.shown.widgets if w.label.casefold() in serve | might]
            if len(found) == 1 and found[0].label.casefold() in serve and found[0].kind in INTENDING and found[0].enabled:
                served.append((found[0], goals))
        if not served:
            return None
        widget, goals = self.content.one(served)
        place, thought = self.shown.widgets.index(widget), f"{widget.label} is for that."
        return self.interview.glance("web_goal", point_at(place), thought, "point", goal=self.content.one(goals))

    def neighbour(self) -> Turn | None:
        """A widget by the one of its kind that is next to it, in a row or in a column."""
        if self.of("menu item") or not (widget := self.some(*PRESSED)):
            return None
        same = [w for w in self.of(widget.kind) if w is not widget]
        x0, y0, x1, y1 = widget.box
        row = [w for w in same if abs(w.box[1] + w.box[3] - y0 - y1) <= 0.5 * (y1 - y0)]
        column = [w for w in same if abs(w.box[0] - x0) <= 6 or abs(w.box[2] - x1) <= 4]
        sides = {
            "to the right of": min((w for w in row if w.box[0] >= x1 - 2), key=lambda w: w.box[0], default=None),
            "to the left of": max((w for w in row if w.box[2] <= x0 + 2), key=lambda w: w.box[2], default=None),
            "below": min((w for w in column if w.box[1] >= y1 - 2), key=lambda w: w.box[1], default=None),
            "above": max((w for w in column if w.box[3] <= y0 + 2), key=lambda w: w.box[3], default=None),
        }
        found = [(side, other) for side, other in sides.items() if other]
        if not found:
            return None
        side, other = self.content.one(found)
        words = f"{widget.kind} {side} {self.said(widget.label)}"
        return self.point_or_box(other, words, f"{side.capitalize()} {widget.label} I see {other.label or 'it'}.")

    def ordinal(self) -> Turn | None:
        """The first, second or last of a kind whose widgets stand in one row or in one column."""
        kinds = [kind for kind, count in Counter(w.kind for w in self.of(*PRESSED)).items() if count > 1]
        if not kinds:
            return None
        kind = self.content.one(kinds)
        found = self.of(kind)
        high, first = min(w.box[3] - w.box[1] for w in found), found[0].box
        if all(abs(w.box[1] + w.box[3] - first[1] - first[3]) <= high for w in found):
            ordered, start, end = sorted(found, key=lambda w: w.box[0]), "from the left", "rightmost"
        elif all(abs(w.box[0] - first[0]) <= 8 or abs(w.box[2] - first[2]) <= 8 for w in found):
            ordered, start, end = sorted(found, key=lambda w: w.box[1]), "from the top", "lowest"
        else:
            return None
        k = self.rng.randrange(len(ordered))
        names = [f"{ORDINALS[k]} {kind} {start}"] if k < len(ORDINALS) else []
        names += [f"{end} {kind}", f"last {kind}"] if k == len(ordered) - 1 else []
        if not names:
            return None
        counted = ", ".join(w.label for w in ordered[: k + 1]) if kind != "field" else f"there are {len(ordered)}"
        return self.point_or_box(ordered[k], self.content.one(names), f"In order: {counted}.")

    def of_row(self) -> Turn | None:
        """A button or an icon of a row or a card, which others have as well."""
        found = [w for w in self.shown.widgets if w.row and w.kind in PRESSED]
        if not found:
            return None
        widget = self.content.one(found)
        same = [w for w in found if (w.kind, w.label.casefold(), w.row) == (widget.kind, widget.label.casefold(), widget.row)]
        if len(same) > 1:
            return None
        form = self.content.one(("{} {} in the row of {}", "{} {} for {}", "{} {} of {}", "{} {} next to {}"))
        words = form.format(self.said(widget.label), widget.kind, self.said(widget.row))
        return self.point_or_box(widget, words, f"It stands with {widget.row}.")

    def box(self) -> Turn | None:
        if not (widget := self.some(*PRESSED)):
            return None
        place, words = self.shown.widgets.index(widget), f"{self.said(widget.label)} {widget.kind}"
        return self.interview.glance("box_of", box_at(place), f"The {widget.called} is there.", "box", thing=words)

    def at_place(self) -> Turn | None:
        """The point is in one widget only, unless menus cover others."""
        if self.of("menu item") or not (widget := self.some(*PRESSED)):
            return None
        where = self.content.one((point_at, point_at, box_at))(self.shown.widgets.index(widget))
        return self.interview.glance("widget_at", widget.called, f"The {widget.called} is there.", "find", where=where)

    # States ------------------------------------------------------------------------------------------------------------

    def evenly(self, kinds: tuple[str, ...], state: Callable[[Widget], bool]) -> Widget | None:
        """A widget by its name, as often of those for which `state` is true as of the others."""
        wanted = self.content.chance(0.5)
        named = Counter(w.label.casefold() for w in self.shown.widgets)
        found = [w for w in self.of(*kinds) if state(w) == wanted and named[w.label.casefold()] == 1]
        return self.content.one(found) if found else None

    def is_chosen(self) -> Turn | None:
        """Whether one of several is the chosen one."""
        kind = self.content.one(("radio button", "radio button", "tab", "entry", "row"))
        if not any(w.on for w in self.of(kind)) or not (widget := self.evenly((kind,), lambda w: w.on)):
            return None
        thought = f"{widget.label} is {'marked' if widget.on else 'not marked'}."
        words = f"{self.said(widget.label)} {kind}"
        return self.interview.glance(
            "is_selected", "Yes." if widget.on else "No.", thought, "state", thing=words, label=self.said(widget.label)
        )

    def is_on(self) -> Turn | None:
        if not (widget := self.evenly(("switch", "check box"), lambda w: w.on)):
            return None
        state = ("on" if widget.on else "off") if widget.kind == "switch" else "checked" if widget.on else "not checked"
        key = "is_on" if widget.kind == "switch" else "is_checked"
        return self.interview.glance(
            key, "Yes." if widget.on else "No.", f"{widget.label} is {state}.", "state", label=self.said(widget.label)
        )

    def chosen(self) -> Turn | None:
        """Which tab is open, which option or row is chosen, what a drop-down shows."""
        options = [*self.of("drop-down"), *(widget for widget in self.of(*MARKED) if widget.on)]
        if not options:
            return None
        widget = self.content.one(options)
        if widget.kind == "drop-down":
            return self.interview.lookup("chosen_option", widget.value, widget.value, "state", label=widget.label)
        if widget.kind == "radio button":
            return self.interview.glance("chosen_option", widget.label, f"{widget.label} is marked.", "state", label=widget.value)
        key = {"tab": "open_tab", "entry": "open_entry"}.get(widget.kind, "chosen_row")
        return self.interview.glance(key, widget.label, f"{widget.label} stands out.", "state")

    def enabled(self) -> Turn | None:
        if all(w.enabled for w in self.shown.widgets):
            return None
        if not (widget := self.evenly(("button", "check box", "menu item"), lambda w: w.enabled)):
            return None
        state = "can be used" if widget.enabled else "is greyed out"
        words = f"{self.said(widget.label)} {widget.kind}"
        return self.interview.glance("is_enabled", "Yes." if widget.enabled else "No.", f"{widget.label} {state}.", "state", thing=words)

    def checked(self) -> Turn | None:
        """All checked boxes or all switches that are on, from top to bottom."""
        kind = self.content.one(("check box", "switch"))
        widgets = self.of(kind)
        if len(widgets) < 2:
            return None
        trace = "\n".join(f"{w.label}: {'yes' if w.on else 'no'}" for w in widgets)
        answer = ", ".join(w.label for w in widgets if w.on) or "None."
        return self.interview.work("list_checked" if kind == "check box" else "list_on", answer, trace, "state", trivial=True)

    # Texts -------------------------------------------------------------------------------------------------------------

    def field(self) -> Turn | None:
        if not (widget := self.some("field")) or widget.label == "Password" or widget.hint:
            return None
        label = self.said(widget.label)
        if not widget.value:
            return self.interview.glance("field_text", "It is empty.", f"Nothing is in the {widget.label} field.", "state", label=label)
        return self.interview.glance("field_text", widget.value, f"{widget.label}: {widget.value}", "field", label=label)

    def level(self) -> Turn | None:
        if not (widget := self.some("slider", "progress bar")):
            return None
        return self.interview.glance("level", widget.value, f"{widget.label} is at {widget.value}.", "field", label=widget.label)

    def detail(self) -> Turn | None:
        if not (widget := self.some("row")) or not widget.value:
            return None
        return self.interview.glance("row_detail", widget.value, f"{widget.label} {widget.value}", "field", label=widget.label)

    def title(self) -> Turn | None:
        return self.interview.lookup("window_title", self.shown.title, self.shown.title, "title") if self.shown.title else None

    def status(self) -> Turn | None:
        return self.interview.lookup("status_bar", self.shown.status, self.shown.status) if self.shown.status else None

    def message(self) -> Turn | None:
        return self.interview.read(self.shown.message, "message") if self.shown.message else None

    def read(self) -> Turn | None:
        return self.interview.read(self.interview.text) if self.interview.text else None

    # Counts and lists --------------------------------------------------------------------------------------------------

    def buttons(self) -> Turn | None:
        """Labels of all buttons, or of all menus, tabs or menu items, in reading order."""
        kind = self.content.one(("button", "button", "menu", "tab", "menu item", "app"))
        if not (widgets := self.of(kind)):
            return None
        answer = ", ".join(w.label for w in widgets)
        return self.interview.glance("list_widgets", answer, f"I see {len(widgets)}.", "find", things=f"{kind}s")

    def count(self) -> Turn | None:
        kind, things = self.content.one(
            (("button", "buttons"), ("check box", "check boxes"), ("switch", "switches"), ("field", "text fields"), ("tab", "tabs"))
        )
        if not (widgets := self.of(kind)):
            return None
        trace = "\n".join(f"{k}. {w.label}" for k, w in enumerate(widgets, 1))
        return self.interview.glance("count_widgets", str(len(widgets)), trace, "count", things=things)

    def absent(self) -> Turn | None:
        """A widget whose label stands nowhere on the screen."""
        if self.content.chance(0.3):
            name = self.content.one(self.shown.icons)
            if name == "close" and self.shown.title:  # a title bar's coloured dots close it, too
                return None
            if any(name in (w.label.casefold(), w.value) for w in self.shown.widgets) or not self.interview.lacks(name):
                return None
            return self.interview.refuse("click_icon", f"There is no {name} icon.", label=name)
        kind = self.content.one(list(ABSENT))
        label = self.content.one(ABSENT[kind])
        if not self.interview.lacks(label) or any(w.label.casefold() == label.casefold() for w in self.shown.widgets):
            return None
        words = f"{self.said(label)} {kind}"
        key = self.content.one(("click", "box_of", QUERIED.get(kind, "click")))
        return self.interview.refuse(key, f"There is no {label} {kind}.", thing=words, label=label)
