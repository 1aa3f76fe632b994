"""Tells transformers' Auto classes whom to ask for `model_type: kimi_vl`."""

from __future__ import annotations

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
)
from transformers.models.auto.image_processing_auto import AutoImageProcessor  # without torchvision, releases up to 5.17 hide it above
from transformers.pipelines import PIPELINE_REGISTRY

from kimi_vl.hf.configuration import KimiVLConfig
from kimi_vl.hf.image_processor import KimiVLImageProcessor
from kimi_vl.hf.model import KimiVLForConditionalGeneration
from kimi_vl.hf.pipeline import KimiVLPipeline
from kimi_vl.hf.processor import KimiVLProcessor
from kimi_vl.hf.tokenizer import TikTokenTokenizer


def register() -> None:
    """Once or more often. A class that is registered from outside of transformers wins over code that lies in a folder."""
    AutoConfig.register(KimiVLConfig.model_type, KimiVLConfig, exist_ok=True)
    for auto in (AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText):
        auto.register(KimiVLConfig, KimiVLForConditionalGeneration, exist_ok=True)
    AutoTokenizer.register(KimiVLConfig, slow_tokenizer_class=TikTokenTokenizer, exist_ok=True)
    AutoImageProcessor.register(KimiVLConfig, slow_image_processor_class=KimiVLImageProcessor, exist_ok=True)
    AutoProcessor.register(KimiVLConfig, KimiVLProcessor, exist_ok=True)
    PIPELINE_REGISTRY.supported_tasks["image-text-to-text"]["impl"] = KimiVLPipeline
