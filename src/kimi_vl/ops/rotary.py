"""Rotary positions: every adjacent pair of a head vector is turned by an angle."""

import torch


def rotary_angles(positions_T: torch.Tensor, width: int, theta: float) -> torch.Tensor:
    """Angles position · theta^(-2j/width) for the width/2 pairs; fp32 [T, width/2] (MODEL_SPEC §4)."""
    return positions_T.float()[:, None] * rotary_frequencies(width, theta, positions_T.device)


def rotary_frequencies(width: int, theta: float, device: torch.device) -> torch.Tensor:
    """theta^(-2j/width) for the width/2 pairs, fp32."""
    return theta ** -(torch.arange(0, width, 2, dtype=torch.float32, device=device) / width)


def rotate_pairs(x_THR: torch.Tensor, cos_TP: torch.Tensor, sin_TP: torch.Tensor) -> torch.Tensor:
    """Turn pair (2j, 2j+1) of every head by the j-th angle of its token.

    x [T, H, R] with R even, cos and sin [T, R/2]. Computed in the wider of the two dtypes and returned in x's: the vision tower
    passes fp32 tables, the decoder passes them rounded to the activation dtype, as the official code does for each.
    The official decoder de-interleaves first; queries and keys then share one permutation, so scores are the same.
    """
    cos, sin = cos_TP[:, None], sin_TP[:, None]
    even, odd = x_THR.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x_THR.dtype)


def rotate_qk(qkv_P3HQ: torch.Tensor, cos_PA: torch.Tensor, sin_PA: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The queries and keys [P, H, Q] of a fused projection, every pair turned by the angle of its token; the values are not looked at.

    cos and sin are fp32 [P, Q/2], the rotation is computed in fp32 and rounded once. The projection stays as it is.
    """
    q_PHQ, k_PHQ, _ = qkv_P3HQ.unbind(1)
    return rotate_pairs(q_PHQ, cos_PA, sin_PA), rotate_pairs(k_PHQ, cos_PA, sin_PA)
