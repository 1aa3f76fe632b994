"""The ways in: Auto classes, the pipeline, the model card's example."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)
from transformers.models.auto.image_processing_auto import AutoImageProcessor

import kimi_vl.hf
from kimi_vl.errors import InputError
from tests.tiny_checkpoint import NANO, write_tiny_checkpoint

pytestmark = pytest.mark.hf

EXAMPLES = Path(__file__).parents[2] / "examples"
RECEIPT = str(EXAMPLES / "receipt.png")
QUESTION = "What do the rye bread and the cheddar cost together?"
ANSWER = "◁think▷Rye bread 3.45\nCheddar 4.60\n3.45 + 4.60 = 8.05◁/think▷8.05"
CHAT = [{"role": "user", "content": [{"type": "image", "url": RECEIPT}, {"type": "text", "text": QUESTION}]}]


def test_the_model_card_s_example_runs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["transformers_model_card.py"])
    runpy.run_path(str(EXAMPLES / "transformers_model_card.py"), run_name="__main__")
    assert capsys.readouterr().out.strip() == ANSWER


@pytest.mark.parametrize("trusted", [True, False, None])
def test_code_in_the_folder_is_not_run_whoever_is_trusted(tmp_path, trusted):
    """The official folders carry code, and name it in their files. The classes registered by us win; but AutoTokenizer alone, told to trust
    the folder, takes its code before a registered class, by transformers' own rule (docs/transformers.md)."""
    folder = write_tiny_checkpoint(tmp_path / "official")
    for name in ("configuration_kimi_vl", "modeling_kimi_vl", "processing_kimi_vl", "image_processing_kimi_vl", "tokenization_moonshot"):
        (folder / f"{name}.py").write_text("raise SystemExit('code from the folder ran')\n")
    maps = {
        "config.json": '"AutoConfig": "configuration_kimi_vl.KimiVLConfig", '
        '"AutoModel": "modeling_kimi_vl.KimiVLForConditionalGeneration", '
        '"AutoModelForCausalLM": "modeling_kimi_vl.KimiVLForConditionalGeneration"',
        "preprocessor_config.json": '"AutoImageProcessor": "image_processing_kimi_vl.KimiVLImageProcessor", '
        '"AutoProcessor": "processing_kimi_vl.KimiVLProcessor"',
        "tokenizer_config.json": '"AutoTokenizer": ["tokenization_moonshot.TikTokenTokenizer", null]',
    }
    for name, text in maps.items():
        file = folder / name
        extra = '"tokenizer_class": "TikTokenTokenizer", ' if name.startswith("tokenizer") else ""
        file.write_text(file.read_text().replace("{", f'{{{extra}"auto_map": {{{text}}},', 1))
    ours = kimi_vl.hf
    for auto, expected in (
        (AutoConfig, ours.KimiVLConfig),
        (AutoModel, ours.KimiVLForConditionalGeneration),
        (AutoModelForCausalLM, ours.KimiVLForConditionalGeneration),
        (AutoModelForImageTextToText, ours.KimiVLForConditionalGeneration),
        (AutoProcessor, ours.KimiVLProcessor),
        (AutoImageProcessor, ours.KimiVLImageProcessor),
        (AutoTokenizer, ours.TikTokenTokenizer),
    ):
        if auto is not AutoTokenizer or not trusted:
            assert type(auto.from_pretrained(folder, trust_remote_code=trusted)) is expected


@pytest.fixture(scope="module")
def pipe():
    return pipeline("image-text-to-text", model=str(NANO))


def test_the_pipeline_takes_what_people_pass(pipe, tmp_path):
    (whole,) = pipe(text=CHAT, max_new_tokens=60, return_full_text=False)
    assert whole["generated_text"] == ANSWER
    image = Image.open(RECEIPT).resize((200, 150))
    path = str(tmp_path / "small.png")
    image.save(path)
    chat = [{"role": "user", "content": [{"type": "image", "url": path}, {"type": "text", "text": QUESTION}]}]
    (expected,) = pipe(text=chat, max_new_tokens=4, return_full_text=False)
    for called in (
        pipe(chat, max_new_tokens=4, return_full_text=False),
        pipe(path, text=QUESTION, max_new_tokens=4, return_full_text=False),
        pipe(images=image, text=QUESTION, max_new_tokens=4, return_full_text=False),
        pipe({"image": path, "prompt": QUESTION}, max_new_tokens=4, return_full_text=False),
        pipe({"images": [image], "text": QUESTION}, max_new_tokens=4, return_full_text=False),
    ):
        assert [one["generated_text"] for one in called] == [expected["generated_text"]]
    (full,) = pipe({"image": image, "prompt": QUESTION}, max_new_tokens=4)
    assert (full["input_text"], full["generated_text"]) == (QUESTION, QUESTION + expected["generated_text"])


def test_the_pipeline_takes_frames_batches_and_text_alone(pipe):
    small = Image.open(RECEIPT).resize((200, 150))
    few = {"max_new_tokens": 4, "return_full_text": False}
    frames = [{"type": "image", "image": small}, {"type": "image", "image": small}, {"type": "text", "text": "What?"}]
    expected = pipe(text=[{"role": "user", "content": frames}], **few)[0]["generated_text"]
    for called in (pipe({"frames": [small, small], "prompt": "What?"}, **few), pipe([small, small], text="What?", **few)):
        assert called[0]["generated_text"] == expected
    alone = pipe(images=small, text="What?", **few)[0]["generated_text"]
    batch = pipe([{"image": small, "prompt": "What?"}, {"frames": [small, small], "prompt": "What?"}], **few)
    assert [one[0]["generated_text"] for one in batch] == [alone, expected]
    chat = [{"role": "user", "content": frames[1:]}]
    together = pipe(text=[chat, [{"role": "user", "content": frames}]], batch_size=2, **few)
    assert [one[0]["generated_text"] for one in together] == [alone, expected]
    assert pipe(text="Hello?", **few)[0]["generated_text"].startswith("Hello")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image": RECEIPT, "prompt": "x", "video": 1}, "unknown key 'video'"),
        ({"image": RECEIPT, "prompt": "x", "text": "y"}, "one of 'prompt' and 'text'"),
        ({"image": RECEIPT, "frames": [RECEIPT], "prompt": "x"}, "one of 'image', 'images' and 'frames'"),
    ],
)
def test_a_dictionary_that_says_too_much_is_refused(pipe, given, words):
    with pytest.raises(InputError, match=words):
        pipe(given)


def test_texts_and_images_that_differ_in_number_are_refused(pipe):
    with pytest.raises(InputError, match="2 texts need as many entries"):
        pipe(images=[RECEIPT], text=["a", "b"])


def test_a_folder_of_another_model_is_refused(tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(write_tiny_checkpoint(tmp_path / "tiny"), folder)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"model_type": "kimi_vl"', '"model_type": "llava"'))
    with pytest.raises(ValueError, match="model_type is 'llava'"):
        kimi_vl.hf.KimiVLForConditionalGeneration.from_pretrained(folder)
