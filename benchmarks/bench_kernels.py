"""How near the Triton kernels come to the machine's limits: microseconds, GB/s and TFLOP/s at the official decoder's sizes.

    python benchmarks/bench_kernels.py --output benchmarks/results/kernels.json
    python benchmarks/bench_kernels.py --check        # only compares with the references
    python benchmarks/bench_kernels.py --sweep        # also tries other ways to cut the kernels, and names the fastest
    python benchmarks/bench_kernels.py --sweep --only fp8

One GPU, bf16, random data, one layer's call at a time, for batches of 1 to 256 and contexts of 1,024 to 120,000 tokens. A time is the
median over replays of a CUDA graph of many calls, which rotate through arguments so that what they read has left the L2 cache (50 MB on an
H100); only the small kernels work on what is in it, as they do in a model. Beside each kernel stand its peers on the same data. What asks
the host cannot be recorded and is timed as it is launched. Nothing is timed that does not first compute what its reference computes.

Shares are of 2.9 TB/s, which a read of much memory reaches on an H100, and for prompts of 790 TFLOP/s, which a large product does.
"""

import argparse
import gc
import json
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kimi_vl.ops import attention, cudnn, experts, latent, norm, rotary, sampling
from kimi_vl.ops.quantised import Quantised, Weight, dequantised, quantised
from kimi_vl.ops.triton import (
    batched_latent_attention,
    draw_rows,
    expand_latents,
    expert_groups,
    expert_launches,
    expert_tiles,
    expert_vectors,
    few_rows,
    fp8,
    gated_mlp,
    grouping,
    latent_rows,
    paged_latent_attention,
    rms_norm,
    rotate_qk,
    route,
    routed_experts,
    swiglu_products,
    weigh_rows,
)
from kimi_vl.ops.triton.language import triton

BYTES_PER_S, FLOPS_PER_S = 2.9e12, 790e12
L2_BYTES = 120e6  # what is rotated through; twice the cache and more
GRAPH_S = 2e-3  # calls are recorded until one replay takes about this long
LIMIT = 1.2e-2  # of the largest value: the tests' table for bf16
FP8_LIMIT = 0.1  # where tokens are rounded to fp8 and the reference does not
MOST_CACHE_BYTES = 40e9


@dataclass(frozen=True)
class Sizes:
    """Of a decoder layer, letters as in ARCHITECTURE.md, and what is tried."""

    D: int = 2048
    H: int = 16
    N: int = 128
    R: int = 64
    L: int = 512
    E: int = 64
    K: int = 6
    F: int = 1408
    page: int = 64
    W: int = 163_840
    batches: tuple[int, ...] = (1, 8, 32, 128, 256)
    contexts: tuple[int, ...] = (1024, 16384, 120_000)
    prompts: tuple[int, ...] = (512, 1024, 2048, 16384)


SMALL = Sizes(64, 5, 8, 16, 32, 6, 3, 48, 4, 5000, batches=(1, 3), contexts=(9, 70), prompts=(5,))


@dataclass
class Problem:
    """Calls of one operation on different data, its implementations, and what they move and compute at the least."""

    kernel: str
    shape: dict[str, int]
    calls: list[tuple]
    ways: dict[str, Callable]  # ours first
    reference: Callable
    num_bytes: float
    flops: float = 0.0  # if arithmetic is the limit
    unrecorded: dict[str, Callable] = field(default_factory=dict)  # ask the host
    unchecked: dict[str, Callable] = field(default_factory=dict)  # read the same data in another order
    result: Callable[[Any, tuple], Any] = lambda out, call: out
    limit: float = LIMIT


def rotated(num_bytes: float, make: Callable[[], tuple]) -> list[tuple]:
    """As many arguments as it takes to leave the L2 cache, for calls that read `num_bytes` each."""
    return [make() for _ in range(max(1, min(64, round(L2_BYTES / num_bytes))))]


def attention_problems(z: Sizes, like: torch.Tensor, sweep: bool, kept: torch.dtype | None = None) -> Iterator[Problem]:
    """Over pages of the activations' dtype, or of `kept`."""
    scale, width = (z.N + z.R) ** -0.5, z.L + z.R
    reference = partial(attention.paged_latent_attention_reference, scale=scale)
    for batch in z.batches:
        for context in z.contexts:
            columns = -(-context // z.page)
            num_bytes = batch * context * width * (kept or like.dtype).itemsize
            if num_bytes > MOST_CACHE_BYTES:
                continue

            def make(batch=batch, context=context, columns=columns):
                query = torch.randn(batch, z.H, width, dtype=like.dtype, device=like.device)
                pages = torch.empty(batch * columns, z.page, width, dtype=like.dtype, device=like.device).normal_().to(kept or like.dtype)
                table = torch.randperm(batch * columns, device=like.device).int().view(batch, columns)
                lengths = torch.full((batch,), context, dtype=torch.int32, device=like.device)
                boundaries = torch.arange(batch + 1, dtype=torch.int32, device=like.device)
                return (query[..., : z.L], query[..., z.L :], pages, table, boundaries, lengths)

            def batched(function, q_latent, q_rope, pages, table, boundaries, lengths, *, scale):
                return function(q_latent, q_rope, pages.view(len(lengths), -1, pages.shape[-1]), lengths, scale=scale)

            ways = {"triton": paged_latent_attention.paged_latent_attention_triton} | (attention_cuts() if sweep else {})
            peers = {
                "batched triton": batched_latent_attention.batched_latent_attention_triton,
                "batched bmm": attention.batched_latent_attention_bmm,
            }
            yield Problem(
                "paged_latent_attention" if kept is None else "paged_latent_attention fp8",
                {"batch": batch, "context": context},
                rotated(num_bytes, make),
                {name: partial(way, scale=scale) for name, way in ways.items()},
                reference,
                num_bytes,
                unrecorded={"reference": reference} if num_bytes < 5e9 else {},
                unchecked={name: partial(batched, peer, scale=scale) for name, peer in peers.items()}
                if like.is_cuda and kept is None
                else {},
            )


def attention_cuts() -> dict[str, Callable]:
    cuts = [
        (4, 2, 64, 2),
        (4, 2, 64, 1),
        (8, 2, 64, 2),
        (4, 3, 64, 1),
        (8, 3, 64, 1),
        (4, 3, 32, 2),
        (4, 4, 32, 2),
        (4, 2, 32, 3),
        (4, 3, 32, 3),
        (8, 3, 64, 2),
        (8, 5, 64, 1),
        (4, 5, 32, 2),
        (4, 3, 16, 3),
    ]
    return {
        f"warps {warps} stages {stages} rows {rows} resident {resident}": partial(
            paged_latent_attention.attend,
            launch=paged_latent_attention.Launch(1, block_rows=rows, num_warps=warps, num_stages=stages, resident=resident),
        )
        for warps, stages, rows, resident in cuts
    }


def prompt_problems(z: Sizes, like: torch.Tensor) -> Iterator[Problem]:
    """Whole prompts, alone or many, and pictures of one size; as arithmetic counts what the mask leaves."""
    if not like.is_cuda:
        return
    for count, length, causal in [
        (1, 1024, True),
        (1, 4096, True),
        (1, 16384, True),
        (16, 1024, True),
        (128, 1024, True),
        (1, 65_536, True),
        (1, 16384, False),
        (4, 4096, False),
    ]:
        width, value_width = (z.N + z.R, z.N) if causal else (72, 72)
        q, k = torch.randn(2, count * length, z.H, width, dtype=like.dtype, device=like.device)
        v = torch.randn(count * length, z.H, 2 * value_width, dtype=like.dtype, device=like.device)[..., value_width:]
        boundaries = torch.arange(count + 1, dtype=torch.int32, device=like.device) * length
        options: dict[str, Any] = {"causal": causal, "scale": width**-0.5}
        flash = partial(attention.varlen_attention_flash, **options)
        yield Problem(
            "varlen_attention",
            {"sequences": count, "tokens": length, "width": width},
            [(q, k, v, boundaries, length)],
            {"cudnn": partial(cudnn.varlen_attention_cudnn, **options, lengths=(length,) * count), "flash": flash},
            flash,
            2 * (q.nbytes + v.numel() * like.itemsize),
            flops=2.0 * count * length**2 * z.H * (width + value_width) / (2 if causal else 1),
        )


def product_problems(z: Sizes, like: torch.Tensor) -> Iterator[Problem]:
    """Products of prompts with what is done to them in the same kernel."""
    if not (like.is_cuda and experts.has_grouped_mm(like.device, like.dtype)):
        return

    def random(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=like.dtype, device=like.device).normal_(std=shape[-1] ** -0.5)

    gate_up, shared, kv_up = random(z.E, 2 * z.F, z.D), random(4 * z.F, z.D), random(2 * z.H * z.N, z.L)
    for tokens in [size for size in z.prompts if size > 512]:
        x, rows = random(tokens, z.D), random(tokens, z.L + z.R)
        chosen = torch.rand(tokens, z.E, device=like.device).topk(z.K).indices.sort().values
        _, token_X, ends = grouping.group_by_expert(chosen, z.E)
        problem = partial(Problem, shape={"tokens": tokens}, num_bytes=0.0)
        yield problem(
            "grouped_swiglu",
            calls=[(x, token_X, gate_up, ends)],
            ways={"triton": swiglu_products.grouped_swiglu, "grouped": grouped_then_swiglu},
            reference=grouped_then_swiglu,
            flops=4.0 * tokens * z.K * z.D * z.F,
        )
        yield problem(
            "swiglu_product",
            calls=[(x, shared)],
            ways={"triton": swiglu_products.swiglu_product, "linear": linear_then_swiglu},
            reference=linear_then_swiglu,
            flops=8.0 * tokens * z.D * z.F,
        )
        yield problem(
            "expand_latents",
            calls=[(rows, kv_up, z.H, z.N + z.R)],
            ways={"triton": expand_latents.expand_latents_triton, "cat": attention.expand_latents},
            reference=attention.expand_latents,
            flops=4.0 * tokens * z.H * z.N * z.L,
        )


def grouped_then_swiglu(x: torch.Tensor, tokens: torch.Tensor, gate_up: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    return gated_mlp.swiglu(*torch.nn.functional.grouped_mm(x[tokens], gate_up.mT, offs=ends).chunk(2, dim=-1))


def linear_then_swiglu(x: torch.Tensor, gate_up: torch.Tensor) -> torch.Tensor:
    return gated_mlp.swiglu(*torch.nn.functional.linear(x, gate_up).chunk(2, dim=-1))


def chunk_problems(z: Sizes, like: torch.Tensor, sweep: bool) -> Iterator[Problem]:
    """A prompt's next chunk behind kept tokens."""
    scale, width, context = (z.N + z.R) ** -0.5, z.L + z.R, z.contexts[1]
    for new in sorted({8, min(512, context // 2), min(2048, context // 2)}):
        columns = -(-context // z.page)
        query = torch.randn(new, z.H, width, dtype=like.dtype, device=like.device)
        pages = torch.randn(columns, z.page, width, dtype=like.dtype, device=like.device)
        table = torch.randperm(columns, device=like.device).int().view(1, columns)
        boundaries = torch.tensor([0, new], dtype=torch.int32, device=like.device)
        lengths = torch.tensor([context], dtype=torch.int32, device=like.device)
        ways: dict[str, Callable] = {"triton": paged_latent_attention.paged_latent_attention_triton}
        for tokens, warps, stages in [(2, 8, 2), (2, 8, 3), (4, 8, 2)] if sweep else []:
            launch = paged_latent_attention.Launch(tile_tokens=tokens, num_warps=warps, num_stages=stages)
            ways[f"tokens {tokens} warps {warps} stages {stages}"] = partial(paged_latent_attention.attend, launch=launch)
        yield Problem(
            "paged_latent_attention",
            {"batch": 1, "context": context, "new": new},
            [(query[..., : z.L], query[..., z.L :], pages, table, boundaries, lengths)],
            {name: partial(way, scale=scale) for name, way in ways.items()},
            partial(attention.paged_latent_attention_reference, scale=scale),
            context * width * like.itemsize,
            flops=2.0 * new * (context - new / 2) * z.H * (width + z.L) if new > 64 else 0.0,
            unrecorded={"reference": partial(attention.paged_latent_attention_reference, scale=scale)},
        )


def continued_problems(z: Sizes, like: torch.Tensor) -> Iterator[Problem]:
    """The same in expanded form, expansion of the kept rows included."""
    scale, width, context = (z.N + z.R) ** -0.5, z.L + z.R, z.contexts[1]
    if not like.is_cuda:
        return
    for new in (128, 512, 2048, 8192):
        query = torch.randn(new, z.H, z.N + z.R, dtype=like.dtype, device=like.device)
        rows = torch.randn(context, width, dtype=like.dtype, device=like.device)
        kv_up = torch.randn(2 * z.H * z.N, z.L, dtype=like.dtype, device=like.device) / z.L**0.5
        flash = partial(attention.expanded_latent_attention_flash, scale=scale)
        yield Problem(
            "expanded_latent_attention",
            {"batch": 1, "context": context, "new": new},
            [(query, rows, kv_up)],
            {"cudnn": partial(cudnn.expanded_latent_attention_cudnn, scale=scale), "flash": flash},
            flash,
            context * width * like.itemsize,
            flops=2.0 * z.H * (new * (context - new / 2) * (2 * z.N + z.R) + context * z.L * 2 * z.N),
        )


def expert_problems(z: Sizes, like: torch.Tensor, sweep: bool) -> Iterator[Problem]:
    gate_up = torch.empty(z.E, 2 * z.F, z.D, dtype=like.dtype, device=like.device).normal_(std=z.D**-0.5)
    down = torch.empty(z.E, z.D, z.F, dtype=like.dtype, device=like.device).normal_(std=z.F**-0.5)
    for tokens in sorted({*z.batches, 2, 4, 16, 64, *z.prompts} if z.D > 64 else {*z.batches, *z.prompts}):
        calls = [expert_call(z, like, tokens, gate_up, down) for _ in range(8 if tokens <= 512 else 1)]
        read = statistics.mean(call[3].unique().numel() for call in calls) * 3 * z.D * z.F * like.itemsize
        ways: dict[str, Callable] = {"triton": routed_experts.routed_experts_triton}
        if sweep:
            ways |= expert_cuts(tokens)
        if like.is_cuda and experts.has_grouped_mm(like.device, like.dtype):
            ways["grouped"] = experts.routed_experts_grouped
        yield Problem(
            "routed_experts",
            {"tokens": tokens},
            calls,
            ways,
            experts.routed_experts_loop,
            read + 2 * tokens * z.D * like.itemsize,
            flops=6.0 * tokens * z.K * z.D * z.F if tokens > 1024 else 0.0,
            unrecorded={"loop": experts.routed_experts_loop},
        )


def expert_call(z: Sizes, like: torch.Tensor, tokens: int, gate_up: Weight, down: Weight) -> tuple:
    x = torch.randn(tokens, z.D, dtype=like.dtype, device=like.device)
    indices = torch.rand(tokens, z.E, device=like.device).topk(z.K, dim=-1).indices
    return (x, gate_up, down, indices, torch.rand(tokens, z.K, device=like.device) + 0.1)


def expert_cuts(tokens: int) -> dict[str, Callable]:
    cuts: dict[str, Callable] = {}
    if tokens <= 4:
        for rows, warps in [(2, 4), (4, 4), (4, 8), (8, 4), (8, 8)]:
            launch = expert_launches.Launch(rows=rows, width=2048, num_warps=warps)
            cuts[f"gate_up rows {rows} warps {warps}"] = partial(expert_vectors.by_vectors, gate_up_launch=launch)
            cuts[f"down rows {rows} warps {warps}"] = partial(expert_vectors.by_vectors, down_launch=launch)
    if 1 < tokens <= 1024:
        for rows, width, warps, stages in [(64, 64, 4, 3), (64, 64, 4, 5), (64, 128, 4, 3), (64, 128, 4, 4), (128, 64, 8, 4)]:
            for pairs in {expert_launches.tile(tokens).pairs, 16 if tokens <= 128 else 32 if tokens <= 512 else 128}:
                launch = expert_launches.Launch(rows=rows, width=width, pairs=pairs, num_warps=warps, num_stages=stages)
                name = f"tiles {rows}x{width}x{pairs} warps {warps} stages {stages}"
                cuts[name] = partial(expert_tiles.by_tiles, launches=(launch, launch))
    return cuts


def fp8_expert_problems(z: Sizes, like: torch.Tensor, sweep: bool) -> Iterator[Problem]:
    """Weights in fp8, and tokens too from two on. The reference multiplies tokens as they are."""
    gate_up, down = random_fp8(z.E, 2 * z.F, z.D, like), random_fp8(z.E, z.D, z.F, like)
    for tokens in (1, 2, 4, 8, 16, 32, 64, 128, 256, *z.prompts) if z.D > 64 else (*z.batches, *z.prompts):
        calls = [expert_call(z, like, tokens, gate_up, down) for _ in range(8 if tokens <= 512 else 1)]
        read = statistics.mean(call[3].unique().numel() for call in calls) * 3 * z.D * z.F
        ways: dict[str, Callable] = {"triton": routed_experts.routed_experts_triton}
        if sweep:
            ways |= fp8_expert_cuts(tokens)
        if tokens >= 64 and fp8.taken(like, gate_up, down):
            ways["groups"] = expert_groups.by_groups
        yield Problem(
            "routed_experts fp8",
            {"tokens": tokens},
            calls,
            ways,
            experts.routed_experts_loop,
            read + 2 * tokens * z.D * like.itemsize,
            flops=6.0 * tokens * z.K * z.D * z.F if tokens > 1024 else 0.0,
            limit=FP8_LIMIT,
        )


def fp8_expert_cuts(tokens: int) -> dict[str, Callable]:
    """Each product's launch with the other's as it is, for inner values rounded by 64 and by 128."""
    launch, cuts = expert_launches.Launch, dict[str, Callable]()
    if tokens <= 2:
        for rows, warps in [(2, 4), (4, 4), (8, 4), (8, 8), (16, 8)]:
            cut = launch(rows=rows, width=2048, num_warps=warps)
            cuts[f"gate_up rows {rows} warps {warps}"] = partial(expert_vectors.by_vectors, gate_up_launch=cut)
        for rows, warps in [(1, 4), (2, 4), (4, 4), (4, 8)]:
            cut = launch(rows=rows, width=2048, num_warps=warps)
            cuts[f"down rows {rows} warps {warps}"] = partial(expert_vectors.by_vectors, down_launch=cut)
    if not 1 < tokens <= 1024:
        return cuts
    of_tokens, second = expert_launches.tile(tokens).pairs, 16 if tokens <= 64 else 32 if tokens <= 256 else 128
    firsts = [(64, 128, 4, 3), (64, 128, 4, 4), (64, 256, 4, 3), (128, 128, 4, 3), (128, 128, 8, 3), (128, 128, 8, 4), (128, 64, 4, 4)]
    seconds = {64: [(64, 4, 4), (64, 4, 6), (64, 4, 8), (128, 4, 4)], 128: [(64, 4, 3), (64, 4, 4), (128, 4, 3), (128, 8, 4)]}
    for pairs in sorted({of_tokens, second}):
        for rows, width, warps, stages in firsts:
            a = launch(rows, width, pairs, warps, stages)
            b = launch(64, rows, pairs, 4, 6 if rows == 64 else 4)
            cuts[f"gate_up {rows}x{width}x{pairs} warps {warps} stages {stages}"] = partial(expert_tiles.by_tiles, launches=(a, b))
        for step, launches in seconds.items():
            for rows, warps, stages in launches:
                a, b = launch(step, 128, pairs, 4 if step == 64 else 8, 4), launch(rows, step, pairs, warps, stages)
                cuts[f"down {rows}x{step}x{pairs} warps {warps} stages {stages}"] = partial(expert_tiles.by_tiles, launches=(a, b))
    return cuts


def random_fp8(*shape_and_like) -> Quantised:
    """A random matrix, or many, in fp8."""
    *shape, like = shape_and_like
    many = [quantised(torch.randn(*shape[-2:], device=like.device) * shape[-1] ** -0.5, "fp8") for _ in range(shape[0] if shape[2:] else 1)]
    values, scales = torch.stack([weight.values for weight in many]), torch.stack([weight.scales for weight in many])
    return Quantised(values, scales) if shape[2:] else Quantised(values[0], scales[0])


def fp8_linear_problems(z: Sizes, like: torch.Tensor, sweep: bool) -> Iterator[Problem]:
    """The projections of queries and latents, that of attention's output, and the output matrix; beside bf16 written out."""
    for rows in (z.H * (z.N + z.R) + z.L + z.R, z.D, z.W):
        weights = [random_fp8(rows, z.D, like) for _ in range(max(1, min(16, round(L2_BYTES / rows / z.D))))]
        for tokens in (1, 2, 4, 16, 64, 256, 1024) if z.D > 64 else (1, 3):
            calls = [(torch.randn(tokens, z.D, dtype=like.dtype, device=like.device), weight) for weight in weights]
            ways: dict[str, Callable] = {"tiles": few_rows.linear_by_tiles}
            if tokens <= few_rows.LINEAR_TOKENS:
                ways |= {f"vectors {block}": partial(few_rows.linear, block_rows=block) for block in ((4, 2, 8, 16) if sweep else (4,))}
            for width, stages in [(256, 3), (256, 4), (128, 6)] if sweep else []:
                ways[f"tiles {width} stages {stages}"] = partial(few_rows.linear_by_tiles, block_width=width, num_stages=stages)
            if fp8.taken(like, weights[0]):
                ways["torch"] = lambda x, weight: fp8.linear(fp8.rounded(x), weight)
            yield Problem(
                "linear fp8",
                {"tokens": tokens, "rows": rows},
                calls,
                ways,
                lambda x, weight: torch.nn.functional.linear(x, dequantised(weight, x.dtype)),
                rows * z.D,
                flops=2.0 * tokens * rows * z.D if tokens > 512 else 0.0,
                limit=FP8_LIMIT,
            )


def rounding_problems(z: Sizes, like: torch.Tensor) -> Iterator[Problem]:
    for tokens in (*z.batches, *z.prompts):
        x = torch.randn(tokens, z.D, dtype=like.dtype, device=like.device)
        yield Problem(
            "round fp8",
            {"tokens": tokens},
            [(x,)],
            {"triton": fp8.rounded, "reference": partial(quantised, kind="fp8")},
            partial(quantised, kind="fp8"),
            3 * x.numel(),
            limit=32 / 448,  # a tie may turn
        )


def mixture_problems(z: Sizes, like: torch.Tensor) -> Iterator[Problem]:
    """What stands behind the router in a layer: routed and shared experts, and the residual stream."""
    factory: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
    gate_up = torch.empty(z.E, 2 * z.F, z.D, **factory).normal_(std=z.D**-0.5)
    down = torch.empty(z.E, z.D, z.F, **factory).normal_(std=z.F**-0.5)
    gate, up = torch.empty(2, 2 * z.F, z.D, **factory).normal_(std=z.D**-0.5).unbind(0)
    shared = (gate, up, torch.empty(z.D, 2 * z.F, **factory).normal_(std=z.F**-0.5))
    for tokens in (*z.batches, *z.prompts):
        x, residual = torch.randn(2, tokens, z.D, **factory).unbind(0)
        indices = torch.rand(tokens, z.E, device=like.device).topk(z.K, dim=-1).indices
        yield Problem(
            "mixture",
            {"tokens": tokens},
            [(x, residual, gate_up, down, indices, torch.rand(tokens, z.K, device=like.device) + 0.1, shared)],
            {"triton": routed_experts.mixture_triton},
            experts.mixture,
            (indices.unique().numel() + 2) * 3 * z.D * z.F * like.itemsize + 3 * tokens * z.D * like.itemsize,
            flops=6.0 * tokens * (z.K + 2) * z.D * z.F if tokens > 1024 else 0.0,
            unrecorded={"reference": experts.mixture},
        )


def route_problems(z: Sizes, like: torch.Tensor, sweep: bool) -> Iterator[Problem]:
    weight, bias = torch.randn(z.E, z.D, device=like.device) / z.D**0.5, torch.randn(z.E, device=like.device) * 0.1
    routing: dict[str, Any] = {"top_k": z.K, "renormalise": True, "scaling_factor": 2.446}
    for tokens in sorted({*z.batches, *z.prompts}):
        x = torch.randn(tokens, z.D, dtype=like.dtype, device=like.device)
        ways = {"triton": route.route_triton, "reference": experts.route}
        for block_tokens, parts in [(16, 1), (16, 2), (16, 4), (16, 8), (32, 1), (32, 2), (64, 1)] if sweep and tokens > 1 else []:
            if tokens // block_tokens * parts <= 1024 and (parts == 1 or tokens // block_tokens < route.TILE_PROGRAMS):
                ways[f"tokens {block_tokens} parts {parts}"] = partial(route.by_tiles, block_tokens=block_tokens, parts=parts)
        ways = {name: partial(way, **routing) for name, way in ways.items()}
        num_bytes = weight.nbytes + x.nbytes
        yield Problem("route", {"tokens": tokens}, [(x, weight, bias)], ways, ways["reference"], num_bytes, result=spread_choice)


def small_problems(z: Sizes, like: torch.Tensor) -> Iterator[Problem]:
    """Kernels that work on what has just been computed."""
    factory: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
    weight_D, weight_L = torch.randn(z.D, **factory), torch.randn(z.L, **factory)
    for patches in [1024, 16384] if z.D > 64 else [9]:
        angles = torch.rand(patches, 36, device=like.device) * 100
        call: tuple = (torch.randn(patches, 3, 16, 72, **factory), angles.cos(), angles.sin())
        ways: dict[str, Callable] = {"triton": rotate_qk.rotate_qk_triton, "reference": rotary.rotate_qk}
        yield Problem("rotate_qk", {"patches": patches}, [call], ways, rotary.rotate_qk, 4 * patches * 16 * 72 * like.itemsize)
    for tokens in z.batches:
        x, update = torch.randn(2, tokens, z.D, **factory).unbind(0)
        rows, row_bytes = tokens * z.D, like.itemsize
        problem = partial(Problem, shape={"tokens": tokens})
        ways = {"triton": rms_norm.rms_norm_triton, "reference": norm.rms_norm}
        yield problem("rms_norm", calls=[(x, weight_D, 1e-5)], ways=ways, reference=norm.rms_norm, num_bytes=2 * rows * row_bytes)
        ways = {"triton": rms_norm.add_rms_norm_triton, "reference": norm.add_rms_norm}
        call = (x, update, weight_D, 1e-5)
        yield problem("add_rms_norm", calls=[call], ways=ways, reference=norm.add_rms_norm, num_bytes=4 * rows * row_bytes)
        query = torch.randn(tokens, z.H, z.N + z.R, **factory)[..., z.N :]
        angles = torch.rand(tokens, z.R // 2, device=like.device) * 100
        call = (query, torch.randn(tokens, z.L + z.R, **factory), weight_L, 1e-6, angles.cos().to(like.dtype), angles.sin().to(like.dtype))
        ways = {"triton": latent_rows.latent_rows_triton, "reference": latent.latent_rows}
        num_bytes = 2 * tokens * (z.H * z.R + z.L + z.R) * row_bytes
        yield problem("latent_rows", calls=[call], ways=ways, reference=latent.latent_rows, num_bytes=num_bytes)
        slots = torch.randperm(4 * tokens, device=like.device)[:tokens]
        pages = torch.zeros(tokens, 4, z.L + z.R, **factory)
        yield problem(
            "write_latent",
            calls=[(*call, slots, pages)],
            ways={"triton": latent_rows.write_latent_triton},
            reference=latent.write_latent,
            num_bytes=num_bytes,
            unrecorded={"reference": latent.write_latent},
            result=lambda out, call: (out, call[-1].clone()),
        )


def draw_problems(z: Sizes, like: torch.Tensor) -> Iterator[Problem]:
    """The next token of every row, without filters and with all three in every row."""
    for batch in z.batches:
        for filters in (0, 1):

            def make(batch=batch, filters=filters):
                logits = torch.empty(batch, z.W, dtype=like.dtype, device=like.device).normal_(std=3.0)
                uniforms = torch.rand(batch, dtype=torch.float64, device=like.device)
                temperature, top_p, min_p = (torch.full((batch,), value, device=like.device) for value in (0.8, 0.95, 0.01))
                top_k = torch.full((batch,), 100, device=like.device)
                return (logits, uniforms, temperature, *((top_k, top_p, min_p) if filters else ()))

            num_bytes = batch * z.W * like.itemsize
            ways = {"triton": draw_rows.draw_rows_triton, "reference": sampling.draw_rows}
            ways = {name: partial(way, excluded=z.W - 1) for name, way in ways.items()}
            shape = {"batch": batch, "filters": filters}
            yield Problem("draw_rows", shape, rotated(num_bytes, make), ways, ways["reference"], num_bytes, result=mass_before_the_token)


def weigh_problems(z: Sizes, like: torch.Tensor) -> Iterator[Problem]:
    """Penalties of every row and the 300 biases that a request may have elsewhere."""
    for batch in z.batches:

        def make(batch=batch):
            logits = torch.empty(batch, z.W, dtype=like.dtype, device=like.device).normal_(std=3.0)
            met = torch.randint(0, 4, (batch, z.W), dtype=torch.int32, device=like.device)
            penalties = (torch.full((batch,), value, device=like.device) for value in (1.1, 0.5, 0.1))
            biased = torch.full((batch, 1024), -1, dtype=torch.int32, device=like.device)
            biased[:, :300] = torch.randperm(z.W, device=like.device)[:300]
            return (logits, met, *penalties, biased, torch.randn(batch, 1024, device=like.device))

        num_bytes = batch * z.W * (like.itemsize + 4 + 4)
        ways = {"triton": weigh_rows.weigh_rows_triton, "reference": sampling.weigh_rows}
        yield Problem("weigh_rows", {"batch": batch}, rotated(num_bytes, make), ways, ways["reference"], num_bytes)


def mass_before_the_token(out: torch.Tensor, call: tuple) -> torch.Tensor:
    """Where in the distribution a row's token lies: on the border between two, either is right."""
    cumulative = (call[0].float() / call[2][:, None]).softmax(-1).cumsum(-1, dtype=torch.float64)
    return cumulative.gather(1, out[:, None])


def spread_choice(out: tuple[torch.Tensor, torch.Tensor], call: tuple) -> torch.Tensor:
    """The router's choice as weights of all experts, in which no order is left."""
    indices, weights = out
    return weights.new_zeros(weights.shape[0], call[1].shape[0]).scatter_(1, indices, weights)


def error(problem: Problem, way: Callable) -> float:
    """The largest difference from the reference, as a share of the largest value. NaN counts as infinite."""
    call = problem.calls[0]
    found, expected = (problem.result(function(*call), call) for function in (way, problem.reference))
    pairs = [(found, expected)] if isinstance(found, torch.Tensor) else list(zip(found, expected, strict=True))
    worst = max(float((a.float() - b.float()).abs().max() / b.float().abs().max()) for a, b in pairs)
    return worst if worst == worst else float("inf")


def recorded_seconds(calls: Sequence[tuple], way: Callable) -> list[float]:
    """Seconds of one call, from several replays of a graph that holds enough of them for the replay's own start not to count."""
    once = statistics.median(timed(recording(calls, way, len(calls)).replay, 3)) / len(calls)
    count = max(len(calls), min(400, round(GRAPH_S / once)))
    return [seconds / count for seconds in timed(recording(calls, way, count).replay, 15)]


def recording(calls: Sequence[tuple], way: Callable, count: int) -> torch.cuda.CUDAGraph:
    """A graph of `count` calls that rotate through the arguments, replayed once."""
    for call in calls[:2]:
        way(*call)  # compiled before, because nothing may be loaded while a graph is recorded
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for index in range(count):
            way(*calls[index % len(calls)])
    graph.replay()
    return graph


def launched_seconds(calls: Sequence[tuple], way: Callable) -> list[float]:
    way(*calls[0])
    return timed(lambda: way(*calls[-1]), 3)


def timed(function: Callable[[], object], repeats: int) -> list[float]:
    found = []
    for _ in range(repeats):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        function()
        stop.record()
        stop.synchronize()
        found.append(start.elapsed_time(stop) / 1e3)
    return found


def results(problem: Problem, only_check: bool) -> Iterator[dict[str, Any]]:
    """One row for each way; a way that computes something else gets no time."""
    for name, way in (problem.ways | problem.unchecked | problem.unrecorded).items():
        row: dict[str, Any] = {"kernel": problem.kernel, **problem.shape, "way": name}
        if name in problem.ways:
            row["error"] = error(problem, way)
            row["is_right"] = row["error"] <= problem.limit
        if not only_check and row.get("is_right", True):
            measure = launched_seconds if name in problem.unrecorded else recorded_seconds
            seconds = sorted(measure(problem.calls, way))
            middle = statistics.median(seconds)
            row |= {"median_us": 1e6 * middle, "least_us": 1e6 * seconds[0], "most_us": 1e6 * seconds[-1]}
            row |= {"recorded": name not in problem.unrecorded, "bytes": problem.num_bytes, "gb_per_s": problem.num_bytes / middle / 1e9}
            if problem.flops:
                row |= {"tflop_per_s": problem.flops / middle / 1e12, "share": problem.flops / middle / FLOPS_PER_S}
            else:
                row["share"] = problem.num_bytes / middle / BYTES_PER_S
        yield row


def every_problem(sizes: Sizes, like: torch.Tensor, sweep: bool) -> Iterator[Problem]:
    yield from small_problems(sizes, like)
    yield from route_problems(sizes, like, sweep)
    yield from draw_problems(sizes, like)
    yield from weigh_problems(sizes, like)
    yield from expert_problems(sizes, like, sweep)
    yield from mixture_problems(sizes, like)
    if like.is_cuda:  # Triton's interpreter loses bits where it rounds to fp8
        yield from rounding_problems(sizes, like)
        yield from fp8_expert_problems(sizes, like, sweep)
        yield from fp8_linear_problems(sizes, like, sweep)
    yield from prompt_problems(sizes, like)
    yield from product_problems(sizes, like)
    yield from chunk_problems(sizes, like, sweep)
    yield from continued_problems(sizes, like)
    yield from attention_problems(sizes, like, sweep)
    yield from attention_problems(sizes, like, sweep, torch.float8_e4m3fn)


def fastest(rows: Sequence[dict[str, Any]], problem: Problem) -> str:
    """The three fastest ways of a problem that was timed."""
    timed_rows = sorted((row for row in rows if "median_us" in row), key=lambda row: row["median_us"])
    shape = " ".join(f"{name} {size}" for name, size in problem.shape.items())
    return f"{problem.kernel} {shape}: " + ", ".join(f"{row['way']} {row['median_us']:.1f} us" for row in timed_rows[:3])


@torch.inference_mode()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the references and time nothing")
    parser.add_argument("--sweep", action="store_true", help="also other ways to cut the kernels")
    parser.add_argument("--only", help="kernels whose name contains this")
    parser.add_argument("--small", action="store_true", help="toy sizes; what Triton's interpreter can check without a GPU")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args(arguments)
    if not triton:
        sys.exit("bench_kernels needs the package triton")
    if not options.check and not torch.cuda.is_available():
        sys.exit("without a GPU there is nothing to time; --check --small compares in Triton's interpreter (TRITON_INTERPRET=1)")
    torch.manual_seed(0)
    like = torch.empty(0, dtype=getattr(torch, options.dtype), device=options.device)
    rows: list[dict[str, Any]] = []
    for problem in every_problem(SMALL if options.small else Sizes(), like, options.sweep):
        if not options.only or options.only in problem.kernel:
            found = list(results(problem, options.check))
            if not options.check:
                print(fastest(found, problem), file=sys.stderr, flush=True)
            rows += found
        problem.calls.clear()
        gc.collect()  # a recorded graph holds its memory until then
    machine = torch.cuda.get_device_name() if like.is_cuda else platform.processor()
    versions = {"torch": torch.__version__, "triton": triton.__version__}
    text = json.dumps({"machine": machine, **versions, "dtype": options.dtype, "results": rows}, indent=1)
    print(text)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text + "\n", encoding="utf-8")
    if not all(row.get("is_right", True) for row in rows):
        sys.exit("at least one way does not compute what the reference computes")


if __name__ == "__main__":
    main()
