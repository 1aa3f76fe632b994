"""The first half of experts and MLPs for a prompt in one Triton kernel each: two products and SwiGLU, for experts the gathering too.

Letters: T tokens, D decoder width, F inner width, G = 2F gate and up, E experts, X pairs (token, one of its experts), M tile of them.
"""

from __future__ import annotations

import torch

from kimi_vl.ops.triton.language import TensorDescriptor, begin, jit, next_power_of_2, overlap, tl

# A tile of 128 pairs and 256 columns, half of them gate and half up: sums fill the registers of two groups of four warps, and four stages
# of 48 KB the shared memory. 590 TFLOP/s on an H100, gathering and SwiGLU included; with 64 pairs or 128 columns 390 to 440.
PAIRS, COLUMNS, DEPTH = 128, 128, 64
STAGES, WARPS = 4, 8


@jit
def _place_of_tile(tile, ends, E, BLOCK_M: tl.constexpr, BLOCK_E: tl.constexpr):
    """(expert, its first row of the tile, end of its rows) of a tile of BLOCK_M rows; a tile behind the last is nobody's: expert E."""
    e = tl.arange(0, BLOCK_E)
    end_E = tl.load(ends + e, mask=e < E, other=0)
    start_E = tl.load(ends + e - 1, mask=(e > 0) & (e < E), other=0)
    tiles_E = tl.where(e < E, tl.cdiv(end_E - start_E, BLOCK_M), 0)
    last_E = tl.cumsum(tiles_E, 0)
    expert = tl.sum(((last_E <= tile) & (e < E)).to(tl.int32), 0)
    is_its_E = e == expert
    first = tl.sum(tl.where(is_its_E, start_E + (tile - last_E + tiles_E) * BLOCK_M, 0), 0)
    return expert, first, tl.sum(tl.where(is_its_E, end_E, 0), 0)


@jit
def _swiglu(sum_XG, X: tl.constexpr, F: tl.constexpr):
    """silu(gate) · up of sums whose first F columns are gate, the others up."""
    gate_XF, up_XF = tl.split(tl.permute(tl.reshape(sum_XG, [X, 2, F]), (0, 2, 1)))
    return gate_XF * tl.sigmoid(gate_XF) * up_XF


@jit
def _grouped_swiglu_kernel(
    x,
    tokens,
    gate_up,
    ends,
    inner,
    x_stride,
    D,
    F,
    E,
    BLOCK_M: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_E: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_F inner values of up to BLOCK_M pairs of one expert. `gate_up` describes [2E, F, D], of which a block is both
    halves of as many columns."""
    begin(OVERLAPS)
    columns = tl.cdiv(F, BLOCK_F)
    expert, first, stop = _place_of_tile(tl.program_id(0) // columns, ends, E, BLOCK_M, BLOCK_E)
    if expert >= E:
        return
    column = tl.program_id(0) % columns * BLOCK_F
    row_M, d = first + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    token_M = tl.load(tokens + row_M, mask=row_M < stop, other=0).to(tl.int64)
    x_MD = x + (token_M * x_stride)[:, None] + d[None]
    sum_MG = tl.zeros([BLOCK_M, 2 * BLOCK_F], tl.float32)
    for start in range(0, D, BLOCK_D):
        gate_up_GD = tl.reshape(gate_up.load([2 * expert, column, start]), [2 * BLOCK_F, BLOCK_D])
        sum_MG = tl.dot(tl.load(x_MD + start, mask=(start + d < D)[None], other=0.0), gate_up_GD.T, sum_MG)
    inner_MF = _swiglu(sum_MG, BLOCK_M, BLOCK_F).to(inner.dtype.element_ty)
    f = column + tl.arange(0, BLOCK_F)
    place_MF = row_M.to(tl.int64)[:, None] * F + f[None]
    tl.store(inner + place_MF, inner_MF, mask=(row_M < stop)[:, None] & (f < F)[None])


@jit(varying=("num_tokens",))
def _swiglu_product_kernel(
    x,
    gate_up,
    inner,
    num_tokens,
    D,
    F,
    BLOCK_T: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BAND: tl.constexpr,
    OVERLAPS: tl.constexpr,
):
    """One program: BLOCK_F inner values of BLOCK_T tokens. `x` describes [T, D], `gate_up` [2, F, D]. Programs go column by column through
    bands of BAND tiles, which the L2 cache holds."""
    begin(OVERLAPS)
    tiles, columns = tl.cdiv(num_tokens, BLOCK_T), tl.cdiv(F, BLOCK_F)
    first = tl.program_id(0) // (BAND * columns) * BAND
    height = tl.minimum(tiles - first, BAND)
    tile = (first + tl.program_id(0) % (BAND * columns) % height) * BLOCK_T
    column = tl.program_id(0) % (BAND * columns) // height * BLOCK_F
    sum_TG = tl.zeros([BLOCK_T, 2 * BLOCK_F], tl.float32)
    for start in range(0, D, BLOCK_D):
        gate_up_GD = tl.reshape(gate_up.load([0, column, start]), [2 * BLOCK_F, BLOCK_D])
        sum_TG = tl.dot(x.load([tile, start]), gate_up_GD.T, sum_TG)
    inner_TF = _swiglu(sum_TG, BLOCK_T, BLOCK_F).to(inner.dtype.element_ty)
    t, f = tile + tl.arange(0, BLOCK_T), column + tl.arange(0, BLOCK_F)
    tl.store(inner + t.to(tl.int64)[:, None] * F + f[None], inner_TF, mask=(t < num_tokens)[:, None] & (f < F)[None])


def swiglu_product(x_TD: torch.Tensor, gate_up_GD: torch.Tensor) -> torch.Tensor:
    """silu(gate) · up of every token, [T, F], for gate and up [F, D] behind each other. Contract of the above."""
    (num_tokens, width), inner_width = x_TD.shape, gate_up_GD.shape[0] // 2
    inner_TF = x_TD.new_empty(num_tokens, inner_width)
    tokens = TensorDescriptor(x_TD, [num_tokens, width], [x_TD.stride(0), 1], [PAIRS, DEPTH])
    weights = TensorDescriptor(gate_up_GD, [2, inner_width, width], [inner_width * width, width, 1], [2, COLUMNS, DEPTH])
    options = {"BLOCK_T": PAIRS, "BLOCK_F": COLUMNS, "BLOCK_D": DEPTH, "BAND": 8, "num_warps": WARPS, "num_stages": 3} | overlap(
        x_TD.device
    )
    with torch.cuda.device_of(x_TD):
        grid = (-(-num_tokens // PAIRS) * -(-inner_width // COLUMNS),)
        _swiglu_product_kernel[grid](tokens, weights, inner_TF, num_tokens, width, inner_width, **options)
    return inner_TF


def grouped_swiglu(x_TD: torch.Tensor, tokens_X: torch.Tensor, gate_up_EGD: torch.Tensor, ends_E: torch.Tensor) -> torch.Tensor:
    """silu(gate) · up of pairs grouped by expert, [X, F]: pair x is token tokens[x], and expert e has those up to ends[e] that no expert
    before it has. Products and SwiGLU in fp32, rounded once. Nothing asks the host; D is a multiple of 8."""
    (experts, columns, width), pairs = gate_up_EGD.shape, tokens_X.shape[0]
    inner_width = columns // 2
    inner_XF = x_TD.new_empty(pairs, inner_width)
    weights = TensorDescriptor(gate_up_EGD, [2 * experts, inner_width, width], [inner_width * width, width, 1], [2, COLUMNS, DEPTH])
    tiles = -(-pairs // PAIRS) + experts  # at the most: every expert's last tile may be a part
    with torch.cuda.device_of(x_TD):  # Triton launches on the current GPU, wherever the tensors are
        _grouped_swiglu_kernel[tiles * -(-inner_width // COLUMNS),](
            x_TD,
            tokens_X,
            weights,
            ends_E,
            inner_XF,
            x_TD.stride(0),
            width,
            inner_width,
            experts,
            BLOCK_M=PAIRS,
            BLOCK_F=COLUMNS,
            BLOCK_D=DEPTH,
            BLOCK_E=next_power_of_2(experts),
            num_warps=WARPS,
            num_stages=STAGES,
            **overlap(x_TD.device),
        )
    return inner_XF
