"""Tool calls, which the family's chat format does not have: how tools are told, how the model calls one, and reading that.

Tools are listed in the system message as JSON. A call is `<tool_call>{"name": "NAME", "arguments": {...}}</tool_call>`, several stand
on lines of their own, and results come back in the user's turn within `<tool_response>`. A grammar sees to it that whatever begins like
a call is one: of a tool that there is, with arguments that its schema allows. All of it is ordinary text; no control token is involved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kimi_vl.errors import InputError
from kimi_vl.processor.grammar import JSON_OPTIONS, Grammar
from kimi_vl.processor.schema import schema_text
from kimi_vl.server.errors import invalid
from kimi_vl.server.openai.requests import ChosenTool, FunctionCall, Tool

OPEN, CLOSE = "<tool_call>", "</tool_call>"
RESULT_OPEN, RESULT_CLOSE = "<tool_response>", "</tool_response>"
MOST_CALLS = 8  # of one answer
ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}

_HEAD = re.compile(r'<tool_call>\{"name": "([A-Za-z0-9_-]{1,64})", "arguments": ')
_HEAD_LENGTH = len('<tool_call>{"name": "", "arguments": ') + 64

INSTRUCTIONS = """

You can call these tools, described in JSON, one on a line:
{tools}
To call one, write nothing but {open}{{"name": "NAME", "arguments": {{...}}}}{close}, with arguments that its schema allows{several}. \
What it gave comes back within {result_open}{result_close}.{must}"""


@dataclass(frozen=True)
class Toolbox:
    """The tools that one answer may call: none, any (`auto`), or some that it must (`required`)."""

    tools: tuple[Tool, ...]
    must: bool
    parallel: bool

    @classmethod
    def of(cls, tools: Sequence[Tool] | None, choice: str | ChosenTool | None, parallel: bool | None) -> Toolbox | None:
        """None where nothing may be called."""
        if not tools or choice == "none":
            return None
        if isinstance(choice, ChosenTool):
            return cls(tuple(tool for tool in tools if tool.function.name == choice.function.name), True, False)
        return cls(tuple(tools), choice == "required", parallel is not False)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(tool.function.name for tool in self.tools)

    def instructions(self) -> str:
        """What stands at the end of the system message."""
        lines = [json.dumps(tool.function.model_dump(exclude={"strict"}, exclude_none=True), ensure_ascii=False) for tool in self.tools]
        return INSTRUCTIONS.format(
            tools="\n".join(lines),
            open=OPEN,
            close=CLOSE,
            result_open=RESULT_OPEN,
            result_close=RESULT_CLOSE,
            several="; several calls stand on lines of their own" if self.parallel else "; call at most one",
            must=" You must call a tool now." if self.must else "",
        )

    def grammar(self, schema_bytes: int) -> Grammar:
        """What an answer may be. Raises: ApiError 400 for a schema that is refused."""
        bodies = []
        for k, tool in enumerate(self.tools):
            schema = ANY_OBJECT if tool.function.parameters is None else tool.function.parameters
            bodies.append(_body(tool.function.name, schema, schema_bytes, f"tools[{k}].function.parameters"))
        calls = " | ".join(f"call_{k}" for k in range(len(bodies)))
        more = f'("\\n" "{OPEN}" body){{0,{MOST_CALLS - 1}}}' if self.parallel else ""
        lines = [f"call_{k}: {body}" for k, body in enumerate(bodies)]
        if self.must:
            lines = [f'start: "{OPEN}" body {more}', f"body: {calls}", *lines]
        else:
            lines = [f"start: TEXT | begun body {more}", f"body: {calls}", f'begun[lazy]: TEXT "{OPEN}"', r"TEXT: /(.|\n)*/", *lines]
        try:
            return Grammar.lark("%llguidance {}\n" + "\n".join(lines) + "\n")
        except InputError as error:
            raise invalid("invalid_json_schema", f"the tools cannot be used together: {error}", "tools") from None


class Call(NamedTuple):
    """A bit of a call: number `number` of the answer. The first has the name; `arguments` follow as they are written."""

    number: int
    name: str | None
    arguments: str


class CallReader:
    """Reads text as it comes: text that is no call, and calls, whose arguments are handed on while they are written.

    However the text is cut, the bits joined are the same. What begins like a call and is none is text.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self.num_calls = 0
        self.unfinished = False  # in the middle of a call
        self._names = names
        self._held = ""
        self._arguments: _Object | None = None
        self._tail = ""  # of what closes a call

    def feed(self, text: str) -> Iterator[str | Call]:
        """What can be said now."""
        self._held += text
        while self._held:
            before = (len(self._held), self._arguments, self._tail)
            yield from self._go_on()
            if before == (len(self._held), self._arguments, self._tail):
                return

    def finish(self) -> Iterator[str | Call]:
        """What was held back, once no more text will come."""
        if self._held and not self._arguments and not self._tail:
            text, self._held = self._held, ""
            if text.strip() or not self.num_calls:
                yield text

    def _go_on(self) -> Iterator[str | Call]:
        if self._arguments is not None:
            size = self._arguments.feed(self._held)
            text, self._held = self._held[:size], self._held[size:]
            if text:
                yield Call(self.num_calls - 1, None, text)
            if self._arguments.is_over:
                self._arguments, self._tail = None, "}" + CLOSE
        elif self._tail:
            size = min(len(self._tail), len(self._held))
            self._tail = self._tail[size:] if self._held.startswith(self._tail[:size]) else ""
            self._held = self._held[size:]
            self.unfinished = bool(self._tail)
        else:
            yield from self._look()

    def _look(self) -> Iterator[str | Call]:
        start = self._held.find("<")
        if start < 0 and not (self.num_calls and not self._held.strip()):
            text, self._held = self._held, ""
            yield text
            return
        if start > 0:
            text, self._held = self._held[:start], self._held[start:]
            if text.strip() or not self.num_calls:
                yield text
        if match := _HEAD.match(self._held):
            if match[1] in self._names:
                self.num_calls += 1
                self.unfinished = True
                self._held, self._arguments = self._held[match.end() :], _Object()
                yield Call(self.num_calls - 1, match[1], "")
                return
        elif self._held[:1] == "<" and _may_become_head(self._held):
            return
        if self._held[:1] == "<":
            self._held = self._held[1:]
            yield "<"


class _Object:
    """Finds the end of a JSON object."""

    def __init__(self) -> None:
        self.is_over = False
        self._depth, self._in_string, self._escaped = 0, False, False

    def feed(self, text: str) -> int:
        """How many of these characters belong to it."""
        for k, c in enumerate(text):
            if self._escaped:
                self._escaped = False
            elif self._in_string:
                self._escaped, self._in_string = c == "\\", c != '"'
            elif c == '"':
                self._in_string = True
            elif c in "{[":
                self._depth += 1
            elif c in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    self.is_over = True
                    return k + 1
        return len(text)


def written(calls: Sequence[FunctionCall]) -> str:
    """Calls of an earlier answer as the model wrote them."""
    return "\n".join(f'{OPEN}{{"name": "{call.name}", "arguments": {call.arguments}}}{CLOSE}' for call in calls)


def _may_become_head(text: str) -> bool:
    if len(text) >= _HEAD_LENGTH:
        return False
    start, rest = '<tool_call>{"name": "', text
    if len(rest) <= len(start):
        return start.startswith(rest)
    if not rest.startswith(start):
        return False
    name = re.match(r"[A-Za-z0-9_-]{0,64}", rest[len(start) :])
    behind = rest[len(start) + (name.end() if name else 0) :]
    return '", "arguments": '.startswith(behind)


def _body(name: str, schema: dict[str, Any], most: int, param: str) -> str:
    """What follows `<tool_call>` in the call of one tool, as a grammar's rule."""
    if len(json.dumps(schema)) > most:
        raise invalid("schema_too_complex", f"{param} has more than {most:,} bytes", param)
    if schema.get("type", "object") != "object":
        raise invalid("invalid_json_schema", f"{param} must be of type object, because arguments are one", param)
    try:
        schema_text(schema)
        Grammar.json_schema({**schema, "type": "object"})
    except InputError as error:
        raise invalid("invalid_json_schema", str(error), param) from None
    whole = {**schema, "type": "object", "x-guidance": JSON_OPTIONS}
    head = json.dumps(f'{{"name": "{name}", "arguments": ')
    return f"{head} %json {json.dumps(whole)} {json.dumps('}' + CLOSE)}"
