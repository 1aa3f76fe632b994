"""What one file may cost before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from kimi_vl.errors import MediaError

RGB_BYTES = 3  # of a decoded pixel


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLimits:
    """What one picture may cost. A 9 KB PNG can claim 81 megapixels, so bytes alone say little.

    `left_pixels` is what the pictures before it have left of a request's budget (`media/budget.py`); None is no budget.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 64_000_000
    max_side: int = 16_384
    left_pixels: int | None = None

    def check(self, width: int, height: int, name: str) -> None:
        """Raises: MediaError for a picture that is empty, too wide, too high or too large."""
        if width < 1 or height < 1:
            raise MediaError(f"{name} is {width}×{height} pixels: there is nothing in it", "invalid_image")
        if max(width, height) > self.max_side or width * height > self.max_pixels:
            raise MediaError(
                f"{name} is {width:,}×{height:,} pixels; at most {self.max_pixels:,} pixels and {self.max_side:,} on a side are read. "
                "Scale it down or cut it into parts",
                "image_too_large",
            )
        if self.left_pixels is not None and width * height > self.left_pixels:
            raise over_budget(name, width, height, self.left_pixels)


def over_budget(name: str, width: int, height: int, left_pixels: int) -> MediaError:
    """What to say of a picture that is within its own limits and beyond its request's."""
    return MediaError(
        f"{name} is {width:,}×{height:,} pixels, and the pictures before it leave room for {left_pixels:,} in this request; "
        "pass fewer or smaller ones",
        "media_too_large",
    )


DEFAULT_LIMITS = ImageLimits()
