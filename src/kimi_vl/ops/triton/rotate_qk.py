"""Rotary positions of the vision tower as one Triton kernel, which reads and writes every query and key once.

Letters: P patches, H heads, Q head width, A = Q/2 angles.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.triton.language import jit, tl
from kimi_vl.ops.triton.operators import operator

BLOCK = 1024  # values of one program
TILE = 8  # patches whose queries, or keys, a group of programs shares out: of the official 1,152 values each, 9 blocks, none half empty


@jit(varying=("num_patches",))
def _rotate_kernel(
    qkv,
    cos,
    sin,
    turned,
    num_patches,
    stride_p,
    stride_qkv,
    turned_stride,
    HQ: tl.constexpr,
    A: tl.constexpr,
    N: tl.constexpr,
    B: tl.constexpr,
):
    """One program: a block of the queries (program_id(2) = 0) or keys (1) of a tile of patches."""
    first = tl.program_id(0).to(tl.int64) * N
    count = tl.minimum(N, num_patches - first).to(tl.int32)
    value = tl.program_id(1) * B + tl.arange(0, B)
    source = qkv + first * stride_p + tl.program_id(2) * stride_qkv
    x_B = tl.load(source + value // HQ * stride_p + value % HQ, mask=value < count * HQ, other=0.0)
    even, odd = tl.split(tl.reshape(x_B.to(tl.float32), [B // 2, 2]))

    pair = tl.program_id(1) * (B // 2) + tl.arange(0, B // 2)
    angle, is_there = first * A + pair // (HQ // 2) * A + pair % A, pair < count * (HQ // 2)
    cosine, sine = tl.load(cos + angle, mask=is_there, other=0.0), tl.load(sin + angle, mask=is_there, other=0.0)
    turned_B = tl.reshape(tl.join(even * cosine - odd * sine, even * sine + odd * cosine), [B])
    target = turned + tl.program_id(2).to(tl.int64) * turned_stride + first * HQ
    tl.store(target + value, turned_B.to(turned.dtype.element_ty), mask=value < count * HQ)


def rotate_qk_triton(qkv_P3HQ: torch.Tensor, cos_PA: torch.Tensor, sin_PA: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`rotate_qk` in one kernel instead of twenty. Contract of the reference."""
    return _rotate_qk(qkv_P3HQ, cos_PA, sin_PA).unbind(0)


# An operator to torch: a compiler need not look inside, and a backward pass through it is an error instead of a missing gradient.
@operator("kimi_vl::rotate_qk(Tensor qkv, Tensor cos, Tensor sin) -> Tensor")
def _rotate_qk(qkv_P3HQ: torch.Tensor, cos_PA: torch.Tensor, sin_PA: torch.Tensor) -> torch.Tensor:
    num_patches, _, heads, width = qkv_P3HQ.shape
    turned_2PHQ = qkv_P3HQ.new_empty(2, num_patches, heads, width)
    if not num_patches:
        return turned_2PHQ
    if qkv_P3HQ.stride()[2:] != (width, 1):
        qkv_P3HQ = qkv_P3HQ.contiguous()
    with torch.cuda.device_of(qkv_P3HQ):  # Triton launches on the current GPU, wherever the tensors are
        _rotate_kernel[-(-num_patches // TILE), -(-TILE * heads * width // BLOCK), 2](
            qkv_P3HQ,
            cos_PA.contiguous(),
            sin_PA.contiguous(),
            turned_2PHQ,
            num_patches,
            *qkv_P3HQ.stride()[:2],
            turned_2PHQ.stride(0),
            HQ=heads * width,
            A=width // 2,
            N=TILE,
            B=BLOCK,
        )
    return turned_2PHQ


@_rotate_qk.register_fake
def _(qkv_P3HQ, cos_PA, sin_PA):
    num_patches, _, heads, width = qkv_P3HQ.shape
    return qkv_P3HQ.new_empty(2, num_patches, heads, width)
