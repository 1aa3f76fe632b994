"""What a caller may ask of the sampler, and the sampler itself."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch

from kimi_vl.errors import CheckpointError, InputError
from kimi_vl.ops.sampling import draw_token, token_probabilities, uniform_number

MAX_TEMPERATURE = 2.0
MAX_STOPS = 4
MAX_STOP_CHARS = 256
MAX_PENALTY = 2.0
MAX_BIAS, MAX_BIASES = 100.0, 1024
MAX_LOGPROBS = 20
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
    A token that the answer has said k times loses presence_penalty (for k > 0) and k times frequency_penalty of its logit; one that prompt
    or answer hold has its logit divided by repetition_penalty, multiplied where it is below 0. `logit_bias`, pairs of token and number, is
    added last. `logprobs` k tells with each token its log-probability and the k likeliest tokens', of the model's own distribution: before
    penalties, bias, temperature and filters; `prompt_logprobs` k the same with the prompt's tokens but the first.
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
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    logprobs: int | None = None
    prompt_logprobs: int | None = None

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
        _check_number("presence_penalty", self.presence_penalty, -MAX_PENALTY, MAX_PENALTY)
        _check_number("frequency_penalty", self.frequency_penalty, -MAX_PENALTY, MAX_PENALTY)
        _check_number("repetition_penalty", self.repetition_penalty, 0.0, MAX_PENALTY)
        if self.repetition_penalty == 0:
            raise InputError(f"repetition_penalty is 0, by which nothing can be divided; it must be above 0 and at most {MAX_PENALTY:g}")
        _check_bias(self.logit_bias)
        for name in ("logprobs", "prompt_logprobs"):
            if (count := getattr(self, name)) is not None:
                _check_integer(name, count, 0, MAX_LOGPROBS)

    @property
    def filters(self) -> bool:
        """Whether some tokens are left out for being less likely than others."""
        return bool(self.top_k) or self.top_p < 1 or self.min_p > 0

    @property
    def penalises(self) -> bool:
        """Whether what may come next depends on which tokens came before."""
        return bool(self.presence_penalty or self.frequency_penalty) or self.repetition_penalty != 1

    @property
    def weighs(self) -> bool:
        """Whether it is drawn from other logits than the model's."""
        return self.penalises or bool(self.logit_bias)

    def check_bias(self, vocabulary: int) -> None:
        """Raises: InputError if logit_bias names a token that a model of so many does not have."""
        if (last := max((token for token, _ in self.logit_bias), default=0)) >= vocabulary:
            raise InputError(f"logit_bias names token {last}; the vocabulary ends at {vocabulary - 1}")


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


def _check_bias(bias: object) -> None:
    if not isinstance(bias, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in bias):
        raise InputError(f"logit_bias is {_shown(bias)}; it must be a tuple of pairs of a token id and a number")
    if len(bias) > MAX_BIASES:
        raise InputError(f"logit_bias names {len(bias):,} tokens; at most {MAX_BIASES:,} are allowed")
    for token, value in bias:
        _check_integer("a token of logit_bias", token, 0, MAX_TOKENS)
        _check_number(f"the logit_bias of token {token}", value, -MAX_BIAS, MAX_BIAS)
    if len({token for token, _ in bias}) < len(bias):
        raise InputError("logit_bias names a token twice; each may have one number")


def _shown(value: object) -> str:
    """A value for a message: short, and safe from Python's refusal to print integers of more than 4,300 digits."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length():,} bits"
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True, slots=True)
class Logprobs:
    """The log-probability of a token in the model's own distribution, and the likeliest tokens with theirs, the likeliest first."""

    token: int
    logprob: float
    likeliest: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, token: int, row: Sequence[float], count: int) -> Self:
        """From a row of `ops.sampling.tell_rows`, of which the first `count` of the likeliest tokens are asked for."""
        own, *rest = row
        values, tokens = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        return cls(token, own, tuple((int(token), value) for token, value in zip(tokens[:count], values[:count], strict=True)))


class Sampler:
    """Draws the tokens of one answer. Two samplers of equal parameters with a seed draw alike from equal logits.

    `seed` is what is drawn with, 64 bits: the parameters' own, or a fresh one.
    """

    def __init__(
        self,
        params: SamplingParams,
        *,
        never: Iterable[int] = (),
        prompt_ids: Iterable[int] = (),
        constraint: Constraint | None = None,
    ) -> None:
        """`never` are token ids that are not drawn whatever their logits, such as the image placeholder, which only a prompt may hold.
        `prompt_ids` count for the repetition penalty."""
        self.params = params
        self.logprobs: Logprobs | None = None  # of the token drawn last, where they are asked for
        self._counts: Counter[int] = Counter()  # of the answer's tokens
        self._met = set(prompt_ids) if params.repetition_penalty != 1 else set[int]()
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
        given_W = logits_W
        if self.params.weighs:
            logits_W = self._weighed(logits_W)
        logits_W = logits_W.index_fill(0, self._never_N.to(logits_W.device), -math.inf)
        if self.constraint is not None and (allowed_W := self.constraint.allowed()) is not None:
            logits_W = logits_W.masked_fill(~allowed_W.to(logits_W.device), -math.inf)
            _check_finite(logits_W)  # all that is allowed may have had a logit of -inf
        token = self._choose(logits_W, number)
        if self.params.logprobs is not None:
            self.logprobs = _logprobs(given_W, token, self.params.logprobs)
        self.take(token)
        return token

    def take(self, token: int) -> None:
        """A token that the answer goes on with without having been drawn. Raises: InputError where the constraint forbids it."""
        if self.constraint is not None:
            self.constraint.take(token)
        self._counts[token] += 1

    def _weighed(self, logits_W: torch.Tensor) -> torch.Tensor:
        """The logits with penalties and bias, fp32 [W]."""
        params, logits_W = self.params, logits_W.float().clone()
        if params.repetition_penalty != 1 and (met := self._met | self._counts.keys()):
            met_N = torch.tensor(sorted(met), device=logits_W.device)
            old_N = logits_W[met_N]
            logits_W[met_N] = torch.where(old_N > 0, old_N / params.repetition_penalty, old_N * params.repetition_penalty)
        if self._counts and (params.presence_penalty or params.frequency_penalty):
            said_N = torch.tensor(list(self._counts), device=logits_W.device)
            counts_N = torch.tensor(list(self._counts.values()), dtype=torch.float32, device=logits_W.device)
            logits_W[said_N] -= params.presence_penalty + params.frequency_penalty * counts_N
        if params.logit_bias:
            params.check_bias(logits_W.shape[0])
            tokens, values = zip(*params.logit_bias, strict=True)
            logits_W[torch.tensor(tokens, device=logits_W.device)] += torch.tensor(values, dtype=torch.float32, device=logits_W.device)
        return logits_W

    def _choose(self, logits_W: torch.Tensor, number: int) -> int:
        params = self.params
        if params.temperature == 0:
            return int(logits_W.argmax())
        probs_W = token_probabilities(logits_W, temperature=params.temperature, top_k=params.top_k, top_p=params.top_p, min_p=params.min_p)
        return draw_token(probs_W, uniform_number(self.seed, number))


def _logprobs(logits_W: torch.Tensor, token: int, count: int) -> Logprobs:
    logprobs_W = logits_W.double().log_softmax(-1)
    values_K, tokens_K = logprobs_W.topk(min(count, logprobs_W.shape[0]))
    return Logprobs(token, float(logprobs_W[token]), tuple(zip(tokens_K.tolist(), values_K.tolist(), strict=True)))


def _check_finite(logits_W: torch.Tensor) -> None:
    if not math.isfinite(peak := float(logits_W.max())):
        raise CheckpointError(
            f"the model's largest logit is {peak}; the weights are damaged, or overflow in their dtype: try dtype='float32'"
        )
