"""Tables: every answer is worked out again from the printed cells alone."""

import itertools
import random
import re
from collections import Counter
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from kimi_vl.training.synth.charts import charts, styles
from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.documents import rulings, sheets
from kimi_vl.training.synth.documents.lines import ORDINALS
from kimi_vl.training.synth.documents.rulings import Page, draw_page
from kimi_vl.training.synth.documents.sheet_turns import SheetTurns
from kimi_vl.training.synth.documents.sheets import article
from kimi_vl.training.synth.figures import Notation, markdown
from kimi_vl.training.synth.pack import SPLITS, DataPack
from kimi_vl.training.synth.scene import REFUSAL, Overfull, Turn
from kimi_vl.training.synth.traces import verify
from kimi_vl.training.synth.world import render
from tests.training.interviews import Recorder

PACK = DataPack.builtin()
STEP = re.compile(r"^(?:Check: )?(-?[\d.,]+) ([+-]) (-?[\d.,]+) = (-?[\d.,]+)$")


def digits(text: str) -> int:
    """A printed number as an integer of its last digit."""
    found = re.sub(r"[^\d-]", "", re.sub(r"m2$", "", text))
    return int(found)


def pages(count: int, split: str = "train") -> list[tuple[Page, str, Content]]:
    """Drawn tables with their transcriptions."""
    found = []
    for seed in range(count * 2):
        content = Content(random.Random(seed), PACK, split)
        try:
            canvas, height, _, page = draw_page(content)
            found.append((page, canvas.finish(height)[2], content))
        except Overfull:
            continue
        if len(found) == count:
            break
    return found


@cache  # made when first asked for: every worker imports this file, and one runs it
def turns(count: int, split: str = "train") -> list[tuple[Turn, str, dict[str, str], Page, str]]:
    """Turns with the key and slots of their questions, one of each maker's kind as often as they are drawn."""
    found = []
    for page, text, content in pages(count, split):
        interview = Recorder(content.rng, text)
        maker = SheetTurns(content, interview, page)
        draws = [maker.cell, maker.worded, maker.reverse, maker.extreme, maker.larger, maker.sum_some, maker.difference, maker.column_sum]
        draws += [maker.filtered, maker.count, maker.heads, maker.row, maker.listing, maker.along_row, maker.total, maker.refusal]
        draws += [
            maker.cell_where,
            maker.nth_cell,
            maker.next_row,
            maker.found,
            maker.row_there,
            maker.second,
            maker.both,
            maker.average,
            maker.ratio,
        ]
        for draw in (*draws, maker.written_out, maker.field):
            interview.key = ""
            turn = draw()
            if turn:
                found.append((turn, interview.key, interview.slots, page, text))
    return found


class Printed:
    """A table as lists of printed cells."""

    def __init__(self, page: Page) -> None:
        self.head = list(page.sheet.head)
        self.rows = [list(row) for row in page.sheet.rows]
        self.key = page.sheet.key
        self.total = list(page.sheet.total)

    def column(self, said: str) -> list[str]:
        found = [k for k, h in enumerate(self.head) if said.casefold() in (h.casefold(), h.split(" (")[0].casefold())]
        assert len(found) == 1, (said, self.head)
        return [row[found[0]] for row in self.rows]

    def row(self, said: str) -> int:
        found = [k for k, row in enumerate(self.rows) if row[self.key].casefold() == said.casefold()]
        if not found:  # the first word is enough where it is alone
            found = [k for k, row in enumerate(self.rows) if row[self.key].casefold().startswith(said.casefold())]
        assert len(found) == 1, (said, self.rows)
        return found[0]

    def names(self, wanted: list[bool]) -> list[str]:
        return [row[self.key] for row, good in zip(self.rows, wanted, strict=True) if good]

    def named(self, said: str) -> list[int]:
        """The rows of "rye, barley and oats"; names may hold commas and the word themselves."""
        left, found = said.casefold(), []
        for k in sorted(range(len(self.rows)), key=lambda k: -len(self.rows[k][self.key])):
            name = self.rows[k][self.key].casefold()
            if name in left:
                left = left.replace(name, "", 1)
                found.append(k)
        assert set(left.replace("and", "")) <= set(" ,"), (said, left)
        return found

    def meets(self, said: str) -> list[bool]:
        """Which rows fulfil "paid yes" or "price above 3.00"."""
        for head in sorted(self.head, key=len, reverse=True):
            for name in (head, head.split(" (")[0]):
                if said.casefold().startswith(f"{name.casefold()} "):
                    value = said[len(name) + 1 :]
                    key, _, limit = value.partition(" ")
                    slots = {"column": name, "value": limit if key in ("above", "below") else value}
                    return self.satisfied(key if key in ("above", "below") else "equal", slots)
        raise AssertionError(said)

    def satisfied(self, key: str, slots: dict[str, str]) -> list[bool]:
        cells = self.column(slots["column"])
        if key.endswith("equal"):
            return [cell == slots["value"] for cell in cells]
        limit = digits(slots["value"])
        return [digits(c) > limit if key.endswith("above") else digits(c) < limit for c in cells]

    def number_columns(self) -> list[int]:
        return [k for k in range(len(self.head)) if k != self.key]


def unit_price(table: Printed, k: int) -> str:
    """The cell that, taken as often as another says, gives a third; in every row of the table."""
    columns = [c for c in table.number_columns() if all(re.fullmatch(r"[^\d-]*[\d.,]+[^\d-]*", row[c]) for row in table.rows)]
    products = [(a, b, c) for a, b, c in itertools.permutations(columns, 3) if all(times(row[a], row[b], row[c]) for row in table.rows)]
    return next(table.rows[k][b] for a, b, c in products if all(re.fullmatch(r"\d{1,3}", row[a]) for row in table.rows))


def times(quantity: str, price: str, amount: str) -> bool:
    return digits(quantity) * digits(price) == digits(amount)


def expected(key: str, slots: dict[str, str], table: Printed, page: Page) -> str | int | Fraction | list[str] | None:
    """What the printed cells say; an integer where only the digits count."""
    if key == "cell":
        return table.column(slots["column"])[table.row(slots["row"])]
    if key == "cell_where":
        (k,) = [k for k, cell in enumerate(table.column(slots["known"])) if cell == slots["value"]]
        return table.column(slots["column"])[k]
    if key == "nth_cell":
        return table.column(slots["column"])[ORDINALS.index(slots["nth"])]
    if key in ("row_below", "row_above"):
        return table.rows[table.row(slots["row"]) + (1 if key == "row_below" else -1)][table.key]
    if key == "unit":
        return unit_price(table, table.row(slots["item"]))
    if key in ("quantity", "price"):
        heads = {"quantity": ("qty", "quantity", "pcs", "ordered"), "price": ("price",)}[key]
        (said,) = [h for h in table.head if h.split(" (")[0].casefold() in heads]
        return table.column(said)[table.row(slots["item"])]
    if key == "row_with":
        found = table.names([cell == slots["value"] for cell in table.column(slots["column"])]) or ["None."]
        assert len(found) == 1
        return found[0]
    if key == "row_of":
        (found,) = table.names([slots["value"] in row for row in table.rows])
        return found
    if key == "column_of":
        (found,) = {table.head[row.index(slots["value"])] for row in table.rows if slots["value"] in row}
        return found
    if key == "row_there":
        return "Yes." if slots["row"].casefold() in [row[table.key].casefold() for row in table.rows] else "No."
    if key == "value_there":
        return "Yes." if slots["value"] in table.column(slots["column"]) else "No."
    if key in ("highest", "lowest"):
        values = [digits(c) for c in table.column(slots["column"])]
        (found,) = table.names([v == (max if key == "highest" else min)(values) for v in values])
        return found
    if key == "which_larger":
        cells = table.column(slots["column"])
        return max((slots["a"], slots["b"]), key=lambda name: digits(cells[table.row(name)]))
    if key == "cells_sum":
        cells = table.column(slots["column"])
        return sum(digits(cells[k]) for k in table.named(slots["rows"]))
    if key in ("cells_difference", "cells_ratio"):
        a, b = (digits(table.column(slots["column"])[table.row(slots[k])]) for k in "ab")
        return a - b if key == "cells_difference" else Fraction(a, b)
    if key == "column_average":
        cells = table.column(slots["column"])
        return Fraction(sum(digits(c) for c in cells), len(cells))
    if key in ("second_highest", "second_lowest"):
        values = [digits(c) for c in table.column(slots["column"])]
        (found,) = table.names([v == sorted(values, reverse=key == "second_highest")[1] for v in values])
        return found
    if key in ("count_both", "which_both"):
        fits = [a and b for a, b in zip(table.meets(slots["first"]), table.meets(slots["second"]), strict=True)]
        return str(sum(fits)) if key == "count_both" else "\n".join(table.names(fits)) or "None."
    if key == "column_sum":
        return sum(digits(c) for c in table.column(slots["column"]))
    if key in ("row_sum", "row_highest", "row_lowest"):
        values = {table.head[k]: digits(table.rows[table.row(slots["row"])][k]) for k in table.number_columns()}
        if key == "row_sum":
            return sum(values.values())
        best = max(values.values()) if key == "row_highest" else min(values.values())
        (found,) = [head for head, value in values.items() if value == best]
        return found
    if key.startswith("count_") and "column" in slots:
        return str(sum(table.satisfied(key, slots)))
    if key.startswith("which_"):
        return "\n".join(table.names(table.satisfied(key, slots))) or "None."
    return plain_expected(key, slots, table, page)


def plain_expected(key: str, slots: dict[str, str], table: Printed, page: Page) -> str | int | None:
    if key in ("count_rows", "count_subjects"):
        return str(len(table.rows))
    if key == "count_columns":
        return str(len(table.head))
    if key == "column_names":
        return ", ".join(table.head)
    if key == "list_column":
        return "\n".join(table.column(slots["column"]))
    if key == "table_row":
        return " ".join(table.rows[table.row(slots["row"])])
    if key == "nth_row":
        return " ".join(table.rows[ORDINALS.index(slots["nth"])])
    if key == "printed_total":
        return sum(digits(c) for c in table.column(slots["column"]))
    if key == "to_markdown":
        return markdown(table.head, [*table.rows, *([table.total] if table.total else [])])
    return page.facts[key].answer


def test_every_answer_follows_from_the_printed_cells():
    seen = set()
    for turn, key, slots, page, _ in turns(300):
        if turn.task == "refuse":
            continue
        wanted = expected(key, slots, Printed(page), page)
        if turn.task == "other":
            continue  # a date in another form: see test_traces
        answer = digits(turn.answer) if isinstance(wanted, int | Fraction) else turn.answer
        if isinstance(wanted, str) and turn.task == "field" and answer != wanted:
            assert digits(answer) == digits(wanted)  # without the currency's sign, because the question demands it
            assert answer in wanted
            continue
        assert answer == wanted, (key, slots, turn, page.sheet.rows)
        seen.add(key)
    assert {
        *("cell", "quantity", "price", "unit", "row_with", "highest", "lowest", "which_larger", "cells_sum", "cells_difference"),
        *("column_sum", "row_sum", "row_highest", "row_lowest", "count_equal", "count_above", "count_below", "which_above"),
        *(
            "count_rows",
            "count_subjects",
            "count_columns",
            "column_names",
            "list_column",
            "table_row",
            "nth_row",
            "printed_total",
            "to_markdown",
        ),
        *("title", "shop", "number", "date", "total", "row_of", "column_of", "row_there", "value_there", "which_equal"),
        *(
            "cell_where",
            "nth_cell",
            "row_below",
            "row_above",
            "second_highest",
            "second_lowest",
            "count_both",
            "which_both",
            "column_average",
            "cells_ratio",
        ),
    } <= seen


def test_every_row_of_the_table_is_one_row_of_the_transcription():
    for page, text, _ in pages(80):
        rows = text.split("\n")
        start = rows.index(" ".join(page.sheet.head))
        assert rows[start + 1 : start + 1 + len(page.sheet.rows)] == [" ".join(row) for row in page.sheet.rows]


def test_markdown_parses_back_to_the_printed_cells():
    found = [(turn, page) for turn, key, _, page, _ in turns(300) if key == "to_markdown"]
    assert len(found) > 50
    for turn, page in found:
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in turn.answer.split("\n")]
        assert tuple(lines[0]) == page.sheet.head
        assert set(lines[1]) == {"---"}
        assert [tuple(line) for line in lines[2 : 2 + len(page.sheet.rows)]] == page.sheet.rows
        assert turn.task == "markdown"


def test_every_step_of_a_sum_holds_and_the_last_new_one_is_the_answer():
    steps = 0
    for turn, *_ in turns(300):
        if turn.task != "sum" or turn.thinking is None:
            continue
        assert verify(turn.thinking), turn
        assert turn.steps > 0
        lines = [row for row in turn.thinking.split("\n") if " = " in row]
        for k, row in enumerate(lines):
            found = STEP.match(row)
            if not found or row.startswith("Wait, ") or (lines[k + 1 : k + 2] and lines[k + 1].startswith("Wait, ")):
                continue
            a, b, c = (digits(found[k]) for k in (1, 3, 4))
            assert c == (a + b if found[2] == "+" else a - b), row
            steps += 1
        results = [row.rsplit(" = ", 1)[1] for row in lines if not row.startswith("Check: ") and not row.startswith("Wait, ")]
        assert digits(results[-1]) == digits(turn.answer) or "\nWait, " in turn.thinking, turn
    assert steps > 100


def test_thinking_of_an_extreme_has_every_value():
    checked = 0
    for turn, key, slots, page, _ in turns(300):
        if key in ("highest", "lowest") and turn.thinking:
            cells = Printed(page).column(slots["column"])
            assert verify(turn.thinking)
            assert all(re.sub(r"^[^\d-]+|[^\d]+$", "", cell.removesuffix("m2")) in turn.thinking for cell in cells), (turn, cells)
            checked += 1
    assert checked > 50


def test_thinking_of_a_comparison_mostly_has_every_name_beside_its_value():
    bound = []
    for turn, key, slots, page, _ in turns(300):
        if key in ("highest", "lowest") and turn.thinking and len(page.sheet.names) > 2:
            table = Printed(page)
            pairs = [f"{name} {cell}" for name, cell in zip(page.sheet.names, table.column(slots["column"]), strict=True)]
            bound.append(all(pair in turn.thinking.split("\n") for pair in pairs))
    assert len(bound) > 50
    assert np.mean(bound) > 0.6


def test_running_text_stands_around_some_tables_and_leaves_paper_empty():
    around, empty = 0, 0
    for seed in range(200):
        content = Content(random.Random(seed), PACK, "train")
        try:
            canvas, height, _, page = draw_page(content)
        except Overfull:
            continue
        _, chars, text = canvas.finish(height)
        prose = [row for row in text.split("\n") if len(row.split()) > 6 and not any(row.startswith(name) for name in page.sheet.names)]
        around += len(prose) > 1
        empty += chars[:, 2].max() < 0.75 * height
    assert around > 15
    assert empty > 8


def test_thinking_of_a_count_counts_up_to_the_answer():
    counted = [t for t, key, *_ in turns(300) if key in ("count_equal", "count_above", "count_below", "count_both") and t.thinking]
    assert len(counted) > 60
    for turn in counted:
        assert verify(turn.thinking)
        numbers = re.findall(r"^(\d+)\. |, (\d+)$", turn.thinking, re.MULTILINE)
        assert ["".join(pair) for pair in numbers] == [str(k + 1) for k in range(int(turn.answer))], turn
        assert (turn.answer == "0") == turn.thinking.endswith("There is none.")


def test_searches_find_and_miss():
    found = Counter((key, turn.answer if turn.answer in ("Yes.", "No.", "None.") else "") for turn, key, *_ in turns(300))
    for key in ("row_there", "value_there"):
        assert 0.3 < found[key, "Yes."] / (found[key, "Yes."] + found[key, "No."]) < 0.7
    assert found["row_with", "None."] > 10
    assert found["row_with", ""] > 3 * found["row_with", "None."]


def test_rows_and_columns_that_are_refused_are_not_in_the_table():
    kinds = set()
    for turn, key, slots, page, text in turns(300) + turns(100, "test"):
        if turn.task != "refuse":
            continue
        assert turn.answer == REFUSAL
        if not key:
            continue
        names = [name.casefold() for name in page.sheet.names]
        if slots["row"].casefold() not in names:
            kinds.add("row")
            assert slots["row"].casefold() not in text.casefold()
        else:
            kinds.add("column")
            assert slots["column"].casefold() not in text.casefold()
    assert kinds == {"row", "column"}


def test_invoices_have_articles_with_commas_and_numbers_and_amounts_that_multiply():
    names, checked = [], 0
    for page, _, _ in pages(400):
        kinds = {c.said: c for c in page.sheet.columns}
        if {"qty", "price", "amount"} <= set(kinds):
            names += page.sheet.names
            for q, p, a in zip(kinds["qty"].cells, kinds["price"].cells, kinds["amount"].cells, strict=True):
                assert int(q) * digits(p) == digits(a)
                checked += 1
        if "total" in page.facts:
            assert digits(page.facts["total"].answer) == sum(digits(c) for c in page.sheet.columns[-1].cells)
    assert checked > 50
    assert sum(bool(re.search(r", \d", name)) for name in names) > 5
    assert sum(bool(re.search(r"\d x \d", name)) for name in names) > 2


def test_article_names_never_hold_the_bar_that_divides_markdown_cells():
    content = Content(random.Random(3), PACK, "train")
    assert not any("|" in article(content) or "\n" in article(content) for _ in range(300))


def test_a_notation_prints_points_groups_signs_and_units():
    assert Notation().full(1234) == "1234"
    assert Notation(2, ",", ".", "", " EUR").full(123456) == "1.234,56 EUR"
    assert Notation(2, prefix="$").full(-5) == "-$0.05"
    assert Notation(1, suffix="%").bare(125) == "12.5"
    assert Notation(2).bare(-5) == "-0.05"


def choices() -> list[tuple[str, Choice]]:
    return [
        (name, value) for module in (sheets, rulings, charts, styles) for name, value in vars(module).items() if isinstance(value, Choice)
    ]


def test_held_out_pieces_of_tables_and_charts_are_printed_in_split_test_only():
    rng = random.Random(0)
    assert len(choices()) >= 25
    for name, choice in choices():
        assert choice.held_out, name
        assert not set(choice.seen) & set(choice.held_out), name
        assert all(choice.pick(rng, split) in choice.seen for split in ("train", "val") for _ in range(100)), name
        assert 0.3 < np.mean([choice.pick(rng, "test") in choice.held_out for _ in range(200)]) < 0.7, name


def test_rendered_tables_show_held_out_heads_in_split_test_only():
    heads = ("headcount", "parcels", "turnover", "attendance", "depth (", "part no.", "insured", "art. no.", "tab. ", "line total")
    text = {split: "\n".join(render("table", split, 5, k, PACK, severity=0.0).text for k in range(150)).casefold() for split in SPLITS}
    assert not any(head in text["train"] or head in text["val"] for head in heads)
    assert sum(head in text["test"] for head in heads) >= 6


@pytest.mark.parametrize("family", ["table", "chart"])
@pytest.mark.parametrize("split", SPLITS)
def test_no_two_characters_are_printed_on_one_another(family, split):
    for index in range(80):
        chars = render(family, split, 9, index, PACK, severity=0.0).chars
        x, y, order = chars[:, 1], chars[:, 2], np.arange(len(chars))
        close = (np.abs(x[:, None] - x) < 2) & (np.abs(y[:, None] - y) < 7)
        close &= ~((x[:, None] == x) & (np.abs(order[:, None] - order) <= 3)) | np.eye(len(chars), dtype=bool)  # a label that runs upwards
        assert close.sum() == len(chars), f"{family} {split} {index}"


@pytest.mark.parametrize("family", ["table", "chart"])
def test_refusals_are_about_a_tenth_of_the_questions(family):
    tasks = [turn.task for k in range(250) for turn in render(family, "train", 4, k, PACK, severity=0.0).turns]
    assert 0.06 < tasks.count("refuse") / len(tasks) < 0.2
