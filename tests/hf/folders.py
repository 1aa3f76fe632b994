"""Folders in the official layout for tests of `kimi_vl.hf`."""

from __future__ import annotations

from pathlib import Path

import torch

from kimi_vl.checkpoint import save_checkpoint
from kimi_vl.config import KimiVLConfig
from tests.parity.networks import Case


def write_case(case: Case, folder: Path) -> Path:
    """The weights of a case of the parity tests, without a tokenizer."""
    save_checkpoint(case.model().state_dict(), KimiVLConfig.from_dict(case.config), folder)
    return folder


def questions(processor, *turns: tuple[list, str]) -> dict[str, torch.Tensor]:
    """Inputs of a batch: of each row its pictures and its question."""
    chats = []
    for pictures, question in turns:
        content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": question}]
        chats.append([{"role": "user", "content": content}])
    text = processor.apply_chat_template(chats, add_generation_prompt=True)
    pictures = [picture for row, _ in turns for picture in row]
    return processor(images=pictures or None, text=text, return_tensors="pt", padding=True)
