"""The images of a prompt, as the engine takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import torch

from kimi_vl.engine.prefix import image_digest
from kimi_vl.errors import ShapeError
from kimi_vl.model.kimi_vl import GridHWs

# Of pictures that are encoded at once: as many as the largest has that the official rule makes. More at once would take 28 KB each, 3.7 GB
# for 32,768 tokens of pictures, which fit into one step.
ENCODED_PATCHES = 16_384


@dataclass(frozen=True)
class Image:
    """One picture of a prompt: pixel_values, normalised or uint8, as patches [P, 3, patch, patch] or not yet cut, a view
    [rows, columns, 3, patch, patch] of the picture; (rows, columns); and the digest that names it."""

    pixel_values: torch.Tensor
    grid_hw: tuple[int, int]
    digest: bytes

    @property
    def tokens(self) -> int:
        """Merged tokens that it takes in a prompt."""
        return self.grid_hw[0] * self.grid_hw[1] // 4


@dataclass(eq=False)
class Ahead:
    """What an engine has encoded, or is about to, of a prompt that is not known yet: whoever sees a picture hands it over (`Engine.encode`)
    while the next ones are still being decoded. The features stay until it is let go of (`Engine.let_go`)."""

    digests: list[bytes] = field(default_factory=list)  # of the features that are held for it
    is_over: bool = False  # nothing is encoded for it any more


@dataclass(frozen=True)
class Pictures:
    """Images of one prompt with their digests, which are a tenant's. To make them every byte is read, 10 MB for 1792×1792 pixels: in any
    thread, so that the engine's need not. `ahead` is let go of when the prompt has been computed, or cannot be any more."""

    images: tuple[Image, ...]
    tenant: str
    ahead: Ahead | None = None

    @classmethod
    def of(cls, pixel_values: torch.Tensor, image_grid_hws: GridHWs, tenant: str = "") -> Self:
        """Of patches [P, 3, patch, patch] and grids [I, 2]. Raises: ShapeError unless the grids account for the patches."""
        grids = image_grid_hws.tolist() if isinstance(image_grid_hws, torch.Tensor) else image_grid_hws
        pairs = [(int(h), int(w)) for h, w in grids]
        counts = [h * w for h, w in pairs]
        if sum(counts) != pixel_values.shape[0]:
            raise ShapeError(f"pixel_values has {pixel_values.shape[0]} patches and the grids {pairs} account for {sum(counts)}")
        return cls._named(zip(pixel_values.split(counts), pairs, strict=True), tenant)

    @classmethod
    def uncut(cls, views: Sequence[torch.Tensor], tenant: str = "", ahead: Ahead | None = None) -> Self:
        """Of pictures seen as patches, [rows, columns, 3, patch, patch] each: `ImageProcessor.pictures`. Raises: ShapeError."""
        for view in views:
            if view.ndim != 5 or view.shape[2] != 3:
                raise ShapeError(f"a picture is {list(view.shape)}; it must be [rows, columns, 3, patch, patch]")
        return cls._named(((view, (view.shape[0], view.shape[1])) for view in views), tenant, ahead)

    @classmethod
    def _named(cls, parts: Iterable[tuple[torch.Tensor, tuple[int, int]]], tenant: str, ahead: Ahead | None = None) -> Self:
        return cls(tuple(Image(part, grid, image_digest(part, grid, tenant)) for part, grid in parts), tenant, ahead)


def encoded_together(images: Iterable[Image], most: int = ENCODED_PATCHES) -> Iterator[list[Image]]:
    """These images, in groups of up to `most` patches, or of one image."""
    group, patches = list[Image](), 0
    for image in images:
        own = image.grid_hw[0] * image.grid_hw[1]
        if group and patches + own > most:
            yield group
            group, patches = [], 0
        group.append(image)
        patches += own
    if group:
        yield group
