"""The lines of a batch: what may stand in those of the input, and what those of the output and the errors look like."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from kimi_vl.server.batches.folder import INPUT, BatchFolder, Line
from kimi_vl.server.errors import ApiError, invalid
from kimi_vl.server.json import decode
from kimi_vl.server.options import ServerOptions
from kimi_vl.server.strict import Strict, parse

MOST_ERRORS = 20  # of an input that are told


class LineRequest(Strict):
    custom_id: Annotated[str, Field(min_length=1, max_length=512)]
    method: Literal["POST"]
    url: Annotated[str, Field(max_length=100)]
    body: dict[str, Any]


class LineOut(msgspec.Struct):
    """A line of the output, or of the errors."""

    id: str
    custom_id: str
    response: dict[str, Any] | None
    error: dict[str, str] | None


def read_lines(folder: BatchFolder, options: ServerOptions) -> tuple[list[Line], list[dict[str, Any]]]:
    """The lines of an input, and what is wrong with it."""
    lines: list[Line] = []
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()
    path, start, number = folder.path / INPUT, 0, 0
    if path.stat().st_size > options.batch_bytes:
        return [], [told("batch_too_large", f"the file has more than {options.batch_bytes:,} bytes")]
    with path.open("rb") as file:
        while (data := file.readline(options.body_bytes + 1)) and len(errors) < MOST_ERRORS and len(lines) <= options.batch_lines:
            number += 1
            try:
                if data.strip():
                    lines.append(Line(_checked(data, folder.state.batch.endpoint, seen, options), start, len(data)))
            except ApiError as error:
                errors.append({**told(error.code, error.message), "param": error.param, "line": number})
            start += len(data)
    if len(lines) > options.batch_lines:
        errors.append(told("too_many_lines", f"the file has more than {options.batch_lines:,} lines"))
    if not lines and not errors:
        errors.append(told("empty_file", "the file has no lines"))
    return lines, errors


def _checked(data: bytes, endpoint: str, seen: set[str], options: ServerOptions) -> str:
    """The custom_id of a line of the input. Raises: ApiError 400."""
    if len(data) > options.body_bytes:
        raise invalid("line_too_large", f"the line has more than {options.body_bytes:,} bytes")
    request, _ = parse(LineRequest, decode(data, options.json_depth))
    if request.url != endpoint:
        raise invalid("mismatched_url", f"the url must be that of the batch, {endpoint}", "url")
    if request.custom_id in seen:
        raise invalid("duplicate_custom_id", "an earlier line has the same custom_id", "custom_id")
    seen.add(request.custom_id)
    return request.custom_id


def told(code: str, message: str) -> dict[str, Any]:
    """An error of a whole batch."""
    return {"code": code, "message": message, "param": None, "line": None}


def answered(line: Line, status: int, body: bytes) -> bytes:
    """A line's answer, of whatever status."""
    response = {"status_code": status, "request_id": secrets.token_hex(16), "body": msgspec.Raw(body)}
    return msgspec.json.encode(LineOut(_new_id(), line.custom_id, response, None))


def expired(line: Line) -> bytes:
    """What is said of a line that was not answered in time."""
    error = {"code": "batch_expired", "message": "this line was not answered within the batch's time"}
    return msgspec.json.encode(LineOut(_new_id(), line.custom_id, None, error))


def _new_id() -> str:
    return f"batch_req_{secrets.token_hex(16)}"
