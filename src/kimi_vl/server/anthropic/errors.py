"""Errors in the shape that Anthropic's clients know; whose fault it is, is said by the same statuses but for overload, which is 529."""

from __future__ import annotations

import msgspec

from kimi_vl.server.errors import ApiError
from kimi_vl.server.stream import Manner, event

OVERLOADED, TIMEOUT = 529, 504
TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    TIMEOUT: "timeout_error",
    OVERLOADED: "overloaded_error",
}
SCHEMA = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"enum": sorted({"invalid_request_error", *TYPES.values()})}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}
STATUSES = {"server_is_overloaded": OVERLOADED, "queue_timeout": OVERLOADED}


def shaped(error: ApiError, request_id: str) -> tuple[int, bytes]:
    """Status and body."""
    status = STATUSES.get(error.code, error.status)
    if error.code == "request_timeout" and status == 503:  # the answer's, not the request's
        status = TIMEOUT
    told = error.message if not error.param or error.param in error.message else f"{error.param}: {error.message}"
    inner = {"type": TYPES.get(status, "invalid_request_error"), "message": told}
    return status, msgspec.json.encode({"type": "error", "error": inner, "request_id": request_id})


MANNER = Manner(event(b'{"type":"ping"}', "ping"), lambda error, request_id: event(shaped(error, request_id)[1], "error"))
