"""Drawing a token of every row as Triton kernels: two that read the logits about once, and with filters a search for where they cut.

Without filters `_weigh_kernel` reads every block of a row's logits once, for its peak and its mass; `_draw_kernel` joins the blocks of a
row, finds the one in which the cumulative mass passes the number to draw with, and reads that one again. Nothing of size [B, W] is written.

With filters nothing is sorted. What top-k, then top-p, keep is what lies above one logit, the *cut*, and so many of the tokens that equal
it, the lowest first; min-p is a cut by itself. The cut is found digit by digit, as radix select does: a pass of `_narrow_kernel` sums
tokens (top-k) or masses (top-p) for each of the 16 values that the next 4 bits of a logit may have. bf16 takes 4 passes for a filter, fp16
5, fp32 8; then `_cut_kernel` weighs what is left. So bf16 is read 11 times by 12 kernels, out of the L2 cache as far as it fits (150 rows
of 163,840 tokens); programs of rows that do not use a filter leave at once.

A sum runs over the same tokens in the same order whatever else is drawn, and so a row's token depends on the row alone.

Letters: B rows, W vocabulary, X blocks of a row, N tokens of a block, J values of a digit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kimi_vl.ops.triton.language import jit, next_power_of_2, tl
from kimi_vl.ops.triton.operators import operator

BLOCK = 4096  # tokens: a single row of 163,840 is spread over 40 programs, and 16 logits for a thread are under way at once
NUM_WARPS = 8  # compiled for Hopper: 32 registers to weigh, 47 and 67 to narrow, 80 or with filters 93 to draw, and nothing spilled
BITS = 4
PASSES = {torch.bfloat16: 4, torch.float16: 5, torch.float32: 8}  # digits of the fp32 number in which values of the dtype can differ


@jit
def _load_block(logits, block, row, row_stride, W, excluded, N: tl.constexpr):
    """A block's logits in fp32, -inf for the excluded token and behind the end."""
    n = block * N + tl.arange(0, N)
    x_N = tl.load(logits + row * row_stride + n, mask=n < W, other=float("-inf")).to(tl.float32)
    if block == excluded // N:
        x_N = tl.where(n == excluded, float("-inf"), x_N)
    return x_N


@jit
def _scale(temperature, row):
    """log2(e) / temperature. Finite also for temperature 0, where only what is less than 4e-37 below the peak has any weight."""
    return tl.minimum(1.4426950408889634 / tl.load(temperature + row), 3.4e38)


@jit
def _weights(x, peak, scale):
    """exp((x - peak) / temperature), 0 for a logit of -inf, NaN for one of NaN and for a peak of +inf."""
    return tl.exp2((x - tl.where(peak == float("-inf"), 0.0, peak)) * scale)


@jit
def _mass_above(x_N, cut, scale):
    """The mass of a block above the cut relative to the block's peak, NaN if one of its logits is NaN or +inf; and the peak."""
    peak = tl.max(x_N, 0)
    return tl.sum(tl.where(x_N <= cut, 0.0, _weights(x_N, peak, scale)), 0), peak


@jit
def _weigh_kernel(
    logits, temperature, peaks, masses, ties, cuts, row_stride, W, excluded, num_blocks, HAS_FILTERS: tl.constexpr, N: tl.constexpr
):
    """One program: the peak of a block, and its mass relative to that. With filters also where they start from: nothing is cut."""
    block, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    x_N = _load_block(logits, block, row, row_stride, W, excluded, N)
    mass, peak = _mass_above(x_N, float("-inf"), _scale(temperature, row))
    place = row * num_blocks + block
    tl.store(peaks + place, peak)
    tl.store(masses + place, mass)
    if HAS_FILTERS:
        tl.store(ties + place, 0)
        c = tl.arange(0, 4)
        tl.store(cuts + row * 4 + c, tl.where(c % 2 == 0, float("-inf"), 0.0), mask=(c < 4) & (block == 0))


@jit
def _key(x):
    """Bits in the order of the numbers, unsigned; both zeros are one number."""
    bits = tl.where(x == 0.0, 0.0, x).to(tl.int32, bitcast=True)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF) ^ -0x80000000).to(tl.uint32, bitcast=True)


@jit
def _value(digits, shift):
    """The number whose key begins with these digits; the bits behind them, which the dtype does not have, are 0. -inf for those of NaN."""
    bits = (digits.to(tl.uint32) << shift).to(tl.int32, bitcast=True) ^ -0x80000000
    x = ((bits ^ ((bits >> 31) & 0x7FFFFFFF)) >> shift << shift).to(tl.float32, bitcast=True)
    return tl.where(x == x, x, float("-inf"))


@jit
def _digits(found, bins, row, number, passes, num_blocks, BITS: tl.constexpr, BLOCK_X: tl.constexpr):
    """After the first `number` passes: the cut's digits, what lies above all logits that begin with them, and what the search is to reach.

    found fp64 [B, passes, 3] is this triple before each pass, bins fp32 [B, passes, X, J] what the pass has summed. Before the first: 0.
    """
    j, x = tl.arange(0, 1 << BITS), tl.arange(0, BLOCK_X)
    last, is_known = row * passes + number - 1, number > 0
    digits = tl.load(found + last * 3, mask=is_known, other=0.0)
    above = tl.load(found + last * 3 + 1, mask=is_known, other=0.0)
    target = tl.load(found + last * 3 + 2, mask=is_known, other=1.0)
    place_XJ = ((last * num_blocks + x)[:, None] << BITS) + j[None]
    bin_J = tl.sum(tl.load(bins + place_XJ, mask=(x < num_blocks)[:, None] & is_known, other=0.0).to(tl.float64), 0)
    # The largest digit that reaches the target together with the larger ones.
    from_J = above + tl.cumsum(bin_J, 0, reverse=True)
    digit = tl.maximum(tl.sum((from_J >= target).to(tl.int32), 0) - 1, 0)
    return digits * (1 << BITS) + digit, above + tl.sum(tl.where(j > digit, bin_J, 0.0), 0), target


@jit(varying=("number", "shift"))
def _narrow_kernel(
    logits,
    temperature,
    limits,
    peaks,
    masses,
    cuts,
    found,
    bins,
    row_stride,
    W,
    excluded,
    num_blocks,
    passes,
    number,
    shift,
    BY_MASS: tl.constexpr,
    BITS: tl.constexpr,
    N: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    """One program: of a block's logits that begin with the digits found so far, tokens or mass by the next digit, at bit `shift`."""
    block, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    limit = tl.load(limits + row)
    if (limit >= 1) if BY_MASS else (limit <= 0) | (limit >= W):
        return
    digits, above, target = _digits(found, bins, row, number, passes, num_blocks, BITS, BLOCK_X)
    x_N = _load_block(logits, block, row, row_stride, W, excluded, N)
    if BY_MASS:
        scale, x = _scale(temperature, row), tl.arange(0, BLOCK_X)
        peak_X = tl.load(peaks + row * num_blocks + x, mask=x < num_blocks, other=float("-inf"))
        peak = tl.max(peak_X, 0)
        weight_N = _weights(x_N, peak, scale)
        if number == 0:  # a share of what top-k has left, and the likeliest token in any case
            mass_X = tl.load(masses + row * num_blocks + x, mask=x < num_blocks, other=0.0) * _weights(peak_X, peak, scale)
            mass_at_cut = tl.load(cuts + row * 4 + 1) * _weights(tl.load(cuts + row * 4).to(tl.float32), peak, scale)
            target = tl.maximum(limit * (tl.sum(mass_X.to(tl.float64), 0) + mass_at_cut), 1e-30)
    else:
        weight_N = tl.full([N], 1.0, tl.float32)
        if number == 0:
            target = limit.to(tl.float64)
    place = row * passes + number
    tl.store(found + place * 3, digits, mask=block == 0)
    tl.store(found + place * 3 + 1, above, mask=block == 0)
    tl.store(found + place * 3 + 2, target, mask=block == 0)
    key_N = _key(x_N) >> shift
    # 16 is no digit.
    digit_N = tl.where((key_N >> BITS) == digits.to(tl.uint32), (key_N & ((1 << BITS) - 1)).to(tl.int32), 1 << BITS)
    for j in tl.static_range(1 << BITS):
        tl.store(bins + ((place * num_blocks + block) << BITS) + j, tl.sum(tl.where(digit_N == j, weight_N, 0.0), 0))


@jit
def _cut_kernel(
    logits,
    temperature,
    limits,
    min_p,
    peaks,
    masses,
    ties,
    cuts,
    found,
    bins,
    row_stride,
    W,
    excluded,
    num_blocks,
    passes,
    shift,
    BY_MASS: tl.constexpr,
    BITS: tl.constexpr,
    N: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    """One program: the mass of a block above the cut of top-k or (BY_MASS) of top-p and min-p, and how many of its tokens equal it.

    cuts fp64 [B, 2, 2]: the cut and how many tokens that equal it are kept, after top-k and in the end.
    """
    block, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    limit, x = tl.load(limits + row), tl.arange(0, BLOCK_X)
    scale = _scale(temperature, row)
    if BY_MASS:
        least = tl.load(min_p + row)
        if (limit >= 1) & (least <= 0):
            return
        cut, num_kept = tl.load(cuts + row * 4).to(tl.float32), tl.load(cuts + row * 4 + 1)
        peak = tl.max(tl.load(peaks + row * num_blocks + x, mask=x < num_blocks, other=float("-inf")), 0)
        if limit < 1:
            digits, above, target = _digits(found, bins, row, passes, passes, num_blocks, BITS, BLOCK_X)
            cut = _value(digits, shift)
            # A cut without mass, which only rounding can lead to, keeps what equals it.
            num_kept = tl.ceil((target - above) / tl.maximum(_weights(cut, peak, scale), 1e-38))
        floor = tl.where(least > 0, peak + tl.load(temperature + row) * tl.log(least), float("-inf"))
        num_kept = tl.where(floor > cut, W, num_kept)
        cut = tl.maximum(cut, floor)
    else:
        if (limit <= 0) | (limit >= W):
            return
        digits, above, target = _digits(found, bins, row, passes, passes, num_blocks, BITS, BLOCK_X)
        cut = _value(digits, shift)
        num_kept = target - above
        tl.store(cuts + row * 4, cut, mask=block == 0)
        tl.store(cuts + row * 4 + 1, num_kept, mask=block == 0)
    tl.store(cuts + row * 4 + 2, cut, mask=block == 0)
    tl.store(cuts + row * 4 + 3, tl.minimum(tl.maximum(num_kept, 1.0), W), mask=block == 0)
    x_N = _load_block(logits, block, row, row_stride, W, excluded, N)
    mass, _ = _mass_above(x_N, cut, scale)
    place = row * num_blocks + block
    tl.store(masses + place, mass)
    tl.store(ties + place, tl.sum((x_N == cut).to(tl.int32), 0))


@jit
def _where_passed(weight_N, target, N: tl.constexpr):
    """The place at which the running sum passes the target, never one that weighs nothing. If rounding lets none pass, the last."""
    n = tl.arange(0, N)
    sum_N = tl.cumsum(weight_N.to(tl.float64), 0)
    last = tl.max(tl.where(weight_N > 0.0, n, 0), 0)
    return tl.min(tl.where((sum_N > target) & (weight_N > 0.0), n, last), 0)


@jit
def _draw_kernel(
    logits,
    uniforms,
    temperature,
    peaks,
    masses,
    ties,
    cuts,
    tokens,
    row_stride,
    W,
    excluded,
    num_blocks,
    HAS_FILTERS: tl.constexpr,
    N: tl.constexpr,
    BLOCK_X: tl.constexpr,
):
    """One program: the token of a row. At temperature 0 it is the first that has any weight."""
    row = tl.program_id(0).to(tl.int64)
    x = tl.arange(0, BLOCK_X)
    place_X, is_block_X = row * num_blocks + x, x < num_blocks
    scale = _scale(temperature, row)
    peak_X = tl.load(peaks + place_X, mask=is_block_X, other=float("-inf"))
    peak = tl.max(peak_X, 0)
    weight_X = tl.load(masses + place_X, mask=is_block_X, other=0.0) * _weights(peak_X, peak, scale)
    if HAS_FILTERS:
        cut, num_kept = tl.load(cuts + row * 4 + 2).to(tl.float32), tl.load(cuts + row * 4 + 3).to(tl.int32)
        ties_X = tl.load(ties + place_X, mask=is_block_X, other=0)
        left_X = num_kept - (tl.cumsum(ties_X, 0) - ties_X)  # for this block's ties, after those of lower tokens
        weight_X += tl.minimum(tl.maximum(left_X, 0), ties_X) * _weights(cut, peak, scale)
    weight_X = weight_X.to(tl.float64)
    total = tl.sum(weight_X, 0)  # 0 or NaN: nothing to draw
    is_drawn = (total > 0.0) & (tl.load(logits + row * row_stride + excluded).to(tl.float32) < float("inf"))
    target = tl.where(tl.load(temperature + row) == 0, 0.0, tl.load(uniforms + row)) * total
    block = _where_passed(weight_X, target, BLOCK_X)
    before = tl.sum(tl.where(x < block, weight_X, 0.0), 0)

    x_N = _load_block(logits, block, row, row_stride, W, excluded, N)
    weight_N = _weights(x_N, peak, scale)
    if HAS_FILTERS:
        is_tie_N = x_N == cut
        is_kept_N = is_tie_N & (tl.cumsum(is_tie_N.to(tl.int32), 0) <= tl.sum(tl.where(x == block, left_X, 0), 0))
        weight_N = tl.where((x_N > cut) | is_kept_N, weight_N, 0.0)
    token = block * N + _where_passed(weight_N, target - before, N)
    tl.store(tokens + row, tl.where(is_drawn, token, -1))


def draw_rows_triton(
    logits_BW: torch.Tensor,
    uniforms_B: torch.Tensor,
    temperature_B: torch.Tensor,
    top_k_B: torch.Tensor | None = None,
    top_p_B: torch.Tensor | None = None,
    min_p_B: torch.Tensor | None = None,
    *,
    excluded: int,
) -> torch.Tensor:
    """`draw_rows` without a sort. Contract of the reference; top-k keeps the largest logits, also where they round to one probability."""
    return _draw_rows(logits_BW, uniforms_B, temperature_B, top_k_B, top_p_B, min_p_B, excluded)


@operator(
    "kimi_vl::draw_rows(Tensor logits, Tensor uniforms, Tensor temperature, Tensor? top_k, Tensor? top_p, Tensor? min_p, int excluded) "
    "-> Tensor"
)
def _draw_rows(
    logits_BW: torch.Tensor,
    uniforms_B: torch.Tensor,
    temperature_B: torch.Tensor,
    top_k_B: torch.Tensor | None,
    top_p_B: torch.Tensor | None,
    min_p_B: torch.Tensor | None,
    excluded: int,
) -> torch.Tensor:
    (num_rows, vocabulary), device = logits_BW.shape, logits_BW.device
    tokens_B = torch.empty(num_rows, dtype=torch.int64, device=device)
    if not num_rows:
        return tokens_B
    logits_BW = logits_BW if logits_BW.stride(-1) == 1 else logits_BW.contiguous()
    uniforms_B, temperature_B = uniforms_B.contiguous(), temperature_B.contiguous()
    num_blocks = -(-vocabulary // BLOCK)
    peaks_BX, masses_BX = (torch.empty(num_rows, num_blocks, dtype=torch.float32, device=device) for _ in range(2))
    ties_BX = torch.empty(num_rows, num_blocks, dtype=torch.int32, device=device)
    cuts_B = torch.empty(num_rows, 2, 2, dtype=torch.float64, device=device)
    filters = [filter_B.contiguous() for filter_B in (top_k_B, top_p_B, min_p_B) if filter_B is not None]
    has_filters = len(filters) == 3
    sizes = logits_BW.stride(0), vocabulary, excluded, num_blocks
    tile = {"N": BLOCK, "num_warps": NUM_WARPS}
    with torch.cuda.device_of(logits_BW):  # Triton launches on the current GPU, wherever the tensors are
        blocks = peaks_BX, masses_BX, ties_BX, cuts_B
        _weigh_kernel[num_blocks, num_rows](logits_BW, temperature_B, *blocks, *sizes, HAS_FILTERS=has_filters, **tile)
        tile["BLOCK_X"] = next_power_of_2(num_blocks)
        if has_filters:
            _search(logits_BW, temperature_B, filters, blocks, sizes, tile)
        _draw_kernel[num_rows,](logits_BW, uniforms_B, temperature_B, *blocks, tokens_B, *sizes, HAS_FILTERS=has_filters, **tile)
    return tokens_B


def _search(
    logits_BW: torch.Tensor,
    temperature_B: torch.Tensor,
    filters: Sequence[torch.Tensor],
    blocks: Sequence[torch.Tensor],
    sizes: Sequence[int],
    tile: dict[str, int],
) -> None:
    """Bring the masses, ties and cuts of rows that have filters down to what these leave."""
    top_k_B, top_p_B, min_p_B = filters
    peaks_BX, masses_BX, ties_BX, cuts_B = blocks
    (num_rows, num_blocks), passes = peaks_BX.shape, PASSES[logits_BW.dtype]
    found_B = torch.empty(num_rows, passes, 3, dtype=torch.float64, device=logits_BW.device)
    bins_BXJ = torch.empty(num_rows, passes, num_blocks, 1 << BITS, dtype=torch.float32, device=logits_BW.device)
    for by_mass, limits_B in ((False, top_k_B), (True, top_p_B)):
        rows, options = (logits_BW, temperature_B, limits_B), {"BY_MASS": by_mass, "BITS": BITS, **tile}
        joined = cuts_B, found_B, bins_BXJ, *sizes, passes
        for number in range(passes):
            shift = 32 - BITS * (number + 1)
            _narrow_kernel[num_blocks, num_rows](*rows, peaks_BX, masses_BX, *joined, number, shift, **options)
        _cut_kernel[num_blocks, num_rows](*rows, min_p_B, peaks_BX, masses_BX, ties_BX, *joined, shift, **options)


@_draw_rows.register_fake
def _empty(logits_BW, uniforms_B, temperature_B, top_k_B, top_p_B, min_p_B, excluded):
    return torch.empty(logits_BW.shape[0], dtype=torch.int64, device=logits_BW.device)
