"""Wrong tokens in what readings go on from: where they may stand, and that what is learned stays right."""

from pathlib import Path

import numpy as np
import pytest

import kimi_vl
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training.noise import READ, Noise
from kimi_vl.training.packing import SampleEncoder
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.world import render

NANO = Path(kimi_vl.__file__).parent / "checkpoint" / "nano"


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_files(NANO / "tiktoken.model", NANO / "tokenizer_config.json")


@pytest.fixture(scope="module")
def samples(tokenizer):
    encoder, data = SampleEncoder(tokenizer), DataPack.builtin()
    return [encoder.encode(render(family, "train", 3, k, data), 4096) for family in ("receipt", "lines") for k in range(40)]


def of_readings(sample):
    """Places of the tokens that readings say, end tokens aside."""
    at = sample.predict_at[sample.tasks == READ]
    ends = np.append(np.flatnonzero(np.diff(at) > 1), len(at) - 1) if len(at) else np.array([], dtype=int)
    return np.delete(at + 1, ends)


def test_only_what_a_reading_says_is_spoilt_and_its_targets_never(tokenizer, samples):
    noise, rng = Noise(tokenizer, 0.1), np.random.default_rng(1)
    spoilt = 0
    for sample in samples:
        noisy = noise(sample, rng)
        changed = np.flatnonzero(noisy.ids != sample.ids)
        assert set(changed) <= set(of_readings(sample))
        assert set(noisy.ids[changed]) <= set(sample.ids[of_readings(sample)])
        assert np.array_equal(noisy.targets, sample.targets)
        assert np.array_equal(sample.targets, sample.ids[sample.predict_at + 1])  # the sample itself is as it was
        spoilt += len(changed)
    assert 0.05 < spoilt / sum(len(of_readings(sample)) for sample in samples) < 0.2


def test_a_repeated_line_is_the_one_before_it_and_not_learned_but_what_follows_is(tokenizer, samples, monkeypatch):
    monkeypatch.setattr("kimi_vl.training.noise.REPEATED", 1.0)
    noise, rng = Noise(tokenizer, 0.0), np.random.default_rng(1)
    repeated = 0
    for sample in samples:
        noisy = noise(sample, rng)
        places = sample.predict_at + 1
        silenced = places[(noisy.weights == 0) & (sample.weights > 0)]
        assert set(np.flatnonzero(noisy.ids != sample.ids)) <= set(silenced)
        assert np.array_equal(noisy.weights[noisy.weights > 0], sample.weights[noisy.weights > 0])
        text, before = tokenizer.decode(noisy.ids[places].tolist()).split("\n"), tokenizer.decode(sample.ids[places].tolist()).split("\n")
        assert len(text) == len(before)  # no line begins or ends elsewhere
        for k, (now, was) in enumerate(zip(text, before, strict=True)):
            if now != was and k:
                repeated += now[: len(was)] == before[k - 1][: len(now)] or now.startswith(before[k - 1])
                assert k + 1 < len(text)
    assert repeated > 20


def test_without_a_reading_nothing_changes(tokenizer):
    encoder = SampleEncoder(tokenizer)
    sample = encoder.encode(render("blank", "train", 3, 1, DataPack.builtin()), 4096)
    noisy = Noise(tokenizer, 0.5)(sample, np.random.default_rng(1))
    assert np.array_equal(noisy.ids, sample.ids)
