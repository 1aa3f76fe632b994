"""Facts hidden in long texts: every answer is found again in the text by other means than it was hidden with."""

import random
import re
from decimal import Decimal
from functools import cache
from unittest.mock import patch

import pytest

from kimi_vl.checkpoint.locate import locate_checkpoint
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training.packing import TASKS
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.pack import LISTS, SPLITS, DataPack
from kimi_vl.training.synth.scene import REFUSAL, Overfull, Scene, Turn
from kimi_vl.training.synth.texts import attributes
from kimi_vl.training.synth.texts.asking_forms import plain
from kimi_vl.training.synth.texts.attributes import CODES, COSTS, MORE_CODES, MORE_COSTS, MORE_RELATIONS, PLACES, RELATIONS
from kimi_vl.training.synth.texts.fact_forms import CLAUSES, CORRECTED, LINK_CLAUSES, LINKS, NOTES, ROWS, SENTENCES
from kimi_vl.training.synth.texts.haystacks import ASKS, LONG, SHORT, bury, haystack, haystack_of, haystack_short
from kimi_vl.training.synth.texts.inquiries import ASKED, COMPOSED, HEARD
from kimi_vl.training.synth.texts.needles import draw_names, draw_needles
from kimi_vl.training.synth.traces import mistakes
from kimi_vl.training.synth.wordings.wordings import FOREIGN
from tests.training.heard import ATTRIBUTES, bare, marked, only_listed, pattern, related, said, slots, stated

PACK = DataPack.builtin()
FIRST = ("needle_hop", "needle_higher", "needle_sum", "needle_link", "needle_given")  # before those whose wordings are parts of theirs
KEYS = sorted(
    [key for key in ASKED | COMPOSED if key.startswith(("needle_", "copy_"))],
    key=lambda key: (key not in FIRST, not key.startswith("copy_"), key == "needle_owner", key),
)
STARTS = sorted({ask.split("{")[0] for ask in ASKS} | {"Question: ", "Answer from the following text. "}, key=len, reverse=True)


def drawn(index: int, tokens: int = 500, split: str = "train", pack: DataPack = PACK) -> Scene:
    return haystack_of(Content(random.Random(f"{split}/{index}"), pack, split), tokens)


@cache
def all_drawn() -> list[Scene]:
    """Made when first asked for: every worker imports this file, and one runs it."""
    with only_listed:
        return [drawn(index, split=split) for split in SPLITS for index in range(320)]


def question_and_text(scene: Scene) -> tuple[str, str]:
    """The question of the first turn is its first or its last line, whatever frame it has; the text is the rest."""
    lines = scene.turns[0].question.removesuffix("\nAnswer:").split("\n")
    found = []
    for k in (0, -1):
        candidates = [lines[k].removeprefix(start) for start in STARTS if lines[k].startswith(start)]
        question = next((q for q in candidates if any(slots(q, key) for key in KEYS)), None)
        if question:
            found.append((question, "\n".join(lines[:k] if k else lines[1:])))
    if len(found) > 1:
        return "", ""  # a row of the text looks like a question
    return found[0] if found else ("", scene.turns[0].question)


def asked(scenes: list[Scene]) -> list[tuple[str, dict[str, str], Turn, str]]:
    """Key, slots, turn and text of every question that is not about something else altogether."""
    found = []
    for scene in scenes:
        first, text = question_and_text(scene)
        if not text:
            continue
        for k, turn in enumerate(scene.turns):
            question = turn.question if k else first
            for key in KEYS:
                if (filled := slots(question, key)) is not None:
                    found.append((key, filled, turn, text))
                    break
    return found


@cache
def askings() -> list[tuple[str, dict[str, str], Turn, str]]:
    return asked(all_drawn())


def one_of(attributes: str) -> str:
    return next(a.one for a in ATTRIBUTES.values() if a.many == attributes.casefold())


def test_every_kind_of_question_is_asked_and_nearly_all_are_understood():
    assert {key for key, *_ in askings()} == set(KEYS)
    assert len(askings()) > 0.92 * sum(len(scene.turns) for scene in all_drawn())
    assert all(turn.task in TASKS for _, _, turn, _ in askings())


def test_a_value_stands_in_the_text_exactly_once_beside_its_name():
    looked_up = [case for case in askings() if case[0] == "needle_value" and case[2].task == "needle"]
    assert len(looked_up) > 300
    for _, filled, turn, text in looked_up:
        assert said(text, filled["attribute"], filled["name"]) == [turn.answer], turn


def test_the_owner_of_a_value_is_the_one_that_the_text_names():
    owners = [case for case in askings() if case[0] == "needle_owner"]
    assert len(owners) > 50
    for _, filled, turn, text in owners:
        assert [value.casefold() for value in said(text, filled["attribute"], turn.answer)] == [filled["value"].casefold()], turn
        assert turn.task == "which"


def test_two_facts_are_joined_through_the_name_that_both_have():
    hops = [case for case in askings() if case[0] == "needle_hop"]
    assert len(hops) > 80
    for _, filled, turn, text in hops:
        (other,) = related(text, filled["relation"], filled["name"])
        assert said(text, filled["attribute"], other) == [turn.answer], turn
        assert not said(text, filled["attribute"], filled["name"])
        if turn.thinking:
            assert all(line in text for line in turn.thinking.split("\n"))


def test_a_count_is_the_number_of_times_that_the_text_speaks_of_it():
    counts = [case for case in askings() if case[0] == "needle_count"]
    assert len({turn.answer for _, _, turn, _ in counts}) >= 4
    for _, filled, turn, text in counts:
        attribute = (filled.get("attribute") or one_of(filled["attributes"])).casefold()
        assert turn.answer == str(text.casefold().count(attribute)), turn


def test_a_list_is_in_the_order_of_the_text():
    lists = [case for case in askings() if case[0] == "needle_list"]
    assert lists
    for _, filled, turn, text in lists:
        attribute = filled.get("attribute") or one_of(filled["attributes"])
        rows = [row.rpartition(": ") for row in turn.answer.split("\n")]
        places = [stated(text, attribute, name)[0] for name, _, _ in rows]
        assert len(rows) >= 2
        assert [value for _, value in places] == [value for _, _, value in rows]
        assert places == sorted(places)


def test_a_sum_is_what_decimal_arithmetic_gives_for_the_two_values():
    sums = [case for case in askings() if case[0] == "needle_sum"]
    assert len(sums) > 30
    for _, filled, turn, text in sums:
        attribute = filled.get("attribute") or one_of(filled["attributes"])
        values = [value for name in (filled["a"], filled["b"]) for value in said(text, attribute, name)]
        assert len(values) == 2
        assert sum(Decimal(value.strip("$")) for value in values) == Decimal(turn.answer.strip("$")), turn
        assert ("$" in turn.answer) == ("$" in values[0])
        if turn.thinking:
            assert not mistakes(turn.thinking)
            assert f"= {turn.answer.strip('$')}" in turn.thinking


def test_the_higher_of_two_has_the_larger_value():
    for key, filled, turn, text in askings():
        if key == "needle_higher":
            values = {name.casefold(): Decimal(said(text, filled["attribute"], name)[0].strip("$")) for name in (filled["a"], filled["b"])}
            assert max(values, key=lambda name: values[name]) == turn.answer.casefold(), turn


def test_what_is_refused_or_denied_is_not_in_the_text():
    refused = [case for case in askings() if case[2].task == "refuse"]
    assert len(refused) > 100
    kinds = set()
    for _, filled, turn, text in refused:
        assert turn.answer == REFUSAL
        assert said(text, filled["attribute"], filled["name"]) == []
        kinds.add((filled["attribute"].casefold() in text.casefold(), filled["name"].casefold() in text.casefold()))
    assert kinds >= {(True, False), (True, True), (False, True)}
    answers = set()
    for key, filled, turn, text in askings():
        if key == "needle_given":
            answers.add(turn.answer)
            assert turn.answer == ("Yes." if said(text, filled["attribute"], filled["name"]) else "No."), turn
    assert answers == {"Yes.", "No."}


def test_a_quoted_sentence_is_a_sentence_of_the_text():
    quotes = [case for case in askings() if case[0] == "needle_quote"]
    assert quotes
    for _, filled, turn, text in quotes:
        assert turn.answer in text
        assert filled["attribute"].casefold() in turn.answer.casefold()
        assert filled["name"].casefold() in turn.answer.casefold()


def test_refusals_are_a_tenth_to_a_fifth_of_the_questions():
    tasks = [turn.task for scene in all_drawn() for turn in scene.turns]
    assert 0.08 < tasks.count("refuse") / len(tasks) < 0.22


def test_only_the_first_question_carries_the_text_and_there_is_no_picture():
    for scene in all_drawn():
        assert scene.pages == []
        assert scene.text == ""
        assert 1 <= len(scene.turns) <= 6
        assert len(scene.turns[0].question) > 1000
        assert all(len(turn.question) < 300 for turn in scene.turns[1:])


def test_texts_have_the_length_in_tokens_that_is_asked_for():
    folder = locate_checkpoint()
    tokenizer = Tokenizer.from_files(folder / "tiktoken.model", folder / "tokenizer_config.json")
    for tokens in (300, 900, SHORT, 8300):
        for index in range(3):
            length = len(tokenizer.encode(drawn(index, tokens).turns[0].question))
            assert 0.75 * tokens < length < 1.25 * tokens, (tokens, length)


def test_lengths_reach_from_short_to_long_and_most_are_long():
    contents = [Content(random.Random(index), PACK, "train") for index in range(300)]
    long = sorted(len(haystack(content, 1.0).turns[0].question) for content in contents)
    short = sorted(len(haystack_short(content, 1.0).turns[0].question) for content in contents)
    assert 0.58 < sum(length > LONG * 3.8 for length in long) / 300 < 0.74  # 0.4 + 0.6 log(8300 / 2000) / log(8300 / 300)
    assert 0.13 < sum(length < 900 * 3.8 for length in long) / 300 < 0.27  # 0.6 log(900 / 300) / log(8300 / 300)
    assert short[-1] < 1.1 * SHORT * 3.8
    assert long[-1] > 25_000


def test_facts_lie_at_all_depths():
    depths = []
    for index in range(400):
        content = Content(random.Random(index), PACK, "train")
        text = bury(content, ["Here it is."], 4000)
        depths.append(text.index("Here it is.") / len(text))
    quarters = [sum(k / 4 <= depth < (k + 1) / 4 for depth in depths) for k in range(4)]
    assert min(quarters) > 70


@only_listed
def test_needles_of_one_attribute_have_different_names_and_values():
    for index in range(300):
        try:
            needles = draw_needles(Content(random.Random(index), PACK, "train"), 5)
        except Overfull:
            continue  # this pack has few people
        keys = [(n.attribute.one, n.name) for n in needles]
        assert len(set(keys)) == len(keys)
        for a in needles:
            for b in needles:
                if a is not b:
                    assert a.value.casefold() not in b.value.casefold()
                    assert a.name == b.name or a.name.casefold() not in b.name.casefold()


@only_listed
def test_prose_that_speaks_of_the_same_thing_is_never_used():
    """Every second paragraph of this pack gives an access code of its own, so that no count of access codes could be right."""
    text = {(name, split): getattr(PACK, name)(split) for name in LISTS for split in SPLITS}
    text["prose", "train"] = [*text["prose", "train"], *["The access code of the harbour is 1."] * 6]
    poisoned = DataPack({split: PACK.faces(split) for split in SPLITS}, text, digest="poisoned")
    cases = asked([drawn(index, pack=poisoned) for index in range(150)])
    told = [case for case in cases if case[1].get("attribute") == "access code" and case[2].task != "refuse" and case[2].answer != "No."]
    told = [case for case in told if case[1].get("name") != "the harbour is 1"]  # the prose at an end of the text, taken for a question
    assert len(cases) > 300
    assert told == []


@only_listed
def test_a_pack_that_speaks_of_everything_is_refused():
    text = {(name, split): getattr(PACK, name)(split) for name in LISTS for split in SPLITS}
    everything = [f"Nothing about the {attribute} here." for attribute in ATTRIBUTES]
    text["prose", "train"] = [" ".join(everything[k : k + 60]) for k in range(0, len(everything), 60)]
    with pytest.raises(Overfull, match="in a row"):
        drawn(0, 60_000, pack=DataPack({"train": PACK.faces("train")}, text, digest="chatty"))


def test_invented_attributes_have_values_of_every_shape_and_are_asked_for():
    """Of the plainest question alone, for it needs no list of attributes to be understood."""
    found: dict[str, str] = {}
    with patch.multiple(attributes, INVENTED=1.0):
        for index in range(400):
            scene = drawn(index)
            for turn in scene.turns:
                asked = re.search(r"(?:^|\n)[A-Z][\w' ]* the ([a-z]+ [a-z]+) of ([^\n]+)[.?]$", turn.question)
                if asked and turn.task == "needle" and turn.answer[:2] not in ("Ye", "No") and asked[1] not in ATTRIBUTES:
                    found[asked[1]] = turn.answer
                    assert turn.answer in scene.turns[0].question
    assert len(found) > 15
    assert any(re.fullmatch(r"[\d.,$]+", value) for value in found.values())
    assert any(re.fullmatch(r"[a-z]+(?: [a-z]+)+", value) for value in found.values())
    assert not found.keys() & {a.one for choice in (CODES, COSTS) for a in choice.held_out}


def test_names_that_run_out_are_an_overfull_draw():
    text = {(name, "test"): ["Anna"] for name in LISTS}
    poor = Content(random.Random(0), DataPack({"test": PACK.faces("test")}, text, digest="poor"), "test")
    with pytest.raises(Overfull, match="different names"):
        draw_names(poor, len(PLACES.seen) + len(PLACES.held_out) + 8)


def test_equal_seeds_give_equal_texts():
    assert drawn(3).turns == drawn(3).turns
    assert drawn(3).turns != drawn(4).turns


@pytest.mark.parametrize("split", SPLITS)
def test_nothing_but_the_asked_split_is_used(split):
    lonely = DataPack({split: PACK.faces(split)}, {(name, split): getattr(PACK, name)(split) for name in LISTS}, digest="lonely")
    for index in range(10):
        assert drawn(index, split=split, pack=lonely).turns == drawn(index, split=split).turns


def test_every_question_has_eight_wordings_or_more_and_no_two_are_the_same():
    for key, wordings in ASKED.items():
        assert len(wordings) >= 8, key
        assert len(set(wordings)) == len(wordings), key
        assert not any(re.search(r"[\[\]|]", wording) for wording in wordings), key


def test_wordings_held_out_are_never_asked_in_training():
    divided = [key for key in ASKED if set(HEARD["train"][key]) != set(ASKED[key])]
    assert len(divided) >= 8
    for key in divided:
        held_out = [set(HEARD[split][key]) for split in ("val", "test") if set(HEARD[split][key]) != set(ASKED[key])]
        assert all(not wordings & set(HEARD["train"][key]) for wordings in held_out), key
    patterns = [pattern(wording) for key in KEYS for wording in (*HEARD["train"].get(key, ()), *COMPOSED.get(key, ()))]
    for k, split in enumerate(SPLITS):
        questions = [turn.question for scene in all_drawn()[250 * k : 250 * k + 250] for turn in scene.turns[1:]]
        new = [q for q in questions if any(slots(q, key) for key in KEYS)]
        new = [q for q in new if not any(p.fullmatch(said) for b in bare(q) for said in (b, marked(b)[0]) for p in patterns)]
        assert bool(new) == (split != "train"), (split, new)


def test_composed_questions_and_facts_keep_clear_of_what_other_splits_hold_out():
    held_out = {plain(wording) for key, wordings in ASKED.items() for wording in wordings if wording not in HEARD["train"][key]}
    assert len(held_out) > 60
    assert not held_out & {plain(wording) for wordings in COMPOSED.values() for wording in wordings}
    unheard = [form.rstrip(".").casefold() for choice in (SENTENCES, LINKS) for form in choice.held_out]
    facts = (*CLAUSES, *CORRECTED, *ROWS, *NOTES, *LINK_CLAUSES)
    assert not any(form in fact.casefold() for fact in facts for form in unheard)
    kept = [a for choice in (CODES, COSTS) for a in choice.held_out]
    assert not {a.one for a in kept} & {a.one for a in (*MORE_CODES, *MORE_COSTS)}
    assert not {*RELATIONS.held_out} & {*MORE_RELATIONS}


def test_split_test_is_asked_and_told_in_the_old_forms_alone():
    short = {a.one for choice in (CODES, COSTS) for a in (*choice.seen, *choice.held_out)}
    old = [pattern(wording) for key in ASKED for wording in ASKED[key]]
    for index in range(150):
        for needle in draw_needles(Content(random.Random(index), PACK, "test"), 3):
            assert needle.attribute.one in short
            slots_of = {"attribute": needle.attribute.one, "name": needle.name, "value": needle.value}
            forms = [form.format(**slots_of).casefold() for form in (*SENTENCES.seen, *SENTENCES.held_out)]
            assert needle.sentence.casefold() in forms
    for key, _, turn, text in askings()[-len(askings()) // 4 :]:  # the last split is "test"
        assert not key.startswith("copy_")
        if turn.question.count("\n") == 0 and text not in turn.question:
            assert any(p.fullmatch(said) for p in old for said in (turn.question, marked(turn.question)[0])), turn


def test_facts_and_questions_have_hundreds_of_shapes():
    def shapes(split: str) -> set[str]:
        found = set()
        for index in range(4000):
            for needle in draw_needles(Content(random.Random(index), PACK, split), 2):
                shape = needle.sentence.casefold()
                for slot in sorted((needle.value, needle.name, needle.attribute.one), key=len, reverse=True):
                    shape = shape.replace(slot.casefold(), "_")
                found.add(re.sub(r"\d+", "#", shape))
        return found

    assert len(shapes("train")) > 2000
    assert len({plain(w) for w in (*HEARD["train"]["needle_value"], *COMPOSED["needle_value"])}) > 400


def test_names_stand_before_values_in_rows_without_words():
    """Two people in one row could not be told apart otherwise."""
    for form in ROWS:
        if not re.search(r"[a-z]{2}|[:=]|->| - |\(", re.sub(r"\{\w+\}", "", form)):
            assert form.index("{name}") < form.index("{value}"), form


def copied(key: str) -> list[tuple[dict[str, str], Turn, str]]:
    return [(filled, turn, " ".join(text.split())) for asked_key, filled, turn, text in askings() if asked_key == key]


def test_the_words_around_a_quotation_are_those_of_the_text():
    for key, form in (("copy_next", "{quote} {answer}"), ("copy_before", "{answer} {quote}"), ("copy_on", "{quote} {answer}")):
        cases = copied(key)
        assert len(cases) > 8, key
        for filled, turn, text in cases:
            words = re.escape(form.format(quote=filled["quote"], answer=turn.answer))
            assert len(re.findall(rf"(?<!\S){words}(?![A-Za-z])", text, re.IGNORECASE)) == 1, turn
            assert len(re.findall(rf"(?<!\S){re.escape(filled['quote'])}(?!\S)", text, re.IGNORECASE)) == 1, turn
            assert len(turn.answer.split(" ")) == int(filled.get("count", 1))


def test_the_sentence_with_a_word_is_whole_and_the_only_one():
    seen = set()
    for key in ("copy_sentence", "copy_first", "copy_last"):
        for filled, turn, text in copied(key):
            word = filled["word"].casefold()
            assert text.casefold().count(word) == 1, turn
            seen.add(key)
            at = text.casefold().index(word)
            if key == "copy_sentence":
                assert word in turn.answer.casefold()
                assert turn.answer in text
                assert text.index(turn.answer) == 0 or text[text.index(turn.answer) - 1] == " "
            elif key == "copy_first":
                before = re.split(r"(?<=[a-z]{2}[.!?]) (?=[A-Z])", text[: at + len(word)])[-1]
                assert re.search(rf"\b{turn.answer}\b", before), turn
            else:
                behind = re.split(r"(?<=[a-z]{2}[.!?])(?: |$)", text[at:])[0]
                assert behind.rstrip(".!?)").endswith(turn.answer), turn
    assert seen == {"copy_sentence", "copy_first", "copy_last"}


def test_the_first_sentences_are_counted_from_the_top():
    cases = [case for case in copied("copy_ordinal") if not any(question in case[2] for question in FOREIGN)]  # it would be counted, too
    assert cases
    for filled, turn, text in cases:
        text = re.sub(r"<text>|\"\"\"|```|---|===", " ", text).strip()
        sentences = re.split(r"(?<=[.!?])[\s]+", text)
        place = ("first", "second", "third").index(filled["ordinal"].lower())  # one more where a sentence announces the text
        assert any(sentence.endswith(turn.answer) for sentence in sentences[place : place + 2]), turn


def test_a_confirmed_value_is_the_one_that_the_text_gives():
    answers = set()
    for key, filled, turn, text in askings():
        if key == "needle_confirm":
            answers.add(turn.answer)
            words = f"{filled['name']} {filled['value']}".split(" ")  # where the name ends is not seen when the value follows it
            parts = [(" ".join(words[:k]), " ".join(words[k:])) for k in range(1, len(words))]
            known = [(said(text, filled["attribute"], name), value) for name, value in parts]
            ((values, value),) = [(values, value) for values, value in known if values]
            assert turn.answer == ("Yes." if value.casefold() == values[0].casefold() else "No."), turn
    assert answers == {"Yes.", "No."}


def test_a_correction_says_which_value_is_the_wrong_one():
    for form in CORRECTED:
        denied = re.findall(r"(?:not|changed from|instead of|used to be|another \{attribute\},) (\{\w+\})", form)
        held = re.findall(r"(?:but|to|now|is|now it is|has the \{attribute\}|now has the \{attribute\}) (\{\w+\})", form)
        assert denied == ["{wrong}"], form
        assert "{value}" in held, form
        assert "{wrong}" not in held, form
