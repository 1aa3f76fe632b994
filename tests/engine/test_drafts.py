"""Drafts: whatever is proposed, an answer is the one that was drawn token by token, and what was right saved steps."""

import random
from dataclasses import replace

import pytest

from kimi_vl.engine import Engine, SamplingParams
from kimi_vl.engine.lookup import WORDS, Lookup, num_right
from kimi_vl.engine.request import Status
from kimi_vl.errors import InputError
from tests.engine.small import alone, answer, limits, plain, submit


@pytest.mark.parametrize("letters", [2, 4, 30])
def test_what_followed_the_last_words_last_is_proposed(letters):
    rng = random.Random(letters)
    tokens, lookup, found = [rng.randrange(letters) for _ in range(rng.randint(0, 9))], Lookup(), 0
    for _ in range(60):
        tokens += [rng.randrange(letters) for _ in range(rng.randint(0, 3))]
        places = [k for k in range(WORDS, len(tokens)) if tokens[k - WORDS : k] == tokens[len(tokens) - WORDS :]]
        expected = tokens[places[-1] :][:4] if places else []
        assert list(lookup.proposal(tokens, 4)) == expected
        found += bool(expected)
    assert found or letters == 30


@pytest.mark.parametrize(
    ("draft", "drawn", "right"), [([], [5], 1), ([5], [5, 6], 2), ([5], [6, 5], 1), ([5, 6, 7], [5, 6, 8, 9], 3), ([5, 6], [4, 6, 7], 1)]
)
def test_a_token_counts_behind_what_the_draft_holds_as_well(draft, drawn, right):
    assert num_right(draft, drawn) == right


class Oracle:
    """Proposes what is said in one of the texts it knows, with a mistake here and there."""

    texts = ()

    def proposal(self, token_ids, most):
        size = len(token_ids)
        for text in self.texts:
            if text[:size] == token_ids and len(text) > size:
                draft = text[size : size + most]
                return [(token + 1) % 500 if (size + k) % 7 in (2, 5) else token for k, token in enumerate(draft)]
        return [1, 2, 3][:most] if size % 3 == 0 else []


@pytest.fixture
def oracle(monkeypatch):
    monkeypatch.setattr("kimi_vl.engine.engine.Lookup", Oracle)
    monkeypatch.setattr(Oracle, "texts", ())
    return Oracle


def engine_with_drafts(model, most=3, **changed):
    return Engine(model, limits(max_running=16, draft_tokens=most, **changed), rows=True)


def run(engine):
    """The events of every request, and in how many steps answers were written."""
    events, launch, steps = {}, engine.runner.launch, 0

    def counted(chunks, images):
        nonlocal steps
        steps += any(chunk.start >= chunk.request.num_prompt for chunk in chunks)
        return launch(chunks, images)

    engine.runner.launch = counted
    while not engine.is_idle:
        for event in engine.step():
            assert event.error is None
            events.setdefault(event.request, []).append(event)
        engine.check_integrity()
    engine.runner.launch = launch
    return events, steps


OPTIONS = [
    {},
    {"temperature": 0.9, "top_p": 0.9},
    {"temperature": 1.0, "logit_bias": ((7, 3.0),), "logprobs": 2},
    {"frequency_penalty": 1.0},
]


def params(k, **changed):
    return SamplingParams(**{"max_tokens": 24, "seed": 9, **OPTIONS[k], **changed})


@pytest.mark.parametrize("company", [0, 2, 5])
@pytest.mark.parametrize("most", [1, 3])
def test_answers_equal_those_without_drafts(model, prompts, oracle, company, most):
    """With penalties there are no drafts; beside them, and in a crowd, there are."""
    saved = 0
    for k, prompt in enumerate(prompts[: len(OPTIONS)]):
        found, reason = plain(model, prompt, params(k))
        oracle.texts = [*prompt[0], *found], *([*ids, *range(300, 330)] for ids, _ in prompts)
        engine = engine_with_drafts(model, most)
        (request,), others = submit(engine, prompt, params=params(k)), [submit(engine, other)[0] for other in prompts[:company]]
        events, steps = run(engine)
        assert answer(request) == (found, reason)
        assert [answer(other) for other in others] == [plain(model, other, SamplingParams(max_tokens=24)) for other in prompts[:company]]
        assert [token for event in events[request] for token in event.token_ids] == request.answer_ids
        saved += len(request.answer_ids) - 1 - steps
    assert saved > 0 or company, "nothing of the drafts was right"


def test_what_is_told_of_a_token_is_the_same_with_drafts(model, prompts, oracle):
    told = []
    for most in (0, 3):
        engine = engine_with_drafts(model, most)
        (request,) = submit(engine, prompts[2], params=params(2))
        events, _ = run(engine)
        told.append([event.logprobs for event in events[request]])
        oracle.texts = [request.token_ids]
    assert [one.token for one in told[1]] == [one.token for one in told[0]] == request.answer_ids
    for one, other in zip(*told, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert [token for token, _ in one.likeliest] == [token for token, _ in other.likeliest]


def test_the_last_words_repeated_save_steps(model, prompts):
    """Without an oracle: a bias makes an answer say one word over and over."""
    asked = SamplingParams(max_tokens=24, logit_bias=((7, 100.0),))
    engine = engine_with_drafts(model)
    (request,) = submit(engine, prompts[0], params=asked)
    _, steps = run(engine)
    assert request.answer_ids == [7] * 24
    assert steps < 15


@pytest.mark.parametrize("place", range(4))
def test_tokens_forced_behind_one_of_several_that_were_verified(model, prompts, oracle, place):
    """Whoever reads the tokens is asked behind each, though they were computed at once."""
    found, _ = plain(model, prompts[0], SamplingParams(max_tokens=24))
    oracle.texts = [[*prompts[0][0], *found]]
    oracle.proposal = lambda self, ids, most: (self.texts[0] if self.texts[0][: len(ids)] == ids else [])[len(ids) : len(ids) + most]
    engine = engine_with_drafts(model)
    (request,) = submit(engine, prompts[0])
    while len(request.answer_ids) < 2 + place:
        engine.step()
        engine.check_integrity()
    engine.force(request, [300, 301])
    engine.check_integrity()
    run(engine)
    assert answer(request) == alone(model, prompts[0], SamplingParams(max_tokens=24), 2 + place, [300, 301])


@pytest.mark.parametrize("seed", range(6))
def test_drafts_stand_in_random_traffic(model, prompts, oracle, seed):
    """Requests with drafts come several at once, lose their pages, are given tokens and are left, and others have none."""
    rng = random.Random(seed)
    options = [params(k) for k in range(len(OPTIONS))]
    answers = {
        (w, k, n): plain(model, prompts[w], replace(one, seed=9 + n)) for w in range(8) for k, one in enumerate(options) for n in (0, 1)
    }
    oracle.texts = [[*prompts[w][0], *found] for (w, _, _), (found, _) in answers.items()]
    engine = engine_with_drafts(
        model, rng.choice((1, 3, 7)), num_pages=rng.randint(18, 30), step_tokens=8 * rng.randint(1, 12), shares_prefixes=rng.random() < 0.5
    )
    requests, forced = [], {}
    for _ in range(60):
        if rng.random() < 0.15:
            which, k = rng.randrange(len(prompts)), rng.randrange(len(OPTIONS))
            several = submit(engine, prompts[which], params=options[k], n=rng.choice((1, 1, 2)), priority=rng.randint(0, 1))
            requests += [(request, which, k) for request in several]
        if requests and rng.random() < 0.05:
            engine.cancel(rng.choice(requests)[0])
        writing = [request for request, _, _ in requests if request.status is Status.RUNNING and request not in forced]
        if writing and rng.random() < 0.1:
            request = rng.choice(writing)
            forced[request] = (len(request.answer_ids), engine.force(request, [300, 301, 300]).token_ids)
        engine.step()
        engine.check_integrity()
    run(engine)
    for request, which, k in requests:
        found, reason = answers[which, k, request.sample]
        if request in forced:
            found, reason = alone(model, prompts[which], replace(options[k], seed=9 + request.sample), *forced[request])
        if request.finish_reason == "cancelled":
            assert request.answer_ids == [*found, *request.answer_ids[len(found) :]][: len(request.answer_ids)]
        else:
            assert answer(request) == (found, reason)
    assert engine.scheduler.pool.num_available == engine.limits.num_pages


@pytest.mark.parametrize(
    ("changed", "rows", "message"),
    [
        ({"draft_tokens": -1}, True, "draft_tokens is -1; it must be from 0 to 7"),
        ({"draft_tokens": 8}, True, "draft_tokens is 8; it must be from 0 to 7"),
        ({"draft_tokens": 3}, False, "drafts are verified in rows"),
    ],
)
def test_limits_that_cannot_hold_drafts_are_refused(model, changed, rows, message):
    with pytest.raises(InputError, match=message):
        Engine(model, limits(**changed), rows=rows)
