"""Weights in four bits (`quantised.Packed`) as kernels read them, and written out for products that take none.

Letters: R rows of a matrix or of many, D columns, G groups of 128 columns, C the 64 bytes of a group.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.quantised import Packed
from kimi_vl.ops.triton.language import begin, jit, overlap, tl

ROWS = 64  # that a program writes out: 4 KB read, 16 KB written


@jit
def lifted(packed, dtype: tl.constexpr):
    """16 + code of a group's first 64 columns, and of the others, from its bytes: codes are put behind the leading bits of the number 16.
    An H100 converts 16 integers a clock and processor, and at its full bandwidth 26 codes come."""
    if dtype == tl.float32:
        word_C = packed.to(tl.int32)
        low_C, high_C = ((word_C & 15) << 19) | 0x41800000, ((word_C >> 4) << 19) | 0x41800000
    elif dtype == tl.bfloat16:
        word_C = packed.to(tl.int16)
        low_C, high_C = ((word_C & 15) << 3) | 0x4180, ((word_C >> 4) << 3) | 0x4180
    else:
        word_C = packed.to(tl.int16)
        low_C, high_C = ((word_C & 15) << 6) | 0x4C00, ((word_C >> 4) << 6) | 0x4C00
    return low_C.to(dtype, bitcast=True), high_C.to(dtype, bitcast=True)


@jit
def halves(packed, dtype: tl.constexpr):
    """What these columns hold without their scale, code - 7.5, exactly."""
    low_C, high_C = lifted(packed, dtype)
    return low_C - 23.5, high_C - 23.5


@jit
def row_sums(values, scales, x, r, R, D, first, BLOCK_G: tl.constexpr):
    """values · x of rows r over the groups first .. first + BLOCK_G - 1, in fp32; x has D values, one behind another. What codes are
    lifted by is taken from a group's sum, which saves one instruction of seven for each."""
    groups = tl.cdiv(D, 128)
    g, c = first + tl.arange(0, BLOCK_G), tl.arange(0, 64)
    is_there_RG = (r < R)[:, None] & (g < groups)[None]
    place_GC, d_GC = g[:, None] * 64 + c[None], g[:, None] * 128 + c[None]
    packed_RGC = tl.load(values + r[:, None, None] * (groups * 64) + place_GC[None], mask=is_there_RG[:, :, None], other=0)
    scales_RG = tl.load(scales + r[:, None] * groups + g[None], mask=is_there_RG, other=0.0).to(tl.float32)
    low_GC = tl.load(x + d_GC, mask=d_GC < D, other=0.0).to(tl.float32)
    high_GC = tl.load(x + d_GC + 64, mask=d_GC + 64 < D, other=0.0).to(tl.float32)
    low_RGC, high_RGC = lifted(packed_RGC, tl.float32)
    sum_RG = tl.sum(low_RGC * low_GC[None] + high_RGC * high_GC[None], 2) - 23.5 * tl.sum(low_GC + high_GC, 1)[None]
    return tl.sum(sum_RG * scales_RG, 1)


@jit
def _write_kernel(values, scales, out, R, D, BLOCK_R: tl.constexpr, OVERLAPS: tl.constexpr):
    """One program: a group of BLOCK_R rows."""
    begin(OVERLAPS)
    groups, g, c = tl.cdiv(D, 128), tl.program_id(1), tl.arange(0, 64)
    r = tl.program_id(0).to(tl.int64) * BLOCK_R + tl.arange(0, BLOCK_R)
    is_row = r < R
    packed_RC = tl.load(values + (r * (groups * 64))[:, None] + (g * 64 + c)[None], mask=is_row[:, None], other=0)
    scale_R = tl.load(scales + r * groups + g, mask=is_row, other=0.0).to(tl.float32)
    low_RC, high_RC = halves(packed_RC, tl.float32)
    d = g * 128 + c
    target = out + (r * D)[:, None] + d[None]
    tl.store(target, (low_RC * scale_R[:, None]).to(out.dtype.element_ty), mask=is_row[:, None] & (d < D)[None])
    tl.store(target + 64, (high_RC * scale_R[:, None]).to(out.dtype.element_ty), mask=is_row[:, None] & (d + 64 < D)[None])


def written(weight_RD: Packed, dtype: torch.dtype) -> torch.Tensor:
    """`dequantised` in one kernel, which reads and writes every byte once."""
    *shape, _ = weight_RD.values.shape
    out_RD = torch.empty(*shape, weight_RD.width, dtype=dtype, device=weight_RD.values.device)
    rows, groups = weight_RD.scales.shape[:-1].numel(), weight_RD.scales.shape[-1]
    with torch.cuda.device_of(out_RD):  # Triton launches on the current GPU, wherever the tensors are
        options = {"BLOCK_R": ROWS} | overlap(out_RD.device)
        _write_kernel[-(-rows // ROWS), groups](weight_RD.values, weight_RD.scales, out_RD, rows, weight_RD.width, **options)
    return out_RD
