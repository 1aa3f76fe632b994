"""An answer, and the stream of its pieces while it is written."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from kimi_vl.engine import FinishReason, Generation, Pieces, Reaction
from kimi_vl.errors import CapacityError, InputError, MediaError
from kimi_vl.media import Medium
from kimi_vl.processor.citations import Citation
from kimi_vl.processor.findings import Findings, find
from kimi_vl.processor.grounding import Box, Point
from kimi_vl.processor.reply import Piece, Reply
from kimi_vl.processor.views import Looked, Sight

OUT_OF_MEMORY = "out of memory while generating; pass fewer or smaller images, lower max_tokens, or run on another device"


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens counted once each: completion = thinking (marks included) + answer (end token included). Images are part of the prompt."""

    prompt_tokens: int
    image_tokens: int
    thinking_tokens: int
    answer_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A finished answer.

    `finish_reason` is "stop" (the model ended, or a stop string) or "length" (max_tokens or the context is used up). An answer cut
    inside its thinking has an empty `text`.

    Of a question about media: `looked_at` says what was seen of each; `boxes` and `points` lie in picture number `image_index` of the
    prompt, in pixels of the file's own picture, of a PDF's page in shares of it; `citations` say where in a PDF the answer stands.
    """

    text: str
    thinking: str
    finish_reason: FinishReason
    usage: Usage
    model: str
    looked_at: tuple[Looked, ...] = ()
    citations: tuple[Citation, ...] = ()
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """The question that a stream answers, what is seen for it, and the media that are the stream's to close."""

    question: str
    sight: Sight
    opened: tuple[Medium, ...]


class ReplyReader:
    """Reads the tokens of an answer for whoever writes it, the engine or `PlainPieces`."""

    def __init__(self, reply: Reply, end_ids: frozenset[int]) -> None:
        self.reply, self._end_ids = reply, end_ids

    def read(self, token_ids: Sequence[int], ended: bool) -> Reaction[Piece]:
        """As `engine.Reader`."""
        pieces = [piece for token in token_ids if token not in self._end_ids for piece in self.reply.push(token)]
        if ended or self.reply.stopped:
            pieces += self.reply.finish()
        return Reaction(pieces, self.reply.forced(), self.reply.stopped)


class PlainPieces(Iterator[Piece]):
    """The pieces of one answer by the plain path, which runs as they are taken."""

    def __init__(self, generation: Generation, reader: ReplyReader) -> None:
        self.num_tokens, self.finish_reason = 0, cast("FinishReason | None", None)
        self._pieces = self._run(generation, reader)

    def __next__(self) -> Piece:
        return next(self._pieces)

    def close(self) -> None:
        """Let go of what the model keeps of the answer."""
        self._pieces.close()

    def _run(self, generation: Generation, reader: ReplyReader) -> Generator[Piece]:
        for token in generation:
            reaction = reader.read([token], False)
            yield from reaction.pieces
            if reaction.stops:
                break
            generation.force(reaction.forced)
        else:
            yield from reader.read((), True).pieces
        self.num_tokens, self.finish_reason = generation.num_tokens, generation.finish_reason


class AnswerStream(Iterator[Piece]):
    """The pieces of an answer while it is written; `answer` is the whole of it once the pieces have ended.

    What an unfinished answer holds is free when the stream is closed, or nobody has it any more. `sight` is what is seen for it of media.
    """

    def __init__(
        self,
        source: PlainPieces | Pieces[Piece],
        reply: Reply,
        model: str,
        prompt_tokens: int,
        image_tokens: int,
        asked: Asked | None = None,
    ) -> None:
        self._source, self._reply = source, reply
        self._model, self._prompt_tokens, self._image_tokens = model, prompt_tokens, image_tokens
        self._asked = asked
        self._parts: dict[str, list[str]] = {"thinking": [], "text": []}
        self._pieces = self._run()
        self._answer: Answer | None = None

    def __next__(self) -> Piece:
        return next(self._pieces)

    @property
    def sight(self) -> Sight | None:
        """What the question sees of its media."""
        return self._asked.sight if self._asked else None

    @property
    def answer(self) -> Answer:
        """Raises: InputError before the last piece has been taken."""
        if self._answer is None:
            raise InputError("the answer is not finished; take all pieces of the stream before asking for it")
        return self._answer

    def close(self) -> None:
        """Stop here: nothing more is computed of the answer. After its end this changes nothing."""
        self._pieces.close()
        self._source.close()
        self._let_go()

    def _let_go(self) -> None:
        for medium in self._asked.opened if self._asked else ():
            medium.close()

    def _run(self) -> Generator[Piece]:
        try:
            for piece in self._source:
                self._parts[piece.kind].append(piece.text)
                yield piece
        except CapacityError as error:  # an engine's advice is for whoever made the engine
            raise CapacityError(OUT_OF_MEMORY) from error
        self._answer = self._finished()
        self._let_go()

    def _findings(self, text: str) -> Findings:
        """An answer is not lost over a file in which it cannot be looked up any more."""
        try:
            return find(self._asked.sight, self._asked.question, text) if self._asked else Findings()
        except MediaError:
            return Findings()

    def _finished(self) -> Answer:
        text = "".join(self._parts["text"])
        found = self._findings(text)
        total, thinking = self._source.num_tokens, self._reply.thinking_tokens
        return Answer(
            text=text,
            thinking="".join(self._parts["thinking"]),
            finish_reason="stop" if self._reply.stopped else self._source.finish_reason or "stop",
            usage=Usage(
                prompt_tokens=self._prompt_tokens,
                image_tokens=self._image_tokens,
                thinking_tokens=thinking,
                answer_tokens=total - thinking,
                completion_tokens=total,
            ),
            model=self._model,
            looked_at=self._asked.sight.looked if self._asked else (),
            citations=found.citations,
            boxes=found.boxes,
            points=found.points,
        )
