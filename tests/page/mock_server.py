"""A server that answers as it is told, by the contract that the page is written against, and under the policy of the real one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kimi_vl.server.website import CSP, PAGE

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
MODEL = {
    "id": "nano",
    "object": "model",
    "context_length": 8192,
    "thinking": True,
    "modalities": ["text", "image", "video", "document"],
    "defaults": {"temperature": 0.2, "top_p": 1.0, "max_tokens": 2048},
}
USAGE = {
    "prompt_tokens": 1234,
    "completion_tokens": 57,
    "total_tokens": 1291,
    "prompt_tokens_details": {"cached_tokens": 0, "image_tokens": 1100},
    "completion_tokens_details": {"reasoning_tokens": 21},
}
NOTHING: dict[str, Any] = {"boxes": [], "points": [], "citations": [], "looked_at": []}

Step = tuple[Any, ...]
"""("thinking" or "text", text) · ("wait", event) · ("end", found, reason) · ("die",) · ("error", status, code, message)"""


@dataclass
class Heard:
    """What the page asked for."""

    chats: list[dict[str, Any]] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[tuple[str, bytes]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)  # a reader went away in the middle of an answer


class MockServer:
    """Answers on a free port of 127.0.0.1. `script` holds the answers to come; without any, the question is said again."""

    def __init__(self) -> None:
        self.reset()
        server = self

        class Bound(_Handler):
            mock = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def reset(self) -> None:
        """As new."""
        self.heard = Heard()
        self.script: list[list[Step]] = []
        self.key: str | None = None
        self.models: list[dict[str, Any]] = [MODEL]
        self.files: dict[str, str] = {}
        self.gate: threading.Event | None = None  # uploads wait for it
        self.count: Callable[[int, str], dict[str, Any]] = lambda index, name: medium(index, name, 64, [view(640, 480, 64)])

    def close(self) -> None:
        """Answer nobody any more."""
        self._http.shutdown()
        self._http.server_close()


def view(width: float, height: float, tokens: int, **more: Any) -> dict[str, Any]:
    """One picture of what `/v1/tokenize` says."""
    seen = {"seen_width": int(width), "seen_height": int(height)}
    return {"width": width, "height": height, **seen, "tokens": tokens, "page": None, "time_s": None, "note": None, **more}


def medium(
    index: int, name: str, tokens: int, views: list[dict[str, Any]], kind: str = "image", left_out: str | None = None
) -> dict[str, Any]:
    """One medium of what `/v1/tokenize` says."""
    return {"index": index, "kind": kind, "name": name, "tokens": tokens, "views": views, "left_out": left_out}


def said(text: str, found: dict[str, Any] | None = None) -> list[Step]:
    """An answer, whole."""
    return [("text", text), ("end", found or NOTHING, "stop")]


class _Handler(BaseHTTPRequestHandler):
    mock: MockServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body behind its header would wait 40 ms

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/" or path.startswith("/assets/"):
            self._file(path.lstrip("/") or "index.html")
        elif path == "/blank":
            self._send(200, b"<!doctype html><title>blank</title>", TYPES[".html"], {})
        elif self._has_key() and path == "/v1/models":
            self._json({"object": "list", "data": self.mock.models})

    def do_DELETE(self) -> None:
        if self._has_key():
            self.mock.heard.deleted.append(self.path.rsplit("/", 1)[1])
            self._json({"deleted": True})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self._has_key():
            return
        if self.path == "/v1/files":
            self._upload(body)
        elif self.path == "/v1/tokenize":
            self._count(json.loads(body))
        elif self.path == "/v1/chat/completions":
            self._chat(json.loads(body))

    def _has_key(self) -> bool:
        if self.mock.key is None or self.headers["authorization"] == f"Bearer {self.mock.key}":
            return True
        self._error(401, "invalid_api_key", "this server wants an API key")
        return False

    def _file(self, name: str) -> None:
        path = PAGE / name
        if not re.fullmatch(r"index\.html|assets/[\w.-]+", name) or not path.is_file():
            self._error(404, "route_not_found", "there is no such route")
            return
        self._send(200, path.read_bytes(), TYPES[path.suffix], {"Content-Security-Policy": CSP, "Referrer-Policy": "no-referrer"})

    def _upload(self, body: bytes) -> None:
        if self.mock.gate is not None:
            assert self.mock.gate.wait(10)
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = {
            part.get_param("name", header="content-disposition"): part
            for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
        }
        assert parts["purpose"].get_content().strip() == "user_data"
        name, data = parts["file"].get_filename(), parts["file"].get_payload(decode=True)
        self.mock.heard.uploads.append((name, data))
        file_id = f"file-{len(self.mock.heard.uploads)}"
        self.mock.files[file_id] = name
        self._json({"id": file_id, "object": "file", "filename": name, "bytes": len(data)})

    def _count(self, asked: dict[str, Any]) -> None:
        self.mock.heard.counts.append(asked)
        media = [self.mock.count(k, self.mock.files.get(file_id, "")) for k, file_id in enumerate(named(asked["messages"]))]
        total = 20 + sum(one["tokens"] for one in media)
        self._json({"count": total, "context_length": MODEL["context_length"], "media": media})

    def _chat(self, asked: dict[str, Any]) -> None:
        self.mock.heard.chats.append(asked)
        if unknown := [file_id for file_id in named(asked["messages"]) if file_id not in self.mock.files]:
            self._error(404, "file_not_found", f"there is no file {unknown[0]}")
            return
        last = asked["messages"][-1]["content"]
        steps = self.mock.script.pop(0) if self.mock.script else said(last if isinstance(last, str) else "I see.")
        if steps[0][0] == "error":
            self._error(*steps[0][1:])
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for event in _events(steps):
                self.wfile.write(f"data: {event}\n\n".encode())
                self.wfile.flush()
        except OSError:
            self.mock.heard.left.set()

    def _error(self, status: int, code: str, message: str) -> None:
        self._json({"error": {"message": message, "type": "error", "param": None, "code": code}}, status)

    def _json(self, data: Any, status: int = 200) -> None:
        self._send(status, json.dumps(data).encode(), "application/json; charset=utf-8", {})

    def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), "X-Content-Type-Options": "nosniff", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def named(messages: list[dict[str, Any]]) -> list[str]:
    """The file ids in messages, in order."""
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    found = [part.get("image_url") or part.get("video_url") or part.get("file") for part in parts if part["type"] != "text"]
    return [one.get("url") or one["file_id"] for one in found]


def _events(steps: list[Step]) -> Iterator[str]:
    """The data of each event of an answer."""

    def chunk(delta: dict[str, Any], **more: Any) -> str:
        return json.dumps(
            {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]}
        )

    yield chunk({"role": "assistant", "content": ""})
    for kind, *values in steps:
        if kind == "thinking":
            yield chunk({"reasoning_content": values[0], "reasoning": values[0]})
        elif kind == "text":
            yield chunk({"content": values[0]})
        elif kind == "wait":
            while not values[0].wait(0.02):
                yield chunk({})  # a reader that left is noticed by writing
        elif kind == "end":
            yield chunk({}, finish_reason=values[1], kimi_vl=values[0])
            yield json.dumps({"id": "c", "choices": [], "usage": USAGE})
            yield "[DONE]"
