"""Which pairs chose which expert, as Triton kernels: a list for each expert where tokens are few, rows grouped by expert for a prompt.

Letters: T tokens, D decoder width, E experts, K experts per token, X pairs (token, one of its experts), T x K.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl

LIST_BLOCK = 1024  # pairs that are looked through at once
# Programs that share the pairs of a prompt out: two to a processor, and each reads 64 KB of the others' counts at 64 experts.
GROUP_PROGRAMS = 256
ROW_BLOCK = 1024  # values of a row that one program takes


@jit(varying=("num_pairs",))
def _list_kernel(indices, members, counts, num_pairs, BLOCK_X: tl.constexpr, OVERLAPS: tl.constexpr):
    """One program: the pairs that chose one expert, in order, and how many they are."""
    begin(OVERLAPS)
    expert = tl.program_id(0)
    count = 0
    for start in range(0, num_pairs, BLOCK_X):
        x = start + tl.arange(0, BLOCK_X)
        is_mine_X = (tl.load(indices + x, mask=x < num_pairs, other=-1) == expert).to(tl.int32)
        place_X = count + tl.cumsum(is_mine_X, 0) - 1
        tl.store(members + expert.to(tl.int64) * num_pairs + place_X, x, mask=is_mine_X > 0)
        count += tl.sum(is_mine_X, 0)
    tl.store(counts + expert, count)


@jit(varying=("num_pairs", "turns"))
def _count_kernel(indices, counts, num_pairs, turns, BLOCK_X: tl.constexpr, BLOCK_E: tl.constexpr, OVERLAPS: tl.constexpr):
    """One program: how many of its BLOCK_X x turns pairs chose each expert."""
    begin(OVERLAPS)
    e = tl.arange(0, BLOCK_E)
    count_E = tl.zeros([BLOCK_E], tl.int32)
    for turn in range(turns):
        x = (tl.program_id(0) * turns + turn) * BLOCK_X + tl.arange(0, BLOCK_X)
        expert_X = tl.load(indices + x, mask=x < num_pairs, other=-1)
        count_E += tl.sum((expert_X[:, None] == e[None]).to(tl.int32), 0)
    tl.store(counts + tl.program_id(0) * BLOCK_E + e, count_E)


@jit(varying=("num_pairs", "turns"))
def _place_kernel(
    indices,
    counts,
    places,
    tokens,
    ends,
    num_pairs,
    turns,
    E,
    TOP_K: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_E: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: the rows of its pairs, behind those of smaller experts and those that programs before it have of the same expert."""
    begin(OVERLAPS)
    program, programs, e = tl.program_id(0), tl.num_programs(0), tl.arange(0, BLOCK_E)
    total_E, before_E = tl.zeros([BLOCK_E], tl.int32), tl.zeros([BLOCK_E], tl.int32)
    for start in range(0, programs, BLOCK_P):
        p = start + tl.arange(0, BLOCK_P)
        count_PE = tl.load(counts + p[:, None] * BLOCK_E + e[None], mask=(p < programs)[:, None], other=0)
        total_E += tl.sum(count_PE, 0)
        before_E += tl.sum(tl.where((p < program)[:, None], count_PE, 0), 0)
    end_E = tl.cumsum(total_E, 0)
    tl.store(ends + e, end_E, mask=(e < E) & (program == 0))
    next_E = end_E - total_E + before_E
    for turn in range(turns):
        x = (program * turns + turn) * BLOCK_X + tl.arange(0, BLOCK_X)
        expert_X = tl.load(indices + x, mask=x < num_pairs, other=-1)
        is_its_XE = (expert_X[:, None] == e[None]).to(tl.int32)
        place_XE = next_E[None] + tl.cumsum(is_its_XE, 0) - 1
        place_X = tl.sum(place_XE * is_its_XE, 1)
        tl.store(places + x, place_X, mask=x < num_pairs)
        tl.store(tokens + place_X, x // TOP_K, mask=x < num_pairs)
        next_E += tl.sum(is_its_XE, 0)


@jit
def _spread_kernel(x, places, spread, x_stride, D, TOP_K: tl.constexpr, BLOCK_D: tl.constexpr, OVERLAPS: tl.constexpr):
    """One program: BLOCK_D values of one token, for the row of each of its pairs."""
    begin(OVERLAPS)
    t = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    x_D = tl.load(x + t * x_stride + d, mask=d < D, other=0.0)
    for k in tl.static_range(TOP_K):
        tl.store(spread + tl.load(places + t * TOP_K + k).to(tl.int64) * D + d, x_D, mask=d < D)


def list_by_expert(indices_TK: torch.Tensor, num_experts: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The pairs of every expert in their order [E, X], of which what lies behind its count does not count, and the counts [E]; int32."""
    num_pairs, device = indices_TK.numel(), indices_TK.device
    members_EX = torch.empty(num_experts, num_pairs, dtype=torch.int32, device=device)
    counts_E = torch.empty(num_experts, dtype=torch.int32, device=device)
    with torch.cuda.device_of(indices_TK):
        _list_kernel[num_experts,](indices_TK, members_EX, counts_E, num_pairs, BLOCK_X=LIST_BLOCK, **overlap(device))
    return members_EX, counts_E


def group_by_expert(indices_TK: torch.Tensor, num_experts: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows for the pairs such that an expert's lie together, in the order of the pairs, and experts in that of their numbers; two kernels.

    Returns (row of every pair [X], token of every row [X], end of every expert's rows [E]), int32. Every pair's expert is one of
    `num_experts`.
    """
    num_pairs, block_experts, device = indices_TK.numel(), next_power_of_2(num_experts), indices_TK.device
    block_pairs = min(128, max(16, 8192 // block_experts))  # at most 64 values of pairs x experts to a thread
    turns = max(1, -(-num_pairs // (block_pairs * GROUP_PROGRAMS)))
    programs = max(1, -(-num_pairs // (block_pairs * turns)))
    counts_PE = torch.empty(programs, block_experts, dtype=torch.int32, device=device)
    places_X, tokens_X = (torch.empty(num_pairs, dtype=torch.int32, device=device) for _ in range(2))
    ends_E = torch.empty(num_experts, dtype=torch.int32, device=device)
    options = {"BLOCK_X": block_pairs, "BLOCK_E": block_experts} | overlap(device)
    with torch.cuda.device_of(indices_TK):
        _count_kernel[programs,](indices_TK, counts_PE, num_pairs, turns, **options)
        arguments = (indices_TK, counts_PE, places_X, tokens_X, ends_E, num_pairs, turns, num_experts)
        _place_kernel[programs,](*arguments, TOP_K=indices_TK.shape[1], BLOCK_P=block_pairs, **options)
    return places_X, tokens_X, ends_E


def spread_rows(x_TD: torch.Tensor, places_X: torch.Tensor) -> torch.Tensor:
    """Every token's row at the places of its pairs, [X, D]. Each is read once and written K times, which at 6 experts is 7/12 of what
    gathering row by row would move."""
    (num_tokens, width), num_pairs = x_TD.shape, places_X.shape[0]
    spread_XD = x_TD.new_empty(num_pairs, width)
    options = {"TOP_K": num_pairs // num_tokens, "BLOCK_D": ROW_BLOCK} | overlap(x_TD.device)
    with torch.cuda.device_of(x_TD):
        _spread_kernel[num_tokens, -(-width // ROW_BLOCK)](x_TD, places_X, spread_XD, x_TD.stride(0), width, **options)
    return spread_XD
