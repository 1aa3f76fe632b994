"""Conversations without a picture: every answer is worked out again from the words of its question."""

import json
import random
import re
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import pytest

from kimi_vl.training.packing import TASKS
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.pack import LISTS, SPLITS, DataPack
from kimi_vl.training.synth.scene import REFUSAL, Scene, Turn
from kimi_vl.training.synth.texts.calculations import spoken
from kimi_vl.training.synth.texts.dialogues import CRUDE, LIMIT, NO_IMAGE, TALK, dialogue
from kimi_vl.training.synth.texts.inquiries import ASKED
from kimi_vl.training.synth.traces import mistakes
from tests.training.heard import only_listed, said, slots

PACK = DataPack.builtin()
CENT = Decimal("0.01")
AMOUNT = re.compile(r"(?<![\d.])\$?\d+(?:\.\d\d)?(?![\d.]*\d)")


def drawn(index: int, split: str = "train", pack: DataPack = PACK) -> Scene:
    return dialogue(Content(random.Random(f"{split}/{index}"), pack, split), 1.0)


@cache
def scenes() -> list[Scene]:
    """Made when first asked for: every worker imports this file, and one runs it."""
    with only_listed:
        return [drawn(index, split) for split in SPLITS for index in range(900)]


@cache
def turns() -> list[Turn]:
    return [turn for scene in scenes() for turn in scene.turns]


def whole(key: str) -> list[tuple[Turn, dict[str, str]]]:
    """The turns whose question is nothing but a wording of `key`, with what filled its braces."""
    return [(turn, filled) for turn in turns() if (filled := slots(turn.question, key)) is not None]


def onto(key: str) -> list[tuple[Turn, dict[str, str], str]]:
    """The turns with a wording of `key` before or behind typed text: the slots, and the text."""
    found = []
    for turn in turns():
        q = turn.question
        lines, words = q.split("\n"), q.split(" ")
        cuts = [(lines[0], "\n".join(lines[1:])), (lines[-1], "\n".join(lines[:-1]).rstrip())]
        cuts += [(" ".join(words[:k]), " ".join(words[k:])) for k in range(1, len(words)) if words[k - 1][-1:] in "?.:"]
        cuts += [(" ".join(words[k:]), " ".join(words[:k])) for k in range(1, len(words)) if words[k - 1][-1:] in "?.!"]
        for asking, text in cuts:
            filled = next((f for said in (asking, asking.rstrip(":")) if (f := slots(said, key)) is not None), None)
            if text and filled is not None:
                found.append((turn, filled, text))
                break
    return found


def number(text: str) -> Decimal:
    return Decimal(text.replace("$", ""))


def printed(value: Decimal, like: str) -> str:
    sign = "$" if "$" in like else ""
    return f"{sign}{value:.2f}" if "." in like else f"{sign}{value}"


def rounded(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def test_a_sum_in_words_or_signs_is_what_decimal_arithmetic_gives():
    for key, slot, form in (("sum_of", "numbers", r"(\$?[\d.]+(, | and )?)+"), ("add", "sum", r"[\d.]+( \+ [\d.]+)+")):
        cases = [case for case in whole(key) if re.fullmatch(form, case[1][slot])]  # "{sum}" alone is said of everything
        assert len(cases) > 60
        for turn, filled in cases:
            numbers = AMOUNT.findall(filled[slot])
            assert 2 <= len(numbers) <= 6
            assert turn.answer == printed(sum(map(number, numbers), Decimal(0)), numbers[0]), turn


def test_a_difference_is_what_decimal_arithmetic_gives():
    cases = [case for case in whole("minus") if AMOUNT.fullmatch(case[1]["a"])]
    assert len(cases) > 80
    for turn, filled in cases:
        assert turn.answer == printed(number(filled["a"]) - number(filled["b"]), filled["a"]), turn


def test_a_price_times_a_count_is_what_decimal_arithmetic_gives():
    cases = whole("times")
    assert len(cases) > 80
    for turn, filled in cases:
        assert turn.answer == printed(number(filled["price"]) * int(filled["count"]), filled["price"]), turn


def test_change_is_the_note_less_the_total():
    cases = whole("change_due")
    assert len(cases) > 60
    for turn, filled in cases:
        assert turn.answer == printed(number(filled["note"]) - number(filled["total"]), filled["total"]), turn
        assert number(turn.answer) > 0


def test_percentages_are_rounded_half_up_to_cents():
    rates = set()
    for key, sign in (("percent", None), ("percent_more", 1), ("percent_less", -1)):
        cases = [case for case in whole(key) if AMOUNT.fullmatch(case[1]["amount"])]
        assert len(cases) > 10
        for turn, filled in cases:
            amount, rate = number(filled["amount"]), int(filled["rate"])
            rates.add(rate)
            share = rounded(amount * rate / 100)
            assert turn.answer == printed(share if sign is None else amount + sign * share, filled["amount"]), turn
    assert len(rates) >= 6


WORDS = {spoken(k): k for k in range(100)}


def figure(words: str) -> int:
    total, current = 0, 0
    for word in words.split(" "):
        if word == "thousand":
            total, current = total + current * 1000, 0
        elif word == "hundred":
            current *= 100
        else:
            current += WORDS[word]
    return total + current


def test_numbers_in_words_are_english():
    known = {0: "zero", 7: "seven", 13: "thirteen", 20: "twenty", 21: "twenty-one", 90: "ninety", 100: "one hundred"}
    known |= {
        342: "three hundred forty-two",
        1000: "one thousand",
        5010: "five thousand ten",
        9999: "nine thousand nine hundred ninety-nine",
    }
    assert {value: spoken(value) for value in known} == known
    assert len(WORDS) == 100
    assert all(figure(spoken(k)) == k for k in range(0, 10_000, 7))


def test_a_sum_of_numbers_in_words_is_answered_in_figures():
    cases = [case for case in whole("add_spoken") if re.fullmatch(r"[a-z -]+ (plus|minus) [a-z -]+", case[1]["sum"].lower())]
    assert len(cases) > 30
    for turn, filled in cases:
        a, sign, b = re.split(r" (plus|minus) ", filled["sum"].lower())
        assert int(turn.answer) == figure(a) + (figure(b) if sign == "plus" else -figure(b)), turn


def test_the_larger_of_two_numbers_is_the_larger():
    for turn, filled in whole("larger"):
        assert number(turn.answer) == max(number(filled["a"]), number(filled["b"])), turn


def test_every_step_of_every_calculation_holds_and_the_last_result_is_the_answer():
    sums = [turn for turn in turns() if turn.task == "sum" and turn.thinking]
    assert len(sums) > 600
    for turn in sums:
        assert not mistakes(turn.thinking), turn
        assert re.search(rf"[= ]{re.escape(turn.answer.strip('$'))}(?![\d.]*\d)", turn.thinking), turn
        assert turn.steps > 0
    shorter = [len(turn.thinking) for turn in sums]
    assert min(shorter) < 40 < 200 < max(shorter)


def test_long_calculations_are_not_asked_for_without_their_steps():
    forbidden = [turn for turn in turns() if turn.task == "sum" and turn.mode == "off" and "\n" not in turn.question]
    assert forbidden
    assert max(turn.steps for turn in forbidden) <= 6


def listed(text: str) -> list[tuple[str, str]]:
    """Names and prices of a typed list."""
    rows = re.split(r"\n|, (?=[A-Z])", text)
    return [(m[1], m[2]) for row in rows if (m := re.fullmatch(r"(?:- )?(.+?)(?::| -)? (\$?\d+\.\d\d)", row))]


def test_questions_about_a_typed_list_are_answered_from_its_rows():
    seen = set()
    for key in ("typed_sum", "typed_price", "typed_dearest", "typed_cheapest", "typed_count"):
        for turn, filled, text in onto(key):
            rows = listed(text)
            if len(rows) < 2:
                continue  # the words of another question
            seen.add(key)
            amounts = {name.casefold(): number(price) for name, price in rows}
            if key == "typed_sum":
                assert number(turn.answer) == sum(number(price) for _, price in rows), turn
            elif key == "typed_price":
                item = filled["item"].casefold().rstrip(":")
                if item in ("it all together", "it in total", "it altogether"):
                    continue  # the sum is asked for
                assert number(turn.answer) == amounts[item], turn
            elif key == "typed_count":
                assert turn.answer == str(len(rows)), turn
            else:
                best = (max if key == "typed_dearest" else min)(amounts.values())
                assert [name for name, value in amounts.items() if value == best] == [turn.answer.casefold()], turn
    assert len(seen) == 5


def test_a_typed_list_becomes_json_markdown_or_bullets_with_the_same_rows():
    forms = set()
    for key in ("typed_json", "typed_bullets", "typed_markdown"):
        for turn, _, text in onto(key):
            rows = listed(text)
            if len(rows) < 2:
                continue
            forms.add(key)
            if key == "typed_json":
                assert [(row["name"], row["price"]) for row in json.loads(turn.answer)] == rows
            elif key == "typed_bullets":
                assert turn.answer.split("\n") == [f"- {name} {price}" for name, price in rows]
    for turn in turns():
        if turn.task == "markdown":
            forms.add("typed_markdown")
            head, rule, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in turn.answer.split("\n")]
            assert rule == ["---", "---"]
            assert f"The columns are {head[0]} and {head[1]}." in turn.question
            assert all(name in turn.question and price in turn.question for name, price in body)
            assert len(body) >= 2
    assert forms == {"typed_json", "typed_bullets", "typed_markdown"}


FORMS = {
    "email": r"[a-z0-9.-]+@[a-z0-9.-]+\.[a-z]+",
    "amount": r"\$\d+\.\d\d",
    "phone": r"[+(\d][\d ()/.-]{6,}",
    "date": r"[\w./ ,-]*\d[\w./ ,-]*",
    "person": r"[A-Z][\w. '-]+",
}


@pytest.mark.parametrize("kind", list(FORMS))
def test_what_is_extracted_from_a_sentence_is_of_its_kind_and_stands_in_it_once(kind):
    cases = onto(f"extract_{kind}")
    assert len(cases) > 5
    for turn, _, text in cases:
        assert text.count(turn.answer) == 1, turn
        assert re.fullmatch(FORMS[kind], turn.answer), turn
        others = [re.findall(FORMS[k], text) for k in ("email", "amount") if k == kind]
        assert all(len(found) == 1 for found in others), turn


def days(text: str) -> set[date]:
    """Every day that a date may mean."""
    forms = "%Y-%m-%d|%d.%m.%Y|%d/%m/%Y|%m/%d/%y|%m/%d/%Y|%d-%m-%Y|%d.%m.%y|%d %B %Y|%B %d, %Y|%d %b %Y|%b %d, %Y|%d-%b-%y"
    found = set()
    for form in forms.split("|"):
        try:
            found.add(datetime.strptime(text, form).date())
        except ValueError:
            continue
    return found


def test_a_date_keeps_its_day_in_every_form_and_is_not_ambiguous():
    cases = [*whole("iso_date"), *whole("long_date")]
    assert len(cases) > 60
    for turn, filled in cases:
        said = re.sub(r"\b(\d{1,2})-([A-Za-z]{3})-(\d\d)$", lambda m: f"{m[1]}-{m[2].title()}-{m[3]}", filled["date"])
        meant = days(said)
        assert days(turn.answer) <= meant, turn
        assert len({(d.month, d.day) for d in meant}) == 1, turn
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", turn.answer) for turn, _ in whole("iso_date"))


def test_sorted_numbers_and_words_are_the_same_ones_in_order():
    for key, reverse in (("sort_up", False), ("sort_down", True)):
        cases = whole(key)
        assert len(cases) > 30
        for turn, filled in cases:
            assert [*map(Decimal, turn.answer.split(", "))] == sorted(map(Decimal, filled["numbers"].split(", ")), reverse=reverse), turn
    for turn, filled in whole("sort_words"):
        assert turn.answer.split(", ") == sorted(filled["words"].split(", ")), turn


def test_words_and_letters_are_counted_and_spelled():
    cases = onto("count_words")
    assert len(cases) > 10
    for turn, _, text in cases:
        assert int(turn.answer) == len(text.split()), turn
        if turn.thinking:
            assert [row.split(". ", 1)[1] for row in turn.thinking.split("\n")] == text.split()
    for turn, filled in whole("count_letters"):
        if filled["word"].isalpha():
            assert int(turn.answer) == len(filled["word"]), turn
    spelled = [case for case in whole("spell") if case[1]["word"].isalpha()]
    assert len(spelled) > 10
    for turn, filled in spelled:
        assert turn.answer.replace("-", "") == filled["word"].lower(), turn


def test_text_is_recased_repeated_and_cut_as_asked():
    changes = {
        "upper": str.upper,
        "lower": str.lower,
        "repeat": str,
        "first_word": lambda t: t.split()[0],
        "last_word": lambda t: t.split()[-1],
    }
    for key, change in changes.items():
        cases = onto(key)
        assert len(cases) > 5, key
        for turn, _, text in cases:
            wanted = change(text)
            assert turn.answer == (wanted.strip(".,;:!?()\"'") if key.endswith("word") else wanted), turn


def test_prose_goes_on_with_the_sentence_that_follows_in_the_pack():
    cases = onto("continue")
    share = len(cases) / len(turns())
    assert 0.02 < share < 0.15
    for turn, _, text in cases:
        assert turn.thinking is None
        assert any(f"{text} {turn.answer}" in paragraph for split in SPLITS for paragraph in PACK.prose(split)), turn
    assert (
        0.1
        < sum(any(slots(t.question.split("\n")[0], "continue") is not None for t in scene.turns) for scene in scenes()) / len(scenes())
        < 0.2
    )


def test_it_says_what_it_is_and_does_not_pretend_to_be_another():
    seen = set()
    for key, answers in TALK.items():
        for turn, _ in whole(key):
            seen.add(key)
            assert turn.answer in answers, turn
    assert seen == set(TALK)
    assert all("nano" in answer and "Kimi-VL" in answer for answer in (*TALK["who"], *TALK["made"]))


def test_the_world_and_pictures_that_are_not_there_are_refused_each_in_its_own_words():
    keys = {LIMIT: "knowledge", NO_IMAGE: "picture"}
    refused = [turn for turn in turns() if turn.task == "refuse" and turn.answer != REFUSAL]
    assert {turn.answer for turn in refused} == set(keys)
    for turn in refused:
        assert slots(turn.question, keys[turn.answer]) is not None, turn
    for turn in turns():
        if turn.task != "refuse":
            assert turn.answer not in keys


def test_conversations_are_short_and_have_no_picture():
    for scene in scenes():
        assert scene.pages == []
        assert scene.text == ""
        assert 1 <= len(scene.turns) <= 4
        assert all(turn.answer.strip() and turn.task in TASKS for turn in scene.turns)
        assert all(len(turn.question) < 700 for turn in scene.turns)


def test_thinking_is_there_when_demanded_and_never_when_forbidden():
    assert all(turn.thinking for turn in turns() if turn.mode == "on")
    assert all(turn.thinking is None for turn in turns() if turn.mode == "off")


def test_crude_words_of_the_pack_are_never_said():
    text = {(name, "train"): getattr(PACK, name)("train") for name in LISTS}
    text["prose", "train"] = ["What a shit day. Nobody liked the damn thing.", *PACK.prose("train")[:2]]
    crude = DataPack({"train": PACK.faces("train")}, text, digest="crude")
    answers = [turn.answer for index in range(400) for turn in drawn(index, pack=crude).turns]
    assert not any(CRUDE.search(answer) for answer in answers)


def test_equal_seeds_give_equal_conversations():
    assert drawn(3).turns == drawn(3).turns
    assert drawn(3).turns != drawn(4).turns


@pytest.mark.parametrize("split", SPLITS)
def test_nothing_but_the_asked_split_is_used(split):
    lonely = DataPack({split: PACK.faces(split)}, {(name, split): getattr(PACK, name)(split) for name in LISTS}, digest="lonely")
    for index in range(40):
        assert drawn(index, split, lonely).turns == drawn(index, split).turns


def test_wordings_of_typing_never_leave_a_brace_open():
    assert not any(re.search(r"[{}]", turn.question) for turn in turns() if turn.task not in ("item", "text", "continue"))
    assert all(wording.count("{") == wording.count("}") for wordings in ASKED.values() for wording in wordings)


def test_facts_in_typed_notes_are_read_back_from_the_notes():
    cases = [case for case in onto("needle_value") if case[0].task == "needle" and slots(case[0].question, "needle_quote") is None]
    assert len(cases) > 40
    read = [(turn, said(text, filled["attribute"], filled["name"])) for turn, filled, text in cases]
    assert sum(values == [turn.answer] for turn, values in read) > 0.75 * len(cases)  # a row of the notes may look like a question
    assert all(values in ([], [turn.answer]) for turn, values in read)
    for turn in turns():
        if turn.answer == REFUSAL:
            assert turn.task == "refuse"
