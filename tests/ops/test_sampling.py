"""token_probabilities against the definitions of its filters, written with Python lists; draw_token against the distribution; rows of
tokens against tokens one by one."""

import math

import pytest
import torch

from kimi_vl.ops.sampling import (
    draw_rows,
    draw_token,
    draw_tokens,
    greedy_tokens,
    token_probabilities,
    uniform_number,
    uniform_numbers,
)


def expected_probabilities(logits, temperature, top_k, top_p, min_p):
    """The contract once more: filter by filter over (token, probability) pairs, renormalised after each."""
    peak = max(logits)
    weights = [math.exp((x - peak) / temperature) for x in logits]
    ranked = sorted(enumerate(w / sum(weights) for w in weights), key=lambda pair: -pair[1])
    if top_k:
        ranked = normalised(ranked[:top_k])
    kept, mass = [], 0.0
    for pair in ranked:
        if mass < top_p or top_p == 1:
            kept.append(pair)
        mass += pair[1]
    kept = normalised(kept)
    kept = normalised([pair for pair in kept if pair[1] >= min_p * kept[0][1]])
    return [dict(kept).get(token, 0.0) for token in range(len(logits))]


def normalised(pairs):
    total = sum(p for _, p in pairs)
    return [(token, p / total) for token, p in pairs]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "min_p"),
    [
        (1.0, 0, 1.0, 0.0),
        (0.3, 0, 1.0, 0.0),
        (2.0, 7, 1.0, 0.0),
        (0.8, 0, 0.6, 0.0),
        (0.8, 0, 1.0, 0.2),
        (0.8, 12, 0.7, 0.1),
        (1.0, 500, 1e-9, 1.0),
    ],
)
def test_the_filters_agree_with_their_definitions(seed, temperature, top_k, top_p, min_p):
    logits_W = torch.randn(200, generator=torch.Generator().manual_seed(seed)) * 3
    probs_W = token_probabilities(logits_W, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    expected = expected_probabilities(logits_W.tolist(), temperature, top_k, top_p, min_p)
    assert probs_W.tolist() == pytest.approx(expected, rel=1e-9, abs=0)


def test_the_order_is_top_k_then_top_p_then_min_p():
    logits_W = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    # Of 0.4 and 0.3 the first is 0.57 of the mass and reaches 0.5 alone; without top-k before it, top-p would keep two.
    assert token_probabilities(logits_W, temperature=1.0, top_k=2, top_p=0.5).tolist() == [1, 0, 0, 0]
    assert token_probabilities(logits_W, temperature=1.0, top_p=0.5).count_nonzero() == 2
    # min-p first would leave 0.57 and 0.43, of which top-p 0.55 keeps one; top-p first keeps two, and both pass min-p.
    assert token_probabilities(logits_W, temperature=1.0, top_p=0.55, min_p=0.7).count_nonzero() == 2


def test_equal_probabilities_are_cut_from_the_highest_token_down():
    probs_W = token_probabilities(torch.zeros(5000), temperature=1.0, top_k=2)
    assert probs_W.nonzero().flatten().tolist() == [0, 1]


def test_excluded_tokens_get_no_mass():
    probs_W = token_probabilities(torch.tensor([-math.inf, 0.0, -math.inf, 0.0]), temperature=0.5)
    assert probs_W.tolist() == [0, 0.5, 0, 0.5]


def test_the_result_is_float64_on_the_cpu_and_the_logits_are_left_alone():
    logits_W = torch.tensor([1.0, 3.0, 2.0], dtype=torch.bfloat16)
    probs_W = token_probabilities(logits_W, temperature=0.5, top_k=2)
    assert (probs_W.dtype, probs_W.device.type) == (torch.float64, "cpu")
    assert logits_W.tolist() == [1.0, 3.0, 2.0]
    double_W = torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)
    token_probabilities(double_W, temperature=0.5, top_k=1)
    assert double_W.tolist() == [1.0, 3.0, 2.0]


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 1), (0.2499999, 1), (0.25, 3), (0.75, 4), (1 - 2**-53, 4)])
def test_a_draw_lands_in_the_token_s_own_interval_and_never_on_mass_zero(uniform, token):
    assert draw_token(torch.tensor([0.0, 0.25, 0.0, 0.5, 0.25, 0.0], dtype=torch.float64), uniform) == token


def test_the_largest_uniform_number_lands_inside_whatever_the_rounding_of_the_sum():
    for seed in range(200):
        probs_W = torch.rand(1000, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        probs_W[-3:] = 0
        assert draw_token(probs_W / probs_W.sum(), 1 - 2**-53) == 996


def test_frequencies_follow_the_distribution():
    probs_W = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    counts = [0] * 4
    for uniform in torch.rand(4000, dtype=torch.float64).tolist():
        counts[draw_token(probs_W, uniform)] += 1
    # Four standard deviations of a binomial count with n = 4000.
    for count, p in zip(counts, probs_W.tolist(), strict=True):
        assert abs(count - 4000 * p) < 4 * math.sqrt(4000 * p * (1 - p))


@pytest.mark.parametrize("top_p", [None, 0.9, 0.47, 1e-9])
@pytest.mark.parametrize("temperature", [1.0, 0.3, 2.0])
def test_rows_are_drawn_like_answers_one_by_one(temperature, top_p):
    logits_BW = torch.randn(300, 200) * 3
    logits_BW[:50] = logits_BW[:50].round()  # ties
    uniforms_B = torch.rand(300, dtype=torch.float64)
    limit = None if top_p is None else torch.tensor(top_p, dtype=torch.float64)
    tokens_B, logprobs_B = draw_tokens(logits_BW, uniforms_B, torch.tensor(temperature), limit)
    expected = [token_probabilities(row, temperature=temperature, top_p=top_p or 1.0) for row in logits_BW]
    drawn = [draw_token(probs_W, float(uniform)) for probs_W, uniform in zip(expected, uniforms_B, strict=True)]
    assert tokens_B.tolist() == drawn
    assert logprobs_B.dtype == torch.float32
    assert logprobs_B.tolist() == pytest.approx([math.log(p[t]) for p, t in zip(expected, drawn, strict=True)], abs=1e-5)


def test_the_ends_of_the_unit_interval_land_on_tokens_that_have_mass():
    logits_BW = torch.tensor([[-math.inf, 0.0, 0.0, -math.inf]]).repeat(2, 1)
    tokens_B, logprobs_B = draw_tokens(logits_BW, torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64), torch.tensor(0.7))
    assert tokens_B.tolist() == [1, 2]
    assert logprobs_B.tolist() == pytest.approx([-math.log(2)] * 2)


def test_the_smallest_temperature_draws_the_likeliest_token_of_every_row():
    logits_BW = torch.tensor([[1e30, 2e30, -1e30], [3.0, 1.0, 2.0]])
    tokens_B, logprobs_B = draw_tokens(logits_BW, torch.full((2,), 0.999, dtype=torch.float64), torch.tensor(1e-45))
    assert tokens_B.tolist() == [1, 0]
    assert logprobs_B.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_that_is_not_finite_shows_in_its_own_log_probability_alone(bad):
    logits_BW = torch.zeros(3, 10)
    logits_BW[1, 4] = bad
    uniforms_B = torch.full((3,), 0.95, dtype=torch.float64)
    top_p = torch.tensor(0.5, dtype=torch.float64)
    for tokens_B, logprobs_B in (
        greedy_tokens(logits_BW),
        draw_tokens(logits_BW, uniforms_B, torch.tensor(1.0)),
        draw_tokens(logits_BW, uniforms_B, torch.tensor(1.0), top_p),
    ):
        assert logprobs_B.isnan().tolist() == [False, True, False]
        assert int(tokens_B.max()) < 10


def test_greedy_rows_take_the_likeliest_token_and_its_share_at_temperature_one():
    tokens_B, logprobs_B = greedy_tokens(torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]]).log().bfloat16())
    assert tokens_B.tolist() == [1, 0]
    assert logprobs_B.exp().tolist() == pytest.approx([0.7, 0.5], abs=4e-3)  # bf16 logits


SEEDS = (0, 1, 2026, 2**63 - 1, 2**63, 2**64 - 1)


def test_counted_numbers_are_those_of_the_published_generator():
    """The first outputs of splitmix64 from seed 1234567, as its authors' code gives them."""
    outputs = (6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431)
    assert [uniform_number(1234567, k) for k in range(4)] == [(output >> 11) * 2.0**-53 for output in outputs]


def test_rows_count_the_same_numbers_as_answers_one_by_one():
    seeds = torch.tensor([seed - 2**64 if seed >= 2**63 else seed for seed in SEEDS]).repeat_interleave(50)
    numbers = torch.arange(50).repeat(len(SEEDS))
    expected = [uniform_number(seed, number) for seed in SEEDS for number in range(50)]
    assert uniform_numbers(seeds, numbers).tolist() == expected
    assert all(0 <= number < 1 for number in expected)
    assert len(set(expected)) == len(expected)


def test_counted_numbers_are_uniform():
    numbers = uniform_numbers(torch.full((100_000,), 7), torch.arange(100_000))
    counts = torch.histc(numbers.float(), bins=20, min=0, max=1)
    assert ((counts - 5000).abs() < 5 * 5000**0.5).all()
    assert abs(torch.corrcoef(torch.stack((numbers[:-1], numbers[1:])))[0, 1]) < 0.02


MIXED = [  # temperature, top_k, top_p, min_p
    (0.0, 0, 1.0, 0.0),
    (1.0, 0, 1.0, 0.0),
    (0.7, 5, 1.0, 0.0),
    (1.3, 0, 0.6, 0.0),
    (1.0, 0, 1.0, 0.2),
    (0.9, 12, 0.9, 0.05),
    (2.0, 1, 1.0, 0.0),
    (5e-324, 0, 1e-9, 1.0),
]


def test_rows_are_drawn_each_by_its_own_parameters():
    """As `token_probabilities` and `draw_token` would, one by one."""
    torch.manual_seed(5)
    parameters_BX = [torch.tensor(column) for column in zip(*MIXED, strict=True)]
    for _ in range(40):
        logits_BW = torch.randn(len(MIXED), 60) * 3
        logits_BW[:, 7] = -math.inf
        uniforms_B = torch.rand(len(MIXED), dtype=torch.float64)
        drawn = draw_rows(logits_BW, uniforms_B, *parameters_BX, excluded=11).tolist()
        for logits_W, uniform, parameters, token in zip(logits_BW, uniforms_B.tolist(), MIXED, drawn, strict=True):
            logits_W[11] = -math.inf
            temperature, top_k, top_p, min_p = parameters
            if temperature == 0:
                assert token == int(logits_W.argmax())
                continue
            probs_W = token_probabilities(logits_W, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
            assert token == draw_token(probs_W, uniform), parameters
            assert token != 7


def test_without_filters_rows_are_drawn_from_everything():
    torch.manual_seed(6)
    logits_BW, uniforms_B = torch.randn(3, 50), torch.tensor([0.1, 0.5, 0.999999], dtype=torch.float64)
    drawn = draw_rows(logits_BW, uniforms_B, torch.tensor([0.0, 1.0, 0.5]), excluded=49)
    logits_BW[:, 49] = -math.inf
    one, half = (token_probabilities(logits_BW[k], temperature=t) for k, t in ((1, 1.0), (2, 0.5)))
    assert drawn.tolist() == [int(logits_BW[0].argmax()), draw_token(one, 0.5), draw_token(half, 0.999999)]


@pytest.mark.parametrize("uniform", [0.0, 1 - 2.0**-53])
def test_the_ends_of_the_unit_interval_land_on_tokens_that_are_left(uniform):
    logits_BW = torch.tensor([[-math.inf, 0.0, 1.0, 2.0]]).repeat(2, 1)
    ones, uniforms_B = torch.ones(2), torch.full((2,), uniform, dtype=torch.float64)
    drawn = draw_rows(logits_BW, uniforms_B, ones, torch.tensor([0, 1]), ones, torch.zeros(2), excluded=3)
    assert drawn.tolist() == [1 if uniform == 0 else 2, 2]


def test_a_row_that_has_no_distribution_gets_no_token_and_the_logits_are_left_alone():
    logits_BW = torch.zeros(6, 4, dtype=torch.bfloat16)
    logits_BW[1, 0] = logits_BW[2, 3] = math.nan
    logits_BW[3, 3] = math.inf
    logits_BW[4] = -math.inf
    logits_BW[5, :3] = -math.inf
    before_BW = logits_BW.clone()
    for temperature in (0.0, 1.0):
        drawn = draw_rows(logits_BW, torch.full((6,), 0.5, dtype=torch.float64), torch.full((6,), temperature), excluded=3)
        assert drawn.tolist() == [1 if temperature else 0, -1, -1, -1, -1, -1]
    torch.testing.assert_close(logits_BW, before_BW, rtol=0, atol=0, equal_nan=True)
