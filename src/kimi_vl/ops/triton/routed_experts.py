"""Routed experts as Triton kernels: few tokens are limited by reading weights, which is done once per chosen expert; prompts by arithmetic.

Letters: T tokens, D decoder width, E experts, K experts per token, F inner width of one expert, X pairs (token, one of its experts), T x K.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from kimi_vl.ops.experts import Shared, has_grouped_mm
from kimi_vl.ops.quantised import DTYPES, Quantised, Weight, dequantised, parts
from kimi_vl.ops.triton import fp8
from kimi_vl.ops.triton.gated_mlp import ROW_BLOCK, gated_mlp
from kimi_vl.ops.triton.grouping import group_by_expert, list_by_expert, spread_rows
from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.operators import operator
from kimi_vl.ops.triton.swiglu_products import grouped_swiglu

# Up to here every pair reads its expert's weights by itself, as vectors.
VECTOR_TOKENS = 1
# Up to here tiles of tensor cores, behind it torch's grouped product: at 512 tokens an expert has 48 rows, less than one tile of 64.
TILE_TOKENS = 512
# Up to here the shared experts are read along with the routed ones; behind it their tiles would be read more than once.
TOGETHER_TOKENS = 32


@dataclass(frozen=True)
class Launch:
    """How a product with the experts' weights is cut. `rows` are rows of weights, the tall side of every product, `width` how much of
    each is read at once, `pairs` the short side: the pairs that an expert takes at once."""

    rows: int
    width: int
    pairs: int = 1
    num_warps: int = 4
    num_stages: int = 4


# 4 gate and 4 up rows of 2,048 to a program: plain vector products so cut read 2.72 TB/s on an H100.
VECTOR_GATE_UP = Launch(rows=4, width=2048)
VECTOR_DOWN = Launch(rows=1, width=2048)  # 8 experts one after another: short programs leave no SM waiting for the last


def tile(num_tokens: int) -> Launch:
    """Pairs at once with room to spare over an expert's mean share, 6/64 of the tokens at the official size; more are taken in turns, which
    reads the weights again."""
    pairs = 16 if num_tokens <= 16 else 32 if num_tokens <= 192 else 64
    return Launch(rows=64, width=128, pairs=pairs)


def fp8_tiles(num_tokens: int) -> tuple[Launch, Launch]:
    """The same for gate and up, and for down, of weights in fp8. Down goes on by as much of a row as gate and up have rows, for which there
    is one scale: steps of 4 KB, and more of them under way."""
    pairs = tile(num_tokens).pairs
    return Launch(rows=64, width=128, pairs=pairs), Launch(rows=64, width=64, pairs=pairs, num_stages=6)


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
    """One program: BLOCK_F inner values of one pair, silu(gate) · up. A token's pairs are its chosen experts, then the shared ones."""
    begin(OVERLAPS)
    pair = tl.program_id(1)
    t, k = (pair // (TOP_K + SHARED)).to(tl.int64), pair % (TOP_K + SHARED)
    expert = tl.load(indices + t * TOP_K + k, mask=k < TOP_K, other=0)
    gate = gate_up + expert * (2 * D * F)
    up = gate + D * F
    if SHARED > 0:
        if k >= TOP_K:
            gate = shared_gate + (k - TOP_K).to(tl.int64) * F * D
            up = shared_up + (k - TOP_K).to(tl.int64) * F * D
    f = tl.program_id(0) * BLOCK_F + tl.arange(0, BLOCK_F)
    gate_F, up_F = tl.zeros([BLOCK_F], tl.float32), tl.zeros([BLOCK_F], tl.float32)
    for start in range(0, D, BLOCK_D):
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
    tl.store(inner + pair.to(tl.int64) * F + f, inner_F.to(inner.dtype.element_ty), mask=f < F)


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
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_D values of one token's output, its experts weighted and summed in the order of its pairs."""
    begin(OVERLAPS)
    t = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    sum_D = tl.zeros([BLOCK_D], tl.float32)
    for k in tl.static_range(TOP_K + SHARED):
        if k < TOP_K:
            expert = tl.load(indices + t * TOP_K + k)
            row = down + expert * (D * F) + d[:, None] * F
            weight_D = tl.load(weights + t * TOP_K + k) + tl.zeros([BLOCK_D], tl.float32)
            if HAS_SCALES:
                weight_D *= tl.load(down_scales + expert * D + d, mask=d < D, other=0.0)
        else:
            row = shared_down + d[:, None] * (SHARED * F) + (k - TOP_K) * F
            weight_D = tl.full([BLOCK_D], 1.0, tl.float32)
            if HAS_SCALES:
                weight_D *= tl.load(shared_down_scales + d, mask=d < D, other=0.0)
        for start in range(0, F, BLOCK_F):
            f = start + tl.arange(0, BLOCK_F)
            down_DF = tl.load(row + f[None], mask=(d < D)[:, None] & (f < F)[None], other=0.0)
            inner_F = tl.load(inner + (t * (TOP_K + SHARED) + k) * F + f, mask=f < F, other=0.0).to(tl.float32)
            sum_D += weight_D * tl.sum(down_DF.to(tl.float32) * inner_F[None], 1)
    if HAS_RESIDUAL:
        sum_D += tl.load(residual + t * D + d, mask=d < D, other=0.0).to(tl.float32)
    tl.store(out + t * D + d, sum_D.to(out.dtype.element_ty), mask=d < D)


@jit
def _members(members, counts, indices, expert, first, num_tokens, E, TOP_K: tl.constexpr, BLOCK_X: tl.constexpr, LISTED: tl.constexpr):
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
def _num_places(counts, indices, expert, num_tokens, E, TOP_K: tl.constexpr, BLOCK_P: tl.constexpr, LISTED: tl.constexpr):
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
    for first in range(0, _num_places(counts, indices, expert, num_tokens, E, TOP_K, BLOCK_P, LISTED), BLOCK_X):
        token_X, k_X, is_pair_X = _members(members, counts, indices, expert, first, num_tokens, E, TOP_K, BLOCK_X, LISTED)
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
    for first in range(0, _num_places(counts, indices, expert, num_tokens, E, TOP_K, BLOCK_P, LISTED), BLOCK_X):
        token_X, k_X, is_pair_X = _members(members, counts, indices, expert, first, num_tokens, E, TOP_K, BLOCK_X, LISTED)
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


@jit
def _sum_kernel(
    y,
    places,
    weights,
    beside,
    residual,
    out,
    D,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    HAS_BESIDE: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    BLOCK_D: tl.constexpr,
    IS_SORTED: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_D values of one token's output, the rows of its pairs weighted and summed; sorted rows lie at `places`."""
    begin(OVERLAPS)
    t = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    sum_D = tl.zeros([BLOCK_D], tl.float32)
    for k in tl.static_range(TOP_K + SHARED):
        row = tl.load(places + t * TOP_K + k).to(tl.int64) if IS_SORTED else t * (TOP_K + SHARED) + k
        y_D = tl.load(y + row * D + d, mask=d < D, other=0.0).to(tl.float32)
        sum_D += tl.load(weights + t * TOP_K + k) * y_D if k < TOP_K else y_D
    if HAS_BESIDE:
        sum_D += tl.load(beside + t * D + d, mask=d < D, other=0.0).to(tl.float32)
    if HAS_RESIDUAL:
        sum_D += tl.load(residual + t * D + d, mask=d < D, other=0.0).to(tl.float32)
    tl.store(out + t * D + d, sum_D.to(out.dtype.element_ty), mask=d < D)


def routed_experts_triton(
    x_TD: torch.Tensor, gate_up_EGD: Weight, down_EDF: Weight, indices_TK: torch.Tensor, weights_TK: torch.Tensor
) -> torch.Tensor:
    """`routed_experts` in two to six kernels. Contract of the loop, but nothing asks the host; the weights are contiguous.

    Which way it is computed follows from the number of tokens alone (`VECTOR_TOKENS`, `TILE_TOKENS`). Sums run in the order of a token's
    experts, so results do not change from run to run, nor with the tokens beside it while the way and its tiles stay the same.
    """
    return mixture_triton(x_TD, None, gate_up_EGD, down_EDF, indices_TK, weights_TK, None)


def mixture_triton(
    x_TD: torch.Tensor,
    residual_TD: torch.Tensor | None,
    gate_up_EGD: Weight,
    down_EDF: Weight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    shared: Shared | None,
    *,
    routed_experts: object = None,
) -> torch.Tensor:
    """`mixture` as the above, which adds shared experts and residual to its sum: in fp32, rounded once. `routed_experts` is not called.
    Weights are quantised all or none."""
    given = [parts(weight) for weight in (gate_up_EGD, down_EDF, *(shared or ()))]
    scales = [scales for _, scales in given if scales is not None]
    return _mixture(x_TD, residual_TD, [values for values, _ in given], scales, indices_TK, weights_TK)


# An operator to torch: a compiler need not look inside, and a backward pass through it is an error instead of a missing gradient.
@operator("kimi_vl::mixture(Tensor x, Tensor? residual, Tensor[] values, Tensor[] scales, Tensor indices, Tensor weights) -> Tensor")
def _mixture(
    x_TD: torch.Tensor,
    residual_TD: torch.Tensor | None,
    values: list[torch.Tensor],
    scales: list[torch.Tensor],
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
) -> torch.Tensor:
    gate_up_EGD, down_EDF, *others = [Quantised(*pair) for pair in zip(values, scales, strict=True)] if scales else values
    x_TD = x_TD if x_TD.stride(-1) == 1 else x_TD.contiguous()
    residual_TD = None if residual_TD is None else residual_TD.contiguous()
    shared = (others[0], others[1], others[2]) if others else None
    return mixture(x_TD, residual_TD, gate_up_EGD, down_EDF, indices_TK.contiguous(), weights_TK.contiguous(), shared)


@_mixture.register_fake
def _(x_TD, residual_TD, values, scales, indices_TK, weights_TK):
    return torch.empty_like(x_TD, memory_format=torch.contiguous_format)


def mixture(
    x_TD: torch.Tensor,
    residual_TD: torch.Tensor | None,
    gate_up_EGD: Weight,
    down_EDF: Weight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    shared: Shared | None,
) -> torch.Tensor:
    """The same for callers that want no operator; everything is contiguous, but for the rows of x."""
    num_tokens, arguments, beside_TD = x_TD.shape[0], (x_TD, gate_up_EGD, down_EDF, indices_TK, weights_TK), None
    if not num_tokens:
        return torch.empty_like(x_TD)
    with torch.cuda.device_of(x_TD):  # Triton launches on the current GPU, wherever the tensors are
        if shared is not None and num_tokens > TOGETHER_TOKENS:
            # Added below: torch.addmm would copy the residual first.
            beside_TD, shared = gated_mlp(x_TD, *shared), None
        if num_tokens <= VECTOR_TOKENS:
            return by_vectors(*arguments, shared=shared, residual_TD=residual_TD)
        if num_tokens <= TILE_TOKENS or not has_grouped_mm(x_TD.device, x_TD.dtype):
            return by_tiles(*arguments, shared=shared, beside_TD=beside_TD, residual_TD=residual_TD)
        return by_groups(*arguments, beside_TD=beside_TD, residual_TD=residual_TD)


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
    down_launch: Launch = VECTOR_DOWN,
) -> torch.Tensor:
    """Every pair reads its expert by itself; two kernels."""
    (gate_up, gate_up_scales), (down, down_scales) = parts(gate_up_EGD), parts(down_EDF)
    (num_tokens, top_k), (_, width, inner) = indices_TK.shape, down.shape
    values, scales, num_shared = _shared(shared, inner)
    inner_XF = x_TD.new_empty(num_tokens * (top_k + num_shared), inner)
    out_TD = x_TD.new_empty(num_tokens, width)
    a, b = gate_up_launch, down_launch
    common = {"TOP_K": top_k, "SHARED": num_shared, "HAS_SCALES": gate_up_scales is not None} | overlap(x_TD.device)
    options = {"BLOCK_F": a.rows, "BLOCK_D": min(a.width, next_power_of_2(width)), "num_warps": a.num_warps} | common
    grid = -(-inner // a.rows), inner_XF.shape[0]
    weights = (gate_up, *values[:2], gate_up_scales, *scales[:2])
    _gate_up_vector_kernel[grid](x_TD, *weights, indices_TK, inner_XF, x_TD.stride(0), width, inner, **options)
    options = {"BLOCK_D": b.rows, "BLOCK_F": min(b.width, next_power_of_2(inner)), "num_warps": b.num_warps} | common
    options["HAS_RESIDUAL"] = residual_TD is not None
    grid = -(-width // b.rows), num_tokens
    weights = (down, values[2], down_scales, scales[2])
    _down_vector_kernel[grid](inner_XF, *weights, indices_TK, weights_TK, residual_TD, out_TD, width, inner, **options)
    return out_TD


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
    lists: bool | None = None,
) -> torch.Tensor:
    """Every expert reads its weights once, for the pairs that chose it; three kernels, and one that lists the pairs of each expert unless
    one tile holds all tokens (`lists` None). Beside weights in fp8 tokens are rounded too, by one kernel, and inner values by the first
    product, with a scale for each `rows` of its launch."""
    (gate_up, gate_up_scales), (down, down_scales) = parts(gate_up_EGD), parts(down_EDF)
    (experts, width, inner), (num_tokens, top_k) = down.shape, indices_TK.shape
    values, scales, num_shared = _shared(shared, inner)
    is_rounded = gate_up.dtype == DTYPES["fp8"]
    a, b = launches or (fp8_tiles(num_tokens) if is_rounded else (tile(num_tokens),) * 2)
    lists = num_tokens > a.pairs if lists is None else lists
    members_EX = counts_E = None
    if lists:
        members_EX, counts_E = list_by_expert(indices_TK, experts)
    tokens_TD, token_scales_T = fp8.rounded(x_TD) if is_rounded else (x_TD, None)
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
    return _weighted_sum(y_XD, None, weights_TK, num_shared, beside_TD, residual_TD)


def by_groups(
    x_TD: torch.Tensor,
    gate_up_EGD: Weight,
    down_EDF: Weight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    *,
    beside_TD: torch.Tensor | None = None,
    residual_TD: torch.Tensor | None = None,
) -> torch.Tensor:
    """Pairs grouped by expert: gate, up and SwiGLU in one kernel, down by torch's grouped product.

    Beside weights in fp8 tokens are rounded before they are spread, and inner values as they come. What else is quantised is written out
    once for all tokens, which on an H100 takes 4 ms a layer at the official sizes.
    """
    if quantised := fp8.taken(x_TD, gate_up_EGD, down_EDF):
        y_XD, places_X = _by_fp8_groups(x_TD, indices_TK, *quantised)
        return _weighted_sum(y_XD, places_X, weights_TK, 0, beside_TD, residual_TD)
    gate_up_EGD, down_EDF = dequantised(gate_up_EGD, x_TD.dtype), dequantised(down_EDF, x_TD.dtype)
    places_X, tokens_X, ends_E = group_by_expert(indices_TK, gate_up_EGD.shape[0])
    y_XD = F.grouped_mm(grouped_swiglu(x_TD, tokens_X, gate_up_EGD, ends_E), down_EDF.mT, offs=ends_E)
    return _weighted_sum(y_XD, places_X, weights_TK, 0, beside_TD, residual_TD)


def _by_fp8_groups(
    x_TD: torch.Tensor, indices_TK: torch.Tensor, gate_up_EGD: Quantised, down_EDF: Quantised
) -> tuple[torch.Tensor, torch.Tensor]:
    """The outputs of all pairs, grouped by expert, and where each lies."""
    places_X, _, ends_E = group_by_expert(indices_TK, gate_up_EGD.values.shape[0])
    x = _spread_rounded(x_TD, places_X)
    gate_up_XG = fp8.grouped(x, gate_up_EGD, ends_E)
    del x  # gigabytes, for a long prompt
    inner = fp8.rounded_swiglu(*gate_up_XG.chunk(2, dim=-1))
    del gate_up_XG
    return fp8.grouped(inner, down_EDF, ends_E), places_X


def _spread_rounded(x_TD: torch.Tensor, places_X: torch.Tensor) -> Quantised:
    """Every token rounded, at the places of its pairs."""
    tokens_TD, scales_T = fp8.rounded(x_TD)
    return Quantised(spread_rows(tokens_TD, places_X), spread_rows(scales_T[:, None], places_X).flatten())


def _shared(shared: Shared | None, inner: int) -> tuple[list[torch.Tensor | None], list[torch.Tensor | None], int]:
    """Values and scales of the shared experts' gate, up and down, and how many experts of the routed ones' width they are."""
    if shared is None:
        return [None] * 3, [None] * 3, 0
    given = [parts(weight) for weight in shared]
    rows = given[0][0].shape[0]
    assert rows % inner == 0, f"shared experts of {rows} inner values are no whole number of {inner}"
    return [values for values, _ in given], [scales for _, scales in given], rows // inner


def _weighted_sum(
    y_XD: torch.Tensor,
    places_X: torch.Tensor | None,
    weights_TK: torch.Tensor,
    num_shared: int,
    beside_TD: torch.Tensor | None,
    residual_TD: torch.Tensor | None,
) -> torch.Tensor:
    """The rows of each token's pairs times their weights, and what is to be added, summed in fp32 and rounded once; sorted rows lie at
    `places`."""
    (num_tokens, top_k), width = weights_TK.shape, y_XD.shape[1]
    out_TD = y_XD.new_empty(num_tokens, width)
    options = {"TOP_K": top_k, "SHARED": num_shared, "BLOCK_D": ROW_BLOCK, "IS_SORTED": places_X is not None}
    options |= {"HAS_BESIDE": beside_TD is not None, "HAS_RESIDUAL": residual_TD is not None} | overlap(y_XD.device)
    _sum_kernel[num_tokens, -(-width // ROW_BLOCK)](y_XD, places_X, weights_TK, beside_TD, residual_TD, out_TD, width, **options)
    return out_TD
