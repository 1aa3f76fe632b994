"""How charts are painted: bars, lines, points and slices, with axes, gridlines, legends and labels of many styles."""

from itertools import pairwise
from math import cos, pi, sin
from typing import NamedTuple

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.charts.charts import Chart, draw_names, draw_values
from kimi_vl.training.synth.charts.styles import SLICES, Style, choose_style, ink_on
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.figures import mixed
from kimi_vl.training.synth.scene import Overfull


class Box(NamedTuple):
    """The plotting area in pixels."""

    left: int
    top: int
    right: int
    bottom: int


class Plotter:
    """Paints one chart from the title down; `top` and `bottom` enclose what is still free."""

    def __init__(self, content: Content, chart: Chart, style: Style, width: int, height: int) -> None:
        self.content, self.rng, self.chart, self.style = content, content.rng, chart, style
        self.canvas = Canvas(width, height, style.paper)
        self.margin = self.rng.randint(8, 22)
        self.left, self.right = self.margin, width - self.margin
        self.top, self.bottom = self.rng.randint(6, 18), height - self.rng.randint(4, 14)
        self.high = style.font.ascent + style.font.descent
        self.texts: list[tuple[float, float, float, float]] = []
        above = style.axes == "box" and not chart.circular and self.content.chance(0.6)  # the plot is higher than its scale
        self.room = (self.rng.randint(0, 16), self.rng.randint(0, 12) if chart.kind in ("line", "scatter") else 0) if above else (0, 0)
        self.inside = 0  # how wide a legend within the plot is
        self.marked = style.axes in ("L", "box") and (style.grid == "none" or self.content.chance(0.4))  # short lines at the ticks
        needed = len(chart.categories) if chart.circular else len(chart.series)
        if len(style.palette) < needed:
            raise Overfull(f"{needed} colours are needed, {len(style.palette)} can be seen")

    def colour(self, k: int) -> Colour:
        return self.style.palette[k % len(self.style.palette)]

    def write(self, x: float, y: float, text: str, *, font: Font | None = None, same_row: bool = False, paper: Colour | None = None) -> int:
        """Text with its top left corner at (x, y)."""
        font = font or self.style.font
        ink = self.style.ink if paper is None or paper == self.style.panel else ink_on(paper)
        end = self.canvas.write(int(x), int(y) + font.ascent, text, font, ink, paper=paper, same_row=same_row)
        self.texts.append((x, y, end, y + font.ascent + font.descent))
        return end

    def title(self) -> None:
        if not self.chart.title:
            return
        font = self.style.bold
        slack = self.right - self.left - font.width(self.chart.title)
        x = self.left + {"left": 0, "center": slack // 2, "right": slack}[self.style.title]
        self.write(x, self.top, self.chart.title, font=font)
        self.top += font.ascent + font.descent + self.rng.randint(4, 12)

    # Legend ----------------------------------------------------------------------------------------------------------

    def legend(self, names: list[str]) -> list[tuple[int, int, str, int]]:
        """Reserve room and return where entries go: x, y, text, series. Those below the plot are written after it."""
        font, place = self.style.font, self.style.legend
        widths = [self.high + font.width(name) + 12 for name in names]
        if place == "inside" and self.chart.kind in ("line", "grouped bar", "stacked bar", "scatter"):
            self.inside = max(widths) + 4
            return [(0, 0, name, k) for k, name in enumerate(names)]
        if place == "right" or sum(widths) > self.right - self.left:
            x = self.right - max(widths) + 8
            y = self.top + self.rng.randint(0, 40)
            self.right = x - 12
            return [(x, y + k * (self.high + 6), name, k) for k, name in enumerate(names)]
        slack = self.right - self.left - sum(widths)
        x = self.left + {"top left": 0, "top right": slack}.get(place, slack // 2)
        if place == "bottom":
            self.bottom -= self.high + 2
            y = self.bottom
            self.bottom -= 6
        else:
            y = self.top
            self.top += self.high + self.rng.randint(4, 10)
        starts = [x + sum(widths[:k]) for k in range(len(names))]
        return [(start, y, name, k) for k, (start, name) in enumerate(zip(starts, names, strict=True))]

    def print_legend(self, entries: list[tuple[int, int, str, int]]) -> None:
        size, row = max(8, self.high * 5 // 10), None
        for x, y, text, k in entries:
            middle = y + self.high // 2
            if self.chart.kind == "line" and self.style.key != "dot":
                self._stroke([(x - 2, middle), (x + size + 3, middle)], k, 2)
                self._mark((x + size // 2, middle), self.marker(k), 3, (*self.colour(k), 0))
            elif self.style.key == "dot":
                cv2.circle(self.canvas.rgb, (x + size // 2, middle), size // 2, (*self.colour(k), 0), -1, cv2.LINE_AA)
            else:
                thin = size // 3 if self.style.key == "dash" else 0
                self.canvas.fill(x, middle - size // 2 + thin, x + size, middle + size // 2 - thin, self.colour(k))
            self.write(x + size + 5, y, text, same_row=row == y)
            row = y

    def print_inside(self, box: Box, entries: list[tuple[int, int, str, int]]) -> None:
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
        seen = self.canvas.rgb[max(0, y0 - 3) : y1 + 3, x0 - 3 : x1 + 3, :3].reshape(-1, 3)
        quiet = np.zeros(len(seen), bool)
        for colour in {self.style.panel, self.style.paper, self.style.faint, self.style.ink} - set(self.style.palette):
            quiet |= (seen == colour).all(1)
        return bool(quiet.all())

    def marker(self, k: int) -> str:
        """The shape of a series' points."""
        return ("dot", "square", "triangle", "cross")[k % 4] if self.style.marker == "various" else self.style.marker

    def _stroke(self, points: list[tuple[int, int]], k: int, thick: int) -> None:
        """A line of a series, dashed or dotted where strokes tell them apart."""
        colour = (*self.colour(k), 0)
        dash = {"various": (0, 9, 4, 13), "dotted": (4, 4, 4, 4)}.get(self.style.strokes, (0, 0, 0, 0))[k % 4]
        if not dash:
            cv2.polylines(self.canvas.rgb, [np.array(points, np.int32)], False, colour, thick, cv2.LINE_AA)
            return
        for a, b in pairwise(np.array(points, float)):
            length = float(np.hypot(*(b - a)))
            for start in np.arange(0, length, dash + 4):
                p, q = a + (b - a) * start / length, a + (b - a) * min(length, start + dash) / length
                cv2.line(self.canvas.rgb, p.round().astype(int).tolist(), q.round().astype(int).tolist(), colour, thick, cv2.LINE_AA)

    # Axes ------------------------------------------------------------------------------------------------------------

    def frame(self, box: Box, lines: list[tuple[str, int]]) -> None:
        """The panel, gridlines at pixels ("x" or "y", where) and axes."""
        canvas, style = self.canvas, self.style
        if style.panel != style.paper:
            canvas.fill(*box, style.panel)
        dash = {"dashed": (6, 4), "dotted": (1, 3)}.get(style.grid)
        for axis, at in lines if style.grid != "none" else []:
            start, end = (box.left, box.right) if axis == "y" else (box.top, box.bottom)
            pieces = [(s, min(s + dash[0], end)) for s in range(start, end, sum(dash))] if dash else [(start, end)]
            for a, b in pieces:
                canvas.fill(*((a, at, b, at + 1) if axis == "y" else (at, a, at + 1, b)), style.faint)
        for axis, at in lines if self.marked else []:
            self._tick(box, axis, at)
        ys = sorted(at for axis, at in lines if axis == "y")
        for a, b in pairwise(ys) if self.marked and style.ticks == "minor" else ():
            for k in range(1, 5):
                canvas.fill(box.left - 3, a + (b - a) * k // 5, box.left, a + (b - a) * k // 5 + 1, style.ink)
        if style.axes == "box":
            canvas.frame(box.left - 1, box.top - 1, box.right + 1, box.bottom + 1, style.ink)
        if style.axes in ("L", "bottom", "right"):
            canvas.fill(box.left - 1, box.bottom, box.right + 1, box.bottom + 1, style.ink)
        if style.axes in ("L", "right"):
            x = box.left - 1 if style.axes == "L" else box.right
            canvas.fill(x, box.top, x + 1, box.bottom + 1, style.ink)

    def _tick(self, box: Box, axis: str, at: int) -> None:
        """A short line outside or inside of the axis, or across it."""
        out, inner = (5, 0) if self.style.ticks in ("out", "minor") else (0, 6) if self.style.ticks == "in" else (4, 5)
        if axis == "y":
            self.canvas.fill(box.left - out, at, box.left + inner, at + 1, self.style.ink)
        else:
            self.canvas.fill(at, box.bottom - inner, at + 1, box.bottom + out, self.style.ink)

    def draw(self) -> Chart:
        """Paint everything; returns the chart with its values."""
        self.title()
        if self.chart.circular:
            return self.pie()
        entries = self.legend(list(self.chart.series)) if len(self.chart.series) > 1 else []
        late = bool(entries) and entries[0][1] > self.top
        if entries and not late and not self.inside:
            self.print_legend(entries)
        flat = self.chart.kind == "horizontal bar"
        above, below = (self.chart.x_label, self.chart.y_label) if flat else (self.chart.y_label, self.chart.x_label)
        aside = bool(above) and not flat and self.content.chance(0.5)
        if above and not aside:
            self.write(self.left, self.top, above)
            self.top += self.high + 4
        if aside:
            self.left += self.high + 4
        if below:
            self.bottom -= self.high + 4
        label_y = self.bottom + 4
        box = self.rows_box() if flat else self.columns_box()
        if aside:
            wide = self.style.font.width(above)
            self.canvas.write_up(
                self.left - 6 - self.style.font.descent, (box.top + box.bottom + wide) // 2, above, self.style.font, self.style.ink
            )
        chart = self.paint_rows(box) if flat else self.paint_columns(box)
        if below:
            self.write((box.left + box.right - self.style.font.width(below)) // 2, label_y, below)
        if self.inside:
            self.print_inside(box, entries)
        elif late:
            self.print_legend(entries)
        return chart

    def columns_box(self) -> Box:
        """The area beside the ticks of an upright axis and above the categories."""
        chart, font = self.chart, self.style.font
        ticks = max(font.width(chart.notation.full(v)) for v in chart.scale.ticks) + 8
        left, right = (self.left, self.right - ticks) if self.style.axes == "right" else (self.left + ticks, self.right)
        return self._checked(Box(left, self.top + self.high, right, self.bottom - self.high - 6), self.high * chart.scale.steps)

    def rows_box(self) -> Box:
        """The area to the right of the categories and above the ticks."""
        chart, font = self.chart, self.style.font
        left = self.left + max(font.width(c) for c in chart.categories) + 8
        room = font.width(chart.notation.full(chart.scale.high))
        if (room + 8) * (chart.scale.steps + 1) > self.right - left:
            raise Overfull("the ticks run into each other")
        return self._checked(Box(left, self.top + 2, self.right - room, self.bottom - self.high - 6), self.high * len(chart.categories))

    def _checked(self, box: Box, high: int) -> Box:
        if box.right - box.left < 120 or box.bottom - box.top < max(90, high):
            raise Overfull("no room for the plot")
        return box

    def ticks(self, box: Box, *, upright: bool) -> None:
        """Numbers along the axis of values, from the top or the left."""
        chart, font = self.chart, self.style.font
        for k, value in enumerate(chart.scale.ticks if not upright else chart.scale.ticks[::-1]):
            text = chart.notation.full(value)
            if upright:
                x = box.right + 7 if self.style.axes == "right" else box.left - 7 - font.width(text)
                self.write(x, self.y(box, value) - font.ascent + font.x_height / 2, text)
            else:
                self.write(self.x(box, value) - font.width(text) // 2, box.bottom + 5, text, same_row=k > 0)

    def y(self, box: Box, value: int) -> int:
        scale, (above, below) = self.chart.scale, self.room
        return round(box.bottom - below - (value - scale.low) * (box.bottom - below - box.top - above) / (scale.high - scale.low))

    def x(self, box: Box, value: int) -> int:
        scale = self.chart.scale
        return round(box.left + (value - scale.low) * (box.right - box.left) / (scale.high - scale.low))

    # Upright charts --------------------------------------------------------------------------------------------------

    def paint_columns(self, box: Box) -> Chart:
        """Bars, lines or points over categories."""
        chart, font = self.chart, self.style.font
        if chart.kind == "scatter":
            chart = self._numeric_categories(box)
        count, series = len(chart.categories), len(chart.series)
        edged = chart.kind == "line" and count > 2 and self.content.chance(0.35)  # the first point is close to the axis
        margin = max(font.width(chart.categories[0]), font.width(chart.categories[-1])) // 2 - 4 if edged else 0
        slot = (box.right - box.left - 2 * margin) / (count - 1) if edged else (box.right - box.left) / count
        if chart.kind != "scatter" and max(font.width(c) for c in chart.categories) + 6 > slot:
            raise Overfull("the categories run into each other")
        inside = series if chart.kind == "grouped bar" else 1
        fits = font.width(chart.notation.full(chart.scale.high)) + 2 <= slot * 0.8 / inside
        labelled = fits and chart.kind != "scatter" and (chart.kind != "line" or series == 1) and self.content.chance(0.55)
        chart = self.chart = draw_values(self.content, chart, labelled=labelled)
        if labelled and self.style.axes == "box":
            self.room = (max(self.room[0], self.high + 4), self.room[1])  # or the highest number stands on the frame
        bare = labelled and self.content.chance(0.4)
        lines = [] if bare else [("y", self.y(box, v)) for v in chart.scale.ticks]
        centres = [int(box.left + (margin + slot * k if edged else slot * (k + 0.5))) for k in range(count)]
        if chart.kind == "scatter":
            centres = [self._spot(box, c) for c in chart.categories]
            lines += [("x", int(box.left + (box.right - box.left) * k / 6)) for k in range(7)]
        elif not bare and (self.style.grid == "both" or (self.marked and self.content.chance(0.5) and self.style.grid == "none")):
            lines += [("x", c) for c in centres]
        self.frame(box, lines)
        if not (bare and self.content.chance(0.5)):
            self.ticks(box, upright=True)
        if chart.kind in ("line", "scatter"):
            self._paint_points(box, centres)
        else:
            self._paint_bars(box, centres, slot)
        if chart.kind == "scatter":
            for k, text in enumerate(self._axis):
                self.write(box.left + (box.right - box.left) * k / 6 - font.width(text) // 2, box.bottom + 5, text, same_row=k > 0)
            return chart
        for k, (text, x) in enumerate(zip(chart.categories, centres, strict=True)):
            self.write(x - font.width(text) // 2, box.bottom + 5, text, same_row=k > 0)
        return chart

    def _numeric_categories(self, box: Box) -> Chart:
        """Distinct positions on a numeric axis of six steps."""
        step = self.content.one((1, 2, 5, 10, 20, 50, 100))
        self._axis = [str(step * k) for k in range(7)]
        if (self.style.font.width(self._axis[-1]) + 8) * 7 > box.right - box.left:
            raise Overfull("the ticks run into each other")
        places = sorted(self.rng.sample(range(1, 6), min(5, len(self.chart.categories))))
        return self.chart._replace(categories=tuple(self._axis[k] for k in places))

    def _spot(self, box: Box, category: str) -> int:
        return int(box.left + (box.right - box.left) * self._axis.index(category) / 6)

    def _paint_points(self, box: Box, centres: list[int]) -> None:
        chart, font = self.chart, self.style.font
        thick, size = self.rng.choice((1, 2, 2, 3)), self.rng.randint(3, 5)
        for k, row in enumerate(chart.values):
            points = [(x, self.y(box, v)) for x, v in zip(centres, row, strict=True)]
            colour = (*self.colour(k), 0)
            if chart.kind == "line":
                self._stroke(points, k, thick)
            marker = "dot" if self.style.marker == "none" and chart.kind == "scatter" else self.marker(k)
            for point in points:
                self._mark(point, marker, size, colour)
        if chart.labelled:
            for k, (x, value) in enumerate(zip(centres, chart.values[0], strict=True)):
                text = chart.notation.full(value)
                y = self.y(box, value) - self.high - size
                self.write(x - font.width(text) // 2, y, text, same_row=k > 0, paper=self.style.panel)

    def _mark(self, point: tuple[int, int], marker: str, size: int, colour: tuple[int, ...]) -> None:
        rgb, (x, y) = self.canvas.rgb, point
        if marker == "square":
            cv2.rectangle(rgb, (x - size, y - size), (x + size, y + size), colour, -1)
        elif marker == "diamond":
            cv2.fillConvexPoly(
                rgb, np.array([(x - size - 1, y), (x, y - size - 1), (x + size + 1, y), (x, y + size + 1)]), colour, cv2.LINE_AA
            )
        elif marker == "triangle":
            cv2.fillConvexPoly(rgb, np.array([(x - size - 1, y + size), (x, y - size - 1), (x + size + 1, y + size)]), colour, cv2.LINE_AA)
        elif marker == "cross":
            cv2.line(rgb, (x - size, y - size), (x + size, y + size), colour, 2, cv2.LINE_AA)
            cv2.line(rgb, (x - size, y + size), (x + size, y - size), colour, 2, cv2.LINE_AA)
        elif marker in ("dot", "ring"):
            cv2.circle(rgb, point, size, colour, -1, cv2.LINE_AA)
            if marker == "ring":
                cv2.circle(rgb, point, size - 2, (*self.style.panel, 0), -1, cv2.LINE_AA)

    def _paint_bars(self, box: Box, centres: list[int], slot: float) -> None:
        chart, font, labels = self.chart, self.style.font, []
        stacked, series = chart.kind == "stacked bar", len(chart.series)
        share = self.rng.uniform(0.84, 0.95) if chart.labelled else self.rng.uniform(0.4, 0.92)
        wide = int(slot * share / (1 if stacked else series))
        various = series == 1 and len(self.style.palette) >= len(centres) and self.content.chance(0.2)
        for s in range(series):
            for k, centre in enumerate(centres):
                value = chart.values[s][k]
                base = chart.scale.low + (sum(chart.values[t][k] for t in range(s)) if stacked else 0)
                left = centre - wide // 2 if stacked or series == 1 else centre - wide * series // 2 + wide * s
                top, bottom = self.y(box, base + value - chart.scale.low if stacked else value), self.y(box, base)
                colour = self.colour(k if various else s)
                self._bar((left, top, left + wide, bottom), colour, plain=stacked)
                if chart.labelled:
                    text = chart.notation.full(value)
                    x = left + (wide - font.width(text)) // 2
                    y = (top + bottom - self.high) // 2 if stacked else top - self.high - 1
                    if stacked and bottom - top < self.high:
                        raise Overfull("a label is higher than its piece of the bar")
                    labels.append((s, x, y, text, colour if stacked else self.style.panel))
        row = -1
        for s, x, y, text, paper in labels:
            self.write(x, y, text, same_row=s == row, paper=paper)
            row = s

    def _bar(self, area: tuple[int, int, int, int], colour: Colour, *, plain: bool = False) -> None:
        canvas, look, (left, top, right, bottom) = self.canvas, self.style.bars, area
        if look == "hollow" and not plain:
            canvas.frame(*area, colour, 2)
            return
        canvas.fill(*area, colour)
        if look == "outlined":
            canvas.frame(*area, self.style.ink)
        elif look == "shaded" and not plain:
            x, y = ((left + right) // 2, top) if self.chart.kind != "horizontal bar" else (left, (top + bottom) // 2)
            canvas.fill(x, y, right, bottom, mixed(colour, self.style.ink, 0.15))
        elif look == "hatched" and not plain:
            for y in range(top + 3, bottom, 6):
                canvas.fill(left, y, right, y + 2, mixed(colour, self.style.panel, 0.5))

    # Lying bars ------------------------------------------------------------------------------------------------------

    def paint_rows(self, box: Box) -> Chart:
        """One bar to the right of each category."""
        font = self.style.font
        chart = self.chart = draw_values(self.content, self.chart, labelled=self.content.chance(0.55))
        bare = chart.labelled and self.content.chance(0.5)
        self.frame(box, [] if bare else [("x", self.x(box, v)) for v in chart.scale.ticks])
        slot = (box.bottom - box.top) / len(chart.categories)
        wide = max(4, int(slot * self.rng.uniform(0.4, 0.9)))
        various = len(self.style.palette) >= len(chart.categories) and self.content.chance(0.2)
        for k, (text, value) in enumerate(zip(chart.categories, chart.values[0], strict=True)):
            middle, end = int(box.top + slot * (k + 0.5)), self.x(box, value)
            self._bar((box.left, middle - wide // 2, end, middle + wide // 2), self.colour(k if various else 0))
            y = middle - self.high // 2
            self.write(box.left - 7 - font.width(text), y, text)
            if chart.labelled:
                self.write(end + 4, y, chart.notation.full(value), same_row=True, paper=self.style.panel)
        if not bare:
            self.ticks(box, upright=False)
        return chart

    # Pies ------------------------------------------------------------------------------------------------------------

    def pie(self) -> Chart:
        """A pie or a donut with names in a legend or beside the slices."""
        place = str(SLICES.pick(self.rng, self.content.split))
        chart = self.chart = draw_values(self.content, self.chart, labelled=self.content.chance(0.75))
        shares, entries = [chart.notation.full(v) for v in chart.values[0]], []
        in_name = chart.labelled and self.content.chance(0.4)
        names = [f"{name} {share}" if in_name else name for name, share in zip(chart.categories, shares, strict=True)]
        if place != "beside":
            entries = self.legend(names)
        late = bool(entries) and entries[0][1] > self.top
        if entries and not late:
            self.print_legend(entries)
        widest = max(self.style.font.width(n) for n in names) + 10 if place == "beside" else 12
        radius = min((self.right - self.left) // 2 - widest, (self.bottom - self.top) // 2 - self.high)
        if radius < 66:
            raise Overfull("no room for the pie")
        centre = ((self.left + self.right) // 2, (self.top + self.bottom) // 2)
        middles = self._slices(centre, radius, chart.values[0], 6 if place == "exploded" else 0)
        if place == "beside":
            self._names_beside(centre, radius, names, middles)
        if chart.labelled and not in_name:
            self._shares_inside(centre, radius, shares, middles)
        if late:
            self.print_legend(entries)
        return chart

    def _slices(self, centre: tuple[int, int], radius: int, values: tuple[int, ...], apart: int) -> list[float]:
        """Paint the slices clockwise; returns their middles in radians."""
        start, middles = -90.0 + self.rng.choice((0, 0, 0, 30, 90)), []
        for k, value in enumerate(values):
            end = start + value * 3.6
            middle = (start + end) / 2 * pi / 180
            at = (round(centre[0] + apart * cos(middle)), round(centre[1] + apart * sin(middle)))
            cv2.ellipse(self.canvas.rgb, at, (radius, radius), 0, start, end, (*self.colour(k), 0), -1, cv2.LINE_AA)
            edge = (round(at[0] + radius * cos(end * pi / 180)), round(at[1] + radius * sin(end * pi / 180)))
            cv2.line(self.canvas.rgb, at, edge, (*self.style.paper, 0), 2, cv2.LINE_AA)
            middles.append(middle)
            start = end
        if self.chart.kind == "donut":
            cv2.circle(self.canvas.rgb, centre, int(radius * 0.48), (*self.style.paper, 0), -1, cv2.LINE_AA)
        return middles

    def _names_beside(self, centre: tuple[int, int], radius: int, names: list[str], middles: list[float]) -> None:
        font = self.style.font
        taken: list[tuple[float, float, float]] = []
        for name, middle in zip(names, middles, strict=True):
            wide = font.width(name)
            x = centre[0] + (radius + 6) * cos(middle) - (wide if cos(middle) < 0 else 0)
            y = centre[1] + (radius + 6 + self.high // 3) * sin(middle) - self.high / 2
            if any(abs(y - b) < self.high and x < c and a < x + wide for a, b, c in taken):
                raise Overfull("names beside a pie run into each other")
            taken.append((x, y, x + wide))
            self.write(x, y, name)

    def _shares_inside(self, centre: tuple[int, int], radius: int, shares: list[str], middles: list[float]) -> None:
        distance = radius * (0.74 if self.chart.kind == "donut" else 0.68)
        for k, (text, middle) in enumerate(zip(shares, middles, strict=True)):
            x = centre[0] + distance * cos(middle) - self.style.font.width(text) / 2
            self.write(x, centre[1] + distance * sin(middle) - self.high / 2, text, paper=self.colour(k))


def draw_chart(content: Content) -> tuple[Canvas, float, Chart]:
    """A chart 364 to 616 pixels wide and 252 to 476 high."""
    chart, style = draw_names(content), choose_style(content)
    width, height = content.one((364, 420, 448, 448, 504, 560, 616)), content.one((252, 280, 308, 336, 336, 392, 448, 476))
    plotter = Plotter(content, chart, style, width, height)
    chart = plotter.draw()
    return plotter.canvas, min(style.font.x_height, style.bold.x_height), chart
