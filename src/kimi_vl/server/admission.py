"""Who is taken in, who waits and how long, and who is sent away at once; and when the house is being closed.

An answer takes a slot. As many slots compute as the engine runs requests; a bounded number of requests may wait for one, in the order in
which they came, for a bounded time. Whoever would be one more hears so before a byte of their body is read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from kimi_vl.server.errors import RETRY_S, ApiError

REFUSALS = {  # by code: what is said, and after how many seconds to come again
    "draining": ("this server is being stopped; ask another one, or try again in a moment", 5),
    "server_is_overloaded": ("as many requests are here as can be answered or wait; try again in a moment", RETRY_S),
}


def refused(code: str) -> ApiError:
    """One of `REFUSALS`."""
    message, seconds = REFUSALS[code]
    return ApiError(503, code, message, headers={"Retry-After": str(seconds)})


class Admission:
    """Of one event loop. Where `queue_s` is None, whoever may wait waits for as long as it takes."""

    def __init__(self, slots: int, most_waiting: int, queue_s: float | None) -> None:
        self.slots, self.most_waiting, self.queue_s = slots, most_waiting, queue_s
        self.taken = 0  # slots
        self.inside = 0  # requests, from the first look at them to their last byte
        self.coming = 0  # requests that were let in at the door and that the event loop has not turned to yet
        self.draining = False
        self.tasks: set[asyncio.Task[None]] = set()
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._empty = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Requests that have no slot yet and are in the queue."""
        return len(self._queue)

    @property
    def refusal(self) -> str | None:
        """Why one more request could not even wait, if so: a key of `REFUSALS`."""
        if self.draining:
            return "draining"
        return "server_is_overloaded" if self.inside + self.coming >= self.slots + self.most_waiting else None

    def check(self) -> None:
        """Raises: ApiError 503 where one more request could not even wait."""
        if (code := self.refusal) is not None:
            raise refused(code)

    def expect(self) -> None:
        """Keep a place for a request whose task is created next, until that task begins. Of a burst the event loop reads all requests
        before any task runs: without this each of them would find the house empty, and be sent away only after it has been taken apart."""
        self.coming += 1
        asyncio.get_running_loop().call_soon(self._arrive)  # callbacks run in the order in which they are asked for, tasks' steps included

    @contextmanager
    def request(self) -> Iterator[None]:
        """While a request is here. Raises: as `check`."""
        self.check()
        task = asyncio.current_task()
        self.inside += 1
        self._empty.clear()
        if task is not None:
            self.tasks.add(task)
        try:
            yield
        finally:
            self.inside -= 1
            if task is not None:
                self.tasks.discard(task)
            if not self.inside:
                self._empty.set()

    @asynccontextmanager
    async def slot(self, count: int = 1) -> AsyncIterator[None]:
        """Slots for the answers of one request, all or none. Raises: ApiError 503 queue_timeout."""
        count = min(count, self.slots)
        await self._take(count)
        try:
            yield
        finally:
            self.taken -= count
            self._let_in()

    async def drain(self, grace_s: float) -> bool:
        """Let nobody in any more, and wait for those inside; whether all of them left in time."""
        self.draining = True
        if not self.inside:
            return True
        try:
            async with asyncio.timeout(grace_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def _arrive(self) -> None:
        self.coming -= 1

    async def _take(self, count: int) -> None:
        if not self._queue and self.taken + count <= self.slots:
            self.taken += count
            return
        turn = asyncio.get_running_loop().create_future()
        entry = (count, turn)
        self._queue.append(entry)
        try:
            async with asyncio.timeout(self.queue_s):
                await turn
        except BaseException as error:
            if entry in self._queue:
                self._queue.remove(entry)
            elif turn.done() and not turn.cancelled():  # it was its turn, and it left in the same moment
                self.taken -= count
            self._let_in()
            if isinstance(error, TimeoutError):
                raise ApiError(503, "queue_timeout", f"no place was free within {self.queue_s:g} seconds; try again in a moment") from None
            raise

    def _let_in(self) -> None:
        while self._queue and self.taken + self._queue[0][0] <= self.slots:
            count, turn = self._queue.popleft()
            if not turn.done():
                self.taken += count
                turn.set_result(None)
