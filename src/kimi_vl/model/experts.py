"""The mixture-of-experts layer (MODEL_SPEC §4): a router that chooses, routed experts that are weighted, shared experts that always run."""

from __future__ import annotations

import torch
from torch import nn

from kimi_vl.config import TextConfig
from kimi_vl.model.layers import GatedMLP
from kimi_vl.ops import Operations
from kimi_vl.ops.quantised import ExpertWeight, Packed, Quantised, columns, of_parts


class Router(nn.Module):
    """Sigmoid scores of the experts. Its weights stay fp32 in every model: rounding them flips near-ties between experts."""

    def __init__(self, config: TextConfig, device: torch.device | str | None = None) -> None:
        super().__init__()
        self.top_k, self.renormalise, self.scaling_factor = (
            config.num_experts_per_tok,
            config.norm_topk_prob,
            config.routed_scaling_factor,
        )
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size, dtype=torch.float32, device=device))
        self.e_score_correction_bias = nn.Parameter(torch.empty(config.n_routed_experts, dtype=torch.float32, device=device))

    def forward(self, x_TD: torch.Tensor, ops: Operations) -> tuple[torch.Tensor, torch.Tensor]:
        """(indices [T, K], weights [T, K] fp32)."""
        # The bias is moved by load counts while training, never by a gradient.
        bias_E = self.e_score_correction_bias.detach()
        return ops.route(x_TD, self.weight, bias_E, self.top_k, renormalise=self.renormalise, scaling_factor=self.scaling_factor)


class RoutedExperts(nn.Module):
    """All experts of a layer in two tensors; the checkpoint's one-tensor-per-expert names are stacked when loading."""

    def __init__(self, config: TextConfig, **factory) -> None:
        super().__init__()
        experts, width, inner = config.n_routed_experts, config.hidden_size, config.moe_intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, width, **factory))
        self.down_proj = nn.Parameter(torch.empty(experts, width, inner, **factory))

    @property
    def weights(self) -> tuple[ExpertWeight, ExpertWeight]:
        return self.gate_up_proj, self.down_proj


class QuantisedExperts(nn.Module):
    """In place of the above: the same weights in eight or four bits."""

    gate_up_values: torch.Tensor
    gate_up_scales: torch.Tensor
    down_values: torch.Tensor
    down_scales: torch.Tensor

    def __init__(self, gate_up: Quantised | Packed, down: Quantised | Packed) -> None:
        super().__init__()
        self._widths = columns(gate_up), columns(down)
        for name, weight in (("gate_up", gate_up), ("down", down)):
            self.register_buffer(f"{name}_values", weight.values)
            self.register_buffer(f"{name}_scales", weight.scales)

    @property
    def weights(self) -> tuple[ExpertWeight, ExpertWeight]:
        width, inner = self._widths
        return of_parts(self.gate_up_values, self.gate_up_scales, width), of_parts(self.down_values, self.down_scales, inner)


class MixtureOfExperts(nn.Module):
    def __init__(self, config: TextConfig, **factory) -> None:
        super().__init__()
        self.gate = Router(config, device=factory.get("device"))
        self.experts: RoutedExperts | QuantisedExperts = RoutedExperts(config, **factory)
        self.shared_experts = (
            GatedMLP(config.hidden_size, config.n_shared_experts * config.moe_intermediate_size, **factory)
            if config.n_shared_experts
            else None
        )

    def forward(self, x_TD: torch.Tensor, ops: Operations, residual_TD: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns (output [T, D], added to the residual if there is one; chosen experts [T, K])."""
        indices_TK, weights_TK = self.gate(x_TD, ops)
        shared = None
        if self.shared_experts is not None and self.shared_experts.plain:
            shared = self.shared_experts.weights
        elif self.shared_experts is not None:
            residual_TD = self.shared_experts(x_TD, ops, residual_TD)
        mixed_TD = ops.mixture(x_TD, residual_TD, *self.experts.weights, indices_TK, weights_TK, shared, routed_experts=ops.routed_experts)
        return mixed_TD, indices_TK
