"""What both interfaces of Cog share: one loaded variant, and inputs to a streamed answer."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kimi_vl import KimiVL
from kimi_vl.errors import InputError
from kimi_vl.processor.thinking import THINK_CLOSE, THINK_OPEN

HUB = {
    "thinking-2506": "moonshotai/Kimi-VL-A3B-Thinking-2506",
    "thinking": "moonshotai/Kimi-VL-A3B-Thinking",
    "instruct": "moonshotai/Kimi-VL-A3B-Instruct",
}


class Adapter:
    """Holds one variant, at first that of KIMI_VL_VARIANT (thinking-2506); a request for another puts it in its place.

    Weights are those of the folder KIMI_VL_WEIGHTS/VARIANT where there is one, else the hub's; nano is in the package.
    Cog gives one prediction at a time, so nothing here is locked.
    """

    def __init__(self) -> None:
        self.variant = ""
        self._model: KimiVL | None = None
        self._load(os.environ.get("KIMI_VL_VARIANT", "thinking-2506"))

    def stream(
        self, prompt: str, *, image: object, images: Sequence[object] | None, video: object, pdf: object, variant: str, **options: Any
    ) -> Iterator[str]:
        """The thought, between its marks, and the answer, as they come. Options are those of `KimiVL.stream`. Raises: KimiVLError."""
        if not prompt.strip():
            raise InputError("prompt is empty; it must be a question")
        model = self._load(variant or self.variant)
        media = [Path(str(given)) for given in (image, *(images or ()), video, pdf) if given is not None]
        pieces = model.stream(prompt, media, **options)
        kind = "text"
        try:
            for piece in pieces:
                if piece.kind != kind:
                    kind = piece.kind
                    yield THINK_OPEN if kind == "thinking" else THINK_CLOSE
                yield piece.text
        finally:
            pieces.close()  # a cancelled prediction computes nothing more

    def _load(self, variant: str) -> KimiVL:
        if self._model is not None and variant == self.variant:
            return self._model
        if variant not in (*HUB, "nano"):
            raise InputError(f"variant is {variant[:40]!r}; it must be one of {', '.join((*HUB, 'nano'))}")
        self._model = None  # its memory goes before the new one's comes
        self._model = KimiVL.load(_weights(variant), fit="auto")
        self.variant = variant
        return self._model


def _weights(variant: str) -> str | Path | None:
    if variant == "nano":
        return None
    folder = Path(os.environ.get("KIMI_VL_WEIGHTS", "weights")) / variant
    return folder if folder.is_dir() else HUB[variant]
