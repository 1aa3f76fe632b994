"""What a reader of one kind of file gives, piece by piece: facts, and pixels where it is a picture.

Readers are plain generators over an open binary file. They run in a confined child process (`media/sandbox`), so what they give must be
small facts that JSON can hold, and pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # whoever makes one has it already; the command line starts the nursery before it has time for either
    import numpy as np
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Part:
    """`facts` are JSON values under short names. A picture is either `pixels_HWC`, uint8 [H, W, 3] RGB, contiguous, or `image`, of Pillow's
    mode RGB, whichever its decoder has: between the two lies a millisecond a megapixel.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    pixels_HWC: np.ndarray | None = None
    image: Image.Image | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels; None where there is no picture."""
        if self.image is not None:
            return self.image.size
        return None if self.pixels_HWC is None else (self.pixels_HWC.shape[1], self.pixels_HWC.shape[0])

    def as_pixels(self) -> np.ndarray:
        """The picture as uint8 [H, W, 3], however it is held. Raises: ValueError where there is none."""
        import numpy as np

        if self.image is not None:
            return np.asarray(self.image)
        if self.pixels_HWC is None:
            raise ValueError("this part has no picture")
        return self.pixels_HWC

    def as_image(self) -> Image.Image:
        """The picture as Pillow's, however it is held. Raises: ValueError where there is none."""
        from PIL import Image

        return self.image if self.image is not None else Image.fromarray(self.as_pixels())

    @property
    def pixel_bytes(self) -> int:
        """Of its picture at three bytes a pixel; 0 where there is none."""
        width, height = self.size or (0, 0)
        return 3 * width * height
