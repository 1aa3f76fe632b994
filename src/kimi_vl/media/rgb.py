"""Any Pillow image to upright 8-bit RGB on white. Used by the reader inside, and on images that the caller has opened with Pillow."""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from kimi_vl.errors import MediaError
from kimi_vl.media.limits import ImageLimits

# What Pillow's readers raise on damaged files, that of AVIF RuntimeError. Divisions by zero are two of 55,866 damaged files.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)

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
_BAND_PIXELS = 1 << 20  # of deep gray at once: as float64 with copies 64 megapixels would take 2 GB


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings about damaged metadata and large sizes: the first are ignored here, the second refused.

    `catch_warnings` swaps process-wide state, hence the lock; only header and metadata parsing run inside it.
    """
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def damaged(name: str, picture_format: str, error: BaseException) -> MediaError:
    """What to say when a decoder has given up."""
    # Pillow's own words for an unreadable header quote the address of a buffer, which is nobody's business.
    reason = "its header is unreadable" if isinstance(error, UnidentifiedImageError) else str(error)[:120]
    return MediaError(f"{name} is a damaged or truncated {picture_format} picture ({reason}); save or download it again", "invalid_image")


def finish(image: Image.Image, name: str, limits: ImageLimits) -> Image.Image:
    """Check the size, decode, turn upright and convert: everything after the header."""
    limits.check(image.width, image.height, name)
    try:
        if image.format == "TIFF":  # parses metadata, and warns, while loading
            with quiet():
                image.load()
        image.load()
        turn = _turn(image)
        rgb = to_rgb(image)
    except DECODE_ERRORS as error:
        raise damaged(name, image.format or image.mode, error) from None
    return rgb if turn is None else rgb.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What sets a loaded picture upright; None if it is, or says nothing readable. (Pillow has by now turned a TIFF itself.)"""
    with quiet():
        try:
            return ORIENTATIONS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        except DECODE_ERRORS:
            return None


def to_rgb(image: Image.Image) -> Image.Image:
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
    low, high = _range(image)
    key = image.info.get("transparency")
    gray = np.empty((image.height, image.width), np.uint8)
    for top, values in _bands(image):
        band = np.rint((values - low) * 255.0 / max(high - low, 1e-300))
        if isinstance(key, int):
            band[values == key] = 255.0
        gray[top : top + len(band)] = band
    return Image.fromarray(gray)


def _range(image: Image.Image) -> tuple[float, float]:
    """The values that become 0 and 255."""
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    extremes = [(float(values.min()), float(values.max())) for _, values in _bands(image)]
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    for full_range in (1.0, 255.0) if image.mode == "F" else (255.0, 65535.0):
        if low >= 0 and high <= full_range:
            return 0.0, full_range
    return low, high


def _bands(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, values float64 [rows, width]) from top to bottom; what is no number is 0."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield top, np.nan_to_num(np.asarray(band, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
