"""From files into the model: every tensor accounted for, in the right place, in little memory (RELIABILITY P3, P6, P7, P8)."""

import copy
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import kimi_vl
from kimi_vl.checkpoint import CheckpointReader, checkpoint_layout, load_model, load_weights, memory, save_checkpoint
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import CapacityError, CheckpointError, ConfigError, InputError, ShapeError
from kimi_vl.model import KimiVLForConditionalGeneration
from tests.checkpoint.files import TINY_CONFIG, random_state
from tests.configs import TINY

STATE = random_state()
ROUTER = ("gate.weight", "e_score_correction_bias")
EMBEDDING = "language_model.model.embed_tokens.weight"


def official_tensors(dtype=torch.float32):
    """Tensors under their official names, stacked into the parameters by hand rather than by the layout under test."""
    tensors = {}
    for name, value in STATE.items():
        if name.endswith("experts.gate_up_proj"):
            for e in range(8):
                tensors[name.replace("gate_up_proj", f"{e}.gate_proj.weight")] = value[e, :24]
                tensors[name.replace("gate_up_proj", f"{e}.up_proj.weight")] = value[e, 24:]
        elif name.endswith("experts.down_proj"):
            tensors |= {name.replace("down_proj", f"{e}.down_proj.weight"): value[e] for e in range(8)}
        else:
            tensors[name] = value
    return {name: value.to(dtype).clone() for name, value in tensors.items()}


def write_checkpoint(folder, tensors, config=TINY):
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def load(folder, **options):
    return load_model(folder, KimiVLForConditionalGeneration, **options)[0]


def test_a_file_of_the_official_names_written_by_the_library_fills_the_model(tmp_path):
    model = load(write_checkpoint(tmp_path, official_tensors()))
    assert all(torch.equal(value, STATE[name]) for name, value in model.state_dict().items())
    assert not model.training
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in model.parameters())


def test_the_loaded_model_runs(tmp_path):
    model = load(write_checkpoint(tmp_path, official_tensors()))
    assert model(torch.tensor([1, 2, 3])).isfinite().all()


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("wanted", ["float32", torch.bfloat16])
def test_stored_and_wanted_dtype_are_independent_and_the_router_is_always_float32(tmp_path, stored, wanted):
    model = load(write_checkpoint(tmp_path, official_tensors(stored)), dtype=wanted)
    dtype = torch.float32 if wanted == "float32" else wanted
    for name, value in model.state_dict().items():
        expected = STATE[name].to(stored).to(torch.float32 if name.endswith(ROUTER) else dtype)
        assert value.dtype == expected.dtype
        assert torch.equal(value, expected)


@pytest.mark.parametrize(
    ("stored", "chosen"), [(torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16), (torch.float16, torch.bfloat16)]
)
def test_auto_follows_the_files(tmp_path, stored, chosen):
    assert load(write_checkpoint(tmp_path, official_tensors(stored))).dtype == chosen


def test_auto_runs_int8_files_in_float32_on_the_cpu(tmp_path):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, quantize="int8")
    assert load(tmp_path).dtype == torch.float32
    assert load(tmp_path, dtype="bfloat16").dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", ["int8", "fp32", torch.int8, torch.float64, 16])
def test_an_unknown_dtype_is_refused(tmp_path, dtype):
    with pytest.raises(InputError, match="dtype is"):
        load(write_checkpoint(tmp_path, official_tensors()), dtype=dtype)


def test_the_extra_rotary_tables_are_skipped_by_name(tmp_path):
    tensors = official_tensors()
    for n in range(3):
        tensors[f"language_model.model.layers.{n}.self_attn.rotary_emb.inv_freq"] = torch.full((8,), float("nan"))
    assert torch.equal(load(write_checkpoint(tmp_path, tensors)).state_dict()[EMBEDDING], STATE[EMBEDDING])


@pytest.mark.parametrize("quantized", [None, "int8"])
def test_progress_counts_every_byte_of_the_files_once(tmp_path, quantized):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, quantize=quantized)
    calls = []
    load(tmp_path, progress=lambda *counts: calls.append(counts))
    with CheckpointReader(tmp_path) as reader:
        total = sum(reader.num_bytes(name) for name in reader.names())
    assert len(calls) == len(checkpoint_layout(TINY_CONFIG))
    assert calls == sorted(calls)
    assert calls[-1] == (total, total)
    assert {total for _, total in calls} == {total}


def test_load_weights_replaces_the_parameters_of_a_model_in_use(tmp_path):
    model = KimiVLForConditionalGeneration(TINY_CONFIG, dtype=torch.bfloat16)
    load_weights(model, write_checkpoint(tmp_path, official_tensors()), dtype=torch.float32, device="cpu")
    assert all(torch.equal(value, STATE[name]) for name, value in model.state_dict().items())


# ------------------------------------------------------------------ tensors that do not match


def no_data_is_read(monkeypatch):
    def refuse(self, name, out):
        raise AssertionError(f"{name} was read")

    monkeypatch.setattr(CheckpointReader, "read_into", refuse)


@pytest.mark.parametrize("name", sorted(official_tensors())[::7])
def test_any_missing_tensor_is_named_before_data_is_read(tmp_path, monkeypatch, name):
    no_data_is_read(monkeypatch)
    tensors = official_tensors()
    del tensors[name]
    with pytest.raises(CheckpointError, match=f"in 1 tensors:\n  {name} .* is missing"):
        load(write_checkpoint(tmp_path, tensors))


@pytest.mark.parametrize(
    "extra", ["language_model.model.layers.3.mlp.gate.weight", "rotary_emb.inv_freq.evil", "lm_head.weight", EMBEDDING + "_scale"]
)
def test_an_unexpected_tensor_is_named_before_data_is_read(tmp_path, monkeypatch, extra):
    no_data_is_read(monkeypatch)
    with pytest.raises(CheckpointError, match=f"{extra} is unexpected"):
        load(write_checkpoint(tmp_path, {**official_tensors(), extra: torch.zeros(1)}))


@pytest.mark.parametrize(
    "wrong", [torch.zeros(64, 512), torch.zeros(512, 64, 1), torch.zeros(513, 64), torch.zeros(512, 64, dtype=torch.float64)]
)
def test_a_wrong_shape_or_dtype_is_named_with_the_right_one(tmp_path, monkeypatch, wrong):
    no_data_is_read(monkeypatch)
    with pytest.raises(CheckpointError, match=r"embed_tokens.weight is float.*; it must be float32 or .* \[512, 64\]"):
        load(write_checkpoint(tmp_path, {**official_tensors(), EMBEDDING: wrong}))


def test_of_many_problems_twenty_are_shown_and_all_are_counted(tmp_path):
    tensors = {f"renamed.{name}": value for name, value in official_tensors().items()}
    count = 2 * len(tensors)
    with pytest.raises(CheckpointError, match=f"in {count:,} tensors") as caught:
        load(write_checkpoint(tmp_path, tensors))
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[-1] == f"  and {count - 20} more"


def test_float_files_under_an_int8_config_are_refused_and_int8_files_under_a_float_config(tmp_path):
    quantized = {**TINY, "quantization_config": {"quant_method": "kimi_vl_int8"}}
    with pytest.raises(CheckpointError, match="it must be int8"):
        load(write_checkpoint(tmp_path, official_tensors(), quantized))
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, quantize="int8")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    with pytest.raises(CheckpointError, match=r"is int8 .*; it must be float32 or"):
        load(tmp_path)


@pytest.mark.parametrize("quantized", [None, "int8"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_refused_by_name_unless_allowed(tmp_path, bad, quantized):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, quantize=quantized)
    name = "vision_tower.encoder.blocks.1.norm0.bias"
    poison(tmp_path / "model.safetensors", name, bad)
    with pytest.raises(CheckpointError, match=f"{name} holds NaN or infinite"):
        load(tmp_path)
    value = load(tmp_path, allow_nonfinite=True).state_dict()[name][0]
    assert torch.equal(value, torch.tensor(bad)) or value.isnan()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_poisoned_int8_scale_is_refused(tmp_path, bad):
    save_checkpoint(STATE, TINY_CONFIG, tmp_path, quantize="int8")
    poison(tmp_path / "model.safetensors", EMBEDDING + "_scale", bad)
    with pytest.raises(CheckpointError, match=r"embed_tokens.weight holds NaN or infinite"):
        load(tmp_path)


def test_values_that_overflow_float16_are_refused(tmp_path):
    tensors = official_tensors()
    tensors[EMBEDDING][3, 3] = 70_000.0
    folder = write_checkpoint(tmp_path, tensors)
    assert load(folder, dtype="float32").state_dict()[EMBEDDING][3, 3] == 70_000
    with pytest.raises(CheckpointError, match=r"embed_tokens.weight holds NaN or infinite values in float16"):
        load(folder, dtype="float16")


def poison(path, name, value):
    """Overwrite the first value of a float32 tensor in place."""
    raw = bytearray(path.read_bytes())
    length = int.from_bytes(raw[:8], "little")
    start = 8 + length + json.loads(raw[8 : 8 + length])[name]["data_offsets"][0]
    raw[start : start + 4] = torch.tensor(value).numpy().tobytes()
    path.write_bytes(raw)


def test_a_model_of_another_config_is_refused(tmp_path):
    folder = write_checkpoint(tmp_path, official_tensors())
    values = copy.deepcopy(TINY)
    values["text_config"]["moe_intermediate_size"] = 32
    with pytest.raises(ShapeError, match="which the config's tensors do not fill"):
        load_weights(KimiVLForConditionalGeneration(KimiVLConfig.from_dict(values)), folder, dtype=torch.float32, device="cpu")
    values["text_config"]["num_hidden_layers"] = 2
    with pytest.raises(ShapeError, match=r"no parameter language_model.model.layers.2"):
        load_weights(KimiVLForConditionalGeneration(KimiVLConfig.from_dict(values)), folder, dtype=torch.float32, device="cpu")


def test_a_model_with_a_transposed_parameter_is_refused(tmp_path):
    model = KimiVLForConditionalGeneration(TINY_CONFIG)
    model.language_model.lm_head.weight = torch.nn.Parameter(torch.zeros(64, 512))
    with pytest.raises(ShapeError, match=r"lm_head.weight is \[64, 512\], which the config's tensors do not fill"):
        load_weights(model, write_checkpoint(tmp_path, official_tensors()), dtype=torch.float32, device="cpu")


def test_a_model_with_a_parameter_that_no_tensor_fills_is_refused(tmp_path):
    folder = write_checkpoint(tmp_path, official_tensors())
    model = KimiVLForConditionalGeneration(TINY_CONFIG)
    model.adapter = torch.nn.Linear(2, 2)
    with pytest.raises(ShapeError, match=r"adapter.weight"):
        load_weights(model, folder, dtype=torch.float32, device="cpu")


# ------------------------------------------------------------------ the folder around the weights


def test_code_files_in_the_folder_are_never_imported(tmp_path):
    config = {**TINY, "auto_map": {"AutoModel": "modeling_evil.Model"}}
    folder = write_checkpoint(tmp_path / "model", official_tensors(), config)
    for name in ("modeling_evil.py", "modeling_kimi_vl.py", "configuration_kimi_vl.py", "sitecustomize.py", "__init__.py"):
        (folder / name).write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'canary')!r}).touch()")
    before = set(sys.modules)
    load(folder)
    assert not (tmp_path / "canary").exists()
    assert not any("evil" in name for name in set(sys.modules) - before)


def test_a_config_that_links_outside_or_is_a_pipe_is_refused(tmp_path):
    folder = write_checkpoint(tmp_path / "model", official_tensors())
    (folder / "config.json").rename(tmp_path / "config.json")
    (folder / "config.json").symlink_to("../config.json")
    with pytest.raises(CheckpointError, match="leads outside"):
        load(folder)
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(CheckpointError, match="not a regular file"):
        load(folder)


@pytest.mark.parametrize("key", ["hidden_size", "vocab_size", "n_routed_experts", "num_hidden_layers"])
def test_a_hostile_config_is_refused_before_anything_is_allocated(tmp_path, monkeypatch, key):
    values = copy.deepcopy(TINY)
    values["text_config"][key] = 1_000_000
    folder = write_checkpoint(tmp_path, official_tensors(), values)
    monkeypatch.setattr(torch, "empty", None)
    with pytest.raises((CheckpointError, ConfigError)):
        load(folder)


def test_a_model_that_cannot_fit_is_refused_before_it_is_built(tmp_path, monkeypatch):
    folder = write_checkpoint(tmp_path, official_tensors())
    monkeypatch.setattr(memory, "available_memory", lambda device: 1_000_000)
    monkeypatch.setattr(torch, "empty", None)
    with pytest.raises(CapacityError, match=r"needs 1\.76 MB on cpu and 1 MB are free; dtype='bfloat16' needs 881 kB and would fit"):
        load(folder)


# ------------------------------------------------------------------ memory

LARGE = copy.deepcopy(TINY)
LARGE["text_config"].update(vocab_size=24_000, hidden_size=512, moe_intermediate_size=512, n_routed_experts=12, kv_lora_rank=128)
MEASURE = """
    import sys, torch
    torch.set_num_threads(1)
    from kimi_vl.checkpoint import load_model
    from kimi_vl.model import KimiVLForConditionalGeneration

    def status(key):  # VmHWM, not ru_maxrss: that one starts at the size of the process that forked
        [line] = [line for line in open("/proc/self/status") if line.startswith(key + ":")]
        return int(line.split()[1]) * 1024

    load_model(sys.argv[2], KimiVLForConditionalGeneration)  # a toy first: lazy imports and thread pools are not the loader's
    before = status("VmRSS")
    model, _ = load_model(sys.argv[1], KimiVLForConditionalGeneration, dtype=sys.argv[3])
    print(before, status("VmHWM"), sum(p.numel() * p.element_size() for p in model.parameters()))
"""


@pytest.fixture(scope="module")
def large_checkpoint(tmp_path_factory):
    """200 MB in float32; the largest tensors are the two embedding tables of 49 MB."""
    config = KimiVLConfig.from_dict(LARGE)
    state = random_state(config)
    folders = {}
    for stored, options in (("float32", {}), ("int8", {"quantize": "int8"})):
        folders[stored] = tmp_path_factory.mktemp(stored)
        save_checkpoint(state, config, folders[stored], max_shard_bytes=60_000_000, **options)
    return folders


@pytest.mark.parametrize(("stored", "wanted"), [("float32", "float32"), ("float32", "bfloat16"), ("int8", "bfloat16")])
def test_loading_peaks_at_the_model_and_two_copies_of_its_largest_tensor(tmp_path, large_checkpoint, stored, wanted):
    write_checkpoint(tmp_path, official_tensors())
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), large_checkpoint[stored], tmp_path, wanted]
    # By itself malloc raises this threshold to the size of what was freed, and then keeps up to two tensors' worth, in one of ten runs.
    environment = {**os.environ, "PYTHONPATH": str(Path(kimi_vl.__file__).parents[1]), "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    before, peak, model_bytes = map(int, output.split())
    widths = {"float32": 4, "bfloat16": 2, "int8": 1}
    largest = 24_000 * 512 * max(widths[stored], widths[wanted])
    assert model_bytes > (180_000_000 if wanted == "float32" else 90_000_000)
    assert peak - before <= model_bytes + 2 * largest + 8_000_000
    assert peak - before >= 0.9 * model_bytes  # or the measurement measures nothing
