"""The sheet a chart is painted on: what is still free of it, and the texts around the plot."""

from typing import NamedTuple

import cv2

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.charts.charts import Chart
from kimi_vl.training.synth.charts.looks import Look
from kimi_vl.training.synth.charts.styles import Style, ink_on
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.figures import mixed
from kimi_vl.training.synth.scene import Overfull


class Box(NamedTuple):
    """The plotting area in pixels."""

    left: int
    top: int
    right: int
    bottom: int


class Sheet:
    """Takes one chart from the title down; `left`, `top`, `right` and `bottom` enclose what is still free."""

    def __init__(self, content: Content, chart: Chart, style: Style, look: Look, size: tuple[int, int]) -> None:
        width, height = size
        self.content, self.rng, self.chart, self.style, self.look = content, content.rng, chart, style, look
        self.canvas = Canvas(width, height, style.paper)
        self.margin = self.rng.randint(8, 22)
        self.left, self.right = self.margin, width - self.margin
        self.top, self.bottom = self.rng.randint(6, 18), height - self.rng.randint(4, 14)
        self.high = style.font.ascent + style.font.descent
        self.texts: list[tuple[float, float, float, float]] = []
        self.quiet = {style.panel, style.paper, style.faint, style.ink}  # colours of what a legend may hide
        above = style.axes == "box" and not chart.circular and self.content.chance(0.6)  # the plot is higher than its scale
        self.room = (self.rng.randint(0, 16), self.rng.randint(0, 12) if chart.kind in ("line", "scatter") else 0) if above else (0, 0)
        self.inside = 0  # how wide a legend within the plot is
        self.marked = style.axes in ("L", "box") and (style.grid == "none" or self.content.chance(0.4))  # short lines at the ticks
        needed = len(chart.categories) if chart.circular else len(chart.series)
        if len(style.palette) < needed:
            raise Overfull(f"{needed} colours are needed, {len(style.palette)} can be seen")
        if look.sheet.border:
            self._border()

    def colour(self, k: int) -> Colour:
        return self.style.palette[k % len(self.style.palette)]

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        font: Font | None = None,
        ink: Colour | None = None,
        same_row: bool = False,
        paper: Colour | None = None,
    ) -> int:
        """Text with its top left corner at (x, y)."""
        font = font or self.style.font
        ink = ink or (self.style.ink if paper is None or paper == self.style.panel else ink_on(paper))
        end = self.canvas.write(int(x), int(y) + font.ascent, text, font, ink, paper=paper, same_row=same_row)
        self.texts.append((x, y, end, y + font.ascent + font.descent))
        return end

    def title(self) -> None:
        """The title, on two lines where it is broken, and what stands under it."""
        if not self.chart.title:
            return
        font, sheet = self.style.bold, self.look.sheet
        lines = [self.chart.title]
        if sheet.wraps and (sheet.broken or font.width(self.chart.title) > self.right - self.left):
            lines = halves(self.chart.title, font)
        if sheet.banner:
            self._banner(len(lines) * (font.ascent + font.descent))
        for k, line in enumerate(lines):
            self._heading(line, font, sheet.banner)
            self.top += font.ascent + font.descent + (0 if k < len(lines) - 1 else self.rng.randint(4, 12))
        if sheet.subtitle:
            self._heading(sheet.subtitle, self.style.font, None)
            self.top += self.high + 6

    def _heading(self, text: str, font: Font, paper: Colour | None) -> None:
        slack = self.right - self.left - font.width(text)
        x = self.left + {"left": 0, "center": slack // 2, "right": slack}[self.style.title]
        self.write(x, self.top, text, font=font, paper=paper, ink=None if font is self.style.bold else self.soft)

    def caption(self) -> None:
        """A line at the foot of the sheet, which is kept free for it before and written after everything else."""
        x = self.left if self.style.title == "left" else (self.canvas.width - self.style.font.width(self.look.sheet.caption)) // 2
        self.write(x, self.canvas.height - self.foot, self.look.sheet.caption, ink=self.soft)

    def keep_foot(self) -> None:
        self.foot = self.canvas.height - self.bottom + self.high
        self.bottom -= self.high + 4

    @property
    def soft(self) -> Colour:
        """Ink for what is said in passing."""
        return mixed(self.style.ink, self.style.paper, 0.3)

    def _banner(self, high: int) -> None:
        assert self.look.sheet.banner is not None
        self.canvas.fill(self.left - 4, self.top - 3, self.right + 4, self.top + high + 3, self.look.sheet.banner)

    def _border(self) -> None:
        """A line around everything, or a card with round corners on another ground."""
        canvas, border = self.canvas, self.look.sheet.border
        width, height = canvas.width, canvas.height
        if border == "card":
            ground = mixed(self.style.paper, self.style.ink, 0.14)
            canvas.frame(0, 0, width, height, ground, 4)
            for x, left in ((15, 4), (width - 16, width - 15)):
                for y, top in ((15, 4), (height - 16, height - 15)):
                    canvas.fill(left, top, left + 11, top + 11, ground)
                    cv2.circle(canvas.rgb, (x, y), 11, (*self.style.paper, 0), -1, cv2.LINE_AA)
        else:
            line, inset = mixed(self.style.paper, self.style.ink, 0.35), 0 if border == "edge" else 3
            canvas.frame(inset, inset, width - inset, height - inset, line, 2 if border == "double" else 1)
            if border == "double":
                canvas.frame(inset + 3, inset + 3, width - inset - 3, height - inset - 3, line)
        self.left, self.right = max(self.left, 14), min(self.right, width - 14)
        self.top, self.bottom = max(self.top, 12), min(self.bottom, height - 10)


def halves(text: str, font: Font) -> list[str]:
    """The text on two lines of about the same width, on one where it is a single word."""
    words = text.split(" ")
    if len(words) < 2:
        return [text]
    cuts = [(" ".join(words[:k]), " ".join(words[k:])) for k in range(1, len(words))]
    return list(min(cuts, key=lambda cut: max(font.width(line) for line in cut)))
