"""`KimiVLProcessor`: pictures and rendered text to what the model takes."""

from __future__ import annotations

import os
from typing import Any

import torch
from transformers import BatchFeature, ProcessorMixin

from kimi_vl.errors import InputError
from kimi_vl.hf.folders import HUB_OPTIONS, folder_of
from kimi_vl.hf.image_processor import KimiVLImageProcessor
from kimi_vl.hf.template import TEMPLATE
from kimi_vl.hf.tokenizer import TikTokenTokenizer

PAD = "<|media_pad|>"
TEMPLATE_FILE = "chat_template.jinja"


class KimiVLProcessor(ProcessorMixin):
    """Tokenizer, image processor and chat template of one checkpoint."""

    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012 - transformers reads all three from the class
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"
    image_token = PAD

    def __init__(
        self, image_processor: KimiVLImageProcessor, tokenizer: TikTokenTokenizer, chat_template: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template or TEMPLATE)
        self.image_token_id = tokenizer.convert_tokens_to_ids(PAD)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any) -> Any:
        """Read `tiktoken.model`, `tokenizer_config.json`, `preprocessor_config.json` and, if there is one, `chat_template.jinja`.

        Raises: ConfigError, CheckpointError.
        """
        folder = folder_of(pretrained_model_name_or_path, {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs})
        tokenizer_options = {name: kwargs[name] for name in ("padding_side", "model_max_length") if name in kwargs}
        template = folder / TEMPLATE_FILE
        return cls(
            KimiVLImageProcessor.from_pretrained(folder),
            TikTokenTokenizer.from_pretrained(folder, **tokenizer_options),
            chat_template=template.read_text(encoding="utf-8") if template.is_file() else None,
        )

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write the files that `from_pretrained` reads, under the official names."""
        if push_to_hub:
            raise InputError("push_to_hub is not done from here; save into a folder and upload it with `hf upload`")
        os.makedirs(save_directory, exist_ok=True)
        self.image_processor.processor_class = type(self).__name__  # by which AutoProcessor finds this class
        self.image_processor.save_pretrained(save_directory)
        self.tokenizer.save_pretrained(save_directory)
        with open(os.path.join(save_directory, TEMPLATE_FILE), "w", encoding="utf-8") as file:
            file.write(self.chat_template)

    def __call__(
        self,
        images: Any = None,
        text: str | list[str] | None = None,
        videos: Any = None,
        audio: Any = None,
        return_tensors: str | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """input_ids and attention_mask [B, T], and of images pixel_values fp32 [P, 3, 14, 14] and image_grid_hws int64 [I, 2].

        `text` is what `apply_chat_template` gives, one string or a list; its image marks take the images (PIL, paths, addresses, arrays,
        in lists of any depth) from left to right. Other options, such as `padding` and `truncation`, are the tokenizer's.
        Raises: InputError where marks and images differ in number, or truncation would cut an image; MediaError.
        """
        if videos is not None or audio is not None:
            raise InputError(f"{'videos' if videos is not None else 'audio'} is not taken: pass a video's frames as images, in their order")
        if text is None and images is None:
            raise InputError("pass text, or images, or both")
        for group in ("text_kwargs", "common_kwargs"):
            kwargs |= kwargs.pop(group, None) or {}
        pictures = BatchFeature({})
        if images is not None:
            pictures = self.image_processor(images, return_tensors="pt", **(kwargs.pop("images_kwargs", None) or {}))
        if text is None:
            return pictures
        texts = [text] if isinstance(text, str) else list(text)
        counts = [] if images is None else [h * w // 4 for h, w in pictures["image_grid_hws"].tolist()]
        encoded = self.tokenizer(_expanded(texts, counts), return_tensors=return_tensors, **kwargs)
        self._check_whole(encoded["input_ids"], sum(counts) if counts else 0)
        if isinstance(text, str) and return_tensors is None and kwargs.get("return_overflowing_tokens") is None:
            encoded = {key: value[0] for key, value in encoded.items()}
        if return_tensors not in (None, "pt"):
            pictures = BatchFeature({key: value.numpy() for key, value in pictures.items()}, tensor_type=return_tensors)
        return BatchFeature({**encoded, **pictures})

    def _check_whole(self, rows: Any, expected: int) -> None:
        found = sum(int((torch.as_tensor(row) == self.image_token_id).sum()) for row in rows)
        if found != expected:
            raise InputError(f"truncation left {found} of {expected} image tokens; pass a larger max_length, or smaller pictures")

    @property
    def model_input_names(self) -> list[str]:
        return [*self.tokenizer.model_input_names, *self.image_processor.model_input_names]


def _expanded(texts: list[str], counts: list[int]) -> list[str]:
    """Each image mark as often as its image has tokens."""
    marks = sum(text.count(PAD) for text in texts)
    if marks != len(counts):
        raise InputError(
            f"the text has {marks} image marks ({PAD}) and there are {len(counts)} images; render the text with apply_chat_template, "
            "from messages with one image part for each"
        )
    following = iter(counts)
    expanded = []
    for text in texts:
        first, *rest = text.split(PAD)
        expanded.append(first + "".join(PAD * next(following) + piece for piece in rest))
    return expanded
