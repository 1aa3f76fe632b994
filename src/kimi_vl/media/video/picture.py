"""A decoded frame as the RGB pixels that a player would show: scaled, in its own colours, upright, on white."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from kimi_vl.errors import MediaError
from kimi_vl.media.video.container import reason

Size = tuple[int, int]  # width, height in pixels

MAX_STRETCH = 16  # a pixel's width by its height, or the other way round; more is a damaged header
HD_LINES, HD_COLUMNS = 720, 1280  # from here on pictures that do not say so are BT.709, below BT.601, as players have it

# What a frame says of itself (AVColorSpace) to the coefficients of swscale. 0 is RGB, 2 says nothing.
MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}

SHRINKING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def shown_size(frame: VideoFrame, aspect: Fraction | None) -> Size:
    """Width and height of `frame` as shown: pixels made square (`aspect` is a pixel's width by its height), and turned upright."""
    width, height = frame.width, frame.height
    if aspect and aspect > 0 and Fraction(1, MAX_STRETCH) <= aspect <= MAX_STRETCH:
        width = max(1, round(width * aspect))
    return (height, width) if quarter_turns(frame) % 2 else (width, height)


def quarter_turns(frame: VideoFrame) -> int:
    """How often the frame is turned left by a right angle to stand upright: 0 to 3."""
    return round(frame.rotation / 90) % 4


class Painter:
    """Makes pixels of frames; it keeps what swscale has prepared for the frame before, which mostly fits the next."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def pixels(self, frame: VideoFrame, size: Size) -> np.ndarray:
        """uint8 [H, W, 3] RGB of `frame` at `size` (width, height, upright). Raises: MediaError for a format that swscale does not know."""
        turns = quarter_turns(frame)
        width, height = size[::-1] if turns % 2 else size
        transparent = any(component.is_alpha for component in frame.format.components)
        kind = "rgba" if transparent else "rgb24"
        try:
            drawn = self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format=kind,
                src_colorspace=matrix(frame),
                src_color_range=colour_range(frame),
                dst_color_range=ColorRange.JPEG,
                interpolation=SHRINKING,
                threads=1,
            )
        except (FFmpegError, ValueError) as error:
            raise MediaError(
                f"pictures of the format {frame.format.name} cannot be converted to RGB ({reason(error)}); convert the video",
                "unsupported_media",
            ) from None
        pixels = drawn.to_ndarray()
        return np.ascontiguousarray(np.rot90(on_white(pixels) if transparent else pixels, turns))


def matrix(frame: VideoFrame) -> Colorspace:
    """The coefficients that made brightness and colour differences of RGB."""
    large = frame.height >= HD_LINES or frame.width >= HD_COLUMNS
    return MATRICES.get(frame.colorspace, Colorspace.ITU709 if large else Colorspace.ITU601)


def colour_range(frame: VideoFrame) -> ColorRange:
    """Full (0 to 255) or limited (16 to 235), as the frame says; else what its format is used for."""
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return ColorRange(frame.color_range)
    return ColorRange.JPEG if frame.format.is_rgb or frame.format.name.startswith("yuvj") else ColorRange.MPEG


def on_white(pixels_HW4: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] of RGB with alpha, laid on white and rounded; what hides under alpha 0 is gone."""
    alpha_HW1 = pixels_HW4[..., 3:].astype(np.uint16)
    mixed_HW3 = pixels_HW4[..., :3] * alpha_HW1 + 255 * (255 - alpha_HW1)
    return ((mixed_HW3 + 127) // 255).astype(np.uint8)
