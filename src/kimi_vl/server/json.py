"""JSON that means one thing: no duplicate keys, no NaN, no endless numbers or depths, UTF-8 only. Nothing is coerced here or later."""

from __future__ import annotations

import json
import math
from typing import Any

from kimi_vl.server.errors import ApiError, invalid

MAX_DIGITS = 40  # of an integer; more are out of any range, and reading them takes time that grows with their square
TOO_DEEP = "the JSON is nested deeper than {} levels"


class _Duplicate(ValueError):
    pass


def decode(data: bytes, max_depth: int) -> Any:
    """The value of a JSON text. Raises: ApiError 400, invalid_json, duplicate_key or invalid_value."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid("is no UTF-8", error.start) from None
    if text.startswith("\ufeff"):
        raise _invalid("begins with a byte order mark", 0)
    if _nested(text, max_depth):
        raise invalid("invalid_json", TOO_DEEP.format(max_depth))
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _invalid("is no JSON" if text.strip() else "is empty", len(text[: error.pos].encode())) from None
    except _Duplicate as error:
        raise invalid("duplicate_key", str(error)) from None
    except RecursionError:
        raise invalid("invalid_json", TOO_DEEP.format(max_depth)) from None


def _nested(text: str, most: int) -> bool:
    """Whether brackets nest deeper, found by jumping from quote to quote, so that megabytes of picture take no time."""
    if text.count("[") + text.count("{") <= most:
        return False
    depth = start = 0
    while start >= 0:
        quote = text.find('"', start)
        for c in text[start : quote if quote >= 0 else len(text)]:
            if c in "[{":
                depth += 1
                if depth > most:
                    return True
            elif c in "]}":
                depth -= 1
        start = _behind_string(text, quote + 1) if quote >= 0 else -1
    return False


def _behind_string(text: str, start: int) -> int:
    """Where a string ends that begins before `start`; -1 where it does not."""
    while (end := text.find('"', start)) >= 0:
        slashes = end
        while text[slashes - 1] == "\\" and slashes > start:
            slashes -= 1
        if (end - slashes) % 2 == 0:
            return end + 1
        start = end + 1
    return -1


def _invalid(what: str, at: int) -> ApiError:
    return invalid("invalid_json", f"the body {what}, at byte {at:,}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Duplicate(f"the key {key[:60]!r} stands twice in one object")
            seen.add(key)
    return values


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise invalid("invalid_value", f"a number has {len(text):,} digits; at most {MAX_DIGITS} are read")
    return int(text)


def _float(text: str) -> float:
    value = float(text) if len(text) <= 400 else math.inf
    if not math.isfinite(value):
        raise invalid("invalid_value", f"the number {text[:40]} is too large")
    return value


def _constant(name: str) -> Any:
    raise invalid("invalid_value", f"{name} is no number that JSON has")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
