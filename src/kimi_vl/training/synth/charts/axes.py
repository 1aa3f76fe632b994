"""Axes: the plotting area, its panel and gridlines, numbers along the axis of values and categories along the other."""

from itertools import pairwise

import cv2

from kimi_vl.training.synth.canvas import Font
from kimi_vl.training.synth.charts.sheet import Box, Sheet, halves
from kimi_vl.training.synth.figures import mixed
from kimi_vl.training.synth.scene import Overfull

OFFSET = 6  # pixels between the plot and an axis that stands off it


class Axes(Sheet):
    """The frame of an upright or a lying plot."""

    naming = "level"  # how the categories are written

    @property
    def out(self) -> int:
        """How far the axes stand off the plot."""
        return OFFSET if self.look.axes.spine == "offset" and self.style.axes in ("L", "bottom") else 0

    @property
    def small(self) -> Font:
        """The font of the numbers."""
        return self.look.axes.small or self.style.font

    def columns_box(self) -> Box:
        """The area beside the ticks of an upright axis and above the categories."""
        chart = self.chart
        ticks = max(self.small.width(chart.notation.full(v)) for v in chart.scale.ticks) + 8 + self.out
        left, right = (self.left, self.right - ticks) if self.style.axes == "right" else (self.left + ticks, self.right)
        room = self._names_room((right - left) / len(chart.categories)) if chart.kind != "scatter" else self.high
        box = Box(left, self.top + self.high, right, self.bottom - room - 6 - self.out)
        return self._checked(box, self.high * chart.scale.steps)

    def rows_box(self) -> Box:
        """The area to the right of the categories and between the ticks and whatever is above."""
        chart, font = self.chart, self.style.font
        widest = max(font.width(c) for c in chart.categories)
        if self.look.axes.names == "wrapped" and widest > (self.right - self.left) // 4:
            self.naming = "wrapped"
            widest = max(font.width(line) for c in chart.categories for line in halves(c, font))
        left = self.left + widest + 8 + self.out
        room = font.width(chart.notation.full(chart.scale.high))
        if (room + 8) * (chart.scale.steps + 1) > self.right - left:
            raise Overfull("the ticks run into each other")
        top, bottom = (self.high + 6, 4) if self.look.axes.top else (2, self.high + 6)
        high = self.high * len(chart.categories) * (2 if self.naming == "wrapped" else 1)
        return self._checked(Box(left, self.top + top, self.right - room, self.bottom - bottom - self.out), high)

    def _checked(self, box: Box, high: int) -> Box:
        if box.right - box.left < 120 or box.bottom - box.top < max(90, high):
            raise Overfull("no room for the plot")
        return box

    def y(self, box: Box, value: int) -> int:
        """The pixel row of a value."""
        scale, (above, below) = self.chart.scale, self.room
        return round(box.bottom - below - (value - scale.low) * (box.bottom - below - box.top - above) / (scale.high - scale.low))

    def x(self, box: Box, value: int) -> int:
        """The pixel column of a value, where bars lie."""
        scale = self.chart.scale
        return round(box.left + (value - scale.low) * (box.right - box.left) / (scale.high - scale.low))

    # Lines -----------------------------------------------------------------------------------------------------------

    def frame(self, box: Box, lines: list[tuple[str, int]]) -> None:
        """The panel, gridlines at pixels ("x" or "y", where) and axes."""
        canvas, style, look = self.canvas, self.style, self.look.axes
        if style.panel != style.paper:
            canvas.fill(*box, style.panel)
        values = [at for axis, at in lines if (axis == "x") == (self.chart.kind == "horizontal bar")]
        if look.bands:
            self._bands(box, sorted(values))
        if look.minor and style.grid != "none":
            self._minor(box, sorted(values))
        dash = {"dashed": (6, 4), "dotted": (1, 3)}.get(style.grid)
        for axis, at in lines if style.grid != "none" else []:
            start, end = (box.left, box.right) if axis == "y" else (box.top, box.bottom)
            pieces = [(s, min(s + dash[0], end)) for s in range(start, end, sum(dash))] if dash else [(start, end)]
            for a, b in pieces:
                canvas.fill(*((a, at, b, at + look.thick) if axis == "y" else (at, a, at + look.thick, b)), style.faint)
        marked = self.marked or (look.spine == "ticks" and style.axes != "none")
        for axis, at in lines if marked else []:
            self._tick(box, axis, at)
        ys = sorted(at for axis, at in lines if axis == "y")
        for a, b in pairwise(ys) if self.marked and style.ticks == "minor" else ():
            for k in range(1, 5):
                y = a + (b - a) * k // 5
                canvas.fill(box.left - 3 - self.out, y, box.left - self.out, y + 1, style.ink)
        self._spines(box)

    def _spines(self, box: Box) -> None:
        canvas, style, spine = self.canvas, self.style, self.look.axes.spine
        if spine == "ticks":
            return
        wide, out = 3 if spine == "thick" else 1, self.out
        if style.axes == "box":
            canvas.frame(box.left - wide, box.top - wide, box.right + wide, box.bottom + wide, style.ink, wide)
        if style.axes in ("L", "bottom", "right"):
            canvas.fill(box.left - (0 if out else 1), box.bottom + out, box.right + 1, box.bottom + out + wide, style.ink)
        if style.axes in ("L", "right"):
            x = box.left - wide - out if style.axes == "L" else box.right
            canvas.fill(x, box.top, x + wide, box.bottom + (0 if out else wide), style.ink)
        if spine == "arrow" and style.axes == "L":
            self._arrow((box.left - 1, box.top), (box.left - 1, box.top - 10))
            self._arrow((box.right, box.bottom), (box.right + 7, box.bottom))

    def _arrow(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        cv2.arrowedLine(self.canvas.rgb, start, end, (*self.style.ink, 0), 1, cv2.LINE_AA, tipLength=0.7)

    def _bands(self, box: Box, edges: list[int]) -> None:
        tint = mixed(self.style.panel, self.style.ink, 0.06)
        self.quiet.add(tint)
        for a, b in list(pairwise(edges))[::2]:
            self.canvas.fill(*((a, box.top, b, box.bottom) if self.chart.kind == "horizontal bar" else (box.left, a, box.right, b)), tint)

    def _minor(self, box: Box, values: list[int]) -> None:
        tint = mixed(self.style.panel, self.style.faint, 0.45)
        self.quiet.add(tint)
        for a, b in pairwise(values):
            at = (a + b) // 2
            lying = self.chart.kind == "horizontal bar"
            self.canvas.fill(*((at, box.top, at + 1, box.bottom) if lying else (box.left, at, box.right, at + 1)), tint)

    def _tick(self, box: Box, axis: str, at: int) -> None:
        """A short line outside or inside of the axis, or across it."""
        out, inner = (5, 0) if self.style.ticks in ("out", "minor") else (0, 6) if self.style.ticks == "in" else (4, 5)
        if axis == "y":
            self.canvas.fill(box.left - self.out - out, at, box.left - self.out + inner, at + 1, self.style.ink)
        elif self.look.axes.top and self.chart.kind == "horizontal bar":
            self.canvas.fill(at, box.top - out, at + 1, box.top + inner, self.style.ink)
        else:
            self.canvas.fill(at, box.bottom + self.out - inner, at + 1, box.bottom + self.out + out, self.style.ink)

    # Texts -----------------------------------------------------------------------------------------------------------

    def ticks(self, box: Box, *, upright: bool) -> None:
        """Numbers along the axis of values, from the top or the left."""
        chart, font = self.chart, self.small
        ink = self.soft if self.look.axes.soft else None
        for k, value in enumerate(chart.scale.ticks if not upright else chart.scale.ticks[::-1]):
            text = chart.notation.full(value)
            if upright:
                x = box.right + 7 if self.style.axes == "right" else box.left - 7 - self.out - font.width(text)
                self.write(x, self.y(box, value) - font.ascent + font.x_height / 2, text, font=font, ink=ink)
            else:
                y = box.top - 6 - self.high if self.look.axes.top else box.bottom + 5 + self.out
                self.write(self.x(box, value) - font.width(text) // 2, y, text, font=font, ink=ink, same_row=k > 0)

    def _names_room(self, slot: float) -> int:
        """Choose how the categories are written in slots of so many pixels; returns how high that is."""
        font, names = self.style.font, self.look.axes.names
        widest = max(font.width(c) for c in self.chart.categories)
        if not names or (widest + 6 <= slot and not names.startswith("always")):
            return self.high
        self.naming = names.removeprefix("always ")
        if self.naming == "wrapped":
            return 2 * self.high
        if slot < self.high * (1 if self.naming == "up" else 1.5):
            raise Overfull("the categories run into each other")
        return 4 + (widest if self.naming == "up" else round((widest + self.high) * 0.71))

    def fit_names(self, slot: float) -> None:
        """Raises Overfull where categories would run into each other."""
        font, names = self.style.font, self.chart.categories
        if self.naming == "level":
            widest = max(font.width(c) for c in names)
        elif self.naming == "wrapped":
            widest = max(font.width(line) for c in names for line in halves(c, font))
        else:
            widest = self.high
        if widest + 6 > slot:
            raise Overfull("the categories run into each other")

    def print_names(self, box: Box, centres: list[int]) -> None:
        """The categories below their places."""
        font, top, style = self.style.font, box.bottom + 5 + self.out, self.style
        for k, (text, x) in enumerate(zip(self.chart.categories, centres, strict=True)):
            if self.naming == "up":
                self.canvas.write_up(round(x + font.x_height / 2), top + 4 + font.width(text), text, font, style.ink)
            elif self.naming == "slanted":
                self.canvas.write_slanted(x + 4, top + 4, text, font, style.ink)
            elif self.naming == "wrapped":
                for row, line in enumerate(halves(text, font)):
                    self.write(x - font.width(line) // 2, top + row * self.high, line, same_row=k > 0 or row > 0)
            else:
                self.write(x - font.width(text) // 2, top, text, same_row=k > 0)
