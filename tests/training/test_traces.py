"""Thinking: every line is checked twice, by the module's own reader and by one that is written here; answers are recomputed from prices."""

import datetime
import random
import re
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import pytest

from kimi_vl.training.synth import traces
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.demands import dated, demanded_date, demanded_number
from kimi_vl.training.synth.documents.clerks import draw_receipt
from kimi_vl.training.synth.documents.receipt_turns import ReceiptTurns
from kimi_vl.training.synth.documents.receipts import Receipt
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Overfull, Turn
from kimi_vl.training.synth.traces import Quote, Working, holds, mistakes, verify
from kimi_vl.training.synth.wordings.wordings import CONTEXTS, ENDINGS, HEARD, WORDINGS, expand
from tests.training.interviews import Recorder

PACK = DataPack.builtin()


def bare(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def quotes(*cents: int) -> list[Quote]:
    return [Quote(f"Article {chr(65 + k)}", c, f"${bare(c)}", f"Article {chr(65 + k)} ${bare(c)}") for k, c in enumerate(cents)]


PRICES = quotes(249, 310, 1299, 85, 199)
CHANGES = [("-", Quote("Discount", 200, "2.00")), ("+", Quote("Tax", 137, "1.37"))]
WRITERS = {
    "sum": lambda rng: traces.add_up(rng, bare, PRICES[:3]),
    "whole sum": lambda rng: traces.add_up(rng, bare, PRICES, whole=True),
    "some": lambda rng: traces.add_beyond(rng, bare, PRICES, 300, above=True),
    "difference": lambda rng: traces.subtract(rng, bare, PRICES[2], PRICES[0]),
    "left out": lambda rng: traces.leave_out(rng, bare, PRICES, PRICES[2]),
    "change": lambda rng: traces.give_change(rng, bare, PRICES[2], 2000),
    "product": lambda rng: traces.multiply(rng, bare, PRICES[0], rng.choice((2, 3, 7, 10, 12, 19))),
    "long product": lambda rng: traces.multiply(rng, bare, quotes(1_234_056)[0], 18),
    "product of a quotient": lambda rng: traces.multiply(rng, bare, Quote("Tea", 1050, "10.50"), 5, pieces=3),
    "quotient": lambda rng: traces.divide(rng, bare, Quote("Tea", 1050, "10.50"), 3),
    "long quotient": lambda rng: traces.divide(rng, bare, Quote("Tea", 1_203_600, "12036.00"), 12),
    "average": lambda rng: traces.average(rng, bare, quotes(100, 250, 400)),
    "ratio": lambda rng: traces.ratio(rng, bare, *quotes(750, 250)),
    "percentage": lambda rng: traces.percentage(rng, bare, PRICES[2], rng.choice((1, 5, 10, 19, 25))),
    "tax": lambda rng: traces.check_percentage(rng, bare, PRICES[2], 19, Quote("Tax", rng.choice((247, 250)), "2.47")),
    "total": lambda rng: traces.check_total(rng, bare, PRICES, CHANGES, Quote("Total", rng.choice((2079, 2179)), "20.79")),
    "limit": lambda rng: traces.check_limit(rng, bare, PRICES[:2], rng.choice((500, 559, 600))),
    "extreme": lambda rng: traces.extreme(rng, bare, PRICES, high=rng.random() < 0.5, word="best"),
    "second": lambda rng: traces.runner_up(rng, bare, PRICES, high=rng.random() < 0.5, word="best"),
    "count": lambda rng: traces.count_beyond(rng, bare, PRICES, 249, above=rng.random() < 0.5),
    "both": lambda rng: traces.count_both(rng, "AB", (("yes", "no"), ("3", "4")), ((True, False), (True, True))),
}
RESULTS = {
    "product of a quotient": 1750,
    "sum": 1858,
    "whole sum": 2142,
    "some": 1609,
    "difference": 1050,
    "left out": 843,
    "change": 701,
    "long product": 22_213_008,
    "quotient": 350,
    "long quotient": 100_300,
    "average": 250,
}


def written(name: str, count: int = 200) -> list[Working]:
    return [WRITERS[name](random.Random(seed)) for seed in range(count)]


def number(text: str) -> Decimal:
    """Of a notation with a decimal point and no groups."""
    return Decimal(text.rstrip("%")) / (100 if text.endswith("%") else 1)


def honest(line: str) -> bool | None:
    """What this file, on its own, thinks of a line with one operation or a comparison; None where there is neither."""
    if found := re.fullmatch(r"(?:Check: |Wait, )?([\d.]+) ([-+x/]) ([\d.]+) = ([\d.]+)", line):
        a, b, c = (number(found[k]) for k in (1, 3, 4))
        return c * b == a if found[2] == "/" else c == {"+": a + b, "-": a - b, "x": a * b}[found[2]]
    if found := re.fullmatch(r"(?:Wait, )?([\d.]+) - (\d+) x ([\d.]+) = ([\d.]+)", line):
        a, n, b, c = map(number, found.groups())
        return a - n * b == c
    if found := re.fullmatch(r"([\d.]+) rounds to ([\d.]+)", line):
        return number(found[1]).quantize(Decimal("0.01"), ROUND_HALF_UP) == number(found[2])
    if found := re.search(r"(?:^| )([\d.]+) ([<>=]) ([\d.]+)(?:, .*)?$", line):
        a, b = number(found[1]), number(found[3])
        return {"<": a < b, ">": a > b, "=": a == b}[found[2]]
    return None


@pytest.mark.parametrize("name", WRITERS)
def test_every_line_of_a_trace_holds_or_is_put_right_by_the_next(name):
    checked = 0
    for working in written(name):
        lines = working.text.split("\n")
        assert verify(working.text), working.text
        for k, line in enumerate(lines):
            judged = honest(line)
            checked += judged is not None
            if judged is False:
                assert lines[k + 1] == f"Wait, {line.removeprefix('Check: ').split(' = ')[0]} = {lines[k + 1].split(' = ')[1]}"
                assert honest(lines[k + 1])
            elif line.count(" > ") + line.count(" < ") < 2:
                assert judged == holds(line), line
    assert checked > 80 or name == "both"


@pytest.mark.parametrize("name", RESULTS)
def test_the_last_new_result_is_the_answer(name):
    for working in written(name):
        results = [line.rsplit(" = ", 1)[1] for line in working.text.split("\n") if " = " in line and not line.startswith("Check")]
        slips = [k for k, line in enumerate(working.text.split("\n")) if line.startswith("Wait, ")]
        assert slips or number(results[-1]) == Decimal(RESULTS[name]) / 100, working.text


@pytest.mark.parametrize("name", WRITERS)
def test_half_of_the_traces_are_verbose_and_longer(name, monkeypatch):
    texts = {}
    drawn = [working.text for working in written(name, 300)]
    for share in (0.0, 1.0):
        monkeypatch.setattr(traces, "VERBOSE", share)
        texts[share] = [working.text for working in written(name, 300)]
    assert sum(map(len, texts[1.0])) > 1.1 * sum(map(len, texts[0.0]))
    assert 0.4 < sum(text == long for text, long in zip(drawn, texts[1.0], strict=True)) / 300 < 0.6
    assert all(text in pair for text, *pair in zip(drawn, texts[0.0], texts[1.0], strict=True))


def test_one_trace_in_twenty_slips_and_says_so():
    texts = [working.text for name in ("sum", "product", "change") for working in written(name, 1000)]
    slipped = [text for text in texts if "\nWait, " in text]
    assert 0.03 < len(slipped) / len(texts) < 0.07
    for text in slipped:
        lines = text.split("\n")
        k = next(k for k, line in enumerate(lines) if line.startswith("Wait, "))
        assert honest(lines[k - 1]) is False
        assert honest(lines[k]) is True
        assert mistakes("\n".join(lines[:k] + lines[k + 1 :])) == [lines[k - 1]]


def test_more_operands_and_more_digits_are_more_steps():
    def steps(*cents: int) -> int:
        return traces.add_up(random.Random(1), bare, quotes(*cents)).steps

    assert 0 < steps(249, 310) < steps(249, 310, 120) < steps(24900, 31000, 12000)
    assert steps(249, 310) == 3
    for name in WRITERS:
        assert all(working.steps > 0 for working in written(name, 20)), name


@pytest.mark.parametrize(
    "line",
    [
        *(
            "2.49 + 3.10 = 5.59",
            "1,250 + 1 = 1,251",
            "1,25 + 1 = 2,25",
            "1.234,50 - 0,50 = 1.234,00",
            "3 x 3.50 = 10.50",
            "10.50 / 3 = 3.50",
        ),
        *(
            "1 + 2 + 3 x 4 = 15",
            "Check: 5 - 7 = -2",
            "Wait, 2 + 2 = 4",
            "12.50 x 7% = 0.875",
            "0.875 rounds to 0.88",
            "0,865 rounds to 0,87",
        ),
        *("Rye bread 700 x 28 3.10 > 2.49", "3.10 = 3.10, it is right", "1 < 2 < 3", "12,345.60 > 999.90, no", "100 / 8 = 12.5"),
    ],
)
def test_true_lines_hold(line):
    assert holds(line) is True
    assert verify(line)


@pytest.mark.parametrize(
    "line",
    [
        *(
            "2.49 + 3.10 = 5.69",
            "1,250 + 1 = 1,25",
            "3 x 3.50 = 10.05",
            "10 / 3 = 3.33",
            "1 / 0 = 1",
            "Check: 5 - 7 = 2",
            "Wait, 2 + 2 = 5",
        ),
        *(
            "12.50 x 7% = 0.88",
            "0.875 rounds to 0.87",
            "Rye bread 3.10 < 2.49",
            "3.10 > 3.10",
            "2 < 2",
            "1 < 3 < 2",
            "1.2.3 + 1 = 2.2.3",
            "1,2.3 > 1",
        ),
    ],
)
def test_false_lines_are_mistakes(line):
    assert holds(line) is False
    assert mistakes(f"First.\n{line}\nDone.") == [line]


@pytest.mark.parametrize(
    "line", ["", "Bread 3.10", "The highest is 3.10.", "x + y = z", "2 + 2 =", "= 4", "1. Milk", "9" * 5000 + " + 1 = 2"]
)
def test_other_lines_are_neither_true_nor_false(line):
    assert holds(line) is None
    assert verify(line)


def test_a_slip_is_forgiven_only_by_the_same_calculation_done_right():
    assert mistakes("2 + 2 = 5\nWait, 2 + 2 = 4") == []
    assert mistakes("Check: 2 + 2 = 5\nWait, 2 + 2 = 4") == []
    assert mistakes("2 + 2 = 5\nWait, 2 + 3 = 5") == ["2 + 2 = 5"]
    assert mistakes("2 + 2 = 5\nWait, 2 + 2 = 6") == ["2 + 2 = 5", "Wait, 2 + 2 = 6"]
    assert mistakes("2 + 2 = 5\nSo.\nWait, 2 + 2 = 4") == ["2 + 2 = 5"]
    assert mistakes("3 > 4\nWait, 3 < 4") == ["3 > 4"]


# Receipts ------------------------------------------------------------------------------------------------------------


def cents(text: str) -> Decimal:
    """A printed amount."""
    digits = Decimal(re.sub(r"\D", "", text)) / 100
    return -digits if "-" in text else digits


def receipts(count: int, split: str = "train") -> list[tuple[Receipt, str, Content]]:
    found = []
    for seed in range(count * 2):
        content = Content(random.Random(seed), PACK, split)
        try:
            canvas, height, _, slip = draw_receipt(content)
            found.append((slip, canvas.finish(height)[2], content))
        except Overfull:
            continue
        if len(found) == count:
            break
    return found


@cache  # made when first asked for: every worker imports this file, and one runs it
def turns(count: int) -> list[tuple[Turn, str, dict[str, str], Receipt, str]]:
    """Turns of every maker with the key and slots of their questions."""
    found = []
    for slip, text, content in receipts(count):
        interview = Recorder(content.rng, text)
        maker = ReceiptTurns(content, interview, slip)
        draws = [maker.field, maker.price, maker.quantity, maker.unit, maker.article, maker.item_there, maker.price_there, maker.nth_item]
        draws += [maker.sum_some, maker.sum_all, maker.sum_except, maker.sum_filtered, maker.difference, maker.change_from, maker.cost_of]
        draws += [maker.average, maker.share, maker.tax_right, maker.enough, maker.more_than, maker.dearer, maker.total_right, maker.count]
        for draw in (*draws, maker.count_filtered, maker.extreme, maker.refusal):
            interview.key = ""
            turn = draw()
            if turn:
                found.append((turn, interview.key, interview.slots, slip, text))
    return found


class Till:
    """The prices of a receipt as they are printed."""

    def __init__(self, slip: Receipt) -> None:
        self.names = [item.name for item in slip.items]
        self.amounts = [cents(item.amount_text) for item in slip.items]
        self.slip = slip

    def index(self, said: str) -> int:
        (k,) = [k for k, name in enumerate(self.names) if name.casefold() in (said.casefold(), said.casefold().removeprefix("the "))]
        return k

    def amount(self, said: str) -> Decimal:
        return self.amounts[self.index(said)]

    def named(self, said: str) -> list[Decimal]:
        """The amounts of the names in "milk, bread and eggs"; names may hold the word themselves."""
        left, found = said.casefold(), []
        for name, amount in sorted(zip(self.names, self.amounts, strict=True), key=lambda pair: -len(pair[0])):
            if name.casefold() in left:
                left = left.replace(name.casefold(), "", 1)
                found.append(amount)
        assert set(left.replace("the", "").replace("and", "")) <= set(" ,"), (said, left)
        return found

    def one(self, said: str) -> Decimal:
        item = self.slip.items[self.index(said)]
        return cents(item.unit_text) if item.unit_text else cents(item.amount_text) / (int(item.quantity_text) if item.quantity_text else 1)


def paid(said: str) -> Decimal:
    return cents(said) if re.search(r"[.,]\d\d\b", said) else Decimal(re.sub(r"\D", "", said))


def amount_asked(key: str, slots: dict[str, str], till: Till) -> Decimal | None:
    """The answers that are amounts; None for another key."""
    amounts, total = till.amounts, cents(till.slip.facts["total"].answer)
    if key == "sum_some":
        return sum(till.named(slots["items"]), Decimal(0))
    if key in ("sum_all", "average_price"):
        return sum(amounts, Decimal(0)) / (len(amounts) if key == "average_price" else 1)
    if key == "sum_except":
        return sum(amounts, Decimal(0)) - till.amount(slots["item"])
    if key in ("sum_above", "sum_below"):
        limit = cents(slots["price"])
        return sum((a for a in amounts if (a > limit if key == "sum_above" else a < limit)), Decimal(0))
    if key == "difference":
        return till.amount(slots["a"]) - till.amount(slots["b"])
    if key == "change_from":
        return paid(slots["note"]) - total
    if key == "cost_of":
        return int(slots["count"]) * till.one(slots["item"])
    if key == "unit":
        return till.one(slots["item"])
    if key == "share_of_total":
        return (total * int(slots["rate"]) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return None


def test_prices_that_are_said_to_be_absent_are_nowhere_on_the_receipt():
    drawn = 0
    for slip, text, content in receipts(150):
        maker = ReceiptTurns(content, Interview(content.rng, text), slip)
        for price in filter(None, (maker.absent_price() for _ in range(20))):
            assert cents(price) > 0
            assert re.sub(r"[^\d.,]", "", price) not in text
            drawn += 1
    assert drawn > 2000


def said_right(answer: str, true: bool) -> bool:
    return answer.startswith("Yes" if true else "No")


def test_every_amount_that_is_worked_out_follows_from_the_printed_prices():
    seen = set()
    for turn, key, slots, slip, _ in turns(500):
        wanted = amount_asked(key, slots, Till(slip)) if turn.task != "refuse" else None
        if wanted is not None:
            assert cents(turn.answer) == wanted, (turn, slots)
            seen.add(key)
    wanted = {"sum_some", "sum_all", "average_price", "sum_except", "sum_above", "sum_below", "difference", "change_from", "cost_of"}
    assert wanted | {"unit", "share_of_total"} <= seen


def test_counts_searches_and_comparisons_follow_from_the_printed_prices():
    seen = Counter()
    for turn, key, slots, slip, text in turns(500):
        till = Till(slip)
        if key in ("items_above", "items_below"):
            limit = cents(slots["price"])
            assert int(turn.answer) == sum(a > limit if key == "items_above" else a < limit for a in till.amounts)
        elif key == "dearer":
            assert turn.answer == max((slots["a"], slots["b"]), key=till.amount)
        elif key in ("cheapest", "dearest"):
            assert till.amount(turn.answer) == (min if key == "cheapest" else max)(till.amounts)
        elif key == "article" and turn.answer != "None.":
            assert till.amount(turn.answer) == cents(slots["price"])
        elif key in ("article", "price_there"):
            assert (cents(slots["price"]) in till.amounts) == (turn.answer == "Yes."), (turn, text)
        elif key == "item_there":
            named = slots["item"].casefold().removeprefix("the ")
            assert said_right(turn.answer, any(name.casefold() == named for name in till.names))
            assert turn.answer == "Yes." or named not in text.casefold()
        else:
            continue
        seen[key, turn.answer if turn.answer in ("Yes.", "No.", "None.") else ""] += 1
    assert min(seen[key, answer] for key in ("price_there", "item_there") for answer in ("Yes.", "No.")) > 50
    assert seen["article", "None."] > 15
    assert seen["article", ""] > 3 * seen["article", "None."]


def test_checks_follow_from_the_printed_amounts_and_say_no_as_often_as_yes():
    seen = Counter()
    for turn, key, slots, slip, _ in turns(500):
        till, facts = Till(slip), slip.facts
        total = cents(facts["total"].answer)
        if key == "enough":
            right = paid(slots["note"]) > total
        elif key == "more_than":
            right = sum(till.named(slots["items"])) > cents(slots["price"])
        elif key == "tax_right":
            tax = cents(facts["subtotal"].answer) * int(slots["rate"]) / 100
            right = tax.quantize(Decimal("0.01"), ROUND_HALF_UP) == cents(facts["tax"].answer)
        elif key in ("total_right", "total_wrong"):
            worked = sum(till.amounts) - (abs(cents(facts["discount"].answer)) if "discount" in facts else 0)
            worked += cents(facts["tax"].answer) if slip.tax else 0
            right = (worked == total) == (key == "total_right")
            assert worked == total or cents(turn.answer.split(" be ")[1].rstrip(".")) == worked
            seen["audit", worked == total] += 1
        else:
            continue
        assert turn.task == "check"
        assert said_right(turn.answer, right), (turn, slots)
        seen[key, right] += 1
    for key in ("enough", "more_than", "tax_right", "total_right", "audit"):
        share = seen[key, True] / (seen[key, True] + seen[key, False])
        assert 0.25 < share < 0.75, (key, share)


def test_a_receipt_with_a_wrong_total_is_asked_about_nearly_as_often_as_one_with_a_right_total():
    asked = [slip.total == slip.printed_total for turn, key, _, slip, _ in turns(500) if key in ("total_right", "total_wrong")]
    assert len(asked) > 40
    assert 0.4 < asked.count(True) / len(asked) < 0.7


def test_thinking_about_receipts_holds_and_quotes_what_is_printed():
    checked = Counter()
    for turn, key, _, slip, text in turns(500):
        if turn.thinking is None:
            continue
        assert verify(turn.thinking), turn
        if turn.task in ("sum", "check"):
            assert turn.steps > 0
            for item in slip.items:
                if f"{item.name} " in turn.thinking and key in ("sum_some", "difference"):
                    assert item.row in text
                    assert any(row in turn.thinking for row in (item.row, f"{item.name} {item.amount_text}")), turn
                    checked[key] += 1
    assert min(checked.values()) > 100


# Questions -----------------------------------------------------------------------------------------------------------

MAIN = ("read", "total", "date", "sum_some", "price", "count_items")


def test_the_main_questions_are_put_in_sixty_ways_or_about_as_many():
    for key in MAIN:
        assert len(WORDINGS[key]) >= 55, key


def test_wordings_of_val_and_test_are_not_heard_in_training():
    for key in MAIN:
        heard = {split: set(HEARD[split][key]) for split in HEARD}
        assert all(heard.values()), key
        assert not heard["train"] & (heard["val"] | heard["test"])
        assert not heard["val"] & heard["test"]
        assert heard["train"] | heard["val"] | heard["test"] == set(WORDINGS[key])


def test_every_second_question_of_another_split_is_worded_as_none_in_training():
    for split in ("train", "val", "test"):
        interview = Interview(random.Random(4), "", image_only=True, split=split)
        known = {w.rstrip("?.").casefold() for w in HEARD["train"]["total"]}
        unheard = [interview.ask("total").rstrip("?.").casefold() not in known for _ in range(400)]
        assert (0.4 < sum(unheard) / 400 < 0.6) == (split != "train")
        assert split != "train" or not any(unheard)


def test_brackets_hold_alternatives():
    assert expand("[What is/What's] the [total/sum]?") == ["What is the total?", "What is the sum?", "What's the total?", "What's the sum?"]
    assert expand("Total?") == ["Total?"]
    assert not any(mark in wording for wordings in WORDINGS.values() for wording in wordings for mark in "[]|")


def test_words_around_a_question_stand_at_documents_only():
    around = (*CONTEXTS, *ENDINGS)
    for image_only in (False, True):
        interview = Interview(random.Random(4), "", image_only=image_only)
        asked = [interview.ask("total") for _ in range(500)]
        share = sum(question.startswith(CONTEXTS) or question.endswith(ENDINGS) for question in asked) / 500
        assert (0.08 < share < 0.2) if not image_only else share == 0, (share, around)


@pytest.mark.parametrize(
    ("printed", "day"),
    [
        *(("2021-03-04", (2021, 3, 4)), ("04.03.2021", (2021, 3, 4)), ("25/12/2020", (2020, 12, 25)), ("12/25/2020", (2020, 12, 25))),
        *(("4 March 2021", (2021, 3, 4)), ("March 4, 2021", (2021, 3, 4)), ("04-MAR-21", (2021, 3, 4)), ("1.2.98", (1998, 2, 1))),
        *(("03/04/2021", None), ("3/4/21", None), ("03-04-2021", None), ("Monday", None), ("4 Foo 2021", None), ("2/28/05", (2005, 2, 28))),
    ],
)
def test_dates_are_understood_where_day_and_month_are_clear(printed, day):
    assert dated(printed) == (datetime.date(*day) if day else None)


def test_dates_of_documents_are_understood_as_they_were_drawn():
    understood = 0
    for seed in range(400):
        content = Content(random.Random(seed), PACK, "train")
        printed = content.date()
        found = dated(printed)
        understood += found is not None
        if found and re.match(r"\d{4}-", printed):
            assert printed == found.isoformat()
        if found and re.search(r"[A-Za-z]", printed):
            assert found.strftime("%b").casefold() in printed.casefold()
            assert str(found.day) in printed
    assert understood > 280


def test_demanded_forms_follow_from_the_print():
    rng = random.Random(0)
    forms = {demanded_date(rng, "4 March 2021") for _ in range(200)}
    assert {answer for _, answer in forms} == {"2021-03-04", "04.03.2021", "03/04/2021", "2021"}
    assert all(("year" in demand) == (answer == "2021") for demand, answer in forms)
    assert demanded_date(rng, "03/04/2021") is None
    assert [(demanded_number(rng, text) or ("", ""))[1] for text in ("$12.50", "12,50 €", "1,234.00", "-3.00", "-$3.00", "Visa")] == [
        *("12.50", "12,50", "1,234.00", "-3.00", "", ""),
    ]


def test_a_demanded_form_is_answered_and_the_print_is_quoted_in_thinking():
    interview = Interview(random.Random(1), "Date: 4 March 2021\nTotal $12.50")
    drawn = [interview.fact("date", "4 March 2021", "Date: 4 March 2021", purchase=True) for _ in range(600)]
    converted = [turn for turn in drawn if turn.answer != "4 March 2021"]
    assert 0.1 < len(converted) / 600 < 0.2
    assert {turn.task for turn in converted} == {"other"}
    assert all("4 March 2021" in turn.thinking for turn in converted if turn.mode == "on")
    amounts = [interview.fact("total", "$12.50", "Total $12.50") for _ in range(600)]
    numbers = [turn for turn in amounts if turn.answer == "12.50"]
    assert 0.07 < len(numbers) / 600 < 0.18
    assert {turn.answer for turn in amounts} == {"12.50", "$12.50"}
