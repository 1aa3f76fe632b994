"""From logits to the next token: of one answer on the CPU, or of many rows at once on the model's device.

One answer is drawn in double precision on the CPU, whatever device the model runs on: given the same logits and the same seed, every
machine draws the same token. At Kimi-VL's 163,840 tokens one core takes 4 ms for a draw, 18 ms with top-k or top-p; greedy needs none
of this. Rows are drawn where their logits lie, without asking the host.
"""

import torch


def token_probabilities(
    logits_W: torch.Tensor, *, temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> torch.Tensor:
    """The distribution to draw from, float64 [W] on the CPU, summing to 1.

    The filters apply in the order of transformers, each on what the one before left, renormalised: temperature; top-k (the k likeliest,
    0 for all); top-p (the fewest likeliest tokens that reach the mass p, the one that crosses it included); min-p (at least min_p times
    the likeliest). The likeliest token always survives, and ties go to the lower token id. The temperature is above 0; a logit of -inf
    excludes its token, and the largest must be finite, for NaN and +inf have no distribution.
    """
    logits_W = logits_W.double().cpu()
    # Subtracting the peak first keeps a tiny temperature from overflowing.
    probs_W = ((logits_W - logits_W.max()) / temperature).softmax(0)
    if top_k or top_p < 1:
        sorted_W, order_W = probs_W.sort(descending=True, stable=True)
        if top_k:
            sorted_W[top_k:] = 0
            sorted_W /= sorted_W.sum()
        if top_p < 1:
            sorted_W[1:][sorted_W.cumsum(0)[:-1] >= top_p] = 0
        probs_W = torch.zeros_like(probs_W).index_copy_(0, order_W, sorted_W)
    probs_W[probs_W < min_p * probs_W.max()] = 0
    return probs_W / probs_W.sum()


def draw_token(probs_W: torch.Tensor, uniform: float) -> int:
    """The token at which the cumulative distribution passes `uniform`, a number in [0, 1). probs_W: float64 [W] on the CPU.

    One uniform number per token keeps a seeded sequence independent of the vocabulary's size and of torch's multinomial.
    """
    cumulative_W = probs_W.cumsum(0)
    # Scaled by the rounded total and searched from the right, the draw lands inside and never on a token of mass 0.
    return int(torch.searchsorted(cumulative_W, uniform * cumulative_W[-1], right=True))


def greedy_tokens(logits_BW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest token of each row and its log-probability at temperature 1: int64 [B] and fp32 [B]. Logits of any float dtype."""
    tokens_B = logits_BW.argmax(-1)
    return tokens_B, _at(logits_BW.float().log_softmax(-1), tokens_B)


def draw_tokens(
    logits_BW: torch.Tensor, uniforms_B: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token of each row and its log-probability under the distribution it was drawn from: int64 [B] and fp32 [B].

    `uniforms` float64 [B] in [0, 1), one number per token as in `draw_token`; `temperature` above 0 and `top_p` are scalars on the
    device, top_p None for all tokens. The filter is that of `token_probabilities`. Softmax in fp32, its running sum in fp64: summed in
    parallel, an fp32 sum may fall by a rounding from one token to the next, and a draw there would hit a token of mass 0.
    A row of logits that are not finite gives some token with the log-probability NaN.
    """
    logits_BW = logits_BW.float()
    logprobs_BW = ((logits_BW - logits_BW.amax(-1, keepdim=True)) / temperature).log_softmax(-1)
    if top_p is not None:
        logprobs_BW = _within_mass(logprobs_BW, top_p)
    cumulative_BW = logprobs_BW.exp().cumsum(-1, dtype=torch.float64)
    targets_B1 = uniforms_B[:, None] * cumulative_BW[:, -1:]
    tokens_B = torch.searchsorted(cumulative_BW, targets_B1, right=True)[:, 0].clamp_(max=logits_BW.shape[-1] - 1)
    return tokens_B, _at(logprobs_BW, tokens_B)


def _within_mass(logprobs_BW: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Keep the fewest likeliest tokens of each row that reach the mass top_p, renormalised; -inf for the others."""
    sorted_BW, order_BW = logprobs_BW.sort(dim=-1, descending=True, stable=True)
    before_BW = sorted_BW[:, :-1].exp().cumsum(-1, dtype=torch.float64)
    sorted_BW[:, 1:].masked_fill_(before_BW >= top_p, float("-inf"))
    kept_BW = sorted_BW.log_softmax(-1)
    return torch.empty_like(kept_BW).scatter_(1, order_BW, kept_BW)


def _at(values_BW: torch.Tensor, tokens_B: torch.Tensor) -> torch.Tensor:
    return values_BW.gather(1, tokens_B[:, None])[:, 0]
