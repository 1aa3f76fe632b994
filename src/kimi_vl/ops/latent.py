"""The rows of the latent cache: what a token leaves behind for the tokens after it, and its query turned alike.

A row is kept in the activations' dtype or, at half the bytes, in fp8 (e4m3) as it is, without a scale: latents are normed and keys rotated, so
values lie far inside of what fp8 holds (2^-9 to 448), where a scale buys nothing: three bits of mantissa are three bits at any scale.

Letters: T tokens, H heads, L latent rank, R rotary width, Z = L + R; G pages of O rows, J of them.
"""

import torch

from kimi_vl.ops.norm import rms_norm
from kimi_vl.ops.quantised import DTYPES, LARGEST
from kimi_vl.ops.rotary import rotate_pairs


def latent_rows(
    q_rope_THR: torch.Tensor,
    projected_TZ: torch.Tensor,
    norm_weight_L: torch.Tensor,
    eps: float,
    cos_TP: torch.Tensor,
    sin_TP: torch.Tensor,
    *,
    in_place: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotated queries [T, H, R], and rows [T, Z] of the latent normed and the shared key rotated, from the projections of both.

    cos and sin are [T, R/2] in the activations' dtype; rounded like `rms_norm` and `rotate_pairs`. `in_place`: the queries are written over
    those given, which are returned; 0.5 GB less at 131,072 tokens, and a third of the traffic of joining them again.
    """
    rank = norm_weight_L.shape[0]
    latent_TL, k_rope_TR = projected_TZ.split([rank, projected_TZ.shape[-1] - rank], dim=-1)
    k_rope_TR = rotate_pairs(k_rope_TR[:, None], cos_TP, sin_TP)[:, 0]
    rows_TZ = torch.cat((rms_norm(latent_TL, norm_weight_L, eps), k_rope_TR), dim=-1)
    turned_THR = rotate_pairs(q_rope_THR, cos_TP, sin_TP)
    return q_rope_THR.copy_(turned_THR) if in_place else turned_THR, rows_TZ


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

    Writes pages_GOZ in place, which is contiguous, rounded to its dtype (`kept`). slots_T is int64; slot -1 is skipped, so that a captured graph may carry padding
    rows, and no other slot stands twice. Asks the host.
    """
    q_rope_THR, rows_TZ = latent_rows(q_rope_THR, projected_TZ, norm_weight_L, eps, cos_TP, sin_TP)
    kept_T = slots_T >= 0
    store_rows(rows_TZ[kept_T], slots_T[kept_T], pages_GOZ)
    return q_rope_THR


def kept(rows_TZ: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Rows as pages of a dtype keep them. What fp8 cannot hold becomes its largest number, as a GPU's own conversion has it; NaN stays NaN."""
    if dtype == DTYPES["fp8"]:
        rows_TZ = rows_TZ.clamp(-LARGEST["fp8"], LARGEST["fp8"])
    return rows_TZ.to(dtype)


def store_rows(rows_TZ: torch.Tensor, slots_T: torch.Tensor, pages_GOZ: torch.Tensor) -> None:
    """Row t at place slots[t] of all pages' rows, which are contiguous; no place stands twice."""
    _movable(pages_GOZ).view(-1, rows_TZ.shape[1]).index_copy_(0, slots_T, _movable(kept(rows_TZ, pages_GOZ.dtype)))


def rows_of(pages_GOZ: torch.Tensor, pages_J: torch.Tensor, length: int, dtype: torch.dtype) -> torch.Tensor:
    """The first `length` rows of these pages in order [length, Z], in a dtype that holds them as they are."""
    rows_JOZ = _movable(pages_GOZ).index_select(0, pages_J).view(pages_GOZ.dtype)
    return rows_JOZ.flatten(0, 1)[:length].to(dtype)


def _movable(x: torch.Tensor) -> torch.Tensor:
    """Numbers of one byte as bytes: torch does not move fp8 by an index everywhere."""
    return x.view(torch.uint8) if x.itemsize == 1 else x
