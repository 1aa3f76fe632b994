"""Weights in eight bits with a scale for each row: half the bytes that a decoding step must read.

A row's scale is its largest magnitude over the largest of the type, so an int8 weight is off by at most 1/254 of its row's largest, one in
fp8 (e4m3, three bits of mantissa) by 1/16 of itself. Letters: R rows, D columns, of one matrix or of many.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

Kind = Literal["int8", "fp8"]
LARGEST: dict[Kind, float] = {"int8": 127.0, "fp8": 448.0}
BLOCK_VALUES = 1 << 24  # rounded at once, 64 MB of them
DTYPES: dict[Kind, torch.dtype] = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}


class Quantised(NamedTuple):
    """A matrix, or many: values int8 or float8_e4m3fn [..., R, D], scales fp32 [..., R]."""

    values: torch.Tensor
    scales: torch.Tensor


Weight = torch.Tensor | Quantised


def quantised(weight_RD: torch.Tensor, kind: Kind) -> Quantised:
    """Rounded to the nearest; a row of zeros has the scale 1. Rows go through fp32 in blocks: the output matrix of the official sizes would
    take 3.4 GB beside itself."""
    rows_RD = weight_RD.reshape(-1, weight_RD.shape[-1])
    blocks = [_rounded(block_RD, kind) for block_RD in rows_RD.split(max(1, BLOCK_VALUES // rows_RD.shape[1]))]
    values_RD, scales_R = (torch.cat(block) if len(block) > 1 else block[0] for block in zip(*blocks, strict=True))
    return Quantised(values_RD.view(weight_RD.shape), scales_R.view(weight_RD.shape[:-1]))


def _rounded(weight_RD: torch.Tensor, kind: Kind) -> tuple[torch.Tensor, torch.Tensor]:
    largest_R = weight_RD.abs().amax(-1).float()
    scales_R = (largest_R / LARGEST[kind]).masked_fill_(largest_R == 0, 1.0)
    scaled_RD = weight_RD.float().div_(scales_R[..., None]) if weight_RD.dtype != torch.float32 else weight_RD / scales_R[..., None]
    if kind == "int8":
        scaled_RD.round_()
    return scaled_RD.clamp_(-LARGEST[kind], LARGEST[kind]).to(DTYPES[kind]), scales_R


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
