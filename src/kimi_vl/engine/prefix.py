"""What a page is filled with, as a key: equal keys mean equal latents.

A latent depends on every token before it, so a page's key is a digest of the key of the page before and of its own tokens, where an image
placeholder counts as the image it stands for and the place in it. The first page's parent is the namespace: keys of two tenants never meet.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import torch

DIGEST_BYTES = 16
_SECRET = secrets.token_bytes(32)  # of this process, so that nobody can compute keys, or tell from timing which exist


@dataclass(frozen=True)
class ImageSpan:
    """An image inside of a prompt: its placeholders stand at `start`, `count` of them; `digest` tells its pixels, shape and mode."""

    start: int
    count: int
    digest: bytes


def namespace(tenant: str) -> bytes:
    """The parent of a tenant's first pages."""
    return _digest(b"tenant", tenant.encode())


def image_digest(pixel_values: torch.Tensor, grid_hw: tuple[int, int], tenant: str) -> bytes:
    """Of one image's patches [P, 3, patch, patch], with shape and dtype: the same bytes in another shape are another image, and so they are
    of another tenant."""
    pixels = pixel_values.detach().cpu().contiguous()
    facts = f"{tuple(grid_hw)} {tuple(pixels.shape)} {pixels.dtype}"
    return _digest(b"image", tenant.encode(), facts.encode(), pixels.view(torch.uint8).numpy().tobytes())


def page_key(parent: bytes, token_ids: Sequence[int], start: int, images: Sequence[ImageSpan]) -> bytes:
    """The key of a page with these tokens, whose first stands at `start` of its sequence. `images` are all of the sequence's."""
    stop = start + len(token_ids)
    parts = [parent, b"".join(token.to_bytes(4, "little") for token in token_ids)]
    for image in images:
        if image.start < stop and start < image.start + image.count:
            parts += [image.digest, f"{image.start - start} {image.count}".encode()]
    return _digest(b"page", *parts)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES, key=_SECRET)
    for part in parts:  # with its length, so that no two lists of parts read alike
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
