"""The one entry: `render` makes a training sample from a family, a split and two integers."""

import random
from collections.abc import Callable

import numpy as np

from kimi_vl.errors import InputError
from kimi_vl.training.synth.augment import augment
from kimi_vl.training.synth.charts.turns import chart
from kimi_vl.training.synth.clips.videos import video
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.documents.lines import line, lines
from kimi_vl.training.synth.documents.pages import page
from kimi_vl.training.synth.documents.papers import paper
from kimi_vl.training.synth.documents.paragraphs import paragraph
from kimi_vl.training.synth.documents.receipt_turns import receipt
from kimi_vl.training.synth.documents.sheet_turns import table
from kimi_vl.training.synth.documents.tickets import ticket
from kimi_vl.training.synth.pack import SPLITS, DataPack
from kimi_vl.training.synth.pictures.blanks import blank
from kimi_vl.training.synth.pictures.emblems import emblem
from kimi_vl.training.synth.pictures.pictures import picture
from kimi_vl.training.synth.places import settle
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Overfull, Page, Scene
from kimi_vl.training.synth.screens.screens import screen
from kimi_vl.training.synth.screens.web import web
from kimi_vl.training.synth.texts.booklets import booklet, booklet_short
from kimi_vl.training.synth.texts.dialogues import dialogue
from kimi_vl.training.synth.texts.haystacks import haystack, haystack_short

BUILDERS: dict[str, Callable[[Content], Draft]] = {
    "line": line,
    "lines": lines,
    "paragraph": paragraph,
    "receipt": receipt,
    "page": page,
    "paper": paper,
    "ticket": ticket,
    "table": table,
    "chart": chart,
    "blank": blank,
    "scene": picture,
    "gui": screen,
    "emblem": emblem,
    "web": web,
}
WITHOUT_DOCUMENT = ("blank", "scene", "gui", "emblem", "web")  # refused as images, not as documents
# Families of several pictures, or of none, make their scenes themselves; they get the severity of degradation.
ALBUMS: dict[str, Callable[[Content, float], Scene]] = {
    "video": video,
    "booklet": booklet,
    "booklet_short": booklet_short,
    "haystack": haystack,
    "haystack_short": haystack_short,
    "dialogue": dialogue,
}
FAMILIES = (*BUILDERS, *ALBUMS)
MAX_PIXELS = 672 * 896
DRAWS = 40  # one in three draws of a receipt is too long; forty in a row has never been seen


def render(family: str, split: str, seed: int, index: int, pack: DataPack, *, severity: float = 1.0) -> Scene:
    """Draw sample `index` of the endless sequence (family, split, seed): equal arguments give equal bytes.

    A picture has at most 672x896 pixels and x-heights of 7 pixels or more; there are 1 to 6 turns. Split "val" has held-out fonts and
    words on the training layouts; "test" has held-out pieces of layout as well. `severity` scales degradation; 0 is clean.
    Raises InputError for an unknown family or split.
    """
    if family not in FAMILIES:
        raise InputError(f"no family {family!r}; there are {', '.join(FAMILIES)}")
    if split not in SPLITS:
        raise InputError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    rng = random.Random(f"{family}/{split}/{seed}/{index}")
    content = Content(rng, pack, split)
    for _ in range(DRAWS):
        try:
            return ALBUMS[family](content, severity) if family in ALBUMS else _picture(family, content, rng, split, severity)
        except Overfull:
            continue
    raise RuntimeError(f"{DRAWS} draws of {family} {split}/{seed}/{index} did not fit; are the pack's texts unusually long?")


def _picture(family: str, content: Content, rng: random.Random, split: str, severity: float) -> Scene:
    """A scene of one picture from a builder's draft: printed, asked about, degraded."""
    draft = BUILDERS[family](content)
    image, chars, text = draft.canvas.finish(draft.height)
    turns = draft.ask(Interview(rng, text, image_only=family in WITHOUT_DOCUMENT, split=split))
    assert image.shape[0] * image.shape[1] <= MAX_PIXELS, f"{family} is {image.shape[1]}x{image.shape[0]}"
    rows = np.concatenate([chars, *[np.insert(outline, 0, 0, axis=1) for outline in draft.outlines]])
    image, rows = augment(rng, image, rows, x_height=draft.x_height, severity=severity, coloured=draft.coloured)
    outlines = np.split(rows[len(chars) :, 1:], np.cumsum([len(outline) for outline in draft.outlines], dtype=int))[:-1]
    return Scene([Page(image, rows[: len(chars)])], settle(turns, outlines, image.shape[1], image.shape[0]), text)
