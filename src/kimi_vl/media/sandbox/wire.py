"""How the two sides talk: messages of a fixed head, a JSON object and, for a picture, its pixels. Nothing is ever unpickled.

Both sides trust the parent. What comes from inside is checked here against limits before any memory is set aside for it.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from kimi_vl.media.parts import Part

if TYPE_CHECKING:  # numpy is imported where pixels arrive: the command line starts the nursery before it has time for that
    import numpy as np

HEAD = struct.Struct("!4sBIIIQ")  # mark, tag, bytes of JSON, height, width, bytes of pixels
MARK = b"KVM1"
BAD_REQUEST = "invalid_value"  # the code of a refusal whose fault is in what the caller asked for, not in the file
MAX_JSON_BYTES = 1 << 20  # a page's text layer fits in this; a million letters are more than the model's context


class Tag(IntEnum):
    """What a message is."""

    READY = 0  # from a new worker: which protections hold
    JOB = 1  # to a worker: read this
    PART = 2  # from a worker: one part
    END = 3  # there are no more parts
    REFUSED = 4  # the reader has raised MediaError
    MEMORY = 5  # the memory limit was met
    FAILED = 6  # the reader has raised something else
    ASK = 7  # to the nursery
    REPLY = 8  # from the nursery


class ProtocolError(Exception):
    """The other side has said something that no honest one says."""


def send(sock: socket.socket, tag: Tag, facts: dict[str, Any], pixels_HWC: np.ndarray | None = None, fds: tuple[int, ...] = ()) -> None:
    """Send one message, waiting as long as the other side is busy. Raises: ProtocolError for facts that are too long; OSError."""
    text = json.dumps(facts, separators=(",", ":")).encode()
    if len(text) > MAX_JSON_BYTES:
        raise ProtocolError(f"facts of {len(text):,} bytes; at most {MAX_JSON_BYTES:,} are sent")
    height, width, size = (0, 0, 0) if pixels_HWC is None else (*pixels_HWC.shape[:2], pixels_HWC.nbytes)
    message = HEAD.pack(MARK, tag, len(text), height, width, size) + text
    if fds:
        # One byte carries the descriptors, so that the rest may be sent in pieces.
        socket.send_fds(sock, [message[:1]], fds)
        message = message[1:]
    sock.sendall(message)
    if pixels_HWC is not None:
        sock.sendall(memoryview(pixels_HWC).cast("B"))


def receive(
    sock: socket.socket, *, deadline: float | None = None, most_pixels: int = 0, fds: list[int] | None = None
) -> tuple[Tag, Part]:
    """The next message; descriptors that came with it are appended to `fds`.

    Raises: EOFError when the other side has gone, TimeoutError after `deadline` (time.monotonic), ProtocolError for a message that is
    malformed or larger than allowed.
    """
    head = bytearray(HEAD.size)
    _fill(sock, memoryview(head), deadline, fds)
    mark, tag, text_bytes, height, width, pixel_bytes = HEAD.unpack(head)
    if mark != MARK or tag not in Tag._value2member_map_ or text_bytes > MAX_JSON_BYTES:
        raise ProtocolError("a head that is none")
    if pixel_bytes != height * width * 3 or height * width > most_pixels:
        raise ProtocolError(f"a picture of {width}×{height} in {pixel_bytes} bytes")
    text = bytearray(text_bytes)
    _fill(sock, memoryview(text), deadline)
    facts = _object(text)
    if not pixel_bytes:
        return Tag(tag), Part(facts)
    import numpy as np

    pixels_HWC = np.empty((height, width, 3), np.uint8)
    _fill(sock, memoryview(pixels_HWC).cast("B"), deadline)
    return Tag(tag), Part(facts, pixels_HWC)


def _object(text: bytearray) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("facts that are no JSON") from None
    if not isinstance(facts, dict):
        raise ProtocolError("facts that are no JSON object")
    return facts


def _fill(sock: socket.socket, view: memoryview, deadline: float | None, fds: list[int] | None = None) -> None:
    """Receive until `view` is full."""
    filled = 0
    while filled < len(view):
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
        if fds is not None and not filled:
            data, found, _, _ = socket.recv_fds(sock, 1, 1)
            fds += found
            view[: len(data)] = data
            count = len(data)
        else:
            count = sock.recv_into(view[filled:])
        if not count:
            raise EOFError
        filled += count
