"""Messages and pictures to what the model takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from kimi_vl.media import load_image
from kimi_vl.processor.chat import ImageSource, Message, image_sources, normalise, render
from kimi_vl.processor.image import Cut, ImageProcessor, ImageProcessorConfig
from kimi_vl.processor.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """Ids of T tokens, with pixel_values fp32 [P, 3, 14, 14] and image_grid_hws int64 [I, 2], both None without images.

    `num_image_tokens` of the ids are placeholders: one per merged token, P / 4 in all.
    """

    input_ids: list[int]
    pixel_values: torch.Tensor | None
    image_grid_hws: torch.Tensor | None
    num_image_tokens: int


class Processor:
    """The tokenizer and the image processor of one checkpoint."""

    def __init__(self, tokenizer: Tokenizer, image_processor: ImageProcessor) -> None:
        self.tokenizer = tokenizer
        self.image_processor = image_processor

    @classmethod
    def from_pretrained(cls, folder: str | Path, vocab_size: int | None = None) -> Self:
        """Read `tiktoken.model`, `tokenizer_config.json` and `preprocessor_config.json` from a checkpoint folder.

        `vocab_size` is the number of rows of the embedding, see `Tokenizer.from_files`. Raises: CheckpointError, ConfigError.
        """
        folder = Path(folder)
        tokenizer = Tokenizer.from_files(folder / "tiktoken.model", folder / "tokenizer_config.json", vocab_size=vocab_size)
        return cls(tokenizer, ImageProcessor(ImageProcessorConfig.from_file(folder / "preprocessor_config.json")))

    def images(self, sources: Iterable[ImageSource]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (pixel_values fp32 [P, 3, 14, 14], image_grid_hws int64 [I, 2]) of paths, bytes, data URLs, PIL images or `Cut` ones.

        Raises: MediaError for a picture that cannot be read or is too elongated.
        """
        return self.image_processor(source if isinstance(source, Cut) else load_image(source) for source in sources)

    def prompt(self, messages: Sequence[Mapping[str, Any] | Message], prefix: str = "") -> Prompt:
        """Everything the model needs to answer `messages` (see `chat.normalise` for their form and `chat.render` for `prefix`).

        Raises: InputError for malformed messages, before any picture is opened; MediaError for a picture.
        """
        normal = normalise(messages)
        sources = image_sources(normal)
        if not sources:
            return Prompt(render(normal, self.tokenizer, [], prefix=prefix), None, None, 0)
        pixel_values, image_grid_hws = self.images(sources)
        counts = [h * w // 4 for h, w in image_grid_hws.tolist()]
        return Prompt(render(normal, self.tokenizer, counts, prefix=prefix), pixel_values, image_grid_hws, sum(counts))

    def length(self, messages: Sequence[Mapping[str, Any] | Message], prefix: str = "") -> int:
        """Tokens of the prompt that `prompt` would make, without making its tensors. Raises: as `prompt`."""
        normal = normalise(messages)
        sizes = [source.size if isinstance(source, Cut) else load_image(source).size for source in image_sources(normal)]
        counts = [self.image_processor.token_count(*size) for size in sizes]
        return len(render(normal, self.tokenizer, counts, prefix=prefix))
