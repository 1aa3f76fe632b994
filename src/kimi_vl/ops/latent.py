"""The rows of the latent cache: what a token leaves behind for the tokens after it, and its query turned alike.

Letters: T tokens, H heads, L latent rank, R rotary width, Z = L + R; G pages of O rows.
"""

import torch

from kimi_vl.ops.norm import rms_norm
from kimi_vl.ops.rotary import rotate_pairs


def latent_rows(
    q_rope_THR: torch.Tensor,
    projected_TZ: torch.Tensor,
    norm_weight_L: torch.Tensor,
    eps: float,
    cos_TP: torch.Tensor,
    sin_TP: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotated queries [T, H, R], and rows [T, Z] of the latent normed and the shared key rotated, from the projections of both.

    cos and sin are [T, R/2] in the activations' dtype; rounded like `rms_norm` and `rotate_pairs`.
    """
    rank = norm_weight_L.shape[0]
    latent_TL, k_rope_TR = projected_TZ.split([rank, projected_TZ.shape[-1] - rank], dim=-1)
    k_rope_TR = rotate_pairs(k_rope_TR[:, None], cos_TP, sin_TP)[:, 0]
    rows_TZ = torch.cat((rms_norm(latent_TL, norm_weight_L, eps), k_rope_TR), dim=-1)
    return rotate_pairs(q_rope_THR, cos_TP, sin_TP), rows_TZ


def write_latent(
    q_rope_THR: torch.Tensor,
    projected_TZ: torch.Tensor,
    norm_weight_L: torch.Tensor,
    eps: float,
    cos_TP: torch.Tensor,
    sin_TP: torch.Tensor,
    slots_T: torch.Tensor,
    pages_GOZ: torch.Tensor,
) -> torch.Tensor:
    """`latent_rows` stored in the cache: row t at place slots[t] of all pages' rows. Returns the rotated queries.

    Writes pages_GOZ in place, which is contiguous. slots_T is int64; slot -1 is skipped, so that a captured graph may carry padding
    rows, and no other slot stands twice. Asks the host.
    """
    q_rope_THR, rows_TZ = latent_rows(q_rope_THR, projected_TZ, norm_weight_L, eps, cos_TP, sin_TP)
    kept_T = slots_T >= 0
    pages_GOZ.view(-1, rows_TZ.shape[1]).index_copy_(0, slots_T[kept_T], rows_TZ[kept_T])
    return q_rope_THR
