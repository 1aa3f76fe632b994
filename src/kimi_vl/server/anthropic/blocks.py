"""What a message puts out, block by block: a thought, text, tools used; and the events that tell of each bit of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from kimi_vl.server.openai.chunks import Delta

Event = dict[str, Any]


class Blocks:
    """Blocks in the order in which they were begun; the last may be open.

    A thought is signed with a digest of itself. Clients send both back, and nothing depends on them, because the model's format drops
    earlier thoughts. Where thoughts are not shown, their block has the signature alone.
    """

    def __init__(self, *, shows_thinking: bool = True) -> None:
        self.blocks: list[dict[str, Any]] = []
        self._shows_thinking = shows_thinking
        self._is_open = False
        self._arguments = ""
        self._thought = hashlib.sha256()

    def take(self, delta: Delta | None) -> Iterator[Event]:
        """The events of a bit."""
        if delta is None:
            return
        if delta.reasoning_content:
            yield from self._thinking(delta.reasoning_content)
        if delta.content:
            yield from self._text(delta.content)
        for call in delta.tool_calls or ():
            function = call.function
            assert function is not None
            if call.id is not None:
                used: dict[str, Any] = {
                    "type": "tool_use",
                    "id": "toolu_" + call.id.removeprefix("call_"),
                    "name": function.name,
                    "input": {},
                }
                yield from self._begin(used)
            if function.arguments:
                self._arguments += function.arguments
                yield self._delta({"type": "input_json_delta", "partial_json": function.arguments})

    def finish(self) -> Iterator[Event]:
        """The last block is over, and there is one."""
        if not self.blocks:
            yield from self._begin({"type": "text", "text": ""})
        yield from self._end()

    def _thinking(self, text: str) -> Iterator[Event]:
        yield from self._go_on({"type": "thinking", "thinking": "", "signature": ""})
        self._thought.update(text.encode())
        if self._shows_thinking:
            self.blocks[-1]["thinking"] += text
            yield self._delta({"type": "thinking_delta", "thinking": text})

    def _text(self, text: str) -> Iterator[Event]:
        yield from self._go_on({"type": "text", "text": ""})
        self.blocks[-1]["text"] += text
        yield self._delta({"type": "text_delta", "text": text})

    def _go_on(self, block: dict[str, Any]) -> Iterator[Event]:
        """With the block that is open, if it is of this kind."""
        if not self._is_open or self.blocks[-1]["type"] != block["type"]:
            yield from self._begin(block)

    def _begin(self, block: dict[str, Any]) -> Iterator[Event]:
        yield from self._end()
        self.blocks.append(block)
        self._is_open, self._arguments = True, ""
        yield {"type": "content_block_start", "index": len(self.blocks) - 1, "content_block": dict(block)}

    def _end(self) -> Iterator[Event]:
        if not self._is_open:
            return
        block = self.blocks[-1]
        if block["type"] == "thinking":
            block["signature"] = base64.b64encode(self._thought.digest()).decode()
            yield self._delta({"type": "signature_delta", "signature": block["signature"]})
            self._thought = hashlib.sha256()
        elif block["type"] == "tool_use":  # cut off in the middle: what there is of it
            block["input"] = from_json(self._arguments, allow_partial=True) if self._arguments else {}
        self._is_open = False
        yield {"type": "content_block_stop", "index": len(self.blocks) - 1}

    def _delta(self, delta: dict[str, Any]) -> Event:
        return {"type": "content_block_delta", "index": len(self.blocks) - 1, "delta": delta}
