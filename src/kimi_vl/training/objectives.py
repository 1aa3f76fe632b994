"""What reinforcement learning descends, on log-probabilities alone.

Letters: K replies to one question, J replies of a batch, N their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

Algorithm = Literal["mirror_descent", "grpo", "shortest_right"]


def advantages(rewards_K: np.ndarray, right: Sequence[bool], lengths: Sequence[int], algorithm: Algorithm) -> list[float]:
    """How much better each of the replies to one question was; all zero where there is nothing to learn.

    "mirror_descent": above the mean of the k. "grpo": also divided by their standard deviation. "shortest_right": 1 for the shortest right
    reply and 0 for the others, whatever the rewards say (k1.5's rejection sampling).
    """
    if algorithm == "shortest_right":
        best = min((k for k in range(len(right)) if right[k]), key=lambda k: lengths[k], default=None)
        return [float(k == best) for k in range(len(right))]
    if np.ptp(rewards_K) < 1e-9:
        return [0.0] * len(right)
    centred_K = rewards_K - rewards_K.mean()
    return (centred_K / rewards_K.std() if algorithm == "grpo" else centred_K).tolist()


def mirror_descent(log_probs_J: torch.Tensor, start_J: torch.Tensor, advantages_J: torch.Tensor, tau: float) -> torch.Tensor:
    """Kimi k1.5's online policy mirror descent, per reply [J] (arXiv 2501.12599, §2.3.2).

    Log-probabilities are those of whole replies, `start_J` those at the start of the iteration. The gradient is that of the squared
    surrogate (r - mean r - tau·log(pi/pi_start))² / (2·tau): -∇log pi·(r - mean r) + tau/2·∇(log(pi/pi_start))².
    """
    return -advantages_J * log_probs_J + 0.5 * tau * (log_probs_J - start_J) ** 2


def clipped(log_probs_N: torch.Tensor, start_N: torch.Tensor, advantages_N: torch.Tensor, clip_ratio: float) -> torch.Tensor:
    """GRPO's clipped surrogate, per token [N], without a KL term (arXiv 2402.03300, §4.1)."""
    ratio_N = (log_probs_N - start_N).exp()
    return -torch.minimum(ratio_N * advantages_N, ratio_N.clamp(1 - clip_ratio, 1 + clip_ratio) * advantages_N)


def drift(log_probs_N: torch.Tensor, start_N: torch.Tensor) -> torch.Tensor:
    """Per token, an estimate of KL(start || now) from tokens that the start sampled, r - 1 - log r, which is never negative. [N]."""
    log_ratio_N = log_probs_N - start_N
    return log_ratio_N.exp() - 1 - log_ratio_N
