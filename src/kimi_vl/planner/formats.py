"""How many bytes a matrix takes, by the format that its values are kept in: this package's own, others with group scales, and GGUF's.

GGUF's sizes are those of the block structures of ggml (`ggml-common.h`): bytes for so many values of a row, scales included. A row that
its blocks do not divide is kept in the format's second choice, as llama.cpp's quantiser does; half of Kimi-VL's down matrices are such,
with rows of 1,408 values.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from kimi_vl.checkpoint.layout import LANGUAGE, TensorSpec
from kimi_vl.config import KimiVLConfig, TextConfig
from kimi_vl.errors import InputError
from kimi_vl.planner.parts import PARTS, tensors


@dataclass(frozen=True, slots=True)
class Format:
    """`block` values of a row take `block_bytes`, and the row `row_bytes` more. `otherwise` names the format of rows that blocks do not
    divide; without one the last block of a row may hold fewer values."""

    block: int
    block_bytes: int
    row_bytes: int = 0
    otherwise: str | None = None

    @property
    def bits(self) -> float:
        """Of a value, without what a row takes once."""
        return 8 * self.block_bytes / self.block


FORMATS: Mapping[str, Format] = {
    "fp32": Format(1, 4),
    "bf16": Format(1, 2),
    "fp16": Format(1, 2),
    "fp8": Format(1, 1, row_bytes=4),
    "int8": Format(1, 1, row_bytes=4),
    "int4": Format(128, 64 + 2),
    "int8-g128": Format(128, 128 + 2),
    "int4-g128": Format(128, 64 + 2),
    "int4-g64": Format(64, 32 + 2),
    "int4-g32": Format(32, 16 + 2),
    "Q8_0": Format(32, 34),
    "Q6_K": Format(256, 210, otherwise="Q8_0"),
    "Q5_K": Format(256, 176, otherwise="Q5_1"),
    "Q5_1": Format(32, 24),
    "Q5_0": Format(32, 22),
    "Q4_K": Format(256, 144, otherwise="Q5_0"),
    "Q4_1": Format(32, 20),
    "Q4_0": Format(32, 18),
    "IQ4_XS": Format(256, 136, otherwise="IQ4_NL"),
    "IQ4_NL": Format(32, 18),
    "Q3_K": Format(256, 110, otherwise="IQ4_NL"),
    "Q2_K": Format(256, 84, otherwise="IQ4_NL"),
}

OWN = ("bf16", "fp8", "int8", "int4")  # what `--quantize` knows; the others are other programs' files
MATRICES = ("experts", "shared", "attention", "output")  # what this package quantises
# llama.cpp's mixes: the format of most matrices, and the better one of the output matrix and of the down matrices of some layers.
MIXES = {"Q4_K_M": ("Q4_K", "Q6_K"), "Q5_K_M": ("Q5_K", "Q6_K")}
PRECISIONS = (*FORMATS, *MIXES)


@dataclass(frozen=True, slots=True)
class Precision:
    """What every part of a checkpoint is kept in: `name` is that of the whole, `parts` what was said of single ones."""

    name: str = "bf16"
    parts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _expect("precision", self.name, PRECISIONS)
        for part, kept in self.parts:
            _expect("part", part, tuple(PARTS))
            _expect(f"the precision of {part}", kept, tuple(FORMATS))

    @property
    def kind(self) -> str | None:
        """As `KimiVL.load(quantize=)` has it; None for what the engine computes with as it is, or does not know."""
        return self.name if self.name in OWN and self.name != "bf16" and not self.parts else None

    @property
    def is_own(self) -> bool:
        """Whether this package runs it."""
        return self.name in OWN and not self.parts

    def __str__(self) -> str:
        return ", ".join([self.name, *(f"{part} {kept}" for part, kept in self.parts)])


def _expect(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise InputError(f"{what} is {str(value)[:40]!r}; {hint}")


def tensor_bytes(spec: TensorSpec, name: str) -> int:
    """Of a tensor kept in the format of that name."""
    width = spec.shape[-1] if len(spec.shape) == 2 else math.prod(spec.shape[1:])
    rows, kept = spec.shape[0], FORMATS[name]
    if kept.otherwise and width % kept.block:
        return tensor_bytes(spec, kept.otherwise)
    return rows * (-(-width // kept.block) * kept.block_bytes + kept.row_bytes)


def weight_bytes(config: KimiVLConfig, precision: Precision) -> dict[str, int]:
    """Bytes of each part. In this package's precisions this is what `checkpoint.estimate_bytes` says, to the byte."""
    counts, said = Counter[str](), dict(precision.parts)
    for part, name, spec in tensors(config):
        whole = "fp32" if precision.name == "fp32" or spec.keep_fp32 else "bf16"
        if not spec.quantisable:
            kept = whole
        elif part in said:
            kept = said[part]
        else:
            kept = _kept(name, spec, part, precision.name, whole, config.text_config)
        counts[part] += tensor_bytes(spec, kept) if spec.quantisable else spec.numel * FORMATS[kept].block_bytes
    return {part: counts[part] for part in PARTS}


def _kept(name: str, spec: TensorSpec, part: str, precision: str, whole: str, text: TextConfig) -> str:
    """The format of a matrix where nothing is said of its part."""
    if precision in OWN:
        if part not in MATRICES:
            return whole
        return "int8" if precision == "int4" and not spec.is_expert else precision
    if part in ("vision", "projector"):  # other programs keep them as they are
        return whole
    most, better = MIXES.get(precision, (precision, precision))
    if part == "output" or ("down_proj" in name and _is_kept_better(name, text.num_hidden_layers)):
        return better
    return most


def _is_kept_better(name: str, layers: int) -> bool:
    """llama.cpp's choice: the first and last eighth of all layers, and every third between."""
    layer, eighth = int(name.removeprefix(f"{LANGUAGE}model.layers.").split(".")[0]), layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
