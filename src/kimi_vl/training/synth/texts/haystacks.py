"""Long texts without a picture: prose with a few facts in it that are asked for."""

import math
from collections.abc import Sequence
from dataclasses import replace

from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.scene import Overfull, Scene, Turn
from kimi_vl.training.synth.texts.copies import CopyTurns
from kimi_vl.training.synth.texts.inquiries import Inquiry
from kimi_vl.training.synth.texts.needles import NeedleTurns, draw_link, draw_needles, is_closed

BARE, SHORTEST, SHORT, LONG, LONGEST = 60, 300, 1700, 2000, 8300  # tokens of nano; texts come out within 12 % of what is asked for
CHARS_PER_TOKEN = 3.8  # of the pack's prose with nano's tokenizer: 3.95 in split train, 3.8 in val
FRAMES = Choice(
    (
        "{text}\n\n{question}",
        "{text}\n\n{question}",
        "{text}\n\nQuestion: {question}",
        "{question}\n\n{text}",
        "Read the text and answer the question at the end.\n\n{text}\n\n{question}",
        "Text:\n{text}\n\n{question}",
        "{question}\n\nText:\n{text}",
        'Here is a document:\n"""\n{text}\n"""\n{question}',
    ),
    ("<document>\n{text}\n</document>\n{question}", "Answer from the following text. {question}\n\n{text}"),
)
TOPS = (
    "Read this.|Here is a text.|Please read the text below.|Some notes:|From my files:|Use the text only.|This is what I have:|A document:|"
    "Text|Source:|Content:|I was sent this:|Read carefully and answer."
).split("|")
ASKS = (
    "{question}|{question}|{question}|Question: {question}|Q: {question}|My question: {question}|Now: {question}|Task: {question}|"
    "{question}\nAnswer:|Answer this about the text: {question}|With the text in mind: {question}|--\n{question}"
).split("|")
FENCES = (
    ("", ""),
    ("", ""),
    ("", ""),
    ("---\n", "\n---"),
    ('"""\n', '\n"""'),
    ("```\n", "\n```"),
    ("<text>\n", "\n</text>"),
    ("===\n", "\n==="),
)
GAPS = ((" ", " ", " ", "\n\n"), (" ",), ("\n",), ("\n\n",), (" ", " ", "\n"))  # between sentences, one kind a text
ATTEMPTS = 6


def haystack(content: Content, severity: float) -> Scene:
    """A text of 300 to 8,300 tokens, log-uniformly; two of five are of 2,000 or more, uniformly, for it is there that facts are missed.

    `severity` is for pictures and not used.
    """
    tokens = content.rng.randint(LONG, LONGEST) if content.chance(0.4) else _log_uniform(content, SHORTEST, LONGEST)
    return haystack_of(content, tokens)


def haystack_short(content: Content, severity: float) -> Scene:
    """A text of 1,700 tokens at most, down to the facts with hardly a word between them: there, most of the tokens teach something."""
    return haystack_of(content, _log_uniform(content, BARE, SHORT))


def _log_uniform(content: Content, low: int, high: int) -> int:
    return round(math.exp(content.rng.uniform(math.log(low), math.log(high))))


def haystack_of(content: Content, tokens: int) -> Scene:
    """A prompt of about `tokens` tokens, question and text; two to six turns, of which the first carries the text. Raises Overfull."""
    rng = content.rng
    for _ in range(ATTEMPTS):
        try:
            needles = draw_needles(content, rng.choice((1, 2, 2, 3, 3, 4, 4, 5, 6)))
            links = [draw_link(content, needles)] if content.chance(0.45) else []
            sentences = [needle.sentence for needle in needles] + [link.sentence for link in links]
            text = bury(content, sentences, int(tokens * CHARS_PER_TOKEN) - 140)
            interview = Inquiry(rng, text, split=content.split)
            facts = NeedleTurns(content, interview, needles, links)
        except Overfull:
            continue  # a poor pack, or the prose itself speaks of an attribute
        copies = [] if content.split == "test" else CopyTurns(content, interview).makers()
        turns = interview.draw(rng.randint(2, 6), [*facts.makers(), *copies, (interview.foreign, 2)])
        if turns:  # of a few words and one fact, there may be nothing to ask
            return Scene([], _with_text(content, text, turns), "")
    raise Overfull(f"{ATTEMPTS} texts in a row spoke of what was hidden in them")


def bury(content: Content, sentences: Sequence[str], length: int) -> str:
    """Prose of about `length` characters with the sentences at depths drawn uniformly."""
    rng, pieces = content.rng, list[str]()
    room = length - sum(map(len, sentences))
    while room > 0:
        piece = content.prose()
        pieces.append(piece if len(piece) < room + 200 else piece[: max(20, room)].rsplit(" ", 1)[0] + ".")
        room -= len(pieces[-1]) + 1
    for sentence in sentences:
        pieces.insert(rng.randint(0, len(pieces)), sentence)
    gaps = rng.choices(rng.choice(GAPS), k=len(pieces))
    alone = [k for k, piece in enumerate(pieces) if piece in sentences and not is_closed(piece)]
    for k in {*alone, *(k - 1 for k in alone if k)}:
        gaps[k] = gaps[k] if "\n" in gaps[k] else "\n"
    return "".join([part for pair in zip(pieces, gaps, strict=True) for part in pair]).rstrip()


def _with_text(content: Content, text: str, turns: list[Turn]) -> list[Turn]:
    frame = str(FRAMES.pick(content.rng, content.split))
    if content.split != "test" and content.chance(0.7):
        frame = compose_frame(content)
    return [replace(turns[0], question=frame.format(text=text, question=turns[0].question)), *turns[1:]]


def compose_frame(content: Content) -> str:
    """Where the question stands and what is around it; the question is the first paragraph or the last."""
    top = f"{content.one(TOPS)}{content.one((chr(10), chr(10) * 2))}" if content.chance(0.4) else ""
    start, end = content.one(FENCES)
    body, asked = f"{top}{start}{{text}}{end}", content.one(ASKS)
    first = content.chance(0.3) and "Answer:" not in asked and "--" not in asked
    return f"{asked}\n\n{body}" if first else f"{body}{content.one((chr(10), chr(10) * 2, chr(10) * 2))}{asked}"
