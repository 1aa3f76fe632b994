"""The looks of charts: palettes, gridlines, axes, legends, bars and markers.

Pieces marked as held out appear in split "test" only, so that a score there is one on styles never trained on.
"""

from collections.abc import Sequence
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Colour, Font
from kimi_vl.training.synth.content import Choice, Content, luminance, sized
from kimi_vl.training.synth.figures import mixed

PALETTES = Choice(
    (
        ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (227, 119, 194), (23, 190, 207)),
        ((66, 133, 244), (219, 68, 55), (244, 180, 0), (15, 157, 88), (171, 71, 188), (0, 172, 193), (255, 112, 67), (158, 157, 36)),
        (
            (102, 194, 165),
            (252, 141, 98),
            (141, 160, 203),
            (231, 138, 195),
            (166, 216, 84),
            (255, 217, 47),
            (229, 196, 148),
            (150, 150, 150),
        ),
        ((38, 70, 83), (42, 157, 143), (233, 196, 106), (244, 162, 97), (231, 111, 81), (110, 70, 120), (90, 120, 60), (60, 110, 180)),
        ((30, 30, 30), (110, 110, 110), (180, 180, 180), (70, 70, 70), (145, 145, 145), (210, 210, 210), (50, 50, 50), (90, 90, 90)),
        ((8, 48, 107), (33, 113, 181), (107, 174, 214), (198, 219, 239), (66, 146, 198), (8, 81, 156), (158, 202, 225), (20, 60, 90)),
        ((220, 20, 60), (255, 165, 0), (60, 179, 113), (70, 130, 180), (138, 43, 226), (0, 139, 139), (205, 133, 63), (199, 21, 133)),
    ),
    (
        ((51, 34, 136), (136, 204, 238), (68, 170, 153), (17, 119, 51), (153, 153, 51), (221, 204, 119), (204, 102, 119), (136, 34, 85)),
        ((230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48), (145, 30, 180), (70, 240, 240), (240, 50, 230)),
    ),
)
GRIDS = Choice(("solid", "solid", "both", "both", "dashed", "none"), ("dotted",))
AXES = Choice(("L", "L", "box", "box", "box", "bottom", "none"), ("right",))
LEGENDS = Choice(("top", "bottom", "right", "top left", "inside", "inside", "inside"), ("top right",))
TICKS = Choice(("out", "out", "in", "minor"), ("both",))  # short lines at the numbers of an axis
STROKES = Choice(("solid", "solid", "solid", "various"), ("dotted",))  # of the lines of several series
KEYS = Choice(("square", "square", "dot"), ("dash",))
BARS = Choice(("flat", "flat", "flat", "outlined", "shaded"), ("hollow", "hatched"))
MARKERS = Choice(("dot", "dot", "square", "various", "various", "none"), ("ring", "diamond"))
TITLE_PLACES = Choice(("center", "center", "left"), ("right",))
SLICES = Choice(("legend", "beside", "legend", "beside"), ("exploded",))

APART = 110  # sum of the differences of red, green and blue at which two series are told apart at a glance


class Style(NamedTuple):
    """Fonts, colours and the pieces of a look."""

    font: Font
    bold: Font
    paper: Colour
    ink: Colour
    faint: Colour  # gridlines
    panel: Colour  # behind the bars
    palette: tuple[Colour, ...]
    grid: str
    axes: str
    legend: str
    key: str
    bars: str
    marker: str
    title: str
    ticks: str
    strokes: str


def choose_style(content: Content) -> Style:
    """Colours of the palette differ from paper and panel by a fifth of the range; those of two series by APART."""
    rng, split = content.rng, content.split
    face = content.face(("sans", "sans", "sans", "serif", "condensed", "slab", "mono"))
    font = content.font(face, 12, 16)
    bold = sized(content.sibling(face, bold=content.chance(0.7)), font.size * content.one((1, 1.1, 1.3)))
    dark = content.chance(0.15)
    level = rng.randint(18, 50) if dark else rng.randint(236, 255)
    paper = (level, level, min(255, level + rng.randint(-4, 6)) if dark or content.chance(0.5) else level)
    ink = (rng.randint(205, 255),) * 3 if dark else (rng.randint(0, 75),) * 3
    panel = mixed(paper, ink, 0.07) if content.chance(0.2) else paper
    colours = PALETTES.pick(rng, split)
    assert isinstance(colours, tuple)
    usable = seen_on(colours, (paper, panel))
    start = rng.randrange(len(usable)) if usable else 0
    palette = told_apart(usable[start:] + usable[:start], (paper, panel))
    picks = [str(c.pick(rng, split)) for c in (GRIDS, AXES, LEGENDS, KEYS, BARS, MARKERS, TITLE_PLACES, TICKS, STROKES)]
    if picks[0] == "none" and picks[1] not in ("L", "box"):
        picks[0] = "solid"  # values that are not printed are read off gridlines or ticks
    return Style(font, bold, paper, ink, mixed(panel, ink, 0.22), panel, palette, *picks)


def seen_on(colours: Sequence[Colour], papers: Sequence[Colour]) -> list[Colour]:
    """Those colours that differ from every paper by a fifth of the range of luminance."""
    levels = [luminance(paper) for paper in papers]
    return [c for c in colours if all(abs(luminance(c) - level) >= 50 for level in levels)]


def told_apart(colours: Sequence[Colour], papers: Sequence[Colour]) -> tuple[Colour, ...]:
    """Colours that can be seen on the papers, without those that an earlier one could be taken for."""
    distinct: list[Colour] = []
    for colour in seen_on(colours, papers):
        if all(sum(abs(a - b) for a, b in zip(colour, other, strict=True)) >= APART for other in distinct):
            distinct.append(colour)
    return tuple(distinct)


def ink_on(colour: Colour) -> Colour:
    return (0, 0, 0) if luminance(colour) > 127 else (255, 255, 255)
