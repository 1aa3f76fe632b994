"""How much of a GPU's memory an engine takes, counted from shapes before anything is there: weights, pages, largest step, recorded steps.

A step's work is counted tensor by tensor at the moments when most of them live, for the kernels of half precision (`ops/registry.py`).
Letters: T tokens of a step, S rows of the sequence that they continue, D width, H heads, Q / N / V query, nope and value widths, R rotary
width, Z a cached row, P tokens that go through experts at once, K experts of a token, E experts, F their inner width, W vocabulary.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from kimi_vl.config import KimiVLConfig, TextConfig
from kimi_vl.engine.memory import SHARE
from kimi_vl.engine.pictures import ENCODED_PATCHES
from kimi_vl.engine.prompts import SIZES
from kimi_vl.engine.runner import EXPANDED_TOKENS
from kimi_vl.engine.scheduler import Limits
from kimi_vl.errors import CapacityError
from kimi_vl.model.decoder import MIXED_TOKENS
from kimi_vl.ops.cudnn import CUDNN_TOKENS, FLASH_ROWS, GRAIN, LONG_TOKENS, PIECES, SQUARE
from kimi_vl.ops.quantised import Kind, beside_experts

VALUE = 2  # bytes, in half precision
LEAST_STEP = 1024  # tokens; a prompt in smaller steps would read all weights for little
# Of a budget: what torch holds between tensors, and the products' own work (32 MB for each stream).
SLACK = 0.02


@dataclass(frozen=True)
class Plan:
    """Bytes by part, and the limits of the engine that keeps to them."""

    limits: Limits
    weights: int
    cache: int
    workspace: int
    graphs: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.workspace + self.graphs


def plan(
    config: KimiVLConfig,
    *,
    budget: int,
    weights: int,
    context: int,
    together: int | None = None,
    patches: tuple[int, int] = (0, 0),
    max_running: int = 1,
    kind: Kind | None = None,
    cache: Literal["fp8"] | None = None,
    page_size: int = 64,
    most: int | None = None,
) -> Plan:
    """An engine for requests of up to `context` tokens that have `together` tokens at most, by default those of one, with the largest steps
    that fit beside, of up to `most` tokens.

    `patches` are those of a request's pictures, and of its largest: a step looks at all that begin or end in it.
    `weights` are the bytes of the loaded weights, quantised to `kind`. Kept features of pictures are not in it (`Engine(feature_tokens=)`).

    Raises: CapacityError with the bytes by part if not even the smallest
    steps fit into `budget`.
    """
    together = together or context
    pages = -(-together // page_size) + max_running - 1
    sizes = [
        size for size in (LEAST_STEP << k for k in range(20)) if size == LEAST_STEP or (size < 2 * together and size <= (most or size))
    ]
    plans = []
    for step_tokens in reversed(sizes):
        limits = Limits(num_pages=pages, page_size=page_size, max_running=max_running, step_tokens=step_tokens, cache=cache)
        tokens = min(step_tokens, pages * page_size)  # a step of more would find no more to compute
        found = Plan(
            limits,
            weights,
            (pages + 1) * page_bytes(config.text_config, page_size, cache),
            max(
                workspace_bytes(config, tokens, max_running, context=context, kind=kind),
                pictures_bytes(config, step_tokens, *patches),
            ),
            graph_bytes(config, max_running, kind=kind),
        )
        if found.total <= budget * (1 - SLACK):
            return found
        plans.append(found)
    least = plans[-1]
    parts = ", ".join(f"{name} {getattr(least, name) / 1e9:.2f}" for name in ("weights", "cache", "workspace", "graphs"))
    raise CapacityError(
        f"{together:,} tokens do not fit into {budget / 1e9:.2f} GB: in steps of {least.limits.step_tokens:,} tokens they take "
        f"{least.total / 1e9:.2f} ({parts}), and {100 * SLACK:.0f} % are kept free; quantise weights or cache, or shorten the context"
    )


def placed(config: KimiVLConfig, *, usable: int, weights: int, **request: Any) -> Plan:
    """As `plan`, on a device of which `usable` bytes are free before the weights are there: the engine is made for what these leave."""
    beside = plan(config, budget=max(0, int(SHARE * (usable - weights))), weights=0, **request)
    return replace(beside, weights=weights)


def longest_context(most: int, fits: Callable[[int], bool], page_size: int = 64) -> int:
    """The most tokens, up to `most` and in whole pages below it, that `fits` says yes to; 0 if not even a page. What fits, fits shorter."""
    if fits(most):
        return most
    return page_size * (bisect_left(range(1, most // page_size + 1), True, key=lambda pages: not fits(page_size * pages)))


def planned_limits(
    config: KimiVLConfig,
    *,
    free_bytes: int,
    max_running: int,
    step_tokens: int,
    kind: Kind | None = None,
    cache: Literal["fp8"] | None = None,
    page_size: int = 64,
) -> Limits:
    """As many pages as fit beside what a step computes. Raises: CapacityError if that is none."""
    workspace = workspace_bytes(config, step_tokens, max_running, context=config.text_config.max_position_embeddings, kind=kind)
    workspace += graph_bytes(config, max_running, kind=kind)
    pages = (free_bytes - workspace) // page_bytes(config.text_config, page_size, cache)
    if pages < 1:
        raise CapacityError(
            f"{free_bytes / 1e9:.1f} GB are free beside the weights, and a step of {step_tokens:,} tokens takes {workspace / 1e9:.1f}; "
            "lower step_tokens or max_running"
        )
    return Limits(
        num_pages=int(pages),
        page_size=page_size,
        max_running=max_running,
        step_tokens=step_tokens,
        shares_prefixes=False,
        cache=cache,
    )


def limits_of_one(
    config: KimiVLConfig,
    *,
    free_bytes: int,
    kind: Kind | None = None,
    context: int | None = None,
    max_running: int = 4,
    page_size: int = 64,
) -> Limits:
    """For one conversation at a time, a few at most: the whole context and the largest steps that fit beside it, or, where even the
    smallest do not, as many pages as there are. `context` None: the model's own.

    Nothing is shared between requests, for an answer must not depend on what was asked before, not even in its last bits.
    Raises: CapacityError where not even a page fits.
    """
    context = context or config.text_config.max_position_embeddings
    try:
        found = plan(config, budget=free_bytes, weights=0, context=context, max_running=max_running, kind=kind, page_size=page_size).limits
    except CapacityError:
        found = planned_limits(
            config, free_bytes=free_bytes, max_running=max_running, step_tokens=LEAST_STEP, kind=kind, page_size=page_size
        )
    return replace(found, shares_prefixes=False)


def page_bytes(text: TextConfig, page_size: int, cache: Literal["fp8"] | None) -> int:
    """Of one page in all layers."""
    return page_size * text.num_hidden_layers * text.latent_dim * (1 if cache == "fp8" else VALUE)


def workspace_bytes(config: KimiVLConfig, step_tokens: int, max_running: int, *, context: int, kind: Kind | None = None) -> int:
    """What computing a step takes at most beside weights and cache, for sequences of up to `context` tokens.

    Without pictures: a step that looks at some takes `pictures_bytes` in its place.
    """
    text, tokens = config.text_config, step_tokens
    return max(
        _fresh(text, tokens),
        _continued(text, tokens, context) if tokens < context else 0,
        _mixed(text, tokens, kind),
        _logits(text, tokens, max_running, kind),
    )


def pictures_bytes(config: KimiVLConfig, step_tokens: int, patches: int, largest: int) -> int:
    """What the pictures of a step take at most, of `patches` in all and `largest` in one: it looks at all that begin or end in it, some at
    a time, and keeps their features."""
    seen = min(patches, 4 * step_tokens + largest)
    return vision_bytes(config, min(seen, max(ENCODED_PATCHES, largest))) + VALUE * config.text_config.hidden_size * seen // 4


def vision_bytes(config: KimiVLConfig, patches: int) -> int:
    """What looking at so many patches at once takes at most: a block's MLP beside its input, and what came into block and tower."""
    vision = config.vision_config
    values = 3 * vision.patch_size**2 + 4 * vision.hidden_size + 2 * vision.intermediate_size
    tables = 6 * vision.head_dim + 2 * (
        16 * (4 + 4) + 3 * 4
    )  # angles; rows, columns, merge order, taps and weights, of each size and packed
    return patches * (VALUE * values + tables)


def plain_bytes(config: KimiVLConfig, tokens: int, value: int) -> int:
    """What the plain path (`engine.Generation`) takes for a prompt that it computes at once, in values of so many bytes.

    By the references of the operations: a dense layer's MLP holds its gate, its up and one of both, attention what `_fresh` says.
    """
    text = config.text_config
    stream = _throughout(text) + 3 * text.hidden_size
    mlp = 3 * (text.intermediate_size if text.first_k_dense_replace else text.n_shared_experts * text.moe_intermediate_size)
    attention = _queries(text) + _expanded(text) + text.num_attention_heads * text.v_head_dim
    return value * tokens * max(stream + mlp, attention)


def graph_bytes(config: KimiVLConfig, max_running: int, *, kind: Kind | None = None) -> int:
    """What the memory of recorded steps takes, which all of them share: the largest of the prompts, or all rows; and the prompts' input."""
    text = config.text_config
    largest = max(_fresh(text, SIZES[-1]), _mixed(text, SIZES[-1], kind), _logits(text, SIZES[-1], max_running, kind))
    return largest + VALUE * SIZES[-1] * text.hidden_size


def _throughout(text: TextConfig) -> int:
    """Values of a token that live through all layers: its embedding, rotation, position and place (int64), and the experts chosen."""
    layers = text.num_hidden_layers - text.first_k_dense_replace
    return text.hidden_size + text.qk_rope_head_dim + 8 + 4 * text.num_experts_per_tok * layers


def _queries(text: TextConfig) -> int:
    """Values of a token while its layer attends: the layer's input and its norm, queries, its row of the cache."""
    return _throughout(text) + 2 * text.hidden_size + text.num_attention_heads * text.qk_head_dim + text.latent_dim


def _expanded(text: TextConfig) -> int:
    """Values of a row whose keys and values are written out."""
    return text.num_attention_heads * (text.qk_nope_head_dim + text.v_head_dim + text.qk_head_dim)


def _fresh(text: TextConfig, tokens: int) -> int:
    """Bytes while sequences that begin attend. Up to a length queries, keys and values may be copied to be padded (`cudnn.padded_length`);
    of longer ones the outputs of a row of squares, and their masses in fp32, are there at once (`cudnn._in_squares`)."""
    heads = text.num_attention_heads
    values = heads * text.v_head_dim
    whole, copies = _queries(text) + _expanded(text) + values, heads * (2 * text.qk_head_dim + text.v_head_dim)
    squares = -(-tokens // SQUARE) * SQUARE * (values + 2 * heads) if tokens > LONG_TOKENS else 0
    return VALUE * max(tokens * whole + squares, min(tokens, LONG_TOKENS) * (whole + copies))


def _continued(text: TextConfig, tokens: int, context: int) -> int:
    """Bytes while a chunk attends over all rows of its sequence, which are expanded in pieces (`cudnn.expanded_latent_attention_cudnn`)."""
    heads, rounded = text.num_attention_heads, tokens + GRAIN
    values = heads * text.v_head_dim
    base = tokens * _queries(text) + context * text.latent_dim + rounded * heads * text.qk_head_dim
    square = rounded * (text.latent_dim + _expanded(text) + values)
    # The outputs so far in fp32, those of the square, and those of the last piece beside a new one or its like in fp32.
    outputs = 2 * tokens * values + rounded * values + tokens * values
    pieces = outputs + max(tokens * values + PIECES[0] * _expanded(text), 2 * tokens * values)
    # Few tokens behind not too many rows: the flash kernel takes values, and gives outputs, as wide as queries.
    query = heads * text.qk_head_dim
    few = min(tokens, CUDNN_TOKENS) * (_queries(text) + query)
    few += min(context, FLASH_ROWS) * (text.latent_dim + _expanded(text) + query)
    return VALUE * max(base + max(square, pieces), few if tokens >= EXPANDED_TOKENS else 0)


def _mixed(text: TextConfig, tokens: int, kind: Kind | None) -> int:
    """Bytes while experts run: the residual stream around them, what the parts before gave, and the rows of the pairs of one part.

    In int8 and int4 the experts are written out, gate and up first, and down when these are gone; in fp8, as an H100 has it, nothing is,
    but tokens and inner values are rounded to half the bytes.
    """
    width, inner, part = text.hidden_size, text.moe_intermediate_size, min(tokens, MIXED_TOKENS)
    stream = tokens * (_throughout(text) + 4 * width) + (tokens - part) * width
    places = 4 * text.num_experts_per_tok  # int32: of every pair, and of the token of every row
    if kind == "fp8":
        pairs = width // 2 + text.num_experts_per_tok * (width // 2 + 2 * inner) + places
        mlp = width // 2 + 2 * text.intermediate_size + text.intermediate_size // 2
    else:
        pairs = text.num_experts_per_tok * (width + inner) + places
        mlp = text.intermediate_size + width if kind is None else 3 * text.intermediate_size
    first = tokens * width if text.first_k_dense_replace == 1 else 0  # the only dense layer's input is the embedding, counted already
    mixed = part * (width + pairs)
    if kind is not None and beside_experts(kind) == "int8":
        written = text.n_routed_experts * width * inner
        mixed = max(mixed + written, part * (width + pairs - text.num_experts_per_tok * width) + 2 * written)
        first -= 3 * text.intermediate_size * width  # a dense layer's matrices, written out together
    return VALUE * (stream + max(mixed, part * mlp - first))


def _logits(text: TextConfig, tokens: int, max_running: int, kind: Kind | None) -> int:
    """Bytes behind the last layer: the output matrix where it is written out, and logits in half precision, twice in fp32, and two numbers
    more for rows with penalties: how often a token was said, and its logit then."""
    matrix = text.vocab_size * text.hidden_size if kind is not None and beside_experts(kind) == "int8" else 0
    return VALUE * (tokens * (_throughout(text) + 3 * text.hidden_size) + matrix) + 18 * max_running * text.vocab_size
