"""Generation against a scripted model (what is asked of it, exactly) and the toy network (the numbers)."""

import pytest
import torch

from kimi_vl.engine import Generation, SamplingParams
from kimi_vl.errors import CapacityError, CheckpointError, InputError, PromptTooLong
from tests.engine.scripted import ScriptedModel, saying

END = 63


def generation(script, prompt=(1, 2, 3), *, context=1000, **params):
    model = ScriptedModel(script, context=context)
    return Generation(model, list(prompt), SamplingParams(**params), end_ids=[END]), model


def test_tokens_come_until_the_end_token_which_counts_but_is_not_given():
    gen, model = generation(saying([10, 11, 12, END], 3))
    assert list(gen) == [10, 11, 12]
    assert (gen.finish_reason, gen.num_tokens) == ("stop", 4)
    assert model.steps == [[1, 2, 3], [10], [11], [12]]


@pytest.mark.parametrize("end", [62, 63])
def test_any_of_several_end_tokens_ends(end):
    model = ScriptedModel(saying([10, end], 3))
    gen = Generation(model, [1, 2, 3], SamplingParams(), end_ids=[END, 62])
    assert list(gen) == [10]
    assert gen.finish_reason == "stop"


def test_max_tokens_ends_with_length_and_computes_nothing_more():
    gen, model = generation(saying([10, 11, 12, END], 3), max_tokens=2)
    assert list(gen) == [10, 11]
    assert (gen.finish_reason, gen.num_tokens) == ("length", 2)
    assert model.steps == [[1, 2, 3], [10]]


def test_an_end_token_that_is_the_last_allowed_one_is_a_stop():
    gen, _ = generation(saying([10, END], 3), max_tokens=2)
    assert list(gen) == [10]
    assert gen.finish_reason == "stop"


def test_a_finished_generation_stays_finished():
    gen, model = generation(saying([10, END], 3))
    list(gen)
    assert list(gen) == []
    assert len(model.steps) == 2


def test_generation_stops_where_the_context_ends():
    gen, _ = generation(saying([10], 3), context=8, max_tokens=100)
    assert list(gen) == [10] * 5
    assert gen.finish_reason == "length"


@pytest.mark.parametrize("length", [8, 9, 500])
def test_a_prompt_that_fills_the_context_is_refused_before_any_work(length):
    with pytest.raises(PromptTooLong, match=f"{length} tokens and this model takes 7") as caught:
        generation(saying([10], 3), prompt=[1] * length, context=8)
    assert (caught.value.num_tokens, caught.value.limit) == (length, 7)


def test_the_longest_allowed_prompt_gets_one_token():
    gen, _ = generation(saying([10], 7), prompt=[1] * 7, context=8)
    assert list(gen) == [10]
    assert gen.finish_reason == "length"


def test_an_empty_prompt_is_refused():
    with pytest.raises(InputError, match="prompt is empty"):
        generation(saying([10], 0), prompt=[])


def test_forced_tokens_come_next_count_and_are_what_the_model_continues_from():
    gen, model = generation(lambda so_far: END if so_far[-1] == 40 else 10, max_tokens=50)
    tokens = []
    for token in gen:
        tokens.append(token)
        if len(tokens) == 2:
            gen.force([30, 40])
    assert tokens == [10, 10, 30, 40]
    assert (gen.finish_reason, gen.num_tokens) == ("stop", 5)
    assert model.steps == [[1, 2, 3], [10], [10, 30, 40]]


def test_tokens_forced_before_the_first_one_join_the_prefill():
    gen, model = generation(saying([END], 5))
    gen.force([30, 40])
    assert list(gen) == [30, 40]
    assert model.steps == [[1, 2, 3, 30, 40]]


def test_forced_tokens_do_not_outrun_max_tokens():
    gen, _ = generation(saying([10], 3), max_tokens=2)
    gen.force([30, 40, 50])
    assert list(gen) == [30, 40]
    assert gen.finish_reason == "length"


def test_a_model_that_gives_nan_is_an_error_naming_the_weights():
    gen, model = generation(saying([10], 3))
    model.step = lambda *_: torch.full((64,), float("nan"))
    with pytest.raises(CheckpointError, match="weights are damaged"):
        next(gen)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_says_what_would_help(error):
    gen, model = generation(saying([10], 3))

    def fail(*_):
        raise error

    model.new_cache = fail
    with pytest.raises(CapacityError, match="out of memory while generating; pass fewer or smaller images"):
        next(gen)


def test_other_runtime_errors_are_not_mistaken_for_memory():
    gen, model = generation(saying([10], 3))

    def fail(*_):
        raise RuntimeError("shapes cannot be multiplied")

    model.new_cache = fail
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        next(gen)


def test_iterating_leaves_the_caller_out_of_inference_mode(tiny_model):
    gen = Generation(tiny_model, [5, 6, 7], SamplingParams(max_tokens=3), end_ids=[2])
    next(gen)
    assert not torch.is_inference_mode_enabled()


def greedy_without_cache(model, ids, images, count):
    """The definition: run the whole sequence again for every token."""
    ids = list(ids)
    for _ in range(count):
        logits_TW = model(torch.tensor(ids), *images)
        ids.append(int(logits_TW[-1].argmax()))
    return ids[-count:]


@torch.inference_mode()
def test_token_by_token_generation_equals_running_the_whole_sequence_again(tiny_model, golden):
    images = (golden.pixel_values, golden.grids)
    ids = golden.input_ids.tolist()
    expected = greedy_without_cache(tiny_model, ids, images, 12)
    gen = Generation(tiny_model, ids, SamplingParams(max_tokens=12), end_ids=[], images=images)
    assert list(gen) == expected


@torch.inference_mode()
def test_a_forced_run_of_tokens_equals_a_prompt_that_holds_them(tiny_model):
    forced = Generation(tiny_model, [5, 6, 7], SamplingParams(max_tokens=10), end_ids=[])
    first = next(forced)
    forced.force([21, 22, 23])
    continued = list(forced)[3:]
    prompted = Generation(tiny_model, [5, 6, 7, first, 21, 22, 23], SamplingParams(max_tokens=6), end_ids=[])
    assert continued == list(prompted)


def test_a_seed_gives_the_same_tokens_again_and_another_seed_does_not(tiny_model):
    runs = [
        list(Generation(tiny_model, [5, 6, 7], SamplingParams(temperature=1.0, seed=seed, max_tokens=20), end_ids=[]))
        for seed in (11, 11, 12)
    ]
    assert runs[0] == runs[1] != runs[2]
