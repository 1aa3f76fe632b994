"""What is asked: the tables, questions drawn from a pack, and questions on files."""

import hashlib
import json
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kimi_vl.errors import InputError
from kimi_vl.evaluation.drawn import BLOCK, BUILTIN, Drawer, asked_key, draw_items, fits, scene_tokens
from kimi_vl.evaluation.pinned import find_sets, pinned_items
from kimi_vl.evaluation.runner import digests
from kimi_vl.evaluation.scores import parse_items
from kimi_vl.evaluation.suite import SEED, TASKS, TIERS, Page, choose_tasks, choose_tiers
from kimi_vl.training.synth.scene import REFUSAL, Scene, Turn
from kimi_vl.training.synth.wordings.wordings import CONTEXTS, ENDINGS
from kimi_vl.training.synth.world import FAMILIES
from tests.evaluation.items import item

ROOT = Path(__file__).resolve().parents[2]
T1 = next(tier for tier in TIERS if tier.name == "T1")
CHEAP = ("line", "receipt", "fields", "items", "arithmetic", "counting", "gui point", "refusal")
TASK = {task.name: task for task in TASKS}


@pytest.fixture(scope="module")
def drawn():
    with Drawer(BUILTIN) as drawer:
        return list(draw_items(drawer, T1, [TASK[name] for name in CHEAP], 4))


def test_names_choose_and_unknown_ones_are_refused():
    assert [tier.name for tier in choose_tiers("T2, T1")] == ["T1", "T2"]
    assert choose_tiers("") == TIERS
    assert [task.name for task in choose_tasks("gui point")] == ["gui point"]
    with pytest.raises(InputError, match="there is no tier 'T9'; there are T0"):
        choose_tiers("T1,T9")
    with pytest.raises(InputError, match="there is no task 'lines'"):
        choose_tasks("lines")


def test_names_are_unique():
    assert len({task.name for task in TASKS}) == len(TASKS)
    assert len({tier.name for tier in TIERS}) == len(TIERS)


def test_every_family_of_a_task_can_be_drawn():
    assert {family for task in TASKS for family in task.families} <= set(FAMILIES)


def test_no_stage_trains_in_the_seed_space_of_the_evaluation():
    stages = sorted((ROOT / "src/kimi_vl/training/stages").glob("*.toml"))
    seeds = [value for path in stages for value in _seeds(tomllib.loads(path.read_text(encoding="utf-8")))]
    assert len(seeds) >= len(stages)
    assert max(seeds) < SEED // 1000


def _seeds(values):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _seeds(value)
        elif key == "seed":
            yield value


def test_each_task_gets_its_questions_and_no_more(drawn):
    counts = {name: sum(i.task == name for i in drawn) for name in CHEAP}
    assert counts == dict.fromkeys(CHEAP, 4)


def test_drawn_questions_are_what_their_task_says(drawn):
    for one in drawn:
        match one.task:
            case "fields":
                assert one.tag in ("total", "date", "number")
                assert asked_key(one.question) == one.tag
            case "items":
                assert parse_items(one.answer)
                assert all(name and price[-1].isdigit() for name, price in parse_items(one.answer))
            case "gui point":
                assert one.box is not None
            case "counting":
                assert one.answer.isdigit()
            case "line":
                assert "\n" not in one.answer


def test_refusals_come_with_as_many_questions_that_have_an_answer():
    with Drawer(BUILTIN) as drawer:
        items = list(draw_items(drawer, T1, [TASK["refusal"]], 48))
    refused = [one for one in items if one.answer is None]
    assert 24 <= len(refused) <= 30  # blank pictures have no other question
    assert not any(one.tag in ("read", "refuse") for one in items if one.answer is not None)


def test_questions_are_the_same_each_time_and_differ_between_tiers(drawn):
    with Drawer(BUILTIN) as drawer:
        tasks = [TASK["line"], TASK["gui point"]]
        again = list(draw_items(drawer, T1, tasks, 4))
        other = list(draw_items(drawer, TIERS[2], tasks, 4))
    wanted = {one.name: one.digest() for one in drawn if one.task in ("line", "gui point")}
    assert {one.name: one.digest() for one in again} == wanted
    assert not {one.digest() for one in other} & set(wanted.values())


def test_questions_of_a_task_do_not_depend_on_the_tasks_beside_it(drawn):
    with Drawer(BUILTIN) as drawer:
        alone = [one.digest() for one in draw_items(drawer, T1, [TASK["items"]], 4)]
    assert alone == [one.digest() for one in drawn if one.task == "items"]


def test_workers_draw_the_same_pictures_in_the_same_order():
    count = BLOCK + 3
    with Drawer(BUILTIN, workers=1) as parallel, Drawer(BUILTIN) as serial:
        many = [scene.image for _, scene in zip(range(count), parallel.scenes("blank", "val", count), strict=False)]
        assert [image.tobytes() for image in many] == [scene.image.tobytes() for scene in serial.scenes("blank", "val", count)]


def test_a_digest_covers_everything_that_is_seen_or_judged():
    one = item()
    changed = [
        replace(one, question="How much?"),
        replace(one, answer="8"),
        replace(one, mode="off"),
        replace(one, box=(0, 0, 1, 1)),
        replace(one, pages=(Page("[page 1]", one.pages[0].image),)),
        replace(one, pages=(Page("", one.pages[0].image.reshape(56, 28, 3)),)),
        item(shade=1),
    ]
    assert len({i.digest() for i in [one, *changed]}) == 8
    assert replace(one, name="b", tier="T2").digest() == one.digest()


def test_digests_of_a_tier_need_nobody_to_answer():
    first, second = item(shade=1), item(shade=2)
    found = digests([first, second, item(task="chart")])
    assert found.keys() == {("T1", "table"), ("T1", "chart")}
    assert found["T1", "table"] == hashlib.sha256((first.digest() + second.digest()).encode()).hexdigest()
    assert found != digests([second, first, item(task="chart")])


# Scenes made by hand -------------------------------------------------------------------------------------------------------


def test_of_a_long_text_only_the_question_that_carries_it_is_asked():
    turns = [
        Turn("word " * 4000 + "What is the code?", "1234", None, "auto", "needle"),
        Turn("And the other?", "7", None, "auto", "needle"),
    ]
    scene = Scene([], turns, "")
    assert scene_tokens(scene, turns[0]) == pytest.approx(5268, abs=5)
    assert fits(TASK["needle 4k"], scene, turns[0])
    assert not fits(TASK["needle 4k"], scene, turns[1])
    assert not fits(TASK["needle 8k"], scene, turns[0])


def test_a_key_is_found_however_carelessly_it_is_asked():
    assert asked_key("what is the date") == "date"
    assert asked_key("What is the total?") == "total"
    assert asked_key(f"{CONTEXTS[0]} What is the total?") == "total"
    assert asked_key(f"What is the total? {ENDINGS[0]}") == "total"
    assert asked_key("What is the due date?") is None


# Files ---------------------------------------------------------------------------------------------------------------------


def write_set(folder, family, text, *questions):
    Image.new("RGB", (30, 20), "white").save(folder / "a.png")
    sha256 = hashlib.sha256((folder / "a.png").read_bytes()).hexdigest()
    entry = {"file": "a.png", "sha256": sha256, "family": family, "text": text, "questions": list(questions)}
    (folder / "documents.json").write_text(json.dumps([entry]))
    return folder


def test_files_give_their_questions_to_the_tasks(tmp_path):
    questions = (
        {"question": "What is the total?", "answer": "7.00", "task": "total"},
        {"question": "Who?", "answer": None, "task": "refuse"},
        {"question": "Where is Save?", "answer": "(0.2, 0.2)", "task": "point", "box": [0.1, 0.1, 0.3, 0.3]},
        {"question": "List.", "answer": "Milk\nTea", "task": "list"},
    )
    items = list(pinned_items([(write_set(tmp_path, "receipt/plain", "Milk 7.00", *questions), "T3")], TASKS))
    assert [(i.task, i.answer) for i in items] == [
        ("receipt", "Milk 7.00"),
        ("fields", "7.00"),
        ("refusal", "7.00"),
        ("refusal", None),
        ("gui point", "(0.2, 0.2)"),
        ("refusal", "(0.2, 0.2)"),
    ]
    assert items[4].box == (0.1, 0.1, 0.3, 0.3)
    assert {i.tier for i in items} == {"T3"}
    assert items[0].pages[0].image.shape == (20, 30, 3)
    assert items[0].pages[0].image.dtype == np.uint8


def test_photographs_are_a_tier_of_their_own(tmp_path):
    folder = write_set(tmp_path, "photograph", "", {"question": "Who?", "answer": None, "task": "refuse"})
    (only,) = pinned_items([(folder, "T3")], TASKS)
    assert only.tier == "T4"


def test_the_sets_of_this_repository_can_be_asked():
    sets = find_sets(ROOT)
    assert {"benchmarks/reading", "examples"} <= sets.keys()
    items = list(pinned_items([(folder, "T3") for folder in sets.values()], TASKS, 3))
    assert all(i.answer is None or i.answer or i.box for i in items)
    counts = Counter((i.tier, i.task) for i in items)
    assert max(counts.values()) == 3
    assert {"line", "receipt", "items", "fields", "table", "chart", "gui point", "counting", "refusal"} <= {task for _, task in counts}


def test_refusal_turns_have_no_answer():
    with Drawer(BUILTIN) as drawer:
        items = list(draw_items(drawer, T1, [TASK["refusal"]], 8))
    assert not any(one.answer and one.answer.startswith(REFUSAL[:13]) for one in items)
