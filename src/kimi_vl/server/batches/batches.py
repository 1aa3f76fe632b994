"""The batches of a server: files of requests, answered by the paths that all requests take, after those of whom somebody waits.

At most `batch_running` lines are answered at once, beside the slots of others; in the engine they come after everybody else and give up
their place to whoever comes. A server that is started again with the same `data` goes on with the lines that are not in the journals.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from kimi_vl.server.access import EVERYBODY
from kimi_vl.server.batches.folder import Batch, BatchFolder, State
from kimi_vl.server.batches.work import Work
from kimi_vl.server.endpoint import Endpoint
from kimi_vl.server.errors import ApiError, invalid
from kimi_vl.server.files import home, storage_error
from kimi_vl.server.service import Service
from kimi_vl.server.strict import Strict

ACTIVE = ("validating", "in_progress", "finalizing", "cancelling")
_ID = re.compile(r"batch_[0-9a-f]{32}")


class BatchRequest(Strict):
    input_file_id: Annotated[str, Field(min_length=1, max_length=100)]
    endpoint: Annotated[str, Field(max_length=100)]
    completion_window: Literal["24h"]
    metadata: Annotated[dict[str, Annotated[str, Field(max_length=512)]], Field(max_length=16)] | None = None


class Batches:
    """Of one server."""

    def __init__(self, service: Service, endpoints: Mapping[str, Endpoint]) -> None:
        self._service, self._endpoints = service, endpoints
        self._folder = service.data / "batches"
        self._running: dict[str, Work] = {}
        self._places = asyncio.Semaphore(service.later.slots)

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
            await work.leave()

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
        await work.cancel()
        return batch

    def _begin(self, folder: BatchFolder) -> None:
        batch = folder.state.batch
        work = self._running[batch.id] = Work(folder, self._service, self._endpoints, self._places)
        work.begin().add_done_callback(lambda _: self._running.pop(batch.id, None))

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
