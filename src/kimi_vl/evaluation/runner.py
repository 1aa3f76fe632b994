"""Feeds questions to a backend in chunks and keeps a journal, so that what was killed goes on where it stood."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kimi_vl.errors import InputError
from kimi_vl.evaluation.backends import Backend
from kimi_vl.evaluation.suite import Item, Response, Result

Progress = Callable[[Item, int], None]
Row = tuple[str, str]  # tier, task


class Journal:
    """JSON lines of every answer, by who gave it and what exactly was asked.

    A line half written when the power went is dropped; any other line that cannot be read is an error, for it may be somebody's file.
    """

    def __init__(self, path: Path, tool: str) -> None:
        self._path, self._tool = path, tool
        self._known: dict[str, Response] = {}
        if path.exists():
            self._read(path.read_bytes())

    def _read(self, data: bytes) -> None:
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._path.write_bytes(whole)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = json.loads(line)
                if entry["tool"] == self._tool:
                    self._known[entry["asked"]] = Response(**entry["response"])
            except (ValueError, TypeError, KeyError) as error:
                problem = f"line {number} of {self._path} is not one of a journal of answers: {error}"
                raise InputError(f"{problem}; pass another --journal, or delete that line") from None

    def known(self, asked: str) -> Response | None:
        return self._known.get(asked)

    def add(self, item: Item, asked: str, response: Response) -> None:
        truth = {"item": item.name, "task": item.task, "question": item.question, "answer": item.answer}
        entry = {"tool": self._tool, "asked": asked, **truth, "response": asdict(response)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


@dataclass
class Answered:
    """Everything one tool said: results by tier and task, and the digest over the questions of each in order."""

    results: dict[Row, list[Result]] = field(default_factory=lambda: defaultdict(list))
    digests: dict[Row, str] = field(default_factory=dict)


def run(items: Iterable[Item], backend: Backend, journal: Journal | None = None, progress: Progress | None = None) -> Answered:
    """Ask everything that the backend can answer; pictures are let go as soon as they have been looked at."""
    answered = Answered()
    waiting: list[tuple[Item, str, int]] = []
    given: dict[str, Response] = {}  # a question may count for two tasks
    shas: dict[Row, hashlib._Hash] = defaultdict(hashlib.sha256)

    def flush() -> None:
        for (item, asked, place), response in zip(waiting, backend.answers([item for item, _, _ in waiting]), strict=True):
            given[asked] = response
            if journal:
                journal.add(item, asked, response)
            answered.results[item.tier, item.task][place] = Result(item.without_pixels(), response)
        waiting.clear()

    for item in items:
        if backend.tasks is not None and item.task not in backend.tasks:
            continue
        asked, row = item.digest(), answered.results[item.tier, item.task]
        shas[item.tier, item.task].update(asked.encode())
        response = given.get(asked) or (journal.known(asked) if journal else None)
        row.append(Result(item.without_pixels(), response or Response("")))  # its place is kept while it waits
        if response is None:
            waiting.append((item, asked, len(row) - 1))
        if progress:
            progress(item, len(row))
        if len(waiting) >= backend.chunk:
            flush()
    if waiting:
        flush()
    answered.digests = {row: sha.hexdigest() for row, sha in shas.items()}
    return answered


def digests(items: Iterable[Item], progress: Progress | None = None) -> dict[Row, str]:
    """The digests that `run` would find, without asking anybody."""
    return run(items, _Nobody(), None, progress).digests


class _Nobody:
    chunk = 64
    tasks: frozenset[str] | None = None

    def answers(self, items: Sequence[Item]) -> list[Response]:
        return [Response("")] * len(items)
