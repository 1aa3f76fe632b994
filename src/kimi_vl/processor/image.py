"""Pictures to patches: MODEL_SPEC §5.1, bit for bit.

Letters: P patches (packed over images), I images. Knows nothing of files or text.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from kimi_vl.config import read_json
from kimi_vl.errors import ConfigError, InputError, MediaError
from kimi_vl.media import load_image

MAX_PATCHES_PER_SIDE = 512  # rotary positions of MoonViT are tabulated for fewer than 512 rows and columns

# Keys of a preprocessor_config.json that change nothing: code pointers, and a pooling length that the official code never reads.
BOOKKEEPING_KEYS = frozenset({"auto_map", "image_processor_type", "feature_extractor_type", "processor_class", "num_pooled_tokens"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageProcessorConfig:
    """`preprocessor_config.json` (MODEL_SPEC §1.5). Facts: the official class defaults are wrong for these models, so there are none.

    `in_token_limit` counts patches before the 2×2 merge; an image beyond it is scaled down.
    """

    in_token_limit: int
    patch_size: int
    merge_kernel_size: tuple[int, int]
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]
    pad_input: bool

    def __post_init__(self) -> None:
        for name in ("in_token_limit", "patch_size"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= 1 << 20:
                raise ConfigError(f"{name} is {value!r}; it must be an integer from 1 to {1 << 20:,}")
        if self.merge_kernel_size != (2, 2):
            raise ConfigError(f"merge_kernel_size is {self.merge_kernel_size!r}; only [2, 2] is supported")
        if self.pad_input is not True:
            raise ConfigError(f"pad_input is {self.pad_input!r}; only true is supported, as in every released Kimi-VL checkpoint")
        for name in ("image_mean", "image_std"):
            value = getattr(self, name)
            if not (isinstance(value, tuple) and len(value) == 3 and all(type(v) is float and math.isfinite(v) for v in value)):
                raise ConfigError(f"{name} is {value!r}; it must be three finite numbers, one per colour")
        if min(self.image_std) <= 0:
            raise ConfigError(f"image_std is {list(self.image_std)}; a standard deviation must be positive")

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a `preprocessor_config.json`. Raises: ConfigError naming the file, the key and what would be right."""
        values = read_json(Path(path))
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from the contents of a `preprocessor_config.json`. Raises: ConfigError."""
        if not isinstance(values, dict):
            raise ConfigError(f"a preprocessor config must be a JSON object, not {type(values).__name__}")
        names = [f.name for f in fields(cls)]
        for key in values:
            if key not in names and key not in BOOKKEEPING_KEYS:
                near = difflib.get_close_matches(key, names, n=1)
                raise ConfigError(f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        facts = {"merge_kernel_size": [2, 2], **values}  # Thinking-2506 may leave this one out (§1.5)
        for name in names:
            if name not in facts:
                raise ConfigError(f"{name} is missing; it is a fact of the checkpoint and has no default")
        facts = {name: _tuple(facts[name]) if name.startswith("image_") else facts[name] for name in names}
        merge = facts["merge_kernel_size"]
        return cls(**{**facts, "merge_kernel_size": tuple(merge) if isinstance(merge, list) else merge})

    def to_dict(self) -> dict[str, Any]:
        """The contents of a `preprocessor_config.json` that `from_dict` reads back to an equal object."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _tuple(value: Any) -> Any:
    """A JSON list of numbers as a tuple of floats; anything else as it is, for `__post_init__` to refuse."""
    if isinstance(value, (list, tuple)) and all(type(v) in (int, float) for v in value):
        return tuple(float(v) for v in value)
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A picture as the model sees it: uint8 [rows, columns, 3, 14, 14], of which `size` (width, height) is no padding."""

    patches: torch.Tensor
    size: tuple[int, int]

    @property
    def tokens(self) -> int:
        """Merged tokens that it takes in the prompt."""
        return self.patches.shape[0] * self.patches.shape[1] // 4

    def pixels(self) -> np.ndarray:
        """The picture without its padding, uint8 [H, W, 3]."""
        rows, columns, colours, patch, _ = self.patches.shape
        canvas = self.patches.permute(0, 3, 1, 4, 2).reshape(rows * patch, columns * patch, colours)
        return canvas[: self.size[1], : self.size[0]].numpy()


class ImageProcessor:
    """Scales, pads, normalises and cuts pictures into patches, exactly as the official processor does for RGB input.

    Other modes become RGB on white *before* the resize. The official code resizes in the original mode and converts later, which
    for palette images interpolates indices' nearest colours and for RGBA drops the alpha channel and lets hidden colours through;
    its own evaluation code composites on white first, and so do we, always.
    """

    def __init__(self, config: ImageProcessorConfig) -> None:
        self.config = config
        full = torch.tensor(255.0)  # as a tensor: by a number a GPU multiplies with the reciprocal, which rounds otherwise
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (config.image_mean, config.image_std))
        self._statistics = {torch.device("cpu"): (full, mean, std)}

    def resized_size(self, width: int, height: int) -> tuple[int, int]:
        """Size (width, height) in pixels of the picture's content after scaling, before padding. Never larger than given."""
        patch, limit = self.config.patch_size, self.config.in_token_limit
        num_patches = (width // patch) * (height // patch)
        if num_patches > limit:
            scale = math.sqrt(limit / num_patches)
            return int(width * scale), int(height * scale)
        return width, height

    def grid_hw(self, width: int, height: int) -> tuple[int, int]:
        """Patch rows and columns of a width × height picture, after scaling and padding to whole merged tokens.

        Raises: MediaError for a picture so elongated that a side vanishes or has 512 patches or more ("Exceed pos emb").
        """
        resized = self.resized_size(width, height)
        columns, rows = (2 * -(-side // (2 * self.config.patch_size)) for side in resized)
        if min(resized) < 1 or max(rows, columns) >= MAX_PATCHES_PER_SIDE:
            ratio = max(width, height) / max(1, min(width, height))
            raise MediaError(
                f"a picture of {width}×{height} pixels is too elongated (aspect ratio {ratio:,.0f}:1): scaled, it has {rows}×{columns} "
                f"patches, and a side must have fewer than {MAX_PATCHES_PER_SIDE} (Exceed pos emb). Cut it into parts"
            )
        return rows, columns

    def token_count(self, width: int, height: int) -> int:
        """Merged tokens that a width × height picture takes in the prompt. Raises: MediaError as `grid_hw`."""
        rows, columns = self.grid_hw(width, height)
        return rows * columns // 4

    def cut(self, image: Image.Image) -> Cut:
        """A picture scaled and cut, to be passed on in its place: what is kept of it is no larger than what the model sees.

        Raises: MediaError as `grid_hw`.
        """
        return Cut(self._picture(image, False), self.resized_size(*image.size))

    def __call__(self, images: Iterable[Image.Image | Cut]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (pixel_values fp32 [P, 3, 14, 14], image_grid_hws int64 [I, 2]), images one after another, rows first.

        An iterator is consumed one picture at a time, so only scaled pictures are held. Raises: MediaError, as `grid_hw` and
        `kimi_vl.media.load_image`.
        """
        patches, grids = self.patches(images)
        return self.normalised(patches), grids

    def normalised(self, patches: torch.Tensor) -> torch.Tensor:
        """fp32 of uint8 patches, on the device where they lie: the same bits on each."""
        full, mean, std = self._statistics_on(patches.device)
        return patches.float().div_(full).sub_(mean).div_(std)

    def patches(self, images: Iterable[Image.Image | Cut]) -> tuple[torch.Tensor, torch.Tensor]:
        """As `__call__`, not normalised: uint8 [P, 3, 14, 14], a quarter of the bytes."""
        pictures = self.pictures(images)
        grids = [tuple(picture.shape[:2]) for picture in pictures]
        patch = self.config.patch_size
        patches = torch.empty(sum(h * w for h, w in grids), 3, patch, patch, dtype=torch.uint8)
        for picture, own in zip(pictures, patches.split([h * w for h, w in grids]), strict=True):
            own.view(picture.shape).copy_(picture)
        return patches, torch.tensor(grids, dtype=torch.int64).view(-1, 2)

    def pictures(self, images: Iterable[Image.Image | Cut], *, pinned: bool = False) -> list[torch.Tensor]:
        """The same bytes before they are cut: of each picture a view uint8 [rows, columns, 3, 14, 14] of its rows of RGB pixels.

        `flatten(0, 1)` makes patches of it, byte by byte: 8 ms of a CPU for 1792×1792 pixels, nothing for a GPU that the view was sent to,
        which is what the engine does. `pinned`: in memory that a GPU reads by itself; it stays taken, so for pictures that go there soon.
        """
        return [image.patches if isinstance(image, Cut) else self._picture(image, pinned) for image in images]

    def _picture(self, image: Image.Image, pinned: bool) -> torch.Tensor:
        """Scaled, padded right and bottom with black, and seen as patches."""
        if not isinstance(image, Image.Image):
            raise InputError(f"ImageProcessor takes PIL images, not {type(image).__name__}; use Processor.images for files and bytes")
        image = load_image(image)
        rows, columns = self.grid_hw(*image.size)
        resized = self.resized_size(*image.size)
        if resized != image.size:
            image = image.resize(resized, Image.Resampling.BICUBIC)
        patch = self.config.patch_size
        canvas = torch.empty(rows * patch, columns * patch, 3, dtype=torch.uint8, pin_memory=pinned)
        pixels = canvas.numpy()  # torch takes no memory that is read-only, as that of a PIL image is, without a copy more
        pixels[: image.height, : image.width] = np.asarray(image)
        pixels[image.height :] = pixels[: image.height, image.width :] = 0
        return canvas.view(rows, patch, columns, patch, 3).permute(0, 2, 4, 1, 3)

    def _statistics_on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """255, mean and deviation; sent once, because sending waits for all that the device has to do."""
        if device not in self._statistics:
            full, mean, std = self._statistics[torch.device("cpu")]
            self._statistics[device] = (full.to(device), mean.to(device), std.to(device))
        return self._statistics[device]
