"""AsyncKimiVL: many questions at once, for callers in an event loop; and ChatModel, the part of it that everything above depends on.

It owns an `AsyncEngine`, on a CPU and on a GPU alike. A question is made of messages in any thread (`question`), because reading text and
digests of pictures take time; the answer is a stream that anybody may leave at any moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self, cast

import torch

from kimi_vl.checkpoint.locate import NANO
from kimi_vl.engine import AnswerStream as EngineStream
from kimi_vl.engine import AsyncEngine, Engine, FinishReason, Limits, Logprobs, Pictures, Reaction, SamplingParams
from kimi_vl.engine.engine import FEATURE_TOKENS
from kimi_vl.engine.memory import free_bytes
from kimi_vl.engine.plan import planned_limits
from kimi_vl.llm.answers import Usage
from kimi_vl.llm.early import Early, EngineEarly
from kimi_vl.llm.kimi_vl import KimiVL
from kimi_vl.llm.options import PREFIXES, Thinking
from kimi_vl.ops.quantised import Kind
from kimi_vl.processor import Processor
from kimi_vl.processor.chat import Message, cuts_of, render
from kimi_vl.processor.grammar import DocumentConstraint, Grammar
from kimi_vl.processor.reply import Reply

# Requests that compute at once, and tokens of a step. On a CPU a step of more tokens only makes everybody wait longer for the next one.
RUNNING = {"cuda": 64, "cpu": 16}
STEP_TOKENS = {"cuda": 8192, "cpu": 1024}


class Said(NamedTuple):
    """A bit of an answer: text that is never empty but where only `logprobs` are told, those of the answer's tokens (not of thinking)."""

    kind: str  # "thinking" or "text"
    text: str
    logprobs: tuple[Logprobs, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is submitted: tokens, and the pictures that their placeholders stand for, both of one tenant.

    A lower `priority` goes first. The answer to a `verbatim` question is text as it stands, white space and thinking marks included.
    """

    input_ids: list[int]
    pictures: Pictures | None
    num_image_tokens: int
    thinking: Thinking
    tenant: str = ""
    priority: int = 0
    verbatim: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """How busy an engine is: requests that compute and that wait, pages of its cache that are held, preemptions so far; pictures so far:
    those that were encoded and in how many seconds, and those whose features were still there."""

    running: int
    waiting: int
    pages_held: int
    pages: int
    preempted: int
    encoded: int = 0
    encode_s: float = 0.0
    reused: int = 0


class Answering(Protocol):
    """One answer while it is written. Iterating raises what ended it; `aclose` ends it and frees what it holds."""

    @property
    def finish_reason(self) -> FinishReason: ...

    @property
    def stop_string(self) -> str | None: ...

    @property
    def usage(self) -> Usage: ...

    @property
    def cached_tokens(self) -> int: ...

    @property
    def prompt_logprobs(self) -> Sequence[Logprobs]: ...

    def __aiter__(self) -> AsyncIterator[Said]: ...

    async def aclose(self) -> None: ...


class ChatModel(Protocol):
    """What a server, a library or an evaluation needs of a model. `AsyncKimiVL` is one."""

    name: str
    context: int  # tokens
    thinks: bool  # whether the checkpoint was trained to think
    defaults: SamplingParams
    processor: Processor
    max_running: int

    def early(self, tenant: str = "") -> Early: ...

    def question(
        self, messages: Sequence[Message], *, thinking: Thinking = "auto", tenant: str = "", early: Early | None = None
    ) -> Question: ...

    async def answer(
        self, question: Question, params: SamplingParams, *, n: int = 1, grammar: Grammar | None = None, searches_stops: bool | None = None
    ) -> Sequence[Answering]: ...

    @property
    def failure(self) -> BaseException | None: ...

    @property
    def step_s(self) -> float: ...

    @property
    def activity(self) -> Activity: ...

    async def close(self, *, grace_s: float = 0.0) -> None: ...


class _Reader:
    """Reads the tokens of one answer, in the engine's thread, and tells with each bit of text the log-probabilities of its tokens."""

    def __init__(self, reply: Reply, end_ids: frozenset[int]) -> None:
        self.reply, self._end_ids = reply, end_ids
        self._told: Logprobs | None = None
        self._open: list[Logprobs] = []  # of tokens of which it is not known yet whether they belong to the thinking

    def tell(self, logprobs: Logprobs) -> None:
        """As `engine.reading.Told`."""
        self._told = logprobs

    def read(self, token_ids: Sequence[int], ended: bool) -> Reaction[Said]:
        """As `engine.Reader`."""
        said: list[Said] = []
        for token in token_ids:
            if token not in self._end_ids:
                said += self._push(token)
        if ended or self.reply.stopped:
            rest = [Said(kind, text) for kind, text in self.reply.finish()]
            said += self._with_logprobs(rest, True)
        return Reaction(said, self.reply.forced(), self.reply.stopped)

    def _push(self, token: int) -> list[Said]:
        told, self._told = self._told, None
        if told is not None and told.token == token:
            self._open.append(told)
        thinking_tokens = self.reply.thinking_tokens
        said = [Said(kind, text) for kind, text in self.reply.push(token)]
        if self.reply.thinking_tokens > thinking_tokens:
            self._open.clear()
        return self._with_logprobs(said, False)

    def _with_logprobs(self, said: list[Said], last: bool) -> list[Said]:
        texts = [k for k, one in enumerate(said) if one.kind == "text"]
        if self._open and (texts or last):
            logprobs, self._open = tuple(self._open), []
            if texts:
                said[texts[-1]] = said[texts[-1]]._replace(logprobs=logprobs)
            else:
                said.append(Said("text", "", logprobs))
        return said


class AsyncAnswer:
    """One answer of an `AsyncKimiVL`; see `Answering`."""

    def __init__(self, stream: EngineStream[Said], reply: Reply, question: Question) -> None:
        self._stream, self._reply, self._question = stream, reply, question

    def __aiter__(self) -> AsyncIterator[Said]:
        return self._stream

    async def aclose(self) -> None:
        """End it if it has not ended."""
        await self._stream.aclose()

    @property
    def finish_reason(self) -> FinishReason:
        """Known after the last bit."""
        return "stop" if self._reply.stopped else cast("FinishReason", self._stream.finish_reason or "stop")

    @property
    def stop_string(self) -> str | None:
        """The stop string that ended it, if one did."""
        return self._reply.stop_string

    @property
    def cached_tokens(self) -> int:
        """Of the prompt, those that were in the cache already."""
        return self._stream.request.num_cached if self._stream.request else 0

    @property
    def prompt_logprobs(self) -> Sequence[Logprobs]:
        """Of the prompt's tokens but the first, where they were asked for; of the first of `n` answers, from its first bit on."""
        return self._stream.request.prompt_logprobs if self._stream.request else ()

    @property
    def usage(self) -> Usage:
        """So far."""
        total = len(self._stream.request.answer_ids) if self._stream.request else 0
        thinking = self._reply.thinking_tokens
        return Usage(
            prompt_tokens=len(self._question.input_ids),
            image_tokens=self._question.num_image_tokens,
            thinking_tokens=thinking,
            answer_tokens=total - thinking,
            completion_tokens=total,
        )


class AsyncKimiVL:
    """A loaded model that answers many at once; a `ChatModel`."""

    def __init__(self, llm: KimiVL, limits: Limits, *, max_waiting: int | None = None) -> None:
        """`limits` are the engine's; `max_waiting` bounds those that do not compute yet, by default four times those that do."""
        self.name, self.processor, self.defaults = llm.name, llm.processor, llm.defaults
        self.context = llm.context
        self.thinks = llm.name == NANO or "thinking" in llm.name.lower()
        self.max_running = limits.max_running
        self._vocab_size = llm.model.config.text_config.vocab_size
        self._engine = Engine(llm.model, limits, normalise=llm.processor.image_processor.normalised)
        self._front = AsyncEngine(self._engine, max_waiting=4 * limits.max_running if max_waiting is None else max_waiting)

    @classmethod
    def load(
        cls,
        name: str | Path | None = None,
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        quantize: str | None = None,
        fit: Literal["auto"] | None = None,
        max_running: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """As `KimiVL.load`, with an engine for up to `max_running` requests at once. Raises: as `KimiVL.load`; CapacityError where no page
        of the cache fits beside the weights."""
        llm = KimiVL.load(name, device=device, dtype=dtype, quantize=quantize, fit=fit, progress=progress)
        return cls(llm, serving_limits(llm, max_running=max_running, kind=llm.kind))

    def early(self, tenant: str = "") -> EngineEarly:
        """Takes what one question sees as it arrives. Close it once the question has been answered, or will not be asked."""
        return EngineEarly(lambda: self._front, tenant)

    def question(
        self, messages: Sequence[Message], *, thinking: Thinking = "auto", tenant: str = "", early: Early | None = None
    ) -> Question:
        """The prompt of a conversation whose pictures have been cut (`Cut`) before; some of them `early` may have. In any thread.

        Raises: InputError.
        """
        cuts = cuts_of(messages)
        counts = [cut.tokens for cut in cuts]
        input_ids = render(messages, self.processor.tokenizer, counts, prefix=PREFIXES[thinking])
        ahead = early.ahead if isinstance(early, EngineEarly) else None
        pictures = Pictures.uncut([cut.patches for cut in cuts], tenant, ahead) if cuts else None
        return Question(input_ids, pictures, sum(counts), thinking, tenant)

    async def answer(
        self,
        question: Question,
        params: SamplingParams,
        *,
        n: int = 1,
        grammar: Grammar | None = None,
        searches_stops: bool | None = None,
    ) -> list[AsyncAnswer]:
        """`n` answers, drawn with `params.seed`, seed + 1 and so on. With a grammar an answer is a document of it, behind
        whatever thinking, in which stop strings are not looked for unless `searches_stops`.

        Raises: PromptTooLong, InputError, CapacityError, EngineBusy, EngineStopped.
        """
        tokenizer = self.processor.tokenizer
        stop = params.stop if (grammar is None if searches_stops is None else searches_stops) else ()
        replies: list[Reply] = []

        def reader() -> _Reader:
            replies.append(
                Reply(
                    tokenizer,
                    thinking_started=question.thinking == "on",
                    thinking_over=question.thinking == "off",
                    document=question.verbatim or grammar is not None,
                    stop=stop,
                    max_thinking_tokens=0 if question.thinking == "off" else params.max_thinking_tokens,
                )
            )
            return _Reader(replies[-1], tokenizer.end_ids)

        made: list[DocumentConstraint] = []
        if grammar is not None:  # in a thread: compiling takes up to a second or two
            made = await asyncio.to_thread(lambda: [self._constraint(grammar, question) for _ in range(n)])
        streams = await self._front.submit(
            reader,
            question.input_ids,
            params,
            end_ids=tokenizer.end_ids,
            images=question.pictures,
            n=n,
            priority=question.priority,
            tenant=question.tenant,
            constraint=iter(made).__next__ if made else None,
        )
        return [AsyncAnswer(stream, reply, question) for stream, reply in zip(streams, replies, strict=True)]

    @property
    def failure(self) -> BaseException | None:
        """What brought the engine down, if something did."""
        return self._front.failure

    @property
    def step_s(self) -> float:
        """Seconds that the engine's step takes already."""
        return self._front.step_s

    @property
    def activity(self) -> Activity:
        """From any thread; its numbers may be of two moments."""
        scheduler, encoding = self._engine.scheduler, self._engine.runner.encoding
        return Activity(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting),
            pages_held=scheduler.limits.num_pages - scheduler.pool.num_available,
            pages=scheduler.limits.num_pages,
            preempted=scheduler.num_preempted,
            encoded=encoding.encoded,
            encode_s=encoding.seconds,
            reused=encoding.reused,
        )

    async def close(self, *, grace_s: float = 0.0) -> None:
        """Take no more questions, let answers go on for at most `grace_s`, then end them."""
        await self._front.close(grace_s=grace_s)

    def _constraint(self, grammar: Grammar, question: Question) -> DocumentConstraint:
        return grammar.constraint(self.processor.tokenizer, question.thinking, vocab_size=self._vocab_size)


def serving_limits(llm: KimiVL, *, max_running: int | None = None, kind: Kind | None = None, page_size: int = 64) -> Limits:
    """An engine for many requests in the memory that is free beside a loaded model; never more pages than all of them could fill.

    Prefixes are shared, within a tenant. Raises: CapacityError where no page fits.
    """
    device, config = llm.model.device, llm.model.config
    where = "cuda" if device.type == "cuda" else "cpu"
    running = max_running or RUNNING[where]
    features = FEATURE_TOKENS * config.text_config.hidden_size * llm.model.dtype.itemsize  # of pictures, which the engine keeps
    free = (free_bytes(device) - features) * 2 // llm.model.dtype.itemsize  # the plan counts halves, a CPU computes in fp32
    limits = planned_limits(config, free_bytes=free, max_running=running, step_tokens=STEP_TOKENS[where], kind=kind, page_size=page_size)
    most = running * -(-config.text_config.max_position_embeddings // page_size)
    return replace(limits, num_pages=min(limits.num_pages, most), shares_prefixes=True)
