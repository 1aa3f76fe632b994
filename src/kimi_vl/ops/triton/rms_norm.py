"""Root-mean-square normalisation as one Triton kernel, alone or of a sum. Letters: T tokens, D decoder width."""

from __future__ import annotations

import torch

from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.operators import operator


@jit
def normed(x_D, weight_D, eps, D):
    """RMSNorm of a token, rounded where the reference rounds."""
    value_D = x_D.to(tl.float32)
    unit_D = (value_D * tl.rsqrt(tl.sum(value_D * value_D, 0) / D + eps)).to(x_D.dtype)
    return (unit_D.to(tl.float32) * weight_D.to(tl.float32)).to(x_D.dtype)


@jit
def _rms_norm_kernel(x, update, weight, total, out, eps, D, HAS_UPDATE: tl.constexpr, BLOCK_D: tl.constexpr, OVERLAPS: tl.constexpr):
    """One program: one token. Rounds where the reference rounds: the sum, the normalised value, and its product with the weight."""
    t = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, BLOCK_D)
    weight_D = tl.load(weight + d, mask=d < D, other=0.0)
    begin(OVERLAPS)
    x_D = tl.load(x + t * D + d, mask=d < D, other=0.0)
    if HAS_UPDATE:
        x_D = (x_D.to(tl.float32) + tl.load(update + t * D + d, mask=d < D, other=0.0).to(tl.float32)).to(x_D.dtype)
        tl.store(total + t * D + d, x_D, mask=d < D)
    tl.store(out + t * D + d, normed(x_D, weight_D, eps, D), mask=d < D)


def rms_norm_triton(x_TD: torch.Tensor, weight_D: torch.Tensor, eps: float) -> torch.Tensor:
    """`rms_norm` in one kernel instead of eight. Contract of the reference."""
    return _rms_norm(x_TD, weight_D, eps)


def add_rms_norm_triton(
    x_TD: torch.Tensor, update_TD: torch.Tensor, weight_D: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """`add_rms_norm` in one kernel instead of nine. Contract of the reference."""
    return _add_rms_norm(x_TD, update_TD, weight_D, eps)


@operator("kimi_vl::rms_norm(Tensor x, Tensor weight, float eps) -> Tensor")
def _rms_norm(x_TD: torch.Tensor, weight_D: torch.Tensor, eps: float) -> torch.Tensor:
    normed_TD = torch.empty(x_TD.shape, dtype=x_TD.dtype, device=x_TD.device)
    _launch(x_TD.contiguous(), None, weight_D, None, normed_TD, eps)
    return normed_TD


@_rms_norm.register_fake
def _(x_TD, weight_D, eps):
    return torch.empty(x_TD.shape, dtype=x_TD.dtype, device=x_TD.device)


@operator("kimi_vl::add_rms_norm(Tensor x, Tensor update, Tensor weight, float eps) -> (Tensor, Tensor)")
def _add_rms_norm(x_TD: torch.Tensor, update_TD: torch.Tensor, weight_D: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    total_TD, normed_TD = (torch.empty(x_TD.shape, dtype=x_TD.dtype, device=x_TD.device) for _ in range(2))
    _launch(x_TD.contiguous(), update_TD.contiguous(), weight_D, total_TD, normed_TD, eps)
    return total_TD, normed_TD


@_add_rms_norm.register_fake
def _(x_TD, update_TD, weight_D, eps):
    return tuple(torch.empty(x_TD.shape, dtype=x_TD.dtype, device=x_TD.device) for _ in range(2))


def _launch(
    x_TD: torch.Tensor,
    update_TD: torch.Tensor | None,
    weight_D: torch.Tensor,
    total_TD: torch.Tensor | None,
    normed_TD: torch.Tensor,
    eps: float,
) -> None:
    width = x_TD.shape[-1]
    if x_TD.numel():
        with torch.cuda.device_of(x_TD):  # Triton launches on the current GPU, wherever the tensors are
            options = {"HAS_UPDATE": update_TD is not None, "BLOCK_D": next_power_of_2(width)} | overlap(x_TD.device)
            _rms_norm_kernel[x_TD.numel() // width,](x_TD, update_TD, weight_D, total_TD, normed_TD, eps, width, **options)
