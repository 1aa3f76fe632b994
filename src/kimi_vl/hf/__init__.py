"""Kimi-VL for programs written with transformers: the official class names, registered for the Auto classes, over this package's network.

`import kimi_vl.hf` is all it takes; afterwards `AutoModelForCausalLM`, `AutoModelForImageTextToText`, `AutoProcessor`, `AutoTokenizer`,
`AutoImageProcessor` and `pipeline` take folders in the official layout, without code from the folder.
"""

from kimi_vl.hf.version import check_transformers

check_transformers()

from kimi_vl.hf.cache import KimiVLCache  # noqa: E402 - what follows imports transformers, whose version has been checked now
from kimi_vl.hf.configuration import KimiVLConfig, KimiVLTextConfig, MoonViTConfig  # noqa: E402
from kimi_vl.hf.image_processor import KimiVLImageProcessor  # noqa: E402
from kimi_vl.hf.model import KimiVLForConditionalGeneration  # noqa: E402
from kimi_vl.hf.pipeline import KimiVLPipeline  # noqa: E402
from kimi_vl.hf.processor import KimiVLProcessor  # noqa: E402
from kimi_vl.hf.registration import register  # noqa: E402
from kimi_vl.hf.tokenizer import TikTokenTokenizer  # noqa: E402

register()

__all__ = [
    "KimiVLCache",
    "KimiVLConfig",
    "KimiVLForConditionalGeneration",
    "KimiVLImageProcessor",
    "KimiVLPipeline",
    "KimiVLProcessor",
    "KimiVLTextConfig",
    "MoonViTConfig",
    "TikTokenTokenizer",
]
