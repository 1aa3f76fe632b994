"""Attention over parts of the keys joined to attention over all of them, as one Triton kernel.

Letters: S queries, H heads, V value width, X rows (query, head) of a program.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl

BLOCK_ROWS = 8  # of 128 values: 2 KB of each part


@jit(varying=("num_rows",))
def _average_kernel(
    parts,
    log_masses,
    out,
    num_rows,
    num_heads,
    part_stride,
    mass_stride_s,
    mass_stride_h,
    V,
    BLOCK_X: tl.constexpr,
    BLOCK_V: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_X rows, the parts weighted by their masses. `parts` and `log_masses` are tuples of pointers."""
    begin(OVERLAPS)
    row_X, v = tl.program_id(0).to(tl.int64) * BLOCK_X + tl.arange(0, BLOCK_X), tl.arange(0, BLOCK_V)
    s_X, h_X = row_X // num_heads, row_X % num_heads
    mass_place_X, place_XV = s_X * mass_stride_s + h_X * mass_stride_h, (s_X * part_stride + h_X * V)[:, None] + v[None]
    is_row_X = row_X < num_rows
    is_value_XV = is_row_X[:, None] & (v < V)[None]
    peak_X = tl.full([BLOCK_X], float("-inf"), tl.float32)
    for k in tl.static_range(len(parts)):
        peak_X = tl.maximum(peak_X, tl.load(log_masses[k] + mass_place_X, mask=is_row_X, other=0.0))
    mass_X, sum_XV = tl.zeros([BLOCK_X], tl.float32), tl.zeros([BLOCK_X, BLOCK_V], tl.float32)
    for k in tl.static_range(len(parts)):
        weight_X = tl.exp(tl.load(log_masses[k] + mass_place_X, mask=is_row_X, other=0.0) - peak_X)
        mass_X += weight_X
        sum_XV += weight_X[:, None] * tl.load(parts[k] + place_XV, mask=is_value_XV, other=0.0).to(tl.float32)
    tl.store(out + row_X[:, None] * V + v[None], (sum_XV / mass_X[:, None]).to(out.dtype.element_ty), mask=is_value_XV)


def write_average(parts: Sequence[torch.Tensor], log_masses: Sequence[torch.Tensor], out_SHV: torch.Tensor) -> None:
    """Average outputs [S or more, H, V] of attention over parts of the keys into a contiguous `out`, by the log-sum-exps of their scores,
    fp32 [S or more, H]. Parts lie alike, and so do masses."""
    num_queries, num_heads, width = out_SHV.shape
    assert out_SHV.is_contiguous(), f"an output of strides {out_SHV.stride()} is not one row after another"
    assert {(part.stride()[1:], part.stride(0)) for part in parts} == {((width, 1), parts[0].stride(0))}, "parts lie in different ways"
    assert {mass.stride() for mass in log_masses} == {log_masses[0].stride()}, "masses lie in different ways"
    num_rows = num_queries * num_heads
    with torch.cuda.device_of(out_SHV):  # Triton launches on the current GPU, wherever the tensors are
        _average_kernel[-(-num_rows // BLOCK_ROWS),](
            tuple(parts),
            tuple(log_masses),
            out_SHV,
            num_rows,
            num_heads,
            parts[0].stride(0),
            *log_masses[0].stride(),
            width,
            BLOCK_X=BLOCK_ROWS,
            BLOCK_V=next_power_of_2(width),
            **overlap(out_SHV.device),
        )
