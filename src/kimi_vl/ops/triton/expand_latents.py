"""The keys of every head from expanded latents and the rotated key that heads share, as one Triton kernel.

Letters: S rows, H heads, Q key width, N the part of it without rotation, R the rotated part, V value width, W = N + V, L latent rank,
X = H x W, Z = L + R.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.operators import operator


@jit
def _join_keys_kernel(
    kv,
    k_rope,
    keys,
    kv_stride,
    rope_stride,
    num_heads,
    N,
    R,
    W,
    BLOCK_H: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_R: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: the keys of one row."""
    begin(OVERLAPS)
    s = tl.program_id(0).to(tl.int64)
    h, n, r = tl.arange(0, BLOCK_H), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_R)
    is_part_HN = (h < num_heads)[:, None] & (n < N)[None]
    is_part_HR = (h < num_heads)[:, None] & (r < R)[None]
    key_H1 = keys + ((s * num_heads + h) * (N + R))[:, None]
    part_HN = tl.load(kv + s * kv_stride + (h * W)[:, None] + n[None], mask=is_part_HN)
    tl.store(key_H1 + n[None], part_HN, mask=is_part_HN)
    rope_R = tl.load(k_rope + s * rope_stride + r, mask=r < R)
    tl.store(key_H1 + N + r[None], tl.broadcast_to(rope_R[None], [BLOCK_H, BLOCK_R]), mask=is_part_HR)


def expand_latents_triton(rows_SZ: torch.Tensor, kv_up_XL: torch.Tensor, num_heads: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`expand_latents` with keys written as fast as memory takes them; torch.cat takes three times as long. Contract of the reference."""
    rank = kv_up_XL.shape[1]
    latent_SL, k_rope_SR = rows_SZ.split([rank, rows_SZ.shape[1] - rank], dim=-1)
    kv_SHW = F.linear(latent_SL, kv_up_XL).unflatten(-1, (num_heads, -1))
    return _join_keys(kv_SHW, k_rope_SR, width), kv_SHW[..., width - k_rope_SR.shape[1] :]


# An operator to torch: a backward pass through it is an error instead of a missing gradient.
@operator("kimi_vl::join_keys(Tensor kv, Tensor k_rope, int width) -> Tensor")
def _join_keys(kv_SHW: torch.Tensor, k_rope_SR: torch.Tensor, width: int) -> torch.Tensor:
    k_rope_SR = k_rope_SR if k_rope_SR.stride(-1) == 1 else k_rope_SR.contiguous()
    (rows, heads, whole), rope = kv_SHW.shape, k_rope_SR.shape[1]
    keys_SHQ = kv_SHW.new_empty(rows, heads, width)
    blocks = {"BLOCK_H": next_power_of_2(heads), "BLOCK_N": next_power_of_2(width - rope), "BLOCK_R": next_power_of_2(rope)}
    if rows:
        with torch.cuda.device_of(kv_SHW):  # Triton launches on the current GPU, wherever the tensors are
            strides = kv_SHW.stride(0), k_rope_SR.stride(0)
            _join_keys_kernel[rows,](
                kv_SHW, k_rope_SR, keys_SHQ, *strides, heads, width - rope, rope, whole, **blocks, **overlap(kv_SHW.device)
            )
    return keys_SHQ


@_join_keys.register_fake
def _(kv_SHW, k_rope_SR, width):
    return kv_SHW.new_empty(*kv_SHW.shape[:2], width)
