"""Messages and pictures to tensors, tokens to text and thinking. Knows neither the model nor the network."""

from kimi_vl.processor.image import ImageProcessor, ImageProcessorConfig
from kimi_vl.processor.processor import Processor, Prompt
from kimi_vl.processor.thinking import THINK_CLOSE, THINK_OPEN, ThinkingParser, split_thinking
from kimi_vl.processor.tokenizer import IncrementalDecoder, Tokenizer

__all__ = [
    "THINK_CLOSE",
    "THINK_OPEN",
    "ImageProcessor",
    "ImageProcessorConfig",
    "IncrementalDecoder",
    "Processor",
    "Prompt",
    "ThinkingParser",
    "Tokenizer",
    "split_thinking",
]
