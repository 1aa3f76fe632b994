"""SamplingParams at the border, and Sampler against what it promises."""

import math

import pytest
import torch

from kimi_vl.engine import Sampler, SamplingParams
from kimi_vl.errors import CheckpointError, InputError

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "params", [{}, {"temperature": 1.0}, {"temperature": 2.0, "top_k": 1}, {"temperature": 1.0, "top_p": 0.5}], ids=str
)
def test_a_token_that_is_never_to_be_drawn_is_not_however_likely(params):
    logits_W = torch.tensor([0.0, 50.0, 1.0, 40.0])
    sampler = Sampler(SamplingParams(seed=1, **params), never=[1, 3])
    assert {sampler.draw(logits_W, k) for k in range(40)} <= {0, 2}
    assert logits_W.tolist() == [0.0, 50.0, 1.0, 40.0]  # the caller's, untouched


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ("temperature", "top_p", "min_p") for value in (NAN, INF, -INF, -0.01, "0.5", True, None, 1j, 10**400)]
    + [("temperature", 2.01), ("top_p", 0.0), ("top_p", 1.01), ("min_p", 1.01)]
    + [(name, value) for name in ("top_k", "seed", "max_tokens", "max_thinking_tokens") for value in (-1, 0.5, 5.0, True, "5", 10**5000)]
    + [("top_k", None), ("max_tokens", None), ("max_tokens", 0), ("max_tokens", 2**63), ("seed", 2**64), ("top_k", 2**63)]
    + [(name, value) for name in ("presence_penalty", "frequency_penalty") for value in (NAN, INF, -2.01, 2.01, "1", True, None)]
    + [("repetition_penalty", value) for value in (NAN, -1.0, 0.0, 2.01, None)]
    + [("logprobs", value) for value in (-1, 21, 1.0, True)]
    + [("logit_bias", ((1, NAN),)), ("logit_bias", ((1, 101.0),)), ("logit_bias", ((-1, 1.0),)), ("logit_bias", ((True, 1.0),))]
    + [("logit_bias", {1: 2.0}), ("logit_bias", ((1, 1.0), (1, 2.0))), ("logit_bias", tuple((k, 1.0) for k in range(1025)))]
    + [("stop", stop) for stop in ("x", ["x"], ("",), ("x" * 257,), ("a", "b", "c", "d", "e"), (1,), (b"x",), None)],
    ids=lambda value: "huge" if isinstance(value, int) and value > 2**64 else ascii(value)[:20],
)
def test_a_parameter_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=name.split("_thinking")[0]) as caught:
        SamplingParams(**{name: value})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0},
        {"temperature": 2.0},
        {"top_p": 1e-9},
        {"min_p": 1.0},
        {"top_k": 1},
        {"seed": 2**64 - 1},
        {"seed": 0},
        {"max_thinking_tokens": 0},
        {"stop": ("x" * 256,) * 4},
    ],
)
def test_the_ends_of_every_range_are_allowed(values):
    params = SamplingParams(**values)
    assert {name: getattr(params, name) for name in values} == values


def draws(params, logits_W, count):
    sampler = Sampler(params)
    return [sampler.draw(logits_W, k) for k in range(count)]


def test_temperature_zero_takes_the_likeliest_token_and_the_lower_id_of_two():
    assert draws(SamplingParams(temperature=0.0, seed=3), torch.tensor([0.0, 2.0, 2.0, 1.0]), 3) == [1, 1, 1]


def test_equal_seeds_draw_equal_tokens_and_different_seeds_do_not():
    logits_W = torch.randn(1000)
    first, again, other = (draws(SamplingParams(temperature=1.0, seed=seed), logits_W, 50) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_a_sampler_neither_reads_nor_moves_the_global_random_state():
    logits_W = torch.randn(1000)
    expected = draws(SamplingParams(temperature=1.0, seed=7), logits_W, 20)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert draws(SamplingParams(temperature=1.0, seed=7), logits_W, 20) == expected
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_two_samplers_differ():
    logits_W = torch.zeros(100_000)
    assert draws(SamplingParams(temperature=1.0), logits_W, 8) != draws(SamplingParams(temperature=1.0), logits_W, 8)


def test_the_drawn_tokens_are_pinned_so_that_a_seed_means_the_same_on_every_machine():
    logits_W = torch.linspace(-2, 2, 50)
    assert draws(SamplingParams(temperature=0.8, top_k=40, top_p=0.95, min_p=0.01, seed=2026), logits_W, 12) == [
        48,
        43,
        46,
        41,
        47,
        47,
        49,
        48,
        40,
        37,
        40,
        49,
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("bad", [NAN, INF])
def test_logits_that_are_not_finite_are_an_error_and_not_a_token(bad, temperature, dtype):
    logits_W = torch.zeros(10, dtype=dtype)
    logits_W[4] = bad
    with pytest.raises(CheckpointError, match=r"largest logit is (nan|inf); the weights are damaged"):
        Sampler(SamplingParams(temperature=temperature, seed=0)).draw(logits_W, 0)


def test_logits_that_exclude_every_token_are_an_error():
    with pytest.raises(CheckpointError, match="largest logit is -inf"):
        Sampler(SamplingParams(temperature=1.0)).draw(torch.full((10,), -INF), 0)


def test_the_smallest_positive_temperature_is_greedy_rather_than_an_overflow():
    assert draws(SamplingParams(temperature=5e-324, seed=1), torch.tensor([1e30, 2e30, -1e30]), 20) == [1] * 20


def said(sampler, logits_W, tokens):
    """What is drawn behind an answer of these tokens."""
    for token in tokens:
        sampler.take(token)
    return sampler.draw(logits_W, len(tokens))


def test_presence_counts_once_and_frequency_every_time():
    logits_W = torch.tensor([5.0, 4.0, 3.0, 2.0])
    assert said(Sampler(SamplingParams(presence_penalty=1.5)), logits_W, [0]) == 1
    assert said(Sampler(SamplingParams(presence_penalty=1.5)), logits_W, [0, 0, 0, 0]) == 1
    assert said(Sampler(SamplingParams(presence_penalty=0.9)), logits_W, [0, 0, 0, 0]) == 0
    assert said(Sampler(SamplingParams(frequency_penalty=0.6)), logits_W, [0]) == 0
    assert said(Sampler(SamplingParams(frequency_penalty=0.6)), logits_W, [0, 0]) == 1
    assert said(Sampler(SamplingParams(frequency_penalty=0.6)), logits_W, [0, 0, 1, 1, 1]) == 0
    assert said(Sampler(SamplingParams(frequency_penalty=-2.0)), logits_W, [3, 3]) == 3
    assert logits_W.tolist() == [5.0, 4.0, 3.0, 2.0]


def test_repetition_counts_the_prompt_and_turns_negative_logits_down():
    logits_W = torch.tensor([4.0, 3.0, -1.0])
    assert Sampler(SamplingParams(repetition_penalty=2.0), prompt_ids=[0]).draw(logits_W, 0) == 1
    assert said(Sampler(SamplingParams(repetition_penalty=2.0)), logits_W, [0]) == 1
    assert Sampler(SamplingParams(repetition_penalty=0.5), prompt_ids=[1]).draw(logits_W, 0) == 1
    sampler = Sampler(SamplingParams(repetition_penalty=2.0, logprobs=3), prompt_ids=[2])
    assert sampler._weighed(logits_W).tolist() == [4.0, 3.0, -2.0]


def test_a_token_drawn_is_a_token_said():
    sampler = Sampler(SamplingParams(presence_penalty=2.0))
    assert [sampler.draw(torch.tensor([3.0, 2.0, 1.5]), k) for k in range(3)] == [0, 1, 2]


def test_bias_is_added_last_and_cannot_bring_back_what_is_never_drawn():
    logits_W = torch.tensor([0.0, 1.0, 2.0])
    assert Sampler(SamplingParams(logit_bias=((0, 100.0),))).draw(logits_W, 0) == 0
    assert Sampler(SamplingParams(logit_bias=((2, -100.0),))).draw(logits_W, 0) == 1
    assert Sampler(SamplingParams(logit_bias=((0, 100.0),)), never=[0]).draw(logits_W, 0) == 2
    with pytest.raises(InputError, match="logit_bias names token 3; the vocabulary ends at 2"):
        Sampler(SamplingParams(logit_bias=((3, 1.0),))).draw(logits_W, 0)


def test_logprobs_are_the_models_own_whatever_is_done_to_them():
    logits_W = torch.tensor([0.0, 1.0, 2.0, 0.5])
    expected = logits_W.double().log_softmax(-1).tolist()
    params = {"temperature": 0.1, "top_k": 1, "logit_bias": ((0, 100.0),), "seed": 1}
    sampler = Sampler(SamplingParams(logprobs=2, **params), never=[2])
    token = sampler.draw(logits_W, 0)
    assert (sampler.logprobs.token, sampler.logprobs.logprob) == (token, pytest.approx(expected[0]))
    assert sampler.logprobs.likeliest == ((2, pytest.approx(expected[2])), (1, pytest.approx(expected[1])))
    none = Sampler(SamplingParams(logprobs=0, seed=1))
    none.draw(logits_W, 0)
    assert none.logprobs.likeliest == ()
    many = Sampler(SamplingParams(logprobs=20, seed=1))
    many.draw(logits_W, 0)
    assert len(many.logprobs.likeliest) == 4
