"""Weights in eight or four bits: a half or a quarter of the bytes that a decoding step must read.

In eight bits a row's scale is its largest magnitude over the largest of the type, so an int8 weight is off by at most 1/254 of its row's
largest, one in fp8 (e4m3, three bits of mantissa) by 1/16 of itself.

In four bits 128 columns of a row have a scale, and a weight is one of its 16 multiples -7.5, -6.5 .. 7.5: none of them is zero, because
16 even steps so placed are nearest to normal values. Of four scales, which put the last step at or below the largest magnitude, the one
with the least squared error is kept. Normal weights are then off by 10.1 % of their deviation, nano's by 9.9 to 10.2; the largest
magnitude alone would leave 11.0, and multiples -8 .. 7 with it 11.7.

Letters: R rows, D columns, G groups of columns, of one matrix or of many.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F

EightBits = Literal["int8", "fp8"]
# What a decoder is quantised to: int4 means its routed experts, 14.4 of 16.4 billion weights at the official sizes, and int8 everything
# else. Of nano's logits that costs 8 % (the median token); shared experts in four bits as well 15, attention 26, the output matrix 70.
Kind = Literal["int8", "fp8", "int4"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LARGEST: dict[EightBits, float] = {"int8": 127.0, "fp8": 448.0}
DTYPES: dict[EightBits, torch.dtype] = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}
BLOCK_VALUES = 1 << 24  # rounded at once, 64 MB of them

GROUP = 128  # columns that have a scale in four bits
MIDDLE = 7.5  # a value is code - MIDDLE times the scale
CLIPS = (1.0, 0.9, 0.8, 0.7)  # of a group's largest magnitude; 12 of them would gain 1 % of the error


class Quantised(NamedTuple):
    """A matrix, or many: values int8 or float8_e4m3fn [..., R, D], scales fp32 [..., R]."""

    values: torch.Tensor
    scales: torch.Tensor


class Packed(NamedTuple):
    """A matrix in four bits, or many: values uint8 [..., R, 64 G], scales bf16 [..., R, G], and D, the columns that there are.

    Byte 64 g + j holds the codes of columns 128 g + j, in its low half, and 128 g + 64 + j: what is read in one piece is two pieces of as
    many columns. The last group goes on behind a row's end with codes that mean nothing.
    """

    values: torch.Tensor
    scales: torch.Tensor
    width: int


Weight = torch.Tensor | Quantised
ExpertWeight = Weight | Packed


def beside_experts(kind: Kind) -> EightBits:
    """What the matrices of a decoder are in that are not routed experts."""
    return "int8" if kind == "int4" else kind


def quantised_experts(weights_ERD: torch.Tensor, kind: Kind) -> Quantised | Packed:
    """The routed experts' matrices, expert by expert: no more than one is there in fp32."""
    if kind == "int4":
        values, scales = zip(*(packed_rows(weight_RD)[:2] for weight_RD in weights_ERD), strict=True)
        return Packed(torch.stack(values), torch.stack(scales), weights_ERD.shape[-1])
    values, scales = zip(*(quantised(weight_RD, kind) for weight_RD in weights_ERD), strict=True)
    return Quantised(torch.stack(values), torch.stack(scales))


def quantised(weight_RD: torch.Tensor, kind: EightBits) -> Quantised:
    """Rounded to the nearest; a row of zeros has the scale 1. Rows go through fp32 in blocks: the output matrix of the official sizes would
    take 3.4 GB beside itself."""
    rows_RD = weight_RD.reshape(-1, weight_RD.shape[-1])
    blocks = [_rounded(block_RD, kind) for block_RD in rows_RD.split(max(1, BLOCK_VALUES // rows_RD.shape[1]))]
    values_RD, scales_R = (torch.cat(block) if len(block) > 1 else block[0] for block in zip(*blocks, strict=True))
    return Quantised(values_RD.view(weight_RD.shape), scales_R.view(weight_RD.shape[:-1]))


def _rounded(weight_RD: torch.Tensor, kind: EightBits) -> tuple[torch.Tensor, torch.Tensor]:
    largest_R = weight_RD.abs().amax(-1).float()
    scales_R = (largest_R / LARGEST[kind]).masked_fill_(largest_R == 0, 1.0)
    scaled_RD = weight_RD.float().div_(scales_R[..., None]) if weight_RD.dtype != torch.float32 else weight_RD / scales_R[..., None]
    if kind == "int8":
        scaled_RD.round_()
    return scaled_RD.clamp_(-LARGEST[kind], LARGEST[kind]).to(DTYPES[kind]), scales_R


def packed_rows(weight_RD: torch.Tensor) -> Packed:
    """In four bits. A group of zeros has the scale 0. Rows go through fp32 in blocks, as in eight bits."""
    rows_RD, width = weight_RD.reshape(-1, weight_RD.shape[-1]), weight_RD.shape[-1]
    blocks = [_packed(block_RD) for block_RD in rows_RD.split(max(1, BLOCK_VALUES // width))]
    values_RC, scales_RG = (torch.cat(block) for block in zip(*blocks, strict=True))
    shape = weight_RD.shape[:-1]
    return Packed(values_RC.view(*shape, -1), scales_RG.view(*shape, -1), width)


def _packed(weight_RD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is behind a row's end counts as zeros while codes are chosen, which is no error of the matrix."""
    rows, width = weight_RD.shape
    group_RGC = F.pad(weight_RD.float(), (0, -width % GROUP)).view(rows, -1, GROUP)
    is_there_GC = torch.arange(group_RGC[0].numel(), device=weight_RD.device).view(-1, GROUP) < width
    largest_RG = group_RGC.abs().amax(-1, keepdim=True)
    codes_RGC, scales_RG, least_RG = _codes(group_RGC, is_there_GC, largest_RG * (CLIPS[0] / MIDDLE))
    for clip in CLIPS[1:]:
        codes, scales, error = _codes(group_RGC, is_there_GC, largest_RG * (clip / MIDDLE))
        is_less = error < least_RG
        codes_RGC, scales_RG = torch.where(is_less, codes, codes_RGC), torch.where(is_less, scales, scales_RG)
        least_RG = torch.minimum(error, least_RG)
    low, high = codes_RGC.chunk(2, dim=-1)
    return (low | high << 4).flatten(1), scales_RG.squeeze(-1)


def _codes(group_RGC: torch.Tensor, is_there_GC: torch.Tensor, scales_RG: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(codes uint8 [R, G, C], scales as they are kept [R, G, 1], squared error [R, G, 1])."""
    kept_RG = scales_RG.bfloat16()
    inverse_RG = torch.where(kept_RG > 0, 1.0 / kept_RG.float(), 0.0)
    codes_RGC = (group_RGC * inverse_RG).add_(MIDDLE).round_().clamp_(0, 15)
    error_RGC = (codes_RGC - MIDDLE).mul_(kept_RG.float()).sub_(group_RGC).mul_(is_there_GC)
    return codes_RGC.to(torch.uint8), kept_RG, error_RGC.square_().sum(-1, keepdim=True)


def parts(weight: ExpertWeight) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Values, and scales if there are any."""
    return (weight, None) if isinstance(weight, torch.Tensor) else weight[:2]


def of_parts(values: torch.Tensor, scales: torch.Tensor, width: int) -> Quantised | Packed:
    """The matrix of `width` columns whose parts these are."""
    return Packed(values, scales, width) if values.dtype == torch.uint8 else Quantised(values, scales)


def one_of(weight: ExpertWeight, index: int) -> ExpertWeight:
    """One matrix of many."""
    if isinstance(weight, torch.Tensor):
        return weight[index]
    return of_parts(weight.values[index], weight.scales[index], columns(weight))


def columns(weight: ExpertWeight) -> int:
    """D."""
    return weight.width if isinstance(weight, Packed) else parts(weight)[0].shape[-1]


def dequantised(weight: ExpertWeight, dtype: torch.dtype) -> torch.Tensor:
    """The matrix in `dtype`; one that was never quantised as it is."""
    if isinstance(weight, torch.Tensor):
        return weight
    if isinstance(weight, Packed):
        return _unpacked(weight, dtype)
    out = torch.empty(weight.values.shape, dtype=dtype, device=weight.values.device)
    # On a GPU one kernel, which casts as it reads and writes; torch refuses fp8 in a product, and it is exact in any other type.
    values = weight.values if weight.values.dtype == torch.int8 else weight.values.to(dtype)
    return torch.mul(values, weight.scales[..., None], out=out)


def _unpacked(weight: Packed, dtype: torch.dtype) -> torch.Tensor:
    bytes_RGC = weight.values.unflatten(-1, (-1, GROUP // 2))
    codes_RGC = torch.cat((bytes_RGC & 15, bytes_RGC >> 4), dim=-1)
    values_RGC = (codes_RGC.to(torch.float32) - MIDDLE).mul_(weight.scales[..., None].float())
    return values_RGC.to(dtype).flatten(-2)[..., : weight.width].contiguous()
