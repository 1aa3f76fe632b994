"""One confined process: takes a file and a request, gives parts, and does so again until nobody asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media.parts import Part
from kimi_vl.media.sandbox.inside.confine import address_space, confine, limit_job
from kimi_vl.media.sandbox.wire import BAD_REQUEST, Channel, Tag

ReaderFunction = Callable[[BinaryIO, str, dict[str, Any]], Iterator[Part]]


def serve(channel: Channel, reader: ReaderFunction, nursery: int, empty: int | None, separated: list[str]) -> None:
    """Confine this process, say what holds, and work until the parent hangs up."""
    base_bytes = address_space()
    channel.send(Tag.READY, {"protections": [*separated, *confine(nursery, empty)]})
    while True:
        fds: list[int] = []
        try:
            _, job = channel.receive(fds=fds)
        except EOFError:
            return
        limit_job(job.facts["cpu_seconds"], job.facts["memory_bytes"], base_bytes)
        with os.fdopen(fds[0], "rb") as file:
            _answer(channel, reader, file, job.facts)


def _answer(channel: Channel, reader: ReaderFunction, file: BinaryIO, job: dict[str, Any]) -> None:
    try:
        file.seek(0)
        for part in reader(file, job["name"], job["request"]):
            channel.send_part(part)
    except MediaError as error:
        channel.send(Tag.REFUSED, {"message": str(error), "code": error.code})
    except InputError as error:
        channel.send(Tag.REFUSED, {"message": str(error), "code": BAD_REQUEST})
    except MemoryError:
        channel.send(Tag.MEMORY, {})
    except Exception as error:  # noqa: BLE001 - a decoder may raise anything about a hostile file; the parent makes one sentence of it
        channel.send(Tag.FAILED, {"error": type(error).__name__, "detail": str(error)[:1000]})
    else:
        channel.send(Tag.END, {})
