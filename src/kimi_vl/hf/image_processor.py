"""`KimiVLImageProcessor`: this package's image processor where transformers looks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_base import ImageProcessingMixin
from transformers.image_processing_utils import BaseImageProcessor

from kimi_vl.errors import InputError
from kimi_vl.media import load_image
from kimi_vl.media.fetch import Fetcher
from kimi_vl.processor.image import BOOKKEEPING_KEYS, ImageProcessor, ImageProcessorConfig


class KimiVLImageProcessor(BaseImageProcessor):
    """Takes the keys of `preprocessor_config.json`, none of which has a default. Raises: ConfigError."""

    model_input_names = ["pixel_values", "image_grid_hws"]  # noqa: RUF012 - transformers reads it from the class

    def __init__(self, **values: Any) -> None:
        names = ImageProcessorConfig.__dataclass_fields__
        # Not BaseImageProcessor's: it sets up resizing and normalising of its own.
        ImageProcessingMixin.__init__(self, **{key: value for key, value in values.items() if key not in names})
        self._processor = ImageProcessor(ImageProcessorConfig.from_dict({k: v for k, v in values.items() if not k.startswith("_")}))
        self.facts = self._processor.config

    def __call__(self, images: Any, return_tensors: str | None = None, **kwargs: Any) -> BatchFeature:
        """pixel_values fp32 [P, 3, 14, 14] and image_grid_hws int64 [I, 2] of PIL images, paths, web addresses, bytes
        or uint8 arrays [H, W, 3], in lists of any depth.

        Raises: InputError, MediaError.
        """
        return self.preprocess(images, return_tensors=return_tensors, **kwargs)

    def preprocess(self, images: Any, return_tensors: str | None = None, **kwargs: Any) -> BatchFeature:
        """As `__call__`."""
        if unknown := {key for key, value in kwargs.items() if value is not None} - {"device", "input_data_format"}:
            raise InputError(f"the image processor has no option {min(unknown)!r}; what it does is in preprocessor_config.json")
        pixel_values, image_grid_hws = self._processor(_flat(images))
        if return_tensors not in (None, "pt"):
            return BatchFeature(
                {"pixel_values": pixel_values.numpy(), "image_grid_hws": image_grid_hws.numpy()}, tensor_type=return_tensors
            )
        return BatchFeature({"pixel_values": pixel_values, "image_grid_hws": image_grid_hws})

    def token_count(self, width: int, height: int) -> int:
        """Tokens that a picture takes in the prompt. Raises: MediaError."""
        return self._processor.token_count(width, height)

    def to_dict(self) -> dict[str, Any]:
        kept = {key: value for key, value in self.__dict__.items() if key in BOOKKEEPING_KEYS and value is not None}
        return {**kept, "image_processor_type": type(self).__name__, **self.facts.to_dict()}


def _flat(images: Any) -> Iterator[Image.Image]:
    if isinstance(images, (list, tuple)):
        for image in images:
            yield from _flat(image)
    elif isinstance(images, (Image.Image, str, Path, bytes)):
        yield load_image(images, fetcher=Fetcher())
    elif isinstance(images, (np.ndarray, torch.Tensor)):
        pixels = np.asarray(images)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] != 3:
            raise InputError(f"a picture as an array is uint8 [H, W, 3], not {pixels.dtype} {list(pixels.shape)}; or pass a PIL image")
        yield Image.fromarray(pixels)
    else:
        raise InputError(f"an image is a PIL image, a path, an address, bytes or a uint8 array [H, W, 3], not {type(images).__name__}")
