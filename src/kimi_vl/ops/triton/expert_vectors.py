"""Routed experts for one token, as Triton kernels: every pair reads its expert's rows by itself.

Letters: T tokens, D decoder width, E experts, K experts per token, F inner width of one expert, X pairs (token, one of its experts), T x K.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.experts import Shared
from kimi_vl.ops.quantised import Weight, parts
from kimi_vl.ops.triton.expert_launches import BYTE_VECTOR_DOWN, VECTOR_DOWN, VECTOR_GATE_UP, Launch
from kimi_vl.ops.triton.expert_sums import shared_parts
from kimi_vl.ops.triton.language import begin, begin_behind, jit, next_power_of_2, overlap, tl


@jit
def _gate_up_vector_kernel(
    x,
    gate_up,
    shared_gate,
    shared_up,
    gate_up_scales,
    shared_gate_scales,
    shared_up_scales,
    indices,
    inner,
    x_stride,
    D,
    F,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    HAS_SCALES: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_D: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_F inner values of one pair, silu(gate) · up. A token's pairs are its chosen experts, then the shared ones, which
    come first here: what they read is known before anything is chosen."""
    place = tl.program_id(1) % (TOP_K + SHARED)
    t, k = (tl.program_id(1) // (TOP_K + SHARED)).to(tl.int64), tl.where(place < SHARED, place + TOP_K, place - SHARED)
    gate, up, expert = gate_up, gate_up, k.to(tl.int64) * 0
    if k < TOP_K:
        begin_behind(OVERLAPS)
        expert = tl.load(indices + t * TOP_K + k)
        gate, up = gate_up + expert * (2 * D * F), gate_up + expert * (2 * D * F) + D * F
    elif SHARED > 0:
        gate, up = shared_gate + (k - TOP_K).to(tl.int64) * F * D, shared_up + (k - TOP_K).to(tl.int64) * F * D
    f, d = tl.program_id(0) * BLOCK_F + tl.arange(0, BLOCK_F), tl.arange(0, BLOCK_D)
    mask = (f < F)[:, None] & (d < D)[None]
    gate_FD = tl.load(gate + f[:, None] * D + d[None], mask=mask, other=0.0)
    up_FD = tl.load(up + f[:, None] * D + d[None], mask=mask, other=0.0)
    if k >= TOP_K:
        begin_behind(OVERLAPS)
    x_D = tl.load(x + t * x_stride + d, mask=d < D, other=0.0).to(tl.float32)
    gate_F = tl.sum(gate_FD.to(tl.float32) * x_D[None], 1)
    up_F = tl.sum(up_FD.to(tl.float32) * x_D[None], 1)
    for start in range(BLOCK_D, D, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        mask = (f < F)[:, None] & (d < D)[None]
        gate_FD = tl.load(gate + f[:, None] * D + d[None], mask=mask, other=0.0)
        up_FD = tl.load(up + f[:, None] * D + d[None], mask=mask, other=0.0)
        x_D = tl.load(x + t * x_stride + d, mask=d < D, other=0.0).to(tl.float32)
        gate_F += tl.sum(gate_FD.to(tl.float32) * x_D[None], 1)
        up_F += tl.sum(up_FD.to(tl.float32) * x_D[None], 1)
    if HAS_SCALES:
        gate_scales = gate_up_scales + expert * (2 * F)
        up_scales = gate_scales + F
        if SHARED > 0:
            if k >= TOP_K:
                gate_scales = shared_gate_scales + (k - TOP_K).to(tl.int64) * F
                up_scales = shared_up_scales + (k - TOP_K).to(tl.int64) * F
        gate_F *= tl.load(gate_scales + f, mask=f < F, other=0.0)
        up_F *= tl.load(up_scales + f, mask=f < F, other=0.0)
    inner_F = gate_F * tl.sigmoid(gate_F) * up_F
    tl.store(inner + (t * (TOP_K + SHARED) + k) * F + f, inner_F.to(inner.dtype.element_ty), mask=f < F)


@jit
def _down_vector_kernel(
    inner,
    down,
    shared_down,
    down_scales,
    shared_down_scales,
    indices,
    weights,
    residual,
    out,
    D,
    F,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    HAS_SCALES: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_F: tl.constexpr,
    IS_WHOLE: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_D values of one token's output, its experts weighted and summed in the order of its pairs. The rows of the next
    expert are under way while one is summed, and those of the first before there are inner values."""
    t = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    f, mine, pairs = tl.arange(0, BLOCK_F), indices + t * TOP_K, TOP_K + SHARED
    expert, next_expert = _chosen(mine, 0, TOP_K), _chosen(mine, 1, TOP_K)
    row = _down_row(down, shared_down, expert, d, D, F, 0, TOP_K, SHARED)
    down_DF = tl.load(row + f[None], mask=(d < D)[:, None] & (f < F)[None], other=0.0)
    begin(OVERLAPS)
    inner_F = tl.load(inner + t * pairs * F + f, mask=f < F, other=0.0)
    sum_D = tl.zeros([BLOCK_D], tl.float32)
    if HAS_RESIDUAL:
        residual_D = tl.load(residual + t * D + d, mask=d < D, other=0.0)
    for k in tl.static_range(TOP_K + SHARED):
        next_row, next_down_DF, next_inner_F = row, down_DF, inner_F
        if k + 1 < TOP_K + SHARED:
            next_row = _down_row(down, shared_down, next_expert, d, D, F, k + 1, TOP_K, SHARED)
            next_down_DF = tl.load(next_row + f[None], mask=(d < D)[:, None] & (f < F)[None], other=0.0)
            next_inner_F = tl.load(inner + (t * pairs + k + 1) * F + f, mask=f < F, other=0.0)
        weight_D = tl.full([BLOCK_D], 1.0, tl.float32)
        if k < TOP_K:
            weight_D *= tl.load(weights + t * TOP_K + k)
            if HAS_SCALES:
                weight_D *= tl.load(down_scales + expert * D + d, mask=d < D, other=0.0)
        elif HAS_SCALES:
            weight_D *= tl.load(shared_down_scales + d, mask=d < D, other=0.0)
        expert, next_expert = next_expert, _chosen(mine, k + 2, TOP_K)
        sum_D += weight_D * tl.sum(down_DF.to(tl.float32) * inner_F.to(tl.float32)[None], 1)
        if not IS_WHOLE:
            for start in range(BLOCK_F, F, BLOCK_F):
                g = start + f
                more_DF = tl.load(row + g[None], mask=(d < D)[:, None] & (g < F)[None], other=0.0)
                more_F = tl.load(inner + (t * pairs + k) * F + g, mask=g < F, other=0.0)
                sum_D += weight_D * tl.sum(more_DF.to(tl.float32) * more_F.to(tl.float32)[None], 1)
        row, down_DF, inner_F = next_row, next_down_DF, next_inner_F
    if HAS_RESIDUAL:
        sum_D += residual_D.to(tl.float32)
    tl.store(out + t * D + d, sum_D.to(out.dtype.element_ty), mask=d < D)


@jit
def _chosen(indices, k: tl.constexpr, TOP_K: tl.constexpr):
    """A token's k-th expert, or 0 behind the last. Read past the first cache, where the choice of a layer before may still be: who asks has
    not waited yet, but knows that the kernel which chose is over."""
    return tl.load(indices + k, cache_modifier=".cg") if k < TOP_K else tl.cast(0, tl.int64)


@jit
def _down_row(down, shared_down, expert, d, D, F, k: tl.constexpr, TOP_K: tl.constexpr, SHARED: tl.constexpr):
    """Where the rows d of a token's k-th pair begin."""
    return down + expert * (D * F) + d[:, None] * F if k < TOP_K else shared_down + d[:, None] * (SHARED * F) + (k - TOP_K) * F


def by_vectors(
    x_TD: torch.Tensor,
    gate_up_EGD: Weight,
    down_EDF: Weight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    *,
    shared: Shared | None = None,
    residual_TD: torch.Tensor | None = None,
    gate_up_launch: Launch = VECTOR_GATE_UP,
    down_launch: Launch | None = None,
) -> torch.Tensor:
    """Every pair reads its expert by itself; two kernels."""
    (gate_up, gate_up_scales), (down, down_scales) = parts(gate_up_EGD), parts(down_EDF)
    (num_tokens, top_k), (_, width, inner) = indices_TK.shape, down.shape
    values, scales, num_shared = shared_parts(shared, inner)
    inner_XF = x_TD.new_empty(num_tokens * (top_k + num_shared), inner)
    out_TD = x_TD.new_empty(num_tokens, width)
    a, b = gate_up_launch, down_launch or (VECTOR_DOWN if down_scales is None else BYTE_VECTOR_DOWN)
    common = {"TOP_K": top_k, "SHARED": num_shared, "HAS_SCALES": gate_up_scales is not None} | overlap(x_TD.device)
    options = {"BLOCK_F": a.rows, "BLOCK_D": min(a.width, next_power_of_2(width)), "num_warps": a.num_warps} | common
    grid = -(-inner // a.rows), inner_XF.shape[0]
    weights = (gate_up, *values[:2], gate_up_scales, *scales[:2])
    _gate_up_vector_kernel[grid](x_TD, *weights, indices_TK, inner_XF, x_TD.stride(0), width, inner, **options)
    options = {"BLOCK_D": b.rows, "BLOCK_F": min(b.width, next_power_of_2(inner)), "num_warps": b.num_warps} | common
    options |= {"HAS_RESIDUAL": residual_TD is not None, "IS_WHOLE": options["BLOCK_F"] >= inner}
    grid = -(-width // b.rows), num_tokens
    weights = (down, values[2], down_scales, scales[2])
    _down_vector_kernel[grid](inner_XF, *weights, indices_TK, weights_TK, residual_TD, out_TD, width, inner, **options)
    return out_TD
