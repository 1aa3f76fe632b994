"""Media as pictures, each with where it is from. Decoded inside (`media/sandbox`)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.media import sandbox
from kimi_vl.media.identify import SUPPORTED_PICTURES, Kind
from kimi_vl.media.limits import DEFAULT_LIMITS, ImageLimits
from kimi_vl.media.rgb import finish
from kimi_vl.media.sandbox.limits import READERS, Limits
from kimi_vl.media.sources import Fetches, Source, open_source

ImageSource = str | Path | bytes | BinaryIO | Image.Image
Frames = list[tuple[float, Image.Image]]  # (seconds from the start, picture)

# What to do with a file of another kind where a single picture is read.
INSTEAD = {
    Kind.VIDEO: "a video, not a picture; `kimi-vl ask` and `KimiVL.ask(..., media=...)` look at its frames",
    Kind.DOCUMENT: "a PDF, not a picture; `kimi-vl ask` and `KimiVL.ask(..., media=...)` look at its pages",
    Kind.OFFICE: "an office document, not a picture; `kimi-vl ask` and `KimiVL.ask(..., media=...)` look at its pages",
}
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")  # formats that can hold one
ANIMATION_CPU_S = 20  # every frame is decoded on the way to the last


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture with where it is from: upright RGB, and what it is called, which page (from 1) or second it shows, and how large
    (width, height) the medium itself holds it: pixels, of a page points.
    """

    image: Image.Image
    name: str
    kind: Kind
    page: int | None
    seconds: float | None
    size_before: tuple[int, int]


def load_image(source: ImageSource, *, limits: ImageLimits = DEFAULT_LIMITS, fetcher: Fetches | None = None) -> Image.Image:
    """Return `source` as an 8-bit RGB picture without metadata, upright, on white where it was transparent.

    `source` is a path, the bytes of a file, a binary stream, a base64 `data:` URL (its declared type is ignored, the bytes decide), a web
    address where there is a `fetcher`, or a Pillow image. The image is left unchanged and returned itself where nothing is to be done; it
    is the one thing that is decoded in this process, for its caller has opened it here. PNG, JPEG, WEBP, GIF, BMP, plain TIFF, AVIF and
    with the extra `heif` HEIC are read; of an animation or a multi-page file the first frame. EXIF orientation is applied and damaged
    metadata ignored; ICC profiles are not applied. 16-bit gray is scaled to 8 bits rather than clipped.

    Raises: MediaError naming the file, what it is and what to do, for anything unreadable, truncated, unsupported or larger than
    `limits`; InputError for a source of another type.
    """
    if isinstance(source, Image.Image):
        return finish(source, "the image", limits)
    with _open(source, limits, fetcher) as picture:
        (frame,) = shown(picture, limits, {"show": "first"})  # all there is: a worker whose reader is left early is ended
        return frame.image


def _open(source: object, limits: ImageLimits, fetcher: Fetches | None) -> Source:
    """The open picture file. Raises: MediaError for a file of another kind, or a picture that is not read here."""
    opened = open_source(source, max_bytes={Kind.PICTURE: limits.max_bytes}, fetcher=fetcher)
    try:
        if opened.identity.kind != Kind.PICTURE:
            raise MediaError(f"{opened.name} is {INSTEAD[opened.identity.kind]}. {SUPPORTED_PICTURES}", "unsupported_media")
        check_readable(opened)
    except MediaError:
        opened.file.close()
        raise
    return opened


def check_readable(picture: Source) -> None:
    """Raises: MediaError for a picture whose reader is not installed."""
    if picture.identity.format == "HEIF" and find_spec("pillow_heif") is None:
        raise MediaError(
            f"{picture.name} is an HEIC picture; to read these, run: pip install 'kimi-vl[heif]' (or convert it to JPEG)",
            "unsupported_media",
        )


def shown(picture: Source, limits: ImageLimits, request: dict[str, object]) -> Generator[Frame]:
    """What the reader inside gives of an open picture file, as frames; `request` as for `pictures.read_picture`, without its limits."""
    animated = request["show"] == "moments" and picture.identity.format in ANIMATED
    budget = READERS["picture"].limits
    allowed = Limits(
        seconds=budget.seconds + (ANIMATION_CPU_S if animated else 0),
        cpu_seconds=ANIMATION_CPU_S if animated else budget.cpu_seconds,
        memory_bytes=budget.memory_bytes,
        part_pixels=limits.max_pixels,
    )
    request = {**request, "format": picture.identity.format, "limits": asdict(limits)}
    with closing(sandbox.read("picture", picture.file, picture.name, request, allowed)) as parts:
        for part in parts:
            facts = part.facts
            if part.size is None:
                raise MediaError(f"{picture.name} gave no picture", "media_decoder_crashed")
            width, height = facts["size_before"]
            yield Frame(part.as_image(), picture.name, Kind.PICTURE, facts.get("page"), facts.get("seconds"), (width, height))
