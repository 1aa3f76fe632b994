"""Round trips, files that other readers open, and saves that are cut short."""

import dataclasses
import hashlib
import json
import os

import pytest
import torch
from safetensors import safe_open

from kimi_vl.checkpoint import CheckpointReader, checkpoint_layout, load_model, save, save_checkpoint
from kimi_vl.checkpoint.int8 import dequantize, quantize
from kimi_vl.errors import CheckpointError, ConfigError, InputError
from kimi_vl.model import KimiVLForConditionalGeneration
from tests.checkpoint.files import TINY_CONFIG, random_state

STATE = random_state()
ROUTER = ("gate.weight", "e_score_correction_bias")


def loaded(folder, **options):
    model, config = load_model(folder, KimiVLForConditionalGeneration, **options)
    return model.state_dict(), config


def replaced_text(**values):
    return dataclasses.replace(TINY_CONFIG, text_config=dataclasses.replace(TINY_CONFIG.text_config, **values))


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("max_shard_bytes", [10**9, 200_000, 1])
def test_float32_comes_back_bit_for_bit_in_any_number_of_files(tmp_path, max_shard_bytes):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, max_shard_bytes=max_shard_bytes)
    state, config = loaded(tmp_path)
    assert config == TINY_CONFIG
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_bfloat16_comes_back_rounded_once_with_the_router_untouched(tmp_path):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, dtype=torch.bfloat16)
    state, _ = loaded(tmp_path)
    for name, value in STATE.items():
        assert torch.equal(state[name], value if name.endswith(ROUTER) else value.to(torch.bfloat16))


def test_int8_comes_back_as_each_tensor_quantised_on_its_own(tmp_path):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, quantize="int8")
    state, config = loaded(tmp_path)
    assert config.quantization == "int8"
    for spec in checkpoint_layout(TINY_CONFIG).values():
        original, result = STATE[spec.parameter][spec.index], state[spec.parameter][spec.index]
        assert torch.equal(result, dequantize(*quantize(original)) if spec.quantisable else original)


def test_saving_a_loaded_int8_checkpoint_gives_the_same_bytes(tmp_path):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path / "first", quantize="int8", max_shard_bytes=100_000)
    state, config = loaded(tmp_path / "first")
    save_checkpoint(state, config, tmp_path / "second", quantize="int8", max_shard_bytes=100_000)
    assert digests(tmp_path / "first") == digests(tmp_path / "second")
    assert len(digests(tmp_path / "first")) > 4


def test_a_float_save_of_an_int8_checkpoint_drops_the_quantisation_from_its_config(tmp_path):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path / "int8", quantize="int8")
    state, config = loaded(tmp_path / "int8")
    save_checkpoint(state, config, tmp_path / "float")
    again, config = loaded(tmp_path / "float")
    assert config == TINY_CONFIG
    assert all(torch.equal(again[name], state[name]) for name in state)


@pytest.mark.parametrize("options", [{}, {"dtype": torch.bfloat16}, {"quantize": "int8", "max_shard_bytes": 100_000}])
def test_the_safetensors_library_reads_the_same_names_and_values(tmp_path, options):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, **options)
    with CheckpointReader(tmp_path) as reader:
        seen = []
        for path in reader.files:
            with safe_open(path, framework="pt") as theirs:
                assert theirs.metadata() == {"format": "pt"}
                for name in theirs.keys():  # noqa: SIM118  (not a dict: it has no iterator)
                    assert torch.equal(theirs.get_tensor(name), reader.tensor(name))
                    seen.append(name)
        assert sorted(seen) == sorted(reader.names())


def test_tensors_are_aligned_to_their_dtype_for_readers_that_map_files(tmp_path):
    odd = replaced_text(hidden_size=63, moe_intermediate_size=23)  # int8 experts of 1,449 bytes
    save_checkpoint(random_state(odd), odd, tmp_path, quantize="int8")
    with CheckpointReader(tmp_path) as reader:
        assert all(stored.start % stored.dtype.itemsize == 0 for stored in reader._tensors.values())


def test_a_single_file_holds_the_official_names_unfused(tmp_path):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path)
    with CheckpointReader(tmp_path) as reader:
        assert set(reader.names()) == set(checkpoint_layout(TINY_CONFIG))
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "config.json"}


def test_shards_stay_below_the_limit_and_the_index_lists_them(tmp_path):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, quantize="int8", max_shard_bytes=60_000)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    shards = sorted(path for path in tmp_path.glob("*.safetensors"))
    assert {path.name for path in shards} == set(index["weight_map"].values())
    assert [path.name for path in shards] == [f"model-{n:05d}-of-{len(shards):05d}.safetensors" for n in range(1, len(shards) + 1)]
    data = [path.stat().st_size - 8 - int.from_bytes(path.read_bytes()[:8], "little") for path in shards]
    assert max(data) <= 60_000
    assert sum(data) == index["metadata"]["total_size"]


def test_equal_input_gives_equal_bytes(tmp_path):
    for folder in ("a", "b"):
        save_checkpoint(random_state(seed=3), TINY_CONFIG, tmp_path / folder, quantize="int8", max_shard_bytes=100_000)
    save_checkpoint(random_state(seed=4), TINY_CONFIG, tmp_path / "c", quantize="int8", max_shard_bytes=100_000)
    assert digests(tmp_path / "a") == digests(tmp_path / "b") != digests(tmp_path / "c")


def test_a_new_save_replaces_the_old_weights_and_leaves_other_files_alone(tmp_path):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, max_shard_bytes=100_000)
    (tmp_path / "tiktoken.model").write_text("kept")
    other = random_state(seed=1)
    save_checkpoint(other, TINY_CONFIG, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "config.json", "tiktoken.model"}
    assert all(torch.equal(value, other[name]) for name, value in loaded(tmp_path)[0].items())
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, max_shard_bytes=200_000)
    assert not (tmp_path / "model.safetensors").exists()
    assert all(torch.equal(value, STATE[name]) for name, value in loaded(tmp_path)[0].items())


NEW_CONFIG = replaced_text(rope_theta=10_000.0)  # of the same shapes: nothing but the order of renames keeps it from the old weights


class PowerCut(BaseException):
    """Not an Exception: nothing may catch it, as nothing catches a power cut."""


@pytest.mark.parametrize("before", ["nothing", "one file", "shards"])
@pytest.mark.parametrize("after", [10**9, 500_000], ids=["one file", "shards"])
def test_a_save_cut_short_anywhere_leaves_the_old_checkpoint_or_one_that_refuses_to_load(tmp_path, monkeypatch, before, after):
    new = random_state(seed=1)
    outcomes = set()
    for crash_at in range(1, 60):
        folder = tmp_path / str(crash_at)
        if before != "nothing":
            save_checkpoint(STATE, TINY_CONFIG, folder, max_shard_bytes=10**9 if before == "one file" else 600_000)
        survived = interrupted_save(monkeypatch, new, folder, after, crash_at)
        outcomes.add(state_of(folder, {"old": (STATE, TINY_CONFIG), "new": (new, NEW_CONFIG)}))
        if survived:
            break
    assert survived
    assert outcomes == {"new", "refused"} | ({"old"} if before != "nothing" else set())


def test_the_next_save_clears_away_what_an_interrupted_one_left(tmp_path, monkeypatch):
    assert not interrupted_save(monkeypatch, STATE, tmp_path, 200_000, crash_at=7)
    assert len(list(tmp_path.glob("*.part"))) > 2
    save_checkpoint(STATE, TINY_CONFIG, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "config.json"}


def interrupted_save(monkeypatch, state, folder, max_shard_bytes, crash_at):
    """Save with the crash_at-th write, sync, rename or removal cut off. Returns whether the save got to its end."""
    steps = iter(range(1, crash_at))

    def crashing(function):
        def step(*args, **kwargs):
            if next(steps, None) is None:
                raise PowerCut
            return function(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crashing(os.fsync))
        patch.setattr(os, "replace", crashing(os.replace))
        patch.setattr(os, "unlink", crashing(os.unlink))
        patch.setattr(save, "_write_tensors", crashing(save._write_tensors))
        try:
            save_checkpoint(state, NEW_CONFIG, folder, max_shard_bytes=max_shard_bytes)
        except PowerCut:
            return False
    return True


def state_of(folder, known):
    try:
        state, config = loaded(folder)
    except (CheckpointError, ConfigError):
        return "refused"
    for name, (expected, expected_config) in known.items():
        if config == expected_config and all(torch.equal(state[key], expected[key]) for key in expected):
            return name
    return "a mixture"


def test_a_full_disk_is_one_sentence_and_the_old_checkpoint_stays(tmp_path, monkeypatch):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match="No space left on device; the checkpoint there before is untouched"):
            save_checkpoint(random_state(seed=1), TINY_CONFIG, tmp_path)
    assert all(torch.equal(value, STATE[name]) for name, value in loaded(tmp_path)[0].items())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("quantized", [None, "int8"])
def test_a_diverged_model_is_not_saved(tmp_path, bad, quantized):
    state = random_state()
    state["language_model.model.layers.1.mlp.experts.down_proj"][3, 5, 7] = bad
    with pytest.raises(CheckpointError, match=r"layers\.1\.mlp\.experts\.3\.down_proj\.weight holds NaN or infinite"):
        save_checkpoint(state, TINY_CONFIG, tmp_path, quantize=quantized)
    assert not (tmp_path / "model.safetensors").exists()


def test_a_state_with_a_missing_added_or_misshapen_parameter_is_refused(tmp_path):
    name = "multi_modal_projector.linear_1.bias"
    for state, words in (
        ({key: value for key, value in STATE.items() if key != name}, "lacks parameter multi_modal_projector.linear_1.bias"),
        ({**STATE, "optimizer.step": torch.zeros(1)}, "has the unknown parameter optimizer.step"),
        ({**STATE, name: torch.zeros(5)}, r"linear_1.bias is \[5\]"),
        ({**STATE, name: STATE[name].to(torch.int64)}, "only floating point"),
    ):
        with pytest.raises(CheckpointError, match=words):
            save_checkpoint(state, TINY_CONFIG, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{"quantize": "int4"}, {"quantize": "int8", "dtype": torch.bfloat16}, {"dtype": torch.int8}])
def test_an_unknown_format_is_refused(tmp_path, options):
    with pytest.raises(InputError):
        save_checkpoint(STATE, TINY_CONFIG, tmp_path, **options)
