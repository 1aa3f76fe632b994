"""How products with experts' weights are cut: every choice that a measurement made, or will make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """How a product with the experts' weights is cut. `rows` are rows of weights, the tall side of every product, `width` how much of
    each is read at once, `pairs` the short side: the pairs that an expert takes at once."""

    rows: int
    width: int
    pairs: int = 1
    num_warps: int = 4
    num_stages: int = 4


# 4 gate and 4 up rows of 2,048 to a program: plain vector products so cut read 2.72 TB/s on an H100.
VECTOR_GATE_UP = Launch(rows=4, width=2048)
VECTOR_DOWN = Launch(rows=1, width=2048)  # 8 experts one after another: short programs leave no SM waiting for the last


def tile(num_tokens: int) -> Launch:
    """Pairs at once with room to spare over an expert's mean share, 6/64 of the tokens at the official size; more are taken in turns, which
    reads the weights again."""
    pairs = 16 if num_tokens <= 16 else 32 if num_tokens <= 192 else 64
    return Launch(rows=64, width=128, pairs=pairs)


# Of weights in eight bits, whose rows are half as long: 25.7 us for both products of a token in fp8, 30.6 by rows of one.
BYTE_VECTOR_DOWN = Launch(rows=4, width=2048, num_warps=8)


def fp8_tiles(num_tokens: int) -> tuple[Launch, Launch]:
    """The same for gate and up, and for down, of weights in fp8. Down goes on by as much of a row as gate and up have rows, for which there
    is one scale: steps of 8 KB.

    Fewer pairs at once than in bf16, since a token takes half the time: 199 us for 32 tokens by 16 and 220 by 32, 241 us for 256 by 32 and
    255 by 64. Blocks of 64 rows took 234 and 290."""
    pairs = 16 if num_tokens <= 32 else 32
    return Launch(rows=128, width=128, pairs=pairs, num_stages=3), Launch(rows=64, width=128, pairs=pairs, num_stages=3)


# Of weights in four bits, none of it measured yet. 8 gate and 8 up rows of 1,024 bytes keep as much under way as 4 and 4 in eight bits do;
# of the 11 groups of a down row, 4 at a time leave the fewest unused.
PACKED_GATE_UP = Launch(rows=8, width=2048)
PACKED_DOWN = Launch(rows=4, width=512)


def packed_tile(num_tokens: int) -> Launch:
    """`tile` of weights in four bits, whose `width` is a group. A step reads 4 KB of a matrix, and two programs of 32 KB
    under way fill a processor's registers."""
    return Launch(rows=64, width=128, pairs=tile(num_tokens).pairs, num_stages=4)
