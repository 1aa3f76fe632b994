"""The program that measures a start, on a small network: it writes what loads, and every stage comes after the one before."""

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kimi_vl.checkpoint import CheckpointReader, checkpoint_layout
from kimi_vl.checkpoint.load import check_tensors
from kimi_vl.processor import Processor
from tests.tiny_checkpoint import tiny_config

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "bench_start.py"
STAGES = ["interpreter", "torch imported", "imports", "device ready", "tokenizer", "weights loaded", "engine made", "first token"]
STAGES += ["second token", "answer, its steps recorded"]


@pytest.fixture
def bench():
    spec = spec_from_file_location("bench_start", PROGRAM)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_it_writes_is_the_official_layout_in_shards(bench, tmp_path, monkeypatch):
    config = tiny_config()
    monkeypatch.setattr(bench, "SHARD_BYTES", 300_000)
    monkeypatch.setattr(bench, "BLOCK_VALUES", 70_000)
    monkeypatch.setattr(bench, "WRITE_BYTES", 3072)  # as long as an expert's matrix
    bench.write_checkpoint(tmp_path, config)
    assert len(list(tmp_path.glob("model-*-of-*.safetensors"))) > 3
    with CheckpointReader(tmp_path) as reader:
        check_tensors(config, reader)
        for name, spec in checkpoint_layout(config).items():
            values = reader.tensor(name)
            assert values.dtype == (torch.float32 if spec.keep_fp32 else torch.bfloat16)
            assert values.isfinite().all()
            if spec.numel > 1000:
                assert 0.018 < values.float().std() < 0.022
        experts = [reader.tensor(f"language_model.model.layers.1.mlp.experts.{e}.down_proj.weight") for e in range(8)]
    assert not any(torch.equal(one, other) for k, one in enumerate(experts) for other in experts[:k])


@pytest.mark.parametrize("vocab_size", [5_400, 163_840])
def test_the_tokenizer_has_the_size_of_the_vocabulary(bench, tmp_path, vocab_size):
    bench.write_tokenizer(tmp_path, vocab_size)
    tokenizer = Processor.from_pretrained(tmp_path, vocab_size).tokenizer
    assert tokenizer.vocab_size == vocab_size
    assert tokenizer.decode(tokenizer.encode("Read the text.")) == "Read the text."
    assert min(tokenizer.special_ids.values()) == tokenizer.special("[BOS]"), "the named ones lie behind all others"


def test_kernels_are_counted_as_triton_tells_of_them(bench, monkeypatch):
    compilation = SimpleNamespace(listener=None)
    monkeypatch.setattr(bench, "triton", SimpleNamespace(knobs=SimpleNamespace(compilation=compilation)))
    kernels = bench.Kernels()
    for microseconds, hit in ((250_000, False), (500_000, False), (1_000, True)):
        compilation.listener(src=None, metadata={}, metadata_group={}, times=SimpleNamespace(total=microseconds), cache_hit=hit)
    assert kernels.so_far() == {"compiled": 2, "read": 1, "seconds": 0.751}


@pytest.mark.parametrize("options", [[], ["--quantize", "int8"]])
def test_two_processes_start_one_after_the_other(tmp_path, options):
    (tmp_path / "config.json").write_text(json.dumps(tiny_config().to_dict()))
    where = ["--config", tmp_path / "config.json", "--folder", tmp_path / "checkpoint", "--device", "cpu"]
    shown = subprocess.run([sys.executable, PROGRAM, *where, *options], check=True, capture_output=True, text=True).stdout
    report = json.loads(shown)
    for run in (report["triton_cache_empty"], report["triton_cache_filled"]):
        seconds = run["seconds_until"]
        assert list(seconds) == STAGES
        assert list(seconds.values()) == sorted(seconds.values())
        assert run["limit_reading_gb_s"] > 0
        assert len(run["later_first_tokens_ms"]) == 3
        assert all(0 < waited < 60_000 for waited in run["later_first_tokens_ms"])
        assert list(run["kernels_until"]) == STAGES[-4:]
    assert report["quantized"] == (options[1] if options else None)
    assert report["peer_seconds"] == 124.8
    with CheckpointReader(tmp_path / "checkpoint") as reader:
        assert report["weights_gb"] == pytest.approx(sum(reader.num_bytes(name) for name in reader.names()) / 1e9, abs=1e-3)
