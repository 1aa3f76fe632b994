"""Attention over packed sequences, and latent attention over a cache.

Letters: T query tokens, B rows of a batch, S cached tokens, H heads, Q query/key width, V value width, L latent rank, R rotary width,
Z = L + R, X = H x (Q - R + V); G pages of O tokens, J pages of a sequence.
"""

import itertools
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F

from kimi_vl.ops.latent import rows_of
from kimi_vl.ops.transfer import sent


def varlen_attention_reference(
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
    """Softmax attention inside each of several sequences packed one after another.

    `cu_seqlens` int32 [sequences + 1] holds the boundaries, first 0 and last T; `max_seqlen` the longest length; `lengths` all of them
    as numbers, where the host knows them, so that nothing need ask the device. Tokens never see another sequence. Scores and softmax in
    fp32, probabilities rounded to v's dtype. Returns [T, H, V].
    """
    out_THV = torch.empty_like(v_THV)
    for start, stop in itertools.pairwise(_boundaries(cu_seqlens, lengths)):
        q, k, v = q_THQ[start:stop], k_THQ[start:stop], v_THV[start:stop]
        scores_HTS = torch.einsum("thq,shq->hts", q.float(), k.float()) * scale
        if causal:
            future = torch.ones(stop - start, stop - start, dtype=torch.bool, device=q.device).triu(1)
            scores_HTS = scores_HTS.masked_fill(future, float("-inf"))
        out_THV[start:stop] = torch.einsum("hts,shv->thv", scores_HTS.softmax(-1).to(v.dtype), v)
    return out_THV


def varlen_attention_sdpa(
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
    """The same, one call of torch's fused attention per sequence: no T x T matrix is kept. Contract of the reference."""
    out_THV = torch.empty_like(v_THV)
    for start, stop in itertools.pairwise(_boundaries(cu_seqlens, lengths)):
        q, k, v = (x[start:stop].transpose(0, 1)[None] for x in (q_THQ, k_THQ, v_THV))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
        out_THV[start:stop] = out[0].transpose(0, 1)
    return out_THV


def _boundaries(cu_seqlens: torch.Tensor, lengths: Sequence[int] | None) -> list[int]:
    """Asks the device only where the host does not know."""
    return cu_seqlens.tolist() if lengths is None else [0, *itertools.accumulate(lengths)]


def varlen_attention_flash(
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
    """The same as one kernel (torch's FlashAttention-2), without host synchronisation. Contract of the reference."""
    return _flash(q_THQ, k_THQ, v_THV, cu_seqlens, cu_seqlens, max_seqlen, max_seqlen, causal=causal, scale=scale)


def _flash(
    q_THQ: torch.Tensor,
    k_SHQ: torch.Tensor,
    v_SHV: torch.Tensor,
    cu_queries: torch.Tensor,
    cu_keys: torch.Tensor,
    most_queries: int,
    most_keys: int,
    *,
    causal: bool,
    scale: float,
) -> torch.Tensor:
    """The kernel wants equal widths that are multiples of 8, so narrower values are padded with zero columns and cut off again."""
    width, value_width = q_THQ.shape[-1], v_SHV.shape[-1]
    padded = -(-max(width, value_width) // 8) * 8
    q, k, v = (F.pad(x, (0, padded - x.shape[-1])) if x.shape[-1] != padded else x for x in (q_THQ, k_SHQ, v_SHV))
    where, window = (cu_queries, cu_keys, most_queries, most_keys), (-1, 0) if causal else (-1, -1)
    if torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)):
        from torch.nn.attention.varlen import varlen_attn

        out = varlen_attn(q, k, v, *where, scale=scale, window_size=window)
        assert isinstance(out, torch.Tensor)  # a pair only where the log-sum-exp is asked for
    else:
        # What that calls. It is a custom operator, the first call of which imports torch's compiler: 5 s of a start until the first token.
        sides = {"window_size_left": window[0], "window_size_right": window[1]}
        out = torch.ops.aten._flash_attention_forward(q, k, v, *where, 0.0, causal, False, scale=scale, **sides)[0]
    return out[..., :value_width]


@lru_cache(maxsize=64)  # every layer of a step asks
def boundaries_on(device: torch.device, lengths: tuple[int, ...]) -> torch.Tensor:
    """The boundaries of packed sequences, int32 on a device, which must not be written to."""
    return sent(torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32), device)


def expand_latents(rows_SZ: torch.Tensor, kv_up_XL: torch.Tensor, num_heads: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The keys [S, H, Q] of `width` and the values [S, H, V] of every head, a view, that cached rows [latent, rotated key] stand for.

    `kv_up_XL` maps a latent to [key without rotary part, value] of each head, one head after another.
    """
    rank = kv_up_XL.shape[1]
    latent_SL, k_rope_SR = rows_SZ.split([rank, rows_SZ.shape[1] - rank], dim=-1)
    kv_SHW = F.linear(latent_SL, kv_up_XL).unflatten(-1, (num_heads, -1))
    k_nope_SHN, v_SHV = kv_SHW.tensor_split([width - k_rope_SR.shape[1]], dim=-1)
    return torch.cat((k_nope_SHN, k_rope_SR[:, None].expand(-1, num_heads, -1)), dim=-1), v_SHV


def expanded_latent_attention_reference(
    q_THQ: torch.Tensor, rows_SZ: torch.Tensor, kv_up_XL: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """Latent attention in expanded form: T new tokens of one sequence over its S cached rows, of which the last T are their own.

    For chunks of a prompt behind kept tokens: with T from about a hundred on, expanding S rows once (`expand_latents`) costs less than the
    wider products of the absorbed form, 1,088 values for each pair of tokens and head instead of 320. Queries are [.., rotated part]. Token
    t sees rows 0 .. S - T + t. Scores and softmax in fp32, probabilities rounded to the values' dtype. Returns [T, H, V].
    """
    k_SHQ, v_SHV = expand_latents(rows_SZ, kv_up_XL, *q_THQ.shape[1:])
    scores_HTS = torch.einsum("thq,shq->hts", q_THQ.float(), k_SHQ.float()) * scale
    scores_HTS = scores_HTS.masked_fill(~_visible(q_THQ, rows_SZ), float("-inf"))
    return torch.einsum("hts,shv->thv", scores_HTS.softmax(-1).to(v_SHV.dtype), v_SHV)


def expanded_latent_attention_sdpa(q_THQ: torch.Tensor, rows_SZ: torch.Tensor, kv_up_XL: torch.Tensor, *, scale: float) -> torch.Tensor:
    """The same by torch's fused attention: a mask of T x S is kept, and no scores. Contract of the reference."""
    k_SHQ, v_SHV = expand_latents(rows_SZ, kv_up_XL, *q_THQ.shape[1:])
    q, k, v = (x.transpose(0, 1)[None] for x in (q_THQ, k_SHQ, v_SHV))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=_visible(q_THQ, rows_SZ), scale=scale)[0].transpose(0, 1)


def expanded_latent_attention_flash(q_THQ: torch.Tensor, rows_SZ: torch.Tensor, kv_up_XL: torch.Tensor, *, scale: float) -> torch.Tensor:
    """The same as one kernel (torch's FlashAttention-2), which aligns the last query with the last key. Contract of the reference."""
    k_SHQ, v_SHV = expand_latents(rows_SZ, kv_up_XL, *q_THQ.shape[1:])
    num_new, num_rows, device = q_THQ.shape[0], rows_SZ.shape[0], q_THQ.device
    cu_queries, cu_keys = boundaries_on(device, (num_new,)), boundaries_on(device, (num_rows,))
    return _flash(q_THQ, k_SHQ, v_SHV, cu_queries, cu_keys, num_new, num_rows, causal=True, scale=scale)


def _visible(queries: torch.Tensor, rows_SZ: torch.Tensor) -> torch.Tensor:
    """Which of S rows each of the T last tokens sees, bool [T, S]."""
    num_new, num_rows = queries.shape[0], rows_SZ.shape[0]
    return torch.ones(num_new, num_rows, dtype=torch.bool, device=rows_SZ.device).tril(num_rows - num_new)


def latent_attention_reference(
    q_latent_THL: torch.Tensor,
    q_rope_THR: torch.Tensor,
    cache_SZ: torch.Tensor,
    *,
    scale: float,
) -> torch.Tensor:
    """Latent attention in absorbed form: T new tokens of one sequence over the S cached rows, of which the last T are their own.

    `q_latent` is the query already multiplied into latent space (q_nope · W_UK, [T, H, L]), `q_rope` the rotated rest. Each cached
    row is [latent, rotated key]. Token t sees rows 0 .. S - T + t. Scores and softmax in fp32. Returns the attended latents
    [T, H, L], which the caller multiplies by W_UV (MODEL_SPEC §4, absorbed form).
    """
    rank = q_latent_THL.shape[-1]
    latent_SL, k_rope_SR = cache_SZ.split([rank, cache_SZ.shape[-1] - rank], dim=-1)
    scores_THS = (q_latent_THL.float() @ latent_SL.float().T + q_rope_THR.float() @ k_rope_SR.float().T) * scale
    if q_latent_THL.shape[0] > 1:
        scores_THS = scores_THS.masked_fill(~_visible(q_latent_THL, cache_SZ)[:, None], float("-inf"))
    return scores_THS.softmax(-1).to(cache_SZ.dtype) @ latent_SL


def paged_latent_attention_reference(
    q_latent_THL: torch.Tensor,
    q_rope_THR: torch.Tensor,
    pages_GOZ: torch.Tensor,
    page_table_BJ: torch.Tensor,
    cu_seqlens: torch.Tensor,
    lengths_B: torch.Tensor,
    *,
    scale: float,
) -> torch.Tensor:
    """Latent attention in absorbed form of B sequences whose rows lie in pages of O tokens, any number of new tokens for each.

    Rows kept in fp8 are read in the queries' dtype, which holds every one of them exactly.

    `cu_seqlens` int32 [B + 1] holds the boundaries of the new tokens, first 0 and last T. Sequence b has lengths[b] rows, the last of which
    are its new tokens' own, at least one, row s in page page_table[b, s // O] at s % O; what else is in pages and table does not count.
    Each token sees the rows up to its own, as in `latent_attention`. A sequence of no rows and one token is padding and gets zeros.
    Asks the host. Returns [T, H, L].
    """
    out_THL = torch.empty_like(q_latent_THL)
    page_size = pages_GOZ.shape[1]
    for b, (start, stop) in enumerate(itertools.pairwise(cu_seqlens.tolist())):
        length = int(lengths_B[b])
        rows_SZ = rows_of(pages_GOZ, page_table_BJ[b, : -(-length // page_size)].long(), length, q_latent_THL.dtype)
        out_THL[start:stop] = latent_attention_reference(q_latent_THL[start:stop], q_rope_THR[start:stop], rows_SZ, scale=scale)
    return out_THL


def batched_latent_attention_reference(
    q_latent_BHL: torch.Tensor,
    q_rope_BHR: torch.Tensor,
    cache_BSZ: torch.Tensor,
    lengths_B: torch.Tensor,
    *,
    scale: float,
) -> torch.Tensor:
    """Latent attention in absorbed form, one new token for each of B sequences of different lengths.

    Row b sees cached rows 0 .. lengths[b] - 1, its own token among them, so lengths are from 1 to S; what lies behind must be finite
    and does not count. Queries, scores and softmax as in `latent_attention`; nothing asks the host. Returns [B, H, L].
    """
    q_BHZ = torch.cat((q_latent_BHL, q_rope_BHR), dim=-1)
    scores_BHS = (q_BHZ.float() @ cache_BSZ.float().mT) * scale
    return _weigh(scores_BHS, cache_BSZ, lengths_B, q_latent_BHL.shape[-1])


def batched_latent_attention_bmm(
    q_latent_BHL: torch.Tensor,
    q_rope_BHR: torch.Tensor,
    cache_BSZ: torch.Tensor,
    lengths_B: torch.Tensor,
    *,
    scale: float,
) -> torch.Tensor:
    """The same reading half-precision rows as they lie, with fp32 scores straight from the product. Contract of the reference."""
    q_BHZ = torch.cat((q_latent_BHL, q_rope_BHR), dim=-1)
    scores_BHS = torch.bmm(q_BHZ, cache_BSZ.mT, out_dtype=torch.float32).mul_(scale)
    return _weigh(scores_BHS, cache_BSZ, lengths_B, q_latent_BHL.shape[-1])


def _weigh(scores_BHS: torch.Tensor, cache_BSZ: torch.Tensor, lengths_B: torch.Tensor, rank: int) -> torch.Tensor:
    """Softmax over the first lengths[b] scores of row b, and the latents so weighted [B, H, L]."""
    behind_BS = torch.arange(cache_BSZ.shape[1], device=cache_BSZ.device) >= lengths_B[:, None]
    probs_BHS = scores_BHS.masked_fill_(behind_BS[:, None], float("-inf")).softmax(-1)
    return torch.bmm(probs_BHS.to(cache_BSZ.dtype), cache_BSZ[..., :rank])
