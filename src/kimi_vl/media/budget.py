"""What all pictures of one request may take once they are decoded: each may be within its limits, and sixty-four of them 12 GB."""

from __future__ import annotations

from dataclasses import replace

from kimi_vl.media.limits import DEFAULT_LIMITS, RGB_BYTES, ImageLimits, over_budget

MAX_DECODED_BYTES = 512 << 20  # RELIABILITY 2.1; vLLM has 683 MiB


class DecodedBudget:
    """Counts the pixels of one request at three bytes each. Not for several threads at once: a request's pictures have an order."""

    def __init__(self, max_bytes: int = MAX_DECODED_BYTES) -> None:
        self.max_bytes, self.spent = max_bytes, 0

    @property
    def left(self) -> int:
        """Bytes."""
        return max(0, self.max_bytes - self.spent)

    def within(self, limits: ImageLimits = DEFAULT_LIMITS) -> ImageLimits:
        """`limits` for the next picture, which is then refused from its header where it does not fit into what is left."""
        return replace(limits, left_pixels=self.left // RGB_BYTES)

    def spend(self, width: int, height: int, name: str) -> None:
        """Count one picture, such as a frame of a video. Raises: MediaError where it does not fit; then it is not counted."""
        if RGB_BYTES * width * height > self.left:
            raise over_budget(name, width, height, self.left // RGB_BYTES)
        self.spent += RGB_BYTES * width * height
