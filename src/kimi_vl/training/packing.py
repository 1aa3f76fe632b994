"""From rendered scenes to batches of one constant shape: variable-length images and dialogues packed without padding between them.

Letters: P patches, M merged image tokens (P / 4), T tokens, N supervised positions, G glyph slots of a merged token.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import ConfigError
from kimi_vl.model.patches import grid_layout
from kimi_vl.processor.chat import DEFAULT_SYSTEM
from kimi_vl.processor.thinking import THINK_CLOSE, THINK_OPEN
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training.synth.scene import Page, Scene, Turn

GLYPH_SLOTS = 6  # characters a 28 x 28 pixel cell is asked for; 14-pixel text puts about that many into one
GLYPH_CLASSES = 96  # 0 none, 1..94 printable ASCII, 95 any other character
CELL = 28  # pixels a merged token covers
PADDING = 1024  # rows of a padding sequence at most: 7,000 in one piece are 25 M pairs to attention, all real tokens of a batch 10 M
PATCH_VALUES = 3 * 14 * 14
TASKS = (
    "read",
    "line",
    "first",
    "title",
    "find",
    "field",
    "price",
    "item",
    "count",
    "sum",
    "check",
    "cell",
    "markdown",
    "trend",
    "point",
    "box",
    "relation",
    "state",
    "name",
    "when",
    "order",
    "which",
    "needle",
    "text",
    "continue",
    "refuse",
    "other",
)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Sizes of one micro-batch on one device. Constant, so that nothing is compiled twice."""

    patches: int
    tokens: int
    supervised: int
    images: int  # also the most dialogues. Attention pays for each place, used or not: 27 us a step on an H100 at max_tokens = 9216
    max_patches: int  # of one image
    max_tokens: int  # of one dialogue


@dataclass(frozen=True)
class Sample:
    """A dialogue with its images, if any, as arrays ready to be packed."""

    patches: np.ndarray  # uint8 [P, 588], of all images in order
    grid_hws: list[tuple[int, int]]
    glyphs: np.ndarray  # uint8 [M, G]
    ids: np.ndarray  # int64 [T]
    placeholders: np.ndarray  # int64 [M], where in ids the image tokens stand
    predict_at: np.ndarray  # int64 [N], positions whose next token is learned
    targets: np.ndarray  # int64 [N], what it is; ids may hold something else there (see `noise`)
    weights: np.ndarray  # float32 [N]
    tasks: np.ndarray  # int64 [N], index into TASKS


@dataclass(frozen=True)
class Batch:
    """Packed samples of exactly the budget's sizes; the tail is padding that no loss and no sample sees."""

    pixels: torch.Tensor  # uint8 [P, 588]
    rows_P: torch.Tensor
    columns_P: torch.Tensor
    tap_index_P16: torch.Tensor
    tap_weight_P16: torch.Tensor
    merge_index_M4: torch.Tensor
    image_cu_seqlens: torch.Tensor
    glyphs_MG: torch.Tensor
    input_ids_T: torch.Tensor
    positions_T: torch.Tensor
    token_cu_seqlens: torch.Tensor
    placeholder_M: torch.Tensor  # token index of each merged token; T for padding
    predict_at_N: torch.Tensor
    targets_N: torch.Tensor
    weights_N: torch.Tensor
    tasks_N: torch.Tensor
    real_tokens: torch.Tensor  # scalar: tokens before the padding
    real_patches: torch.Tensor
    num_samples: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(**{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})

    def pin_memory(self) -> Batch:
        return Batch(**{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})


class SampleEncoder:
    """Turns scenes into samples with one tokenizer; the token layout is that of `processor.chat.render`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        special, encode = tokenizer.special, tokenizer.encode
        middle, self.end = special("<|im_middle|>"), special("<|im_end|>")
        self.pad = special("<|media_pad|>")
        self.system = [special("<|im_system|>"), *encode("system"), middle, *encode(DEFAULT_SYSTEM), self.end]
        self.user = [special("<|im_user|>"), *encode("user"), middle]
        self.assistant = [special("<|im_assistant|>"), *encode("assistant"), middle]
        self.image_open = [special("<|media_start|>"), *encode("image"), special("<|media_content|>")]
        self.image_close = [special("<|media_end|>")]
        self.think_open, self.think_close = encode(THINK_OPEN), encode(THINK_CLOSE)
        self.thinking_off = encode(f"{THINK_OPEN}\n\n{THINK_CLOSE}")  # the official way to skip thinking (MODEL_SPEC §5.5)

    def encode(self, scene: Scene, max_tokens: int) -> Sample | None:
        """None if not even the first turn fits into `max_tokens`."""
        pictures = [patchify(page.image) for page in scene.pages]
        ids = [*self.system, *self.user]
        placeholders = [np.zeros(0, dtype=np.int64)]
        for page, (patches, _) in zip(scene.pages, pictures, strict=True):
            ids += [*self.tokenizer.encode(page.label), *self.image_open]
            merged = patches.shape[0] // 4
            placeholders.append(np.arange(len(ids), len(ids) + merged))
            ids += [self.pad] * merged + self.image_close
        spans: list[tuple[int, int, int]] = []
        for number, turn in enumerate(scene.turns):
            question = [*self.tokenizer.encode(turn.question), self.end, *self.assistant]
            given, learned = self._answer(turn)
            grown = [*ids, *(self.user if number else []), *question, *given]
            if len(grown) + len(learned) > max_tokens:
                break
            ids = grown + learned
            spans.append((len(grown) - 1, len(learned), TASKS.index(turn.task) if turn.task in TASKS else len(TASKS) - 1))
        if not spans:
            return None
        predict_at = np.concatenate([np.arange(start, start + count) for start, count, _ in spans])
        return Sample(
            np.concatenate([np.zeros((0, PATCH_VALUES), dtype=np.uint8), *(patches for patches, _ in pictures)]),
            [grid_hw for _, grid_hw in pictures],
            np.concatenate([np.zeros((0, GLYPH_SLOTS), dtype=np.uint8), *map(glyphs_of, scene.pages)]),
            np.array(ids),
            np.concatenate(placeholders),
            predict_at,
            np.array(ids)[predict_at + 1],
            # 1/sqrt(length) per token: long transcriptions would drown short answers, equal weight per turn would do the reverse.
            np.concatenate([np.full(count, count**-0.5, dtype=np.float32) for _, count, _ in spans]),
            np.concatenate([np.full(count, task) for _, count, task in spans]),
        )

    def _answer(self, turn: Turn) -> tuple[list[int], list[int]]:
        """The tokens given to the model and the tokens it learns to say, for one turn."""
        answer = [*self.tokenizer.encode(turn.answer), self.end]
        if turn.mode == "off":
            return self.thinking_off, answer
        if turn.thinking is None:
            return [], answer
        thought = [*self.tokenizer.encode(turn.thinking), *self.think_close, *answer]
        return (self.think_open, thought) if turn.mode == "on" else ([], [*self.think_open, *thought])


def patchify(image: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """uint8 [H, W, 3] -> (uint8 [P, 588], grid): black padding right and below to multiples of 28, then raster patches.

    The processor's own steps (MODEL_SPEC §5.1) before normalisation, which happens on the device.
    """
    height, width = (-(-side // CELL) * CELL for side in image.shape[:2])
    padded = np.zeros((height, width, 3), dtype=np.uint8)
    padded[: image.shape[0], : image.shape[1]] = image
    h, w = height // 14, width // 14
    return padded.reshape(h, 14, w, 14, 3).transpose(0, 2, 4, 1, 3).reshape(h * w, PATCH_VALUES), (h, w)


def glyphs_of(page: Page) -> np.ndarray:
    """uint8 [M, G]: `glyph_targets` of one page on the grid that `patchify` gives it."""
    rows, columns = (-(-side // CELL) * 2 for side in page.image.shape[:2])
    return glyph_targets(page.chars, (rows, columns))


def glyph_targets(chars: np.ndarray, grid_hw: tuple[int, int]) -> np.ndarray:
    """uint8 [M, G]: the characters whose centres lie in each merged token's cell, in reading order. chars float [n, 3]: code, x, y."""
    cell_rows, cell_columns = grid_hw[0] // 2, grid_hw[1] // 2
    targets = np.zeros((cell_rows * cell_columns, GLYPH_SLOTS), dtype=np.uint8)
    if len(chars) == 0:
        return targets
    column, row = (chars[:, 1] // CELL).astype(np.int64), (chars[:, 2] // CELL).astype(np.int64)
    inside = (column >= 0) & (column < cell_columns) & (row >= 0) & (row < cell_rows)
    code = chars[inside, 0].astype(np.int64)
    cell = row[inside] * cell_columns + column[inside]
    order = np.argsort(cell, kind="stable")
    cell, code = cell[order], code[order]
    first_of_cell = np.searchsorted(cell, cell)
    slot = np.arange(len(cell)) - first_of_cell
    kept = slot < GLYPH_SLOTS
    targets[cell[kept], slot[kept]] = np.where((code > 32) & (code < 127), code - 32, GLYPH_CLASSES - 1)[kept]
    return targets


def pack(samples: Iterator[Sample], config: KimiVLConfig, budget: Budget) -> tuple[Batch, Sample]:
    """Fill one batch from the stream; returns it and the first sample that no longer fitted."""
    chosen: list[Sample] = []
    patches = tokens = supervised = images = 0
    for sample in samples:
        patches, tokens = patches + len(sample.patches), tokens + len(sample.ids)
        supervised, images = supervised + len(sample.predict_at), images + len(sample.grid_hws)
        full = (
            patches > budget.patches
            or tokens > budget.tokens
            or supervised > budget.supervised
            or max(images, len(chosen) + 1) > budget.images
        )
        if full and chosen:
            return assemble(chosen, config, budget), sample
        if full:
            raise ConfigError(
                f"a sample of {len(sample.patches):,} patches, {len(sample.ids):,} tokens and {len(sample.grid_hws)} images is larger than "
                f"the stage's whole budget ({budget.patches:,}, {budget.tokens:,}, {budget.images}); raise [budget] or lower max_tokens"
            )
        chosen.append(sample)
    raise RuntimeError("the stream of samples ended; it must be endless")


def assemble(samples: Sequence[Sample], config: KimiVLConfig, budget: Budget) -> Batch:
    table_hw = (config.vision_config.init_pos_emb_height, config.vision_config.init_pos_emb_width)
    layouts = [grid_layout(*grid_hw, *table_hw) for sample in samples for grid_hw in sample.grid_hws]
    patch_starts = np.cumsum([0] + [len(layout.rows_P) for layout in layouts])
    token_starts = np.cumsum([0] + [len(s.ids) for s in samples])
    offsets = list(zip(samples, token_starts, strict=False))
    merge = [layout.merge_index_M4 + start for layout, start in zip(layouts, patch_starts, strict=False)]
    unused = np.arange(patch_starts[-1], budget.patches).reshape(-1, 4)
    predict_at = np.concatenate([s.predict_at + start for s, start in offsets])
    arrays = {
        "pixels": filled([s.patches for s in samples], budget.patches, np.uint8, width=(PATCH_VALUES,)),
        "rows_P": filled([layout.rows_P for layout in layouts], budget.patches, np.int32),
        "columns_P": filled([layout.columns_P for layout in layouts], budget.patches, np.int32),
        "tap_index_P16": filled([layout.tap_index_P16 for layout in layouts], budget.patches, np.int32, width=(16,)),
        "tap_weight_P16": filled([layout.tap_weight_P16 for layout in layouts], budget.patches, np.float32, width=(16,)),
        "merge_index_M4": np.concatenate([*merge, unused]),
        "image_cu_seqlens": _boundaries(patch_starts, budget.patches, budget.max_patches, budget.images),
        "glyphs_MG": filled([s.glyphs for s in samples], budget.patches // 4, np.uint8, width=(GLYPH_SLOTS,)),
        "input_ids_T": filled([s.ids for s in samples], budget.tokens, np.int64),
        "positions_T": filled([np.arange(len(s.ids)) for s in samples], budget.tokens, np.int64),
        "token_cu_seqlens": _boundaries(token_starts, budget.tokens, budget.max_tokens, budget.images),
        "placeholder_M": filled([s.placeholders + start for s, start in offsets], budget.patches // 4, np.int64, budget.tokens),
        "predict_at_N": filled([predict_at], budget.supervised, np.int64),
        "targets_N": filled([s.targets for s in samples], budget.supervised, np.int64),
        "weights_N": filled([s.weights for s in samples], budget.supervised, np.float32),
        "tasks_N": filled([s.tasks for s in samples], budget.supervised, np.int64),
        "real_tokens": np.array(token_starts[-1]),
        "real_patches": np.array(patch_starts[-1]),
        "num_samples": np.array(len(samples)),
    }
    return Batch(**{name: torch.from_numpy(array) for name, array in arrays.items()})


def filled(parts: Sequence[np.ndarray], length: int, dtype: type, fill: int = 0, width: tuple[int, ...] = ()) -> np.ndarray:
    """The parts, rows of `width`, one after another, then `fill` up to `length` rows."""
    out: np.ndarray = np.full((length, *width), fill, dtype=dtype)
    if parts:
        np.concatenate(parts, out=out[: sum(map(len, parts))], casting="unsafe")
    return out


def _boundaries(starts: np.ndarray, total: int, longest: int, sequences: int) -> np.ndarray:
    """int32 sequence boundaries of constant length. The padding becomes short sequences, too: a kernel leaves rows that belong to none
    uninitialised, and their NaNs would spread through the weight gradients."""
    piece = min(longest, PADDING)
    tail = np.arange(starts[-1], total, piece)[1:]
    bounds = np.concatenate([starts, tail, [total]])
    room = sequences + 2 + -(-total // piece)
    return np.concatenate([bounds, np.full(room - len(bounds), total)]).astype(np.int32)


def endless(first: Sample | None, more: Iterator[Sample]) -> Iterator[Sample]:
    """The left-over sample of the last batch, then the rest."""
    return more if first is None else itertools.chain([first], more)
