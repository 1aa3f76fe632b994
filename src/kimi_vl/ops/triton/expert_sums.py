"""What the ways to compute routed experts have in common: shared experts as experts, and the sum of a token's pairs.

Letters: T tokens, D decoder width, E experts, K experts per token, F inner width of one expert, X pairs (token, one of its experts), T x K.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.experts import Shared
from kimi_vl.ops.quantised import parts
from kimi_vl.ops.triton.gated_mlp import ROW_BLOCK
from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.rms_norm import normed

# A weight [D], an epsilon, and where to write the norm of an output [T, D] that whoever reads it next begins with.
Norm = tuple[torch.Tensor, float, torch.Tensor]


@jit
def _sum_kernel(
    y,
    places,
    weights,
    beside,
    residual,
    norm_weight,
    out,
    normed_out,
    eps,
    D,
    TOP_K: tl.constexpr,
    SHARED: tl.constexpr,
    HAS_BESIDE: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    HAS_NORM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    IS_SORTED: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_D values of one token's output, the rows of its pairs weighted and summed; sorted rows lie at `places`. Where the
    norm is written too, BLOCK_D is the whole of it."""
    t = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    if HAS_NORM:
        norm_D = tl.load(norm_weight + d, mask=d < D, other=0.0)
    begin(OVERLAPS)
    sum_D = tl.zeros([BLOCK_D], tl.float32)
    for k in tl.static_range(TOP_K + SHARED):
        row = tl.load(places + t * TOP_K + k).to(tl.int64) if IS_SORTED else t * (TOP_K + SHARED) + k
        y_D = tl.load(y + row * D + d, mask=d < D, other=0.0).to(tl.float32)
        sum_D += tl.load(weights + t * TOP_K + k) * y_D if k < TOP_K else y_D
    if HAS_BESIDE:
        sum_D += tl.load(beside + t * D + d, mask=d < D, other=0.0).to(tl.float32)
    if HAS_RESIDUAL:
        sum_D += tl.load(residual + t * D + d, mask=d < D, other=0.0).to(tl.float32)
    sum_D = sum_D.to(out.dtype.element_ty)
    tl.store(out + t * D + d, sum_D, mask=d < D)
    if HAS_NORM:
        tl.store(normed_out + t * D + d, normed(sum_D, norm_D, eps, D), mask=d < D)


def shared_parts(shared: Shared | None, inner: int) -> tuple[list[torch.Tensor | None], list[torch.Tensor | None], int]:
    """Values and scales of the shared experts' gate, up and down, and how many experts of the routed ones' width they are."""
    if shared is None:
        return [None] * 3, [None] * 3, 0
    given = [parts(weight) for weight in shared]
    rows = given[0][0].shape[0]
    assert rows % inner == 0, f"shared experts of {rows} inner values are no whole number of {inner}"
    return [values for values, _ in given], [scales for _, scales in given], rows // inner


def weighted_sum(
    y_XD: torch.Tensor,
    places_X: torch.Tensor | None,
    weights_TK: torch.Tensor,
    num_shared: int,
    beside_TD: torch.Tensor | None,
    residual_TD: torch.Tensor | None,
    norm: Norm | None = None,
) -> torch.Tensor:
    """The rows of each token's pairs times their weights, and what is to be added, summed in fp32 and rounded once; sorted rows lie at
    `places`. The norm of that is written beside, if one is given."""
    (num_tokens, top_k), width = weights_TK.shape, y_XD.shape[1]
    out_TD = y_XD.new_empty(num_tokens, width)
    block = ROW_BLOCK if norm is None else next_power_of_2(width)
    options = {"TOP_K": top_k, "SHARED": num_shared, "BLOCK_D": block, "IS_SORTED": places_X is not None, "HAS_NORM": norm is not None}
    options |= {"HAS_BESIDE": beside_TD is not None, "HAS_RESIDUAL": residual_TD is not None} | overlap(y_XD.device)
    given, (norm_weight, eps, normed_TD) = (y_XD, places_X, weights_TK, beside_TD, residual_TD), norm or (None, 0.0, None)
    _sum_kernel[num_tokens, -(-width // block)](*given, norm_weight, out_TD, normed_TD, eps, width, **options)
    return out_TD
