"""Constraints on the way through sampler, generation and engine: toy ones over ids, for the engine knows nothing of text."""

import math

import pytest
import torch

from kimi_vl.engine import Engine, Generation, Limits, Sampler, SamplingParams
from kimi_vl.errors import CheckpointError, InputError
from tests.engine.scripted import ScriptedModel, saying
from tests.parity.networks import Case
from tests.parity.tiny_reference import resized

END_IDS = range(40, 60)


class Only:
    """Lets the same tokens come always."""

    def __init__(self, *tokens, size=64):
        self.mask_W = torch.zeros(size, dtype=torch.bool)
        self.mask_W[list(tokens)] = True
        self.taken = []

    def allowed(self):
        return self.mask_W

    def take(self, token):
        self.taken.append(token)


class Turns:
    """What may come depends on everything taken so far, so one token lost, doubled or told to another changes all that follow."""

    def __init__(self, shift, size=512, fails_after=None):
        self.shift, self.size, self.fails_after, self.taken = shift, size, fails_after, []

    def allowed(self):
        if len(self.taken) == self.fails_after:
            raise InputError("nothing can follow")
        return torch.arange(self.size) % 7 == (sum(self.taken) + len(self.taken) + self.shift) % 7

    def take(self, token):
        if token == 300:
            raise InputError("300 is forbidden")
        self.taken.append(token)


FILTERS = [
    {},
    {"temperature": 1.0},
    {"temperature": 2.0, "top_k": 1},
    {"temperature": 1.0, "top_p": 0.01},
    {"temperature": 1.0, "min_p": 1.0},
]


@pytest.mark.parametrize("params", FILTERS, ids=str)
def test_only_what_is_allowed_is_drawn_and_filters_count_only_that(params):
    logits_W = torch.linspace(0, 30, 64)
    sampler = Sampler(SamplingParams(seed=1, **params), never=[63], constraint=Only(3, 20, 63))
    drawn = {sampler.draw(logits_W, k) for k in range(40)}
    assert drawn == {20}  # the likeliest that may come; 3 is 17 nats away
    assert logits_W[63] == 30  # the caller's, untouched


def test_all_filters_together_leave_the_distribution_of_what_may_come():
    logits_W = torch.zeros(64)
    logits_W[[5, 6, 7, 8]] = torch.tensor([2.0, 1.0, 0.0, -9.0])
    params = SamplingParams(temperature=1.0, top_k=3, top_p=0.95, min_p=0.1, seed=4)
    constrained = Sampler(params, constraint=Only(5, 6, 7, 8))
    free = Sampler(params)
    alone_W = torch.full((64,), -math.inf)
    alone_W[[5, 6, 7, 8]] = logits_W[[5, 6, 7, 8]]
    drawn = [constrained.draw(logits_W, k) for k in range(200)]
    assert drawn == [free.draw(alone_W, k) for k in range(200)]
    assert set(drawn) == {5, 6, 7}


def test_a_constraint_without_a_say_changes_nothing():
    class Silent(Only):
        def allowed(self):
            return None

    logits_W = torch.randn(64)
    params = SamplingParams(temperature=1.0, seed=3)
    rule = Silent()
    samplers = Sampler(params, constraint=rule), Sampler(params)
    drawn = [[sampler.draw(logits_W, k) for k in range(30)] for sampler in samplers]
    assert drawn[0] == drawn[1] == rule.taken


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_d5_logits_that_exclude_all_that_may_come_are_an_error_and_not_a_token(temperature):
    logits_W = torch.zeros(64)
    logits_W[[3, 4]] = -math.inf
    with pytest.raises(CheckpointError, match="largest logit is -inf"):
        Sampler(SamplingParams(temperature=temperature), constraint=Only(3, 4)).draw(logits_W, 0)


def test_a_generation_tells_its_constraint_every_token_drawn_or_forced_and_the_end():
    rule = Only(*range(64))
    gen = Generation(ScriptedModel(saying([10, 11, 0, 0, 12, 63], 3)), [1, 2, 3], SamplingParams(), end_ids=[63], constraint=rule)
    tokens = []
    for token in gen:
        tokens.append(token)
        if len(tokens) == 2:
            gen.force([30, 31])
    assert tokens == [10, 11, 30, 31, 12]
    assert rule.taken == [10, 11, 30, 31, 12, 63]


def test_a_generation_says_what_may_come_and_not_what_the_model_wanted():
    gen = Generation(ScriptedModel(saying([10, 63], 3)), [1, 2, 3], SamplingParams(max_tokens=4), end_ids=[63], constraint=Only(20, 21))
    assert list(gen) == [20, 20, 20, 20]
    assert gen.finish_reason == "length"


def test_where_nothing_may_follow_a_generation_raises():
    model = ScriptedModel(saying([10], 3), vocabulary=512)
    gen = Generation(model, [1, 2, 3], SamplingParams(), end_ids=[63], constraint=Turns(0, fails_after=3))
    with pytest.raises(InputError, match="nothing can follow"):
        list(gen)
    assert gen.num_tokens == 3


@pytest.fixture(scope="module")
def model():
    return Case(resized(vision={"init_pos_emb_height": 7}), [(2, 2)], seed=1, output_gain=3.0).model()


PROMPTS = [[11], list(range(100, 160)), [*list(range(100, 150)), 7, 8, 9], [5, 6, 7, 8]]


def plain(model, ids, params, rule):
    return list(Generation(model, list(ids), params, end_ids=[], constraint=rule))


def run(engine):
    events = []
    for _ in range(2000):
        events += engine.step()
        engine.check_integrity()
        if engine.is_idle:
            return events
    raise AssertionError("the engine does not come to rest")


BOTH = pytest.mark.parametrize("rows", [False, True], ids=["plain", "rows"])


@BOTH
@pytest.mark.parametrize("num_pages", [12, 64])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_e13_each_answer_of_a_batch_keeps_to_its_own_constraint_through_preemption(model, num_pages, temperature, rows):
    params = SamplingParams(max_tokens=24, temperature=temperature, seed=9)
    expected = [plain(model, ids, params, Turns(k)) for k, ids in enumerate(PROMPTS)]
    engine = Engine(model, Limits(num_pages=num_pages, page_size=8, max_running=8, step_tokens=40, shares_prefixes=False), rows=rows)
    rules = [Turns(k) for k in range(len(PROMPTS))]
    requests = [engine.submit(ids, params, end_ids=[], constraint=lambda k=k: rules[k])[0] for k, ids in enumerate(PROMPTS)]
    free = engine.submit(PROMPTS[0], params, end_ids=[])[0]
    run(engine)
    assert engine.scheduler.num_preempted > 0 or num_pages == 64
    assert [request.answer_ids for request in requests] == expected
    assert [rule.taken for rule in rules] == expected
    assert free.answer_ids == plain(model, PROMPTS[0], params, None)  # D9: those without one are as they are alone


@BOTH
def test_each_of_several_answers_has_a_constraint_of_its_own(model, rows):
    made = []
    engine = Engine(model, Limits(num_pages=64, page_size=8, max_running=8, step_tokens=64), rows=rows)
    params = SamplingParams(max_tokens=12, temperature=1.0, seed=3)
    requests = engine.submit(PROMPTS[1], params, end_ids=[], n=3, constraint=lambda: made.append(Turns(0)) or made[-1])
    run(engine)
    assert [rule.taken for rule in made] == [request.answer_ids for request in requests]
    assert len({tuple(rule.taken) for rule in made}) == 3


@BOTH
def test_e9_a_constraint_that_fails_ends_its_own_request_and_no_other(model, rows):
    params = SamplingParams(max_tokens=12)
    engine = Engine(model, Limits(num_pages=64, page_size=8, max_running=8, step_tokens=64), rows=rows)
    bad = engine.submit(PROMPTS[0], params, end_ids=[], constraint=lambda: Turns(0, fails_after=4))[0]
    good = engine.submit(PROMPTS[3], params, end_ids=[], constraint=lambda: Turns(1))[0]
    events = run(engine)
    (end,) = [event for event in events if event.error]
    assert (end.request, end.ended, str(end.error)) == (bad, True, "nothing can follow")
    assert (bad.finish_reason, len(bad.answer_ids)) == ("error", 4)
    assert good.answer_ids == plain(model, PROMPTS[3], params, Turns(1))
    assert engine.scheduler.pool.num_available == 64
    again = engine.submit(PROMPTS[0], params, end_ids=[])[0]
    run(engine)
    assert again.answer_ids == plain(model, PROMPTS[0], params, None)


def test_a_constraint_that_cannot_be_made_queues_nothing(model):
    def fail():
        if made:
            raise InputError("no")
        made.append(1)
        return Turns(0)

    made = []
    engine = Engine(model, Limits(num_pages=64, page_size=8, max_running=8, step_tokens=64))
    with pytest.raises(InputError, match="no"):
        engine.submit(PROMPTS[0], SamplingParams(), end_ids=[], n=2, constraint=fail)
    assert engine.is_idle
    engine.check_integrity()


@BOTH
def test_tokens_forced_in_the_engine_are_taken_and_a_forbidden_one_ends_the_request(model, rows):
    engine = Engine(model, Limits(num_pages=64, page_size=8, max_running=8, step_tokens=64), rows=rows)
    rules = [Turns(0), Turns(0)]
    requests = [engine.submit(PROMPTS[0], SamplingParams(max_tokens=9), end_ids=[], constraint=lambda k=k: rules[k])[0] for k in (0, 1)]
    engine.step()
    event = engine.force(requests[0], [200, 201])
    assert (event.token_ids, event.error) == ((200, 201), None)
    event = engine.force(requests[1], [200, 300])
    assert (event.token_ids, event.ended, str(event.error)) == ((), True, "300 is forbidden")
    engine.check_integrity()
    run(engine)
    assert rules[0].taken == requests[0].answer_ids
    assert (len(requests[0].answer_ids), requests[1].finish_reason) == (9, "error")
    (cancelled,) = engine.submit(PROMPTS[0], SamplingParams(max_tokens=9), end_ids=[], constraint=lambda: Turns(0))
    engine.cancel(cancelled)
    for ended in (*requests, cancelled):
        assert engine.force(ended, [1]).token_ids == ()
