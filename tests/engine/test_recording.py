"""When steps are recorded, with graphs that run again what they recorded: on a CPU there are none of the real ones."""

import pytest
import torch

from kimi_vl.engine import Engine, SamplingParams
from kimi_vl.engine.prompts import SIZES, RecordedPrompts
from kimi_vl.engine.recording import Recordings
from tests.engine.small import answer, limits, plain, submit


class Again:
    """A graph that runs its step again, and writes into the tensors that it returned when it was recorded."""

    def __init__(self, step):
        self.step, self.result = step, step()
        self.num_replayed = 0

    def replay(self):
        self.num_replayed += 1
        result = self.step()
        if result is not None:
            self.result.copy_(result)


@pytest.fixture
def graphs(monkeypatch):
    """What is recorded, in order."""
    made = []

    def record(step, active_B=None, pool=None):
        kept_B = None if active_B is None else active_B.clone()
        if active_B is not None:
            active_B.zero_()
        step()
        made.append(Again(step))
        if active_B is not None:
            active_B.copy_(kept_B)
        return made[-1], made[-1].result

    monkeypatch.setattr("kimi_vl.engine.recording.record", record)
    return made


def test_a_step_is_launched_then_recorded_then_replayed(graphs):
    recordings, number = Recordings(), torch.zeros(1)
    assert float(recordings.run("a", lambda: number + 1)) == 1
    assert graphs == []
    number += 1
    second = recordings.run("a", lambda: number + 1)
    assert (float(second), [graph.num_replayed for graph in graphs]) == (2, [1])
    number += 1
    assert recordings.run("a", lambda: number - 1) is second  # of the step that was recorded
    assert (float(second), [graph.num_replayed for graph in graphs]) == (3, [2])


def test_a_step_of_another_name_has_a_graph_of_its_own(graphs):
    recordings = Recordings()
    for _ in range(3):
        assert [float(recordings.run(k, lambda k=k: torch.tensor(k))) for k in (4, 5)] == [4, 5]
    assert [graph.num_replayed for graph in graphs] == [2, 2]


def test_a_step_that_failed_has_not_been_needed(graphs):
    recordings = Recordings()
    with pytest.raises(ZeroDivisionError):
        recordings.run("a", lambda: 1 / 0)
    assert recordings.run("a", lambda: torch.ones(1)) == 1
    assert graphs == []


PROMPTS = [([5, 9, 11], None), ([7] * 13, None), ([100, 3, 44, 8, 8, 2, 61], None)]


def recording_engine(model, **changed):
    """An engine that records, with kernels that a CPU has."""
    engine = Engine(model, limits(**changed), rows=True, graphs=False)
    runner = engine.runner
    runner._recordings = Recordings()
    runner._prompts = RecordedPrompts(model, runner.cache, engine.limits.num_pages * engine.limits.page_size, runner._recordings)
    return engine


def answers(engine, prompts, params, *, together=True):
    requests = []
    for prompt in prompts:
        requests += submit(engine, prompt, params=params)
        while not engine.is_idle and (not together or len(requests) == len(prompts)):
            assert not [event.error for event in engine.step() if event.error]
    engine.check_integrity()
    return [answer(request) for request in requests]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("params", [SamplingParams(max_tokens=12), SamplingParams(max_tokens=12, temperature=0.9, seed=4)], ids=str)
def test_answers_are_those_of_the_plain_path_before_and_after_a_step_is_recorded(tiny_model, graphs, params, together):
    expected = [plain(tiny_model, prompt, params) for prompt in PROMPTS]
    engine = recording_engine(tiny_model)
    for _ in range(3):
        assert answers(engine, PROMPTS, params, together=together) == expected
    assert graphs
    assert all(graph.num_replayed for graph in graphs)


def test_the_first_tokens_wait_for_no_recording_and_for_no_kernels_of_the_second(tiny_model, graphs, monkeypatch):
    engine = recording_engine(tiny_model)
    [request] = submit(engine, PROMPTS[0], params=SamplingParams(max_tokens=12))
    with monkeypatch.context() as patched:
        patched.setattr(engine.runner.rows, "step", None)  # its kernels would have to be there
        while not request.answer_ids:
            engine.step()
            assert graphs == []
    while not engine.is_idle:
        engine.step()
    assert len(graphs) == 1  # of the row
    answers(engine, PROMPTS[:1], SamplingParams(max_tokens=12))
    assert len(graphs) == 2  # and a prompt of at most 64 tokens


@torch.inference_mode()
def test_a_prompt_has_the_same_logits_whether_it_is_launched_recorded_or_replayed(tiny_model, graphs):
    engine = recording_engine(tiny_model)
    prompts, cache = engine.runner._prompts, engine.runner.cache
    for count in (1, 30, SIZES[0]):
        embeddings_TD, pages = torch.randn(count, tiny_model.config.text_config.hidden_size), list(range(9, 0, -1))
        slots = torch.tensor(pages).repeat_interleave(8)[:count] * 8 + torch.arange(count) % 8
        found = []
        for _ in range(3):
            for layer_GOZ in cache.layers_GOZ:
                layer_GOZ.fill_(torch.nan)
            found.append(prompts.run(embeddings_TD, slots.numpy(), pages).clone())
            assert not any(layer_GOZ[-1, 1:].isfinite().any() for layer_GOZ in cache.layers_GOZ), "padding lies in one place"
        assert found[0].equal(found[1])
        assert found[0].equal(found[2])
    assert len(graphs) == 1
