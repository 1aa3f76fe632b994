"""One picture, from whatever the caller holds, to 8-bit RGB.

This is the only module that opens a picture: the kind of file is read from its first bytes and must be on the list below, the
size is checked in the header before anything is decoded, and Pillow is told which one format to try. It opens no connection
and knows nothing of patches or tokens.
"""

from __future__ import annotations

import base64
import binascii
import re
import stat
import struct
import threading
import warnings
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from kimi_vl.errors import InputError, MediaError


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLimits:
    """What one picture may cost. A 9 KB PNG can claim 81 megapixels, so bytes alone say little."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 64_000_000
    max_side: int = 16_384

    def check(self, width: int, height: int, name: str) -> None:
        """Raises: MediaError for a picture that is empty, too wide, too high or too large."""
        if width < 1 or height < 1:
            raise MediaError(f"{name} is {width}×{height} pixels: there is nothing in it")
        if max(width, height) > self.max_side or width * height > self.max_pixels:
            raise MediaError(
                f"{name} is {width:,}×{height:,} pixels; at most {self.max_pixels:,} pixels and {self.max_side:,} on a side are read. "
                "Scale it down or cut it into parts"
            )


DEFAULT_LIMITS = ImageLimits()

TIFF_COMPRESSIONS = frozenset({"raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "tiff_ccitt", "group3", "group4"})

PICTURE_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
)

_VIDEO = "a video; pull pictures out of it first, e.g. `ffmpeg -i clip.mp4 -vf fps=1 frame-%03d.png`"
_PDF = "a PDF; turn the page into a PNG first, e.g. `pdftoppm -png -r 150 file.pdf page`"
_CONVERT = "convert it to PNG or JPEG first"

OTHER_MAGIC = (
    (b"%!PS", f"a PostScript file; {_CONVERT}"),
    (b"\xc5\xd0\xd3\xc6", f"a PostScript file; {_CONVERT}"),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"\0\0\x01\xba", _VIDEO),
    (b"\0\0\x01\xb3", _VIDEO),
    (b"FLV", _VIDEO),
    (b"\x30\x26\xb2\x75", _VIDEO),
    (b"OggS", "an Ogg sound or video file, not a picture"),
    (b"ID3", "a sound file, not a picture"),
    (b"fLaC", "a sound file, not a picture"),
    (b"8BPS", f"a Photoshop file; {_CONVERT}"),
    (b"\0\0\0\x0cjP  ", f"a JPEG 2000 picture; {_CONVERT}"),
    (b"\xff\x4f\xff\x51", f"a JPEG 2000 picture; {_CONVERT}"),
    (b"\0\0\0\x0cJXL ", f"a JPEG XL picture; {_CONVERT}"),
    (b"\xff\x0a", f"a JPEG XL picture; {_CONVERT}"),
    (b"II+\0", f"a BigTIFF picture; {_CONVERT}"),
    (b"MM\0+", f"a BigTIFF picture; {_CONVERT}"),
    (b"SIMPLE  =", f"a FITS picture; {_CONVERT}"),
    (b"\xd7\xcd\xc6\x9a", f"a Windows metafile; {_CONVERT}"),
    (b"\0\0\x01\0", f"an icon file; {_CONVERT}"),
    (b"PK\x03\x04", "a ZIP archive or office document; export the page as PNG first"),
    (b"\xd0\xcf\x11\xe0", "an office document; export the page as PNG first"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
)

STILL_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC"}

# What Pillow's readers raise on damaged files; a third of a million files with flipped bits raised nothing else.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error, zlib.error)

ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_WARNINGS_LOCK = threading.Lock()


def load_image(source: str | Path | bytes | Image.Image, *, limits: ImageLimits = DEFAULT_LIMITS) -> Image.Image:
    """Return `source` as an 8-bit RGB picture without metadata, upright, on white where it was transparent.

    `source` is a path, the bytes of a file, a base64 `data:` URL (its declared type is ignored, the bytes decide) or a Pillow
    image, which is left unchanged and returned itself where nothing is to be done. PNG, JPEG, WEBP, GIF, BMP and plain TIFF are
    read; of an animation or a multi-page file the first frame. EXIF orientation is applied and damaged metadata ignored; ICC
    profiles are not applied. 16-bit gray is scaled to 8 bits rather than clipped.

    Raises: MediaError naming the file, what it is and what to do, for anything unreadable, truncated, unsupported or larger than
    `limits`; InputError for a source of another type.
    """
    if isinstance(source, Image.Image):
        return _finish(source, "the image", limits)
    data, name = _contents(source, limits)
    return _finish(_open(data, name, limits), name, limits)


Frames = list[tuple[float, Image.Image]]  # (seconds from the start, picture)
MAX_ANIMATION_FRAMES = 2000  # every one is decoded on the way to the last, about 1 ms each at 280x224


def load_frames(
    source: str | Path | bytes | Image.Image, *, per_second: float = 2.0, most: int = 32, limits: ImageLimits = DEFAULT_LIMITS
) -> Frames:
    """What an animated GIF, WEBP or PNG shows every 1 / `per_second` seconds, as (seconds from the start, picture as by `load_image`).

    An animation of more than `most` such moments is sampled more coarsely, evenly over its length; a still picture is its only frame, at 0.
    A frame whose file says no duration lasts a tenth of a second, as in browsers.
    Raises: as `load_image`, and MediaError for an animation of more than 2,000 frames.
    """
    if isinstance(source, Image.Image):
        return [(0.0, load_image(source, limits=limits))]
    data, name = _contents(source, limits)
    image = _open(data, name, limits)
    count = getattr(image, "n_frames", 1) if image.format in ("GIF", "WEBP", "PNG") else 1
    if count == 1:
        return [(0.0, _finish(image, name, limits))]
    if count > MAX_ANIMATION_FRAMES:
        raise MediaError(f"{name} has {count:,} frames; at most {MAX_ANIMATION_FRAMES:,} are read. Cut it into parts")
    shown, ends = _every_frame(image, count, name, limits)
    moments = min(most, max(1, round(ends[-1] * per_second)))
    step = max(1 / per_second, ends[-1] / most)
    times = [k * step for k in range(moments)]
    return [(time, shown[min(bisect_right(ends, time), count - 1)]) for time in times]


def _every_frame(image: Image.Image, count: int, name: str, limits: ImageLimits) -> tuple[list[Image.Image], list[float]]:
    """The pictures of an animation and the seconds at which each ends."""
    limits.check(image.width, image.height, name)
    if image.width * image.height * count > 4 * limits.max_pixels:
        raise MediaError(f"{name} has {count:,} frames of {image.width}×{image.height} pixels, too much to hold; scale it down")
    shown: list[Image.Image] = []
    ends: list[float] = []
    for number in range(count):
        try:
            image.seek(number)
            image.load()
        except DECODE_ERRORS as error:
            raise _damaged(name, image.format or image.mode, error) from None
        shown.append(_to_rgb(image.copy()))
        ends.append((ends[-1] if ends else 0.0) + (image.info.get("duration") or 100) / 1000)
    return shown, ends


def _contents(source: object, limits: ImageLimits) -> tuple[bytes, str]:
    """The bytes of a file and what to call it in a message."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), "the image"
    if isinstance(source, str) and source[:5].lower() == "data:":
        return _data_url_bytes(source, limits), "the image in the data URL"
    if isinstance(source, str) and (scheme := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source)):
        hint = "fetching URLs comes with the server; download it first" if scheme[0].lower().startswith("http") else "pass a path"
        raise MediaError(f"{_short(source)} is a URL and this reader opens files: {hint} (or pass the bytes)")
    if isinstance(source, (str, Path)):
        return _file_bytes(Path(source), limits), _short(str(source))
    raise InputError(f"an image must be a path, bytes, a data: URL or a PIL image, not {type(source).__name__}")


def _short(name: str) -> str:
    return name if len(name) <= 200 else f"{name[:120]}…{name[-40:]}"


def _file_bytes(path: Path, limits: ImageLimits) -> bytes:
    name = _short(str(path))
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise MediaError(f"{name} is a directory; pass the picture files in it")
        # A pipe or device would block or never end.
        if not stat.S_ISREG(status.st_mode):
            raise MediaError(f"{name} is not a regular file")
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except FileNotFoundError:
        raise MediaError(f"{name} does not exist") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MediaError(f"{name!r} cannot be read: {reason}") from None
    return data


def _data_url_bytes(url: str, limits: ImageLimits) -> bytes:
    header, comma, payload = url.partition(",")
    if not comma or not header.lower().endswith(";base64"):
        raise MediaError(f"the data URL beginning {url[:40]!r} is malformed; it must read data:image/png;base64,...")
    payload = "".join(payload.split())
    if len(payload) > (limits.max_bytes + 3) * 4 // 3:
        raise MediaError(f"the image in the data URL is larger than the limit of {limits.max_bytes:,} bytes; scale it down")
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaError(f"the data URL beginning {url[:40]!r} is not valid base64: {error}") from None


def _identify(data: bytes, name: str) -> str:
    """The Pillow format of `data`, by its first bytes. Raises: MediaError saying what else it is."""
    for magic, picture_format in PICTURE_MAGIC:
        if data.startswith(magic):
            return picture_format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise MediaError(f"{name} is {_what_else(data)}. Supported pictures: PNG, JPEG, WEBP, GIF, BMP, TIFF")


def _what_else(data: bytes) -> str:
    for magic, what in OTHER_MAGIC:
        if data.startswith(magic):
            return what
    if data[4:8] == b"ftyp":
        still = STILL_BRANDS.get(data[8:12])
        return f"an {still} picture; {_CONVERT}" if still else _VIDEO
    if data[:4] == b"RIFF":
        return _VIDEO if data[8:12] == b"AVI " else "a RIFF file that holds no picture"
    head = data[:1024]
    if b"%PDF-" in head:
        return _PDF
    text = head.lower()
    if b"<svg" in text:
        return "an SVG drawing; render it to PNG first, e.g. `rsvg-convert -o out.png in.svg`"
    if b"<html" in text or b"<!doctype html" in text:
        return "an HTML page; take a screenshot as PNG first"
    if not re.search(rb"[^\t\n\r\x20-\x7e\x80-\xff]", head):
        return "a text file, not a picture; pass its text in the question"
    return "not a picture of a known format"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Pillow's warnings about damaged metadata and large sizes: the first are ignored here, the second refused.

    `catch_warnings` swaps process-wide state, hence the lock; only header and metadata parsing run inside it.
    """
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(data: bytes, name: str, limits: ImageLimits) -> Image.Image:
    """The picture with its header read and nothing decoded."""
    if not data:
        raise MediaError(f"{name} is empty (0 bytes)")
    if len(data) > limits.max_bytes:
        raise MediaError(f"{name} is larger than the limit of {limits.max_bytes:,} bytes; scale it down or save it as JPEG")
    picture_format = _identify(data, name)
    try:
        with _quiet():
            image = Image.open(BytesIO(data), formats=(picture_format,))
    except Image.DecompressionBombError:
        raise MediaError(f"{name} has far more than {limits.max_pixels:,} pixels, the limit; scale it down") from None
    except DECODE_ERRORS as error:
        raise _damaged(name, picture_format, error) from None
    compression = image.info.get("compression")
    if picture_format == "TIFF" and compression not in TIFF_COMPRESSIONS:
        raise MediaError(f"{name} is a TIFF with {compression} compression; {_CONVERT}")
    return image


def _damaged(name: str, picture_format: str, error: BaseException) -> MediaError:
    # Pillow's own words for an unreadable header quote the address of a buffer, which is nobody's business.
    reason = "its header is unreadable" if isinstance(error, UnidentifiedImageError) else str(error)[:120]
    return MediaError(f"{name} is a damaged or truncated {picture_format} picture ({reason}); save or download it again")


def _finish(image: Image.Image, name: str, limits: ImageLimits) -> Image.Image:
    """Check the size, decode, turn upright and convert: everything after the header."""
    limits.check(image.width, image.height, name)
    try:
        if image.format == "TIFF":  # parses metadata, and warns, while loading
            with _quiet():
                image.load()
        image.load()
        turn = _turn(image)
        rgb = _to_rgb(image)
    except DECODE_ERRORS as error:
        raise _damaged(name, image.format or image.mode, error) from None
    return rgb if turn is None else rgb.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What sets a loaded picture upright; None if it is, or says nothing readable. (Pillow has by now turned a TIFF itself.)"""
    with _quiet():
        try:
            return ORIENTATIONS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        except DECODE_ERRORS:
            return None


def _to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB without metadata; transparent pixels are composited on white, whatever colour hides under them."""
    if image.mode == "RGB" and not image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        rgb = _gray_to_8_bits(image).convert("RGB")
    elif image.has_transparency_data:
        straight = image
        if image.mode != "RGBA":
            straight = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
        if straight.getchannel("A").getextrema() != (255, 255):  # most screenshots hide nothing, and compositing takes 18 ns a pixel
            canvas = Image.new("RGBA", image.size, "white")
            canvas.alpha_composite(straight)
            straight = canvas
        rgb = straight.convert("RGB")
    else:
        rgb = image.convert("RGB")
    # An orientation left behind in the metadata would be applied a second time.
    rgb.info = {}
    return rgb


def _gray_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale deep gray to 8 bits, where Pillow's own conversion clips (40000 of 65535 must become 156, not 255).

    16-bit modes span 0 to 65535. `I` is read as 8-bit where all values fit, else as 16-bit where they fit; `F` as fractions where
    all lie in 0 to 1, else as 8-bit where they fit. Anything beyond is stretched from its least to its greatest value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    else:
        for full_range in (1.0, 255.0) if image.mode == "F" else (255.0, 65535.0):
            if low >= 0 and high <= full_range:
                low, high = 0.0, full_range
                break
    gray = np.rint((values - low) * 255.0 / max(high - low, 1e-300))
    if isinstance(image.info.get("transparency"), int):
        gray[values == image.info["transparency"]] = 255.0
    return Image.fromarray(gray.astype(np.uint8))
