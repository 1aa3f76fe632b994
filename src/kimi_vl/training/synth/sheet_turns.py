"""What can be asked about a table: cells, rows and columns, sums and comparisons with steps, and what is not in it."""

import random

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.figures import markdown, running_sum, subtraction
from kimi_vl.training.synth.lines import ORDINALS
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.rulings import Page, draw_page
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.sheets import AMOUNTS, CODES, DATES, FLAGS, INTEGERS, PERCENTAGES, PLACES, Column, article

LONGEST = 900  # characters of a table that is written out at once; about 400 tokens
ADDABLE = ("integer", "money", "measure")
ABSENT_HEADS = tuple(str(h) for choice in (AMOUNTS, CODES, DATES, FLAGS, INTEGERS, PERCENTAGES, PLACES) for h in choice.seen)


class SheetTurns:
    """Draws turns about one table; each maker returns None when the table does not allow its question."""

    def __init__(self, content: Content, interview: Interview, page: Page) -> None:
        self.content, self.rng = content, content.rng
        self.interview, self.sheet, self.facts = interview, page.sheet, page.facts
        self.names, self.rows = page.sheet.names, page.sheet.rows
        self.others = [c for k, c in enumerate(page.sheet.columns) if k != page.sheet.key]
        self.numeric = [c for c in self.others if c.values and c.kind != "number"]

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns, fewer when the table is poor."""
        makers = (
            *((self.cell, 30), (self.worded, 14), (self.refusal, 17), (self.reverse, 8), (self.extreme, 8), (self.larger, 5)),
            *((self.sum_two, 5), (self.difference, 5), (self.column_sum, 4), (self.filtered, 8), (self.count, 4), (self.heads, 4)),
            *((self.row, 6), (self.listing, 4), (self.field, 12), (self.along_row, 6), (self.total, 3), (self.written_out, 6)),
        )
        return self.interview.draw(count, makers)

    # Looked up -------------------------------------------------------------------------------------------------------

    def said(self, name: str) -> str:
        """A row's name as somebody types it."""
        return self.rng.choice((name, name, name, name.lower()))

    def headed(self, column: Column) -> str:
        """A column's name as somebody types it."""
        return self.rng.choice((column.said, column.said, column.head))

    def row_text(self, k: int) -> str:
        return " ".join(self.rows[k])

    def pick(self) -> int:
        return self.rng.randrange(len(self.rows))

    def cell(self) -> Turn | None:
        k, column = self.pick(), self.rng.choice(self.others)
        if column.kind == "number":
            return None
        slots = {"column": self.headed(column), "row": self.said(self.names[k])}
        return self.interview.lookup("cell", column.cells[k], self.row_text(k), "cell", **slots)

    def worded(self) -> Turn | None:
        """The price or the quantity of an article without naming the column; the price only where one column has it."""
        money = [c for c in self.others if c.kind == "money"]
        counts = [c for c in self.others if c.said in ("qty", "quantity", "pcs", "ordered")]
        if self.sheet.subject not in ("item", "product", "article"):
            return None
        k = self.pick()
        item = self.said(self.names[k])
        if counts and self.rng.random() < 0.5:
            return self.interview.lookup("quantity", counts[0].cells[k], self.row_text(k), "count", item=item)
        if len(money) == 2 and counts:
            return self.interview.lookup("unit", money[0].cells[k], self.row_text(k), "price", item=item)
        if len(money) == 1 and money[0].said == "price":
            return self.interview.lookup("price", money[0].cells[k], self.row_text(k), "price", item=item)
        return None

    def field(self) -> Turn | None:
        if not self.facts:
            return None
        key = self.rng.choice(list(self.facts))
        return self.interview.lookup(key, self.facts[key].answer, self.facts[key].row)

    def reverse(self) -> Turn | None:
        k, column = self.pick(), self.rng.choice(self.others)
        if column.kind == "number" or column.cells.count(column.cells[k]) > 1:
            return None
        slots = {"subject": self.sheet.subject, "column": self.headed(column), "value": column.cells[k]}
        return self.interview.lookup("row_with", self.names[k], self.row_text(k), "find", **slots)

    def row(self) -> Turn | None:
        """One row read in full."""
        k = self.pick()
        text = self.row_text(k)
        if self.rng.random() < 0.5:
            return self.interview.lookup("table_row", text, text, "line", row=self.said(self.names[k]))
        if k >= len(ORDINALS):
            return None
        return self.interview.lookup("nth_row", text, text, "line", nth=ORDINALS[k])

    def listing(self) -> Turn | None:
        """All cells of one column."""
        column = self.rng.choice([*self.others, self.sheet.columns[self.sheet.key]])
        if column.kind == "number" or self.sheet.total:
            return None
        thought = f"There are {len(self.rows)} rows."
        return self.interview.glance("list_column", "\n".join(column.cells), thought, "find", column=self.headed(column))

    def heads(self) -> Turn | None:
        head = self.sheet.head
        if self.rng.random() < 0.6:
            return self.interview.glance("column_names", ", ".join(head), f"The head says: {' '.join(head)}", "find")
        names = "\n".join(f"{k}. {text}" for k, text in enumerate(head, 1))
        return self.interview.work("count_columns", str(len(head)), names, "count", trivial=True)

    def total(self) -> Turn | None:
        sums = [(c, cell) for c, cell in zip(self.sheet.columns, self.sheet.total, strict=False) if cell and c.values]
        if not sums:
            return None
        column, cell = self.rng.choice(sums)
        row = " ".join([cell for cell in self.sheet.total if cell])
        return self.interview.lookup("printed_total", cell, row, "cell", column=self.headed(column))

    def written_out(self) -> Turn | None:
        """The table in Markdown."""
        rows = [*self.rows, *([self.sheet.total] if self.sheet.total else [])]
        text = markdown(self.sheet.head, rows)
        if len(text) > LONGEST:
            return None
        thought = f"There are {len(self.sheet.head)} columns and {len(rows)} rows."
        return self.interview.glance("to_markdown", text, thought, "markdown")

    # Worked out ------------------------------------------------------------------------------------------------------

    def evidence(self, column: Column, rows: list[int]) -> str:
        return "\n".join(f"{self.names[k]} {column.cells[k]}" for k in rows)

    def pair(self, kinds: tuple[str, ...] = ADDABLE) -> tuple[Column, int, int] | None:
        """A column of numbers and two of its rows, the larger first."""
        columns = [c for c in self.numeric if c.kind in kinds]
        if not columns or len(self.rows) < 2:
            return None
        column = self.rng.choice(columns)
        a, b = sorted(self.rng.sample(range(len(self.rows)), 2), key=lambda k: -column.values[k])
        return column, a, b

    def sum_two(self) -> Turn | None:
        found = self.pair()
        if found is None:
            return None
        column, *pair = found
        self.rng.shuffle(pair)
        values = [column.values[k] for k in pair]
        trace = f"{self.evidence(column, pair)}\n{running_sum(self.rng, column.notation, values)}"
        slots = {"column": self.headed(column), "a": self.said(self.names[pair[0]]), "b": self.said(self.names[pair[1]])}
        return self.interview.work("cells_sum", column.notation.full(sum(values)), trace, "sum", trivial=True, **slots)

    def difference(self) -> Turn | None:
        found = self.pair()
        if found is None:
            return None
        column, a, b = found
        high, low = column.values[a], column.values[b]
        if high == low:
            return None
        trace = f"{self.evidence(column, [a, b])}\n{subtraction(self.rng, column.notation, high, low)}"
        slots = {"column": self.headed(column), "a": self.said(self.names[a]), "b": self.said(self.names[b])}
        return self.interview.work("cells_difference", column.notation.full(high - low), trace, "sum", trivial=True, **slots)

    def column_sum(self) -> Turn | None:
        columns = [c for c in self.numeric if c.kind in ADDABLE]
        if not columns or self.sheet.total or not 2 <= len(self.rows) <= 8:
            return None
        column = self.rng.choice(columns)
        trace = f"{self.evidence(column, list(range(len(self.rows))))}\n{running_sum(self.rng, column.notation, column.values)}"
        answer = column.notation.full(sum(column.values))
        return self.interview.work("column_sum", answer, trace, "sum", trivial=len(self.rows) == 2, column=self.headed(column))

    def along_row(self) -> Turn | None:
        """The sum or the extreme of a row whose columns hold the same quantity."""
        if not self.sheet.uniform:
            return None
        k = self.pick()
        values, notation = [c.values[k] for c in self.numeric], self.numeric[0].notation
        seen = "\n".join(f"{c.head} {c.cells[k]}" for c in self.numeric)
        row = self.said(self.names[k])
        if self.rng.random() < 0.4:
            trace = f"{seen}\n{running_sum(self.rng, notation, values)}"
            return self.interview.work("row_sum", notation.full(sum(values)), trace, "sum", row=row)
        high = self.rng.random() < 0.6
        best = max(values) if high else min(values)
        if values.count(best) > 1:
            return None
        column = self.numeric[values.index(best)]
        trace = f"{seen}\nThe {'highest' if high else 'lowest'} is {column.cells[k]}."
        return self.interview.work("row_highest" if high else "row_lowest", column.head, trace, "find", trivial=True, row=row)

    def extreme(self) -> Turn | None:
        if not self.numeric or len(self.rows) < 2:
            return None
        column, high = self.rng.choice(self.numeric), self.rng.random() < 0.6
        best = max(column.values) if high else min(column.values)
        if column.values.count(best) > 1:
            return None
        k = column.values.index(best)
        trace = f"{self.evidence(column, list(range(len(self.rows))))}\nThe {'highest' if high else 'lowest'} is {column.cells[k]}."
        slots = {"subject": self.sheet.subject, "column": self.headed(column)}
        return self.interview.work("highest" if high else "lowest", self.names[k], trace, "find", trivial=True, **slots)

    def larger(self) -> Turn | None:
        found = self.pair((*ADDABLE, "percent"))
        if found is None:
            return None
        column, a, b = found
        if column.values[a] == column.values[b]:
            return None
        pair = [a, b]
        self.rng.shuffle(pair)
        slots = {"column": self.headed(column), "a": self.names[pair[0]], "b": self.names[pair[1]]}
        return self.interview.work("which_larger", self.names[a], self.evidence(column, pair), "find", trivial=True, **slots)

    def filtered(self) -> Turn | None:
        """How many rows fulfil a condition, or which."""
        column = self.rng.choice(self.others)
        if column.kind == "flag":
            value = self.rng.choice(column.cells)
            rows, key = [k for k, cell in enumerate(column.cells) if cell == value], "equal"
        elif column in self.numeric and len(self.rows) > 2:
            above = self.rng.random() < 0.6
            limit = round_near(self.rng, self.rng.choice(column.values))
            rows = [k for k, v in enumerate(column.values) if (v > limit if above else v < limit)]
            key, value = "above" if above else "below", column.notation.full(limit)
        else:
            return None
        said = self.headed(column)
        if rows and self.rng.random() < 0.3:
            names, trace = "\n".join(self.names[k] for k in rows), self.evidence(column, list(range(len(self.rows))))
            return self.interview.work(f"which_{key}", names, trace, "find", column=said, value=value)
        trace = "\n".join(f"{n}. {self.names[k]} {column.cells[k]}" for n, k in enumerate(rows, 1)) or "There is none."
        return self.interview.work(f"count_{key}", str(len(rows)), trace, "count", trivial=True, column=said, value=value)

    def count(self) -> Turn | None:
        if self.sheet.total:
            return None
        names = "\n".join(f"{k}. {name}" for k, name in enumerate(self.names, 1))
        return self.interview.work("count_rows", str(len(self.names)), names, "count", trivial=True)

    # Refused ---------------------------------------------------------------------------------------------------------

    def refusal(self) -> Turn | None:
        draw = self.rng.random()
        if draw < 0.1:
            return self.interview.foreign()
        if draw < 0.6:
            made = {"person": self.content.person, "employee": self.content.person, "town": self.content.town, "team": self.content.town}
            name = made.get(self.sheet.subject, lambda: article(self.content))()
            if not self.interview.lacks(name) or not self.interview.lacks(name.split(" ")[0].strip(",")):
                return None
            slots = {"column": self.headed(self.rng.choice(self.others)), "row": self.said(name)}
            return self.interview.refuse("cell", f"There is no {name} on it.", **slots)
        head = self.rng.choice(ABSENT_HEADS).lower().strip(".")
        if not all(self.interview.lacks(word) for word in head.split(" ")) or any(head in c.said or c.said in head for c in self.others):
            return None
        return self.interview.refuse("cell", f"There is no {head} on it.", column=head, row=self.said(self.rng.choice(self.names)))


def round_near(rng: random.Random, value: int) -> int:
    """A round number near `value`, or the value itself."""
    digits = len(str(abs(value))) - 1
    return rng.choice((value, round(value, -digits) or value, round(value, 1 - digits) if digits else value))


def table(content: Content) -> Draft:
    """A table of 2 to 6 columns, alone or in an invoice, and three to six turns about it. Raises Overfull."""
    canvas, height, x_height, page = draw_page(content)
    rng = content.rng

    def ask(interview: Interview) -> list[Turn]:
        maker = SheetTurns(content, interview, page)
        turns = maker.draw(rng.randint(3, 5))
        if len(interview.text) <= LONGEST and rng.random() < 0.35:
            draw = interview.read(interview.text) if rng.random() < 0.5 else maker.written_out()
            if draw and draw.task not in [t.task for t in turns]:
                return [draw, *turns]
        return turns or [interview.foreign()]

    return Draft(canvas, height, x_height, ask)
