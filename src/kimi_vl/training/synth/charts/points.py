"""Lines and points over categories."""

import cv2
import numpy as np

from kimi_vl.training.synth.charts.axes import Axes
from kimi_vl.training.synth.charts.charts import Chart
from kimi_vl.training.synth.charts.legends import Legends
from kimi_vl.training.synth.charts.marks import curve, mark, stairs
from kimi_vl.training.synth.charts.sheet import Box
from kimi_vl.training.synth.scene import Overfull


class Points(Axes, Legends):
    """Line charts and scatter charts."""

    def numeric_categories(self, box: Box) -> Chart:
        """Distinct positions on a numeric axis of six steps."""
        step = self.content.one((1, 2, 5, 10, 20, 50, 100))
        self._axis = [str(step * k) for k in range(7)]
        if (self.style.font.width(self._axis[-1]) + 8) * 7 > box.right - box.left:
            raise Overfull("the ticks run into each other")
        places = sorted(self.rng.sample(range(1, 6), min(5, len(self.chart.categories))))
        return self.chart._replace(categories=tuple(self._axis[k] for k in places))

    def spot(self, box: Box, category: str) -> int:
        """Where a position on the numeric axis is."""
        return int(box.left + (box.right - box.left) * self._axis.index(category) / 6)

    def print_numeric(self, box: Box) -> None:
        font, ink = self.small, self.soft if self.look.axes.soft else None
        for k, text in enumerate(self._axis):
            x = box.left + (box.right - box.left) * k / 6 - font.width(text) // 2
            self.write(x, box.bottom + 5 + self.out, text, font=font, ink=ink, same_row=k > 0)

    def paint_points(self, box: Box, centres: list[int]) -> None:
        chart, font, look = self.chart, self.style.font, self.look.points
        thick, size = self.rng.choice((1, 2, 2, 3)), self.rng.randint(3, 5)
        thick, size = min(look.thick or thick, 3 if chart.labelled else 5), look.size or size
        size = size if chart.kind == "line" else max(size, 3)
        for k, row in enumerate(chart.values):
            points = [(x, self.y(box, v)) for x, v in zip(centres, row, strict=True)]
            if chart.kind == "line":
                self._line(box, points, k, thick)
            marker = "dot" if self.style.marker == "none" and chart.kind == "scatter" and not look.shape else self.marker(k)
            for point in points:
                mark(self.canvas.rgb, point, marker, size, self.colour(k), self.style.panel, rim=look.rim)
        if chart.labelled:
            for k, (x, value) in enumerate(zip(centres, chart.values[0], strict=True)):
                text = chart.notation.full(value)
                y = self.y(box, value)
                y += size + 2 if self._is_valley(box, k) else -self.high - size
                self.write(x - font.width(text) // 2, y, text, same_row=k > 0, paper=self.style.panel)
        if self.at_ends:
            self.names_at_ends(box.right + 6, [self.y(box, row[-1]) for row in chart.values])

    def _is_valley(self, box: Box, k: int) -> bool:
        """Whether lines leave point `k` upwards only, so that its number goes below; above in the plain look."""
        row = self.chart.values[0]
        if self.look.plain or self.y(box, row[k]) + self.high + 8 > box.bottom:
            return False
        return all(row[near] >= row[k] for near in (k - 1, k + 1) if 0 <= near < len(row)) and len(set(row)) > 1

    def _line(self, box: Box, points: list[tuple[int, int]], k: int, thick: int) -> None:
        form = self.chart.form
        if form == "area":
            self._area(box, points, k)
        path = curve(points) if form == "smooth" else stairs(points) if form == "stairs" else points
        self.stroke(path, k, thick)

    def _area(self, box: Box, points: list[tuple[int, int]], k: int) -> None:
        """A tint from the line down to the axis, through which the gridlines are seen."""
        outline = np.array([(points[0][0], box.bottom), *points, (points[-1][0], box.bottom)], np.int32)
        view = self.canvas.rgb[box.top : box.bottom, box.left : box.right]
        veil = view.copy()
        cv2.fillPoly(veil, [outline - (box.left, box.top)], (*self.colour(k), 0))
        view[:] = cv2.addWeighted(veil, 0.45, view, 0.55, 0)
