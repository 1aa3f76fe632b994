"""Attention of prompts and pictures by cuDNN, which on an H100 takes 2.2 ms for 16,384 tokens of a layer where FlashAttention-2 takes 5.4.

It knows single sequences and batches of equal ones, and builds a plan for every shape that it has not met, which takes tens of milliseconds
at first use (once for each thread). What is here bounds how many shapes there are, and leaves the rest to `varlen_attention_flash`.

Letters: T packed tokens, N sequences of one length, S tokens of a sequence or cached rows, H heads, Q query/key width, V value width,
L latent rank, X = H x (nope width + V), Z = L + rotary width.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch.backends.cuda import SDPAParams, can_use_cudnn_attention

from kimi_vl.ops.attention import varlen_attention_flash

# Shorter sequences are better packed into one kernel than each launched by itself: one of 1,024 takes both about 0.1 ms.
CUDNN_TOKENS = 1536
LONG_TOKENS = 65_536


def has_cudnn_attention(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch may call cuDNN's attention here for heads of 192 with values of 128, which takes an H100 or newer."""
    if not torch.cuda.is_available():
        return False
    with torch.cuda.device(device):
        q, v = (torch.empty(1, 1, 64, width, dtype=dtype, device=device) for width in (192, 128))
        return can_use_cudnn_attention(SDPAParams(q, q, v, None, 0.0, True, False))


def padded_length(length: int) -> int:
    """A causal sequence padded at its end is computed alike, so lengths of prompts can be rounded up to some 90 that there are plans for.

    Padding costs a copy, 0.1 ms beside 2.2 at 16,384 tokens. From 65,536 tokens on, the plan's share of a prompt's seconds is less than the
    copy's, and the copy gigabytes.
    """
    if length > LONG_TOKENS:
        return length
    step = 256 if length <= 8192 else 1024
    return -(-length // step) * step


def varlen_attention_cudnn(
    q_THQ: torch.Tensor,
    k_THQ: torch.Tensor,
    v_THV: torch.Tensor,
    cu_seqlens: torch.Tensor,
    max_seqlen: int,
    *,
    causal: bool,
    scale: float,
    lengths: Sequence[int] | None = None,
) -> torch.Tensor:
    """`varlen_attention` with the long sequences by cuDNN, equal neighbours together, and runs of shorter ones by the flash kernel.

    All by the flash kernel where the host does not know the lengths or a gradient is wanted. Contract of the reference.
    """
    wants_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in (q_THQ, k_THQ, v_THV))
    if lengths is None or max_seqlen < CUDNN_TOKENS or wants_gradient or not takes_widths(q_THQ.shape[-1], v_THV.shape[-1]):
        return varlen_attention_flash(q_THQ, k_THQ, v_THV, cu_seqlens, max_seqlen, causal=causal, scale=scale)
    parts, start = [], 0
    for length, run in itertools.groupby(lengths, key=lambda length: length if length >= CUDNN_TOKENS else 0):
        run_lengths = tuple(run)
        stop = start + sum(run_lengths)
        q, k, v = q_THQ[start:stop], k_THQ[start:stop], v_THV[start:stop]
        if length:
            parts.append(_equal_sequences(q, k, v, length, causal=causal, scale=scale))
        elif start < stop:
            boundaries = boundaries_on(q.device, run_lengths)
            parts.append(varlen_attention_flash(q, k, v, boundaries, max(run_lengths), causal=causal, scale=scale))
        start = stop
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _equal_sequences(
    q_THQ: torch.Tensor, k_THQ: torch.Tensor, v_THV: torch.Tensor, length: int, *, causal: bool, scale: float
) -> torch.Tensor:
    """Sequences of one length in one call. Pictures stay as long as they are: their sizes recur, and nothing hides padding from them."""
    q_NSHQ, k_NSHQ, v_NSHV = (x.unflatten(0, (-1, length)) for x in (q_THQ, k_THQ, v_THV))
    missing = padded_length(length) - length if causal else 0
    if missing:  # zeros: probability 0 times whatever lies in memory could be NaN
        q_NSHQ, k_NSHQ, v_NSHV = (F.pad(x, (0, 0, 0, 0, 0, missing)) for x in (q_NSHQ, k_NSHQ, v_NSHV))
    out_NSHV, _ = attend(q_NSHQ, k_NSHQ, v_NSHV, causal=causal, scale=scale)
    return out_NSHV[:, :length].flatten(0, 1)


def attend(
    q_NSHQ: torch.Tensor, k_NSHQ: torch.Tensor, v_NSHV: torch.Tensor, *, causal: bool, scale: float, with_mass: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """One call of cuDNN: outputs [N, S, H, V], laid out like the queries, and where asked for the log-sum-exps of the scores, fp32
    [N, S, H, 1]. Causal only with as many keys as queries. Any strides with whole vectors inside."""
    q_NHSQ, k_NHSQ, v_NHSV = (x.transpose(1, 2) for x in (q_NSHQ, k_NSHQ, v_NSHV))
    operator = torch.ops.aten._scaled_dot_product_cudnn_attention
    out_NHSV, log_mass, *_ = operator(q_NHSQ, k_NHSQ, v_NHSV, None, with_mass, 0.0, causal, False, scale=scale)
    return out_NHSV.transpose(1, 2), log_mass.transpose(1, 2) if with_mass else log_mass


def takes_widths(width: int, value_width: int) -> bool:
    """Of queries and values, by cuDNN on an H100; others the flash kernel pads."""
    return width % 8 == 0 and value_width % 8 == 0 and (max(width, value_width) <= 128 or (width, value_width) == (192, 128))


@lru_cache(maxsize=64)  # every layer of a step asks
def boundaries_on(device: torch.device, lengths: tuple[int, ...]) -> torch.Tensor:
    """The boundaries of packed sequences, int32 on a device, which must not be written to."""
    return torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32, device=device)
