"""Screen recordings: a cursor ticks, switches, presses and types in a small window, where dialogs and messages come and go."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.clips.turns import Event, Part, Tally, Track
from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.documents.lines import fitted
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.screens.themes import ink_on, mixed, panel
from kimi_vl.training.synth.screens.widgets import Screen
from kimi_vl.training.synth.screens.windows import BUTTONS, OPTIONS, TASKS

FIELDS = Choice(("Name", "City", "Search", "Email", "Company", "Code", "Title", "Street"), ("Subject", "Tag", "User"))
NOTES = Choice(
    tuple(
        "Saved|Low battery|Copied|New mail|Connected|Done|Update ready|Sent|No signal|File deleted|Printing|Paused|Disk is full|"
        "Charging|Backup complete|Link copied".split("|")
    ),
    ("Offline", "Message sent", "Restored", "Muted"),
)
POINTER = np.array([(0, 0), (0, 12), (3, 9), (5, 13), (7, 12), (5, 8), (9, 8)], np.int32)  # pixels from the tip
RING = 9  # radius of the circle around a click
MARGIN = 10

Spot = tuple[int, int]


class Recording(Screen):
    """A window with rows of widgets and, for every frame, the state of each."""

    def __init__(self, content: Content, size: tuple[int, int], count: int) -> None:
        super().__init__(content, *size)
        self.width, self.height, self.count = *size, count
        self.pad = self.rng.randint(3, 5)
        self.high = self.line + 2 * self.pad
        self.heading = content.words(self.rng.randint(1, 2)).capitalize()
        self.body, self.foot = self.high + 4, self.height - self.high - 4  # between them are the rows
        self.options: dict[str, tuple[str, int]] = {}  # kind and top by label
        self.buttons: dict[str, Spot] = {}  # left edge and top
        self.field_label, self.bar_label, self.field_top, self.bar_top = "", "", 0, 0
        self.on: dict[str, list[bool]] = {}
        self.typed, self.percents, self.note, self.dialog, self.pressed = [""] * count, [0] * count, [""] * count, [0] * count, [""] * count
        start = (self.rng.randint(self.width // 2, self.width - 20), self.foot + self.rng.randint(0, self.high // 2))  # where text is rare
        self.cursor: list[Spot] = [start] * count
        self.clicks: list[int] = []
        self.dialogs: list[tuple[str, str]] = [("", "")]  # title and message; 0 is none
        self.lay_out()

    def lay_out(self) -> None:
        """Rows of options, perhaps a field and a progress bar, then buttons; as many as there is room for."""
        content, step = self.content, self.high + 3
        kinds = ["buttons", *(["option"] * self.rng.randint(1, 3))]
        kinds += ["field"] * content.chance(0.5) + ["bar"] * content.chance(0.3)
        room = (self.foot - self.body) // step
        kinds = kinds[:1] + self.rng.sample(kinds[1:], min(len(kinds) - 1, room - 1))
        top = self.body + self.rng.randint(0, (room - len(kinds)) * step // 2 + 1)
        style = content.one(("check box", "check box", "switch"))
        for kind in [*kinds[1:], "buttons"]:
            if kind == "option":
                label = self.fresh(OPTIONS)
                self.options[label] = (style, top)
                self.on[label] = [content.chance(0.5)] * self.count
            elif kind == "field":
                self.field_label, self.field_top = self.fresh(FIELDS), top
            elif kind == "bar":
                self.bar_label, self.bar_top = self.fresh(TASKS), top
            else:
                self.lay_buttons(top)
            top += step

    def lay_buttons(self, top: int) -> None:
        x = MARGIN
        for _ in range(self.rng.randint(1, 3)):
            label = self.fresh(BUTTONS)
            if x + self.button_width(label) < self.width - MARGIN:
                self.buttons[label] = (x, top)
                x += self.button_width(label) + 8
        if not self.buttons:
            raise Overfull("no button fits")

    # What happens ------------------------------------------------------------------------------------------------------

    def act(self, k: int, until: int) -> Event:
        """Something at frame k that can happen then, before the next event at `until`."""
        if self.dialog[k]:
            return self.close_dialog(k)
        options: list[Callable[[int, int], Event]] = [
            *[self.press] * 3,
            *[self.toggle] * (4 if self.options else 0),
            *[self.open_dialog] * 2,
        ]
        options += [self.show_note if not self.note[k] else self.hide_note] * 2
        if self.field_label and not self.typed[-1] and until - k >= 2:
            options += [self.type] * 5
        return self.content.one(options)(k, until)

    def click(self, k: int, at: Spot) -> None:
        """The cursor is there from frame k on, and half-way before where nothing happened for a while."""
        start = self.cursor[k]
        if k >= 3 and not any(frame >= k - 2 for frame in self.clicks):
            self.cursor[k - 1] = ((start[0] + at[0]) // 2, (start[1] + at[1]) // 2)
        self.cursor[k:] = [at] * (self.count - k)
        self.clicks.append(k)

    def toggle(self, k: int, until: int) -> Event:
        label = self.content.one(list(self.options))
        kind, top = self.options[label]
        new = not self.on[label][k]
        self.on[label][k:] = [new] * (self.count - k)
        side = min(self.line, 18)
        self.click(k, (MARGIN + side // 2 if kind == "check box" else self.width - MARGIN - side // 2, top + (self.high + side) // 2 - 4))
        words = ("cleared", "ticked") if kind == "check box" else ("turned off", "turned on")
        told, states = f'the {kind} "{label}"', ("off", "on")
        return Event(k, f"is {told} {words[new]}", f"{told} is {words[new]}", f'"{label}" is {states[not new]}', f"it is {states[new]}")

    def press(self, k: int, until: int) -> Event:
        label = self.content.one(list(self.buttons))
        x, top = self.buttons[label]
        self.pressed[k] = label
        self.click(k, (x + self.button_width(label) - 8, top + self.high - 4))
        told = f'the button "{label}"'
        return Event(k, f"is {told} clicked", f"{told} is clicked", f'"{label}" is not pressed', "the cursor clicks it")

    def type(self, k: int, until: int) -> Event:
        """A text that grows until it is complete before the next event."""
        content = self.content
        draw = content.one((content.proper, content.code, lambda: content.words(2), content.town))
        label, left = self.field_label, self.field_left()
        text = fitted(draw(), self.font, self.width - MARGIN - left - 18)
        self.typed[k:] = [text] * (self.count - k)
        steps = min(until - k, self.rng.randint(2, 4))
        for n in range(steps - 1):
            self.typed[k + n] = text[: max(1, len(text) * (n + 1) // steps)].rstrip()
        self.click(k, (self.width - MARGIN - 12, self.field_top + self.high - 5))
        told = f'typing start in the field "{label}"'
        return Event(k, f"does {told}", told.replace("start", "starts", 1), f'the field "{label}" is empty', f'it says "{self.typed[k]}"')

    def open_dialog(self, k: int, until: int) -> Event:
        content, room = self.content, self.width - 4 * MARGIN - 8
        title = fitted(content.words(self.rng.randint(1, 2)).capitalize(), self.bold, room)
        message = fitted(content.fragment(4), self.font, room)
        if '"' in title + message or title in [self.heading, *(known for known, _ in self.dialogs)]:
            raise Overfull("a dialog comes twice")
        self.dialogs.append((title, message))
        self.dialog[k:] = [len(self.dialogs) - 1] * (self.count - k)
        told = f'the dialog "{title}"'
        return Event(k, f"does {told} open", f"{told} opens", "there is no dialog", f"{told} is open")

    def close_dialog(self, k: int) -> Event:
        title, _ = self.dialogs[self.dialog[k]]
        self.dialog[k:] = [0] * (self.count - k)
        told = f'the dialog "{title}"'
        return Event(k, f"does {told} close", f"{told} closes", f"{told} is open", "it is gone")

    def show_note(self, k: int, until: int) -> Event:
        note = self.fresh(NOTES)
        self.note[k:] = [note] * (self.count - k)
        return Event(k, f'does the message "{note}" appear', f'the message "{note}" appears', "there is no message", f'it says "{note}"')

    def hide_note(self, k: int, until: int) -> Event:
        note = self.note[k]
        self.note[k:] = [""] * (self.count - k)
        return Event(k, f'does the message "{note}" disappear', f'the message "{note}" disappears', f'it says "{note}"', "it is gone")

    def fill_bar(self) -> None:
        """The progress bar goes on in every frame, up to 100 at the most."""
        start, step = self.rng.randint(0, 40), self.rng.randint(1, max(2, 90 // self.count))
        self.percents = [min(100, start + step * k) for k in range(self.count)]

    # Drawing -----------------------------------------------------------------------------------------------------------

    def field_left(self) -> int:
        return MARGIN + self.font.width(self.field_label) + 10

    def paint(self, canvas: Canvas, frame: int) -> None:
        self.canvas, canvas.paper = canvas, self.theme.page
        self.widgets.clear()
        canvas.fill(0, 0, self.width, self.height, self.theme.page)
        canvas.fill(0, 0, self.width, self.high, self.theme.bar)
        self.text(MARGIN, 0, self.heading, ink=self.theme.bar_ink, paper=self.theme.bar)
        if self.dialog[frame]:
            self.paint_dialog(*self.dialogs[self.dialog[frame]])
        else:
            self.paint_rows(frame)
        if note := self.note[frame]:
            paper = mixed(self.theme.page, self.theme.ink, 0.85)
            box = (MARGIN, self.foot, MARGIN + self.font.width(note) + 16, self.foot + self.high)
            panel(canvas, box, paper, paper, min(6, self.theme.radius))
            self.text(MARGIN + 8, self.foot, note, ink=ink_on(paper), paper=paper)

    def paint_rows(self, frame: int) -> None:
        right = self.width - MARGIN
        for label, (kind, top) in self.options.items():
            if kind == "switch":
                self.switch(MARGIN, right, top, label, self.on[label][frame])
            elif self.check_box(MARGIN, top, label, self.on[label][frame]) > right:
                raise Overfull("a label leaves the window")
        if self.field_label:
            self.text(MARGIN, self.field_top, self.field_label)
            box = (self.field_left(), self.field_top, right, self.field_top + self.high)
            if box[2] - box[0] < 70:
                raise Overfull("no room for a field")
            self.field(self.field_label, self.typed[frame], box, lit=bool(self.typed[frame]))
        if self.bar_label:
            self.slider(MARGIN, right, self.bar_top, self.bar_label, self.percents[frame], progress=True)
        for n, (label, (x, top)) in enumerate(self.buttons.items()):
            self.button(x, top, label, primary=self.pressed[frame] == label, same_row=n > 0)

    def paint_dialog(self, title: str, message: str) -> None:
        """It covers the rows."""
        left, top, right = 2 * MARGIN, self.body + 4, self.width - 2 * MARGIN
        bottom = top + self.high * 3 + 12
        if bottom > self.foot:
            raise Overfull("no room for a dialog")
        fill = self.theme.field
        self.canvas.fill(0, self.high, self.width, self.foot - 2, mixed(self.theme.page, (0, 0, 0), 0.3))
        panel(self.canvas, (left, top, right, bottom), fill, self.theme.line, self.theme.radius)
        self.canvas.write(left + 8, top + self.pad + self.bold.ascent, title, self.bold, self.theme.ink, paper=fill)
        self.text(left + 8, top + self.high, message, paper=fill)
        self.button(right - 8 - self.button_width("OK"), top + 2 * self.high + 4, "OK", primary=True)

    def point(self, image: np.ndarray, frame: int) -> None:
        """The cursor, with a ring around it where it clicks."""
        at = self.cursor[frame]
        if frame in self.clicks:
            cv2.circle(image, at, RING, self.accent, 2, cv2.LINE_AA)
        cv2.fillPoly(image, [POINTER + at], (255, 255, 255), cv2.LINE_AA)
        cv2.polylines(image, [POINTER + at], True, (0, 0, 0), 1, cv2.LINE_AA)

    # Facts -------------------------------------------------------------------------------------------------------------

    def tracks(self) -> list[Track]:
        frames, covered = range(self.count), [bool(d) for d in self.dialog]
        found = []
        for label, on in self.on.items():
            values = tuple(None if covered[k] else "Yes." if on[k] else "No." for k in frames)
            found.append(Track("on_then", label, values, "state", f'"{label}" on: {{}}'))
        if len(self.on) > 1:
            numbers = tuple(None if covered[k] else str(sum(on[k] for on in self.on.values())) for k in frames)
            found.append(Track("options_then", "", numbers, "count", "the number of options that are on is {}"))
        if any(self.typed):
            values = tuple(None if covered[k] else self.typed[k] or None for k in frames)
            found += [Track("field_then", self.field_label, values, "field", 'it says "{}"', "nothing is to be read there")] * 2
        if self.bar_label:
            values = tuple(None if covered[k] else f"{self.percents[k]}%" for k in frames)
            found.append(Track("shows_then", "progress bar", values, "field", "the progress bar shows {}"))
        if any(covered):
            values = tuple(self.dialogs[d][1] or None for d in self.dialog)
            found += [Track("dialog_then", "", values, "read", 'the dialog says "{}"', "there is no dialog")] * 2
        return found

    def never(self) -> list[tuple[str, str]]:
        pressed = {label for label in self.pressed if label}
        idle = [label for label in self.buttons if label not in pressed] + [self.fresh(BUTTONS)]
        still = [label for label, on in self.on.items() if len(set(on)) == 1]
        pairs = [(f'is the button "{label}" clicked', f'the button "{label}" is clicked') for label in idle]
        for label in still:
            kind, _ = self.options[label]
            word = "ticked" if kind == "check box" else "turned on"
            pairs.append((f'is the {kind} "{label}" {word}', f'the {kind} "{label}" is {word}'))
        note = self.fresh(NOTES)
        return [*pairs, (f'does the message "{note}" appear', f'the message "{note}" appears')]


def recording(content: Content, size: tuple[int, int], plan: Sequence[int], count: int) -> Part:
    """A window in which something happens at each frame of `plan`. Raises Overfull."""
    screen = Recording(content, size, count)
    if screen.bar_label:
        screen.fill_bar()
    ends = [*plan[1:], count]
    events = [screen.act(k, until) for k, until in zip(plan, ends, strict=True)]
    tallies = [Tally("does the cursor click", "the cursor clicks", tuple(screen.clicks))]
    x_height = min(screen.font.x_height, screen.bold.x_height)
    return Part(screen.paint, events, screen.tracks(), tallies, screen.never(), not screen.bar_label, x_height, screen.point)
