"""The scheduler under random traffic, with a cache that remembers what was written where and a model that is a function of its prompt."""

import hashlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kimi_vl.engine.request import Request, Status
from kimi_vl.engine.sampling import SamplingParams
from kimi_vl.engine.scheduler import Limits, Scheduler
from kimi_vl.errors import CapacityError

END, VOCABULARY = 0, 7


def says(tenant, token_ids):
    """The token that follows these: any function of them will do."""
    return hashlib.sha256(repr((tenant, token_ids)).encode()).digest()[0] % VOCABULARY


class Machine:
    """Computes the chunks of a step like a runner, and complains when a token would attend to anything but its own past."""

    def __init__(self, limits):
        self.page_size = limits.page_size
        self.rows = {}  # slot: (tenant, tokens up to and with its own)

    def run(self, chunks):
        sampled = {}
        for chunk in chunks:
            request = chunk.request
            tokens = [*request.token_ids, *self.pending(request)]
            for place in range(chunk.start, chunk.start + chunk.count):
                self.rows[self.slot(request, place)] = (request.tenant, tuple(tokens[: place + 1]))
            for place in range(chunk.start + chunk.count):
                assert self.rows[self.slot(request, place)] == (request.tenant, tuple(tokens[: place + 1])), (chunk, place)
            if chunk.samples:
                sampled[request] = says(request.tenant, tokens[: chunk.start + chunk.count])
        return sampled

    def pending(self, request):
        """Tokens that were sampled and not committed yet, which on a device are there."""
        tokens = list(request.token_ids)
        while len(tokens) < request.num_tokens:
            tokens.append(says(request.tenant, tokens))
        return tokens[len(request.token_ids) :]

    def slot(self, request, place):
        return request.pages[place // self.page_size], place % self.page_size


def alone(tenant, prompt, budget, forced=()):
    """The answer to a prompt that has the machine to itself."""
    tokens, forced = list(prompt), dict(forced)
    while len(tokens) - len(prompt) < budget:
        tokens.append(says(tenant, tokens))
        if tokens[-1] == END:
            break
    return tokens[len(prompt) :]


class Traffic(RuleBasedStateMachine):
    """Steps are launched up to two ahead of what is committed."""

    @initialize(
        num_pages=st.integers(4, 12),
        page_size=st.integers(1, 4),
        max_running=st.integers(1, 4),
        step_pages=st.integers(1, 4),
        shares=st.booleans(),
        invariant=st.booleans(),
        ahead=st.integers(1, 2),
    )
    def start(self, num_pages, page_size, max_running, step_pages, shares, invariant, ahead):
        self.limits = Limits(
            num_pages=num_pages,
            page_size=page_size,
            max_running=max_running,
            step_tokens=step_pages * page_size,
            shares_prefixes=shares,
            invariant=invariant,
        )
        self.scheduler, self.machine, self.ahead = Scheduler(self.limits), Machine(self.limits), ahead
        self.launched, self.requests, self.arrivals = [], [], 0

    @rule(
        prompt=st.lists(st.integers(1, 2), min_size=1, max_size=24),
        budget=st.integers(1, 8),
        tenant=st.sampled_from("ab"),
        priority=st.integers(0, 1),
        n=st.integers(1, 2),
    )
    def add(self, prompt, budget, tenant, priority, n):
        leader = None
        for sample in range(n):
            self.arrivals += 1
            request = Request(prompt, SamplingParams(), frozenset({END}), budget, (priority, self.arrivals), tenant, sample, leader=leader)
            request.token_ids = list(prompt)
            if -(-request.most_tokens // self.limits.page_size) > self.limits.num_pages:
                with pytest.raises(CapacityError, match="shorten the prompt or lower max_tokens"):
                    self.scheduler.add(request)
                return
            self.scheduler.add(request)
            self.requests.append(request)
            leader = leader or request

    @precondition(lambda self: len(self.launched) < self.ahead)
    @rule()
    def launch(self):
        chunks = self.scheduler.schedule()
        assert len({chunk.request for chunk in chunks}) == len(chunks) <= self.limits.max_running
        assert sum(chunk.count for chunk in chunks if chunk.count > 1) <= self.limits.step_tokens * (2 if self.limits.invariant else 1)
        if chunks:
            # The device computes in the order of launching, and the tokens are known later.
            before = {chunk.request: chunk.request.num_pending for chunk in chunks}
            for chunk in chunks:
                chunk.request.num_pending -= chunk.samples
            sampled = self.machine.run(chunks)
            for request, pending in before.items():
                request.num_pending = pending
            self.launched.append((chunks, sampled))

    @precondition(lambda self: self.launched)
    @rule()
    def commit(self):
        chunks, sampled = self.launched.pop(0)
        for request in self.scheduler.commit(chunks, sampled):
            assert request.finish_reason == ("stop" if request.token_ids[-1] == END else "length")

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def cancel(self, data):
        request = data.draw(st.sampled_from(self.requests))
        ended_before = request.status is Status.FINISHED
        reason = request.finish_reason
        self.scheduler.finish(request, "cancelled")
        assert request.status is Status.FINISHED
        assert not request.pages
        assert request.finish_reason == (reason if ended_before else "cancelled")

    @invariant()
    def is_whole(self):
        if hasattr(self, "scheduler"):
            self.scheduler.check_integrity()

    def teardown(self):
        """Everybody else's answer is the one they would get alone, and in the end nothing is held."""
        if not hasattr(self, "scheduler"):
            return
        for _ in range(2000):
            if self.launched:
                self.commit()
            if not self.scheduler.is_idle or self.launched:
                if len(self.launched) < self.ahead:
                    self.launch()
            else:
                break
        assert self.scheduler.is_idle, "requests are left that never end"
        for request in self.requests:
            answer = alone(request.tenant, request.token_ids[: request.num_prompt], request.budget)
            if request.finish_reason == "cancelled":
                assert request.answer_ids == answer[: len(request.answer_ids)]
            else:
                assert request.answer_ids == answer
        self.scheduler.check_integrity()
        assert self.scheduler.pool.num_available == self.limits.num_pages


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
