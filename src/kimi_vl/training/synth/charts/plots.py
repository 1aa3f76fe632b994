"""How charts are painted: from the title down, with what is around the plot, in the order in which it is read."""

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.charts.bars import STEMS, Bars
from kimi_vl.training.synth.charts.charts import Chart, draw_names, draw_values
from kimi_vl.training.synth.charts.legends import Entry
from kimi_vl.training.synth.charts.looks import draw_look
from kimi_vl.training.synth.charts.pies import Pies
from kimi_vl.training.synth.charts.points import Points
from kimi_vl.training.synth.charts.sheet import Box
from kimi_vl.training.synth.charts.styles import choose_style
from kimi_vl.training.synth.content import Content


class Plotter(Bars, Points, Pies):
    """Paints one chart."""

    def draw(self) -> Chart:
        """Paint everything; returns the chart with its values."""
        if self.look.sheet.caption:
            self.keep_foot()
        plural, first = len(self.chart.series) > 1, self.look.legend.place == "above"
        if plural and first:
            self.print_legend(self.legend(list(self.chart.series)))
        self.title()
        if self.chart.circular:
            chart = self.pie()
        else:
            chart = self._plot(self.legend(list(self.chart.series)) if plural and not first else [])
        if self.look.sheet.caption:
            self.caption()
        return chart._replace(keyed=not self.at_ends)

    def _plot(self, entries: list[Entry]) -> Chart:
        """The plot between its axes, with their names and the legend."""
        late = bool(entries) and entries[0][1] > self.top
        if entries and not late and not self.inside:
            self.print_legend(entries)
        flat, font = self.chart.kind == "horizontal bar", self.look.axes.label or self.style.font
        above, below = (self.chart.x_label, self.chart.y_label) if flat else (self.chart.y_label, self.chart.x_label)
        aside = bool(above) and not flat and self.content.chance(0.5)
        if above and not aside:
            self.write(self.left, self.top, above, font=font)
            self.top += self.high + 4
        if aside:
            self.left += self.high + 4
        if below:
            self.bottom -= self.high + 4
        label_y = self.bottom + 4
        box = self.rows_box() if flat else self.columns_box()
        if aside:
            middle = (box.top + box.bottom + font.width(above)) // 2
            self.canvas.write_up(self.left - 6 - font.descent, middle, above, font, self.style.ink)
        chart = self.paint_rows(box) if flat else self._columns(box)
        if below:
            self.write((box.left + box.right - font.width(below)) // 2, label_y, below, font=font)
        if self.inside:
            self.print_inside(box, entries)
        elif late:
            self.print_legend(entries)
        return chart

    def _columns(self, box: Box) -> Chart:
        """Bars, lines or points over categories."""
        chart, font = self.chart, self.style.font
        if chart.kind == "scatter":
            chart = self.numeric_categories(box)
        count, series = len(chart.categories), len(chart.series)
        edged = chart.kind == "line" and count > 2 and (self.at_ends or self.content.chance(0.35))  # the first point is close to the axis
        margin = self._edge() if edged else 0
        slot = (box.right - box.left - 2 * margin) / (count - 1) if edged else (box.right - box.left) / count
        if chart.kind != "scatter":
            self.fit_names(slot)
        inside = series if chart.kind == "grouped bar" else 1
        fits = font.width(chart.notation.full(chart.scale.high)) + 2 <= slot * 0.8 / inside
        labelled = fits and chart.kind != "scatter" and (chart.kind != "line" or series == 1) and self.content.chance(0.55)
        chart = self.chart = draw_values(self.content, chart, labelled=labelled)
        if labelled and (self.style.axes == "box" or chart.form in STEMS):
            self.room = (max(self.room[0], self.high + 4), self.room[1])  # or the highest number stands on the frame
        bare = labelled and self.content.chance(0.4)
        centres = [int(box.left + (margin + slot * k if edged else slot * (k + 0.5))) for k in range(count)]
        if chart.kind == "scatter":
            centres = [self.spot(box, c) for c in chart.categories]
        self.frame(box, self._lines(box, centres, bare=bare))
        if not (bare and self.content.chance(0.5)):
            self.ticks(box, upright=True)
        if chart.kind in ("line", "scatter"):
            self.paint_points(box, centres)
        else:
            self.paint_bars(box, centres, slot)
        if chart.kind == "scatter":
            self.print_numeric(box)
        else:
            self.print_names(box, centres)
        return chart

    def _edge(self) -> int:
        """How far the first point is from the axis, where it is close to it."""
        font, chart = self.style.font, self.chart
        turned = self.naming in ("up", "slanted")
        ends = (chart.notation.full(chart.scale.high),) if turned else (chart.categories[0], chart.categories[-1])
        return max(font.width(text) for text in ends) // 2 + (2 if turned else -4)

    def _lines(self, box: Box, centres: list[int], *, bare: bool) -> list[tuple[str, int]]:
        """Where gridlines and ticks are; none of a `bare` plot."""
        lines = [] if bare else [("y", self.y(box, v)) for v in self.chart.scale.ticks]
        if self.chart.kind == "scatter":
            return lines + [("x", int(box.left + (box.right - box.left) * k / 6)) for k in range(7)]
        if not bare and (self.style.grid == "both" or (self.marked and self.content.chance(0.5) and self.style.grid == "none")):
            lines += [("x", c) for c in centres]
        return lines


def begin_chart(content: Content) -> Plotter:
    """A chart 364 to 616 pixels wide and 252 to 476 high in the plain look, 308 to 672 and 224 to 560 in others."""
    chart, style = draw_names(content), choose_style(content)
    width, height = content.one((364, 420, 448, 448, 504, 560, 616)), content.one((252, 280, 308, 336, 336, 392, 448, 476))
    chart, style, look, size = draw_look(content, chart, style, (width, height))
    return Plotter(content, chart, style, look, size)


def draw_chart(content: Content) -> tuple[Canvas, float, Chart]:
    """The canvas, the smallest x-height on it (pixels) and what it shows. Raises Overfull."""
    plotter = begin_chart(content)
    chart = plotter.draw()
    return plotter.canvas, min(font.x_height for font in (plotter.style.font, plotter.style.bold, plotter.small)), chart
