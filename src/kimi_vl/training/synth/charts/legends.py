"""Legends: where they go, their keys, and names beside the ends of lines in their place."""

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Colour
from kimi_vl.training.synth.charts.looks import SHAPES
from kimi_vl.training.synth.charts.marks import DASHES, mark, stroke
from kimi_vl.training.synth.charts.sheet import Box, Sheet
from kimi_vl.training.synth.content import luminance
from kimi_vl.training.synth.figures import mixed
from kimi_vl.training.synth.scene import Overfull

Entry = tuple[int, int, str, int]  # x, y, text, series


class Legends(Sheet):
    """What tells series and slices apart."""

    heading: tuple[int, int] | None = None  # where the legend's own title stands
    at_ends = False  # the series are named beside the ends of their lines

    def legend(self, names: list[str]) -> list[Entry]:
        """Reserve room and return where entries go. Those below the plot are written after it."""
        font, place = self.style.font, self.style.legend
        widths = [self.high + font.width(name) + 12 for name in names]
        special = self.look.legend.place
        if special == "ends" and self.chart.kind == "line":
            self.at_ends = True
            self.right -= max(widths) - self.high
            return []
        if special == "left":
            self.left, x = self.left + max(widths) + 4, self.left + 2
            return self._listed(names, x)
        if special == "columns" and len(names) > 2 and max(widths) * 2 <= self.right - self.left:
            return self._in_columns(names, max(widths))
        if place == "inside" and not special and self.chart.kind in ("line", "grouped bar", "stacked bar", "scatter"):
            self.inside = max(widths) + 4
            return [(0, 0, name, k) for k, name in enumerate(names)]
        if place == "right" or sum(widths) > self.right - self.left:
            x = self.right - max(widths) + 8
            self.right = x - 12
            return self._listed(names, x)
        slack = self.right - self.left - sum(widths)
        x = self.left + {"top left": 0, "top right": slack}.get(place, slack // 2)
        if place == "bottom" and special != "above":
            self.bottom -= self.high + 2
            y = self.bottom
            self.bottom -= 6
        else:
            y = self.top
            self.top += self.high + self.rng.randint(4, 10)
        starts = [x + sum(widths[:k]) for k in range(len(names))]
        return [(start, y, name, k) for k, (start, name) in enumerate(zip(starts, names, strict=True))]

    def _listed(self, names: list[str], x: int) -> list[Entry]:
        """One below the other, at times under a title."""
        y = self.top + self.rng.randint(0, 40)
        if self.look.legend.title:
            self.heading, y = (x, y), y + self.high + 4
        if not self.look.plain and y + len(names) * (self.high + 6) > self.bottom:
            raise Overfull("the legend is longer than the chart")
        return [(x, y + k * (self.high + 6), name, k) for k, name in enumerate(names)]

    def _in_columns(self, names: list[str], wide: int) -> list[Entry]:
        """In rows of two, above or below the plot."""
        rows, row = -(-len(names) // 2), self.high + 4
        if self.style.legend == "bottom":
            self.bottom -= rows * row + 4
            y = self.bottom
            self.bottom -= 4
        else:
            y, self.top = self.top, self.top + rows * row + 6
        x = (self.left + self.right) // 2 - wide
        return [(x + k % 2 * wide, y + k // 2 * row, name, k) for k, name in enumerate(names)]

    def print_legend(self, entries: list[Entry]) -> None:
        size, row = max(8, self.high * 5 // 10), None
        if self.look.legend.framed and not self.inside:
            self._frame_legend(entries, size)
        if self.heading:
            self.write(*self.heading, self.look.legend.title, font=self.look.axes.label)
        for x, y, text, k in entries:
            self._key(x, y + self.high // 2, size, k)
            self.write(x + size + 5, y, text, same_row=row == y)
            row = y

    def _frame_legend(self, entries: list[Entry], size: int) -> None:
        x, y = entries[0][:2]
        x, y = self.heading or (x, y)
        right = max(left + size + 5 + self.style.font.width(text) for left, _, text, _ in entries)
        self.canvas.frame(x - 5, y - 2, right + 5, entries[-1][1] + self.high + 2, self.style.faint)

    def _key(self, x: int, middle: int, size: int, k: int) -> None:
        """What an entry looks like in the plot."""
        canvas, key, colour = self.canvas, self.look.legend.key, self.colour(k)
        half = size // 2
        if self.chart.kind == "line" and self.style.key != "dot" and not (key and self.chart.form == "area"):
            self.stroke([(x - 2, middle), (x + size + 3, middle)], k, 2)
            mark(canvas.rgb, (x + half, middle), self.marker(k), 3, colour, self.style.panel)
        elif self.style.key == "dot" and not key:
            cv2.circle(canvas.rgb, (x + half, middle), half, (*colour, 0), -1, cv2.LINE_AA)
        elif key in ("circle", "round"):
            if key == "round":
                cv2.line(canvas.rgb, (x + 1, middle), (x + size - 2, middle), (*colour, 0), size - 2, cv2.LINE_AA)
            else:
                cv2.circle(canvas.rgb, (x + half, middle), half + 1, (*colour, 0), -1, cv2.LINE_AA)
        else:
            thin, more = size // 3 if self.style.key == "dash" else 0, 2 if key == "swatch" else 0
            area = (x - more, middle - half + thin - more, x + size + more, middle + half - thin + more)
            canvas.fill(*area, colour)
            if key == "outlined":
                canvas.frame(*area, self.style.ink)

    def print_inside(self, box: Box, entries: list[Entry]) -> None:
        """The legend in that corner of the plot where least is drawn, framed or not. Raises Overfull where none is free."""
        wide, high = self.inside + 8, len(entries) * (self.high + 4) + 8
        spots = [(x, y) for y in (box.top + 5, box.bottom - high - 5) for x in (box.left + 6, box.right - wide - 6)]
        spots = [spot for spot in spots if self._is_free((*spot, spot[0] + wide, spot[1] + high))]
        if not spots:
            raise Overfull("no corner is free for the legend")
        x, y = self.content.one(spots)
        framed = self.content.chance(0.6)
        self.canvas.fill(x, y, x + wide, y + high, self.style.panel)
        if framed:
            self.canvas.frame(x, y, x + wide, y + high, self.style.faint)
        self.print_legend([(x + 6, y + 4 + k * (self.high + 4), name, k) for k, (_, _, name, _) in enumerate(entries)])

    def _is_free(self, area: tuple[int, int, int, int]) -> bool:
        """Whether no line, point or bar is in an area; gridlines do not count."""
        x0, y0, x1, y1 = area
        if x0 < 0 or any(a < x1 and x0 < c and b < y1 and y0 < d for a, b, c, d in self.texts):
            return False
        seen = self.canvas.rgb[max(0, y0 - 3) : y1 + 3, x0 - 3 : x1 + 3].copy().view(np.uint32) & 0xFFFFFF
        quiet = [red | green << 8 | blue << 16 for red, green, blue in self.quiet - set(self.style.palette)]
        return bool(np.isin(seen, quiet).all())

    def names_at_ends(self, x: int, ends: list[int]) -> None:
        """Each series at the height of its last point; where two are close, they move apart. Raises Overfull where they cannot."""
        below = -self.high
        for at, k in sorted((at, k) for k, at in enumerate(ends)):
            y = max(at - self.high // 2, below)
            if y - (at - self.high // 2) > self.high * 2 // 3:
                raise Overfull("names at the ends of lines run into each other")
            self.write(x, y, self.chart.series[k], ink=self._readable(self.colour(k)))
            below = y + self.high

    def _readable(self, colour: Colour) -> Colour:
        """The colour, or as much of it in ink as can be read."""
        paper = luminance(self.style.paper)
        for share in (0.0, 0.3, 0.6):
            ink = mixed(colour, self.style.ink, share)
            if abs(luminance(ink) - paper) >= 100:
                return ink
        return self.style.ink

    def marker(self, k: int) -> str:
        """The shape of a series' points."""
        shape = self.look.points.shape
        if shape:
            return SHAPES[(self.look.points.first + k) % len(SHAPES)] if shape == "mixed" else shape
        return ("dot", "square", "triangle", "cross")[k % 4] if self.style.marker == "various" else self.style.marker

    def stroke(self, points: list[tuple[int, int]], k: int, thick: int) -> None:
        """A line of a series, dashed or dotted where strokes tell them apart."""
        stroke(self.canvas.rgb, points, self.colour(k), thick, DASHES.get(self.style.strokes, (0, 0, 0, 0))[k % 4])
