"""Reads one picture file. Runs inside (`media/sandbox`), and is the only module that opens pictures.

The format is known from the first bytes and Pillow is told to try no other; the size is checked in the header before anything is decoded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import Any, BinaryIO

from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.media.limits import ImageLimits
from kimi_vl.media.parts import Part
from kimi_vl.media.rgb import DECODE_ERRORS, damaged, finish, quiet, to_rgb

TIFF_COMPRESSIONS = frozenset({"raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "tiff_ccitt", "group3", "group4"})
MAX_ANIMATION_FRAMES = 2000  # every one is decoded on the way to the last, about 1 ms each at 280x224
MAX_PAGES = 1000  # of a TIFF; each is as large as a picture may be, and read only when the one before has been taken

Image.init()  # all of Pillow's readers now: inside, no module can be loaded any more
if find_spec("pillow_heif"):
    import_module("pillow_heif").register_heif_opener(thumbnails=False)


def read_picture(file: BinaryIO, name: str, request: dict[str, Any]) -> Iterator[Part]:
    """Give a picture, or what an animation or a file of several pages shows.

    `request` holds `format` (Pillow's name of it), `show`, the numbers of an `ImageLimits` under `limits`, and what `show` needs: "first"
    gives the first frame; "moments" what an animation shows every 1 / `per_second` seconds, at most `most` times, and a still picture
    once; "pages" each page of a TIFF, and of another file its first frame. Facts: `size_before` [width, height] as stored, and `seconds`
    or `page` (from 1).
    Raises: MediaError.
    """
    try:
        yield from _read(file.read(), name, request, ImageLimits(**request["limits"]))
    except MediaError:
        raise
    except Image.DecompressionBombError:
        raise MediaError(f"{name} has far more pixels than any limit allows; scale it down", "image_too_large") from None
    except DECODE_ERRORS as error:
        raise damaged(name, request["format"], error) from None


def _read(data: bytes, name: str, request: dict[str, Any], limits: ImageLimits) -> Iterator[Part]:
    with quiet():
        image = Image.open(BytesIO(data), formats=(request["format"],))
    _check_compression(image, name)
    if request["show"] == "moments" and image.format in ("GIF", "WEBP", "PNG", "AVIF") and getattr(image, "n_frames", 1) > 1:
        yield from _moments(image, name, request["per_second"], request["most"], limits)
    elif request["show"] == "pages" and image.format == "TIFF":
        yield from _pages(image, name, limits)
    else:
        yield _part(_stored_size(image), finish(image, name, limits))


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height in the file. Pillow turns a TIFF by itself, and its `size` says so before it has."""
    if image.format == "TIFF":
        return image.tag_v2[256], image.tag_v2[257]  # type: ignore[attr-defined]
    return image.size


def _part(size_before: tuple[int, int], rgb: Image.Image, **facts: Any) -> Part:
    return Part({"size_before": list(size_before), **facts}, image=rgb)


def _check_compression(image: Image.Image, name: str) -> None:
    compression = image.info.get("compression")
    if image.format == "TIFF" and compression not in TIFF_COMPRESSIONS:
        raise MediaError(f"{name} is a TIFF with {compression} compression; convert it to PNG or JPEG first", "unsupported_media")


def _pages(image: Image.Image, name: str, limits: ImageLimits) -> Iterator[Part]:
    """Each page as a picture of its own, one after another."""
    for number in range(1, MAX_PAGES + 2):
        this = f"page {number} of {name}"
        try:
            image.seek(number - 1)
        except EOFError:  # that was the last one
            return
        if number > MAX_PAGES:
            raise MediaError(f"{name} has more than {MAX_PAGES:,} pages, the limit; split it", "too_many_pages")
        _check_compression(image, this)
        yield _part(_stored_size(image), finish(image, this, limits), page=number)


def _moments(image: Image.Image, name: str, per_second: float, most: int, limits: ImageLimits) -> Iterator[Part]:
    """What an animation shows at moments spread evenly over its length."""
    count = getattr(image, "n_frames", 1)
    if count > MAX_ANIMATION_FRAMES:
        raise MediaError(f"{name} has {count:,} frames; at most {MAX_ANIMATION_FRAMES:,} are read. Cut it into parts", "image_too_large")
    shown, ends = _every_frame(image, count, name, limits)
    moments = min(most, max(1, round(ends[-1] * per_second)))
    step = max(1 / per_second, ends[-1] / most)
    for time in (k * step for k in range(moments)):
        yield _part(image.size, shown[min(bisect_right(ends, time), count - 1)], seconds=time)


def _every_frame(image: Image.Image, count: int, name: str, limits: ImageLimits) -> tuple[list[Image.Image], list[float]]:
    """The pictures of an animation and the seconds at which each ends."""
    limits.check(image.width, image.height, name)
    if image.width * image.height * count > 4 * limits.max_pixels:
        size = f"{image.width}×{image.height}"
        raise MediaError(f"{name} has {count:,} frames of {size} pixels, too much to hold; scale it down", "image_too_large")
    shown: list[Image.Image] = []
    ends: list[float] = []
    for number in range(count):
        image.seek(number)
        image.load()
        shown.append(to_rgb(image.copy()))
        ends.append((ends[-1] if ends else 0.0) + (image.info.get("duration") or 100) / 1000)
    return shown, ends
