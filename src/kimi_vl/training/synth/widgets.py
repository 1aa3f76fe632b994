"""Widgets of a window: drawn in a theme, remembered with label, state and box."""

from typing import NamedTuple

import cv2

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.content import Choice, Content, sized
from kimi_vl.training.synth.icons import ICONS, SETS, Tile, draw_icon, stamp, tiles
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.themes import Box, Theme, bevel, draw_theme, ink_on, mixed, panel

CHECKS = Choice(("tick", "tick", "cross"), ("square",))
KNOBS = Choice(("pill", "pill", "slim"), ("box",))
ARROWS = Choice(("triangle", "chevron"), ("button",))
SIGNS = 24  # a set of icons with fewer cannot fill a screen


class Widget(NamedTuple):
    """Something to look at or click: kind ("button", "check box"), label, box (pixels), value, whether it is on or chosen.

    `value` is the text of a field, the detail of a row, the heading of a radio button, the icon of an app.
    """

    kind: str
    label: str
    box: Box
    value: str = ""
    on: bool = False
    enabled: bool = True

    @property
    def called(self) -> str:
        return f"{self.label} {self.kind}"


class Screen:
    """A canvas with a theme and fonts, on which widgets are drawn."""

    def __init__(self, content: Content, width: int, height: int) -> None:
        self.content, self.rng = content, content.rng
        self.theme: Theme = draw_theme(content)
        self.canvas = Canvas(width, height, self.theme.page)
        face = content.face(("sans", "sans", "sans", "sans", "condensed", "serif", "mono"))
        self.font: Font = content.font(face, 13, 18)
        self.bold: Font = sized(content.sibling(face, bold=True), self.font.size)
        self.accent: Colour = content.one(self.theme.accents)
        self.icons = str(SETS.pick(self.rng, content.split))
        hands = [icons for icons in content.pack.icons(content.split) if icons.kind == "signs" and len(icons.names) >= SIGNS]
        self.signs: dict[str, Tile] = tiles(content.one(hands)) if hands and content.chance(0.6) else {}
        self.mark = str(CHECKS.pick(self.rng, content.split))
        self.knobs = str(KNOBS.pick(self.rng, content.split))
        self.arrows = str(ARROWS.pick(self.rng, content.split))
        self.pad = self.rng.randint(4, 8)
        self.line = self.font.ascent + self.font.descent
        self.high = self.line + 2 * self.pad
        self.widgets: list[Widget] = []

    def text(self, x: int, top: int, text: str, *, ink: Colour | None = None, paper: Colour | None = None, same_row: bool = False) -> int:
        """Print on a line of height `self.high` that starts at `top`; returns where it ends."""
        ink = ink or self.theme.ink
        return self.canvas.write(x, top + self.pad + self.font.ascent, text, self.font, ink, paper=paper, same_row=same_row)

    def add(self, kind: str, label: str, box: Box, value: str = "", *, on: bool = False, enabled: bool = True) -> None:
        if box[0] < 0 or box[1] < 0 or box[2] > self.canvas.width or box[3] > self.canvas.height:
            raise Overfull(f"{label} {kind} leaves the screen")
        self.widgets.append(Widget(kind, label, box, value, on, enabled))

    # Buttons and bars --------------------------------------------------------------------------------------------------

    def button_width(self, label: str) -> int:
        return self.font.width(label) + 4 * self.pad + 8

    def button(self, x: int, top: int, label: str, *, primary: bool = False, enabled: bool = True, same_row: bool = False) -> int:
        """Returns its right edge."""
        theme, box = self.theme, (x, top, x + self.button_width(label), top + self.high)
        fill = self.accent if primary and enabled else mixed(theme.page, theme.ink, 0.08)
        ink = ink_on(self.accent) if primary and enabled else theme.ink if enabled else mixed(fill, theme.ink, 0.42)
        if theme.edge == "bevel":
            fill, ink = theme.page, theme.ink if enabled else mixed(theme.page, theme.ink, 0.42)
            bevel(self.canvas, box, fill, raised=True)
        else:
            panel(self.canvas, box, fill, fill if primary or theme.edge == "flat" else theme.line, theme.radius)
        self.text(x + 2 * self.pad + 4, top, label, ink=ink, paper=fill, same_row=same_row)
        self.add("button", label, box, enabled=enabled)
        return box[2]

    def icon(self, x: int, top: int, name: str, *, paper: Colour | None = None, ink: Colour | None = None) -> int:
        """An icon button, as high as a line with its padding; returns its right edge."""
        side, inset = self.high, max(4, self.high // 6)
        box = (x, top, x + side, top + side)
        if paper is None and self.theme.edge == "bevel":
            bevel(self.canvas, box, self.theme.page, raised=True)
        self.draw_sign(name, (x + inset, top + inset, x + side - inset, top + side - inset), ink or self.theme.ink, self.icons)
        self.add("icon", name, box)
        return box[2]

    def draw_sign(self, name: str, box: Box, ink: Colour, style: str) -> None:
        """An icon of the pack's set, where the screen has one, or of strokes in `style`."""
        if name in self.signs:
            stamp(self.canvas, self.signs[name], box[0], box[1], min(box[2] - box[0], box[3] - box[1]), ink)
        else:
            draw_icon(self.canvas, name, box, ink, style)

    def icon_names(self, count: int) -> list[str]:
        return self.rng.sample(tuple(self.signs) or ICONS, count)

    def menu_bar(self, left: int, top: int, labels: list[str], paper: Colour) -> None:
        x = left + self.pad
        for k, label in enumerate(labels):
            end = self.text(x + 6, top, label, ink=ink_on(paper), paper=paper, same_row=k > 0)
            self.add("menu", label, (x, top, end + 6, top + self.high))
            x = end + 8

    def tabs(self, left: int, right: int, top: int, labels: list[str], chosen: int) -> None:
        """A row of tabs; the open one stands out."""
        theme, x = self.theme, left
        self.canvas.fill(left, top + self.high - 1, right, top + self.high, theme.line)
        for k, label in enumerate(labels):
            box = (x, top, x + self.font.width(label) + 24, top + self.high)
            if box[2] > right:
                raise Overfull("too many tabs")
            on = k == chosen
            if theme.edge in ("under", "flat"):
                ink, paper = theme.ink if on else mixed(theme.page, theme.ink, 0.6), theme.page
                if on:
                    self.canvas.fill(box[0], box[3] - 3, box[2], box[3], self.accent)
            else:
                paper = theme.field if on else mixed(theme.page, theme.ink, 0.1)
                ink = theme.ink
                panel(self.canvas, (box[0], box[1] + (0 if on else 2), box[2], box[3]), paper, theme.line, 0)
                self.canvas.fill(box[0] + 1, box[3] - 1, box[2] - 1, box[3], paper)
                if on:
                    self.canvas.fill(box[0], box[1], box[2], box[1] + 2, self.accent)
            self.text(x + 12, top, label, ink=ink, paper=paper, same_row=k > 0)
            self.add("tab", label, box, on=on)
            x = box[2] + (0 if theme.edge == "line" else 2)

    # Controls ----------------------------------------------------------------------------------------------------------

    def _well(self, box: Box, *, lit: bool = False) -> None:
        """Where text is typed."""
        theme = self.theme
        if theme.edge == "bevel":
            bevel(self.canvas, box, theme.field, raised=False)
        elif theme.edge == "under":
            self.canvas.fill(*box, theme.field)
            self.canvas.fill(box[0], box[3] - (2 if lit else 1), box[2], box[3], self.accent if lit else theme.line)
        else:
            panel(self.canvas, box, theme.field, self.accent if lit else theme.line, theme.radius)

    def field(self, label: str, value: str, box: Box, *, secret: bool = False, lit: bool = False, same_row: bool = True) -> None:
        """A text field after its label; a secret one shows dots."""
        self._well(box, lit=lit)
        x, middle = box[0] + 7, (box[1] + box[3]) // 2
        if secret:
            for k in range(len(value)):
                cv2.circle(self.canvas.rgb, (x + 4 + 9 * k, middle), 3, (*self.theme.ink, 0), -1, cv2.LINE_AA)
        elif value and self.text(x, box[1], value, paper=self.theme.field, same_row=same_row) > box[2] - 4:
            raise Overfull("a value leaves its field")
        self.add("field", label, box, value)

    def drop_down(self, label: str, value: str, box: Box, *, same_row: bool = True) -> None:
        self._well(box)
        if self.text(box[0] + 7, box[1], value, paper=self.theme.field, same_row=same_row) > box[2] - self.high:
            raise Overfull("a value leaves its drop-down")
        x, y = box[2] - self.high // 2, (box[1] + box[3]) // 2
        ink = (*self.theme.ink, 0)
        if self.arrows == "button":
            self.canvas.fill(box[2] - self.high + 2, box[1] + 2, box[2] - 2, box[3] - 2, self.accent)
            ink = (*ink_on(self.accent), 0)
        for k in range(5) if self.arrows != "chevron" else ():
            cv2.line(self.canvas.rgb, (x - 4 + k, y - 2 + k), (x + 4 - k, y - 2 + k), ink)
        if self.arrows == "chevron":
            cv2.line(self.canvas.rgb, (x - 4, y - 2), (x, y + 2), ink, 1, cv2.LINE_AA)
            cv2.line(self.canvas.rgb, (x, y + 2), (x + 4, y - 2), ink, 1, cv2.LINE_AA)
        self.add("drop-down", label, box, value)

    def check_box(self, x: int, top: int, label: str, on: bool, *, enabled: bool = True, group: str = "", same_row: bool = False) -> int:
        """A check box or, with a `group`, a radio button, left of its label; returns its right edge."""
        kind = "radio button" if group else "check box"
        side = min(self.line, 18)
        y = top + (self.high - side) // 2
        ink = self.theme.ink if enabled else self.theme.faint
        middle, r = (x + side // 2, y + side // 2), side // 2
        if kind == "radio button":
            cv2.circle(self.canvas.rgb, middle, r, (*(self.accent if on else ink), 0), -1, cv2.LINE_AA)
            cv2.circle(self.canvas.rgb, middle, r - 2, (*self.theme.field, 0), -1, cv2.LINE_AA)
            if on:
                cv2.circle(self.canvas.rgb, middle, r - 4, (*self.accent, 0), -1, cv2.LINE_AA)
        else:
            filled = on and self.theme.edge != "bevel"
            panel(self.canvas, (x, y, x + side, y + side), self.accent if filled else self.theme.field, self.accent if filled else ink, 3)
            mark = (*(ink_on(self.accent) if filled else self.theme.ink), 0)
            if on:
                self._mark(x, y, side, mark)
        end = self.text(x + side + 7, top, label, ink=ink, same_row=same_row)
        self.add(kind, label, (x, top, end, top + self.high), group, on=on, enabled=enabled)
        return end

    def _mark(self, x: int, y: int, side: int, ink: tuple[int, ...]) -> None:
        def at(u: float, v: float) -> tuple[int, int]:
            return (x + round(side * u), y + round(side * v))

        rgb = self.canvas.rgb
        if self.mark == "tick":
            cv2.line(rgb, at(0.22, 0.5), at(0.42, 0.72), ink, 2, cv2.LINE_AA)
            cv2.line(rgb, at(0.42, 0.72), at(0.78, 0.26), ink, 2, cv2.LINE_AA)
        elif self.mark == "cross":
            cv2.line(rgb, at(0.25, 0.25), at(0.72, 0.72), ink, 2, cv2.LINE_AA)
            cv2.line(rgb, at(0.72, 0.25), at(0.25, 0.72), ink, 2, cv2.LINE_AA)
        else:
            cv2.rectangle(rgb, at(0.28, 0.28), at(0.66, 0.66), ink, -1)

    def switch(self, left: int, right: int, top: int, label: str, on: bool) -> None:
        """The label on the left and a switch on the right."""
        self.text(left, top, label)
        high = min(22, self.line + 2)
        wide = high * 2 - 4
        y = top + (self.high - high) // 2
        box = (right - wide, y, right, y + high)
        off = mixed(self.theme.page, self.theme.ink, 0.4)
        radius = 2 if self.knobs == "box" else high // 2
        track = (box[0], y + high // 3, right, y + high - high // 3) if self.knobs == "slim" else box
        panel(self.canvas, track, self.accent if on else off, self.accent if on else off, radius)
        x = right - high // 2 if on else box[0] + high // 2
        knob = (255, 255, 255) if self.knobs != "slim" else self.accent if on else self.theme.ink
        if self.knobs == "box":
            self.canvas.fill(x - high // 2 + 2, y + 2, x + high // 2 - 2, y + high - 2, knob)
        else:
            cv2.circle(self.canvas.rgb, (x, y + high // 2), high // 2 - (0 if self.knobs == "slim" else 3), (*knob, 0), -1, cv2.LINE_AA)
        self.add("switch", label, box, on=on)

    def slider(self, left: int, right: int, top: int, label: str, percent: int, *, progress: bool = False) -> None:
        """A label, a track that is filled up to `percent`, and the number."""
        start = self.text(left, top, label) + 14
        number = f"{percent}%"
        end = right - self.font.width("100%") - 12
        if end - start < 60:
            raise Overfull("no room for a slider")
        y, at = top + self.high // 2, start + round((end - start) * percent / 100)
        half = 4 if progress else 2
        self.canvas.fill(start, y - half, end, y + half, mixed(self.theme.page, self.theme.ink, 0.25))
        self.canvas.fill(start, y - half, at, y + half, self.accent)
        if not progress:
            cv2.circle(self.canvas.rgb, (at, y), 7, (*self.accent, 0), -1, cv2.LINE_AA)
        self.text(end + 12, top, number, same_row=True)
        self.add("progress bar" if progress else "slider", label, (start - 4, y - 9, end + 4, y + 9), number)
