"""The small parts of a decoder layer."""

import torch
import torch.nn.functional as F
from torch import nn

from kimi_vl.ops import Operations, rms_norm
from kimi_vl.ops.matrices import adjacent
from kimi_vl.ops.quantised import Quantised, Weight, dequantised
from kimi_vl.ops.triton import fp8


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float, **factory) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(width, **factory))

    def forward(self, x_TD: torch.Tensor, ops: Operations | None = None) -> torch.Tensor:
        return (ops.rms_norm if ops else rms_norm)(x_TD, self.weight, self.eps)

    def after(self, x_TD: torch.Tensor, update_TD: torch.Tensor, ops: Operations) -> tuple[torch.Tensor, torch.Tensor]:
        """x + update, and the norm of it."""
        return ops.add_rms_norm(x_TD, update_TD, self.weight, self.eps)


class GatedMLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) · up(x)), no biases."""

    def __init__(self, width: int, inner: int, **factory) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False, **factory)
        self.up_proj = nn.Linear(width, inner, bias=False, **factory)
        self.down_proj = nn.Linear(inner, width, bias=False, **factory)

    @property
    def weights(self) -> tuple[Weight, Weight, Weight]:
        return self.gate_proj.weight, self.up_proj.weight, self.down_proj.weight

    @property
    def plain(self) -> bool:
        return all(is_plain(layer) for layer in (self.gate_proj, self.up_proj, self.down_proj))

    def forward(self, x_TD: torch.Tensor, ops: Operations, residual_TD: torch.Tensor | None = None) -> torch.Tensor:
        """Added to the residual, if there is one."""
        if self.plain:
            return ops.gated_mlp(x_TD, *self.weights, residual_TD)
        y_TD = self.down_proj(F.silu(self.gate_proj(x_TD)) * self.up_proj(x_TD))
        return y_TD if residual_TD is None else residual_TD + y_TD


class QuantisedLinear(nn.Module):
    """In place of a linear layer: its weight in eight bits. On an H100 tokens are rounded to fp8 beside weights in fp8; whoever cannot read
    weights as they are multiplies by them written out."""

    values: torch.Tensor
    scales: torch.Tensor

    def __init__(self, weight: Quantised) -> None:
        super().__init__()
        self.register_buffer("values", weight.values)
        self.register_buffer("scales", weight.scales)

    @property
    def weight(self) -> Quantised:
        return Quantised(self.values, self.scales)

    def forward(self, x_TD: torch.Tensor) -> torch.Tensor:
        if fp8.taken(x_TD, self.weight):
            return fp8.products_of_tokens(x_TD, [self.weight])[0]
        return F.linear(x_TD, dequantised(self.weight, x_TD.dtype))


def is_plain(layer: nn.Module) -> bool:
    """Whether a linear layer is its weight and no more, so that an operation may read that and pass the layer by. One with an adapter
    around it (LoRA) is not: its weight is the frozen one."""
    return type(layer) in (nn.Linear, QuantisedLinear)


def matrix_of(layer: nn.Linear) -> torch.Tensor:
    """The matrix that a linear layer without bias multiplies by; with an adapter around it, what it makes of the unit vectors."""
    weight = layer.weight
    if is_plain(layer):
        return weight
    return layer(torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)).T


def products(x_TD: torch.Tensor, *layers: nn.Module) -> list[torch.Tensor]:
    """What each of these linear layers makes of x. Tokens that are rounded for them are rounded once."""
    weights = [layer.weight for layer in layers if isinstance(layer, QuantisedLinear)]
    if len(weights) == len(layers) and (taken := fp8.taken(x_TD, *weights)):
        return fp8.products_of_tokens(x_TD, taken)
    return [layer(x_TD) for layer in layers]


def joined(*layers: nn.Linear | QuantisedLinear) -> Weight:
    """The matrices of several layers as one, rows behind rows. They are moved to lie so unless they already do."""
    quantised = [layer for layer in layers if isinstance(layer, QuantisedLinear)]
    if quantised:
        for name in ("values", "scales"):
            _lay_together([getattr(layer, name) for layer in quantised])
        values, scales = (adjacent(*(getattr(layer, name) for layer in quantised)) for name in ("values", "scales"))
        assert values is not None
        assert scales is not None
        return Quantised(values, scales)
    weights = [layer.weight for layer in layers if isinstance(layer, nn.Linear)]
    _lay_together(weights)
    whole = adjacent(*weights)
    assert whole is not None
    return whole


def _lay_together(matrices: list[torch.Tensor]) -> None:
    if adjacent(*matrices) is None:
        whole = torch.cat([matrix.data for matrix in matrices])
        for matrix, part in zip(matrices, whole.split([matrix.shape[0] for matrix in matrices]), strict=True):
            matrix.data = part
