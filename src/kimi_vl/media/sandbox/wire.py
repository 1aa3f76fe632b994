"""How two sides talk: messages of a fixed head, a JSON object and, for a picture, its pixels. Nothing is ever unpickled.

Both sides trust the parent. What comes from inside is checked here against limits before any memory is set aside for it.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from kimi_vl.media.parts import Part

if TYPE_CHECKING:  # both are imported where pixels arrive: the command line starts the nursery before it has time for that
    import numpy as np
    from PIL import Image

HEAD = struct.Struct("!4sBIIIQ")  # mark, tag, bytes of JSON, height, width, bytes of pixels
MARK = b"KVM1"
STEP = b"\1"  # "a piece lies in the slab", and back: "it is taken"
BAD_REQUEST = "request"  # instead of a code: the reader has raised InputError, for what the caller asked
ARRAY_PIXEL, IMAGE_PIXEL = 3, 4  # bytes: RGB, and Pillow's RGB, which has a fourth byte that means nothing
CACHED_BYTES = 1 << 18  # copied twice while they lie in the processor's cache
MAX_JSON_BYTES = 1 << 20  # a page's text layer fits in this; a million letters are more than the model's context


class Tag(IntEnum):
    """What a message is."""

    READY = 0  # from a new worker: which protections hold; from the nursery: it has begun
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


class Channel:
    """One end of a socket, and the slab for pixels where there is one."""

    def __init__(self, sock: socket.socket, slab: memoryview | None = None) -> None:
        self.sock = sock
        self._slab = slab
        self._is_slab_full = False  # a piece of ours lies in it that the other side has not taken
        # We have taken a piece and not said so: after the last one nobody waits for that, and a needless wake-up costs up to a millisecond.
        self._owes_step = False

    def close(self) -> None:
        """Hang up and let go of the slab; again is no harm."""
        self.sock.close()
        if self._slab is not None:
            memory = self._slab.obj
            self._slab.release()
            self._slab = None
            memory.close()  # type: ignore[attr-defined]  # it is the mmap of `slab.mapped`

    def send(self, tag: Tag, facts: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        """Send one message, waiting as long as the other side is busy. Raises: ProtocolError for facts that are too long; OSError."""
        message = _message(tag, facts)
        if fds:
            # One byte carries the descriptors, so that the rest may be sent in pieces.
            socket.send_fds(self.sock, [message[:1]], fds)
            message = message[1:]
        self.sock.sendall(message)

    def send_part(self, part: Part) -> None:
        """Send a part with its picture. Raises: as `send`."""
        width, height = part.size or (0, 0)
        is_image = part.image is not None and width <= self._pixels_in_slab()
        message = _message(Tag.PART, part.facts, height, width, (IMAGE_PIXEL if is_image else ARRAY_PIXEL) * height * width)
        if part.size is None:
            self.sock.sendall(message)
            return
        for _ in self._filled_with_rows(part.as_image()) if is_image else self._filled(part.as_pixels().data.cast("B")):
            self.sock.sendall(message + STEP)  # the first piece lies there before the message comes, so that the other side wakes up once
            self._is_slab_full, message = True, b""

    def receive(self, *, deadline: float | None = None, most_pixels: int = 0, fds: list[int] | None = None) -> tuple[Tag, Part]:
        """The next message; descriptors that came with it are appended to `fds`.

        Raises: EOFError when the other side has gone, TimeoutError after `deadline` (time.monotonic), ProtocolError for a message that is
        malformed or larger than allowed.
        """
        if self._owes_step and not self._has_something():
            self._pay_step()
        head = self._take(1, deadline, fds)
        if self._is_slab_full:  # who sends a message has taken what lay there, and may have said so
            self._is_slab_full = False
            head = self._take(1, deadline, fds) if head == STEP else head
        head += self._take(HEAD.size - 1, deadline)
        mark, tag, text_bytes, height, width, pixel_bytes = HEAD.unpack(head)
        if mark != MARK or tag not in Tag._value2member_map_ or text_bytes > MAX_JSON_BYTES:
            raise ProtocolError("a head that is none")
        is_image = 0 < pixel_bytes == height * width * IMAGE_PIXEL and width <= self._pixels_in_slab()
        if not (is_image or pixel_bytes == height * width * ARRAY_PIXEL) or height * width > most_pixels:
            raise ProtocolError(f"a picture of {width}×{height} in {pixel_bytes} bytes")
        if tag == Tag.PART and self._owes_step:
            self._pay_step()
        self._owes_step = False
        facts = _object(self._take(text_bytes, deadline))
        if is_image:
            return Tag(tag), Part(facts, image=self._take_image(height, width, deadline))
        return Tag(tag), Part(facts, self._take_pixels(height, width, deadline) if pixel_bytes else None)

    def _pixels_in_slab(self) -> int:
        """Of an image: a row must fit, and pieces are whole rows."""
        return 0 if self._slab is None else len(self._slab) // IMAGE_PIXEL

    def _filled_with_rows(self, image: Image.Image) -> Iterator[None]:
        """Each time, the next rows of an image lie in the slab, as Pillow holds them: both sides copy and none converts.

        By the encoder of `Image.tobytes`, a few rows at a time: 0.3 ms a megapixel; by way of the bytes of a whole picture it takes 0.9.
        """
        from PIL import Image

        assert self._slab is not None
        width, height = image.size
        few, many = self._rows(width)
        encoder = Image._getencoder("RGB", "raw", ("RGBX", 0, 1))
        encoder.setimage(image.im, None)
        for top in range(0, height, many):
            self._wait_until_taken()
            end = 0
            for _ in range(top, min(top + many, height), few):
                _, _, rows = encoder.encode(IMAGE_PIXEL * few * width)
                self._slab[end : end + len(rows)] = rows
                end += len(rows)
            yield

    def _rows(self, width: int) -> tuple[int, int]:
        """Of an image of that width: how many are copied at once, and how many of these cross over together."""
        few = max(1, CACHED_BYTES // (IMAGE_PIXEL * width))
        return few, self._pixels_in_slab() // (few * width) * few

    def _filled(self, pixels: memoryview) -> Iterator[None]:
        """Each time, the next piece lies in the slab."""
        assert self._slab is not None
        for start in range(0, len(pixels), len(self._slab)):
            piece = pixels[start : start + len(self._slab)]
            self._wait_until_taken()
            self._slab[: len(piece)] = piece
            yield

    def _has_something(self) -> bool:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def _pay_step(self) -> None:
        self._owes_step = False
        self.sock.sendall(STEP)

    def _wait_until_taken(self) -> None:
        if self._is_slab_full:
            self._take(1, None)
            self._is_slab_full = False

    def _take_image(self, height: int, width: int, deadline: float | None) -> Image.Image:
        """A copy, straight from the slab into Pillow's memory. Its fourth bytes mean nothing, and Pillow looks at none.

        Pieces go where they belong by the decoder of `Image.frombytes`: to paste them took longer than to copy them here.
        """
        from PIL import Image

        assert self._slab is not None
        _, rows = self._rows(width)
        whole = Image.new("RGB", (width, height), None)
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            decoder = Image._getdecoder("RGB", "raw", ("RGBX", 0, 1))
            decoder.setimage(whole.im, (0, top, width, bottom))
            if self._owes_step:
                self._pay_step()
            self._take(1, deadline)
            decoder.decode(self._slab[: IMAGE_PIXEL * width * (bottom - top)])
            self._owes_step = True
        return whole

    def _take_pixels(self, height: int, width: int, deadline: float | None) -> np.ndarray:
        """A copy, which nobody inside can change any more."""
        import numpy as np

        assert self._slab is not None
        pixels_HWC = np.empty((height, width, 3), np.uint8)
        pixels = pixels_HWC.data.cast("B")
        for start in range(0, len(pixels), len(self._slab)):
            piece = pixels[start : start + len(self._slab)]
            self._take(1, deadline)
            piece[:] = self._slab[: len(piece)]
            self.sock.sendall(STEP)
        return pixels_HWC

    def _take(self, size: int, deadline: float | None, fds: list[int] | None = None) -> bytes:
        """So many bytes, and any descriptors beside the first of them."""
        taken = bytearray()
        while len(taken) < size:
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self.sock.settimeout(left)
            if fds is not None and not taken:
                data, found, _, _ = socket.recv_fds(self.sock, 1, 2)
                fds += found
            else:
                data = self.sock.recv(size - len(taken))
            if not data:
                raise EOFError
            taken += data
        return bytes(taken)


def _message(tag: Tag, facts: dict[str, Any], height: int = 0, width: int = 0, pixel_bytes: int = 0) -> bytes:
    text = json.dumps(facts, separators=(",", ":")).encode()
    if len(text) > MAX_JSON_BYTES:
        raise ProtocolError(f"facts of {len(text):,} bytes; at most {MAX_JSON_BYTES:,} are sent")
    return HEAD.pack(MARK, tag, len(text), height, width, pixel_bytes) + text


def _object(text: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("facts that are no JSON") from None
    if not isinstance(facts, dict):
        raise ProtocolError("facts that are no JSON object")
    return facts
