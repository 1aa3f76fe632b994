"""The router and the experts of a mixture-of-experts layer, and the gated MLP that the shared ones are.

Letters: T tokens, D decoder width, E experts, K experts per token, F inner width of one expert.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from kimi_vl.ops.quantised import ExpertWeight, Weight, dequantised, one_of

# gate [S F, D], up [S F, D] and down [D, S F] of the S shared experts, which every token runs: as the checkpoint has them.
Shared = tuple[Weight, Weight, Weight]


def route(
    x_TD: torch.Tensor,
    weight_ED: torch.Tensor,
    correction_bias_E: torch.Tensor,
    top_k: int,
    *,
    renormalise: bool,
    scaling_factor: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose K experts per token and their weights; returns (indices [T, K] int64, weights [T, K] fp32).

    Sigmoid scores in fp32. The correction bias only chooses; the weights are the chosen scores without it, renormalised to sum 1
    and multiplied by the scaling factor (MODEL_SPEC §4, MoE layer; the official 1e-20 guards an all-zero row). The order of a token's
    experts does not count; which of equal scores are chosen is open, as it is in torch.topk.
    """
    scores_TE = F.linear(x_TD.float(), weight_ED.float()).sigmoid()
    indices_TK = (scores_TE + correction_bias_E.float()).topk(top_k, dim=-1, sorted=False).indices
    weights_TK = scores_TE.gather(1, indices_TK)
    if renormalise:
        weights_TK = weights_TK / (weights_TK.sum(-1, keepdim=True) + 1e-20)
    return indices_TK, weights_TK * scaling_factor


def routed_experts_loop(
    x_TD: torch.Tensor, gate_up_EGD: ExpertWeight, down_EDF: ExpertWeight, indices_TK: torch.Tensor, weights_TK: torch.Tensor
) -> torch.Tensor:
    """Weighted sum over the chosen experts of down(silu(gate(x)) · up(x)); the reference, and the CPU path.

    `gate_up` [E, 2F, D] holds each expert's gate rows, then its up rows. Every expert runs once, on the tokens that chose it.
    Expert outputs are weighted and summed in fp32 and cast back, as in the official code. Returns [T, D] in x's dtype.
    """
    out_TD = torch.zeros(x_TD.shape, dtype=torch.float32, device=x_TD.device)
    for expert in indices_TK.unique().tolist():  # host sync on a GPU
        token, slot = (indices_TK == expert).nonzero(as_tuple=True)
        gate, up = F.linear(x_TD[token], dequantised(one_of(gate_up_EGD, expert), x_TD.dtype)).chunk(2, dim=-1)
        y = F.linear(F.silu(gate) * up, dequantised(one_of(down_EDF, expert), x_TD.dtype))
        out_TD.index_add_(0, token, y.float() * weights_TK[token, slot, None])
    return out_TD.to(x_TD.dtype)


def routed_experts_dense(
    x_TD: torch.Tensor, gate_up_EGD: ExpertWeight, down_EDF: ExpertWeight, indices_TK: torch.Tensor, weights_TK: torch.Tensor
) -> torch.Tensor:
    """The same by running every expert on every token and weighting the unchosen ones with zero.

    Two large matrix products, no sorting, no host sync: E/K times the arithmetic, which pays only for small experts. Measured on
    one H100 at nano's size it trains as fast as sorted groups do (1,396 against 1,363 samples/s). Contract of the loop.
    """
    gate_up_EGD, down_EDF = dequantised(gate_up_EGD, x_TD.dtype), dequantised(down_EDF, x_TD.dtype)
    num_experts, double_width, _ = gate_up_EGD.shape
    weights_TE = torch.zeros(x_TD.shape[0], num_experts, dtype=torch.float32, device=x_TD.device).scatter(1, indices_TK, weights_TK)
    hidden_TEG = F.linear(x_TD, gate_up_EGD.flatten(0, 1)).unflatten(-1, (num_experts, double_width))
    gate, up = hidden_TEG.chunk(2, dim=-1)
    inner_TEF = (F.silu(gate) * up).float() * weights_TE[..., None]
    return F.linear(inner_TEF.to(x_TD.dtype).flatten(1), down_EDF.permute(1, 0, 2).flatten(1))


def has_grouped_mm(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch multiplies groups of rows in one kernel here, without asking the host for their sizes (met in torch 2.11)."""
    is_able = device.type == "cuda" and dtype == torch.bfloat16 and torch.cuda.get_device_capability(device)[0] in (9, 10)
    return is_able and hasattr(F, "grouped_mm")


def group_by_expert(indices_TK: torch.Tensor, num_experts: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sort the X = T x K pairs (token, one of its experts) by expert, on the device; a token's pairs are t K .. t K + K - 1.

    Returns (pair of every sorted row [X], sorted row of every pair [X], end of every expert's rows [E] int32).
    """
    chosen_X, order_X = indices_TK.flatten().sort(stable=True)
    places_X = torch.empty_like(order_X).scatter_(0, order_X, torch.arange(order_X.shape[0], device=order_X.device))
    ends_E = torch.searchsorted(chosen_X, torch.arange(num_experts, device=order_X.device), right=True, out_int32=True)
    return order_X, places_X, ends_E


def routed_experts_grouped(
    x_TD: torch.Tensor, gate_up_EGD: ExpertWeight, down_EDF: ExpertWeight, indices_TK: torch.Tensor, weights_TK: torch.Tensor
) -> torch.Tensor:
    """The same in two products of torch over tokens sorted by expert, without host synchronisation on the GPUs that `has_grouped_mm` names.

    Widths are multiples of 8. Made for prompts: 622 TFLOP/s at 16,384 tokens of the official size on an H100. Contract of the loop.
    """
    gate_up_EGD, down_EDF = dequantised(gate_up_EGD, x_TD.dtype), dequantised(down_EDF, x_TD.dtype)
    order_X, places_X, ends_E = group_by_expert(indices_TK, gate_up_EGD.shape[0])
    gate_XF, up_XF = F.grouped_mm(x_TD[order_X // indices_TK.shape[1]], gate_up_EGD.mT, offs=ends_E).chunk(2, dim=-1)
    y_XD = F.grouped_mm(F.silu(gate_XF) * up_XF, down_EDF.mT, offs=ends_E)
    out_TD = torch.zeros(x_TD.shape, dtype=torch.float32, device=x_TD.device)
    for place_T, weight_T in zip(places_X.view(indices_TK.shape).unbind(1), weights_TK.unbind(1), strict=True):
        out_TD = out_TD + y_XD[place_T].float() * weight_T[:, None]
    return out_TD.to(x_TD.dtype)


def gated_mlp(x_TD: torch.Tensor, gate_FD: Weight, up_FD: Weight, down_DF: Weight, residual_TD: torch.Tensor | None = None) -> torch.Tensor:
    """residual + down(silu(gate(x)) · up(x)), without a residual what would be added to it. Returns [T, D] in x's dtype."""
    gate_FD, up_FD, down_DF = (dequantised(weight, x_TD.dtype) for weight in (gate_FD, up_FD, down_DF))
    y_TD = F.linear(F.silu(F.linear(x_TD, gate_FD)) * F.linear(x_TD, up_FD), down_DF)
    return y_TD if residual_TD is None else residual_TD + y_TD


def mixture(
    x_TD: torch.Tensor,
    residual_TD: torch.Tensor | None,
    gate_up_EGD: ExpertWeight,
    down_EDF: ExpertWeight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    shared: Shared | None,
    *,
    routed_experts: Callable[..., torch.Tensor] = routed_experts_loop,
) -> torch.Tensor:
    """residual + (routed experts + shared experts), each sum rounded as in the official code; residual and shared experts may be missing.

    `routed_experts` is the implementation of that operation. The width of the shared experts is a multiple of F. Returns [T, D] in x's
    dtype.
    """
    y_TD = routed_experts(x_TD, gate_up_EGD, down_EDF, indices_TK, weights_TK)
    if shared is not None:
        y_TD = y_TD + gated_mlp(x_TD, *shared)
    return y_TD if residual_TD is None else residual_TD + y_TD
