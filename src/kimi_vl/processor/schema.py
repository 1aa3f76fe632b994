"""JSON schemas at the border: what is too large, too deep, unknown or out of reach is refused by name before anything is compiled."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kimi_vl.errors import InputError

MAX_SCHEMA_BYTES = 128 * 1024  # an enum of 20,000 numbers; compiling that much takes up to a second
MAX_DEPTH = 64  # of braces and brackets

# What the compiler turns into a grammar. It names the rest of the standard's keywords itself but passes over misspelt ones.
RULES = frozenset(
    """$ref type const enum allOf anyOf oneOf properties patternProperties additionalProperties required minProperties maxProperties
    items prefixItems minItems maxItems minLength maxLength pattern format
    minimum maximum exclusiveMinimum exclusiveMaximum multipleOf""".split()
)
NOTES = frozenset(
    """$schema $id $anchor $defs $comment definitions title description default examples deprecated readOnly writeOnly
    contentMediaType contentEncoding discriminator""".split()
)

# Where schemas stand inside of a schema: alone or in a list, or as the values of an object.
INSIDE = ("items", "prefixItems", "additionalProperties", "allOf", "anyOf", "oneOf")
INSIDE_NAMED = ("properties", "patternProperties", "$defs", "definitions")

# Those that JSON can only spell by number. Grammars leave that spelling out: with it a model could give a property once more under
# another spelling of its name, free of that property's schema.
CONTROL = re.compile(r"[\x00-\x07\x0b\x0e-\x1f]")


def schema_text(schema: object) -> str:
    """A schema as JSON text: that of an object, of true, or of a text that holds one.

    Raises: InputError for anything else, for more than 128 KiB or 64 levels, for duplicate keys and numbers that JSON does not have, for
    keywords that are unknown or not supported, and for references that leave the schema. Nothing is fetched or opened, ever.
    """
    text = schema if isinstance(schema, str) else _written(schema)
    if len(text) > MAX_SCHEMA_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_SCHEMA_BYTES:
        raise InputError(f"the schema has {len(text):,} characters; at most {MAX_SCHEMA_BYTES:,} bytes are taken. Shorten or split it")
    value = _read(text)
    if not isinstance(value, (dict, bool)):
        raise InputError(f"the schema is {_shown(value)}; it must be a JSON object such as {{'type': 'object'}}")
    if isinstance(value, bool):
        return '{"enum": []}' if value is False else "{}"
    _check_depth(value)
    _check_schema(value, "#")
    if re.search(r"[\ud800-\udfff]", json.dumps(value, ensure_ascii=False)):
        raise InputError("the schema holds half of a character (a lone surrogate)")
    return text


def _written(schema: object) -> str:
    if not isinstance(schema, (Mapping, bool)):
        raise InputError(f"schema is of type {type(schema).__name__}; it must be a dict, the text of a JSON schema, or a Grammar")
    parts, size = [], 0
    try:
        # Piece by piece: a few objects that hold one another twice are endless when written out.
        for part in json.JSONEncoder(allow_nan=False, default=_as_dict).iterencode(schema):
            parts.append(part)
            if (size := size + len(part)) > MAX_SCHEMA_BYTES:
                raise InputError(f"the schema has more than {MAX_SCHEMA_BYTES:,} bytes as JSON; shorten or split it")
    except RecursionError:
        raise _too_deep() from None
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the schema is no JSON: {_shown(str(error))}") from None
    return "".join(parts)


def _as_dict(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"it holds a value of type {type(value).__name__}")


def _read(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
            raise InputError(f"the schema has the key {_shown(twice)} twice in one object")
        return found

    def no_number(name: str) -> None:
        raise InputError(f"the schema holds {name}, which JSON does not have")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=no_number)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the schema is no JSON: {_shown(str(error))}; it begins with {_shown(text[:40])}") from None


def _check_depth(value: object, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise _too_deep()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(inner, depth + 1)


def _too_deep() -> InputError:
    return InputError(f"the schema is nested more than {MAX_DEPTH} levels deep; name its inner parts in $defs and use $ref")


def _check_schema(schema: object, where: str) -> None:
    """Keywords, references and spellings of a schema and all inside of it. `where` is a JSON pointer."""
    if not isinstance(schema, dict):
        return  # true and false; the compiler says what else may not stand there
    for key in schema:
        if key not in RULES and key not in NOTES:
            near = difflib.get_close_matches(key, RULES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ", and leaving it out silently would let other documents through"
            raise InputError(f"the schema has {_shown(key)} at {where}, which is not supported{hint}")
    reference = schema.get("$ref", "#")
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise InputError(f"the schema has $ref {_shown(reference)} at {where}; references must stay inside, as '#/$defs/name' does")
    for text in _literals(schema):
        if found := CONTROL.search(text):
            raise InputError(f"the schema has {_shown(text)} at {where}; the control character {_shown(found[0])} cannot be written")
    for key in INSIDE:
        inner = schema.get(key)
        for number, one in enumerate(inner) if isinstance(inner, list) else ():
            _check_schema(one, f"{where}/{key}/{number}")
        _check_schema(inner, f"{where}/{key}")
    for key in INSIDE_NAMED:
        named = schema.get(key)
        for name, one in named.items() if isinstance(named, dict) else ():
            _check_schema(one, f"{where}/{key}/{name}"[:200])


def _literals(schema: dict[str, Any]) -> Iterator[str]:
    """Every text that a document may have to hold letter by letter."""
    left: list[Any] = [schema.get("const"), schema.get("enum"), schema.get("required"), list(schema.get("properties") or ())]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            left += [*value, *value.values()]


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
