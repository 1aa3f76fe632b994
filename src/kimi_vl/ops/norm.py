"""Root-mean-square normalisation of the decoder."""

import torch


def rms_norm(x_TD: torch.Tensor, weight_D: torch.Tensor, eps: float) -> torch.Tensor:
    """x / rms(x) · weight, over the last dimension.

    Statistics in fp32; the normalised value is rounded to x's dtype before the weight is applied, which is the order the official
    code rounds in (MODEL_SPEC §4). Any leading shape; returns x's dtype.
    """
    x = x_TD.float()
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    return weight_D * x.to(x_TD.dtype)


def add_rms_norm(x_TD: torch.Tensor, update_TD: torch.Tensor, weight_D: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """x + update, rounded to their dtype, and `rms_norm` of this sum: the end of one half of a layer and the beginning of the next."""
    total_TD = x_TD + update_TD
    return total_TD, rms_norm(total_TD, weight_D, eps)
