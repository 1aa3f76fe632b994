"""One read: what goes to a worker, what comes back, and what each way of failing is called."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media.parts import Part
from kimi_vl.media.sandbox.limits import READERS, Limits, MiB, Reader
from kimi_vl.media.sandbox.pool import Pool, Worker
from kimi_vl.media.sandbox.wire import BAD_REQUEST, ProtocolError, Tag

LARGE_JOB_BYTES = 256 * MiB  # of pixels; after that a fresh process gives the memory back sooner than malloc would
MAX_MESSAGE_CHARS = 600
CRASHED = "media_decoder_crashed"
SMALLER = "make it smaller, or cut it into parts"


def read_with(pool: Pool, reader: str, file: BinaryIO, name: str, request: dict[str, Any], limits: Limits) -> Generator[Part]:
    """See `kimi_vl.media.sandbox.read`. However the iterator ends, its worker is given back or dead by then."""
    worker = pool.lend(READERS[reader].where)
    is_finished = False
    pixel_bytes = 0
    try:
        for part in _parts(worker, READERS[reader], file, name, request, limits):
            pixel_bytes += part.pixel_bytes
            with pool.paused():
                yield part
        is_finished = pixel_bytes < LARGE_JOB_BYTES
    finally:
        pool.give_back(worker, reusable=is_finished)


def _parts(worker: Worker, reader: Reader, file: BinaryIO, name: str, request: dict[str, Any], limits: Limits) -> Iterator[Part]:
    """What the worker says until it is done, within limits."""
    left_s, num_parts, pixel_bytes = limits.seconds, 0, 0
    while True:
        began = time.monotonic()
        try:
            if not num_parts:
                _begin(worker, file, name, request, limits)
            tag, part = worker.channel.receive(deadline=began + min(left_s, limits.part_seconds), most_pixels=limits.part_pixels)
        except TimeoutError:
            raise _too_slow(name, f"{min(limits.seconds, limits.part_seconds):g} s", reader) from None
        except ProtocolError:
            raise MediaError(f"{name} made its decoder answer nonsense, and it was stopped; save the file again", CRASHED) from None
        except (EOFError, OSError):
            raise _obituary(name, worker, reader, limits) from None
        left_s -= time.monotonic() - began
        if tag == Tag.END:
            return
        if tag != Tag.PART:
            raise _refusal(name, tag, part.facts, reader, limits)
        num_parts += 1
        pixel_bytes += part.pixel_bytes
        if num_parts > limits.parts or pixel_bytes > limits.pixel_bytes:
            raise MediaError(
                f"{name} decodes to over {limits.parts:,} pictures or {limits.pixel_bytes // MiB:,} MiB of pixels, the limit; {SMALLER}",
                "media_too_large",
            )
        yield part


def _begin(worker: Worker, file: BinaryIO, name: str, request: dict[str, Any], limits: Limits) -> None:
    job = {"name": name, "request": request, "cpu_seconds": limits.cpu_seconds, "memory_bytes": limits.memory_bytes}
    worker.jobs += 1
    worker.channel.sock.settimeout(limits.seconds)
    worker.channel.send(Tag.JOB, job, fds=(file.fileno(),))


def _too_slow(name: str, spent: str, reader: Reader) -> MediaError:
    return MediaError(f"{name} took more than {spent} to decode, the limit; {SMALLER}", reader.too_slow)


def _too_large(name: str, reader: Reader, limits: Limits) -> MediaError:
    return MediaError(f"{name} needs more than {limits.memory_bytes / MiB:,.0f} MiB to decode, the limit; {SMALLER}", reader.too_large)


def _refusal(name: str, tag: Tag, facts: dict[str, Any], reader: Reader, limits: Limits) -> InputError:
    """What the worker says went wrong, in words that may be shown: it may be lying, but not with control characters or at length."""
    if tag == Tag.MEMORY:
        return _too_large(name, reader, limits)
    if tag == Tag.REFUSED:
        code = str(facts.get("code", ""))
        if code == BAD_REQUEST:
            return InputError(_plain(facts.get("message")))
        return MediaError(_plain(facts.get("message")), code if re.fullmatch("[a-z_]{1,40}", code) else "invalid_media")
    reason = f"{_plain(facts.get('error'))}: {_plain(facts.get('detail'))}"[:160].strip(": ")
    return MediaError(f"{name} is damaged, or of a kind that its decoder does not know ({reason}); save or convert it again")


def _obituary(name: str, worker: Worker, reader: Reader, limits: Limits) -> MediaError:
    """Why a worker has hung up without a word."""
    death = worker.end()
    if death.signal == signal.SIGXCPU:
        return _too_slow(name, f"{limits.cpu_seconds} s of processor time", reader)
    if death.max_rss_bytes > limits.memory_bytes * 3 // 4:  # PDFium and others end themselves where there is no memory left
        return _too_large(name, reader, limits)
    how = signal.Signals(death.signal).name if death.signal in signal.valid_signals() else f"exit code {death.exit_code}"
    return MediaError(f"{name} has crashed its decoder ({how}); nothing else was harmed. Save the file again, or convert it", CRASHED)


def _plain(text: object) -> str:
    """One line without control characters or addresses in memory."""
    line = "".join(c if c.isprintable() else " " for c in str(text)[:MAX_MESSAGE_CHARS])
    return re.sub(r"0x[0-9a-fA-F]{4,}", "…", line)
