"""The end of a batch: files are made of its journals, once, however often that is begun."""

from __future__ import annotations

import time
from typing import Any

from kimi_vl.server.batches.folder import ERRORS, JOURNALS, Batch, BatchFolder
from kimi_vl.server.batches.lines import expired, read_lines
from kimi_vl.server.service import Service


def finish(folder: BatchFolder, service: Service) -> None:
    """Make the files; then it is over. Blocking. Raises: OSError."""
    state, batch, files = folder.state, folder.state.batch, service.files
    folder.close()  # whoever was writing when the batch was ended comes too late
    done, _ = folder.recover()
    if state.ending == "expired" and batch.status != "finalizing":
        _expire(folder, done, service)
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


def fail(folder: BatchFolder, errors: list[dict[str, Any]]) -> None:
    """End it as failed, for these reasons. Blocking. Raises: OSError."""
    _end(folder.state.batch, "failed")
    folder.state.batch.errors = {"object": "list", "data": errors}
    folder.save()
    folder.forget_input()


def _expire(folder: BatchFolder, done: set[str], service: Service) -> None:
    left = [line for line in read_lines(folder, service.options)[0] if line.custom_id not in done]
    folder.extend(ERRORS, map(expired, left), is_last=True)
    folder.state.batch.request_counts.failed += len(left)


def _end(batch: Batch, status: str) -> None:
    batch.status = status
    setattr(batch, f"{status}_at", int(time.time()))
