"""The stage files that ship, and what a stage file may not hold."""

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch

import kimi_vl
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import ConfigError, InputError
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training import loader
from kimi_vl.training.loader import BatchStream, HeldOut
from kimi_vl.training.packing import SampleEncoder
from kimi_vl.training.run import STAGES
from kimi_vl.training.stage import Stage
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.world import FAMILIES

NANO = Path(kimi_vl.__file__).parent / "checkpoint" / "nano"
FILES = sorted(path for path in STAGES.glob("*.toml") if path.stem != "e_rl")  # its settings are those of rl.py


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_stage_names_real_families_and_trains_on_the_training_split(path):
    stage = Stage.from_file(path)
    assert stage.name == path.stem
    assert set(stage.mix.families) <= set(FAMILIES)
    assert sum(stage.mix.families.values()) == pytest.approx(1.0)
    assert stage.mix.split == "train"
    assert stage.budget.patches % 4 == 0


def test_no_two_stages_draw_the_same_pictures():
    seeds = [Stage.from_file(path).mix.seed for path in FILES]
    assert len(set(seeds)) == len(seeds)


def dataset(first_batch=0, rank=0, families=None):
    """Small batches, of every family that the joint stage trains on unless told otherwise."""
    stage = Stage.from_file(STAGES / "b_joint.toml")
    mix = dataclasses.replace(stage.mix, families=families or stage.mix.families)
    budget = dataclasses.replace(stage.budget, patches=4096, tokens=4096, supervised=4096, images=64)
    config = KimiVLConfig.from_file(NANO / "config.json")
    return BatchStream(mix, config, budget, NANO, None, rank=rank, first_batch=first_batch)


def stream(**place):
    return iter(dataset(**place))


def test_batches_are_the_same_again_wherever_the_stream_is_entered():
    batches = list(itertools.islice(stream(), 3))
    again = next(stream(first_batch=2))
    for field in dataclasses.fields(again):
        assert torch.equal(getattr(batches[2], field.name), getattr(again, field.name)), field.name


@pytest.mark.parametrize("workers", [0, 1])
def test_held_out_batches_are_the_first_of_each_stream(workers):
    families = ("line", "blank")
    held_out = HeldOut({family: dataset(families={family: 1.0}) for family in families}, workers=workers).batches()
    assert tuple(held_out) == families
    for family, batch in held_out.items():
        assert torch.equal(batch.pixels, next(stream(families={family: 1.0})).pixels)


def test_a_scene_that_cannot_be_drawn_is_left_out_and_said_and_the_rest_is_the_same(monkeypatch):
    encoder = SampleEncoder(Tokenizer.from_files(NANO / "tiktoken.model", NANO / "tokenizer_config.json"))

    def first(count):
        samples = dataset(families={"blank": 1.0})._samples(0, encoder, DataPack.builtin())
        return [sample.ids.tolist() for sample in itertools.islice(samples, count)]

    whole = first(3)
    draw = loader.render

    def broken(family, split, seed, index, data, **how):
        if index == 1:
            raise IndexError("nothing to choose from")
        return draw(family, split, seed, index, data, **how)

    monkeypatch.setattr(loader, "render", broken)
    with pytest.warns(RuntimeWarning, match="scene 1 of blank.* is left out: IndexError: nothing to choose from"):
        assert first(2) == [whole[0], whole[2]]
    monkeypatch.setattr(loader, "render", lambda *_, **__: 1 / 0)
    with pytest.warns(RuntimeWarning), pytest.raises(ZeroDivisionError):
        next(stream(families={"blank": 1.0}))


def test_noise_is_the_same_again_and_nowhere_else_than_in_the_tokens():
    def batch(noise):
        data = dataset(families={"receipt": 1.0})
        data.mix = dataclasses.replace(data.mix, noise=noise)
        return next(iter(data))

    plain, noisy, again = batch(0.0), batch(0.05), batch(0.05)
    assert torch.equal(noisy.input_ids_T, again.input_ids_T)
    assert not torch.equal(noisy.input_ids_T, plain.input_ids_T)
    assert torch.equal(noisy.targets_N, plain.targets_N)
    assert torch.equal(noisy.pixels, plain.pixels)


def test_an_unknown_family_is_no_accident():
    with pytest.raises(InputError, match="no family 'faces'"):
        next(stream(families={"faces": 1.0}))


def test_no_batch_and_no_rank_repeats_the_pictures_of_another():
    lines = {"line": 1.0}
    one, two = itertools.islice(stream(families=lines), 2)
    other_rank = next(stream(families=lines, rank=1))
    assert not torch.equal(one.pixels, two.pixels)
    assert not torch.equal(one.pixels, other_rank.pixels)


def test_a_batch_keeps_to_its_budget_and_its_indices_stay_inside():
    for batch in itertools.islice(stream(), 4):
        samples, patches, tokens = int(batch.num_samples), int(batch.real_patches), int(batch.real_tokens)
        assert samples > 0
        assert 0 < patches <= 4096
        assert 0 < tokens <= 4096
        placeholders = batch.placeholder_M[: patches // 4]
        assert (batch.input_ids_T[placeholders] == 5013).all()
        assert (batch.placeholder_M[patches // 4 :] == 4096).all()
        learned = batch.predict_at_N[batch.weights_N > 0]
        assert torch.equal(batch.targets_N[batch.weights_N > 0], batch.input_ids_T[learned + 1])
        assert sorted(batch.merge_index_M4.flatten().tolist()) == list(range(4096))
        for boundaries, total, longest in ((batch.image_cu_seqlens, 4096, 3072), (batch.token_cu_seqlens, 4096, 2048)):
            lengths = boundaries.diff()
            assert int(boundaries[-1]) == total
            assert int(lengths.min()) >= 0
            assert int(lengths.max()) <= longest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lr = 1.5e-3", "", r"missing \['lr'\]"),
        ("lr = 1.5e-3", "lr = 1.5e-3\nmomentum = 0.9", r"unknown \['momentum'\]"),
        ("severity = 1.0", "hardness = 1.0", r"\[mix\]: missing \['severity'\], unknown \['hardness'\]"),
        ("[budget]", "[budget", "not a readable stage file"),
    ],
)
def test_a_stage_file_with_a_missing_or_unknown_key_is_refused(old, new, message, tmp_path):
    text = (STAGES / "b_joint.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "bad.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        Stage.from_file(path)
