"""Printing text on a picture, fast: cached sparse glyphs, scattered in one numpy call per font and colour.

Pillow takes about 200 µs for a 30-character line; here each glyph is rasterised once per font and size and kept as the
offsets and values of its inked pixels, so that a line costs 30 µs and a page of 1,000 characters under a millisecond.
"""

from functools import lru_cache
from itertools import accumulate
from math import ceil
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFont

from kimi_vl.training.synth.pack import Face
from kimi_vl.training.synth.scene import Overfull

try:
    import cv2
except ImportError as e:
    raise ImportError("rendering documents needs OpenCV; install it with: pip install 'kimi-vl[train]'") from e

cv2.setNumThreads(0)  # one renderer per core; OpenCV's own pool would fight with the other workers

Colour = tuple[int, int, int]
PITCH = 704  # pixels between canvas rows: the widest page is 672, and glyph offsets are cached for one pitch
ASCII = "".join(map(chr, range(33, 127)))


class Glyph(NamedTuple):
    """Inked pixels of one character relative to the pen, its advance, and the middle of it (pixels)."""

    offsets: np.ndarray  # int32 [n]: dy * PITCH + dx
    coverage: np.ndarray  # uint8 [n]
    size: int
    advance: float
    middle: float


BLANK = Glyph(np.zeros(0, np.int32), np.zeros(0, np.uint8), 0, 0.0, 0.0)


class Run(NamedTuple):
    """A text set at a place: glyphs and their pens' columns."""

    text: str
    glyphs: list[Glyph]
    pens: list[int]
    baseline: int
    x_height: float


class Font:
    """One face at one size, with its glyphs cached. Sizes are in pixels; nothing is kerned.

    Every second face is `soft`: advances keep their fractions, glyphs are drawn large and averaged down at half-pixel steps,
    as browsers and PDF readers do. The others are fitted to whole pixels.
    """

    def __init__(self, face: Face, size: int) -> None:
        self.face = face
        self.size = size
        self.soft = parity(face) == 0
        self._scale = (4 if size <= 20 else 2) if self.soft else 1
        self._pil: ImageFont.FreeTypeFont = face.font(size * self._scale)
        self._glyphs: dict[str, Glyph] = {}
        self._shifted: dict[str, Glyph] = {}  # half a pixel to the right
        _, top, _, bottom = self._pil.getbbox("dbfhklTQgpqyj|()$", anchor="ls")
        self.ascent, self.descent = int(-top / self._scale + 0.99), int(bottom / self._scale + 0.99)
        self.x_height = -float(self._pil.getbbox("x", anchor="ls")[1]) / self._scale

    def __getitem__(self, char: str) -> Glyph:
        glyph = self._glyphs.get(char)
        if glyph is None:
            glyph = self._glyphs[char] = self._rasterise(char, 0)
        return glyph

    def _right(self, char: str) -> Glyph:
        glyph = self._shifted.get(char)
        if glyph is None:
            glyph = self._shifted[char] = self._rasterise(char, self._scale // 2)
        return glyph

    def _rasterise(self, char: str, shift: int) -> Glyph:
        core, (left, top) = self._pil.getmask2(char, mode="L", anchor="ls")
        width, height = core.size
        mask: np.ndarray = np.frombuffer(Image.Image()._new(core).tobytes(), np.uint8).reshape(height, width)
        left += shift
        n = self._scale
        advance = self._pil.getlength(char) / n
        if n > 1:
            x, y = left % n, top % n
            padded = np.zeros((-(-(y + height) // n) * n, -(-(x + width) // n) * n), np.uint8)
            padded[y : y + height, x : x + width] = mask
            width, height = padded.shape[1] // n, padded.shape[0] // n
            mask = cv2.resize(padded, (width, height), interpolation=cv2.INTER_AREA) if padded.size else padded
            left, top = left // n, top // n
        coverage = mask.reshape(-1)
        inked = np.flatnonzero(coverage)
        ys, xs = np.divmod(inked, width) if width else (inked, inked)
        offsets = (ys * PITCH + xs + (top * PITCH + left)).astype(np.int32)
        return Glyph(offsets, coverage[inked], len(inked), advance if self.soft else round(advance), (advance + shift / n) / 2)

    def width(self, text: str, tracking: int = 0) -> int:
        """Pixels from the first pen position to the last, rounded up."""
        return ceil(sum([self[c].advance for c in text])) + tracking * len(text)

    def set(self, text: str, x: int, baseline: int, tracking: int = 0) -> Run:
        """Place the glyphs of `text` with the first pen at (x, baseline)."""
        if not self.soft:
            glyphs = [self[c] for c in text]
            pens = list(accumulate([int(g.advance) + tracking for g in glyphs[:-1]], initial=x))
            return Run(text, glyphs, pens, baseline, self.x_height)
        glyphs, pens, pen = [], [], float(x)
        for char in text:
            whole = int(pen)
            glyph = self._right(char) if pen - whole >= 0.5 else self[char]
            glyphs.append(glyph)
            pens.append(whole)
            pen += glyph.advance + tracking
        return Run(text, glyphs, pens, baseline, self.x_height)

    def covers(self, text: str) -> bool:
        """Whether every character has ink of its own, not the box that stands for a missing glyph."""
        missing = self["\ufffe"]
        for char in text:
            glyph = self[char]
            if char != " " and (not glyph.size or _same(glyph, missing)):
                return False
        return True


def parity(face: Face) -> int:
    """0 or 1, fixed for each family: half of them are soft."""
    return len(face.family) % 2


def _same(a: Glyph, b: Glyph) -> bool:
    return a.size == b.size and np.array_equal(a.offsets, b.offsets) and np.array_equal(a.coverage, b.coverage)


@lru_cache(maxsize=6144)
def open_font(face: Face, size: int) -> Font:
    """The cached font; 6,144 of them, with some 100 glyphs each, hold about 400 MB."""
    return Font(face, size)


@lru_cache(maxsize=2048)
def x_height_ratio(face: Face) -> float:
    """x-height in pixels per pixel of font size."""
    return max(0.3, Font(face, 100).x_height / 100)


@lru_cache(maxsize=2048)
def is_complete(face: Face) -> bool:
    """Whether the face has all printable ASCII."""
    return open_font(face, 24).covers(ASCII)


class Canvas:
    """A picture under construction: filled boxes at once, text collected and printed by `finish`.

    Every `write` adds to the transcription: a new row, or with `same_row` a continuation of the last one after a space.
    """

    def __init__(self, width: int, height: int, paper: Colour) -> None:
        assert width <= PITCH, f"canvas is {width} wide, at most {PITCH}"
        self.width, self.height, self.paper = width, height, paper
        self._pixels = np.full(height * PITCH, _packed(paper), np.uint32)
        self._runs: dict[tuple[Colour, Colour], list[Run]] = {}
        self._read: list[Run] = []
        self._rows: list[list[str]] = []

    def write(
        self,
        x: int,
        baseline: int,
        text: str,
        font: Font,
        ink: Colour,
        *,
        paper: Colour | None = None,
        same_row: bool = False,
        tracking: int = 0,
    ) -> int:
        """Print `text` with the pen at (x, baseline) on plain `paper`; returns the pen's end. Raises Overfull outside the canvas."""
        end = x + font.width(text, tracking)
        if x < 1 or end > self.width - 1 or baseline - font.ascent < 0 or baseline + font.descent > self.height:
            raise Overfull(f"{text!r} at {x}, {baseline} leaves the canvas {self.width}x{self.height}")
        run = font.set(text, x, baseline, tracking)
        self._runs.setdefault((ink, paper or self.paper), []).append(run)
        self._read.append(run)
        if same_row:
            self._rows[-1].append(text)
        else:
            self._rows.append([text])
        return end

    def write_up(self, x: int, bottom: int, text: str, font: Font, ink: Colour) -> int:
        """Print `text` as a new row that runs upwards, its baseline in column `x` and its first pen at `bottom`; returns the pen's end."""
        end = bottom - font.width(text)
        if end < 1 or bottom > self.height - 1 or x - font.ascent < 0 or x + font.descent > self.width:
            raise Overfull(f"{text!r} upwards from {x}, {bottom} leaves the canvas {self.width}x{self.height}")
        half = font.x_height / 2
        pen = float(bottom)
        for char in text:
            glyph = _turned(font[char], half)
            # Centres are (pen + glyph.middle, baseline - half): the baseline is put where that is the middle of the character.
            run = Run(char, [glyph], [x], round(pen - font[char].middle + half), font.x_height)
            self._runs.setdefault((ink, self.paper), []).append(run)
            self._read.append(run)
            pen -= font[char].advance
        self._rows.append([text])
        return end

    def write_slanted(self, x: int, top: int, text: str, font: Font, ink: Colour) -> None:
        """Print `text` as a new row that rises by 45 degrees and ends below (x, top)."""
        slope, high, wide = 0.5**0.5, font.ascent + font.descent + 2, font.width(text) + 4
        run = font.set(text, 2, font.ascent + 1)
        low = round(wide * slope + high * slope) + 2
        left, middle = x - round(wide * slope + high * slope / 2) - 1, font.ascent + 1 - font.x_height / 2
        if left < 1 or x + high // 2 > self.width - 1 or top + low > self.height:
            raise Overfull(f"{text!r} slanted to {x}, {top} leaves the canvas {self.width}x{self.height}")
        across, down = x - left, high * slope / 2  # where the end of the text comes to lie
        matrix = np.array([[slope, slope, across - (wide - 2 + middle) * slope], [-slope, slope, down + (wide - 2 - middle) * slope]])
        size = (across + high // 2, low)
        cover = cv2.warpAffine(_level(run, wide, high), matrix, size, flags=cv2.INTER_LINEAR)
        ys, xs = np.nonzero(cover)
        self._pixels[(ys + top) * PITCH + xs + left] = _ramp(self.paper, ink)[cover[ys, xs]]
        for char, glyph, pen in zip(text, run.glyphs, run.pens, strict=True):
            along = (pen + glyph.middle - wide + 2) * slope  # from the end of the text
            self._read.append(Run(char, [BLANK], [round(x + along)], round(top + down - along + font.x_height / 2), font.x_height))
        self._rows.append([text])

    def decorate(self, x: int, baseline: int, text: str, font: Font, ink: Colour) -> None:
        """Print signs that are no text, such as a row of dashes or dots; they are cut at the canvas' edge."""
        self._runs.setdefault((ink, self.paper), []).append(font.set(text, x, baseline))

    def fill(self, x0: int, y0: int, x1: int, y1: int, colour: Colour) -> None:
        """Fill the pixels x0 <= x < x1, y0 <= y < y1, cut at the canvas."""
        rows = self._pixels.reshape(self.height, PITCH)
        rows[max(0, y0) : max(0, y1), max(0, x0) : max(0, min(x1, self.width))] = _packed(colour)

    def frame(self, x0: int, y0: int, x1: int, y1: int, colour: Colour, thick: int = 1) -> None:
        """Outline of a box, inside it."""
        self.fill(x0, y0, x1, y0 + thick, colour)
        self.fill(x0, y1 - thick, x1, y1, colour)
        self.fill(x0, y0, x0 + thick, y1, colour)
        self.fill(x1 - thick, y0, x1, y1, colour)

    @property
    def rgb(self) -> np.ndarray:
        """Writable uint8 [H, W, 4] view (the fourth channel is unused), for drawing pictures with OpenCV."""
        return self._pixels.view(np.uint8).reshape(self.height, PITCH, 4)[:, : self.width]

    def finish(self, height: int | None = None) -> tuple[np.ndarray, np.ndarray, str]:
        """Print the text and cut the canvas to `height`: image uint8 [H, W, 3], chars float32 [n, 3], transcription."""
        height = min(self.height, height or self.height)
        for (ink, paper), runs in self._runs.items():
            self._print(runs, _ramp(paper, ink))
        image = cv2.cvtColor(self.rgb[:height], cv2.COLOR_RGBA2RGB)
        return image, self._chars(), "\n".join([" ".join(row) for row in self._rows])

    def _print(self, runs: list[Run], ramp: np.ndarray) -> None:
        glyphs = [glyph for run in runs for glyph in run.glyphs]
        pens = [run.baseline * PITCH + pen for run in runs for pen in run.pens]
        where = np.concatenate([g.offsets for g in glyphs])
        where += np.repeat(np.array(pens, np.int32), [g.size for g in glyphs])
        self._pixels.put(where, ramp[np.concatenate([g.coverage for g in glyphs])], mode="clip")

    def _chars(self) -> np.ndarray:
        found = [
            (ord(char), pen + glyph.middle, run.baseline - run.x_height / 2)
            for run in self._read
            for char, glyph, pen in zip(run.text, run.glyphs, run.pens, strict=True)
            if char != " "
        ]
        return np.array(found, np.float32).reshape(-1, 3)


def _level(run: Run, wide: int, high: int) -> np.ndarray:
    """How far each pixel of a box is covered by a run: uint8 [high, wide]."""
    cover = np.zeros((high, wide), np.uint8)
    for glyph, pen in zip(run.glyphs, run.pens, strict=True):
        ys, xs = np.divmod(glyph.offsets + PITCH * 1024 + PITCH // 2, PITCH)
        ys, xs = ys - 1024 + run.baseline, xs - PITCH // 2 + pen
        inside = (xs >= 0) & (xs < wide) & (ys >= 0) & (ys < high)
        cover[ys[inside], xs[inside]] = np.maximum(cover[ys[inside], xs[inside]], glyph.coverage[inside])
    return cover


def _turned(glyph: Glyph, half: float) -> Glyph:
    """The glyph turned left by 90 degrees about its pen; `half` is half the x-height (pixels)."""
    ys = (glyph.offsets + PITCH * 1024 + PITCH // 2) // PITCH - 1024
    xs = glyph.offsets - ys * PITCH
    down = round(glyph.middle - half)  # from the run's baseline to where the pen was
    return Glyph(((down - xs) * PITCH + ys).astype(np.int32), glyph.coverage, glyph.size, glyph.advance, -half)


def _packed(colour: Colour) -> int:
    return colour[0] | colour[1] << 8 | colour[2] << 16


@lru_cache(maxsize=4096)
def _ramp(paper: Colour, ink: Colour) -> np.ndarray:
    """Colours from paper to ink by coverage: uint32 [256], red in the lowest byte."""
    share = np.arange(256)[:, None] / 255
    mixed = np.rint(np.array(paper) * (1 - share) + np.array(ink) * share).astype(np.uint32)
    return mixed[:, 0] | mixed[:, 1] << 8 | mixed[:, 2] << 16
