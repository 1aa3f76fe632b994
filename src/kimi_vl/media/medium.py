"""Whatever somebody asks about, opened: a still picture, a scan of several pages, an animation, a video, a document. What is in it is
known; little is decoded yet.

Frames come one at a time from a confined process, as they are taken, and closing the iterator ends it. So nobody has to hold an hour of
pictures.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, ClassVar

from PIL import Image

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media import sandbox
from kimi_vl.media.budget import DecodedBudget
from kimi_vl.media.conversion import as_pdf
from kimi_vl.media.frames import ANIMATED, INSTEAD, Frame, Frames, ImageSource, check_readable, shown
from kimi_vl.media.identify import Kind
from kimi_vl.media.limits import DEFAULT_LIMITS, ImageLimits
from kimi_vl.media.parts import Part
from kimi_vl.media.rgb import finish
from kimi_vl.media.selection import Changes, Size, at_rate
from kimi_vl.media.sources import MAX_BYTES, Fetches, Source, open_source
from kimi_vl.media.transcript import Transcript
from kimi_vl.media.words import PageText

MAX_RATE = 240.0  # frames a second that can be asked for
PER_SECOND, MOST = 2.0, 32  # frames of a clip where nobody says anything: what nano was trained on (docs/media.md)


@dataclass(frozen=True, slots=True)
class Still:
    """One picture, decoded; `cut` where the model has seen it already."""

    name: str
    image: Image.Image
    cut: Any = None
    what: ClassVar[str] = "picture"

    def frame(self) -> Frame:
        """The picture itself."""
        return Frame(self.image, self.name, Kind.PICTURE, None, None, self.image.size)

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Reel:
    """Frames that the caller has decoded already: what `load_frames` gave."""

    name: str
    pictures: Frames
    what: ClassVar[str] = "frames"

    def frames(self) -> Generator[Frame]:
        """Each with its second."""
        for seconds, image in self.pictures:
            yield Frame(image, self.name, Kind.VIDEO, None, seconds, image.size)

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A TIFF of several `pages`, decoded."""

    name: str
    pages: tuple[Frame, ...]
    what: ClassVar[str] = "TIFF"

    @property
    def count(self) -> int:
        """Number of pages."""
        return len(self.pages)

    def frames(self, numbers: Sequence[int]) -> Generator[Frame]:
        """Pages by their numbers, from 1."""
        for number in numbers:
            yield self.pages[number - 1]

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class Opened:
    """A medium whose file stays open, because little of it is decoded yet."""

    source: Source

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.source.name

    def close(self) -> None:
        """Close the file."""
        self.source.file.close()


@dataclass(slots=True)
class Animation(Opened):
    """A GIF, WEBP, PNG or AVIF of several frames, `size` pixels large."""

    limits: ImageLimits
    size: Size
    what: ClassVar[str] = "animation"
    _counted: dict[tuple[float, int], list[float]] = field(default_factory=dict)

    def moments(self, per_second: float = PER_SECOND, most: int = MOST) -> list[float]:
        """The seconds of what `frames` gives. Decodes all of it once, and keeps no picture."""
        if (per_second, most) not in self._counted:
            self._counted[per_second, most] = [frame.seconds or 0.0 for frame in self.frames(per_second, most)]
        return self._counted[per_second, most]

    def frames(self, per_second: float = PER_SECOND, most: int = MOST) -> Generator[Frame]:
        """What is on screen every 1 / `per_second` seconds; of longer ones `most` such moments, evenly."""
        request: dict[str, object] = {"show": "moments", "per_second": per_second, "most": most}
        with closing(shown(self.source, self.limits, request)) as frames:
            yield from frames


@dataclass(slots=True)
class Video(Opened):
    """A video of `duration` seconds, `size` pixels large as shown. Of the last reading of frames `damaged_at` says where it met damage
    (seconds), and `repeats` how many were left out because they look like the one before.
    """

    facts: Mapping[str, Any]
    damaged_at: float | None = None
    repeats: int = 0
    what: ClassVar[str] = "video"
    _changes: dict[tuple[float, float], Changes] = field(default_factory=dict, repr=False)
    _transcripts: dict[tuple[float, float], Transcript] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> Size:
        """Width and height in pixels, upright and square."""
        return self.facts["width"], self.facts["height"]

    @property
    def duration(self) -> float:
        """Seconds from 0:00 to the end of the pictures."""
        return float(self.facts["duration"])

    def frames(self, moments: Sequence[float], size: Size | None = None, *, skip_repeats: bool = False) -> Generator[Frame]:
        """The frame on screen at each of `moments` (seconds, ascending), drawn at `size`; none for those behind damage, and, if repeats are
        to be skipped, none that looks like the one before.

        `seconds` of a frame is the moment asked for. Raises: MediaError.
        """
        self.repeats = 0
        request: dict[str, Any] = {
            "moments": list(moments),
            "max_frames": max(1, len(moments)),
            "repeats": "drop" if skip_repeats else "keep",
        }
        if size is not None:
            request["size"] = list(size)
        with closing(sandbox.read("video_frames", self.source.file, self.name, request)) as parts:
            for part in parts:
                self.damaged_at = part.facts.get("damaged_at", self.damaged_at)
                if skip_repeats:
                    self.repeats += len(part.facts.get("moments", ())) - (part.size is not None)
                if part.size is None:
                    continue
                image = part.as_image()
                for moment in part.facts["moments"][: 1 if skip_repeats else None]:
                    yield Frame(image, self.name, Kind.VIDEO, None, float(moment), self.size)

    def changes(self, start: float, end: float) -> Changes:
        """Cuts and motion from `start` up to `end` (seconds), found once and kept. Decodes all of it, small. Raises: MediaError."""
        if (start, end) not in self._changes:
            with closing(sandbox.read("video_changes", self.source.file, self.name, {"start": start, "end": end})) as parts:
                self._changes[start, end] = Changes.from_facts(part.facts for part in parts)
        return self._changes[start, end]

    @property
    def has_subtitles(self) -> bool:
        """Whether the file itself holds subtitles that are text."""
        return bool(self.facts["subtitles"])

    def transcript(self, start: float, end: float) -> Transcript:
        """What is on screen as subtitles from `start` up to `end` (seconds), of the track meant to be shown, found once and kept.

        Raises: MediaError where there are none, or they cannot be read.
        """
        if (start, end) not in self._transcripts:
            with closing(sandbox.read("video_subtitles", self.source.file, self.name, {"start": start, "end": end})) as parts:
                self._transcripts[start, end] = Transcript.from_facts(part.facts for part in parts)
        return self._transcripts[start, end]


@dataclass(slots=True)
class Document(Opened):
    """A PDF of `count` pages. `broken`: pages that could not be read so far, with the reason; `blank`: pages drawn so far, with how many of
    their characters no font here can draw; `laid_out`: what it was before LibreOffice made pages of it, such as "DOCX".
    """

    facts: Mapping[str, Any]
    password: str | None = field(default=None, repr=False)
    broken: dict[int, str] = field(default_factory=dict)
    blank: dict[int, int] = field(default_factory=dict)
    laid_out: str | None = None
    what: ClassVar[str] = "PDF"
    _texts: dict[int, str] = field(default_factory=dict, repr=False)
    _sizes: dict[int, tuple[float, float]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._sizes |= {k + 1: (width, height) for k, (width, height) in enumerate(self.facts["sizes"]) if min(width, height) > 0}

    @property
    def count(self) -> int:
        """Number of pages."""
        return int(self.facts["pages"])

    def texts(self) -> list[str]:
        """The text layer of every page, without places, for searching; empty for a page that cannot be read."""
        self._read_texts([page for page in range(1, self.count + 1) if page not in self._texts])
        return [self._texts[page] for page in range(1, self.count + 1)]

    def size(self, page: int) -> tuple[float, float]:
        """Width and height of a page (from 1) in points, as shown. Raises: MediaError for one that cannot be read."""
        if page not in self._sizes and page not in self._texts:
            self._read_texts([page])
        if page not in self._sizes:
            raise MediaError(f"{self.name}: {self.broken.get(page, f'page {page} cannot be read')}")
        return self._sizes[page]

    def words(self, pages: Sequence[int]) -> list[PageText]:
        """The text layer of some pages, with places; without those that cannot be read."""
        if not pages:
            return []
        return [PageText.from_facts(part.facts) for part in self._read("document_text", {"pages": list(pages)}) if "words" in part.facts]

    def frames(self, pages: Sequence[int], sizes: Sequence[Size]) -> Generator[Frame]:
        """Pages (from 1) as pictures, each fitted into its size (pixels); pages that cannot be drawn are left out and `broken`."""
        for size, group in groupby(zip(pages, sizes, strict=True), key=lambda pair: pair[1]):
            numbers = [page for page, _ in group]
            with closing(self._read("document_pages", {"pages": numbers, "size": list(size)})) as parts:
                for part in parts:
                    if part.size is not None:
                        points = (round(part.facts["width"]), round(part.facts["height"]))
                        yield Frame(part.as_image(), self.name, Kind.DOCUMENT, part.facts["page"], None, points)

    def _read_texts(self, pages: Sequence[int]) -> None:
        if not pages:
            return
        self._texts |= dict.fromkeys(pages, "")
        for part in self._read("document_text", {"pages": list(pages), "boxes": False}):
            facts = part.facts
            if "text" in facts:
                self._texts[facts["page"]] = facts["text"]
                self._sizes[facts["page"]] = (facts["width"], facts["height"])

    def _read(self, reader: str, request: dict[str, Any]) -> Generator[Part]:
        with closing(sandbox.read(reader, self.source.file, self.name, {**request, "password": self.password})) as parts:
            for part in parts:
                if "error" in part.facts:
                    self.broken[part.facts["page"]] = str(part.facts["error"])
                if "blank" in part.facts:
                    self.blank[part.facts["page"]] = part.facts["blank"]
                yield part


Medium = Still | Reel | Scan | Animation | Video | Document


def open_medium(
    source: object,
    *,
    password: str | None = None,
    limits: ImageLimits = DEFAULT_LIMITS,
    fetcher: Fetches | None = None,
    budget: DecodedBudget | None = None,
    named: str | None = None,
) -> Medium:
    """Open a path, bytes, a binary stream, a data URL, a web address (where there is a `fetcher`), a Pillow image, or what `load_frames`
    gave.

    A picture is decoded, and counted against the `budget` of its request; of anything else only what it is. Close it when its question has
    been answered. `password` is for PDFs that want one, `named` what to call it instead of its path. Raises: MediaError for a file that
    cannot be read, InputError for a source of another type.
    """
    if isinstance(source, (Still, Reel, Scan, Animation, Video, Document)):
        return source
    if isinstance(source, list):
        return _reel(source)
    if budget is not None:
        limits = budget.within(limits)
    if isinstance(source, Image.Image):
        medium: Medium = Still("the image", finish(source, "the image", limits))
    else:
        medium = _open_file(source, password, limits, fetcher, named)
    if budget is not None:
        held = [medium.image] if isinstance(medium, Still) else [page.image for page in medium.pages] if isinstance(medium, Scan) else []
        for image in held:
            budget.spend(*image.size, medium.name)
    return medium


def _open_file(source: object, password: str | None, limits: ImageLimits, fetcher: Fetches | None, named: str | None = None) -> Medium:
    allowed = {**MAX_BYTES, Kind.PICTURE: limits.max_bytes}
    opened = open_source(source, max_bytes=allowed, fetcher=fetcher, what="the file", named=named)
    try:
        medium = _examined(opened, password, limits)
    except BaseException:
        opened.file.close()
        raise
    if isinstance(medium, (Still, Scan)):
        opened.file.close()
    return medium


def _reel(pictures: list[Any]) -> Reel:
    if not all(isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Image.Image) for pair in pictures) or not pictures:
        raise InputError("frames must be a list of (seconds, PIL image), as `load_frames` gives it")
    return Reel("the frames", pictures)


def _examined(opened: Source, password: str | None, limits: ImageLimits) -> Medium:
    kind = opened.identity.kind
    if kind == Kind.OFFICE:
        return _office(opened, limits)
    if kind == Kind.PICTURE:
        return _picture(opened, limits)
    if kind == Kind.VIDEO:
        (part,) = sandbox.read("video_info", opened.file, opened.name)
        return Video(opened, part.facts)
    (part,) = sandbox.read("document_info", opened.file, opened.name, {"password": password})
    if part.facts["locked"]:
        raise MediaError(f"{opened.name} is encrypted and needs a password: --pdf-password, in Python password=", "pdf_password_required")
    return Document(opened, part.facts, password)


def _office(opened: Source, limits: ImageLimits) -> Medium:
    pdf, form = as_pdf(opened)
    try:
        document = _examined(pdf, None, limits)
        assert isinstance(document, Document)
        document.laid_out = form
    except BaseException:
        pdf.file.close()
        raise
    opened.file.close()
    return document


def _picture(opened: Source, limits: ImageLimits) -> Still | Scan | Animation:
    check_readable(opened)
    if opened.identity.format == "TIFF":
        pages = tuple(shown(opened, limits, {"show": "pages"}))
        return Scan(opened.name, pages) if len(pages) > 1 else Still(opened.name, pages[0].image)
    if opened.identity.format not in ANIMATED:
        (frame,) = shown(opened, limits, {"show": "first"})
        return Still(opened.name, frame.image)
    first, moments = None, []
    for frame in shown(opened, limits, {"show": "moments", "per_second": PER_SECOND, "most": MOST}):
        first = first or frame
        moments.append(frame.seconds or 0.0)
    if first is None:
        raise MediaError(f"{opened.name} gave no picture", "media_decoder_crashed")
    if len(moments) == 1:
        return Still(opened.name, first.image)
    animation = Animation(opened, replace(limits, left_pixels=None), first.image.size)  # its frames are held one at a time
    animation._counted[PER_SECOND, MOST] = moments
    return animation


def load_frames(
    source: ImageSource,
    *,
    per_second: float = PER_SECOND,
    most: int = MOST,
    limits: ImageLimits = DEFAULT_LIMITS,
    fetcher: Fetches | None = None,
) -> Frames:
    """What a video, or an animated GIF, WEBP, PNG or AVIF, shows every 1 / `per_second` seconds, as (seconds from the start, picture as by
    `load_image`).

    One of more than `most` such moments is sampled more coarsely, evenly over its length; a still picture is its only frame, at 0. A frame
    of an animation whose file says no duration lasts a tenth of a second, as in browsers.
    Raises: as `load_image`, and MediaError for an animation of more than 2,000 frames, or a document.
    """
    if not (0 < per_second <= MAX_RATE and most >= 1):
        raise InputError(f"per_second is {per_second!r} and most {most!r}; they must be above 0 (at most {MAX_RATE:g}), and at least 1")
    medium = open_medium(source, limits=limits, fetcher=fetcher)
    try:
        if isinstance(medium, Still):
            return [(0.0, medium.image)]
        if isinstance(medium, Document):
            raise MediaError(f"{medium.name} is {INSTEAD[Kind.DOCUMENT]}", "unsupported_media")
        if isinstance(medium, Scan):
            return [(0.0, medium.pages[0].image)]
        if isinstance(medium, Reel):
            return medium.pictures
        if isinstance(medium, Video):
            found = medium.frames(at_rate(0.0, medium.duration, per_second, most))
        else:
            found = medium.frames(per_second, most)
        return [(frame.seconds or 0.0, frame.image) for frame in found]
    finally:
        medium.close()
