"""What a caller may ask of the sampler, and the sampler itself."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch

from kimi_vl.errors import CheckpointError, InputError
from kimi_vl.ops.sampling import draw_token, token_probabilities, uniform_number

MAX_TEMPERATURE = 2.0
MAX_STOPS = 4
MAX_STOP_CHARS = 256
MAX_TOKENS = 1 << 24  # the largest context a configuration may declare


class Constraint(Protocol):
    """What one answer must look like, token by token: a grammar that has no say before the thinking is over, for instance.

    One for each answer. It is told every token of the answer in order, the end token included, and asked before each that is drawn.
    """

    def allowed(self) -> torch.Tensor | None:
        """Which tokens may come next, bool [W] on the CPU with at least one of them true, not to be written to; None for all.

        Raises: InputError where nothing may.
        """

    def take(self, token: int) -> None:
        """The answer's next token, drawn or forced. Raises: InputError for a forced one that cannot stand here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingParams:
    """How one answer is generated. Numbers are checked for type, finiteness and range when it is built.

    temperature 0 is greedy; `seed` None draws a fresh one. `max_tokens` counts every generated token, thinking and end token included.
    `max_thinking_tokens` None leaves thinking unlimited. `stop` strings end the answer and are no part of it; thinking is not searched.
    Raises: InputError naming the parameter, the value and the range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    max_tokens: int = 2048
    max_thinking_tokens: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_number("temperature", self.temperature, 0.0, MAX_TEMPERATURE)
        _check_number("top_p", self.top_p, 0.0, 1.0)
        if self.top_p == 0:
            raise InputError(
                "top_p is 0, which leaves no token; it must be above 0 and at most 1 (for greedy answers set temperature to 0)"
            )
        _check_number("min_p", self.min_p, 0.0, 1.0)
        _check_integer("top_k", self.top_k, 0, MAX_TOKENS)
        _check_integer("max_tokens", self.max_tokens, 1, MAX_TOKENS)
        if self.seed is not None:
            _check_integer("seed", self.seed, 0, 2**64 - 1)
        if self.max_thinking_tokens is not None:
            _check_integer("max_thinking_tokens", self.max_thinking_tokens, 0, MAX_TOKENS)
        _check_stops(self.stop)


def _check_number(name: str, value: object, low: float, high: float) -> None:
    # bool is an int to Python, and NaN compares false with everything.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InputError(f"{name} is {_shown(value)}; it must be a number from {low:g} to {high:g}")


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise InputError(f"{name} is {_shown(value)}; it must be a whole number from {low:,} to {high:,}")


def _check_stops(stop: object) -> None:
    if not isinstance(stop, tuple) or not all(isinstance(text, str) for text in stop):
        raise InputError(f"stop is {_shown(stop)}; it must be a tuple of strings")
    if len(stop) > MAX_STOPS:
        raise InputError(f"stop has {len(stop)} strings; at most {MAX_STOPS} are allowed")
    for text in stop:
        if not 1 <= len(text) <= MAX_STOP_CHARS:
            raise InputError(f"a stop string has {len(text):,} characters; it must have 1 to {MAX_STOP_CHARS}")


def _shown(value: object) -> str:
    """A value for a message: short, and safe from Python's refusal to print integers of more than 4,300 digits."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length():,} bits"
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Sampler:
    """Draws the tokens of one answer. Two samplers of equal parameters with a seed draw alike from equal logits.

    `seed` is what is drawn with, 64 bits: the parameters' own, or a fresh one.
    """

    def __init__(self, params: SamplingParams, *, never: Iterable[int] = (), constraint: Constraint | None = None) -> None:
        """`never` are token ids that are not drawn whatever their logits, such as the image placeholder, which only a prompt may hold."""
        self.params = params
        self.constraint = constraint
        self._never_N = torch.tensor(list(never), dtype=torch.int64)
        self.seed = secrets.randbits(64) if params.seed is None else params.seed

    def draw(self, logits_W: torch.Tensor, number: int) -> int:
        """Token number `number` of the answer, from logits [W] of any float dtype and device (host sync). What may not come is left out
        before any filter.

        Raises: CheckpointError for NaN or infinite logits, which only damaged weights or an overflowing dtype produce; InputError where
        the constraint lets nothing follow.
        """
        _check_finite(logits_W)
        logits_W = logits_W.index_fill(0, self._never_N.to(logits_W.device), -math.inf)
        if self.constraint is not None and (allowed_W := self.constraint.allowed()) is not None:
            logits_W = logits_W.masked_fill(~allowed_W.to(logits_W.device), -math.inf)
            _check_finite(logits_W)  # all that is allowed may have had a logit of -inf
        token = self._choose(logits_W, number)
        self.take(token)
        return token

    def take(self, token: int) -> None:
        """A token that the answer goes on with without having been drawn. Raises: InputError where the constraint forbids it."""
        if self.constraint is not None:
            self.constraint.take(token)

    def _choose(self, logits_W: torch.Tensor, number: int) -> int:
        params = self.params
        if params.temperature == 0:
            return int(logits_W.argmax())
        probs_W = token_probabilities(logits_W, temperature=params.temperature, top_k=params.top_k, top_p=params.top_p, min_p=params.min_p)
        return draw_token(probs_W, uniform_number(self.seed, number))


def _check_finite(logits_W: torch.Tensor) -> None:
    if not math.isfinite(peak := float(logits_W.max())):
        raise CheckpointError(
            f"the model's largest logit is {peak}; the weights are damaged, or overflow in their dtype: try dtype='float32'"
        )
