"""What nano is measured on: tiers, tasks and targets as tables, and the one question that everything else passes around.

A tier says how far a picture is from training, a task which questions are asked and how they are scored. Adding a row is adding a
measurement; nothing else knows their names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np

from kimi_vl.errors import InputError
from kimi_vl.llm import Thinking

# No stage trains on a seed this large (a test reads them all), so the pictures of T0 are new although their fonts and words are not.
SEED = 1_000_000_007


@dataclass(frozen=True, slots=True)
class Tier:
    """`split` is what the data pack calls it; None for pictures that lie in files. `size` is the number of questions per task."""

    name: str
    about: str
    split: str | None = None
    size: int = 0


TIERS = (
    Tier("T0", "seen fonts, words and layouts; pictures that training never drew", "train", 200),
    Tier("T1", "held-out fonts and words, seen layouts", "val", 500),
    Tier("T2", "held-out fonts, words and layouts", "test", 500),
    Tier("T2-files", "as T2, pinned as files in benchmarks/reading"),
    Tier("T3", "other programs' documents: browsers, typesetters, plotting libraries"),
    Tier("T4", "photographs and scans"),
)


ANY_LENGTH = (0, 1 << 30)


@dataclass(frozen=True, slots=True)
class Task:
    """A row of the result.

    It asks the turns of `families` whose tag is one of `tags` and that pass `pick` (see `drawn.fits`); `tokens` bounds the prompt's
    image and text tokens, roughly. `score` names a function of `scores.SCORES`. `target` is for T2 and T3, `foreign` for T3 where
    that one differs.
    """

    name: str
    about: str
    families: tuple[str, ...]
    tags: tuple[str, ...]
    score: str
    target: float | None = None
    foreign: float | None = None
    pick: str = ""
    tokens: tuple[int, int] = ANY_LENGTH
    max_tokens: int = 256
    most: int = 500  # questions of a tier, where pictures are many and large


ASKED = ("cell", "check", "count", "field", "find", "first", "item", "line", "price", "sum", "title", "trend", "state", "relation")
PRINTED = ("receipt", "page", "lines", "paper", "ticket")
NEEDLES = {"1k": (0, 1400), "2k": (1400, 2800), "4k": (2800, 5600), "8k": (5600, 11200)}

TASKS = (
    Task("line", "one printed line, CER", ("line",), ("read",), "cer", 0.015, pick="whole", max_tokens=128),
    Task("paragraph", "a paragraph, CER", ("paragraph",), ("read",), "cer", pick="whole", max_tokens=1024),
    Task("receipt", "a receipt, CER", ("receipt",), ("read",), "cer", 0.05, pick="whole", max_tokens=1024),
    Task("page", "whole pages, forms and tickets, CER", ("page", "paper", "ticket"), ("read",), "cer", pick="whole", max_tokens=1024),
    Task("items", "articles with prices, F1", ("receipt", "paper"), ("find", "item"), "items", 0.85, pick="items", max_tokens=512),
    Task("fields", "date, number and total, exact", ("receipt", "paper"), ("field",), "exact", 0.95, pick="key"),
    Task("lookup", "anything else printed, exact", PRINTED, ("field", "price", "line", "find"), "exact", pick="short"),
    Task("arithmetic", "receipt sums with thinking", ("receipt",), ("sum",), "arithmetic", 0.87, pick="worked", max_tokens=1024),
    Task("table", "questions about tables, exact", ("table",), ASKED, "exact", 0.82, max_tokens=1024),
    Task("chart", "questions about charts, values within 5 %", ("chart",), ASKED, "relaxed", 0.70, max_tokens=1024),
    Task("gui point", "where to click, point in box", ("gui",), ("point",), "point", 0.90, 0.70),
    Task("gui box", "a widget's box, IoU at least 0.5", ("gui",), ("box",), "box"),
    Task("gui state", "states and texts of widgets, exact", ("gui",), ("state", "field", "find", "title", "count"), "exact"),
    Task("shape box", "a shape's box, IoU at least 0.5", ("scene",), ("box",), "box", pick="boxed"),
    Task("counting", "how many shapes or icons, exact", ("scene", "emblem"), ("count",), "count", 0.92, max_tokens=512),
    Task("shapes", "colours, kinds and labels of shapes, exact", ("scene",), ("field", "find"), "exact"),
    Task("relations", "left of, above, direction, exact", ("scene", "emblem"), ("relation",), "exact"),
    Task("names", "icons and flags by name, exact", ("emblem",), ("name",), "exact"),
    Task(
        "typed", "sums and questions without a picture, exact", ("dialogue",), ("sum", "check", "order", "text"), "exact", max_tokens=1024
    ),
    Task("when", "time of an event in a clip, within 0.5 s", ("video",), ("when",), "when", 0.88),
    Task("order", "order of events in a clip, exact", ("video",), ("order",), "exact"),
    Task("needle 1k", "one fact in a long document, exact", ("haystack",), ("needle",), "needle", tokens=NEEDLES["1k"], most=200),
    Task("needle 2k", "one fact in a long document, exact", ("haystack",), ("needle",), "needle", tokens=NEEDLES["2k"], most=200),
    Task("needle 4k", "one fact in a long document, exact", ("haystack",), ("needle",), "needle", 0.95, tokens=NEEDLES["4k"], most=200),
    Task("needle 8k", "one fact in a long document, exact", ("haystack",), ("needle",), "needle", 0.85, tokens=NEEDLES["8k"], most=200),
    Task("pages", "questions about several pages, exact", ("booklet",), (*ASKED, "which", "needle", "order"), "exact"),
    Task(
        "refusal",
        "what cannot be answered, F1 among as many that can",
        (*PRINTED, "table", "chart", "gui", "scene", "blank"),
        ("refuse",),
        "refusal",
        0.88,
        max_tokens=512,
    ),
)


class Page(NamedTuple):
    """A picture, uint8 [H, W, 3], and the text that stands before it in the prompt ("" for none)."""

    label: str
    image: np.ndarray


@dataclass(frozen=True, eq=False)
class Item:
    """One question, asked in a conversation of its own.

    `answer` is None where the right answer is that the picture does not tell. `mode` is the thinking option. `box` is where a point or
    a box is, relative to the picture. `facts` are numbers for breaking a result down.
    """

    name: str
    tier: str
    task: str
    family: str
    tag: str
    pages: tuple[Page, ...]
    question: str
    answer: str | None
    mode: Thinking = "auto"
    box: tuple[float, float, float, float] | None = None
    facts: dict[str, float] = field(default_factory=dict)

    def digest(self) -> str:
        """sha256 (hex) over everything that the model sees and that it is judged by: pixels, labels, question, mode, answer, box."""
        sha = hashlib.sha256()
        for page in self.pages:
            sha.update(f"{page.label}\0{page.image.shape}\0".encode())
            sha.update(page.image.tobytes())
        sha.update(repr((self.question, self.answer, self.mode, self.box)).encode())
        return sha.hexdigest()

    def without_pixels(self) -> Self:
        """What scoring needs: thousands of these fit into memory."""
        return replace(self, pages=())


@dataclass(frozen=True, slots=True)
class Response:
    """What was said to one item. `tokens` counts thinking and answer; `seconds` is the time on the clock, shared evenly in a batch."""

    text: str
    thinking: str = ""
    thinking_tokens: int = 0
    tokens: int = 0
    finish_reason: str = "stop"
    seconds: float = 0.0


class Result(NamedTuple):
    item: Item  # without pixels
    response: Response


def choose_tiers(names: str) -> tuple[Tier, ...]:
    """Tiers named in "T1,T2"; all for "". Raises: InputError for an unknown one."""
    return tuple(tier for tier in TIERS if tier.name in _named(names, [tier.name for tier in TIERS], "tier"))


def choose_tasks(names: str) -> tuple[Task, ...]:
    """Tasks named in "line,gui point"; all for "". Raises: InputError for an unknown one."""
    return tuple(task for task in TASKS if task.name in _named(names, [task.name for task in TASKS], "task"))


def _named(names: str, known: list[str], kind: str) -> list[str]:
    chosen = [name.strip() for name in names.split(",") if name.strip()] or known
    for name in chosen:
        if name not in known:
            raise InputError(f"there is no {kind} {name!a}; there are {', '.join(known)}")
    return chosen
