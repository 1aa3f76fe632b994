"""Weights in eight bits with a scale for each row: half the bytes that a decoding step must read.

A row's scale is its largest magnitude over the largest of the type, so an int8 weight is off by at most 1/254 of its row's largest, one in
fp8 (e4m3, three bits of mantissa) by 1/16 of itself. Letters: R rows, D columns, of one matrix or of many.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

Kind = Literal["int8", "fp8"]
LARGEST: dict[Kind, float] = {"int8": 127.0, "fp8": 448.0}
DTYPES: dict[Kind, torch.dtype] = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}


class Quantised(NamedTuple):
    """A matrix, or many: values int8 or float8_e4m3fn [..., R, D], scales fp32 [..., R]."""

    values: torch.Tensor
    scales: torch.Tensor


Weight = torch.Tensor | Quantised


def quantised(weight_RD: torch.Tensor, kind: Kind) -> Quantised:
    """Rounded to the nearest; a row of zeros has the scale 1."""
    largest_R = weight_RD.abs().amax(-1).float()
    scales_R = (largest_R / LARGEST[kind]).masked_fill_(largest_R == 0, 1.0)
    scaled_RD = weight_RD.float() / scales_R[..., None]
    if kind == "int8":
        scaled_RD = scaled_RD.round_()
    return Quantised(scaled_RD.clamp_(-LARGEST[kind], LARGEST[kind]).to(DTYPES[kind]), scales_R)


def parts(weight: Weight) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Values, and scales if there are any."""
    return weight if isinstance(weight, Quantised) else (weight, None)


def one_of(weight: Weight, index: int) -> Weight:
    """One matrix of many."""
    return Quantised(weight.values[index], weight.scales[index]) if isinstance(weight, Quantised) else weight[index]


def dequantised(weight: Weight, dtype: torch.dtype) -> torch.Tensor:
    """The matrix in `dtype`; one that was never quantised as it is."""
    if isinstance(weight, torch.Tensor):
        return weight
    out = torch.empty(weight.values.shape, dtype=dtype, device=weight.values.device)
    # On a GPU one kernel, which casts as it reads and writes; torch refuses fp8 in a product, and it is exact in any other type.
    values = weight.values if weight.values.dtype == torch.int8 else weight.values.to(dtype)
    return torch.mul(values, weight.scales[..., None], out=out)
