"""What all routes share: the model, the options, who is inside, what is counted, where files are; and how a question is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from kimi_vl.engine import SamplingParams
from kimi_vl.llm import ChatModel
from kimi_vl.llm.async_kimi_vl import Answering, Question
from kimi_vl.processor.grammar import Grammar
from kimi_vl.server.access import Access
from kimi_vl.server.admission import Admission
from kimi_vl.server.errors import ApiError, invalid
from kimi_vl.server.files import Files
from kimi_vl.server.json import decode
from kimi_vl.server.metrics import Metrics
from kimi_vl.server.openai.content import Seeing
from kimi_vl.server.options import ServerOptions
from kimi_vl.server.strict import Model, parse
from kimi_vl.server.tracing import Parts, Tracing
from kimi_vl.server.transport import Receive, Scope, body_parts, check_json

READERS = 4  # threads that read text; compiling grammars, which may take seconds, has others
LARGE = 64 * 1024  # bytes of a body; decoding more of it takes longer than going to a thread and back
IGNORED = "x-ignored-parameters"
Result = TypeVar("Result")


class Service:
    """Of one server."""

    def __init__(self, model: ChatModel, options: ServerOptions, tracing: Tracing) -> None:
        self.model, self.options, self.tracing = model, options, tracing
        self.name = options.model_name or (Path(model.name).name if Path(model.name).is_dir() else model.name)
        self.started = int(time.time())
        self.access, self.metrics = Access(options), Metrics()
        waiting = 4 * model.max_running if options.waiting is None else options.waiting
        self.admission = Admission(model.max_running, waiting, options.queue_s)
        # What nobody waits for: it has no slot of those who do, and as few of its own as the option says.
        self.later = Admission(options.batch_running or max(1, model.max_running // 2), 0, None)
        self._own = None if options.data else TemporaryDirectory(prefix="kimi-vl-")  # goes with the process
        self.data = Path(options.data or self._own.name)  # type: ignore[union-attr]
        self.files = Files(self.data, options)
        self.seeing = Seeing(model.processor, model.context, options, self.files)
        self._receiving = 0  # bytes
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="text")
        self._threads = ThreadPoolExecutor(options.media_workers, thread_name_prefix="media")
        self._measure()

    async def json(self, scope: Scope, receive: Receive, model: type[Model]) -> tuple[Model, dict[str, str]]:
        """A request's body, and headers that say what was passed over. Raises: ApiError."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        check_json(headers.get(b"content-type", b"").decode("latin-1"))
        body = await self._received(receive)

        def read() -> tuple[Model, list[str]]:
            return parse(model, decode(body, self.options.json_depth), lenient=self.options.lenient)

        value, ignored = await self.with_text(read) if len(body) > LARGE else read()
        return value, {IGNORED: ", ".join(ignored).encode("ascii", "replace").decode()[:1000]} if ignored else {}

    async def _received(self, receive: Receive) -> bytes:
        """A whole body; all that are being received have one budget."""
        parts: list[bytes] = []
        size = 0
        try:
            async for part in body_parts(receive, self.options.body_bytes, self.options):
                size += len(part)
                self._receiving += len(part)
                if self._receiving > self.options.receiving_bytes:
                    raise ApiError(503, "server_is_overloaded", "too much is being received; try again in a moment")
                parts.append(part)
            return b"".join(parts)
        finally:
            self._receiving -= size

    def check_model(self, name: str | None) -> None:
        """Raises: ApiError 404."""
        if name is not None and name != self.name:
            raise ApiError(404, "model_not_found", f"there is no such model here; there is {self.name}", param="model")

    async def with_text(self, work: Callable[[], Result]) -> Result:
        """In one of the threads that read text."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def with_media(self, work: Callable[[], Result]) -> Result:
        """In one of the few threads where media are opened, so that nobody's pictures take all of the machine."""
        started = time.monotonic()
        try:
            with self.tracing.parts("media"):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self.metrics.media_seconds.observe(time.monotonic() - started)

    @asynccontextmanager
    async def answers(
        self,
        question: Question,
        params: SamplingParams,
        parts: Parts,
        *,
        n: int = 1,
        grammar: Grammar | None = None,
        searches_stops: bool | None = None,
    ) -> AsyncIterator[Sequence[Answering]]:
        """Answers while they are written, in slots of their own; who leaves the block ends them. Raises: ApiError, KimiVLError."""
        came, is_urgent = time.monotonic(), question.priority <= 0
        async with (self.admission if is_urgent else self.later).slot(n):
            if is_urgent:
                self.metrics.queue_seconds.observe(time.monotonic() - came)
            parts.next("prefill")
            answers = await self.model.answer(question, params, n=n, grammar=grammar, searches_stops=searches_stops)
            try:
                yield answers
            finally:
                for answer in answers:
                    await answer.aclose()

    def check_context(self, question: Question, max_tokens: int | None, param: str = "messages") -> None:
        """Raises: ApiError 400, with the numbers, for a prompt and an answer that do not fit together."""
        prompt, context = len(question.input_ids), self.model.context
        if prompt >= context or prompt + (max_tokens or 1) > context:
            asked = f" and the answer may have {max_tokens:,}" if max_tokens else ""
            raise invalid("context_length_exceeded", f"the prompt has {prompt:,} tokens{asked}, and the context holds {context:,}", param)

    @property
    def trouble(self) -> str | None:
        """Why no question can be answered now, if so."""
        if self.admission.draining:
            return "draining"
        if self.model.failure is not None or self.model.step_s > self.options.step_s:
            return "engine_restarting"
        return None

    def close(self) -> None:
        """Threads and files; the model is its owner's."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._own is not None:
            self._own.cleanup()

    def _measure(self) -> None:
        gauges: dict[str, tuple[str, Callable[[], Any]]] = {
            "requests_inside": ("Requests that are being read, wait, or are answered", lambda: self.admission.inside),
            "requests_waiting": ("Requests that wait for a slot", lambda: self.admission.waiting),
            "slots_taken": ("Answers that have a slot", lambda: self.admission.taken),
            "engine_running": ("Answers that the engine computes", lambda: self.model.activity.running),
            "engine_waiting": ("Answers that wait inside of the engine", lambda: self.model.activity.waiting),
            "cache_pages_held": ("Pages of the latent cache that are held", lambda: self.model.activity.pages_held),
            "cache_pages": ("Pages of the latent cache", lambda: self.model.activity.pages),
            "engine_preempted": ("Preemptions so far", lambda: self.model.activity.preempted),
            "engine_step_seconds": ("How long the engine's step takes already", lambda: self.model.step_s),
        }
        for name, (what, value) in gauges.items():
            self.metrics.gauge(name, what, value)
        counters: dict[str, tuple[str, Callable[[], float]]] = {
            "pictures_encoded": ("Pictures that the model encoded", lambda: self.model.activity.encoded),
            "pictures_reused": ("Pictures whose features were still there", lambda: self.model.activity.reused),
            "picture_encode_seconds": ("Encoding pictures", lambda: self.model.activity.encode_s),
        }
        for name, (what, value) in counters.items():
            self.metrics.counter(name, what, value)
