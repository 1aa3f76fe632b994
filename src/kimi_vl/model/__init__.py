"""The network, readable beside the paper: MoonViT, projector and the Moonlight decoder. Knows no requests, no text, no server."""

from kimi_vl.model.cache import LatentCache
from kimi_vl.model.kimi_vl import KimiVLForConditionalGeneration

__all__ = ["KimiVLForConditionalGeneration", "LatentCache"]
