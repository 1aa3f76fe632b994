"""The engine in a thread of its own, for callers in an event loop: submit, read the answer as it comes, leave at any time.

The loop's thread never waits for a step. Everything that touches the engine happens in the engine's thread: commands reach it through a
queue and are obeyed between two steps, what happens is handed to the loop that asked.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from kimi_vl.engine.engine import Engine, Event
from kimi_vl.engine.pictures import Ahead, Image, Pictures
from kimi_vl.engine.reading import Reader, hear
from kimi_vl.engine.request import Ending, Request
from kimi_vl.errors import EngineBusy, EngineStopped

Piece = TypeVar("Piece")


@dataclass(frozen=True)
class _End:
    error: Exception | None


class AnswerStream(AsyncIterator[Piece]):
    """The pieces of one answer, in order. `finish_reason` is known after the last; leaving early by `aclose` ends the request."""

    def __init__(self, owner: AsyncEngine, reader: Reader[Piece], loop: asyncio.AbstractEventLoop) -> None:
        self.request: Request | None = None
        self.reader = reader
        self._owner, self._loop = owner, loop
        self._pieces: asyncio.Queue[Piece | _End] = asyncio.Queue()
        self._ended = False

    @property
    def finish_reason(self) -> Ending | None:
        return self.request.finish_reason if self.request else None

    async def __anext__(self) -> Piece:
        """Raises: what ended the request, if it was an error; EngineStopped if the engine is gone."""
        if self._ended:
            raise StopAsyncIteration
        try:
            piece = await self._pieces.get()
        except asyncio.CancelledError:
            self._leave()
            raise
        if not isinstance(piece, _End):
            return piece
        self._ended = True
        if piece.error is not None:
            raise piece.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the request if it has not ended; its pages are free before the next step."""
        if not self._ended:
            self._leave()

    def _leave(self) -> None:
        self._ended = True
        if self.request is not None:
            self._owner.cancel(self.request)

    def deliver(self, pieces: Iterable[Piece], end: _End | None) -> None:
        """From the engine's thread."""

        def put() -> None:
            for piece in pieces:
                self._pieces.put_nowait(piece)
            if end is not None:
                self._pieces.put_nowait(end)

        try:
            self._loop.call_soon_threadsafe(put)
        except RuntimeError:  # the loop is closed: nobody listens any more
            if self.request is not None:
                self._owner.cancel(self.request)


class AsyncEngine:
    """Owns an engine. `max_waiting` bounds the queue of those who do not compute yet; whoever comes then is sent away at once."""

    def __init__(self, engine: Engine, *, max_waiting: int = 256) -> None:
        self.engine, self.max_waiting = engine, max_waiting
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._streams: dict[Request, AnswerStream[Any]] = {}
        self._closing = False
        self._step_began: float | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    async def submit(self, reader: Callable[[], Reader[Piece]], *args: Any, **options: Any) -> list[AnswerStream[Piece]]:
        """Queue a prompt, with the arguments of `Engine.submit`; a stream for each of its `n` answers, each with a reader of its own.
        Images that are not `Pictures` yet are made so in a thread of their own.

        Raises: what `Engine.submit` raises; EngineBusy when too many wait already; EngineStopped after `close` or a fault.
        """
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[list[AnswerStream[Piece]]] = loop.create_future()

        def settle(streams: list[AnswerStream[Piece]], error: BaseException | None) -> None:
            if accepted.done():  # the caller has left
                for stream in streams:
                    stream._leave()
            elif error is not None:
                accepted.set_exception(error)
            else:
                accepted.set_result(streams)

        def command() -> None:
            streams, error = list[AnswerStream[Piece]](), None
            try:
                self._refuse()
                for request in self.engine.submit(*args, **options):
                    stream = AnswerStream(self, reader(), loop)
                    stream.request = request
                    self._streams[request] = stream
                    streams.append(stream)
            except Exception as caught:  # noqa: BLE001 - raised where the caller waits
                error = caught
            try:
                loop.call_soon_threadsafe(settle, streams, error)
            except RuntimeError:  # the caller's loop is closed, and nobody is there to hear
                for stream in streams:
                    stream._leave()

        self._refuse()
        if isinstance(images := options.get("images"), tuple):
            pixel_values, grids = images
            options["images"] = await asyncio.to_thread(Pictures.of, pixel_values, grids, options.get("tenant", ""))
        self._commands.put(command)
        return await accepted

    def encode(self, ahead: Ahead, image: Image) -> None:
        """As `Engine.encode`, from any thread. Raises: EngineStopped after `close` or a fault."""
        self._refuse_stopped()
        self._commands.put(lambda: self.engine.encode(ahead, image))

    def let_go(self, ahead: Ahead) -> None:
        """As `Engine.let_go`, from any thread."""
        self._commands.put(lambda: self.engine.let_go(ahead))

    def cancel(self, request: Request) -> None:
        """End a request before the next step. From any thread; more than once, and after its end, it changes nothing."""

        def command() -> None:
            self.engine.cancel(request)
            self._streams.pop(request, None)

        self._commands.put(command)

    async def close(self, *, grace_s: float = 0.0) -> None:
        """Take no more requests, let those that run go on for at most `grace_s`, then end them (their readers get EngineStopped)."""
        self._closing = True
        deadline = asyncio.get_running_loop().time() + grace_s
        while self._streams and self._failure is None and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        self._commands.put(self._stop)
        await asyncio.to_thread(self._thread.join)

    @property
    def failure(self) -> BaseException | None:
        """What brought the engine down, if something did."""
        return self._failure

    @property
    def step_s(self) -> float:
        """Seconds since the step began that the engine is in, 0 outside of one. One that does not end is a kernel that hangs."""
        began = self._step_began
        return 0.0 if began is None else time.monotonic() - began

    def _refuse(self) -> None:
        """Raises, unless a request can be taken."""
        self._refuse_stopped()
        if (waiting := len(self.engine.scheduler.waiting)) >= self.max_waiting:
            raise EngineBusy(f"{waiting} requests are waiting and {self.max_waiting} may; try again in a moment")

    def _refuse_stopped(self) -> None:
        if self._failure is not None:
            raise EngineStopped(f"the engine has failed: {self._failure}; start it anew")
        if self._closing:
            raise EngineStopped("the engine is being stopped; ask another one")

    # The engine's thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                self._obey()
                self._step_began = time.monotonic()
                for event in self.engine.step():
                    self._hear(event)
                self._step_began = None
        except _Stop:
            self._leave_idle()
            self._end_all(EngineStopped("the engine was stopped before the answer was complete"))
        except BaseException as failure:  # noqa: BLE001 - not one request's: nothing that the engine says can be trusted from here on
            self._failure = failure
            self._end_all(EngineStopped(f"the engine has failed: {failure}; start it anew"))

    def _obey(self) -> None:
        """All commands there are; with nothing to do, wait for one."""
        if self.engine.is_idle:
            self._commands.get()()
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            command()

    def _stop(self) -> None:
        raise _Stop

    def _leave_idle(self) -> None:
        """End the requests that are left, and wait for the steps that were launched ahead: nothing is held or computed any more."""
        for request in self._streams:
            self.engine.cancel(request)
        self.engine.arrived.clear()
        try:
            while not self.engine.is_idle:
                self.engine.step()
        except Exception as failure:  # noqa: BLE001 - it is being stopped; who asks why it did not end well finds it here
            self._failure = failure

    def _hear(self, event: Event) -> None:
        stream = self._streams.get(event.request)
        if stream is None:
            return
        heard = hear(self.engine, event, stream.reader)
        if heard.over:
            self._streams.pop(event.request, None)
        stream.deliver(heard.pieces, _End(heard.error) if heard.over else None)

    def _end_all(self, error: Exception) -> None:
        for stream in self._streams.values():
            stream.deliver((), _End(error))
        self._streams.clear()
        while True:  # whoever asked in the meantime
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            try:
                command()
            except _Stop:
                continue


class _Stop(Exception):
    """Leave the loop."""
