"""A server on a real socket, in a thread: with nano, or with a model that says what a test wants, when the test wants it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from kimi_vl.engine import Logprobs, SamplingParams
from kimi_vl.errors import EngineStopped, KimiVLError
from kimi_vl.llm import ChatModel, Usage
from kimi_vl.llm.async_kimi_vl import Activity, Question, Said
from kimi_vl.processor.chat import image_sources, render
from kimi_vl.processor.image import Cut
from kimi_vl.server import ServerOptions, create_app
from kimi_vl.server.run import Runner
from kimi_vl.server.tracing import Tracing
from tests.tiny_checkpoint import processor

HELLO = [{"role": "user", "content": "Hello"}]


class Served:
    """One running server; `runner` belongs to its thread."""

    def __init__(self, model: ChatModel, tracing: Tracing | None = None, **options: Any) -> None:
        self.model = model
        self.app = create_app(model, ServerOptions(port=0, **options), tracing)
        self.service = self.app.state.service
        self.runner = Runner(self.app)
        self._thread = threading.Thread(target=self._run, name="server")
        self._ready = threading.Event()

    def _run(self) -> None:
        async def main() -> None:
            self.loop = asyncio.get_running_loop()
            serving = asyncio.ensure_future(self.runner.serve())
            while not self.runner.started and not serving.done():
                await asyncio.sleep(0.005)
            self._ready.set()
            await serving

        asyncio.run(main())

    def start(self) -> Served:
        self._thread.start()
        assert self._ready.wait(30)
        self.port = self.runner.port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False)
        return self

    def signal(self) -> None:
        """What SIGTERM does."""
        self.loop.call_soon_threadsafe(self.runner.end)

    def stop(self) -> int:
        """The exit code."""
        self.client.close()
        if self._thread.is_alive():
            self.signal()
        self.join()
        return self.runner.exit_code

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    # Asking ------------------------------------------------------------------------------------------------------------------

    def chat(self, messages: Any = HELLO, **fields: Any) -> httpx.Response:
        return self.client.post("/v1/chat/completions", json={"model": self.service.name, "messages": messages, **fields})

    def events(self, messages: Any = HELLO, **fields: Any) -> list[dict[str, Any]]:
        """Of a stream that ends as it should."""
        response = self.chat(messages, stream=True, **fields)
        assert response.status_code == 200, response.text
        lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.startswith("data: ")]
        assert lines[-1] == "[DONE]"
        return [json.loads(line) for line in lines[:-1]]

    def refused(self, status: int, code: str, param: str | None = "any", **fields: Any) -> dict[str, Any]:
        """The error of a chat request that is refused in the one shape."""
        return refused(self.chat(fields.pop("messages", HELLO), **fields), status, code, param)

    def raw(self, data: bytes, *, wait_s: float = 3.0, half_close: bool = False) -> bytes:
        """All that comes back on one connection, until it is closed or nothing comes for `wait_s`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as sock:
            with suppress(OSError):  # refused before it was all sent
                sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            got = b""
            with suppress(OSError):
                while part := sock.recv(65536):
                    got += part
            return got

    def is_at_rest(self) -> bool:
        """Whether everything comes back to where it was, within two seconds (I3)."""
        admission = self.service.admission
        return until(lambda: (admission.inside, admission.taken, admission.waiting) == (0, 0, 0))


def refused(response: httpx.Response, status: int, code: str, param: str | None = "any") -> dict[str, Any]:
    """The error of an answer in the shape of RELIABILITY 2.0."""
    assert response.status_code == status, response.text[:300]
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["code"] == code, error
    assert param == "any" or error["param"] == param, error
    assert len(error["message"].encode()) <= 512
    assert len(response.content) <= 4096
    assert "0x" not in error["message"]
    assert "Traceback" not in response.text
    assert response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert (response.status_code in (429, 503)) == ("retry-after" in response.headers)
    return error


@contextmanager
def served(model: ChatModel, tracing: Tracing | None = None, **options: Any) -> Iterator[Served]:
    server = Served(model, tracing, **options).start()
    try:
        yield server
    finally:
        server.stop()


def until(holds: Callable[[], bool], seconds: float = 2.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class Script:
    """One answer: bits of text, errors that are raised, and events that are waited for."""

    def __init__(
        self, *steps: str | Said | KimiVLError | Exception | threading.Event, finish_reason: str = "stop", stop_string: str | None = None
    ) -> None:
        self.steps, self.finish_reason, self.stop_string = steps, finish_reason, stop_string


class ScriptedAnswer:
    def __init__(self, script: Script, question: Question, model: ScriptedModel) -> None:
        self.finish_reason, self.cached_tokens, self.prompt_logprobs = script.finish_reason, 0, ()
        self._script, self._question, self._model = script, question, model
        self._said, self.closed = 0, False
        self.stop_string = script.stop_string

    @property
    def usage(self) -> Usage:
        return Usage(
            prompt_tokens=len(self._question.input_ids),
            image_tokens=self._question.num_image_tokens,
            thinking_tokens=0,
            answer_tokens=self._said,
            completion_tokens=self._said,
        )

    async def __aiter__(self):
        for step in self._script.steps:
            if self._model.stopped:
                raise EngineStopped("the engine was stopped")
            if isinstance(step, threading.Event):
                while not step.is_set():
                    if self._model.stopped:
                        raise EngineStopped("the engine was stopped")
                    await asyncio.sleep(0.002)
            elif isinstance(step, Exception):
                raise step
            else:
                self._said += 1
                yield Said("text", step) if isinstance(step, str) else step

    async def aclose(self) -> None:
        self.closed = True


class ScriptedEarly:
    """Takes pictures and does nothing with them."""

    def take(self, cut: Cut) -> None: ...

    def close(self) -> None: ...


class ScriptedModel:
    """A `ChatModel` that answers every question by `script`, and keeps what it was asked."""

    def __init__(self, script: Script | None = None, *, max_running: int = 2, context: int = 600) -> None:
        self.name, self.context, self.thinks, self.max_running = "scripted", context, True, max_running
        self.defaults, self.processor = SamplingParams(max_tokens=100), processor()
        self.script = script or Script("fine")
        self.questions: list[Question] = []
        self.params: list[SamplingParams] = []
        self.answers: list[ScriptedAnswer] = []
        self.stopped = False
        self.failure: BaseException | None = None
        self.step_s = 0.0
        self.activity = Activity(running=0, waiting=0, pages_held=0, pages=8, preempted=0)

    def early(self, tenant: str = "") -> ScriptedEarly:
        return ScriptedEarly()

    def question(self, messages: Sequence[Any], *, thinking: str = "auto", tenant: str = "", early: Any = None) -> Question:
        counts = [cut.tokens for cut in image_sources(messages)]
        return Question(render(messages, self.processor.tokenizer, counts), None, sum(counts), thinking, tenant)  # type: ignore[arg-type]

    async def answer(
        self, question: Question, params: SamplingParams, *, n: int = 1, grammar: Any = None, searches_stops: Any = None
    ) -> Any:
        if self.stopped:
            raise EngineStopped("the engine was stopped")
        self.questions.append(question)
        self.params.append(params)
        new = [ScriptedAnswer(self.script, question, self) for _ in range(n)]
        self.answers += new
        return new

    async def close(self, *, grace_s: float = 0.0) -> None:
        self.stopped = True


def logprobs_of(token: int, value: float) -> Logprobs:
    return Logprobs(token, value, ((token, value),))
