"""Products of a few tokens with a matrix, as Triton kernels: what limits them is reading the matrix once.

A kernel reads its rows of the matrix before the tokens are there (`language.overlap`). What comes before or behind a product is done by it:
by vectors the norm of its input, which every program computes for itself, and the sum with the residual stream.
Letters: T tokens, D input width, R rows of the matrix, H heads, N / R nope and rope widths, V value width, L latent rank, Z = L + R.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.quantised import Quantised, Weight
from kimi_vl.ops.triton import paged_latent_attention
from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.latent_rows import turn_and_keep
from kimi_vl.ops.triton.paged_latent_attention import joined_parts
from kimi_vl.ops.triton.rms_norm import normed

LINEAR_TOKENS = 2  # of a product by vectors; from 3 on tensor cores do the same for less
LATENT_TOKENS = 2  # of the maps between queries, latents and values by vectors: for 4 rows a step takes 5 % longer by them
WARP_TOKENS = 16  # of products by tensor cores whose programs hold rows of the matrix whole, each warp a part of the width
WARP_WIDTH = 2048  # of these: 16 rows of it are 64 KB, a quarter of a processor's registers
WARP_ROWS = 16
WARPS = 8  # 16 take 5 % of a step longer
WARP_MOST_ROWS = 32_768
MOST_WIDTH = 4096  # of what a program takes at once, as much as its registers hold
BLOCK_ROWS = 4  # 16 KB of a matrix of 2,048 columns under way in each program; 8 take 2 % longer
BLOCK_BYTE_ROWS = 2  # in eight bits: 3.9 us for 3,648 rows and 2.9 for 2,048; 4 take 4.8 and 3.1
BLOCK_LATENT = 128  # 64 take as long for one row and 0.3 % of a step longer for eight
BLOCK_VALUE = 16
JOIN_WARPS = 4


@jit
def _linear_kernel(
    x,
    norm_weight,
    weight,
    scales,
    residual,
    out,
    eps,
    D,
    R,
    TOKENS: tl.constexpr,
    HAS_SCALES: tl.constexpr,
    HAS_NORM: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_D: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_R values of every token."""
    r, d = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R), tl.arange(0, BLOCK_D)
    weight_RD = tl.load(weight + r.to(tl.int64)[:, None] * D + d[None], mask=(r < R)[:, None] & (d < D)[None], other=0.0)
    if HAS_SCALES:
        scale_R = tl.load(scales + r, mask=r < R, other=0.0)
    if HAS_NORM:
        norm_D = tl.load(norm_weight + d, mask=d < D, other=0.0)
    begin(OVERLAPS)
    for t in tl.static_range(TOKENS):
        x_D = tl.load(x + t * D + d, mask=d < D, other=0.0)
        if HAS_RESIDUAL:
            residual_R = tl.load(residual + t * R + r, mask=r < R, other=0.0)
        if HAS_NORM:
            x_D = normed(x_D, norm_D, eps, D)
        sum_R = tl.sum(weight_RD.to(tl.float32) * x_D.to(tl.float32)[None], 1)
        if HAS_SCALES:
            sum_R *= scale_R
        if HAS_RESIDUAL:
            sum_R = sum_R.to(x_D.dtype).to(tl.float32) + residual_R.to(tl.float32)
        tl.store(out + t * R + r, sum_R.to(out.dtype.element_ty), mask=r < R)


def linear(
    x_TD: torch.Tensor,
    weight_RD: Weight,
    *,
    norm: tuple[torch.Tensor, float] | None = None,
    residual_TR: torch.Tensor | None = None,
    block_rows: int | None = None,
) -> torch.Tensor:
    """[T, R]: residual + weight · norm(x), for at most `LINEAR_TOKENS` contiguous tokens. `norm` is a weight [D] and an epsilon."""
    values_RD, scales_R = weight_RD if isinstance(weight_RD, Quantised) else (weight_RD, None)
    (tokens, width), rows = x_TD.shape, values_RD.shape[0]
    out_TR = x_TD.new_empty(tokens, rows)
    block_rows = block_rows or (BLOCK_ROWS if scales_R is None else BLOCK_BYTE_ROWS)
    norm_weight, eps = norm or (None, 0.0)
    flags = {"HAS_NORM": norm is not None, "HAS_RESIDUAL": residual_TR is not None, "HAS_SCALES": scales_R is not None}
    options = flags | {"TOKENS": tokens, "BLOCK_R": block_rows, "BLOCK_D": next_power_of_2(width)} | overlap(x_TD.device)
    with torch.cuda.device_of(x_TD):
        _linear_kernel[-(-rows // block_rows),](x_TD, norm_weight, values_RD, scales_R, residual_TR, out_TR, eps, width, rows, **options)
    return out_TR


@jit(varying=("num_tokens",))
def _tile_linear_kernel(
    x,
    weight,
    scales,
    residual,
    out,
    num_tokens,
    D,
    R,
    HAS_RESIDUAL: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_T: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_R values of every token. Rows of weights are the tall side, turned to x's dtype as they are read."""
    begin(OVERLAPS)
    r = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    scale_R = tl.load(scales + r, mask=r < R, other=0.0)
    for first in range(0, num_tokens, BLOCK_T):
        t = first + tl.arange(0, BLOCK_T)
        sum_RT = tl.zeros([BLOCK_R, BLOCK_T], tl.float32)
        for start in range(0, D, BLOCK_D):
            d = start + tl.arange(0, BLOCK_D)
            x_DT = tl.load(x + (t * D)[None] + d[:, None], mask=(d < D)[:, None] & (t < num_tokens)[None], other=0.0)
            weight_RD = tl.load(weight + r.to(tl.int64)[:, None] * D + d[None], mask=(r < R)[:, None] & (d < D)[None], other=0.0)
            sum_RT = tl.dot(weight_RD.to(x_DT.dtype), x_DT, sum_RT)
        sum_RT *= scale_R[:, None]
        place_RT, is_value_RT = t.to(tl.int64)[None] * R + r[:, None], (r < R)[:, None] & (t < num_tokens)[None]
        if HAS_RESIDUAL:
            sum_RT = sum_RT.to(out.dtype.element_ty).to(tl.float32)
            sum_RT += tl.load(residual + place_RT, mask=is_value_RT, other=0.0).to(tl.float32)
        tl.store(out + place_RT, sum_RT.to(out.dtype.element_ty), mask=is_value_RT)


def linear_by_tiles(
    x_TD: torch.Tensor, weight_RD: Quantised, *, residual_TR: torch.Tensor | None = None, block_width: int = 128, num_stages: int = 4
) -> torch.Tensor:
    """[T, R]: residual + weight · x for quantised weights and contiguous tokens, which read the weights once for each 64."""
    (tokens, width), rows = x_TD.shape, weight_RD.values.shape[0]
    out_TR = x_TD.new_empty(tokens, rows)
    # 16 rows make 128 programs of 2,048: one for each processor.
    options = {"BLOCK_R": 16, "BLOCK_D": block_width, "BLOCK_T": min(64, max(16, next_power_of_2(tokens)))} | overlap(x_TD.device)
    options |= {"HAS_RESIDUAL": residual_TR is not None, "num_stages": num_stages}
    with torch.cuda.device_of(x_TD):
        _tile_linear_kernel[-(-rows // 16),](x_TD, weight_RD.values, weight_RD.scales, residual_TR, out_TR, tokens, width, rows, **options)
    return out_TR


@jit(varying=("num_tokens",))
def _warp_linear_kernel(
    x,
    weight,
    scales,
    residual,
    out,
    num_tokens,
    D,
    R,
    HEAD: tl.constexpr,
    STRIDE: tl.constexpr,
    HAS_SCALES: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_T: tl.constexpr,
    PARTS: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_R values of every token. The width is cut into PARTS, one for each warp: a tile of 16 rows is no work for more
    than one. With a HEAD, that many rows belong to a head, lie STRIDE rows behind those of the one before, and see its own part of x."""
    r, d = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R), tl.arange(0, BLOCK_D)
    row_R, x_stride = r, D
    if HEAD > 0:
        row_R, x_stride = r // HEAD * STRIDE + r % HEAD, R // HEAD * D
        x += tl.program_id(0) * BLOCK_R // HEAD * D
    weight_RD = tl.load(weight + row_R.to(tl.int64)[:, None] * D + d[None], mask=(r < R)[:, None] & (d < D)[None], other=0.0)
    if HAS_SCALES:
        scale_R1 = tl.load(scales + r, mask=r < R, other=0.0)[:, None]
    begin(OVERLAPS)
    t = tl.arange(0, BLOCK_T)
    place_RT, is_value_RT = t[None] * R + r[:, None], (r < R)[:, None] & (t < num_tokens)[None]
    if HAS_RESIDUAL:
        residual_RT = tl.load(residual + place_RT, mask=is_value_RT, other=0.0)
    x_TD = tl.load(x + (t * x_stride)[:, None] + d[None], mask=(t < num_tokens)[:, None] & (d < D)[None], other=0.0)
    weight_PRC = tl.permute(tl.reshape(weight_RD.to(x_TD.dtype), [BLOCK_R, PARTS, BLOCK_D // PARTS]), [1, 0, 2])
    x_PCT = tl.permute(tl.reshape(x_TD, [BLOCK_T, PARTS, BLOCK_D // PARTS]), [1, 2, 0])
    sum_RT = tl.sum(tl.dot(weight_PRC, x_PCT, input_precision="ieee"), 0)
    if HAS_SCALES:
        sum_RT *= scale_R1
    if HAS_RESIDUAL:
        sum_RT = sum_RT.to(out.dtype.element_ty).to(tl.float32) + residual_RT.to(tl.float32)
    tl.store(out + place_RT, sum_RT.to(out.dtype.element_ty), mask=is_value_RT)


def by_warps(x_TD: torch.Tensor, weight_RD: Weight) -> bool:
    """Whether `linear_by_warps` is the way. The output matrix has so many rows that nothing is gained by reading some of them early."""
    values_RD = weight_RD.values if isinstance(weight_RD, Quantised) else weight_RD
    return x_TD.shape[0] <= WARP_TOKENS and x_TD.shape[1] <= WARP_WIDTH and values_RD.shape[0] <= WARP_MOST_ROWS


def linear_by_warps(x_TD: torch.Tensor, weight_RD: Weight, *, residual_TR: torch.Tensor | None = None) -> torch.Tensor:
    """[T, R]: residual + weight · x for at most `WARP_TOKENS` contiguous tokens of at most `WARP_WIDTH`, by tensor cores."""
    values_RD, scales_R = weight_RD if isinstance(weight_RD, Quantised) else (weight_RD, None)
    out_TR = x_TD.new_empty(x_TD.shape[0], values_RD.shape[0])
    _launch_warps(x_TD, values_RD, scales_R, out_TR, residual_TR=residual_TR)
    return out_TR


def map_values(attended_THL: torch.Tensor, key_value_up_WL: torch.Tensor, nope: int) -> torch.Tensor:
    """Attended latents, contiguous, mapped to values [T, H V], for at most `WARP_TOKENS` tokens."""
    tokens, heads, _ = attended_THL.shape
    head = key_value_up_WL.shape[0] // heads
    out_TX = attended_THL.new_empty(tokens, heads * (head - nope))
    _launch_warps(attended_THL, key_value_up_WL[nope:], None, out_TX, head=head - nope, stride=head)
    return out_TX


def _launch_warps(
    x_TD: torch.Tensor,
    weight_RD: torch.Tensor,
    scales_R: torch.Tensor | None,
    out_TR: torch.Tensor,
    *,
    residual_TR: torch.Tensor | None = None,
    head: int = 0,
    stride: int = 0,
) -> None:
    (tokens, rows), width = out_TR.shape, weight_RD.shape[1]
    block_width = max(128, next_power_of_2(width))
    parts = min(WARPS, block_width // 64)
    options = {"BLOCK_R": WARP_ROWS, "BLOCK_D": block_width, "BLOCK_T": max(8, next_power_of_2(tokens)), "PARTS": parts, "num_warps": parts}
    options |= {"HAS_SCALES": scales_R is not None, "HAS_RESIDUAL": residual_TR is not None}
    options |= {"HEAD": head, "STRIDE": stride} | overlap(x_TD.device)
    with torch.cuda.device_of(x_TD):
        _warp_linear_kernel[-(-rows // WARP_ROWS),](x_TD, weight_RD, scales_R, residual_TR, out_TR, tokens, width, rows, **options)


@jit(varying=("num_tokens",))
def _latent_query_kernel(
    projected,
    key_value_up,
    norm_weight,
    cos,
    sin,
    slots,
    q_latent,
    q_rope,
    pages,
    eps,
    num_tokens,
    num_heads,
    V,
    TOKENS: tl.constexpr,
    N: tl.constexpr,
    R: tl.constexpr,
    L: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_L: tl.constexpr,
    BLOCK_T: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_L values of one head's query in latent space, for every token: TOKENS by vectors, or up to BLOCK_T by tensor
    cores; the last programs are a token's row each."""
    PARTS: tl.constexpr = L // BLOCK_L
    program = tl.program_id(0)
    stride = num_heads * (N + R) + L + R
    if program < num_heads * PARTS:
        head, n = program // PARTS, tl.arange(0, N)
        latent = program % PARTS * BLOCK_L + tl.arange(0, BLOCK_L)
        key_up_NL = tl.load(key_value_up + (head * (N + V) + n)[:, None] * L + latent[None])
        begin(OVERLAPS)
        if BLOCK_T > 0:
            all_T = tl.arange(0, BLOCK_T)
            is_token_T1 = (all_T < num_tokens)[:, None]
            q_TN = tl.load(projected + (all_T * stride + head * (N + R))[:, None] + n[None], mask=is_token_T1, other=0.0)
            q_TL = tl.dot(q_TN, key_up_NL, input_precision="ieee")
            place_TL = ((all_T * num_heads + head) * L)[:, None] + latent[None]
            tl.store(q_latent + place_TL, q_TL.to(q_latent.dtype.element_ty), mask=is_token_T1)
        else:
            for t in tl.static_range(TOKENS):
                q_N = tl.load(projected + t * stride + head * (N + R) + n).to(tl.float32)
                q_L = tl.sum(key_up_NL.to(tl.float32) * q_N[:, None], 0)
                tl.store(q_latent + (t * num_heads + head) * L + latent, q_L.to(q_latent.dtype.element_ty))
    else:
        norm_L = tl.load(norm_weight + tl.arange(0, L))
        begin(OVERLAPS)
        t = program - num_heads * PARTS
        turn_and_keep(
            projected + t * stride + N,
            N + R,
            projected + t * stride + num_heads * (N + R),
            norm_L,
            cos + t * (R // 2),
            sin + t * (R // 2),
            q_rope + t * num_heads * R,
            R,
            pages,
            tl.load(slots + t),
            eps,
            num_heads,
            L,
            R,
            BLOCK_H,
        )


def latent_query(
    projected_TW: torch.Tensor,
    key_value_up_WL: torch.Tensor,
    norm: tuple[torch.Tensor, float],
    cos_TP: torch.Tensor,
    sin_TP: torch.Tensor,
    slots_T: torch.Tensor,
    pages_GOZ: torch.Tensor,
    heads: int,
    nope: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries in latent space [T, H, L] and rotated [T, H, R] from the projections [T, H (N + R) + Z] of queries and latents; the rows of
    the cache are written where `slots` says (`latent.write_latent`). `key_value_up` is the checkpoint's kv_b_proj [H (N + V), L]. At most
    `WARP_TOKENS` tokens."""
    tokens, rank, rope = projected_TW.shape[0], key_value_up_WL.shape[1], 2 * cos_TP.shape[1]
    q_latent_THL = projected_TW.new_empty(tokens, heads, rank)
    q_rope_THR = projected_TW.new_empty(tokens, heads, rope)
    block = min(BLOCK_LATENT, rank)
    by_vectors = tokens <= LATENT_TOKENS
    counts = {"TOKENS": tokens, "BLOCK_T": 0} if by_vectors else {"TOKENS": 0, "BLOCK_T": max(16, next_power_of_2(tokens))}
    sizes = {"N": nope, "R": rope, "L": rank, "BLOCK_H": next_power_of_2(heads), "BLOCK_L": block} | counts
    with torch.cuda.device_of(projected_TW):
        _latent_query_kernel[heads * (rank // block) + tokens,](
            projected_TW,
            key_value_up_WL,
            norm[0],
            cos_TP,
            sin_TP,
            slots_T,
            q_latent_THL,
            q_rope_THR,
            pages_GOZ,
            norm[1],
            tokens,
            heads,
            key_value_up_WL.shape[0] // heads - nope,
            **sizes,
            enable_fp_fusion=False,  # rotations round like torch's
            **overlap(projected_TW.device),
        )
    return q_latent_THL, q_rope_THR


@jit(varying=("num_tokens", "num_splits"))
def _join_values_kernel(
    sums,
    masses,
    parts,
    key_value_up,
    out,
    num_tokens,
    num_heads,
    num_splits,
    N,
    V: tl.constexpr,
    L: tl.constexpr,
    BLOCK_V: tl.constexpr,
    BLOCK_W: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_V values of one (token, head): the parts averaged by their masses, and the value map."""
    BLOCKS: tl.constexpr = V // BLOCK_V
    t, head = tl.program_id(1).to(tl.int64), tl.program_id(0) // BLOCKS
    v = tl.program_id(0) % BLOCKS * BLOCK_V + tl.arange(0, BLOCK_V)
    latent = tl.arange(0, L)
    value_up_VL = tl.load(key_value_up + (head * (N + V) + N + v)[:, None] * L + latent[None]).to(tl.float32)
    begin(OVERLAPS)
    row = t * num_heads + head
    joined_L = joined_parts(sums, masses, parts + t, row, num_tokens * num_heads, num_splits, latent, L, L, BLOCK_W)
    joined_L = joined_L.to(out.dtype.element_ty).to(tl.float32)  # rounded as the attended latents are
    value_V = tl.sum(value_up_VL * joined_L[None], 1)
    tl.store(out + row * V + v, value_V.to(out.dtype.element_ty))


def join_values(
    sums_WTHL: torch.Tensor, masses_WTH: torch.Tensor, parts_T: torch.Tensor, key_value_up_WL: torch.Tensor, nope: int, dtype: torch.dtype
) -> torch.Tensor:
    """The parts that `paged_latent_attention.attend_parts` leaves, joined and mapped to values, [T, H V] in `dtype`."""
    (splits, tokens, heads, rank), value = sums_WTHL.shape, key_value_up_WL.shape[0] // sums_WTHL.shape[2] - nope
    out_TX = torch.empty(tokens, heads * value, dtype=dtype, device=sums_WTHL.device)
    block = min(BLOCK_VALUE, value)
    with torch.cuda.device_of(sums_WTHL):
        _join_values_kernel[heads * (value // block), tokens](
            sums_WTHL,
            masses_WTH,
            parts_T,
            key_value_up_WL,
            out_TX,
            tokens,
            heads,
            splits,
            nope,
            V=value,
            L=rank,
            BLOCK_V=block,
            BLOCK_W=paged_latent_attention.PARTS_AT_ONCE,
            num_warps=JOIN_WARPS,
            **overlap(sums_WTHL.device),
        )
    return out_TX
