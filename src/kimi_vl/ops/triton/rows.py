"""What a step of decoding rows does before and behind the network, as one Triton kernel each instead of forty small ones of torch, which
would be 3 % of a step of one row.

Letters: B rows, J pages of a row, D decoder width, P pairs of a rotated head.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.triton.language import begin, jit, next_power_of_2, overlap, tl


@jit
def _enter_kernel(
    ids,
    lengths,
    active,
    seeds,
    numbers,
    page_table,
    embedding,
    frequencies,
    x,
    slots,
    seen,
    cos,
    sin,
    uniforms,
    table_stride,
    spare_page,
    page_size,
    D,
    P: tl.constexpr,
    BLOCK_D: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: one row."""
    begin(OVERLAPS)
    b = tl.program_id(0)
    length = tl.load(lengths + b)
    page = tl.load(page_table + b * table_stride + length // page_size).to(tl.int64)
    page = tl.where(tl.load(active + b) > 0, page, spare_page)
    tl.store(slots + b, page * page_size + length % page_size)
    tl.store(seen + b, (length + 1).to(tl.int32))

    p = tl.arange(0, P)
    angle_P = length.to(tl.float32) * tl.load(frequencies + p)
    tl.store(cos + b * P + p, tl.cos(angle_P).to(cos.dtype.element_ty))
    tl.store(sin + b * P + p, tl.sin(angle_P).to(sin.dtype.element_ty))

    # splitmix64, as in ops.sampling.uniform_number
    mixed = tl.load(seeds + b).to(tl.uint64) + (tl.load(numbers + b) + 1).to(tl.uint64) * 0x9E3779B97F4A7C15
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB
    tl.store(uniforms + b, ((mixed ^ (mixed >> 31)) >> 11).to(tl.float64) * 1.1102230246251565e-16)

    d = tl.arange(0, BLOCK_D)
    tl.store(x + b * D + d, tl.load(embedding + tl.load(ids + b) * D + d, mask=d < D, other=0.0), mask=d < D)


def enter(
    ids_B: torch.Tensor,
    lengths_B: torch.Tensor,
    active_B: torch.Tensor,
    seeds_B: torch.Tensor,
    numbers_B: torch.Tensor,
    page_table_BJ: torch.Tensor,
    embedding_WD: torch.Tensor,
    frequencies_P: torch.Tensor,
    *,
    spare_page: int,
    page_size: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of every row: its newest token's embedding [B, D], the place in the cache for it (in the spare page for a row that is not active),
    how many tokens it then has (int32), cosines and sines of its position [B, P], and the number to draw with (fp64)."""
    count, width, device = ids_B.shape[0], embedding_WD.shape[1], ids_B.device
    x_BD = embedding_WD.new_empty(count, width)
    slots_B = torch.empty(count, dtype=torch.int64, device=device)
    seen_B = torch.empty(count, dtype=torch.int32, device=device)
    cos_BP, sin_BP = embedding_WD.new_empty(2, count, frequencies_P.shape[0]).unbind(0)
    uniforms_B = torch.empty(count, dtype=torch.float64, device=device)
    with torch.cuda.device_of(ids_B):
        _enter_kernel[count,](
            ids_B,
            lengths_B,
            active_B,
            seeds_B,
            numbers_B,
            page_table_BJ,
            embedding_WD,
            frequencies_P,
            x_BD,
            slots_B,
            seen_B,
            cos_BP,
            sin_BP,
            uniforms_B,
            page_table_BJ.stride(0),
            spare_page,
            page_size,
            width,
            P=frequencies_P.shape[0],
            BLOCK_D=next_power_of_2(width),
            **overlap(device),
        )
    return x_BD, slots_B, seen_B, cos_BP, sin_BP, uniforms_B


@jit(varying=("count",))
def _leave_kernel(
    drawn,
    active,
    kept,
    ids,
    lengths,
    numbers,
    met,
    met_stride,
    count,
    BLOCK_B: tl.constexpr,
    COUNTS: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_B rows."""
    begin(OVERLAPS)
    b = tl.program_id(0) * BLOCK_B + tl.arange(0, BLOCK_B)
    is_row = b < count
    token_B, active_B = tl.load(drawn + b, mask=is_row), tl.load(active + b, mask=is_row)
    tl.store(kept + b, token_B, mask=is_row)
    # -1 is no token; a request that has it ends, and until the host knows, its row goes on from any other.
    tl.store(ids + b, tl.maximum(token_B, 0), mask=is_row & (active_B > 0))
    tl.store(lengths + b, tl.load(lengths + b, mask=is_row) + active_B, mask=is_row)
    tl.store(numbers + b, tl.load(numbers + b, mask=is_row) + active_B, mask=is_row)
    if COUNTS:
        is_counted = is_row & (active_B > 0) & (token_B >= 0)
        place = met + b.to(tl.int64) * met_stride + token_B
        tl.store(place, tl.load(place, mask=is_counted) + 2, mask=is_counted)


def leave(
    tokens_B: torch.Tensor,
    active_B: torch.Tensor,
    drawn_B: torch.Tensor,
    ids_B: torch.Tensor,
    lengths_B: torch.Tensor,
    numbers_B: torch.Tensor,
    met_BW: torch.Tensor | None = None,
) -> None:
    """Keep the tokens drawn in `drawn`; active rows go on with theirs, and have one token and one number to draw with more. They have met
    their token once more, if it is to be counted (`ops.sampling.weigh_rows`)."""
    count = tokens_B.shape[0]
    counted = (tokens_B, 0) if met_BW is None else (met_BW, met_BW.stride(0))  # a tensor in any case, not to be touched
    with torch.cuda.device_of(tokens_B):
        _leave_kernel[-(-count // 32),](
            tokens_B,
            active_B,
            drawn_B,
            ids_B,
            lengths_B,
            numbers_B,
            *counted,
            count,
            BLOCK_B=32,
            COUNTS=met_BW is not None,
            num_warps=1,
            **overlap(tokens_B.device),
        )
