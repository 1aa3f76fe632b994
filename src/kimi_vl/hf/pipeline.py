"""`pipeline("image-text-to-text")` with Kimi-VL, for the shapes of arguments that people pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import ImageTextToTextPipeline

from kimi_vl.errors import InputError
from kimi_vl.hf.model import KimiVLForConditionalGeneration
from kimi_vl.hf.processor import PAD

_IMAGES, _TEXT = ("images", "image", "frames"), ("text", "prompt")


class KimiVLPipeline(ImageTextToTextPipeline):
    """Beside what transformers documents: a dictionary with `image`, `images` or `frames` and `prompt` or `text`, or a list of them; and
    text without image marks, which is asked as a user's turn about the images. With any other model it is transformers' own.
    """

    def check_model_type(self, supported_models: Any) -> None:
        if not self._is_ours():
            super().check_model_type(supported_models)

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> Any:
        if self._is_ours() and text is None:
            if _is_question(images):
                images, text = _question(images)
            elif isinstance(images, (list, tuple)) and images and all(map(_is_question, images)):
                pairs = [_question(one) for one in images]
                images, text = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        if self._is_ours() and isinstance(text, list) and all(isinstance(one, str) for one in text) and images is not None:
            if not isinstance(images, (list, tuple)) or len(images) != len(text):
                raise InputError(f"{len(text)} texts need as many entries of images, each an image or a list of frames")
            return [super(KimiVLPipeline, self).__call__(image, one, **kwargs) for image, one in zip(images, text, strict=True)]
        return super().__call__(images, text, **kwargs)

    def preprocess(
        self, inputs: Any = None, timeout: float | None = None, continue_final_message: bool | None = None, **kwargs: Any
    ) -> Any:
        plain = isinstance(inputs, str) or (isinstance(inputs, Mapping) and isinstance(inputs.get("text"), str))
        if not self._is_ours() or not plain:
            return super().preprocess(inputs, timeout, continue_final_message, **kwargs)
        images, text = (None, inputs) if isinstance(inputs, str) else (inputs.get("images"), inputs["text"])
        frames = [] if images is None else list(images) if isinstance(images, (list, tuple)) else [images]
        prompt = text
        if PAD not in text:
            content = [*({"type": "image", "image": frame} for frame in frames), {"type": "text", "text": text}]
            prompt = self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        options = kwargs.pop("processor_kwargs", None) or kwargs
        model_inputs = self.processor(images=frames or None, text=prompt, return_tensors="pt", **options).to(dtype=self.dtype)
        model_inputs["text"] = text
        return model_inputs

    def _is_ours(self) -> bool:
        model = getattr(self.model, "base_model", None) if hasattr(self.model, "peft_config") else self.model
        return isinstance(getattr(model, "model", model), KimiVLForConditionalGeneration) or isinstance(
            model, KimiVLForConditionalGeneration
        )


def _is_question(value: Any) -> bool:
    return isinstance(value, Mapping) and any(key in value for key in _TEXT)


def _question(value: Mapping[str, Any]) -> tuple[Any, str]:
    """Raises: InputError for keys that nobody reads."""
    for key in value:
        if key not in (*_IMAGES, *_TEXT):
            raise InputError(
                f"the dictionary has an unknown key {str(key)[:40]!r}; it takes 'image', 'images' or 'frames', and 'prompt' or 'text'"
            )
    images = [value[key] for key in _IMAGES if key in value]
    texts = [value[key] for key in _TEXT if key in value]
    if len(images) > 1 or len(texts) != 1:
        raise InputError("the dictionary takes one of 'image', 'images' and 'frames', and one of 'prompt' and 'text'")
    return (images[0] if images else None), texts[0]
