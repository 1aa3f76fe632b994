"""What a chart shows: its kind, names, scale and values, chosen so that whatever is asked can be read off.

Values are either printed beside their bars and points or lie on gridlines. Pieces marked as held out appear in split "test" only.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from kimi_vl.training.synth.content import DAYS, MONTHS, Choice, Content
from kimi_vl.training.synth.figures import Notation
from kimi_vl.training.synth.scene import Overfull

KINDS = (
    *("bar", "bar", "bar", "horizontal bar", "grouped bar", "grouped bar", "stacked bar"),
    *("line", "line", "line", "line", "pie", "donut", "scatter"),
)
UNITS = Choice(
    ("degrees", "thousand", "per cent", "metres", "euros", "litres", "hours", "points", "tonnes", "people", "km/h", "minutes"),
    ("dollars", "kilograms", "visitors"),
)  # all that is said of a measure, at times
MEASURES = Choice(
    (
        *("Sales", "Revenue ($)", "Visitors", "Rainfall (mm)", "Temperature (C)", "Score", "Orders", "Goals", "Price ($)", "Output (t)"),
        *(
            "Cost ($)",
            "Profit ($)",
            "Members",
            "Downloads",
            "Hours",
            "Distance (km)",
            "Population",
            "Units sold",
            "Weight (kg)",
            "Share (%)",
        ),
    ),
    ("Passengers", "Energy (kWh)", "Turnover ($)", "Tickets", "Speed (km/h)", "Exports"),
)
TITLES = Choice(
    (
        "{measure} by {subject}",
        "{measure} per {subject}",
        "{measure}",
        "{measure} of {name}",
        "{name}",
        "{name}: {measure}",
        "{measure} {year}",
    ),
    ("{measure} for each {subject}", "{name} - {measure}", "{measure} at a glance"),
)
THINGS: dict[str, Callable[[Content], str]] = {
    "product": lambda c: c.product(),
    "item": lambda c: c.product().split(" ")[-1],
    "town": lambda c: c.town(),
    "team": lambda c: c.proper(),
    "person": lambda c: c.person().split(" ")[0],
    "country": lambda c: c.one(("France", "Germany", "Spain", "Italy", "Canada", "Japan", "Norway", "Brazil", "India", "Ireland", "Kenya")),
    "department": lambda c: c.one(("Sales", "Finance", "Support", "Research", "Logistics", "Legal", "Marketing", "Design")),
    "group": lambda c: f"{c.one(('Group', 'Class', 'Plant', 'Shop'))} {c.letters(1)}",
    "project": lambda c: c.proper(),
}
SUBJECTS = Choice(("product", "item", "town", "team", "person", "country", "department", "project"), ("group",))
TIMES = Choice(("month", "month", "year", "year", "quarter", "day"), ("week",))
STEPS = (1, 2, 5, 10, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 5000)


class Scale(NamedTuple):
    """The axis of values: `steps` equal steps above `low`."""

    low: int
    step: int
    steps: int

    @property
    def high(self) -> int:
        return self.low + self.step * self.steps

    @property
    def ticks(self) -> list[int]:
        return [self.low + self.step * k for k in range(self.steps + 1)]


class Chart(NamedTuple):
    """The facts of one chart; texts are "" where they are not printed.

    `values` are by series, then by category, in units of the last printed digit; `exact` says that they can be read off,
    `labelled` that they are printed. In a scatter chart the categories are positions on a numeric axis.
    """

    kind: str
    title: str
    measure: str
    subject: str
    categories: tuple[str, ...]
    series: tuple[str, ...]
    scale: Scale
    notation: Notation
    x_label: str = ""
    y_label: str = ""
    timed: bool = False
    labelled: bool = False
    exact: bool = True
    values: tuple[tuple[int, ...], ...] = ()
    form: str = ""  # "lollipop" or "dots" in place of bars; "area", "smooth" or "stairs" of a line
    keyed: bool = True  # several series are named in a legend, not beside their lines

    @property
    def circular(self) -> bool:
        return self.kind in ("pie", "donut")

    @property
    def said(self) -> str:
        """What is measured, as somebody types it."""
        return self.measure.split(" (")[0].lower()


def draw_names(content: Content) -> Chart:
    """A chart without values."""
    kind, measure = content.one(KINDS), str(MEASURES.pick(content.rng, content.split))
    plural = (
        kind in ("grouped bar", "stacked bar") or (kind == "line" and content.chance(0.65)) or (kind == "scatter" and content.chance(0.4))
    )
    timed = kind == "line" or (kind in ("bar", "grouped bar", "stacked bar") and content.chance(0.4))
    count = content.rng.randint(3, 8 if kind in ("bar", "horizontal bar", "line") else 6)
    subject, categories = _times(content, count) if timed else _things(content, count)
    series = _series(content, categories) if plural else ("",)
    scale, notation = draw_scale(content)
    if kind == "line" and content.chance(0.3):
        scale = scale._replace(low=scale.step * content.rng.randint(1, 6))
    if kind in ("pie", "donut"):
        notation, measure = Notation(suffix="%"), "Share"
    if kind == "scatter":
        subject = str(MEASURES.pick(content.rng, content.split))
        if subject == measure:
            raise Overfull("both axes show the same")
    title = ""
    if content.chance(0.85):
        form = str(TITLES.pick(content.rng, content.split))
        plain = measure.split(" (")[0]
        slots = {
            "measure": plain,
            "subject": subject.split(" (")[0].lower(),
            "name": content.company(),
            "year": content.rng.randint(1990, 2029),
        }
        title = form.format(**slots)
        if content.chance(0.15):
            title = title.upper()
    named = kind not in ("pie", "donut")
    y_label = measure if named and (kind == "scatter" or content.chance(0.6)) else ""
    if y_label and title and kind != "scatter" and content.chance(0.3):
        y_label = str(UNITS.pick(content.rng, content.split))
    x_label = subject if kind == "scatter" else subject.capitalize() if named and content.chance(0.4) else ""
    return Chart(kind, title, measure, subject, categories, series, scale, notation, x_label, y_label, timed)


def _times(content: Content, count: int) -> tuple[str, tuple[str, ...]]:
    kind = str(TIMES.pick(content.rng, content.split))
    if kind == "year":
        start = content.rng.randint(1960, 2020)
        return kind, tuple(str(start + k) for k in range(count))
    names = {
        "month": tuple(m[:3] for m in MONTHS),
        "day": tuple(d[:3] for d in DAYS),
        "quarter": ("Q1", "Q2", "Q3", "Q4"),
        "week": tuple(f"W{k}" for k in range(1, 13)),
    }[kind]
    count = min(count, len(names))
    start = content.rng.randrange(len(names) - count + 1)
    return kind, names[start : start + count]


def _things(content: Content, count: int) -> tuple[str, tuple[str, ...]]:
    subject = str(SUBJECTS.pick(content.rng, content.split))
    return subject, _distinct(content, THINGS[subject], count, ())


def _series(content: Content, others: tuple[str, ...]) -> tuple[str, ...]:
    count = content.rng.choice((2, 2, 3, 3, 4))
    if content.chance(0.2):
        start = content.rng.randint(1990, 2024)
        return tuple(str(start + k) for k in range(count))
    return _distinct(content, content.one((Content.proper, Content.town, Content.product)), count, others)


def _distinct(content: Content, make: Callable[[Content], str], count: int, others: tuple[str, ...]) -> tuple[str, ...]:
    """Names none of which contains another. Raises Overfull."""
    names: list[str] = []
    for _ in range(count * 5):
        name = make(content)
        folded = name.casefold()
        if len(name) > 1 and not any(folded in n.casefold() or n.casefold() in folded for n in (*names, *others)):
            names.append(name)
        if len(names) == count:
            return tuple(names)
    raise Overfull("names are not distinct")


def draw_scale(content: Content) -> tuple[Scale, Notation]:
    step = content.one(STEPS)
    decimals = 1 if step in (2, 5, 25) and content.chance(0.4) else 0
    suffix = "%" if content.chance(0.06) and step <= 10 else ""
    group = "," if content.chance(0.5) else ""
    return Scale(0, step, content.rng.randint(4, 8)), Notation(decimals, group=group, suffix=suffix)


def draw_values(content: Content, chart: Chart, *, labelled: bool) -> Chart:
    """The chart with values: any where they are `labelled`, else on gridlines; shares of a pie add up to 100."""
    rng, scale, count = content.rng, chart.scale, len(chart.categories)
    if chart.circular:
        return chart._replace(labelled=labelled, exact=labelled, values=(_shares(content, count),))
    stacked = chart.kind == "stacked bar"
    room = scale.steps // len(chart.series) if stacked else scale.steps
    if stacked and room < 1:
        raise Overfull("more series than steps of the scale")
    rows: list[tuple[int, ...]] = []
    half = scale.step // 2 if scale.step % 2 == 0 and not stacked else 0  # a value half way between two ticks can be read as well
    halved = half > 0 and not labelled and content.chance(0.5)
    for _ in chart.series:
        if labelled:
            least = scale.low + max(1, (scale.high - scale.low) // 8)
            most = scale.high // len(chart.series) if stacked else scale.high
            if most <= least:
                raise Overfull("the scale has too few values")
            row = [rng.randint(least, most) for _ in range(count)]
        else:
            first = 0 if chart.kind in ("line", "scatter") else 1
            row = [scale.low + scale.step * rng.randint(first, room) for _ in range(count)]
            if halved:
                row = [min(scale.high, v + rng.choice((0, 0, half))) for v in row]
        if (chart.timed or chart.kind == "scatter") and content.chance(0.35):
            row.sort(reverse=content.chance(0.5))
        if chart.kind in ("line", "scatter"):
            row = [_free(content, scale, value, {other[k] for other in rows}) for k, value in enumerate(row)]
        rows.append(tuple(row))
    return chart._replace(labelled=labelled, exact=True, values=tuple(rows))


def _free(content: Content, scale: Scale, value: int, taken: set[int]) -> int:
    """`value`, or another gridline where a point of an earlier series would be hidden."""
    near = {t + d for t in taken for d in (0, scale.step // 2, -(scale.step // 2))}
    return content.one([v for v in scale.ticks if v not in near] or [v for v in scale.ticks if v not in taken]) if value in taken else value


def _shares(content: Content, count: int) -> tuple[int, ...]:
    """Shares of at least 8 that add up to 100."""
    least = 8
    cuts = sorted(content.rng.sample(range(1, 100 - least * count + count), count - 1))
    edges = [0, *cuts, 100 - least * count + count]
    return tuple(b - a - 1 + least for a, b in pairwise(edges))
