"""A whole checkpoint folder with small random weights and nano's tokenizer, and models that say what a test wants over that tokenizer."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from kimi_vl.checkpoint import save_checkpoint
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import SamplingParams
from kimi_vl.llm import KimiVL
from kimi_vl.processor import Processor
from tests.checkpoint.files import random_state
from tests.configs import TINY
from tests.engine.scripted import ScriptedModel

NANO = Path(str(files("kimi_vl.checkpoint"))) / "nano"
NOT_WEIGHTS = ("tiktoken.model", "tokenizer_config.json", "preprocessor_config.json")
MEDIA_PAD = "<|media_pad|>"


@cache
def processor() -> Processor:
    return Processor.from_pretrained(NANO)


def tiny_config(context: int = 600) -> KimiVLConfig:
    values = copy.deepcopy(TINY)
    values["text_config"].update(vocab_size=processor().tokenizer.vocab_size, max_position_embeddings=context)
    values["media_placeholder_token_id"] = processor().tokenizer.special(MEDIA_PAD)
    return KimiVLConfig.from_dict(values)


def write_tiny_checkpoint(folder: Path, *, context: int = 600, endless: bool = False) -> Path:
    """A folder that loads: random weights, norms around one and matrices of a size that keeps activations ordinary.

    `endless`: the end tokens have the logit 0, the median, so that top-k 1000 never draws one.
    """
    config = tiny_config(context)
    state = {name: tensor * 0.1 + ("norm" in name and name.endswith("weight")) for name, tensor in random_state(config).items()}
    if endless:
        state["language_model.lm_head.weight"][sorted(processor().tokenizer.end_ids)] = 0.0
    save_checkpoint(state, config, folder)
    for name in NOT_WEIGHTS:
        shutil.copy(NANO / name, folder)
    return folder


def tokens_of(*texts: str) -> list[int]:
    """The ids of the texts, each encoded on its own."""
    return [token for text in texts for token in processor().tokenizer.encode(text)]


def byte_tokens(text: str) -> list[int]:
    """The ids of the text with one token per byte."""
    tokenizer = processor().tokenizer
    by_byte = {tokenizer.decode_bytes([i]): i for i in range(min(tokenizer.special_ids.values()))}
    return [by_byte[bytes([byte])] for byte in text.encode()]


def scripted_llm(answer: list[int] | Callable[[tuple[int, ...]], int], *, context: int = 1000, name: str = "scripted") -> KimiVL:
    """A KimiVL whose model says `answer` (and then the end token) to whatever prompt, or is a function of the tokens so far."""
    end = min(processor().tokenizer.end_ids)

    def script(so_far: tuple[int, ...]) -> int:
        if callable(answer):
            return answer(so_far)
        said = len(so_far) - model.prompt_length
        return answer[said] if said < len(answer) else end

    model = ScriptedModel(script, context=context, vocabulary=processor().tokenizer.vocab_size)
    return KimiVL(model, processor(), name=name, defaults=SamplingParams(max_tokens=500))
