"""Rotary positions of the vision tower as one Triton kernel, which reads and writes every query and key once.

Letters: P patches, H heads, Q head width, A = Q/2 angles; a patch's queries and keys lie one after another, W = 2 x H x Q values.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.triton.language import jit, tl

BLOCK = 2048  # values of one program
TILE = 8  # patches that the blocks of a group of programs lie in: 9 blocks to 8 patches of the official 2,304 values, none half empty


@jit
def _rotate_kernel(
    qkv,
    cos,
    sin,
    turned,
    num_patches,
    stride_p,
    qkv_stride,
    turned_stride,
    H: tl.constexpr,
    Q: tl.constexpr,
    N: tl.constexpr,
    B: tl.constexpr,
):
    """One program: a block of the values of a tile of patches."""
    first = tl.program_id(0).to(tl.int64) * N
    value = tl.program_id(1) * B + tl.arange(0, B)
    patch, place = value // (2 * H * Q), value % (2 * H * Q)
    which, inside = place // (H * Q), place % (H * Q)
    is_there = (patch < N) & (first + patch < num_patches)
    x_B = tl.load(qkv + first * stride_p + patch * stride_p + which * qkv_stride + inside, mask=is_there, other=0.0)
    even_A, odd_A = tl.split(tl.reshape(x_B.to(tl.float32), [B // 2, 2]))

    pair = tl.program_id(1) * (B // 2) + tl.arange(0, B // 2)
    its_patch, angle = pair // (H * Q), pair % (Q // 2)
    has_angle = (its_patch < N) & (first + its_patch < num_patches)
    cos_A = tl.load(cos + first * (Q // 2) + its_patch * (Q // 2) + angle, mask=has_angle, other=0.0)
    sin_A = tl.load(sin + first * (Q // 2) + its_patch * (Q // 2) + angle, mask=has_angle, other=0.0)
    turned_B = tl.reshape(tl.join(even_A * cos_A - odd_A * sin_A, even_A * sin_A + odd_A * cos_A), [B])
    target = turned + which * turned_stride + first * (H * Q) + patch * (H * Q) + inside
    tl.store(target, turned_B.to(turned.dtype.element_ty), mask=is_there)


def rotate_qk_triton(qkv_P3HQ: torch.Tensor, cos_PA: torch.Tensor, sin_PA: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`rotate_qk` in one kernel instead of twenty. Contract of the reference."""
    return _rotate_qk(qkv_P3HQ, cos_PA, sin_PA).unbind(0)


# An operator to torch: a compiler need not look inside, and a backward pass through it is an error instead of a missing gradient.
@torch.library.custom_op("kimi_vl::rotate_qk", mutates_args=(), schema="(Tensor qkv, Tensor cos, Tensor sin) -> Tensor")
def _rotate_qk(qkv_P3HQ: torch.Tensor, cos_PA: torch.Tensor, sin_PA: torch.Tensor) -> torch.Tensor:
    num_patches, _, heads, width = qkv_P3HQ.shape
    turned_2PHQ = qkv_P3HQ.new_empty(2, num_patches, heads, width)
    if not num_patches:
        return turned_2PHQ
    if qkv_P3HQ.stride()[2:] != (width, 1):
        qkv_P3HQ = qkv_P3HQ.contiguous()
    with torch.cuda.device_of(qkv_P3HQ):  # Triton launches on the current GPU, wherever the tensors are
        _rotate_kernel[-(-num_patches // TILE), -(-TILE * 2 * heads * width // BLOCK)](
            qkv_P3HQ,
            cos_PA.contiguous(),
            sin_PA.contiguous(),
            turned_2PHQ,
            num_patches,
            *qkv_P3HQ.stride()[:2],
            turned_2PHQ.stride(0),
            H=heads,
            Q=width,
            N=TILE,
            B=BLOCK,
        )
    return turned_2PHQ


@_rotate_qk.register_fake
def _(qkv_P3HQ, cos_PA, sin_PA):
    num_patches, _, heads, width = qkv_P3HQ.shape
    return qkv_P3HQ.new_empty(2, num_patches, heads, width)
