"""What can be asked about a chart: values, extremes, sums with steps, trends, its texts, and what is not in it."""

from kimi_vl.training.synth.charts import THINGS, Chart
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.figures import markdown, running_sum, subtraction
from kimi_vl.training.synth.plots import draw_chart
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.sheet_turns import round_near

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
PART_OF = {"line": "points", "scatter": "points", "pie": "slices", "donut": "slices"}
CLEAR = 5  # shares of two slices that differ by so many points can be told apart without numbers


class ChartTurns:
    """Draws turns about one chart; each maker returns None when the chart does not allow its question."""

    def __init__(self, content: Content, interview: Interview, chart: Chart) -> None:
        self.content, self.rng, self.interview, self.chart = content, content.rng, interview, chart
        self.plural = len(chart.series) > 1

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns."""
        makers = (
            *((self.value, 36), (self.extreme, 14), (self.larger, 7), (self.difference, 7), (self.total, 8), (self.trend, 7)),
            *((self.step, 4), (self.text, 9), (self.legend, 5), (self.count, 6), (self.kind, 4), (self.reverse, 5)),
            *((self.above, 6), (self.written_out, 6), (self.refusal, 15), (self.highest_series, 5)),
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

    def by_series(self, k: int) -> str:
        return "\n".join(f"{name} {self.printed(s, k)}" for s, name in enumerate(self.chart.series))

    def along(self, s: int) -> str:
        """A series as evidence, one category a line; without numbers where they cannot be read."""
        names = range(len(self.chart.categories))
        return "\n".join(self.shown(s, k) for k in names) if self.chart.exact else ""

    def value(self) -> Turn | None:
        if not self.chart.exact:
            return None
        s, k = self.one()
        thought = f"{self.chart.series[s]} {self.shown(s, k)}".strip()
        if self.plural:
            slots = {"series": self.chart.series[s], "item": self.said(k)}
            return self.interview.glance("chart_cell", self.printed(s, k), thought, "cell", **slots)
        if self.chart.circular:
            return self.interview.glance("chart_share", self.printed(s, k), thought, "cell", item=self.said(k))
        if self.chart.y_label and self.rng.random() < 0.5:
            return self.interview.glance("cell", self.printed(s, k), thought, "cell", column=self.chart.said, row=self.said(k))
        return self.interview.glance("chart_value", self.printed(s, k), thought, "cell", item=self.said(k))

    def reverse(self) -> Turn | None:
        if not self.chart.exact or self.plural or self.chart.kind == "scatter":
            return None
        _, k = self.one()
        if self.chart.values[0].count(self.chart.values[0][k]) > 1:
            return None
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

    def legend(self) -> Turn | None:
        names = self.chart.categories if self.chart.circular else self.chart.series
        if len(names) < 2:
            return None
        key = "list_slices" if self.chart.circular else "list_series"
        return self.interview.glance(key, ", ".join(names), f"There are {len(names)} of them.", "find")

    def count(self) -> Turn | None:
        chart = self.chart
        if self.plural and self.rng.random() < 0.6:
            names = "\n".join(f"{k}. {name}" for k, name in enumerate(chart.series, 1))
            return self.interview.work("count_series", str(len(chart.series)), names, "count", trivial=True)
        if chart.kind == "scatter" or self.plural:
            return None
        names = "\n".join(f"{k}. {name}" for k, name in enumerate(chart.categories, 1))
        part = PART_OF.get(chart.kind, "bars")
        if chart.kind == "line":
            return None  # a line without markers has no points to count
        return self.interview.work("count_parts", str(len(chart.categories)), names, "count", trivial=True, parts=part)

    def kind(self) -> Turn | None:
        name = NAMES_OF[self.chart.kind]
        return self.interview.glance("chart_kind", f"A {name}.", f"It shows a {name}.", "find")

    def written_out(self) -> Turn | None:
        """The chart's numbers in Markdown."""
        chart = self.chart
        if not chart.exact:
            return None
        heads = [name or chart.measure for name in chart.series]
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
        trace = (
            f"{self.along(s)}\nThe {word} is {self.printed(s, k)}."
            if chart.exact
            else f"The {'largest' if high else 'smallest'} slice is it."
        )
        if not chart.exact:
            trace = f"The {'largest' if high else 'smallest'} slice is {chart.categories[k]}."
        subject = self.chart.subject.split(" (")[0].lower()
        if self.plural:
            slots = {"subject": subject, "series": chart.series[s]}
            return self.interview.work(f"chart_{word}_of", chart.categories[k], trace, "find", trivial=True, **slots)
        return self.interview.work(f"chart_{word}", chart.categories[k], trace, "find", trivial=True, subject=subject)

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
        trace = f"{self.by_series(k)}\nThe {word} is {self.printed(s, k)}."
        return self.interview.work(f"series_{word}", self.chart.series[s], trace, "find", trivial=True, item=self.said(k))

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
        return self.interview.work("chart_larger", self.chart.categories[a], trace, "find", trivial=True, **slots)

    def difference(self) -> Turn | None:
        found = self.pair()
        if found is None or not self.chart.exact:
            return None
        s, a, b = found
        high, low = self.chart.values[s][a], self.chart.values[s][b]
        trace = f"{self.shown(s, a)}\n{self.shown(s, b)}\n{subtraction(self.rng, self.chart.notation, high, low)}"
        answer = self.chart.notation.full(high - low)
        slots = {"a": self.said(a), "b": self.said(b)}
        if self.plural:
            return self.interview.work("series_difference", answer, trace, "sum", trivial=True, series=self.chart.series[s], **slots)
        return self.interview.work("chart_difference", answer, trace, "sum", trivial=True, **slots)

    def total(self) -> Turn | None:
        """The sum of two values, of all, or of one category's series."""
        chart = self.chart
        if not chart.exact or chart.kind == "scatter":
            return None
        if self.plural:
            _, k = self.one()
            values, seen = [row[k] for row in chart.values], self.by_series(k)
            key, slots = "category_sum", {"item": self.said(k)}
        else:
            count = len(chart.categories)
            rows = list(range(count)) if self.rng.random() < 0.4 and count <= 7 and not chart.circular else self.rng.sample(range(count), 2)
            values, seen = [chart.values[0][k] for k in rows], "\n".join(self.shown(0, k) for k in rows)
            key = "chart_sum" if len(rows) == count else "chart_sum_two"
            slots = {} if key == "chart_sum" else {"a": self.said(rows[0]), "b": self.said(rows[1])}
        trace = f"{seen}\n{running_sum(self.rng, chart.notation, values)}"
        return self.interview.work(key, chart.notation.full(sum(values)), trace, "sum", trivial=len(values) == 2, **slots)

    def trend(self) -> Turn | None:
        """Whether a series rises or falls all the way."""
        if not (self.chart.timed or self.chart.kind == "scatter"):
            return None
        s, _ = self.one()
        row = self.chart.values[s]
        if row[0] == row[-1] or list(row) not in (sorted(row), sorted(row, reverse=True)):
            return None
        answer = "Rising." if row[0] < row[-1] else "Falling."
        trace = f"{self.along(s)}\nIt goes from {self.printed(s, 0)} to {self.printed(s, -1)}."
        if self.plural:
            return self.interview.work("series_trend", answer, trace, "trend", trivial=True, series=self.chart.series[s])
        return self.interview.work("chart_trend", answer, trace, "trend", trivial=True)

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
            return self.interview.work("series_step", answer, trace, "trend", trivial=True, series=self.chart.series[s], **slots)
        return self.interview.work("chart_step", answer, trace, "trend", trivial=True, **slots)

    def above(self) -> Turn | None:
        """How many categories lie above or below a value."""
        if not self.chart.exact or self.plural or self.chart.kind == "scatter":
            return None
        row, over = self.chart.values[0], self.rng.random() < 0.6
        limit = round_near(self.rng, self.rng.choice(row)) if self.chart.labelled else self.rng.choice(self.chart.scale.ticks[1:])
        found = [k for k, v in enumerate(row) if (v > limit if over else v < limit)]
        trace = "\n".join(f"{n}. {self.shown(0, k)}" for n, k in enumerate(found, 1)) or "There is none."
        slots = {"parts": PART_OF.get(self.chart.kind, "bars"), "value": self.chart.notation.full(limit)}
        return self.interview.work("parts_above" if over else "parts_below", str(len(found)), trace, "count", trivial=True, **slots)

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
        name = (
            THINGS[chart.subject](self.content) if chart.subject in THINGS else self.content.one(("Jan", "Jun", "Dec", "1875", "Sun", "Q4"))
        )
        if not self.interview.lacks(name) or not self.interview.lacks(name.split(" ")[-1]):
            return None
        if self.plural:
            return self.interview.refuse("chart_cell", f"There is no {name} on it.", series=self.rng.choice(chart.series), item=name)
        return self.interview.refuse("chart_share" if chart.circular else "chart_value", f"There is no {name} on it.", item=name)


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
