"""Every error as the one shape that OpenAI's clients know: what went wrong, whose fault it is, and what a client may do about it.

400 tells the client to change the request; 429 concerns one key, 503 everybody, and both may be tried again; 500 is a bug of ours. A
message has one sentence, at most 512 bytes, never what the client sent in bulk, never a path, an address in memory or a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from kimi_vl.errors import (
    CapacityError,
    CheckpointError,
    EngineBusy,
    EngineStopped,
    InputError,
    KimiVLError,
    MediaError,
    PromptTooLong,
)

MAX_MESSAGE_BYTES = 512
RETRY_S = 2
TYPES = {
    401: "invalid_request_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "service_unavailable_error",
}

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
_PATH = re.compile(r"(?<![\w:/.])/(?:[\w.@+-]+/)+[\w.@+-]*")


class ApiError(Exception):
    """What a client gets to see of something that went wrong."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        self.message = clean(message)
        self.headers = dict(headers or {})
        if status in (429, 503):
            self.headers.setdefault("Retry-After", str(RETRY_S))

    @property
    def type(self) -> str:
        return TYPES.get(self.status, "invalid_request_error")

    @property
    def body(self) -> bytes:
        """As JSON: {"error": {...}}."""
        param = None if self.param is None else clean(self.param)
        return msgspec.json.encode({"error": {"message": self.message, "type": self.type, "param": param, "code": self.code}})


def invalid(code: str, message: str, param: str | None = None) -> ApiError:
    """A request that has to be changed."""
    return ApiError(400, code, message, param=param)


def clean(text: str) -> str:
    """One line of at most 512 bytes of UTF-8, without control characters, paths and addresses."""
    text = _PATH.sub("(a file)", _ADDRESS.sub("(an address)", text[: 4 * MAX_MESSAGE_BYTES]))
    text = "".join(c if c.isprintable() else " " for c in text)
    data = " ".join(text.split()).encode("utf-8", "replace")
    return text_of(data, MAX_MESSAGE_BYTES)


def text_of(data: bytes, most: int) -> str:
    """Text of at most so many bytes of UTF-8."""
    if len(data) <= most:
        return data.decode()
    return data[: most - 3].decode("utf-8", "ignore") + "…"


def as_api_error(error: BaseException, param: str | None = None) -> ApiError:
    """What a client gets to see of any error. What nobody foresaw is 500, and says nothing but that."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, PromptTooLong):
        return invalid("context_length_exceeded", str(error), param or "messages")
    if isinstance(error, MediaError):
        return invalid("invalid_image" if error.code == "invalid_media" else error.code, str(error), param)
    if isinstance(error, InputError):
        return invalid("invalid_value", str(error), param)
    if isinstance(error, EngineBusy):
        return ApiError(503, "server_is_overloaded", "too many requests are waiting; try again in a moment")
    if isinstance(error, EngineStopped):
        return ApiError(503, "engine_restarting", "the engine was stopped before the answer was complete; try again in a moment")
    if isinstance(error, CapacityError):
        return ApiError(503, "server_is_overloaded", f"there was not enough memory for this request: {error}", param=param)
    if isinstance(error, CheckpointError):
        return ApiError(500, "model_output_invalid", "the model gave numbers that are none; the weights may be damaged")
    if isinstance(error, (KimiVLError, Exception)):
        return ApiError(500, "internal_error", "something went wrong that nobody foresaw; the request id tells where to look in the log")
    raise error
