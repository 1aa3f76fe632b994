"""What a page is filled with, as a key: equal keys mean equal latents.

A latent depends on every token before it, so a page's key is a digest of the key of the page before and of its own tokens, where an image
placeholder counts as the image it stands for and the place in it. The first page's parent is the namespace: keys of two tenants never meet.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

DIGEST_BYTES = 16
PART_BYTES = 1 << 20
HASH_THREADS = min(4, os.cpu_count() or 1)
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
    """Of one image's patches [P, 3, patch, patch] or the view [rows, columns, 3, patch, patch], with shape, order and dtype: the same bytes
    in another shape are another image, and so they are of another tenant."""
    pixels = pixel_values.detach().cpu()
    order = sorted(range(pixels.ndim), key=pixels.stride, reverse=True)
    rows = pixels.permute(order).contiguous()  # as they lie in memory, which is no copy
    facts = f"{tuple(grid_hw)} {tuple(pixels.shape)} {order} {pixels.dtype}"
    return _digest(b"image", tenant.encode(), facts.encode(), _parts_digest(rows.view(torch.uint8).flatten().numpy().data))


def page_key(parent: bytes, token_ids: Sequence[int], start: int, images: Sequence[ImageSpan]) -> bytes:
    """The key of a page with these tokens, whose first stands at `start` of its sequence. `images` are all of the sequence's."""
    stop = start + len(token_ids)
    parts = [parent, b"".join(token.to_bytes(4, "little") for token in token_ids)]
    for image in images:
        if image.start < stop and start < image.start + image.count:
            parts += [image.digest, f"{image.start - start} {image.count}".encode()]
    return _digest(b"page", *parts)


def _parts_digest(data: memoryview) -> bytes:
    """The SHA-256 of every MiB, in threads: hashlib computes without the interpreter's lock. Processors have instructions for it, and give
    1.6 GB/s, twice as much as for BLAKE2b; that nobody can compute keys is for `_digest` to see to."""
    parts = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]
    if len(parts) < 2:
        return hashlib.sha256(data).digest()
    with ThreadPoolExecutor(min(len(parts), HASH_THREADS)) as pool:
        return b"".join(pool.map(lambda part: hashlib.sha256(part).digest(), parts))


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES, key=_SECRET)
    for part in parts:  # with its length, so that no two lists of parts read alike
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
