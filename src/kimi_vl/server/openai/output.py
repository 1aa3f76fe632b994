"""What a response puts out, item by item: a thought, a message, calls; and the events that tell of each bit of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from kimi_vl.engine import Logprobs
from kimi_vl.processor import Tokenizer
from kimi_vl.server.openai.chunks import Delta, ToolCallOut, UsageOut, logprobs_out

Event = dict[str, Any]


class Words(NamedTuple):
    """Where a thought stands in its item, and what of it is called how."""

    key: str
    part: str
    part_event: str
    text_event: str
    place: dict[str, int]


THOUGHT = Words("content", "reasoning_text", "response.content_part", "response.reasoning_text", {"content_index": 0})
SUMMARY = Words("summary", "summary_text", "response.reasoning_summary_part", "response.reasoning_summary_text", {"summary_index": 0})


class Output:
    """Items in the order in which they were begun; the last may be open. An event shows them as they are when it is given.

    A thought stands in its `content`, or, where a summary was asked for, in its `summary`: as it is, for nothing here summarises.
    """

    def __init__(self, tokenizer: Tokenizer, *, summarises: bool) -> None:
        self.items: list[dict[str, Any]] = []
        self._tokenizer, self._words = tokenizer, SUMMARY if summarises else THOUGHT
        self._open: dict[str, Any] | None = None
        self._call: int | None = None  # the number of the call that is open

    def take(self, delta: Delta | None, told: tuple[Logprobs, ...]) -> Iterator[Event]:
        """The events of a bit."""
        if delta is not None and delta.reasoning_content:
            if self._open is None or self._open["type"] != "reasoning":
                yield from self._begin({"id": _id("rs"), "type": "reasoning", "summary": [], "content": [], "status": "in_progress"})
            yield from self._grow_thought(delta.reasoning_content)
        for call in (delta.tool_calls if delta is not None else None) or []:
            yield from self._take_call(call)
        text = delta.content if delta is not None else None
        if text or told:
            if self._open is None or self._open["type"] != "message":
                yield from self._begin_message()
            yield from self._grow_text(text or "", told)

    def finish(self, status: str) -> Iterator[Event]:
        """The last item is over, and there is one."""
        if not self.items:
            yield from self._begin_message()
        yield from self._end(status)

    # Items ---------------------------------------------------------------------------------------------------------------------

    def _begin(self, item: dict[str, Any]) -> Iterator[Event]:
        yield from self._end("completed")
        self._open = item
        self.items.append(item)
        yield {"type": "response.output_item.added", "output_index": len(self.items) - 1, "item": dict(item)}

    def _end(self, status: str) -> Iterator[Event]:
        item, self._open, self._call = self._open, None, None
        if item is None:
            return
        if item["type"] == "message":
            [part] = item["content"]
            yield self._event("response.output_text.done", item, content_index=0, text=part["text"], logprobs=part["logprobs"])
            yield self._event("response.content_part.done", item, content_index=0, part=dict(part))
        elif item["type"] == "function_call":
            yield self._event("response.function_call_arguments.done", item, name=item["name"], arguments=item["arguments"])
        else:
            yield from self._end_thought(item)
        item["status"] = status
        yield {"type": "response.output_item.done", "output_index": len(self.items) - 1, "item": dict(item)}

    def _begin_message(self) -> Iterator[Event]:
        yield from self._begin({"id": _id("msg"), "type": "message", "role": "assistant", "content": [], "status": "in_progress"})
        assert self._open is not None
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        self._open["content"].append(part)
        yield self._event("response.content_part.added", self._open, content_index=0, part=dict(part))

    def _grow_text(self, text: str, told: tuple[Logprobs, ...]) -> Iterator[Event]:
        assert self._open is not None
        part = self._open["content"][0]
        logprobs = msgspec.to_builtins(logprobs_out(told, self._tokenizer).content)
        part["text"] += text
        part["logprobs"] += logprobs
        yield self._event("response.output_text.delta", self._open, content_index=0, delta=text, logprobs=logprobs)

    # Thoughts ------------------------------------------------------------------------------------------------------------------

    def _grow_thought(self, text: str) -> Iterator[Event]:
        item = self._open
        assert item is not None
        words = self._words
        if not item[words.key]:
            item[words.key].append({"type": words.part, "text": ""})
            yield self._event(f"{words.part_event}.added", item, **words.place, part=dict(item[words.key][0]))
        item[words.key][0]["text"] += text
        yield self._event(f"{words.text_event}.delta", item, **words.place, delta=text)

    def _end_thought(self, item: dict[str, Any]) -> Iterator[Event]:
        words, part = self._words, dict(item[self._words.key][0])
        yield self._event(f"{words.text_event}.done", item, **words.place, text=part["text"])
        yield self._event(f"{words.part_event}.done", item, **words.place, part=part)

    # Calls ---------------------------------------------------------------------------------------------------------------------

    def _take_call(self, call: ToolCallOut) -> Iterator[Event]:
        function = call.function
        assert function is not None
        if function.name is not None:
            item = {"id": _id("fc"), "type": "function_call", "call_id": call.id, "name": function.name, "arguments": ""}
            yield from self._begin({**item, "status": "in_progress"})
            self._call = call.index
        elif function.arguments:
            assert self._open is not None
            assert self._call == call.index
            self._open["arguments"] += function.arguments
            yield self._event("response.function_call_arguments.delta", self._open, delta=function.arguments)

    def _event(self, kind: str, item: dict[str, Any], **fields: Any) -> Event:
        return {"type": kind, "item_id": item["id"], "output_index": len(self.items) - 1, **fields}


def usage(whole: UsageOut) -> dict[str, Any]:
    """In the words of responses."""
    details = whole.prompt_tokens_details
    return {
        "input_tokens": whole.prompt_tokens,
        "input_tokens_details": {"cached_tokens": details.cached_tokens, "cache_write_tokens": 0, "image_tokens": details.image_tokens},
        "output_tokens": whole.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": whole.completion_tokens_details.reasoning_tokens},
        "total_tokens": whole.total_tokens,
    }


def _id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(16)}"
