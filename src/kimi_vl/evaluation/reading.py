"""How well a model reads: documents with known text and known answers, what was said about them, and the scores.

A reading set is a folder with pictures and a `documents.json`: a list of {file, sha256, family, text, questions}, where a question
is {question, answer, task, perhaps box} and an answer of null means that the document does not tell. A family such as
"receipt/plain" is a kind of receipt: it is scored by itself and among all receipts.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from kimi_vl.errors import InputError
from kimi_vl.evaluation.metrics import (
    character_error_rate,
    money_f1,
    overlap,
    points_into,
    printed_amounts,
    same_answer,
    share,
    word_error_rate,
    words_found,
)

READ = "Read the text."
REFUSAL = "i cannot tell"  # how a refusal begins, in lower case


@dataclass(frozen=True, slots=True)
class Question:
    """`answer` is None when the right answer is that the document does not tell; `task` names a row of the result; `box` is where the
    answer lies, x0, y0, x1, y1 relative to the picture, for a question that wants a place."""

    question: str
    answer: str | None
    task: str
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A picture, its transcription (rows joined by newlines, "" when there is nothing to read) and questions about it."""

    path: Path
    family: str
    text: str
    questions: tuple[Question, ...]


@dataclass(slots=True)
class Reading:
    """What one tool made of one document: its transcription, its answers in the order of the questions, and what the
    transcription took, on the clock and on all cores together (which other programs on the machine disturb less)."""

    document: Document
    text: str
    seconds: float
    cpu_seconds: float
    answers: list[str] = field(default_factory=list)


class Asks(Protocol):
    """The part of `KimiVL` that is measured."""

    def ask(self, question: str, media: Any, **options: Any) -> Any: ...


def load_documents(folder: str | Path) -> list[Document]:
    """The documents of a reading set. Raises: InputError for a missing list or a picture that is not the pinned one."""
    folder = Path(folder)
    try:
        entries = json.loads((folder / "documents.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} has no documents.json; a reading set is a folder with pictures and that list") from None
    documents = []
    for entry in entries:
        path = folder / entry["file"]
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
        if found != entry["sha256"]:
            raise InputError(f"{path} is not the pinned picture: sha256 {found[:12]}, expected {entry['sha256'][:12]}; restore the file")
        questions = tuple(
            Question(q["question"], q["answer"], q["task"], tuple(q["box"]) if q.get("box") else None) for q in entry["questions"]
        )
        documents.append(Document(path, entry["family"], entry["text"], questions))
    return documents


def examine(model: Asks, documents: Iterable[Document], **options: Any) -> Iterator[Reading]:
    """Let the model transcribe each document and answer its questions, each in a conversation of its own; `options` go to `ask`."""
    for document in documents:
        wall, cpu = time.perf_counter(), time.process_time()
        text = model.ask(READ, media=[document.path], **options).text if document.text else ""
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        answers = [model.ask(q.question, media=[document.path], **options).text for q in document.questions]
        yield Reading(document, text, wall, cpu, answers)


def parse_fields(reading: Reading) -> Reading:
    """Give a transcription the answers that fixed rules find in it: the total and the date, "" for every other question."""
    finders = {"total": find_total, "date": find_date}
    answers = [finders[q.task](reading.text) if q.task in finders else "" for q in reading.document.questions]
    return replace(reading, answers=answers)


_ORNAMENT = re.compile(r"([-=*._~+—–])(?: ?\1){2,}")
_TOTAL = re.compile(
    r"\b(grand total|final total|total due|amount due|balance due|to pay|total amount|total|amount|balance|due|payable|you pay|sum)\b", re.I
)
_NOT_TOTAL = re.compile(r"\b(sub ?-?total|net total|items? total|tax|vat|gst|discount|savings|before)\b", re.I)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    rf"\b(\d{{4}}-\d\d-\d\d|\d{{1,2}}([./-])\d{{1,2}}\2(?:\d{{4}}|\d\d)|\d{{1,2}}[ -]{_MONTH}[ -]\d{{2,4}}|{_MONTH} \d{{1,2}}, ?\d{{4}})\b",
    re.I,
)


def find_total(text: str) -> str:
    """The last amount of the last row that speaks of a total and not of a part of it; otherwise the largest amount; else ""."""
    rows = [(row, found) for row in text.splitlines() if (found := printed_amounts(row))]
    named = [found for row, found in rows if _TOTAL.search(row) and not _NOT_TOTAL.search(row)]
    if named:
        return named[-1][-1]
    return max((amount for _, found in rows for amount in found), key=float, default="")


def find_date(text: str) -> str:
    """The first date printed, "" without one."""
    match = _DATE.search(text)
    return match.group() if match else ""


def without_ornaments(text: str) -> str:
    """The text without rules and leader dots: three or more of - = * . _ ~ + in a row. References hold no ornaments, and whether
    a tool reports them says nothing about its reading."""
    return _ORNAMENT.sub(" ", text)


def is_refusal(answer: str) -> bool:
    return answer.casefold().lstrip().startswith(REFUSAL)


def is_right(question: Question, answer: str) -> bool:
    """An unanswerable question wants a refusal, one with a box a point in it or a box of IoU 0.5, any other the same answer
    (metrics.normalise)."""
    if question.answer is None:
        return is_refusal(answer)
    if question.box is not None:
        return points_into(answer, question.box) or overlap(answer, question.box) >= 0.5
    return same_answer(question.answer, answer)


def score(readings: list[Reading], tasks: frozenset[str] | None = None) -> dict[str, Any]:
    """All scores as plain values: {"reading": {family: ...}, "answers": {task: ...}, "refusal": ...}.

    Answers are counted for `tasks` only, where given: a tool without a language model answers just those that it has rules for.
    """
    families: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        if reading.document.text:
            for name in dict.fromkeys((reading.document.family.split("/")[0], reading.document.family)):
                families[name].append(reading)
    asked = [(q, a) for r in readings for q, a in zip(r.document.questions, r.answers, strict=True) if tasks is None or q.task in tasks]
    return {
        "reading": {family: _score_texts(group) for family, group in families.items()},
        "answers": _score_answers(asked),
        "refusal": _score_refusals(asked) if tasks is None else None,
    }


def _score_texts(readings: list[Reading]) -> dict[str, Any]:
    pairs = [(without_ornaments(r.document.text), without_ornaments(r.text)) for r in readings]
    return {
        "documents": len(readings),
        "characters": sum(len(r.document.text) for r in readings),
        "cer": asdict(character_error_rate(pairs)),
        "cer_raw": asdict(character_error_rate([(r.document.text, r.text) for r in readings], "raw")),
        "cer_without_spaces": asdict(character_error_rate(pairs, "ignore")),
        "wer": asdict(word_error_rate(pairs)),
        "words_found": asdict(words_found(pairs)),
        "money": money_f1(pairs),
        "seconds_per_image": sum(r.seconds for r in readings) / len(readings),
        "cpu_seconds_per_image": sum(r.cpu_seconds for r in readings) / len(readings),
    }


def _score_answers(asked: list[tuple[Question, str]]) -> dict[str, Any]:
    tasks: dict[str, list[bool]] = defaultdict(list)
    for question, answer in asked:
        tasks[question.task].append(is_right(question, answer))
    if tasks:
        tasks["all"] = [right for rights in tasks.values() for right in rights]
    return {task: asdict(share(sum(rights), len(rights))) for task, rights in sorted(tasks.items())}


def _score_refusals(asked: list[tuple[Question, str]]) -> dict[str, Any]:
    """Recall: unanswerable questions that were refused. Precision: refusals that were right."""
    refused = [question.answer is None for question, answer in asked if is_refusal(answer)]
    unanswerable = [is_refusal(answer) for question, answer in asked if question.answer is None]
    return {
        "precision": asdict(share(sum(refused), len(refused))) if refused else None,
        "recall": asdict(share(sum(unanswerable), len(unanswerable))) if unanswerable else None,
    }
