"""Requests of all kinds for a server under test, what each of them says without numbers of its own, and requests that are to be refused."""

from __future__ import annotations

import base64
import io
import json
import random
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw
from server_process import Response, post

WORDS = "amber basil cedar delta ember fjord grape hazel ivory jade karst lemon maple nylon onyx pearl quartz river slate topaz".split()
SCHEMA = {"type": "object", "properties": {"word": {"enum": WORDS[:4]}}, "required": ["word"], "additionalProperties": False}
CHAT, PLAIN, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/messages"


@dataclass(frozen=True, eq=False)
class Asked:
    """A request that is to be answered, whole or as a stream."""

    kind: str
    path: str
    fields: dict[str, Any]

    def written(self, streams: bool) -> bytes:
        return post(self.path, json.dumps({**self.fields, "stream": True} if streams else self.fields).encode())


@dataclass(frozen=True)
class Bad:
    """A request that is to be refused, and how."""

    kind: str
    request: bytes
    status: int
    code: str


def picture(text: str) -> str:
    """A line of print as a data URL."""
    image = Image.new("RGB", (112, 28), "white")
    ImageDraw.Draw(image).text((6, 8), text, fill="black")
    data = io.BytesIO()
    image.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def asked(rng: random.Random, kind: str) -> Asked:
    """A request with an answer of its own."""
    word, number = rng.choice(WORDS), rng.randrange(1000, 9999)
    fact = f"The word is {word} and the number is {number}. "
    text = fact * (20 if kind == "long" else rng.choice((1, 2, 4))) + "What is the number?"
    fields: dict[str, Any] = {"model": "nano", "max_tokens": rng.choice((2, 4, 8))}
    if kind == "plain":
        return Asked(kind, PLAIN, {**fields, "prompt": fact, "temperature": 0})
    content: Any = text
    if kind == "picture":
        content = [{"type": "image_url", "image_url": {"url": picture(f"{word} {number}")}}, {"type": "text", "text": "Read the text."}]
    fields |= {"messages": [{"role": "user", "content": content}], "temperature": 0}
    if kind == "messages":
        return Asked(kind, MESSAGES, fields)
    if kind == "thinking":
        fields |= {"thinking": "on", "max_thinking_tokens": 4, "max_tokens": 12}
    elif kind == "drawn":
        fields |= {"temperature": 1.0, "seed": number, "n": rng.choice((1, 2, 3))}
    elif kind == "schema":
        form = {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA}}
        fields |= {"response_format": form, "thinking": "off", "max_tokens": 12}
    elif kind == "tools":
        tool = {"type": "function", "function": {"name": "look"}}
        fields |= {"tools": [tool], "tool_choice": "required", "thinking": "off", "max_tokens": 24}
    return Asked(kind, CHAT, fields)


# Of a hundred requests.
MIX = {"text": 36, "picture": 16, "drawn": 12, "schema": 8, "thinking": 8, "plain": 8, "messages": 6, "tools": 3, "long": 3}


def pool(rng: random.Random, count: int) -> list[Asked]:
    """Distinct requests in the proportions of `MIX`."""
    kinds = rng.choices(list(MIX), weights=list(MIX.values()), k=count)
    return [asked(rng, kind) for kind in kinds]


def bad() -> list[Bad]:
    """One of each way to be wrong."""

    def chat(**fields: Any) -> bytes:
        return post(CHAT, json.dumps({"model": "nano", "messages": [{"role": "user", "content": "Hello"}], **fields}).encode())

    broken = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]
    return [
        Bad("unknown field", chat(temprature=1), 400, "unknown_parameter"),
        Bad("temperature of -1", chat(temperature=-1), 400, "invalid_value"),
        Bad("another model", chat(model="gpt"), 404, "model_not_found"),
        Bad("no JSON", post(CHAT, b'{"model": "nano", '), 400, "invalid_json"),
        Bad("half a picture", chat(messages=broken), 400, "invalid_image"),
        Bad("too long an answer", chat(max_tokens=10_000_000), 400, "context_length_exceeded"),
        Bad("no such schema", chat(response_format={"type": "json_schema", "json_schema": {"name": "w", "schema": {"type": 1}}}), 400, ""),
        Bad("a form", post(CHAT, b"model=nano", kind="application/x-www-form-urlencoded"), 415, "unsupported_content_type"),
        Bad("no route", post("/v1/nothing", b"{}"), 404, "route_not_found"),
    ]


def said(request: Asked, streams: bool, response: Response) -> Any:
    """What an answer says, the same whether whole or streamed. Raises: ValueError, KeyError, IndexError for one that is not whole."""
    if not streams:
        document = json.loads(response.body)
        if request.path == MESSAGES:
            return [[block.get("thinking", block.get("text")) for block in document["content"]], document["stop_reason"]]
        return [_choice(request, choice) for choice in sorted(document["choices"], key=lambda choice: choice["index"])]
    events = [json.loads(line[6:]) for line in response.body.decode().splitlines() if line.startswith("data: {")]
    if request.path == MESSAGES:
        return _message(events)
    if not response.body.endswith(b"data: [DONE]\n\n"):
        raise ValueError("the stream has no end")
    return _streamed(request, events)


def _choice(request: Asked, choice: dict[str, Any]) -> list[Any]:
    if request.path == PLAIN:
        return [choice["text"], choice["finish_reason"]]
    message = choice["message"]
    calls = [[call["function"]["name"], call["function"]["arguments"]] for call in message.get("tool_calls") or ()]
    return [message["content"] or "", message.get("reasoning_content") or "", calls, choice["finish_reason"]]


def _streamed(request: Asked, events: list[dict[str, Any]]) -> list[Any]:
    choices: dict[int, list[Any]] = {}
    for choice in (choice for event in events for choice in event["choices"]):
        if request.path == PLAIN:
            one = choices.setdefault(choice["index"], ["", None])
            one[0] += choice["text"]
        else:
            one = choices.setdefault(choice["index"], ["", "", [], None])
            delta = choice["delta"]
            one[0] += delta.get("content") or ""
            one[1] += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls") or ():
                if call["index"] == len(one[2]):
                    one[2].append(["", ""])
                parts = one[2][call["index"]]
                parts[0] = parts[0] or call["function"].get("name", "")
                parts[1] += call["function"].get("arguments") or ""
        one[-1] = choice["finish_reason"] or one[-1]
    return [choices[k] for k in sorted(choices)]


def _message(events: list[dict[str, Any]]) -> list[Any]:
    blocks: dict[int, str] = {}
    for event in events:
        if event["type"] == "content_block_start":
            blocks[event["index"]] = ""
        elif event["type"] == "content_block_delta":
            blocks[event["index"]] += event["delta"].get("text", "") + event["delta"].get("thinking", "")
    if not events or events[-1]["type"] != "message_stop":
        raise ValueError("the stream has no end")
    reason = next(event["delta"]["stop_reason"] for event in events if event["type"] == "message_delta")
    return [[blocks[k] for k in sorted(blocks)], reason]


def refused_with(response: Response) -> str:
    """The code of a refusal."""
    error = json.loads(response.body)["error"]
    return str(error.get("code", error["type"]))
