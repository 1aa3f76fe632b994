"""Looks of windows: colours, corners and edges."""

from typing import NamedTuple

import cv2

from kimi_vl.training.synth.canvas import Canvas, Colour
from kimi_vl.training.synth.content import Choice, Content, luminance

Box = tuple[int, int, int, int]


class Theme(NamedTuple):
    """Colours of a window; `edge` is "flat", "line", "bevel" or "under" (fields are mere underlines)."""

    name: str
    page: Colour
    field: Colour
    ink: Colour
    line: Colour
    bar: Colour
    bar_ink: Colour
    edge: str
    radius: int
    accents: tuple[Colour, ...]

    @property
    def faint(self) -> Colour:
        """Ink of what is disabled."""
        return mixed(self.page, self.ink, 0.45)

    @property
    def dark(self) -> bool:
        return luminance(self.page) < 128


BLUES: tuple[Colour, ...] = ((30, 100, 220), (0, 120, 212), (60, 80, 190))
VIVID: tuple[Colour, ...] = ((16, 124, 90), (150, 50, 160), (196, 60, 20), (20, 110, 200), (200, 30, 90))
WHITE, BLACK = (255, 255, 255), (20, 20, 22)
THEMES = Choice(
    (
        Theme("light", (246, 247, 249), WHITE, (28, 30, 36), (196, 200, 208), (232, 234, 238), BLACK, "line", 4, BLUES),
        Theme("paper", WHITE, WHITE, (40, 40, 46), (205, 208, 214), WHITE, (40, 40, 46), "line", 6, VIVID),
        Theme("classic", (212, 208, 200), WHITE, BLACK, (128, 128, 128), (10, 36, 106), WHITE, "bevel", 0, ((10, 36, 106), (0, 90, 90))),
        Theme(
            "dark", (32, 33, 38), (48, 50, 56), (230, 232, 236), (84, 88, 96), (24, 24, 28), (225, 225, 230), "line", 4, ((90, 150, 250),)
        ),
        Theme("midnight", (18, 24, 44), (32, 42, 70), (222, 228, 244), (70, 84, 120), (12, 16, 32), WHITE, "flat", 8, ((80, 200, 190),)),
        Theme("round", (252, 252, 253), (240, 241, 245), (33, 33, 38), (214, 216, 224), (252, 252, 253), BLACK, "flat", 12, VIVID),
        Theme(
            "slate", (226, 230, 235), WHITE, (30, 41, 59), (148, 163, 184), (51, 65, 85), WHITE, "line", 2, ((15, 118, 140), (190, 70, 20))
        ),
        Theme("warm", (250, 244, 233), (255, 252, 246), (68, 48, 34), (205, 185, 158), (222, 200, 168), (50, 34, 22), "line", 6, VIVID[:3]),
        Theme("underlined", WHITE, WHITE, (34, 34, 34), (150, 150, 150), (55, 65, 160), WHITE, "under", 2, ((55, 65, 160), (0, 135, 110))),
    ),
    (
        Theme("steel", (192, 192, 196), (240, 240, 240), BLACK, (110, 112, 118), (70, 110, 130), WHITE, "bevel", 0, ((0, 80, 120),)),
        Theme("contrast", (0, 0, 0), (0, 0, 0), WHITE, WHITE, (0, 0, 0), WHITE, "line", 0, ((255, 220, 40),)),
        Theme("mint", (234, 248, 242), WHITE, (18, 60, 48), (140, 196, 176), (30, 130, 100), WHITE, "flat", 16, ((20, 120, 95),)),
        Theme(
            "dusk",
            (58, 46, 66),
            (78, 64, 88),
            (244, 236, 240),
            (128, 108, 140),
            (44, 34, 52),
            (244, 236, 240),
            "under",
            6,
            ((240, 150, 120),),
        ),
    ),
)


def draw_theme(content: Content) -> Theme:
    theme = THEMES.pick(content.rng, content.split)
    assert isinstance(theme, Theme)
    return theme


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """From a towards b by `share`."""
    return (round(a[0] + (b[0] - a[0]) * share), round(a[1] + (b[1] - a[1]) * share), round(a[2] + (b[2] - a[2]) * share))


def ink_on(colour: Colour) -> Colour:
    return BLACK if luminance(colour) > 140 else WHITE


def panel(canvas: Canvas, box: Box, fill: Colour, line: Colour, radius: int) -> None:
    """A box with round corners: filled with `line`, then with `fill` one pixel further in."""
    _rounded(canvas, box, line, radius)
    if fill != line:
        _rounded(canvas, (box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1), fill, max(0, radius - 1))


def bevel(canvas: Canvas, box: Box, fill: Colour, *, raised: bool) -> None:
    """A box lit from the upper left."""
    x0, y0, x1, y1 = box
    light, dark = (255, 255, 255), mixed(fill, (0, 0, 0), 0.5)
    canvas.fill(x0, y0, x1, y1, dark if raised else light)
    canvas.fill(x0, y0, x1 - 1, y1 - 1, light if raised else dark)
    canvas.fill(x0 + 1, y0 + 1, x1 - 1, y1 - 1, fill)


def _rounded(canvas: Canvas, box: Box, colour: Colour, radius: int) -> None:
    x0, y0, x1, y1 = box
    r = min(radius, (x1 - x0 - 1) // 2, (y1 - y0 - 1) // 2)
    if r < 2:
        canvas.fill(x0, y0, x1, y1, colour)
        return
    canvas.fill(x0 + r, y0, x1 - r, y1, colour)
    canvas.fill(x0, y0 + r, x1, y1 - r, colour)
    for x in (x0 + r, x1 - r - 1):
        for y in (y0 + r, y1 - r - 1):
            cv2.circle(canvas.rgb, (x, y), r, (*colour, 0), -1, cv2.LINE_AA)
