"""The network as transformers runs it, against the network itself, independent formulas and transformers' own relative of it."""

import itertools

import pytest
import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, DynamicCache

import kimi_vl.hf
from kimi_vl import KimiVL
from kimi_vl.checkpoint.layout import checkpoint_layout
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import CheckpointError, ConfigError, InputError, ShapeError
from kimi_vl.model import KimiVLForConditionalGeneration as Network
from tests import tolerances
from tests.configs import TINY
from tests.hf.folders import questions, write_case
from tests.parity.checks import assert_within
from tests.parity.networks import Case
from tests.tiny_checkpoint import NANO, write_tiny_checkpoint

pytestmark = pytest.mark.hf

GRIDS = [(6, 10), (2, 4)]


def picture(width: int, height: int, seed: int) -> Image.Image:
    pixels = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(pixels.numpy())


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """The toy of the specification with two images, and its model."""
    case = Case(TINY, GRIDS, seed=3, output_gain=1.3)
    return case, AutoModelForCausalLM.from_pretrained(write_case(case, tmp_path_factory.mktemp("toy")))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(folder, model, processor, the same weights as this package's network) with a tokenizer, and no end."""
    folder = write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), endless=True)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    return folder, model, AutoProcessor.from_pretrained(folder), Network.from_pretrained(folder)


def greedy(network: Network, inputs, count: int) -> list[int]:
    """The likeliest tokens of one sequence, by the network's own cache."""
    features = network.image_features(inputs["pixel_values"], inputs["image_grid_hws"]) if "pixel_values" in inputs else None
    ids = inputs["input_ids"][0]
    cache = network.new_cache(len(ids) + count)
    tokens = [int(network.step(ids, cache, features).argmax())]
    while len(tokens) < count:
        tokens.append(int(network.step(torch.tensor(tokens[-1:]), cache).argmax()))
    return tokens


def new_tokens(model, inputs, **options) -> list[list[int]]:
    return model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :].tolist()


@torch.no_grad()
def test_logits_are_those_of_the_independent_formulas_and_the_network_s_own(case):
    case, model = case
    ours = case.logits(case.model())
    logits = model(case.input_ids[None], pixel_values=case.pixel_values, image_grid_hws=torch.tensor(GRIDS)).logits[0]
    assert_within(logits, case.expected[1], tolerances.LOGITS)
    assert torch.equal(logits, ours)
    kept = model(case.input_ids[None], pixel_values=case.pixel_values, image_grid_hws=torch.tensor(GRIDS), logits_to_keep=3).logits[0]
    assert_within(kept, ours[-3:], tolerances.REGROUPED)


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_padding_changes_nothing_and_its_logits_are_zero(case, side):
    model = case[1]
    rows = [torch.arange(1, 8), torch.arange(20, 23)]
    ids, mask = torch.zeros(2, 7, dtype=torch.int64), torch.zeros(2, 7, dtype=torch.int64)
    for row, tokens in enumerate(rows):
        where = slice(7 - len(tokens), 7) if side == "left" else slice(len(tokens))
        ids[row, where], mask[row, where] = tokens, 1
    logits = model(ids, attention_mask=mask).logits
    for row, tokens in enumerate(rows):
        assert_within(logits[row][mask[row].bool()], model(tokens[None]).logits[0], tolerances.REGROUPED)
    assert not logits[1][~mask[1].bool()].any()


@torch.no_grad()
def test_columns_behind_the_cache_are_those_of_the_whole_however_they_are_cut_and_whatever_room_there_was(case):
    model = case[1]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 400, (3, 90), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, :2] = mask[2, :1] = 0
    whole = model(ids, attention_mask=mask).logits
    cache, parts = model.new_cache(), []
    for start, stop in itertools.pairwise([0, 4, 5, 8, 90]):  # more than the 64 tokens of room behind the first four
        parts.append(model(ids[:, start:stop], attention_mask=mask[:, :stop], past_key_values=cache).logits)
    assert cache.get_seq_length() == 90
    assert_within(torch.cat(parts, dim=1), whole, tolerances.LOGITS)
    cache.reorder_cache(torch.tensor([2, 0, 0]))
    following = torch.randint(1, 400, (3, 1), generator=generator)
    after = model(following, past_key_values=cache).logits[:, -1]
    order = [2, 0, 0]
    whole = model(torch.cat([ids[order], following], 1), attention_mask=torch.cat([mask[order], torch.ones(3, 1)], 1)).logits[:, -1]
    assert_within(after, whole, tolerances.LOGITS)


def test_the_loss_is_the_mean_over_labels_that_count(case):
    model = case[1]
    ids = torch.arange(1, 9)[None]
    labels = ids.clone()
    labels[0, :4] = -100
    output = model(ids, labels=labels)
    expected = F.cross_entropy(output.logits[0, 3:-1], ids[0, 4:])
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_greedy_generation_is_the_network_s_token_by_token(tiny):
    _, model, processor, network = tiny
    for turn in (([], "Hello?"), ([picture(60, 90, 0)], "What?"), ([picture(40, 30, 1), picture(28, 28, 2)], "And?")):
        inputs = questions(processor, turn)
        (tokens,) = new_tokens(model, inputs, max_new_tokens=40, do_sample=False)
        assert tokens == greedy(network, inputs, 40)
        assert new_tokens(model, inputs, max_new_tokens=6, do_sample=False, use_cache=False) == [tokens[:6]]


def test_a_padded_batch_generates_what_each_row_generates_alone_however_often_and_by_whatever_way(tiny):
    _, model, processor, network = tiny
    turns = [([picture(60, 90, 0)], "What is there to be seen?"), ([], "Hello?"), ([picture(40, 30, 1), picture(28, 28, 2)], "And?")]
    alone = [greedy(network, questions(processor, turn), 8) for turn in turns]
    inputs = questions(processor, *turns)
    assert inputs["attention_mask"][1, 0] == 0, "the batch is padded on the left"
    assert new_tokens(model, inputs, max_new_tokens=8, do_sample=False) == alone
    drawn = new_tokens(model, inputs, max_new_tokens=8, do_sample=True, top_k=1, num_return_sequences=2)
    assert drawn == [row for row in alone for _ in range(2)]
    beams = [new_tokens(model, inputs, max_new_tokens=5, num_beams=3, do_sample=False, use_cache=cached) for cached in (True, False)]
    assert beams[0] == beams[1]


def test_a_conversation_goes_on_behind_its_cache_with_new_images(tiny):
    _, model, processor, _ = tiny
    first = questions(processor, ([picture(60, 90, 0)], "What?"))
    cache = model.new_cache()
    said = model.generate(**first, past_key_values=cache, max_new_tokens=4, do_sample=False)
    second = questions(processor, ([picture(40, 30, 1)], "And?"))
    both = {
        "input_ids": torch.cat([said, second["input_ids"]], dim=1),
        "pixel_values": torch.cat([first["pixel_values"], second["pixel_values"]]),
        "image_grid_hws": torch.cat([first["image_grid_hws"], second["image_grid_hws"]]),
    }
    both["attention_mask"] = torch.ones_like(both["input_ids"])
    fresh = new_tokens(model, both, max_new_tokens=6, do_sample=False)
    assert new_tokens(model, both, past_key_values=cache, max_new_tokens=6, do_sample=False) == fresh


def test_nano_answers_as_kimi_vl_does():
    model, processor = AutoModelForImageTextToText.from_pretrained(NANO), AutoProcessor.from_pretrained(NANO)
    question, receipt = "What do the rye bread and the cheddar cost together?", NANO.parents[3] / "examples" / "receipt.png"
    inputs = questions(processor, ([str(receipt)], question))
    ids = model.generate(**inputs, max_new_tokens=100)[0, inputs["input_ids"].shape[1] :]
    answer = KimiVL.load(device="cpu").ask(question, media=[receipt])
    assert processor.decode(ids, skip_special_tokens=True) == f"◁think▷{answer.thinking}◁/think▷{answer.text}"
    assert ids[-1] == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert len(ids) == answer.usage.completion_tokens


@pytest.mark.parametrize("size", ["5GB", 100_000], ids=["one file", "shards"])
def test_what_is_saved_has_the_official_names_and_loads_everywhere(case, tmp_path, size):
    case, model = case
    model.save_pretrained(tmp_path, max_shard_size=size)
    assert (tmp_path / "model.safetensors.index.json").exists() == (size != "5GB")
    stored = {name: tensor for file in tmp_path.glob("*.safetensors") for name, tensor in load_file(file).items()}
    assert stored.keys() == checkpoint_layout(KimiVLConfig.from_dict(case.config)).keys()
    assert all(torch.equal(stored[name], case.weights[name]) for name in stored)
    inputs = {"pixel_values": case.pixel_values, "image_grid_hws": torch.tensor(GRIDS)}
    with torch.no_grad():
        expected = model(case.input_ids[None], **inputs).logits
        assert torch.equal(Network.from_pretrained(tmp_path)(case.input_ids[None], **inputs), expected)
        assert torch.equal(AutoModelForCausalLM.from_pretrained(tmp_path)(case.input_ids[None], **inputs).logits, expected)
    if size == "5GB" and hasattr(transformers, "Kimi_K25Config"):  # 5.0 has no such model
        from tests.parity.oracle import Oracle

        _, logits = Oracle(case.config, stored)(case.input_ids, case.pixel_values, GRIDS)
        assert_within(expected[0], logits, tolerances.LOGITS)


def test_int8_weights_are_read_into_floats_and_saved_as_such(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(NANO)
    assert not hasattr(model.config, "quantization_config")
    model.save_pretrained(tmp_path)
    ids = torch.arange(5, 14)[None]
    with torch.no_grad():
        assert torch.equal(Network.from_pretrained(tmp_path)(ids), Network.from_pretrained(NANO)(ids))
    config = KimiVLConfig.from_file(tmp_path / "config.json")
    assert (config.quantization, config.text_config) == (None, KimiVLConfig.from_file(NANO / "config.json").text_config)


def test_a_model_from_a_configuration_alone_is_random_and_whole(case):
    config = kimi_vl.hf.KimiVLConfig.from_dict(TINY)
    config.text_config.num_hidden_layers = 2
    model = AutoModelForCausalLM.from_config(config)
    assert len(model.language_model.model.layers) == 2
    assert all(p.isfinite().all() for p in model.parameters())
    assert model(torch.arange(9)[None]).logits.std() > 0.01


def refuse(error, words):
    return pytest.raises(error, match=words)


def test_what_forward_and_generate_cannot_do_is_said(tiny):
    _, model, processor, _ = tiny
    ids = torch.arange(1, 6)[None]
    with refuse(InputError, "not inputs_embeds"):
        model(inputs_embeds=torch.zeros(1, 2, 64))
    with refuse(InputError, "attentions and hidden states are not kept"):
        model(ids, output_attentions=True)
    with refuse(InputError, "past_key_values is a DynamicCache"):
        model(ids, past_key_values=DynamicCache())
    with refuse(InputError, r"attention_mask is \[1, 3\]"):
        model(ids, attention_mask=torch.ones(1, 3))
    with refuse(InputError, "row 0 of the attention mask is all padding"):
        model(ids, attention_mask=torch.zeros(1, 5))
    with refuse(InputError, "cache_implementation is 'static'"):
        model.generate(ids, cache_implementation="static", max_new_tokens=2)
    inputs = questions(processor, ([picture(60, 90, 0)], "What?"))
    with refuse(ShapeError, "the prompt holds 0 image placeholder tokens"):
        model(ids, pixel_values=inputs["pixel_values"], image_grid_hws=inputs["image_grid_hws"])
    with refuse(ShapeError, "image_grid_hws"):
        model.generate(inputs["input_ids"], pixel_values=inputs["pixel_values"], num_return_sequences=2, do_sample=True, max_new_tokens=2)


def test_folders_and_options_that_cannot_be_loaded_are_said(tiny, tmp_path):
    folder = tiny[0]
    for option, words in (
        ({"quantization_config": {"load_in_4bit": True}}, "quantization_config is not taken"),
        ({"device_map": {"a": 0, "b": 1}}, "device_map names 2 devices"),
        ({"variant": "fp16"}, "no option 'variant'"),
        ({"dtype": "int3"}, "int3"),
    ):
        with refuse(InputError, words):
            kimi_vl.hf.KimiVLForConditionalGeneration.from_pretrained(folder, **option)
    with refuse(CheckpointError, "neither a folder nor a hub id"):
        kimi_vl.hf.KimiVLForConditionalGeneration.from_pretrained("no such place at all")
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with refuse(CheckpointError, "safetensors"):
        AutoModelForCausalLM.from_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"kv_lora_rank"', '"kv_lora_rnak"'))
    with refuse(ConfigError, "did you mean 'kv_lora_rank'"):
        AutoModelForCausalLM.from_pretrained(tmp_path)
