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


# Numbers to draw with -----------------------------------------------------------------------------------------------------

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = 2**64 - 1


def uniform_number(seed: int, number: int) -> float:
    """Number `number` of the sequence that belongs to a seed of 64 bits, in [0, 1) with 53 bits: splitmix64 (Steele, Lea, Flood 2014).

    Counted rather than drawn: it depends on nothing but its arguments, so the numbers of an answer are the same whatever is drawn beside
    it, wherever that happens.
    """
    mixed = (seed + (number + 1) * _GOLDEN) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * _FIRST) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * _SECOND) & _MASK
    return ((mixed ^ (mixed >> 31)) >> 11) * 2.0**-53


def uniform_numbers(seeds_B: torch.Tensor, numbers_B: torch.Tensor) -> torch.Tensor:
    """`uniform_number` of every row on its device, fp64 [B]. Seeds are the 64 bits as int64."""

    def shifted(x_B: torch.Tensor, bits: int) -> torch.Tensor:
        return (x_B >> bits) & ((1 << (64 - bits)) - 1)  # without the sign

    mixed_B = seeds_B + (numbers_B + 1) * _signed(_GOLDEN)
    mixed_B = (mixed_B ^ shifted(mixed_B, 30)) * _signed(_FIRST)
    mixed_B = (mixed_B ^ shifted(mixed_B, 27)) * _signed(_SECOND)
    return shifted(mixed_B ^ shifted(mixed_B, 31), 11).double() * 2.0**-53


def _signed(bits: int) -> int:
    return bits - 2**64 if bits >= 2**63 else bits


# Rows ---------------------------------------------------------------------------------------------------------------------


def weigh_rows(
    logits_BW: torch.Tensor,
    met_BW: torch.Tensor,
    repetition_B: torch.Tensor,
    presence_B: torch.Tensor,
    frequency_B: torch.Tensor,
    biased_BK: torch.Tensor,
    biases_BK: torch.Tensor,
) -> torch.Tensor:
    """The logits with each row's penalties and biases, fp32 [B, W], as `SamplingParams` says.

    logits bf16, fp16 or fp32; met int32 is twice the times that a row's answer has said a token, and one more if its prompt holds it.
    repetition fp32 is above 0; a row is without penalties at (1, 0, 0). biased int32 are the tokens that have one of the biases fp32, each
    once, and -1 behind a row's last. Nothing asks the host.
    """
    logits_BW = logits_BW.float()
    repeated_BW = torch.where(logits_BW > 0, logits_BW / repetition_B[:, None], logits_BW * repetition_B[:, None])
    logits_BW = repeated_BW.where(met_BW > 0, logits_BW)
    said_BW = met_BW >> 1
    logits_BW = logits_BW - (presence_B[:, None] + frequency_B[:, None] * said_BW).where(said_BW > 0, 0.0)
    return logits_BW.scatter_add(1, biased_BK.clamp(min=0).long(), biases_BK.where(biased_BK >= 0, 0.0))


def tell_rows(logits_BW: torch.Tensor, tokens_B: torch.Tensor, count: int) -> torch.Tensor:
    """What `Logprobs` tells of each row's token, fp32 [B, 1 + 2 count]: its log-probability, those of the `count` likeliest tokens, the
    likeliest first, and these tokens, which up to 2^24 are exact. Nothing asks the host."""
    logits_BW = logits_BW.float()
    masses_B1 = logits_BW.logsumexp(-1, keepdim=True)
    values_BK, likeliest_BK = logits_BW.topk(count)
    own_B1 = logits_BW.gather(1, tokens_B[:, None].clamp(min=0))
    return torch.cat((own_B1 - masses_B1, values_BK - masses_B1, likeliest_BK), dim=1)


def draw_rows(
    logits_BW: torch.Tensor,
    uniforms_B: torch.Tensor,
    temperature_B: torch.Tensor,
    top_k_B: torch.Tensor | None = None,
    top_p_B: torch.Tensor | None = None,
    min_p_B: torch.Tensor | None = None,
    *,
    excluded: int,
) -> torch.Tensor:
    """A token of each row, int64 [B], each row by its own parameters: `token_probabilities` and `draw_token`, where the logits lie.

    logits bf16, fp16 or fp32; uniforms fp64 in [0, 1); top_k int64, the other parameters fp32. Temperature 0 takes the likeliest token,
    of equals the lowest. The three filters come together or not at all; a row is without them at (0, 1, 0). A logit of -inf excludes
    its token, and the token `excluded`, a number in [0, W), is never drawn. A row gets -1 if one of its logits, that of `excluded`
    among them, is NaN or +inf, or if it leaves nothing to draw. Nothing asks the host. fp32, but for running sums.
    """
    peaks_B = logits_BW.amax(-1)
    logits_BW = logits_BW.to(torch.float32, copy=True)
    logits_BW[:, excluded] = float("-inf")
    left_B1 = logits_BW.amax(-1, keepdim=True)
    greedy_B = temperature_B == 0
    temperature_B1 = temperature_B.masked_fill(greedy_B, 1.0)[:, None]
    probs_BW = ((logits_BW - left_B1) / temperature_B1).softmax(-1)
    if top_k_B is not None and top_p_B is not None and min_p_B is not None:
        probs_BW = _filtered(probs_BW, top_k_B[:, None], top_p_B[:, None], min_p_B[:, None])
    cumulative_BW = probs_BW.cumsum(-1, dtype=torch.float64)
    targets_B1 = uniforms_B[:, None] * cumulative_BW[:, -1:]
    drawn_B = torch.searchsorted(cumulative_BW, targets_B1, right=True)[:, 0].clamp_(max=logits_BW.shape[-1] - 1)
    return logits_BW.argmax(-1).where(greedy_B, drawn_B).where(peaks_B.isfinite() & left_B1[:, 0].isfinite(), -1)


def _filtered(probs_BW: torch.Tensor, top_k_B1: torch.Tensor, top_p_B1: torch.Tensor, min_p_B1: torch.Tensor) -> torch.Tensor:
    """Top-k, top-p and min-p, each on what the one before left, renormalised; tokens that are filtered out get probability 0."""
    sorted_BW, order_BW = probs_BW.sort(dim=-1, descending=True, stable=True)
    places_W = torch.arange(probs_BW.shape[-1], device=probs_BW.device)
    sorted_BW = sorted_BW.masked_fill((top_k_B1 > 0) & (places_W >= top_k_B1), 0.0)
    sorted_BW = sorted_BW / sorted_BW.sum(-1, keepdim=True)
    before_BW = sorted_BW.cumsum(-1, dtype=torch.float64) - sorted_BW
    sorted_BW = sorted_BW.masked_fill((before_BW >= top_p_B1) & (top_p_B1 < 1) & (places_W > 0), 0.0)
    sorted_BW = sorted_BW.masked_fill(sorted_BW < min_p_B1 * sorted_BW[:, :1], 0.0)
    return torch.zeros_like(probs_BW).scatter_(1, order_BW, sorted_BW)
