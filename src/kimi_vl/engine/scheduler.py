"""What runs in the next step: who is admitted, whose prompt goes on by how much, who gives up pages. Integers only.

Every step runs one token of each answer that is being written and, beside them, the next chunks of prompts. The
order is that of ranks, priority before arrival, and nobody overtakes. Pages are taken as they are needed; when there are none, the request
of the last rank is preempted: it loses its pages and is computed again later, prompt and answer so far as one prompt. A request is refused
only when it would not fit alone. So the first in rank can always go on, and every request comes to its end.

A step may be launched before the tokens of the one before are known: `schedule` counts them as pending, and `commit` takes them in.

Behind the newest token of an answer a step may compute a draft, tokens that were proposed. Each place gives a token, and as long as these
are those of the draft they count: `settle` says how many do, and what was written of the others is as if it had not been.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from kimi_vl.engine.pages import PagePool
from kimi_vl.engine.request import Ending, Request, Status
from kimi_vl.errors import CapacityError

# A step of more tokens than this drafts none. On an H100 8 rows take 7.2 ms, 32 rows 11.7, and behind that each row has its price.
DRAFT_ROWS = 32


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one engine may do at once."""

    num_pages: int
    page_size: int  # tokens
    max_running: int  # requests that compute in one step
    step_tokens: int  # tokens of prompts in one step; a request that computes one token alone does it beside them
    shares_prefixes: bool = True
    # Cut prompts at multiples of step_tokens only, and compute what was preempted by the same steps as before, so that an answer is the
    # same to the last bit whatever runs beside it (the runner then computes request by request).
    invariant: bool = False
    cache: Literal["fp8"] | None = None  # what the rows of the latent cache are rounded to; None: as the model computes them
    draft_tokens: int = 0  # of an answer at once that are proposed, by what followed its last words before (`lookup.py`); 0: none


@dataclass(frozen=True)
class Chunk:
    """`count` tokens of a request from `start` on, to be computed in one step; `samples` if a new token follows them, and one follows each
    token of the `draft`, the last of these tokens."""

    request: Request
    start: int
    count: int
    samples: bool
    draft: tuple[int, ...] = ()

    @property
    def cost(self) -> int:
        """How much of a step's tokens it takes. One token does not count, so that 32 prompts of 1,024 go into a step of 32,768 whoever
        writes beside them; otherwise the last of them is cut, and its rest costs a step of its own."""
        return len(self.draft) if self.count - len(self.draft) == 1 else self.count


class Scheduler:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pool = PagePool(limits.num_pages, limits.page_size)
        self.waiting: list[Request] = []  # both in the order of ranks
        self.running: list[Request] = []
        self.num_preempted = 0

    # Coming and going -----------------------------------------------------------------------------------------------

    def add(self, request: Request) -> None:
        """Raises: CapacityError for a request that would not fit if it were alone."""
        needed = self.pool.pages_for(request.most_tokens)
        if needed > self.limits.num_pages:
            raise CapacityError(
                f"the prompt of {request.num_prompt:,} tokens and an answer of up to {request.budget:,} need {needed:,} pages of "
                f"{self.limits.page_size} tokens and the latent cache has {self.limits.num_pages:,}; shorten the prompt or lower max_tokens"
            )
        insort(self.waiting, request, key=_rank)

    def finish(self, request: Request, reason: Ending) -> None:
        """End a request, whatever it is doing; its pages are free at once. Ending it again changes nothing.

        A step that was launched may still write into them. Whoever takes them is launched later, and so comes after it.
        """
        if request.status is Status.FINISHED:
            return
        (self.waiting if request.status is Status.WAITING else self.running).remove(request)
        self._give_up_pages(request)
        request.status, request.finish_reason = Status.FINISHED, reason

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.running

    # Steps ----------------------------------------------------------------------------------------------------------

    def schedule(self) -> list[Chunk]:
        """The chunks of the next step, one for each request that computes; empty when there is nothing to do.

        From here on the tokens count as computed, and the tokens that chunks sample as pending.
        """
        chunks: dict[Request, Chunk] = {}
        budget = self.limits.step_tokens
        writing = [request for request in self.running if self._missing(request) == 1]
        reading = [request for request in self.running if self._missing(request) > 1]
        for request in (*writing, *reading):
            budget -= self._go_on(request, budget, chunks)
        while self.waiting and budget > 0 and self._is_ready(request := self.waiting[0]):
            if self._fits(request):
                self._admit(request)
                budget -= self._go_on(request, budget, chunks)
            elif self.running and self.running[-1].rank[0] > request.rank[0]:
                budget += self._preempt(self.running[-1], chunks)
            else:
                break
        for request, chunk in chunks.items():
            request.num_computed += chunk.count
            request.num_pending += chunk.samples + len(chunk.draft)
            request.num_drafted, request.proposal = len(chunk.draft), ()
        return list(chunks.values())

    def propose(self, request: Request, token_ids: Iterable[int]) -> None:
        """Say what may follow the known tokens of a request. It is computed with the newest one if that is known then, as far as there is
        room that nobody else needs."""
        if request.status is Status.RUNNING:
            request.proposal = tuple(token_ids)

    def settle(self, chunk: Chunk, num_right: int) -> None:
        """Of the tokens that a chunk with a draft gives, only the first `num_right` will be committed."""
        request, wrong = chunk.request, 1 + len(chunk.draft) - num_right
        request.num_drafted = 0
        if request.num_stale:  # tokens were forced in the meantime, from where the draft began
            request.num_stale -= wrong
            return
        request.num_pending -= wrong
        if request.status is Status.RUNNING:
            self._forget_behind(request, request.num_computed - wrong)

    def commit(self, chunks: list[Chunk], sampled: Mapping[Request, int]) -> list[Request]:
        """Take in a token of each chunk that samples; returns the requests that took theirs. Whoever was ended before takes none, nor does
        a request that was given other tokens in the meantime. The further tokens of a draft are taken in by further calls."""
        grown: list[Request] = []
        for chunk in chunks:
            request = chunk.request
            if request.status is Status.FINISHED:
                continue
            self._publish(request)  # before it may end and let go of its pages: an answer of one token leaves its prompt behind, too
            if chunk.samples and request.num_stale:
                request.num_stale -= 1
            elif chunk.samples:
                token = sampled[request]
                request.num_pending -= 1
                request.token_ids.append(token)
                grown.append(request)
                if token in request.end_ids:
                    self.finish(request, "stop")
                elif len(request.token_ids) - request.num_prompt == request.budget:
                    self.finish(request, "length")
        return grown

    def force(self, request: Request, token_ids: Iterable[int]) -> None:
        """Put these tokens behind the known tokens of a request as if it had said them, as many as its budget allows.

        What is being sampled of it in the meantime is thrown away when it comes.
        """
        if request.status is Status.FINISHED:
            return
        request.num_stale += request.num_pending
        request.num_pending = request.num_drafted = 0
        request.num_forced += 1
        request.proposal = ()
        self._forget_behind(request, min(request.num_computed, len(request.token_ids)))
        request.token_ids += list(token_ids)[: request.budget - request.num_answered]
        if request.num_answered == request.budget:
            self.finish(request, "length")

    def check_integrity(self) -> None:
        """Raises: AssertionError naming what is wrong."""
        self.pool.check_integrity(request.pages for request in (*self.waiting, *self.running))
        for request in self.waiting:
            assert request.status is Status.WAITING, request
            assert not request.pages, request
            assert not request.num_computed, request
            assert not request.proposal, request
        for request in self.running:
            assert request.status is Status.RUNNING, request
            assert len(request.pages) == self.pool.pages_for(request.num_computed), request
            assert request.num_computed <= request.num_tokens <= request.num_prompt + request.budget, request
        for queue in (self.waiting, self.running):
            assert queue == sorted(queue, key=_rank), "a queue is out of order"
        assert len(self.running) <= self.limits.max_running

    # Inside ---------------------------------------------------------------------------------------------------------

    def _missing(self, request: Request) -> int:
        """Tokens that are not in the cache. An answer that has all its tokens, some of them pending, computes nothing more; one whose draft
        is being computed does not know where to go on."""
        return 0 if request.num_drafted or request.num_answered >= request.budget else request.num_tokens - request.num_computed

    def _go_on(self, request: Request, budget: int, chunks: dict[Request, Chunk]) -> int:
        """Give a running request its next chunk, and say how much more of the step's tokens are used by it."""
        count = self._next_count(request, budget)
        if request.status is not Status.RUNNING or not count:
            return 0
        draft = self._draft(request, budget - count, chunks)
        count += len(draft)
        refund = self._make_room(request, request.num_computed + count, chunks)
        if request.status is not Status.RUNNING:
            return -refund  # it had to give way itself
        samples = request.num_computed + count == request.num_tokens + len(draft)
        chunks[request] = Chunk(request, request.num_computed, count, samples, draft)
        return chunks[request].cost - refund

    def _draft(self, request: Request, budget: int, chunks: Mapping[Request, Chunk]) -> tuple[int, ...]:
        """As much of a request's proposal as can be computed without costing anybody a page or a row, of so many tokens at most."""
        if request.num_pending or request.num_stale or not request.proposal:
            return ()
        spare_pages = max(0, self.pool.num_available - len(self.running))  # a page is left for everyone who writes
        room = (len(request.pages) + spare_pages) * self.limits.page_size - request.num_tokens
        rows = min(DRAFT_ROWS, self.limits.max_running) - len(self.running) - sum(len(chunk.draft) for chunk in chunks.values())
        return request.proposal[: max(0, min(room, rows, budget, request.budget - request.num_answered - 1))]

    def _next_count(self, request: Request, budget: int) -> int:
        missing = self._missing(request)
        if missing <= 1:
            return missing  # one token of an answer is always worth running
        if not self.limits.invariant:
            return max(0, min(missing, budget))
        if request.num_computed >= request.num_prompt:
            return 1
        size = self.limits.step_tokens
        stop = min(request.num_prompt, (request.num_computed // size + 1) * size)
        return stop - request.num_computed if budget > 0 else 0

    def _make_room(self, request: Request, num_tokens: int, chunks: dict[Request, Chunk]) -> int:
        """Pages for the first `num_tokens` of a request, at the cost of the last in rank, which may be itself. Returns how many of the
        step's tokens are free again."""
        refund = 0
        while (needed := self.pool.pages_for(num_tokens) - len(request.pages)) > self.pool.num_available:
            victim = self.running[-1]
            refund += self._preempt(victim, chunks)
            if victim is request:
                return refund
        request.pages += self.pool.take(max(0, needed))
        return refund

    def _preempt(self, request: Request, chunks: dict[Request, Chunk]) -> int:
        """Back to the waiting ones. Returns how many of the step's tokens it had been given."""
        self.running.remove(request)
        self._give_up_pages(request)
        request.status = Status.WAITING
        insort(self.waiting, request, key=_rank)
        self.num_preempted += 1
        lost = chunks.pop(request, None)
        return lost.cost if lost else 0

    def _give_up_pages(self, request: Request) -> None:
        self.pool.release(request.pages)
        request.pages, request.num_computed, request.proposal = [], 0, ()

    def _forget_behind(self, request: Request, num_tokens: int) -> None:
        """What is in the cache behind the first `num_tokens` counts no more."""
        request.num_computed = num_tokens
        while len(request.pages) > self.pool.pages_for(num_tokens):
            self.pool.release([request.pages.pop()])

    def _is_ready(self, request: Request) -> bool:
        """Whether a waiting request could run, but for the room."""
        if request.num_pending or request.num_stale:
            return False  # preempted while its newest token is being sampled; the step that knows it comes first
        leader = request.leader
        return leader is None or leader.status is Status.FINISHED or len(leader.token_ids) > leader.num_prompt

    def _fits(self, request: Request) -> bool:
        """Whether there is room for all it has to read, and a page more for everyone who writes."""
        shared, revived = self.pool.find(self._shareable(request))
        needed = self.pool.pages_for(len(request.token_ids)) - shared
        has_pages = needed + len(self.running) <= self.pool.num_available - revived
        return has_pages and len(self.running) < self.limits.max_running

    def _admit(self, request: Request) -> None:
        request.pages = self.pool.share(self._shareable(request))
        request.num_computed = len(request.pages) * self.limits.page_size
        if not request.was_admitted:
            request.was_admitted, request.num_cached = True, request.num_computed
        request.status = Status.RUNNING
        self.waiting.remove(request)
        insort(self.running, request, key=_rank)

    def _shareable(self, request: Request) -> list[bytes]:
        """Keys of the pages that may be taken over: all but the last token, which must be run to know what follows it; none where that is
        to be known of every token."""
        if not self.limits.shares_prefixes or request.params.prompt_logprobs is not None:
            return []
        page_size, step = self.limits.page_size, self.limits.step_tokens
        num_tokens = len(request.token_ids) - 1
        if self.limits.invariant:
            num_tokens = min(num_tokens, request.num_prompt)
            shared, _ = self.pool.find(request.page_keys(page_size)[: num_tokens // page_size])
            num_tokens = shared * page_size // step * step
        return request.page_keys(page_size)[: num_tokens // page_size]

    def _publish(self, request: Request) -> None:
        if not self.limits.shares_prefixes:
            return
        # What is pending is not known, and what is not computed yet is not there.
        known = min(request.num_computed, len(request.token_ids))
        if self.limits.invariant:
            known = min(known, request.num_prompt)
        keys = request.page_keys(self.limits.page_size)
        for page, key in zip(request.pages[: known // self.limits.page_size], keys, strict=False):
            self.pool.publish(page, key)


def _rank(request: Request) -> tuple[int, int]:
    return request.rank
