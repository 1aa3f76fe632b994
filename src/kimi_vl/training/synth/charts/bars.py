"""Bars, standing and lying, and the points on stems or alone that stand for them."""

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Colour
from kimi_vl.training.synth.charts.axes import Axes
from kimi_vl.training.synth.charts.charts import Chart, draw_values
from kimi_vl.training.synth.charts.marks import mark
from kimi_vl.training.synth.charts.sheet import Box, halves
from kimi_vl.training.synth.charts.styles import ink_on
from kimi_vl.training.synth.figures import mixed
from kimi_vl.training.synth.scene import Overfull

Area = tuple[int, int, int, int]  # left, top, right, bottom
STEMS = ("lollipop", "dots")  # forms without a bar
HEAD = 6  # radius of the point on a stem


class Bars(Axes):
    """Bar charts of all kinds."""

    def paint_bars(self, box: Box, centres: list[int], slot: float) -> None:
        chart, font, labels = self.chart, self.style.font, []
        stacked, series = chart.kind == "stacked bar", len(chart.series)
        share = self.rng.uniform(0.84, 0.95) if chart.labelled else self.rng.uniform(0.4, 0.92)
        if self.look.bars.share and not chart.labelled:
            share = max(self.look.bars.share, 6 * series / slot)
        wide = int(slot * share / (1 if stacked else series))
        colours = self._colours_of(len(centres))
        for s in range(series):
            for k, centre in enumerate(centres):
                value = chart.values[s][k]
                base = chart.scale.low + (sum(chart.values[t][k] for t in range(s)) if stacked else 0)
                left = centre - wide // 2 if stacked or series == 1 else centre - wide * series // 2 + wide * s
                top, bottom = self.y(box, base + value - chart.scale.low if stacked else value), self.y(box, base)
                colour = colours[k] if colours else self.colour(s)
                self.bar((left, top, left + wide, bottom), colour, plain=stacked)
                if chart.labelled:
                    text = chart.notation.full(value)
                    x = left + (wide - font.width(text)) // 2
                    within = self._within((left, top, left + wide, bottom), text)
                    if stacked and bottom - top < self.high:
                        raise Overfull("a label is higher than its piece of the bar")
                    y = within[1] if within else (top + bottom - self.high) // 2 if stacked else top - self.high - 1 - self._head
                    labels.append((s, x, y, text, colour if stacked or within else self.style.panel))
        row = -1
        for s, x, y, text, paper in labels:
            self.write(x, y, text, same_row=s == row, paper=paper)
            row = s

    def _colours_of(self, count: int) -> list[Colour]:
        """Colours of the bars of a single series; empty where they are all alike."""
        if len(self.chart.series) > 1:
            return []
        various = len(self.style.palette) >= count and self.content.chance(0.2)
        if self.look.bars.accent:
            grey, chosen = mixed(self.style.panel, self.style.ink, 0.4), self.rng.randrange(count)
            return [self.colour(0) if k == chosen else grey for k in range(count)]
        return [self.colour(k) for k in range(count)] if various else []

    @property
    def _head(self) -> int:
        """How far beyond its value a bar reaches."""
        return HEAD if self.chart.form in STEMS else 0

    def _within(self, area: Area, text: str) -> tuple[int, int] | None:
        """Where a number is written into its bar; None where it goes beside it."""
        place, (left, top, right, bottom) = self.look.bars.value, area
        if not place or self.chart.form or self.chart.kind == "stacked bar":
            return None
        if self.look.bars.form == "gradient":
            place = "top"  # further down the colour is not what the ink was chosen for
        wide = self.style.font.width(text)
        if self.chart.kind == "horizontal bar":
            if right - left < wide + 12 or bottom - top < self.high:
                return None
            y = (top + bottom - self.high) // 2
            return {"top": right - wide - 5, "middle": (left + right - wide) // 2, "base": left + 5}[place], y
        if bottom - top < self.high + 8 or right - left < wide + 2:
            return None
        return left, {"top": top + 4, "middle": (top + bottom - self.high) // 2, "base": bottom - self.high - 4}[place]

    def bar(self, area: Area, colour: Colour, *, plain: bool = False) -> None:
        """One bar, or a piece of a stacked one, which is `plain`."""
        canvas, style, (left, top, right, bottom) = self.canvas, self.style.bars, area
        if self.chart.form:
            self._stem(area, colour)
            return
        if self.look.bars.form and not plain:
            self._shaped(area, colour)
            return
        if style == "hollow" and not plain:
            canvas.frame(*area, colour, 2)
            return
        canvas.fill(*area, colour)
        if style == "outlined":
            canvas.frame(*area, self.style.ink)
        elif style == "shaded" and not plain:
            x, y = ((left + right) // 2, top) if self.chart.kind != "horizontal bar" else (left, (top + bottom) // 2)
            canvas.fill(x, y, right, bottom, mixed(colour, self.style.ink, 0.15))
        elif style == "hatched" and not plain:
            for y in range(top + 3, bottom, 6):
                canvas.fill(left, y, right, y + 2, mixed(colour, self.style.panel, 0.5))

    def _stem(self, area: Area, colour: Colour) -> None:
        """A point where the bar would end, on a stem or alone."""
        left, top, right, bottom = area
        lying = self.chart.kind == "horizontal bar"
        x, y = (right, (top + bottom) // 2) if lying else ((left + right) // 2, top)
        if self.chart.form == "lollipop":
            self.canvas.fill(*((left, y - 1, right, y + 1) if lying else (x - 1, top, x + 1, bottom)), colour)
        shape = self.look.points.shape if self.look.points.shape in ("square", "hexagon") else "dot"
        mark(self.canvas.rgb, (x, y), shape, HEAD - 1, colour, self.style.panel, rim=self.look.points.rim)

    def _shaped(self, area: Area, colour: Colour) -> None:
        canvas, form, (left, top, right, bottom) = self.canvas, self.look.bars.form, area
        lying = self.chart.kind == "horizontal bar"
        if form == "rounded":
            self._rounded(area, colour, lying=lying)
            return
        if form == "shadow":
            shift = (left, top + 3, right + 3, bottom + 3) if lying else (left + 3, top + 3, right + 3, bottom)
            canvas.fill(*shift, mixed(self.style.panel, self.style.ink, 0.3))
        canvas.fill(*area, colour)
        if form == "rim":
            canvas.frame(*area, mixed(colour, (0, 0, 0), 0.45))
        elif form == "gradient" and bottom > top and right > left:
            shade = np.linspace(0, 0.3, right - left if lying else bottom - top)
            ramp = np.array(colour) * (1 - shade[:, None]) + np.array(self.style.ink) * shade[:, None]
            view = canvas.rgb[top:bottom, left:right, :3]
            view[:] = ramp[None, ::-1] if lying else ramp[:, None]

    def _rounded(self, area: Area, colour: Colour, *, lying: bool) -> None:
        """Two corners at the end are round."""
        left, top, right, bottom = area
        r = max(0, min(7, (bottom - top) // (3 if lying else 2), (right - left) // (2 if lying else 3)))
        if lying:
            self.canvas.fill(left, top, right - r, bottom, colour)
            self.canvas.fill(right - r, top + r, right, bottom - r, colour)
            spots = [(right - r - 1, top + r), (right - r - 1, bottom - r - 1)]
        else:
            self.canvas.fill(left, top + r, right, bottom, colour)
            self.canvas.fill(left + r, top, right - r, top + r, colour)
            spots = [(left + r, top + r), (right - r - 1, top + r)]
        for spot in spots:
            cv2.circle(self.canvas.rgb, spot, r, (*colour, 0), -1, cv2.LINE_AA)

    def paint_rows(self, box: Box) -> Chart:
        """One bar to the right of each category."""
        look = self.look
        chart = self.chart = draw_values(self.content, self.chart, labelled=self.content.chance(0.55))
        bare = chart.labelled and self.content.chance(0.5)
        self.frame(box, [] if bare else [("x", self.x(box, v)) for v in chart.scale.ticks])
        slot = (box.bottom - box.top) / len(chart.categories)
        wide = max(4, int(slot * self.rng.uniform(0.4, 0.9)))
        if look.bars.share:
            wide = max(4, int(slot * min(0.95, look.bars.share)))
        colours = self._colours_of(len(chart.categories)) or [self.colour(0)] * len(chart.categories)
        if look.axes.top and not bare:
            self.ticks(box, upright=False)
        for k, (text, value) in enumerate(zip(chart.categories, chart.values[0], strict=True)):
            middle, end = int(box.top + slot * (k + 0.5)), self.x(box, value)
            area = (box.left, middle - wide // 2, end, middle + wide // 2)
            colour = colours[k]
            self.bar(area, colour)
            self._row_name(box, text, middle)
            if chart.labelled:
                shown = chart.notation.full(value)
                x, y = self._within(area, shown) or (end + 4 + self._head, middle - self.high // 2)
                paper = colour if x < end else self.style.panel
                self.write(x, y, shown, same_row=True, paper=paper, ink=ink_on(colour) if x < end else None)
        if not bare and not look.axes.top:
            self.ticks(box, upright=False)
        return chart

    def _row_name(self, box: Box, text: str, middle: int) -> None:
        """A category to the left of its bar, on one line or two."""
        font = self.style.font
        lines = halves(text, font) if self.naming == "wrapped" else [text]
        for k, line in enumerate(lines):
            y = middle - self.high * len(lines) // 2 + k * self.high if len(lines) > 1 else middle - self.high // 2
            self.write(box.left - 7 - self.out - font.width(line), y, line, same_row=k > 0)
