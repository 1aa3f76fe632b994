"""Media as pictures, each with where it is from. Decoded inside (`media/sandbox`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.media import sandbox
from kimi_vl.media.identify import SUPPORTED, Kind
from kimi_vl.media.limits import DEFAULT_LIMITS, ImageLimits
from kimi_vl.media.rgb import finish
from kimi_vl.media.sandbox.limits import READERS, Limits
from kimi_vl.media.sources import Fetches, Source, open_source

ImageSource = str | Path | bytes | BinaryIO | Image.Image
Frames = list[tuple[float, Image.Image]]  # (seconds from the start, picture)

# What to do with a file of another kind where pictures are read.
_INSTEAD = {
    Kind.VIDEO: "a video; pull pictures out of it first, e.g. `ffmpeg -i clip.mp4 -vf fps=1 frame-%03d.png`",
    Kind.DOCUMENT: "a PDF; turn the page into a PNG first, e.g. `pdftoppm -png -r 150 file.pdf page`",
    Kind.OFFICE: "an office document; export it as PDF, or the page as PNG, first",
}
ANIMATION_CPU_S = 20  # every frame is decoded on the way to the last


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture with where it is from: upright RGB, and what it is called, which page (from 1) or second it shows, and how large
    (width, height) the medium itself holds it.
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
    with _picture(source, limits, fetcher) as picture:
        (frame,) = _shown(picture, limits, {"show": "first"})  # all there is: a worker whose reader is left early is ended
        return frame.image


def load_frames(
    source: ImageSource,
    *,
    per_second: float = 2.0,
    most: int = 32,
    limits: ImageLimits = DEFAULT_LIMITS,
    fetcher: Fetches | None = None,
) -> Frames:
    """What an animated GIF, WEBP, PNG or AVIF shows every 1 / `per_second` seconds, as (seconds from the start, picture as by
    `load_image`).

    An animation of more than `most` such moments is sampled more coarsely, evenly over its length; a still picture is its only frame, at 0.
    A frame whose file says no duration lasts a tenth of a second, as in browsers.
    Raises: as `load_image`, and MediaError for an animation of more than 2,000 frames.
    """
    if isinstance(source, Image.Image):
        return [(0.0, load_image(source, limits=limits))]
    request = {"show": "moments", "per_second": per_second, "most": most}
    with _picture(source, limits, fetcher) as picture:
        return [(frame.seconds or 0.0, frame.image) for frame in _shown(picture, limits, request)]


def load_pages(source: ImageSource, *, limits: ImageLimits = DEFAULT_LIMITS, fetcher: Fetches | None = None) -> Iterator[Frame]:
    """Each page of a TIFF, one after another, each within `limits`; of another picture its first frame, which is no page.

    Raises: as `load_image`, naming the page.
    """
    if isinstance(source, Image.Image):
        yield Frame(load_image(source, limits=limits), "the image", Kind.PICTURE, None, None, source.size)
        return
    with _picture(source, limits, fetcher) as picture:
        yield from _shown(picture, limits, {"show": "pages"})


def _picture(source: object, limits: ImageLimits, fetcher: Fetches | None) -> Source:
    """The open picture file. Raises: MediaError for a file of another kind, or a picture that is not read here."""
    opened = open_source(source, max_bytes={Kind.PICTURE: limits.max_bytes}, fetcher=fetcher)
    kind = opened.identity.kind
    if kind != Kind.PICTURE:
        opened.file.close()
        raise MediaError(f"{opened.name} is {_INSTEAD[kind]}. {SUPPORTED}", "unsupported_media")
    if opened.identity.format == "HEIF" and find_spec("pillow_heif") is None:
        opened.file.close()
        raise MediaError(
            f"{opened.name} is an HEIC picture; to read these, run: pip install 'kimi-vl[heif]' (or convert it to JPEG)",
            "unsupported_media",
        )
    return opened


def _shown(picture: Source, limits: ImageLimits, request: dict[str, object]) -> Iterator[Frame]:
    """What the reader inside gives, as frames."""
    animated = request["show"] == "moments" and picture.identity.format in ("GIF", "WEBP", "PNG", "AVIF")
    budget = READERS["picture"].limits
    allowed = Limits(
        seconds=budget.seconds + (ANIMATION_CPU_S if animated else 0),
        cpu_seconds=ANIMATION_CPU_S if animated else budget.cpu_seconds,
        memory_bytes=budget.memory_bytes,
        part_pixels=limits.max_pixels,
    )
    request = {**request, "format": picture.identity.format, "limits": asdict(limits)}
    for part in sandbox.read("picture", picture.file, picture.name, request, allowed):
        facts = part.facts
        if part.size is None:
            raise MediaError(f"{picture.name} gave no picture", "media_decoder_crashed")
        width, height = facts["size_before"]
        yield Frame(part.as_image(), picture.name, Kind.PICTURE, facts.get("page"), facts.get("seconds"), (width, height))
