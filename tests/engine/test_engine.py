"""The engine on a tiny network: whatever runs beside it, an answer is the one the plain path gives."""

import random
from dataclasses import replace

import pytest
import torch

from kimi_vl.engine import Engine, SamplingParams
from kimi_vl.engine.request import Status
from kimi_vl.engine.runner import Computed
from kimi_vl.errors import CapacityError, CheckpointError, InputError, PromptTooLong, ShapeError
from tests.engine.small import END_IDS, alone, answer, limits, plain, submit


def run(engine, most=5000):
    """Step until idle; what each request gave."""
    given = {}
    for _ in range(most):
        events = engine.step()
        engine.check_integrity()
        for event in events:
            given.setdefault(event.request, []).extend(event.token_ids)
        if engine.is_idle:
            return given
    raise AssertionError("the engine does not come to rest")


KINDS = {"plain": {}, "invariant": {"invariant": True}, "rows": {"rows": True}}


def new_engine(model, kind, **changed):
    """An engine that draws on the host, one that is invariant, or one whose answers are written in rows."""
    options = dict(KINDS[kind])
    feature_tokens, rows = changed.pop("feature_tokens", 1000), options.pop("rows", False)
    expanded_tokens = changed.pop("expanded_tokens", 128)
    engine = Engine(model, limits(**changed, **options), rows=rows, feature_tokens=feature_tokens)
    engine.runner.expanded_tokens = expanded_tokens
    return engine


@pytest.mark.parametrize("num_pages", [18, 24, 64])
@pytest.mark.parametrize("step_tokens", [8, 40, 400])
@pytest.mark.parametrize("expanded_tokens", [2, 13, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_equal_those_given_one_by_one(model, prompts, expected, num_pages, step_tokens, expanded_tokens, kind):
    """Chunks behind kept tokens in expanded form from 2 tokens on, in both forms, and none."""
    engine = new_engine(model, kind, num_pages=num_pages, step_tokens=step_tokens, expanded_tokens=expanded_tokens)
    requests = [submit(engine, prompt)[0] for prompt in prompts]
    given = run(engine)
    assert [answer(request) for request in requests] == expected
    assert [given[request] for request in requests] == [request.answer_ids for request in requests]
    assert {reason for _, reason in expected} == {"stop", "length"}
    assert engine.scheduler.num_preempted == 0 or num_pages < 64


@pytest.mark.parametrize("expanded_tokens", [2, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_preempted_requests_go_on_as_if_nothing_had_been(model, prompts, expected, kind, expanded_tokens):
    engine = new_engine(model, kind, num_pages=18, step_tokens=16, shares_prefixes=False, expanded_tokens=expanded_tokens)
    requests = [submit(engine, prompt, priority=-k)[0] for k, prompt in enumerate(prompts)]
    for _ in range(3):
        engine.step()
    requests += [submit(engine, prompt)[0] for prompt in prompts]
    run(engine)
    assert engine.scheduler.num_preempted > 0
    assert [answer(request) for request in requests] == expected * 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", KINDS)
def test_answers_stand_in_random_traffic(model, prompts, expected, seed, kind):
    """Arrivals, cancellations, priorities, several answers and shared beginnings at random; nothing is left behind."""
    rng = random.Random(seed)
    engine = new_engine(
        model,
        kind,
        num_pages=rng.randint(18, 40),
        max_running=rng.randint(1, 8),
        step_tokens=8 * rng.randint(1, 12),
        expanded_tokens=rng.choice((2, 5, 20, 128)),
        feature_tokens=rng.choice((0, 20, 1000)),
    )
    requests = []
    for _ in range(60):
        if rng.random() < 0.4:
            which = rng.randrange(len(prompts))
            options = {"n": rng.choice((1, 1, 2)), "priority": rng.randint(0, 1), "tenant": rng.choice("ab")}
            requests += [(request, which) for request in submit(engine, prompts[which], **options)]
        if requests and rng.random() < 0.1:
            engine.cancel(rng.choice(requests)[0])
        engine.step()
        engine.check_integrity()
    run(engine)
    for request, which in requests:
        if request.finish_reason == "cancelled":
            assert request.answer_ids == expected[which][0][: len(request.answer_ids)] or request.answer_ids[-1] in END_IDS
        else:
            assert answer(request) == expected[which]
    assert engine.scheduler.pool.num_available == engine.limits.num_pages
    assert any(request.finish_reason == "cancelled" for request, _ in requests)


def logits_of(engine, prompt, company=()):
    """Every logit that a prompt's answer was drawn from, beside others."""
    seen = []
    requests = [*(submit(engine, other)[0] for other in company), submit(engine, prompt)[0]]
    draw = engine._samplers[requests[-1]].draw
    engine._samplers[requests[-1]].draw = lambda logits_W, number: (seen.append(logits_W.clone()), draw(logits_W, number))[1]
    run(engine)
    return torch.stack(seen)


@pytest.mark.parametrize("expanded_tokens", [2, 128])
@pytest.mark.parametrize("cache", [None, "fp8"])
def test_an_invariant_engine_computes_the_same_bits_alone_in_a_crowd_after_a_prefix_and_after_preemption(
    model, prompts, expanded_tokens, cache
):
    def invariant(**changed):
        return new_engine(model, "invariant", expanded_tokens=expanded_tokens, step_tokens=16, cache=cache, **changed)

    alone = logits_of(invariant(), prompts[2])
    crowded = invariant()
    assert torch.equal(logits_of(crowded, prompts[2], company=prompts), alone)
    assert torch.equal(logits_of(crowded, prompts[2]), alone)  # its beginning is in the pages now
    narrow = invariant(num_pages=19)
    assert torch.equal(logits_of(narrow, prompts[2], company=prompts[1:2]), alone)
    preempted = invariant(num_pages=19, shares_prefixes=False)
    submit(preempted, prompts[2], params=SamplingParams(max_tokens=60))
    assert torch.equal(logits_of(preempted, prompts[2]), alone)


@pytest.mark.parametrize(("num_pages", "step_tokens"), [(18, 16), (24, 40), (64, 400)])
@pytest.mark.parametrize("expanded_tokens", [2, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_in_fp8_answers_like_one_that_rounds_what_it_keeps(model, prompts, num_pages, step_tokens, expanded_tokens, kind):
    """With preemption, shared beginnings and chunks in either form: only where the rows lie is another, and the pages are a quarter."""
    found = {}
    for cache in (None, "fp8"):
        options = {"num_pages": num_pages, "step_tokens": step_tokens, "expanded_tokens": expanded_tokens}
        engine = new_engine(model, kind, cache=cache, **options)
        kept = engine.runner.cache
        if cache is None:
            write = kept.write
            kept.write = lambda layer, rows_TZ, write=write: write(layer, rows_TZ.to(torch.float8_e4m3fn).float())
        requests = [submit(engine, prompt)[0] for prompt in prompts]
        run(engine)
        found[cache] = [answer(request) for request in requests], kept
    assert found["fp8"][0] == found[None][0]
    assert found["fp8"][1].bytes_per_page * 4 == found[None][1].bytes_per_page
    for ours, exact in zip(found["fp8"][1].layers_GOZ, found[None][1].layers_GOZ, strict=True):
        assert torch.equal(ours.float(), exact)


def test_the_beginning_of_a_prompt_is_computed_once(model, prompts, expected):
    engine = Engine(model, limits())
    submit(engine, prompts[1])
    run(engine)
    ran = []
    schedule = engine.scheduler.schedule
    engine.scheduler.schedule = lambda: ran.append(schedule()) or ran[-1]
    (request,) = submit(engine, prompts[2])
    run(engine)
    assert answer(request) == expected[2]
    assert ran[0][0].start == 80  # ten pages of eight tokens are alike
    ran.clear()
    (request,) = submit(engine, prompts[2], tenant="somebody else")
    run(engine)
    assert ran[0][0].start == 0
    assert answer(request) == expected[2]


def test_an_answer_of_one_token_leaves_its_prompt_behind(model, prompts):
    engine = Engine(model, limits())
    for _ in range(2):
        (request,) = engine.submit(*prompts[1][:1], SamplingParams(max_tokens=1), images=prompts[1][1], end_ids=[])
        run(engine)
    assert request.num_cached == (len(prompts[1][0]) - 1) // 8 * 8


def test_images_are_encoded_once_while_there_is_room(model, prompts, monkeypatch):
    seen = []
    encode = model.image_features
    monkeypatch.setattr(model, "image_features", lambda pixels, grids: seen.append(list(grids)) or encode(pixels, grids))
    engine = Engine(model, limits(shares_prefixes=False), feature_tokens=30)
    for _ in range(2):
        submit(engine, prompts[5])
        submit(engine, prompts[7])
        run(engine)
    assert seen == [[(8, 8)]]
    submit(engine, prompts[5], tenant="somebody else")
    run(engine)
    assert seen == [[(8, 8)], [(8, 8)]]
    assert engine.runner.features.num_tokens == 16  # two of 16 do not fit into 30


def test_images_may_come_as_bytes_and_are_normalised_where_the_model_is(model, prompts):
    def normalise(patches):
        return patches.float() / 255 - 0.5

    ids, (pixels, grids) = prompts[5]
    as_bytes = (pixels.abs() * 60).clamp(0, 255).to(torch.uint8)
    expected = plain(model, (ids, (normalise(as_bytes), grids)), SamplingParams(max_tokens=24))
    engine = Engine(model, limits(), rows=True, normalise=normalise)
    (request,) = submit(engine, (ids, (as_bytes, grids)))
    run(engine)
    assert answer(request) == expected
    with pytest.raises(ShapeError, match="uint8, and this engine was made without"):
        submit(Engine(model, limits()), (ids, (as_bytes, grids)))


@pytest.mark.parametrize("kind", KINDS)
def test_several_answers_share_the_prompt_and_differ_by_their_seeds(model, prompts, kind):
    engine = new_engine(model, kind)
    params = SamplingParams(max_tokens=12, temperature=1.0, seed=3)
    requests = submit(engine, prompts[1], n=3, params=params)
    run(engine)
    assert len({tuple(request.answer_ids) for request in requests}) == 3
    assert answer(requests[0]) == plain(model, prompts[1], params)
    again = submit(engine, prompts[1], n=3, params=params)
    run(engine)
    assert [request.answer_ids for request in again] == [request.answer_ids for request in requests]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("forced", [[300], [300, 301, 302]])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_forced_tokens_stand_in_the_answer_and_are_gone_on_from(model, prompts, kind, forced, steps):
    ids, _ = prompts[0]
    engine = new_engine(model, kind)
    (request,) = submit(engine, prompts[0])
    for _ in range(steps):
        engine.step()
    known = len(request.answer_ids)
    event = engine.force(request, forced)
    assert (event.token_ids, event.ended) == (tuple(forced), False)
    run(engine)
    first = plain(model, prompts[0], SamplingParams(max_tokens=known))[0] if known else []
    continued = plain(model, (ids + first + forced, None), SamplingParams(max_tokens=24 - known - len(forced)))
    assert answer(request) == (first + forced + continued[0], continued[1])


def test_forcing_stops_at_the_budget(model, prompts):
    engine = Engine(model, limits())
    (request,) = submit(engine, prompts[0], params=SamplingParams(max_tokens=3))
    engine.step()
    event = engine.force(request, [300, 301, 302])
    assert (event.token_ids, event.ended, request.finish_reason) == ((300, 301), True, "length")
    engine.check_integrity()
    assert engine.is_idle


def test_a_cancelled_request_frees_everything_at_once_and_says_nothing_more(model, prompts):
    engine = Engine(model, limits(step_tokens=16))
    (request,), (other,) = submit(engine, prompts[1]), submit(engine, prompts[0])
    engine.step()
    engine.cancel(request)
    engine.cancel(request)
    engine.check_integrity()
    assert request.status is Status.FINISHED
    assert request.finish_reason == "cancelled"
    assert request not in run(engine)
    engine.cancel(other)
    assert other.finish_reason in ("stop", "length")


@pytest.mark.parametrize(
    ("ids", "images", "options", "error", "message"),
    [
        ([], None, {}, InputError, "prompt is empty"),
        ([1] * 100_000, None, {}, PromptTooLong, "100,000 tokens"),
        (
            [1] * 500,
            None,
            {"params": SamplingParams(max_tokens=400)},
            CapacityError,
            "need 113 pages of 8 tokens and the latent cache has 64",
        ),
        ([1], None, {"n": 0}, InputError, "n is 0"),
        ([1, 2], (torch.zeros(4, 3, 14, 14), [(2, 2)]), {}, ShapeError, "holds 0 image placeholder tokens and its images have 1"),
        ([1, 2], (torch.zeros(8, 3, 14, 14), [(2, 2)]), {}, ShapeError, "8 patches and the grids"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_can_never_run_is_refused_before_anything_is_queued(model, ids, images, options, error, message):
    engine = Engine(model, limits())
    with pytest.raises(error, match=message):
        submit(engine, (ids, images), **options)
    assert engine.is_idle
    engine.check_integrity()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"page_size": 0}, "page_size is 0"),
        ({"invariant": True, "step_tokens": 20}, "multiple of the page size, 8"),
        ({"cache": "int4"}, "cache is 'int4'; it must be None or 'fp8'"),
    ],
)
def test_limits_that_cannot_work_are_refused(model, changed, message):
    with pytest.raises(InputError, match=message):
        Engine(model, limits(**changed))


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_step_without_memory_only_the_request_that_does_not_fit_alone_fails(model, prompts, expected, monkeypatch, kind):
    engine = new_engine(model, kind, step_tokens=400)
    forward = engine.runner._forward

    def short_of_memory(chunks, images):
        if sum(chunk.count for chunk in chunks) > 100:
            raise CapacityError("out of memory while computing a step")
        return forward(chunks, images)

    monkeypatch.setattr(engine.runner, "_forward", short_of_memory)
    requests = [submit(engine, prompt)[0] for prompt in prompts]
    events = []
    while not engine.is_idle:
        events += engine.step()
        engine.check_integrity()
    ends = {event.request: event for event in events if event.ended}
    assert len(ends) == len(requests) == sum(event.ended for event in events)
    assert isinstance(ends[requests[1]].error, CapacityError)
    assert requests[1].finish_reason == "error"
    assert [answer(request) for k, request in enumerate(requests) if k != 1] == expected[:1] + expected[2:]


@pytest.mark.parametrize("kind", KINDS)
def test_logits_that_are_not_finite_end_their_request_and_no_other(model, prompts, expected, monkeypatch, kind):
    engine = new_engine(model, kind)
    requests = [submit(engine, prompt)[0] for prompt in prompts]
    forward = engine.runner._forward

    def spoilt(chunks, images):
        logits = forward(chunks, images).logits
        return Computed({request: logits_W * (torch.nan if request is requests[0] else 1) for request, logits_W in logits.items()})

    monkeypatch.setattr(engine.runner, "_forward", spoilt)
    events = []
    while not engine.is_idle:
        events += engine.step()
        engine.check_integrity()
    (failed,) = [event for event in events if event.error]
    assert failed.request is requests[0]
    assert isinstance(failed.error, CheckpointError)
    assert failed.ended
    assert [answer(request) for request in requests[1:]] == expected[1:]


ASKED = [
    {"presence_penalty": 1.5, "frequency_penalty": 0.5},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.6, "frequency_penalty": -1.0, "temperature": 0.0},
    {"logit_bias": ((7, 30.0), (9, 29.0)), "presence_penalty": 2.0, "top_p": 0.9},
    {"logprobs": 3},
    {"logprobs": 0, "frequency_penalty": 2.0, "logit_bias": ((7, 9.0),)},
]


def asked(k, **changed):
    return SamplingParams(**{"max_tokens": 24, "temperature": 0.7, "seed": 5, **ASKED[k], **changed})


@pytest.mark.parametrize("kind", KINDS)
def test_answers_with_penalties_stand_beside_others(model, prompts, expected, kind):
    """Penalties, bias and log-probabilities of some requests change nothing of the others, and are those of the plain path."""
    engine = new_engine(model, kind, num_pages=40, step_tokens=40)
    params = [asked(k) for k in range(len(ASKED))]
    requests = [submit(engine, prompts[k], params=params[k])[0] for k in range(len(ASKED))]
    usual = [submit(engine, prompt)[0] for prompt in prompts]
    run(engine)
    assert [answer(request) for request in usual] == expected
    assert [answer(request) for request in requests] == [plain(model, prompts[k], one) for k, one in enumerate(params)]


def test_log_probabilities_from_the_device_are_those_from_the_host(model, prompts):
    told = {}
    for kind in ("plain", "rows"):
        engine = new_engine(model, kind)
        requests = [submit(engine, prompts[k], params=asked(k, max_tokens=9))[0] for k in range(len(ASKED))]
        events = []
        while not engine.is_idle:
            events += engine.step()
        assert {event.request for event in events if event.logprobs is not None} == set(requests[4:])
        for k in (4, 5):
            told[kind, k] = [event.logprobs for event in events if event.request is requests[k]]
            assert [one.token for one in told[kind, k]] == requests[k].answer_ids
            assert {len(one.likeliest) for one in told[kind, k]} == {ASKED[k]["logprobs"]}
    for k in (4, 5):
        for one, other in zip(told["rows", k], told["plain", k], strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
            assert [token for token, _ in one.likeliest] == [token for token, _ in other.likeliest]
            assert [value for _, value in one.likeliest] == pytest.approx([value for _, value in other.likeliest], abs=1e-4)


def test_rows_with_penalties_run_ahead(model, prompts):
    """A step is under way while the tokens of the one before are looked at; an answer that the host draws would not allow it."""
    engine = new_engine(model, "rows")
    requests = [submit(engine, prompts[k], params=asked(k))[0] for k in range(len(ASKED))]
    while any(not request.answer_ids for request in requests):
        engine.step()
    assert max(request.num_pending for request in requests) == 1
    assert not any(request.draws_on_host for request in requests)


@pytest.mark.parametrize("seed", range(5))
def test_penalties_stand_in_random_traffic(model, prompts, seed):
    """Rows go from hand to hand, with penalties and without; their requests are preempted, forced and left, and come several at once."""
    rng = random.Random(seed)
    engine = new_engine(
        model,
        "rows",
        num_pages=rng.randint(18, 30),
        max_running=rng.randint(2, 6),
        step_tokens=8 * rng.randint(1, 12),
        shares_prefixes=False,
    )
    requests, forced = [], {}
    for _ in range(50):
        if rng.random() < 0.4:
            which, k = rng.randrange(len(prompts)), rng.randrange(len(ASKED) + 2)
            params = asked(k, seed=7) if k < len(ASKED) else SamplingParams(max_tokens=24, seed=7)
            several = submit(engine, prompts[which], params=params, n=rng.choice((1, 1, 2)), priority=rng.randint(0, 1))
            requests += [(request, which, params) for request in several]
        if requests and rng.random() < 0.1:
            engine.cancel(rng.choice(requests)[0])
        writing = [request for request, _, _ in requests if request.status is Status.RUNNING and request not in forced]
        if writing and rng.random() < 0.2:
            request = rng.choice(writing)
            forced[request] = (len(request.answer_ids), engine.force(request, [300, 301, 300]).token_ids)
        engine.step()
        engine.check_integrity()
    run(engine)
    assert engine.scheduler.num_preempted > 0
    assert forced
    for request, which, params in requests:
        number, tokens = forced.get(request, (0, ()))
        found, reason = alone(model, prompts[which], replace(params, seed=params.seed + request.sample), number, tokens)
        if request.finish_reason == "cancelled":
            assert request.answer_ids == [*found, *request.answer_ids[len(found) :]][: len(request.answer_ids)]
        else:
            assert answer(request) == (found, reason)


def test_a_bias_of_a_token_that_there_is_not_is_refused_at_once(model, prompts):
    engine = new_engine(model, "rows")
    with pytest.raises(InputError, match="logit_bias names token 9999; the vocabulary ends at 511"):
        submit(engine, prompts[0], params=SamplingParams(logit_bias=((9999, 1.0),)))
    assert engine.is_idle


def test_without_memory_for_counting_only_those_with_penalties_fail(model, prompts, expected, monkeypatch):
    def none_left(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("kimi_vl.engine.rows.Penalties", none_left)
    engine = new_engine(model, "rows")
    usual, penalised = submit(engine, prompts[0])[0], submit(engine, prompts[1], params=asked(0))[0]
    errors = {}
    while not engine.is_idle:
        errors |= {event.request: event.error for event in engine.step() if event.error}
        engine.check_integrity()
    assert list(errors) == [penalised]
    assert isinstance(errors[penalised], CapacityError)
    assert answer(usual) == expected[0]


def told_by_the_network(model, ids):
    """Log-probabilities of these tokens but the first, and the two likeliest tokens in the place of each."""
    with torch.inference_mode():
        logprobs = model(torch.tensor(ids))[:-1].log_softmax(-1)
    return logprobs.gather(1, torch.tensor(ids)[1:, None])[:, 0].tolist(), logprobs.topk(2).indices.tolist()


@pytest.mark.parametrize(
    ("kind", "num_pages", "step_tokens", "expanded_tokens"),
    [("plain", 64, 400, 128), ("plain", 24, 16, 2), ("rows", 24, 40, 128), ("invariant", 24, 16, 128)],
)
def test_prompts_have_the_log_probabilities_of_the_network(model, prompts, expected, kind, num_pages, step_tokens, expanded_tokens):
    """Whole or in chunks, beside others, after a prefix of it is in the cache, and computed twice where whoever comes takes its pages."""
    engine = new_engine(model, kind, num_pages=num_pages, step_tokens=step_tokens, expanded_tokens=expanded_tokens)
    params, texts = SamplingParams(max_tokens=3, logprobs=1, prompt_logprobs=2), [prompts[k] for k in (1, 2, 0)]
    submit(engine, texts[0], params=params)
    run(engine)
    requests = [request for text in texts for request in submit(engine, text, params=params, n=2)]
    engine.step()
    engine.step()
    urgent = submit(engine, prompts[2], priority=-1)[0]
    run(engine)
    assert answer(urgent) == expected[2]
    for (ids, _), first, second in zip(texts, requests[::2], requests[1::2], strict=True):
        own, likeliest = told_by_the_network(model, ids) if len(ids) > 1 else ([], [])
        assert [one.token for one in first.prompt_logprobs] == ids[1:]
        assert [one.logprob for one in first.prompt_logprobs] == pytest.approx(own, abs=1e-4)
        assert [[token for token, _ in one.likeliest] for one in first.prompt_logprobs] == likeliest
        assert (second.prompt_logprobs, second.answer_ids, first.num_cached) == ([], first.answer_ids, 0)
        assert first.answer_ids == expected[prompts.index((ids, None))][0][:3]
    assert (engine.scheduler.num_preempted > 0) == (num_pages == 24)
