"""The small parts of a decoder layer."""

import torch
from torch import nn

from kimi_vl.ops import Operations, rms_norm
from kimi_vl.ops.matrices import adjacent


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
    def weights(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.gate_proj.weight, self.up_proj.weight, self.down_proj.weight

    def forward(self, x_TD: torch.Tensor, ops: Operations, residual_TD: torch.Tensor | None = None) -> torch.Tensor:
        """Added to the residual, if there is one."""
        return ops.gated_mlp(x_TD, *self.weights, residual_TD)


def joined(*layers: nn.Linear) -> torch.Tensor:
    """The matrices of several layers as one, rows behind rows. They are moved to lie so unless they already do."""
    weights = [layer.weight for layer in layers]
    if (whole := adjacent(*weights)) is None:
        whole = torch.cat([weight.data for weight in weights])
        for weight, part in zip(weights, whole.split([weight.shape[0] for weight in weights]), strict=True):
            weight.data = part
    return whole
