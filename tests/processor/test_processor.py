"""Processor: a checkpoint folder in, prompts out."""

import base64
import json

import pytest
import torch

from kimi_vl.errors import CheckpointError, ConfigError, InputError, MediaError
from kimi_vl.processor import Processor
from tests.media.pictures import blocks, encoded
from tests.processor.small import NUM_RANKS, NUM_SLOTS, write_files

FACTS = {"in_token_limit": 64, "patch_size": 14, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "pad_input": True}


@pytest.fixture
def folder(tmp_path):
    write_files(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(FACTS))
    return tmp_path


def question(*images):
    parts = [{"type": "image", "image": image} for image in images]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


def test_a_prompt_holds_one_placeholder_for_every_merged_token(folder):
    processor = Processor.from_pretrained(folder)
    prompt = processor.prompt(question(blocks(64, 48), blocks(400, 200), blocks(8, 8)))
    assert prompt.image_grid_hws.tolist() == [[4, 6], [6, 12], [2, 2]]
    assert prompt.num_image_tokens == 6 + 18 + 1 == len(prompt.pixel_values) // 4
    assert prompt.input_ids.count(processor.tokenizer.special("<|media_pad|>")) == prompt.num_image_tokens
    pixel_values, image_grid_hws = processor.images([blocks(64, 48), blocks(400, 200), blocks(8, 8)])
    assert torch.equal(prompt.pixel_values, pixel_values)
    assert torch.equal(prompt.image_grid_hws, image_grid_hws)


def test_a_prompt_without_images_holds_text_only(folder):
    prompt = Processor.from_pretrained(folder).prompt([{"role": "user", "content": "<|media_pad|>"}])
    assert (prompt.pixel_values, prompt.image_grid_hws, prompt.num_image_tokens) == (None, None, 0)
    assert NUM_RANKS + 21 not in prompt.input_ids


def test_every_way_to_name_an_image_gives_the_same_prompt(folder):
    data = encoded(blocks(), "PNG")
    path = folder / "picture.png"
    path.write_bytes(data)
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    processor = Processor.from_pretrained(str(folder))
    expected = processor.prompt(question(blocks()))
    for image in (path, str(path), data, url):
        prompt = processor.prompt(question(image))
        assert prompt.input_ids == expected.input_ids
        assert torch.equal(prompt.pixel_values, expected.pixel_values)
    by_url = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is it?"}]
    assert processor.prompt([{"role": "user", "content": by_url}]).input_ids == expected.input_ids


def test_the_prefix_is_ordinary_text_at_the_end(folder):
    processor = Processor.from_pretrained(folder)
    plain, prefixed = processor.prompt(question()), processor.prompt(question(), "◁think▷")
    assert prefixed.input_ids == plain.input_ids + processor.tokenizer.encode("◁think▷")


def test_messages_are_checked_before_any_picture_is_opened(folder):
    with pytest.raises(InputError, match=r"messages\[1\]\.role") as failure:
        Processor.from_pretrained(folder).prompt([*question("missing.png"), {"role": "robot", "content": "a"}])
    assert not isinstance(failure.value, MediaError)


def test_an_unreadable_picture_is_a_media_error(folder):
    processor = Processor.from_pretrained(folder)
    with pytest.raises(MediaError, match=r"missing\.png does not exist"):
        processor.prompt(question("missing.png"))
    with pytest.raises(MediaError, match="too elongated"):
        processor.images([blocks(8, 8), blocks(8, 9000)])


def test_the_vocabulary_reaches_to_the_embedding(folder):
    assert Processor.from_pretrained(folder).tokenizer.vocab_size == NUM_RANKS + NUM_SLOTS
    assert Processor.from_pretrained(folder, NUM_RANKS + 200).tokenizer.vocab_size == NUM_RANKS + 200


@pytest.mark.parametrize("name", ["tiktoken.model", "tokenizer_config.json", "preprocessor_config.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises((CheckpointError, ConfigError), match=f"{name} does not exist"):
        Processor.from_pretrained(folder)
