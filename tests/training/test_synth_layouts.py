"""Layouts of papers, tickets and receipts: what is asked must be printed, what is refused must not, and held-out pieces stay out."""

import importlib
import json
import random
import re
from collections.abc import Iterator

import numpy as np
import pytest

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import MIN_X_HEIGHT, MONTHS, Choice, Content, Money
from kimi_vl.training.synth.documents.bands import Band, Line, choose_look, set_fields, set_lines, set_side_by_side
from kimi_vl.training.synth.documents.clerks import Clerk
from kimi_vl.training.synth.documents.extraction_turns import EXTRACTION_WORDINGS, Good, as_json, goods_of, items_turn
from kimi_vl.training.synth.documents.goods import draw_account, draw_goods, names_of_role, role_of
from kimi_vl.training.synth.documents.habits import DATE_FORMS, Habits, drawn_date
from kimi_vl.training.synth.documents.paper_turns import AWKWARD, Paper, PaperTurns, said_label
from kimi_vl.training.synth.documents.papers import RECIPES, draw_paper, paper
from kimi_vl.training.synth.documents.particulars import KINDS, Particular, draw_particulars
from kimi_vl.training.synth.documents.receipts import Receipt
from kimi_vl.training.synth.documents.tickets import RECIPES as TICKETS
from kimi_vl.training.synth.documents.tickets import draw_ticket, ticket
from kimi_vl.training.synth.figures import Notation
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import REFUSAL, Overfull
from tests.training.interviews import Recorder

PACK = DataPack.builtin()
GRAMMARS = (
    "scribes receipt_heads receipt_items receipt_totals invoices rows forms tables pages sheets rulings goods papers tickets bands "
    "habits particulars"
).split()
STRUCTURE = (
    "ITEM_FORM TOTAL_FORM RULINGS STYLES BESIDE ORDERS PLAIN PRICED SHIPPED NUMBER_ALIGNS TITLE_PLACES HEADER_ALIGN PRICE_ALIGN".split()
)
SHARED_BEFORE = {"name", "value", "rate", "to"}  # a head in one list of columns and held out in another since the first set was drawn


def content_of(seed: int, split: str = "train") -> Content:
    return Content(random.Random(f"layouts/{seed}"), PACK, split)


def drafts(build, count: int, split: str = "train") -> Iterator[tuple[Content, Draft, np.ndarray, np.ndarray, str]]:
    """`count` papers or tickets that fit, printed."""
    seed = 0
    while count:
        seed += 1
        content = content_of(seed, split)
        try:
            draft = build(content)
            image, chars, text = draft.canvas.finish(draft.height)
        except Overfull:
            continue
        count -= 1
        yield content, draft, image, chars, text


def composed(kind: str, seed: int, split: str = "train") -> tuple[Content, Paper, str]:
    """A paper or a ticket of one kind with its facts and its transcription."""
    for attempt in range(80):
        content = content_of(seed * 1000 + attempt, split)
        try:
            made = draw_ticket(content, kind) if kind in TICKETS else draw_paper(content, kind)
            return content, made.paper, made.canvas.finish(int(made.y) + 4)[2]
        except Overfull:
            continue
    raise AssertionError(f"eighty draws of {kind} did not fit")


def receipts(count: int, split: str = "train") -> Iterator[Receipt]:
    for seed in range(count):
        try:
            yield Clerk(content_of(seed, split), Money("$")).write()
        except Overfull:
            continue


def cents(text: str) -> int:
    """An amount with two decimals."""
    value = int(re.sub(r"\D", "", text))
    return -value if "-" in text else value


def choices_of(name: str, value: object) -> Iterator[tuple[str, Choice]]:
    """Every Choice within a module's lists, tables and recipes."""
    if isinstance(value, Choice):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from choices_of(f"{name}.{key}", inner)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for field in value._fields:
            yield from choices_of(f"{name}.{field}", getattr(value, field))


def all_choices() -> dict[str, Choice]:
    found: dict[str, Choice] = {}
    for grammar in GRAMMARS:
        module = importlib.import_module(f"kimi_vl.training.synth.documents.{grammar}")
        for name, value in vars(module).items():
            found.update(choices_of(f"{grammar}.{name}", value))
    return found


def texts_of(piece: object) -> Iterator[str]:
    if isinstance(piece, str):
        yield re.sub(r"\{[^}]*\}", "", piece).casefold().strip(" .:#%()@-")
    elif isinstance(piece, tuple):
        for inner in piece:
            yield from texts_of(inner)


# Splits ---------------------------------------------------------------------------------------------------------------


def test_no_label_that_is_held_out_anywhere_is_printed_anywhere_in_training():
    labels = {name: choice for name, choice in all_choices().items() if name.split(".")[1] not in (*STRUCTURE, "DATE_FORMS", "TIME_FORMS")}
    assert len(labels) > 150
    held = {text for choice in labels.values() for piece in choice.held_out for text in texts_of(piece)} - {""}
    seen = {text for choice in labels.values() for piece in choice.seen for text in texts_of(piece)}
    roles = {"at", "left", "right", "center", "price", "quantity", "code", "amount"}  # of alignments and of columns
    assert held & seen <= SHARED_BEFORE | roles | {"m"}
    phrases = [text for text in held if " " in text]
    assert not [(phrase, text) for phrase in phrases for text in seen if f" {phrase} " in f" {text} "]


def test_every_list_of_pieces_keeps_some_for_the_test_split_and_none_twice():
    for name, choice in all_choices().items():
        assert not set(choice.seen) & set(choice.held_out), name
        if name.split(".")[0] in ("goods", "papers", "tickets", "bands", "habits", "particulars"):
            assert choice.held_out, name


def test_only_the_test_split_prints_held_out_labels_of_particulars():
    for split in ("train", "val", "test"):
        habits = Habits(content_of(1, split), Money())
        drawn = [p for _ in range(20) for p in draw_particulars(habits, list(KINDS))]
        held = [p for p in drawn if p.label in KINDS[p.kind].labels.held_out]
        assert bool(held) == (split == "test")


# Pictures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [ticket, paper])
def test_characters_are_the_transcription_and_stand_on_ink(build):
    for _, draft, image, chars, text in drafts(build, 40):
        assert "".join(map(chr, chars[:, 0].astype(int))) == "".join(text.split())
        assert draft.x_height >= MIN_X_HEIGHT
        assert image.shape[0] * image.shape[1] <= 672 * 896
        grey = np.pad(image @ np.array([0.299, 0.587, 0.114]), 24, mode="edge")
        for code, x, y in chars:
            patch = grey[int(y) + 6 : int(y) + 43, int(x) + 21 : int(x) + 28]
            assert np.ptp(patch) > 35, f"no ink for {chr(int(code))!r} at {x:.0f}, {y:.0f} in {text!r}"


@pytest.mark.parametrize("build", [ticket, paper])
def test_the_same_seed_draws_the_same_bytes(build):
    first = [(image.tobytes(), text) for _, _, image, _, text in drafts(build, 4)]
    assert first == [(image.tobytes(), text) for _, _, image, _, text in drafts(build, 4)]


@pytest.mark.parametrize("build", [ticket, paper])
def test_characters_of_one_place_are_printed_once(build):
    """No two texts lie on one another."""
    for _, draft, _, chars, text in drafts(build, 60):
        places = chars[:, 1:]
        near = (np.abs(places[:, None, 0] - places[None, :, 0]) < 1.5) & (np.abs(places[:, None, 1] - places[None, :, 1]) < draft.x_height)
        assert near.sum() == len(chars), text


# Bands ----------------------------------------------------------------------------------------------------------------


def test_a_reading_goes_along_rows_whichever_block_is_set_first():
    readings = []
    for order in ((0, 1), (1, 0)):
        content = content_of(3)
        look, paper_colour = choose_look(content, 14, 14)
        canvas = Canvas(600, 300, paper_colour)
        band = Band(canvas, look, 10, look.fonts.pitch * 1.2)
        blocks = [(set_lines(content, [Line("left one"), Line("left two")]), 10, 280), (set_lines(content, [Line("right one")]), 300, 590)]
        for k in order:
            block, left, right = blocks[k]
            block(band, left, right, 0)
        band.print()
        readings.append(canvas.finish()[2])
    assert readings[0] == readings[1] == "left one right one\nleft two"


def test_blocks_that_would_touch_are_refused():
    content = content_of(4)
    look, colour = choose_look(content, 14, 14)
    band = Band(Canvas(600, 100, colour), look, 10, 30)
    band.put(0, 10, "a long text that goes on", look.fonts.plain)
    band.put(0, 60, "another", look.fonts.plain)
    with pytest.raises(Overfull, match="runs into"):
        band.print()
    with pytest.raises(Overfull, match="wider than its column"):
        set_side_by_side(content, band, [set_lines(content, [Line("x" * 60, "big")])] * 2, 10, 300)


@pytest.mark.parametrize(
    "style", [*"inline aligned stack pairs boxes table underlined chips under braces".split(), "roomy grid", "boxed rows", "ticks"]
)
def test_every_style_of_fields_keeps_labels_with_their_values(style):
    """The row that is quoted as evidence holds the value, and for most styles the label, and is printed as quoted."""
    particulars = [Particular("date", "Date", "4 May 2020"), Particular("seat", "Seat", "14C"), Particular("gate", "Gate", "B7")]
    printed = 0
    for seed in range(12):
        content = content_of(seed)
        look, colour = choose_look(content, 13, 15)
        canvas = Canvas(500, 400, colour)
        band = Band(canvas, look, 12, look.fonts.pitch * 1.25)
        try:
            set_fields(content, particulars, style, 3)(band, 12, 480, 0)
            entries = band.print()
        except Overfull:
            continue
        text = canvas.finish()[2]
        printed += 1
        assert [entry.value for entry in entries] == ["4 May 2020", "14C", "B7"]
        for entry in entries:
            assert entry.row in text
            assert entry.value in entry.row
            assert entry.label in entry.row
    assert printed >= 8


# Facts ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*TICKETS, *RECIPES])
def test_facts_and_particulars_are_printed_in_the_rows_that_are_quoted(kind):
    for seed in range(6):
        _, found, text = composed(kind, seed)
        flat = " ".join(text.split())
        assert found.entries or found.sheet
        for key, fact in found.facts.items():
            assert fact.row in text or fact.row in flat, key
            assert fact.answer in flat
            assert fact.answer in fact.row or key == "phone"
        for _, entry in found.entries:
            assert entry.row in text
            assert entry.value in entry.row
        for good, row in found.goods:
            assert row in text
            assert {good.name, good.price} <= {good.name, good.price, *row.split("\n")}
            assert good.name in row
            assert good.price in row


def test_the_sums_below_a_table_add_up():
    checked = 0
    for seed in range(40):
        _, found, _ = composed("invoice", seed)
        if "total" not in found.facts or found.sheet is None:
            continue
        money = [c for c in found.sheet.columns if c.kind == "money"][-1]
        total = sum(money.values)
        if "subtotal" in found.facts:
            assert cents(found.facts["subtotal"].answer) == total
        for key, sign in (("discount", 1), ("shipping", 1), ("tax", 1)):
            if key in found.facts:
                total += sign * cents(found.facts[key].answer)
        assert cents(found.facts["total"].answer) == total
        checked += "tax" in found.facts
    assert checked > 8


def test_amounts_are_quantity_times_price_less_discount():
    checked = 0
    for seed in range(120):
        content = content_of(seed)
        try:
            sheet = draw_goods(content, Notation(2))
        except Overfull:
            continue
        columns = {c.kind: c for c in sheet.columns if c.kind in ("integer", "percent")}
        money = [c for c in sheet.columns if c.kind == "money"]
        if len(money) < 2 or "integer" not in columns:
            continue
        scale = 10 ** columns["integer"].notation.decimals
        discounted = any(c.head in ("Disc.", "Discount", "Disc. %", "Discount %", "Less") for c in sheet.columns)
        cuts = columns["percent"].values if discounted else [0] * len(sheet.names)
        for n, price, cut, amount in zip(columns["integer"].values, money[0].values, cuts, money[1].values, strict=True):
            assert amount == (n // scale * price * (100 - cut) + 50) // 100
            checked += 1
    assert checked > 100


def test_an_account_balances():
    checked = 0
    for seed in range(80):
        content = content_of(seed)
        try:
            sheet = draw_account(content, Notation(2), Habits(content, Money()))
        except Overfull:
            continue
        sums = [c for c in sheet.columns if c.kind == "balance"]
        if sums[-1].head != "Balance":
            continue
        moves = sums[0].values if len(sums) == 2 else [plus - minus for minus, plus in zip(sums[0].values, sums[1].values, strict=True)]
        steps = np.diff(sums[-1].values)
        assert steps.tolist() == list(moves)[1:]
        checked += 1
    assert checked > 10


def test_dates_of_every_form_name_one_day():
    for form in (*DATE_FORMS.seen, *DATE_FORMS.held_out):
        drawn = drawn_date(content_of(5), form)
        assert re.search(r"\d", drawn)
        assert "{" not in drawn
        assert len(re.findall(r"\d+|" + "|".join(m[:3] for m in MONTHS), drawn, re.IGNORECASE)) == 3, drawn


# Turns ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*TICKETS, *RECIPES])
def test_a_particular_is_asked_by_a_name_that_nothing_else_has_and_refused_only_when_absent(kind):
    asked = 0
    for seed in range(5):
        content, found, text = composed(kind, seed)
        recorder = Recorder(random.Random(seed), text)
        maker = PaperTurns(content, recorder, found)
        for _ in range(25):
            turn = maker.entry() if found.entries else None
            if turn:
                said = said_label(recorder.slots["label"])
                owners = [(k, e) for k, e in found.entries if said in map(said_label, (*KINDS[k].labels.seen, e.label))]
                assert [e.value for _, e in owners] == [turn.answer], recorder.slots
                others = [name for k, _ in found.entries if k != owners[0][0] for name in map(said_label, KINDS[k].labels.seen)]
                assert not any(said in name or name in said for name in others if len(name) > 3 and name not in AWKWARD), recorder.slots
                asked += 1
            recorder.key = ""
            turn = maker.absent()
            if turn and recorder.key == "entry":
                assert turn.answer == REFUSAL
                said = recorder.slots["label"]
                assert not any(said in map(said_label, KINDS[k].labels.seen) for k in found.kinds)
                assert said not in text.casefold()
    assert asked or not found.entries


@pytest.mark.parametrize("build", [ticket, paper])
def test_turns_are_three_or_more_and_quote_the_paper(build):
    for content, draft, _, _, text in drafts(build, 40):
        turns = draft.ask(Interview(content.rng, text))
        assert 1 <= len(turns) <= 6
        flat = " ".join(text.split())
        for turn in turns:
            if turn.task in ("field", "price", "line"):
                assert " ".join(turn.answer.split()) in flat, turn


def test_a_column_is_asked_by_another_name_only_where_no_other_column_could_be_meant():
    asked = set()
    for seed in range(60):
        content, found, text = composed("invoice", seed)
        recorder = Recorder(random.Random(seed), text)
        maker = PaperTurns(content, recorder, found)
        for _ in range(10):
            if (turn := maker.renamed()) and found.sheet:
                said, row = recorder.slots["column"], found.sheet.names.index(recorder.slots["row"])
                named = [c for c in found.sheet.columns if role_of(c.head) and said in names_of_role(role_of(c.head))]
                assert [c.cells[row] for c in named] == [turn.answer]
                asked.add(said)
    assert len(asked) > 10


# Receipts -------------------------------------------------------------------------------------------------------------


def test_items_and_facts_of_receipts_are_printed_as_quoted():
    forms = set()
    for slip in receipts(400):
        text = "\n".join(row.text for row in slip.rows if row.cells)
        flat = " ".join(text.split())
        assert sum(item.amount for item in slip.items) == slip.subtotal
        for item in slip.items:
            assert item.row in text
            assert item.name in flat
            assert item.amount_text in item.row
            assert item.amount == item.quantity * item.unit
            if item.unit_text and item.quantity > 1:
                assert item.unit_text in item.row or f"{item.quantity_text} x {item.unit_text}" in text
            forms.add("\n" in item.row)
        for key, fact in slip.facts.items():
            assert fact.row in text, (key, fact)
            assert fact.answer in " ".join(fact.row.split())
    assert forms == {True, False}


def test_totals_stand_on_bars_in_boxes_in_the_middle_and_in_rows():
    kinds = {next(row.kind for row in slip.rows if row.text in slip.facts["total"].row and row.cells) for slip in receipts(300)}
    assert {"pair", "bar", "boxed", "center"} <= kinds


# JSON -----------------------------------------------------------------------------------------------------------------


def test_items_as_json_are_a_list_of_names_and_prices_as_printed():
    goods = [Good("Milk", "2.49", "2"), Good('6" pipe', "$1,000.00")]
    assert as_json(goods, quantities=False) == '[\n{"name": "Milk", "price": "2.49"},\n{"name": "6\\" pipe", "price": "$1,000.00"}\n]'
    assert json.loads(as_json(goods, quantities=True)) == [
        {"name": "Milk", "quantity": "2", "price": "2.49"},
        {"name": '6" pipe', "quantity": "1", "price": "$1,000.00"},
    ]


def test_json_is_asked_of_one_to_eight_items_and_has_quantities_only_when_asked_for():
    goods = [Good(f"Thing {k}", f"{k}.00", str(k)) for k in range(9)]
    interview = Interview(random.Random(0), "")
    assert items_turn(interview, goods) is None
    assert items_turn(interview, []) is None
    said = {w.rstrip("?.").casefold() for w in EXTRACTION_WORDINGS["items_json_quantity"]}
    with_quantity = set()
    for _ in range(60):
        turn = items_turn(interview, goods[:8])
        assert turn is not None
        assert turn.task == "item"
        rows = json.loads(turn.answer)
        assert [row["name"] for row in rows] == [good.name for good in goods[:8]]
        assert ("quantity" in rows[0]) == (turn.question.rstrip("?.").casefold() in said)
        assert (turn.thinking is not None) == (turn.mode == "on")
        with_quantity.add("quantity" in rows[0])
    assert with_quantity == {True, False}
    bare = items_turn(interview, [Good("Milk", "1.00")])
    assert bare is not None
    assert "quantity" not in bare.answer


def test_json_of_a_receipt_sums_to_its_subtotal():
    for slip in receipts(100):
        assert sum(cents(good.price) for good in goods_of(slip)) == slip.subtotal


def test_there_are_fifteen_ways_to_ask_for_json():
    for wordings in EXTRACTION_WORDINGS.values():
        assert len(wordings) >= 15
        assert len(set(wordings)) == len(wordings)
    everything = [w for wordings in EXTRACTION_WORDINGS.values() for w in wordings]
    assert len(set(everything)) == len(everything)
