"""KimiVL: what a Python user holds. Questions and media in, thinking and an answer out."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, TypedDict, Unpack, cast

import torch
from PIL import Image

from kimi_vl.checkpoint import load_model, locate_checkpoint
from kimi_vl.checkpoint.locate import NANO
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import Constraint, Desk, Engine, FinishReason, Generation, Pieces, Reaction, SamplingParams
from kimi_vl.engine.memory import free_bytes, memory_limit
from kimi_vl.engine.plan import limits_of_one
from kimi_vl.errors import CapacityError, ConfigError, InputError, MediaError
from kimi_vl.media import Frames, Medium, open_medium
from kimi_vl.media.fetch import Fetcher, RequestFetcher
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.kimi_vl import GridHWs
from kimi_vl.model.quantise import quantiser
from kimi_vl.ops.quantised import Kind
from kimi_vl.processor import THINK_CLOSE, THINK_OPEN, Processor
from kimi_vl.processor.chat import MAX_IMAGES, Message
from kimi_vl.processor.citations import Citation
from kimi_vl.processor.findings import Findings, find
from kimi_vl.processor.grammar import Grammar
from kimi_vl.processor.grounding import Box, Point
from kimi_vl.processor.reply import Piece, Reply
from kimi_vl.processor.views import Choice, Looked, Sight, look

Thinking = Literal["auto", "on", "off"]
Media = str | Path | bytes | BinaryIO | Image.Image | Frames | Medium
Messages = Sequence[Mapping[str, Any] | Message]


class Options(TypedDict, total=False):
    """What may be said about one answer; see `KimiVL`."""

    thinking: Thinking
    max_thinking_tokens: int | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    seed: int | None
    stop: str | Sequence[str] | None
    schema: object


class Sighted(Options, total=False):
    """The same, and what is looked at of the media; see `processor.views.Choice`. `password` opens PDFs that want one."""

    clip: str | None
    pages: str | Sequence[int] | None
    frames: int | None
    fps: float | None
    media_tokens: int | None
    password: str | None


LOOKING = tuple(field.name for field in fields(Choice))

# What the answer begins with, as part of the prompt. For "off" it is a thought already finished, the way the official evaluation code
# skips thinking (MODEL_SPEC §5.5); a checkpoint that never thinks answers the same with it.
PREFIXES: dict[Thinking, str] = {"auto": "", "on": THINK_OPEN, "off": f"{THINK_OPEN}\n\n{THINK_CLOSE}"}

# MODEL_SPEC §5.6, the most specific name first. Unknown checkpoints get the settings of the official demo.
VARIANTS = {
    "thinking-2506": SamplingParams(temperature=0.8, max_tokens=32_768),
    "thinking": SamplingParams(temperature=0.6),
    "instruct": SamplingParams(temperature=0.2),
}
DEFAULT_PARAMS = SamplingParams(temperature=0.6)

OUT_OF_MEMORY = "out of memory while generating; pass fewer or smaller images, lower max_tokens, or run on another device"

# Keys of a generation_config.json that are read, and what they are called here; the others configure transformers.
GENERATION_KEYS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "min_p": "min_p", "max_new_tokens": "max_tokens"}


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
    ) -> None:
        """`kind`: what the model's decoder is quantised to."""
        self.model = model
        self.processor = processor
        self.name = name
        self.defaults = defaults
        self._desk: Desk[Piece] | None = None
        self._kind = kind
        self._uses_engine = model.device.type == "cuda"

    @classmethod
    def load(
        cls,
        name: str | Path | None = None,
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        quantize: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Load the embedded nano (None), a folder in the official layout, or a hub id.

        device "auto" is the first GPU where there is one; dtype "auto" suits weights and device (see `checkpoint.load_model`); quantize
        "int8" or "fp8" keeps the decoder's matrices in eight bits, which halves the memory of bf16 weights and on a CPU costs time; "int4"
        is int8 with the routed experts in four bits, less than a third of bf16. On a GPU "fp8" rounds tokens to fp8 as well before
        these multiply them, unless it is given but one; elsewhere they stay as they are;
        `progress(done, total)` counts bytes. Raises: CheckpointError, ConfigError, CapacityError, InputError.
        """
        quantise = None if quantize is None else quantiser(quantize)
        device = resolve_device(device)
        folder = locate_checkpoint(name)
        defaults = recommended_params(folder, name)
        config = KimiVLConfig.from_file(folder / "config.json")
        processor = Processor.from_pretrained(folder, config.text_config.vocab_size)
        with memory_limit("loading the weights", "use a smaller dtype, a smaller model, or another device"):
            model, _ = load_model(folder, KimiVLForConditionalGeneration, dtype=dtype, device=device, progress=progress, quantise=quantise)
            model.choose_implementations()
        return cls(model, processor, name=str(name or NANO), defaults=defaults, kind=cast("Kind | None", quantize))

    def ask(self, question: str, media: Media | Sequence[Media] = (), **options: Unpack[Sighted]) -> Answer:
        """Answer one question about any number of pictures, animations, videos and PDFs: paths, file bytes, binary streams, data URLs, web
        addresses, PIL images, or what `media.load_frames` and `media.open_medium` returned.

        What is looked at of clips and documents follows `processor/views.py`, and what is said by `clip` ("00:10-00:40"), `pages`
        ("3-7,9"), `frames`, `fps`, `media_tokens`; `Answer.looked_at` says what it was. Web addresses are fetched by the rules of
        `media/fetch.py`: public hosts only.
        """
        return _drain(self.stream(question, media, **options))

    def stream(self, question: str, media: Media | Sequence[Media] = (), **options: Unpack[Sighted]) -> AnswerStream:
        """As `ask`, piece by piece. The prompt is checked here, the model runs as the pieces are taken."""
        _check_question(question)
        seeing, saying = divided(options)
        items = one_or_several(media)
        if not items:
            Choice(**_chosen(seeing)).check(())
            return self.stream_chat([{"role": "user", "content": question}], **saying)
        sight = self.look(question, items, thinking=saying.get("thinking", "auto"), **seeing)
        opened = tuple(medium for given, medium in zip(items, sight.media, strict=True) if given is not medium)
        try:
            return self._answer([sight.message(question)], saying, Asked(question, sight, opened))
        except BaseException:
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
        context = self.model.config.text_config.max_position_embeddings
        return look_at(self.processor, context, question, media, before=before, thinking=thinking, password=password, **choice)

    def chat(self, messages: Messages, **options: Unpack[Options]) -> Answer:
        """Continue a conversation of OpenAI-style messages."""
        return _drain(self.stream_chat(messages, **options))

    def stream_chat(self, messages: Messages, **options: Unpack[Options]) -> AnswerStream:
        """As `chat`, piece by piece."""
        return self._answer(messages, options)

    def _answer(self, messages: Messages, options: Options, asked: Asked | None = None) -> AnswerStream:
        thinking, params, grammar = resolve_options(self.defaults, **options)
        prompt = self.processor.prompt(messages, PREFIXES[thinking])
        tokenizer = self.processor.tokenizer
        constraint = None
        if grammar is not None:
            constraint = grammar.constraint(tokenizer, thinking, vocab_size=self.model.config.text_config.vocab_size)
        images = None
        if prompt.pixel_values is not None and prompt.image_grid_hws is not None:
            images = (prompt.pixel_values, prompt.image_grid_hws)
        reply = Reply(
            tokenizer,
            thinking_started=thinking == "on",
            thinking_over=thinking == "off",
            document=grammar is not None,
            stop=() if grammar is not None else params.stop,
            max_thinking_tokens=0 if thinking == "off" else params.max_thinking_tokens,
        )
        source = self._source(ReplyReader(reply, tokenizer.end_ids), prompt.input_ids, params, images, constraint)
        return AnswerStream(source, reply, self.name, len(prompt.input_ids), prompt.num_image_tokens, asked)

    def _source(
        self,
        reader: ReplyReader,
        input_ids: Sequence[int],
        params: SamplingParams,
        images: tuple[torch.Tensor, GridHWs] | None,
        constraint: Constraint | None,
    ) -> PlainPieces | Pieces[Piece]:
        end_ids = self.processor.tokenizer.end_ids
        if not self._uses_engine:
            generation = Generation(self.model, input_ids, params, end_ids=end_ids, images=images, constraint=constraint)
            return PlainPieces(generation, reader)
        made = None if constraint is None else lambda: constraint
        return self._open_desk().submit(reader, input_ids, params, end_ids=end_ids, images=images, constraint=made)

    def _open_desk(self) -> Desk[Piece]:
        if self._desk is None or self._desk.engine is None:
            self._desk = None  # its memory goes before the new one's comes
            limits = limits_of_one(self.model.config, free_bytes=free_bytes(self.model.device), kind=self._kind)
            self._desk = Desk(Engine(self.model, limits, feature_tokens=0))
        return self._desk


def one_or_several(media: Media | Sequence[Media]) -> list[Media]:
    """What was passed as media, as a list; the frames of one clip are one medium."""
    if isinstance(media, (str, Path, bytes, Image.Image, Medium)) or hasattr(media, "read"):
        return [cast("Media", media)]
    items = list(cast("Sequence[Media]", media))
    return cast("list[Media]", [items] if items and isinstance(items[0], tuple) else items)


def open_media(media: Media | Sequence[Media], password: str | None = None) -> list[Medium]:
    """All of them open, or none. Raises: MediaError, InputError."""
    items = one_or_several(media)
    if len(items) > MAX_IMAGES:
        raise InputError(f"media holds {len(items)} pictures; at most {MAX_IMAGES} are taken")
    fetcher = RequestFetcher(Fetcher())
    opened: list[Medium] = []
    try:
        for item in items:
            opened.append(open_medium(item, password=password, fetcher=fetcher))
    except BaseException:
        for medium in opened:
            medium.close()
        raise
    return opened


def look_at(
    processor: Processor,
    context: int,
    question: str,
    media: Media | Sequence[Media],
    *,
    before: Messages = (),
    thinking: Thinking = "auto",
    password: str | None = None,
    **choice: Any,
) -> Sight:
    """As `KimiVL.look`, of a checkpoint's processor and its context (tokens) alone, without weights."""
    _check_question(question)
    chosen = Choice(**_chosen(choice))
    used = processor.length([*before, {"role": "user", "content": question}], PREFIXES.get(thinking, ""))
    items = one_or_several(media)
    opened = open_media(items, password)
    try:
        return look(question, opened, processor, context=context, used=used, choice=chosen)
    except BaseException:
        for given, medium in zip(items, opened, strict=True):
            if given is not medium:
                medium.close()
        raise


def divided(options: Mapping[str, Any]) -> tuple[dict[str, Any], Options]:
    """What is said about seeing, and about the answer."""
    seeing = {name: value for name, value in options.items() if name in (*LOOKING, "password")}
    return seeing, cast("Options", {name: value for name, value in options.items() if name not in seeing})


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "password"}


def _check_question(question: object) -> None:
    if not isinstance(question, str) or not question.strip():
        raise InputError(f"question is {ascii(question)[:40]}; it must be a text")


def resolve_options(
    defaults: SamplingParams,
    *,
    thinking: Thinking = "auto",
    stop: str | Sequence[str] | None = None,
    schema: object = None,
    **values: Any,
) -> tuple[Thinking, SamplingParams, Grammar | None]:
    """What the options of a request mean beside a checkpoint's defaults. Raises: InputError for an unknown one or a bad value."""
    if thinking not in tuple(PREFIXES):
        raise InputError(f"thinking is {thinking!r}; it must be one of {', '.join(map(repr, PREFIXES))}")
    known = [field.name for field in fields(SamplingParams)]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *LOOKING, "thinking", "schema"], n=1)
            raise InputError(
                f"there is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}")
            )
    if stop is not None:
        values["stop"] = (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, list) else stop
    params = replace(defaults, **{name: value for name, value in values.items() if value is not None})
    grammar = schema if schema is None or isinstance(schema, Grammar) else Grammar.json_schema(schema)
    return thinking, params, grammar


def resolve_device(device: str | torch.device) -> torch.device:
    """ "auto" is the first GPU, or the CPU where there is none. Raises: InputError for a device that this machine lacks."""
    has_gpu = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if has_gpu else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError):
        raise InputError(f"device is {str(device)[:40]!r}; it must be 'auto', 'cpu', 'cuda' or 'cuda:N'") from None
    if resolved.type not in ("cpu", "cuda"):
        raise InputError(f"device is {str(device)!r}; this package runs on 'cpu' and on NVIDIA GPUs ('cuda', 'cuda:N')")
    if resolved.type == "cuda" and not has_gpu:
        raise InputError(f"device is {str(device)!r}, but torch {torch.__version__} sees no NVIDIA GPU here; `kimi-vl doctor` says more")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device is {str(device)!r}, but the last GPU here is 'cuda:{torch.cuda.device_count() - 1}'")
    return resolved


def recommended_params(folder: Path, name: str | Path | None = None) -> SamplingParams:
    """A checkpoint's own generation_config.json where it has one, else what its makers recommend for the variant of that name.

    Raises: ConfigError for a generation_config.json that cannot be read or holds values out of range.
    """
    by_name = _recommended_for_variant(folder if name is None else Path(name))
    path = folder / "generation_config.json"
    if not path.is_file():
        return by_name
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        given = {GENERATION_KEYS[key]: value for key, value in values.items() if key in GENERATION_KEYS}
        return replace(by_name, **given)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a usable generation config: {error}") from None


def _recommended_for_variant(name: Path) -> SamplingParams:
    for part in reversed(name.parts):
        for variant, params in VARIANTS.items():
            if variant in part.lower():
                return params
    return DEFAULT_PARAMS


def _drain(stream: AnswerStream) -> Answer:
    for _ in stream:
        pass
    return stream.answer
