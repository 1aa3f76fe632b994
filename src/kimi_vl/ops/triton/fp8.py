"""Products of tokens and weights that are both fp8, which tensor cores do at twice the rate of bf16 and without anything written out.

A token is rounded as a row of weights is: its largest magnitude becomes the type's largest. Both scales multiply the sums, in fp32.
Letters: X rows of any kind, D input width, R rows of a matrix, E experts, F inner width.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.matrices import adjacent
from kimi_vl.ops.quantised import DTYPES, ExpertWeight, Quantised
from kimi_vl.ops.triton import few_rows
from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl
from kimi_vl.ops.triton.operators import operator

ALIGNMENT = 16  # torch's scaled products take widths that are multiples of it


@jit
def scale_of(largest):
    """What a row, or many, with this largest magnitude is divided by, exactly: of values in bf16 one in sixteen lies between two of fp8
    where a scale is a power of two, and an approximate quotient would fall to either."""
    return tl.where(largest > 0, tl.div_rn(largest, 448.0), 1.0)


@jit
def _round_kernel(x, up, values, scales, stride, D, IS_GATED: tl.constexpr, BLOCK_D: tl.constexpr, OVERLAPS: tl.constexpr):
    """One program: one row, or what is left of it when it gates the other. Conversion to fp8 stops at the largest and keeps NaN."""
    begin(OVERLAPS)
    row = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, BLOCK_D)
    x_D = tl.load(x + row * stride + d, mask=d < D, other=0.0).to(tl.float32)
    if IS_GATED:
        x_D = x_D * tl.sigmoid(x_D) * tl.load(up + row * stride + d, mask=d < D, other=0.0).to(tl.float32)
    scale = scale_of(tl.max(tl.abs(x_D), 0))
    tl.store(scales + row, scale)
    tl.store(values + row * D + d, tl.div_rn(x_D, scale).to(values.dtype.element_ty), mask=d < D)


def rounded(x_XD: torch.Tensor) -> Quantised:
    """`quantised(x, "fp8")` in one kernel. Rows may be parts of longer ones."""
    return _rounded(x_XD if x_XD.stride(-1) == 1 else x_XD.contiguous(), None)


def rounded_swiglu(gate_XF: torch.Tensor, up_XF: torch.Tensor) -> Quantised:
    """silu(gate) · up, rounded once; rows may be parts of longer ones, equally long for both."""
    assert gate_XF.stride() == up_XF.stride()
    return _rounded(gate_XF, up_XF)


def _rounded(x_XD: torch.Tensor, up_XD: torch.Tensor | None) -> Quantised:
    rows, width = x_XD.shape
    values_XD = torch.empty(rows, width, dtype=DTYPES["fp8"], device=x_XD.device)
    scales_X = torch.empty(rows, dtype=torch.float32, device=x_XD.device)
    if rows:
        options = {"IS_GATED": up_XD is not None, "BLOCK_D": next_power_of_2(width)} | overlap(x_XD.device)
        options["num_warps"] = 8 if width > 4096 else 4
        with torch.cuda.device_of(x_XD):  # Triton launches on the current GPU, wherever the tensors are
            _round_kernel[rows,](x_XD, up_XD, values_XD, scales_X, x_XD.stride(0), width, **options)
    return Quantised(values_XD, scales_X)


def taken(x_XD: torch.Tensor, *weights: ExpertWeight) -> list[Quantised]:
    """These matrices [..., R, D] if `linear` and `grouped` take all of them for such tokens (torch 2.11 on an H100), and none if not."""
    if not x_XD.is_cuda or x_XD.dtype != torch.bfloat16 or torch.cuda.get_device_capability(x_XD.device)[0] != 9:
        return []
    found = [weight for weight in weights if isinstance(weight, Quantised) and _is_taken(weight.values)]
    return found if len(found) == len(weights) else []


def _is_taken(values_RD: torch.Tensor) -> bool:
    rows, width = values_RD.shape[-2:]
    return values_RD.dtype == DTYPES["fp8"] and rows % ALIGNMENT == 0 and width % ALIGNMENT == 0


def linear(x_XD: Quantised, weight_RD: Quantised) -> torch.Tensor:
    """weight · x, bf16 [X, R]. Tensor cores keep 14 bits of a running sum (`use_fast_accum`), ten more than either side has."""
    scales = x_XD.scales[:, None], weight_RD.scales[None]
    return torch._scaled_mm(x_XD.values, weight_RD.values.T, *scales, out_dtype=torch.bfloat16, use_fast_accum=True)


def grouped(x_XD: Quantised, weight_ERD: Quantised, ends_E: torch.Tensor) -> torch.Tensor:
    """The same with a matrix for each group of rows, bf16 [X, R]; groups end at `ends` (int32) and may be empty."""
    operands = x_XD.values, weight_ERD.values.mT, x_XD.scales, weight_ERD.scales
    return torch._scaled_grouped_mm(*operands, offs=ends_E, out_dtype=torch.bfloat16, use_fast_accum=True)


def gated_mlp(
    x_XD: torch.Tensor, residual_XD: torch.Tensor | None, gate_FD: Quantised, up_FD: Quantised, down_DF: Quantised
) -> torch.Tensor:
    """`gated_mlp` of matrices that are `taken`."""
    x, gate_up_GD = rounded(x_XD), together(gate_FD, up_FD)
    if gate_up_GD is None:
        gate_XF, up_XF = linear(x, gate_FD), linear(x, up_FD)
    else:
        gate_XF, up_XF = linear(x, gate_up_GD).chunk(2, dim=-1)
    y_XD = linear(rounded_swiglu(gate_XF, up_XF), down_DF)
    return y_XD if residual_XD is None else y_XD.add_(residual_XD)


def together(*weights: Quantised) -> Quantised | None:
    """Matrices as one if they lie one behind the other (`matrices.adjacent`)."""
    values, scales = adjacent(*(weight.values for weight in weights)), adjacent(*(weight.scales for weight in weights))
    return None if values is None or scales is None else Quantised(values, scales)


@operator("kimi_vl::fp8_linear(Tensor x, Tensor values, Tensor scales) -> Tensor")
def _linear(x_XD: torch.Tensor, values_RD: torch.Tensor, scales_R: torch.Tensor) -> torch.Tensor:
    weight_RD = Quantised(values_RD, scales_R)
    if 0 < x_XD.shape[0] <= few_rows.LINEAR_TOKENS and x_XD.shape[1] <= few_rows.MOST_WIDTH:
        return few_rows.linear(x_XD.contiguous(), weight_RD)
    return linear(rounded(x_XD), weight_RD)


@_linear.register_fake
def _(x_XD, values_RD, scales_R):
    return x_XD.new_empty(x_XD.shape[0], values_RD.shape[0])


def linear_of_tokens(x: torch.Tensor, weight_RD: Quantised) -> torch.Tensor:
    """`linear` of tokens that are not rounded yet, nor here if they are so few that vectors do it: the last of a prompt before the output
    matrix. x [..., D]; one operator to torch."""
    return _linear(x.reshape(-1, x.shape[-1]), *weight_RD).view(*x.shape[:-1], weight_RD.values.shape[0])
