"""Tensors that threads read into buffers arrive as those that are read in place, and faults arrive as the same errors."""

import errno
import os
import threading
from collections import Counter

import pytest
import torch

from kimi_vl.checkpoint import CheckpointReader, checkpoint_layout, load, load_model, load_weights, save_checkpoint, staging
from kimi_vl.checkpoint.staging import Staging
from kimi_vl.errors import CheckpointError
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.quantise import quantiser
from tests.checkpoint.files import TINY_CONFIG, entry, random_state, safetensors_bytes, write_folder
from tests.checkpoint.test_load import poison

STATE = random_state()
GPU = pytest.param("cuda", marks=pytest.mark.gpu)


def write(folder, dtype=torch.float32, **options):
    """Nine files or so, with tensors of every size on either side of a buffer's."""
    save_checkpoint(STATE, TINY_CONFIG, folder, dtype=None if "quantize" in options else dtype, max_shard_bytes=200_000, **options)
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


def loaded(folder, **options):
    return load_model(folder, KimiVLForConditionalGeneration, **options)[0]


def values(model):
    return {name: value.cpu() for name, value in model.state_dict().items()}


def same(found, expected):
    return found.keys() == expected.keys() and all(
        found[name].dtype == value.dtype and torch.equal(found[name], value) for name, value in expected.items()
    )


@pytest.fixture(params=["cpu", GPU])
def staged(request, monkeypatch):
    """A device that is filled through buffers, which hold neither whole rows nor whole tensors."""
    monkeypatch.setattr(load, "STAGED", {"cpu", "cuda"})
    monkeypatch.setattr(staging, "BUFFER_BYTES", 2000)
    monkeypatch.setattr(staging, "THREADS", 3)
    return request.param


def no_reader_is_left():
    return not any(thread.name.startswith("checkpoint") for thread in threading.enumerate())


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("wanted", [torch.float32, torch.bfloat16])
def test_every_stored_and_wanted_dtype_gives_what_reading_in_place_gives(tmp_path, staged, monkeypatch, stored, wanted):
    found = loaded(write(tmp_path, stored), device=staged, dtype=wanted)
    monkeypatch.setattr(load, "STAGED", set())
    assert same(values(found), values(loaded(tmp_path, dtype=wanted)))
    assert {parameter.device.type for parameter in found.parameters()} == {staged}
    assert no_reader_is_left()


def test_the_official_size_of_buffers_and_threads_does_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "STAGED", {"cpu"})
    assert same(values(loaded(write(tmp_path))), STATE)


def test_an_int8_checkpoint_comes_through(tmp_path, staged, monkeypatch):
    found = values(loaded(write(tmp_path, quantize="int8"), device=staged, dtype=torch.float32))
    monkeypatch.setattr(load, "STAGED", set())
    assert same(found, values(loaded(tmp_path)))


def test_a_model_in_use_gets_new_weights(tmp_path, staged):
    model = KimiVLForConditionalGeneration(TINY_CONFIG, device=staged, dtype=torch.bfloat16)
    load_weights(model, write(tmp_path), dtype=torch.float32, device=staged)
    assert same(values(model), STATE)


def test_progress_counts_in_the_models_order(tmp_path, staged):
    calls = []
    loaded(write(tmp_path), device=staged, progress=lambda *counts: calls.append(counts))
    with CheckpointReader(tmp_path) as reader:
        total = sum(reader.num_bytes(name) for name in reader.names())
    assert len(calls) == len(checkpoint_layout(TINY_CONFIG))
    assert calls == sorted(calls)
    assert calls[-1] == (total, total)


@pytest.mark.parametrize("ahead", [0, 100_000, 1 << 30])
@pytest.mark.parametrize("kind", ["int8", "fp8", "int4"])
def test_modules_are_quantised_when_all_of_their_weights_are_there(tmp_path, staged, monkeypatch, kind, ahead):
    monkeypatch.setattr(load, "AHEAD_BYTES", ahead)
    found = values(loaded(write(tmp_path), device=staged, dtype=torch.bfloat16, quantise=quantiser(kind)))
    monkeypatch.setattr(load, "STAGED", set())
    assert same(found, values(loaded(tmp_path, device=staged, dtype=torch.bfloat16, quantise=quantiser(kind))))


def test_a_model_to_be_quantised_has_little_on_its_way(tmp_path, staged, monkeypatch):
    monkeypatch.setattr(load, "AHEAD_BYTES", 40_000)
    seen, begin = Counter(), load._Filling.begin

    def watched(filling, name):
        begin(filling, name)
        seen[len(filling.arriving), filling.arriving_bytes] += 1

    monkeypatch.setattr(load._Filling, "begin", watched)
    loaded(write(tmp_path), device=staged, dtype=torch.bfloat16, quantise=quantiser("int8"))
    assert max(bytes_ for count, bytes_ in seen if count > 1) <= 40_000
    assert max(bytes_ for count, bytes_ in seen if count == 1) > 40_000, "one that is larger goes alone"


@pytest.mark.parametrize("bad", [float("nan"), -float("inf")])
def test_a_value_that_is_not_finite_is_refused_by_name_unless_allowed(tmp_path, staged, bad):
    name = "vision_tower.encoder.blocks.1.norm0.bias"
    write(tmp_path)
    with CheckpointReader(tmp_path) as reader:
        file = reader._find(name).file.name
    poison(tmp_path / file, name, bad)
    with pytest.raises(CheckpointError, match=f"{name} holds NaN or infinite values in float32"):
        loaded(tmp_path, device=staged)
    assert not loaded(tmp_path, device=staged, allow_nonfinite=True).state_dict()[name][0].isfinite()


# ------------------------------------------------------------------ faults


def test_a_file_truncated_while_threads_read_is_an_error(tmp_path, staged, monkeypatch):
    """After its header was believed: cut off within its last tensor."""
    path = max(write(tmp_path).glob("*.safetensors"))
    monkeypatch.setattr(load, "check_memory", lambda *_, **__: os.truncate(path, path.stat().st_size - 3))
    with pytest.raises(CheckpointError, match=f"{path.name} ended 3 bytes early while '"):
        loaded(tmp_path, device=staged)
    assert no_reader_is_left()


def test_a_disk_that_fails_midway_is_an_error(tmp_path, staged, monkeypatch):
    calls, preadv = [], os.preadv

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) > 100:
            raise OSError(errno.EIO, "Input/output error")
        return preadv(*arguments)

    write(tmp_path)
    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(CheckpointError, match="safetensors cannot be read: Input/output error"):
        loaded(tmp_path, device=staged)
    assert no_reader_is_left()


def test_nothing_is_read_of_a_folder_that_lacks_a_tensor(tmp_path, staged, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(CheckpointReader, "read_into", None)
    monkeypatch.setattr(load, "stored_layout", lambda config: {"another.weight": ((1,), (torch.float32,))})
    with pytest.raises(CheckpointError, match=r"another.weight \[1\] is missing"):
        loaded(tmp_path, device=staged)


# ------------------------------------------------------------------ one tensor


def test_empty_tensors_and_kernels_that_read_little_at_a_time(tmp_path, staged, monkeypatch):
    """The system may give less than was asked for."""
    data = torch.randn(1001)
    header = {"none": entry("F32", [0, 4], 0, 0), "some": entry("F32", [1001], 0, 4004)}
    write_folder(tmp_path, {"model.safetensors": safetensors_bytes(header, data.numpy().tobytes())})
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, views, position: preadv(file, [views[0][:7]], position))
    none, some = torch.empty(0, 4, device=staged), torch.empty(1001, device=staged)
    with CheckpointReader(tmp_path) as reader, Staging(reader, torch.device(staged)) as under_test:
        reads = [*under_test.send("none", none), *under_test.send("some", some)]
        under_test.wait(reads)
        assert torch.equal(some.cpu(), data)
    assert len(reads) == 3, "1,001 values in buffers of 500"


def test_a_part_of_a_tensor_is_read_from_its_place(tmp_path):
    data = torch.arange(10, dtype=torch.int32)
    write_folder(tmp_path, {"model.safetensors": safetensors_bytes({"a": entry("I32", [10], 0, 40)}, data.numpy().tobytes())})
    part = torch.empty(3, dtype=torch.int32)
    with CheckpointReader(tmp_path) as reader:
        reader.read_into("a", part, 6)
    assert part.tolist() == [6, 7, 8]


def test_matrices_that_multiply_the_same_vectors_are_loaded_one_behind_another(tmp_path, staged):
    """So that `RowDecoder` need not move them: it would hold a second copy of them meanwhile."""
    model = loaded(write(tmp_path), device=staged)
    layers = model.language_model.model.layers
    pairs = [(layer.self_attn.q_proj, layer.self_attn.kv_a_proj_with_mqa) for layer in layers]
    pairs += [(mlp.gate_proj, mlp.up_proj) for mlp in (layers[0].mlp, layers[1].mlp.shared_experts)]
    for one, other in pairs:
        assert other.weight.data_ptr() == one.weight.data_ptr() + one.weight.nbytes
        assert other.weight.untyped_storage().data_ptr() == one.weight.untyped_storage().data_ptr()
