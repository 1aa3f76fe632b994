"""One batch, worked on from wherever it is until it is over."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from kimi_vl.server.batches import ending
from kimi_vl.server.batches.folder import ERRORS, OUTPUT, Batch, BatchFolder, Line
from kimi_vl.server.batches.lines import answered, read_lines, told
from kimi_vl.server.endpoint import LATER, Endpoint
from kimi_vl.server.errors import ApiError, as_api_error, invalid
from kimi_vl.server.json import decode
from kimi_vl.server.service import Service
from kimi_vl.server.strict import parse
from kimi_vl.server.tracing import fail
from kimi_vl.server.transport import log, stop

MOST_TRIES = 3  # of a line; one that was begun so often and never came to an end may be what ends the process
RETRY_S = 1.0
DISK_S = 30.0  # until it is tried again to write


class Stopping(Exception):
    """The server is being stopped, or its engine has failed: what is not answered is left for the next one."""


class Work:
    """On one batch. `places` are those of all batches: of lines that are in memory; each of their answers takes a slot beside."""

    def __init__(self, folder: BatchFolder, service: Service, endpoints: Mapping[str, Endpoint], places: asyncio.Semaphore) -> None:
        self.folder = folder
        self._service, self._endpoints, self._places = service, endpoints, places
        self._is_answering = self._is_cancelled = False
        self._task: asyncio.Task[None] | None = None

    @property
    def batch(self) -> Batch:
        return self.folder.state.batch

    def begin(self) -> asyncio.Task[None]:
        """In a task."""
        self._task = asyncio.ensure_future(self._work())
        return self._task

    async def cancel(self) -> None:
        """End it; what is answered is kept."""
        assert self._task is not None
        self.batch.status, self.batch.cancelling_at, self._is_cancelled = "cancelling", int(time.time()), True
        await asyncio.to_thread(self.folder.save)
        if self._is_answering:  # not while its files are made
            self._task.cancel()

    async def leave(self) -> None:
        """Stop working; what is not done is left on the disk."""
        assert self._task is not None
        await stop(self._task)
        self.folder.forget_begun()

    async def _work(self) -> None:
        batch = self.batch
        try:
            while True:
                try:
                    return await self._go_on()
                except OSError as error:  # a full disk, say; what is in the journals is done
                    log.error("batch waits for the disk", batch=batch.id, error=type(error).__name__)
                    self.folder.forget_begun()
                await asyncio.sleep(DISK_S)
        except Stopping:
            log.info("batch left", batch=batch.id)
        except Exception as error:  # noqa: BLE001 - one batch's failure is its own
            log.error("batch failed", batch=batch.id, exc_info=error)
            await asyncio.to_thread(ending.fail, self.folder, [told("internal_error", "something went wrong that nobody foresaw")])

    async def _go_on(self) -> None:
        """Raises: Stopping, OSError."""
        if self.batch.status in ("validating", "in_progress"):
            self._is_answering = True
            try:
                await self._answer_all()
            except asyncio.CancelledError:
                if not self._is_cancelled:
                    raise
            finally:
                self._is_answering = False
        if self.batch.status == "cancelling":
            self.folder.state.ending = "cancelled"
        if self.batch.status != "failed":
            await asyncio.to_thread(ending.finish, self.folder, self._service)

    async def _answer_all(self) -> None:
        """Raises: Stopping."""
        folder, batch = self.folder, self.batch
        lines, errors = await asyncio.to_thread(read_lines, folder, self._service.options)
        if errors:
            await asyncio.to_thread(ending.fail, folder, errors)
            return
        done, begun = await asyncio.to_thread(folder.recover)
        batch.request_counts.total = len(lines)
        if batch.status == "validating":
            batch.status, batch.in_progress_at = "in_progress", int(time.time())
            await asyncio.to_thread(folder.save)
        left = [line for line in lines if line.custom_id not in done]
        coming = iter(left)
        try:
            async with asyncio.timeout(max(0.0, batch.expires_at - time.time())):
                await _all(self._answer_some(coming, begun) for _ in range(min(len(left), self._service.later.slots)))
        except TimeoutError:
            folder.state.ending = "expired"

    async def _answer_some(self, coming: Iterator[Line], begun: Counter[str]) -> None:
        """One line after another, as long as there are any."""
        for line in coming:
            async with self._places:
                if begun[line.custom_id] >= MOST_TRIES:
                    error = ApiError(500, "internal_error", f"the server has ended {MOST_TRIES} times while it answered this line")
                    journal, written = ERRORS, answered(line, error.status, error.body)
                else:
                    await asyncio.to_thread(self.folder.begin, line)
                    with self._service.tracing.apart("batch line", {"kimi_vl.batch": self.batch.id}):
                        journal, written = await self._answer(line)
            await asyncio.to_thread(self.folder.extend, journal, (written,))
            counts = self.batch.request_counts
            counts.completed += journal == OUTPUT
            counts.failed += journal == ERRORS

    async def _answer(self, line: Line) -> tuple[str, bytes]:
        """Which journal a line's answer goes to, and the answer. Raises: Stopping."""
        service = self._service
        while True:
            try:
                body = await self._asked(line)
                service.metrics.batch_lines.labels(200).inc()
                return OUTPUT, answered(line, 200, body)
            except Stopping:
                raise
            except Exception as caught:  # noqa: BLE001 - one line's failure is told in the errors of its batch
                error = as_api_error(caught)
                if service.trouble is not None or error.code == "engine_restarting":
                    raise Stopping from None
                if error.status != 503:
                    if error.status == 500:
                        log.error("batch line failed", batch=self.batch.id, exc_info=caught)
                    service.metrics.batch_lines.labels(error.status).inc()
                    fail(error)
                    return ERRORS, answered(line, error.status, error.body)
            await asyncio.sleep(RETRY_S)  # there was no room for it

    async def _asked(self, line: Line) -> bytes:
        service, endpoint = self._service, self._endpoints[self.batch.endpoint]
        if service.trouble is not None:
            raise Stopping

        def read() -> Any:
            body = decode(self.folder.read(line), service.options.json_depth)["body"]
            return parse(endpoint.request, body, lenient=service.options.lenient)[0]

        request = await service.with_text(read)
        for name in ("stream", "background"):
            if getattr(request, name, None):
                raise invalid("invalid_value", f"a line of a batch cannot have {name}", name)
        asked = await endpoint.prepare(service, request, self.folder.state.tenant, time.monotonic(), LATER)
        try:
            return await endpoint.whole(service, asked)
        finally:
            asked.close()


async def _all(works: Iterator[Any]) -> None:
    """Until all are over, or one fails, which ends the others and is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            await stop(task)
