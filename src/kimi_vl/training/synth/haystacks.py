"""Long texts without a picture: prose with a few facts in it that are asked for."""

import math
from collections.abc import Sequence
from dataclasses import replace

from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.inquiries import Inquiry
from kimi_vl.training.synth.needles import NeedleTurns, draw_link, draw_needles
from kimi_vl.training.synth.scene import Overfull, Scene, Turn

SHORTEST, SHORT, LONGEST = 300, 1700, 8300  # tokens of nano; texts come out within 12 % of what is asked for
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
GAPS = ((" ", " ", " ", "\n\n"), (" ",), ("\n",), ("\n\n",), (" ", " ", "\n"))  # between sentences, one kind a text
ATTEMPTS = 6


def haystack(content: Content, severity: float) -> Scene:
    """A text of 300 to 8,300 tokens, log-uniformly. `severity` is for pictures and not used."""
    return haystack_of(content, _log_uniform(content, SHORTEST, LONGEST))


def haystack_short(content: Content, severity: float) -> Scene:
    """A text of 300 to 1,700 tokens."""
    return haystack_of(content, _log_uniform(content, SHORTEST, SHORT))


def _log_uniform(content: Content, low: int, high: int) -> int:
    return round(math.exp(content.rng.uniform(math.log(low), math.log(high))))


def haystack_of(content: Content, tokens: int) -> Scene:
    """A prompt of about `tokens` tokens, question and text; two to six turns, of which the first carries the text. Raises Overfull."""
    rng = content.rng
    for _ in range(ATTEMPTS):
        needles = draw_needles(content, rng.choice((1, 2, 2, 3, 3, 4, 4, 5, 6)))
        links = [draw_link(content, needles)] if content.chance(0.45) else []
        sentences = [needle.sentence for needle in needles] + [link.sentence for link in links]
        text = bury(content, sentences, int(tokens * CHARS_PER_TOKEN) - 140)
        interview = Inquiry(rng, text, split=content.split)
        try:
            facts = NeedleTurns(content, interview, needles, links)
        except Overfull:
            continue  # the prose itself speaks of an attribute
        turns = interview.draw(rng.randint(2, 6), [*facts.makers(), (interview.foreign, 2)])
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
    return "".join([part for pair in zip(pieces, gaps, strict=True) for part in pair]).rstrip()


def _with_text(content: Content, text: str, turns: list[Turn]) -> list[Turn]:
    frame = str(FRAMES.pick(content.rng, content.split))
    return [replace(turns[0], question=frame.format(text=text, question=turns[0].question)), *turns[1:]]
