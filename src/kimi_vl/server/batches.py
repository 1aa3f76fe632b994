"""`/v1/batches`: files of requests that nobody waits for, answered by the paths that all requests take, after those of whom somebody does.

At most `batch_running` lines are answered at once, beside the slots of others; in the engine they come after everybody else and give up
their place to whoever comes. A server that is started again with the same `data` goes on with the lines that are not in the journals.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from kimi_vl.server.access import EVERYBODY
from kimi_vl.server.batch_folder import ERRORS, INPUT, JOURNALS, OUTPUT, Batch, BatchFolder, Line, State
from kimi_vl.server.endpoint import LATER, Endpoint
from kimi_vl.server.errors import ApiError, as_api_error, invalid
from kimi_vl.server.files import home, storage_error
from kimi_vl.server.json import decode
from kimi_vl.server.service import Service
from kimi_vl.server.strict import Strict, parse
from kimi_vl.server.transport import log, stop

ACTIVE = ("validating", "in_progress", "finalizing", "cancelling")
MOST_ERRORS = 20  # of an input that are told
MOST_TRIES = 3  # of a line; one that was begun so often and never came to an end may be what ends the process
RETRY_S = 1.0
DISK_S = 30.0  # until it is tried again to write
_ID = re.compile(r"batch_[0-9a-f]{32}")


class BatchRequest(Strict):
    input_file_id: Annotated[str, Field(min_length=1, max_length=100)]
    endpoint: Annotated[str, Field(max_length=100)]
    completion_window: Literal["24h"]
    metadata: Annotated[dict[str, Annotated[str, Field(max_length=512)]], Field(max_length=16)] | None = None


class LineRequest(Strict):
    custom_id: Annotated[str, Field(min_length=1, max_length=512)]
    method: Literal["POST"]
    url: Annotated[str, Field(max_length=100)]
    body: dict[str, Any]


class LineOut(msgspec.Struct):
    """A line of the output, or of the errors."""

    id: str
    custom_id: str
    response: dict[str, Any] | None
    error: dict[str, str] | None


class Stopping(Exception):
    """The server is being stopped, or its engine has failed: what is not answered is left for the next one."""


@dataclass(eq=False)
class _Work:
    folder: BatchFolder
    task: asyncio.Task[None] | None = None
    is_answering: bool = False
    is_cancelled: bool = False

    @property
    def batch(self) -> Batch:
        return self.folder.state.batch


class Batches:
    """Of one server."""

    def __init__(self, service: Service, endpoints: Mapping[str, Endpoint]) -> None:
        self._service, self._endpoints = service, endpoints
        self._folder = service.data / "batches"
        self._running: dict[str, _Work] = {}
        self._most = service.later.slots
        self._places = asyncio.Semaphore(self._most)  # lines that are in memory; each of their answers takes a slot beside

    async def start(self) -> None:
        """Go on with what an earlier server left, of tenants that there still are."""
        if not self._folder.is_dir():
            return
        for tenant in [EVERYBODY, *(name for name, _ in self._service.options.keys)]:
            for folder in await asyncio.to_thread(self._known, tenant):
                if folder.state.batch.status in ACTIVE:
                    self._begin(folder)

    async def close(self) -> None:
        """Stop working; what is not done is left on the disk."""
        for work in [*self._running.values()]:
            assert work.task is not None
            await stop(work.task)
            work.folder.forget_begun()

    # What clients ask ----------------------------------------------------------------------------------------------------------

    async def create(self, tenant: str, request: BatchRequest) -> Batch:
        """Raises: ApiError."""
        if request.endpoint not in self._endpoints:
            raise invalid("invalid_value", f"a batch can ask {', '.join(self._endpoints)}; there is nothing else", "endpoint")
        file = await asyncio.to_thread(self._service.files.find, tenant, request.input_file_id, "input_file_id")
        if file.purpose != "batch":
            raise invalid("invalid_value", "the file was not uploaded with the purpose batch", "input_file_id")
        now, options = int(time.time()), self._service.options
        batch = Batch(
            f"batch_{secrets.token_hex(16)}",
            request.endpoint,
            file.id,
            request.completion_window,
            now,
            now + max(1, round(options.batch_s)),
            request.metadata or {},
            self._service.name,
        )

        running = {*self._running}

        def create() -> BatchFolder:
            self._make_room(tenant, running)
            source = self._service.files.path(tenant, file.id)
            return BatchFolder.create(self._path(tenant, batch.id), State(tenant, batch), source)

        try:
            self._begin(await asyncio.to_thread(create))
        except FileNotFoundError:
            raise ApiError(404, "file_not_found", "there is no such file", param="input_file_id") from None
        except OSError as error:
            raise storage_error(error) from None
        return batch

    async def find(self, tenant: str, batch_id: str) -> Batch:
        """Raises: ApiError 404."""
        work = self._running.get(batch_id)
        if work is not None and work.folder.state.tenant == tenant:
            return work.batch
        is_name = _ID.fullmatch(batch_id) is not None
        folder = await asyncio.to_thread(BatchFolder.load, self._path(tenant, batch_id)) if is_name else None
        if folder is None:
            raise ApiError(404, "batch_not_found", "there is no such batch")
        return folder.state.batch

    async def all(self, tenant: str) -> list[Batch]:
        """The newest first."""
        found = {folder.state.batch.id: folder.state.batch for folder in await asyncio.to_thread(self._known, tenant)}
        found |= {name: work.batch for name, work in self._running.items() if work.folder.state.tenant == tenant}
        return sorted(found.values(), key=lambda batch: (-batch.created_at, batch.id))

    async def cancel(self, tenant: str, batch_id: str) -> Batch:
        """Raises: ApiError 404, 400 for one that is over."""
        batch = await self.find(tenant, batch_id)
        work = self._running.get(batch_id)
        if batch.status == "cancelling":
            return batch
        if work is None or batch.status not in ("validating", "in_progress"):
            raise invalid("invalid_value", f"the batch is {batch.status}, and cannot be cancelled any more")
        assert work.task is not None
        batch.status, batch.cancelling_at, work.is_cancelled = "cancelling", int(time.time()), True
        await asyncio.to_thread(work.folder.save)
        if work.is_answering:  # not while its files are made
            work.task.cancel()
        return batch

    # Working -------------------------------------------------------------------------------------------------------------------

    def _begin(self, folder: BatchFolder) -> None:
        work = _Work(folder)
        self._running[folder.state.batch.id] = work
        work.task = asyncio.ensure_future(self._work(work))

    async def _work(self, work: _Work) -> None:
        """All of a batch, from wherever it is."""
        batch = work.batch
        try:
            while True:
                try:
                    return await self._go_on(work)
                except OSError as error:  # a full disk, say; what is in the journals is done
                    log.error("batch waits for the disk", batch=batch.id, error=type(error).__name__)
                    work.folder.forget_begun()
                await asyncio.sleep(DISK_S)
        except Stopping:
            log.info("batch left", batch=batch.id)
        except Exception as error:  # noqa: BLE001 - one batch's failure is its own
            log.error("batch failed", batch=batch.id, exc_info=error)
            _end(batch, "failed", [_told("internal_error", "something went wrong that nobody foresaw")])
            await asyncio.to_thread(self._end_failed, work.folder)
        finally:
            self._running.pop(batch.id, None)

    async def _go_on(self, work: _Work) -> None:
        """Raises: Stopping, OSError."""
        if work.batch.status in ("validating", "in_progress"):
            work.is_answering = True
            try:
                await self._answer_all(work)
            except asyncio.CancelledError:
                if not work.is_cancelled:
                    raise
            finally:
                work.is_answering = False
        if work.batch.status == "cancelling":
            work.folder.state.ending = "cancelled"
        if work.batch.status != "failed":
            await asyncio.to_thread(self._finish, work.folder)

    async def _answer_all(self, work: _Work) -> None:
        """Raises: Stopping."""
        folder, batch = work.folder, work.batch
        lines, errors = await asyncio.to_thread(self._read, folder)
        if errors:
            _end(batch, "failed", errors)
            await asyncio.to_thread(self._end_failed, folder)
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
                await _all(self._answer_some(work, coming, begun) for _ in range(min(len(left), self._most)))
        except TimeoutError:
            folder.state.ending = "expired"

    async def _answer_some(self, work: _Work, coming: Iterator[Line], begun: Counter[str]) -> None:
        """One line after another, as long as there are any."""
        for line in coming:
            async with self._places:
                if begun[line.custom_id] >= MOST_TRIES:
                    told = ApiError(500, "internal_error", f"the server has ended {MOST_TRIES} times while it answered this line")
                    journal, written = ERRORS, _line(line, told.status, told.body)
                else:
                    await asyncio.to_thread(work.folder.begin, line)
                    journal, written = await self._answer(work.folder, line)
            await asyncio.to_thread(work.folder.extend, journal, (written,))
            counts = work.batch.request_counts
            counts.completed += journal == OUTPUT
            counts.failed += journal == ERRORS

    async def _answer(self, folder: BatchFolder, line: Line) -> tuple[str, bytes]:
        """Which journal a line's answer goes to, and the answer. Raises: Stopping."""
        service, endpoint = self._service, self._endpoints[folder.state.batch.endpoint]
        while True:
            try:
                body = await self._asked(endpoint, folder, line)
                service.metrics.batch_lines.labels(200).inc()
                return OUTPUT, _line(line, 200, body)
            except Stopping:
                raise
            except Exception as error:  # noqa: BLE001 - one line's failure is told in the errors of its batch
                told = as_api_error(error)
                if service.trouble is not None or told.code == "engine_restarting":
                    raise Stopping from None
                if told.status != 503:
                    if told.status == 500:
                        log.error("batch line failed", batch=folder.state.batch.id, exc_info=error)
                    service.metrics.batch_lines.labels(told.status).inc()
                    return ERRORS, _line(line, told.status, told.body)
            await asyncio.sleep(RETRY_S)  # there was no room for it

    async def _asked(self, endpoint: Endpoint, folder: BatchFolder, line: Line) -> bytes:
        service = self._service
        if service.trouble is not None:
            raise Stopping

        def read() -> Any:
            body = decode(folder.read(line), service.options.json_depth)["body"]
            return parse(endpoint.request, body, lenient=service.options.lenient)[0]

        request = await service.with_text(read)
        for name in ("stream", "background"):
            if getattr(request, name, None):
                raise invalid("invalid_value", f"a line of a batch cannot have {name}", name)
        asked = await endpoint.ask(service, request, folder.state.tenant, time.monotonic(), LATER)
        try:
            return await endpoint.whole(service, asked)
        finally:
            asked.close()

    # On the disk ---------------------------------------------------------------------------------------------------------------

    def _read(self, folder: BatchFolder) -> tuple[list[Line], list[dict[str, Any]]]:
        """The lines of an input, and what is wrong with it."""
        options, endpoint = self._service.options, folder.state.batch.endpoint
        lines: list[Line] = []
        errors: list[dict[str, Any]] = []
        seen: set[str] = set()
        path, start, number = folder.path / INPUT, 0, 0
        if path.stat().st_size > options.batch_bytes:
            return [], [_told("batch_too_large", f"the file has more than {options.batch_bytes:,} bytes")]
        with path.open("rb") as file:
            while (data := file.readline(options.body_bytes + 1)) and len(errors) < MOST_ERRORS and len(lines) <= options.batch_lines:
                number += 1
                try:
                    if data.strip():
                        lines.append(Line(_checked(data, endpoint, seen, self._service), start, len(data)))
                except ApiError as error:
                    errors.append({**_told(error.code, error.message), "param": error.param, "line": number})
                start += len(data)
        if len(lines) > options.batch_lines:
            errors.append(_told("too_many_lines", f"the file has more than {options.batch_lines:,} lines"))
        if not lines and not errors:
            errors.append(_told("empty_file", "the file has no lines"))
        return lines, errors

    def _finish(self, folder: BatchFolder) -> None:
        """Make files of the journals, once, however often it is begun; then it is over."""
        state, batch, files = folder.state, folder.state.batch, self._service.files
        folder.close()  # whoever was writing when the batch was ended comes too late
        done, _ = folder.recover()
        if state.ending == "expired" and batch.status != "finalizing":
            self._expire(folder, done)
        if batch.finalizing_at is None:
            batch.finalizing_at = int(time.time())
            if batch.status != "cancelling":
                batch.status = "finalizing"
            batch.output_file_id, batch.error_file_id = (files.new_id() if folder.has(name) else None for name in JOURNALS)
            folder.save()
        for journal, file_id in zip(JOURNALS, (batch.output_file_id, batch.error_file_id), strict=True):
            if file_id is not None:
                files.adopt(state.tenant, folder.path / journal, file_id, f"{batch.id}_{journal}", "batch_output")
        _end(batch, state.ending)
        folder.save()
        folder.forget_input()

    def _expire(self, folder: BatchFolder, done: set[str]) -> None:
        left = [line for line in self._read(folder)[0] if line.custom_id not in done]
        error = {"code": "batch_expired", "message": "this line was not answered within the batch's time"}
        lines = (msgspec.json.encode(LineOut(_line_id(), line.custom_id, None, error)) for line in left)
        folder.extend(ERRORS, lines, is_last=True)
        folder.state.batch.request_counts.failed += len(left)

    def _end_failed(self, folder: BatchFolder) -> None:
        folder.save()
        folder.forget_input()

    def _known(self, tenant: str) -> list[BatchFolder]:
        paths = home(self._folder, tenant).glob("batch_*")
        return [folder for path in sorted(paths) if (folder := BatchFolder.load(path)) is not None]

    def _make_room(self, tenant: str, running: Set[str]) -> None:
        """Forget the oldest that are over, where there are too many. Raises: ApiError 429."""
        known = sorted(self._known(tenant), key=lambda folder: folder.state.batch.created_at)
        over = [folder for folder in known if folder.state.batch.status not in ACTIVE and folder.state.batch.id not in running]
        too_many = len(known) + 1 - self._service.options.batches
        if too_many > len(over):
            raise ApiError(429, "quota_exceeded", f"this key has {len(known)} batches that are not over; cancel some, or wait")
        for folder in over[: max(0, too_many)]:
            folder.forget()

    def _path(self, tenant: str, batch_id: str) -> Path:
        return home(self._folder, tenant) / batch_id


def _checked(data: bytes, endpoint: str, seen: set[str], service: Service) -> str:
    """The custom_id of a line of the input. Raises: ApiError 400."""
    if len(data) > service.options.body_bytes:
        raise invalid("line_too_large", f"the line has more than {service.options.body_bytes:,} bytes")
    request, _ = parse(LineRequest, decode(data, service.options.json_depth))
    if request.url != endpoint:
        raise invalid("mismatched_url", f"the url must be that of the batch, {endpoint}", "url")
    if request.custom_id in seen:
        raise invalid("duplicate_custom_id", "an earlier line has the same custom_id", "custom_id")
    seen.add(request.custom_id)
    return request.custom_id


async def _all(works: Iterator[Any]) -> None:
    """Until all are over, or one fails, which ends the others and is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            await stop(task)


def _line(line: Line, status: int, body: bytes) -> bytes:
    response = {"status_code": status, "request_id": secrets.token_hex(16), "body": msgspec.Raw(body)}
    return msgspec.json.encode(LineOut(_line_id(), line.custom_id, response, None))


def _line_id() -> str:
    return f"batch_req_{secrets.token_hex(16)}"


def _told(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": None}


def _end(batch: Batch, status: str, errors: list[dict[str, Any]] | None = None) -> None:
    batch.status = status
    setattr(batch, f"{status}_at", int(time.time()))
    if errors:
        batch.errors = {"object": "list", "data": errors}
