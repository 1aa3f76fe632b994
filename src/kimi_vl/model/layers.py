"""The small parts of a decoder layer."""

import torch
import torch.nn.functional as F
from torch import nn

from kimi_vl.ops import Operations, rms_norm


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

    def forward(self, x_TD: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x_TD)) * self.up_proj(x_TD))
