"""Widgets of a window: drawn in a theme, remembered with label, state and box."""

from typing import NamedTuple

import cv2

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.content import Choice, Content, luminance, sized
from kimi_vl.training.synth.pictures.icons import ICONS, SETS, Tile, draw_icon, stamp, tiles
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.screens.themes import Box, Theme, bevel, draw_theme, ink_on, mixed, panel

CHECKS = Choice(("tick", "tick", "cross"), ("square",))
KNOBS = Choice(("pill", "pill", "slim"), ("box",))
ARROWS = Choice(("triangle", "chevron", "chevron"), ("button",))
BOXES = Choice(("theme", "native", "native", "outline"), ("heavy",))  # how check boxes and radio buttons are coloured
BUTTON_LOOKS = Choice(("theme", "theme", "outlined", "raised", "pill"), ("double",))
NATIVE: tuple[Colour, ...] = ((0, 117, 255), (26, 115, 232), (0, 96, 223), (53, 132, 228))  # browsers' own accents
GREY = (118, 118, 118)
SIGNS = 24  # a set of icons with fewer cannot fill a screen


class Widget(NamedTuple):
    """Something to look at or click: kind ("button", "check box"), label, box (pixels), value, whether it is on or chosen.

    `value` is the text of a field, the detail of a row, the heading of a radio button, the icon of an app; `row` is the name
    of the row or card that it acts on, `hint` what an empty field says.
    """

    kind: str
    label: str
    box: Box
    value: str = ""
    on: bool = False
    enabled: bool = True
    row: str = ""
    hint: str = ""

    @property
    def called(self) -> str:
        return f"{self.label} {self.kind}"


class Screen:
    """A canvas with a theme and fonts, on which widgets are drawn."""

    def __init__(self, content: Content, width: int, height: int) -> None:
        self.content, self.rng = content, content.rng
        self.used: set[str] = set()  # labels that are on it, without case
        self.theme: Theme = draw_theme(content)
        self.canvas = Canvas(width, height, self.theme.page)
        face = content.face(("sans", "sans", "sans", "sans", "condensed", "serif", "mono"))
        self.font: Font = content.font(face, 12, 16) if content.chance(0.6) else content.font(face, 13, 24)
        self.bold: Font = sized(content.sibling(face, bold=True), self.font.size)
        self.accent: Colour = content.one(self.theme.accents)
        self.icons = str(SETS.pick(self.rng, content.split))
        hands = [icons for icons in content.pack.icons(content.split) if icons.kind == "signs" and len(icons.names) >= SIGNS]
        self.signs: dict[str, Tile] = tiles(content.one(hands)) if hands and content.chance(0.6) else {}
        self.mark = str(CHECKS.pick(self.rng, content.split))
        self.knobs = str(KNOBS.pick(self.rng, content.split))
        self.arrows = str(ARROWS.pick(self.rng, content.split))
        self.boxes = str(BOXES.pick(self.rng, content.split))
        self.buttons_look = str(BUTTON_LOOKS.pick(self.rng, content.split))
        self.native: Colour = content.one(NATIVE) if content.chance(0.7) else self.accent
        self.pad = self.rng.randint(3, 8)
        self.line = self.font.ascent + self.font.descent
        self.high = self.line + 2 * self.pad
        self.side = self.rng.randint(min(13, self.line), min(self.line, 20))  # of a check box
        self.radius = content.one((0, 2, 3))
        self.underlined = content.chance(0.4)
        self.widgets: list[Widget] = []

    def fresh(self, pieces: Choice) -> str:
        """A piece that is not on the screen yet. Raises Overfull."""
        for _ in range(12):
            label = str(pieces.pick(self.rng, self.content.split))
            if label.casefold() not in self.used:
                self.used.add(label.casefold())
                return label
        raise Overfull("no label is left")

    def text(self, x: int, top: int, text: str, *, ink: Colour | None = None, paper: Colour | None = None, same_row: bool = False) -> int:
        """Print on a line of height `self.high` that starts at `top`; returns where it ends."""
        ink = ink or self.theme.ink
        return self.canvas.write(x, top + self.pad + self.font.ascent, text, self.font, ink, paper=paper, same_row=same_row)

    def add(
        self, kind: str, label: str, box: Box, value: str = "", *, on: bool = False, enabled: bool = True, row: str = "", hint: str = ""
    ) -> None:
        if box[0] < 0 or box[1] < 0 or box[2] > self.canvas.width or box[3] > self.canvas.height:
            raise Overfull(f"{label} {kind} leaves the screen")
        self.widgets.append(Widget(kind, label, box, value, on, enabled, row, hint))

    # Buttons and bars --------------------------------------------------------------------------------------------------

    def button_width(self, label: str) -> int:
        return self.font.width(label) + 4 * self.pad + 8

    def button(
        self, x: int, top: int, label: str, *, primary: bool = False, enabled: bool = True, same_row: bool = False, row: str = ""
    ) -> int:
        """Returns its right edge."""
        theme, box = self.theme, (x, top, x + self.button_width(label), top + self.high)
        fill = self.accent if primary and enabled else mixed(theme.page, theme.ink, 0.08)
        ink = ink_on(self.accent) if primary and enabled else theme.ink if enabled else mixed(fill, theme.ink, 0.42)
        if theme.edge == "bevel":
            fill, ink = theme.page, theme.ink if enabled else mixed(theme.page, theme.ink, 0.42)
            bevel(self.canvas, box, fill, raised=True)
        else:
            fill, ink = self._face(box, fill, ink, primary=primary and enabled)
        self.text(x + 2 * self.pad + 4, top, label, ink=ink, paper=fill, same_row=same_row)
        self.add("button", label, box, enabled=enabled, row=row)
        return box[2]

    def _face(self, box: Box, fill: Colour, ink: Colour, *, primary: bool) -> tuple[Colour, Colour]:
        """A flat, outlined or raised button; returns its paper and ink."""
        theme, radius = self.theme, self.high // 2 if self.buttons_look == "pill" else self.theme.radius
        if self.buttons_look == "raised":
            low = (box[0], box[1] + 2, box[2], box[3])
            panel(self.canvas, low, mixed(fill, (0, 0, 0), 0.35), mixed(fill, (0, 0, 0), 0.35), radius)
            panel(self.canvas, (box[0], box[1], box[2], box[3] - 2), fill, fill, radius)
        elif self.buttons_look in ("outlined", "double") and not primary:
            if ink == ink_on(theme.page) or ink == theme.ink:
                ink = theme.ink
            fill = theme.page
            panel(self.canvas, box, fill, mixed(fill, ink, 0.6), radius)
            if self.buttons_look == "double":
                panel(self.canvas, (box[0] + 2, box[1] + 2, box[2] - 2, box[3] - 2), fill, mixed(fill, ink, 0.4), radius)
        else:
            panel(self.canvas, box, fill, fill if primary or theme.edge == "flat" else theme.line, radius)
        return fill, ink

    def icon(self, x: int, top: int, name: str, *, paper: Colour | None = None, ink: Colour | None = None, row: str = "") -> int:
        """An icon button, as high as a line with its padding; returns its right edge."""
        side, inset = self.high, max(4, self.high // 6)
        box = (x, top, x + side, top + side)
        if paper is None and self.theme.edge == "bevel":
            bevel(self.canvas, box, self.theme.page, raised=True)
        self.draw_sign(name, (x + inset, top + inset, x + side - inset, top + side - inset), ink or self.theme.ink, self.icons)
        self.add("icon", name, box, row=row)
        return box[2]

    def draw_sign(self, name: str, box: Box, ink: Colour, style: str) -> None:
        """An icon of the pack's set, where the screen has one, or of strokes in `style`."""
        if name in self.signs:
            stamp(self.canvas, self.signs[name], box[0], box[1], min(box[2] - box[0], box[3] - box[1]), ink)
        else:
            draw_icon(self.canvas, name, box, ink, style)

    @property
    def hand(self) -> tuple[str, ...]:
        """Names of all icons that this screen can draw."""
        return tuple(self.signs) or ICONS

    def icon_names(self, count: int) -> list[str]:
        return self.rng.sample(self.hand, count)

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

    def field(
        self, label: str, value: str, box: Box, *, secret: bool = False, lit: bool = False, same_row: bool = True, hint: str = ""
    ) -> None:
        """A text field after its label; a secret one shows dots, an empty one its `hint`."""
        self._well(box, lit=lit)
        x, middle = box[0] + 7, (box[1] + box[3]) // 2
        if secret:
            for k in range(len(value)):
                cv2.circle(self.canvas.rgb, (x + 4 + 9 * k, middle), 3, (*self.theme.ink, 0), -1, cv2.LINE_AA)
        elif value or hint:
            faint = mixed(self.theme.field, self.theme.ink, 0.5)
            if self.text(x, box[1], value or hint, ink=None if value else faint, paper=self.theme.field, same_row=same_row) > box[2] - 4:
                raise Overfull("a value leaves its field")
        self.add("field", label, box, value, hint="" if value else hint)

    def link(self, x: int, top: int, label: str, *, paper: Colour | None = None, same_row: bool = False, row: str = "") -> int:
        """A word to click, underlined or not; returns its right edge."""
        paper = paper or self.theme.page
        ink = self.native if abs(luminance(self.native) - luminance(paper)) > 70 else ink_on(paper)
        end = self.text(x, top, label, ink=ink, paper=paper, same_row=same_row)
        if self.underlined:
            y = top + self.pad + self.font.ascent + 2
            self.canvas.fill(x, y, end, y + 1, ink)
        self.add("link", label, (x - 1, top, end + 1, top + self.high), row=row)
        return end

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

    def check_box(
        self,
        x: int,
        top: int,
        label: str,
        on: bool,
        *,
        enabled: bool = True,
        group: str = "",
        same_row: bool = False,
        after: bool = False,
        paper: Colour | None = None,
    ) -> int:
        """A check box or, with a `group`, a radio button, left of its label or `after` it; returns the right edge."""
        ink = self.theme.ink if enabled else self.theme.faint
        width = self.font.width(label)
        self.tick(x + width + 7 if after else x, top, on, radio=bool(group), enabled=enabled)
        end = self.text(x if after else x + self.side + 7, top, label, ink=ink, paper=paper, same_row=same_row) + (
            self.side + 7 if after else 0
        )
        self.add("radio button" if group else "check box", label, (x, top, end, top + self.high), group, on=on, enabled=enabled)
        return end

    def check_at_end(
        self, left: int, right: int, top: int, label: str, on: bool, *, enabled: bool = True, paper: Colour | None = None
    ) -> None:
        """The label on the left and its check box at the right end of the row."""
        self.text(left, top, label, ink=self.theme.ink if enabled else self.theme.faint, paper=paper)
        x = right - self.side - 2
        self.tick(x, top, on, enabled=enabled)
        y = top + (self.high - self.side) // 2
        self.add("check box", label, (x - 1, y - 1, x + self.side + 1, y + self.side + 1), on=on, enabled=enabled)

    def tick(self, x: int, top: int, on: bool, *, radio: bool = False, enabled: bool = True) -> None:
        """The box or circle of a control, in the theme's colours or, as browsers do, in white and blue on any theme."""
        theme, side = self.theme, self.side
        y = top + (self.high - side) // 2
        native = self.boxes == "native"
        paper: Colour = (255, 255, 255) if native else theme.field
        accent = self.native if native else self.accent
        line = GREY if native else theme.ink
        if not enabled:
            line = mixed(theme.page, line, 0.45)
        if radio:
            middle, r = (x + side // 2, y + side // 2), side // 2
            cv2.circle(self.canvas.rgb, middle, r, (*(accent if on else line), 0), -1, cv2.LINE_AA)
            cv2.circle(self.canvas.rgb, middle, r - 2 if self.boxes != "heavy" else r - 3, (*paper, 0), -1, cv2.LINE_AA)
            if on:
                cv2.circle(self.canvas.rgb, middle, max(2, r - 4), (*accent, 0), -1, cv2.LINE_AA)
            return
        filled = on and theme.edge != "bevel" and self.boxes != "outline"
        if native:
            filled = on
        box = (x, y, x + side, y + side)
        panel(self.canvas, box, accent if filled else paper, accent if filled else line, self.radius)
        if self.boxes == "heavy" and not filled:
            panel(self.canvas, box, line, line, self.radius)
            panel(self.canvas, (x + 2, y + 2, x + side - 2, y + side - 2), paper, paper, 0)
        if on:
            mark = ink_on(accent) if filled else theme.ink if not native else (20, 20, 22)
            self._mark(x, y, side, (*mark, 0))

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

    def switch(self, left: int, right: int, top: int, label: str, on: bool, *, paper: Colour | None = None) -> None:
        """The label on the left and a switch on the right."""
        self.text(left, top, label, paper=paper)
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
