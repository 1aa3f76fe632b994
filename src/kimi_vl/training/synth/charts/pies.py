"""Pies and donuts."""

from math import cos, pi, sin

import cv2

from kimi_vl.training.synth.charts.charts import Chart, draw_values
from kimi_vl.training.synth.charts.legends import Legends
from kimi_vl.training.synth.charts.styles import SLICES
from kimi_vl.training.synth.figures import mixed
from kimi_vl.training.synth.scene import Overfull

LEADER = 14  # pixels from the slice to the bend of its line


class Pies(Legends):
    """Circles cut into shares."""

    def pie(self) -> Chart:
        """A pie or a donut with names in a legend or beside the slices."""
        place = str(SLICES.pick(self.rng, self.content.split))
        chart = self.chart = draw_values(self.content, self.chart, labelled=self.content.chance(0.75))
        half = self.look.pie.half and chart.kind == "donut"
        shares = [chart.notation.full(v) for v in chart.values[0]]
        in_name = chart.labelled and (self.content.chance(0.4) or half)
        outside = chart.labelled and not in_name and self.look.pie.outside and place != "beside"
        names = [f"{name} {share}" if in_name else name for name, share in zip(chart.categories, shares, strict=True)]
        entries = self.legend(names) if place != "beside" else []
        late = bool(entries) and entries[0][1] > self.top
        if entries and not late:
            self.print_legend(entries)
        around = names if place == "beside" else shares if outside else []
        widest = max(self.style.font.width(text) for text in around) + 10 if around else 12
        if around and self.look.pie.leader:
            widest += LEADER
        centre, radius = self._circle(widest, half=half)
        middles = self._slices(centre, radius, chart.values[0], 6 if place == "exploded" else 0, half=half)
        if around:
            self._beside(centre, radius, around, middles)
        if chart.labelled and not in_name and not outside:
            self._shares_inside(centre, radius, shares, middles)
        if self.look.pie.centre and chart.kind == "donut":
            self._in_hole(centre, radius, half=half)
        if late:
            self.print_legend(entries)
        return chart

    def _circle(self, widest: int, *, half: bool) -> tuple[tuple[int, int], int]:
        """Centre and radius in what is free, with room for names so wide at both sides."""
        across, high = (self.right - self.left) // 2 - widest, self.bottom - self.top
        radius = min(across, high - 2 * self.high if half else high // 2 - self.high)
        if radius < (90 if half else 66):
            raise Overfull("no room for the pie")
        y = (self.top + self.bottom) // 2 + (radius // 2 if half else 0)
        return ((self.left + self.right) // 2, y), radius

    def _slices(self, centre: tuple[int, int], radius: int, values: tuple[int, ...], apart: int, *, half: bool) -> list[float]:
        """Paint the slices, clockwise in the plain look; returns their middles in radians."""
        look, rgb, paper = self.look.pie, self.canvas.rgb, (*self.style.paper, 0)
        start, middles = -90.0 + self.rng.choice((0, 0, 0, 30, 90)), []
        start, turn = start if look.start is None else float(look.start), -3.6 if look.counter else 3.6
        if half:
            start, turn = 180.0, 1.8
        for k, value in enumerate(values):
            end = start + value * turn
            middle = (start + end) / 2 * pi / 180
            at = (round(centre[0] + apart * cos(middle)), round(centre[1] + apart * sin(middle)))
            cv2.ellipse(rgb, at, (radius, radius), 0, min(start, end), max(start, end), (*self.colour(k), 0), -1, cv2.LINE_AA)
            edge = (round(at[0] + radius * cos(end * pi / 180)), round(at[1] + radius * sin(end * pi / 180)))
            if look.gap:
                cv2.line(rgb, at, edge, paper, look.gap, cv2.LINE_AA)
            middles.append(middle)
            start = end
        if self.chart.kind == "donut":
            hole = int(radius * look.hole)
            if half:  # below is no part of the donut
                cv2.ellipse(rgb, centre, (hole, hole), 0, 178, 362, paper, -1, cv2.LINE_AA)
            else:
                cv2.circle(rgb, centre, hole, paper, -1, cv2.LINE_AA)
        return middles

    def _beside(self, centre: tuple[int, int], radius: int, names: list[str], middles: list[float]) -> None:
        """Texts around the pie, each at its slice, at times with a line to it."""
        font, leader = self.style.font, self.look.pie.leader
        taken: list[tuple[float, float, float]] = []
        far = radius + (LEADER if leader else 6)
        for name, middle in zip(names, middles, strict=True):
            wide = font.width(name)
            x = centre[0] + far * cos(middle) - (wide if cos(middle) < 0 else 0)
            y = centre[1] + (far + self.high // 3) * sin(middle) - self.high / 2
            if any(abs(y - b) < self.high and x < c and a < x + wide for a, b, c in taken):
                raise Overfull("names beside a pie run into each other")
            taken.append((x, y, x + wide))
            if leader:
                start, end = ((round(centre[0] + r * cos(middle)), round(centre[1] + r * sin(middle))) for r in (radius - 3, far - 3))
                cv2.line(self.canvas.rgb, start, end, (*mixed(self.style.paper, self.style.ink, 0.6), 0), 1, cv2.LINE_AA)
            self.write(x, y, name)

    def _shares_inside(self, centre: tuple[int, int], radius: int, shares: list[str], middles: list[float]) -> None:
        hole = self.look.pie.hole
        distance = radius * ((1 + hole) / 2 if self.chart.kind == "donut" else 0.68)
        if (
            self.chart.kind == "donut"
            and not self.look.plain
            and radius * (1 - hole) < max(self.style.font.width(text) for text in shares) + 4
        ):
            raise Overfull("a share is wider than the ring")
        for k, (text, middle) in enumerate(zip(shares, middles, strict=True)):
            x = centre[0] + distance * cos(middle) - self.style.font.width(text) / 2
            self.write(x, centre[1] + distance * sin(middle) - self.high / 2, text, paper=self.colour(k))

    def _in_hole(self, centre: tuple[int, int], radius: int, *, half: bool) -> None:
        """A word or a number in the middle, where it fits."""
        text, font = self.look.pie.centre, self.style.bold
        room = radius * self.look.pie.hole
        high = font.ascent + font.descent
        if font.width(text) <= room * 1.5 and high <= room:
            self.write(centre[0] - font.width(text) // 2, centre[1] - (high + 2 if half else high // 2), text, font=font)
