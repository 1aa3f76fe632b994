"""Per-row symmetric int8: what the embedded checkpoint is stored in.

A weight matrix [rows, ...] becomes int8 of the same shape under its own name, and `<name>_scale` float32 [rows]; a value is
int8 x scale. Rounding costs about 0.7 % of a row's standard deviation (TRAINING §4.10). Everything that is not a weight matrix
(norms, biases, the router, the position table) stays float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCALE_SUFFIX = "_scale"

_SMALLEST_NORMAL = torch.finfo(torch.float32).tiny
_BLOCK = 1 << 20  # values dequantised at a time: 4 MB of float32
_SPARE_BITS = 7  # 127 needs 7 bits of the 24 that a float32 significand has


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest int8 to a finite weight [rows, ...] of any floating dtype. Returns (int8 [rows, ...], float32 scale [rows]).

    The scale is the row's absmax / 127, rounded up to 17 significant bits: then every product int8 x scale is exact in float32, and
    quantising a dequantised weight gives back the same bits. Rows too small for a normal float32 scale (absmax < 1.5e-36) become zero.
    """
    rows = weight.detach().to(torch.float32).flatten(1)
    scale = _round_up(rows.abs().amax(dim=1) / 127)
    safe = torch.where(scale > 0, scale, 1.0)
    quantized = (rows / safe[:, None]).round_().clamp_(-127, 127)
    quantized[scale == 0] = 0
    return quantized.to(torch.int8).view(weight.shape), scale


def dequantize(quantized: Tensor, scale: Tensor, out: Tensor | None = None) -> Tensor:
    """int8 [rows, ...] x float32 scale [rows] -> float32, or rounded into `out` (same shape, contiguous, any floating dtype)."""
    rows, scale = quantized.flatten(1), scale[:, None]
    if out is None:
        out = torch.empty(quantized.shape, device=quantized.device)
    # In blocks, because a product rounded into another dtype takes float32 temporaries of its whole size.
    block = max(1, _BLOCK // rows.shape[1])
    for target, values, scales in zip(out.flatten(1).split(block), rows.split(block), scale.split(block), strict=True):
        torch.mul(values, scales, out=target)
    return out


def _round_up(scale: Tensor) -> Tensor:
    """The next float32 whose last 7 significand bits are zero, found on the bit pattern (monotone for positive floats)."""
    unit = 1 << _SPARE_BITS
    bits = (scale.view(torch.int32) + (unit - 1)) & -unit
    return torch.where(scale < _SMALLEST_NORMAL, 0.0, bits.view(torch.float32))
