"""The router as Triton kernels: scores of few tokens, and the choice among the scores of any number.

Letters: T tokens, D decoder width, E experts, K experts per token.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F

from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.rms_norm import normed

# Up to here each token reads the 512 KB of router weights by itself, out of the L2 cache and over 16 programs; behind it one fp32 product.
VECTOR_TOKENS = 32
BLOCK_EXPERTS = 4


@jit
def _score_kernel(
    x,
    norm_weight,
    weight,
    bias,
    logits,
    arrivals,
    normed_x,
    indices,
    weights,
    x_stride,
    eps,
    factor,
    D,
    E,
    TOP_K: tl.constexpr,
    RENORMALISE: tl.constexpr,
    HAS_NORM: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_ALL: tl.constexpr,
    BLOCK_D: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: the logits of BLOCK_E experts for one token, in fp32 throughout; the last one of a token to arrive chooses."""
    t, d = tl.program_id(1).to(tl.int64), tl.arange(0, BLOCK_D)
    e = tl.program_id(0) * BLOCK_E + tl.arange(0, BLOCK_E)
    weight_ED = tl.load(weight + e[:, None] * D + d[None], mask=(e < E)[:, None] & (d < D)[None], other=0.0)
    begin(OVERLAPS)
    x_D = tl.load(x + t * x_stride + d, mask=d < D, other=0.0)
    if HAS_NORM:
        x_D = normed(x_D, tl.load(norm_weight + d, mask=d < D, other=0.0), eps, D)
        tl.store(normed_x + t * D + d, x_D, mask=(d < D) & (tl.program_id(0) == 0))
    tl.store(logits + t * E + e, tl.sum(weight_ED * x_D.to(tl.float32)[None], 1), mask=e < E)
    tl.debug_barrier()  # all of the program's logits are written before it counts as arrived
    if tl.atomic_add(arrivals + t, 1) == tl.num_programs(0) - 1:
        tl.store(arrivals + t, 0)  # for the next launch
        _choose(logits + t * E, bias, indices + t * TOP_K, weights + t * TOP_K, factor, E, TOP_K, RENORMALISE, BLOCK_ALL)


@jit
def _choose(logits, bias, indices, weights, factor, E, TOP_K: tl.constexpr, RENORMALISE: tl.constexpr, BLOCK_E: tl.constexpr):
    """The TOP_K best experts of one token and their weights, by number. Of equals the lower number is the better."""
    e = tl.arange(0, BLOCK_E)
    score_E = tl.sigmoid(tl.load(logits + e, mask=e < E, other=0.0, cache_modifier=".cg"))  # other programs wrote them
    choice_E = score_E + tl.load(bias + e, mask=e < E, other=0.0)
    choice_E = tl.where(choice_E == choice_E, choice_E, -3.0e38)  # NaN: still an expert that exists, so that nothing is read elsewhere
    choice_E = tl.where(e < E, choice_E, float("-inf"))
    # An expert's rank is how many are better: one step for all, where taking the best K times takes K.
    is_better_EE = (choice_E[None] > choice_E[:, None]) | ((choice_E[None] == choice_E[:, None]) & (e[None] < e[:, None]))
    is_chosen_E = tl.sum(is_better_EE.to(tl.int32), 1) < TOP_K
    place_E = tl.cumsum(is_chosen_E.to(tl.int32), 0) - 1
    tl.store(indices + place_E, e.to(tl.int64), mask=is_chosen_E)
    total = tl.sum(tl.where(is_chosen_E, score_E, 0.0), 0)
    weight_E = score_E / (total + 1e-20) if RENORMALISE else score_E
    tl.store(weights + place_E, weight_E * factor, mask=is_chosen_E)


@jit
def _choose_kernel(
    logits,
    bias,
    indices,
    weights,
    factor,
    E,
    TOP_K: tl.constexpr,
    RENORMALISE: tl.constexpr,
    BLOCK_E: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: one token."""
    begin(OVERLAPS)
    t = tl.program_id(0).to(tl.int64)
    _choose(logits + t * E, bias, indices + t * TOP_K, weights + t * TOP_K, factor, E, TOP_K, RENORMALISE, BLOCK_E)


def route_triton(
    x_TD: torch.Tensor,
    weight_ED: torch.Tensor,
    correction_bias_E: torch.Tensor,
    top_k: int,
    *,
    renormalise: bool,
    scaling_factor: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`route` in one kernel for few tokens, three for many. Contract of the reference; weight and bias are fp32.

    A token's experts come in the order of their numbers. Equal choices fall to the lower number, which the reference leaves open.
    """
    return _route(x_TD, weight_ED, correction_bias_E, top_k, renormalise, scaling_factor)


@torch.library.custom_op(
    "kimi_vl::route",
    mutates_args=(),
    schema="(Tensor x, Tensor weight, Tensor bias, int top_k, bool renormalise, float scaling_factor) -> (Tensor, Tensor)",
)
def _route(
    x_TD: torch.Tensor, weight_ED: torch.Tensor, bias_E: torch.Tensor, top_k: int, renormalise: bool, scaling_factor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    num_tokens, experts = x_TD.shape[0], weight_ED.shape[0]
    if num_tokens <= VECTOR_TOKENS:
        x_TD = x_TD if x_TD.stride(-1) == 1 else x_TD.contiguous()
        _, indices_TK, weights_TK = score(x_TD, None, weight_ED, bias_E, top_k, renormalise=renormalise, scaling_factor=scaling_factor)
        return indices_TK, weights_TK
    indices_TK, weights_TK = _empty(x_TD, weight_ED, bias_E, top_k, renormalise, scaling_factor)
    with torch.cuda.device_of(x_TD):  # Triton launches on the current GPU, wherever the tensors are
        logits_TE = F.linear(x_TD.float(), weight_ED)
        options = {"TOP_K": top_k, "RENORMALISE": renormalise, "BLOCK_E": next_power_of_2(experts), "num_warps": 1}
        options |= overlap(x_TD.device)
        _choose_kernel[num_tokens,](logits_TE, bias_E, indices_TK, weights_TK, scaling_factor, experts, **options)
    return indices_TK, weights_TK


def score(
    x_TD: torch.Tensor,
    norm: tuple[torch.Tensor, float] | None,
    weight_ED: torch.Tensor,
    bias_E: torch.Tensor,
    top_k: int,
    *,
    renormalise: bool,
    scaling_factor: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(norm(x), indices [T, K], weights [T, K]) of at most `VECTOR_TOKENS` tokens in one kernel; without a norm, x as it is."""
    (num_tokens, width), experts = x_TD.shape, weight_ED.shape[0]
    indices_TK, weights_TK = _empty(x_TD, weight_ED, bias_E, top_k, renormalise, scaling_factor)
    if not num_tokens:
        return x_TD, indices_TK, weights_TK
    logits_TE = torch.empty(num_tokens, experts, dtype=torch.float32, device=x_TD.device)
    normed_TD = x_TD if norm is None else torch.empty_like(x_TD)
    options = {"TOP_K": top_k, "RENORMALISE": renormalise, "HAS_NORM": norm is not None, "BLOCK_E": BLOCK_EXPERTS}
    options |= {"BLOCK_ALL": next_power_of_2(experts), "BLOCK_D": next_power_of_2(width)} | overlap(x_TD.device)
    norm_weight, eps = norm or (None, 0.0)
    with torch.cuda.device_of(x_TD):  # Triton launches on the current GPU, wherever the tensors are
        _score_kernel[-(-experts // BLOCK_EXPERTS), num_tokens](
            x_TD,
            norm_weight,
            weight_ED,
            bias_E,
            logits_TE,
            _arrivals(x_TD.device),
            normed_TD,
            indices_TK,
            weights_TK,
            x_TD.stride(0),
            eps,
            scaling_factor,
            width,
            experts,
            **options,
        )
    return normed_TD, indices_TK, weights_TK


@cache
def _arrivals(device: torch.device) -> torch.Tensor:
    """Zeros that every launch leaves as zeros. Launches on one device come one after another."""
    return torch.zeros(VECTOR_TOKENS, dtype=torch.int32, device=device)


@_route.register_fake
def _empty(x_TD, weight_ED, bias_E, top_k, renormalise, scaling_factor):
    shape, device = (x_TD.shape[0], top_k), x_TD.device
    return torch.empty(shape, dtype=torch.int64, device=device), torch.empty(shape, dtype=torch.float32, device=device)
