"""The scheduler under random traffic, with a cache that remembers what was written where and a model that is a function of its prompt."""

import hashlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kimi_vl.engine.prefix import ImageSpan, page_key
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
        self.writes = {}  # request: what is known of it when it last gave a token, as a runner of rows knows it

    def run(self, chunks):
        """The tokens that each request gives."""
        sampled = {}
        for chunk in chunks:
            request = chunk.request
            # Of several tokens none can be on the device alone.
            assert chunk.start + chunk.count <= len(request.token_ids) + len(chunk.draft) or chunk.count == 1, chunk
            tokens = [*request.token_ids, *self.pending(request), *chunk.draft]
            if chunk.draft:
                assert self.writes[request] == (id(request.pages), request.num_forced), "a draft of what is in no row"
                assert chunk.start + chunk.count == len(tokens) == len(request.token_ids) + len(chunk.draft), chunk
            for place in range(chunk.start, chunk.start + chunk.count):
                self.rows[self.slot(request, place)] = (request.tenant, tuple(tokens[: place + 1]))
            for place in range(chunk.start + chunk.count):
                assert self.rows[self.slot(request, place)] == (request.tenant, tuple(tokens[: place + 1])), (chunk, place)
            if chunk.samples:
                sampled[request] = self.accepted(request, tokens[: chunk.start + chunk.count], len(chunk.draft))
                self.writes[request] = id(request.pages), request.num_forced
        return sampled

    def accepted(self, request, tokens, num_drafted):
        """The token behind each place as long as the draft holds it."""
        found = []
        for stop in range(len(tokens) - num_drafted, len(tokens) + 1):
            found.append(says(request.tenant, tokens[:stop]))
            if found[-1:] != tokens[stop : stop + 1]:
                break
        return found

    def pending(self, request):
        """Tokens that were sampled and not committed yet, which on a device are there."""
        tokens = list(request.token_ids)
        while len(tokens) < request.num_tokens:
            tokens.append(says(request.tenant, tokens))
        return tokens[len(request.token_ids) :]

    def slot(self, request, place):
        return request.pages[place // self.page_size], place % self.page_size


def alone(tenant, prompt, budget, forced):
    """The answer to a prompt that has the machine to itself; `forced`: tokens by the length of the answer they were put behind."""
    tokens = list(prompt)
    while (room := budget - (len(tokens) - len(prompt))) > 0:
        if given := forced.get(len(tokens) - len(prompt)):
            tokens += given[:room]
            continue
        tokens.append(says(tenant, tokens))
        if tokens[-1] == END:
            break
    return tokens[len(prompt) :]


class Traffic(RuleBasedStateMachine):
    """Steps are launched up to two ahead of what is committed. The tokens of a draft are committed in rounds, as by the engine: nothing is
    launched before the last."""

    @initialize(
        num_pages=st.integers(4, 12),
        page_size=st.integers(1, 4),
        max_running=st.integers(1, 12),
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
        self.launched, self.rounds, self.requests, self.arrivals, self.forced = [], [], [], 0, {}

    @rule(
        prompt=st.lists(st.integers(1, 2), min_size=1, max_size=24),
        budget=st.integers(1, 12),
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
            self.forced[request] = {}
            leader = leader or request

    @precondition(lambda self: len(self.launched) < self.ahead and not self.rounds)
    @rule(right=st.integers(0, 5), wrong=st.lists(st.integers(0, 2), max_size=3))
    def launch(self, right, wrong):
        if not self.limits.invariant:
            self.propose(right, wrong)
        first, urgent = self.scheduler.running[:1], self.scheduler.waiting[:1]
        chunks = self.scheduler.schedule()
        if first and (not urgent or urgent[0].rank[0] >= first[0].rank[0]):
            assert first == self.scheduler.running[:1], "the first in rank lost its pages"
        if self.limits.invariant:
            for chunk in chunks:
                self.is_cut_as_always(chunk)
        assert len({chunk.request for chunk in chunks}) == len(chunks) <= self.limits.max_running
        assert sum(chunk.cost for chunk in chunks) <= self.limits.step_tokens * (2 if self.limits.invariant else 1)
        if chunks:
            # The device computes in the order of launching, and the tokens are known later.
            before = {chunk.request: chunk.request.num_pending for chunk in chunks}
            for chunk in chunks:
                chunk.request.num_pending -= chunk.samples + len(chunk.draft)
            sampled = self.machine.run(chunks)
            for request, pending in before.items():
                request.num_pending = pending
            self.launched.append((chunks, sampled))

    def propose(self, right, wrong):
        """To all who write: tokens that are right, and others."""
        for request in self.scheduler.running:
            if self.machine.writes.get(request) == (id(request.pages), request.num_forced):
                tokens = list(request.token_ids)
                for _ in range(right):
                    tokens.append(says(request.tenant, tokens))
                self.scheduler.propose(request, [*tokens[len(request.token_ids) :], *wrong])

    def is_cut_as_always(self, chunk):
        """Chunks of an invariant engine are those of a request that is alone with all of the engine's steps."""
        size, prompt = self.limits.step_tokens, chunk.request.num_prompt
        if chunk.start >= prompt:
            assert chunk.count == 1, chunk
        else:
            assert (chunk.start % size, chunk.start + chunk.count) == (0, min(chunk.start + size, prompt)), chunk

    @precondition(lambda self: self.launched or self.rounds)
    @rule()
    def commit(self):
        if not self.rounds:
            chunks, sampled = self.launched.pop(0)
            for chunk in chunks:
                if chunk.draft and chunk.request.status is not Status.FINISHED:
                    self.scheduler.settle(chunk, len(sampled[chunk.request]))
            for k in range(max([1, *map(len, sampled.values())])):
                going_on = [chunk for chunk in chunks if not k or len(sampled.get(chunk.request, ())) > k]
                self.rounds.append((going_on, {r: tokens[k] for r, tokens in sampled.items() if len(tokens) > k}))
        chunks, sampled = self.rounds.pop(0)
        for request in self.scheduler.commit(chunks, sampled):
            assert request.token_ids[-1] == sampled[request]
            if request.status is Status.FINISHED:
                assert request.finish_reason == ("stop" if request.token_ids[-1] == END else "length")
            else:
                assert request.token_ids[-1] != END

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), tokens=st.lists(st.integers(1, 2), min_size=1, max_size=5))
    def force(self, data, tokens):
        request = data.draw(st.sampled_from(self.requests))
        place, ended = len(request.answer_ids), request.status is Status.FINISHED
        self.scheduler.force(request, tokens)
        if not ended:
            self.forced[request].setdefault(place, [])
            self.forced[request][place] = self.forced[request][place] or tokens
            assert request.answer_ids[place:] == tokens[: request.budget - place]

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
            if self.launched or self.rounds:
                self.commit()
            if not self.scheduler.is_idle or self.launched or self.rounds:
                if len(self.launched) < self.ahead and not self.rounds:
                    self.launch(len(self.requests) % 3, [1, 2])
            else:
                break
        assert self.scheduler.is_idle, "requests are left that never end"
        for request in self.requests:
            answer = alone(request.tenant, request.token_ids[: request.num_prompt], request.budget, self.forced[request])
            if request.finish_reason == "cancelled":
                assert request.answer_ids == answer[: len(request.answer_ids)]
            else:
                assert request.answer_ids == answer
        self.scheduler.check_integrity()
        assert self.scheduler.pool.num_available == self.limits.num_pages


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def request(prompt, *, budget=4, rank=(0, 0), leader=None):
    return Request(list(prompt), SamplingParams(), frozenset({END}), budget, rank, leader=leader)


def scheduler(**changed):
    return Scheduler(Limits(**{"num_pages": 8, "page_size": 2, "max_running": 4, "step_tokens": 8, **changed}))


def step(machine, *, token=1):
    """One step in which everybody says the same; the chunks as (request, start, count)."""
    chunks = machine.schedule()
    machine.commit(chunks, {chunk.request: token for chunk in chunks if chunk.samples})
    machine.check_integrity()
    return [(chunk.request, chunk.start, chunk.count) for chunk in chunks]


def writing(**changed):
    """A scheduler and a request that is about to write its second token, behind six that are known."""
    machine, one = scheduler(**changed), request([1, 2, 3, 4, 5], budget=9)
    machine.add(one)
    step(machine)
    return machine, one


def drafted(machine, one, *tokens):
    machine.propose(one, tokens)
    (chunk,) = machine.schedule()
    machine.check_integrity()
    return chunk


def test_of_a_draft_what_is_right_is_kept_and_nothing_else():
    machine, one = writing()
    chunk = drafted(machine, one, 7, 8, 9)
    assert (chunk.start, chunk.count, chunk.samples, chunk.draft) == (5, 4, True, (7, 8, 9))
    assert machine.schedule() == []  # where it goes on is not known
    machine.settle(chunk, 2)
    assert (one.num_computed, one.num_tokens, len(one.pages)) == (7, 8, 4)
    for token in (7, 6):
        assert machine.commit([chunk], {one: token}) == [one]
        machine.check_integrity()
    assert one.answer_ids == [1, 7, 6]
    assert step(machine) == [(one, 7, 1)]


def test_a_draft_takes_no_page_that_somebody_may_need_no_row_and_no_token_beyond_the_budget():
    proposal = range(20)
    for changed, most in (({"num_pages": 64, "step_tokens": 64, "max_running": 64}, 7), ({"max_running": 3}, 2), ({"step_tokens": 5}, 4)):
        machine, one = writing(**{"num_pages": 64, "step_tokens": 64, "max_running": 64, **changed})
        assert len(drafted(machine, one, *proposal).draft) == most
    machine, one = writing(num_pages=7)
    other = request([9, 9], rank=(0, 1))
    machine.add(other)
    assert step(machine) == [(one, 5, 1), (other, 0, 2)]
    machine.propose(one, proposal)
    chunks = machine.schedule()
    assert [(chunk.request, len(chunk.draft)) for chunk in chunks] == [(one, 1), (other, 0)]  # of 3 pages that are left the others get 2
    assert machine.num_preempted == 0


def test_a_draft_behind_several_tokens_takes_what_these_leave_of_a_step():
    machine, one = writing(num_pages=64, step_tokens=5)
    machine.force(one, [2, 3])
    chunk = drafted(machine, one, *range(20))
    assert (chunk.count, len(chunk.draft), chunk.cost) == (5, 2, 5)


def test_what_was_proposed_before_the_newest_token_was_known_is_not_computed():
    machine, one = writing()
    machine.schedule()
    assert drafted(machine, one, 7).draft == ()


def test_a_draft_is_worth_nothing_when_tokens_were_forced_while_it_was_computed():
    machine, one = writing()
    chunk = drafted(machine, one, 7, 8)
    machine.force(one, [3])
    machine.check_integrity()
    later = machine.schedule()
    assert [(chunk.start, chunk.count) for chunk in later] == [(6, 1)]
    machine.settle(chunk, 2)
    for token in (7, 6):
        assert machine.commit([chunk], {one: token}) == []
    assert machine.commit(later, {one: 4}) == [one]
    assert one.answer_ids == [1, 3, 4]


def test_a_request_that_lost_its_pages_gets_its_draft_s_tokens_before_it_reads_again():
    machine, one = writing(shares_prefixes=False)
    chunk = drafted(machine, one, 7, 8)
    machine.propose(one, [5])
    machine._preempt(one, {})
    machine.check_integrity()
    machine.settle(chunk, 2)
    for token in (7, 6):
        assert machine.schedule() == []
        machine.commit([chunk], {one: token})
    assert step(machine) == [(one, 0, 8)]


def test_an_end_within_a_draft_is_the_end():
    machine, one = writing()
    chunk = drafted(machine, one, END, 7)
    machine.settle(chunk, 3)
    for token in (END, 7, 6):
        machine.commit([chunk], {one: token})
    assert (one.answer_ids, one.finish_reason) == ([1, END], "stop")
    machine.check_integrity()


def test_answers_go_on_beside_a_long_prompt_that_is_read_in_chunks():
    machine = scheduler(step_tokens=4)
    short, long = request([1, 2], rank=(0, 1)), request(range(1, 10), rank=(0, 2))
    machine.add(short)
    machine.add(long)
    assert step(machine) == [(short, 0, 2), (long, 0, 2)]
    assert step(machine) == [(short, 2, 1), (long, 2, 4)]
    assert step(machine) == [(short, 3, 1), (long, 6, 3)]
    assert step(machine) == [(short, 4, 1), (long, 9, 1)]
    assert (short.finish_reason, short.answer_ids) == ("length", [1, 1, 1, 1])


def test_admission_leaves_a_page_for_everyone_who_writes():
    machine = scheduler(num_pages=5)
    first, second = request([1, 2, 3, 4], rank=(0, 1)), request([5, 6, 7, 8, 9], rank=(0, 2))
    machine.add(first)
    machine.add(second)
    assert step(machine) == [(first, 0, 4)]  # two pages, and the three that are left would be the second's to the last


def test_a_request_waits_for_its_equals_and_takes_from_those_of_less_priority():
    machine = scheduler(num_pages=4)
    early, late, urgent = (request([k] * 5, rank=rank) for k, rank in ((1, (1, 1)), (2, (1, 2)), (3, (0, 3))))
    machine.add(late)
    assert step(machine) == [(late, 0, 5)]
    machine.add(early)
    assert step(machine) == [(late, 5, 1)]
    machine.add(urgent)
    assert step(machine) == [(urgent, 0, 5)]
    assert machine.waiting == [early, late]


def test_a_request_that_lost_its_pages_while_a_token_is_sampled_waits_for_the_token():
    machine = scheduler(num_pages=4, shares_prefixes=False)
    late, urgent = request([1] * 5, rank=(1, 1)), request([2] * 5, rank=(0, 2))
    machine.add(late)
    launched = machine.schedule()
    machine.add(urgent)
    assert [chunk.request for chunk in machine.schedule()] == [urgent]
    machine.finish(urgent, "cancelled")
    assert machine.schedule() == []
    machine.commit(launched, {late: 1})
    assert step(machine) == [(late, 0, 6)]


def test_what_an_invariant_engine_wrote_token_by_token_is_not_taken_from_a_prompt_that_was_read_at_once():
    machine = scheduler(num_pages=16, step_tokens=4, invariant=True)
    written, read = request([1] * 4, budget=9, rank=(1, 1)), request([1] * 8, rank=(1, 2))
    machine.add(written)
    for _ in range(5):
        step(machine)
    machine.add(read)
    assert step(machine) == [(written, 8, 1), (read, 4, 4)]
    machine._preempt(written, {})
    assert step(machine) == [(read, 8, 1), (written, 4, 1)]


def two_of_one_prompt():
    machine = scheduler(step_tokens=4)
    leader = request([1, 2, 3, 4, 5, 6], rank=(0, 1))
    follower = request([1, 2, 3, 4, 5, 6], rank=(0, 2), leader=leader)
    machine.add(leader)
    machine.add(follower)
    return machine, leader, follower


def test_whoever_shares_a_prompt_waits_until_it_is_read_and_then_reads_its_end_only():
    machine, leader, follower = two_of_one_prompt()
    assert step(machine) == [(leader, 0, 4)]
    assert step(machine) == [(leader, 4, 2)]
    assert step(machine) == [(leader, 6, 1), (follower, 4, 2)]


def test_a_follower_goes_on_alone_when_its_leader_is_gone():
    machine, leader, follower = two_of_one_prompt()
    machine.finish(leader, "cancelled")
    assert step(machine) == [(follower, 0, 4)]


def test_what_is_being_sampled_when_tokens_are_forced_is_thrown_away():
    machine = scheduler()
    one = request([1, 2], budget=5)
    machine.add(one)
    first = machine.schedule()
    second = machine.schedule()
    machine.commit(first, {one: 1})
    machine.force(one, [3, 3])
    third = machine.schedule()
    assert [(chunk.start, chunk.count, chunk.samples) for chunk in third] == [(3, 2, True)]
    assert machine.commit(second, {one: 2}) == []
    machine.check_integrity()
    assert machine.commit(third, {one: 4}) == [one]
    assert one.answer_ids == [1, 3, 3, 4]
    machine.force(one, [5, 5, 5])
    assert (one.answer_ids, one.finish_reason) == ([1, 3, 3, 4, 5], "length")
    machine.force(one, [5])
    assert len(one.answer_ids) == 5


def test_an_image_is_told_from_another_and_from_the_same_elsewhere():
    def keys(*spans, tokens=(9, 9, 9, 9, 1, 1)):
        one = Request(list(tokens), SamplingParams(), frozenset(), 4, spans=spans)
        return one.page_keys(2)

    a, b = ImageSpan(0, 4, b"a"), ImageSpan(0, 4, b"b")
    assert keys(a) == keys(a)
    assert not set(keys(a)) & set(keys(b))
    assert not set(keys(a)) & set(keys())
    assert not set(keys(a)) & set(keys(ImageSpan(0, 2, b"a"), ImageSpan(2, 2, b"a")))
    assert keys(a)[:2] == keys(a, tokens=(9, 9, 9, 9, 1, 2))[:2]
    assert keys(a)[2] != keys(a, tokens=(9, 9, 9, 9, 1, 2))[2]
    assert page_key(b"", [9, 9], 0, [a]) != page_key(b"", [9, 9], 2, [a])
