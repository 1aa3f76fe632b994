"""Penalties and biases of every row as one Triton kernel, which reads logits and counts once and writes fp32: what it writes is drawn from,
and rounded to the logits' dtype a small penalty of a large logit would be lost.

Letters: B rows, W vocabulary, N tokens of a block, K biases of a row.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.triton.language import jit, next_power_of_2, tl
from kimi_vl.ops.triton.operators import operator

BLOCK = 4096  # tokens, as in `draw_rows`
NUM_WARPS = 8  # compiled for Hopper: 64 registers, and nothing spilled


@jit
def _weighed(x, met, repetition, presence, frequency):
    """A logit with the penalties of its token."""
    said = met >> 1
    x = tl.where(met > 0, tl.where(x > 0.0, x / repetition, x * repetition), x)
    return tl.where(said > 0, x - (presence + frequency * said.to(tl.float32)), x)


@jit
def _weigh_kernel(
    logits,
    met,
    repetitions,
    presences,
    frequencies,
    biased,
    biases,
    out,
    logits_stride,
    met_stride,
    W,
    num_biases,
    N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """One program: a block of a row, then again those of its tokens that have a bias."""
    block, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    repetition, presence, frequency = tl.load(repetitions + row), tl.load(presences + row), tl.load(frequencies + row)
    # Rows without penalties leave what has been met unread.
    num_met = tl.where((repetition != 1.0) | (presence != 0.0) | (frequency != 0.0), W, 0)
    logits, met, out = logits + row * logits_stride, met + row * met_stride, out + row * W
    n = block * N + tl.arange(0, N)
    x_N = tl.load(logits + n, mask=n < W).to(tl.float32)
    met_N = tl.load(met + n, mask=n < num_met, other=0)
    tl.store(out + n, _weighed(x_N, met_N, repetition, presence, frequency), mask=n < W)
    if tl.load(biased + row * num_biases) >= 0:
        tl.debug_barrier()  # other threads of the program have written these tokens
        k = tl.arange(0, BLOCK_K)
        token_K = tl.load(biased + row * num_biases + k, mask=k < num_biases, other=-1)
        is_here_K = (token_K >= block * N) & (token_K < (block + 1) * N)
        x_K = tl.load(logits + token_K, mask=is_here_K).to(tl.float32)
        met_K = tl.load(met + token_K, mask=is_here_K & (token_K < num_met), other=0)
        bias_K = tl.load(biases + row * num_biases + k, mask=is_here_K)
        tl.store(out + token_K, _weighed(x_K, met_K, repetition, presence, frequency) + bias_K, mask=is_here_K)


def weigh_rows_triton(
    logits_BW: torch.Tensor,
    met_BW: torch.Tensor,
    repetition_B: torch.Tensor,
    presence_B: torch.Tensor,
    frequency_B: torch.Tensor,
    biased_BK: torch.Tensor,
    biases_BK: torch.Tensor,
) -> torch.Tensor:
    """`weigh_rows` in one pass. Contract of the reference; the parameters, met and biases are contiguous along their last dimension."""
    return _weigh_rows(logits_BW, met_BW, repetition_B, presence_B, frequency_B, biased_BK, biases_BK)


@operator(
    "kimi_vl::weigh_rows(Tensor logits, Tensor met, Tensor repetition, Tensor presence, Tensor frequency, Tensor biased, Tensor biases) "
    "-> Tensor"
)
def _weigh_rows(
    logits_BW: torch.Tensor,
    met_BW: torch.Tensor,
    repetition_B: torch.Tensor,
    presence_B: torch.Tensor,
    frequency_B: torch.Tensor,
    biased_BK: torch.Tensor,
    biases_BK: torch.Tensor,
) -> torch.Tensor:
    num_rows, vocabulary = logits_BW.shape
    out_BW = torch.empty(num_rows, vocabulary, dtype=torch.float32, device=logits_BW.device)
    if not num_rows:
        return out_BW
    logits_BW = logits_BW if logits_BW.stride(-1) == 1 else logits_BW.contiguous()
    grid, num_biases = (-(-vocabulary // BLOCK), num_rows), biased_BK.shape[1]
    with torch.cuda.device_of(logits_BW):  # Triton launches on the current GPU, wherever the tensors are
        _weigh_kernel[grid](
            logits_BW,
            met_BW,
            repetition_B,
            presence_B,
            frequency_B,
            biased_BK,
            biases_BK,
            out_BW,
            logits_BW.stride(0),
            met_BW.stride(0),
            vocabulary,
            num_biases,
            N=BLOCK,
            BLOCK_K=next_power_of_2(num_biases),
            num_warps=NUM_WARPS,
        )
    return out_BW


@_weigh_rows.register_fake
def _empty(logits_BW, met_BW, repetition_B, presence_B, frequency_B, biased_BK, biases_BK):
    return torch.empty(logits_BW.shape, dtype=torch.float32, device=logits_BW.device)
