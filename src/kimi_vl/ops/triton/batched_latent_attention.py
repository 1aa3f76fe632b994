"""Latent attention of decoding rows as one Triton kernel, which reads every cached row once and none behind a sequence's end.

Letters: B rows of a batch, S cached tokens, H heads, L latent rank, R rotary width, Z = L + R.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.triton.language import jit, tl
from kimi_vl.ops.triton.operators import operator

BLOCK_HEADS = 16  # the fewest rows a tensor core takes; nano's 5 heads leave the rest empty, and memory is the limit all the same
BLOCK_TOKENS = 64


@jit
def _decode(
    q_latent,
    q_rope,
    cache,
    lengths,
    out,
    scale,
    latent_stride_b,
    latent_stride_h,
    rope_stride_b,
    rope_stride_h,
    cache_stride_b,
    cache_stride_s,
    num_heads,
    L: tl.constexpr,
    R: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    """One program: one row and up to BLOCK_H of its heads, over the row's tokens with a running softmax."""
    b = tl.program_id(0).to(tl.int64)  # a batch's cache may pass 2^31 values
    h = tl.program_id(1) * BLOCK_H + tl.arange(0, BLOCK_H)
    latent, rope = tl.arange(0, L), tl.arange(0, R)
    is_head = h[:, None] < num_heads
    q_latent_HL = tl.load(q_latent + b * latent_stride_b + h[:, None] * latent_stride_h + latent[None], mask=is_head, other=0.0)
    q_rope_HR = tl.load(q_rope + b * rope_stride_b + h[:, None] * rope_stride_h + rope[None], mask=is_head, other=0.0)
    length = tl.load(lengths + b)
    peak_H = tl.full([BLOCK_H], float("-inf"), tl.float32)
    mass_H = tl.zeros([BLOCK_H], tl.float32)
    sum_HL = tl.zeros([BLOCK_H, L], tl.float32)
    for start in range(0, length, BLOCK_S):
        s = start + tl.arange(0, BLOCK_S)
        row = cache + b * cache_stride_b + s[:, None] * cache_stride_s
        latent_SL = tl.load(row + latent[None], mask=s[:, None] < length, other=0.0)
        rope_SR = tl.load(row + L + rope[None], mask=s[:, None] < length, other=0.0)
        scores_HS = tl.dot(q_latent_HL, tl.trans(latent_SL)) + tl.dot(q_rope_HR, tl.trans(rope_SR))
        scores_HS = tl.where(s[None] < length, scores_HS * scale, float("-inf"))
        new_peak_H = tl.maximum(peak_H, tl.max(scores_HS, 1))
        shrink_H = tl.exp(peak_H - new_peak_H)
        probs_HS = tl.exp(scores_HS - new_peak_H[:, None])
        mass_H = mass_H * shrink_H + tl.sum(probs_HS, 1)
        sum_HL = sum_HL * shrink_H[:, None] + tl.dot(probs_HS.to(latent_SL.dtype), latent_SL)
        peak_H = new_peak_H
    target = out + (b * num_heads + h[:, None]) * L + latent[None]
    tl.store(target, (sum_HL / mass_H[:, None]).to(out.dtype.element_ty), mask=is_head)


def batched_latent_attention_triton(
    q_latent_BHL: torch.Tensor,
    q_rope_BHR: torch.Tensor,
    cache_BSZ: torch.Tensor,
    lengths_B: torch.Tensor,
    *,
    scale: float,
) -> torch.Tensor:
    """`batched_latent_attention` in one kernel. Contract of the reference; L and R are powers of two, at least 16.

    One program per row: a GPU is full from a hundred rows on, and a few rows of very many tokens would want them shared out.
    """
    return _launch(q_latent_BHL, q_rope_BHR, cache_BSZ, lengths_B, scale)


# An operator to a compiler that traces through here: it need not look inside to know that the cache is only read.
@operator("kimi_vl::batched_latent_attention(Tensor q_latent, Tensor q_rope, Tensor cache, Tensor lengths, float scale) -> Tensor")
def _launch(
    q_latent_BHL: torch.Tensor, q_rope_BHR: torch.Tensor, cache_BSZ: torch.Tensor, lengths_B: torch.Tensor, scale: float
) -> torch.Tensor:
    # A batched product may leave the heads innermost; the kernel takes any order of rows and heads, with whole vectors inside.
    q_latent_BHL, q_rope_BHR = (q if q.stride(-1) == 1 else q.contiguous() for q in (q_latent_BHL, q_rope_BHR))
    rows, heads, rank = q_latent_BHL.shape
    out_BHL = torch.empty(rows, heads, rank, dtype=q_latent_BHL.dtype, device=q_latent_BHL.device)
    with torch.cuda.device_of(q_latent_BHL):  # Triton launches on the current GPU, wherever the tensors are
        _decode[rows, -(-heads // BLOCK_HEADS)](
            q_latent_BHL,
            q_rope_BHR,
            cache_BSZ,
            lengths_B,
            out_BHL,
            scale,
            *q_latent_BHL.stride()[:2],
            *q_rope_BHR.stride()[:2],
            *cache_BSZ.stride()[:2],
            heads,
            L=rank,
            R=q_rope_BHR.shape[-1],
            BLOCK_H=BLOCK_HEADS,
            BLOCK_S=BLOCK_TOKENS,
            num_warps=4,
            num_stages=3 if rank <= 256 else 2,
        )
    return out_BHL


@_launch.register_fake
def _(q_latent_BHL, q_rope_BHR, cache_BSZ, lengths_B, scale):
    return torch.empty(q_latent_BHL.shape, dtype=q_latent_BHL.dtype, device=q_latent_BHL.device)
