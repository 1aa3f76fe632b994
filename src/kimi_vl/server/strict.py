"""Requests as strict models: every field checked, none coerced, none unknown; and what is wrong with them said by its place."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from kimi_vl.server.errors import ApiError, invalid

MAX_IGNORED = 32


class Strict(BaseModel):
    """A JSON object of which every key is known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, protected_namespaces=())


Model = TypeVar("Model", bound=Strict)


def parse(model: type[Model], value: Any, *, lenient: bool = False) -> tuple[Model, list[str]]:
    """A request, and the parameters that were passed over because they are unknown, which only `lenient` allows. Raises: ApiError 400."""
    if not isinstance(value, dict):
        raise invalid("invalid_type", f"the body must be a JSON object, not {_kind(value)}")
    ignored: list[str] = []
    while True:
        try:
            return model.model_validate(value), ignored
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            path = _path(value, first["loc"], first["type"] == "missing")
            if lenient and first["type"] == "extra_forbidden" and len(ignored) < MAX_IGNORED:
                ignored.append(said(path))
                _holder(value, path).pop(path[-1])
                continue
            raise _as_error(model, first, path) from None


def said(path: Sequence[str | int]) -> str:
    """As clients write it: messages[0].content[1].text."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    return text if len(text) <= 200 else text[:197] + "..."


def _as_error(model: type[Strict], first: Mapping[str, Any], path: list[str | int]) -> ApiError:
    param, kind = said(path), first["type"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1])[:60], list(model.model_fields), n=1) if len(path) == 1 else []
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return invalid("unknown_parameter", f"there is no parameter {param!r} here{hint}", param)
    if kind == "missing":
        return invalid("missing_parameter", f"{param} is missing", param)
    code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    return invalid(code, f"{param or 'the body'}: {first['msg'].removeprefix('Value error, ')}", param or None)


def _path(value: Any, loc: Sequence[str | int], is_missing: bool) -> list[str | int]:
    """The steps that are keys and places in what was sent, or the key that is missing; the others name alternatives in our models."""
    path: list[str | int] = []
    for k, step in enumerate(loc):
        is_place = isinstance(step, int) and isinstance(value, list) and step < len(value)
        if is_place or (isinstance(value, dict) and step in value):
            path.append(step)
            value = value[step]
        elif is_missing and k == len(loc) - 1:
            path.append(step)
    return path


def _holder(value: Any, path: Sequence[str | int]) -> Any:
    for step in path[:-1]:
        value = value[step]
    return value


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), "something else")
