"""From scenes to packed batches: the token layout is the processor's, whatever the number of pictures."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

import kimi_vl
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import ConfigError
from kimi_vl.processor import Tokenizer
from kimi_vl.processor.chat import render
from kimi_vl.processor.labels import page_label, time_label
from kimi_vl.training.packing import Budget, SampleEncoder, pack
from kimi_vl.training.synth.scene import Page, Scene, Turn

NANO = Path(kimi_vl.__file__).parent / "checkpoint" / "nano"
CONFIG = KimiVLConfig.from_file(NANO / "config.json")
BUDGET = Budget(patches=256, tokens=512, supervised=128, images=8, max_patches=64, max_tokens=256)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_files(NANO / "tiktoken.model", NANO / "tokenizer_config.json")


def page(label: str, height: int, width: int, letter: str = "A") -> Page:
    rng = np.random.default_rng([height, width])
    return Page(rng.integers(0, 255, (height, width, 3), dtype=np.uint8), np.array([[ord(letter), 14, 14]], dtype=np.float32), label)


def scene(*pages: Page) -> Scene:
    turns = [Turn("Which page?", "page 2", None, "auto", "which"), Turn("And this?", "4", "2 + 2 = 4", "on", "sum")]
    return Scene(list(pages), turns, "")


@pytest.mark.parametrize(
    "pages",
    [
        (),
        (page("", 56, 84),),
        (page(page_label(1), 56, 28), page(page_label(2), 28, 50)),
        (page(time_label(61.5), 28, 28), page("", 28, 28)),
    ],
    ids=["no picture", "one", "two pages", "label on the first only"],
)
def test_tokens_are_those_of_the_chat_renderer(pages, tokenizer):
    sample = SampleEncoder(tokenizer).encode(scene(*pages), 256)
    parts = []
    for one in pages:
        parts += [{"type": "text", "text": one.label}] if one.label else []
        parts.append({"type": "image", "image": b""})
    counts = [h * w // 4 for h, w in sample.grid_hws]
    messages = [
        {"role": "user", "content": [*parts, {"type": "text", "text": "Which page?"}]},
        {"role": "assistant", "content": "page 2"},
        {"role": "user", "content": "And this?"},
    ]
    prompt = render(messages, tokenizer, counts, prefix="◁think▷")
    assert sample.ids[: len(prompt)].tolist() == prompt
    assert (sample.ids[sample.placeholders] == CONFIG.media_placeholder_token_id).all()
    assert len(sample.placeholders) == sum(counts) == len(sample.glyphs) == len(sample.patches) // 4


def test_glyphs_follow_the_pictures_in_order(tokenizer):
    sample = SampleEncoder(tokenizer).encode(scene(page("", 28, 56, "B"), page("", 56, 28, "C")), 256)
    assert sample.glyphs[:, 0].tolist() == [ord("B") - 32, 0, ord("C") - 32, 0]


def test_a_batch_without_any_picture_has_empty_places_for_them(tokenizer):
    batch = pack(itertools.repeat(SampleEncoder(tokenizer).encode(scene(), 256)), CONFIG, BUDGET)[0]
    assert int(batch.real_patches) == 0
    assert int(batch.num_samples) > 1
    assert (batch.placeholder_M == BUDGET.tokens).all()
    assert torch.equal(batch.merge_index_M4.flatten(), torch.arange(BUDGET.patches))


def test_pictures_count_against_the_room_for_images(tokenizer):
    three = SampleEncoder(tokenizer).encode(scene(*[page("", 28, 28)] * 3), 256)
    batch = pack(itertools.repeat(three), CONFIG, BUDGET)[0]
    assert int(batch.num_samples) == 2  # six pictures of eight
    assert len(batch.image_cu_seqlens) == 8 + 2 + 4


def test_a_sample_larger_than_the_whole_budget_is_refused_with_the_numbers(tokenizer):
    large = SampleEncoder(tokenizer).encode(scene(page("", 28 * 9, 28 * 9)), 256)
    with pytest.raises(ConfigError, match=r"324 patches.*budget \(256, 512, 8\)"):
        pack(itertools.repeat(large), CONFIG, BUDGET)
