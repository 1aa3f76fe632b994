"""What can be asked about a window: where to click, what is on, what is written where, and what is not there.

Instructions about absent widgets are refused; points are the middle of the widget that is meant.
"""

from typing import NamedTuple

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.icons import ICONS
from kimi_vl.training.synth.places import box_at, point_at
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.widgets import Widget

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
            *((self.click, 26), (self.box, 8), (self.at_place, 6), (self.is_on, 12), (self.chosen, 10), (self.field, 10)),
            *((self.enabled, 5), (self.buttons, 4), (self.checked, 4), (self.title, 5), (self.status, 3), (self.level, 5)),
            *((self.detail, 4), (self.count, 4), (self.read, 6), (self.message, 3), (self.absent, 12), (self.interview.foreign, 2)),
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

    def is_on(self) -> Turn | None:
        if not (widget := self.some("switch", "check box")):
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
        if not (widget := self.some("button", "check box", "menu item")):
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
        if not (widget := self.some("field")) or widget.label == "Password":
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
