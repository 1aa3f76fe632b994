"""The router and the routed experts of a mixture-of-experts layer.

Letters: T tokens, D decoder width, E experts, K experts per token, F inner width of one expert.
"""

import torch
import torch.nn.functional as F


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
    and multiplied by the scaling factor (MODEL_SPEC §4, MoE layer; the official 1e-20 guards an all-zero row).
    """
    scores_TE = F.linear(x_TD.float(), weight_ED.float()).sigmoid()
    indices_TK = (scores_TE + correction_bias_E.float()).topk(top_k, dim=-1, sorted=False).indices
    weights_TK = scores_TE.gather(1, indices_TK)
    if renormalise:
        weights_TK = weights_TK / (weights_TK.sum(-1, keepdim=True) + 1e-20)
    return indices_TK, weights_TK * scaling_factor


def routed_experts_loop(
    x_TD: torch.Tensor, gate_up_EGD: torch.Tensor, down_EDF: torch.Tensor, indices_TK: torch.Tensor, weights_TK: torch.Tensor
) -> torch.Tensor:
    """Weighted sum over the chosen experts of down(silu(gate(x)) · up(x)); the reference, and the CPU path.

    `gate_up` [E, 2F, D] holds each expert's gate rows, then its up rows. Every expert runs once, on the tokens that chose it.
    Expert outputs are weighted and summed in fp32 and cast back, as in the official code. Returns [T, D] in x's dtype.
    """
    out_TD = torch.zeros(x_TD.shape, dtype=torch.float32, device=x_TD.device)
    for expert in indices_TK.unique().tolist():  # host sync on a GPU
        token, slot = (indices_TK == expert).nonzero(as_tuple=True)
        gate, up = F.linear(x_TD[token], gate_up_EGD[expert]).chunk(2, dim=-1)
        y = F.linear(F.silu(gate) * up, down_EDF[expert])
        out_TD.index_add_(0, token, y.float() * weights_TK[token, slot, None])
    return out_TD.to(x_TD.dtype)


def routed_experts_dense(
    x_TD: torch.Tensor, gate_up_EGD: torch.Tensor, down_EDF: torch.Tensor, indices_TK: torch.Tensor, weights_TK: torch.Tensor
) -> torch.Tensor:
    """The same by running every expert on every token and weighting the unchosen ones with zero.

    Two large matrix products, no sorting, no host sync: E/K times the arithmetic, which pays only for small experts. Measured on
    one H100 at nano's size it trains as fast as sorted groups do (1,396 against 1,363 samples/s). Contract of the loop.
    """
    num_experts, double_width, _ = gate_up_EGD.shape
    weights_TE = torch.zeros(x_TD.shape[0], num_experts, dtype=torch.float32, device=x_TD.device).scatter(1, indices_TK, weights_TK)
    hidden_TEG = F.linear(x_TD, gate_up_EGD.flatten(0, 1)).unflatten(-1, (num_experts, double_width))
    gate, up = hidden_TEG.chunk(2, dim=-1)
    inner_TEF = (F.silu(gate) * up).float() * weights_TE[..., None]
    return F.linear(inner_TEF.to(x_TD.dtype).flatten(1), down_EDF.permute(1, 0, 2).flatten(1))
