"""The gated MLP around one Triton kernel, silu(gate) · up. Letters: T tokens, D decoder width, F inner width, X rows of any kind."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kimi_vl.ops.experts import has_grouped_mm
from kimi_vl.ops.matrices import adjacent
from kimi_vl.ops.quantised import Quantised, Weight, dequantised, parts
from kimi_vl.ops.triton import fp8
from kimi_vl.ops.triton.language import begin, jit, overlap, tl
from kimi_vl.ops.triton.operators import operator
from kimi_vl.ops.triton.swiglu_products import swiglu_product

ROW_BLOCK = 1024  # values of a row that one program takes
# More have their SwiGLU taken inside of the product, where the GPU has the tensor cores that it is cut for: 55 us instead of 63 for 1,024
# tokens, 520 instead of 593 for 16,384.
FEW_TOKENS = 512


@jit
def _swiglu_kernel(gate, up, inner, stride, F, BLOCK_F: tl.constexpr, OVERLAPS: tl.constexpr):
    """One program: BLOCK_F values of silu(gate) · up of one row."""
    begin(OVERLAPS)
    row = tl.program_id(0).to(tl.int64)
    f = tl.program_id(1) * BLOCK_F + tl.arange(0, BLOCK_F)
    gate_F = tl.load(gate + row * stride + f, mask=f < F, other=0.0).to(tl.float32)
    up_F = tl.load(up + row * stride + f, mask=f < F, other=0.0).to(tl.float32)
    tl.store(inner + row * F + f, (gate_F * tl.sigmoid(gate_F) * up_F).to(inner.dtype.element_ty), mask=f < F)


def gated_mlp_triton(
    x_TD: torch.Tensor, gate_FD: Weight, up_FD: Weight, down_DF: Weight, residual_TD: torch.Tensor | None = None
) -> torch.Tensor:
    """`gated_mlp` in three kernels where gate and up lie one behind the other (`matrices.adjacent`), and in four where not. Contract of the
    reference, but rounded less often."""
    given = [parts(weight) for weight in (gate_FD, up_FD, down_DF)]
    scales = [scales for _, scales in given if scales is not None]
    return _gated_mlp(x_TD, [values for values, _ in given], scales, residual_TD)


@operator("kimi_vl::gated_mlp(Tensor x, Tensor[] values, Tensor[] scales, Tensor? residual) -> Tensor")
def _gated_mlp(
    x_TD: torch.Tensor, values: list[torch.Tensor], scales: list[torch.Tensor], residual_TD: torch.Tensor | None
) -> torch.Tensor:
    gate_FD, up_FD, down_DF = [Quantised(*pair) for pair in zip(values, scales, strict=True)] if scales else values
    return gated_mlp(x_TD, gate_FD, up_FD, down_DF, residual_TD)


@_gated_mlp.register_fake
def _(x_TD, values, scales, residual_TD):
    return torch.empty_like(x_TD, memory_format=torch.contiguous_format)


def gated_mlp(x_TD: torch.Tensor, gate_FD: Weight, up_FD: Weight, down_DF: Weight, residual_TD: torch.Tensor | None = None) -> torch.Tensor:
    """The same, for callers that are operators themselves or want none."""
    if weights := fp8.taken(x_TD, gate_FD, up_FD, down_DF):
        return fp8.gated_mlp(fp8.rounded(x_TD), residual_TD, *weights)
    gate_FD, up_FD, down_DF = (dequantised(weight, x_TD.dtype) for weight in (gate_FD, up_FD, down_DF))
    gate_up_GD = adjacent(gate_FD, up_FD)
    if gate_up_GD is None:
        inner_TF = swiglu(F.linear(x_TD, gate_FD), F.linear(x_TD, up_FD))
    elif x_TD.shape[0] > FEW_TOKENS and has_grouped_mm(x_TD.device, x_TD.dtype):
        inner_TF = swiglu_product(x_TD, gate_up_GD)
    else:
        inner_TF = swiglu(*F.linear(x_TD, gate_up_GD).chunk(2, dim=-1))
    return F.linear(inner_TF, down_DF) if residual_TD is None else torch.addmm(residual_TD, inner_TF, down_DF.T)


def swiglu(gate_XF: torch.Tensor, up_XF: torch.Tensor) -> torch.Tensor:
    """silu(gate) · up, [X, F]; rows may be parts of longer ones, equally long for both."""
    assert gate_XF.stride() == up_XF.stride()
    inner_XF = gate_XF.new_empty(gate_XF.shape)
    (rows, width), stride = gate_XF.shape, gate_XF.stride(0)
    if rows:
        with torch.cuda.device_of(gate_XF):  # Triton launches on the current GPU, wherever the tensors are
            grid = rows, -(-width // ROW_BLOCK)
            _swiglu_kernel[grid](gate_XF, up_XF, inner_XF, stride, width, BLOCK_F=ROW_BLOCK, **overlap(gate_XF.device))
    return inner_XF
