"""Routed experts in four bits, shared ones in eight, as Triton kernels: the ways of few tokens, with codes unpacked in registers.

A group's products are summed without its scale, which then multiplies the sum: codes are exact in bf16, scaled ones would not be.
Letters: T tokens, D decoder width, E experts, K experts per token, F inner width of one expert, X pairs (token, one of its experts), T x K.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.experts import Shared
from kimi_vl.ops.quantised import GROUP, Packed
from kimi_vl.ops.triton.expert_launches import PACKED_DOWN, PACKED_GATE_UP, Launch, packed_tile
from kimi_vl.ops.triton.expert_sums import shared_parts, weighted_sum
from kimi_vl.ops.triton.expert_tiles import members_of, num_places
from kimi_vl.ops.triton.grouping import list_by_expert
from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.packed import halves, row_sums


@jit
def _gate_up_vector_kernel(
    x,
    gate_up,
    gate_up_scales,
    shared_gate,
    shared_up,
    shared_gate_scales,
    shared_up_scales,
    indices,
    inner,
    x_stride,
    D,
    F,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_G: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_F inner values of one pair, silu(gate) · up. A token's pairs are its chosen experts, then the shared ones."""
    begin(OVERLAPS)
    pair, groups = tl.program_id(1), tl.cdiv(D, 128)
    t, k = (pair // (TOP_K + SHARED)).to(tl.int64), pair % (TOP_K + SHARED)
    f = tl.program_id(0) * BLOCK_F + tl.arange(0, BLOCK_F)
    gate_F, up_F = tl.zeros([BLOCK_F], tl.float32), tl.zeros([BLOCK_F], tl.float32)
    if k < TOP_K:
        expert = tl.load(indices + t * TOP_K + k)
        gate, scales = gate_up + expert * (2 * F * groups * 64), gate_up_scales + expert * (2 * F * groups)
        for first in range(0, groups, BLOCK_G):
            gate_F += row_sums(gate, scales, x + t * x_stride, f, F, D, first, BLOCK_G)
            up_F += row_sums(gate + F * groups * 64, scales + F * groups, x + t * x_stride, f, F, D, first, BLOCK_G)
    else:
        if SHARED > 0:
            row = (k - TOP_K).to(tl.int64) * F + f
            for start in range(0, D, BLOCK_G * 128):
                d = start + tl.arange(0, BLOCK_G * 128)
                place_FD, is_there_FD = row[:, None] * D + d[None], (f < F)[:, None] & (d < D)[None]
                x_D = tl.load(x + t * x_stride + d, mask=d < D, other=0.0).to(tl.float32)
                gate_F += tl.sum(tl.load(shared_gate + place_FD, mask=is_there_FD, other=0.0).to(tl.float32) * x_D[None], 1)
                up_F += tl.sum(tl.load(shared_up + place_FD, mask=is_there_FD, other=0.0).to(tl.float32) * x_D[None], 1)
            gate_F *= tl.load(shared_gate_scales + row, mask=f < F, other=0.0)
            up_F *= tl.load(shared_up_scales + row, mask=f < F, other=0.0)
    inner_F = gate_F * tl.sigmoid(gate_F) * up_F
    tl.store(inner + pair.to(tl.int64) * F + f, inner_F.to(inner.dtype.element_ty), mask=f < F)


@jit
def _down_vector_kernel(
    inner,
    down,
    down_scales,
    shared_down,
    shared_down_scales,
    indices,
    weights,
    residual,
    out,
    D,
    F,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_G: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_D values of one token's output, its experts weighted and summed in the order of its pairs."""
    begin(OVERLAPS)
    t, groups = tl.program_id(1).to(tl.int64), tl.cdiv(F, 128)
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    sum_D = tl.zeros([BLOCK_D], tl.float32)
    first_row = inner + t * (TOP_K + SHARED) * F
    for k in tl.static_range(TOP_K):
        expert, weight = tl.load(indices + t * TOP_K + k), tl.load(weights + t * TOP_K + k)
        rows, scales = down + expert * (D * groups * 64), down_scales + expert * (D * groups)
        for first in range(0, groups, BLOCK_G):
            sum_D += weight * row_sums(rows, scales, first_row + k * F, d, D, F, first, BLOCK_G)
    if SHARED > 0:
        shared_D = tl.zeros([BLOCK_D], tl.float32)
        for start in range(0, SHARED * F, BLOCK_G * 128):
            f = start + tl.arange(0, BLOCK_G * 128)
            is_there_DF = (d < D)[:, None] & (f < SHARED * F)[None]
            down_DF = tl.load(shared_down + d[:, None] * (SHARED * F) + f[None], mask=is_there_DF, other=0.0)
            inner_F = tl.load(first_row + TOP_K * F + f, mask=f < SHARED * F, other=0.0).to(tl.float32)
            shared_D += tl.sum(down_DF.to(tl.float32) * inner_F[None], 1)
        sum_D += shared_D * tl.load(shared_down_scales + d, mask=d < D, other=0.0)
    if HAS_RESIDUAL:
        sum_D += tl.load(residual + t * D + d, mask=d < D, other=0.0).to(tl.float32)
    tl.store(out + t * D + d, sum_D.to(out.dtype.element_ty), mask=d < D)


@jit(varying=("num_tokens",))
def _gate_up_kernel(
    x,
    gate_up,
    gate_up_scales,
    shared_gate,
    shared_up,
    shared_gate_scales,
    shared_up_scales,
    pairs,
    counts,
    indices,
    inner,
    x_stride,
    num_tokens,
    D,
    F,
    E,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    LISTED: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_P: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_F inner values of every pair of one expert, silu(gate) · up. Scales are loaded one turn ahead."""
    begin(OVERLAPS)
    expert, groups, c = tl.program_id(1).to(tl.int64), tl.cdiv(D, 128), tl.arange(0, 64)
    f = tl.program_id(0) * BLOCK_F + tl.arange(0, BLOCK_F)
    is_row_F1 = (f < F)[:, None]
    for first in range(0, num_places(counts, indices, expert, num_tokens, E, TOP_K, BLOCK_P, LISTED), BLOCK_X):
        token_X, k_X, is_pair_X = members_of(pairs, counts, indices, expert, first, num_tokens, E, TOP_K, BLOCK_X, LISTED)
        x_1X, is_pair_1X = x + (token_X * x_stride)[None], is_pair_X[None]
        gate_FX = tl.zeros([BLOCK_F, BLOCK_X], tl.float32)
        up_FX = tl.zeros([BLOCK_F, BLOCK_X], tl.float32)
        if expert < E:
            gate_FC = gate_up + (expert * (2 * F) + f)[:, None] * (groups * 64) + c[None]
            up_FC = gate_FC + F * groups * 64
            gate_scales = gate_up_scales + (expert * (2 * F) + f) * groups
            up_scales = gate_scales + F * groups
            gate_scale_F, up_scale_F = tl.load(gate_scales, mask=f < F, other=0.0), tl.load(up_scales, mask=f < F, other=0.0)
            for g in range(groups):
                d_C1 = (g * 128 + c)[:, None]
                low_CX = tl.load(x_1X + d_C1, mask=is_pair_1X & (d_C1 < D), other=0.0)
                high_CX = tl.load(x_1X + d_C1 + 64, mask=is_pair_1X & (d_C1 + 64 < D), other=0.0)
                gate_low_FC, gate_high_FC = halves(tl.load(gate_FC + g * 64, mask=is_row_F1, other=0), x.dtype.element_ty)
                up_low_FC, up_high_FC = halves(tl.load(up_FC + g * 64, mask=is_row_F1, other=0), x.dtype.element_ty)
                is_next_F = (f < F) & (g + 1 < groups)
                next_gate_F = tl.load(gate_scales + g + 1, mask=is_next_F, other=0.0)
                next_up_F = tl.load(up_scales + g + 1, mask=is_next_F, other=0.0)
                gate_FX += tl.dot(gate_high_FC, high_CX, tl.dot(gate_low_FC, low_CX)) * gate_scale_F.to(tl.float32)[:, None]
                up_FX += tl.dot(up_high_FC, high_CX, tl.dot(up_low_FC, low_CX)) * up_scale_F.to(tl.float32)[:, None]
                gate_scale_F, up_scale_F = next_gate_F, next_up_F
        else:
            if SHARED > 0:
                row = (expert - E) * F + f
                for start in range(0, D, 128):
                    d = start + tl.arange(0, 128)
                    place_FD, is_there_FD = row[:, None] * D + d[None], is_row_F1 & (d < D)[None]
                    x_DX = tl.load(x_1X + d[:, None], mask=is_pair_1X & (d < D)[:, None], other=0.0)
                    gate_FX = tl.dot(tl.load(shared_gate + place_FD, mask=is_there_FD, other=0.0).to(x_DX.dtype), x_DX, gate_FX)
                    up_FX = tl.dot(tl.load(shared_up + place_FD, mask=is_there_FD, other=0.0).to(x_DX.dtype), x_DX, up_FX)
                gate_FX *= tl.load(shared_gate_scales + row, mask=f < F, other=0.0)[:, None]
                up_FX *= tl.load(shared_up_scales + row, mask=f < F, other=0.0)[:, None]
        inner_FX = gate_FX * tl.sigmoid(gate_FX) * up_FX
        pair_X = token_X * (TOP_K + SHARED) + k_X
        tl.store(inner + (pair_X * F)[None] + f[:, None], inner_FX.to(inner.dtype.element_ty), mask=is_row_F1 & is_pair_1X)


@jit(varying=("num_tokens",))
def _down_kernel(
    inner,
    down,
    down_scales,
    shared_down,
    shared_down_scales,
    pairs,
    counts,
    indices,
    y,
    num_tokens,
    D,
    F,
    E,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    LISTED: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_P: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_D output values of every pair of one expert, not weighted yet."""
    begin(OVERLAPS)
    expert, groups, c = tl.program_id(1).to(tl.int64), tl.cdiv(F, 128), tl.arange(0, 64)
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    is_row_D1 = (d < D)[:, None]
    for first in range(0, num_places(counts, indices, expert, num_tokens, E, TOP_K, BLOCK_P, LISTED), BLOCK_X):
        token_X, k_X, is_pair_X = members_of(pairs, counts, indices, expert, first, num_tokens, E, TOP_K, BLOCK_X, LISTED)
        pair_X = token_X * (TOP_K + SHARED) + k_X
        inner_1X, is_pair_1X = inner + (pair_X * F)[None], is_pair_X[None]
        y_DX = tl.zeros([BLOCK_D, BLOCK_X], tl.float32)
        if expert < E:
            rows_DC = down + (expert * D + d)[:, None] * (groups * 64) + c[None]
            scales = down_scales + (expert * D + d) * groups
            scale_D = tl.load(scales, mask=d < D, other=0.0)
            for g in range(groups):
                f_C1 = (g * 128 + c)[:, None]
                low_CX = tl.load(inner_1X + f_C1, mask=is_pair_1X & (f_C1 < F), other=0.0)
                high_CX = tl.load(inner_1X + f_C1 + 64, mask=is_pair_1X & (f_C1 + 64 < F), other=0.0)
                down_low_DC, down_high_DC = halves(tl.load(rows_DC + g * 64, mask=is_row_D1, other=0), inner.dtype.element_ty)
                next_D = tl.load(scales + g + 1, mask=(d < D) & (g + 1 < groups), other=0.0)
                y_DX += tl.dot(down_high_DC, high_CX, tl.dot(down_low_DC, low_CX)) * scale_D.to(tl.float32)[:, None]
                scale_D = next_D
        else:
            if SHARED > 0:
                row = d[:, None] * (SHARED * F) + (expert - E) * F
                for start in range(0, F, 128):
                    f = start + tl.arange(0, 128)
                    inner_FX = tl.load(inner_1X + f[:, None], mask=is_pair_1X & (f < F)[:, None], other=0.0)
                    down_DF = tl.load(shared_down + row + f[None], mask=is_row_D1 & (f < F)[None], other=0.0)
                    y_DX = tl.dot(down_DF.to(inner_FX.dtype), inner_FX, y_DX)
                y_DX *= tl.load(shared_down_scales + d, mask=d < D, other=0.0)[:, None]
        tl.store(y + (pair_X * D)[None] + d[:, None], y_DX.to(y.dtype.element_ty), mask=is_row_D1 & is_pair_1X)


def by_vectors(
    x_TD: torch.Tensor,
    gate_up_EGD: Packed,
    down_EDF: Packed,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    *,
    shared: Shared | None = None,
    residual_TD: torch.Tensor | None = None,
    gate_up_launch: Launch = PACKED_GATE_UP,
    down_launch: Launch = PACKED_DOWN,
) -> torch.Tensor:
    """`expert_vectors.by_vectors`."""
    (num_tokens, top_k), width, inner = indices_TK.shape, gate_up_EGD.width, down_EDF.width
    values, scales, num_shared = shared_parts(shared, inner)
    inner_XF = x_TD.new_empty(num_tokens * (top_k + num_shared), inner)
    out_TD = x_TD.new_empty(num_tokens, width)
    a, b = gate_up_launch, down_launch
    common = {"TOP_K": top_k, "SHARED": num_shared} | overlap(x_TD.device)
    options = {"BLOCK_F": a.rows, "BLOCK_G": _groups_at_once(a, width), "num_warps": a.num_warps} | common
    weights = (*gate_up_EGD[:2], *values[:2], *scales[:2])
    grid = -(-inner // a.rows), inner_XF.shape[0]
    _gate_up_vector_kernel[grid](x_TD, *weights, indices_TK, inner_XF, x_TD.stride(0), width, inner, **options)
    options = {"BLOCK_D": b.rows, "BLOCK_G": _groups_at_once(b, inner), "num_warps": b.num_warps} | common
    options["HAS_RESIDUAL"] = residual_TD is not None
    weights = (*down_EDF[:2], values[2], scales[2])
    grid = -(-width // b.rows), num_tokens
    _down_vector_kernel[grid](inner_XF, *weights, indices_TK, weights_TK, residual_TD, out_TD, width, inner, **options)
    return out_TD


def _groups_at_once(launch: Launch, width: int) -> int:
    return min(launch.width // GROUP, next_power_of_2(-(-width // GROUP)))


def by_tiles(
    x_TD: torch.Tensor,
    gate_up_EGD: Packed,
    down_EDF: Packed,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    *,
    launches: tuple[Launch, Launch] | None = None,
    shared: Shared | None = None,
    beside_TD: torch.Tensor | None = None,
    residual_TD: torch.Tensor | None = None,
    lists: bool | None = None,
) -> torch.Tensor:
    """`expert_tiles.by_tiles`, a group of columns at a time."""
    (num_tokens, top_k), width, inner, experts = indices_TK.shape, gate_up_EGD.width, down_EDF.width, down_EDF.values.shape[0]
    values, scales, num_shared = shared_parts(shared, inner)
    a, b = launches or (packed_tile(num_tokens),) * 2
    lists = num_tokens > a.pairs if lists is None else lists
    pairs_EX, counts_E = list_by_expert(indices_TK, experts) if lists else (None, None)
    rows = num_tokens * (top_k + num_shared)
    inner_XF, y_XD = x_TD.new_empty(rows, inner), x_TD.new_empty(rows, width)
    options = {"TOP_K": top_k, "SHARED": num_shared, "LISTED": lists, "BLOCK_X": a.pairs} | overlap(x_TD.device)
    options["BLOCK_P"] = 1 if lists else next_power_of_2(max(num_tokens, a.pairs) * top_k)  # one kernel for all that fit into a tile
    who, sizes = (pairs_EX, counts_E, indices_TK), (num_tokens, width, inner, experts)
    weights = (*gate_up_EGD[:2], *values[:2], *scales[:2])
    cut = {"BLOCK_F": a.rows, "num_warps": a.num_warps, "num_stages": a.num_stages}
    _gate_up_kernel[-(-inner // a.rows), experts + num_shared](x_TD, *weights, *who, inner_XF, x_TD.stride(0), *sizes, **cut, **options)
    weights = (*down_EDF[:2], values[2], scales[2])
    cut = {"BLOCK_D": b.rows, "num_warps": b.num_warps, "num_stages": b.num_stages}
    _down_kernel[-(-width // b.rows), experts + num_shared](inner_XF, *weights, *who, y_XD, *sizes, **cut, **options)
    return weighted_sum(y_XD, None, weights_TK, num_shared, beside_TD, residual_TD)
