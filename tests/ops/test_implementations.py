"""Every implementation of every operation that can run on this machine, against the operation's formula in fp64.

A new implementation is tested by standing in `ops.registry.IMPLEMENTATIONS`; a new operation needs its inputs in `CASES` and its
formula in `formulas.py`.
"""

import dataclasses
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from kimi_vl.ops.registry import IMPLEMENTATIONS, Operations
from tests import interpreter, tolerances
from tests.ops import formulas

DEVICES = [torch.device(name) for name in ("cpu", "cuda") if name == "cpu" or torch.cuda.is_available()]
DTYPES = (torch.float32, torch.bfloat16)
# What Triton kernels are interpreted in where there is no GPU; the interpreter multiplies no bf16.
INTERPRETED = (torch.float32, torch.float16)


def packed(lengths, *, heads=3, width=24, value_width=20, causal=True, contiguous=True, known=False, dtype=torch.float32):
    """Arguments of varlen_attention; when not contiguous, q, k and v are views of one fused projection; `known` if the host has lengths."""
    fused = torch.randn(sum(lengths), heads, 2 * width + value_width).to(dtype)
    q, k, v = fused.split([width, width, value_width], dim=-1)
    if contiguous:
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    cu_seqlens = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)
    return (q, k, v, cu_seqlens, max(lengths)), {"causal": causal, "scale": width**-0.5} | ({"lengths": lengths} if known else {})


def cached(num_new, num_cached, *, heads=3, rank=32, rope=16, contiguous=True, dtype=torch.float32):
    """Arguments of latent_attention; the cache is a view of a longer buffer, as in the model."""
    q_latent, q_rope = torch.randn(num_new, heads, rank + rope).to(dtype).split([rank, rope], dim=-1)
    if contiguous:
        q_latent, q_rope = q_latent.contiguous(), q_rope.contiguous()
    rows = torch.randn(num_cached + 5, rank + rope).to(dtype)[:num_cached]
    return (q_latent, q_rope, rows), {"scale": (rank + rope) ** -0.5}


def continued(num_new, num_rows, *, heads=3, nope=16, rope=8, value=12, rank=32, contiguous=True, dtype=torch.float32):
    """Arguments of expanded_latent_attention; queries that are not contiguous are columns of a wider projection."""
    q = torch.randn(num_new, heads * (nope + rope) + 8).to(dtype)[:, : heads * (nope + rope)].unflatten(-1, (heads, -1))
    kv_up = torch.randn(heads * (nope + value), rank).to(dtype) / rank**0.5
    return (q.contiguous() if contiguous else q, torch.randn(num_rows, rank + rope).to(dtype), kv_up), {"scale": (nope + rope) ** -0.5}


def latents(num_rows, *, heads=3, nope=16, rope=8, value=12, rank=32, contiguous=True, dtype=torch.float32):
    """Arguments of expand_latents; when not contiguous, rows are columns of wider ones."""
    rows = torch.randn(num_rows, rank + rope + 8).to(dtype)[:, : rank + rope]
    kv_up = torch.randn(heads * (nope + value), rank).to(dtype) / rank**0.5
    return (rows.contiguous() if contiguous else rows, kv_up, heads, nope + rope), {}


def batched(lengths, *, window=None, heads=3, rank=32, rope=16, contiguous=True, dtype=torch.float32):
    """Arguments of batched_latent_attention; the cache is a window of longer rows, with large values behind each length."""
    q_latent, q_rope = torch.randn(len(lengths), heads, rank + rope).to(dtype).split([rank, rope], dim=-1)
    if contiguous:
        q_latent, q_rope = q_latent.contiguous(), q_rope.contiguous()
    rows = torch.randn(len(lengths), max(lengths) + 9, rank + rope)
    for row, length in zip(rows, lengths, strict=True):
        row[length:] = 1e4
    return (q_latent, q_rope, rows.to(dtype)[:, : window or max(lengths)], torch.tensor(lengths)), {"scale": (rank + rope) ** -0.5}


def paged(new, lengths, *, page_size=4, heads=3, rank=32, rope=16, contiguous=True, dtype=torch.float32, kept=None):
    """Arguments of paged_latent_attention; pages in no order, with NaN where no sequence has a row, and a table that names no page behind a
    sequence's end. `kept`: the pages' dtype, if it is another."""
    q_latent, q_rope = torch.randn(sum(new), heads, rank + rope).to(dtype).split([rank, rope], dim=-1)
    if contiguous:
        q_latent, q_rope = q_latent.contiguous(), q_rope.contiguous()
    counts = [-(-length // page_size) for length in lengths]
    order = torch.randperm(sum(counts) + 2).tolist()
    pages = torch.full((len(order), page_size, rank + rope), float("nan"))
    table = torch.full((len(lengths), max(counts, default=0) + 1), 1 << 30, dtype=torch.int32)
    for b, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        own = [order.pop(0) for _ in range(count)]
        table[b, :count] = torch.tensor(own)
        rows = torch.randn(length, rank + rope)
        for k, page in enumerate(own):
            part = rows[k * page_size : (k + 1) * page_size]
            pages[page, : len(part)] = part
    cu_seqlens = torch.tensor([0, *torch.tensor(new).cumsum(0).tolist()], dtype=torch.int32)
    arguments = (q_latent, q_rope, pages.to(kept or dtype), table, cu_seqlens, torch.tensor(lengths, dtype=torch.int32))
    return arguments, {"scale": (rank + rope) ** -0.5}


def routed(tokens, *, experts=5, top_k=2, width=16, inner=8, only=None, contiguous=True, dtype=torch.float32):
    """Arguments of routed_experts; `only` names the experts that may be chosen, so that the others get no token."""
    allowed = torch.tensor(range(experts) if only is None else only)
    chosen = [allowed[torch.randperm(len(allowed))[:top_k]] for _ in range(tokens)]
    indices = torch.stack(chosen) if chosen else torch.empty(0, top_k, dtype=torch.int64)
    x = torch.randn(tokens, width) if contiguous else torch.randn(width, tokens).T
    gate_up, down = torch.randn(experts, 2 * inner, width) / width**0.5, torch.randn(experts, width, inner) / inner**0.5
    return (x.to(dtype), gate_up.to(dtype), down.to(dtype), indices, torch.rand(tokens, top_k) + 0.1), {}


def gated(tokens, *, width=16, inner=8, residual=True, together=True, contiguous=True, dtype=torch.float32):
    """Arguments of gated_mlp; `together` if gate and up lie one behind the other."""
    x = torch.randn(tokens, width) if contiguous else torch.randn(width, tokens).T
    gate, up = (torch.randn(2 * inner, width) / width**0.5).to(dtype).chunk(2)
    down = (torch.randn(width, inner) / inner**0.5).to(dtype)
    return (x.to(dtype), gate, up if together else up.clone(), down, torch.randn(tokens, width).to(dtype) if residual else None), {}


def mixed(tokens, *, shared=2, residual=True, width=16, inner=8, dtype=torch.float32, **sizes):
    """Arguments of mixture."""
    (x, *routed_weights), _ = routed(tokens, width=width, inner=inner, dtype=dtype, **sizes)
    (_, *shared_weights, to_add), _ = gated(tokens, width=width, inner=shared * inner, dtype=dtype)
    return (x, to_add if residual else None, *routed_weights, tuple(shared_weights) if shared else None), {}


def normed(tokens, width, *, added=False, scale=1.0, contiguous=True, dtype=torch.float32):
    """Arguments of rms_norm, or of add_rms_norm."""
    tensors = [torch.randn(tokens, 2 * width)[:, :width] * scale for _ in range(2 if added else 1)]
    if contiguous:
        tensors = [x.contiguous() for x in tensors]
    return (*(x.to(dtype) for x in tensors), torch.randn(width).to(dtype), 1e-5), {}


def projected(tokens, *, heads=3, nope=8, rank=32, rope=16, in_place=False, dtype=torch.float32):
    """Arguments of latent_rows; the queries are a view of a projection that holds more."""
    q_rope = torch.randn(tokens, heads, nope + rope).to(dtype)[..., nope:]
    angles = torch.randn(tokens, rope // 2) * 9
    rows = torch.randn(tokens, rank + rope).to(dtype)
    options = {"in_place": True} if in_place else {}
    return (q_rope, rows, torch.randn(rank).to(dtype), 1e-6, angles.cos().to(dtype), angles.sin().to(dtype)), options


def fused(patches, *, heads=3, width=24, contiguous=True, dtype=torch.float32):
    """Arguments of rotate_qk; when not contiguous, the projection is the middle of a wider one."""
    qkv = torch.randn(patches, 5, heads, width).to(dtype)[:, 1:4]
    angles = torch.randn(patches, width // 2) * 9
    return (qkv.contiguous() if contiguous else qkv, angles.cos(), angles.sin()), {}


def written(slots, *, num_pages=4, page_size=4, rank=32, rope=16, dtype=torch.float32, kept=None, **sizes):
    """Arguments of write_latent; what is in the pages before must stay where no token is written, the last row among it. `kept`: the
    pages' dtype, if it is another; the last token's latent is then larger than it can hold."""
    arguments, _ = projected(len(slots), rank=rank, rope=rope, dtype=dtype, **sizes)
    if kept is not None:
        arguments[1][-1, :2] = torch.tensor([3e4, -3e4])
        arguments[2][:2] = 300.0
    return (*arguments, torch.tensor(slots), torch.randn(num_pages, page_size, rank + rope).to(kept or dtype)), {}


def scored(tokens, *, width=48, experts=12, top_k=3, renormalise=True, contiguous=True, dtype=torch.float32):
    """Arguments of route; weights and bias are fp32 whatever the activations are."""
    x = torch.randn(tokens, width) if contiguous else torch.randn(width, tokens).T
    weight, bias = torch.randn(experts, width) / width**0.5, torch.randn(experts) * 0.3
    return (x.to(dtype), weight, bias, top_k), {"renormalise": renormalise, "scaling_factor": 2.446}


FP8 = torch.float8_e4m3fn
NO_FILTERS = (0, 1.0, 0.0)
LAST_NUMBER = 1 - 2.0**-53


def drawn(*rows, vocabulary=300, logits=None, numbers=None, excluded=2, padding=0, contiguous=True, dtype=torch.float32):
    """Arguments of draw_rows; a row is its temperature, or that and top_k, top_p, min_p. `logits` makes them of noise [B, W]."""
    noise_BW = torch.randn(len(rows), vocabulary) * 3
    logits_BW = (noise_BW if logits is None else logits(noise_BW)).to(dtype)
    if padding:
        logits_BW = torch.cat((logits_BW, torch.full((len(rows), padding), float("nan"), dtype=dtype)), dim=1)[:, :vocabulary]
    logits_BW = logits_BW if contiguous else logits_BW.T.contiguous().T
    uniforms_B = torch.rand(len(rows), dtype=torch.float64) if numbers is None else torch.tensor(numbers, dtype=torch.float64)
    if not any(isinstance(row, tuple) for row in rows):
        return (logits_BW, uniforms_B, torch.tensor(rows, dtype=torch.float32)), {"excluded": excluded}
    columns = zip(*(row if isinstance(row, tuple) else (row, *NO_FILTERS) for row in rows), strict=True)
    kinds = (torch.float32, torch.int64, torch.float32, torch.float32)
    parameters = [torch.tensor(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)]
    return (logits_BW, uniforms_B, *parameters), {"excluded": excluded}


def weighed(*rows, vocabulary=300, biases=5, most=1, contiguous=True, dtype=torch.float32):
    """Arguments of weigh_rows; a row is its repetition, presence and frequency penalties and how many biases it has. Tokens have been said
    up to `most` times, some are only in the prompt."""
    logits_BW = (torch.randn(len(rows), vocabulary) * 3).to(dtype)
    logits_BW = logits_BW if contiguous else logits_BW.T.contiguous().T
    met_BW = torch.randint(0, 2 * most + 2, (len(rows) + 1, vocabulary), dtype=torch.int32)[: len(rows)]
    *penalties, counts = torch.tensor(rows, dtype=torch.float32).view(-1, 4).T.contiguous()
    biased_BK = torch.stack([torch.randperm(vocabulary)[:biases] for _ in rows] or [torch.zeros(biases)]).int()[: len(rows)]
    biased_BK[:, :1] = vocabulary - 1
    biased_BK[:, 1:] %= vocabulary - 1  # each once
    biased_BK[torch.arange(biases) >= counts[:, None]] = -1
    return (logits_BW, met_BW, *penalties, biased_BK, torch.randn(len(rows), biases) * 9), {}


def spoilt(noise_BW):
    """Of seven rows the first and the last are good; an excluded token's logit counts as well."""
    logits_BW = noise_BW.clone()
    logits_BW[1, -3] = logits_BW[2, 2] = float("nan")
    logits_BW[3, 17] = logits_BW[4, 2] = float("inf")
    logits_BW[5, :2] = logits_BW[5, 3:] = float("-inf")
    return logits_BW


def with_ends_excluded(noise_BW):
    logits_BW = noise_BW.clone()
    logits_BW[:, :9] = logits_BW[:, -4100:] = float("-inf")
    return logits_BW


def likeliest(token):
    return lambda noise_BW: noise_BW.index_fill(1, torch.tensor(token), 30.0)


CASES = {
    "rms_norm": {
        "one token": partial(normed, 1, 64),
        "a width that is no power of two": partial(normed, 5, 80),
        "values as small as the epsilon": partial(normed, 4, 32, scale=3e-3),
        "columns of a wider matrix": partial(normed, 3, 48, contiguous=False),
        "the official width": partial(normed, 3, 2048),
        "no token at all": partial(normed, 0, 16),
    },
    "add_rms_norm": {
        "one token": partial(normed, 1, 64, added=True),
        "a width that is no power of two": partial(normed, 5, 80, added=True),
        "columns of a wider matrix": partial(normed, 3, 48, added=True, contiguous=False),
        "the official width": partial(normed, 3, 2048, added=True),
        "no token at all": partial(normed, 0, 16, added=True),
    },
    "rotate_qk": {
        "one patch": partial(fused, 1),
        "more patches than a tile": partial(fused, 29),
        "columns of a wider projection": partial(fused, 9, contiguous=False),
        "nano's sizes": partial(fused, 4, heads=5, width=64),
        "the official sizes": partial(fused, 10, heads=16, width=72),
        "no patch at all": partial(fused, 0),
    },
    "latent_rows": {
        "one token": partial(projected, 1),
        "many tokens": partial(projected, 23),
        "queries turned where they stand": partial(projected, 5, in_place=True),
        "nano's sizes": partial(projected, 4, heads=5, nope=32, rank=128, rope=32),
        "the official sizes": partial(projected, 2, heads=16, nope=128, rank=512, rope=64),
        "no token at all": partial(projected, 0),
    },
    "expand_latents": {
        "one row": partial(latents, 1),
        "rows of a wider tensor": partial(latents, 7, contiguous=False),
        "widths that are no powers of two": partial(latents, 5, heads=5, nope=20, rope=6, value=24),
        "the official widths": partial(latents, 3, heads=16, nope=128, rope=64, value=128, rank=512),
        "no row at all": partial(latents, 0),
    },
    "write_latent": {
        "one token": partial(written, [6]),
        "tokens in no order": partial(written, [9, 0, 14, 3]),
        "rows of padding": partial(written, [5, -1, 0, -1]),
        "nothing but padding": partial(written, [-1, -1]),
        "pages in fp8": partial(written, [5, -1, 9, 2], kept=FP8),
        "the official sizes in fp8": partial(written, [70, 3], page_size=32, heads=16, nope=128, rank=512, rope=64, kept=FP8),
        "the official sizes": partial(written, [70, 3], page_size=32, heads=16, nope=128, rank=512, rope=64),
    },
    "route": {
        "one token": partial(scored, 1),
        "many tokens": partial(scored, 45),
        "not renormalised": partial(scored, 7, renormalise=False),
        "many not renormalised": partial(scored, 35, renormalise=False, experts=20, top_k=4),
        "every expert": partial(scored, 4, experts=5, top_k=5),
        "every expert for many": partial(scored, 40, experts=5, top_k=5, contiguous=False),
        "many tokens of a wide row": partial(scored, 33, width=200),
        "columns of a transposed matrix": partial(scored, 6, contiguous=False),
        "the official sizes": partial(scored, 3, width=2048, experts=64, top_k=6),
        "no token at all": partial(scored, 0),
    },
    "varlen_attention": {
        "one sequence": partial(packed, [13]),
        "sequences of one token": partial(packed, [1, 1, 1]),
        "long beside one token": partial(packed, [70, 1, 2, 33]),
        "an empty sequence between two": partial(packed, [5, 0, 4]),
        "both directions": partial(packed, [9, 1, 14], causal=False),
        "one token, both directions": partial(packed, [1], causal=False),
        "heads of 72 as in the tower": partial(packed, [12, 30], width=72, value_width=72, causal=False),
        "heads of 192 and values of 128 as in the decoder": partial(packed, [21, 3], width=192, value_width=128),
        "values wider than queries": partial(packed, [6, 7], width=12, value_width=40),
        "views of a fused projection": partial(packed, [8, 11], contiguous=False),
        "lengths that the host knows": partial(packed, [9, 0, 4, 12], known=True),
    },
    "expanded_latent_attention": {
        "one token": partial(continued, 1, 9),
        "a chunk": partial(continued, 7, 40),
        "more new tokens than kept ones": partial(continued, 33, 40),
        "every token new": partial(continued, 9, 9),
        "columns of a wider projection": partial(continued, 4, 12, contiguous=False),
        "the official widths": partial(continued, 3, 20, heads=16, nope=128, rope=64, value=128, rank=512),
    },
    "latent_attention": {
        "the first token": partial(cached, 1, 1),
        "one new token": partial(cached, 1, 40),
        "several new tokens": partial(cached, 7, 40),
        "every token new": partial(cached, 9, 9),
        "views of the projection": partial(cached, 4, 12, contiguous=False),
        "the official widths": partial(cached, 3, 20, heads=16, rank=512, rope=64),
    },
    "batched_latent_attention": {
        "one row": partial(batched, [40]),
        "rows of one token": partial(batched, [1, 1, 1]),
        "rows of different lengths": partial(batched, [17, 1, 33, 32]),
        "a window that no row fills": partial(batched, [5, 3], window=12),
        "views of the projection": partial(batched, [4, 12], contiguous=False),
        "the official widths": partial(batched, [20, 3], heads=16, rank=512, rope=64),
    },
    "paged_latent_attention": {
        "one token": partial(paged, [1], [13]),
        "its own row alone": partial(paged, [1], [1]),
        "answers of different lengths": partial(paged, [1, 1, 1, 1], [17, 1, 8, 4]),
        "a chunk of a prompt beside answers": partial(paged, [1, 6, 1], [9, 20, 3]),
        "a chunk that ends inside of a page": partial(paged, [5], [11]),
        "a row of padding": partial(paged, [1, 1], [6, 0]),
        "more rows than are read at once": partial(paged, [1, 1], [150, 64], page_size=8),
        "chunks longer than a tile": partial(paged, [9, 1, 4, 3], [70, 65, 4, 130], page_size=16),
        "views of the projection": partial(paged, [2, 1], [6, 12], contiguous=False),
        "pages in fp8": partial(paged, [1, 1, 1], [150, 1, 64], page_size=8, kept=FP8),
        "chunks over pages in fp8": partial(paged, [9, 1, 3], [70, 65, 130], page_size=64, kept=FP8),
        "the official widths in fp8": partial(paged, [1, 3], [40, 70], page_size=16, heads=16, rank=512, rope=64, kept=FP8),
        "the official widths": partial(paged, [1, 3], [40, 70], page_size=16, heads=16, rank=512, rope=64),
    },
    "routed_experts": {
        "one token": partial(routed, 1),
        "many tokens": partial(routed, 40),
        "experts without a token": partial(routed, 12, only=[1, 3]),
        "all tokens to one expert": partial(routed, 9, top_k=1, only=[4]),
        "every expert for every token": partial(routed, 7, top_k=5),
        "columns of a transposed matrix": partial(routed, 11, contiguous=False),
        "no token at all": partial(routed, 0),
        "two tokens": partial(routed, 2, top_k=4),
        "more tokens for one expert than it takes at once": partial(routed, 40, top_k=2, only=[2, 3]),
        "a prompt": partial(routed, 520, experts=3, top_k=2),
        "widths that no tile divides": partial(routed, 9, width=80, inner=72),
        "nano's widths": partial(routed, 1, experts=4, top_k=3, width=320, inner=128),
    },
    "gated_mlp": {
        "one token": partial(gated, 1),
        "many tokens": partial(gated, 40),
        "nothing to add to": partial(gated, 5, residual=False),
        "matrices in two places": partial(gated, 7, together=False),
        "columns of a transposed matrix": partial(gated, 6, contiguous=False),
        "more values than a program takes": partial(gated, 3, inner=1100),
        "no token at all": partial(gated, 0),
    },
    "mixture": {
        "one token": partial(mixed, 1),
        "few tokens": partial(mixed, 12),
        "many tokens": partial(mixed, 50),
        "nothing to add to": partial(mixed, 9, residual=False),
        "nothing to add to many tokens": partial(mixed, 40, residual=False),
        "no shared experts": partial(mixed, 9, shared=0),
        "no shared experts for many tokens": partial(mixed, 40, shared=0),
        "columns of a transposed matrix": partial(mixed, 11, contiguous=False),
        "widths that no tile divides": partial(mixed, 35, width=80, inner=72, shared=1),
        "no token at all": partial(mixed, 0),
    },
    "weigh_rows": {
        "one row": partial(weighed, (1.3, 0.5, 0.25, 0)),
        "each row its own": partial(
            weighed,
            (1.0, 0.0, 0.0, 0),
            (1.7, 0.0, 0.0, 5),
            (1.0, -2.0, 0.0, 1),
            (0.4, 0.0, 0.01, 0),
            (1.0, 0.0, 0.0, 3),
            (2.0, 2.0, 2.0, 5),
        ),
        "counts as long as a context": partial(weighed, (1.0, 0.5, 2.0, 0), (1.1, 0.0, 0.001, 1), most=131_072),
        "biases across blocks": partial(weighed, (1.1, 0.3, 0.1, 700), (1.0, 0.0, 0.0, 2), vocabulary=9000, biases=1024),
        "columns of a transposed matrix": partial(weighed, (1.3, 0.5, 0.0, 2), (1.0, 0.5, 0.0, 0), contiguous=False),
        "no row at all": partial(weighed),
    },
    "draw_rows": {
        "one row": partial(drawn, 1.0),
        "temperatures side by side": partial(drawn, 0.0, 1.0, 0.3, 1.5, 1e-6, 1e-45, vocabulary=5000),
        "rows without a distribution": partial(drawn, 1.0, 0.7, 0.0, 1.0, 0.7, 1.0, 0.0, vocabulary=5003, logits=spoilt),
        "the ends of the unit interval": partial(
            drawn,
            1.0,
            1.0,
            (0.8, 9, 0.9, 0.01),
            (0.8, 9, 0.9, 0.01),
            vocabulary=8200,
            logits=with_ends_excluded,
            numbers=[0.0, LAST_NUMBER] * 2,
        ),
        "the likeliest of equals": partial(drawn, 0.0, (0.0, 3, 0.4, 0.5), 1e-6, vocabulary=4500, logits=torch.zeros_like, excluded=0),
        "the excluded token is the likeliest": partial(drawn, 0.0, 1.0, (0.5, 4, 0.9, 0.1), logits=likeliest(299), excluded=299),
        "peaks of blocks far apart": partial(drawn, 1.0, 2.0, 0.0, vocabulary=9000, logits=lambda x: x - 8 * (torch.arange(9000) < 4096)),
        "each row its own filters": partial(
            drawn, 0.0, 1.0, (0.7, 5, 1.0, 0.0), (1.3, 0, 0.6, 0.0), (2.0, 0, 1.0, 0.2), (0.9, 12, 0.9, 0.05), (1.5, 200, 0.9, 0.0)
        ),
        "filters that leave one, or all": partial(
            drawn,
            (1.5, 1, 1.0, 0.0),
            (1.5, 0, 1e-9, 0.0),
            (1.5, 0, 1.0, 1.0),
            (1.5, 307, 1.0, 0.0),
            (1e-6, 20, 0.999, 0.0),
            (1e-45, 3, 0.5, 0.1),
        ),
        "filters of rows without a distribution": partial(drawn, *[(0.8, 20, 0.9, 0.01)] * 7, logits=spoilt),
        "filters over blocks": partial(drawn, (1.0, 3000, 1.0, 0.0), (1.2, 0, 0.95, 0.0), (1.0, 700, 0.8, 1e-3), vocabulary=9000),
        "cut among equals": partial(
            drawn,
            (1.0, 5000, 1.0, 0.0),
            (1.0, 0, 0.55003, 0.0),
            (1.0, 5000, 0.9001, 0.5),
            vocabulary=9000,
            logits=torch.zeros_like,
            numbers=[0.9999] * 3,
        ),
        "equals below the likeliest": partial(
            drawn,
            (2.0, 9, 1.0, 0.0),
            (2.0, 100, 0.7, 0.0),
            (3.0, 0, 0.8, 0.0),
            (2.0, 60, 0.97, 1e-3),
            logits=torch.round,
            numbers=[0.99, 0.98, 0.97, 0.98],
        ),
        "zeros of both signs": partial(drawn, (1.0, 150, 1.0, 0.0), (1.0, 0, 0.5002, 0.0), logits=lambda x: 0.0 * x, numbers=[0.999] * 2),
        "logits below zero": partial(drawn, (0.7, 5, 1.0, 0.0), (1.3, 0, 0.6, 0.0), (0.9, 12, 0.9, 0.05), logits=lambda x: x - 40),
        "columns of a wider matrix": partial(drawn, 0.7, 0.0, (1.0, 8, 0.9, 0.0), padding=5),
        "columns of a transposed matrix": partial(drawn, 0.7, 0.0, contiguous=False),
        "no row at all": drawn,
    },
}
# Training sends gradients through these; whatever else is registered may be for serving only.
TRAINABLE = {
    "varlen_attention": {"sdpa", "reference"},
    "routed_experts": {"loop", "dense", "grouped"},
    "gated_mlp": {"reference"},
    "mixture": {"reference"},
}
# Right on a CPU, but never the best there, so that the registry refuses them.
ALSO_ON_CPU = {"grouped"} if hasattr(F, "grouped_mm") else set()


def title(implementation):
    return f"{implementation.operation}={implementation.name}"


def assert_near(actual, expected, tolerance):
    """Within a share of the largest expected value."""
    scale = expected.abs().max().item() if expected.numel() else 1.0
    torch.testing.assert_close(actual.double().cpu(), expected.double().cpu(), rtol=0.0, atol=tolerance * scale)


def assert_neighbours(actual, expected):
    """That fp8 numbers are what the expected ones are rounded to; where these lie between two within the activations' noise, either is."""
    expected = expected.float().clamp(-448, 448).to(FP8)
    steps, expected_steps = (torch.where(b < 128, b, 128 - b) for b in (x.cpu().view(torch.uint8).int() for x in (actual, expected)))
    assert not actual.float().isnan().any(), "NaN is the number behind the largest"
    assert (steps - expected_steps).abs().max() <= 1
    assert (steps != expected_steps).double().mean() < 0.1


def assert_drawn(tokens, probs, uniforms):
    """That each token's interval of cumulative probability holds its uniform number, and -1 came where there is nothing to draw."""
    assert tokens.dtype == torch.int64
    assert tokens.shape == uniforms.shape
    for token, probs_W, uniform in zip(tokens.tolist(), probs, uniforms.tolist(), strict=True):
        if not probs_W.any():
            assert token == -1
            continue
        assert 0 <= token < len(probs_W)
        assert probs_W[token] > 0
        end = float(probs_W[: token + 1].sum())
        assert end - float(probs_W[token]) - tolerances.DRAWN_MASS <= uniform <= end + tolerances.DRAWN_MASS


def limit(kind):
    """Of the table; fp16 rounds less than bf16 does."""
    return tolerances.OPERATION_RELATIVE["bfloat16" if kind == "float16" else kind]


def every_run():
    """(implementation, device, dtype, case) for whatever can run here, kernels without a GPU among it."""
    for implementation in IMPLEMENTATIONS:
        runs = [
            (device, dtype, [pytest.mark.gpu] if device.type == "cuda" else [])
            for device in DEVICES
            for dtype in (*DTYPES, *([torch.float16] if device.type == "cuda" else []))
            if implementation.refuses(device, dtype) is None
        ]
        if implementation.name in ALSO_ON_CPU:
            runs += [(torch.device("cpu"), dtype, []) for dtype in DTYPES]
        if implementation.name == "triton":
            reason = interpreter.refusal()
            marks = [pytest.mark.skip(reason)] if reason else [pytest.mark.filterwarnings("ignore::RuntimeWarning")]
            runs += [(torch.device("cpu"), dtype, marks) for dtype in INTERPRETED]
        for device, dtype, marks in runs:
            for name, case in CASES[implementation.operation].items():
                kind = str(dtype).removeprefix("torch.")
                title_of_run = f"{title(implementation)}-{device}-{kind}-{name}"
                yield pytest.param(implementation, device, kind, case, id=title_of_run, marks=marks)


def spread(chosen, num_experts):
    """The router's choice as a matrix, in which no order of experts is left."""
    indices, weights = chosen
    assert indices.dtype == torch.int64
    assert weights.dtype == torch.float32
    return weights.new_zeros(weights.shape[0], num_experts).scatter_(1, indices, weights)


# What is compared with the formula, where it is not just what the function returns.
RESULTS = {
    "write_latent": lambda out, args: (out, args[-1]),
    "route": lambda out, args: spread(out, args[1].shape[0]),
}


def on(device, argument):
    if isinstance(argument, tuple):
        return tuple(on(device, part) for part in argument)
    return argument.to(device) if isinstance(argument, torch.Tensor) else argument


def check(function, operation, case, device, kind):
    """That a function computes the operation's formula on a case and leaves its arguments alone, but for those it is to write into."""
    args, options = case(dtype=getattr(torch, kind))
    args = [on(device, a) for a in args]
    untouched = args[:-1] if operation == "write_latent" else args[1:] if options.get("in_place") else args
    originals = [(a, a.clone()) for a in untouched if isinstance(a, torch.Tensor)]
    expected = getattr(formulas, operation)(*args, **options)
    found = function(*args, **options)
    found = RESULTS[operation](found, args) if operation in RESULTS else found
    assert not options.get("in_place") or found[0] is args[0]
    if operation == "draw_rows":
        assert_drawn(found, expected, args[1])
        found, expected = (), ()
    if isinstance(found, torch.Tensor):
        found, expected = (found,), (expected,)
    for one, other in zip(found, expected, strict=True):
        kind_of_result = str(one.dtype).removeprefix("torch.")
        assert one.shape == other.shape
        if one.dtype == FP8:
            assert_neighbours(one, other)
            continue
        assert kind_of_result == ("float32" if operation in ("route", "weigh_rows") else kind)
        assert_near(one, other, limit(kind_of_result))
    for argument, original in originals:
        as_it_is = torch.float32 if argument.dtype == FP8 else argument.dtype  # torch compares no fp8
        torch.testing.assert_close(argument.to(as_it_is), original.to(as_it_is), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("implementation", "device", "kind", "case"), every_run())
def test_implementation_computes_the_formula(implementation, device, kind, case):
    check(implementation.function, implementation.operation, case, device, kind)


TRAINED = [i for i in IMPLEMENTATIONS if i.name in TRAINABLE.get(i.operation, ())]


@pytest.mark.parametrize("implementation", TRAINED, ids=title)
def test_gradients_are_those_of_the_formula(implementation):
    case = {
        "varlen_attention": partial(packed, [9, 1, 6]),
        "routed_experts": partial(routed, 12, only=[0, 1, 3]),
        "gated_mlp": partial(gated, 5, together=False),
        "mixture": partial(mixed, 12, only=[0, 1, 3]),
    }
    args, options = case[implementation.operation]()
    differentiable = [a for a in args if isinstance(a, torch.Tensor) and a.is_floating_point()]
    for operand in differentiable:
        operand.requires_grad_()
    direction = None
    gradients = []
    for function in (implementation.function, getattr(formulas, implementation.operation)):
        out = function(*args, **options)
        direction = torch.randn_like(out) if direction is None else direction.to(out.dtype)
        gradients.append(torch.autograd.grad(out, differentiable, direction))
    for actual, expected in zip(*gradients, strict=True):
        assert_near(actual, expected, tolerances.GRADIENT_RELATIVE)


def test_a_token_of_nan_stays_inside_its_own_sequence():
    for implementation in IMPLEMENTATIONS:
        if implementation.operation == "varlen_attention" and implementation.refuses(torch.device("cpu"), torch.float32) is None:
            (q, k, v, cu_seqlens, longest), options = packed([6, 4, 5])
            for operand in (q, k, v):
                operand[7] = float("nan")
            out = implementation.function(q, k, v, cu_seqlens, longest, **options)
            assert out[6:10].isnan().any()
            assert out[:6].isfinite().all()
            assert out[10:].isfinite().all()


def test_every_operation_has_cases_a_formula_and_a_reference_that_runs_anywhere():
    for field in dataclasses.fields(Operations):
        assert CASES[field.name]
        assert callable(getattr(formulas, field.name))
        able = [i for i in IMPLEMENTATIONS if i.operation == field.name and i.refuses(torch.device("cpu"), torch.float32) is None]
        assert able, f"{field.name} cannot run on a CPU"
