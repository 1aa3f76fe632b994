"""One generation inside of the engine: what is asked, how far it is, and what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from kimi_vl.engine.prefix import ImageSpan, namespace, page_key
from kimi_vl.engine.sampling import Logprobs, SamplingParams

Rank = tuple[int, int]
Ending = Literal["stop", "length", "cancelled", "error"]


class Status(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(eq=False)
class Request:
    """`token_ids` are the prompt and, behind it, the answer so far. The scheduler alone changes it and what has a default below.

    rank: (priority, number of arrival); the lowest goes first and is the last to lose its pages. leader: a request with the same prompt,
    for whose pages this one waits (the other answers of `n`). spans: the images of the prompt, in order.
    """

    token_ids: list[int]
    params: SamplingParams
    end_ids: frozenset[int]
    budget: int  # tokens the answer may have: max_tokens, or what the context leaves
    rank: Rank = (0, 0)
    tenant: str = ""
    sample: int = 0
    spans: tuple[ImageSpan, ...] = ()
    leader: Request | None = None
    seed: int = 0  # what is drawn with, 64 bits
    draws_on_host: bool = False  # its next token can only be drawn by the host, which then has to know the one before
    num_prompt: int = 0

    status: Status = Status.WAITING
    finish_reason: Ending | None = None
    was_admitted: bool = False
    num_cached: int = 0  # of the prompt's tokens that were in the cache when it was first admitted
    num_computed: int = 0  # tokens whose latents are in the pages, those of the step that runs now included
    num_pending: int = 0  # tokens that are being sampled and not known yet; they follow token_ids
    num_stale: int = 0  # tokens that are being sampled and will be thrown away
    num_forced: int = 0  # times that tokens were put into its answer
    num_drafted: int = 0  # tokens that were proposed and are being computed; nobody knows yet how many of them are right
    proposal: tuple[int, ...] = ()  # what may come next
    pages: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)  # of the full pages of token_ids
    prompt_logprobs: list[Logprobs] = field(default_factory=list)  # of the prompt's tokens from the second on, as far as they are computed

    def __post_init__(self) -> None:
        self.num_prompt = len(self.token_ids)

    @property
    def num_tokens(self) -> int:
        """Known tokens and those being sampled."""
        return len(self.token_ids) + self.num_pending

    @property
    def num_answered(self) -> int:
        return self.num_tokens - self.num_prompt

    @property
    def most_tokens(self) -> int:
        """In the cache at the end: the last token of an answer is never fed back."""
        return self.num_prompt + self.budget - 1

    @property
    def answer_ids(self) -> list[int]:
        return self.token_ids[self.num_prompt :]

    def page_keys(self, page_size: int) -> list[bytes]:
        """Keys of all full pages of the known tokens."""
        while (len(self.keys) + 1) * page_size <= len(self.token_ids):
            start = len(self.keys) * page_size
            parent = self.keys[-1] if self.keys else namespace(self.tenant)
            self.keys.append(page_key(parent, self.token_ids[start : start + page_size], start, self.spans))
        return self.keys

    def images_between(self, start: int, stop: int) -> Iterable[int]:
        """Numbers of the images of which a token is in [start, stop)."""
        return [k for k, span in enumerate(self.spans) if span.start < stop and start < span.start + span.count]
