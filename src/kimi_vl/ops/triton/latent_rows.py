"""The rows of the latent cache as one Triton kernel: norm of the latent, rotation of keys and queries, and storing in a page.

Letters: T tokens, H heads, L latent rank, R rotary width, P = R/2 pairs, Z = L + R; G pages of O rows.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.operators import operator


@jit
def _rotate(x_HR, cos_P, sin_P, H: tl.constexpr, P: tl.constexpr):
    """Every adjacent pair turned; products and sums are rounded each, as torch rounds them."""
    even_HP, odd_HP = tl.split(tl.reshape(x_HR, [H, P, 2]))
    dtype: tl.constexpr = x_HR.dtype
    even_HP, odd_HP = even_HP.to(tl.float32), odd_HP.to(tl.float32)
    cos_P, sin_P = cos_P.to(tl.float32)[None], sin_P.to(tl.float32)[None]
    turned_even_HP = (even_HP * cos_P).to(dtype).to(tl.float32) - (odd_HP * sin_P).to(dtype).to(tl.float32)
    turned_odd_HP = (even_HP * sin_P).to(dtype).to(tl.float32) + (odd_HP * cos_P).to(dtype).to(tl.float32)
    return tl.reshape(tl.join(turned_even_HP.to(dtype), turned_odd_HP.to(dtype)), [H, 2 * P])


@jit
def turn_and_keep(
    q_rope,
    q_stride_h,
    projected,
    norm_L,
    cos,
    sin,
    turned,
    turned_stride_h,
    rows,
    slot,
    eps,
    num_heads,
    L: tl.constexpr,
    R: tl.constexpr,
    BLOCK_H: tl.constexpr,
):
    """One token, at whose values the pointers stand: rotate its queries, and store its row as number `slot` unless that is negative."""
    latent, rope, p, h = tl.arange(0, L), tl.arange(0, R), tl.arange(0, R // 2), tl.arange(0, BLOCK_H)
    cos_P, sin_P = tl.load(cos + p), tl.load(sin + p)
    latent_L, key_R = tl.load(projected + latent), tl.load(projected + L + rope)
    is_head = (h < num_heads)[:, None]
    q_HR = tl.load(q_rope + h[:, None] * q_stride_h + rope[None], mask=is_head, other=0.0)
    tl.store(turned + h[:, None] * turned_stride_h + rope[None], _rotate(q_HR, cos_P, sin_P, BLOCK_H, R // 2), mask=is_head)

    row = rows + slot * (L + R)
    value_L = latent_L.to(tl.float32)
    normed_L = (value_L * tl.rsqrt(tl.sum(value_L * value_L, 0) / L + eps)).to(latent_L.dtype)
    weighed_L = (normed_L.to(tl.float32) * norm_L.to(tl.float32)).to(latent_L.dtype)
    tl.store(row + latent, weighed_L.to(rows.dtype.element_ty), mask=slot >= 0)  # in fp8 what is too large becomes the largest number
    turned_key_R = tl.reshape(_rotate(key_R[None], cos_P, sin_P, 1, R // 2), [R])
    tl.store(row + L + rope, turned_key_R.to(rows.dtype.element_ty), mask=slot >= 0)


@jit
def _latent_rows_kernel(
    q_rope,
    projected,
    norm_weight,
    cos,
    sin,
    slots,
    turned,
    rows,
    eps,
    q_stride_t,
    q_stride_h,
    turned_stride_t,
    turned_stride_h,
    projected_stride,
    num_heads,
    L: tl.constexpr,
    R: tl.constexpr,
    BLOCK_H: tl.constexpr,
    HAS_SLOTS: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: one token. Row t goes to row slots[t], or to row t where there are no slots."""
    norm_L = tl.load(norm_weight + tl.arange(0, L))
    begin(OVERLAPS)
    t = tl.program_id(0).to(tl.int64)
    q, latent, angle = t * q_stride_t, t * projected_stride, t * (R // 2)
    slot = tl.load(slots + t) if HAS_SLOTS else t
    turn_and_keep(
        q_rope + q,
        q_stride_h,
        projected + latent,
        norm_L,
        cos + angle,
        sin + angle,
        turned + t * turned_stride_t,
        turned_stride_h,
        rows,
        slot,
        eps,
        num_heads,
        L,
        R,
        BLOCK_H,
    )


def latent_rows_triton(
    q_rope_THR: torch.Tensor,
    projected_TZ: torch.Tensor,
    norm_weight_L: torch.Tensor,
    eps: float,
    cos_TP: torch.Tensor,
    sin_TP: torch.Tensor,
    *,
    in_place: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`latent_rows` in one kernel instead of twenty. Contract of the reference; L and R are powers of two."""
    turned_THR = q_rope_THR if in_place else q_rope_THR.clone(memory_format=torch.contiguous_format)
    return turned_THR, _latent_rows(turned_THR, projected_TZ, norm_weight_L, eps, cos_TP, sin_TP)


def write_latent_triton(
    q_rope_THR: torch.Tensor,
    projected_TZ: torch.Tensor,
    norm_weight_L: torch.Tensor,
    eps: float,
    cos_TP: torch.Tensor,
    sin_TP: torch.Tensor,
    slots_T: torch.Tensor,
    pages_GOZ: torch.Tensor,
) -> torch.Tensor:
    """`write_latent` in the same kernel. Contract of the reference, but nothing asks the host; L and R are powers of two."""
    return _write_latent(q_rope_THR, projected_TZ, norm_weight_L, eps, cos_TP, sin_TP, slots_T, pages_GOZ)


@operator("kimi_vl::latent_rows(Tensor(a!) q_rope, Tensor projected, Tensor norm_weight, float eps, Tensor cos, Tensor sin) -> Tensor")
def _latent_rows(
    q_rope_THR: torch.Tensor,
    projected_TZ: torch.Tensor,
    norm_weight_L: torch.Tensor,
    eps: float,
    cos_TP: torch.Tensor,
    sin_TP: torch.Tensor,
) -> torch.Tensor:
    rows_TZ = torch.empty(projected_TZ.shape, dtype=projected_TZ.dtype, device=projected_TZ.device)
    _launch(q_rope_THR, projected_TZ, norm_weight_L, eps, cos_TP, sin_TP, None, rows_TZ, q_rope_THR)
    return rows_TZ


@_latent_rows.register_fake
def _(q_rope_THR, projected_TZ, norm_weight_L, eps, cos_TP, sin_TP):
    return torch.empty(projected_TZ.shape, dtype=projected_TZ.dtype, device=projected_TZ.device)


@operator(
    "kimi_vl::write_latent(Tensor q_rope, Tensor projected, Tensor norm_weight, float eps, Tensor cos, Tensor sin, Tensor slots, "
    "Tensor(a!) pages) -> Tensor"
)
def _write_latent(
    q_rope_THR: torch.Tensor,
    projected_TZ: torch.Tensor,
    norm_weight_L: torch.Tensor,
    eps: float,
    cos_TP: torch.Tensor,
    sin_TP: torch.Tensor,
    slots_T: torch.Tensor,
    pages_GOZ: torch.Tensor,
) -> torch.Tensor:
    assert pages_GOZ.is_contiguous(), f"pages of strides {pages_GOZ.stride()} are not one after another"
    return _launch(q_rope_THR, projected_TZ, norm_weight_L, eps, cos_TP, sin_TP, slots_T, pages_GOZ)


@_write_latent.register_fake
def _(q_rope_THR, projected_TZ, norm_weight_L, eps, cos_TP, sin_TP, slots_T, pages_GOZ):
    return torch.empty(q_rope_THR.shape, dtype=q_rope_THR.dtype, device=q_rope_THR.device)


def _launch(
    q_rope_THR: torch.Tensor,
    projected_TZ: torch.Tensor,
    norm_weight_L: torch.Tensor,
    eps: float,
    cos_TP: torch.Tensor,
    sin_TP: torch.Tensor,
    slots_T: torch.Tensor | None,
    rows_Z: torch.Tensor,
    turned_THR: torch.Tensor | None = None,
) -> torch.Tensor:
    """Write the rows and the rotated queries, which are returned."""
    num_tokens, heads, rope = q_rope_THR.shape
    if turned_THR is None:
        turned_THR = torch.empty(q_rope_THR.shape, dtype=q_rope_THR.dtype, device=q_rope_THR.device)
    assert turned_THR.stride(-1) == 1, f"queries of strides {turned_THR.stride()} are not side by side"
    if not num_tokens:
        return turned_THR
    q_rope_THR, projected_TZ = (x if x.stride(-1) == 1 else x.contiguous() for x in (q_rope_THR, projected_TZ))
    with torch.cuda.device_of(q_rope_THR):  # Triton launches on the current GPU, wherever the tensors are
        _latent_rows_kernel[num_tokens,](
            q_rope_THR,
            projected_TZ,
            norm_weight_L,
            cos_TP.contiguous(),
            sin_TP.contiguous(),
            slots_T,
            turned_THR,
            rows_Z,
            eps,
            *q_rope_THR.stride()[:2],
            *turned_THR.stride()[:2],
            projected_TZ.stride(0),
            heads,
            L=norm_weight_L.shape[0],
            R=rope,
            BLOCK_H=next_power_of_2(heads),
            HAS_SLOTS=slots_T is not None,
            enable_fp_fusion=False,  # a fused multiply-add would not round the product
            **overlap(q_rope_THR.device),
        )
    return turned_THR
