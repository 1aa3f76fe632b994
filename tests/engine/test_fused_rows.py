"""Rows computed by the fused kernels, in Triton's interpreter: the answers are those of the plain path, whatever runs beside them."""

import copy

import pytest
import torch

from kimi_vl.bench.engine import random_model
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import Engine, SamplingParams
from tests import interpreter
from tests.configs import TINY
from tests.engine.small import END_IDS, answer, limits, plain, submit

pytestmark = [
    pytest.mark.skipif(interpreter.refusal() is not None, reason=str(interpreter.refusal())),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


@pytest.fixture(scope="module")
def model():
    config = copy.deepcopy(TINY)
    widths = {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16}
    config["text_config"] |= widths | {"num_hidden_layers": 2, "vocab_size": 128}
    config["media_placeholder_token_id"] = 120
    torch.manual_seed(5)
    model = random_model(KimiVLConfig.from_dict(config), torch.device("cpu"), torch.float32)
    for parameter in model.language_model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return model


PROMPTS = [([5, 9, 11], None), ([7] * 13, None), ([100, 3, 44, 8, 8, 2, 61], None)]


def answers(engine, params):
    requests = [submit(engine, prompt, params=params)[0] for prompt in PROMPTS]
    while not engine.is_idle:
        assert not [event.error for event in engine.step() if event.error]
    engine.check_integrity()
    return [answer(request) for request in requests]


def test_answers_over_a_cache_in_fp8_are_those_of_the_modules(model):
    params, kept = SamplingParams(max_tokens=6), limits(num_pages=8, max_running=3, cache="fp8")
    expected = answers(Engine(model, kept, rows=False), params)
    assert answers(Engine(model, kept, rows=True, graphs=False, fused=True), params) == expected


def test_answers_are_those_of_the_plain_path(model):
    asked = {}, {"temperature": 0.9, "seed": 4}, {"temperature": 0.9, "seed": 4, "frequency_penalty": 2.0, "repetition_penalty": 1.5}
    for params in (SamplingParams(max_tokens=6, **options) for options in asked):
        expected = [plain(model, prompt, params) for prompt in PROMPTS]
        assert answers(Engine(model, limits(num_pages=8, max_running=3), rows=True, graphs=False, fused=True), params) == expected


@pytest.mark.parametrize("most", [3, 6])
def test_a_draft_sees_what_its_own_rows_write(model, most, monkeypatch):
    """Rows of one request write into the same pages in one step, and each sees as far as itself: by kernels of few rows, and of more."""
    endless = tuple((token, -100.0) for token in END_IDS)
    prompt, params = ([100, 3, 44, 8, 8, 2, 61], None), SamplingParams(max_tokens=16, temperature=0.9, seed=6, logit_bias=endless)
    found, reason = plain(model, prompt, params)
    text, counts = [*prompt[0], *found], []

    class Oracle:
        def proposal(self, token_ids, most):
            assert token_ids == text[: len(token_ids)]
            return [token if k != 2 or len(token_ids) % 2 else 9 for k, token in enumerate(text[len(token_ids) :][:most])]

    monkeypatch.setattr("kimi_vl.engine.engine.Lookup", Oracle)
    engine = Engine(model, limits(num_pages=8, draft_tokens=most), rows=True, graphs=False, fused=True)
    (request,) = submit(engine, prompt, params=params)
    step = engine.runner.rows.step
    monkeypatch.setattr(engine.runner.rows, "step", lambda *args: (counts.append(args[0]), step(*args)))
    while not engine.is_idle:
        assert not [event.error for event in engine.step() if event.error]
    assert answer(request) == (found, reason)
    assert len(counts) < len(found) - 1
    assert max(counts) == (4 if most == 3 else 8)
