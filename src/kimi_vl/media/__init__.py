"""Bytes of media to pictures. Knows files and formats, nothing of patches, tokens or the network."""

from kimi_vl.media.decode import Frames, ImageLimits, load_frames, load_image

__all__ = ["Frames", "ImageLimits", "load_frames", "load_image"]
