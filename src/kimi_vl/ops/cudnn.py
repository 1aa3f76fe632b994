"""Attention of prompts and pictures by cuDNN, which on an H100 takes 2.2 ms for 16,384 tokens of a layer where FlashAttention-2 takes 5.4.

It knows single sequences and batches of equal ones, and builds a plan for every shape that it has not met, which takes tens of milliseconds
at first use (once for each thread). What is here bounds how many shapes there are, and leaves the rest to `varlen_attention_flash`.

Letters: T packed tokens, N sequences of one length, S tokens of a sequence or cached rows, H heads, Q query/key width, V value width,
L latent rank, X = H x (nope width + V), Z = L + rotary width.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch.backends.cuda import SDPAParams, can_use_cudnn_attention

from kimi_vl.ops.attention import boundaries_on, expanded_latent_attention_flash, varlen_attention_flash
from kimi_vl.ops.triton.averages import write_average
from kimi_vl.ops.triton.expand_latents import expand_latents_triton

# Shorter calls are better packed into one flash kernel than each launched by itself: one sequence of 1,024 takes both about 0.1 ms.
# For 128 in one call cuDNN takes 1.5 ms and the flash kernel 4.2.
CUDNN_TOKENS = 1536
LEAST_TOKENS = 512  # of a sequence
# Longer causal sequences are computed in squares: a full one of 16,384 reaches 660 TFLOP/s, its keys and values staying in the L2 cache,
# and one call for 120,832 tokens 579.
LONG_TOKENS = 32_768
SQUARE = 16_384
GRAIN = 1024
PIECES = (16_384, 4096, GRAIN)  # of kept rows: 120,000 are 7 + 1 + 1 of them and 192 more
FLASH_ROWS = 32_768  # kept and new ones, whose keys and values are 0.5 GB, and padded for the flash kernel 0.7


def has_cudnn_attention(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch may call cuDNN's attention here for heads of 192 with values of 128, which takes an H100 or newer."""
    if not torch.cuda.is_available():
        return False
    with torch.cuda.device(device):
        q, v = (torch.empty(1, 1, 64, width, dtype=dtype, device=device) for width in (192, 128))
        return can_use_cudnn_attention(SDPAParams(q, q, v, None, 0.0, True, False))


def padded_length(length: int) -> int:
    """A causal sequence padded at its end is computed alike, so lengths of prompts can be rounded up to some 60 that there are plans for.

    Padding costs a copy of 0.27 GB at 16,384 tokens, by its bytes 0.2 ms beside 2.2.
    """
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
    """`varlen_attention` with long sequences and equal neighbours by cuDNN, and what is between them by the flash kernel.

    All by the flash kernel where the host does not know the lengths or a gradient is wanted. Contract of the reference.
    """
    wants_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in (q_THQ, k_THQ, v_THV))
    if lengths is None or max_seqlen < LEAST_TOKENS or wants_gradient or not takes_widths(q_THQ.shape[-1], v_THV.shape[-1]):
        return varlen_attention_flash(q_THQ, k_THQ, v_THV, cu_seqlens, max_seqlen, causal=causal, scale=scale)
    parts, start = [], 0
    for is_cudnns, batches in itertools.groupby(_batches(lengths), key=_is_cudnns):
        for call in batches if is_cudnns else [tuple(itertools.chain.from_iterable(batches))]:
            stop = start + sum(call)
            q, k, v = q_THQ[start:stop], k_THQ[start:stop], v_THV[start:stop]
            if not stop - start:
                continue
            if not is_cudnns:
                parts.append(varlen_attention_flash(q, k, v, boundaries_on(q.device, call), max(call), causal=causal, scale=scale))
            elif causal and call[0] > LONG_TOKENS:
                parts.append(_in_squares(q, k, v, scale=scale))
            else:
                parts.append(_equal_sequences(q, k, v, call[0], causal=causal, scale=scale))
            start = stop
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _batches(lengths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Runs of equal lengths, cut into powers of two so that there are few plans; long sequences one by one."""
    for length, run in itertools.groupby(lengths):
        count = len(list(run))
        while count:
            size = 1 if length > LONG_TOKENS else 1 << (count.bit_length() - 1)
            yield (length,) * size
            count -= size


def _is_cudnns(batch: tuple[int, ...]) -> bool:
    return batch[0] >= LEAST_TOKENS and sum(batch) >= CUDNN_TOKENS


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


def _in_squares(q_THQ: torch.Tensor, k_THQ: torch.Tensor, v_THV: torch.Tensor, *, scale: float) -> torch.Tensor:
    """A causal sequence: `SQUARE` queries after another, over their own keys and over those before them square by square."""
    length = q_THQ.shape[0]
    out_THV = q_THQ.new_empty(*q_THQ.shape[:2], v_THV.shape[-1])
    for start in range(0, length, SQUARE):
        own = slice(start, min(start + SQUARE, length))
        missing = padded_length(own.stop - start) - (own.stop - start)
        # A slice first, then a batch of it: plans are told apart by strides too, that of the only sequence among them.
        q_NSHQ, *own_keys = (_padded(x[own], 0, missing)[None] for x in (q_THQ, k_THQ, v_THV))
        before = [(k_THQ[s : s + SQUARE][None], v_THV[s : s + SQUARE][None]) for s in range(0, start, SQUARE)]
        parts = [attend(q_NSHQ, *own_keys, causal=True, scale=scale, with_mass=True)]
        parts += [attend(q_NSHQ, *keys, causal=False, scale=scale, with_mass=True) for keys in before]
        write_average([out_NSHV[0] for out_NSHV, _ in parts], [log_mass_NSH1[0, ..., 0] for _, log_mass_NSH1 in parts], out_THV[own])
    return out_THV


def expanded_latent_attention_cudnn(q_THQ: torch.Tensor, rows_SZ: torch.Tensor, kv_up_XL: torch.Tensor, *, scale: float) -> torch.Tensor:
    """`expanded_latent_attention` in pieces, of which few shapes occur. Contract of the reference.

    A short chunk behind not too many rows goes to the flash kernel, which has no plans to build; here there may be four.

    The kept rows up to a multiple of `GRAIN` are attended piece by piece, without a mask. What is left of them and the new rows are one
    causal square: queries of nobody stand before the first new one, and rows of nobody behind the last. The outputs are joined by their
    masses. Keys and values exist for one piece at a time.
    """
    (num_new, num_heads, width), num_rows = q_THQ.shape, rows_SZ.shape[0]
    value_width = kv_up_XL.shape[0] // num_heads - (width - (rows_SZ.shape[1] - kv_up_XL.shape[1]))
    is_small = num_new < CUDNN_TOKENS and num_rows <= FLASH_ROWS
    if is_small or not takes_widths(width, value_width):
        return expanded_latent_attention_flash(q_THQ, rows_SZ, kv_up_XL, scale=scale)
    odd = (num_rows - num_new) % GRAIN
    whole = num_rows - num_new - odd
    square, count = _rounded(odd + num_new), _rounded(num_new)
    new = slice(odd, odd + num_new)
    q_YHQ = _padded(q_THQ, odd, max(square, odd + count) - odd - num_new)

    def part(rows: torch.Tensor, queries: slice, *, causal: bool) -> tuple[torch.Tensor, torch.Tensor]:
        k_NSHQ, v_NSHV = (x[None] for x in expand_latents_triton(rows, kv_up_XL, num_heads, width))
        # A slice first, then a batch of it: plans are told apart by strides too, that of the only sequence among them.
        out_NSHV, log_mass = attend(q_YHQ[queries][None], k_NSHQ, v_NSHV, causal=causal, scale=scale, with_mass=True)
        return out_NSHV[0], log_mass[0]

    out_YHV, log_mass_YH1 = part(_padded(rows_SZ[whole:], 0, square - odd - num_new), slice(square), causal=True)
    if not whole:
        return out_YHV[new]
    out_THV, log_mass_TH1 = out_YHV[new].float(), log_mass_YH1[new]
    for start, stop in itertools.pairwise(_pieces(whole)):
        piece_YHV, its_mass_YH1 = part(rows_SZ[start:stop], slice(odd, odd + count), causal=False)
        its_mass_TH1 = its_mass_YH1[:num_new]
        out_THV.lerp_(piece_YHV[:num_new].float(), torch.sigmoid(its_mass_TH1 - log_mass_TH1))
        log_mass_TH1 = torch.logaddexp(log_mass_TH1, its_mass_TH1)
    return out_THV.to(q_THQ.dtype)


def _padded(x: torch.Tensor, before: int, behind: int) -> torch.Tensor:
    """With rows of zeros before and behind its own."""
    return F.pad(x, (0, 0) * (x.ndim - 1) + (before, behind)) if before or behind else x


def _rounded(length: int) -> int:
    return -(-length // GRAIN) * GRAIN


def _pieces(length: int) -> list[int]:
    """The boundaries of pieces that a multiple of `GRAIN` is cut into, the largest first."""
    boundaries = [0]
    for size in PIECES:
        boundaries += range(boundaries[-1] + size, length + 1, size)
    return boundaries


def attend(
    q_NSHQ: torch.Tensor, k_NSHQ: torch.Tensor, v_NSHV: torch.Tensor, *, causal: bool, scale: float, with_mass: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """One call of cuDNN: outputs [N, S, H, V], laid out like the queries, and where asked for the log-sum-exps of the scores, fp32
    [N, S, H, 1]. Causal only with as many keys as queries. Any strides with whole vectors inside."""
    q_NHSQ, k_NHSQ, v_NHSV = (x.transpose(1, 2) for x in (q_NSHQ, k_NSHQ, v_NSHV))
    operator = torch.ops.aten._scaled_dot_product_cudnn_attention
    out_NHSV, log_mass, *_ = operator(q_NHSQ, k_NHSQ, v_NHSV, None, with_mass, 0.0, causal, False, scale=scale)
    return out_NHSV.transpose(1, 2), log_mass.view(*q_NHSQ.shape[:3], 1).transpose(1, 2) if with_mass else log_mass


def takes_widths(width: int, value_width: int) -> bool:
    """Of queries and values, by cuDNN on an H100; others the flash kernel pads."""
    return width % 8 == 0 and value_width % 8 == 0 and (max(width, value_width) <= 128 or (width, value_width) == (192, 128))
