"""Rows computed by the fused kernels, in Triton's interpreter: the answers are those of the plain path, whatever runs beside them."""

import copy

import pytest
import torch

from kimi_vl.bench.engine import random_model
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import Engine, SamplingParams
from tests import interpreter
from tests.configs import TINY
from tests.engine.small import answer, limits, plain, submit

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


def test_answers_are_those_of_the_plain_path(model):
    prompts = [([5, 9, 11], None), ([7] * 13, None), ([100, 3, 44, 8, 8, 2, 61], None)]
    asked = {}, {"temperature": 0.9, "seed": 4}, {"temperature": 0.9, "seed": 4, "frequency_penalty": 2.0, "repetition_penalty": 1.5}
    for params in (SamplingParams(max_tokens=6, **options) for options in asked):
        expected = [plain(model, prompt, params) for prompt in prompts]
        engine = Engine(model, limits(num_pages=8, max_running=3), rows=True, graphs=False, fused=True)
        requests = [submit(engine, prompt, params=params)[0] for prompt in prompts]
        while not engine.is_idle:
            assert not [event.error for event in engine.step() if event.error]
        assert [answer(request) for request in requests] == expected
        engine.check_integrity()
