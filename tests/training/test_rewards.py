"""What a reply is worth: answers compared, thinking checked, and the published length reward."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import kimi_vl
from kimi_vl.processor.reply import Reply
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training.rewards import Judge, Verdict, length_rewards, number, quantity, rewards, same_answer, steps_hold
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.world import render

NANO = Path(kimi_vl.__file__).parent / "checkpoint" / "nano"
TOKENIZER = Tokenizer.from_files(NANO / "tiktoken.model", NANO / "tokenizer_config.json")
END = TOKENIZER.special("<|im_end|>")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1204.50", "1204.5"),
        ("1,204.50", "1204.5"),
        ("1.204,50", "1204.5"),
        ("1'204.50", "1204.5"),
        ("25,31", "25.31"),
        ("7,165", "7165"),
        ("1,225,500", "1225500"),
        ("0.125", "0.125"),
        ("3.5", "3.5"),
        ("007", "7"),
    ],
)
def test_a_printed_number_has_one_value_however_it_is_separated(text, value):
    assert number(text) == Decimal(value)


RIGHT = [
    ("$743.16", "$743.16"),
    ("$743.16", "743.16"),
    ("$743.16", "743.16 $"),
    ("$1,204.50", "1204,50"),
    ("9.6 kg", "9.6"),
    ("9.6 kg", "9.60 KG."),
    ("37%", "37 %"),
    ("-4.50", "−4.5"),
    ("Yes.", "yes"),
    ("No, it should be $1,204.50.", "no, it should be $1204.50"),
    ("Brown Bread", '"brown  bread".'),
    ("SOAP 3.85\nMILK 9.50", "Milk 9.5\nsoap 3.85\n"),
    (
        '[{"name": "Soap", "price": "3.85"}, {"name": "Milk", "price": "9.50"}]',
        '[{"price": "9.5", "name": "MILK"}, {"name": "Soap", "price": "3.85"}]',
    ),
]
WRONG = [
    ("$743.16", "$743.17"),
    ("$743.16", "€743.16"),
    ("$743.16", "-743.16"),
    ("743.16", "74316"),
    ("743.16", "74.316"),
    ("9.6 kg", "9.6 lb"),
    ("4", "4 5"),
    ("4", "I think 4"),
    ("4", "4 or 5"),
    ("4", ""),
    ("Yes.", "Yes. No."),
    ("Yes.", "No, it should be $1,204.50."),
    ("No, it should be $1,204.50.", "No, it should be $1,204.51."),
    ("SOAP 3.85\nMILK 9.50", "SOAP 3.85"),
    ("SOAP 3.85\nMILK 9.50", "SOAP 3.85\nMILK 9.50\nMILK 9.50"),
    ("SOAP 3.85\nMILK 9.50", "SOAP 3.85, MILK 9.50"),
    ('[{"name": "Soap"}]', '[{"name": "Soap"}, {"name": "Soap"}]'),
    ('[{"name": "Soap"}]', "Soap"),
]


@pytest.mark.parametrize(("truth", "answer"), RIGHT)
def test_an_answer_that_says_the_same_is_right(truth, answer):
    assert same_answer(truth, answer)


@pytest.mark.parametrize(("truth", "answer"), WRONG)
def test_an_answer_that_says_something_else_is_wrong(truth, answer):
    assert not same_answer(truth, answer)


def test_a_quantity_has_at_most_one_unit():
    assert quantity("$ 12,50") == (Decimal("12.5"), "$")
    assert quantity("-$12.50") == quantity("$-12.50") == (Decimal("-12.5"), "$")
    assert quantity("$12.50 EUR") is None
    assert quantity("12 and 13") is None


@pytest.mark.parametrize(
    "text", ["1" * 5000, "," * 5000, "$" * 3000 + " " * 3000, "[" * 3000, "[" * 400 + "]" * 400, "{" * 3000, "9,999," * 900, "\n" * 900]
)
def test_nonsense_of_any_length_is_wrong_and_harmless(text):
    assert not same_answer("$12.50", text)
    assert not same_answer('[{"name": "Soap"}]', text)


def reply(text: str) -> list[int]:
    return [*TOKENIZER.encode(text), END]


def judged(text: str, truth: str = "12.50", *, needs_thinking: bool = False, ended: bool = True) -> Verdict:
    return Judge(TOKENIZER, needs_thinking=needs_thinking)(truth, reply(text)[: None if ended else -1])


def test_an_answer_is_judged_behind_the_thinking():
    verdict = judged("◁think▷10.00 + 2.50 = 12.50◁/think▷$12.50", needs_thinking=True)
    assert verdict.right
    assert verdict.well_formed
    assert verdict.steps_hold
    assert not judged("◁think▷10.00 + 2.50 = 12.50◁/think▷$12.51").right


@pytest.mark.parametrize(
    "text",
    [
        "◁think▷10 + 2.50 = 12.50",
        "◁think▷a◁/think▷12.50◁think▷b◁/think▷",
        "◁think▷a◁/think▷◁/think▷12.50",
        "◁think▷◁think▷a◁/think▷12.50",
        "12.50◁think▷a◁/think▷12.50",
        "a◁/think▷12.50",
        "◁/think▷12.50◁think▷",
    ],
)
def test_malformed_thinking_is_worth_nothing_even_with_the_right_answer(text):
    verdict = judged(text)
    assert not verdict.well_formed
    assert not verdict.right


def test_a_reply_that_was_cut_off_is_wrong():
    assert judged("12.50").right
    assert not judged("12.50", ended=False).right


def test_a_control_token_inside_a_reply_is_malformed():
    ids = [TOKENIZER.special("<|im_user|>"), *reply("12.50")]
    assert not Judge(TOKENIZER, needs_thinking=False)("12.50", ids).well_formed


def test_an_answer_without_thinking_counts_only_where_thinking_is_not_needed():
    assert judged("12.50").right
    assert not judged("12.50", needs_thinking=True).right


@pytest.mark.parametrize(
    "text", ["◁think▷Soap 10.00\n10.00 + 2.50 = 12.50◁/think▷$12.50", "◁think▷ö◁/think▷x", "12.50", "◁think▷10.00 + ", "◁think▷◁/think▷1"]
)
def test_thinking_tokens_are_those_the_engine_counts(text):
    counted = Reply(TOKENIZER)
    for token in reply(text):
        counted.push(token)
    verdict = judged(text)
    expected = counted.thinking_tokens - ("◁/think▷" not in text and "◁think▷" in text)  # there it takes the end token for thinking
    assert verdict.thinking_tokens == expected
    assert verdict.thinking_tokens + verdict.answer_tokens == len(reply(text))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Soap 3.00\n3.00 + 4.50 = 7.50\n7.50 + 1,200.00 = 1,207.50", True),
        ("25,31 - 5,01 = 20,30.", True),
        ("3 × 1.50 = 4.50", True),
        ("no calculation", True),
        ("7 + 6 = 14\nWait, 7 + 6 = 13", True),
        ("7 + 6 = 13\n7 + 6 = 14", False),
        ("3.00 + 4.50 = 7.60", False),
        ("3.00 + 4.50 = 7.50\n7.50 - 1.00 = 7.50", False),
        ("20.91 - 3 x 6.00 = 2.91\n3 x 0.97 = 2.91", True),
        ("20.91 - 3 x 6.00 = 3.91", False),
        ("26 / 13 + 1 = 3", True),  # of which 3 + 1 is no part
        ("2.00 + 3 x 1.50 - 0.50 = 6.00", True),
        ("2.00 + 3 x 1.50 - 0.50 = 7.00", False),
    ],
)
def test_written_steps_are_checked(text, holds):
    assert steps_hold(text) is holds


@pytest.mark.parametrize("family", ["receipt", "table", "chart"])
def test_what_the_renderers_teach_is_worth_a_reward(family):
    pack = DataPack.builtin()
    turns = [turn for index in range(60) for turn in render(family, "train", 8, index, pack, severity=0.0).turns if turn.thinking]
    assert len(turns) > 20
    for turn in turns:
        verdict = judged(f"◁think▷{turn.thinking}◁/think▷{turn.answer}", turn.answer, needs_thinking=True)
        assert verdict.right, turn
        assert verdict.steps_hold, turn


def test_length_rewards_are_the_published_formula():
    lengths, right = [10, 30, 20, 50, 10], [True, True, False, False, False]
    assert length_rewards(lengths, right) == pytest.approx([0.5, 0.0, 0.0, -0.5, 0.0])
    assert length_rewards([50, 10], [True, True]) == pytest.approx([-0.5, 0.5])
    assert length_rewards([7, 7, 7], [True, False, True]) == [0.0, 0.0, 0.0]


def test_rewards_add_the_weighted_length_reward():
    verdicts = [Verdict(right, True, True, 0, 0) for right in (True, True, False)]
    assert rewards(verdicts, [10, 30, 30], 0.3) == pytest.approx(np.array([1.15, 0.85, -0.15]))
    assert rewards(verdicts, [10, 30, 30], 0.0).tolist() == [1.0, 1.0, 0.0]
