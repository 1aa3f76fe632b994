"""The objectives of reinforcement learning against autograd, finite differences, and a policy small enough to watch."""

import numpy as np
import pytest
import torch

from kimi_vl.training.objectives import advantages, clipped, drift, mirror_descent
from kimi_vl.training.rewards import Verdict, rewards

TAU = 0.3
REWARDS = torch.tensor([1.0, 0.0, 1.15, -0.15], dtype=torch.float64)
START = torch.tensor([-3.0, -2.0, -7.5, -4.0], dtype=torch.float64)


def squared_surrogate(log_probs_J: torch.Tensor) -> torch.Tensor:
    """(r - mean r - tau·log(pi/pi_start))², as Kimi k1.5 writes it, with tau·log Z taken for mean r."""
    return ((REWARDS - REWARDS.mean() - TAU * (log_probs_J - START)) ** 2).mean()


def ours(log_probs_J: torch.Tensor) -> torch.Tensor:
    better = torch.tensor(advantages(REWARDS.numpy(), [True] * 4, [1] * 4, "mirror_descent"), dtype=torch.float64)
    return mirror_descent(log_probs_J, START, better, TAU).mean()


def policy(weights_4: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of four replies under a small nonlinear model."""
    features = torch.linspace(-1, 1, 16, dtype=torch.float64).view(4, 4)
    return -((features @ weights_4).tanh() + 2).square()


def test_the_gradient_is_that_of_the_published_surrogate():
    for seed in range(3):
        weights = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed), requires_grad=True)
        (expected,) = torch.autograd.grad(squared_surrogate(policy(weights)), weights)
        (found,) = torch.autograd.grad(ours(policy(weights)), weights)
        torch.testing.assert_close(found, expected / (2 * TAU))


def test_the_gradient_is_the_written_ascent_direction():
    weights = torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=torch.float64, requires_grad=True)
    log_probs = policy(weights)
    rows = torch.stack([torch.autograd.grad(log_probs[j], weights, retain_graph=True)[0] for j in range(4)])
    squares = torch.stack([torch.autograd.grad((log_probs[j] - START[j]) ** 2, weights, retain_graph=True)[0] for j in range(4)])
    ascent = (rows * (REWARDS - REWARDS.mean())[:, None] - TAU / 2 * squares).mean(0)
    (descent,) = torch.autograd.grad(ours(log_probs), weights)
    torch.testing.assert_close(descent, -ascent)


def test_the_gradient_is_that_of_finite_differences():
    assert torch.autograd.gradcheck(lambda w: ours(policy(w)), torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=torch.float64, requires_grad=True))


def test_the_minimum_is_where_the_log_ratio_is_the_advantage_over_tau():
    best = START + (REWARDS - REWARDS.mean()) / TAU
    best.requires_grad_()
    (gradient,) = torch.autograd.grad(ours(best), best)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_advantages_of_each_algorithm():
    values = np.array([1.0, 0.0, 1.0, 0.0])
    assert advantages(values, [True, False, True, False], [9, 1, 5, 1], "mirror_descent") == [0.5, -0.5, 0.5, -0.5]
    assert advantages(values, [True, False, True, False], [9, 1, 5, 1], "grpo") == [1.0, -1.0, 1.0, -1.0]
    assert advantages(values, [True, False, True, False], [9, 1, 5, 1], "shortest_right") == [0.0, 0.0, 1.0, 0.0]
    for algorithm in ("mirror_descent", "grpo"):
        assert advantages(np.full(3, 0.7), [True] * 3, [1] * 3, algorithm) == [0.0, 0.0, 0.0]
    assert advantages(np.zeros(2), [False, False], [1, 2], "shortest_right") == [0.0, 0.0]


def test_clipping_stops_the_gradient_where_the_ratio_has_gone_far_enough():
    start = torch.zeros(4)
    log_probs = torch.tensor([0.5, 0.05, -0.5, -0.5], requires_grad=True)
    (gradient,) = torch.autograd.grad(clipped(log_probs, start, torch.tensor([1.0, 1.0, -1.0, 1.0]), 0.2).sum(), log_probs)
    assert gradient.tolist() == pytest.approx([0.0, -np.exp(0.05), 0.0, -np.exp(-0.5)])


def test_drift_estimates_the_divergence_without_going_negative():
    generator = torch.Generator().manual_seed(0)
    before, now = torch.randn(2, 5, generator=generator).log_softmax(-1)
    drawn = torch.multinomial(before.exp(), 200_000, replacement=True, generator=generator)
    estimate = drift(now[drawn], before[drawn])
    assert float(estimate.min()) >= 0
    assert float(estimate.mean()) == pytest.approx(float((before.exp() * (before - now)).sum()), rel=0.02)


ARMS = [(True, 10), (True, 40), (False, 5), (False, 60)]  # replies a policy can give: whether right, and how long


def learn(length_weight: float, iterations: int = 150, prompts: int = 32, k: int = 8, tau: float = 0.1) -> torch.Tensor:
    """Probabilities of the four replies after training a table of logits by the whole recipe, beginning with equal ones."""
    rng = np.random.default_rng(0)
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    for _ in range(iterations):
        start = logits.detach().log_softmax(-1)
        drawn = rng.choice(4, p=start.exp().numpy(), size=(prompts, k))
        better = []
        for row in drawn:
            verdicts, lengths = [Verdict(ARMS[a][0], True, True, 0, 0) for a in row], [ARMS[a][1] for a in row]
            better.append(advantages(rewards(verdicts, lengths, length_weight), [v.right for v in verdicts], lengths, "mirror_descent"))
        for _ in range(2):
            loss = mirror_descent(logits.log_softmax(-1)[drawn], start[drawn], torch.tensor(better), tau).mean()
            (gradient,) = torch.autograd.grad(loss, logits)
            logits = (logits - 0.5 * gradient).detach().requires_grad_()
    return logits.detach().softmax(-1)


def test_a_policy_converges_to_the_short_right_reply():
    probabilities = learn(length_weight=0.3)
    assert float(probabilities[0]) > 0.95


def test_without_length_weight_right_replies_do_not_get_shorter():
    probabilities = learn(length_weight=0.0)
    assert float(probabilities[:2].sum()) > 0.97
    assert float(probabilities[0] / probabilities[:2].sum()) == pytest.approx(0.5, abs=0.15)
