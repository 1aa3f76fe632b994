"""Asking in chunks, going on from a journal, and the two ways to run the model."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from kimi_vl.engine.batch import BatchEngine, BatchPrompt
from kimi_vl.errors import InputError
from kimi_vl.evaluation.backends import Batched, OneByOne, messages
from kimi_vl.evaluation.runner import Journal, run
from kimi_vl.evaluation.suite import Page, Response
from kimi_vl.llm import KimiVL
from tests.evaluation.items import item
from tests.tiny_checkpoint import processor, scripted_llm, tokens_of, write_tiny_checkpoint


class Echo:
    """Answers with the question, and remembers what it was asked at once."""

    tasks = None

    def __init__(self, chunk=2, dies_after=99):
        self.chunk, self.asked, self.dies_after = chunk, [], dies_after

    def answers(self, items):
        if len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        self.asked.append([one.question for one in items])
        return [Response(one.question, tokens=3) for one in items]


def questions(*texts, **more):
    return [item(question=text, name=text, **more) for text in texts]


def said(answered, row=("T1", "table")):
    return [(result.item.question, result.response.text) for result in answered.results[row]]


def test_questions_are_asked_in_chunks_and_answers_stay_in_order():
    backend = Echo(chunk=2)
    answered = run(questions("a", "b", "c"), backend)
    assert backend.asked == [["a", "b"], ["c"]]
    assert said(answered) == [("a", "a"), ("b", "b"), ("c", "c")]
    assert all(result.item.pages == () for result in answered.results["T1", "table"])


def test_a_backend_is_asked_only_what_it_can_answer():
    backend = Echo()
    backend.tasks = frozenset({"chart"})
    answered = run([*questions("a"), *questions("b", task="chart")], backend)
    assert backend.asked == [["b"]]
    assert answered.results.keys() == answered.digests.keys() == {("T1", "chart")}


def test_the_same_question_for_two_tasks_is_asked_once():
    backend = Echo(chunk=1)
    answered = run([*questions("a"), *questions("a", task="refusal")], backend)
    assert backend.asked == [["a"]]
    assert said(answered, ("T1", "refusal")) == [("a", "a")]


def test_a_killed_run_goes_on_where_it_stood(tmp_path):
    path = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(questions("a", "b", "c", "d"), Echo(chunk=1, dies_after=2), Journal(path, "nano"))
    path.write_bytes(path.read_bytes() + b'{"tool": "nano", "ask')  # the power went while a line was written
    backend = Echo(chunk=1)
    answered = run(questions("a", "b", "c", "d"), backend, Journal(path, "nano"))
    assert backend.asked == [["c"], ["d"]]
    assert said(answered) == [(text, text) for text in "abcd"]
    assert answered.digests == run(questions("a", "b", "c", "d"), Echo()).digests
    assert [json.loads(line)["question"] for line in path.read_text().splitlines()] == ["a", "b", "c", "d"]


def test_a_journal_keeps_tools_and_changed_questions_apart(tmp_path):
    path = tmp_path / "journal.jsonl"
    run(questions("a"), Echo(), Journal(path, "nano"))
    other, changed = Echo(), Echo()
    run(questions("a"), other, Journal(path, "another"))
    run(questions("a", shade=1), changed, Journal(path, "nano"))
    assert other.asked == changed.asked == [["a"]]


@pytest.mark.parametrize("line", ["not json", "[]", '{"tool": "nano"}', '{"tool": "nano", "asked": "x", "response": {"words": 1}}'])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path, line):
    path = tmp_path / "letters.txt"
    path.write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"line 1 of .*letters.txt is not one of a journal"):
        Journal(path, "nano")
    assert path.read_text() == f"{line}\n"


# The model -----------------------------------------------------------------------------------------------------------------


def test_pages_stand_behind_their_labels_and_before_the_question():
    pages = (Page("[page 1]", np.zeros((28, 28, 3), np.uint8)), Page("[page 2]", np.zeros((28, 28, 3), np.uint8)), *item().pages)
    one = item(question="Which page?")
    (message,) = messages(item(question="Which page?").__class__(**{**one.__dict__, "pages": pages}))
    kinds = [part.get("text", "image") for part in message["content"]]
    assert kinds == ["[page 1]", "image", "[page 2]", "image", "image", "Which page?"]


def test_one_by_one_gives_text_thinking_and_counts():
    llm = scripted_llm(tokens_of("◁think▷", "3 + 4 = 7", "◁/think▷", "7"))
    (response,) = OneByOne(llm).answers([item()])
    assert (response.text, response.thinking, response.finish_reason) == ("7", "3 + 4 = 7", "stop")
    assert response.tokens > response.thinking_tokens > 4


def test_a_prompt_that_does_not_fit_counts_as_wrong_and_stops_nothing():
    llm = scripted_llm(tokens_of("7"), context=60)
    long, short = OneByOne(llm).answers([item(question="word " * 80), item(question="How?")])
    assert (long.text, long.finish_reason, short.text) == ("", "prompt too long", "7")


@dataclass
class Sampled:
    token_ids: list[int]
    finish_reason: str = "stop"


def test_batched_answers_are_read_as_the_model_would_be():
    end = next(iter(processor().tokenizer.end_ids))
    thought = tokens_of("3 + 4 = 7", "◁/think▷", "7")
    replies = [Sampled([*thought, end]), Sampled([*tokens_of("eight"), end]), Sampled(tokens_of("seven"), "length")]
    backend = Batched(processor(), lambda prompts, max_tokens: replies[: len(prompts)], longest=600, chunk=8)
    on, plain, cut = backend.answers([item(mode="on"), item(mode="off"), item()])
    assert (on.text, on.thinking, on.thinking_tokens) == ("7", "3 + 4 = 7", len(thought) - 1)
    assert (plain.text, plain.thinking, plain.tokens) == ("eight", "", len(replies[1].token_ids))
    assert (cut.text, cut.finish_reason) == ("seven", "length")


def test_batched_groups_by_length_and_leaves_out_what_does_not_fit():
    asked = []

    def generate(prompts, max_tokens):
        asked.append((len(prompts), max_tokens))
        return [Sampled(tokens_of("7"), "length")] * len(prompts)

    items = [item(task="line"), item(task="receipt"), item(task="line"), item(question="word " * 500)]
    responses = Batched(processor(), generate, longest=300, chunk=8).answers(items)
    assert asked == [(2, 128), (1, 1024)]
    assert [response.text for response in responses] == ["7", "7", "7", ""]


def test_batched_and_one_by_one_say_the_same(tmp_path):
    llm = KimiVL.load(write_tiny_checkpoint(tmp_path, context=280), device="cpu", dtype="float32")
    engine = BatchEngine(llm.model, rows=3, capacity=280, end_ids=llm.processor.tokenizer.end_ids)

    def generate(prompts, max_tokens):
        grids = [[(h, w) for h, w in prompt.image_grid_hws.tolist()] for prompt in prompts]
        batch = [BatchPrompt(p.input_ids, p.pixel_values, grid) for p, grid in zip(prompts, grids, strict=True)]
        return [sampled for (sampled,) in engine.generate(batch, max_tokens=max_tokens)]

    items = [item(shade=shade, task="line", mode=mode) for shade, mode in ((0, "auto"), (90, "on"), (200, "off"), (255, "auto"))]
    batched = Batched(llm.processor, generate, longest=280, chunk=4).answers(items)
    alone = OneByOne(llm).answers(items)
    assert [(r.text, r.thinking, r.thinking_tokens, r.tokens, r.finish_reason) for r in batched] == [
        (r.text, r.thinking, r.thinking_tokens, r.tokens, r.finish_reason) for r in alone
    ]
    assert any(r.text for r in alone)
