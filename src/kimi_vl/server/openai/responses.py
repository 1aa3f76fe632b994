"""`/v1/responses`: answers that are kept, gone on from, left to be written in the background, and listened to again.

A response is asked for as a chat is (`items.Rewritten`) and answered by the same path; what is its own is told here and in `output.py`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kimi_vl.server.endpoint import Endpoint
from kimi_vl.server.errors import ApiError, as_api_error, invalid
from kimi_vl.server.openai import chat
from kimi_vl.server.openai.answers import Asked, Writing, events, found
from kimi_vl.server.openai.chunks import usage_out
from kimi_vl.server.openai.items import ITEMS, MessageItem, ResponsesRequest, Rewritten
from kimi_vl.server.openai.output import Output, usage
from kimi_vl.server.openai.requests import ChatRequest
from kimi_vl.server.openai.response_store import RUNNING, Record, ResponseStore
from kimi_vl.server.service import Service
from kimi_vl.server.stream import event as encoded_event
from kimi_vl.server.tracing import fail
from kimi_vl.server.transport import log, stop


@dataclass(eq=False)
class Run:
    """A response that is being written: what it is so far, what has been told of it, and who listens."""

    tenant: str
    request: ResponsesRequest
    rewritten: Rewritten
    asked: Asked[ChatRequest]
    record: Record
    told: list[bytes] = field(default_factory=list)
    has_begun: bool = False
    is_over: bool = False
    error: Exception | None = None  # that came before anything could be told
    task: asyncio.Task[None] | None = None
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def response(self) -> dict[str, Any]:
        return self.record.response

    def close(self) -> None:
        """Close the media, unless they are looked at in the background."""
        if not self.request.background:
            self.asked.close()

    def begin(self) -> None:
        """Say that there is an answer now, once."""
        if not self.has_begun:
            self.has_begun, self.response["status"] = True, "in_progress"
            if not self.request.background:
                self.tell_state("created")
            self.tell_state("in_progress")

    def tell_state(self, state: str) -> None:
        self.tell({"type": f"response.{state}", "response": self.response})

    def tell(self, event: dict[str, Any]) -> None:
        """One more event, for whoever listens or will."""
        if self.request.stream or self.request.background:
            self.hand_on(self.encoded(event))

    def encoded(self, event: dict[str, Any]) -> bytes:
        """As the next event."""
        return encoded_event(msgspec.json.encode({**event, "sequence_number": len(self.told)}), event["type"])

    def hand_on(self, event: bytes) -> None:
        self.told.append(event)
        self._wake()

    def end(self) -> None:
        """There will be no more events."""
        self.is_over = True
        self._wake()

    async def follow(self, after: int) -> AsyncGenerator[bytes]:
        """The events behind number `after`, as they come. Raises: what went wrong before there was one."""
        number = after + 1
        while True:
            more = self._more
            while number < len(self.told):
                yield self.told[number]
                number += 1
            if self.is_over:
                break
            await more.wait()
        if self.error is not None:
            raise self.error

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()


class Responses:
    """Of one server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._store = ResponseStore(service.data, service.options)
        self._running: dict[str, Run] = {}  # in the background
        self.endpoint = Endpoint(ResponsesRequest, self._ask, self._whole, self._events)

    # Asking --------------------------------------------------------------------------------------------------------------------

    async def _ask(self, service: Service, request: ResponsesRequest, tenant: str, started: float, priority: int) -> Run:
        """Raises: ApiError, in the words of responses."""
        service.check_model(request.model)
        earlier: list[Any] = []
        if (previous := request.previous_response_id) is not None:
            items = await asyncio.to_thread(self._store.conversation, tenant, previous, "previous_response_id")
            earlier = list(ITEMS.validate_python(items))
        rewritten = Rewritten(request, earlier)
        try:
            asked = await chat.ask(service, rewritten.chat, tenant, started, priority)
        except ApiError as error:
            raise rewritten.renamed(error) from None
        run = Run(tenant, request, rewritten, asked, Record(_described(request, asked, service), _kept_items(request)))
        if request.background:
            try:
                await self._begin(run)
            except BaseException:
                asked.close()
                raise
        return run

    async def _begin(self, run: Run) -> None:
        """Let it be written in the background. Raises: ApiError 429, 503."""
        most = self._service.options.key_requests
        if sum(other.tenant == run.tenant for other in self._running.values()) >= most:
            raise ApiError(429, "rate_limit_exceeded", f"{most} responses of this key are in the background already")
        begun = asyncio.get_running_loop().create_future()
        run.task = asyncio.ensure_future(self._in_background(run, begun))
        await begun

    async def _in_background(self, run: Run, begun: asyncio.Future[None]) -> None:
        try:
            with self._service.admission.request():
                await asyncio.to_thread(self._store.save, run.tenant, run.record, (), [*self._running])  # known, should the process end
                self._running[run.response["id"]] = run
                run.tell_state("created")
                run.tell_state("queued")
                if not begun.done():  # its client is still there
                    begun.set_result(None)
                with self._service.tracing.span("response", {"gen_ai.operation.name": "chat", "gen_ai.request.model": self._service.name}):
                    await self._tell(run)
        except Exception as error:
            if begun.done():
                raise
            begun.set_exception(error)
        finally:
            self._running.pop(run.response["id"], None)
            run.asked.close()

    async def _whole(self, service: Service, run: Run) -> bytes:
        if not run.request.background:
            await self._write(run)
            await self._close(run)
        return msgspec.json.encode(run.response)

    async def _events(self, service: Service, run: Run) -> AsyncGenerator[bytes]:
        if not run.request.background:
            run.task = asyncio.ensure_future(self._tell(run))
        try:
            async for event in run.follow(-1):
                yield event
        finally:
            if run.task is not None and not run.request.background:
                await stop(run.task)

    # Writing -------------------------------------------------------------------------------------------------------------------

    async def _tell(self, run: Run) -> None:
        """Write it, whatever becomes of it; who listens hears of it."""
        try:
            await self._write(run)
        except asyncio.CancelledError:
            run.response["status"] = "cancelled"
            if not run.request.background:  # its client has left
                raise
        except Exception as error:  # noqa: BLE001 - told to whoever listens, and logged where it is a bug
            if not run.has_begun and not run.request.background:
                run.error = error
                return
            _fail(run, error)
        finally:
            try:
                if run.error is None and run.response["status"] not in RUNNING:
                    await self._close(run)
            finally:
                run.end()

    async def _write(self, run: Run) -> None:
        """Raises: ApiError, KimiVLError."""
        service, response = self._service, run.response
        reasoning = run.request.reasoning
        output = Output(service.model.processor.tokenizer, summarises=reasoning is not None and reasoning.summary is not None)
        response["output"] = output.items
        writings: list[Writing] = []
        try:
            async for _, delta, told in events(service, run.asked, writings):
                run.begin()
                for event in output.take(delta, told):
                    run.tell(event)
        except ApiError as error:
            raise run.rewritten.renamed(error) from None
        [writing] = writings
        status = "incomplete" if writing.answer.finish_reason == "length" else "completed"
        for event in output.finish(status):
            run.tell(event)
        response["usage"] = usage(usage_out([writing.answer.usage], writing.answer.cached_tokens))
        response["kimi_vl"] = msgspec.to_builtins(await found(run.asked, writing))
        response |= {"status": status, "completed_at": int(time.time()) if status == "completed" else None}
        if status == "incomplete":
            response["incomplete_details"] = {"reason": "max_output_tokens"}

    async def _close(self, run: Run) -> None:
        """Keep it, and say last how it ended: whoever hears that can ask for it."""
        for item in run.response["output"]:
            if item["status"] == "in_progress":
                item["status"] = "incomplete"
        status = run.response["status"]
        last = run.encoded({"type": f"response.{'incomplete' if status == 'cancelled' else status}", "response": run.response})
        if run.response["store"]:
            kept = [*run.told, last] if run.request.background else None
            try:
                await asyncio.to_thread(self._store.save, run.tenant, run.record, kept, [*self._running])
            except OSError as error:  # an answer is not lost over a full disk
                log.error("response not kept", error=type(error).__name__)
        run.hand_on(last)

    # Asking again --------------------------------------------------------------------------------------------------------------

    async def find(self, tenant: str, response_id: str) -> Record:
        """Raises: ApiError 404."""
        run = self._running.get(response_id)
        if run is not None and run.tenant == tenant:
            return run.record
        record = await asyncio.to_thread(self._store.find, tenant, response_id)
        if record.response["status"] in RUNNING:
            message = "the server was stopped before the response was complete; ask once more"
            record.response |= {"status": "failed", "error": {"code": "server_error", "message": message}}
            await asyncio.to_thread(self._store.save, tenant, record, (), [*self._running])
        return record

    async def follow(self, tenant: str, response_id: str, after: int) -> AsyncGenerator[bytes]:
        """Its events behind number `after`, those to come too. Raises: ApiError 404, 400 for one whose events were not kept."""
        run = self._running.get(response_id)
        if run is not None and run.tenant == tenant:
            return run.follow(after)
        record = await self.find(tenant, response_id)
        if not record.response["background"]:
            raise invalid("invalid_value", "only a response that was made in the background can be streamed once more", "stream")
        kept = await asyncio.to_thread(self._store.events, tenant, response_id)
        if not kept:  # it was interrupted, and that is all that can be said
            last = {"type": "response.failed", "response": record.response, "sequence_number": after + 1}
            return _each([encoded_event(msgspec.json.encode(last), "response.failed")])
        return _each(kept[after + 1 :])

    async def cancel(self, tenant: str, response_id: str) -> Record:
        """Raises: ApiError 404, 400 for one that did not run in the background."""
        record = await self.find(tenant, response_id)
        if not record.response["background"]:
            raise invalid("invalid_value", "only a response in the background can be cancelled; close the connection of this one")
        await self._stop(response_id)
        return record

    async def delete(self, tenant: str, response_id: str) -> None:
        """Raises: ApiError 404."""
        await self.find(tenant, response_id)
        await self._stop(response_id)
        await asyncio.to_thread(self._store.delete, tenant, response_id)

    async def close(self) -> None:
        """End those in the background."""
        for response_id in [*self._running]:
            await self._stop(response_id)

    async def _stop(self, response_id: str) -> None:
        run = self._running.get(response_id)
        if run is None or run.task is None:
            return
        if run.response["status"] in RUNNING:
            await stop(run.task)
        else:  # it is over, and being kept
            await asyncio.wait({run.task})


async def _each(events: list[bytes]) -> AsyncGenerator[bytes]:
    for event in events:
        yield event


def _fail(run: Run, error: Exception) -> None:
    told = as_api_error(error)
    if told.status == 500:
        log.error("response failed", response_id=run.response["id"], exc_info=error)
    fail(told)
    run.begin()
    code = "server_error" if told.status >= 500 else "invalid_prompt"
    run.response.update({"status": "failed", "error": {"code": code, "message": told.message}})


def _kept_items(request: ResponsesRequest) -> list[dict[str, Any]]:
    """What was put in, each with an id."""
    kinds = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
    kept = []
    for item in request.items:
        one = item.model_dump(exclude_none=True)
        kind = one.setdefault("type", "message")
        if isinstance(item, MessageItem) and isinstance(item.content, str):
            text = {"type": "output_text" if item.role == "assistant" else "input_text", "text": item.content}
            one["content"] = [text | ({"annotations": []} if item.role == "assistant" else {})]
        one.setdefault("id", f"{kinds[kind]}_{secrets.token_hex(16)}")
        kept.append({**one, "status": "completed"})
    return kept


def _described(request: ResponsesRequest, asked: Asked[ChatRequest], service: Service) -> dict[str, Any]:
    """The response before there is an answer."""
    reasoning, form = request.reasoning, request.text.format if request.text else None
    choice = request.tool_choice
    return {
        "id": f"resp_{secrets.token_hex(16)}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "queued",
        "background": bool(request.background),
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "metadata": request.metadata or {},
        "model": service.name,
        "output": [],
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "reasoning": {"effort": reasoning.effort if reasoning else None, "summary": reasoning.summary if reasoning else None},
        "store": request.store is not False,
        "temperature": asked.params.temperature,
        "text": {"format": {"type": "text"} if form is None else form.model_dump(by_alias=True, exclude_none=True)},
        "tool_choice": "auto" if choice is None else choice if isinstance(choice, str) else choice.model_dump(),
        "tools": [tool.model_dump() for tool in request.tools or []],
        "top_logprobs": request.top_logprobs or 0,
        "top_p": asked.params.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": request.user,
    }
