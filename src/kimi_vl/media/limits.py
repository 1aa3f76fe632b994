"""What one file may cost before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from kimi_vl.errors import MediaError


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLimits:
    """What one picture may cost. A 9 KB PNG can claim 81 megapixels, so bytes alone say little."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 64_000_000
    max_side: int = 16_384

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


DEFAULT_LIMITS = ImageLimits()
