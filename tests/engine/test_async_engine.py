"""The engine in its thread: answers arrive as they come, leaving is free, and every stream ends exactly once."""

import asyncio
import threading
import time

import pytest
import torch

from kimi_vl.engine import AsyncEngine, Engine, Reaction, SamplingParams, Tokens
from kimi_vl.errors import EngineBusy, EngineStopped, InputError, RequestFailed
from tests.engine.small import END_IDS, answer, limits, plain


@pytest.fixture(params=[False, True], ids=["plain", "rows"])
def engine(model, request):
    return Engine(model, limits(), rows=request.param)


def served(test, engine, **options):
    """Run `test(async_engine)` in an event loop; afterwards nothing is held and the thread is gone."""

    async def main():
        front = AsyncEngine(engine, **options)
        try:
            return await asyncio.wait_for(test(front), 60)
        finally:
            await front.close()

    found = asyncio.run(main())
    assert not any(thread.name == "engine" for thread in threading.enumerate())
    engine.check_integrity()
    return found


async def ask(front, prompt, *, reader=Tokens, max_tokens=24, **options):
    ids, images = prompt
    return await front.submit(reader, ids, SamplingParams(max_tokens=max_tokens), end_ids=END_IDS, images=images, **options)


async def whole(stream):
    return [piece async for piece in stream]


def test_many_at_once_get_what_each_would_get_alone(engine, prompts, expected):
    async def test(front):
        streams = [stream for prompt in prompts * 3 for stream in await ask(front, prompt)]
        answers = await asyncio.gather(*(whole(stream) for stream in streams))
        return streams, answers

    streams, answers = served(test, engine)
    assert [answer(stream.request) for stream in streams] == expected * 3
    assert answers == [stream.request.answer_ids for stream in streams]
    assert [stream.finish_reason for stream in streams] == [reason for _, reason in expected] * 3
    assert engine.scheduler.pool.num_available == engine.limits.num_pages


def test_tokens_arrive_while_the_rest_is_being_computed(engine, prompts, monkeypatch):
    gate = threading.Event()
    step = engine.step

    def step_by_step():
        gate.wait(30)
        return step()

    monkeypatch.setattr(engine, "step", step_by_step)

    async def test(front):
        (stream,) = await ask(front, prompts[0])
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.05)
        assert not waiting.done()  # and the loop is not blocked by a step
        gate.set()
        return await waiting

    served(test, engine)


@pytest.mark.parametrize("how", ["close", "cancelled task", "loop gone"])
def test_who_leaves_frees_everything_and_disturbs_nobody(engine, prompts, expected, how, monkeypatch):
    step, leaving = engine.step, threading.Event()

    def held_back():  # or a busy machine has written all of the answer before anybody could leave it
        if any(request.params.max_tokens == 200 and len(request.answer_ids) > 2 for request in engine.scheduler.running):
            leaving.wait(30)
        return step()

    monkeypatch.setattr(engine, "step", held_back)

    async def test(front):
        (stays,) = await ask(front, prompts[2])
        (left,) = await ask(front, prompts[1], max_tokens=200)
        await anext(left)
        leaving.set()
        if how == "close":
            await left.aclose()
            await left.aclose()
        elif how == "cancelled task":
            task = asyncio.ensure_future(whole(left))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            left.loop = asyncio.new_event_loop()
            left.loop.close()
        kept = await whole(stays)
        with pytest.raises(StopAsyncIteration) if how != "loop gone" else pytest.raises(TimeoutError):
            for _ in range(200):  # what had arrived before
                await asyncio.wait_for(anext(left), 0.2)
        return left.request, stays.request, kept

    left, stays, kept = served(test, engine)
    assert left.finish_reason == "cancelled"
    assert len(left.answer_ids) < 200
    assert answer(stays) == expected[2]
    assert kept == stays.answer_ids
    assert engine.is_idle
    engine.check_integrity()


def test_a_caller_that_gives_up_while_its_request_is_accepted_leaves_nothing_behind(engine, prompts, monkeypatch):
    submit = engine.submit
    monkeypatch.setattr(engine, "submit", lambda *args, **options: (time.sleep(0.1), submit(*args, **options))[1])

    async def test(front):
        task = asyncio.ensure_future(ask(front, prompts[1]))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.sleep(0.5)

    served(test, engine)
    assert engine.is_idle


def test_a_caller_whose_loop_is_gone_before_its_request_is_accepted_brings_nobody_down(engine, prompts, expected, monkeypatch):
    submit, gone = engine.submit, threading.Event()
    monkeypatch.setattr(engine, "submit", lambda *args, **options: (gone.wait(30), submit(*args, **options))[1])

    async def test(front):
        lost = asyncio.new_event_loop()
        task = lost.create_task(ask(front, prompts[1]))
        await asyncio.to_thread(lost.run_until_complete, asyncio.sleep(0.05))
        task.cancel()
        await asyncio.to_thread(lost.run_until_complete, asyncio.wait([task]))
        lost.close()
        gone.set()
        (stays,) = await ask(front, prompts[2])
        await whole(stays)
        assert front.failure is None
        return stays.request

    assert answer(served(test, engine)) == expected[2]
    assert engine.is_idle


def test_it_computes_with_as_many_threads_as_there_were_when_it_was_made(engine, prompts, monkeypatch):
    before, step, counts = torch.get_num_threads(), engine.step, []
    monkeypatch.setattr(engine, "step", lambda: counts.append(torch.get_num_threads()) or step())

    async def test(front):
        torch.set_num_threads(1)
        [stream] = await ask(front, prompts[0], max_tokens=1)
        await whole(stream)

    try:
        torch.set_num_threads(2)
        served(test, engine)
    finally:
        torch.set_num_threads(before)
    assert set(counts) == {2}


def test_a_full_queue_sends_away_at_once(engine, prompts, monkeypatch):
    gate = threading.Event()
    step = engine.step
    monkeypatch.setattr(engine, "step", lambda: (gate.wait(0.2), step())[1])

    async def test(front):
        outcomes = await asyncio.gather(*(ask(front, prompts[0]) for _ in range(30)), return_exceptions=True)
        gate.set()
        accepted = [stream for outcome in outcomes if isinstance(outcome, list) for stream in outcome]
        await asyncio.gather(*(whole(stream) for stream in accepted))
        return outcomes, accepted

    outcomes, accepted = served(test, engine, max_waiting=4)
    refused = [outcome for outcome in outcomes if not isinstance(outcome, list)]
    assert refused
    assert all(isinstance(outcome, EngineBusy) and "4 requests are waiting and 4 may" in str(outcome) for outcome in refused)
    assert {stream.finish_reason for stream in accepted} <= {"stop", "length"}


def test_what_submit_refuses_is_raised_where_it_was_asked(engine, prompts):
    async def test(front):
        with pytest.raises(InputError, match="prompt is empty"):
            await ask(front, ([], None))
        return await whole((await ask(front, prompts[0]))[0])

    assert served(test, engine)


class Forcing:
    """Says three tokens of its own after the second, and has seen enough at ten."""

    def __init__(self):
        self.count = 0

    def read(self, token_ids, ended):
        before, self.count = self.count, self.count + len(token_ids)
        return Reaction(token_ids, forced=[300, 301, 302] if before < 2 <= self.count else (), stops=self.count >= 10)


def test_a_reader_may_force_tokens_and_stop(engine, model, prompts):
    async def test(front):
        (stream,) = await ask(front, prompts[0], reader=Forcing)
        return await whole(stream), stream.finish_reason

    tokens, reason = served(test, engine)
    ids, _ = prompts[0]
    first, _ = plain(model, prompts[0], SamplingParams(max_tokens=2))
    rest, _ = plain(model, (ids + first + [300, 301, 302], None), SamplingParams(max_tokens=5))
    assert (tokens, reason) == ([*first, 300, 301, 302, *rest], "stop")


class Broken:
    def read(self, token_ids, ended):
        raise ZeroDivisionError("of the reader")


def test_a_broken_reader_ends_its_own_request_only(engine, prompts, expected):
    async def test(front):
        (broken,) = await ask(front, prompts[1], reader=Broken)
        (whole_one,) = await ask(front, prompts[2])
        with pytest.raises(RequestFailed, match="of the reader"):
            await anext(broken)
        await whole(whole_one)
        return broken.request, whole_one.request

    broken, fine = served(test, engine)
    assert broken.finish_reason == "cancelled"
    assert answer(fine) == expected[2]


def test_a_fault_in_one_requests_computation_is_its_own(engine, prompts, expected, monkeypatch):
    forward = engine.runner._forward

    def faulty(chunks, images):
        if any(chunk.request.num_prompt == len(prompts[1][0]) for chunk in chunks):
            raise IndexError("a fault nobody foresaw")
        return forward(chunks, images)

    monkeypatch.setattr(engine.runner, "_forward", faulty)

    async def test(front):
        (faulted,) = await ask(front, prompts[1])
        (fine,) = await ask(front, prompts[2])
        with pytest.raises(RequestFailed, match="IndexError: a fault nobody foresaw"):
            await whole(faulted)
        await whole(fine)
        return fine.request

    assert answer(served(test, engine)) == expected[2]


def test_a_lost_device_ends_everybody_and_the_engine_says_so(engine, prompts, monkeypatch):
    lost = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    def fail(chunks, images):
        raise lost

    async def main():
        front = AsyncEngine(engine)
        monkeypatch.setattr(engine.runner, "_forward", fail)
        streams = [(await ask(front, prompt))[0] for prompt in prompts[:1]]
        outcomes = await asyncio.gather(*(whole(stream) for stream in streams), return_exceptions=True)
        with pytest.raises(EngineStopped, match="illegal memory access"):
            await ask(front, prompts[0])
        await front.close()
        return outcomes, front.failure

    outcomes, failure = asyncio.run(asyncio.wait_for(main(), 30))
    assert all(isinstance(outcome, EngineStopped) for outcome in outcomes)
    assert failure is lost


@pytest.mark.parametrize("grace_s", [0.0, 30.0])
def test_closing_gives_those_that_run_their_grace(engine, prompts, expected, grace_s):
    async def main():
        front = AsyncEngine(engine)
        (stream,) = await ask(front, prompts[2])
        first = await anext(stream)
        closing = asyncio.ensure_future(front.close(grace_s=grace_s))
        await asyncio.sleep(0)
        with pytest.raises(EngineStopped, match="being stopped"):
            await ask(front, prompts[0])
        try:
            rest = await whole(stream)
        except EngineStopped:
            rest = None
        await closing
        return stream.request, first, rest

    request, first, rest = asyncio.run(asyncio.wait_for(main(), 60))
    if grace_s:
        assert [first, *rest] == request.answer_ids
        assert answer(request) == expected[2]
    else:
        assert rest is None or request.finish_reason in ("stop", "length")
    assert engine.is_idle
