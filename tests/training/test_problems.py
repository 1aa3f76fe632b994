"""Problems for reinforcement learning: what is asked, that it is the same wherever a run is resumed, and what is preferred."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

import kimi_vl
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training import problems as module
from kimi_vl.training.packing import SampleEncoder
from kimi_vl.training.problems import CHUNK, STEPS, Chooser, Problem, ProblemMix, ProblemStream, problems
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.scene import Page, Scene, Turn
from kimi_vl.training.synth.world import render

NANO = Path(kimi_vl.__file__).parent / "checkpoint" / "nano"
MIX = ProblemMix(
    families={"table": 0.5, "chart": 0.5},
    tasks=("sum", "count"),
    severity=0.5,
    seed=4,
    max_patches=900,
    max_prompt=320,
    candidates=2,
    floor=0.05,
    easy_steps=4,
    easing=0,
)


def stream(mix: ProblemMix = MIX, **options) -> ProblemStream:
    return ProblemStream(mix, NANO, None, **{"split": "train", **options})


def facts(problem: Problem) -> tuple:
    p = problem
    return tuple(p.input_ids), p.patches.numpy().tobytes(), tuple(p.grid_hws), p.answer, p.family, p.task, p.steps


@pytest.fixture(scope="module")
def two_chunks() -> list[Problem]:
    return list(itertools.islice(problems(stream(), workers=0), 2 * CHUNK))


def test_problems_are_what_was_asked_for(two_chunks):
    assert {p.family for p in two_chunks} == {"table", "chart"}
    assert {p.task for p in two_chunks} == {"sum", "count"}
    for p in two_chunks:
        assert p.patches.dtype == torch.uint8
        assert tuple(p.patches.shape) == (sum(h * w for h, w in p.grid_hws), 588)
        assert len(p.patches) <= MIX.max_patches
        assert len(p.input_ids) <= MIX.max_prompt
        assert p.answer
    assert len({facts(p) for p in two_chunks}) == len(two_chunks)


def test_a_stream_entered_at_its_second_chunk_goes_on_alike(two_chunks):
    later = list(itertools.islice(problems(stream(first=1), workers=0), CHUNK))
    assert [facts(p) for p in later] == [facts(p) for p in two_chunks[CHUNK:]]


def test_worker_processes_give_the_same_problems_in_the_same_order(two_chunks):
    rendered = list(itertools.islice(problems(stream(), workers=2), 2 * CHUNK))
    assert [facts(p) for p in rendered] == [facts(p) for p in two_chunks]


@pytest.mark.parametrize("other", [{"split": "val"}, {"rank": 1}, {"mix": dataclasses.replace(MIX, seed=5)}], ids=["split", "rank", "seed"])
def test_other_splits_ranks_and_seeds_have_problems_of_their_own(two_chunks, other):
    own = list(itertools.islice(problems(stream(**other), workers=0), CHUNK))
    assert not {facts(p) for p in own} & {facts(p) for p in two_chunks}


def test_a_prompt_is_the_one_that_supervised_training_shows_where_the_model_decides_about_thinking():
    tokenizer = Tokenizer.from_files(NANO / "tiktoken.model", NANO / "tokenizer_config.json")
    encoder, data = SampleEncoder(tokenizer), DataPack.builtin()
    one = render("chart", "train", 1, 0, data)
    two = Scene([Page(page.image, page.chars, label) for page in one.pages for label in ("first", "second")], one.turns, one.text)
    for scene in (one, two):
        turn = Turn("How many?", "3", "One, two, three.", "on", "count")
        mix = dataclasses.replace(MIX, max_patches=4096, max_prompt=4096)
        problem = stream(mix)._problem(scene, turn, "chart", tokenizer)
        sample = encoder.encode(Scene(scene.pages, [dataclasses.replace(turn, mode="auto")], scene.text), 4096)
        assert problem.input_ids == sample.ids[: len(problem.input_ids)].tolist()
        assert sample.predict_at[0] == len(problem.input_ids) - 1
        assert np.array_equal(problem.patches.numpy(), sample.patches)
        assert problem.grid_hws == sample.grid_hws


def test_only_what_is_thought_about_unasked_is_a_problem(monkeypatch):
    one = render("chart", "train", 1, 0, DataPack.builtin())
    turns = [Turn(f"{mode}, {thinking}?", "3", thinking, mode, "count") for mode in ("on", "auto", "off") for thinking in ("1, 2, 3", None)]
    monkeypatch.setattr(module.world, "render", lambda *_, **__: Scene(one.pages, turns, one.text))
    found = itertools.islice(problems(stream(dataclasses.replace(MIX, max_patches=4096, max_prompt=4096)), workers=0), CHUNK)
    assert {p.question for p in found} == {"auto, 1, 2, 3?"}


def test_a_mix_whose_families_lack_the_tasks_says_so(monkeypatch):
    monkeypatch.setattr(module, "SCENES_PER_CHUNK", 20)
    with pytest.raises(RuntimeError, match="fewer than 16 problems; do the families"):
        next(problems(stream(dataclasses.replace(MIX, tasks=("box",))), workers=0))


def problem(family: str, steps: int) -> Problem:
    return Problem([0], torch.zeros(4, 588, dtype=torch.uint8), [(2, 2)], "?", "!", family, "sum", steps)


EASY, HARD = problem("chart", 1), problem("table", 9)


def test_what_is_often_answered_rightly_is_asked_less_often():
    chooser = Chooser(MIX)
    for _ in range(40):
        tried, right = chooser.counts([EASY, HARD], [[True] * 8, [False] * 6 + [True] * 2])
        chooser.observe(tried, right)
    assert float(chooser.success_FS[chooser.bucket(EASY)]) == pytest.approx(1.0, abs=1e-3)
    assert float(chooser.success_FS[chooser.bucket(HARD)]) == pytest.approx(0.25, abs=1e-3)
    assert chooser.preference(EASY, 0) == MIX.floor
    assert chooser.preference(HARD, 0) == pytest.approx(0.75, abs=1e-3)
    asked = [chooser.choose([EASY, HARD] * 20, 1, iteration, 0)[0] for iteration in range(600)]
    assert np.mean([p is HARD for p in asked]) == pytest.approx(0.75 / 0.80, abs=0.03)


def test_calculations_of_about_one_length_share_a_bucket():
    chooser = Chooser(MIX)
    assert chooser.bucket(problem("chart", 8)) == chooser.bucket(problem("chart", 11)) != chooser.bucket(problem("chart", 12))
    assert chooser.bucket(problem("chart", 8)) != chooser.bucket(problem("table", 8))
    chooser.observe(*chooser.counts([problem("table", STEPS)], [[True]]))  # the longest has a place


def test_a_bucket_that_was_not_tried_keeps_its_rate():
    chooser = Chooser(MIX)
    before = chooser.success_FS.clone()
    chooser.observe(*chooser.counts([EASY], [[True] * 4]))
    changed = chooser.success_FS != before
    assert changed.nonzero().tolist() == [list(chooser.bucket(EASY))]


def test_long_calculations_are_asked_later():
    chooser = Chooser(dataclasses.replace(MIX, easing=10))
    assert [chooser.step_limit(i) for i in (0, 5, 10, 99)] == [4, 20, STEPS, STEPS]
    assert chooser.preference(HARD, 0) == MIX.floor
    assert chooser.preference(EASY, 0) == chooser.preference(HARD, 5) == 0.5


def test_a_choice_is_of_different_candidates_and_depends_on_iteration_and_rank_alone():
    chooser = Chooser(MIX)
    candidates = [problem("chart", k % STEPS) for k in range(40)]
    chosen = chooser.choose(candidates, 20, 3, 1)
    assert len({id(p) for p in chosen}) == 20
    assert [id(p) for p in chooser.choose(candidates, 20, 3, 1)] == [id(p) for p in chosen]
    assert [id(p) for p in chooser.choose(candidates, 20, 4, 1)] != [id(p) for p in chosen]
    assert [id(p) for p in chooser.choose(candidates, 20, 3, 0)] != [id(p) for p in chosen]
