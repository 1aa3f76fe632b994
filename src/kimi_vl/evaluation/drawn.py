"""Questions on pictures drawn from a data pack: the tiers T0 to T2, a pure function of (tier, task, pack).

Needs what rendering needs (opencv-python-headless); everything else of the evaluation works without.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Self

from kimi_vl.evaluation.scores import parse_items, prompt_tokens
from kimi_vl.evaluation.suite import ANY_LENGTH, SEED, Item, Page, Task, Tier
from kimi_vl.llm import PREFIXES, Thinking
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.scene import Scene, Turn
from kimi_vl.training.synth.wordings.wordings import CONTEXTS, ENDINGS, WORDINGS
from kimi_vl.training.synth.world import FAMILIES, render

BUILTIN = "builtin"  # the name of the pack that needs no file
KEYS = {"total": "total", "date": "date", "bought_on": "date", "number": "number"}  # wordings -> what they ask for
DRAWS = 60  # pictures looked at per question wanted; a receipt is asked for all its prices once in fifteen
BLOCK = 16  # pictures a worker draws at once
MODES: dict[str, Thinking] = {mode: mode for mode in PREFIXES}
READ_WHOLE = ("read", "line", "markdown", "refuse")  # tags that are no short question with an answer


class Drawer:
    """Draws scenes of one pack, in this process or in `workers` others. A context manager: the workers end with it.

    `folder` is a pack's folder or "builtin". Raises: InputError for a pack that is missing or altered.
    """

    def __init__(self, folder: str | Path, workers: int = 0) -> None:
        self.folder, self.pack = str(folder), _pack(str(folder))
        self._workers = workers
        # Not forked: the parent may hold a GPU, which a fork would break.
        self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn")) if workers else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def scenes(self, family: str, split: str, count: int) -> Iterator[Scene]:
        """The first `count` scenes of a family in the evaluation's own seed space, in order."""
        if self._pool is None:
            yield from (render(family, split, SEED, index, self.pack) for index in range(count))
            return
        waiting: deque[Future[list[Scene]]] = deque()
        starts = iter(range(0, count, BLOCK))
        for start in itertools.islice(starts, 2 * self._workers):
            waiting.append(self._pool.submit(_block, self.folder, family, split, start))
        while waiting:
            yield from waiting.popleft().result()
            for start in itertools.islice(starts, 1):
                waiting.append(self._pool.submit(_block, self.folder, family, split, start))
        # Scenes of the last block beyond `count` are harmless: nobody takes them, for quotas are filled before.


@cache
def _pack(folder: str) -> DataPack:
    return DataPack.builtin() if folder == BUILTIN else DataPack.load(folder)


def _block(folder: str, family: str, split: str, start: int) -> list[Scene]:
    """Runs in a worker, which loads its pack once."""
    return [render(family, split, SEED, index, _pack(folder)) for index in range(start, start + BLOCK)]


def draw_items(drawer: Drawer, tier: Tier, tasks: Sequence[Task], limit: int = 0) -> Iterator[Item]:
    """All questions of a drawn tier, family by family; `limit` bounds the questions of each task.

    A task of several families takes an equal share from each. One picture gives a task at most one question (refusal: one with and
    one without an answer), so that answers are independent and intervals honest. Families that do not exist yet are passed over.
    """
    assert tier.split is not None, f"{tier.name} is not drawn"
    present = {task: [family for family in task.families if family in FAMILIES] for task in tasks}
    for family in FAMILIES:
        wanted = {}
        for task, families in present.items():
            if family in families:
                size = min(limit or tier.size, tier.size, task.most)
                wanted[task] = size // len(families) + (families.index(family) < size % len(families))
        yield from _family_items(drawer, tier, family, {task: size for task, size in wanted.items() if size})


def _family_items(drawer: Drawer, tier: Tier, family: str, wanted: dict[Task, int]) -> Iterator[Item]:
    if not wanted:
        return
    assert tier.split is not None
    for index, scene in enumerate(drawer.scenes(family, tier.split, DRAWS * max(wanted.values()))):
        for task in [task for task, left in wanted.items() if left > 0]:
            chosen = [k for k, turn in enumerate(scene.turns) if fits(task, scene, turn)][:1]
            if task.score == "refusal" and chosen:
                chosen += [k for k, turn in enumerate(scene.turns) if turn.task not in READ_WHOLE][:1]
            for k in chosen[: wanted[task]]:
                yield make_item(tier, task, family, scene, scene.turns[k], f"{tier.name}/{family}/{index}/{k}")
            wanted[task] -= len(chosen)
        if max(wanted.values()) <= 0:
            return


def make_item(tier: Tier, task: Task, family: str, scene: Scene, turn: Turn, name: str) -> Item:
    answer = None if turn.task == "refuse" else turn.answer
    pages = tuple(Page(page.label, page.image) for page in scene.pages)
    tag = asked_key(turn.question) or turn.task if task.pick == "key" else turn.task
    facts = {"prompt_tokens": float(scene_tokens(scene, turn)), "steps": float(turn.steps)}
    if not pages and turn.question.count(turn.answer) == 1:
        facts["depth"] = turn.question.index(turn.answer) / len(turn.question)
    return Item(name, tier.name, task.name, family, tag, pages, turn.question, answer, MODES[turn.mode], turn.box, facts)


def fits(task: Task, scene: Scene, turn: Turn) -> bool:
    """Whether `task` asks this turn of a scene of one of its families."""
    if turn.task not in task.tags or (not scene.pages and turn is not scene.turns[0]):
        return False  # of a text without pictures, the first question carries the text
    low, high = task.tokens
    if task.tokens != ANY_LENGTH and not low < scene_tokens(scene, turn) <= high:
        return False
    match task.pick:
        case "whole":
            return turn.answer == scene.text
        case "items":
            return turn.task == "item" or len(parse_items(turn.answer)) == len(turn.answer.splitlines()) > 1
        case "key":
            return asked_key(turn.question) is not None
        case "short":
            return asked_key(turn.question) is None and "\n" not in turn.answer
        case "worked":
            return turn.thinking is not None
        case "boxed":
            return turn.box is not None
    return True


def scene_tokens(scene: Scene, turn: Turn) -> int:
    """About what the prompt of one turn costs."""
    text = "".join(page.label for page in scene.pages) + turn.question
    return prompt_tokens([page.image.shape[:2] for page in scene.pages], text)


def asked_key(question: str) -> str | None:
    """Which of KEYS a question is a wording of, carelessly typed or with a word around it; None where a form is demanded, too."""
    for context in CONTEXTS:
        question = question.removeprefix(f"{context} ")
    for ending in ENDINGS:
        question = question.removesuffix(f" {ending}")
    return _wordings().get(_plain(question))


@cache
def _wordings() -> dict[str, str]:
    return {_plain(wording): name for key, name in KEYS.items() for wording in WORDINGS[key]}


def _plain(question: str) -> str:
    return question.rstrip("?.").casefold()
