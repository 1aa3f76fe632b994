"""The engine for callers who wait: whoever wants the next piece of an answer runs the steps of everybody until it is there."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from kimi_vl.engine.engine import Engine
from kimi_vl.engine.generation import FinishReason
from kimi_vl.engine.pictures import Ahead, Image
from kimi_vl.engine.reading import Heard, Reader, hear
from kimi_vl.engine.request import Request
from kimi_vl.errors import EngineStopped

Piece = TypeVar("Piece")


class Pieces(Iterator[Piece]):
    """The pieces of one answer. Whoever wants no more of them closes it, or lets go of it: its pages are then free."""

    def __init__(self, desk: Desk, request: Request, reader: Reader[Piece]) -> None:
        self.reader = reader
        self._desk, self._request = desk, request
        self._arrived: deque[Piece] = deque()
        self._is_over = False
        self._error: Exception | None = None
        self._leave = weakref.finalize(self, desk.cancel, request)

    def __next__(self) -> Piece:
        """Raises: what ended the request, if it was an error; EngineStopped if a step of the engine was broken off."""
        while not self._arrived and not self._is_over:
            self._desk.step()
        if self._arrived:
            return self._arrived.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration

    def take(self, heard: Heard) -> None:
        """From the desk."""
        self._arrived += heard.pieces
        self._is_over, self._error = heard.over, heard.error

    def close(self) -> None:
        """End the request if it has not ended. Pieces that have arrived may still be taken."""
        self._is_over = True
        self._leave()

    @property
    def num_tokens(self) -> int:
        """Of the answer so far, the end token included."""
        return len(self._request.answer_ids)

    @property
    def finish_reason(self) -> FinishReason | None:
        reason = self._request.finish_reason
        return reason if reason in ("stop", "length") else None


class Desk(Generic[Piece]):
    """Owns an engine, in one thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine | None = engine  # None once it cannot be trusted: the memory goes with it, whoever still holds an answer
        self._open: weakref.WeakValueDictionary[Request, Pieces[Piece]] = weakref.WeakValueDictionary()

    def submit(self, reader: Reader[Piece], *args: Any, **options: Any) -> Pieces[Piece]:
        """Queue a prompt, with the arguments of `Engine.submit`. Nothing is computed before a piece is asked for, of any answer.

        Raises: what `Engine.submit` raises; EngineStopped.
        """
        [request] = self._running().submit(*args, **options)
        pieces = self._open[request] = Pieces(self, request, reader)
        return pieces

    def step(self) -> None:
        """One step of the engine, read by those whom it concerns. Raises: EngineStopped, and whatever breaks a step off in the middle, such
        as Ctrl-C or a lost device; then the engine is gone."""
        engine, self.engine = self._running(), None
        for event in engine.step():
            pieces = self._open.get(event.request)
            if pieces is not None:
                pieces.take(hear(engine, event, pieces.reader))
        self.engine = engine

    def encode(self, ahead: Ahead, image: Image) -> None:
        """As `Engine.encode`, in a step that is taken here. Raises: as `step`."""
        self._running().encode(ahead, image)
        self.step()

    def let_go(self, ahead: Ahead) -> None:
        """As `Engine.let_go`."""
        if self.engine is not None:
            self.engine.let_go(ahead)

    def cancel(self, request: Request) -> None:
        """End a request now. After its end this changes nothing."""
        if self.engine is not None:
            self.engine.cancel(request)

    def _running(self) -> Engine:
        if self.engine is None:
            raise EngineStopped("the engine was stopped in the middle of a step, and with it this answer; ask again")
        return self.engine
