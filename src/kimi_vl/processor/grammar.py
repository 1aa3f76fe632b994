"""What an answer must look like, to the last character: a JSON schema, a regular expression or a grammar, and which tokens keep to it.

The parsing is done by llguidance. What is ours is the border (what is refused, and how it is said), the tokens of this package's
tokenizers, and where an answer begins: thinking stands before it, in plain text whose marks may share tokens with the document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, Self

import llguidance
import numpy as np
import torch

from kimi_vl.errors import InputError
from kimi_vl.processor.schema import MAX_SCHEMA_BYTES, schema_text
from kimi_vl.processor.thinking import THINK_CLOSE, THINK_OPEN
from kimi_vl.processor.tokenizer import Tokenizer

OPEN, CLOSE = THINK_OPEN.encode(), THINK_CLOSE.encode()

# In units of llguidance. Fuel and items bound time, states bound memory (1 or 2 kB each).
LIMITS = llguidance.LLParserLimits(
    initial_lexer_fuel=1_000_000,
    step_lexer_fuel=200_000,
    step_max_items=50_000,
    max_items_in_row=2_000,  # about 500 optional properties of one object
    max_lexer_states=50_000,
    max_grammar_size=100_000,
    verbose_errors=False,
)

# One line, with a space behind commas and colons or without. Where JSON allows white space without end, a weak model goes on with it
# without end. The others are options that a schema could otherwise set for itself.
JSON_OPTIONS: llguidance._lib.JsonCompileOptions = {
    "whitespace_flexible": False,
    "item_separator": ", ?",
    "key_separator": ": ?",
    "json_allowed_escapes": 'nrbtf\\"',
    "coerce_one_of": False,
    "lenient": False,
}

PROBE_STEPS = 8


@dataclass(frozen=True, slots=True)
class Grammar:
    """A set of texts, one of which the answer will be. Checked and compiled once when it is made, in less than a second or two.

    Raises, whichever way it is made: InputError for what cannot be compiled, is too large or too complex, or allows no text at all.
    """

    source: str  # as llguidance takes it

    @classmethod
    def json_schema(cls, schema: object) -> Self:
        """Documents that are valid against a JSON schema (draft 2020-12): a dict, or its text. See `schema_text` for what is refused.

        Properties come in the schema's order, and those that it does not name last.
        """
        text = schema_text(schema)
        try:
            return cls._checked(llguidance.LLMatcher.grammar_from_json_schema(text, overrides=JSON_OPTIONS), "schema")
        except ValueError as error:  # numbers out of range, halves of characters; an InputError is one of them
            raise InputError(_one_line(str(error))) from None

    @classmethod
    def json_object(cls) -> Self:
        """Any JSON object."""
        return cls.json_schema({"type": "object"})

    @classmethod
    def regex(cls, pattern: str) -> Self:
        """Texts that match a regular expression as a whole: Rust's syntax, without look-around and back references."""
        return cls._checked(llguidance.LLMatcher.grammar_from_regex(_short_text(pattern, "regex")), "regex")

    @classmethod
    def lark(cls, grammar: str) -> Self:
        """Texts that a Lark grammar derives from its rule `start`, in llguidance's dialect, which has `%json {...}`; or a grammar in
        llguidance's own JSON form. Schemas inside of them have only what llguidance says about them."""
        return cls._checked(llguidance.LLMatcher.grammar_from_lark(_short_text(grammar, "grammar")), "grammar")

    def constraint(self, tokenizer: Tokenizer, thinking: Literal["auto", "on", "off"] = "off", *, vocab_size: int) -> DocumentConstraint:
        """A constraint for one answer of a model with `vocab_size` logits. `thinking`: as in `KimiVL`, the prompt's end is meant."""
        vocabulary = _vocabulary(tokenizer, vocab_size)
        return DocumentConstraint(vocabulary, _matcher(vocabulary.tokenizer, self.source, "grammar"), thinking)

    @classmethod
    def _checked(cls, source: str, what: str) -> Self:
        """Take a few steps over single bytes, for which no model is needed: some grammars are only found to be empty or too much there."""
        matcher = _matcher(_byte_tokenizer(), source, what)
        for step in range(PROBE_STEPS):
            bits = _unpacked(matcher.compute_bitmask(), 256)
            if matcher.is_accepting():
                break
            if step == 0 and not bits.any():
                raise InputError(f"the {what} allows no text at all: it contradicts itself, or a rule or $ref leads only back to itself")
            if matcher.is_error() or not bits.any():
                raise InputError(f"the {what} leads to a place where nothing can follow, or is too complex{_reason(matcher)}")
            matcher.consume_token(int(bits.argmax()))
        return cls(source)


class DocumentConstraint:
    """Keeps one answer to a grammar: a `kimi_vl.engine.sampling.Constraint`.

    The answer is a thought, where it may or must have one, then a document, then an end token. A thought is free but for its end: it
    cannot be the end of the answer, and the token that closes it may go on with the document. Where a document may begin like the mark
    that opens a thought, the mark has precedence. Control tokens but for the end are no part of a document.
    """

    def __init__(self, vocabulary: Vocabulary, matcher: llguidance.LLMatcher, thinking: Literal["auto", "on", "off"]) -> None:
        self._vocabulary, self._matcher = vocabulary, matcher
        self._state = {"auto": "before", "on": "thinking", "off": "after"}[thinking]
        # Before: all of the answer, the beginning of an opening mark. While thinking: the last bytes, in which a mark may have begun.
        self._read = b""

    def allowed(self) -> torch.Tensor:
        """Raises: InputError where nothing can follow, or finding out what can is too complex."""
        if self._state == "thinking":
            mask_W = self._in_thought()
        elif self._state == "before":
            mask_W = self._at_beginning()
        else:
            mask_W = self._in_document(self._matcher)
        return torch.from_numpy(mask_W)

    def take(self, token: int) -> None:
        """Raises: InputError for a token that breaks the grammar; only a forced one can."""
        if token in self._vocabulary.end_ids:
            return
        text = self._vocabulary.tokens[token]
        if self._state == "after":
            self._accept([token])
            return
        self._read += text
        if self._state == "before" and self._read.startswith(OPEN):
            self._state, self._read = "thinking", self._read.removeprefix(OPEN)
        if self._state == "before" and not OPEN.startswith(self._read):
            self._begin(self._read)
        elif self._state == "thinking":
            _, mark, rest = self._read.partition(CLOSE)
            self._read = self._read[-len(CLOSE) + 1 :]
            if mark:
                self._begin(rest)

    def _begin(self, text: bytes) -> None:
        """The document has begun with this."""
        self._state = "after"
        self._accept(self._vocabulary.byte_ids(text))

    def _accept(self, tokens: list[int]) -> None:
        if not self._matcher.consume_tokens(tokens):
            raise InputError(f"the answer cannot go on as its grammar wants{_reason(self._matcher)}")

    def _in_document(self, matcher: llguidance.LLMatcher) -> np.ndarray:
        mask_W = _unpacked(matcher.compute_bitmask(), self._vocabulary.size)
        if matcher.is_error():
            raise InputError(f"the answer cannot go on as its grammar wants{_reason(matcher)}")
        mask_W &= self._vocabulary.ordinary_W
        mask_W[list(self._vocabulary.end_ids)] = matcher.is_accepting()
        if not mask_W.any():
            raise InputError("the answer cannot go on: its grammar wants a control token here, or text that cannot be written")
        return mask_W

    def _in_thought(self) -> np.ndarray:
        vocabulary = self._vocabulary
        rests = {token: (self._read + vocabulary.tokens[token]).partition(CLOSE)[2] for token in vocabulary.closing(self._read)}
        wrong = [token for token, rest in rests.items() if not self._fits(rest)]
        if not wrong:
            return vocabulary.thought_W
        mask_W = vocabulary.thought_W.copy()
        mask_W[wrong] = False
        return mask_W

    def _at_beginning(self) -> np.ndarray:
        vocabulary = self._vocabulary
        if self._fits(self._read):
            matcher = self._matcher.deep_copy()
            matcher.consume_tokens(vocabulary.byte_ids(self._read))
            mask_W = self._in_document(matcher)
        else:
            mask_W = np.zeros(vocabulary.size, dtype=bool)
        for token in vocabulary.opening(OPEN[len(self._read) :]):
            mask_W[token] = self._fits((self._read + vocabulary.tokens[token]).partition(CLOSE)[2])
        return mask_W

    def _fits(self, text: bytes) -> bool:
        """Whether the document may begin with this."""
        return self._matcher.validate_tokens(self._vocabulary.byte_ids(text)) == len(text)


class Vocabulary:
    """The tokens of a tokenizer as llguidance wants them, and what a thought's marks need of them. Made once: 1 s at 163,840 tokens."""

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        """`size` is that of the model's logits; ids that the tokenizer does not have are never allowed."""
        control = frozenset(tokenizer.special_ids.values())
        ids = range(min(size, tokenizer.vocab_size))
        self.size, self.end_ids = size, tokenizer.end_ids
        self.tokens = [b"" if token in control else tokenizer.decode_bytes([token]) for token in ids]
        self.tokens += [b""] * (size - len(self.tokens))
        self.ordinary_W = np.array([bool(text) for text in self.tokens])
        self.thought_W = np.array([token in ids and token not in self.end_ids for token in range(size)])
        self._ids = {text: token for token, text in enumerate(self.tokens) if text}
        self._starting: dict[bytes, list[int]] = {}
        self._whole = [token for token, text in enumerate(self.tokens) if CLOSE in text]
        names = {token: b"\xff" + name.encode() for name, token in tokenizer.special_ids.items()}  # llguidance's sign of a control token
        named = [names.get(token, text) for token, text in enumerate(self.tokens)]
        self.tokenizer = _ll_tokenizer(named, sorted(self.end_ids), lambda text: tokenizer.encode(text.decode("utf-8", "replace")))

    def byte_ids(self, text: bytes) -> list[int]:
        """The text with one token per byte, which every tokenizer has."""
        return [self._ids[text[k : k + 1]] for k in range(len(text))]

    def opening(self, rest: bytes) -> list[int]:
        """Tokens that go on with what is left of an opening mark, or complete it and go beyond."""
        inside = [self._ids[rest[:k]] for k in range(1, len(rest)) if rest[:k] in self._ids]
        return inside + self._starting_with(rest)

    def closing(self, read: bytes) -> set[int]:
        """Tokens that complete the closing mark behind a thought that ends with `read`."""
        begun = [k for k in range(1, len(CLOSE)) if read.endswith(CLOSE[:k])]
        return {*self._whole, *(token for k in begun for token in self._starting_with(CLOSE[k:]))}

    def _starting_with(self, prefix: bytes) -> list[int]:
        """Kept, for the ends of two marks are few and a search of 163,840 tokens takes 10 ms."""
        if prefix not in self._starting:
            self._starting[prefix] = [token for token, text in enumerate(self.tokens) if text.startswith(prefix)]
        return self._starting[prefix]


@lru_cache(maxsize=4)
def _vocabulary(tokenizer: Tokenizer, size: int) -> Vocabulary:
    return Vocabulary(tokenizer, size)


@cache
def _byte_tokenizer() -> llguidance.LLTokenizer:
    return _ll_tokenizer([*(bytes([byte]) for byte in range(256)), b"\xff<end>"], [256], list)


class _Tokens:
    """A tokenizer in the form that llguidance asks for."""

    bos_token_id = None

    def __init__(self, tokens: Sequence[bytes], end_id: int, encode: Callable[[bytes], list[int]]) -> None:
        self.tokens, self.eos_token_id, self._encode = tokens, end_id, encode
        self.special_token_ids = [token for token, text in enumerate(tokens) if len(text) > 1 and text[0] == 0xFF]

    def __call__(self, text: bytes) -> list[int]:
        return self._encode(text)


def _ll_tokenizer(tokens: Sequence[bytes], end_ids: list[int], encode: Callable[[bytes], list[int]]) -> llguidance.LLTokenizer:
    wrapper = llguidance.TokenizerWrapper(_Tokens(tokens, end_ids[0], encode))
    return llguidance.LLTokenizer(wrapper, n_vocab=len(tokens), eos_token=end_ids)


def _matcher(tokenizer: llguidance.LLTokenizer, source: str, what: str) -> llguidance.LLMatcher:
    matcher = llguidance.LLMatcher(tokenizer, source, log_level=0, limits=LIMITS)
    if error := matcher.get_error():
        raise InputError(f"the {what} cannot be compiled: {_one_line(error)}")
    return matcher


def _unpacked(bits: bytes, size: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=size, bitorder="little").view(bool)


def _short_text(text: object, what: str) -> str:
    if not isinstance(text, str):
        raise InputError(f"the {what} is of type {type(text).__name__}; it must be a string")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InputError(f"the {what} holds half of a character (a lone surrogate)") from None
    if size > MAX_SCHEMA_BYTES:
        raise InputError(f"the {what} has {size:,} bytes; at most {MAX_SCHEMA_BYTES:,} are taken")
    return text


def _reason(matcher: llguidance.LLMatcher) -> str:
    """What llguidance says, unless it is only that nothing can follow."""
    return "" if matcher.stop_reason().startswith("NoExtension") else f": {_one_line(matcher.get_error())}"


def _one_line(error: str) -> str:
    """An error of llguidance without what it quotes at length."""
    text = " ".join(error.replace("<non-verbose/>", "").split())
    return text if len(text) <= 200 else text[:197] + "..."
