"""Tokenizer, image processor and chat template of `kimi_vl.hf` against this package's own."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor, AutoTokenizer
from transformers.models.auto.image_processing_auto import AutoImageProcessor

import kimi_vl.hf
from kimi_vl.errors import CheckpointError, ConfigError, InputError, MediaError
from tests.tiny_checkpoint import NANO, processor

pytestmark = pytest.mark.hf

PICTURE = Image.fromarray(np.arange(90 * 60 * 3, dtype=np.uint8).reshape(90, 60, 3))
IMAGE, TEXT = {"type": "image", "image": PICTURE}, {"type": "text", "text": "What is ◁this▷? 漢字 1234"}


@pytest.fixture(scope="module")
def ours():
    return AutoProcessor.from_pretrained(NANO)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "Hello"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [IMAGE, TEXT, IMAGE]}],
        [
            {"role": "user", "content": [TEXT, IMAGE]},
            {"role": "assistant", "content": "◁think▷Hm.◁/think▷\n\nA cat.\n"},
            {"role": "user", "content": [{"type": "text", "text": "Sure?"}]},
        ],
    ],
    ids=["text", "system and images", "thinking of an earlier turn"],
)
def test_the_template_and_the_tokenizer_give_the_ids_of_this_package(ours, messages):
    expected = processor().prompt(messages)
    pictures = [part["image"] for m in messages if isinstance(m["content"], list) for part in m["content"] if "image" in part]
    text = ours.apply_chat_template(messages, add_generation_prompt=True)
    inputs = ours(images=pictures or None, text=text, return_tensors="pt", padding=True, truncation=True)
    assert inputs["input_ids"].tolist() == [expected.input_ids]
    if pictures:
        assert torch.equal(inputs["pixel_values"], expected.pixel_values)
        assert torch.equal(inputs["image_grid_hws"], expected.image_grid_hws)
    at_once = ours.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt")
    assert {key: value.tolist() for key, value in at_once.items()} == {key: value.tolist() for key, value in inputs.items()}


def test_a_template_of_the_folder_s_own_is_used(tmp_path):
    for name in ("tiktoken.model", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(NANO / name, tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}[{{ m['content'] }}]{% endfor %}", encoding="utf-8")
    own = kimi_vl.hf.KimiVLProcessor.from_pretrained(tmp_path)
    assert own.apply_chat_template([{"role": "user", "content": "x"}]) == "[x]"


@given(st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_text_becomes_the_same_ids_and_comes_back(text):
    tokenizer = _tokenizer()
    tokens = processor().tokenizer
    ids = tokenizer(text, split_special_tokens=True)["input_ids"]
    assert ids == tokens.encode(text)
    assert tokenizer.decode(ids) == tokens.decode(ids)
    assert tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(ids)) == ids
    assert tokenizer.convert_tokens_to_string(tokenizer.convert_ids_to_tokens(ids)) == tokens.decode(ids)


_loaded = []


def _tokenizer():
    if not _loaded:
        _loaded.append(AutoTokenizer.from_pretrained(NANO))
    return _loaded[0]


def test_control_tokens_are_ids_by_name_and_left_out_when_asked(ours):
    tokenizer, inner = ours.tokenizer, processor().tokenizer
    ids = tokenizer("a<|im_end|>b")["input_ids"]
    assert ids == [*inner.encode("a"), inner.special("<|im_end|>"), *inner.encode("b")]
    assert tokenizer.decode(ids) == "a<|im_end|>b"
    assert ours.batch_decode([ids], skip_special_tokens=True) == ["ab"]
    assert len(tokenizer) == tokenizer.vocab_size == len(tokenizer.get_vocab()) == inner.vocab_size
    with pytest.raises(InputError, match="is not one token"):
        tokenizer.convert_tokens_to_ids("zzzzqqqq")
    with pytest.raises(InputError, match="is not a token"):
        tokenizer.convert_tokens_to_ids("漢")


def test_a_batch_is_padded_on_the_left_and_tensors_come_as_asked(ours):
    texts = [ours.apply_chat_template([{"role": "user", "content": c}], add_generation_prompt=True) for c in ("Hello there, you", "Hi")]
    batch = ours(text=texts, return_tensors="pt", padding=True)
    missing = int((batch["attention_mask"][1] == 0).sum())
    assert missing > 0
    assert batch["attention_mask"][1].tolist() == [0] * missing + [1] * (batch["input_ids"].shape[1] - missing)
    assert batch["input_ids"][1, missing:].tolist() == ours(text=texts[1])["input_ids"]
    pictures = ours.image_processor([[PICTURE], [np.asarray(PICTURE)]], return_tensors="np")
    assert isinstance(pictures["pixel_values"], np.ndarray)
    assert np.array_equal(*np.split(pictures["pixel_values"], 2))


def test_what_does_not_fit_together_is_said(ours):
    marked = ours.apply_chat_template([{"role": "user", "content": [IMAGE, TEXT]}], add_generation_prompt=True)
    for call, error, words in (
        (lambda: ours(images=[PICTURE, PICTURE], text=marked), InputError, "1 image marks .* and there are 2 images"),
        (lambda: ours(text=marked), InputError, "1 image marks .* and there are 0 images"),
        (lambda: ours(images=PICTURE, text=marked, truncation=True, max_length=20), InputError, "truncation left"),
        (lambda: ours(), InputError, "pass text, or images"),
        (lambda: ours(text="x", videos=[PICTURE]), InputError, "videos is not taken"),
        (lambda: ours(images=[3], text=marked), InputError, "not int"),
        (lambda: ours(images=np.zeros((4, 4)), text=marked), InputError, "uint8"),
        (lambda: ours(images="nowhere.png", text=marked), MediaError, "nowhere.png"),
        (lambda: ours.image_processor(PICTURE, do_resize=False), InputError, "no option 'do_resize'"),
        (lambda: ours.apply_chat_template([{"role": "tool", "content": "x"}]), Exception, "the role is tool"),
    ):
        with pytest.raises(error, match=words):
            call()


def test_what_is_saved_loads_again_here_and_there(ours, tmp_path):
    ours.save_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path)
    text = ours.apply_chat_template([{"role": "user", "content": [IMAGE, TEXT]}], add_generation_prompt=True)
    first, second = (p(images=PICTURE, text=text, return_tensors="pt") for p in (ours, again))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert type(processor()).from_pretrained(tmp_path).tokenizer.special_ids == processor().tokenizer.special_ids


def test_damaged_files_are_said(tmp_path):
    for name in ("config.json", "tiktoken.model", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(NANO / name, tmp_path)
    values = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values | {"in_token_limit": -1}))
    with pytest.raises(ConfigError, match="in_token_limit is -1"):
        AutoImageProcessor.from_pretrained(tmp_path)
    (tmp_path / "tiktoken.model").write_text("AAAA 0\nnonsense\n")
    with pytest.raises(CheckpointError, match="line 2"):
        AutoTokenizer.from_pretrained(tmp_path)
