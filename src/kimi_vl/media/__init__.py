"""Files, bytes and addresses to pictures. Knows files and formats, nothing of patches, tokens or the network of the model."""

from importlib import import_module

TYPE_CHECKING = False  # as in kimi_vl/__init__.py
if TYPE_CHECKING:
    from kimi_vl.media.frames import Frame, Frames, load_image
    from kimi_vl.media.limits import ImageLimits
    from kimi_vl.media.medium import Medium, load_frames, open_medium

# Imported on first use: the processes that decode need only what is beside their readers, and are started often.
_HOMES = {
    "Frame": "kimi_vl.media.frames",
    "Frames": "kimi_vl.media.frames",
    "ImageLimits": "kimi_vl.media.limits",
    "Medium": "kimi_vl.media.medium",
    "load_frames": "kimi_vl.media.medium",
    "load_image": "kimi_vl.media.frames",
    "open_medium": "kimi_vl.media.medium",
}

__all__ = ["Frame", "Frames", "ImageLimits", "Medium", "load_frames", "load_image", "open_medium"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'kimi_vl.media' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
