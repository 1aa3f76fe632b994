"""What stands behind the question mark of a path, as strict as bodies are; and lists that are given page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request

from kimi_vl.server.errors import invalid

FLAG = {"type": "boolean"}
NUMBER = {"type": "integer", "minimum": 0}
PAGE_QUERY: Mapping[str, Any] = {"limit": {"type": "integer", "minimum": 1, "maximum": 100}, "after": {"type": "string"}}


def number(request: Request, name: str, default: int, *, least: int = 0, most: int) -> int:
    """Raises: ApiError 400."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 12 and least <= int(text) <= most):
        raise invalid("invalid_value", f"{name} must be a whole number from {least:,} to {most:,}", name)
    return int(text)


def choice(request: Request, name: str, choices: Sequence[str]) -> str:
    """One of them; the first is the default. Raises: ApiError 400."""
    text = request.query_params.get(name, choices[0])
    if text not in choices:
        raise invalid("invalid_value", f"{name} must be one of {', '.join(choices)}", name)
    return text


def flag(request: Request, name: str) -> bool:
    """Raises: ApiError 400."""
    return choice(request, name, ("false", "true")) == "true"


def page(request: Request, found: Sequence[Any]) -> dict[str, Any]:
    """A part of a list: `limit` of them behind the one called `after`. Raises: ApiError 400."""
    limit, after = number(request, "limit", 20, least=1, most=100), request.query_params.get("after")
    names = [one["id"] for one in found]
    start = 0
    if after is not None:
        if after not in names:
            raise invalid("invalid_value", "after is the id of nothing in this list", "after")
        start = names.index(after) + 1
    shown = found[start : start + limit]
    ends = {"first_id": names[start], "last_id": names[start + len(shown) - 1]} if shown else {"first_id": None, "last_id": None}
    return {"object": "list", "data": shown, **ends, "has_more": start + len(shown) < len(found)}
