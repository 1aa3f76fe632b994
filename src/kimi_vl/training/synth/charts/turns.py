"""What can be asked about a chart: values, extremes, sums with steps, trends, its texts, and what is not in it."""

from collections.abc import Sequence

from kimi_vl.training.synth import traces
from kimi_vl.training.synth.charts.charts import THINGS, Chart
from kimi_vl.training.synth.charts.plots import draw_chart
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.documents.sheet_turns import ranked, round_near
from kimi_vl.training.synth.figures import markdown
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.traces import Quote

NAMES_OF = {
    "bar": "bar chart",
    "horizontal bar": "horizontal bar chart",
    "grouped bar": "grouped bar chart",
    "stacked bar": "stacked bar chart",
    "line": "line chart",
    "pie": "pie chart",
    "donut": "donut chart",
    "scatter": "scatter chart",
}
FORMS = {"lollipop": "lollipop chart", "dots": "dot plot", "area": "area chart"}
PART_OF = {"line": "points", "scatter": "points", "pie": "slices", "donut": "slices", "lollipop": "points", "dots": "points"}
FEW = 5  # bars and points that are counted or compared at a glance
CLEAR = 5  # shares of two slices that differ by so many points can be told apart without numbers


def name_of(chart: Chart) -> str:
    """What a chart of this kind is called."""
    return FORMS.get(chart.form) or NAMES_OF[chart.kind]


def parts_of(chart: Chart) -> str:
    """What stands for its values, in the plural."""
    return PART_OF.get(chart.form) or PART_OF.get(chart.kind, "bars")


class ChartTurns:
    """Draws turns about one chart; each maker returns None when the chart does not allow its question."""

    def __init__(self, content: Content, interview: Interview, chart: Chart) -> None:
        self.content, self.rng, self.interview, self.chart = content, content.rng, interview, chart
        self.plural = len(chart.series) > 1

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns."""
        makers = (
            *((self.value, 42), (self.extreme, 12), (self.larger, 7), (self.difference, 4), (self.total, 4), (self.trend, 7)),
            *((self.step, 4), (self.text, 10), (self.legend, 6), (self.count, 4), (self.kind, 3), (self.reverse, 7)),
            *((self.above, 6), (self.written_out, 8), (self.refusal, 15), (self.highest_series, 9), (self.ratio, 3)),
            *((self.second, 4), (self.average, 1), (self.part_there, 4), (self.between_series, 8), (self.crossing, 4)),
            *((self.series_larger, 5), (self.unit, 3)),
        )
        return self.interview.draw(count, makers)

    # Looked up -------------------------------------------------------------------------------------------------------

    def said(self, k: int) -> str:
        """A category as somebody types it; on a numeric axis with the axis' name."""
        name = self.chart.categories[k]
        if self.chart.kind == "scatter":
            return self.rng.choice((f"x = {name}", f"{self.chart.subject.split(' (')[0].lower()} {name}"))
        return self.rng.choice((name, name, name, name.lower()))

    def one(self) -> tuple[int, int]:
        """A series and a category."""
        return self.rng.randrange(len(self.chart.series)), self.rng.randrange(len(self.chart.categories))

    def printed(self, s: int, k: int) -> str:
        return self.chart.notation.full(self.chart.values[s][k])

    def shown(self, s: int, k: int) -> str:
        """Evidence: category or series with its value."""
        return f"{self.chart.categories[k]} {self.printed(s, k)}"

    def quotes(self, s: int, parts: Sequence[int] = ()) -> list[Quote]:
        """Values of a series with their categories."""
        chart = self.chart
        return [Quote(chart.categories[k], chart.values[s][k], self.printed(s, k)) for k in parts or range(len(chart.categories))]

    def by_series(self, k: int) -> list[Quote]:
        """Values of a category with their series."""
        return [Quote(name, self.chart.values[s][k], self.printed(s, k)) for s, name in enumerate(self.chart.series)]

    def value(self) -> Turn | None:
        if not self.chart.exact:
            return None
        s, k = self.one()
        thought = self.reading(s, k)
        if self.plural:
            slots = {"series": self.chart.series[s], "item": self.said(k)}
            return self.interview.glance("chart_cell", self.printed(s, k), thought, "cell", **slots)
        if self.chart.circular:
            return self.interview.glance("chart_share", self.printed(s, k), thought, "cell", item=self.said(k))
        if self.chart.y_label == self.chart.measure and self.rng.random() < 0.5:
            return self.interview.glance("cell", self.printed(s, k), thought, "cell", column=self.chart.said, row=self.said(k))
        return self.interview.glance("chart_value", self.printed(s, k), thought, "cell", item=self.said(k))

    def reading(self, s: int, k: int) -> str:
        """How a value is found: where it is printed, or which numbers of the axis it lies at or between."""
        chart, value = self.chart, self.chart.values[s][k]
        plain = f"{chart.series[s]} {self.shown(s, k)}".strip()
        if chart.labelled or chart.circular or chart.kind == "stacked bar" or self.rng.random() < 0.25:
            return plain
        full, name = chart.notation.full, chart.categories[k]
        what = parts_of(chart).removesuffix("s")
        subject = f"The {what} of {chart.series[s]} at {name}" if self.plural else f"The {what} at {name}"
        if value in chart.scale.ticks:
            return (
                f"{subject} is at the height of {full(value)}." if chart.kind != "horizontal bar" else f"{subject} reaches {full(value)}."
            )
        low = max(tick for tick in chart.scale.ticks if tick < value)
        return f"{subject} is half way between {full(low)} and {full(low + chart.scale.step)}: {full(value)}."

    def reverse(self) -> Turn | None:
        if not self.chart.exact or self.plural or self.chart.kind == "scatter":
            return None
        _, k = self.one()
        if self.chart.values[0].count(self.chart.values[0][k]) > 1:
            return None
        if self.rng.random() < 0.2 and self.chart.labelled:
            value = self.chart.notation.full(self.chart.values[0][k] + self.rng.choice((1, 2, 5, 10, 50)))
            slots = {"subject": self.chart.subject, "value": value}
            return (
                self.interview.glance("chart_which", "None.", f"None is {value}.", "find", **slots) if self.interview.lacks(value) else None
            )
        answer = self.chart.categories[k]
        return self.interview.glance("chart_which", answer, self.shown(0, k), "find", subject=self.chart.subject, value=self.printed(0, k))

    def text(self) -> Turn | None:
        """The title, or the label of an axis."""
        chart = self.chart
        found = [(key, text) for key, text in (("title", chart.title), ("x_label", chart.x_label), ("y_label", chart.y_label)) if text]
        if chart.kind == "horizontal bar":
            found = [(key, text) for key, text in found if key == "title"]  # which axis is x there is a matter of taste
        if not found:
            return None
        key, text = self.rng.choice(found)
        return self.interview.lookup(key, text, text, "title" if key == "title" else "field")

    def unit(self) -> Turn | None:
        """What the values are counted in: all of an axis' label, or what it has in brackets."""
        label = self.chart.y_label
        unit = label if label and label != self.chart.measure else label.partition(" (")[2].rstrip(")")
        return self.interview.lookup("axis_unit", unit, label, "field") if unit else None

    def legend(self) -> Turn | None:
        names = self.chart.categories if self.chart.circular else self.chart.series
        if len(names) < 2 or not self.chart.keyed:
            return None
        key = "list_slices" if self.chart.circular else "list_series"
        return self.interview.glance(key, ", ".join(names), f"There are {len(names)} of them.", "find")

    def count(self) -> Turn | None:
        chart = self.chart
        if self.plural and self.rng.random() < 0.6 and chart.keyed:
            names = "\n".join(f"{k}. {name}" for k, name in enumerate(chart.series, 1))
            return self.interview.work("count_series", str(len(chart.series)), names, "count", trivial=True)
        if chart.kind == "scatter" or self.plural:
            return None
        names = "\n".join(f"{k}. {name}" for k, name in enumerate(chart.categories, 1))
        part = parts_of(chart)
        if chart.kind == "line":
            return None  # a line without markers has no points to count
        easy = len(chart.categories) <= FEW
        return self.interview.work("count_parts", str(len(chart.categories)), names, "count", trivial=True, easy=easy, parts=part)

    def part_there(self) -> Turn | None:
        """Whether something is in the chart."""
        if self.chart.kind == "scatter":
            return None
        part = parts_of(self.chart) if not self.plural else "categories"
        if self.rng.random() < 0.5:
            k = self.one()[1]
            return self.interview.glance("part_there", "Yes.", f"I see {self.chart.categories[k]}.", "find", item=self.said(k), parts=part)
        name = self.absent_name()
        return self.interview.glance("part_there", "No.", f"There is no {name}.", "find", item=name, parts=part) if name else None

    def absent_name(self) -> str | None:
        """A name such as categories here have, which is not printed."""
        made = THINGS.get(self.chart.subject, lambda content: content.one(("Jan", "Jun", "Dec", "1875", "Sun", "Q4")))
        name = made(self.content)
        return name if self.interview.lacks(name) and self.interview.lacks(name.split(" ")[-1]) else None

    def kind(self) -> Turn | None:
        name = name_of(self.chart)
        a = "an" if name[0] == "a" else "a"
        return self.interview.glance("chart_kind", f"{a.capitalize()} {name}.", f"It shows {a} {name}.", "find")

    def written_out(self) -> Turn | None:
        """The chart's numbers in Markdown."""
        chart = self.chart
        if not chart.exact:
            return None
        heads = [name or chart.y_label or chart.measure for name in chart.series]
        first = chart.subject if chart.kind == "scatter" else chart.subject.capitalize()
        rows = [(name, *[self.printed(s, k) for s in range(len(heads))]) for k, name in enumerate(chart.categories)]
        thought = f"There are {len(heads) + 1} columns and {len(rows)} rows."
        if not chart.y_label and not self.plural:
            heads = ["Value"]
        return self.interview.glance("chart_table", markdown((first if chart.x_label else "Name", *heads), rows), thought, "markdown")

    # Worked out ------------------------------------------------------------------------------------------------------

    def extreme(self) -> Turn | None:
        chart, high = self.chart, self.rng.random() < 0.6
        s, _ = self.one()
        row = chart.values[s]
        ordered = sorted(row, reverse=high)
        margin = 1 if chart.exact else CLEAR
        if abs(ordered[0] - ordered[1]) < margin or (chart.kind == "scatter" and self.plural):
            return None
        k = row.index(ordered[0])
        word = "highest" if high else "lowest"
        trace: str | traces.Working = f"The {'largest' if high else 'smallest'} slice is {chart.categories[k]}."
        if chart.exact:
            trace = ranked(self.rng, chart.notation.bare, self.quotes(s), high=high, word=word)
        easy = len(row) <= FEW or not chart.exact
        subject = self.chart.subject.split(" (")[0].lower()
        if self.plural:
            slots = {"subject": subject, "series": chart.series[s]}
            return self.interview.work(f"chart_{word}_of", chart.categories[k], trace, "find", trivial=True, easy=easy, **slots)
        return self.interview.work(f"chart_{word}", chart.categories[k], trace, "find", trivial=True, easy=easy, subject=subject)

    def second(self) -> Turn | None:
        """The second highest."""
        chart = self.chart
        if not chart.exact or self.plural or chart.kind == "scatter":
            return None
        ordered = sorted(chart.values[0], reverse=True)
        if ordered[0] == ordered[1] or ordered[1] == ordered[2]:
            return None
        trace = traces.runner_up(self.rng, chart.notation.bare, self.quotes(0), high=True, word="highest")
        name = chart.categories[chart.values[0].index(ordered[1])]
        return self.interview.work("chart_second", name, trace, "find", easy=len(ordered) <= FEW, subject=chart.subject)

    def highest_series(self) -> Turn | None:
        """Which series leads in one category."""
        if not self.plural:
            return None
        _, k = self.one()
        values = [row[k] for row in self.chart.values]
        high = self.rng.random() < 0.6
        best = max(values) if high else min(values)
        if values.count(best) > 1:
            return None
        s = values.index(best)
        word = "highest" if high else "lowest"
        trace = ranked(self.rng, self.chart.notation.bare, self.by_series(k), high=high, word=word)
        return self.interview.work(f"series_{word}", self.chart.series[s], trace, "find", easy=True, item=self.said(k))

    def two_series(self) -> tuple[int, int, int] | None:
        """Two series and a category in which they differ, the larger first."""
        if not self.plural or not self.chart.exact:
            return None
        k = self.one()[1]
        a, b = sorted(self.rng.sample(range(len(self.chart.series)), 2), key=lambda s: -self.chart.values[s][k])
        return None if self.chart.values[a][k] == self.chart.values[b][k] else (a, b, k)

    def between_series(self) -> Turn | None:
        """The difference between two series in one category."""
        if not (found := self.two_series()):
            return None
        a, b, k = found
        quotes = self.by_series(k)
        trace = traces.subtract(self.rng, self.chart.notation.bare, quotes[a], quotes[b])
        answer = self.chart.notation.full(quotes[a].value - quotes[b].value)
        slots = {"a": self.chart.series[a], "b": self.chart.series[b], "item": self.said(k)}
        return self.interview.work("between_series", answer, trace, "sum", trivial=True, easy=False, **slots)

    def series_larger(self) -> Turn | None:
        """Which of two series is the larger in one category."""
        if not (found := self.two_series()):
            return None
        a, b, k = found
        first, second = self.rng.sample((a, b), 2)
        quotes = self.by_series(k)
        trace = f"{quotes[first].name} {quotes[first].text}\n{quotes[second].name} {quotes[second].text}"
        slots = {"a": self.chart.series[first], "b": self.chart.series[second], "item": self.said(k)}
        return self.interview.glance("series_larger", self.chart.series[a], trace, "find", **slots)

    def crossing(self) -> Turn | None:
        """Whether two lines cross, or where the lower one is above the other for the first time."""
        chart = self.chart
        if chart.kind != "line" or chart.form or not self.plural or not chart.exact:
            return None
        a, b = self.rng.sample(range(len(chart.series)), 2)
        signs = [(x > y) - (x < y) for x, y in zip(chart.values[a], chart.values[b], strict=True)]
        if 0 in signs:
            return None
        seen = "\n".join(f"{name} {self.printed(a, k)} {self.printed(b, k)}" for k, name in enumerate(chart.categories))
        slots = {"a": chart.series[a], "b": chart.series[b]}
        turned = [k for k in range(1, len(signs)) if signs[k] != signs[k - 1]]
        if len(turned) == 1 and signs[0] < 0 and self.rng.random() < 0.6:
            return self.interview.work(
                "first_above", chart.categories[turned[0]], seen, "find", trivial=False, easy=len(signs) <= FEW, **slots
            )
        return self.interview.work("lines_cross", "Yes." if turned else "No.", seen, "find", trivial=True, easy=True, **slots)

    def pair(self) -> tuple[int, int, int] | None:
        """A series and two categories of clearly different values, the larger first."""
        s, _ = self.one()
        row = self.chart.values[s]
        a, b = sorted(self.rng.sample(range(len(row)), 2), key=lambda k: -row[k])
        return None if row[a] - row[b] < (1 if self.chart.exact else CLEAR) else (s, a, b)

    def larger(self) -> Turn | None:
        found = self.pair()
        if found is None or self.plural or self.chart.kind == "scatter":
            return None
        s, a, b = found
        first, second = self.rng.sample((a, b), 2)
        trace = f"{self.shown(s, first)}\n{self.shown(s, second)}" if self.chart.exact else f"{self.chart.categories[a]} is larger."
        slots = {"a": self.chart.categories[first], "b": self.chart.categories[second]}
        return self.interview.glance("chart_larger", self.chart.categories[a], trace, "find", **slots)

    def difference(self) -> Turn | None:
        found = self.pair()
        if found is None or not self.chart.exact:
            return None
        s, a, b = found
        high, low = self.quotes(s, (a, b))
        trace = traces.subtract(self.rng, self.chart.notation.bare, high, low)
        answer = self.chart.notation.full(high.value - low.value)
        slots = {"a": self.said(a), "b": self.said(b)}
        if self.plural:
            return self.interview.work(
                "series_difference", answer, trace, "sum", trivial=True, easy=False, series=self.chart.series[s], **slots
            )
        return self.interview.work("chart_difference", answer, trace, "sum", trivial=True, easy=False, **slots)

    def ratio(self) -> Turn | None:
        """How many times as large one is as another, where that is a whole number."""
        row = self.chart.values[0]
        pairs = [(a, b) for a, high in enumerate(row) for b, low in enumerate(row) if low > 0 and high > low and high % low == 0]
        if not self.chart.exact or self.plural or self.chart.kind == "scatter" or not pairs:
            return None
        a, b = self.rng.choice(pairs)
        trace = traces.ratio(self.rng, self.chart.notation.bare, *self.quotes(0, (a, b)))
        return self.interview.work("chart_ratio", str(row[a] // row[b]), trace, "sum", trivial=True, a=self.said(a), b=self.said(b))

    def average(self) -> Turn | None:
        """The mean of all values, where it has no more decimals than they have."""
        chart, row = self.chart, self.chart.values[0]
        if not chart.exact or self.plural or chart.circular or chart.kind == "scatter" or sum(row) % len(row) or len(row) > 6:
            return None
        trace = traces.average(self.rng, chart.notation.bare, self.quotes(0))
        return self.interview.work("chart_average", chart.notation.full(sum(row) // len(row)), trace, "sum")

    def total(self) -> Turn | None:
        """The sum of two values, of all, or of one category's series."""
        chart = self.chart
        if not chart.exact or chart.kind == "scatter":
            return None
        if self.plural:
            _, k = self.one()
            quotes = self.by_series(k)
            key, slots = "category_sum", {"item": self.said(k)}
        else:
            count = len(chart.categories)
            rows = list(range(count)) if self.rng.random() < 0.3 and count <= 6 and not chart.circular else self.rng.sample(range(count), 2)
            quotes = self.quotes(0, rows)
            key = "chart_sum" if len(rows) == count else "chart_sum_two"
            slots = {} if key == "chart_sum" else {"a": self.said(rows[0]), "b": self.said(rows[1])}
        trace = traces.add_up(self.rng, chart.notation.bare, quotes, whole=key != "chart_sum_two")
        answer = chart.notation.full(sum(quote.value for quote in quotes))
        return self.interview.work(key, answer, trace, "sum", trivial=len(quotes) == 2, easy=False, **slots)

    def trend(self) -> Turn | None:
        """Whether a series rises or falls all the way."""
        if not (self.chart.timed or self.chart.kind == "scatter"):
            return None
        s, _ = self.one()
        row = self.chart.values[s]
        if row[0] == row[-1] or list(row) not in (sorted(row), sorted(row, reverse=True)):
            return None
        answer = "Rising." if row[0] < row[-1] else "Falling."
        seen = " ".join([self.chart.notation.bare(value) for value in row]) if self.chart.exact else ""
        trace = f"{seen}\nIt goes from {self.printed(s, 0)} to {self.printed(s, -1)}.".lstrip()
        if self.plural:
            return self.interview.glance("series_trend", answer, trace, "trend", series=self.chart.series[s])
        return self.interview.glance("chart_trend", answer, trace, "trend")

    def step(self) -> Turn | None:
        """Whether a series rises or falls from one category to the next."""
        if not self.chart.timed:
            return None
        s = self.one()[0]
        k = self.rng.randrange(len(self.chart.categories) - 1)
        before, after = self.chart.values[s][k], self.chart.values[s][k + 1]
        answer = "It rises." if after > before else "It falls." if after < before else "It stays the same."
        trace = f"{self.shown(s, k)}\n{self.shown(s, k + 1)}"
        slots = {"a": self.said(k), "b": self.said(k + 1)}
        if self.plural:
            return self.interview.glance("series_step", answer, trace, "trend", series=self.chart.series[s], **slots)
        return self.interview.glance("chart_step", answer, trace, "trend", **slots)

    def above(self) -> Turn | None:
        """How many categories lie above or below a value."""
        if not self.chart.exact or self.plural or self.chart.kind == "scatter":
            return None
        row, over = self.chart.values[0], self.rng.random() < 0.6
        limit = round_near(self.rng, self.rng.choice(row)) if self.chart.labelled else self.rng.choice(self.chart.scale.ticks[1:])
        found = [k for k, v in enumerate(row) if (v > limit if over else v < limit)]
        trace = traces.count_beyond(self.rng, self.chart.notation.bare, self.quotes(0), limit, above=over)
        slots = {"parts": parts_of(self.chart), "value": self.chart.notation.full(limit)}
        key, easy = "parts_above" if over else "parts_below", len(row) <= FEW
        return self.interview.work(key, str(len(found)), trace, "count", trivial=True, easy=easy, **slots)

    # Refused ---------------------------------------------------------------------------------------------------------

    def refusal(self) -> Turn | None:
        chart, draw = self.chart, self.rng.random()
        if draw < 0.1:
            return self.interview.foreign()
        if draw < 0.35 and chart.kind not in ("scatter", "horizontal bar"):
            missing = [
                ("title", chart.title, "title"),
                ("x_label", chart.x_label, "label at the x axis"),
                ("y_label", chart.y_label, "label at the y axis"),
            ]
            absent = [(key, name) for key, text, name in missing if not text and not (chart.circular and key != "title")]
            if not absent:
                return None
            key, name = self.rng.choice(absent)
            return self.interview.refuse(key, f"There is no {name}.")
        if chart.kind == "scatter":
            return None
        item = self.absent_name()
        if item is None:
            return None
        if self.plural:
            return self.interview.refuse("chart_cell", f"There is no {item} on it.", series=self.rng.choice(chart.series), item=item)
        return self.interview.refuse("chart_share" if chart.circular else "chart_value", f"There is no {item} on it.", item=item)


def chart(content: Content) -> Draft:
    """A chart and three to six turns about it. Raises Overfull."""
    canvas, x_height, facts = draw_chart(content)
    rng = content.rng

    def ask(interview: Interview) -> list[Turn]:
        turns = ChartTurns(content, interview, facts).draw(rng.randint(3, 5))
        if rng.random() < 0.15:
            turns = [interview.read(interview.text), *turns]
        return turns or [interview.foreign()]

    return Draft(canvas, canvas.height, x_height, ask)
