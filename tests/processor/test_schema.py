"""Schemas at the border (RELIABILITY group E): what is refused, how it is named, and that it is quick."""

import json
import socket
import threading
import time
from types import MappingProxyType

import pytest

from kimi_vl.errors import InputError
from kimi_vl.processor.grammar import Grammar
from kimi_vl.processor.schema import MAX_DEPTH, MAX_SCHEMA_BYTES, schema_text

ITSELF: dict = {"type": "object"}
ITSELF["properties"] = {"me": ITSELF}


def doubling(levels):
    """A schema of a few objects, each of which holds the one before twice: 2^levels of them once written out."""
    schema = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "prefixItems": [schema, schema]}
    return schema


def nested(depth, opening='{"type":"array","items":'):
    return opening * depth + '{"type":"integer"}' + "}" * depth


REFUSED = {
    "e1-no-json": ("{type: object}", "the schema is no JSON: .*begins with '{type: object}'"),
    "e1-a-file-name": ("receipt.json", "the schema is no JSON"),
    "e1-empty": ("", "the schema is no JSON"),
    "e1-number": (7, "schema is of type int; it must be a dict"),
    "e1-list": ("[1]", r"the schema is \[1\]; it must be a JSON object"),
    "e1-value": ({"const": object()}, "the schema is no JSON: 'it holds a value of type object'"),
    "e1-nan": ({"maximum": float("nan")}, "the schema is no JSON: .*nan"),
    "e1-nan-text": ('{"maximum": NaN}', "the schema holds NaN, which JSON does not have"),
    "e1-infinite": ('{"maximum": 1e999}', "number out of range"),
    "e1-digits": ('{"maximum": ' + "9" * 5000 + "}", "the schema is no JSON: .*4300 digits"),
    "e1-surrogate": ({"const": "\ud800"}, "half of a character"),
    "e1-half": ('{"const": "\ud800"}', "half of a character"),
    "e1-type": ({"type": "strin"}, "Invalid type: strin"),
    "e1-items": ({"items": 5}, "the schema cannot be compiled: schema must be an object or boolean"),
    "e1-misspelt": (
        {"properties": {"a": {"items": {"maxLenght": 3}}}},
        "'maxLenght' at #/properties/a/items, which is not supported; did you mean 'maxLength'",
    ),
    "e1-misspelt-in-list": ({"anyOf": [{}, {"requried": ["a"]}]}, "'requried' at #/anyOf/1, .* did you mean 'required'"),
    "e1-not": ({"not": {}}, "'not' at #, which is not supported"),
    "e1-unique": ({"$defs": {"x": {"uniqueItems": True}}}, r"'uniqueItems' at #/\$defs/x, which is not supported"),
    "e1-if": ({"if": {}, "then": {}}, "'if' at #"),
    "e1-options": ({"x-guidance": {"lenient": True}, "type": "string"}, "'x-guidance' at #"),
    "e1-one-of": ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf constraints are not supported"),
    "e1-format": ({"type": "string", "format": "nonsense"}, "Unknown format: nonsense"),
    "e1-dialect": ({"$schema": "http://127.0.0.1:9/x.json"}, "the schema cannot be compiled: Resource"),
    "e2-depth-500": (nested(500), f"nested more than {MAX_DEPTH} levels"),
    "e2-depth-5000": (nested(5000), f"nested more than {MAX_DEPTH} levels"),
    "e2-depth-65": (nested(65), f"nested more than {MAX_DEPTH} levels"),
    "e2-brackets": ("[" * 100_000, f"nested more than {MAX_DEPTH} levels"),
    "e2-itself": (ITSELF, "the schema is no JSON: .*Circular"),
    "e3-http": ({"$ref": "http://127.0.0.1:9/x.json"}, r"\$ref 'http://127.0.0.1:9/x.json' at #; references must stay inside"),
    "e3-file": ({"items": {"$ref": "file:///etc/passwd"}}, r"\$ref 'file:///etc/passwd' at #/items"),
    "e3-relative": ({"$id": "http://127.0.0.1:9/a", "$ref": "b.json"}, r"\$ref 'b.json' at #"),
    "e3-number": ({"$ref": 7}, r"\$ref 7 at #"),
    "e3-nowhere": ({"$ref": "#/$defs/x"}, r"the schema cannot be compiled: Pointer '/\$defs/x' does not exist"),
    "e3-self": ({"$ref": "#"}, r"allows no text at all: .*\$ref leads only back to itself"),
    "e3-mutual": ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "allows no text at all"),
    "e4-look-around": ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
    "e6-10-megabytes": ('{"enum": ["' + "x" * 10_000_000 + '"]}', r"10,000,014 characters; at most 131,072 bytes"),
    "e6-10-megabytes-dict": ({"enum": ["x" * 10_000_000]}, "more than 131,072 bytes as JSON"),
    "e6-unicode": ('{"const": "' + "図" * 50_000 + '"}', "at most 131,072 bytes"),
    "e6-enum-million": ({"enum": list(range(10**6))}, "more than 131,072 bytes as JSON"),
    "e6-doubling": (doubling(25), "more than 131,072 bytes as JSON"),
    "e6-choices": (
        {"allOf": [{"anyOf": [{"properties": {f"p{i}": {"const": j}}} for j in range(2)]} for i in range(30)]},
        "schema too large",
    ),
    "e6-optional": ({"type": "object", "properties": {f"p{i}": {} for i in range(1000)}}, "too complex: .*4007 items"),
    "e7-empty-enum": ({"enum": []}, "Unsatisfiable schema"),
    "e7-bounds": ({"type": "integer", "minimum": 5, "maximum": 3}, r"Unsatisfiable schema: minimum \(5\) is greater than maximum \(3\)"),
    "e7-lengths": ({"type": "string", "minLength": 5, "maxLength": 3}, "Unsatisfiable schema"),
    "e7-false": (False, "Unsatisfiable schema"),
    "e7-required": ({"required": ["a"], "properties": {"a": False}, "type": "object"}, "required property 'a' is unsatisfiable"),
    "e7-pattern": ({"type": "string", "pattern": "^\x01$"}, "the schema allows no text at all"),
    "e12-twice": ('{"properties": {"a": {}, "a": {}}}', "the key 'a' twice in one object"),
    "e12-control": ({"properties": {"a": {"enum": ["b\x01"]}}}, r"at #/properties/a; the control character '\\x01' cannot be written"),
    "e12-control-name": ({"properties": {"a\x1b": {}}}, r"the control character '\\x1b' cannot be written"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_is_refused_in_one_short_line(name):
    schema, message = REFUSED[name]
    started = time.process_time()
    with pytest.raises(InputError, match=message) as caught:
        Grammar.json_schema(schema)
    assert time.process_time() - started < 2.0
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


ACCEPTED = {
    "true": True,
    "e2-depth": nested(MAX_DEPTH - 1),
    "e3-tree": {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}},
    "e6-enum-of-10000": {"enum": [f"item {i}" for i in range(10_000)]},
    "e6-maxLength": {"type": "string", "maxLength": 10**9},
    "e6-minItems": {"type": "array", "minItems": 10**6},
    "e6-range": {"type": "integer", "minimum": -(10**18), "maximum": 10**18},
    "e4-pattern": {"type": "string", "pattern": "(a+)+b"},
    "notes": {"title": "x", "description": "y", "default": 1, "examples": [2], "$comment": "z", "deprecated": True, "$anchor": "a"},
    "draft": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "integer"},
    "unlike-a-dict": MappingProxyType({"properties": MappingProxyType({"a": {"enum": (1, 2)}})}),
    "escapes": {"enum": ['\b\t\n\f\r"\\/', "\x7f\u2028é😀"]},
    "properties-named-like-keywords": {"properties": {"$ref": {"type": "integer"}, "not": {"const": {"not": 1}}, "maxLenght": {}}},
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_large_but_possible_schema_compiles_in_less_than_two_seconds(name):
    started = time.process_time()
    Grammar.json_schema(ACCEPTED[name])
    assert time.process_time() - started < 2.0


def test_a_schema_is_the_same_as_dict_and_as_text():
    schema = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}}
    assert json.loads(schema_text(schema)) == schema
    assert Grammar.json_schema(schema) == Grammar.json_schema(json.dumps(schema))
    assert Grammar.json_object() == Grammar.json_schema({"type": "object"})


def test_a_schema_of_exactly_the_limit_is_taken():
    frame = '{"title": ""}'
    assert schema_text(frame.replace('""', '"' + "x" * (MAX_SCHEMA_BYTES - len(frame)) + '"'))


def test_e3_nothing_is_fetched_from_a_listening_server():
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.json"

        def listen():
            try:
                heard.append(server.accept())
            except TimeoutError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        for schema in ({"$ref": address}, {"$schema": address}, {"$id": address, "$ref": "#/x"}):
            with pytest.raises(InputError):
                Grammar.json_schema(schema)
        with pytest.raises(InputError, match="failed to compile JSON schema"):
            Grammar.lark(f'start: %json {{"$ref": "{address}"}}')
        thread.join()
    assert heard == []
