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
from kimi_vl.ops.triton.rms_norm import normed

ALIGNMENT = 16  # torch's scaled products take widths that are multiples of it


@jit
def scale_of(largest):
    """What a row, or many, with this largest magnitude is divided by, exactly: of values in bf16 one in sixteen lies between two of fp8
    where a scale is a power of two, and an approximate quotient would fall to either."""
    return tl.where(largest > 0, tl.div_rn(largest, 448.0), 1.0)


@jit
def _keep(x_D, values, scales, row, d, D, EXACTLY: tl.constexpr):
    """Write a row in fp8, and its scale. Conversion to fp8 stops at the largest and keeps NaN."""
    scale = scale_of(tl.max(tl.abs(x_D), 0))
    tl.store(scales + row, scale)
    unit_D = tl.div_rn(x_D, scale) if EXACTLY else x_D * (1.0 / scale)
    tl.store(values + row * D + d, unit_D.to(values.dtype.element_ty), mask=d < D)


@jit
def _round_kernel(x, up, values, scales, stride, D, IS_GATED: tl.constexpr, BLOCK_D: tl.constexpr, OVERLAPS: tl.constexpr):
    """One program: one row, or what is left of it when it gates the other."""
    begin(OVERLAPS)
    row = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, BLOCK_D)
    x_D = tl.load(x + row * stride + d, mask=d < D, other=0.0).to(tl.float32)
    if IS_GATED:
        x_D = x_D * tl.sigmoid(x_D) * tl.load(up + row * stride + d, mask=d < D, other=0.0).to(tl.float32)
    # A gated value is in fp32 and seldom lies just between two numbers of fp8: it need not be divided exactly.
    _keep(x_D, values, scales, row, d, D, not IS_GATED)


@jit
def _norm_round_kernel(
    x, update, weight, total, out, values, scales, eps, D, HAS_UPDATE: tl.constexpr, BLOCK_D: tl.constexpr, OVERLAPS: tl.constexpr
):
    """One program: one row, normalised, and rounded as that is in 16 bits."""
    begin(OVERLAPS)
    row = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, BLOCK_D)
    x_D = tl.load(x + row * D + d, mask=d < D, other=0.0)
    if HAS_UPDATE:
        x_D = (x_D.to(tl.float32) + tl.load(update + row * D + d, mask=d < D, other=0.0).to(tl.float32)).to(x_D.dtype)
        tl.store(total + row * D + d, x_D, mask=d < D)
    x_D = normed(x_D, tl.load(weight + d, mask=d < D, other=0.0), eps, D)
    if HAS_UPDATE:
        tl.store(out + row * D + d, x_D, mask=d < D)
    _keep(x_D.to(tl.float32), values, scales, row, d, D, True)


def rounded_rms_norm(x_XD: torch.Tensor, weight_D: torch.Tensor, eps: float) -> Quantised:
    """`rounded(rms_norm(x))` in one kernel; rows are contiguous."""
    return _norm_rounded(x_XD, None, weight_D, eps)[2]


def rounded_add_rms_norm(
    x_XD: torch.Tensor, update_XD: torch.Tensor, weight_D: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor, Quantised]:
    """`add_rms_norm`, and its second part rounded, in one kernel; rows are contiguous."""
    return _norm_rounded(x_XD, update_XD, weight_D, eps)


def _norm_rounded(
    x_XD: torch.Tensor, update_XD: torch.Tensor | None, weight_D: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor, Quantised]:
    (rows, width), kept = x_XD.shape, update_XD is not None
    total_XD, normed_XD = (torch.empty_like(x_XD) if kept else x_XD for _ in range(2))
    tokens = _empty(rows, width, x_XD.device)
    if rows:
        options = {"HAS_UPDATE": kept, "BLOCK_D": next_power_of_2(width)} | overlap(x_XD.device)
        with torch.cuda.device_of(x_XD):  # Triton launches on the current GPU, wherever the tensors are
            _norm_round_kernel[rows,](x_XD, update_XD, weight_D, total_XD, normed_XD, *tokens, eps, width, **options)
    return total_XD, normed_XD, tokens


def rounded(x_XD: torch.Tensor) -> Quantised:
    """`quantised(x, "fp8")` in one kernel. Rows may be parts of longer ones."""
    return _rounded(x_XD if x_XD.stride(-1) == 1 else x_XD.contiguous(), None)


def rounded_swiglu(gate_XF: torch.Tensor, up_XF: torch.Tensor) -> Quantised:
    """silu(gate) · up, rounded once; rows may be parts of longer ones, equally long for both."""
    assert gate_XF.stride() == up_XF.stride()
    return _rounded(gate_XF, up_XF)


def _rounded(x_XD: torch.Tensor, up_XD: torch.Tensor | None) -> Quantised:
    rows, width = x_XD.shape
    tokens = _empty(rows, width, x_XD.device)
    if rows:
        options = {"IS_GATED": up_XD is not None, "BLOCK_D": next_power_of_2(width)} | overlap(x_XD.device)
        options["num_warps"] = 8 if width > 4096 else 4
        with torch.cuda.device_of(x_XD):  # Triton launches on the current GPU, wherever the tensors are
            _round_kernel[rows,](x_XD, up_XD, *tokens, x_XD.stride(0), width, **options)
    return tokens


def _empty(rows: int, width: int, device: torch.device) -> Quantised:
    values_XD = torch.empty(rows, width, dtype=DTYPES["fp8"], device=device)
    return Quantised(values_XD, torch.empty(rows, dtype=torch.float32, device=device))


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


def gated_mlp(x: Quantised, residual_XD: torch.Tensor | None, gate_FD: Quantised, up_FD: Quantised, down_DF: Quantised) -> torch.Tensor:
    """`gated_mlp` of tokens [X, D] and matrices that are `taken`."""
    gate_up_GD = together(gate_FD, up_FD)
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


@operator("kimi_vl::fp8_linear(Tensor x, Tensor[] values, Tensor[] scales) -> Tensor[]")
def _linear(x_XD: torch.Tensor, values: list[torch.Tensor], scales: list[torch.Tensor]) -> list[torch.Tensor]:
    weights = [Quantised(*pair) for pair in zip(values, scales, strict=True)]
    if 0 < x_XD.shape[0] <= few_rows.LINEAR_TOKENS and x_XD.shape[1] <= few_rows.MOST_WIDTH:
        return [few_rows.linear(x_XD.contiguous(), weight_RD) for weight_RD in weights]
    tokens = rounded(x_XD)
    return [linear(tokens, weight_RD) for weight_RD in weights]


@_linear.register_fake
def _(x_XD, values, scales):
    return [x_XD.new_empty(x_XD.shape[0], values_RD.shape[0]) for values_RD in values]


def products_of_tokens(x: torch.Tensor, weights: list[Quantised]) -> list[torch.Tensor]:
    """`linear` of tokens that are not rounded yet, with each of these weights [R, D]; nor are they here if they are so few that vectors do
    it: the last of a prompt before the output matrix. x [..., D]; one operator to torch."""
    found = _linear(x.reshape(-1, x.shape[-1]), [weight.values for weight in weights], [weight.scales for weight in weights])
    return [y_XR.view(*x.shape[:-1], -1) for y_XR in found]
