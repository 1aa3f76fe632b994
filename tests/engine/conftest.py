"""A tiny network, prompts to it, and the answers that the plain path gives."""

import pytest

from kimi_vl.engine import SamplingParams
from tests.engine.small import plain
from tests.parity.networks import Case
from tests.parity.tiny_reference import make_inputs, resized


@pytest.fixture(scope="module")
def case():
    """Random weights with logits as decided as a trained network's: near-ties would tell fp32 noise, not mistakes."""
    return Case(resized(vision={"init_pos_emb_height": 7}), [(2, 2)], seed=1, output_gain=3.0)


@pytest.fixture(scope="module")
def model(case):
    return case.model()


@pytest.fixture(scope="module")
def prompts(case):
    """(ids, images or None): some with images, some that begin alike, one long."""
    found = [([11], None), (list(range(100, 220)), None), ([*list(range(100, 180)), 7, 8, 9], None)]
    for index, grid_hws in enumerate([[(4, 6)], [(2, 2), (6, 8), (2, 6)], [(8, 8)]]):
        ids, pixels = make_inputs(case.config, grid_hws, index)
        found.append((ids.tolist(), (pixels, grid_hws)))
    ids, images = found[-1]
    found.append((ids, (images[0].flip(0), images[1])))  # the same tokens, another picture
    found.append(([*ids, 5, 6, 7], images))
    return found


@pytest.fixture(scope="module")
def expected(model, prompts):
    return [plain(model, prompt, SamplingParams(max_tokens=24)) for prompt in prompts]
