"""Questions on pictures that lie in files: reading sets (see `reading.load_documents`) as items of the tiers T2-files, T3 and T4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kimi_vl.evaluation.reading import READ, Document, Question, load_documents
from kimi_vl.evaluation.scores import parse_items
from kimi_vl.evaluation.suite import Item, Page, Task
from kimi_vl.media import load_frames
from kimi_vl.processor.labels import time_label

# Folder of a set, relative to the repository -> the tier of its documents.
SETS = {"benchmarks/reading": "T2-files", "examples": "T3", "benchmarks/web": "T3", "benchmarks/foreign": "T3"}
PHOTOGRAPHS = ("photographed page", "photograph", "scan")  # families that belong to T4, whichever set they are in

# Family -> the task of its transcription. In what order tables and screens are read is another question, so their texts are not asked for.
READINGS = {"line": "line", "paragraph": "paragraph", "letter": "paragraph", "page": "paragraph", "photographed page": "paragraph"}
READINGS |= {"receipt": "receipt", "invoice": "receipt"}
PLACES = {"point": "gui point", "box": "gui box"}
# Tag of a question -> its task, by family where that matters.
SHAPES = {"count": "counting", "relation": "relations"}
RECEIPT = {"total": "fields", "date": "fields", "number": "fields", "list": "items", "sum": "arithmetic"}
BY_FAMILY = {"table": "table", "chart": "chart", "screen": "gui state", "gui": "gui state", "web": "gui state"}
EVENTS = {"when": "when", "order": "order", "count": "counting"}


def find_sets(root: Path) -> dict[str, Path]:
    """The sets that a clone of the repository at `root` has, by name."""
    return {name: root / name for name in SETS if (root / name / "documents.json").is_file()}


def pinned_items(folders: Iterable[tuple[Path, str]], tasks: Sequence[Task], limit: int = 0) -> Iterator[Item]:
    """Questions of sets (folder, tier), in their order; `limit` bounds each tier's task.

    Raises: InputError for a picture that is not the pinned one.
    """
    names = {task.name for task in tasks}
    taken: Counter[tuple[str, str]] = Counter()
    for folder, tier in folders:
        for document in load_documents(folder):
            where = "T4" if document.family.split("/")[0] in PHOTOGRAPHS else tier
            asked = [(number, task, question) for number, (task, question) in enumerate(_asked(document)) if task in names]
            for number, task, question in asked:
                if limit and taken[where, task] >= limit:
                    continue
                taken[where, task] += 1
                frames = load_frames(document.path)
                pages = tuple(Page(time_label(seconds) if len(frames) > 1 else "", np.asarray(picture)) for seconds, picture in frames)
                family, name = document.family.split("/")[0], f"{where}/{folder.name}/{document.path.stem}/{document.family}/{number}"
                yield Item(name, where, task, family, question.task, pages, question.question, question.answer, "auto", question.box)


def _asked(document: Document) -> Iterator[tuple[str, Question]]:
    """(task, question) pairs; a question is asked twice where it counts for two tasks."""
    family = document.family.split("/")[0]
    if document.text and family in READINGS:
        yield READINGS[family], Question(READ, document.text, "read")
    for question in document.questions:
        if task := task_of(family, question):
            yield task, question
        if question.answer is not None and question.task not in ("read", "list", "markdown"):
            yield "refusal", question


def task_of(family: str, question: Question) -> str | None:
    """The task that a fixed question counts for; None for a list of articles without prices."""
    if question.answer is None:
        return "refusal"
    if question.task == "list" and len(parse_items(question.answer)) < len(question.answer.splitlines()):
        return None
    if question.task in PLACES:
        return PLACES[question.task]
    if family == "scene":
        return SHAPES.get(question.task, "shapes")
    if family == "video":
        return EVENTS.get(question.task, "lookup")
    return BY_FAMILY.get(family) or RECEIPT.get(question.task, "lookup")
