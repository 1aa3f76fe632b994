"""Latent attention over pages in two Triton kernels: one reads every cached row once, shared out over the whole GPU, one joins the parts.

Letters: T new tokens, B sequences, H heads, X rows of a tile (tokens x heads), S cached rows of a block, L latent rank, R rotary width,
Z = L + R; G pages of O rows, J pages of a sequence; W parts ("splits") that a sequence's rows are shared out over.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, num_processors, overlap, tl
from kimi_vl.ops.triton.operators import operator

LOG2_E = 1.4426950408889634
MANY_TILES = 16  # from here on a part has at least `PART_ROWS`: parts are written and read again, which costs the bytes of 57 rows in bf16
PART_ROWS = 256
PARTS_AT_ONCE = 16  # that are joined
BLOCK_WIDTH = 128  # values of a latent that one program of the joining kernel sums


@dataclass(frozen=True)
class Launch:
    """How the reading kernel is cut."""

    tile_tokens: int  # new tokens of one sequence that a program attends for
    block_rows: int = 64  # cached rows read at once, 74 KB at the official widths
    num_warps: int = 4
    num_stages: int = 2
    resident: int = 2  # programs that a processor holds at once


DECODE = Launch(tile_tokens=1)  # 16 heads: the least that tensor cores take
# Rows in fp8 are unpacked to a copy of the queries' dtype: 64 of them at once would take more registers than a program of 4 warps has.
DECODE_FP8 = Launch(tile_tokens=1, block_rows=32, num_stages=3)
CHUNKS = Launch(tile_tokens=4, num_warps=8)  # 64 rows: the least that a group of 4 warps multiplies from shared memory


@jit
def _tile(tile, cu_seqlens, num_sequences, TILE: tl.constexpr, ONE_EACH: tl.constexpr):
    """(sequence, first token of the tile, end of the sequence's tokens); a tile that starts at or behind the end is nobody's.

    Sequence b has the tiles from cu_seqlens[b] // TILE + b on, which leaves enough for each, so their number is known from shapes.
    """
    if ONE_EACH:
        return tile, tile, tile + 1
    low, high = tile * 0, num_sequences - 1
    while low < high:
        middle = (low + high + 1) // 2
        if tl.load(cu_seqlens + middle) // TILE + middle <= tile:
            low = middle
        else:
            high = middle - 1
    first, stop = tl.load(cu_seqlens + low), tl.load(cu_seqlens + low + 1)
    return low, first + (tile - first // TILE - low) * TILE, stop


@jit
def _unpacked(words_SV, dtype: tl.constexpr):
    """The four fp8 numbers in each word, [S, 4 V]."""
    first, second = tl.join(words_SV, words_SV >> 16), tl.join(words_SV >> 8, words_SV >> 24)
    bytes_SV22 = tl.join(first, second).to(tl.uint8)
    bytes_SL = tl.reshape(bytes_SV22, [words_SV.shape[0], 4 * words_SV.shape[1]])
    return bytes_SL.to(tl.float8e4nv, bitcast=True).to(dtype)


@jit(varying=("table_stride", "num_sequences", "num_tokens", "num_splits"))
def _attend_kernel(
    q_latent,
    q_rope,
    pages,
    page_table,
    cu_seqlens,
    lengths,
    sums,
    masses,
    parts,
    scale_log2,
    latent_stride_t,
    latent_stride_h,
    rope_stride_t,
    rope_stride_h,
    page_stride,
    row_stride,
    table_stride,
    num_sequences,
    num_tokens,
    num_heads,
    num_splits,
    L: tl.constexpr,
    R: tl.constexpr,
    PAGE: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_S: tl.constexpr,
    ONE_EACH: tl.constexpr,
    LEAST: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: up to TILE new tokens of one sequence, all heads, over one part of its rows with a running softmax.

    Writes the part's average [L] and the base-2 logarithm of its mass for every (token, head).
    """
    begin(OVERLAPS)
    split = tl.program_id(1)
    b, first, stop = _tile(tl.program_id(0), cu_seqlens, num_sequences, TILE, ONE_EACH)
    length = tl.load(lengths + b).to(tl.int32)
    # Whole blocks, as equal as can be. A part that begins behind the end has no rows, but there is always a first one.
    share = tl.maximum(tl.cdiv(tl.cdiv(length, num_splits), BLOCK_S) * BLOCK_S, LEAST)
    begin_row = split * share
    if (first >= stop) | ((begin_row >= length) & (split > 0)):
        return
    end = tl.minimum(length - stop + tl.minimum(first + TILE, stop), begin_row + share)  # what the tile's last token sees

    x = tl.arange(0, TILE * BLOCK_H)
    t, h = first + x // BLOCK_H, x % BLOCK_H
    is_row = (t < stop) & (h < num_heads)
    visible_X = tl.where(is_row, length - stop + t + 1, 0)
    latent, rope = tl.arange(0, L), tl.arange(0, R)
    t64 = t.to(tl.int64)
    q_latent_XL = tl.load(q_latent + (t64 * latent_stride_t + h * latent_stride_h)[:, None] + latent[None], mask=is_row[:, None], other=0.0)
    q_rope_XR = tl.load(q_rope + (t64 * rope_stride_t + h * rope_stride_h)[:, None] + rope[None], mask=is_row[:, None], other=0.0)
    peak_X = tl.full([TILE * BLOCK_H], float("-inf"), tl.float32)
    mass_X = tl.zeros([TILE * BLOCK_H], tl.float32)
    sum_XL = tl.zeros([TILE * BLOCK_H, L], tl.float32)
    table = page_table + tl.cast(b, tl.int64) * table_stride
    for start in range(begin_row, end, BLOCK_S):
        s = start + tl.arange(0, BLOCK_S)
        if PAGE % BLOCK_S == 0:  # a block lies in one page, for parts begin at whole blocks
            row = pages + tl.load(table + start // PAGE).to(tl.int64) * page_stride + ((s % PAGE) * row_stride)[:, None]
        else:
            page_S = tl.load(table + s // PAGE, mask=s < end, other=0).to(tl.int64)
            row = pages + (page_S * page_stride + (s % PAGE) * row_stride)[:, None]
        if pages.dtype.element_ty == tl.float8e4nv:  # as words: loads of single bytes, used twice, Triton does not begin ahead
            words, is_row_S1 = row.to(tl.pointer_type(tl.int32)), (s < end)[:, None]
            latent_SL = _unpacked(tl.load(words + tl.arange(0, L // 4)[None], mask=is_row_S1, other=0), q_latent_XL.dtype)
            rope_SR = _unpacked(tl.load(words + L // 4 + tl.arange(0, R // 4)[None], mask=is_row_S1, other=0), q_latent_XL.dtype)
        else:
            latent_SL = tl.load(row + latent[None], mask=(s < end)[:, None], other=0.0)
            rope_SR = tl.load(row + L + rope[None], mask=(s < end)[:, None], other=0.0)
        scores_XS = tl.dot(q_latent_XL, tl.trans(latent_SL))
        scores_XS = tl.dot(q_rope_XR, tl.trans(rope_SR), scores_XS)
        scores_XS = tl.where(s[None] < visible_X[:, None], scores_XS * scale_log2, float("-inf"))
        new_peak_X = tl.maximum(peak_X, tl.max(scores_XS, 1))
        base_X = tl.where(new_peak_X == float("-inf"), 0.0, new_peak_X)  # a row that has seen nothing yet
        shrink_X = tl.exp2(peak_X - base_X)
        probs_XS = tl.exp2(scores_XS - base_X[:, None])
        mass_X = mass_X * shrink_X + tl.sum(probs_XS, 1)
        sum_XL = tl.dot(probs_XS.to(latent_SL.dtype), latent_SL, sum_XL * shrink_X[:, None])
        peak_X = new_peak_X

    place = (split * num_tokens + t64) * num_heads + h
    average_XL = sum_XL / tl.where(mass_X > 0.0, mass_X, 1.0)[:, None]
    tl.store(sums + place[:, None] * L + latent[None], average_XL.to(sums.dtype.element_ty), mask=is_row[:, None])
    tl.store(masses + place, peak_X + tl.log2(mass_X), mask=is_row)
    tl.store(parts + t, tl.maximum(tl.cdiv(length, tl.maximum(share, 1)), 1), mask=is_row & (h == 0) & (split == 0))


@jit
def joined_parts(sums, masses, parts, row, num_rows, num_splits, latent, L: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_W: tl.constexpr):
    """The values `latent` of one row's parts, averaged by their masses; zeros for a row that has none. The first of its `num_splits` places
    are read before it is known, by `parts`, how many of them are parts."""
    w = tl.arange(0, BLOCK_W)
    place_W = w.to(tl.int64) * num_rows + row
    peak_W = tl.load(masses + place_W, mask=w < num_splits, other=float("-inf"))
    sum_WL = tl.load(sums + place_W[:, None] * L + latent[None], mask=(w < num_splits)[:, None], other=0.0).to(tl.float32)
    num_parts = tl.load(parts)
    peak_W = tl.where(w < num_parts, peak_W, float("-inf"))
    mass_W = tl.where(peak_W == float("-inf"), 0.0, 1.0)
    sum_WL = tl.where((w < num_parts)[:, None], sum_WL, 0.0)  # what is no part may be anything
    for start in range(BLOCK_W, num_parts, BLOCK_W):
        is_part = start + w < num_parts
        place_W = (start + w).to(tl.int64) * num_rows + row
        log_mass_W = tl.load(masses + place_W, mask=is_part, other=float("-inf"))
        part_WL = tl.load(sums + place_W[:, None] * L + latent[None], mask=is_part[:, None], other=0.0).to(tl.float32)
        new_peak_W = tl.maximum(peak_W, log_mass_W)
        base_W = tl.where(new_peak_W == float("-inf"), 0.0, new_peak_W)
        shrink_W, weight_W = tl.exp2(peak_W - base_W), tl.exp2(log_mass_W - base_W)
        mass_W = mass_W * shrink_W + weight_W
        sum_WL = sum_WL * shrink_W[:, None] + part_WL * weight_W[:, None]
        peak_W = new_peak_W
    peak = tl.max(peak_W, 0)
    weight_W = tl.exp2(peak_W - tl.where(peak == float("-inf"), 0.0, peak))
    mass = tl.sum(mass_W * weight_W, 0)
    return tl.sum(sum_WL * weight_W[:, None], 0) / tl.where(mass > 0.0, mass, 1.0)


@jit(varying=("num_tokens", "num_splits"))
def _join_kernel(
    sums,
    masses,
    parts,
    out,
    num_tokens,
    num_heads,
    num_splits,
    L: tl.constexpr,
    BLOCK_L: tl.constexpr,
    BLOCK_W: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_L values of one (token, head), averaged over the parts by their masses."""
    begin(OVERLAPS)
    row = tl.program_id(0).to(tl.int64)
    latent = tl.program_id(1) * BLOCK_L + tl.arange(0, BLOCK_L)
    joined_L = joined_parts(sums, masses, parts + row // num_heads, row, num_tokens * num_heads, num_splits, latent, L, BLOCK_L, BLOCK_W)
    tl.store(out + row * L + latent, joined_L.to(out.dtype.element_ty))


def paged_latent_attention_triton(
    q_latent_THL: torch.Tensor,
    q_rope_THR: torch.Tensor,
    pages_GOZ: torch.Tensor,
    page_table_BJ: torch.Tensor,
    cu_seqlens: torch.Tensor,
    lengths_B: torch.Tensor,
    *,
    scale: float,
) -> torch.Tensor:
    """`paged_latent_attention` in two kernels. Contract of the reference, but the host is not asked; L and R are powers of two from 16 on.

    The grid follows from shapes alone, so that a CUDA graph holds it for any lengths: each sequence is shared out over as many programs as
    fill the GPU, and those that find no rows leave at once. T = B means one new token for each, as no sequence may have none.
    """
    return _paged_latent_attention(q_latent_THL, q_rope_THR, pages_GOZ, page_table_BJ, cu_seqlens, lengths_B, scale)


# An operator to torch: a compiler need not look inside, and a backward pass through it is an error instead of a missing gradient.
@operator(
    "kimi_vl::paged_latent_attention(Tensor q_latent, Tensor q_rope, Tensor pages, Tensor page_table, Tensor cu_seqlens, Tensor lengths, "
    "float scale) -> Tensor"
)
def _paged_latent_attention(
    q_latent_THL: torch.Tensor,
    q_rope_THR: torch.Tensor,
    pages_GOZ: torch.Tensor,
    page_table_BJ: torch.Tensor,
    cu_seqlens: torch.Tensor,
    lengths_B: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    return attend(q_latent_THL, q_rope_THR, pages_GOZ, page_table_BJ, cu_seqlens, lengths_B, scale=scale)


@_paged_latent_attention.register_fake
def _(q_latent_THL, q_rope_THR, pages_GOZ, page_table_BJ, cu_seqlens, lengths_B, scale):
    return torch.empty(q_latent_THL.shape, dtype=q_latent_THL.dtype, device=q_latent_THL.device)


def fitting_launch(num_tokens: int, num_sequences: int, pages_GOZ: torch.Tensor) -> Launch:
    """For one new token of every sequence, or for chunks."""
    if num_tokens != num_sequences:
        return CHUNKS
    return DECODE_FP8 if pages_GOZ.dtype == torch.float8_e4m3fn else DECODE


def fair_splits(num_tiles: int, most_rows: int, launch: Launch, device: torch.device) -> int:
    """Parts of every sequence, so that all tiles are one wave."""
    return max(1, min(launch.resident * num_processors(device) // num_tiles, -(-most_rows // launch.block_rows)))


def attend(
    q_latent_THL: torch.Tensor,
    q_rope_THR: torch.Tensor,
    pages_GOZ: torch.Tensor,
    page_table_BJ: torch.Tensor,
    cu_seqlens: torch.Tensor,
    lengths_B: torch.Tensor,
    *,
    scale: float,
    launch: Launch | None = None,
    num_splits: int | None = None,
) -> torch.Tensor:
    """Both kernels, cut as told or as fits; the benchmark tries other ways. A tile of one token needs one new token for every sequence."""
    out_THL = torch.empty(q_latent_THL.shape, dtype=q_latent_THL.dtype, device=q_latent_THL.device)
    if not q_latent_THL.shape[0]:
        return out_THL
    arguments = (q_latent_THL, q_rope_THR, pages_GOZ, page_table_BJ, cu_seqlens, lengths_B)
    sums_WTHL, masses_WTH, parts_T = attend_parts(*arguments, scale=scale, launch=launch, num_splits=num_splits, whole_THL=out_THL)
    if sums_WTHL.shape[0] > 1:
        (_, num_tokens, heads, rank), width = sums_WTHL.shape, min(out_THL.shape[-1], BLOCK_WIDTH)
        with torch.cuda.device_of(q_latent_THL):
            _join_kernel[num_tokens * heads, rank // width](
                sums_WTHL,
                masses_WTH,
                parts_T,
                out_THL,
                num_tokens,
                heads,
                sums_WTHL.shape[0],
                L=rank,
                BLOCK_L=width,
                BLOCK_W=PARTS_AT_ONCE,
                **overlap(q_latent_THL.device),
            )
    return out_THL


def attend_parts(
    q_latent_THL: torch.Tensor,
    q_rope_THR: torch.Tensor,
    pages_GOZ: torch.Tensor,
    page_table_BJ: torch.Tensor,
    cu_seqlens: torch.Tensor,
    lengths_B: torch.Tensor,
    *,
    scale: float,
    launch: Launch | None = None,
    num_splits: int | None = None,
    whole_THL: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The reading kernel alone: averages [W, T, H, L] of the parts, fp32, the base-2 logarithms of their masses [W, T, H], and how many
    parts each token has [T]. `whole` takes the place of the averages if there is one part."""
    q_latent_THL, q_rope_THR = (q if q.stride(-1) == 1 else q.contiguous() for q in (q_latent_THL, q_rope_THR))
    (num_tokens, heads, rank), num_sequences, page_size = q_latent_THL.shape, lengths_B.shape[0], pages_GOZ.shape[1]
    launch = launch or fitting_launch(num_tokens, num_sequences, pages_GOZ)
    one_each = launch.tile_tokens == 1
    num_tiles = num_tokens if one_each else num_tokens // launch.tile_tokens + num_sequences
    device = q_latent_THL.device
    num_splits = num_splits or fair_splits(num_tiles, page_table_BJ.shape[1] * page_size, launch, device)
    masses_WTH = torch.empty(num_splits, num_tokens, heads, dtype=torch.float32, device=device)
    parts_T = torch.empty(num_tokens, dtype=torch.int32, device=device)
    if num_splits == 1 and whole_THL is not None:
        sums_WTHL = whole_THL[None]
    else:
        sums_WTHL = torch.empty(num_splits, num_tokens, heads, rank, dtype=torch.float32, device=device)
    with torch.cuda.device_of(q_latent_THL):  # Triton launches on the current GPU, wherever the tensors are
        _attend_kernel[num_tiles, num_splits](
            q_latent_THL,
            q_rope_THR,
            pages_GOZ,
            page_table_BJ,
            cu_seqlens,
            lengths_B,
            sums_WTHL,
            masses_WTH,
            parts_T,
            scale * LOG2_E,
            *q_latent_THL.stride()[:2],
            *q_rope_THR.stride()[:2],
            *pages_GOZ.stride()[:2],
            page_table_BJ.stride(0),
            num_sequences,
            num_tokens,
            heads,
            num_splits,
            L=rank,
            R=q_rope_THR.shape[-1],
            PAGE=page_size,
            TILE=launch.tile_tokens,
            BLOCK_H=max(16, next_power_of_2(heads)),
            BLOCK_S=launch.block_rows,
            ONE_EACH=one_each,
            LEAST=launch.block_rows if num_tiles < MANY_TILES else PART_ROWS,
            num_warps=launch.num_warps,
            num_stages=launch.num_stages,
            **overlap(device),
        )
    return sums_WTHL, masses_WTH, parts_T
