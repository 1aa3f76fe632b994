"""One batch on disk: what was asked, what has been answered, how far it is. What is in the journals is done, whatever happens.

A line is appended to a journal with its answer, and is on the disk before it counts. One that was torn by the end of a process is cut
off and answered again. The state is replaced whole. All functions are blocking, and from any thread.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from kimi_vl.server.files import link_or_copy, sync_folder

INPUT, STATE, BEGUN = "input.jsonl", "batch.json", "begun.jsonl"
OUTPUT, ERRORS = "output.jsonl", "errors.jsonl"
JOURNALS = (OUTPUT, ERRORS)


class Counts(msgspec.Struct):
    total: int = 0
    completed: int = 0
    failed: int = 0


class Batch(msgspec.Struct):
    """OpenAI's batch object. Times are seconds since 1970."""

    id: str
    endpoint: str
    input_file_id: str
    completion_window: str
    created_at: int
    expires_at: int
    metadata: dict[str, str]
    model: str
    object: str = "batch"
    status: str = "validating"
    errors: dict[str, Any] | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: Counts = msgspec.field(default_factory=Counts)


class State(msgspec.Struct):
    """What is kept of a batch; `ending` is what it will be once its files are made."""

    tenant: str
    batch: Batch
    ending: str = "completed"


class Line(NamedTuple):
    """A request of the input, and where it stands (bytes)."""

    custom_id: str
    start: int
    size: int


class BatchFolder:
    def __init__(self, path: Path, state: State) -> None:
        self.path, self.state = path, state
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def create(cls, path: Path, state: State, source: Path) -> Self:
        """A new one, with the input's bytes as they are now. Raises: OSError."""
        path.mkdir(parents=True, mode=0o700)
        link_or_copy(source, path / INPUT)
        for journal in JOURNALS:
            (path / journal).touch()
        folder = cls(path, state)
        folder.save()
        sync_folder(path.parent)
        return folder

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """One that was left; None where creating it came to no end."""
        try:
            return cls(path, msgspec.json.decode((path / STATE).read_bytes(), type=State))
        except (OSError, msgspec.MsgspecError):
            return None

    def save(self) -> None:
        """The state, whole and on the disk."""
        incoming = self.path / "incoming"
        with self._lock:
            with incoming.open("wb") as file:
                file.write(msgspec.json.encode(self.state))
                file.flush()
                os.fsync(file.fileno())
            os.replace(incoming, self.path / STATE)
            sync_folder(self.path)

    def read(self, line: Line) -> bytes:
        """A line of the input."""
        with (self.path / INPUT).open("rb") as file:
            file.seek(line.start)
            return file.read(line.size)

    def begin(self, line: Line) -> None:
        """Note that a line is being answered. It need not be on the disk: the end of a process is feared, not that of the machine."""
        with (self.path / BEGUN).open("ab") as file:
            file.write(msgspec.json.encode(line.custom_id) + b"\n")

    def extend(self, journal: str, lines: Iterable[bytes], *, is_last: bool = False) -> None:
        """Lines are done, and on the disk when this returns. Nothing happens once the folder is closed, unless they are its last."""
        with self._lock:
            if self._closed and not is_last:
                return
            with (self.path / journal).open("ab") as file:
                file.writelines(line + b"\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())

    def close(self) -> None:
        """Let nothing more be appended."""
        with self._lock:
            self._closed = True

    def recover(self) -> tuple[set[str], Counter[str]]:
        """The lines that are done, and how often each other one was begun; counts are those of the journals from here on."""
        counts, done = self.state.batch.request_counts, set[str]()
        sizes = []
        for journal in JOURNALS:
            before = len(done)
            done |= {one["custom_id"] for one in self._whole_lines(journal)}
            sizes.append(len(done) - before)
        counts.completed, counts.failed = sizes
        begun = Counter(name for name in self._whole_lines(BEGUN) if isinstance(name, str))
        return done, begun

    def has(self, journal: str) -> bool:
        path = self.path / journal
        return path.exists() and path.stat().st_size > 0

    def _whole_lines(self, name: str) -> Iterator[Any]:
        """What each line says; a torn one at the end is cut off."""
        path = self.path / name
        if not path.exists():
            return
        with self._lock, path.open("r+b") as file:
            good = 0
            for line in file:
                try:
                    value = msgspec.json.decode(line) if line.endswith(b"\n") else None
                except msgspec.MsgspecError:
                    value = None
                if value is None:
                    break
                good += len(line)
                yield value
            file.truncate(good)

    def forget_begun(self) -> None:
        """Nobody need ask how often a line was begun: this process ends as it should."""
        (self.path / BEGUN).unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def forget_input(self) -> None:
        """It is over, and its lines are nobody's any more."""
        for name in (INPUT, BEGUN, *JOURNALS):
            (self.path / name).unlink(missing_ok=True)
