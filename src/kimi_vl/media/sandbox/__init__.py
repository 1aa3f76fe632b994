"""Where files are decoded: in confined child processes, so that a bomb, a truncated or a hostile file ends in one clear error
(RELIABILITY 4.2).

A nursery process, started once, forks workers. A worker gives up network, files, privileges and nearly all system calls, is then handed
one open file, and sends back parts; `limits.py` says what that may cost, `READERS` who reads. The parent checks every message and never
unpickles.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Generator, Mapping
from typing import Any, BinaryIO

from kimi_vl.media.parts import Part
from kimi_vl.media.sandbox.limits import READERS, Limits
from kimi_vl.media.sandbox.nursery import NurseryGone
from kimi_vl.media.sandbox.pool import Pool
from kimi_vl.media.sandbox.reading import read_with

__all__ = ["PROTECTIONS", "READERS", "Limits", "protections", "read", "start"]

# What a worker is kept to, by the name of the protection; Linux has them all, other systems some.
PROTECTIONS = {
    "network": "a network without interfaces",
    "files": "an empty folder as its root",
    "system calls": "a list of allowed system calls: no sockets, no opening of files, no new processes",
    "privileges": "none can be gained",
    "capabilities": "none",
    "memory": "a limit on its address space",
    "processor time": "a limit for each file",
    "file size": "writes no file",
    "descriptors": "at most 16",
    "core dumps": "none",
    "orphans": "dies with the process that started it",
}

MAX_WORKERS = 4


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_pool = Pool(min(MAX_WORKERS, _cores()))


def read(reader: str, file: BinaryIO, name: str, request: Mapping[str, Any] | None = None, limits: Limits | None = None) -> Generator[Part]:
    """Let the reader of that name (a key of `READERS`) read an open file, and give its parts as they come.

    `file` is a regular file or one in memory, with a descriptor, read from its start; keep it open while parts come, and do not read it
    with two readers at once, for they would share its position. `name` is what messages call it. The reader waits while the caller is
    busy with a part; closing or dropping the iterator stops it at once.
    Raises: MediaError for a file that is refused, damaged, too slow, too large, or that crashes its decoder (`code` says which);
    EngineBusy where every worker waits for callers who do not go on.
    """
    return read_with(_pool, reader, file, name, dict(request or {}), limits or READERS[reader].limits)


def start() -> None:
    """Begin to start the nursery, so that the first `read` need not wait for it. Where it cannot start, `read` says so."""
    try:
        _pool.start()
    except NurseryGone:
        return


def protections() -> list[str]:
    """Names from `PROTECTIONS` that hold on this machine. Raises: MediaError where nothing can be decoded."""
    worker = _pool.lend(READERS["picture"].where)
    _pool.give_back(worker, reusable=True)
    return [name for name in PROTECTIONS if name in worker.protections]


def _begin_anew() -> None:
    """In a forked copy of this process: workers and nursery belong to the original."""
    global _pool
    _pool.abandon()
    _pool = Pool(_pool.size)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


@atexit.register
def _close() -> None:
    _pool.close()
