"""Checkpoint folders for tests, valid and not."""

import json
import struct
from pathlib import Path
from typing import Any

import torch

from kimi_vl.config import KimiVLConfig
from kimi_vl.model import KimiVLForConditionalGeneration
from tests.configs import TINY

TINY_CONFIG = KimiVLConfig.from_dict(TINY)


def random_state(config: KimiVLConfig = TINY_CONFIG, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict of the real model with seeded normal values, the router in float32 like everything else."""
    generator = torch.Generator().manual_seed(seed)
    model = KimiVLForConditionalGeneration(config, device="meta", dtype=torch.float32)
    return {name: torch.randn(parameter.shape, generator=generator) for name, parameter in model.named_parameters()}


def safetensors_bytes(header: Any, data: bytes = b"") -> bytes:
    """A safetensors file with this header, given as JSON text, as bytes, or as the value to encode."""
    if not isinstance(header, bytes):
        header = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def write_folder(folder: Path, shards: dict[str, bytes], weight_map: Any = None) -> Path:
    """Write files and, when given, an index with this weight_map."""
    folder.mkdir(exist_ok=True)
    for name, content in shards.items():
        (folder / name).write_bytes(content)
    if weight_map is not None:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder
