"""The router as one Triton kernel: by vectors for few tokens, by tiles of tensor cores for many. Scores are as good as fp32 in both.

Letters: T tokens, D decoder width, E experts, K experts per token.
"""

from __future__ import annotations

import threading

import torch

from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.operators import operator
from kimi_vl.ops.triton.rms_norm import normed

# Up to here each token reads the 512 KB of router weights by itself, out of the L2 cache and over 16 programs; behind it
# each tile of tokens does.
VECTOR_TOKENS = 32
BLOCK_EXPERTS = 4
SCORE_WARPS = 8  # a step of one row takes 1 % less than with 4
TILE_PROGRAMS = 128  # about one to a processor
MOST_PARTS = 8  # of the width, for few tiles
# By activations: with what factor rests of the weights are carried on, so that they are no subnormal numbers. A weight is the sum of three
# parts of 8 bits in bf16, and of two of 11 in fp16 whose error is that of fp32.
SCALES = {torch.bfloat16: 1.0, torch.float16: 2048.0, torch.float32: 1.0}


@jit
def _score_kernel(
    x,
    update,
    norm_weight,
    weight,
    bias,
    logits,
    arrivals,
    total,
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
    HAS_UPDATE: tl.constexpr,
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
    all_E = tl.arange(0, BLOCK_ALL)
    bias_E = tl.load(bias + all_E, mask=all_E < E, other=0.0)
    if HAS_NORM:
        norm_D = tl.load(norm_weight + d, mask=d < D, other=0.0)
    begin(OVERLAPS)
    x_D = tl.load(x + t * x_stride + d, mask=d < D, other=0.0)
    if HAS_UPDATE:
        x_D = (x_D.to(tl.float32) + tl.load(update + t * D + d, mask=d < D, other=0.0).to(tl.float32)).to(x_D.dtype)
        tl.store(total + t * D + d, x_D, mask=(d < D) & (tl.program_id(0) == 0))
    if HAS_NORM:
        x_D = normed(x_D, norm_D, eps, D)
        tl.store(normed_x + t * D + d, x_D, mask=(d < D) & (tl.program_id(0) == 0))
    tl.store(logits + t * E + e, tl.sum(weight_ED * x_D.to(tl.float32)[None], 1), mask=e < E)
    tl.debug_barrier()  # all of the program's logits are written before it counts as arrived
    if tl.atomic_add(arrivals + t, 1) == tl.num_programs(0) - 1:
        tl.store(arrivals + t, 0)  # for the next launch
        _choose(logits + t * E, bias_E, indices + t * TOP_K, weights + t * TOP_K, factor, E, TOP_K, RENORMALISE, BLOCK_ALL)


@jit
def _choose(logits, bias_E, indices, weights, factor, E, TOP_K: tl.constexpr, RENORMALISE: tl.constexpr, BLOCK_E: tl.constexpr):
    """The TOP_K best experts of one token and their weights, by number. Of equals the lower number is the better."""
    e = tl.arange(0, BLOCK_E)
    score_E = tl.sigmoid(tl.load(logits + e, mask=e < E, other=0.0, cache_modifier=".cg"))  # other programs wrote them
    choice_E = score_E + bias_E
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


@jit(varying=("num_tokens", "turns"))
def _route_kernel(
    x,
    weight,
    bias,
    partial,
    arrivals,
    indices,
    weights,
    x_stride,
    factor,
    num_tokens,
    turns,
    D,
    E,
    TOP_K: tl.constexpr,
    RENORMALISE: tl.constexpr,
    SCALE: tl.constexpr,
    IS_SPLIT: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_D: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_T tokens over BLOCK_D x turns of their width. If that is a part, the last one to arrive sums a tile's parts."""
    begin(OVERLAPS)
    t, e = (tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)).to(tl.int64), tl.arange(0, BLOCK_E)
    logits_ET = tl.zeros([BLOCK_E, BLOCK_T], tl.float32)
    for turn in range(turns):
        d = (tl.program_id(1) * turns + turn) * BLOCK_D + tl.arange(0, BLOCK_D)
        x_DT = tl.load(x + (t * x_stride)[None] + d[:, None], mask=(t < num_tokens)[None] & (d < D)[:, None], other=0.0)
        weight_ED = tl.load(weight + e[:, None] * D + d[None], mask=(e < E)[:, None] & (d < D)[None], other=0.0)
        high_ED = weight_ED.to(x_DT.dtype)
        rest_ED = (weight_ED - high_ED.to(tl.float32)) * SCALE
        middle_ED = rest_ED.to(x_DT.dtype)
        low_ED = ((rest_ED - middle_ED.to(tl.float32)) * SCALE).to(x_DT.dtype)
        sum_ET = tl.dot(low_ED, x_DT, input_precision="ieee") * (1.0 / SCALE)
        sum_ET = tl.dot(middle_ED, x_DT, sum_ET, input_precision="ieee") * (1.0 / SCALE)
        # Tensor cores cut sums off instead of rounding them: kept over all of 2,048 values, scores would be off by 2e-6 instead of 2e-7.
        logits_ET += tl.dot(high_ED, x_DT, sum_ET, input_precision="ieee")
    if IS_SPLIT:
        place_ET = (t * E)[None] + e[:, None]
        is_one_ET = (t < num_tokens)[None] & (e < E)[:, None]
        tl.store(partial + tl.program_id(1).to(tl.int64) * num_tokens * E + place_ET, logits_ET, mask=is_one_ET)
        tl.debug_barrier()  # all of the program's sums are written before it counts as arrived
        if tl.atomic_add(arrivals + tl.program_id(0), 1) == tl.num_programs(1) - 1:
            tl.store(arrivals + tl.program_id(0), 0)  # for the next launch
            logits_ET = tl.zeros([BLOCK_E, BLOCK_T], tl.float32)
            for p in range(tl.num_programs(1)):
                source = partial + tl.cast(p, tl.int64) * num_tokens * E + place_ET
                logits_ET += tl.load(source, mask=is_one_ET, other=0.0, cache_modifier=".cg")  # other programs wrote them
            _choose_many(logits_ET, bias, indices, weights, t, e, factor, num_tokens, E, TOP_K, RENORMALISE)
    else:
        _choose_many(logits_ET, bias, indices, weights, t, e, factor, num_tokens, E, TOP_K, RENORMALISE)


@jit
def _choose_many(logits_ET, bias, indices, weights, t, e, factor, num_tokens, E, TOP_K: tl.constexpr, RENORMALISE: tl.constexpr):
    """As `_choose`, for every token of a tile: the best one after the other, because ranks would take a tile's tokens times E squared."""
    score_ET = tl.sigmoid(logits_ET)
    left_ET = score_ET + tl.load(bias + e, mask=e < E, other=0.0)[:, None]
    left_ET = tl.where(left_ET > -3.0e38, left_ET, -3.0e38)  # NaN: as above
    left_ET = tl.where((e < E)[:, None], left_ET, float("-inf"))
    for _ in tl.static_range(TOP_K):
        left_ET = tl.where(e[:, None] == tl.argmax(left_ET, 0)[None], float("-inf"), left_ET)
    is_chosen_ET = (left_ET == float("-inf")) & (e < E)[:, None]
    place_ET = (t * TOP_K)[None] + tl.cumsum(is_chosen_ET.to(tl.int32), 0) - 1
    is_one_ET = is_chosen_ET & (t < num_tokens)[None]
    tl.store(indices + place_ET, tl.broadcast_to(e[:, None], place_ET.shape).to(tl.int64), mask=is_one_ET)
    total_T = tl.sum(tl.where(is_chosen_ET, score_ET, 0.0), 0)
    weight_ET = score_ET / (total_T + 1e-20)[None] if RENORMALISE else score_ET
    tl.store(weights + place_ET, weight_ET * factor, mask=is_one_ET)


def route_triton(
    x_TD: torch.Tensor,
    weight_ED: torch.Tensor,
    correction_bias_E: torch.Tensor,
    top_k: int,
    *,
    renormalise: bool,
    scaling_factor: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`route` in one kernel. Contract of the reference; weight and bias are fp32.

    A token's experts come in the order of their numbers. Equal choices fall to the lower number, which the reference leaves open.
    """
    return _route(x_TD, weight_ED, correction_bias_E, top_k, renormalise, scaling_factor)


@operator("kimi_vl::route(Tensor x, Tensor weight, Tensor bias, int top_k, bool renormalise, float scaling_factor) -> (Tensor, Tensor)")
def _route(
    x_TD: torch.Tensor, weight_ED: torch.Tensor, bias_E: torch.Tensor, top_k: int, renormalise: bool, scaling_factor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    x_TD = x_TD if x_TD.stride(-1) == 1 else x_TD.contiguous()
    if x_TD.shape[0] > VECTOR_TOKENS:
        return by_tiles(x_TD, weight_ED, bias_E, top_k, renormalise=renormalise, scaling_factor=scaling_factor)
    _, _, indices_TK, weights_TK = score(x_TD, None, weight_ED, bias_E, top_k, renormalise=renormalise, scaling_factor=scaling_factor)
    return indices_TK, weights_TK


def by_tiles(
    x_TD: torch.Tensor,
    weight_ED: torch.Tensor,
    bias_E: torch.Tensor,
    top_k: int,
    *,
    renormalise: bool,
    scaling_factor: float,
    block_tokens: int | None = None,
    parts: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(indices [T, K], weights [T, K]); every program reads all weights, or those of its part of the width.

    As many tokens at once as leave a program to every processor, and parts to make up for it when there are too few. Products are exact and
    summed in fp32.
    """
    (num_tokens, width), experts = x_TD.shape, weight_ED.shape[0]
    block_tokens = block_tokens or min(64, max(16, next_power_of_2(-(-num_tokens // TILE_PROGRAMS))))
    tiles, block_experts = -(-num_tokens // block_tokens), max(16, next_power_of_2(experts))
    block_width = 64 if block_experts <= 64 else 32
    turns = -(-width // (block_width * (parts or min(MOST_PARTS, TILE_PROGRAMS // tiles) or 1)))
    parts = -(-width // (block_width * turns))
    indices_TK, weights_TK = _empty(x_TD, weight_ED, bias_E, top_k, renormalise, scaling_factor)
    partial_PTE = torch.empty(parts, num_tokens, experts, dtype=torch.float32, device=x_TD.device) if parts > 1 else None
    blocks = {"BLOCK_T": block_tokens, "BLOCK_E": block_experts, "BLOCK_D": block_width, "IS_SPLIT": parts > 1, "num_stages": 4}
    options = {"TOP_K": top_k, "RENORMALISE": renormalise, "SCALE": SCALES[x_TD.dtype]} | blocks | overlap(x_TD.device)
    with torch.cuda.device_of(x_TD):  # Triton launches on the current GPU, wherever the tensors are
        _route_kernel[tiles, parts](
            x_TD,
            weight_ED,
            bias_E,
            partial_PTE,
            _arrivals(x_TD.device),
            indices_TK,
            weights_TK,
            x_TD.stride(0),
            scaling_factor,
            num_tokens,
            turns,
            width,
            experts,
            **options,
        )
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
    update_TD: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(x + update, norm of it, indices [T, K], weights [T, K]) of at most `VECTOR_TOKENS` tokens in one kernel; without an update or a norm
    what would be changed stays as it is."""
    (num_tokens, width), experts = x_TD.shape, weight_ED.shape[0]
    indices_TK, weights_TK = _empty(x_TD, weight_ED, bias_E, top_k, renormalise, scaling_factor)
    if not num_tokens:
        return x_TD, x_TD, indices_TK, weights_TK
    logits_TE = torch.empty(num_tokens, experts, dtype=torch.float32, device=x_TD.device)
    total_TD = x_TD if update_TD is None else torch.empty_like(x_TD)
    normed_TD = total_TD if norm is None else torch.empty_like(x_TD)
    options = {"TOP_K": top_k, "RENORMALISE": renormalise, "BLOCK_E": BLOCK_EXPERTS, "num_warps": SCORE_WARPS}
    options |= {"HAS_UPDATE": update_TD is not None, "HAS_NORM": norm is not None}
    options |= {"BLOCK_ALL": next_power_of_2(experts), "BLOCK_D": next_power_of_2(width)} | overlap(x_TD.device)
    norm_weight, eps = norm or (None, 0.0)
    with torch.cuda.device_of(x_TD):  # Triton launches on the current GPU, wherever the tensors are
        _score_kernel[-(-experts // BLOCK_EXPERTS), num_tokens](
            x_TD,
            update_TD,
            norm_weight,
            weight_ED,
            bias_E,
            logits_TE,
            _arrivals(x_TD.device),
            total_TD,
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
    return total_TD, normed_TD, indices_TK, weights_TK


class _Arrivals(threading.local):
    def __init__(self) -> None:
        self.by_device: dict[torch.device, torch.Tensor] = {}


_ARRIVALS = _Arrivals()


def _arrivals(device: torch.device) -> torch.Tensor:
    """Zeros that every launch leaves as zeros: a thread's own, because two engines may use one GPU, and a thread's launches come one after
    another."""
    if device not in _ARRIVALS.by_device:
        _ARRIVALS.by_device[device] = torch.zeros(max(VECTOR_TOKENS, TILE_PROGRAMS), dtype=torch.int32, device=device)
    return _ARRIVALS.by_device[device]


@_route.register_fake
def _empty(x_TD, weight_ED, bias_E, top_k, renormalise, scaling_factor):
    shape, device = (x_TD.shape[0], top_k), x_TD.device
    return torch.empty(shape, dtype=torch.int64, device=device), torch.empty(shape, dtype=torch.float32, device=device)
