"""What can be asked about a table: cells, rows and columns, sums and comparisons with steps, and what is not in it."""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kimi_vl.training.synth import traces
from kimi_vl.training.synth.content import Content, plural
from kimi_vl.training.synth.documents.goods import names_of_role, role_of
from kimi_vl.training.synth.documents.lines import ORDINALS
from kimi_vl.training.synth.documents.rulings import Page, draw_page
from kimi_vl.training.synth.documents.sheets import (
    AMOUNTS,
    CODES,
    DATES,
    FLAGS,
    INTEGERS,
    INVENTED_HEADS,
    PERCENTAGES,
    PLACES,
    Column,
    article,
)
from kimi_vl.training.synth.figures import markdown
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.traces import Quote, Working

LONGEST = 900  # characters of a table that is written out at once; about 400 tokens
ADDABLE = ("integer", "money", "measure")
LONGEST_SUM = 7  # rows that are added up
FEW = 3  # rows that are counted or compared at a glance
ABSENT_HEADS = tuple(str(h) for choice in (AMOUNTS, CODES, DATES, FLAGS, INTEGERS, PERCENTAGES, PLACES) for h in choice.seen)


class Condition(NamedTuple):
    """What a question asks of rows: `key` is equal, above or below a value as printed; `fits` says of which rows it is true."""

    column: Column
    key: str
    value: str
    limit: int
    fits: list[bool]

    def said(self, head: str) -> str:
        return f"{head} {self.value}" if self.key == "equal" else f"{head} {self.key} {self.value}"


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
            *((self.cell, 34), (self.worded, 14), (self.refusal, 19), (self.reverse, 9), (self.extreme, 9), (self.larger, 6)),
            *((self.sum_some, 5), (self.difference, 5), (self.column_sum, 2), (self.filtered, 7), (self.count, 3), (self.heads, 4)),
            *((self.row, 7), (self.listing, 4), (self.field, 10), (self.along_row, 4), (self.total, 3), (self.written_out, 5)),
            *((self.found, 6), (self.row_there, 5), (self.second, 4), (self.both, 3), (self.average, 1), (self.ratio, 1)),
            *((self.cell_where, 12), (self.nth_cell, 6), (self.next_row, 6)),
        )
        return self.interview.draw(count, makers)

    # Looked up -------------------------------------------------------------------------------------------------------

    def said(self, name: str) -> str:
        """A row's name as somebody types it."""
        return self.rng.choice((name, name, name, name.lower()))

    def shortened(self, name: str) -> str:
        """A row's name, now and then its first word alone, where no other word of the document starts like that."""
        first = name.split(" ")[0].rstrip(",")
        alone = len(first) > 3 and first.isalpha() and self.interview.text.casefold().count(first.casefold()) == 1
        return first if alone and self.rng.random() < 0.12 else self.said(name)

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
        slots = {"column": self.headed(column), "row": self.shortened(self.names[k])}
        if self.rng.random() < 0.5:
            return self.interview.glance("cell", column.cells[k], self.binding(k, column), "cell", **slots)
        return self.interview.lookup("cell", column.cells[k], self.row_text(k), "cell", **slots)

    def binding(self, k: int, *columns: Column) -> str:
        """Evidence that names the row and, before each value, its column."""
        return f"{self.names[k]}: " + ", ".join(f"{column.head} {column.cells[k]}" for column in columns)

    def cell_where(self) -> Turn | None:
        """A cell of the row that has a value in another column."""
        columns = [c for c in self.others if c.kind != "number"]
        if len(columns) < 2:
            return None
        known, wanted = self.rng.sample(columns, 2)
        k = self.pick()
        if known.cells.count(known.cells[k]) > 1:
            return None
        slots = {"column": self.headed(wanted), "known": self.headed(known), "value": known.cells[k], "subject": self.sheet.subject}
        return self.interview.glance("cell_where", wanted.cells[k], self.binding(k, known, wanted), "cell", **slots)

    def nth_cell(self) -> Turn | None:
        """A cell by the number of its row below the head."""
        k, column = self.pick(), self.rng.choice(self.others)
        if k >= len(ORDINALS) or column.kind == "number":
            return None
        return self.interview.glance(
            "nth_cell", column.cells[k], self.binding(k, column), "cell", column=self.headed(column), nth=ORDINALS[k]
        )

    def next_row(self) -> Turn | None:
        """What stands directly below or above a row."""
        if len(self.names) < 2:
            return None
        below = self.rng.random() < 0.6
        k = self.rng.randrange(len(self.names) - 1) + (0 if below else 1)
        other = k + 1 if below else k - 1
        thought = f"{self.names[min(k, other)]}\n{self.names[max(k, other)]}"
        slots = {"subject": self.sheet.subject, "row": self.said(self.names[k])}
        return self.interview.glance("row_below" if below else "row_above", self.names[other], thought, "find", **slots)

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
        return self.interview.fact(key, self.facts[key].answer, self.facts[key].row)

    def reverse(self) -> Turn | None:
        """Which row has a value; sometimes a value that none has."""
        k, column = self.pick(), self.rng.choice(self.others)
        if column.kind == "number":
            return None
        if column in self.numeric and self.rng.random() < 0.2:
            value = column.notation.full(column.values[k] + self.rng.choice((1, 2, 5, 10, 50, 100)))
            if not self.interview.lacks(value):
                return None
            slots = {"subject": self.sheet.subject, "column": self.headed(column), "value": value}
            return self.interview.glance("row_with", "None.", f"No {column.said} is {value}.", "find", **slots)
        if column.cells.count(column.cells[k]) > 1:
            return None
        slots = {"subject": self.sheet.subject, "column": self.headed(column), "value": column.cells[k]}
        return self.interview.lookup("row_with", self.names[k], self.row_text(k), "find", **slots)

    def found(self) -> Turn | None:
        """In which row, or in which column, a value stands that is in one cell alone."""
        k, column = self.pick(), self.rng.choice(self.others)
        value = column.cells[k]
        if column.kind in ("number", "flag") or len(value) < 2 or self.interview.text.count(value) != 1:
            return None
        if self.rng.random() < 0.3:
            return self.interview.lookup("column_of", column.head, " ".join(self.sheet.head), "find", value=value)
        return self.interview.lookup("row_of", self.names[k], self.row_text(k), "find", value=value)

    def row_there(self) -> Turn | None:
        """Whether there is a row of a name, or a row with a value."""
        k, column = self.pick(), self.rng.choice(self.others)
        if self.rng.random() < 0.5:
            if self.rng.random() < 0.5:
                return self.interview.glance("row_there", "Yes.", self.row_text(k), "find", row=self.said(self.names[k]))
            name = self.absent_name()
            return self.interview.glance("row_there", "No.", f"There is no {name} in it.", "find", row=self.said(name)) if name else None
        if column not in self.numeric:
            return None
        said, off = self.headed(column), self.rng.choice((0, 0, 0, 0, 0, 0, 1, 2, 10, -1, 100))
        value = column.values[k] + off
        there, printed = value in column.values, column.notation.full(value)
        if value < 0:
            return None
        thought = self.row_text(column.values.index(value)) if there else f"No {column.said} is {printed}."
        return self.interview.glance("value_there", "Yes." if there else "No.", thought, "find", column=said, value=printed)

    def absent_name(self) -> str | None:
        """A name such as rows here have, of which no word is printed."""
        made = {"person": self.content.person, "employee": self.content.person, "town": self.content.town, "team": self.content.town}
        made |= {"student": self.content.person, "player": self.content.proper, "line": self.content.town, "station": self.content.town}
        name = made.get(self.sheet.subject, lambda: article(self.content))()
        return name if self.interview.lacks(name) and self.interview.lacks(name.split(" ")[0].strip(",")) else None

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

    def quotes(self, column: Column, rows: Sequence[int] = ()) -> list[Quote]:
        return [Quote(self.names[k], column.values[k], column.cells[k]) for k in rows or range(len(self.rows))]

    def named(self, rows: Sequence[int]) -> str:
        """ "rye, barley and oats" """
        *names, last = [self.said(self.names[k]) for k in rows]
        return f"{', '.join(names)} and {last}" if names else last

    def addable(self) -> Column | None:
        """A column of numbers that can be added."""
        columns = [c for c in self.numeric if c.kind in ADDABLE]
        return self.rng.choice(columns) if columns else None

    def pair(self, kinds: tuple[str, ...] = ADDABLE) -> tuple[Column, int, int] | None:
        """A column of numbers and two of its rows, the larger first."""
        columns = [c for c in self.numeric if c.kind in kinds]
        if not columns or len(self.rows) < 2:
            return None
        column = self.rng.choice(columns)
        a, b = sorted(self.rng.sample(range(len(self.rows)), 2), key=lambda k: -column.values[k])
        return column, a, b

    def sum_some(self) -> Turn | None:
        """Two to four cells of a column."""
        column, count = self.addable(), self.rng.choice((2, 2, 3, 4))
        if column is None or len(self.rows) < count:
            return None
        rows = self.rng.sample(range(len(self.rows)), count)
        trace = traces.add_up(self.rng, column.notation.bare, self.quotes(column, rows))
        answer = column.notation.full(sum(column.values[k] for k in rows))
        slots = {"column": self.headed(column), "rows": self.named(rows)}
        return self.interview.work("cells_sum", answer, trace, "sum", trivial=count == 2, easy=False, **slots)

    def difference(self) -> Turn | None:
        found = self.pair()
        if found is None:
            return None
        column, a, b = found
        high, low = self.quotes(column, [a, b])
        if high.value == low.value:
            return None
        trace = traces.subtract(self.rng, column.notation.bare, high, low)
        slots = {"column": self.headed(column), "a": self.said(self.names[a]), "b": self.said(self.names[b])}
        return self.interview.work(
            "cells_difference", column.notation.full(high.value - low.value), trace, "sum", trivial=True, easy=False, **slots
        )

    def ratio(self) -> Turn | None:
        """How many times as much, where that is a whole number."""
        found = self.pair()
        if found is None:
            return None
        column, a, b = found
        high, low = self.quotes(column, [a, b])
        if low.value < 1 or high.value % low.value or high.value == low.value:
            return None
        trace = traces.ratio(self.rng, column.notation.bare, high, low)
        slots = {"column": self.headed(column), "a": self.said(self.names[a]), "b": self.said(self.names[b])}
        return self.interview.work("cells_ratio", str(high.value // low.value), trace, "sum", trivial=False, easy=False, **slots)

    def column_sum(self) -> Turn | None:
        column = self.addable()
        if column is None or self.sheet.total or not 2 <= len(self.rows) <= LONGEST_SUM:
            return None
        trace = traces.add_up(self.rng, column.notation.bare, self.quotes(column), whole=True)
        answer = column.notation.full(sum(column.values))
        return self.interview.work("column_sum", answer, trace, "sum", trivial=len(self.rows) == 2, column=self.headed(column))

    def average(self) -> Turn | None:
        """The mean of a column, where it has no more decimals than its cells."""
        column = self.addable()
        if column is None or self.sheet.total or not 2 <= len(self.rows) <= LONGEST_SUM or sum(column.values) % len(self.rows):
            return None
        trace = traces.average(self.rng, column.notation.bare, self.quotes(column))
        answer = column.notation.full(sum(column.values) // len(self.rows))
        return self.interview.work("column_average", answer, trace, "sum", column=self.headed(column))

    def along_row(self) -> Turn | None:
        """The sum or the extreme of a row whose columns hold the same quantity."""
        if not self.sheet.uniform:
            return None
        k = self.pick()
        notation, row = self.numeric[0].notation, self.said(self.names[k])
        quotes = [Quote(c.head, c.values[k], c.cells[k]) for c in self.numeric]
        values = [quote.value for quote in quotes]
        if self.rng.random() < 0.4:
            trace = traces.add_up(self.rng, notation.bare, quotes, whole=True)
            return self.interview.work("row_sum", notation.full(sum(values)), trace, "sum", row=row)
        high = self.rng.random() < 0.6
        best = max(values) if high else min(values)
        if values.count(best) > 1:
            return None
        trace = traces.extreme(self.rng, notation.bare, quotes, high=high, word="highest" if high else "lowest")
        name, easy = self.numeric[values.index(best)].head, len(values) <= FEW
        return self.interview.work("row_highest" if high else "row_lowest", name, trace, "find", trivial=True, easy=easy, row=row)

    def extreme(self) -> Turn | None:
        if not self.numeric or len(self.rows) < 2:
            return None
        column, high = self.rng.choice(self.numeric), self.rng.random() < 0.6
        best = max(column.values) if high else min(column.values)
        if column.values.count(best) > 1:
            return None
        key = "highest" if high else "lowest"
        trace = ranked(self.rng, column.notation.bare, self.quotes(column), high=high, word=key)
        name, easy = self.names[column.values.index(best)], len(self.rows) <= FEW
        slots = {"subject": self.sheet.subject, "column": self.headed(column)}
        return self.interview.work(key, name, trace, "find", trivial=True, easy=easy, **slots)

    def second(self) -> Turn | None:
        """The row that comes next to the highest or the lowest."""
        if not self.numeric or len(self.rows) < 3:
            return None
        column, high = self.rng.choice(self.numeric), self.rng.random() < 0.7
        ordered = sorted(column.values, reverse=high)
        if ordered[0] == ordered[1] or ordered[1] == ordered[2]:
            return None
        word = "highest" if high else "lowest"
        trace = traces.runner_up(self.rng, column.notation.bare, self.quotes(column), high=high, word=word)
        slots = {"subject": self.sheet.subject, "column": self.headed(column)}
        return self.interview.work(
            f"second_{word}", self.names[column.values.index(ordered[1])], trace, "find", trivial=False, easy=False, **slots
        )

    def larger(self) -> Turn | None:
        found = self.pair((*ADDABLE, "percent"))
        if found is None:
            return None
        column, a, b = found
        if column.values[a] == column.values[b]:
            return None
        pair = [a, b]
        self.rng.shuffle(pair)
        trace = ranked(self.rng, column.notation.bare, self.quotes(column, pair), high=True, word="higher")
        slots = {"column": self.headed(column), "a": self.names[pair[0]], "b": self.names[pair[1]]}
        return self.interview.glance("which_larger", self.names[a], trace, "find", **slots)

    def condition(self, columns: Sequence[Column] = ()) -> Condition | None:
        """Something that is true of some rows: a cell that is a word, or a number beyond a limit."""
        column = self.rng.choice(columns or self.others)
        if column.kind == "flag":
            value = self.rng.choice(column.cells)
            return Condition(column, "equal", value, 0, [cell == value for cell in column.cells])
        if column not in self.numeric or len(self.rows) < 3:
            return None
        above = self.rng.random() < 0.6
        limit = round_near(self.rng, self.rng.choice(column.values))
        fits = [v > limit if above else v < limit for v in column.values]
        return Condition(column, "above" if above else "below", column.notation.full(limit), limit, fits)

    def filtered(self) -> Turn | None:
        """How many rows fulfil a condition, or which."""
        found = self.condition()
        if found is None:
            return None
        column, rows = found.column, [k for k, fits in enumerate(found.fits) if fits]
        slots = {"column": self.headed(column), "value": found.value}
        if len(rows) <= FEW and self.rng.random() < 0.3:
            names = "\n".join(self.names[k] for k in rows) or "None."
            seen = "\n".join(f"{self.names[k]} {column.cells[k]}" for k in rows) or "There is none."
            return self.interview.glance(f"which_{found.key}", names, seen, "find", **slots)
        if found.key == "equal":
            trace = Working("\n".join(f"{n}. {self.names[k]}" for n, k in enumerate(rows, 1)) or "There is none.", len(self.rows))
        else:
            trace = traces.count_beyond(self.rng, column.notation.bare, self.quotes(column), found.limit, above=found.key == "above")
        easy = len(self.rows) <= FEW
        return self.interview.work(f"count_{found.key}", str(len(rows)), trace, "count", trivial=True, easy=easy, **slots)

    def both(self) -> Turn | None:
        """How many rows fulfil two conditions, or which."""
        if len(self.others) < 2:
            return None
        first, second = [self.condition([column]) for column in self.rng.sample(self.others, 2)]
        if first is None or second is None or not any(first.fits) or not any(second.fits):
            return None
        rows = [k for k, fits in enumerate(zip(first.fits, second.fits, strict=True)) if all(fits)]
        trace = traces.count_both(self.rng, self.names, (first.column.cells, second.column.cells), (first.fits, second.fits))
        slots = {"first": first.said(self.headed(first.column)), "second": second.said(self.headed(second.column))}
        if len(rows) <= FEW and self.rng.random() < 0.4:
            return self.interview.work(
                "which_both", "\n".join(self.names[k] for k in rows) or "None.", trace, "find", trivial=False, easy=False, **slots
            )
        return self.interview.work("count_both", str(len(rows)), trace, "count", trivial=False, easy=False, **slots)

    def count(self) -> Turn | None:
        if self.sheet.total:
            return None
        names, easy = traces.enumerate_names(self.names), len(self.names) <= FEW
        key = self.content.one(("count_rows", "count_subjects"))
        slots = {"subjects": plural(self.sheet.subject)} if key == "count_subjects" else {}
        return self.interview.work(key, str(len(self.names)), names, "count", trivial=True, easy=easy, **slots)

    # Refused ---------------------------------------------------------------------------------------------------------

    def refusal(self) -> Turn | None:
        draw = self.rng.random()
        if draw < 0.1:
            return self.interview.foreign()
        if draw < 0.6:
            name = self.absent_name()
            if name is None:
                return None
            slots = {"column": self.headed(self.rng.choice(self.others)), "row": self.said(name)}
            return self.interview.refuse("cell", f"There is no {name} on it.", **slots)
        head = self.rng.choice(ABSENT_HEADS).lower().strip(".")
        if self.content.split != "test" and self.rng.random() < INVENTED_HEADS:
            head = self.content.label().lower()
        if not all(self.interview.lacks(word) for word in head.split(" ")) or any(head in c.said or c.said in head for c in self.others):
            return None
        roles = {role for column in self.sheet.columns if (role := role_of(column.head))}
        if role_of(head) in roles or any(head in names_of_role(role) for role in roles):
            return None  # another name of a column that is there
        return self.interview.refuse("cell", f"There is no {head} on it.", column=head, row=self.said(self.rng.choice(self.names)))


def ranked(rng: random.Random, bare: Callable[[int], str], quotes: Sequence[Quote], *, high: bool, word: str) -> Working:
    """The largest or smallest, mostly with every name beside its value: to bind the two is what goes wrong."""
    if rng.random() < 0.3:
        return traces.extreme(rng, bare, quotes, high=high, word=word)
    best = (max if high else min)(quotes, key=lambda quote: quote.value)
    seen = "\n".join(f"{quote.name} {quote.text}" for quote in quotes)
    return Working(f"{seen}\nThe {word} is {best.text}.", len(quotes) - 1)


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
