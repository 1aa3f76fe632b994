"""What a question sees of its media: which pictures, frames and pages, how large, behind which labels; what was left out, and why.

`look` decides it within a number of tokens (`budget.py`), decodes one picture after another and keeps of each what the model sees. The
prompt is made of what it gives, and so is what `--dry-run` prints.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from statistics import median_low
from typing import Any, Self

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media.clip import Clip, parse_clip
from kimi_vl.media.frames import Frame
from kimi_vl.media.identify import Kind
from kimi_vl.media.medium import MAX_RATE, Animation, Document, Medium, Reel, Scan, Still, Video
from kimi_vl.media.pages import fit_page, parse_pages, said_pages, select_pages
from kimi_vl.media.selection import Frugality, Size, TokensOf, fit, select
from kimi_vl.media.transcript import Cue, chosen_cues
from kimi_vl.processor.budget import Legibility, fair_shares, frugality_for, legibility_for, room
from kimi_vl.processor.chat import MAX_IMAGES, ImagePart, Message, TextPart
from kimi_vl.processor.image import Cut
from kimi_vl.processor.labels import format_time, page_label, speech_line, time_label
from kimi_vl.processor.processor import Processor

Arrived = Callable[[Cut], None]

EVERYTHING = 1 << 40  # tokens: no limit
MOST_TOKENS = 10_000_000  # that a caller can allow
MARKS = 5  # tokens around a picture
APPLIES: dict[str, tuple[type, ...]] = {
    "clip": (Video,),
    "pages": (Document, Scan),
    "frames": (Video, Animation),
    "fps": (Video, Animation),
    "policy": (Video,),
    "skip_repeats": (Video,),
    "media_tokens": (Video, Animation, Document),
}
MEANT: dict[tuple[type, ...], str] = {
    (Video,): "videos",
    (Document, Scan): "PDFs and TIFFs of several pages",
    (Video, Animation): "videos and animations",
    (Video, Animation, Document): "videos, animations and PDFs",
}
PLACED = ("even", "scene", "adaptive")
SPEECH_SHARE = 2  # of a video's tokens: half may go to what is said, more only where the frames want less
LONGEST_SAMPLED = 60.0  # frames a second of which so many as are asked for are taken from an animation


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What the caller says about which parts of the media are looked at; None leaves it to the rules.

    clip: "00:10-00:40" of videos; pages: "3-7,9" or numbers, of PDFs and TIFFs; frames: how many, or fps: how many a second, of videos and
    animations; policy: where in a video these lie: "even", "scene" or "adaptive" (`media/selection.py`); media_tokens: what all media may
    take of the prompt; transcript: True shows what is said in videos, by the subtitles in their files, between the frames; skip_repeats:
    True leaves out frames of videos that look like the one before.
    Raises: InputError for a bad value.
    """

    clip: str | Clip | None = None
    pages: str | Sequence[int] | None = None
    frames: int | None = None
    fps: float | None = None
    policy: str | None = None
    media_tokens: int | None = None
    transcript: bool | None = None
    skip_repeats: bool | None = None

    def __post_init__(self) -> None:
        if isinstance(self.clip, str):
            object.__setattr__(self, "clip", parse_clip(self.clip))
        if not isinstance(self.clip, Clip | None):
            raise InputError(f"clip is {self.clip!r}; it must be a text such as '00:10-00:40'")
        if isinstance(self.pages, (list, tuple)) and self.pages and all(type(page) is int for page in self.pages):
            object.__setattr__(self, "pages", ",".join(map(str, self.pages)))
        if not isinstance(self.pages, str | None):
            raise InputError(f"pages is {str(self.pages)[:60]!r}; it must be a text such as '3-7,9', or page numbers")
        if self.frames is not None and not (type(self.frames) is int and 1 <= self.frames <= MAX_IMAGES):
            raise InputError(f"frames is {self.frames!r}; it must be a whole number from 1 to {MAX_IMAGES}")
        if self.fps is not None and not (type(self.fps) in (int, float) and 0 < self.fps <= MAX_RATE):
            raise InputError(f"fps is {self.fps!r}; it must be a number of frames a second above 0, at most {MAX_RATE:g}")
        if self.frames is not None and self.fps is not None:
            raise InputError("frames and fps say the same in two ways; give one of them")
        for name in ("transcript", "skip_repeats"):
            if not isinstance(value := getattr(self, name), bool | None):
                raise InputError(f"{name} is {str(value)[:40]!r}; it must be True or False")
        if self.policy not in (None, *PLACED):
            raise InputError(f"policy is {str(self.policy)[:40]!r}; it must be one of {', '.join(map(repr, PLACED))}")
        if self.media_tokens is not None and not (type(self.media_tokens) is int and 1 <= self.media_tokens <= MOST_TOKENS):
            raise InputError(f"media_tokens is {self.media_tokens!r}; it must be a whole number from 1 to {MOST_TOKENS:,}")

    def check(self, media: Sequence[Medium]) -> None:
        """Raises: InputError for what applies to none of the media, or lies outside one it applies to."""
        for name, kinds in APPLIES.items():
            if getattr(self, name) is not None and not any(isinstance(medium, kinds) for medium in media):
                raise InputError(f"{name} applies to none of the files: it is for {MEANT[kinds]}, and there is none")
        if self.transcript and not any(isinstance(medium, Video) and medium.has_subtitles for medium in media):
            raise InputError(
                "transcript applies to none of the files: it is for videos that hold subtitles as text, and there is none; "
                "a file of subtitles beside a video is put into it by e.g. `ffmpeg -i clip.mp4 -i clip.srt -c copy -c:s mov_text both.mp4`"
            )
        for medium in media:
            try:
                if isinstance(medium, Video) and isinstance(self.clip, Clip):
                    self.clip.within(medium.duration)
                if isinstance(medium, (Document, Scan)) and self.pages is not None:
                    parse_pages(str(self.pages), medium.count)
            except InputError as error:
                raise InputError(f"{medium.name}: {error}") from None


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One picture of a prompt: of which medium (from 0), what stands before it, and its patches.

    `size_before` is as large as the medium holds it: pixels, of a page points. `before` and `behind` are lines of speech: what is said
    between the picture before and this one, and after the last.
    """

    medium: int
    name: str
    kind: Kind
    label: str
    page: int | None
    seconds: float | None
    size_before: Size
    cut: Cut
    before: str = ""
    behind: str = ""

    @property
    def size(self) -> Size:
        """Width and height in pixels as the model sees it, without padding."""
        return self.cut.size

    @property
    def shrunk(self) -> str:
        """Of a picture that is larger than the model takes: from what to what, and why. Empty of all others; what becomes of frames and
        of a PDF's pages is in `Looked.notes`.
        """
        (wide, high), (width, height) = self.size_before, self.size
        if self.kind is not Kind.PICTURE or self.seconds is not None or wide * high <= width * height:
            return ""
        return f"scaled down from {wide}×{high} to {width}×{height} pixels, the most that the official processor lets the model see"


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at of one medium: `pages` of `of` pages, or frames at `seconds`.

    `notes` say what was shrunk or left out, and why; `details` why each page was chosen, where pages were. `speech` is what was shown of
    the subtitles, and takes `speech_tokens`.
    """

    name: str
    what: str
    pages: tuple[int, ...] = ()
    of: int | None = None
    seconds: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    speech: tuple[Cue, ...] = ()
    speech_tokens: int = 0

    def __str__(self) -> str:
        """As it is said beside an answer; empty where everything was seen as it is."""
        return f"{self.name}: {'; '.join(self.notes)}" if self.notes else ""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """All that one question sees: `views` in the order of the prompt, and what was looked at of each of the media.

    `tokens` of the prompt are for clips and documents at most. The media stay open until `close`, for what an answer says is looked up.
    """

    media: tuple[Medium, ...]
    views: tuple[View, ...]
    looked: tuple[Looked, ...]
    tokens: int

    def parts(self, medium: int) -> list[TextPart | ImagePart]:
        """What a message holds of one medium (from 0): each picture behind its label, and what is said in between."""
        parts: list[TextPart | ImagePart] = []
        for view in self.views:
            for part in (view.before + view.label, view.cut, view.behind) if view.medium == medium else ():
                parts += [] if not part else [TextPart(part)] if isinstance(part, str) else [ImagePart(part)]
        return parts

    def message(self, question: str) -> Message:
        """The turn of a conversation: what is seen of each medium, then the question."""
        return Message("user", (*(part for k in range(len(self.media)) for part in self.parts(k)), TextPart(question)))

    def frame(self, view: View) -> Frame:
        """The picture of a view anew, as large as its medium holds it, pages at their size in the prompt. Raises: MediaError."""
        medium = self.media[view.medium]
        if isinstance(medium, Still):
            return medium.frame()
        if isinstance(medium, Document) and view.page is not None:
            return next(iter(list(medium.frames([view.page], [view.size]))))
        if isinstance(medium, Scan) and view.page is not None:
            return medium.pages[view.page - 1]
        if isinstance(medium, Video) and view.seconds is not None:
            return next(iter(list(medium.frames([view.seconds]))))
        assert isinstance(medium, (Animation, Reel))
        return min(medium.frames(), key=lambda frame: abs((frame.seconds or 0.0) - (view.seconds or 0.0)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the media."""
        for medium in self.media:
            medium.close()


def joined(sights: Sequence[Sight]) -> Sight:
    """What the questions of one conversation have seen, one after another, as one: an answer may point at any of it."""
    views: list[View] = []
    for k, sight in enumerate(sights):
        before = sum(len(other.media) for other in sights[:k])
        views += [replace(view, medium=before + view.medium) for view in sight.views]
    return Sight(
        tuple(medium for sight in sights for medium in sight.media),
        tuple(views),
        tuple(looked for sight in sights for looked in sight.looked),
        sum(sight.tokens for sight in sights),
    )


@dataclass(frozen=True, slots=True)
class _Rules:
    """What holds for one question: how pictures are counted, and what clips and pages may cost."""

    tokens_of: TokensOf
    text_tokens: Callable[[str], int]
    frugality: Frugality
    legibility: Legibility
    choice: Choice
    most: int  # pictures of one clip or document
    question: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which frames of a medium, what they take (tokens), and what is said about that."""

    frames: Callable[[], Generator[Frame]]
    tokens: int
    notes: tuple[str, ...] = ()
    labels: bool = False
    details: tuple[str, ...] = ()
    count: int = 1  # of pictures that nothing is taken from
    speech: tuple[Cue, ...] = ()
    speech_tokens: int = 0


def look(
    question: str | Sequence[str],
    media: Sequence[Medium],
    processor: Processor,
    *,
    context: int,
    used: int,
    choice: Choice | None = None,
    arrived: Arrived | None = None,
) -> Sight:
    """Choose, decode and cut what a question sees of its media, or of each of them its own question.

    context: tokens that the checkpoint can take; used: those of the prompt without these media (`Processor.length`). `arrived` is called
    with each frame of a clip and page of a document as soon as it is cut, in the order of the prompt, while the next ones are decoded; what
    it raises ends the decoding.
    Raises: InputError for a choice that fits none of the media, and where there is no room; MediaError for a file.
    """
    choice = choice or Choice()
    choice.check(media)
    tokens_of = processor.image_processor.token_count
    clips = [k for k, medium in enumerate(media) if isinstance(medium, (Animation, Video, Document))]
    frugality = frugality_for(context)
    fixed = {k: _fixed(media[k], tokens_of, frugality.label_tokens, choice) for k in range(len(media)) if k not in clips}
    num_fixed = sum(plan.count for plan in fixed.values())
    most = (MAX_IMAGES - num_fixed) // max(1, len(clips))
    if num_fixed > MAX_IMAGES or (clips and most < 1):
        raise InputError(
            f"media holds {num_fixed} pictures beside {len(clips)} clips and documents; at most {MAX_IMAGES} pictures are taken"
        )
    text_tokens, legibility = (lambda text: len(processor.tokenizer.encode(text))), legibility_for(context)
    questions = [question] * len(media) if isinstance(question, str) else question
    rules = [_Rules(tokens_of, text_tokens, frugality, legibility, choice, most, asked) for asked in questions]
    budget = room(context, used, sum(plan.tokens for plan in fixed.values()), choice.media_tokens)
    shares = dict(zip(clips, fair_shares(budget, [_wanted(media[k], rules[k]) for k in clips]), strict=True))
    views: list[View] = []
    looked = []
    for k, medium in enumerate(media):
        plan = fixed[k] if k in fixed else _planned(medium, shares[k], rules[k])
        own = _spoken(list(_views(k, medium, plan, processor, arrived if k in clips else None)), plan.speech)
        views += own
        looked.append(_looked(medium, own, plan))
    return Sight(tuple(media), tuple(views), tuple(looked), budget if clips else 0)


def _planned(medium: Medium, share: int, rules: _Rules) -> _Plan:
    if share < 1:
        raise InputError(f"no tokens are left for {medium.name}: pass fewer or smaller pictures beside it, or allow more (media_tokens)")
    try:
        return _plan(medium, share, rules)
    except MediaError:
        raise
    except InputError as error:
        raise InputError(f"{medium.name}: {error}") from None


def _views(number: int, medium: Medium, plan: _Plan, processor: Processor, arrived: Arrived | None) -> Iterator[View]:
    """Decoded one by one; of each only what the model sees is kept."""
    with closing(plan.frames()) as frames:
        for frame in frames:
            label = ""
            if plan.labels:
                label = page_label(frame.page) if frame.page is not None else time_label(frame.seconds or 0.0)
            known = medium.cut if isinstance(medium, Still) else None
            cut = processor.image_processor.cut(frame.image) if known is None else known
            if arrived is not None:
                arrived(cut)
            yield View(number, medium.name, frame.kind, label, frame.page, frame.seconds, frame.size_before, cut)


def _blank(pages: Mapping[int, int]) -> list[str]:
    """What is said of characters that were not drawn."""
    if not pages:
        return []
    where = f"{'page' if len(pages) == 1 else 'pages'} {said_pages(pages)}"
    return [
        f"{sum(pages.values()):,} Chinese, Japanese or Korean characters on {where} are in fonts that the file does not hold, "
        "and are blank in what was seen; save it with its fonts embedded"
    ]


def _spoken(views: list[View], cues: Sequence[Cue]) -> list[View]:
    """The frames of a video with what is said between them: each line before the first frame that is later."""
    if not (views and cues):
        return views
    times = [view.seconds or 0.0 for view in views]
    gaps = [""] * (len(views) + 1)
    for cue in cues:
        gaps[bisect_right(times, cue.start)] += speech_line(cue.start, cue.text)
    spoken = [replace(view, before=said) for view, said in zip(views, gaps, strict=False)]
    return [*spoken[:-1], replace(spoken[-1], behind=gaps[-1])]


def _looked(medium: Medium, views: Sequence[View], plan: _Plan) -> Looked:
    """What was really seen, which of a damaged file is less than was planned. Raises: MediaError where that is nothing."""
    notes = list(plan.notes)
    if isinstance(medium, Video) and medium.damaged_at is not None:
        notes.append(f"it is damaged at {format_time(medium.damaged_at)}, and nothing behind that was seen")
    if isinstance(medium, Video) and medium.repeats:
        notes.append(f"{medium.repeats} of its frames look like the one before, and are left out")
    if isinstance(medium, Document):
        notes += [f"a {medium.laid_out}, seen as LibreOffice lays it out in pages"] if medium.laid_out else []
        notes += medium.broken.values()
        notes += _blank(medium.blank)
    if not views:
        raise MediaError(f"{medium.name}: nothing of it can be seen" + (f" ({'; '.join(notes)})" if notes else ""))
    pages = tuple(view.page for view in views if view.page is not None)
    seconds = tuple(view.seconds for view in views if view.seconds is not None)
    of = medium.count if isinstance(medium, (Document, Scan)) else None
    return Looked(medium.name, medium.what, pages, of, seconds, tuple(notes), plan.details, plan.speech, plan.speech_tokens)


# One medium ------------------------------------------------------------------------------------------------------------------


def _fixed(medium: Medium, tokens_of: TokensOf, label_tokens: int, choice: Choice) -> _Plan:
    """Pictures, which nothing is taken from."""
    if isinstance(medium, Reel):
        tokens = sum(tokens_of(*image.size) + label_tokens for _, image in medium.pictures)
        return _Plan(medium.frames, tokens, labels=len(medium.pictures) > 1, count=len(medium.pictures))
    if isinstance(medium, Scan):
        named = _named(medium, choice)
        pages = named or list(range(1, medium.count + 1))
        tokens = sum(tokens_of(*frame.image.size) + label_tokens for frame in medium.frames(pages))
        notes = (_partly(pages, medium.count),) if len(pages) < medium.count else ()
        return _Plan(lambda: medium.frames(pages), tokens, notes, labels=True, count=len(pages))
    assert isinstance(medium, Still)

    def frames() -> Generator[Frame]:
        yield medium.frame()

    return _Plan(frames, tokens_of(*medium.image.size) + MARKS)


def _wanted(medium: Medium, rules: _Rules) -> int:
    """Tokens that a clip or document would take if there were enough."""
    if not isinstance(medium, Document):
        return _plan(medium, EVERYTHING, rules).tokens
    pages = _named(medium, rules.choice)
    return min(len(pages) if pages else medium.count, rules.most) * _page_tokens(medium, rules.legibility.most, rules)


def _plan(medium: Medium, budget: int, rules: _Rules) -> _Plan:
    if isinstance(medium, Document):
        return _document(medium, budget, rules)
    if isinstance(medium, Video):
        return _video(medium, budget, rules)
    assert isinstance(medium, Animation)
    return _animation(medium, budget, rules)


def _frugality(rules: _Rules) -> Frugality:
    """What a clip may cost; a rate that was asked for is kept up beyond the usual number of frames."""
    fps = rules.choice.fps
    if fps is None:
        return replace(rules.frugality, most=min(rules.frugality.most, rules.most))
    return replace(rules.frugality, per_second=float(fps), most=rules.most)


def _video(video: Video, budget: int, rules: _Rules) -> _Plan:
    clip = rules.choice.clip
    start, end = clip.within(video.duration) if isinstance(clip, Clip) else (0.0, video.duration)
    count = None if rules.choice.frames is None else min(rules.choice.frames, rules.most)
    frugality = _frugality(rules)
    policy = rules.choice.policy
    placed: dict[str, Any] = {}
    if policy in ("scene", "adaptive"):
        placed = {"policy": policy, "changes": video.changes(start, end)}
    select_within = partial(select, video.size, start, end, tokens_of=rules.tokens_of, count=count, frugality=frugality, **placed)
    left = budget - select_within(budget=EVERYTHING).tokens
    speech, speech_tokens, said = _speech(video, start, end, max(left, budget // SPEECH_SHARE), rules)
    chosen = select_within(budget=budget - speech_tokens)
    return _Plan(
        lambda: video.frames(chosen.moments, chosen.size, skip_repeats=bool(rules.choice.skip_repeats)),
        chosen.tokens + speech_tokens,
        (*chosen.notes, *said),
        labels=len(chosen.moments) > 1 or bool(speech),
        speech=speech,
        speech_tokens=speech_tokens,
    )


def _speech(video: Video, start: float, end: float, budget: int, rules: _Rules) -> tuple[tuple[Cue, ...], int, list[str]]:
    """What is shown of a video's subtitles, its tokens, and what is said about it."""
    if not rules.choice.transcript:
        return (), 0, ["it holds subtitles, which are not shown; ask for them (transcript)"] if video.has_subtitles else []
    if not video.has_subtitles:
        return (), 0, ["it holds no subtitles that are text"]
    try:
        transcript = video.transcript(start, end)
    except MediaError as error:
        return (), 0, [f"its subtitles cannot be read: {error}"]
    cues = transcript.cues
    costs = [rules.text_tokens(speech_line(cue.start, cue.text)) for cue in cues]
    numbers = chosen_cues(rules.question, cues, costs, budget)
    notes = [] if cues else ["nothing is said in its subtitles there"]
    if len(numbers) < len(cues):
        notes.append(f"{len(numbers):,} of {len(cues):,} lines of speech: more would not fit {budget:,} tokens")
    if transcript.unreadable:
        notes.append(f"{transcript.unreadable:,} of its subtitles cannot be read: they are damaged, or not UTF-8")
    if transcript.cut_short:
        notes.append("its subtitles are damaged or too many, and were not read to the end")
    if len(video.facts["subtitles"]) > 1:
        language = f", {transcript.language}" if transcript.language else ""
        notes.append(f"subtitles are those of track {transcript.track}{language}, one of {len(video.facts['subtitles'])}")
    return tuple(cues[k] for k in numbers), sum(costs[k] for k in numbers), notes


def _animation(animation: Animation, budget: int, rules: _Rules) -> _Plan:
    frugality, wanted = _frugality(rules), rules.choice.frames
    rate, most = (frugality.per_second, frugality.most) if wanted is None else (LONGEST_SAMPLED, min(wanted, rules.most))
    found = fit(0.0, animation.size, budget, rules.tokens_of, count=len(animation.moments(rate, most)), frugality=frugality)
    if found.count < len(animation.moments(rate, most)):
        most = found.count

    def frames() -> Generator[Frame]:
        with closing(animation.frames(rate, most)) as whole:
            for frame in whole:
                image = frame.image if frame.image.size == found.size else frame.image.resize(found.size)
                yield replace(frame, image=image)

    return _Plan(frames, found.tokens, found.notes, labels=found.count > 1)


def _partly(pages: Sequence[int], count: int) -> str:
    return f"looked at {'page' if len(pages) == 1 else 'pages'} {said_pages(pages)} of {count:,}: those that were named"


def _named(document: Document | Scan, choice: Choice) -> list[int]:
    """The pages that the caller names; none where all are to choose from."""
    return [] if choice.pages is None else parse_pages(str(choice.pages), document.count)


def _page_tokens(document: Document, dpi: float, rules: _Rules) -> int:
    """What a page of the usual size takes at a resolution, with its label."""
    tokens = []
    for page in range(1, min(document.count, len(document.facts["sizes"])) + 1):
        try:
            tokens.append(rules.tokens_of(*fit_page(*document.size(page), EVERYTHING, rules.tokens_of, max_dpi=dpi)))
        except MediaError:
            continue
    if not tokens:
        raise MediaError(f"{document.name}: not one of its first pages can be read")
    return median_low(tokens) + rules.frugality.label_tokens


def _document(document: Document, budget: int, rules: _Rules) -> _Plan:
    """All pages that are named; all there are, if they fit at a size at which they can be read; else those that the question is about."""
    most, least = (_page_tokens(document, dpi, rules) for dpi in (rules.legibility.most, rules.legibility.least))
    named = _named(document, rules.choice)
    notes: list[str] = []
    details: list[str] = []
    if len(named) > rules.most:
        raise InputError(f"{len(named):,} pages are named; at most {rules.most} pictures are taken")
    if named or (document.count <= rules.most and document.count * least <= budget):
        pages = named or list(range(1, document.count + 1))
        tokens = min(most, budget // len(pages))
        if len(pages) < document.count:
            notes.append(_partly(pages, document.count))
    else:
        wanted = min(most, budget)
        chosen = select_pages(rules.question, document.texts(), budget=min(budget, rules.most * wanted), page_tokens=wanted)
        pages, tokens = list(chosen.pages), min(most, max(chosen.tokens, budget // len(chosen.pages)))
        notes.append(str(chosen))
        details = chosen.explained().splitlines()[1:]
    if tokens < most:
        notes.append(f"pages made smaller, to {tokens:,} tokens each, so that {len(pages)} of them fit {budget:,}")
    if tokens < least:
        notes.append("small print may not be legible at that size; name fewer pages (pages), or allow more tokens (media_tokens)")
    sizes: dict[int, Size] = {}
    for page in pages:
        try:
            width, height = document.size(page)
            sizes[page] = fit_page(width, height, tokens - rules.frugality.label_tokens, rules.tokens_of, max_dpi=rules.legibility.most)
        except MediaError as error:
            document.broken.setdefault(page, f"page {page} cannot be seen: {error}")
    return _Plan(
        lambda: document.frames(list(sizes), list(sizes.values())),
        len(pages) * tokens,
        tuple(notes),
        labels=document.count > 1,
        details=tuple(details),
    )
