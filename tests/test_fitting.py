"""`fit="auto"`: the most exact weights and the longest context that what is free allows, or a refusal that says what is missing."""

import pytest
import torch

from kimi_vl import KimiVL
from kimi_vl.bench.engine import official_config
from kimi_vl.checkpoint.memory import estimate_bytes, loading_peak
from kimi_vl.engine.memory import SHARE
from kimi_vl.engine.plan import limits_of_one, plain_bytes
from kimi_vl.errors import CapacityError, InputError, PromptTooLong
from kimi_vl.llm import fitting
from kimi_vl.llm.fitting import Fit, fitted
from tests.tiny_checkpoint import write_tiny_checkpoint

CUDA, CPU, BF16 = torch.device("cuda"), torch.device("cpu"), torch.bfloat16
OFFICIAL = official_config()


@pytest.mark.parametrize(
    ("gb", "kind", "whole"),
    [(80, None, True), (30, "int8", True), (25.1, "int8", True), (22, "int8", False), (16.5, "int4", True)],
)
def test_the_most_exact_weights_with_room_enough_are_chosen(gb, kind, whole):
    found = fitted(OFFICIAL, BF16, CUDA, free=int(gb * 1e9))
    assert found.kind == kind
    assert (found.context == 131_072) == whole
    assert found.context >= 131_072 // 4


@pytest.mark.parametrize("gb", [14.2, 16.5, 22, 25.1, 36])
def test_what_was_chosen_can_be_started(gb):
    """The engine is made, as `KimiVL` makes it, of what the loaded weights leave; and loading took no more than there was."""
    free = int(gb * 1e9)
    found = fitted(OFFICIAL, BF16, CUDA, free=free)
    assert loading_peak(OFFICIAL, BF16, found.kind) <= free
    beside = int(SHARE * (free - estimate_bytes(OFFICIAL, BF16, quantised=found.kind)))
    limits = limits_of_one(OFFICIAL, free_bytes=beside, kind=found.kind, context=found.context)
    assert limits.num_pages * limits.page_size >= found.context


def test_less_than_the_least_is_refused_with_what_it_takes():
    with pytest.raises(CapacityError, match=r"of which 12\.6 GB are free: the least needs 12\.7 GB to load and room for 1,024 tokens"):
        fitted(OFFICIAL, BF16, CUDA, free=12_600_000_000)  # enough for what is loaded, not for loading it


def test_weights_that_were_said_are_kept():
    assert fitted(OFFICIAL, BF16, CUDA, kinds=("int8",), free=80 * 10**9) == Fit("int8", 131_072)
    with pytest.raises(CapacityError, match=r"nothing that was tried \(int8\)"):
        fitted(OFFICIAL, BF16, CUDA, kinds=("int8",), free=16 * 10**9)


def test_on_a_cpu_the_plain_path_is_counted():
    found = fitted(OFFICIAL, BF16, CPU, free=24 * 10**9)
    text, weights = OFFICIAL.text_config, estimate_bytes(OFFICIAL, BF16, quantised=found.kind)
    taken = weights + found.context * text.num_hidden_layers * text.latent_dim * 2 + plain_bytes(OFFICIAL, found.context, 2)
    more = taken + 64 * (31_104 + plain_bytes(OFFICIAL, 1, 2))
    assert taken <= 24e9 < more


def test_where_nothing_is_told_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(fitting, "available_memory", lambda device: None)
    assert fitted(OFFICIAL, BF16, CPU) == Fit(None, 131_072)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), endless=True)


def test_a_model_is_loaded_with_what_was_chosen(folder, monkeypatch):
    whole = KimiVL.load(folder, device="cpu", fit="auto")
    assert (whole.kind, whole.context) == (None, whole.model.config.text_config.max_position_embeddings)
    monkeypatch.setattr("kimi_vl.llm.kimi_vl.fitted", lambda *args, **options: Fit("int8", 64))
    small = KimiVL.load(folder, device="cpu", fit="auto")
    assert (small.kind, small.context) == ("int8", 64)
    with pytest.raises(PromptTooLong, match="this model takes 63"):
        small.ask("word " * 100)
    answer = small.ask("Hi", max_tokens=4096, temperature=0.0)
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == 64
    assert answer.finish_reason == "length"


def test_another_fit_is_refused(folder):
    with pytest.raises(InputError, match="fit is 'tight'"):
        KimiVL.load(folder, fit="tight")
