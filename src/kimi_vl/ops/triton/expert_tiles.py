"""Routed experts for few tokens, as Triton kernels: what limits them is reading weights, which every chosen expert does once.

Letters: T tokens, D decoder width, E experts, K experts per token, F inner width of one expert, X pairs (token, one of its experts), T x K.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.experts import Shared
from kimi_vl.ops.quantised import DTYPES, Quantised, Weight, parts
from kimi_vl.ops.triton import fp8
from kimi_vl.ops.triton.expert_launches import Launch, fp8_tiles, tile
from kimi_vl.ops.triton.expert_sums import Norm, shared_parts, weighted_sum
from kimi_vl.ops.triton.grouping import list_by_expert
from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl


@jit
def members_of(members, counts, indices, expert, first, num_tokens, E, TOP_K: tl.constexpr, BLOCK_X: tl.constexpr, LISTED: tl.constexpr):
    """(token, place among its pairs, whether there is one) of the pairs first .. first + BLOCK_X - 1 of an expert.

    Shared experts, those from E on, have every token. Where no list was made, place i is token i, chosen or not.
    """
    i = first + tl.arange(0, BLOCK_X)
    if expert >= E:
        token_X, k_X, is_pair_X = i, i * 0 + TOP_K + (expert - E).to(tl.int32), i < num_tokens
    elif LISTED:
        is_pair_X = i < tl.load(counts + expert)
        pair_X = tl.load(members + expert * (num_tokens * TOP_K) + i, mask=is_pair_X, other=0)
        token_X, k_X = pair_X // TOP_K, pair_X % TOP_K
    else:
        token_X, k_X, is_pair_X = i, i * 0, i < 0
        for k in tl.static_range(TOP_K):
            is_it_X = tl.load(indices + i * TOP_K + k, mask=i < num_tokens, other=-1) == expert
            k_X = tl.where(is_it_X, k, k_X)
            is_pair_X = is_pair_X | is_it_X
    return token_X.to(tl.int64), k_X, is_pair_X


@jit
def num_places(counts, indices, expert, num_tokens, E, TOP_K: tl.constexpr, BLOCK_P: tl.constexpr, LISTED: tl.constexpr):
    """How many places of an expert to go through."""
    if expert >= E:
        count = num_tokens
    elif LISTED:
        count = tl.load(counts + expert)
    else:
        x = tl.arange(0, BLOCK_P)
        is_mine_X = tl.load(indices + x, mask=x < num_tokens * TOP_K, other=-1) == expert
        count = tl.where(tl.max(is_mine_X.to(tl.int32), 0) > 0, num_tokens, 0)
    return count


@jit(varying=("num_tokens",))
def _gate_up_kernel(
    x,
    x_scales,
    gate_up,
    shared_gate,
    shared_up,
    gate_up_scales,
    shared_gate_scales,
    shared_up_scales,
    members,
    counts,
    indices,
    inner,
    inner_scales,
    x_stride,
    num_tokens,
    D,
    F,
    E,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    HAS_SCALES: tl.constexpr,
    IS_ROUNDED: tl.constexpr,
    LISTED: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_P: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_F inner values of every pair of one expert, silu(gate) · up; where tokens are rounded so are they, together."""
    begin(OVERLAPS)
    expert = tl.program_id(1).to(tl.int64)
    f = tl.program_id(0) * BLOCK_F + tl.arange(0, BLOCK_F)
    gate = gate_up + expert * (2 * D * F)
    up = gate + D * F
    gate_scales = gate_up_scales
    up_scales = gate_up_scales
    if HAS_SCALES:
        gate_scales = gate_up_scales + expert * (2 * F)
        up_scales = gate_scales + F
    if SHARED > 0:
        if expert >= E:
            gate = shared_gate + (expert - E) * F * D
            up = shared_up + (expert - E) * F * D
            if HAS_SCALES:
                gate_scales = shared_gate_scales + (expert - E) * F
                up_scales = shared_up_scales + (expert - E) * F
    for first in range(0, num_places(counts, indices, expert, num_tokens, E, TOP_K, BLOCK_P, LISTED), BLOCK_X):
        token_X, k_X, is_pair_X = members_of(members, counts, indices, expert, first, num_tokens, E, TOP_K, BLOCK_X, LISTED)
        gate_FX = tl.zeros([BLOCK_F, BLOCK_X], tl.float32)
        up_FX = tl.zeros([BLOCK_F, BLOCK_X], tl.float32)
        for start in range(0, D, BLOCK_D):
            d = start + tl.arange(0, BLOCK_D)
            mask = (f < F)[:, None] & (d < D)[None]
            x_DX = tl.load(x + (token_X * x_stride)[None] + d[:, None], mask=is_pair_X[None] & (d < D)[:, None], other=0.0)
            gate_FX = tl.dot(tl.load(gate + f[:, None] * D + d[None], mask=mask, other=0.0).to(x_DX.dtype), x_DX, gate_FX)
            up_FX = tl.dot(tl.load(up + f[:, None] * D + d[None], mask=mask, other=0.0).to(x_DX.dtype), x_DX, up_FX)
        if HAS_SCALES:
            gate_FX *= tl.load(gate_scales + f, mask=f < F, other=0.0)[:, None]
            up_FX *= tl.load(up_scales + f, mask=f < F, other=0.0)[:, None]
        if IS_ROUNDED:
            scale_X = tl.load(x_scales + token_X, mask=is_pair_X, other=0.0)
            gate_FX *= scale_X[None]
            up_FX *= scale_X[None]
        inner_FX = gate_FX * tl.sigmoid(gate_FX) * up_FX
        pair_X = token_X * (TOP_K + SHARED) + k_X
        if IS_ROUNDED:
            scale_X = fp8.scale_of(tl.max(tl.abs(inner_FX), 0))
            inner_FX /= scale_X[None]  # nearly: sums seldom lie just between two numbers of fp8, and exactly it takes 4 % of a step
            tl.store(inner_scales + pair_X * tl.num_programs(0) + tl.program_id(0), scale_X, mask=is_pair_X)
        target = inner + (pair_X * F)[None] + f[:, None]
        tl.store(target, inner_FX.to(inner.dtype.element_ty), mask=(f < F)[:, None] & is_pair_X[None])


@jit(varying=("num_tokens",))
def _down_kernel(
    inner,
    inner_scales,
    down,
    shared_down,
    down_scales,
    shared_down_scales,
    members,
    counts,
    indices,
    y,
    num_tokens,
    D,
    F,
    E,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    HAS_SCALES: tl.constexpr,
    IS_ROUNDED: tl.constexpr,
    LISTED: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_P: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_D output values of every pair of one expert, not weighted yet. Rounded inner values have a scale for each BLOCK_F
    of a pair, which is loaded one turn ahead."""
    begin(OVERLAPS)
    expert = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    row, stride, scales = down + expert * (D * F), F, down_scales
    if HAS_SCALES:
        scales = down_scales + expert * D
    if SHARED > 0:
        if expert >= E:
            row, stride = shared_down + (expert - E) * F, SHARED * F
            if HAS_SCALES:
                scales = shared_down_scales + (expert - E) * 0
    for first in range(0, num_places(counts, indices, expert, num_tokens, E, TOP_K, BLOCK_P, LISTED), BLOCK_X):
        token_X, k_X, is_pair_X = members_of(members, counts, indices, expert, first, num_tokens, E, TOP_K, BLOCK_X, LISTED)
        pair_X = token_X * (TOP_K + SHARED) + k_X
        y_DX = tl.zeros([BLOCK_D, BLOCK_X], tl.float32)
        if IS_ROUNDED:
            scale_X = tl.load(inner_scales + pair_X * tl.cdiv(F, BLOCK_F), mask=is_pair_X, other=0.0)
        for start in range(0, F, BLOCK_F):
            f = start + tl.arange(0, BLOCK_F)
            inner_FX = tl.load(inner + (pair_X * F)[None] + f[:, None], mask=is_pair_X[None] & (f < F)[:, None], other=0.0)
            down_DF = tl.load(row + d[:, None] * stride + f[None], mask=(d < D)[:, None] & (f < F)[None], other=0.0)
            if IS_ROUNDED:
                place_X, there_X = pair_X * tl.cdiv(F, BLOCK_F) + start // BLOCK_F + 1, is_pair_X & (start + BLOCK_F < F)
                next_X = tl.load(inner_scales + place_X, mask=there_X, other=0.0)
                y_DX += tl.dot(down_DF, inner_FX) * scale_X[None]
                scale_X = next_X
            else:
                y_DX = tl.dot(down_DF.to(inner_FX.dtype), inner_FX, y_DX)
        if HAS_SCALES:
            y_DX *= tl.load(scales + d, mask=d < D, other=0.0)[:, None]
        tl.store(y + (pair_X * D)[None] + d[:, None], y_DX.to(y.dtype.element_ty), mask=(d < D)[:, None] & is_pair_X[None])


def by_tiles(
    x_TD: torch.Tensor,
    gate_up_EGD: Weight,
    down_EDF: Weight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    *,
    launches: tuple[Launch, Launch] | None = None,
    shared: Shared | None = None,
    beside_TD: torch.Tensor | None = None,
    residual_TD: torch.Tensor | None = None,
    tokens: Quantised | None = None,
    norm: Norm | None = None,
    lists: bool | None = None,
) -> torch.Tensor:
    """Every expert reads its weights once, for the pairs that chose it; three kernels, and one that lists the pairs of each expert unless
    one tile holds all tokens (`lists` None). Beside weights in fp8 `tokens` are those of x rounded too, and inner values are by the first
    product, with a scale for each `rows` of its launch."""
    (gate_up, gate_up_scales), (down, down_scales) = parts(gate_up_EGD), parts(down_EDF)
    (experts, width, inner), (num_tokens, top_k) = down.shape, indices_TK.shape
    values, scales, num_shared = shared_parts(shared, inner)
    is_rounded = gate_up.dtype == DTYPES["fp8"]
    a, b = launches or (fp8_tiles(num_tokens) if is_rounded else (tile(num_tokens),) * 2)
    lists = num_tokens > a.pairs if lists is None else lists
    members_EX = counts_E = None
    if lists:
        members_EX, counts_E = list_by_expert(indices_TK, experts)
    tokens_TD, token_scales_T = x_TD, None
    if is_rounded:
        tokens_TD, token_scales_T = fp8.rounded(x_TD) if tokens is None else tokens
    rows, blocks = num_tokens * (top_k + num_shared), -(-inner // a.rows)
    inner_XF, y_XD = tokens_TD.new_empty(rows, inner), x_TD.new_empty(rows, width)
    inner_scales_XB = weights_TK.new_empty(rows, blocks) if is_rounded else None
    options = {"TOP_K": top_k, "SHARED": num_shared, "LISTED": lists, "BLOCK_X": a.pairs} | overlap(x_TD.device)
    options |= {"HAS_SCALES": gate_up_scales is not None, "IS_ROUNDED": is_rounded}
    options["BLOCK_P"] = 1 if lists else next_power_of_2(max(num_tokens, a.pairs) * top_k)  # one kernel for all that fit into a tile
    who = (members_EX, counts_E, indices_TK)
    _gate_up_kernel[blocks, experts + num_shared](
        tokens_TD,
        token_scales_T,
        gate_up,
        *values[:2],
        gate_up_scales,
        *scales[:2],
        *who,
        inner_XF,
        inner_scales_XB,
        tokens_TD.stride(0),
        num_tokens,
        width,
        inner,
        experts,
        BLOCK_F=a.rows,
        BLOCK_D=a.width,
        num_warps=a.num_warps,
        num_stages=a.num_stages,
        **options,
    )
    _down_kernel[-(-width // b.rows), experts + num_shared](
        inner_XF,
        inner_scales_XB,
        down,
        values[2],
        down_scales,
        scales[2],
        *who,
        y_XD,
        num_tokens,
        width,
        inner,
        experts,
        BLOCK_D=b.rows,
        BLOCK_F=a.rows if is_rounded else b.width,
        num_warps=b.num_warps,
        num_stages=b.num_stages,
        **options,
    )
    return weighted_sum(y_XD, None, weights_TK, num_shared, beside_TD, residual_TD, norm)
