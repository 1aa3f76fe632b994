"""KimiVL: what a Python user holds. Questions and media in, thinking and an answer out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, Unpack, cast

import torch

from kimi_vl.checkpoint import CheckpointReader, load_model, locate_checkpoint
from kimi_vl.checkpoint.load import resolve_dtype
from kimi_vl.checkpoint.locate import NANO
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import Constraint, Desk, Engine, Generation, Limits, Pictures, Pieces, SamplingParams
from kimi_vl.engine.memory import free_bytes, memory_limit
from kimi_vl.engine.plan import limits_of_one
from kimi_vl.errors import CapacityError, InputError, PromptTooLong
from kimi_vl.llm.answers import Answer, AnswerStream, Asked, PlainPieces, ReplyReader
from kimi_vl.llm.conversation import Access, Seen, see_messages
from kimi_vl.llm.early import EngineEarly, PlainEarly
from kimi_vl.llm.fitting import EXACTEST, Fit, fitted
from kimi_vl.llm.options import (
    PREFIXES,
    Conversed,
    Options,
    Sighted,
    Thinking,
    divided,
    recommended_params,
    resolve_device,
    resolve_options,
)
from kimi_vl.llm.seeing import Media, Messages, check_question, choice_of, look_at, one_or_several
from kimi_vl.media import Medium, sandbox
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.quantise import quantiser
from kimi_vl.ops.quantised import Kind
from kimi_vl.processor import Processor
from kimi_vl.processor.budget import MEDIA_SHARE
from kimi_vl.processor.chat import Message, cuts_of, render
from kimi_vl.processor.image import Cut
from kimi_vl.processor.reply import Piece, Reply
from kimi_vl.processor.views import Sight


class KimiVL:
    """A loaded model with its processor and its recommended settings. One request at a time, in one thread.

    On a GPU answers are written by the engine (`engine.Engine`), made for what memory is free when the first is asked for; answers whose
    streams are open at once are computed together. Ctrl-C in the middle of a step ends all that are open, and the next question makes the
    engine anew. On a CPU they are written by the plain path, `engine.Generation`, one by one: nano reads a receipt in as many CPU seconds
    by either (1.69 and 1.68, the mean of three), and the plain path keeps no pages between two questions.

    Every method takes the same options: `thinking` ("auto": the model decides, "on", "off"), `max_thinking_tokens`, `max_tokens`,
    `temperature`, `top_p`, `top_k`, `min_p`, `seed`, `stop` (up to four strings), `schema`. None means what the checkpoint recommends.
    They raise InputError for a value out of range, MediaError for a file that is no picture, PromptTooLong before any work is done.

    `schema` is a JSON schema (a dict, or its text) or a `Grammar`: the answer's `text` is then a document of it and nothing else, behind
    whatever thinking. With the finish_reason "length" it is only the beginning of one. Stop strings are not looked for in documents.
    """

    def __init__(
        self,
        model: KimiVLForConditionalGeneration,
        processor: Processor,
        *,
        name: str,
        defaults: SamplingParams,
        kind: Kind | None = None,
        context: int | None = None,
    ) -> None:
        """`kind`: what the model's decoder is quantised to. `context`: how many tokens a conversation may have, by default all that the
        model takes."""
        self.model = model
        self.processor = processor
        self.name = name
        self.defaults = defaults
        self._desk: Desk[Piece] | None = None
        self.kind = kind
        self._context = context or model.config.text_config.max_position_embeddings
        self._uses_engine = model.device.type == "cuda"

    @classmethod
    def load(
        cls,
        name: str | Path | None = None,
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        quantize: str | None = None,
        fit: Literal["auto"] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Load the embedded nano (None), a folder in the official layout, or a hub id.

        device "auto" is the first GPU where there is one; dtype "auto" suits weights and device (see `checkpoint.load_model`); quantize
        "int8" or "fp8" keeps the decoder's matrices in eight bits, which halves the memory of bf16 weights and on a CPU costs time; "int4"
        is int8 with the routed experts in four bits, less than a third of bf16. On a GPU "fp8" rounds tokens to fp8 as well before
        these multiply them, unless it is given but one; elsewhere they stay as they are.

        fit "auto" chooses, where `quantize` does not say, the most exact weights that fit the memory that is free now, and the longest
        context beside them (`llm/fitting.py`); `kind` and `context` say what was chosen.

        `progress(done, total)` counts bytes. Raises: CheckpointError, ConfigError, CapacityError, InputError.
        """
        if fit not in (None, "auto"):
            raise InputError(f"fit is {str(fit)[:40]!r}; it must be 'auto' or None")
        quantise = None if quantize is None else quantiser(quantize)
        device = resolve_device(device)
        sandbox.start()  # in the background: the first picture would wait 0.3 s for it
        folder = locate_checkpoint(name)
        defaults = recommended_params(folder, name)
        config = KimiVLConfig.from_file(folder / "config.json")
        processor = Processor.from_pretrained(folder, config.text_config.vocab_size)
        chosen = Fit(cast("Kind | None", quantize), config.text_config.max_position_embeddings)
        if fit == "auto":
            with CheckpointReader(folder) as reader:
                resolved = resolve_dtype(dtype, config, reader, device)
            chosen = fitted(config, resolved, device, kinds=EXACTEST if quantize is None else (chosen.kind,))
            quantise = None if chosen.kind is None else quantiser(chosen.kind)
        with memory_limit("loading the weights", "use a smaller dtype, a smaller model, or another device"):
            model, _ = load_model(folder, KimiVLForConditionalGeneration, dtype=dtype, device=device, progress=progress, quantise=quantise)
            model.choose_implementations()
        return cls(model, processor, name=str(name or NANO), defaults=defaults, kind=chosen.kind, context=chosen.context)

    def ask(self, question: str, media: Media | Sequence[Media] = (), **options: Unpack[Sighted]) -> Answer:
        """Answer one question about any number of pictures, animations, videos and PDFs: paths, file bytes, binary streams, data URLs, web
        addresses, PIL images, or what `media.load_frames` and `media.open_medium` returned.

        What is looked at of clips and documents follows `processor/views.py`, and what is said by `clip` ("00:10-00:40"), `pages`
        ("3-7,9"), `frames`, `fps`, `policy`, `media_tokens`, `transcript`; `Answer.looked_at` says what it was. Web addresses are
        fetched by the rules of `media/fetch.py`: public hosts only.
        """
        return _drain(self.stream(question, media, **options))

    def stream(self, question: str, media: Media | Sequence[Media] = (), **options: Unpack[Sighted]) -> AnswerStream:
        """As `ask`, piece by piece. The prompt is checked here, the model runs as the pieces are taken."""
        check_question(question)
        seeing, saying = divided(options)
        items = one_or_several(media)
        if not items:
            choice_of(seeing).check(())
            return self.stream_chat([{"role": "user", "content": question}], **saying)
        resolve_options(self.defaults, **saying)  # before anything is opened
        thinking, early = saying.get("thinking", "auto"), self._early()
        opened: tuple[Medium, ...] = ()
        try:
            sight = look_at(self.processor, self._context, question, items, thinking=thinking, arrived=early.take, **seeing)
            opened = tuple(medium for given, medium in zip(items, sight.media, strict=True) if given is not medium)
            return self._answer([sight.message(question)], saying, Asked(question, sight, opened), early)
        except BaseException:
            early.close()
            for medium in opened:
                medium.close()
            raise

    def look(
        self,
        question: str,
        media: Media | Sequence[Media],
        *,
        before: Messages = (),
        thinking: Thinking = "auto",
        password: str | None = None,
        **choice: Any,
    ) -> Sight:
        """What a question behind the messages `before` would see of its media; `choice` as in `ask`. Close it when it is done with."""
        return look_at(self.processor, self._context, question, media, before=before, thinking=thinking, password=password, **choice)

    def chat(self, messages: Messages, **options: Unpack[Conversed]) -> Answer:
        """Continue a conversation of OpenAI-style messages, with pictures, videos and documents in any of the user's turns.

        Their parts are those of `processor.chat.normalise`; what is looked at, and what the answer says of it, is as in `ask`. Where
        messages come from somebody else, `paths` names the folders in which they may name files, or none: [].
        """
        return _drain(self.stream_chat(messages, **options))

    def stream_chat(self, messages: Messages, **options: Unpack[Conversed]) -> AnswerStream:
        """As `chat`, piece by piece."""
        seeing, saying = divided(options)
        resolve_options(self.defaults, **saying)  # before anything is opened
        access = Access.of_caller(seeing.pop("paths", None))
        thinking, early = saying.get("thinking", "auto"), self._early()
        seen: Seen | None = None
        try:
            seen = see_messages(self.processor, self._context, messages, thinking=thinking, access=access, arrived=early.take, **seeing)
            return self._answer(seen.messages, saying, Asked(seen.question, seen.sight, seen.opened) if seen.sight.media else None, early)
        except BaseException:
            early.close()
            if seen is not None:
                seen.close()
            raise

    @property
    def context(self) -> int:
        """Tokens that a question, what it looks at and its answer may have together."""
        return self._context

    def _early(self) -> EngineEarly | PlainEarly:
        return EngineEarly(self._open_desk) if self._uses_engine else PlainEarly(self.model, self.processor.image_processor)

    def _answer(self, messages: Sequence[Message], options: Options, asked: Asked | None, early: EngineEarly | PlainEarly) -> AnswerStream:
        """Of messages whose pictures have been cut."""
        thinking, params, grammar = resolve_options(self.defaults, **options)
        cuts = cuts_of(messages)
        input_ids = render(messages, self.processor.tokenizer, [cut.tokens for cut in cuts], prefix=PREFIXES[thinking])
        if len(input_ids) >= self._context:
            raise PromptTooLong(len(input_ids), self._context - 1)
        params = replace(params, max_tokens=min(params.max_tokens, self._context - len(input_ids)))
        tokenizer = self.processor.tokenizer
        constraint = None
        if grammar is not None:
            constraint = grammar.constraint(tokenizer, thinking, vocab_size=self.model.config.text_config.vocab_size)
        reply = Reply(
            tokenizer,
            thinking_started=thinking == "on",
            thinking_over=thinking == "off",
            document=grammar is not None,
            stop=() if grammar is not None else params.stop,
            max_thinking_tokens=0 if thinking == "off" else params.max_thinking_tokens,
        )
        source = self._source(ReplyReader(reply, tokenizer.end_ids), input_ids, params, cuts, early, constraint)
        return AnswerStream(source, reply, self.name, len(input_ids), sum(cut.tokens for cut in cuts), asked)

    def _source(
        self,
        reader: ReplyReader,
        input_ids: Sequence[int],
        params: SamplingParams,
        cuts: Sequence[Cut],
        early: EngineEarly | PlainEarly,
        constraint: Constraint | None,
    ) -> PlainPieces | Pieces[Piece]:
        end_ids = self.processor.tokenizer.end_ids
        if isinstance(early, PlainEarly):
            features_MD = early.features(cuts)
            images = self.processor.images(cuts) if cuts and features_MD is None else None
            generation = Generation(
                self.model, input_ids, params, end_ids=end_ids, images=images, features_MD=features_MD, constraint=constraint
            )
            return PlainPieces(generation, reader)
        pictures = Pictures.uncut([cut.patches for cut in cuts], ahead=early.ahead) if cuts else None
        made = None if constraint is None else lambda: constraint
        return self._open_desk().submit(reader, input_ids, params, end_ids=end_ids, images=pictures, constraint=made)

    def _open_desk(self) -> Desk[Piece]:
        if self._desk is None or self._desk.engine is None:
            self._desk = None  # its memory goes before the new one's comes
            free = free_bytes(self.model.device)
            limits = self._limits(free)
            normalise = self.processor.image_processor.normalised
            ahead_tokens = self._ahead_tokens(free, limits)
            self._desk = Desk(Engine(self.model, limits, feature_tokens=0, ahead_tokens=ahead_tokens, normalise=normalise))
        return self._desk

    def _limits(self, free: int) -> Limits:
        return limits_of_one(self.model.config, free_bytes=free, kind=self.kind, context=self._context)

    def _ahead_tokens(self, free: int, limits: Limits) -> int:
        """Of clips and documents, which take a quarter of the context (processor/budget.py), may be encoded before their prompt is there:
        all, where nothing else gets less room for that, or none.
        """
        tokens = self._context // MEDIA_SHARE
        try:
            beside = self._limits(free - tokens * self.model.config.text_config.hidden_size * self.model.dtype.itemsize)
        except CapacityError:
            return 0
        return tokens if beside == limits else 0


def _drain(stream: AnswerStream) -> Answer:
    for _ in stream:
        pass
    return stream.answer
