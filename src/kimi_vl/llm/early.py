"""Frames and pages are encoded while the next ones are decoded: a decoder is a process of its own, so both can run at once.

Whoever looks at a question's media hands each picture over as it arrives (`processor.views.look`); the prompt finds its features there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from kimi_vl.engine import Ahead, Pictures
from kimi_vl.engine.memory import memory_limit
from kimi_vl.engine.pictures import Image
from kimi_vl.errors import EngineStopped
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.processor.image import Cut, ImageProcessor


class Early(Protocol):
    """Takes pictures of one question as they arrive. `close` frees what has been made of them, and may be called from any thread; `take`
    then raises EngineStopped, which ends whoever still decodes."""

    def take(self, cut: Cut) -> None: ...

    def close(self) -> None: ...


class Encoder(Protocol):
    """An engine in whichever thread: `engine.Desk`, `engine.AsyncEngine`."""

    def encode(self, ahead: Ahead, image: Image) -> None: ...

    def let_go(self, ahead: Ahead) -> None: ...


class EngineEarly:
    """By an engine, among the steps of others, for as long as its prompt is not computed."""

    def __init__(self, engine: Callable[[], Encoder], tenant: str = "") -> None:
        """`engine` gives it when the first picture arrives."""
        self._find, self._tenant = engine, tenant
        self._engine: Encoder | None = None
        self.ahead = Ahead()

    def take(self, cut: Cut) -> None:
        """Raises: EngineStopped once it is closed, or the engine is gone."""
        if self.ahead.is_over:
            raise EngineStopped("nobody waits for this answer any more")
        self._engine = self._engine or self._find()
        self._engine.encode(self.ahead, Pictures.uncut([cut.patches], self._tenant).images[0])

    def close(self) -> None:
        """Again is no harm."""
        self.ahead.is_over = True  # now, and not in the engine's thread: what is taken meanwhile is not encoded
        if self._engine is not None:
            self._engine.let_go(self.ahead)


class PlainEarly:
    """By the model itself, one picture after another, for the plain path."""

    def __init__(self, model: KimiVLForConditionalGeneration, image_processor: ImageProcessor) -> None:
        self._model, self._image_processor = model, image_processor
        self._features: dict[Cut, torch.Tensor] = {}

    def take(self, cut: Cut) -> None:
        """Raises: CapacityError."""
        self._features[cut] = self._encoded(cut)

    def close(self) -> None:
        """Again is no harm."""
        self._features.clear()

    def features(self, cuts: Sequence[Cut]) -> torch.Tensor | None:
        """Of all these, [M, D], those that did not arrive before included; None where none did: the prompt then encodes them together."""
        if not self._features:
            return None
        found, self._features = self._features, {}
        return torch.cat([found[cut] if cut in found else self._encoded(cut) for cut in cuts])

    @torch.inference_mode()
    def _encoded(self, cut: Cut) -> torch.Tensor:
        rows, columns = cut.patches.shape[:2]
        with memory_limit("encoding a picture", "pass smaller ones, or run on another device"):
            pixel_values = self._image_processor.normalised(cut.patches.flatten(0, 1).to(self._model.device))
            return self._model.image_features(pixel_values, [(rows, columns)])
