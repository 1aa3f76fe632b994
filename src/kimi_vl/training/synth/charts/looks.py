"""Looks of charts beyond the pieces of `styles`: what a model must have met to read a look that it never met.

They are drawn in split "train" only. "val" and "test" keep the plain `Look()`, because evaluation has pinned their pictures, and
because a score on "test" is one on pieces never trained on: nothing here is, or is close to, a piece that is held out.
"""

from typing import NamedTuple

from kimi_vl.training.synth.canvas import Colour, Font
from kimi_vl.training.synth.charts.charts import UNITS, Chart
from kimi_vl.training.synth.charts.palettes import draw_palette
from kimi_vl.training.synth.charts.styles import Style, told_apart
from kimi_vl.training.synth.content import DAYS, MONTHS, Content, luminance, sized, smaller
from kimi_vl.training.synth.figures import mixed

PLAIN = 0.15  # share of the charts that keep the plain look
WIDTHS = tuple(range(308, 673, 28))
HEIGHTS = tuple(range(224, 561, 28))
LARGEST = 300_000  # pixels
SHAPES = ("dot", "square", "triangle", "down", "plus", "cross", "star", "pentagon", "hexagon")
LONG = {name[:3]: name for name in (*MONTHS, *DAYS)}
TITLES = ("{} in {}", "{}, {}", "{} compared, {}", "Comparison of {} {}", "How {} developed until {}", "{} since {}", "Report on {} {}")
COUNTED = ("Visitors", "Downloads", "Members", "Population", "Units sold", "Orders")  # in thousands at times


class SheetLook(NamedTuple):
    """Around the plot."""

    border: str = ""  # "edge", "line", "double" or "card"
    subtitle: str = ""
    caption: str = ""
    banner: Colour | None = None  # behind the title
    wraps: bool = False  # a title that is too long takes two lines
    broken: bool = False  # any title does


class AxisLook(NamedTuple):
    """Axes, gridlines and what is written along them."""

    spine: str = ""  # "offset" from the plot, "thick", "arrow", or "ticks" alone
    bands: bool = False  # every second row between gridlines is tinted
    minor: bool = False  # finer gridlines half way
    thick: int = 1  # of gridlines
    soft: bool = False  # numbers in lighter ink
    small: Font | None = None  # of the numbers
    label: Font | None = None  # of the axes' names
    names: str = ""  # of categories that do not fit: "wrapped", "up" or "slanted", or so at any rate: "always up"
    top: bool = False  # numbers above lying bars


class LegendLook(NamedTuple):
    place: str = ""  # "left", "above" the title, in two "columns", or at the "ends" of lines
    key: str = ""  # "outlined", "circle", "swatch" or "round"
    title: str = ""
    framed: bool = False


class BarLook(NamedTuple):
    form: str = ""  # "rounded", "gradient", "shadow" or "rim"
    share: float = 0  # of its slot that a bar without a number takes
    accent: bool = False  # one bar stands out
    value: str = ""  # numbers within: at the "top", in the "middle" or at the "base"


class PointLook(NamedTuple):
    shape: str = ""  # one of SHAPES, or "mixed"
    first: int = 0  # where the mixed ones begin
    rim: bool = False
    size: int = 0
    thick: int = 0


class PieLook(NamedTuple):
    start: int | None = None  # degrees
    counter: bool = False  # counter-clockwise
    gap: int = 2
    hole: float = 0.48  # share of the radius
    half: bool = False
    leader: bool = False  # a line from the slice to its name
    outside: bool = False  # shares around the pie
    centre: str = ""  # in a donut's hole


class Look(NamedTuple):
    """By default the plain look, in which nothing differs from `styles`."""

    sheet: SheetLook = SheetLook()
    axes: AxisLook = AxisLook()
    legend: LegendLook = LegendLook()
    bars: BarLook = BarLook()
    points: PointLook = PointLook()
    pie: PieLook = PieLook()

    @property
    def plain(self) -> bool:
        return self == Look()


def draw_look(content: Content, chart: Chart, style: Style, size: tuple[int, int]) -> tuple[Chart, Style, Look, tuple[int, int]]:
    """Another look for a chart: how its texts are put, its form, its colours and fonts, its pieces, its size."""
    if content.split != "train" or content.chance(PLAIN):
        return chart, style, Look(), size
    if content.chance(0.7):
        sizes = [(w, h) for w in WIDTHS for h in HEIGHTS if w * h <= LARGEST and 0.4 < h / w < 1.4]
        size = content.one(sizes)
    chart, style = _reform(content, _rename(content, chart)), _recolour(content, _reface(content, style))
    look = Look(
        _sheet(content, chart, style), _axes(content, style), _legend(content, chart), _bars(content), _points(content), _pie(content)
    )
    return chart, style, look, size


def _rename(content: Content, chart: Chart) -> Chart:
    """Months and days written out or in capitals, and other titles."""
    categories, title = chart.categories, chart.title
    if chart.timed and content.chance(0.3):
        categories = tuple(LONG.get(name, name) for name in categories)
    if content.chance(0.08):
        categories = tuple(name.upper() for name in categories)
    if title and content.chance(0.3):
        title = content.one(TITLES).format(chart.measure.split(" (")[0], content.rng.randint(1990, 2029))
    return chart._replace(categories=categories, title=title)


def _reform(content: Content, chart: Chart) -> Chart:
    """Points on stems or alone in place of bars, lines of other courses, and units beside the numbers."""
    form, draw = "", content.rng.random()
    if chart.kind in ("bar", "horizontal bar"):
        form = "lollipop" if draw < 0.1 else "dots" if draw < 0.16 else ""
    elif chart.kind == "line":
        alone = len(chart.series) == 1  # stairs hide one another's steps, areas one another
        form = "smooth" if draw < 0.15 else "area" if draw < 0.35 and alone else "stairs" if draw < 0.45 and alone else ""
    notation = chart.notation
    if not chart.circular and not notation.suffix and chart.y_label not in UNITS.seen and content.chance(0.35):
        if "($)" in chart.measure:
            notation = notation._replace(prefix="$")
        elif chart.measure in COUNTED:
            notation = notation._replace(suffix=content.one(("k", "M")))
        elif "(" in chart.measure and chart.scale.high < 1000:
            notation = notation._replace(suffix=chart.measure.partition("(")[2].rstrip(")"))
    return chart._replace(form=form, notation=notation)


def _reface(content: Content, style: Style) -> Style:
    """The title in another face, the rest larger."""
    font, bold = style.font, style.bold
    if content.chance(0.2):
        font = sized(font.face, font.size * content.rng.uniform(1.1, 1.4))
    if content.chance(0.25):
        bold = sized(content.face(("serif", "slab", "sans", "condensed", "display")), font.size * content.one((1, 1.2, 1.4, 1.6)))
    return style._replace(font=font, bold=bold)


def _recolour(content: Content, style: Style) -> Style:
    """Paper, panel, ink, gridlines and palette of any tint."""
    paper, panel, ink = style.paper, style.panel, style.ink
    if content.chance(0.35):
        tint = (content.rng.randrange(256), content.rng.randrange(256), content.rng.randrange(256))
        dark = luminance(ink) > luminance(paper)
        paper = panel = mixed((12, 12, 16) if dark else (255, 255, 255), tint, content.rng.uniform(0.05, 0.22))
        ink = mixed(ink, tint, 0.2) if content.chance(0.5) else ink
    if content.chance(0.3):
        panel = mixed(
            paper, content.one((ink, (255, 255, 255), style.palette[0] if style.palette else ink)), content.rng.uniform(0.05, 0.16)
        )
    faint = mixed(panel, ink, content.rng.uniform(0.1, 0.4))
    if luminance(panel) < 236 and luminance(ink) < luminance(panel) and content.chance(0.6):
        faint = (255, 255, 255)
    papers = (paper, panel)
    palette = draw_palette(content, papers) if content.chance(0.8) else told_apart(style.palette, papers)
    return style._replace(paper=paper, panel=panel, ink=ink, faint=faint, palette=palette)


def _sheet(content: Content, chart: Chart, style: Style) -> SheetLook:
    year = content.rng.randint(1990, 2029)
    subtitle = content.one((f"Survey of {year}", f"{content.company()}, {year}", "Figures are provisional", f"Annual report {year}"))
    caption = content.one((f"Source: {content.company()}", f"Source: {content.company()}, {year}", f"Data: {content.site()}"))
    if chart.title and content.chance(0.3):
        caption = content.one(("Fig. {}", "Figure {}.", "Chart {}")).format(content.rng.randint(1, 30))
    plain = luminance(style.paper)
    banners = [c for c in style.palette if abs(luminance(c) - plain) > 60] if content.chance(0.08) else []
    return SheetLook(
        border=content.one(("edge", "line", "double", "card", "card")) if content.chance(0.3) else "",
        subtitle=subtitle if chart.title and content.chance(0.2) else "",
        caption=caption if content.chance(0.25) else "",
        banner=banners[0] if banners else None,
        wraps=True,
        broken=content.chance(0.1),
    )


def _axes(content: Content, style: Style) -> AxisLook:
    return AxisLook(
        spine=content.one(("offset", "thick", "arrow", "ticks")) if content.chance(0.4) else "",
        bands=content.chance(0.12),
        minor=content.chance(0.12),
        thick=2 if content.chance(0.15) else 1,
        soft=content.chance(0.3),
        small=smaller(style.font, 0.88) if content.chance(0.3) else None,
        label=sized(content.sibling(style.font.face, bold=True), style.font.size) if content.chance(0.3) else None,
        names=content.one(("wrapped", "wrapped", "up", "slanted", "slanted", "always up", "always slanted")),
        top=content.chance(0.25),
    )


def _legend(content: Content, chart: Chart) -> LegendLook:
    places = ("left", "above", "columns", "columns", *(("ends", "ends", "ends") if chart.kind == "line" else ()))
    return LegendLook(
        place=content.one(places) if content.chance(0.5) else "",
        key=content.one(("outlined", "circle", "swatch", "round")) if content.chance(0.5) else "",
        title=content.one(("Legend", "Key", "Series", "Shown")) if content.chance(0.15) else "",
        framed=content.chance(0.25),
    )


def _bars(content: Content) -> BarLook:
    return BarLook(
        form=content.one(("rounded", "rounded", "gradient", "shadow", "rim", "rim")) if content.chance(0.5) else "",
        share=content.rng.uniform(0.22, 1.0) if content.chance(0.5) else 0,
        accent=content.chance(0.15),
        value=content.one(("top", "top", "middle", "base")) if content.chance(0.5) else "",
    )


def _points(content: Content) -> PointLook:
    return PointLook(
        shape=content.one((*SHAPES, "mixed", "mixed", "mixed")) if content.chance(0.6) else "",
        first=content.rng.randrange(len(SHAPES)),
        rim=content.chance(0.3),
        size=content.rng.randint(2, 7) if content.chance(0.5) else 0,
        thick=content.rng.randint(1, 5) if content.chance(0.5) else 0,
    )


def _pie(content: Content) -> PieLook:
    return PieLook(
        start=content.rng.randrange(360) if content.chance(0.6) else None,
        counter=content.chance(0.3),
        gap=content.one((0, 1, 2, 3)),
        hole=content.rng.uniform(0.36, 0.68),
        half=content.chance(0.15),
        leader=content.chance(0.4),
        outside=content.chance(0.35),
        centre=content.one(("100%", "Total", f"n = {content.rng.randint(20, 900)}", "All")) if content.chance(0.4) else "",
    )
